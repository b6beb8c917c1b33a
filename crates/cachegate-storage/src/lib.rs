#![doc = include_str!("../README.md")]

mod accounts;
pub mod acts;
mod audit;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod directories;
mod error;
mod memory;
mod record;
pub mod rules;
mod traits;

pub use accounts::{AccountRecord, Accounts};
pub use audit::{ChainError, chain_digest, chained, verify_chain};
pub use directories::{
    Directories, DirectoryId, DirectoryKey, DirectoryKind, DirectoryRecord, DirectoryTarget,
};
pub use error::StoreError;
pub use memory::MemoryStorage;
pub use record::{
    Act, AuditEntry, AuditRecord, Change, ChangeKind, Changes, GroupRecord, Heartbeat, KeyPurpose, KeyRecord,
    LockRecord, MarkRecord, MarkScope, MassRevocation, MassScope, MemberRecord, MembershipRecord, OneUse,
    OrganizationRecord, Preconditions, ReleaseRecord, Revoked, RulesDocument, Superseded, TokenFilter,
    TokenForm, TokenKind, TokenRecord, UserRecord, WorkspaceRecord,
};
pub use traits::{
    Audit, Distrust, Keys, Locks, Members, Organizations, Pending, Releases, Revisions, Rules, SingleUse,
    Storage, Tokens, Workspaces,
};
