//! What is not this storage's file is refused with one clear sentence, and left as it is.

#![expect(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cachegate_storage::{Act, Keys, OrganizationRecord, Organizations, Storage, StoreError};
use cachegate_storage_sqlite::{OpenError, SqliteStorage};
use cachegate_types::{OrganizationId, Principal, Timestamp};
use futures_executor::block_on;
use rusqlite::Connection;

fn refused(path: &Path) -> OpenError {
    let error = SqliteStorage::open(path).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && !text.contains('\n'), "{text}");
    error
}

fn act() -> Act {
    Act { by: Principal::Anonymous, token: None, at: Timestamp::from(1) }
}

#[test]
fn garbage_is_no_database_and_stays_garbage() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    for length in [1, 15, 100, 5000] {
        let garbage = b"not a database, but somebody's letters ".repeat(length / 39 + 1);
        fs::write(&path, &garbage).expect("written");
        assert!(matches!(refused(&path), OpenError::NotADatabase { .. }), "{length}");
        assert_eq!(fs::read(&path).expect("read"), garbage, "{length}");
    }
}

#[test]
fn another_applications_database_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let other = Connection::open(&path).expect("a database");
    other
        .execute_batch("CREATE TABLE letters (text TEXT); INSERT INTO letters VALUES ('dear');")
        .expect("made");
    drop(other);
    let before = fs::read(&path).expect("read");
    assert!(matches!(refused(&path), OpenError::Foreign { .. }));
    assert_eq!(fs::read(&path).expect("read"), before);
}

#[test]
fn a_newer_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    drop(SqliteStorage::open(&path).expect("a store"));
    let raw = Connection::open(&path).expect("a database");
    raw.pragma_update(None, "user_version", 99).expect("raised");
    drop(raw);
    assert!(matches!(refused(&path), OpenError::TooNew { found: 99, known: 1, .. }));
}

#[test]
fn a_folder_or_a_missing_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(refused(folder.path()), OpenError::NotAFile { .. }));
    let nowhere = folder.path().join("nowhere").join("x.sqlite");
    assert!(matches!(refused(&nowhere), OpenError::File { .. }));
    assert!(!nowhere.exists());
}

#[test]
fn a_file_that_another_process_holds_for_itself_is_refused_in_bounded_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let holder = Connection::open(&path).expect("a database");
    holder.execute_batch("BEGIN EXCLUSIVE; CREATE TABLE t (x);").expect("held");
    assert!(matches!(refused(&path), OpenError::Locked { .. }));
}

#[test]
fn a_truncated_database_is_refused_or_answers_with_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    block_on(storage.put_sealed("a", &[7; 100_000])).expect("a row");
    drop(storage);
    let raw = Connection::open(&path).expect("a database");
    raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;").expect("one file");
    drop(raw);
    let whole = fs::read(&path).expect("read");
    for length in [100, 4096, 4097, 50_000, whole.len() - 4096] {
        fs::write(&path, whole.get(..length).expect("shorter")).expect("cut");
        match SqliteStorage::open(&path) {
            Err(error) => assert!(matches!(error, OpenError::NotADatabase { .. }), "{length}: {error}"),
            Ok(storage) => {
                let read = block_on(storage.sealed("a"));
                assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{length}: {read:?}");
            }
        }
        for leftover in ["x.sqlite-wal", "x.sqlite-shm"] {
            let _ = fs::remove_file(folder.path().join(leftover));
        }
    }
}

#[test]
fn a_row_that_cannot_be_read_names_its_table_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    let id = OrganizationId::from_bytes([1; 16]);
    let record = OrganizationRecord {
        id,
        name: "acme".parse().expect("a name"),
        personal_of: None,
        created_at: Timestamp::from(1),
    };
    block_on(storage.create_organization(&record, &act())).expect("made");
    let raw = Connection::open(&path).expect("a database");
    raw.execute("UPDATE organizations SET name = 'NO NAME'", []).expect("spoilt");
    let error = block_on(storage.organization(id)).expect_err("corrupt");
    assert_eq!(
        error,
        StoreError::Corrupt {
            what: "organizations",
            detail: "its column `name` holds no such value".to_owned()
        }
    );
    assert!(!error.to_string().contains("NO NAME"), "no content");
}

#[test]
fn two_stores_on_one_file_see_each_others_acts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.sqlite");
    let stores: Vec<Arc<dyn Storage>> =
        (0..2).map(|_| Arc::new(SqliteStorage::open(&path).expect("a store")) as Arc<dyn Storage>).collect();
    let threads: Vec<_> = (0_u8..4)
        .map(|thread| {
            let store = Arc::clone(stores.get(usize::from(thread % 2)).expect("a store"));
            std::thread::spawn(move || {
                for round in 0_u8..20 {
                    let key = [thread, round];
                    assert_eq!(block_on(store.consume("race", &key, Timestamp::MAX)), Ok(true));
                    assert_eq!(block_on(store.consume("race", &key, Timestamp::MAX)), Ok(false));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    let revisions: Vec<_> =
        stores.iter().map(|store| block_on(store.heartbeat()).expect("a heartbeat").revision).collect();
    assert_eq!(revisions.first(), revisions.last());
}
