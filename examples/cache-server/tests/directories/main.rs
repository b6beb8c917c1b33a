//! Directories that the configuration connects, against the running server.

#![expect(clippy::expect_used, reason = "tests")]

mod github;
#[path = "../support/host.rs"]
#[expect(dead_code, reason = "nothing fails here, and no CI token is made")]
mod host;
#[path = "../support/http.rs"]
mod http;
mod scim;
