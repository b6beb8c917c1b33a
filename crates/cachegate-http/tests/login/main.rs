//! People sign in and out at the pages: well, under attack, and while their provider fails.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod activate;
mod attacks;
mod browser;
mod faults;
mod github;
#[path = "../../../cachegate-login/tests/login/github_site.rs"]
mod github_site;
mod pages;
#[path = "../../../cachegate-login/tests/login/support.rs"]
#[expect(dead_code, reason = "the library's tests look at more")]
mod support;
mod turborepo;
