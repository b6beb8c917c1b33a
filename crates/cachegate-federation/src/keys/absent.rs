//! Names that an issuer was asked for and has no key of.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cachegate_jwt::KeyId;

/// A bounded memory of absent names, so that one dead name does not ask the issuer again and again.
#[derive(Debug, Default)]
pub(super) struct Absent {
    until: BTreeMap<KeyId, Duration>,
    // In the order of `until`: all are kept for the same time.
    order: VecDeque<KeyId>,
}

impl Absent {
    /// 64-fold the keys that a set may have; with the longest names about 300 KiB.
    const MAX_NAMES: usize = 1024;

    pub(super) fn contains(&self, kid: &KeyId, now: Duration) -> bool {
        self.until.get(kid).is_some_and(|until| now < *until)
    }

    pub(super) fn insert(&mut self, kid: &KeyId, until: Duration) {
        if self.until.insert(kid.clone(), until).is_some() {
            self.order.retain(|other| other != kid);
        }
        self.order.push_back(kid.clone());
        if self.order.len() > Self::MAX_NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kid(number: usize) -> KeyId {
        KeyId::new(number.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_name_is_absent_until_its_time_and_the_oldest_make_room() {
        let mut absent = Absent::default();
        let until = Duration::from_secs(60);
        for number in 0..10 * Absent::MAX_NAMES {
            absent.insert(&kid(number), until);
            absent.insert(&kid(number), until);
        }
        assert_eq!((absent.until.len(), absent.order.len()), (Absent::MAX_NAMES, Absent::MAX_NAMES));
        let last = kid(10 * Absent::MAX_NAMES - 1);
        assert!(absent.contains(&last, Duration::from_secs(59)));
        assert!(!absent.contains(&last, until));
        assert!(!absent.contains(&kid(0), Duration::ZERO));
    }
}
