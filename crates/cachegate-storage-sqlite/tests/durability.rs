//! What was acknowledged stays: when the process is killed, when files are damaged, when many act at once.
#![cfg(unix)]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cachegate_storage::{
    Changes, Keys, MassRevocation, MassScope, Preconditions, Revisions, Rules, SingleUse, StoreError, Tokens,
};
use cachegate_storage_sqlite::{OpenError, Options, SqliteStorage};
use cachegate_types::{Name, Timestamp};
use futures_executor::block_on;
use rusqlite::Connection;
use tempfile::TempDir;

use common::{act, argument, audit, child, is_revoked, issue, record, revoke, revoked, token};

/// Numbers that look random and are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Not a rule: issues and revokes tokens, and writes down what was acknowledged, until it is killed.
#[test]
fn act_until_killed() {
    let Some(folder) = argument() else { return };
    let folder = Path::new(&folder);
    let storage = SqliteStorage::open(&folder.join("store.sqlite")).expect("the store");
    let mut acknowledged =
        OpenOptions::new().append(true).create(true).open(folder.join("acknowledged")).expect("a list");
    let first = u64::try_from(audit(&storage).len()).expect("a length") + 1;
    for number in first.. {
        issue(&storage, number);
        writeln!(acknowledged, "issued {number}").expect("written");
        revoke(&storage, number);
        writeln!(acknowledged, "revoked {number}").expect("written");
        block_on(storage.consume("kill", &number.to_be_bytes(), Timestamp::MAX)).expect("consumed");
        writeln!(acknowledged, "consumed {number}").expect("written");
    }
}

/// Kills `rounds` processes at random moments; answers how many acts were acknowledged.
fn kill(rounds: u64) -> usize {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let mut numbers = Numbers(7);
    let mut count = 0;
    for round in 0..rounds {
        let mut process = child("act_until_killed", &folder.path().display().to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        // The moment has to be somewhere in the middle of its work, and nothing but time brings it there.
        let deadline = Instant::now() + Duration::from_millis(15 + numbers.below(60));
        while Instant::now() < deadline {
            assert_eq!(process.try_wait().expect("a process"), None, "round {round}: it ended by itself");
            std::thread::yield_now();
        }
        process.kill().expect("killed");
        process.wait().expect("gone");
        let storage = SqliteStorage::open(&path).expect("the store");
        // A line that was cut off was not acknowledged, and the next process writes a line of its own.
        let acknowledged = folder.path().join("acknowledged");
        let mut list = fs::read_to_string(&acknowledged).unwrap_or_default();
        list.truncate(list.rfind('\n').map_or(0, |end| end + 1));
        fs::write(&acknowledged, &list).expect("written");
        count = 0;
        for line in list.lines() {
            let (what, number) = line.split_once(' ').expect("two words");
            let number: u64 = number.parse().expect("a number");
            match what {
                "issued" => assert!(is_revoked(&storage, number).is_some(), "round {round}: {line} was lost"),
                "revoked" => {
                    assert_eq!(is_revoked(&storage, number), Some(true), "round {round}: {line} was lost");
                }
                "consumed" => {
                    let key = number.to_be_bytes();
                    let again = block_on(storage.consume("kill", &key, Timestamp::MAX));
                    assert_eq!(again, Ok(false), "round {round}: {line} was lost");
                }
                other => panic!("{other}"),
            }
            count += 1;
        }
        // Nothing is half done: each token has its records, each revocation its revision.
        let records = audit(&storage);
        let revision = block_on(storage.heartbeat()).expect("a heartbeat").revision.number;
        let revocations = records.iter().filter(|record| &*record.entry.code == "token_revoked").count();
        assert_eq!(u64::try_from(revocations), Ok(revision), "round {round}");
        assert_eq!(block_on(storage.verify()), Ok(()), "round {round}");
    }
    count
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let count = kill(40);
    assert!(count > 40, "{count} acts were acknowledged: too few to show anything");
}

#[test]
#[ignore = "long: takes minutes"]
fn a_thousand_killed_processes_lose_nothing_that_they_acknowledged() {
    println!("{} acts were acknowledged", kill(1000));
}

/// Not a rule: revokes a hundred tokens one by one.
#[test]
fn revoke_a_hundred() {
    let Some(path) = argument() else { return };
    let storage = SqliteStorage::open(Path::new(&path)).expect("the store");
    for number in 0..100 {
        revoke(&storage, number);
    }
    // Without closing, which syncs as well.
    std::process::exit(0);
}

#[test]
#[ignore = "needs strace: run by cargo xtask test"]
fn each_acknowledgement_is_preceded_by_a_sync() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    {
        let storage = SqliteStorage::open(&path).expect("a store");
        (0..100).for_each(|number| issue(&storage, number));
    }
    let trace = folder.path().join("trace");
    let ran = child("revoke_a_hundred", "");
    let status = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync,fsync", "-o"])
        .arg(&trace)
        .arg(ran.get_program())
        .args(ran.get_args())
        .env("CACHEGATE_CHILD", &path)
        .stdout(Stdio::null())
        .status()
        .expect("strace is installed");
    assert!(status.success());
    let trace = fs::read_to_string(trace).expect("a trace");
    let syncs = trace.lines().filter(|line| line.contains("store.sqlite-wal")).count();
    println!("{syncs} syncs of the log for 100 acknowledged revocations");
    assert!(syncs >= 100, "{syncs} syncs for 100 acknowledgements");
}

