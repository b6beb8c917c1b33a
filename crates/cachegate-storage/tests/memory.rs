//! The in-memory back-end obeys every rule.

#![cfg(feature = "conformance")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use cachegate_storage::conformance::{
    ACCOUNT_CASES, CASES, DIRECTORY_CASES, PERSISTENT_CASES, failures, random_operations, run_against_model,
};
use cachegate_storage::{MemoryStorage, Storage, acts};
use cachegate_types::Epoch;
use futures_executor::block_on;

fn fresh() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new(Epoch(7)))
}

#[test]
fn memory_obeys_every_rule() {
    let failed = failures(&fresh);
    assert!(failed.is_empty(), "{} of {} cases fail: {failed:#?}", failed.len(), CASES.len());
    assert!(CASES.len() >= 60, "the suite shrank to {} cases", CASES.len());
}

#[test]
fn memory_obeys_every_rule_of_accounts() {
    for (name, case) in ACCOUNT_CASES {
        assert_eq!(block_on(case(Arc::new(MemoryStorage::new(Epoch(7))))), Ok(()), "{name}");
    }
}

#[test]
fn memory_obeys_every_rule_of_directories() {
    for (name, case) in DIRECTORY_CASES {
        assert_eq!(block_on(case(Arc::new(MemoryStorage::new(Epoch(7))))), Ok(()), "{name}");
    }
}

/// Sequences by default; `CACHEGATE_MODEL_SEQUENCES` asks for more.
const SEQUENCES: u64 = 10_000;
const LENGTH: usize = 60;

#[test]
fn memory_answers_as_the_model_does() {
    let asked = std::env::var("CACHEGATE_MODEL_SEQUENCES").ok().and_then(|text| text.parse().ok());
    let sequences: u64 = asked.unwrap_or(SEQUENCES);
    let began = Instant::now();
    for seed in 0..sequences {
        let operations = random_operations(seed, LENGTH);
        let outcome = block_on(run_against_model(&*fresh(), &operations));
        assert_eq!(outcome, Ok(()), "seed {seed}: {operations:#?}");
    }
    println!("{sequences} sequences of {LENGTH} operations agree, in {:?}", began.elapsed());
}

#[test]
fn random_operations_reach_every_act() {
    let mut done = BTreeMap::<String, u32>::new();
    for seed in 0..200 {
        let storage = fresh();
        let outcome = block_on(run_against_model(&*storage, &random_operations(seed, LENGTH)));
        assert_eq!(outcome, Ok(()), "seed {seed}");
        for record in block_on(storage.audit(0, usize::MAX)).expect("an audit") {
            *done.entry(record.entry.code.to_string()).or_default() += 1;
        }
    }
    println!("{done:#?}");
    for code in acts::CODES {
        assert!(done.get(*code).is_some_and(|count| *count >= 20), "`{code}` is hardly ever done: {done:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_operations() {
    assert_eq!(random_operations(5, 200), random_operations(5, 200));
    assert_ne!(random_operations(5, 200), random_operations(6, 200));
    assert_eq!(random_operations(5, 3).len(), 3);
}

/// A store that is merely handed around has outlived nothing, but holds what the cases look for.
#[test]
fn the_persistent_cases_pass_where_everything_is_kept() {
    for (name, case) in PERSISTENT_CASES {
        let kept = fresh();
        let open = || Arc::clone(&kept);
        assert_eq!(block_on(case(&open)), Ok(()), "{name}");
    }
}

#[test]
fn every_persistent_case_fails_where_nothing_is_kept() {
    for (name, case) in PERSISTENT_CASES {
        assert!(block_on(case(&fresh)).is_err(), "{name} passes over a store that forgets");
    }
}
