//! The access tokens that a gate issues: RFC 9068, with RFC 9396 authorization details for the restrictions.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use cachegate_types::{
    Action, ActionSet, ClosureId, Lane, OrganizationId, Principal, Restriction, SecretText, Timestamp,
    TokenId, VersionRequirement, WorkspaceId,
};

use crate::claims::{Registered, text};
use crate::json::{self, Array, Object, Value};
use crate::jws::{Parts, UnverifiedHeader, payload_object};
use crate::{ClaimsCheck, IssueError, JwsError, KeyId, Part, SigningKey, VerifyingKey, base64url};

/// The longest access token that is issued and accepted, without the brand's prefix: 3,072 bytes with one of up to 16.
pub const MAX_ACCESS_TOKEN: usize = 3072 - 16;

/// The largest payload that fits.
const MAX_PAYLOAD: usize = MAX_ACCESS_TOKEN / 4 * 3;

/// The most ancestors that a token or a label names: exchange, rotation and resolve make no longer lines.
pub const MAX_ANCESTORS: usize = 4;

/// The claims of an access token of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessClaims {
    /// `iss`: the gate.
    pub issuer: Arc<str>,
    /// `aud`: the gate, or the one registered service that a session is for.
    pub audience: Arc<str>,
    /// `sub`: the principal's id, for others to read; 1 to 1024 bytes of one plain line.
    pub subject: String,
    /// `client_id`: what asked for the token (RFC 9068, section 2.2); 1 to 1024 bytes of one plain line.
    pub client_id: String,
    /// `jti`.
    pub token_id: TokenId,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`; that second is already too late.
    pub expires_at: Timestamp,
    /// `kind`: the class of the token, such as `device` or `session`, where one key signs several.
    pub kind: Option<String>,
    /// `anc`: the tokens that it comes from, at most [`MAX_ANCESTORS`]; it dies with each.
    pub ancestors: Vec<TokenId>,
    /// `prn`: who was authenticated, where no record says it.
    pub principal: Option<Principal>,
    /// `lane`: the credential's one lane, where no record says it.
    pub lane: Option<Lane>,
    /// `authorization_details`: what cuts the token's rights. Each must be satisfied.
    pub authorization_details: Vec<AuthorizationDetail>,
}

/// One restriction, as an RFC 9396 authorization detail carries it.
///
/// | `type` | members |
/// | --- | --- |
/// | `cachegate_actions` | `actions`: a list of names |
/// | `cachegate_organization` | `identifier` |
/// | `cachegate_workspaces` | `identifiers`: a list, perhaps empty |
/// | `cachegate_releases` | `workspace`, `requirement` |
/// | `cachegate_closure` | `workspace`, `identifier` |
/// | `cachegate_until` | `until`: unix seconds |
///
/// A type or a member that is not in the table is refused: what is not understood might restrict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationDetail {
    /// What it cuts.
    pub restriction: Restriction,
}

impl From<Restriction> for AuthorizationDetail {
    fn from(restriction: Restriction) -> Self {
        Self { restriction }
    }
}

impl From<AuthorizationDetail> for Restriction {
    fn from(detail: AuthorizationDetail) -> Self {
        detail.restriction
    }
}

impl AuthorizationDetail {
    /// The list as JSON, as `authorization_details` carries it.
    pub fn list_to_json(details: &[Self]) -> String {
        let mut out = String::new();
        write_details(&mut out, details);
        out
    }

    /// Reads a list, as a request's `authorization_details` carries it.
    ///
    /// # Errors
    ///
    /// [`JwsError`] when it is not a strict JSON list of details that are known.
    pub fn list_from_json(text: &str) -> Result<Vec<Self>, JwsError> {
        let wrapped = format!(r#"{{"{DETAILS}":{text}}}"#);
        // One member alone: the text cannot have brought another.
        let mut members = payload_object(wrapped.as_bytes())?.members();
        match (members.next(), members.next()) {
            (Some((_, Value::Array(list))), None) => list.elements().map(read_detail).collect(),
            _ => Err(JwsError::ClaimIllTyped { claim: DETAILS }),
        }
    }
}

/// The public keys of the gate itself, and those that were revoked.
#[derive(Clone, Debug, Default)]
pub struct AccessKeys {
    keys: Vec<(VerifyingKey, bool)>,
}

impl AccessKeys {
    /// Keys in force: those that sign now, those published to sign soon, and those whose tokens still live.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let mut set = Self::default();
        for key in keys {
            set.add(key, false);
        }
        set
    }

    /// Also knows keys that were revoked: their tokens are refused as such, not as those of a stranger.
    #[must_use]
    pub fn with_revoked(mut self, keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        for key in keys {
            self.add(key, true);
        }
        self
    }

    /// Revocation wins, whatever comes first.
    fn add(&mut self, key: VerifyingKey, revoked: bool) {
        match self.keys.iter_mut().find(|(known, _)| known.kid() == key.kid()) {
            Some((_, known)) => *known |= revoked,
            None => self.keys.push((key, revoked)),
        }
    }

    /// The keys in force.
    pub fn in_force(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().filter(|(_, revoked)| !revoked).map(|(key, _)| key)
    }
}

const DETAILS: &str = "authorization_details";

/// Issues an access token, without the brand's prefix.
///
/// # Errors
///
/// [`IssueError`] when a claim has a value that no verifier would accept, or the token would be longer than
/// [`MAX_ACCESS_TOKEN`].
pub fn sign_access_token(key: &SigningKey, claims: &AccessClaims) -> Result<SecretText, IssueError> {
    for (claim, text) in [
        ("iss", &*claims.issuer),
        ("aud", &*claims.audience),
        ("sub", claims.subject.as_str()),
        ("client_id", claims.client_id.as_str()),
        ("kind", claims.kind.as_deref().unwrap_or("-")),
    ] {
        if text.is_empty() || text.len() > ClaimsCheck::MAX_TEXT || !is_one_line(text) {
            return Err(IssueError::Claim { claim });
        }
    }
    if claims.expires_at <= claims.issued_at {
        return Err(IssueError::Claim { claim: "exp" });
    }
    if claims.ancestors.len() > MAX_ANCESTORS {
        return Err(IssueError::Claim { claim: "anc" });
    }
    let payload = write_claims(claims);
    key.sign(key.verifying_key().access_header(), payload.as_bytes(), MAX_ACCESS_TOKEN)
}

/// Verifies an access token of ours, without the brand's prefix: the signature by a key of ours that is in force,
/// then type, issuer, audience and times, then every claim. A claim that is not known is refused.
///
/// Not checked: whether the token, an ancestor or its subject was revoked or locked, and what it may do.
///
/// # Errors
///
/// [`JwsError`] says what is wrong.
pub fn verify_access_token(
    token: &str,
    keys: &AccessKeys,
    check: &ClaimsCheck,
    now: Timestamp,
) -> Result<AccessClaims, JwsError> {
    if token.len() > MAX_ACCESS_TOKEN {
        return Err(JwsError::TooLarge { length: token.len(), limit: MAX_ACCESS_TOKEN });
    }
    let parts = Parts::split(token)?;
    // Whatever we sign begins with a header that is known to the byte.
    let known = keys.keys.iter().find(|(key, _)| key.access_header() == parts.header);
    let (key, revoked) = match known {
        Some((key, revoked)) => {
            check.check_type(Some("at+jwt"))?;
            (key, *revoked)
        }
        None => by_header(&parts, keys, check)?,
    };
    parts.check_signature(key)?;
    if revoked {
        return Err(JwsError::KeyRevoked { kid: key.kid().clone() });
    }
    let mut buffer = [0; MAX_PAYLOAD];
    let payload = base64url::decode_into(parts.payload, &mut buffer)
        .ok_or(JwsError::NotCanonicalBase64 { part: Part::Payload })?;
    read_claims(payload_object(payload)?, check, now)
}

/// The key of a header that is not ours to the byte, read strictly: a token of another version, or an attempt.
fn by_header<'k>(
    parts: &Parts<'_>,
    keys: &'k AccessKeys,
    check: &ClaimsCheck,
) -> Result<(&'k VerifyingKey, bool), JwsError> {
    let header = UnverifiedHeader::read(parts.header)?;
    let fits = |key: &VerifyingKey| Some(key.kid()) == header.kid.as_ref();
    let Some((key, revoked)) = keys.keys.iter().find(|(key, _)| fits(key)) else {
        return Err(JwsError::UnknownKey { kid: header.kid });
    };
    if header.algorithm != key.algorithm() {
        return Err(JwsError::AlgorithmMismatch { header: header.algorithm, key: key.algorithm() });
    }
    check.check_type(header.typ.as_deref())?;
    Ok((key, *revoked))
}

fn read_claims(object: Object<'_>, check: &ClaimsCheck, now: Timestamp) -> Result<AccessClaims, JwsError> {
    let (mut client_id, mut kind, mut lane, mut principal) = (None, None, None, None);
    let (mut ancestors, mut authorization_details) = (Vec::new(), Vec::new());
    let registered = Registered::collect(object, |name, value| {
        match name {
            "client_id" => client_id = line("client_id", Some(value))?,
            "kind" => kind = line("kind", Some(value))?,
            "anc" => ancestors = read_ancestors(value)?,
            "lane" => {
                let read = |text: &str| text.parse::<Lane>().ok();
                lane =
                    Some(line("lane", Some(value))?.as_deref().and_then(read).ok_or(out_of_range("lane"))?);
            }
            "prn" => {
                let read = |text: &str| Principal::from_canonical_bytes(&base64url::decode(text)?);
                principal =
                    Some(line("prn", Some(value))?.as_deref().and_then(read).ok_or(out_of_range("prn"))?);
            }
            DETAILS => {
                let Value::Array(list) = value else {
                    return Err(JwsError::ClaimIllTyped { claim: DETAILS });
                };
                authorization_details = list.elements().map(read_detail).collect::<Result<_, _>>()?;
            }
            _ => return Err(JwsError::UnknownClaim),
        }
        Ok(())
    })?;
    let checked = check.check_registered(&registered, now)?;
    let missing = |claim| JwsError::ClaimMissing { claim };
    let token_id = text("jti", registered.jti)?.ok_or(missing("jti"))?;
    Ok(AccessClaims {
        issuer: check.issuer.clone().ok_or(JwsError::IssuerMismatch)?,
        audience: check.audiences.get(checked.audience).cloned().ok_or(JwsError::AudienceMismatch)?,
        subject: line("sub", registered.sub)?.ok_or(missing("sub"))?,
        client_id: client_id.ok_or(missing("client_id"))?,
        token_id: token_id.parse().map_err(|_| out_of_range("jti"))?,
        issued_at: checked.times.issued_at.ok_or(missing("iat"))?,
        expires_at: checked.times.expires_at,
        kind,
        ancestors,
        principal,
        lane,
        authorization_details,
    })
}

fn out_of_range(claim: &'static str) -> JwsError {
    JwsError::ClaimOutOfRange { claim }
}

/// A text that may be shown in a log or on a page.
fn line(claim: &'static str, value: Option<Value<'_>>) -> Result<Option<String>, JwsError> {
    match text(claim, value)? {
        Some(text) if !is_one_line(&text) => Err(out_of_range(claim)),
        text => Ok(text.map(Into::into)),
    }
}

fn read_ancestors(value: Value<'_>) -> Result<Vec<TokenId>, JwsError> {
    const CLAIM: &str = "anc";
    let Value::Array(list) = value else { return Err(JwsError::ClaimIllTyped { claim: CLAIM }) };
    let mut ancestors = Vec::new();
    for element in list.elements() {
        let Value::Text(text) = element else { return Err(JwsError::ClaimIllTyped { claim: CLAIM }) };
        ancestors.push(text.to_cow().parse().map_err(|_| out_of_range(CLAIM))?);
        if ancestors.len() > MAX_ANCESTORS {
            return Err(out_of_range(CLAIM));
        }
    }
    Ok(ancestors)
}

/// The members that details have, in whatever type.
#[derive(Default)]
struct Detail<'a> {
    typ: Option<Value<'a>>,
    actions: Option<Value<'a>>,
    identifier: Option<Value<'a>>,
    identifiers: Option<Value<'a>>,
    workspace: Option<Value<'a>>,
    requirement: Option<Value<'a>>,
    until: Option<Value<'a>>,
}

fn read_detail(value: Value<'_>) -> Result<AuthorizationDetail, JwsError> {
    let Value::Object(object) = value else { return Err(JwsError::ClaimIllTyped { claim: DETAILS }) };
    let mut found = Detail::default();
    for (name, value) in object.members() {
        let slot = match &*name.to_cow() {
            "type" => &mut found.typ,
            "actions" => &mut found.actions,
            "identifier" => &mut found.identifier,
            "identifiers" => &mut found.identifiers,
            "workspace" => &mut found.workspace,
            "requirement" => &mut found.requirement,
            "until" => &mut found.until,
            _ => return Err(JwsError::UnknownAuthorizationDetail),
        };
        *slot = Some(value);
    }
    let typ = detail_text(found.typ.take())?;
    let restriction = match &*typ {
        "cachegate_actions" => {
            let mut actions = ActionSet::EMPTY;
            for action in detail_list(found.actions.take())?.elements() {
                actions = actions.union(ActionSet::of(&[detail_parsed::<Action>(Some(action))?]));
            }
            Restriction::Actions(actions)
        }
        "cachegate_organization" => {
            let organization: OrganizationId = detail_parsed(found.identifier.take())?;
            Restriction::Organization(organization)
        }
        "cachegate_workspaces" => {
            let workspaces = detail_list(found.identifiers.take())?.elements();
            let workspaces = workspaces.map(|element| detail_parsed::<WorkspaceId>(Some(element)));
            Restriction::Workspaces(workspaces.collect::<Result<_, _>>()?)
        }
        "cachegate_releases" => {
            let workspace: WorkspaceId = detail_parsed(found.workspace.take())?;
            let requirement: VersionRequirement = detail_parsed(found.requirement.take())?;
            Restriction::Releases { workspace, requirement }
        }
        "cachegate_closure" => {
            let workspace: WorkspaceId = detail_parsed(found.workspace.take())?;
            let closure: ClosureId = detail_parsed(found.identifier.take())?;
            Restriction::Closure { workspace, closure }
        }
        "cachegate_until" => match found.until.take() {
            Some(Value::Integer(seconds)) => {
                Restriction::Until(Timestamp::from_unix_seconds(seconds).map_err(|_| out_of_range(DETAILS))?)
            }
            Some(_) => return Err(JwsError::ClaimIllTyped { claim: DETAILS }),
            None => return Err(out_of_range(DETAILS)),
        },
        _ => return Err(JwsError::UnknownAuthorizationDetail),
    };
    // Whatever was not taken belongs to another type, or to a meaning that is not known.
    match found {
        Detail {
            typ: None,
            actions: None,
            identifier: None,
            identifiers: None,
            workspace: None,
            requirement: None,
            until: None,
        } => Ok(restriction.into()),
        _ => Err(JwsError::UnknownAuthorizationDetail),
    }
}

fn detail_text(value: Option<Value<'_>>) -> Result<Cow<'_, str>, JwsError> {
    let value = value.ok_or(out_of_range(DETAILS))?;
    value.as_text().map(json::Text::to_cow).ok_or(JwsError::ClaimIllTyped { claim: DETAILS })
}

fn detail_list(value: Option<Value<'_>>) -> Result<Array<'_>, JwsError> {
    match value {
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(JwsError::ClaimIllTyped { claim: DETAILS }),
        None => Err(out_of_range(DETAILS)),
    }
}

fn detail_parsed<T: FromStr>(value: Option<Value<'_>>) -> Result<T, JwsError> {
    detail_text(value)?.parse().map_err(|_| out_of_range(DETAILS))
}

// Writing to a `String` does not fail.

fn write_claims(claims: &AccessClaims) -> String {
    let mut out = String::with_capacity(512);
    for (name, text) in
        [("{\"iss\":", &*claims.issuer), (",\"sub\":", &claims.subject), (",\"aud\":", &claims.audience)]
    {
        out.push_str(name);
        json::write_text(&mut out, text);
    }
    let (expires_at, issued_at) = (claims.expires_at.as_unix_seconds(), claims.issued_at.as_unix_seconds());
    let _ = write!(out, r#","exp":{expires_at},"iat":{issued_at},"jti":"{}","client_id":"#, claims.token_id);
    json::write_text(&mut out, &claims.client_id);
    if let Some(kind) = &claims.kind {
        out.push_str(r#","kind":"#);
        json::write_text(&mut out, kind);
    }
    if !claims.ancestors.is_empty() {
        out.push_str(r#","anc":"#);
        write_ids(&mut out, &claims.ancestors);
    }
    if let Some(principal) = &claims.principal {
        out.push_str(r#","prn":""#);
        base64url::encode_to(&principal.to_canonical_bytes(), &mut out);
        out.push('"');
    }
    if let Some(lane) = &claims.lane {
        // A lane's text holds nothing that JSON escapes.
        let _ = write!(out, r#","lane":"{lane}""#);
    }
    if !claims.authorization_details.is_empty() {
        out.push_str(r#","authorization_details":"#);
        write_details(&mut out, &claims.authorization_details);
    }
    out.push('}');
    out
}

fn write_ids(out: &mut String, ids: &[impl std::fmt::Display]) {
    out.push('[');
    for (index, id) in ids.iter().enumerate() {
        let _ = write!(out, r#"{}"{id}""#, if index == 0 { "" } else { "," });
    }
    out.push(']');
}

fn write_details(out: &mut String, details: &[AuthorizationDetail]) {
    out.push('[');
    for (index, detail) in details.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match &detail.restriction {
            Restriction::Actions(actions) => {
                out.push_str(r#"{"type":"cachegate_actions","actions":["#);
                for (index, action) in actions.iter().enumerate() {
                    let _ = write!(out, r#"{}"{action}""#, if index == 0 { "" } else { "," });
                }
                out.push_str("]}");
            }
            Restriction::Organization(id) => {
                let _ = write!(out, r#"{{"type":"cachegate_organization","identifier":"{id}"}}"#);
            }
            Restriction::Workspaces(ids) => {
                out.push_str(r#"{"type":"cachegate_workspaces","identifiers":"#);
                write_ids(out, ids);
                out.push('}');
            }
            Restriction::Releases { workspace, requirement } => {
                let _ =
                    write!(out, r#"{{"type":"cachegate_releases","workspace":"{workspace}","requirement":"#);
                json::write_text(out, &requirement.to_string());
                out.push('}');
            }
            Restriction::Closure { workspace, closure } => {
                let _ = write!(
                    out,
                    r#"{{"type":"cachegate_closure","workspace":"{workspace}","identifier":"{closure}"}}"#
                );
            }
            Restriction::Until(moment) => {
                let _ = write!(out, r#"{{"type":"cachegate_until","until":{}}}"#, moment.as_unix_seconds());
            }
        }
    }
    out.push(']');
}

/// Whether a text holds no control character, nothing that turns the direction of writing, nothing invisible.
fn is_one_line(text: &str) -> bool {
    !text.chars().any(|character| {
        character.is_control()
            || matches!(character,
                '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
    })
}

/// The name of a key of ours, where a caller has one as text.
impl FromStr for KeyId {
    type Err = crate::KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.as_bytes())
    }
}
