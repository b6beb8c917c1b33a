//! Nx 24.0.6, unmodified, against the server. Started by `cargo xtask test`, which installs it.
//!
//! Nx's exit status says little of the cache, so each test also looks at what Nx printed, at the bytes that the task
//! left, and at the server's own decisions.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/client.rs"]
mod client;
#[path = "support/host.rs"]
mod host;
#[path = "support/nx.rs"]
mod nx;

use std::time::Duration;

use cache_server::now;
use cachegate::Authority;
use cachegate_policy::WorkspaceSettings;
use cachegate_types::{AccessLevel, Action};
use host::Host;
use nx::Workspace;

const READ: Action = Action::Read;
const WRITE: Action = Action::Write;

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn what_one_token_stores_another_one_replays() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let (writer, reader) =
        (host.token(AccessLevel::ReadWrite, "main"), host.token(AccessLevel::ReadOnly, "main"));
    let first = workspace.build(&host.url(), Some(&writer), Some("first"));
    assert!(first.succeeded && !first.was_remote_hit(), "{}", first.printed);
    let second = workspace.build(&host.url(), Some(&reader), Some("second"));
    assert!(second.succeeded && second.was_remote_hit(), "{}", second.printed);
    assert_eq!(second.output(), "first");
    assert_eq!(host.decisions(), [(READ, "allowed"), (WRITE, "allowed"), (READ, "allowed")]);
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn a_read_only_tokens_write_is_refused_once_and_the_build_goes_on() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let reader = host.token(AccessLevel::ReadOnly, "main");
    let run = workspace.build(&host.url(), Some(&reader), None);
    assert!(run.succeeded, "{}", run.printed);
    assert_eq!(run.output(), "clean");
    assert_eq!(host.decisions(), [(READ, "allowed"), (WRITE, "action_not_granted")]);
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn a_large_write_is_refused_as_quietly_as_a_small_one() {
    let (host, workspace) = (Host::with_limit(100_000_000), Workspace::new());
    let reader = host.token(AccessLevel::ReadOnly, "main");
    workspace.enlarge(24_000_000);
    for input in ["1", "2"] {
        workspace.change(input);
        let run = workspace.build(&host.url(), Some(&reader), None);
        assert!(run.succeeded, "{}", run.printed);
        assert_eq!(
            host.decisions(),
            [(READ, "allowed"), (WRITE, "action_not_granted")],
            "one write, not six"
        );
    }
    // The control: that large, it is stored where it may be.
    let writer = host.token(AccessLevel::ReadWrite, "main");
    assert!(workspace.build(&host.url(), Some(&writer), None).succeeded);
    assert!(workspace.build(&host.url(), Some(&reader), None).was_remote_hit());
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn a_revoked_or_expired_token_stops_the_build_and_says_why() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let revoked = host.token(AccessLevel::ReadWrite, "main");
    let warm = workspace.build(&host.url(), Some(&revoked), None);
    assert!(warm.succeeded, "{}", warm.printed);
    let id = host.recorder.take().last().and_then(|event| event.token).expect("its id");
    host.runtime
        .block_on(host.server.gate().revoke(
            &Authority::Operator,
            id,
            "a test".parse().expect("a reason"),
            now(),
        ))
        .expect("revoked");
    let expired = host.token_for(AccessLevel::ReadWrite, "main", Some(Duration::ZERO));
    for (token, reason) in [(&revoked, "this token was revoked"), (&expired, "this token expired at")] {
        let run = workspace.build(&host.url(), Some(token), None);
        assert!(!run.succeeded, "{}", run.printed);
        let said = run.printed.split("Unauthorized:").nth(1).unwrap_or_default();
        assert!(said.trim_start().starts_with(reason), "{}", run.printed);
        assert!(!run.printed.contains(token.as_str()), "no token text");
    }
    assert_eq!(host.decisions(), [(READ, "revoked"), (READ, "expired")]);
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn no_token_and_an_empty_token_have_the_anonymous_level() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let writer = host.token(AccessLevel::ReadWrite, "main");
    assert!(workspace.build(&host.url(), Some(&writer), Some("shared")).succeeded);
    let url = host.url();
    for token in [None, Some("")] {
        let with = |anonymous| {
            host.settings(&WorkspaceSettings { anonymous, ..WorkspaceSettings::default() });
            host.recorder.take();
        };
        workspace.change("1");
        with(AccessLevel::None);
        let run = workspace.build(&url, token, None);
        assert!(run.succeeded && !run.was_remote_hit(), "{}", run.printed);
        assert_eq!(host.decisions(), [(READ, "action_not_granted"), (WRITE, "action_not_granted")]);

        with(AccessLevel::ReadOnly);
        let run = workspace.build(&url, token, None);
        assert!(run.succeeded && run.was_remote_hit(), "{}", run.printed);
        assert_eq!(run.output(), "shared");
        workspace.change(&format!("cold for {token:?}"));
        let run = workspace.build(&url, token, None);
        assert!(run.succeeded && !run.was_remote_hit(), "{}", run.printed);
        assert_eq!(host.decisions(), [(READ, "allowed"), (READ, "allowed"), (WRITE, "action_not_granted")]);

        with(AccessLevel::ReadWrite);
        assert!(workspace.build(&url, token, Some("stored")).succeeded);
        let run = workspace.build(&url, token, None);
        assert!(run.succeeded && run.was_remote_hit(), "{}", run.printed);
        assert_eq!(run.output(), "stored");
    }
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn the_second_writer_of_a_key_changes_nothing_and_its_build_goes_on() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let writer = host.token(AccessLevel::ReadWrite, "main");
    let url = host.url();
    // Both look before either has stored: the second comes between the first one's look and its store.
    host.faults.cut();
    host.clock.advance(Duration::from_secs(4));
    let blind = workspace.build(&url, Some(&writer), Some("second"));
    assert!(blind.succeeded && !blind.was_remote_hit(), "{}", blind.printed);
    host.faults.mend();
    assert!(workspace.build(&url, Some(&writer), Some("first")).succeeded);
    let hash = host
        .recorder
        .take()
        .iter()
        .rev()
        .find_map(|event| match &event.resource {
            cachegate_types::Resource::Entry { key, .. } => {
                key.to_string().strip_prefix("nx:").map(str::to_owned)
            }
            _ => None,
        })
        .expect("the task's hash");
    let again = ureq(&url, &hash, &writer);
    assert_eq!(again, 409);
    let run = workspace.build(&url, Some(&writer), Some("third"));
    assert!(run.was_remote_hit(), "{}", run.printed);
    assert_eq!(run.output(), "first", "the first bytes are still served");
}

