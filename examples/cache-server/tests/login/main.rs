//! People sign in to the running server: by a GitHub on the loopback that answers as its documents say, by a certified
//! OpenID provider, and by a token.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod browser;
mod configured;
mod distrust;
mod github;
#[path = "../../../../crates/cachegate-login/tests/login/github_site.rs"]
mod github_site;
#[path = "../support/host.rs"]
#[expect(dead_code, reason = "the tests of the protocols look at more")]
mod host;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "the tests of the protocols look at more")]
mod http;
#[path = "../../../../crates/cachegate-login/tests/login/oidc_provider.rs"]
mod oidc_provider;
mod real_provider;
#[path = "../../../../crates/cachegate-login/tests/login/script.rs"]
mod script;
mod support;
mod token;
