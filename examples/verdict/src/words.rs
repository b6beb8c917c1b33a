//! The words that several ops share, as JSON writes them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cachegate_jwt::{Algorithm, KeyId};
use cachegate_types::{
    AccessLevel, ActionSet, EntryKey, GrantSource, GroupId, Name, OrganizationId, Principal, Role, RuleId,
    TokenId, UserId, WorkspaceId,
};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::request::Refusal;

/// Base64url without padding, as JWS writes it: all bytes but digests.
pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(member: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| {
        Refusal::bad_request(format!("`{member}`: expected canonical base64url without padding"))
    })
}

/// A key's name. It came out of JSON, so that nothing is lost.
pub(crate) fn lossy(kid: &KeyId) -> String {
    String::from_utf8_lossy(kid.as_bytes()).into_owned()
}

/// The algorithms that are allowed; all where none are named.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Algorithms(Option<Vec<String>>);

impl Algorithms {
    pub(crate) fn read(&self) -> Result<Vec<Algorithm>, Refusal> {
        match &self.0 {
            Some(names) => Ok(names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?),
            None => Ok(Algorithm::ALL.to_vec()),
        }
    }
}

/// Who was authenticated.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Who {
    Anonymous,
    User(UserId),
    Ci(WorkspaceId),
    Device(OrganizationId),
    Workload { anchor: Name, subject: String },
}

impl From<Who> for Principal {
    fn from(who: Who) -> Self {
        match who {
            Who::Anonymous => Self::Anonymous,
            Who::User(user) => Self::User(user),
            Who::Ci(workspace) => Self::Ci(workspace),
            Who::Device(organization) => Self::Device(organization),
            Who::Workload { anchor, subject } => Self::Workload { anchor, subject: subject.into() },
        }
    }
}

impl From<Principal> for Who {
    fn from(principal: Principal) -> Self {
        match principal {
            Principal::Anonymous => Self::Anonymous,
            Principal::User(user) => Self::User(user),
            Principal::Ci(workspace) => Self::Ci(workspace),
            Principal::Device(organization) => Self::Device(organization),
            Principal::Workload { anchor, subject } => {
                Self::Workload { anchor, subject: subject.as_ref().to_owned() }
            }
        }
    }
}

/// What gave a grant.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    AnonymousLevel,
    Membership,
    Role(RoleName),
    Listed,
    Group(GroupId),
    CiToken(TokenId),
    DeviceToken(TokenId),
    Rule(RuleId),
    Session(TokenId),
}

impl From<Source> for GrantSource {
    fn from(source: Source) -> Self {
        match source {
            Source::AnonymousLevel => Self::AnonymousLevel,
            Source::Membership => Self::Membership,
            Source::Role(role) => Self::Role(role.into()),
            Source::Listed => Self::Listed,
            Source::Group(group) => Self::Group(group),
            Source::CiToken(token) => Self::CiToken(token),
            Source::DeviceToken(token) => Self::DeviceToken(token),
            Source::Rule(rule) => Self::Rule(rule),
            Source::Session(token) => Self::Session(token),
        }
    }
}

impl From<GrantSource> for Source {
    fn from(source: GrantSource) -> Self {
        match source {
            GrantSource::AnonymousLevel => Self::AnonymousLevel,
            GrantSource::Membership => Self::Membership,
            GrantSource::Role(role) => Self::Role(role.into()),
            GrantSource::Listed => Self::Listed,
            GrantSource::Group(group) => Self::Group(group),
            GrantSource::CiToken(token) => Self::CiToken(token),
            GrantSource::DeviceToken(token) => Self::DeviceToken(token),
            GrantSource::Rule(rule) => Self::Rule(rule),
            GrantSource::Session(token) => Self::Session(token),
        }
    }
}

/// A member's standing in an organization.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleName {
    Member,
    Admin,
    Owner,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Member => Self::Member,
            RoleName::Admin => Self::Admin,
            RoleName::Owner => Self::Owner,
        }
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}

/// Where a grant reaches.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    Organization(OrganizationId),
    Workspace(WorkspaceId),
}

impl From<Scope> for cachegate_types::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Organization(organization) => Self::Organization(organization),
            Scope::Workspace(workspace) => Self::Workspace(workspace),
        }
    }
}

/// Some actions: the name of a level, or a list of names.
#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "expected an access level or a list of actions")]
pub(crate) enum Actions {
    Level(AccessLevel),
    List(ActionSet),
}

impl Actions {
    pub(crate) fn set(&self) -> ActionSet {
        match self {
            Self::Level(level) => level.actions(),
            Self::List(actions) => *actions,
        }
    }
}

/// An entry's key: the bytes of a text.
pub(crate) struct Key(pub(crate) EntryKey);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EntryKey::new(String::deserialize(deserializer)?.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// SHA-256, as 64 hexadecimal digits.
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text).map(Self).ok_or_else(|| D::Error::custom("expected a SHA-256 of 64 hexadecimal digits"))
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}
