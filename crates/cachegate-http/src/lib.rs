#![doc = include_str!("../README.md")]

#[cfg(feature = "api")]
pub mod api;
#[cfg(feature = "oauth")]
pub mod browser;
mod credential;
mod denial;
#[cfg(feature = "scim")]
pub mod github;
mod layer;
#[cfg(feature = "login")]
pub mod login;
#[cfg(feature = "oauth")]
pub mod oauth;
#[cfg(feature = "oauth")]
mod page;
#[cfg(feature = "scim")]
pub mod scim;
mod tables;
#[cfg(any(feature = "api", feature = "oauth"))]
mod urlencoded;

pub use credential::{credential_from_headers, refuse_credential_in_url};
pub use denial::{Answer, DECISION, Outcome, Protocol, answer, denial, malformed};
pub use layer::{Asked, Authorization, AuthorizationLayer};
#[cfg(feature = "oauth")]
pub use page::STYLE as PAGE_STYLE;
