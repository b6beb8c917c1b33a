//! What may happen once.

use super::fixtures::{act, at, furnish, race, token, token_record, trace, untouched, wait};
use super::outcome::{Refusal, equal, refused};
use crate::{OneUse, Preconditions, StoreError, TokenRecord};

fn uses(keys: &[&str]) -> Preconditions {
    let uses = keys.iter().map(|key| OneUse {
        scope: "exchange".to_owned(),
        key: key.as_bytes().to_vec(),
        keep_until: at(100),
    });
    Preconditions { uses: uses.collect(), ..Preconditions::default() }
}

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

    /// Whatever an insertion uses up is used up by it, whichever way it is asked for afterwards.
    async fn a_token_uses_up_what_it_came_from(storage) {
        furnish(&*storage).await?;
        storage.insert_token(&token_record(1)?, &uses(&["a", "b"]), &act(1)).await?;
        for (key, free) in [("a", false), ("b", false), ("c", true)] {
            equal(key, &storage.consume("exchange", key.as_bytes(), at(100)).await?, &free)?;
        }
        for keys in [&["a"][..], &["d", "c"], &["e", "e"]] {
            let before = trace(&*storage).await?;
            let answer = storage.insert_token(&token_record(2)?, &uses(keys), &act(2)).await;
            refused(&format!("a use of {keys:?}"), answer, Refusal::Precondition)?;
            untouched(&*storage, before).await?;
        }
        equal("beside a used one", &storage.consume("exchange", b"d", at(100)).await?, &true)?;
        equal("what was named twice", &storage.consume("exchange", b"e", at(100)).await?, &true)?;
    }

    /// An insertion that is refused for another reason uses nothing up: whoever asked may ask again.
    async fn a_refused_insertion_uses_nothing_up(storage) {
        furnish(&*storage).await?;
        storage.insert_token(&token_record(1)?, &Preconditions::default(), &act(1)).await?;
        let answer = storage.insert_token(&token_record(1)?, &uses(&["a"]), &act(2)).await;
        refused("a taken id", answer, Refusal::Exists)?;
        let orphan = TokenRecord { ancestors: vec![token(77)], ..token_record(2)? };
        refused(
            "an unknown ancestor",
            storage.insert_token(&orphan, &uses(&["a"]), &act(2)).await,
            Refusal::Precondition,
        )?;
        storage.insert_token(&token_record(2)?, &uses(&["a"]), &act(2)).await?;
    }

    /// Of many who make a token of one thing at once, one does.
    async fn one_of_many_racing_uses_makes_a_token(storage) {
        furnish(&*storage).await?;
        for round in 0..16_u8 {
            let records =
                (0..8).map(|thread| token_record(round * 8 + thread)).collect::<Result<Vec<_>, _>>()?;
            let made = race(&storage, 8, move |storage, thread| {
                let Some(record) = records.get(usize::from(thread)) else { return Ok(false) };
                match wait(storage.insert_token(record, &uses(&[&round.to_string()]), &act(1))) {
                    Ok(()) => Ok(true),
                    Err(StoreError::Precondition { .. }) => Ok(false),
                    Err(other) => Err(other),
                }
            })?;
            let mut winners = 0;
            for made in made {
                winners += u32::from(made?);
            }
            equal("the number of tokens", &winners, &1)?;
        }
    }
}