/// A store with many rows; answers which tokens are revoked.
fn furnished(path: &Path) -> BTreeMap<u64, bool> {
    let storage = SqliteStorage::open(path).expect("a store");
    let mut expected = BTreeMap::new();
    for number in 0..60 {
        issue(&storage, number);
        if number % 2 == 0 {
            revoke(&storage, number);
        }
        expected.insert(number, number % 2 == 0);
    }
    let mass = MassRevocation { scope: MassScope::Family(token(7)), issued_until: None, revoked: revoked(3) };
    block_on(storage.revoke_many(&mass, &act(3))).expect("revoked");
    expected
}

/// What a damaged store turned out to be.
#[derive(Debug, Default)]
struct Found {
    refused: usize,
    corrupt: usize,
    whole: usize,
}

/// Opens a store that may be damaged. It may refuse to open or to read; what it does read has to be true.
fn look_at(path: &Path, expected: &BTreeMap<u64, bool>, found: &mut Found, what: &str) {
    let storage = match SqliteStorage::open(path) {
        Ok(storage) => storage,
        Err(
            OpenError::Damaged { .. }
            | OpenError::Truncated { .. }
            | OpenError::NotADatabase { .. }
            | OpenError::Empty { .. }
            | OpenError::Foreign { .. }
            | OpenError::TooNew { .. }
            | OpenError::Behind { .. }
            | OpenError::NoLog { .. }
            | OpenError::DamagedWitness { .. },
        ) => {
            found.refused += 1;
            return;
        }
        Err(other) => panic!("{what}: {other:?}"),
    };
    let mut is_corrupt = false;
    for (number, is_revoked) in expected {
        match block_on(storage.token(token(*number))) {
            Ok(Some(token)) => assert_eq!(token.revoked.is_some(), *is_revoked, "{what}: token {number}"),
            // Unknown, and so refused.
            Ok(None) | Err(StoreError::Corrupt { .. }) => is_corrupt = true,
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
    for unknown in 1000..1010 {
        let answer = block_on(storage.token(token(unknown)));
        assert!(!matches!(answer, Ok(Some(_))), "{what}: a token that was never issued");
    }
    match block_on(storage.mass_revocations()) {
        Ok(masses) => assert_eq!(masses.len(), 1, "{what}: a mass revocation"),
        Err(StoreError::Corrupt { .. }) => is_corrupt = true,
        Err(other) => panic!("{what}: {other:?}"),
    }
    // An act either is refused or leaves a store that reads.
    let _ = block_on(storage.insert_token(&record(2000), &Preconditions::default(), &act(9)));
    if is_corrupt {
        found.corrupt += 1;
    } else {
        found.whole += 1;
    }
}

#[test]
fn a_database_with_flipped_bits_gives_nobody_a_right_back() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let expected = furnished(&path);
    let whole = fs::read(&path).expect("the store");
    let (mut numbers, mut found) = (Numbers(1), Found::default());
    for round in 0..400 {
        let copy = folder.path().join(format!("{round}.sqlite"));
        let mut bytes = whole.clone();
        let length = u64::try_from(bytes.len()).expect("a length");
        let at = usize::try_from(numbers.below(length)).expect("a place");
        let count = if round % 2 == 0 { 1 } else { 1 + numbers.below(64) };
        for index in 0..usize::try_from(count).expect("a count") {
            if let Some(byte) = bytes.get_mut(at + index) {
                *byte ^= if round % 4 == 0 { 1 << numbers.below(8) } else { numbers.next().to_le_bytes()[0] };
            }
        }
        fs::write(&copy, &bytes).expect("written");
        look_at(&copy, &expected, &mut found, &format!("round {round}: {count} bytes at {at}"));
        let _ = fs::remove_file(&copy);
        for suffix in ["-wal", "-shm", "-acknowledged"] {
            let _ = fs::remove_file(format!("{}{suffix}", copy.display()));
        }
    }
    println!("{found:?}");
    assert!(found.refused > 0 && found.corrupt > 0 && found.whole > 0, "{found:?}");
}

#[test]
fn a_database_cut_off_anywhere_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let expected = furnished(&path);
    let whole = fs::read(&path).expect("the store");
    let (mut numbers, mut found) = (Numbers(2), Found::default());
    for round in 0..100 {
        let length = usize::try_from(numbers.below(whole.len() as u64)).expect("a length");
        let copy = folder.path().join(format!("{round}.sqlite"));
        fs::write(&copy, &whole[..length]).expect("written");
        look_at(&copy, &expected, &mut found, &format!("cut at {length}"));
    }
    assert_eq!((found.refused, found.corrupt, found.whole), (100, 0, 0));
}

