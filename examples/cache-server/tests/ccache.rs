//! ccache as Debian has it (4.7.5), unmodified, against the server. Started by `cargo xtask test`, which installs it.
//!
//! ccache never fails a compilation over the cache, so each test looks at its statistics and its log, at the bytes of
//! the object, and at the server's own decisions.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/ccache.rs"]
mod ccache;
#[expect(dead_code, reason = "ccache is installed by Debian, not by npm")]
#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "ccache has no anonymous test of its own")]
#[path = "support/host.rs"]
mod host;

use std::time::{Duration, Instant};

use cache_server::now;
use cachegate::Authority;
use cachegate_types::{AccessLevel, Action, Resource};
use ccache::Machine;
use host::Host;

const READ: Action = Action::Read;
const WRITE: Action = Action::Write;

fn bearer(host: &Host, token: &str) -> String {
    format!("http://{}/acme/app/ccache|bearer-token={token}", host.address)
}

fn basic(host: &Host, token: &str) -> String {
    format!("http://anyone:{token}@{}/acme/app/ccache", host.address)
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn what_one_token_stores_another_one_hits_in_each_layout() {
    let host = Host::new();
    let (writer, reader) =
        (host.token(AccessLevel::ReadWrite, "main"), host.token(AccessLevel::ReadOnly, "main"));
    for layout in ["", "|layout=subdirs", "|layout=flat", "|layout=bazel"] {
        let machine = Machine::new();
        machine.change(&format!("x{}", layout.len()));
        machine.poison("first");
        let cold = machine.compile(&(bearer(&host, &writer) + layout));
        assert!(cold.succeeded && cold.says("made first"), "{}", cold.log);
        assert_eq!(cold.remote_hits, 0, "{layout}: {}", cold.log);
        let stored = [(READ, "allowed"), (READ, "allowed"), (WRITE, "allowed"), (WRITE, "allowed")];
        assert_eq!(host.decisions(), stored, "{layout}");
        machine.poison("second");
        let warm = machine.compile(&(bearer(&host, &reader) + layout));
        assert!(warm.succeeded && warm.says("made first"), "{layout}: {}", warm.log);
        assert_eq!(warm.remote_hits, 1, "{layout}: {}", warm.log);
        assert_eq!(host.decisions(), [(READ, "allowed"), (READ, "allowed")]);
        assert_eq!(warm.object, cold.object);
    }
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn a_token_as_the_password_in_the_url_is_the_same_token() {
    let host = Host::new();
    let writer = host.token(AccessLevel::ReadWrite, "main");
    let machine = Machine::new();
    let seen = |remote: &str, source: &str| {
        machine.change(source);
        let run = machine.compile(remote);
        assert!(run.succeeded && run.remote_hits == 0, "{}", run.log);
        let again = machine.compile(remote);
        assert!(again.succeeded && again.remote_hits == 1, "{}", again.log);
        let events = host.recorder.take();
        events
            .into_iter()
            .map(|event| (event.principal, event.token, event.action, event.code))
            .collect::<Vec<_>>()
    };
    let first = seen(&bearer(&host, &writer), "one");
    assert_eq!(first.len(), 6, "two looks and two writes, then two looks");
    assert_eq!(first, seen(&basic(&host, &writer), "other"));
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn a_read_only_tokens_write_is_refused_and_the_compilation_goes_on() {
    let host = Host::new();
    let reader = host.token(AccessLevel::ReadOnly, "main");
    let machine = Machine::new();
    let run = machine.compile(&bearer(&host, &reader));
    assert!(run.succeeded && run.says("made clean"), "{}", run.log);
    assert!(run.log.contains("status code: 403"), "{}", run.log);
    assert_eq!(
        host.decisions(),
        [(READ, "allowed"), (READ, "allowed"), (WRITE, "action_not_granted")],
        "one write, not two"
    );
    let run = machine.compile(&(bearer(&host, &reader) + "|read-only=true"));
    assert!(run.succeeded && !run.log.contains("status code: 403"), "{}", run.log);
    assert_eq!(host.decisions(), [(READ, "allowed"), (READ, "allowed")], "told so, it does not even try");
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn a_revoked_token_stops_the_cache_and_not_the_compilation() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    let machine = Machine::new();
    assert!(machine.compile(&bearer(&host, &token)).succeeded);
    assert_eq!(machine.compile(&bearer(&host, &token)).remote_hits, 1, "the control");
    let id = host.recorder.take().last().and_then(|event| event.token).expect("its id");
    let reason = "a test".parse().expect("a reason");
    let revoked = host.server.gate().revoke(&Authority::Operator, id, reason, now());
    host.runtime.block_on(revoked).expect("revoked");
    machine.poison("made anew");
    let run = machine.compile(&bearer(&host, &token));
    assert!(run.succeeded && run.remote_hits == 0, "{}", run.log);
    assert!(run.says("made made anew") && run.log.contains("status code: 401"), "{}", run.log);
    assert!(host.decisions().iter().all(|(_, code)| *code == "revoked"));
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn a_token_of_another_workspace_gets_nothing() {
    let (host, other) = (Host::new(), Host::new());
    let machine = Machine::new();
    assert!(machine.compile(&bearer(&host, &host.token(AccessLevel::ReadWrite, "main"))).succeeded);
    host.decisions();
    machine.poison("made anew");
    let stranger = other.token(AccessLevel::ReadWrite, "main");
    for remote in
        [bearer(&host, &stranger), bearer(&host, "swordfish"), format!("{}/acme/app/ccache", host.url())]
    {
        let run = machine.compile(&remote);
        assert!(run.succeeded && run.remote_hits == 0 && run.says("made made anew"), "{}", run.log);
        assert!(host.decisions().iter().all(|(_, code)| *code != "allowed"));
    }
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn a_token_of_twelve_kilobytes_gets_a_clean_answer_and_no_request_waits() {
    let host = Host::new();
    let machine = Machine::new();
    let started = Instant::now();
    let run = machine.compile(&bearer(&host, &"x".repeat(12_000)));
    assert!(run.succeeded && run.says("made clean"), "{}", run.log);
    assert!(run.log.contains("status code: 401"), "{}", run.log);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// CVE-2025-36852: the hashes are the same in all runs, the bytes are not.
fn creep(shared: bool) -> Vec<(&'static str, bool)> {
    let (host, machine) = (Host::new(), Machine::new());
    let lane = |own: &'static str| if shared { "main" } else { own };
    let main = host.token(AccessLevel::ReadWrite, "main");
    let pull_42 = host.token(AccessLevel::ReadWrite, lane("pull/42"));
    let pull_43 = host.token(AccessLevel::ReadWrite, lane("pull/43"));
    let is_evil = |token: &str, poison| {
        machine.poison(poison);
        let run = machine.compile(&bearer(&host, token));
        assert!(run.succeeded && run.says("made evil") != run.says("made clean"), "{}", run.log);
        run.says("made evil")
    };
    vec![
        ("pull 42, with the poison", is_evil(&pull_42, "evil")),
        ("main", is_evil(&main, "clean")),
        ("pull 42 again", is_evil(&pull_42, "clean")),
        ("pull 43", is_evil(&pull_43, "clean")),
        ("main again", is_evil(&main, "clean")),
    ]
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn with_one_shared_lane_main_links_the_poison_of_a_pull_request() {
    // The control: without lanes the harm is real.
    assert!(creep(true).iter().all(|(_, evil)| *evil));
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn with_lanes_a_pull_request_poisons_neither_main_nor_another_pull_request() {
    let evil = creep(false).into_iter().filter_map(|(run, evil)| evil.then_some(run)).collect::<Vec<_>>();
    assert_eq!(evil, ["pull 42, with the poison", "pull 42 again"]);
}

#[test]
#[ignore = "needs ccache: run by cargo xtask test"]
fn ccaches_keys_are_its_own() {
    let host = Host::new();
    let writer = host.token(AccessLevel::ReadWrite, "main");
    let run = Machine::new().compile(&(bearer(&host, &writer) + "|layout=bazel"));
    assert!(run.succeeded, "{}", run.log);
    for event in host.recorder.take() {
        let Resource::Entry { key, .. } = event.resource else { panic!("an entry") };
        assert!(key.to_string().starts_with("plain:ac/"), "not Bazel's, though spelt alike: {key}");
    }
}
