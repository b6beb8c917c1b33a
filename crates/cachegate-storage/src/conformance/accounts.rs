//! Accounts of people at providers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use futures_executor::block_on;

use super::fixtures::{act, at, user};
use super::outcome::{Outcome, Refusal, Violation, equal, refused};
use crate::{AccountRecord, Accounts, Storage};

/// A store that keeps accounts too.
pub trait AccountStore: Accounts + Storage {}

impl<T: Accounts + Storage + ?Sized> AccountStore for T {}

/// One case, over a fresh and empty store.
pub type AccountCaseFn = fn(Arc<dyn AccountStore>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

fn record(issuer: &str, subject: &str, number: u8) -> AccountRecord {
    AccountRecord { issuer: issuer.into(), subject: subject.into(), user: user(number), linked_at: at(5) }
}

macro_rules! account_cases {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            pub async fn $name($store: Arc<dyn AccountStore>) -> Outcome {
                $body
                Ok(())
            }
        )*

        /// Every case for a store that keeps accounts, by its name.
        pub const ACCOUNT_CASES: &[(&str, AccountCaseFn)] =
            &[$((stringify!($name), |store| Box::pin($name(store)))),*];
    };
}

account_cases! {
    /// The first link stays, whoever comes with another.
    async fn an_account_is_linked_once(store) {
        let first = record("https://a.example", "1", 1);
        equal("before", &store.account("https://a.example", "1").await?, &None)?;
        store.link_account(&first, &act(5)).await?;
        for number in [1, 2] {
            let again = record("https://a.example", "1", number);
            refused("a linked account", store.link_account(&again, &act(6)).await, Refusal::Exists)?;
        }
        equal("the account", &store.account("https://a.example", "1").await?, &Some(first))?;
    }

    /// What the two say together does not matter.
    async fn issuers_and_subjects_are_told_apart(store) {
        let pairs =
            [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("AB", "c"), ("ab", "C"), ("ab", "c "), ("ab/", "c")];
        for (number, (issuer, subject)) in (1..).zip(pairs) {
            equal("before", &store.account(issuer, subject).await?, &None)?;
            store.link_account(&record(issuer, subject, number), &act(5)).await?;
        }
        for (number, (issuer, subject)) in (1..).zip(pairs) {
            let found = store.account(issuer, subject).await?;
            equal("the account", &found, &Some(record(issuer, subject, number)))?;
        }
    }

    /// Each of theirs, and nobody else's.
    async fn a_persons_accounts_are_listed(store) {
        for (issuer, subject, number) in [("b", "2", 1), ("a", "9", 1), ("a", "1", 2), ("b", "1", 1)] {
            store.link_account(&record(issuer, subject, number), &act(5)).await?;
        }
        let expected = vec![record("a", "9", 1), record("b", "1", 1), record("b", "2", 1)];
        equal("theirs", &store.accounts_of(user(1)).await?, &expected)?;
        equal("nobody's", &store.accounts_of(user(3)).await?, &Vec::new())?;
    }

    /// Of many who sign in for the first time with one account, one makes the person.
    async fn one_of_many_racing_links_counts(store) {
        for round in ["1", "2", "3", "4"] {
            let answers = thread::scope(|scope| {
                let threads: Vec<_> = (1..=8)
                    .map(|number| {
                        let store = &store;
                        scope.spawn(move || block_on(store.link_account(&record("a", round, number), &act(5))))
                    })
                    .collect();
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
            });
            let linked = answers.iter().filter(|answer| answer.is_ok()).count();
            equal("the answers", &(answers.len(), linked), &(8, 1))?;
        }
    }

    /// What was refused leaves none.
    async fn a_link_leaves_one_record(store) {
        let first = record("https://a.example", "1", 1);
        store.link_account(&first, &act(5)).await?;
        if store.link_account(&first, &act(6)).await.is_ok() {
            return Err(Violation::new("an account was linked twice".to_owned()));
        }
        let found: Vec<_> = store.audit(0, 10).await?.into_iter().map(|record| record.entry).collect();
        equal("the audit", &found, &vec![crate::acts::link_account(&first, &act(5))])?;
    }
}
