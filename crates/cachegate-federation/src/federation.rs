//! One token's way: from text to an anchor, to a signature, to checked claims, to facts.
// A new case must stop the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_jwt::{
    CheckedClaims, ClaimValue, Claims, ClaimsCheck, JwsError, KeySet, UnverifiedJws, VerifiedJws,
};
use cachegate_types::{Name, Principal, Timestamp};

use crate::anchor::{Accepted, ENTRA};
use crate::facts::find_claim;
use crate::platform::Reading;
use crate::refusal::quoted;
use crate::{
    AZURE_DEVOPS, Anchor, AnchorError, Fact, Facts, Issuer, Matched, Mode, Platform, Refusal, Status, Step,
};

/// The closed table of anchors.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    anchors: BTreeMap<Name, Arc<Anchor>>,
    /// Issuers (for SPIFFE: trust domains) to the anchors that take them. Two clusters may call themselves alike.
    issuers: BTreeMap<(bool, String), Vec<Arc<Anchor>>>,
}

/// What a token that was let through is: whose, what is known of it, and until when.
///
/// Not checked: whether it was used before, and what it may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// The anchor that vouches.
    pub anchor: Name,
    /// `sub`, as verified: for people to read.
    pub subject: Arc<str>,
    /// Who it is, composed from ids alone.
    pub principal: Principal,
    /// What the claims say.
    pub facts: Facts,
    /// The audience of ours that it is for.
    pub audience: Arc<str>,
    /// What the token is known by: one use, one revocation.
    pub token: TokenKey,
    /// SHA-256 of the signing input, by which a token can be revoked whether or not it has an id.
    pub digest: [u8; 32],
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// When it stops counting; the leeway is not part of it.
    pub expires_at: Timestamp,
    /// Until when a record of its use must be kept.
    pub remember_until: Timestamp,
    /// What it is good for.
    pub mode: Mode,
    /// Whether it counts: in audit it gives nothing.
    pub status: Status,
    /// Claims that the platform was not known to send: worth an operator's look, and of no effect.
    pub unknown_claims: Vec<String>,
}

impl Verified {
    /// When a right ends that this token earns at `now`.
    ///
    /// A session that it is exchanged for ends by the rule alone: the token bounds when it may be exchanged, and a build
    /// cannot exchange anew in the middle of its run. Presented itself, a token counts as long as both let it.
    pub fn right_ends(&self, matched: &Matched, now: Timestamp) -> Timestamp {
        match self.mode {
            Mode::Exchange => now.saturating_add(matched.ttl),
            Mode::Direct => {
                let by_rule = self.issued_at.map(|issued_at| issued_at.saturating_add(matched.ttl));
                by_rule.map_or(self.expires_at, |end| end.min(self.expires_at))
            }
        }
    }
}

/// What a token is known by, within its anchor.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TokenKey {
    /// Its own id.
    Id(Arc<str>),
    /// SHA-256 of its signing input, where it has no id. Never of the whole token: whoever holds one can write an
    /// ECDSA signature another way.
    Digest([u8; 32]),
}

