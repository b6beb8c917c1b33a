//! Who was authenticated.

use std::fmt;
use std::sync::Arc;

use crate::{Name, OrganizationId, UserId, WorkspaceId};

/// Who was authenticated: a person, a machine, or nobody.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Principal {
    /// No credential was presented.
    Anonymous,
    /// A person, by a personal token or a login.
    User(UserId),
    /// A build of one workspace, by that workspace's CI access token.
    Ci(WorkspaceId),
    /// A machine of one organization, by a device token.
    Device(OrganizationId),
    /// A job or service that a configured issuer vouches for.
    Workload {
        /// The anchor that vouches.
        anchor: Name,
        /// The platform's subject, as verified: for people to read, never to decide on.
        subject: Arc<str>,
    },
}

impl Principal {
    /// The stable name of the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(_) => "user",
            Self::Ci(_) => "ci",
            Self::Device(_) => "device",
            Self::Workload { .. } => "workload",
        }
    }

    /// One byte sequence for each principal, as labels and marks of distrust keep it.
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        let (tag, parts): (u8, [&[u8]; 2]) = match self {
            Self::Anonymous => (0, [&[], &[]]),
            Self::User(id) => (1, [&id.to_bytes(), &[]]),
            Self::Ci(id) => (2, [&id.to_bytes(), &[]]),
            Self::Device(id) => (3, [&id.to_bytes(), &[]]),
            Self::Workload { anchor, subject } => (4, [anchor.as_str().as_bytes(), subject.as_bytes()]),
        };
        let mut bytes = vec![tag];
        for part in parts {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// The principal that these bytes, made by [`Principal::to_canonical_bytes`], are; `None` when they are none.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
        }
        let (tag, rest) = bytes.split_first()?;
        let (first, rest) = part(rest)?;
        let (second, rest) = part(rest)?;
        if !rest.is_empty() {
            return None;
        }
        match (tag, first, second) {
            (0, [], []) => Some(Self::Anonymous),
            (1, id, []) => Some(Self::User(UserId::from_bytes(id.try_into().ok()?))),
            (2, id, []) => Some(Self::Ci(WorkspaceId::from_bytes(id.try_into().ok()?))),
            (3, id, []) => Some(Self::Device(OrganizationId::from_bytes(id.try_into().ok()?))),
            (4, anchor, subject) => Some(Self::Workload {
                anchor: std::str::from_utf8(anchor).ok()?.parse().ok()?,
                subject: std::str::from_utf8(subject).ok()?.into(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User(id) => write!(f, "user {id}"),
            Self::Ci(id) => write!(f, "CI of workspace {id}"),
            Self::Device(id) => write!(f, "device of organization {id}"),
            Self::Workload { anchor, subject } => write!(f, "workload {:?} of {anchor}", &**subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_form_reads_back_and_is_nobody_elses() {
        let all = [
            Principal::Anonymous,
            Principal::User(UserId::from_bytes([1; 16])),
            Principal::Ci(WorkspaceId::from_bytes([1; 16])),
            Principal::Device(OrganizationId::from_bytes([1; 16])),
            Principal::Workload { anchor: "github".parse().expect("a name"), subject: "repo:a/b".into() },
        ];
        for (index, principal) in all.iter().enumerate() {
            let bytes = principal.to_canonical_bytes();
            assert_eq!(Principal::from_canonical_bytes(&bytes).as_ref(), Some(principal));
            assert!(all.iter().skip(index + 1).all(|other| other.to_canonical_bytes() != bytes));
            assert_eq!(Principal::from_canonical_bytes(&[&bytes[..], b"x"].concat()), None);
        }
    }
}
