#![doc = include_str!("../README.md")]

pub mod codec;
mod error;
mod record;
mod traits;

pub use error::StoreError;
pub use record::{
    Act, AuditEntry, AuditRecord, Change, ChangeKind, Changes, GroupRecord, Heartbeat, KeyPurpose, KeyRecord,
    LockRecord, MarkRecord, MarkScope, MassRevocation, MassScope, MemberRecord, MembershipRecord,
    OrganizationRecord, Preconditions, ReleaseRecord, Revoked, RulesDocument, Superseded, TokenFilter,
    TokenForm, TokenKind, TokenRecord, UserRecord, WorkspaceRecord,
};
pub use traits::{
    Audit, Distrust, Keys, Locks, Members, Organizations, Releases, Revisions, Rules, SingleUse, Storage,
    Tokens, Workspaces,
};
