//! Keys, documents, locks and marks.

use super::fixtures::{
    act, at, lock, lock_record, mark, mark_record, name, race, revoked, signing_key, trace, untouched, wait,
};
use super::outcome::{Refusal, equal, refused};
use crate::{KeyPurpose, KeyRecord, LockRecord, MarkRecord, RulesDocument, StoreError};

cases! {
    /// Keys are listed by their making, those of one second by their ids.
    async fn keys_are_listed_oldest_first(storage) {
        check!(storage.keys().await?.is_empty(), "a fresh store has keys");
        let label = KeyRecord {
            purpose: KeyPurpose::Label,
            public: None,
            signs_until: None,
            verifies_until: Some(at(9)),
            ..signing_key("d", 30)
        };
        let mut expected = vec![signing_key("c", 20), signing_key("z", 10), label, signing_key("b", 20)];
        for key in &expected {
            storage.put_key(key, &act(1)).await?;
        }
        expected.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        equal("the keys", &storage.keys().await?, &expected)?;
    }

    /// A key's record is replaced whole.
    async fn a_key_is_replaced_whole(storage) {
        storage.put_key(&signing_key("other", 1), &act(1)).await?;
        for key in [
            signing_key("k", 5),
            KeyRecord { signs_until: None, verifies_until: Some(at(77)), ..signing_key("k", 5) },
            KeyRecord { signs_from: at(1), ..signing_key("k", 6) },
        ] {
            storage.put_key(&key, &act(1)).await?;
            equal("the keys", &storage.keys().await?, &vec![signing_key("other", 1), key])?;
        }
    }

    /// No writer brings a revoked key back.
    async fn a_revoked_key_stays_revoked(storage) {
        storage.put_key(&signing_key("k", 5), &act(1)).await?;
        let first = KeyRecord { revoked: Some(revoked(9)?), ..signing_key("k", 5) };
        storage.put_key(&first, &act(9)).await?;
        let later = KeyRecord { revoked: Some(revoked(10)?), ..signing_key("k", 5) };
        for key in [signing_key("k", 5), later, first.clone()] {
            storage.put_key(&key, &act(10)).await?;
            equal("the keys", &storage.keys().await?, &vec![first.clone()])?;
        }
    }

    /// A sealed row is bytes, whatever they are.
    async fn a_sealed_row_reads_back(storage) {
        let all: Vec<u8> = (0..=255).collect();
        equal("an unknown row", &storage.sealed("k").await?, &None)?;
        for (id, bytes) in [("k", &all[..]), ("K", b"other"), ("é/'; --", b""), ("", b"no name")] {
            storage.put_sealed(id, bytes).await?;
            equal("the row", &storage.sealed(id).await?, &Some(bytes.to_vec()))?;
        }
        equal("the first row", &storage.sealed("k").await?, &Some(all))?;
    }

    /// A sealed row is never overwritten.
    async fn sealed_ids_are_unique(storage) {
        storage.put_sealed("k", b"first").await?;
        let before = trace(&*storage).await?;
        refused("a taken id", storage.put_sealed("k", b"second").await, Refusal::Exists)?;
        equal("the row", &storage.sealed("k").await?, &Some(b"first".to_vec()))?;
        untouched(&*storage, before).await?;
    }

    /// A document is bytes, and knows the revision that it was written at.
    async fn a_document_reads_back(storage) {
        let all: Vec<u8> = (0..=255).collect();
        let (first, second) = (name("anchors")?, name("rules")?);
        equal("an unknown document", &storage.rules(&first).await?, &None)?;
        let revision = storage.put_rules(&first, &all, None, &act(1)).await?;
        let other = storage.put_rules(&second, b"", None, &act(1)).await?;
        let expected = RulesDocument { name: first.clone(), bytes: all, revision };
        equal("the document", &storage.rules(&first).await?, &Some(expected))?;
        let expected = RulesDocument { name: second.clone(), bytes: Vec::new(), revision: other };
        equal("the other one", &storage.rules(&second).await?, &Some(expected))?;
    }

    /// Nobody overwrites what they have not read.
    async fn a_document_needs_the_expected_revision(storage) {
        let (document, other) = (name("rules")?, name("other")?);
        let early = storage.put_rules(&other, b"o", None, &act(1)).await?;
        let answer = storage.put_rules(&document, b"a", Some(early), &act(1)).await;
        refused("a revision where nothing was", answer, Refusal::Precondition)?;
        let first = storage.put_rules(&document, b"a", None, &act(1)).await?;
        let second = storage.put_rules(&document, b"b", Some(first), &act(2)).await?;
        let before = trace(&*storage).await?;
        for expected in [None, Some(first), Some(early)] {
            let answer = storage.put_rules(&document, b"c", expected, &act(3)).await;
            refused("a document of another revision", answer, Refusal::Precondition)?;
        }
        let found = storage.rules(&document).await?;
        let expected = RulesDocument { name: document.clone(), bytes: b"b".to_vec(), revision: second };
        equal("the document", &found, &Some(expected))?;
        untouched(&*storage, before).await?;
    }

    /// Of many writers who read the same, one writes.
    async fn one_of_many_racing_writers_wins(storage) {
        let document = name("rules")?;
        let mut held = None;
        for _ in 0..8 {
            let writing = document.clone();
            let answers = race(&storage, 6, move |storage, thread| {
                match wait(storage.put_rules(&writing, &[thread], held, &act(1))) {
                    Ok(revision) => Ok(Some((revision, thread))),
                    Err(StoreError::Precondition { .. }) => Ok(None),
                    Err(other) => Err(other),
                }
            })?;
            let mut winners = Vec::new();
            for answer in answers {
                winners.extend(answer?);
            }
            let found = storage.rules(&document).await?;
            let found: Vec<_> = found.iter().map(|found| (found.revision, found.bytes.clone())).collect();
            let winners: Vec<_> = winners.into_iter().map(|(at, thread)| (at, vec![thread])).collect();
            equal("what was written, and by how many", &winners, &found)?;
            held = winners.first().map(|(revision, _)| *revision);
        }
    }

    /// Locks are listed by ascending id, whole, ended ones included.
    async fn locks_are_listed_by_ascending_id(storage) {
        check!(storage.locks().await?.is_empty(), "a fresh store has locks");
        for number in [5, 3, 9] {
            storage.put_lock(&lock_record(number)?, &act(900)).await?;
        }
        let expected: Vec<LockRecord> = vec![lock_record(3)?, lock_record(5)?, lock_record(9)?];
        equal("the locks", &storage.locks().await?, &expected)?;
    }

    /// No two locks share an id.
    async fn lock_ids_are_unique(storage) {
        storage.put_lock(&lock_record(1)?, &act(1)).await?;
        let before = trace(&*storage).await?;
        let other = LockRecord { at: at(9), ..lock_record(1)? };
        refused("a taken id", storage.put_lock(&other, &act(1)).await, Refusal::Exists)?;
        equal("the locks", &storage.locks().await?, &vec![lock_record(1)?])?;
        untouched(&*storage, before).await?;
    }

    /// A lifted lock is gone, and alone is gone.
    async fn a_lifted_lock_is_gone(storage) {
        for number in [1, 2] {
            storage.put_lock(&lock_record(number)?, &act(1)).await?;
        }
        storage.lift_lock(lock(1), &act(2)).await?;
        equal("the locks", &storage.locks().await?, &vec![lock_record(2)?])?;
    }

    /// What is not there is not lifted.
    async fn lifting_a_lock_needs_it(storage) {
        storage.put_lock(&lock_record(1)?, &act(1)).await?;
        refused("no lock", storage.lift_lock(lock(2), &act(1)).await, Refusal::Missing)?;
        storage.lift_lock(lock(1), &act(1)).await?;
        refused("a lifted lock", storage.lift_lock(lock(1), &act(1)).await, Refusal::Missing)?;
    }

    /// Marks are listed by ascending id, whole.
    async fn marks_are_listed_by_ascending_id(storage) {
        check!(storage.marks().await?.is_empty(), "a fresh store has marks");
        for number in [5, 3, 9] {
            storage.put_mark(&mark_record(number)?, &act(1)).await?;
        }
        let expected: Vec<MarkRecord> = vec![mark_record(3)?, mark_record(5)?, mark_record(9)?];
        equal("the marks", &storage.marks().await?, &expected)?;
    }

    /// No two marks share an id.
    async fn mark_ids_are_unique(storage) {
        storage.put_mark(&mark_record(1)?, &act(1)).await?;
        let before = trace(&*storage).await?;
        let other = MarkRecord { at: at(99), ..mark_record(1)? };
        refused("a taken id", storage.put_mark(&other, &act(1)).await, Refusal::Exists)?;
        equal("the marks", &storage.marks().await?, &vec![mark_record(1)?])?;
        untouched(&*storage, before).await?;
    }

    /// A lifted mark is gone, and alone is gone.
    async fn a_lifted_mark_is_gone(storage) {
        for number in [1, 2] {
            storage.put_mark(&mark_record(number)?, &act(1)).await?;
        }
        storage.lift_mark(mark(1), &act(2)).await?;
        equal("the marks", &storage.marks().await?, &vec![mark_record(2)?])?;
    }

    /// What is not there is not lifted.
    async fn lifting_a_mark_needs_it(storage) {
        storage.put_mark(&mark_record(1)?, &act(1)).await?;
        refused("no mark", storage.lift_mark(mark(2), &act(1)).await, Refusal::Missing)?;
        storage.lift_mark(mark(1), &act(1)).await?;
        refused("a lifted mark", storage.lift_mark(mark(1), &act(1)).await, Refusal::Missing)?;
    }
}
