#![doc = include_str!("../README.md")]
// The enums that a decision matches are closed: a new case must stop the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

mod grant;
mod id;
mod lane;
mod level;
mod name;
mod principal;
mod resource;
mod revision;
mod secret;
mod time;
mod version;

pub use grant::{Grant, GrantSource, Restriction, Role, Scope};
pub use id::{
    ClosureId, DecisionId, GroupId, IdError, LockId, MarkId, OrganizationId, ReleaseId, RuleId, TokenId,
    UserId, WorkspaceId,
};
pub use lane::{Lane, LaneClass, LaneError, LaneSource};
pub use level::{AccessLevel, Action, ActionSet, LevelError};
pub use name::{Description, Name, NameError, WorkspacePath};
pub use principal::Principal;
pub use resource::{EntryKey, EntryKeyError, Resource};
pub use revision::{Epoch, Revision};
pub use secret::{SecretBytes, SecretKey, SecretText};
pub use time::{Timestamp, TimestampError};
pub use version::{Version, VersionError, VersionRequirement};
