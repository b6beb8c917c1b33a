//! What a path may be, and what is said of each. Nothing that is there is ever changed or lost.
#![cfg(unix)]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cachegate_storage::{Changes, Revisions};
use cachegate_storage_sqlite::{OpenError, Options, SqliteStorage};
use futures_executor::block_on;
use rusqlite::Connection;
use tempfile::TempDir;

use common::{audit, child, is_revoked, issue, revoke};

/// Why the path cannot be opened, without waiting for long.
fn refusal(path: &Path) -> OpenError {
    let options = Options::new().with_patience(Duration::from_millis(200));
    SqliteStorage::open_with(path, &options).expect_err("no store")
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// Makes a store with one revoked token.
fn store(path: &Path) {
    let storage = SqliteStorage::open(path).expect("a store");
    issue(&storage, 1);
    revoke(&storage, 1);
}

/// Every file of the folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap_or_default())).collect()
}

/// The refusal of a file with this content, which stays as it is.
fn refusal_of(content: &[u8]) -> OpenError {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    fs::write(&path, content).expect("written");
    let before = files(folder.path());
    let refusal = refusal(&path);
    assert_eq!(files(folder.path()), before, "{refusal}");
    refusal
}

#[test]
fn a_store_is_made_whole_and_for_its_owner_alone() {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    issue(&storage, 1);
    let names: Vec<String> = files(folder.path()).keys().map(|path| path.display().to_string()).collect();
    for name in &names {
        let mode = fs::metadata(name).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let expected = ["", "-acknowledged", "-shm", "-wal"].map(|suffix| format!("{}{suffix}", path.display()));
    assert_eq!(names, expected);
    drop(storage);
    assert_eq!(files(folder.path()).len(), 2, "the log was read into the file");
    assert_eq!(is_revoked(&SqliteStorage::open(&path).expect("the store"), 1), Some(false));
}

#[test]
fn garbage_is_no_database_and_stays_as_it_is() {
    let mut near = b"SQLite format 3\0".to_vec();
    near.resize(4096, 0xAA);
    let contents: [&[u8]; 7] =
        [b"x", b"\0", &[0; 5000], &[0xFF; 512], b"SQLite format 3", b"#!/bin/sh\necho hello\n", &near];
    for content in contents {
        let refusal = refusal_of(content);
        assert!(matches!(refusal, OpenError::NotADatabase { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains("is no SQLite database; name another path"), "{refusal}");
    }
}

#[test]
fn a_file_that_was_emptied_is_no_new_store() {
    let refusal = refusal_of(b"");
    assert!(matches!(refusal, OpenError::Empty { .. }), "{refusal:?}");
}

#[test]
fn a_store_that_was_cut_off_is_refused() {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    store(&path);
    let whole = fs::read(&path).expect("the store");
    for length in [512, 4096, 5000, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        let refusal = refusal_of(&whole[..length]);
        let expected = u64::try_from(length).expect("a length");
        match refusal {
            OpenError::Truncated { length, .. } => assert_eq!(length, expected),
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn the_database_of_another_application_stays_as_it_is_with_its_log() {
    let folder = folder();
    let path = folder.path().join("other.sqlite");
    for id in [0, 42] {
        let _ = fs::remove_file(&path);
        let other = Connection::open(&path).expect("a database");
        other
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)")
            .expect("made");
        other.pragma_update(None, "application_id", id).expect("an id");
        let _: (i64, i64, i64) = other
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .expect("in the file");
        other.execute_batch("INSERT INTO t VALUES (2)").expect("in the log");
        let before = files(folder.path());
        match refusal(&path) {
            OpenError::Foreign { found, expected, .. } => assert_eq!((found, expected), (id, 0x6367_6462)),
            other => panic!("{other:?}"),
        }
        assert_eq!(files(folder.path()), before);
    }
}

/// The store after `change` was done to it by another program.
fn changed(change: &str) -> OpenError {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    store(&path);
    Connection::open(&path).expect("a database").execute_batch(change).expect("changed");
    let before = fs::read(&path).expect("the store");
    let refusal = refusal(&path);
    assert_eq!(fs::read(&path).expect("the store"), before, "{refusal}");
    refusal
}

#[test]
fn the_store_of_a_newer_program_is_refused() {
    match changed("PRAGMA user_version = 2") {
        OpenError::TooNew { found: 2, known: 1, .. } => {}
        other => panic!("{other:?}"),
    }
    match changed("PRAGMA user_version = 0") {
        OpenError::Damaged { detail, .. } => assert!(detail.contains("version is 0"), "{detail}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_with_other_tables_is_refused() {
    for change in [
        "CREATE TRIGGER forgive AFTER UPDATE ON tokens BEGIN UPDATE tokens SET revoked = NULL; END",
        "CREATE VIEW v AS SELECT * FROM tokens",
        "DROP INDEX tokens_by_end",
        "ALTER TABLE tokens ADD COLUMN more TEXT",
    ] {
        match changed(change) {
            OpenError::Damaged { detail, .. } => {
                assert!(detail.contains("tables and indexes"), "{change}: {detail}");
            }
            other => panic!("{change}: {other:?}"),
        }
    }
}

#[test]
fn a_store_whose_counting_row_was_changed_is_refused() {
    for (change, expected) in [
        ("DELETE FROM store", "one row is missing"),
        ("UPDATE store SET number = 0", "checksum"),
        ("UPDATE store SET masses = masses + 1", "checksum"),
    ] {
        match changed(change) {
            OpenError::Damaged { detail, .. } => assert!(detail.contains(expected), "{change}: {detail}"),
            other => panic!("{change}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = folder();
    for path in [folder.path(), Path::new("/"), Path::new("/dev/null"), Path::new("..")] {
        let refusal = refusal(path);
        assert!(matches!(refusal, OpenError::NotAFile { .. }), "{refusal:?}");
    }
    let file = folder.path().join("file");
    fs::write(&file, b"x").expect("written");
    for path in [folder.path().join("no/store.sqlite"), file.join("store.sqlite")] {
        let refusal = refusal(&path);
        assert!(matches!(refusal, OpenError::NoFolder { .. }), "{refusal:?}");
    }
    assert_eq!(files(folder.path()).len(), 1, "nothing was made");
}

#[test]
fn a_log_without_its_database_is_read_into_no_new_one() {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    for suffix in ["-wal", "-journal"] {
        let log = PathBuf::from(format!("{}{suffix}", path.display()));
        fs::write(&log, b"the acts of another database").expect("written");
        let before = files(folder.path());
        match refusal(&path) {
            OpenError::OrphanedLog { log: found, .. } => assert_eq!(found.file_name(), log.file_name()),
            other => panic!("{other:?}"),
        }
        assert_eq!(files(folder.path()), before);
        fs::write(&log, b"").expect("emptied");
    }
    store(&path);
}

#[test]
fn who_waits_for_a_lock_in_vain_is_told_so() {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    store(&path);
    let other = Connection::open(&path).expect("a database");
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM consumed")
        .expect("locked");
    match refusal(&path) {
        OpenError::Locked { waited, .. } => assert_eq!(waited, Duration::from_millis(200)),
        other => panic!("{other:?}"),
    }
    drop(other);
    assert_eq!(is_revoked(&SqliteStorage::open(&path).expect("free again"), 1), Some(true));
}

#[test]
fn a_name_is_a_name_whatever_is_in_it() {
    let folder = folder();
    let names: [&[u8]; 9] = [
        b":memory:",
        b"file:a?mode=memory",
        b"a?immutable=1&b#c",
        b"per%20cent %41",
        b"it's \"quoted\"; DROP TABLE x",
        "d\u{e9}j\u{e0} \u{1f512}".as_bytes(),
        b"new\nline",
        b"not \xFF UTF-8",
        b"-wal",
    ];
    for name in names {
        let path = folder.path().join(OsStr::from_bytes(name));
        store(&path);
        assert!(fs::metadata(&path).expect("that very file").len() > 0);
        assert_eq!(is_revoked(&SqliteStorage::open(&path).expect("the store"), 1), Some(true), "{path:?}");
    }
}

#[test]
fn a_link_leads_to_the_one_store() {
    let folder = folder();
    let (path, link) = (folder.path().join("store.sqlite"), folder.path().join("link"));
    store(&path);
    symlink(&path, &link).expect("a link");
    let (one, other) =
        (SqliteStorage::open(&path).expect("the store"), SqliteStorage::open(&link).expect("the same"));
    issue(&one, 2);
    assert_eq!(is_revoked(&other, 2), Some(false));
}

#[test]
fn stores_made_at_the_same_time_are_one_store() {
    let folder = folder();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.sqlite"));
        let epochs = std::thread::scope(|scope| {
            let open = || {
                let storage = SqliteStorage::open(&path).expect("a store");
                block_on(storage.heartbeat()).expect("a heartbeat").revision
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(epochs.iter().all(|epoch| epoch == &epochs[0]), "{epochs:?}");
    }
    let left = files(folder.path()).into_keys().find(|path| path.extension() == Some("new".as_ref()));
    assert_eq!(left, None, "nothing half made is left");
}

#[test]
fn an_older_file_that_was_put_back_is_refused_until_somebody_says_so() {
    let folder = folder();
    let (path, backup) = (folder.path().join("store.sqlite"), folder.path().join("backup"));
    {
        let storage = SqliteStorage::open(&path).expect("a store");
        issue(&storage, 1);
    }
    fs::copy(&path, &backup).expect("a backup");
    let held = {
        let storage = SqliteStorage::open(&path).expect("the store");
        revoke(&storage, 1);
        block_on(storage.heartbeat()).expect("a heartbeat").revision
    };
    fs::copy(&backup, &path).expect("put back");
    match refusal(&path) {
        OpenError::Behind { found: 1, acknowledged: 2, .. } => {}
        other => panic!("{other:?}"),
    }
    let storage = SqliteStorage::open_with(&path, &Options::new().restored()).expect("as restored");
    assert_eq!(is_revoked(&storage, 1), Some(false), "what was done since is gone");
    let now = block_on(storage.heartbeat()).expect("a heartbeat").revision;
    assert_ne!(now.epoch, held.epoch);
    let changes = block_on(storage.changes_after(held, 9)).expect("the feed");
    assert_eq!(changes, Changes::Restart { upto: now }, "and every node drops what it holds");
    revoke(&storage, 1);
    drop(storage);
    let storage = SqliteStorage::open(&path).expect("it is the newest now");
    assert_eq!(is_revoked(&storage, 1), Some(true));
    assert_eq!(audit(&storage).len(), 2);
}

#[test]
fn a_log_that_was_cut_is_noticed() {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    issue(&storage, 1);
    let before = fs::read(folder.path().join("store.sqlite-wal")).expect("the log");
    revoke(&storage, 1);
    let copy = folder.path().join("copy.sqlite");
    for (from, to) in
        [("store.sqlite", "copy.sqlite"), ("store.sqlite-acknowledged", "copy.sqlite-acknowledged")]
    {
        fs::copy(folder.path().join(from), folder.path().join(to)).expect("copied");
    }
    fs::write(folder.path().join("copy.sqlite-wal"), before).expect("an earlier log");
    let refusal = refusal(&copy);
    assert!(matches!(refusal, OpenError::Behind { found: 1, acknowledged: 2, .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("revocations may be among those"), "{refusal}");
}

#[test]
fn a_damaged_count_is_no_count_and_a_missing_one_is_made_again() {
    let folder = folder();
    let path = folder.path().join("store.sqlite");
    let count = folder.path().join("store.sqlite-acknowledged");
    store(&path);
    fs::write(&count, b"nonsense").expect("written");
    match refusal(&path) {
        OpenError::DamagedWitness { witness } => assert_eq!(witness.file_name(), count.file_name()),
        other => panic!("{other:?}"),
    }
    fs::remove_file(&count).expect("removed, as the message says");
    drop(SqliteStorage::open(&path).expect("the store"));
    assert_eq!(fs::read(&count).expect("made again").len(), 20);
}

#[test]
fn the_messages_are_one_line_each_and_say_what_to_do() {
    let path = PathBuf::from("/var/lib/store.sqlite");
    for refusal in
        [refusal(Path::new("/dev/null")), refusal(Path::new("/no/such")), refusal_of(b""), refusal_of(b"x")]
    {
        let text = refusal.to_string();
        assert!(text.contains("; ") && !text.contains('\n') && !text.ends_with('.'), "{text}");
    }
    let locked = OpenError::Locked { path, waited: Duration::from_millis(1500) };
    assert_eq!(
        locked.to_string(),
        "the database `/var/lib/store.sqlite` was kept locked by another process for 1.5 s; stop that process, or \
         wait for it"
    );
}

/// Not a rule: the other end of [`refusal_of_nobody`].
#[test]
fn open_as_somebody_else() {
    let Some(path) = common::argument() else { return };
    match SqliteStorage::open(Path::new(&path)) {
        Ok(_) => println!("answer: opened"),
        Err(error) => println!("answer: {error:?}"),
    }
}

/// What a user who is not root is answered: root may do everything.
fn refusal_of_nobody(folder: &Path, path: &Path) -> String {
    let program = folder.join("program");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
    let mut nobody = Command::new(&program);
    nobody.args(child("open_as_somebody_else", "").get_args());
    nobody.env("CACHEGATE_CHILD", path).current_dir(folder);
    if fs::metadata(folder).expect("a folder").uid() == 0 {
        nobody.uid(65_534).gid(65_534);
    }
    let output = nobody.output().expect("it ran");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer =
        text.lines().find_map(|line| line.split_once("answer: ").map(|(_, answer)| answer.to_owned()));
    answer.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_missing_permission_is_named() {
    let outer = folder();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode(outer.path(), 0o755);
    let inner = outer.path().join("data");
    fs::create_dir(&inner).expect("a folder");
    let path = inner.join("store.sqlite");

    mode(&inner, 0o555);
    let answer = refusal_of_nobody(outer.path(), &path);
    assert!(answer.starts_with("ReadOnlyFolder"), "nothing can be made: {answer}");
    mode(&inner, 0o777);
    store(&path);
    fs::remove_file(inner.join("store.sqlite-acknowledged")).expect("removed");
    for (file, folder, expected) in [
        (0o000, 0o777, "NoPermission"),
        (0o444, 0o777, "ReadOnlyFile"),
        (0o666, 0o555, "ReadOnlyFolder"),
        (0o666, 0o000, "NoPermission"),
        (0o666, 0o777, "opened"),
    ] {
        mode(&path, file);
        mode(&inner, folder);
        let before = fs::read(&path).expect("the store");
        let answer = refusal_of_nobody(outer.path(), &path);
        assert!(answer.starts_with(expected), "{file:o} in {folder:o}: {answer}");
        assert_eq!(fs::read(&path).expect("the store"), before, "{expected}");
    }
    mode(&inner, 0o755);
}
