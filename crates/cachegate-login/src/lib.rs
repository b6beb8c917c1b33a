#![doc = include_str!("../README.md")]

/// The examples of the guides are built as tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../guides/entra.md")]
    mod entra {}
    #[doc = include_str!("../guides/github.md")]
    mod github {}
    #[doc = include_str!("../guides/okta.md")]
    mod okta {}
}

mod attempt;
mod cookie;
mod error;
mod github;
mod identity;
mod login;
mod oidc;
mod person;
mod target;
mod transport;

pub use error::{LoginError, ProviderError};
pub use github::{DeviceCode, GithubBuilder};
pub use identity::{Groups, Identity, Membership};
pub use login::{Begun, Login, LoginBuilder, Poll, Provider, SignedIn};
pub use oidc::{OidcBuilder, OidcKind};
