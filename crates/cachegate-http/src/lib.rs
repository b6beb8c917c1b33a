#![doc = include_str!("../README.md")]

#[cfg(feature = "api")]
pub mod api;
mod credential;
mod denial;
mod layer;
mod tables;

pub use credential::{credential_from_headers, refuse_credential_in_url};
pub use denial::{Answer, DECISION, Outcome, Protocol, answer, denial, malformed};
pub use layer::{Asked, Authorization, AuthorizationLayer};
