//! What a request is about.

use std::fmt;

use crate::{ClosureId, OrganizationId, Version, WorkspaceId};

/// The opaque key of an entry: 1 to 512 bytes that a client chose. Compared whole; never a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(Box<[u8]>);

impl EntryKey {
    /// The longest key, in bytes.
    pub const MAX_LENGTH: usize = 512;

    /// # Errors
    ///
    /// [`EntryKeyError`] when there are no bytes or more than [`EntryKey::MAX_LENGTH`].
    pub fn new(bytes: &[u8]) -> Result<Self, EntryKeyError> {
        if bytes.is_empty() || bytes.len() > Self::MAX_LENGTH {
            Err(EntryKeyError { length: bytes.len() })
        } else {
            Ok(Self(bytes.into()))
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Printable ASCII as it is, all else as `\xNN`.
impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryKey({self})")
    }
}

/// A key that no entry can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry's key is 1 to 512 bytes long, this one has {length}")]
pub struct EntryKeyError {
    length: usize,
}

/// What a request is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// The organization itself: its members, its device tokens, its trust rules.
    Organization(OrganizationId),
    /// A workspace itself: its settings and CI tokens, and whether it may be used at all.
    Workspace(WorkspaceId),
    /// One entry.
    Entry {
        /// The workspace that holds it.
        workspace: WorkspaceId,
        /// Its key.
        key: EntryKey,
        /// The closures that the embedder's records say it is in. Evidence, not a claim of the client.
        closures: Vec<ClosureId>,
    },
    /// One release.
    Release {
        /// The workspace that published it.
        workspace: WorkspaceId,
        /// The resolved version: never the constraint that the client sent.
        version: Version,
    },
}

impl Resource {
    /// An entry that is in no recorded closure.
    pub const fn entry(workspace: WorkspaceId, key: EntryKey) -> Self {
        Self::Entry { workspace, key, closures: Vec::new() }
    }

    /// The workspace that it belongs to; `None` for an organization.
    pub const fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::Organization(_) => None,
            Self::Workspace(workspace) | Self::Entry { workspace, .. } | Self::Release { workspace, .. } => {
                Some(*workspace)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_to_512_bytes() {
        assert_eq!(EntryKey::new(b""), Err(EntryKeyError { length: 0 }));
        assert_eq!(EntryKey::new(&[0; 513]), Err(EntryKeyError { length: 513 }));
        assert_eq!(EntryKey::new(b"a\n\xff").map(|key| key.to_string()), Ok("a\\n\\xff".to_owned()));
    }
}