/// A copy of the database, its log and its count, as a crash at this moment would leave them.
fn copy(from: &Path, to: &Path) {
    // In this order: a count that was copied first is never ahead of a log that was copied later.
    for suffix in ["-acknowledged", "-wal", ""] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        let _ = fs::remove_file(name(to));
        fs::copy(name(from), name(to)).expect("copied");
    }
    let _ = fs::remove_file(format!("{}-shm", to.display()));
}

#[test]
fn a_log_that_was_cut_or_flipped_resurrects_nothing_silently() {
    let folder = TempDir::new().expect("a folder");
    let (path, torn) = (folder.path().join("store.sqlite"), folder.path().join("torn.sqlite"));
    let storage = SqliteStorage::open(&path).expect("a store");
    (0..40).for_each(|number| issue(&storage, number));
    let (mut numbers, mut refused, mut whole) = (Numbers(3), 0, 0);
    for round in 0..200_u64 {
        if round % 5 == 0 {
            revoke(&storage, round / 5);
        }
        copy(&path, &torn);
        let log = File::options().write(true).open(format!("{}-wal", torn.display())).expect("the log");
        let length = log.metadata().expect("the log").len();
        // The tail, where a crash tears.
        let at = length.saturating_sub(1 + numbers.below(length.min(30_000)));
        if round % 2 == 0 {
            log.set_len(at).expect("cut");
        } else {
            use std::os::unix::fs::FileExt;
            let junk = numbers.next().to_le_bytes();
            log.write_all_at(&junk[..1 + usize::try_from(at % 8).expect("small")], at).expect("flipped");
        }
        match SqliteStorage::open(&torn) {
            // What was torn off was not needed, or is there a second time in the database.
            Ok(torn) => {
                for number in 0..=round / 5 {
                    assert_eq!(is_revoked(&torn, number), Some(true), "round {round}: resurrected {number}");
                }
                whole += 1;
            }
            Err(OpenError::Behind { found, acknowledged, .. }) => {
                assert!(found < acknowledged, "round {round}");
                refused += 1;
            }
            Err(other) => panic!("round {round}: {other:?}"),
        }
    }
    println!("{refused} torn logs were noticed, {whole} held all that was acknowledged");
    assert!(refused > 100, "{refused} were noticed");
}

#[test]
fn without_its_count_a_cut_log_is_taken_for_a_crash() {
    let folder = TempDir::new().expect("a folder");
    let (path, torn) = (folder.path().join("store.sqlite"), folder.path().join("torn.sqlite"));
    let storage = SqliteStorage::open(&path).expect("a store");
    issue(&storage, 1);
    revoke(&storage, 1);
    copy(&path, &torn);
    fs::remove_file(format!("{}-acknowledged", torn.display())).expect("removed");
    let log = File::options().write(true).open(format!("{}-wal", torn.display())).expect("the log");
    log.set_len(log.metadata().expect("the log").len() - 1).expect("cut");
    // What the count is for: SQLite alone cannot tell this from a crash before the acknowledgement.
    let torn = SqliteStorage::open(&torn).expect("a store");
    assert_eq!(is_revoked(&torn, 1), Some(false));
}

#[test]
fn many_threads_lose_no_update() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    mixed(&storage, 4, 25);
    check_mixed(&storage, 4, 25);
}

/// `threads` threads issue, revoke, consume, and count upwards in one document, each `count` times.
fn mixed(storage: &SqliteStorage, threads: u64, count: u64) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for round in 0..count {
                    work(storage, thread * 1000 + round, round);
                }
            });
        }
    });
}

