//! Anchors: who may vouch, configured and closed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cachegate_jwt::{Algorithm, ClaimsCheck, ClaimsCheckError, KeySet, KeySetError};
use cachegate_types::Name;
use serde::{Deserialize, Serialize};

use crate::platform::Profile;
use crate::{Fact, Platform};

/// Who may vouch for workloads: one issuer (or a closed list of one platform's tenants), its keys, and what its
/// tokens must say. It comes from configuration alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "AnchorBuilder", into = "AnchorBuilder")]
pub struct Anchor {
    document: AnchorBuilder,
    id: Name,
    platform: Platform,
    algorithms: Vec<Algorithm>,
    keys: KeySource,
    mode: Mode,
    tenancy: Tenancy,
    max_lifetime: Duration,
    max_age: Option<Duration>,
    leeway: Duration,
    group_cap: Option<usize>,
    issuers: BTreeMap<String, Accepted>,
}

/// What is accepted from one issuer of an anchor.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) check: ClaimsCheck,
    /// The tenant that the issuer's text names: [`Profile::tenant_fact`] must say the same.
    pub(crate) tenant: Option<String>,
}

/// The issuer as a document writes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Issuer {
    /// One issuer, compared byte for byte.
    Exact(String),
    /// The tenants of a platform that has one issuer for each: `{slot}` in the text stands for one of them. The list
    /// is closed; no tenant is accepted that is not on it.
    Template(IssuerTemplate),
    /// A SPIFFE trust domain.
    TrustDomain(TrustDomain),
}

/// See [`Issuer::Template`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerTemplate {
    /// The issuer with `{slot}` where the tenant stands, as the discovery document has it.
    pub template: String,
    /// The tenants that are accepted.
    pub tenants: Vec<String>,
}

/// See [`Issuer::TrustDomain`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustDomain {
    /// The domain, without `spiffe://`.
    pub trust_domain: String,
}

/// Where the keys come from, as a document writes it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Keys {
    /// From the discovery document (OpenID Connect Discovery 1.0) below the issuer.
    #[default]
    Discovery,
    /// From the discovery document at this place: for a template, which has no one issuer.
    DiscoveryAt(String),
    /// From this place.
    Url(String),
    /// The JSON Web Key Set itself.
    Inline(serde_json::Value),
}

/// Where the keys come from, settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// A discovery document that names the place of the keys.
    Discovery {
        /// Where the document is.
        url: String,
        /// What its `issuer` must be, byte for byte.
        issuer: String,
    },
    /// The place of the keys.
    Url(String),
    /// The keys.
    Inline(KeySet),
}

/// What a token of the anchor is good for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Once, in exchange for a session.
    Exchange,
    /// On every request, while it lives.
    Direct,
}

/// Whether one issuer speaks for several tenants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenancy {
    /// It does, or its name can come to be another tenant's: each rule must pin a tenant by an immutable id.
    Shared,
    /// It speaks for one tenant.
    Dedicated,
}

/// Whether an anchor's tokens count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// They do.
    #[default]
    Enforce,
    /// They are checked and recorded, and give nothing.
    Audit,
    /// They are refused.
    Disabled,
}

/// How many audiences a token may name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceMode {
    /// One: ours.
    #[default]
    Sole,
    /// Ours among others: whoever else it is for could present it here.
    Contains,
}

