//! What waits for somebody.

use super::fixtures::{at, race, wait};
use super::outcome::equal;

cases! {
    /// What was put is found whole, under its own scope and key alone.
    async fn what_waits_reads_back(storage) {
        equal("before", &storage.pending("login", b"a").await?, &None)?;
        for (scope, key, bytes) in
            [("login", &b"a"[..], &b"one"[..]), ("login", b"", b""), ("logi", b"na", &[0, 255]), ("", b"logina", b"x")]
        {
            equal("the first", &storage.put_pending(scope, key, bytes, at(100)).await?, &true)?;
            equal("what waits", &storage.pending(scope, key).await?, &Some(bytes.to_vec()))?;
        }
        equal("another key", &storage.pending("login", b"A").await?, &None)?;
    }

    /// What is there stays as it is.
    async fn what_waits_is_not_put_twice(storage) {
        equal("the first", &storage.put_pending("login", b"a", b"one", at(100)).await?, &true)?;
        equal("the second", &storage.put_pending("login", b"a", b"two", at(900)).await?, &false)?;
        equal("what waits", &storage.pending("login", b"a").await?, &Some(b"one".to_vec()))?;
        equal("its end", &storage.purge_pending(at(100)).await?, &1)?;
    }

    /// It is changed by whoever knows what it is, and by nobody else.
    async fn what_waits_is_changed_by_who_read_it(storage) {
        equal("nothing", &storage.change_pending("login", b"a", b"", b"x").await?, &false)?;
        equal("nothing came of it", &storage.pending("login", b"a").await?, &None)?;
        storage.put_pending("login", b"a", b"one", at(100)).await?;
        equal("another", &storage.change_pending("login", b"a", b"two", b"three").await?, &false)?;
        equal("this one", &storage.change_pending("login", b"a", b"one", b"two").await?, &true)?;
        equal("once more", &storage.change_pending("login", b"a", b"one", b"two").await?, &false)?;
        equal("what waits", &storage.pending("login", b"a").await?, &Some(b"two".to_vec()))?;
        equal("another scope", &storage.change_pending("logi", b"a", b"two", b"x").await?, &false)?;
        equal("its end", &storage.purge_pending(at(99)).await?, &0)?;
    }

    /// Of many who change it at once, one does.
    async fn one_of_many_racing_changes_wins(storage) {
        for round in 0..16_u8 {
            storage.put_pending("race", &[round], b"", at(100)).await?;
            let answers = race(&storage, 8, move |storage, thread| {
                wait(storage.change_pending("race", &[round], b"", &[thread]))
            })?;
            let mut winner = None;
            for (thread, answer) in (0_u8..).zip(answers) {
                if answer? {
                    check!(winner.is_none(), "{winner:?} and {thread} both changed it");
                    winner = Some(thread);
                }
            }
            equal("what waits", &storage.pending("race", &[round]).await?, &winner.map(|thread| vec![thread]))?;
        }
    }

    /// What must be kept longer is kept; what was forgotten may be put anew.
    async fn what_waits_is_forgotten_after_its_time(storage) {
        for (key, keep_until) in [(b"a", 99), (b"b", 100), (b"c", 101)] {
            storage.put_pending("login", key, b"x", at(keep_until)).await?;
        }
        equal("how many are forgotten", &storage.purge_pending(at(100)).await?, &2)?;
        for (key, there) in [(b"a", false), (b"b", false), (b"c", true)] {
            equal("what waits", &storage.pending("login", key).await?.is_some(), &there)?;
        }
        equal("anew", &storage.put_pending("login", b"a", b"y", at(500)).await?, &true)?;
    }
}