fn work(storage: &SqliteStorage, number: u64, shared: u64) {
    issue(storage, number);
    revoke(storage, number);
    // One of all wins.
    if block_on(storage.consume("race", &shared.to_be_bytes(), Timestamp::MAX)).expect("an answer") {
        block_on(storage.put_sealed(&format!("winner {shared}"), b"")).expect("nobody else won");
    }
    // Compare and set: nobody's writing is overwritten unread.
    let name: Name = "counter".parse().expect("a name");
    loop {
        let found = block_on(storage.rules(&name)).expect("readable");
        let expected = found.as_ref().map(|document| document.revision);
        let count =
            found.map_or(0, |document| u64::from_be_bytes(document.bytes.try_into().expect("eight bytes")));
        match block_on(storage.put_rules(&name, &(count + 1).to_be_bytes(), expected, &act(1))) {
            Ok(_) => break,
            Err(StoreError::Precondition { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn check_mixed(storage: &SqliteStorage, workers: u64, count: u64) {
    let name: Name = "counter".parse().expect("a name");
    let document = block_on(storage.rules(&name)).expect("readable").expect("there");
    assert_eq!(u64::from_be_bytes(document.bytes.try_into().expect("eight bytes")), workers * count);
    for worker in 0..workers {
        for round in 0..count {
            assert_eq!(is_revoked(storage, worker * 1000 + round), Some(true));
        }
    }
    for round in 0..count {
        assert_eq!(block_on(storage.sealed(&format!("winner {round}"))), Ok(Some(Vec::new())));
    }
    let records = audit(storage);
    // Each worker's acts: issued, revoked, written.
    assert_eq!(u64::try_from(records.len()), Ok(workers * count * 3));
    let revision = block_on(storage.heartbeat()).expect("a heartbeat").revision;
    assert_eq!(revision.number, workers * count * 2);
    let start = cachegate_types::Revision { number: 0, ..revision };
    match block_on(storage.changes_after(start, usize::MAX)).expect("the feed") {
        Changes::After { changes, upto, more: false } => {
            assert_eq!((changes.len() as u64, upto), (workers * count * 2, revision));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(block_on(storage.verify()), Ok(()));
}

/// Not a rule: one of several processes that share a file.
#[test]
fn share_a_file() {
    let Some(argument) = argument() else { return };
    let (number, path) = argument.split_once(' ').expect("a number and a path");
    let storage = SqliteStorage::open(Path::new(path)).expect("the store");
    let number: u64 = number.parse().expect("a number");
    (0..25).for_each(|round| work(&storage, number * 1000 + round, round));
}

#[test]
fn several_processes_lose_no_update_and_see_one_another() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    let mut processes: Vec<_> = (1..4)
        .map(|number| {
            child("share_a_file", &format!("{number} {}", path.display()))
                .stdout(Stdio::null())
                .spawn()
                .expect("a process")
        })
        .collect();
    (0..25).for_each(|round| work(&storage, round, round));
    for process in &mut processes {
        assert!(process.wait().expect("a process").success());
    }
    check_mixed(&storage, 4, 25);
}

#[test]
fn nobody_waits_longer_than_declared_for_a_lock() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let patience = Duration::from_millis(300);
    let storage = SqliteStorage::open_with(&path, &Options::new().with_patience(patience)).expect("a store");
    issue(&storage, 1);
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let answer = block_on(storage.revoke_token(token(1), &revoked(2), &act(2)));
                match answer {
                    Err(StoreError::Unavailable { detail }) => {
                        assert!(detail.contains("another process"), "{detail}");
                    }
                    other => panic!("{other:?}"),
                }
                // Forty calls in a row would take twelve seconds if each waited for itself.
                assert!(began.elapsed() < patience * 30, "{:?}", began.elapsed());
            });
        }
    });
    // Reads do not wait for whoever acts.
    assert_eq!(is_revoked(&storage, 1), Some(false));
    drop(other);
    revoke(&storage, 1);
    assert_eq!(is_revoked(&storage, 1), Some(true));
}

#[test]
fn dropping_the_store_leaves_one_whole_file() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    let clone = storage.clone();
    drop(storage);
    issue(&clone, 1);
    drop(clone);
    assert!(!folder.path().join("store.sqlite-wal").exists());
    let moved = folder.path().join("moved.sqlite");
    fs::rename(&path, &moved).expect("moved");
    assert_eq!(is_revoked(&SqliteStorage::open(&moved).expect("the store"), 1), Some(false));
}
