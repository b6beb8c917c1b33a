#![doc = include_str!("../README.md")]
// The enums that a decision matches are closed: a new case must stop the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

mod decision;
mod lane_view;
mod lock;
mod rights;
mod settings;
mod trace;

pub use decision::{Allow, Decision, Deny, Question, Reason, decide};
pub use lane_view::LaneView;
pub use lock::{Lock, LockScope};
pub use rights::{Listed, ListedParty, Membership, Place, Rights, Standing, Workspace};
pub use settings::{LaneOrder, LaneOrderError, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings};
pub use trace::{Candour, Trace, explain};
