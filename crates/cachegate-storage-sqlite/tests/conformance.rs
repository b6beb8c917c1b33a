//! The rules that every back-end obeys, over a file, over memory, and against a model.

use std::cell::Cell;
use std::sync::Arc;

use cachegate_storage::Storage;
use cachegate_storage::conformance::{
    ACCOUNT_CASES, CASES, DIRECTORY_CASES, PERSISTENT_CASES, failures, random_operations, run_against_model,
};
use cachegate_storage_sqlite::SqliteStorage;
use futures_executor::block_on;
use tempfile::TempDir;

#[test]
fn every_rule_holds_over_a_file() {
    let folder = TempDir::new().expect("a folder");
    let made = Cell::new(0);
    let fresh = || -> Arc<dyn Storage> {
        made.set(made.get() + 1);
        let path = folder.path().join(format!("{}.sqlite", made.get()));
        Arc::new(SqliteStorage::open(&path).expect("a store"))
    };
    assert_eq!(failures(&fresh), []);
    assert_eq!(made.get(), CASES.len());
}

#[test]
fn every_rule_holds_in_memory() {
    let fresh = || -> Arc<dyn Storage> { Arc::new(SqliteStorage::open_in_memory().expect("a store")) };
    assert_eq!(failures(&fresh), []);
}

#[test]
fn every_rule_of_accounts_holds() {
    let folder = TempDir::new().expect("a folder");
    for (name, case) in ACCOUNT_CASES {
        let store = SqliteStorage::open_in_memory().expect("a store");
        assert_eq!(block_on(case(Arc::new(store))), Ok(()), "{name}");
        let store = SqliteStorage::open(&folder.path().join(name)).expect("a store");
        assert_eq!(block_on(case(Arc::new(store))), Ok(()), "{name} over a file");
    }
}

#[test]
fn every_rule_of_directories_holds() {
    let folder = TempDir::new().expect("a folder");
    for (name, case) in DIRECTORY_CASES {
        let store = SqliteStorage::open_in_memory().expect("a store");
        assert_eq!(block_on(case(Arc::new(store))), Ok(()), "{name}");
        let store = Arc::new(SqliteStorage::open(&folder.path().join(name)).expect("a store"));
        assert_eq!(block_on(case(store.clone())), Ok(()), "{name} over a file");
        assert_eq!(block_on(store.verify()), Ok(()), "{name}");
    }
}

#[test]
fn every_rule_of_a_store_that_outlives_its_process_holds() {
    for (name, case) in PERSISTENT_CASES {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("store.sqlite");
        let open = || -> Arc<dyn Storage> { Arc::new(SqliteStorage::open(&path).expect("the store")) };
        assert_eq!(block_on(case(&open)), Ok(()), "{name}");
    }
}

#[test]
fn random_operations_are_answered_as_the_model_answers_them() {
    for seed in 0..300 {
        let storage = SqliteStorage::open_in_memory().expect("a store");
        let outcome = block_on(run_against_model(&storage, &random_operations(seed, 60)));
        assert_eq!(outcome, Ok(()), "seed {seed}");
        assert_eq!(block_on(storage.verify()), Ok(()), "seed {seed}");
    }
}

#[test]
fn random_operations_are_answered_alike_over_a_file() {
    let folder = TempDir::new().expect("a folder");
    for seed in 1000..1020 {
        let storage = SqliteStorage::open(&folder.path().join(format!("{seed}"))).expect("a store");
        let outcome = block_on(run_against_model(&storage, &random_operations(seed, 60)));
        assert_eq!(outcome, Ok(()), "seed {seed}");
        assert_eq!(block_on(storage.verify()), Ok(()), "seed {seed}");
    }
}

#[test]
#[ignore = "long: takes minutes"]
fn ten_thousand_random_sequences_are_answered_as_the_model_answers_them() {
    for seed in 2000..12_000 {
        let storage = SqliteStorage::open_in_memory().expect("a store");
        let outcome = block_on(run_against_model(&storage, &random_operations(seed, 60)));
        assert_eq!(outcome, Ok(()), "seed {seed}");
    }
}
