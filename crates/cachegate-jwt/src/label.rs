//! Provenance labels: who wrote an entry, where, and which bytes; sealed with a key that no client has.

use std::fmt;

use cachegate_types::{EntryKey, Lane, Principal, SecretBytes, Timestamp, TokenId, WorkspaceId};
use ring::hmac;

use crate::{MAX_ANCESTORS, backend};

/// The name of a label key: it follows from the key, so that the two cannot be mixed up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKeyId([u8; 8]);

impl LabelKeyId {
    /// The name that these bytes are.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes that this name is.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for LabelKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LabelKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelKeyId({self})")
    }
}

/// A key that seals labels. It stays valid for checking as long as entries live that it sealed.
#[derive(Clone)]
pub struct LabelKey {
    id: LabelKeyId,
    secret: SecretBytes<32>,
    key: hmac::Key,
}

impl LabelKey {
    /// The key that a vault kept.
    pub fn from_bytes(secret: SecretBytes<32>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
        // No label begins like this: it begins with its version.
        let tag = hmac::sign(&key, b"cachegate label key id");
        let id = tag.as_ref().first_chunk().copied().unwrap_or_default();
        Self { id: LabelKeyId(id), secret, key }
    }

    /// A new key, from the system's generator.
    ///
    /// # Errors
    ///
    /// [`LabelError::Randomness`] when it gives nothing.
    pub fn generate() -> Result<Self, LabelError> {
        let secret = backend::random::<32>().ok_or(LabelError::Randomness)?;
        Ok(Self::from_bytes(SecretBytes::new(*secret)))
    }

    /// The key's name.
    pub fn id(&self) -> LabelKeyId {
        self.id
    }

    /// The key itself, for the vault that keeps it.
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.secret.expose_secret()
    }
}

impl fmt::Debug for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelKey({}, ..)", self.id)
    }
}

/// What a label says. It is good for this key in this lane of this workspace, and these bytes, alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelFields {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The lane that was written.
    pub lane: Lane,
    /// Which generation of the lane: an order that changes begins a new one.
    pub lane_generation: u32,
    /// The entry.
    pub key: EntryKey,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// The body's length, in bytes.
    pub length: u64,
    /// The tokens that the writer's came from: at most [`MAX_ANCESTORS`].
    pub ancestors: Vec<TokenId>,
    /// The writer's token, where it had one.
    pub token: Option<TokenId>,
    /// The writer. A workload's subject is at most 1024 bytes long.
    pub principal: Principal,
    /// The run that wrote it, as the platform names it: 1 to 128 bytes.
    pub run: Option<String>,
    /// When.
    pub time: Timestamp,
}

/// Why a label is not made or not believed. To a reader each is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Longer than any label is.
    #[error("a label of {length} bytes is too large: at most {} are read", Label::MAX_LENGTH)]
    TooLarge {
        /// The length found, in bytes.
        length: usize,
    },
    /// Shorter than any label is, or not laid out as one.
    #[error("not a label")]
    Malformed,
    /// A version that is not known.
    #[error("a label of version {version} is not known")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// No such key, or not any more.
    #[error("no label key {key}")]
    UnknownKey {
        /// Its name.
        key: LabelKeyId,
    },
    /// The label is not what the key sealed.
    #[error("the label's seal is broken")]
    BadSeal,
    /// More ancestors than [`MAX_ANCESTORS`].
    #[error("a label names at most {MAX_ANCESTORS} ancestors, not {count}")]
    TooManyAncestors {
        /// How many there are.
        count: usize,
    },
    /// A run is 1 to 128 bytes.
    #[error("a run is 1 to 128 bytes long, this one has {length}")]
    Run {
        /// The length found, in bytes.
        length: usize,
    },
    /// A principal whose subject is longer than 1024 bytes.
    #[error("the principal takes {length} bytes: a label holds at most {MAX_PRINCIPAL}")]
    Principal {
        /// The length found, in bytes.
        length: usize,
    },
    /// The system's generator gives nothing.
    #[error("the system gives no randomness")]
    Randomness,
}

impl LabelError {
    /// A stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "label_too_large",
            Self::Malformed => "label_malformed",
            Self::UnknownVersion { .. } => "label_unknown_version",
            Self::UnknownKey { .. } => "label_unknown_key",
            Self::BadSeal => "label_bad_seal",
            Self::TooManyAncestors { .. } => "label_too_many_ancestors",
            Self::Run { .. } => "label_run_length",
            Self::Principal { .. } => "label_principal_length",
            Self::Randomness => "no_randomness",
        }
    }
}

const VERSION: u8 = 1;
const TAG: usize = 32;
const MAX_RUN: usize = 128;
/// Kind, two lengths, an anchor and a subject of 1024 bytes.
const MAX_PRINCIPAL: usize = 1 + 4 + 64 + 4 + 1024;

/// The codec of provenance labels.
///
/// Layout, version 1, numbers big-endian: version (1), key id (8), workspace (16), lane (2 + n), lane generation (4),
/// entry key (2 + n), digest (32), length (8), ancestors (1, then 16 each), token (1, then 16 or none),
/// principal (2 + n), run (1 + n, 0 for none), time (8), HMAC-SHA-256 over all before it (32).
#[derive(Clone, Copy, Debug)]
pub enum Label {}

