//! A CI job's own identity token against the server, as its configuration file lets it in.

#![expect(clippy::expect_used, reason = "tests")]

#[path = "support/github.rs"]
mod github;
#[path = "support/host.rs"]
#[expect(dead_code, reason = "nothing fails here, and no token is made")]
mod host;
#[path = "support/http.rs"]
#[expect(dead_code, reason = "statuses and bodies are all that is looked at")]
mod http;

use cache_server::{Config, Flags};
use cachegate_testkit::TestIssuer;
use cachegate_types::AccessLevel;
use clap::Parser as _;
use github::{ISSUER, configuration, token};
use host::Host;
use http::{get, put};

fn read(text: &str) -> Result<Config, cache_server::ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cache-server.toml");
    std::fs::write(&path, text).expect("written");
    let arguments = ["cache-server", "--data", "/nowhere", "--config"].map(std::ffi::OsString::from);
    let flags = Flags::try_parse_from(arguments.into_iter().chain([path.into_os_string()])).expect("flags");
    Config::from_flags(&flags)
}

fn host(issuer: &TestIssuer) -> Host {
    let config = read(&configuration(&issuer.key_set())).expect("a configuration");
    Host::configured(|own| {
        own.anchors = config.anchors;
        own.rules = config.rules;
    })
}

fn bearer(token: &str) -> [(&'static str, &'static str); 1] {
    // The tests' tokens live as long as the process: leaking one keeps the callers short.
    [("authorization", &*String::leak(format!("Bearer {token}")))]
}

#[test]
fn a_job_uses_the_cache_with_its_platforms_token_and_a_pull_request_poisons_nobody() {
    let issuer = TestIssuer::new(ISSUER);
    let host = host(&issuer);
    let path = "/acme/app/v1/cache/7";
    let main = token(&issuer, "push", "refs/heads/main", "a");
    let pull = token(&issuer, "pull_request", "refs/pull/17/merge", "b");
    assert_eq!(put(host.address, path, &bearer(&pull), b"evil").status, 200);
    assert_eq!(get(host.address, path, &bearer(&pull)).body, b"evil");
    assert_eq!(get(host.address, path, &bearer(&main)).status, 404, "main never sees it");
    assert_eq!(put(host.address, path, &bearer(&main), b"good").status, 200);
    let stored = host.token(AccessLevel::ReadOnly, "main");
    assert_eq!(get(host.address, path, &bearer(&stored)).body, b"good", "other credentials share the trunk");
}

#[test]
fn a_job_of_the_trunk_publishes_by_its_rule_and_a_pull_request_does_not() {
    let issuer = TestIssuer::new(ISSUER);
    let host = host(&issuer);
    let main = token(&issuer, "push", "refs/heads/main", "a");
    let pull = token(&issuer, "pull_request", "refs/pull/17/merge", "b");
    let (hash, release) = ("6h16lcyhnnw252s3qv43rgxbwglzif48", "/f/acme/app/1.0.0");
    let narinfo = format!("StorePath: /nix/store/{hash}-pkg\nURL: nar/{hash}.nar\nReferences: \n");
    let described = format!("{{\"outputs\": {{\"default\": \"/nix/store/{hash}-pkg\"}}}}");
    let parts = [
        (format!("/acme/app/nix/nar/{hash}.nar"), "nar"),
        (format!("/acme/app/nix/{hash}.narinfo"), &narinfo),
        (release.to_owned(), &described),
    ];
    let publish = |token: &str| {
        let head = http::head("POST", release, &bearer(token), None);
        let answer = http::send(host.address, &head, &[]);
        (answer.status, answer.text())
    };
    for (path, body) in &parts {
        assert_eq!(put(host.address, path, &bearer(&pull), body.as_bytes()).status, 201, "in its own lane");
    }
    let refused = publish(&pull);
    assert!(matches!(refused.0, 403 | 409), "{refused:?}");
    for (path, body) in &parts {
        assert_eq!(put(host.address, path, &bearer(&main), body.as_bytes()).status, 201);
    }
    let refused = publish(&pull);
    assert!(refused.0 == 403 && refused.1.contains("publish"), "{refused:?}");
    let published = publish(&main);
    assert_eq!(published.0, 201, "{}", published.1);
    let resolved = get(host.address, "/f/acme/app/1/output/default", &bearer(&main));
    assert!(resolved.status == 200 && resolved.text().contains("\"version\":\"1.0.0\""));
}

#[test]
fn a_job_of_another_branch_or_repository_is_refused() {
    let issuer = TestIssuer::new(ISSUER);
    let host = host(&issuer);
    let path = "/acme/app/v1/cache/7";
    let branch = token(&issuer, "push", "refs/heads/feature", "a");
    assert_eq!(get(host.address, path, &bearer(&branch)).status, 401);
    let target = token(&issuer, "pull_request_target", "refs/heads/main", "b");
    assert_eq!(put(host.address, path, &bearer(&target), b"evil").status, 401);
}

#[test]
fn a_configuration_that_cannot_stand_is_refused_with_the_rule_named() {
    let issuer = TestIssuer::new(ISSUER);
    let sound = configuration(&issuer.key_set());
    read(&sound).expect("it stands");
    let unknown = sound.replace("audiences =", "audience =");
    let error = read(&unknown).expect_err("refused").to_string();
    assert!(error.contains("unknown field `audience`"), "{error}");
}
