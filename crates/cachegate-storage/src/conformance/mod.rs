//! The rules that every back-end obeys, as functions: each takes a fresh and empty store, and says how the store
//! breaks the rule that gives the function its name.
//!
//! A back-end's test iterates [`CASES`] with a new store for each, and a back-end that outlives its process also
//! iterates [`PERSISTENT_CASES`]. [`run_against_model`] drives random operations through the store and through a
//! naive model, and compares each answer.
//!
//! Several cases start threads, which block on the store's futures without an async runtime. A back-end that needs
//! a runtime enters it inside its methods.

// What a back-end author reads when a case fails is the text of the violation: it must name what was found.
#![expect(
    clippy::missing_errors_doc,
    reason = "every case fails in one way: a violation of the rule it is named after"
)]

#[macro_use]
mod outcome;

mod accounts;
mod audit;
mod directories;
mod fixtures;
mod members;
mod model;
mod operations;
mod pending;
mod persistent;
mod places;
mod releases;
mod revisions;
mod single_use;
mod stable;
mod tokens;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_executor::block_on;

pub use self::accounts::*;
pub use self::audit::*;
pub use self::directories::*;
pub use self::members::*;
pub use self::model::run_against_model;
pub use self::operations::{Operation, random_operations};
pub use self::outcome::{Outcome, Violation};
pub use self::pending::*;
pub use self::persistent::*;
pub use self::places::*;
pub use self::releases::*;
pub use self::revisions::*;
pub use self::single_use::*;
pub use self::stable::*;
pub use self::tokens::*;
use crate::Storage;

/// One case, over a fresh and empty store.
pub type CaseFn = fn(Arc<dyn Storage>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One case over a store that outlives its process: each call of the argument opens the same store anew, and the
/// first one finds it empty. Everything opened before is dropped by then.
pub type PersistentCaseFn =
    for<'a> fn(&'a dyn Fn() -> Arc<dyn Storage>) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Every case by its name.
pub const CASES: &[(&str, CaseFn)] = &{
    const PARTS: [&[(&str, CaseFn)]; 9] = [
        revisions::CASES,
        places::CASES,
        members::CASES,
        tokens::CASES,
        stable::CASES,
        pending::CASES,
        single_use::CASES,
        releases::CASES,
        audit::CASES,
    ];
    const COUNT: usize = {
        let (mut count, mut rest) = (0, PARTS.as_slice());
        while let [part, tail @ ..] = rest {
            count += part.len();
            rest = tail;
        }
        count
    };
    joined::<COUNT>(&PARTS)
};

/// Every case for a back-end that outlives its process, by its name.
pub const PERSISTENT_CASES: &[(&str, PersistentCaseFn)] = persistent::PERSISTENT_CASES;

/// Runs every case, each with a new store from `fresh`, and answers those that fail.
///
/// Good for a test: `assert_eq!(failures(&|| fresh_store()), [])`.
pub fn failures(fresh: &dyn Fn() -> Arc<dyn Storage>) -> Vec<(&'static str, Violation)> {
    let outcomes = CASES.iter().map(|(name, case)| (*name, block_on(case(fresh()))));
    outcomes.filter_map(|(name, outcome)| outcome.err().map(|violation| (name, violation))).collect()
}

#[expect(clippy::indexing_slicing, reason = "runs in the compiler, where a wrong index stops the build")]
const fn joined<const COUNT: usize>(parts: &[&[(&'static str, CaseFn)]]) -> [(&'static str, CaseFn); COUNT] {
    let mut all = [parts[0][0]; COUNT];
    let (mut filled, mut part) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[filled] = parts[part][index];
            filled += 1;
            index += 1;
        }
        part += 1;
    }
    all
}