/// The status of one more `PUT` of this hash.
fn ureq(url: &str, hash: &str, token: &str) -> u16 {
    use std::io::{Read, Write};
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    let head = format!(
        "PUT /v1/cache/{hash} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-length: 1\r\n\r\nx"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// CVE-2025-36852: the hash is the same in all runs, the bytes are not.
fn creep(shared: bool) -> Vec<(&'static str, String)> {
    let (host, workspace) = (Host::new(), Workspace::new());
    let lane = |own: &'static str| if shared { "main" } else { own };
    let main = host.token(AccessLevel::ReadWrite, "main");
    let pull_42 = host.token(AccessLevel::ReadWrite, lane("pull/42"));
    let pull_43 = host.token(AccessLevel::ReadWrite, lane("pull/43"));
    let run = |token: &str, poison| {
        let run = workspace.build(&host.url(), Some(token), poison);
        assert!(run.succeeded, "{}", run.printed);
        run.output().to_owned()
    };
    vec![
        ("pull 42, with the poison", run(&pull_42, Some("evil"))),
        ("main", run(&main, None)),
        ("pull 42 again", run(&pull_42, None)),
        ("pull 43", run(&pull_43, None)),
        ("main again", run(&main, None)),
    ]
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn with_one_shared_lane_main_replays_the_poison_of_a_pull_request() {
    // The control: without lanes the harm is real.
    let seen: Vec<_> = creep(true).into_iter().map(|(_, output)| output).collect();
    assert_eq!(seen, ["evil", "evil", "evil", "evil", "evil"]);
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn with_lanes_a_pull_request_poisons_neither_main_nor_another_pull_request() {
    assert_eq!(
        creep(false),
        [
            ("pull 42, with the poison", "evil".to_owned()),
            ("main", "clean".to_owned()),
            ("pull 42 again", "evil".to_owned()),
            ("pull 43", "clean".to_owned()),
            ("main again", "clean".to_owned()),
        ]
    );
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn while_the_store_is_down_builds_go_on_without_the_cache() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let writer = host.token(AccessLevel::ReadWrite, "main");
    assert!(workspace.build(&host.url(), Some(&writer), Some("stored")).succeeded);
    host.recorder.take();
    host.faults.cut();
    host.clock.advance(Duration::from_secs(4));
    let run = workspace.build(&host.url(), Some(&writer), None);
    assert!(run.succeeded && !run.was_remote_hit(), "{}", run.printed);
    assert_eq!(run.output(), "clean");
    assert_eq!(host.decisions(), [(READ, "store_unavailable"), (WRITE, "store_unavailable")]);
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn a_token_in_the_url_as_a_basic_password_is_the_same_token() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let writer = host.token(AccessLevel::ReadWrite, "main");
    let seen = |url: &str, token: Option<&str>| {
        let run = workspace.build(url, token, None);
        assert!(run.succeeded, "{}", run.printed);
        let events = host.recorder.take();
        let event = events.last().expect("a decision").clone();
        (event.principal, event.token, events.iter().map(|event| event.code).collect::<Vec<_>>())
    };
    let bearer = seen(&host.url(), Some(&writer));
    workspace.change("2");
    let basic = seen(&format!("http://anyone:{writer}@{}", host.address), None);
    assert_eq!(bearer, basic);
}

#[test]
#[ignore = "needs nx: run by cargo xtask test"]
fn a_token_of_twelve_kilobytes_gets_a_clean_answer() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let run = workspace.build(&host.url(), Some(&"x".repeat(12_000)), None);
    assert!(!run.succeeded);
    assert!(run.printed.contains("Unauthorized: this credential is malformed"), "{}", run.printed);
}
