//! The OAuth endpoints, in process: what each grant gives, what each refusal is called, and whom they tell what.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a step that fails is a failed test"
)]

mod client;
mod devices;
mod grants;
mod leaks;
mod matrix;
mod metadata;
mod random;
mod tokens;
