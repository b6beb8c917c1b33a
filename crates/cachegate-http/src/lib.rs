#![doc = include_str!("../README.md")]

mod credential;
mod denial;

pub use credential::{credential_from_headers, refuse_credential_in_url};
pub use denial::{Denial, Protocol, denial, malformed};
