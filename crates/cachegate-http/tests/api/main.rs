//! The management API, in process: what it lets whom do, what it tells whom, and that it is as its description says.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a step that fails is a failed test"
)]

mod client;
mod conditional;
mod hostile;
mod matrix;
mod random;
mod rules;
mod schema;
mod trust_rules;
mod workload;
