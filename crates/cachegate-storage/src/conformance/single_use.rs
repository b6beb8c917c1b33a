//! What may happen once.

use super::fixtures::{at, race, wait};
use super::outcome::equal;

cases! {
    /// The first call is told yes, and every later one no.
    async fn a_key_is_used_up_once(storage) {
        equal("the first use", &storage.consume("exchange", b"jti-1", at(100)).await?, &true)?;
        for keep_until in [100, 0, 500] {
            let again = storage.consume("exchange", b"jti-1", at(keep_until)).await?;
            equal("a later use", &again, &false)?;
        }
        equal("another key", &storage.consume("exchange", b"jti-2", at(100)).await?, &true)?;
    }

    /// Scope and key are two things, compared whole.
    async fn scopes_and_keys_are_told_apart(storage) {
        let pairs: [(&str, &[u8]); 9] = [
            ("ab", b"c"),
            ("a", b"bc"),
            ("", b"abc"),
            ("abc", b""),
            ("ab", b"C"),
            ("AB", b"c"),
            ("ab", b"c\0"),
            ("ab", b"\xff\xfe"),
            ("ab", b"c "),
        ];
        for expected in [true, false] {
            for (scope, key) in pairs {
                let answer = storage.consume(scope, key, at(100)).await?;
                equal(&format!("{scope:?} {key:?}"), &answer, &expected)?;
            }
        }
    }

    /// Of many who use up one key at once, one is told yes.
    async fn one_of_many_racing_consumers_wins(storage) {
        for round in 0..16_u8 {
            let answers =
                race(&storage, 8, move |storage, _| wait(storage.consume("code", &[round], at(100))))?;
            let mut winners = 0;
            for answer in answers {
                winners += u32::from(answer?);
            }
            equal("the number of winners", &winners, &1)?;
        }
    }

    /// What must be kept longer is kept, and is still used up.
    async fn what_must_be_kept_survives_a_purge(storage) {
        for (key, keep_until) in [(b"a", 99), (b"b", 100), (b"c", 101), (b"d", 500)] {
            equal("the first use", &storage.consume("exchange", key, at(keep_until)).await?, &true)?;
        }
        equal("how many are forgotten", &storage.purge_consumed(at(100)).await?, &2)?;
        for key in [b"c", b"d"] {
            equal("a kept key", &storage.consume("exchange", key, at(500)).await?, &false)?;
        }
        equal("how many are forgotten then", &storage.purge_consumed(at(100)).await?, &0)?;
    }

    /// What nobody purged stays used up, however old it is; what was purged is free.
    async fn a_key_is_free_after_a_purge_alone(storage) {
        equal("the first use", &storage.consume("exchange", b"a", at(10)).await?, &true)?;
        equal("long after", &storage.consume("exchange", b"a", at(9000)).await?, &false)?;
        equal("how many are forgotten", &storage.purge_consumed(at(11)).await?, &1)?;
        equal("after the purge", &storage.consume("exchange", b"a", at(9000)).await?, &true)?;
        equal("after that", &storage.consume("exchange", b"a", at(9000)).await?, &false)?;
    }
}
