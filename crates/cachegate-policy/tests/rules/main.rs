//! The rules of the decision: against a naive second evaluator, over the whole finite core, and one by one.
//!
//! Everything here is generated from fixed seeds; a failure prints the case. `CACHEGATE_POLICY_CASES` sets how many
//! cases a property sees, for a quick look or a long night.

#![warn(clippy::wildcard_enum_match_arm)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assertion is how a test speaks, in its helpers too"
)]

mod case;
mod differential;
mod engine;
mod exhaustive;
mod expected;
mod flow;
mod generate;
mod laws;
mod naive;
mod reasons;
mod rights;
#[cfg(feature = "serde")]
mod settings;
mod traces;

/// How many cases a property sees.
fn cases(usual: u64) -> u64 {
    std::env::var("CACHEGATE_POLICY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