/// `jti:` and the id, or `sha256:` and the digest in hexadecimal: no id can pretend to be a digest.
impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "jti:{id}"),
            Self::Digest(digest) => {
                f.write_str("sha256:")?;
                digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl Federation {
    /// How much longer than the token itself its record is kept.
    pub const RECORD_MARGIN: Duration = Duration::from_secs(60);

    /// # Errors
    ///
    /// [`AnchorError::DuplicateId`] when two anchors share a name.
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Result<Self, AnchorError> {
        let mut table = Self::default();
        for anchor in anchors {
            let anchor = Arc::new(anchor);
            let is_domain = anchor.platform() == Platform::SpiffeJwtSvid;
            for issuer in anchor.accepted().keys() {
                table.issuers.entry((is_domain, issuer.clone())).or_default().push(Arc::clone(&anchor));
            }
            if let Some(former) = table.anchors.insert(anchor.id().clone(), anchor) {
                return Err(AnchorError::DuplicateId { id: former.id().clone() });
            }
        }
        Ok(table)
    }

    /// The anchor of this name.
    pub fn anchor(&self, id: &Name) -> Option<&Arc<Anchor>> {
        self.anchors.get(id)
    }

    /// Every anchor, by name.
    pub fn anchors(&self) -> impl Iterator<Item = &Arc<Anchor>> {
        self.anchors.values()
    }

    /// The anchor that may vouch for a token of which nothing is believed yet: what the token says is a key into the
    /// table and nothing else. `named` chooses where several anchors take one issuer, and is refused where it does
    /// not fit.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] at the steps format, anchor or issuer.
    pub fn anchor_for(
        &self,
        token: &UnverifiedJws<'_>,
        named: Option<&Name>,
    ) -> Result<&Arc<Anchor>, Refusal> {
        let issuer = match token.unverified_issuer() {
            Ok(issuer) => Some(issuer),
            Err(JwsError::ClaimMissing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let subject = token.unverified_subject().ok();
        if issuer.as_deref().is_some_and(|issuer| issuer.starts_with(AZURE_DEVOPS))
            || subject
                .as_deref()
                .is_some_and(|subject| AZURE_SUBJECTS.iter().any(|form| subject.starts_with(form)))
        {
            return Err(unsupported_platform());
        }
        let domain =
            subject.as_deref().and_then(|subject| spiffe_id(subject)).map(|(domain, _)| domain.to_owned());
        let candidates = issuer
            .clone()
            .and_then(|issuer| self.issuers.get(&(false, issuer)))
            .or_else(|| self.issuers.get(&(true, domain.clone()?)))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut fitting = candidates.iter().filter(|anchor| named.is_none_or(|name| name == anchor.id()));
        let Some(first) = fitting.clone().next() else {
            return Err(self.unknown_issuer(issuer.as_deref(), domain.as_deref()));
        };
        let mut enabled = fitting.by_ref().filter(|anchor| anchor.status() != Status::Disabled);
        let Some(anchor) = enabled.next() else {
            let text =
                format!("the issuer {} is switched off here", quoted(&issuer.or(domain).unwrap_or_default()));
            return Err(Refusal::new(Step::Anchor, "anchor_disabled", text)
                .with_expected(format!("the anchor `{}` to have the status `enforce`", first.id())));
        };
        if let Some(other) = enabled.next() {
            let text = "several anchors take tokens of this issuer, and the request names none";
            return Err(Refusal::new(Step::Anchor, "anchor_ambiguous", text)
                .with_expected(format!("one of `{}`, `{}`, …", anchor.id(), other.id()))
                .with_hint("name the anchor in the request"));
        }
        Ok(anchor)
    }

    /// Verifies one token whole, with the keys that `keys` gives for its anchor. Where keys must be fetched first,
    /// take the steps one by one: [`UnverifiedJws::parse`], [`Federation::anchor_for`], [`Anchor::verify`].
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with the first failed step.
    pub fn verify(
        &self,
        token: &str,
        keys: impl FnOnce(&Anchor) -> Result<Arc<KeySet>, Refusal>,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let token = UnverifiedJws::parse(token)?;
        let anchor = self.anchor_for(&token, None)?;
        let keys = keys(anchor)?;
        anchor.verify(&token, &keys, now)
    }

    fn unknown_issuer(&self, issuer: Option<&str>, domain: Option<&str>) -> Refusal {
        let text = match (issuer, domain) {
            (Some(issuer), _) => {
                format!("no configured anchor takes tokens of the issuer {}", quoted(issuer))
            }
            (None, Some(domain)) => format!("no configured anchor takes the trust domain {}", quoted(domain)),
            (None, None) => {
                return Refusal::new(Step::Issuer, "claim_missing", "the token has no `iss`")
                    .with_expected("an `iss`, or a SPIFFE id as `sub`");
            }
        };
        let known = self.anchors.values().map(|anchor| format!("`{}`", anchor.issuer())).collect::<Vec<_>>();
        Refusal::new(Step::Anchor, "unknown_issuer", text)
            .with_expected(if known.is_empty() {
                "an anchor to be configured".to_owned()
            } else {
                known.join(", ")
            })
            .with_hint("issuers are compared byte for byte: a slash at the end makes another one")
    }
}

/// Where Microsoft's documents have the tenant.
const TENANT_SLOT: &str = "{tenantid}";

/// The forms of `sub` in the tokens of Azure DevOps, by its own issuer and by Entra's.
const AZURE_SUBJECTS: [&str; 2] = ["sc://", "/eid1/"];

fn unsupported_platform() -> Refusal {
    Refusal::new(
        Step::Anchor,
        "unsupported_platform",
        "tokens of Azure DevOps are not taken: their audience is fixed to another service",
    )
    .with_expected("another platform than Azure DevOps")
    .with_hint("let the pipeline obtain an Entra ID access token for this cache's own application")
}

impl Anchor {
    /// Verifies a token with the anchor's keys, and reads its facts.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with the first failed step. Where [`Refusal::is_unknown_key`], newer keys may help.
    pub fn verify(
        &self,
        token: &UnverifiedJws<'_>,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let (issuer, accepted) = self.accepted_issuer(token)?;
        if self.platform().profile().bare_header && !has_bare_header(token) {
            let text = "the header has more than `alg`, `kid` and `typ`";
            return Err(Refusal::new(Step::Header, "unsupported_header", text));
        }
        let verified = token.verify(keys, self.algorithms()).map_err(|error| self.key_refusal(&error))?;
        self.check_key_issuer(&verified, issuer, accepted)?;
        let claims = verified.claims()?;
        let checked = verified.check(&accepted.check, now);
        if let Err(error) = &checked
            && Step::of(error) <= Step::Issuer
        {
            return Err(self.check_refusal(error, &verified, claims));
        }
        let facts = self.read(claims, issuer, accepted);
        if let Err(refusal) = &facts
            && refusal.step() <= Step::Issuer
        {
            return Err(refusal.clone());
        }
        let checked = checked.map_err(|error| self.check_refusal(&error, &verified, claims))?;
        let expires_at = self.check_times(&checked, now)?;
        let digest = digest(token.signing_input());
        let key = self.token_key(&checked, digest)?;
        let mut facts = facts?;
        self.check_required(claims)?;
        if let TokenKey::Id(id) = &key {
            facts.know(Fact::TokenId, &**id);
        }
        if let Some(issued_at) = checked.issued_at {
            facts.know(Fact::TokenIssued, issued_at.as_unix_seconds());
        }
        facts.know(Fact::TokenExpires, expires_at.as_unix_seconds());
        let subject: Arc<str> = checked.subject.as_deref().unwrap_or_default().into();
        let unknown_claims = claims
            .iter()
            .filter(|(name, _)| self.platform().claim_class(name).is_none())
            .map(|(name, _)| name.into_owned())
            .collect();
        let audience = Arc::clone(&checked.audience);
        let issued_at = checked.issued_at;
        facts.set_token(verified.clone());
        Ok(Verified {
            anchor: self.id().clone(),
            principal: self.principal(&facts, &subject),
            subject,
            facts,
            audience,
            token: key,
            digest,
            issued_at,
            expires_at,
            remember_until: expires_at.saturating_add(self.leeway() + Federation::RECORD_MARGIN),
            mode: self.mode(),
            status: self.status(),
            unknown_claims,
        })
    }

    /// Which of the anchor's issuers the token says it is of.
    fn accepted_issuer(&self, token: &UnverifiedJws<'_>) -> Result<(&str, &Accepted), Refusal> {
        let said = match self.issuer() {
            Issuer::TrustDomain(_) => {
                let subject = token.unverified_subject()?;
                spiffe_id(&subject).map(|(domain, _)| domain.to_owned()).unwrap_or_default()
            }
            Issuer::Exact(_) | Issuer::Template(_) => token.unverified_issuer()?,
        };
        self.accepted().get_key_value(&said).map(|(issuer, accepted)| (issuer.as_str(), accepted)).ok_or_else(
            || {
                Refusal::new(
                    Step::Anchor,
                    "unknown_issuer",
                    format!("this anchor does not take tokens of {}", quoted(&said)),
                )
                .with_expected(format!("`{}`", self.issuer()))
            },
        )
    }

    /// Microsoft's tenants share a set of keys, and some of these are for one tenant alone: such a key names its issuer,
    /// in the form of version 2 also where it signs tokens of version 1.
    fn check_key_issuer(
        &self,
        verified: &VerifiedJws,
        issuer: &str,
        accepted: &Accepted,
    ) -> Result<(), Refusal> {
        let (Some(said), Some(tenant)) = (verified.key().issuer(), accepted.tenant.as_deref()) else {
            return Ok(());
        };
        let named = said.replace(TENANT_SLOT, tenant);
        if self.platform() != Platform::EntraId
            || named == issuer
            || named == ENTRA.replace(TENANT_SLOT, tenant)
        {
            return Ok(());
        }
        let text = "the key that signed the token is not for the tenant that the token names";
        Err(Refusal::new(Step::Key, "key_issuer_mismatch", text)
            .with_expected(format!("a key for {}, not for {}", quoted(issuer), quoted(said)))
            .with_hint("present a token of the tenant that this service was set up for"))
    }

    fn read(&self, claims: Claims<'_>, issuer: &str, accepted: &Accepted) -> Result<Facts, Refusal> {
        let subject = match claims.get("sub") {
            Some(ClaimValue::Text(subject)) => subject,
            _ => "".into(),
        };
        let facts = Facts::new(self.id(), self.platform());
        let mut reading = Reading { claims, anchor: self, issuer, subject: &subject, facts };
        let profile = self.platform().profile();
        if let Some(tenant) = accepted.tenant.as_deref() {
            let said = (profile.tenant_said)(&reading)?;
            if said.as_deref() != Some(tenant) {
                let said = said.map_or_else(|| "no tenant".to_owned(), |said| quoted(&said));
                return Err(Refusal::new(
                    Step::Issuer,
                    "tenant_mismatch",
                    format!(
                        "the token's issuer {} is not that of its own tenant: it says {said}",
                        quoted(issuer)
                    ),
                )
                .with_expected(format!("{} = {}", profile.tenant_fact, quoted(tenant)))
                .with_hint("present a token whose issuer is its own tenant's"));
            }
        }
        reading.copy(profile.facts)?;
        reading.check_always(profile.always)?;
        (profile.read)(&mut reading)?;
        Ok(reading.facts)
    }

    /// Expiry as the platform means it, and the anchor's caps.
    fn check_times(&self, checked: &CheckedClaims<'_>, now: Timestamp) -> Result<Timestamp, Refusal> {
        let mut expires_at = checked.expires_at;
        if let Some(claim) = self.platform().profile().intended_end {
            let end = match find_claim(checked.claims, claim) {
                Ok(None) => None,
                Ok(Some(ClaimValue::Integer(seconds))) => Timestamp::from_unix_seconds(seconds).ok(),
                _ => {
                    let text = format!("the token's `{claim}` is of another type than it should be");
                    return Err(
                        Refusal::new(Step::Time, "claim_ill_typed", text).with_expected("a whole number")
                    );
                }
            };
            expires_at = end.map_or(expires_at, |end| end.min(expires_at));
            if expires_at.saturating_add(self.leeway()) <= now {
                return Err(JwsError::Expired { expires_at, now }.into());
            }
        }
        let start = checked.issued_at.or(checked.not_before).unwrap_or(now);
        let (seconds, limit) = (expires_at.since(start).as_secs(), self.max_lifetime().as_secs());
        if seconds > limit {
            return Err(Refusal::new(
                Step::Time,
                "lifetime_too_long",
                format!("the token is valid for {seconds} s, which is longer than is taken"),
            )
            .with_expected(format!("at most {limit} s between `iat` and expiry"))
            .with_hint("ask for a token that lives shorter, or give the job a shorter timeout"));
        }
        if let Some(limit) = self.max_age() {
            let Some(issued_at) = checked.issued_at else {
                return Err(JwsError::ClaimMissing { claim: "iat" }.into());
            };
            let age = now.since(issued_at);
            if age > limit + self.leeway() {
                return Err(Refusal::new(
                    Step::Time,
                    "too_old",
                    format!("the token was issued {} s ago, at {issued_at}", age.as_secs()),
                )
                .with_expected(format!("at most {} s since `iat`", limit.as_secs()))
                .with_hint("ask for a token right before it is used"));
            }
        }
        Ok(expires_at)
    }

    fn token_key(&self, checked: &CheckedClaims<'_>, digest: [u8; 32]) -> Result<TokenKey, Refusal> {
        match self.platform().profile().token_id {
            "jti" => {
                Ok(checked.token_id.as_deref().map_or(TokenKey::Digest(digest), |id| TokenKey::Id(id.into())))
            }
            claim => match checked.claims.get(claim) {
                None => Ok(TokenKey::Digest(digest)),
                Some(ClaimValue::Text(id)) if (1..=ClaimsCheck::MAX_TEXT).contains(&id.len()) => {
                    Ok(TokenKey::Id(id.as_ref().into()))
                }
                Some(_) => Err(Refusal::new(
                    Step::Replay,
                    "claim_ill_typed",
                    format!("the token's `{claim}` is no text of 1 to {} bytes", ClaimsCheck::MAX_TEXT),
                )),
            },
        }
    }

    fn check_required(&self, claims: Claims<'_>) -> Result<(), Refusal> {
        for claim in self.required() {
            if !matches!(find_claim(claims, claim), Ok(Some(value)) if !matches!(value, ClaimValue::Null)) {
                return Err(Refusal::new(
                    Step::Pins,
                    "claim_missing",
                    format!("the token has no `{claim}`, which is required here"),
                )
                .with_expected(format!("`{claim}`, which the anchor requires")));
            }
        }
        Ok(())
    }

    /// Ids alone: a name that is given up and registered by someone else inherits nothing.
    fn principal(&self, facts: &Facts, subject: &Arc<str>) -> Principal {
        let parts = self.platform().profile().principal.iter().filter_map(|fact| {
            let value = match facts.get(*fact) {
                crate::Knowledge::Known(value) => value,
                crate::Knowledge::Absent | crate::Knowledge::Incomplete => return None,
            };
            Some(value.as_text().map_or_else(|| format!("{fact}={value}"), |text| format!("{fact}={text}")))
        });
        let composed = parts.collect::<Vec<_>>().join(" ");
        let subject = if composed.is_empty() { Arc::clone(subject) } else { composed.into() };
        Principal::Workload { anchor: self.id().clone(), subject }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an error of the codec that needs no more words than its own"
    )]
    fn key_refusal(&self, error: &JwsError) -> Refusal {
        let refusal = Refusal::from(error.clone());
        match error {
            JwsError::UnknownKey { kid } => {
                let kid =
                    kid.as_ref().map_or_else(|| "no key id".to_owned(), |kid| format!("the key id `{kid}`"));
                Refusal::new(
                    Step::Key,
                    error.code(),
                    format!("no single key of the issuer fits the token, which names {kid}"),
                )
                .with_expected(format!("a key of the anchor `{}`", self.id()))
            }
            JwsError::AlgorithmMismatch { .. } | JwsError::AlgorithmNotAllowed { .. } => {
                let algorithms = self.algorithms().iter().map(ToString::to_string).collect::<Vec<_>>();
                refusal.with_expected(algorithms.join(", "))
            }
            _ => refusal,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an error of the codec that needs no more words than its own"
    )]
    fn check_refusal(&self, error: &JwsError, verified: &VerifiedJws, claims: Claims<'_>) -> Refusal {
        let step = Step::of(error);
        let audiences =
            || self.audiences().iter().map(|audience| quoted(audience)).collect::<Vec<_>>().join(" or ");
        let hint = self.platform().profile().audience_hint;
        match error {
            JwsError::WrongType => {
                let said = verified.typ().map_or_else(
                    || "names no type".to_owned(),
                    |typ| format!("has the type {}", quoted(typ)),
                );
                Refusal::new(
                    step,
                    error.code(),
                    format!("the token {said}: another class of token than is taken here"),
                )
                .with_expected(self.types().join(" or "))
            }
            JwsError::AudienceMismatch => Refusal::new(
                step,
                error.code(),
                format!("the token is for {}, not for this service", said_audience(claims)),
            )
            .with_expected(audiences())
            .with_hint(hint),
            JwsError::AudienceNotSole { .. } => Refusal::new(
                step,
                error.code(),
                format!(
                    "the token is for {}: whoever else it is for could use it here",
                    said_audience(claims)
                ),
            )
            .with_expected(format!("{} alone", audiences()))
            .with_hint(hint),
            JwsError::ClaimMissing { claim: "aud" } => {
                Refusal::from(error.clone()).with_expected(audiences()).with_hint(hint)
            }
            _ => Refusal::from(error.clone()),
        }
    }
}

/// The audiences that a token names, as it names them.
fn said_audience(claims: Claims<'_>) -> String {
    let texts = match claims.get("aud") {
        Some(ClaimValue::Text(text)) => BTreeSet::from([quoted(&text)]),
        Some(ClaimValue::List(list)) => list
            .iter()
            .take(4)
            .filter_map(
                |element| if let ClaimValue::Text(text) = element { Some(quoted(&text)) } else { None },
            )
            .collect(),
        _ => BTreeSet::new(),
    };
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

/// Trust domain and path of a SPIFFE ID (SPIFFE ID, section 2): `spiffe://domain/path`.
pub(crate) fn spiffe_id(text: &str) -> Option<(&str, &str)> {
    let (domain, path) = text.strip_prefix("spiffe://")?.split_once('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    (crate::anchor::is_trust_domain(domain) && path.split('/').all(segment)).then_some((domain, path))
}

/// JWT-SVID, section 2: no other member than these.
fn has_bare_header(token: &UnverifiedJws<'_>) -> bool {
    let encoded = token.signing_input().split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(encoded).unwrap_or_default();
    // That it is one strict object was seen when the token was taken apart.
    serde_json::from_slice::<BTreeMap<String, serde::de::IgnoredAny>>(&header)
        .is_ok_and(|header| header.keys().all(|member| matches!(member.as_str(), "alg" | "kid" | "typ")))
}

fn digest(signing_input: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, signing_input.as_bytes());
    let mut bytes = [0; 32];
    for (byte, value) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *value;
    }
    bytes
}
