#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "tasks speak to a terminal")]

mod error;
mod fuzz;
mod ignored;
mod macros;
mod provide;
mod public_api;
mod run;
mod task;
mod tidy;
mod workspace;

pub use error::XtaskError;
pub use fuzz::Fuzz;
pub use ignored::{Ignored, Reason, ignored_tests};
pub use provide::{CARGO_DENY, can_provide};
pub use public_api::{ApiError, listing};
pub use run::{Counts, Outcome, Report};
pub use task::{Options, Task, run};
pub use workspace::{Dependency, DependencyKind, Package, Workspace};
