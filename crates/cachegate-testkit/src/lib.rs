#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, reason = "a scene that cannot be set up is a failed test")]

mod clock;
mod faults;
mod fetch;
mod github;
mod issuer;
mod scene;

pub use clock::ManualClock;
pub use faults::{Faults, FaultyAccounts, FaultyStorage};
pub use fetch::{FaultyFetch, FetchFault, FetchFaults};
pub use futures_executor::block_on;
pub use github::GithubStandIn;
pub use issuer::{TestIssuer, github_push_claims};
pub use scene::{NOW, Recorder, Scene};