/// An anchor as a document has it, and the way to build one in code. What is left out is the platform's default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorBuilder {
    id: Name,
    #[serde(alias = "kind")]
    platform: String,
    issuer: Issuer,
    #[serde(default)]
    keys: Keys,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    key_hosts: Vec<String>,
    audiences: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    audience_mode: AudienceMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    algorithms: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_lifetime: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leeway: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    required: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenancy: Option<Tenancy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_cap: Option<usize>,
    #[serde(default, skip_serializing_if = "is_default")]
    status: Status,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Why an anchor cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// No platform of this name is spoken here.
    #[error("unsupported platform: `{platform}`")]
    UnsupportedPlatform {
        /// What was written.
        platform: String,
    },
    /// The issuer cannot be one of this platform.
    #[error("the issuer {what}")]
    Issuer {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A place that keys cannot be fetched from.
    #[error("the place of the keys {what}")]
    KeySource {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The inline key set cannot be read.
    #[error("the inline key set cannot be read")]
    InlineKeys {
        /// Why.
        #[source]
        source: KeySetError,
    },
    /// The inline key set has no key that can be used.
    #[error("the inline key set has no usable key")]
    NoUsableKey,
    /// No algorithm of this name is spoken here.
    #[error("unsupported algorithm: `{algorithm}`")]
    UnsupportedAlgorithm {
        /// What was written.
        algorithm: String,
    },
    /// The audience, the type, the leeway or the lifetime cannot be.
    #[error("{source}")]
    Check {
        /// Why.
        source: ClaimsCheckError,
    },
    /// The platform gives this audience to whoever asks for none: a token with it is good at everyone's door.
    #[error("the audience `{audience}` is the platform's default: a token with it was made for nobody")]
    DefaultAudience {
        /// The audience.
        audience: String,
    },
    /// In exchange mode a token is for us alone.
    #[error("in exchange mode a token names one audience: `audience_mode` must be `sole`")]
    FurtherAudiences,
    /// Several tenants share the issuer, whatever the document says.
    #[error("several tenants share this issuer: it cannot be dedicated")]
    SharedIssuer,
    /// A longest lifetime or age of more than a day, or of nothing.
    #[error("a longest lifetime or age is 1 to 86400 seconds")]
    Lifetime,
    /// A required claim without a name.
    #[error("a required claim has no name")]
    Required,
    /// A cap of no groups.
    #[error("a cap of groups is at least 1")]
    GroupCap,
    /// Two anchors of one id.
    #[error("two anchors are called `{id}`")]
    DuplicateId {
        /// The id.
        id: Name,
    },
}

impl AnchorError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedPlatform { .. } => "unsupported_platform",
            Self::Issuer { .. } => "anchor_issuer",
            Self::KeySource { .. } => "anchor_key_source",
            Self::InlineKeys { source } => source.code(),
            Self::NoUsableKey => "no_usable_key",
            Self::UnsupportedAlgorithm { .. } => "unsupported_algorithm",
            Self::Check { source } => source.code(),
            Self::DefaultAudience { .. } => "default_audience",
            Self::FurtherAudiences => "further_audiences",
            Self::SharedIssuer => "shared_issuer",
            Self::Lifetime => "anchor_lifetime",
            Self::Required => "anchor_required",
            Self::GroupCap => "anchor_group_cap",
            Self::DuplicateId { .. } => "duplicate_anchor",
        }
    }
}

impl From<ClaimsCheckError> for AnchorError {
    fn from(source: ClaimsCheckError) -> Self {
        Self::Check { source }
    }
}

