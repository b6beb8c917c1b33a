//! Nix as Debian has it (2.8.0), unmodified, against the server. Started by `cargo xtask test`, which installs it.
//!
//! Nix keeps what a cache answered in its home, so each test says what is forgotten, and looks at the bytes in the
//! store and at the server's own decisions.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/client.rs"]
#[expect(dead_code, reason = "Nix is installed by Debian, not by npm")]
mod client;
#[path = "support/host.rs"]
#[expect(dead_code, reason = "the limit is another test's")]
mod host;
#[path = "support/machines.rs"]
mod machines;
#[path = "support/nix.rs"]
#[expect(dead_code, reason = "pairs of paths are another test's")]
mod nix;

use std::time::Duration;

use cache_server::now;
use cachegate::{Authority, Credential, DeviceAccess, IssueError, SessionSpec};
use cachegate_policy::WorkspaceSettings;
use cachegate_types::{AccessLevel, Action, Resource, Restriction, WorkspaceId};
use host::Host;
use nix::Machine;

const RESOLVE: Action = Action::Resolve;
const READ: Action = Action::Read;
const WRITE: Action = Action::Write;

fn cache(host: &Host) -> String {
    format!("http://{}/acme/app/nix", host.address)
}

/// Every decision since the last look: the action, what it was asked of, and the code.
fn seen(host: &Host) -> Vec<(Action, &'static str, &'static str)> {
    let kind = |resource: &Resource| match resource {
        Resource::Workspace(_) => "info",
        Resource::Entry { key, .. } => {
            let key = key.to_string();
            match key.strip_prefix("nix:").expect("one of Nix's keys") {
                key if key.ends_with(".narinfo") => "narinfo",
                key if key.starts_with("nar/") => "nar",
                "nix-cache-info" => "info",
                _ => "other",
            }
        }
        Resource::Organization(_) | Resource::Release { .. } => "other",
    };
    host.recorder.take().iter().map(|event| (event.action, kind(&event.resource), event.code)).collect()
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn what_one_token_pushes_another_one_copies_back_and_realises() {
    let (host, builder) = (Host::new(), Machine::new());
    let path = builder.add("pkg", "hello");
    builder.log_in(&host.token(AccessLevel::ReadWrite, "main"));
    let pushed = builder.push(&cache(&host), &[&path]);
    assert!(pushed.succeeded, "{}", pushed.printed);
    assert_eq!(
        seen(&host),
        [
            (RESOLVE, "info", "allowed"),
            (RESOLVE, "narinfo", "allowed"),
            (READ, "nar", "allowed"),
            (WRITE, "nar", "allowed"),
            (WRITE, "narinfo", "allowed"),
        ]
    );
    builder.forget();
    assert!(builder.push(&cache(&host), &[&path]).succeeded);
    assert_eq!(
        seen(&host),
        [(RESOLVE, "info", "allowed"), (RESOLVE, "narinfo", "allowed")],
        "nothing is new"
    );

    let reader = Machine::new();
    reader.log_in(&host.token(AccessLevel::ReadOnly, "main"));
    let info = reader.path_info(&cache(&host), &path);
    assert!(info.succeeded && info.printed.trim() == path, "{}", info.printed);
    assert!(seen(&host).iter().all(|(action, _, code)| (*action, *code) == (RESOLVE, "allowed")));
    let pulled = reader.pull(&cache(&host), &[&path]);
    assert!(pulled.succeeded, "{}", pulled.printed);
    assert_eq!(reader.content(&path).as_deref(), Some("hello"));
    reader.forget();
    reader.empty();
    let realised = reader.realise(&cache(&host), &path);
    assert!(realised.succeeded, "{}", realised.printed);
    assert_eq!(reader.content(&path).as_deref(), Some("hello"));
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_read_only_tokens_push_is_refused_and_says_why() {
    let (host, machine) = (Host::new(), Machine::new());
    let path = machine.add("pkg", "hello");
    machine.log_in(&host.token(AccessLevel::ReadOnly, "main"));
    let run = machine.push(&cache(&host), &[&path]);
    assert!(!run.succeeded, "{}", run.printed);
    assert!(run.printed.contains("HTTP error 403") && run.printed.contains("write"), "{}", run.printed);
    let writes: Vec<_> = seen(&host).into_iter().filter(|(action, ..)| *action == WRITE).collect();
    assert_eq!(writes, [(WRITE, "nar", "action_not_granted")], "one try, and nothing half written");
    machine.log_in(&host.token(AccessLevel::ReadWrite, "main"));
    machine.forget();
    assert!(!machine.path_info(&cache(&host), &path).succeeded);
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn anonymous_requests_may_what_the_workspace_says() {
    let (host, machine) = (Host::new(), Machine::new());
    let (path, fresh) = (machine.add("pkg", "hello"), machine.add("pkg", "fresh"));
    machine.log_in(&host.token(AccessLevel::ReadWrite, "main"));
    assert!(machine.push(&cache(&host), &[&path]).succeeded);
    machine.log_out();
    seen(&host);
    let with = |anonymous| host.settings(&WorkspaceSettings { anonymous, ..WorkspaceSettings::default() });
    let reader = Machine::new();

    with(AccessLevel::None);
    assert!(!reader.pull(&cache(&host), &[&path]).succeeded);
    // Nix 2.8 tries to make a cache where it is refused the one that is there.
    assert_eq!(
        seen(&host),
        [(RESOLVE, "info", "action_not_granted"), (WRITE, "info", "action_not_granted")],
        "refused at the first question"
    );

    // With the same memory of what the cache said: nothing bad was kept.
    with(AccessLevel::ReadOnly);
    let run = reader.pull(&cache(&host), &[&path]);
    assert!(run.succeeded, "{}", run.printed);
    let run = machine.push(&cache(&host), &[&fresh]);
    assert!(!run.succeeded && run.printed.contains("HTTP error 401"), "{}", run.printed);

    with(AccessLevel::ReadWrite);
    machine.forget();
    let run = machine.push(&cache(&host), &[&fresh]);
    assert!(run.succeeded, "{}", run.printed);
    reader.forget();
    assert!(reader.pull(&cache(&host), &[&fresh]).succeeded);
    assert_eq!(reader.content(&fresh).as_deref(), Some("fresh"));
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_token_revoked_after_its_narinfo_was_remembered_gets_no_nar() {
    let (host, machine) = (Host::new(), Machine::new());
    let path = machine.add("pkg", "hello");
    machine.log_in(&host.token(AccessLevel::ReadWrite, "main"));
    assert!(machine.push(&cache(&host), &[&path]).succeeded);
    machine.log_in(&host.token(AccessLevel::ReadOnly, "main"));
    machine.forget();
    machine.empty();
    assert!(machine.pull(&cache(&host), &[&path]).succeeded, "the control");
    let id = host.recorder.take().last().and_then(|event| event.token).expect("its id");
    let reason = "a test".parse().expect("a reason");
    let revoked = host.server.gate().revoke(&Authority::Operator, id, reason, now());
    host.runtime.block_on(revoked).expect("revoked");
    machine.empty();
    assert!(!machine.pull(&cache(&host), &[&path]).succeeded);
    assert_eq!(seen(&host), [(READ, "nar", "revoked")], "nothing else had to be asked");
    assert_eq!(machine.content(&path), None);
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_bad_token_is_refused_so_early_that_the_right_one_works_at_once() {
    let (host, machine) = (Host::new(), Machine::new());
    let path = machine.add("pkg", "hello");
    let good = host.token(AccessLevel::ReadWrite, "main");
    machine.log_in(&good);
    assert!(machine.push(&cache(&host), &[&path]).succeeded);
    let expired = host.token_for(AccessLevel::ReadWrite, "main", Some(Duration::ZERO));
    let stranger = Host::new().token(AccessLevel::ReadWrite, "main");
    for (bad, code) in [(&expired, "expired"), (&stranger, "unknown_token")] {
        let reader = Machine::new();
        reader.log_in(bad);
        host.recorder.take();
        assert!(!reader.pull(&cache(&host), &[&path]).succeeded);
        assert!(!reader.realise(&cache(&host), &path).succeeded);
        let asked = seen(&host);
        assert!(asked.iter().all(|(_, what, said)| (*what, *said) == ("info", code)), "{asked:?}");
        reader.log_in(&good);
        let run = reader.pull(&cache(&host), &[&path]);
        assert!(run.succeeded, "with the same memory: {}", run.printed);
        reader.empty();
        assert!(reader.realise(&cache(&host), &path).succeeded);
    }
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_token_for_one_cache_opens_no_other_on_the_host() {
    let (host, machine) = (Host::new(), Machine::new());
    let path = machine.add("pkg", "hello");
    machine.log_in(&host.token(AccessLevel::ReadWrite, "main"));
    assert!(machine.push(&cache(&host), &[&path]).succeeded, "the control");
    for other in ["acme/other", "beta/app"] {
        let url = format!("http://{}/{other}/nix", host.address);
        host.recorder.take();
        assert!(!machine.push(&url, &[&path]).succeeded);
        assert!(seen(&host).iter().all(|(_, what, code)| *what == "info" && *code != "allowed"));
    }
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_hundred_and_twenty_one_requests_for_thirty_paths_verify_one_token_once() {
    let (host, machine) = (Host::new(), Machine::new());
    let verifications = || host.server.gate().verifications();
    let paths: Vec<_> = (0..30).map(|number| machine.add("pkg", &format!("content {number}"))).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    machine.log_in(&host.token(AccessLevel::ReadWrite, "main"));
    let before = verifications();
    let run = machine.push(&cache(&host), &paths);
    assert!(run.succeeded, "{}", run.printed);
    assert_eq!((seen(&host).len(), verifications() - before), (121, 1));
    let reader = Machine::new();
    // A signed one.
    reader.log_in(&host.device(DeviceAccess::Normal));
    let before = verifications();
    let run = reader.pull(&cache(&host), &paths);
    assert!(run.succeeded, "{}", run.printed);
    // Two HEAD and a GET of each narinfo, and its NAR; later versions send one HEAD more.
    assert_eq!((seen(&host).len(), verifications() - before), (121, 1));
    assert!(paths.iter().all(|path| reader.content(path).is_some()));
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn the_longest_token_that_is_issued_works_through_netrc() {
    let (host, machine) = (Host::new(), Machine::new());
    let path = machine.add("pkg", "hello");
    let writer = host.token(AccessLevel::ReadWrite, "main");
    machine.log_in(&writer);
    assert!(machine.push(&cache(&host), &[&path]).succeeded);
    // A session for ever more workspaces, until it is too long to be issued.
    let gate = host.server.gate();
    let (longest, refusal) = host.runtime.block_on(async {
        let credential = Credential::parse(&writer, gate.brand()).expect("a token");
        let who = gate.authenticate(Some(&credential), now()).await.expect("believed");
        let mut longest = String::new();
        for others in 0..=u8::MAX {
            let others = (1..=others).map(|other| WorkspaceId::from_bytes([other; 16]));
            let workspaces = [host.server.default_workspace()].into_iter().chain(others).collect();
            let restrictions = vec![Restriction::Workspaces(workspaces)];
            let spec = SessionSpec { restrictions, ..SessionSpec::default() };
            match gate.exchange(&who, &spec, now()).await {
                Ok(issued) => longest = issued.token.expose_secret().to_owned(),
                Err(error) => return (longest, error),
            }
        }
        (longest, IssueError::UnknownService)
    });
    assert!(refusal.to_string().contains("token_too_long"), "{refusal}");
    assert!((3_000..=3_072).contains(&longest.len()), "{}", longest.len());
    let reader = Machine::new();
    reader.log_in(&longest);
    let run = reader.pull(&cache(&host), &[&path]);
    assert!(run.succeeded, "{}", run.printed);
    assert_eq!(reader.content(&path).as_deref(), Some("hello"));
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_netrc_renamed_into_place_is_read_by_a_command_that_is_trying_again() {
    let (host, machine) = (Host::new(), Machine::new());
    let path = machine.add("pkg", "hello");
    let (old, new) = (host.token(AccessLevel::ReadWrite, "main"), host.token(AccessLevel::ReadOnly, "main"));
    machine.log_in(&old);
    assert!(machine.push(&cache(&host), &[&path]).succeeded);
    machine.forget();
    machine.empty();
    let first = host.recorder.take().last().and_then(|event| event.token).expect("its id");
    host.faults.cut();
    host.clock.advance(Duration::from_secs(4));
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| machine.pull(&cache(&host), &[&path]));
        while host.recorder.take().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        machine.log_in(&new);
        host.faults.mend();
        let run = pulling.join().expect("no panic");
        assert!(run.succeeded, "{}", run.printed);
    });
    let events = host.recorder.take();
    let second = events.last().and_then(|event| event.token).expect("its id");
    assert_ne!(first, second, "the later tries carry the later token");
    assert_eq!(machine.content(&path).as_deref(), Some("hello"));
}

/// CVE-2025-36852: the store path is the same in all runs, the bytes are not. Each job takes the path from the cache, or
/// builds it and puts it there.
fn creep(shared: bool) -> Vec<(&'static str, String)> {
    let host = Host::new();
    let path = Machine::new().add("pkg", "honest");
    let lane = |own: &'static str| if shared { "main" } else { own };
    let main = host.token(AccessLevel::ReadWrite, "main");
    let pull_42 = host.token(AccessLevel::ReadWrite, lane("pull/42"));
    let pull_43 = host.token(AccessLevel::ReadWrite, lane("pull/43"));
    let job = |token: &str, built: &str| {
        let machine = Machine::new();
        machine.log_in(token);
        if !machine.pull(&cache(&host), &[&path]).succeeded {
            machine.build(&path, built);
            machine.forget();
            let run = machine.push(&cache(&host), &[&path]);
            assert!(run.succeeded, "{}", run.printed);
        }
        machine.content(&path).expect("the path")
    };
    vec![
        ("pull 42, with the poison", job(&pull_42, "poison")),
        ("main", job(&main, "honest")),
        ("pull 42 again", job(&pull_42, "honest")),
        ("pull 43", job(&pull_43, "honest")),
        ("main again", job(&main, "honest")),
    ]
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn with_one_shared_lane_main_takes_the_poison_of_a_pull_request() {
    // The control: without lanes the harm is real.
    assert!(creep(true).iter().all(|(_, content)| content == "poison"));
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn with_lanes_a_pull_request_poisons_neither_main_nor_another_pull_request() {
    assert_eq!(
        creep(false),
        [
            ("pull 42, with the poison", "poison".to_owned()),
            ("main", "honest".to_owned()),
            ("pull 42 again", "poison".to_owned()),
            ("pull 43", "honest".to_owned()),
            ("main again", "honest".to_owned()),
        ]
    );
}
