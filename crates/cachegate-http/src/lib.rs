#![doc = include_str!("../README.md")]

mod credential;

pub use credential::{credential_from_headers, refuse_credential_in_url};