impl AnchorBuilder {
    /// An anchor for one issuer, for one of `audiences`, its keys found by discovery.
    pub fn new<'a>(
        id: Name,
        platform: Platform,
        issuer: impl Into<Issuer>,
        audiences: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self {
            id,
            platform: platform.as_str().to_owned(),
            issuer: issuer.into(),
            keys: Keys::Discovery,
            key_hosts: Vec::new(),
            audiences: audiences.into_iter().map(str::to_owned).collect(),
            audience_mode: AudienceMode::Sole,
            algorithms: Vec::new(),
            types: Vec::new(),
            max_lifetime: None,
            max_age: None,
            leeway: None,
            required: Vec::new(),
            mode: None,
            tenancy: None,
            group_cap: None,
            status: Status::Enforce,
        }
    }

    /// Where the keys come from.
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Hosts beside the issuer's own where discovery may say that the keys are, at the usual port.
    #[must_use]
    pub fn key_hosts(mut self, hosts: &[&str]) -> Self {
        self.key_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        self
    }

    /// Whether it says nothing of the place of its keys, so that they are found by discovery.
    pub fn discovers_keys(&self) -> bool {
        self.keys == Keys::Discovery
    }

    /// How many audiences a token may name.
    #[must_use]
    pub fn audience_mode(mut self, mode: AudienceMode) -> Self {
        self.audience_mode = mode;
        self
    }

    /// The algorithms that are accepted.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.iter().map(Algorithm::to_string).collect();
        self
    }

    /// The classes of token (`typ`) that are accepted, such as `at+jwt`; one without is then refused.
    #[must_use]
    pub fn types(mut self, types: &[&str]) -> Self {
        self.types = types.iter().map(|typ| (*typ).to_owned()).collect();
        self
    }

    /// The longest time between `iat` and `exp`, in whole seconds.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime.as_secs());
        self
    }

    /// The longest time since `iat`, in whole seconds, whatever `exp` says.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age.as_secs());
        self
    }

    /// How far the clocks may lie apart, in whole seconds.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway.as_secs());
        self
    }

    /// Claims that must be there and not be `null`, by name or by JSON pointer.
    #[must_use]
    pub fn required(mut self, claims: &[&str]) -> Self {
        self.required = claims.iter().map(|claim| (*claim).to_owned()).collect();
        self
    }

    /// What a token is good for.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Whether the issuer speaks for several tenants.
    #[must_use]
    pub fn tenancy(mut self, tenancy: Tenancy) -> Self {
        self.tenancy = Some(tenancy);
        self
    }

    /// So many groups in a token, and there may be more that are not listed.
    #[must_use]
    pub fn group_cap(mut self, cap: usize) -> Self {
        self.group_cap = Some(cap);
        self
    }

    /// Whether its tokens count.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// # Errors
    ///
    /// [`AnchorError`] when something is empty, contradicts itself, or would leave a door open.
    pub fn build(self) -> Result<Anchor, AnchorError> {
        let platform: Platform = self
            .platform
            .parse()
            .map_err(|_| AnchorError::UnsupportedPlatform { platform: self.platform.clone() })?;
        let profile = platform.profile();
        let algorithms = self.read_algorithms(profile)?;
        let mode = self.mode.unwrap_or(profile.mode);
        if mode == Mode::Exchange && self.audience_mode == AudienceMode::Contains {
            return Err(AnchorError::FurtherAudiences);
        }
        // Many platforms take their own address where the caller asks for no audience.
        let is_default = |audience: &&String| {
            (profile.is_default_audience)(audience)
                || matches!(&self.issuer, Issuer::Exact(issuer) if issuer == *audience)
        };
        if let Some(audience) = self.audiences.iter().find(is_default) {
            return Err(AnchorError::DefaultAudience { audience: audience.clone() });
        }
        if self.required.iter().any(|claim| matches!(claim.as_str(), "" | "/")) {
            return Err(AnchorError::Required);
        }
        if self.group_cap == Some(0) {
            return Err(AnchorError::GroupCap);
        }
        let max_lifetime = self.max_lifetime.unwrap_or(match mode {
            Mode::Exchange => profile.max_lifetime,
            Mode::Direct => Anchor::DEFAULT_DIRECT_LIFETIME.as_secs(),
        });
        let seconds = 1..=Anchor::MAX_LIFETIME.as_secs();
        if !seconds.contains(&max_lifetime) || self.max_age.is_some_and(|age| !seconds.contains(&age)) {
            return Err(AnchorError::Lifetime);
        }
        let leeway = self.leeway.map_or(ClaimsCheck::DEFAULT_LEEWAY, Duration::from_secs);
        let (issuers, shared) = self.issuers(platform)?;
        let tenancy = match (self.tenancy, shared) {
            (Some(Tenancy::Dedicated), true) => return Err(AnchorError::SharedIssuer),
            (Some(tenancy), _) => tenancy,
            (None, true) => Tenancy::Shared,
            (None, false) => Tenancy::Dedicated,
        };
        let issuers = issuers
            .into_iter()
            .map(|(issuer, tenant)| {
                let check = self.check(profile, &issuer, leeway)?;
                Ok((issuer, Accepted { check, tenant }))
            })
            .collect::<Result<BTreeMap<_, _>, AnchorError>>()?;
        Ok(Anchor {
            id: self.id.clone(),
            platform,
            keys: self.key_source(&algorithms)?,
            algorithms,
            mode,
            tenancy,
            max_lifetime: Duration::from_secs(max_lifetime),
            max_age: self.max_age.map(Duration::from_secs),
            leeway,
            group_cap: self.group_cap.or(profile.group_cap),
            issuers,
            document: self,
        })
    }

    fn read_algorithms(&self, profile: &Profile) -> Result<Vec<Algorithm>, AnchorError> {
        if self.algorithms.is_empty() {
            return Ok(profile.algorithms.to_vec());
        }
        let read = |name: &String| {
            name.parse().map_err(|_| AnchorError::UnsupportedAlgorithm { algorithm: name.clone() })
        };
        self.algorithms.iter().map(read).collect()
    }

    /// Every issuer that is accepted with the tenant that it names, and whether tenants share it.
    fn issuers(&self, platform: Platform) -> Result<(BTreeMap<String, Option<String>>, bool), AnchorError> {
        let wrong = |what| AnchorError::Issuer { what };
        let profile = platform.profile();
        if (platform == Platform::SpiffeJwtSvid) != matches!(self.issuer, Issuer::TrustDomain(_)) {
            return Err(wrong("must be a trust domain for SPIFFE, and for SPIFFE alone"));
        }
        match &self.issuer {
            Issuer::Exact(issuer) => {
                check_issuer(issuer)?;
                let tenant = (profile.tenant)(issuer).map(str::to_owned);
                check_tenant(platform, tenant.as_deref())?;
                Ok((BTreeMap::from([(issuer.clone(), tenant)]), (profile.is_shared)(issuer)))
            }
            Issuer::Template(IssuerTemplate { template, tenants }) => {
                let (prefix, suffix) = template
                    .split_once('{')
                    .and_then(|(prefix, rest)| Some((prefix, rest.split_once('}')?.1)))
                    .filter(|(_, suffix)| !suffix.contains(['{', '}']))
                    .ok_or(wrong("template needs one `{slot}`"))?;
                if tenants.is_empty() {
                    return Err(wrong("template accepts no tenant: list them"));
                }
                let mut issuers = BTreeMap::new();
                for tenant in tenants {
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                    if tenant.is_empty() || !tenant.bytes().all(plain) {
                        return Err(wrong("template's tenants are segments of letters, digits, `-` and `_`"));
                    }
                    check_tenant(platform, Some(tenant))?;
                    let issuer = format!("{prefix}{tenant}{suffix}");
                    check_issuer(&issuer)?;
                    if (profile.tenant)(&issuer) != Some(tenant) {
                        return Err(wrong("template's slot is not where this platform names the tenant"));
                    }
                    issuers.insert(issuer, Some(tenant.clone()));
                }
                // One set of keys for several tenants.
                Ok((issuers, true))
            }
            Issuer::TrustDomain(TrustDomain { trust_domain }) => {
                if !is_trust_domain(trust_domain) {
                    return Err(wrong("is no trust domain: 1 to 255 of a-z, 0-9, `.`, `-` and `_`"));
                }
                Ok((BTreeMap::from([(trust_domain.clone(), None)]), false))
            }
        }
    }

    fn check(&self, profile: &Profile, issuer: &str, leeway: Duration) -> Result<ClaimsCheck, AnchorError> {
        let audiences = self.audiences.iter().map(String::as_str);
        // The anchor's own cap is held against what the platform means by expiry: see `Anchor::verify`.
        let limit = Duration::from_secs(u64::from(u32::MAX));
        let mut check = match self.issuer {
            Issuer::TrustDomain(_) => ClaimsCheck::without_issuer(audiences, limit)?,
            Issuer::Exact(_) | Issuer::Template(_) => ClaimsCheck::new(issuer, audiences, limit)?,
        };
        if self.types.is_empty() {
            check = check.with_types(profile.types)?;
            if profile.type_optional {
                check = check.with_type_optional();
            }
        } else {
            check = check.with_types(&self.types.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if profile.issued_at_optional {
            check = check.with_issued_at_optional();
        }
        if self.audience_mode == AudienceMode::Contains {
            check = check.with_further_audiences();
        }
        Ok(check.with_leeway(leeway)?)
    }

    fn key_source(&self, algorithms: &[Algorithm]) -> Result<KeySource, AnchorError> {
        let wrong = |what| AnchorError::KeySource { what };
        self.check_key_hosts().map_err(wrong)?;
        let place = |url: &String| check_url(url).map(|()| url.clone()).map_err(wrong);
        let discovered = |issuer: &str| {
            format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
        };
        match (&self.keys, &self.issuer) {
            (Keys::Discovery, Issuer::Exact(issuer)) => {
                Ok(KeySource::Discovery { url: discovered(issuer), issuer: issuer.clone() })
            }
            (Keys::DiscoveryAt(url), Issuer::Exact(issuer)) => {
                Ok(KeySource::Discovery { url: place(url)?, issuer: issuer.clone() })
            }
            (Keys::DiscoveryAt(url), Issuer::Template(template)) => {
                Ok(KeySource::Discovery { url: place(url)?, issuer: template.template.clone() })
            }
            // Microsoft has one document for all tenants; its `issuer` has this very slot.
            (Keys::Discovery, Issuer::Template(template)) if template.template == ENTRA => {
                Ok(KeySource::Discovery {
                    url: discovered(&ENTRA.replace("{tenantid}", "organizations")),
                    issuer: ENTRA.to_owned(),
                })
            }
            (Keys::Discovery, Issuer::Template(_)) => {
                Err(wrong("of a template must be said: it has no one issuer to discover them from"))
            }
            (Keys::Discovery | Keys::DiscoveryAt(_), Issuer::TrustDomain(_)) => {
                Err(wrong("of a trust domain is the `url` of its bundle, or `inline`"))
            }
            (Keys::Url(url), _) => Ok(KeySource::Url(place(url)?)),
            (Keys::Inline(set), _) => {
                let set = KeySet::from_jwks_for(set.to_string().as_bytes(), algorithms)
                    .map_err(|source| AnchorError::InlineKeys { source })?;
                if set.keys().is_empty() {
                    return Err(AnchorError::NoUsableKey);
                }
                Ok(KeySource::Inline(set))
            }
        }
    }
}

impl AnchorBuilder {
    fn check_key_hosts(&self) -> Result<(), &'static str> {
        let discovers = matches!(self.keys, Keys::Discovery | Keys::DiscoveryAt(_));
        if !discovers && !self.key_hosts.is_empty() {
            return Err("is said by itself: `key_hosts` are for keys that are discovered");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        match self.key_hosts.iter().all(|host| !host.is_empty() && host.bytes().all(plain)) {
            true => Ok(()),
            false => Err("can be further hosts by their bare names alone, without scheme, port and wildcard"),
        }
    }
}

impl Anchor {
    /// The longest lifetime and age that can be configured.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
    /// The longest lifetime in direct mode, unless said otherwise.
    pub const DEFAULT_DIRECT_LIFETIME: Duration = Duration::from_secs(15 * 60);

    /// Its name, which principals and lanes carry.
    pub fn id(&self) -> &Name {
        &self.id
    }

    /// Its platform.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Its issuer, as configured.
    pub fn issuer(&self) -> &Issuer {
        &self.document.issuer
    }

    /// Where its keys come from.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// Hosts beside the issuer's own where discovery may say that the keys are.
    pub fn key_hosts(&self) -> &[String] {
        &self.document.key_hosts
    }

    /// The algorithms that are accepted.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// The audiences that are accepted.
    pub fn audiences(&self) -> &[String] {
        &self.document.audiences
    }

    /// How many audiences a token may name.
    pub fn audience_mode(&self) -> AudienceMode {
        self.document.audience_mode
    }

    /// What its tokens are good for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it speaks for several tenants.
    pub fn tenancy(&self) -> Tenancy {
        self.tenancy
    }

    /// The sets of facts of which each rule must pin one whole; none for a dedicated issuer.
    pub fn pin_sets(&self) -> &'static [&'static [Fact]] {
        match self.tenancy {
            Tenancy::Shared => self.platform.pin_sets(),
            Tenancy::Dedicated => &[],
        }
    }

    /// Whether its tokens count.
    pub fn status(&self) -> Status {
        self.document.status
    }

    /// The longest time between `iat` and expiry.
    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// The longest time since `iat`.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// How far the clocks may lie apart.
    pub fn leeway(&self) -> Duration {
        self.leeway
    }

    /// The classes of token (`typ`) that are accepted.
    pub(crate) fn types(&self) -> Vec<&str> {
        match self.document.types.as_slice() {
            [] => self.platform.profile().types.to_vec(),
            types => types.iter().map(String::as_str).collect(),
        }
    }

    /// The claims that must be there.
    pub fn required(&self) -> &[String] {
        &self.document.required
    }

    /// So many groups, and there may be more that are not listed.
    pub fn group_cap(&self) -> Option<usize> {
        self.group_cap
    }

    /// The issuers (for SPIFFE: the trust domain) whose tokens it takes.
    pub(crate) fn accepted(&self) -> &BTreeMap<String, Accepted> {
        &self.issuers
    }
}

