//! SQLite obeys every rule, and answers as the model does.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "tests")]

use std::sync::Arc;
use std::time::Instant;

use cachegate_storage::Storage;
use cachegate_storage::conformance::{
    CASES, PERSISTENT_CASES, failures, random_operations, run_against_model,
};
use cachegate_storage_sqlite::SqliteStorage;
use futures_executor::block_on;
use tempfile::TempDir;

/// Stores in one folder, each in a file of its own.
struct Fresh {
    folder: TempDir,
    made: std::cell::Cell<u32>,
}

impl Fresh {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), made: std::cell::Cell::new(0) }
    }

    fn next(&self) -> Arc<dyn Storage> {
        self.made.set(self.made.get() + 1);
        self.open()
    }

    fn open(&self) -> Arc<dyn Storage> {
        let path = self.folder.path().join(format!("{}.sqlite", self.made.get()));
        Arc::new(SqliteStorage::open(&path).expect("a store"))
    }
}

#[test]
fn sqlite_obeys_every_rule() {
    let fresh = Fresh::new();
    let failed = failures(&|| fresh.next());
    assert!(failed.is_empty(), "{} of {} cases fail: {failed:#?}", failed.len(), CASES.len());
}

#[test]
fn what_sqlite_acknowledged_is_there_when_it_is_opened_again() {
    let fresh = Fresh::new();
    for (name, case) in PERSISTENT_CASES {
        drop(fresh.next());
        assert_eq!(block_on(case(&|| fresh.open())), Ok(()), "{name}");
    }
}

/// Sequences by default; `CACHEGATE_MODEL_SEQUENCES` asks for more. Each operation is a synced commit.
const SEQUENCES: u64 = 60;
const LENGTH: usize = 60;

#[test]
fn sqlite_answers_as_the_model_does() {
    let asked = std::env::var("CACHEGATE_MODEL_SEQUENCES").ok().and_then(|text| text.parse().ok());
    let sequences: u64 = asked.unwrap_or(SEQUENCES);
    let (fresh, began) = (Fresh::new(), Instant::now());
    for seed in 0..sequences {
        let operations = random_operations(seed, LENGTH);
        let outcome = block_on(run_against_model(&*fresh.next(), &operations));
        assert_eq!(outcome, Ok(()), "seed {seed}: {operations:#?}");
    }
    println!("{sequences} sequences of {LENGTH} operations agree, in {:?}", began.elapsed());
}
