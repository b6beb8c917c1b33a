//! People sign in: well, under attack, and while their provider fails.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod accounts;
mod attacks;
mod faults;
mod github;
mod github_site;
mod oidc;
mod oidc_provider;
mod real_provider;
mod script;
mod support;
