//! A delivery of GitHub's: the signature over the very bytes first, then what it is about.

use std::fmt;

use cachegate_types::SecretText;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::error::{DeliveryError, GithubConfigError};

/// What a webhook received, as it came. Nothing of it is believed.
#[derive(Clone, Copy)]
pub struct Delivery<'r> {
    /// `X-GitHub-Event`, where the request has it once.
    pub event: Option<&'r str>,
    /// `X-GitHub-Delivery`, where the request has it once.
    pub id: Option<&'r str>,
    /// `X-Hub-Signature-256`, where the request has it once. The SHA-1 of `X-Hub-Signature` is no signature here.
    pub signature: Option<&'r str>,
    /// The body, byte for byte.
    pub body: &'r [u8],
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} bytes)", self.body.len())
    }
}

impl Delivery<'_> {
    /// The longest body that is read: the events that are acted on have some 10 KiB.
    pub const MAX_BODY: usize = 1024 * 1024;

    /// The longest id and the longest name of an event.
    const MAX_WORD: usize = 100;

    /// Whether one of these secrets signed the body.
    pub(super) fn check(&self, secrets: &Secrets) -> Result<(), DeliveryError> {
        let length = self.body.len();
        if length > Self::MAX_BODY {
            return Err(DeliveryError::TooLarge { length });
        }
        let signature = self.signature.ok_or(DeliveryError::Unsigned)?;
        let signature =
            signature.strip_prefix("sha256=").and_then(bytes).ok_or(DeliveryError::WrongSignature)?;
        if secrets.signed(self.body, &signature) { Ok(()) } else { Err(DeliveryError::WrongSignature) }
    }

    /// What a delivery is about whose signature was right.
    pub(super) fn read(&self) -> Result<(&str, Notice), DeliveryError> {
        let word = |text: Option<&'_ str>| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            text.is_some_and(|text| {
                !text.is_empty() && text.len() <= Self::MAX_WORD && text.bytes().all(plain)
            })
        };
        let malformed = |what| DeliveryError::Malformed { what };
        let id = self.id.filter(|id| word(Some(id))).ok_or(malformed("its id"))?;
        let event = self.event.filter(|event| word(Some(event))).ok_or(malformed("the name of its event"))?;
        let notice = match event {
            "ping" => Notice::Ping,
            "organization" | "membership" | "team" => {
                let payload: Payload =
                    serde_json::from_slice(self.body).map_err(|_| malformed("its body"))?;
                payload.notice(event)?
            }
            _ => Notice::Other,
        };
        Ok((id, notice))
    }
}

/// What GitHub and this server alone know: one, or two while one takes the place of the other.
#[derive(Clone)]
pub(super) struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// Shorter ones are guessed: whoever saw one delivery can try as many as they like.
    const SHORTEST: usize = 16;

    pub(super) fn new(secrets: &[SecretText]) -> Result<Self, GithubConfigError> {
        if secrets.is_empty() || secrets.len() > 2 {
            return Err(GithubConfigError::Secrets { count: secrets.len() });
        }
        let key = |secret: &SecretText| {
            let bytes = secret.expose_secret().as_bytes();
            let length = bytes.len();
            if length < Self::SHORTEST {
                return Err(GithubConfigError::ShortSecret { length, least: Self::SHORTEST });
            }
            Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes))
        };
        Ok(Self(secrets.iter().map(key).collect::<Result<_, _>>()?))
    }

    /// In constant time for each secret, and with each secret.
    fn signed(&self, body: &[u8], signature: &[u8; 32]) -> bool {
        self.0.iter().fold(false, |found, key| found | hmac::verify(key, body, signature).is_ok())
    }
}

/// Sixty-four hexadecimal digits.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// What a delivery says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notice {
    /// The webhook is set up.
    Ping,
    /// Something about one organization.
    Of(u64, Change),
    /// Nothing that concerns who is in an organization.
    Other,
}

/// What changed in an organization.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// Somebody or something ended.
    Ended(Ended),
    /// Something began or got another name: GitHub has to be asked.
    Asks,
    /// Nothing that concerns who is in it.
    Nothing,
}

/// What ended, by numeric ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// Somebody is no longer a member.
    Member(u64),
    /// Somebody is no longer in a team.
    TeamMember {
        /// Which team.
        team: u64,
        /// Who.
        person: u64,
    },
    /// There is no such team any more.
    Team(u64),
    /// There is no such organization any more.
    Everything,
}

/// The members of these payloads that are needed. Names are not among them: they can be given up and taken by others.
#[derive(Deserialize)]
struct Payload {
    action: String,
    organization: Identified,
    membership: Option<Membership>,
    member: Option<Identified>,
    team: Option<Identified>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Membership {
    user: Option<Identified>,
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

impl Payload {
    fn notice(&self, event: &str) -> Result<Notice, DeliveryError> {
        let needed = |found: Option<&Identified>, what| {
            let id = found.map(|found| found.id).filter(|id| *id != 0);
            id.ok_or(DeliveryError::Malformed { what })
        };
        let organization = needed(Some(&self.organization), "its organization")?;
        let change = match (event, &*self.action) {
            ("organization", "member_removed") => {
                let user = self.membership.as_ref().and_then(|membership| membership.user.as_ref());
                Change::Ended(Ended::Member(needed(user, "its member")?))
            }
            ("organization", "deleted") => Change::Ended(Ended::Everything),
            ("organization", "member_added" | "renamed") => Change::Asks,
            ("membership", "removed") if self.scope.as_deref().is_none_or(|scope| scope == "team") => {
                Change::Ended(Ended::TeamMember {
                    team: needed(self.team.as_ref(), "its team")?,
                    // A person whose account is gone is null: GitHub has to be asked who is left.
                    person: match &self.member {
                        None => return Ok(Notice::Of(organization, Change::Asks)),
                        member => needed(member.as_ref(), "its member")?,
                    },
                })
            }
            ("membership", _) => Change::Asks,
            ("team", "deleted") => Change::Ended(Ended::Team(needed(self.team.as_ref(), "its team")?)),
            ("team", "created" | "edited") => Change::Asks,
            _ => Change::Nothing,
        };
        Ok(Notice::Of(organization, change))
    }
}
