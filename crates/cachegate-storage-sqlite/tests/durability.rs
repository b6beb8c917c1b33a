//! What was acknowledged survives: the process is killed at any moment, and each acknowledgement was synced before.
//!
//! The tests run this very program again as the child that acts.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "tests")]
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cachegate_storage::{
    Act, Audit, MassRevocation, MassScope, OrganizationRecord, Organizations, Revisions, Revoked, Tokens,
    verify_chain,
};
use cachegate_storage_sqlite::SqliteStorage;
use cachegate_types::{Description, OrganizationId, Principal, Timestamp, TokenId};
use futures_executor::block_on;

const CHILD: &str = "CACHEGATE_DURABILITY_CHILD";

fn act() -> Act {
    Act { by: Principal::Anonymous, token: None, at: Timestamp::from(1) }
}

/// Acts until it is killed, or `count` times: an organization and a revocation each, with a line after each
/// acknowledgement.
fn child(path: &Path, count: u32) {
    let storage = SqliteStorage::open(path).expect("a store");
    let begin = block_on(storage.heartbeat()).expect("a heartbeat").revision.number;
    let mut out = std::io::stdout();
    writeln!(out, "ready").expect("told");
    for round in 0..count {
        let number = u32::try_from(begin).expect("small") + round;
        let id = id(number);
        let record = OrganizationRecord {
            id: OrganizationId::from_bytes(id),
            name: format!("o{number}").parse().expect("a name"),
            personal_of: None,
            created_at: Timestamp::from(1),
        };
        // Half done by an earlier kill: the organization is there, its revocation is not.
        let _ = block_on(storage.create_organization(&record, &act()));
        let revoked =
            Revoked { at: Timestamp::from(1), reason: Description::default(), by: Principal::Anonymous };
        let scope = MassScope::Family(TokenId::from_bytes(id));
        let revocation = MassRevocation { scope, issued_until: None, revoked };
        block_on(storage.revoke_many(&revocation, &act())).expect("revoked");
        writeln!(out, "acknowledged {number}").expect("told");
        out.flush().expect("told");
    }
}

fn id(number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    if let Some(place) = id.first_chunk_mut::<4>() {
        *place = number.to_be_bytes();
    }
    id
}

/// This program, as the child.
fn start(prefix: &[&str], path: &Path, count: u32) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut words: Vec<_> = prefix.iter().map(std::ffi::OsString::from).collect();
    words.push(program.into());
    let mut words = words.into_iter();
    Command::new(words.next().expect("a program"))
        .args(words)
        .args(["the_child_acts", "--exact", "--nocapture", "--test-threads", "1"])
        .env(CHILD, path)
        .env("CACHEGATE_DURABILITY_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts")
}

/// Does nothing unless it is the child.
#[test]
fn the_child_acts() {
    if let Some(path) = std::env::var_os(CHILD) {
        let count = std::env::var("CACHEGATE_DURABILITY_COUNT").ok().and_then(|text| text.parse().ok());
        child(Path::new(&path), count.expect("a count"));
    }
}

fn kills(rounds: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let mut acknowledged: Vec<u32> = Vec::new();
    for round in 0..rounds {
        let mut child = start(&[], &path, 10_000);
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        // Some live for one acknowledgement, some for a few: the moment of the kill is the scheduler's.
        let live = round % 7 + 1;
        let mut seen = 0;
        for line in lines.by_ref() {
            let line = line.expect("a line");
            if let Some(number) = line.split("acknowledged ").nth(1) {
                acknowledged.push(number.trim().parse().expect("a number"));
                seen += 1;
            }
            if seen >= live {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(u64::from(round * 613 % 4000)));
        child.kill().expect("killed");
        let _ = child.wait();
        // What it had told before the kill counts, read or not.
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.split("acknowledged ").nth(1).and_then(|text| text.trim().parse().ok())
            {
                acknowledged.push(number);
            }
        }
    }
    let storage = SqliteStorage::open(&path).expect("a store");
    let masses = block_on(storage.mass_revocations()).expect("the revocations");
    for number in &acknowledged {
        let scope = MassScope::Family(TokenId::from_bytes(id(*number)));
        assert!(masses.iter().any(|mass| mass.scope == scope), "acknowledged revocation {number} is lost");
        let organization = OrganizationId::from_bytes(id(*number));
        assert!(block_on(storage.organization(organization)).expect("read").is_some(), "{number} is lost");
    }
    let revision = block_on(storage.heartbeat()).expect("a heartbeat").revision;
    assert_eq!(revision.number, masses.len() as u64, "each revocation has its revision, and no other");
    let audit = block_on(storage.audit(0, usize::MAX)).expect("the audit");
    assert_eq!(verify_chain(&audit, None), Ok(()));
    println!("{rounds} kills, {} acknowledged, 0 lost", acknowledged.len());
}

#[test]
fn an_acknowledged_act_survives_a_kill() {
    kills(40);
}

#[test]
#[ignore = "long: 1,000 kills"]
fn an_acknowledged_act_survives_a_thousand_kills() {
    kills(1000);
}

#[test]
#[ignore = "needs strace: run by cargo xtask test"]
fn each_acknowledgement_is_synced_before_it_is_given() {
    const ACTS: u32 = 50;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let trace = folder.path().join("trace.txt");
    let trace_path = trace.to_str().expect("a printable path");
    let strace = ["strace", "-f", "-e", "trace=fdatasync,fsync,write", "-o", trace_path];
    let mut child = start(&strace, &path, ACTS);
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let acknowledged = lines.by_ref().filter(|line| line.contains("acknowledged ")).count();
    let _ = child.wait();
    assert_eq!(acknowledged, 50);
    let trace = std::fs::read_to_string(&trace).expect("the trace");
    let (mut syncs, mut all, mut least) = (0, 0, usize::MAX);
    for line in trace.lines().skip_while(|line| !line.contains("ready")) {
        if line.contains("fdatasync(") || line.contains("fsync(") {
            syncs += 1;
            all += 1;
        } else if line.contains("acknowledged ") {
            least = least.min(syncs);
            syncs = 0;
        }
    }
    println!(
        "{all} syncs for {acknowledged} acknowledgements of two acts each, at least {least} before each"
    );
    assert!(least >= 2, "an acknowledgement came after {least} syncs for its two acts");
}