impl Label {
    /// The longest label that is read, in bytes.
    pub const MAX_LENGTH: usize = 4096;

    /// The label that says this, under this key.
    ///
    /// # Errors
    ///
    /// [`LabelError`] when a field is longer than a label holds.
    pub fn seal(fields: &LabelFields, key: &LabelKey) -> Result<Vec<u8>, LabelError> {
        let principal = fields.principal.to_canonical_bytes();
        let run = fields.run.as_deref().unwrap_or_default();
        if fields.ancestors.len() > MAX_ANCESTORS {
            return Err(LabelError::TooManyAncestors { count: fields.ancestors.len() });
        }
        if run.len() > MAX_RUN || fields.run.as_ref().is_some_and(String::is_empty) {
            return Err(LabelError::Run { length: run.len() });
        }
        if principal.len() > MAX_PRINCIPAL {
            return Err(LabelError::Principal { length: principal.len() });
        }
        let mut out = Vec::with_capacity(512);
        out.push(VERSION);
        out.extend_from_slice(&key.id.0);
        out.extend_from_slice(&fields.workspace.to_bytes());
        push(&mut out, &fields.lane.to_canonical_bytes());
        out.extend_from_slice(&fields.lane_generation.to_be_bytes());
        push(&mut out, fields.key.as_bytes());
        out.extend_from_slice(&fields.digest);
        out.extend_from_slice(&fields.length.to_be_bytes());
        // Lengths below 256: checked above.
        out.push(u8::try_from(fields.ancestors.len()).unwrap_or(u8::MAX));
        for ancestor in &fields.ancestors {
            out.extend_from_slice(&ancestor.to_bytes());
        }
        out.push(u8::from(fields.token.is_some()));
        if let Some(token) = fields.token {
            out.extend_from_slice(&token.to_bytes());
        }
        push(&mut out, &principal);
        out.push(u8::try_from(run.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(run.as_bytes());
        out.extend_from_slice(&fields.time.as_unix_seconds().to_be_bytes());
        let tag = hmac::sign(&key.key, &out);
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// What a label says, once its seal was found whole. `lookup` gives the key of a name, retired ones included,
    /// revoked ones not.
    ///
    /// Not checked: that it is the label of the entry at hand, and whether its writer is trusted still.
    ///
    /// # Errors
    ///
    /// [`LabelError`]; the entry is then a miss.
    pub fn open<'k>(
        bytes: &[u8],
        lookup: impl Fn(LabelKeyId) -> Option<&'k LabelKey>,
    ) -> Result<LabelFields, LabelError> {
        if bytes.len() > Self::MAX_LENGTH {
            return Err(LabelError::TooLarge { length: bytes.len() });
        }
        let (sealed, tag) = bytes.split_last_chunk::<TAG>().ok_or(LabelError::Malformed)?;
        let mut rest = Rest(sealed);
        let version = rest.byte()?;
        if version != VERSION {
            return Err(LabelError::UnknownVersion { version });
        }
        let id = LabelKeyId(rest.array()?);
        let key = lookup(id).ok_or(LabelError::UnknownKey { key: id })?;
        // In constant time; nothing behind the key's name is looked at before.
        hmac::verify(&key.key, sealed, tag).map_err(|_| LabelError::BadSeal)?;
        let fields = rest.fields()?;
        if rest.0.is_empty() { Ok(fields) } else { Err(LabelError::Malformed) }
    }
}

/// Lanes, entry keys and principals are shorter than 64 KiB by their types or by the check above.
fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], LabelError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(LabelError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LabelError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(LabelError::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, LabelError> {
        self.array().map(|[byte]| byte)
    }

    fn behind_length(&mut self) -> Result<&'a [u8], LabelError> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(length.into())
    }

    fn fields(&mut self) -> Result<LabelFields, LabelError> {
        Ok(LabelFields {
            workspace: WorkspaceId::from_bytes(self.array()?),
            lane: Lane::from_canonical_bytes(self.behind_length()?).ok_or(LabelError::Malformed)?,
            lane_generation: u32::from_be_bytes(self.array()?),
            key: EntryKey::new(self.behind_length()?).map_err(|_| LabelError::Malformed)?,
            digest: self.array()?,
            length: u64::from_be_bytes(self.array()?),
            ancestors: self.ancestors()?,
            token: match self.byte()? {
                0 => None,
                1 => Some(TokenId::from_bytes(self.array()?)),
                _ => return Err(LabelError::Malformed),
            },
            principal: Principal::from_canonical_bytes(self.behind_length()?).ok_or(LabelError::Malformed)?,
            run: match self.byte()? {
                0 => None,
                length if usize::from(length) > MAX_RUN => return Err(LabelError::Malformed),
                length => {
                    let run =
                        std::str::from_utf8(self.take(length.into())?).map_err(|_| LabelError::Malformed)?;
                    Some(run.to_owned())
                }
            },
            time: Timestamp::from_unix_seconds(i64::from_be_bytes(self.array()?))
                .map_err(|_| LabelError::Malformed)?,
        })
    }

    fn ancestors(&mut self) -> Result<Vec<TokenId>, LabelError> {
        let count = usize::from(self.byte()?);
        if count > MAX_ANCESTORS {
            return Err(LabelError::Malformed);
        }
        (0..count).map(|_| self.array().map(TokenId::from_bytes)).collect()
    }
}
