//! How often something that costs, or that could be guessed, is done. Each node counts for itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cachegate_types::{Timestamp, UserId};

/// The most people whose guesses are counted at once.
const PEOPLE: usize = 4096;

/// So many at once, and one more with each step of time.
pub(crate) struct Budget {
    most: u32,
    step: Duration,
    left: Mutex<(u32, Timestamp)>,
}

impl Budget {
    pub(crate) fn new(most: u32, step: Duration) -> Self {
        Self { most, step, left: Mutex::new((most, Timestamp::MIN)) }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self, now: Timestamp) -> bool {
        let mut held = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *held;
        let steps = now.since(since).as_secs() / self.step.as_secs().max(1);
        let left = left.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX)).min(self.most);
        let since = if steps > 0 || now < since { now } else { since };
        *held = (left.saturating_sub(1), since);
        left > 0
    }
}

/// How often each person has named a code that is none.
pub(crate) struct Guesses {
    most: u32,
    within: Duration,
    people: Mutex<BTreeMap<UserId, (u32, Timestamp)>>,
}

impl Guesses {
    pub(crate) fn new(most: u32, within: Duration) -> Self {
        Self { most, within, people: Mutex::new(BTreeMap::new()) }
    }

    /// Whether this person may try another.
    pub(crate) fn allowed(&self, person: UserId, now: Timestamp) -> bool {
        let people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        people.get(&person).is_none_or(|(count, since)| *count < self.most || self.is_over(*since, now))
    }

    /// Counts one that was wrong.
    pub(crate) fn note(&self, person: UserId, now: Timestamp) {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        people.retain(|_, (_, since)| !self.is_over(*since, now));
        if people.len() >= PEOPLE {
            people.pop_first();
        }
        people.entry(person).or_insert((0, now)).0 += 1;
    }

    fn is_over(&self, since: Timestamp, now: Timestamp) -> bool {
        now >= since.saturating_add(self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Timestamp {
        (1_700_000_000 + second).into()
    }

    #[test]
    fn a_budget_is_used_up_and_comes_back_step_by_step() {
        let budget = Budget::new(2, Duration::from_secs(10));
        assert_eq!([0, 0, 0, 9].map(|second| budget.take(at(second))), [true, true, false, false]);
        assert_eq!(
            [10, 10, 1000, 1000, 1000].map(|second| budget.take(at(second))),
            [true, false, true, true, false]
        );
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let budget = Budget::new(1, Duration::from_secs(10));
        assert!(budget.take(at(100)));
        assert!(!budget.take(at(0)));
        assert!(budget.take(at(10)));
    }

    #[test]
    fn whoever_guesses_too_often_waits_and_others_do_not() {
        let guesses = Guesses::new(2, Duration::from_secs(60));
        let [one, other] = [1, 2].map(|byte| UserId::from_bytes([byte; 16]));
        for second in 0..2 {
            assert!(guesses.allowed(one, at(second)));
            guesses.note(one, at(second));
        }
        assert!(!guesses.allowed(one, at(59)));
        assert!(guesses.allowed(other, at(59)));
        assert!(guesses.allowed(one, at(60)));
    }
}