impl TryFrom<AnchorBuilder> for Anchor {
    type Error = AnchorError;

    fn try_from(builder: AnchorBuilder) -> Result<Self, AnchorError> {
        builder.build()
    }
}

impl From<Anchor> for AnchorBuilder {
    fn from(anchor: Anchor) -> Self {
        anchor.document
    }
}

impl From<&str> for Issuer {
    fn from(issuer: &str) -> Self {
        Self::Exact(issuer.to_owned())
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(issuer) => f.write_str(issuer),
            Self::Template(template) => f.write_str(&template.template),
            Self::TrustDomain(domain) => write!(f, "spiffe://{}", domain.trust_domain),
        }
    }
}

/// The issuers of Entra ID's tenants, as its discovery document writes them.
pub(crate) const ENTRA: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// Microsoft's tenant of accounts that belong to no organization.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn check_tenant(platform: Platform, tenant: Option<&str>) -> Result<(), AnchorError> {
    match tenant {
        _ if platform != Platform::EntraId => Ok(()),
        Some(CONSUMERS) => {
            Err(AnchorError::Issuer { what: "is that of Microsoft's consumer accounts, which are anyone's" })
        }
        Some("common" | "organizations" | "consumers") => {
            Err(AnchorError::Issuer { what: "names no tenant: use a template with a list of tenants" })
        }
        _ => Ok(()),
    }
}

fn check_issuer(issuer: &str) -> Result<(), AnchorError> {
    if issuer.starts_with(crate::AZURE_DEVOPS) {
        return Err(AnchorError::UnsupportedPlatform { platform: "azure-devops".to_owned() });
    }
    check_url(issuer).map_err(|what| AnchorError::Issuer { what })
}

/// An absolute `https` URL without user, query and fragment; `http` for a loopback address alone.
fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = match url.split_once("://") {
        Some(("https", rest)) => rest,
        Some(("http", rest)) if is_loopback(rest) => rest,
        _ => return Err("must begin with `https://`"),
    };
    let graphic = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'\\');
    if url.len() > ClaimsCheck::MAX_TEXT || !url.bytes().all(graphic) {
        return Err("has a character that no URL has, or is too long");
    }
    if rest.contains(['@', '?', '#', '*', '{', '}']) {
        return Err("has a user, a query, a fragment or a wildcard");
    }
    if rest.split(['/', ':']).next().is_none_or(str::is_empty) {
        return Err("has no host");
    }
    Ok(())
}

fn is_loopback(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "127.0.0.1" | "[::1]")
}

/// SPIFFE ID, section 2.1.
pub(crate) fn is_trust_domain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}
