//! When tokens were last used: to the hour, kept aside and written when the embedder says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use cachegate_types::{Timestamp, TokenId};

use crate::Gate;
use crate::established::Session;
use crate::verdict::Unavailable;

/// How coarse "last used" is: a token in use is written once in so many seconds.
const COARSE: i64 = 60 * 60;

/// How many uses wait at most. One that finds no place is noted with the token's next use after a flush.
const WAITING: usize = 65_536;

/// The uses that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    waiting: Mutex<BTreeMap<TokenId, Timestamp>>,
}

impl Uses {
    /// Notes a use unless this hour's was noted already. Never waits: whoever finds the list taken leaves it to the
    /// next use.
    pub(crate) fn note(&self, session: &Session, now: Timestamp) {
        let Some(record) = &session.record else { return };
        let hour = now.as_unix_seconds() / COARSE;
        if session.noted.load(Ordering::Relaxed) >= hour {
            return;
        }
        let mut waiting = match self.waiting.try_lock() {
            Ok(waiting) => waiting,
            Err(TryLockError::Poisoned(waiting)) => waiting.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if waiting.len() < WAITING || waiting.contains_key(&record.id) {
            waiting.insert(record.id, now);
            session.noted.store(hour, Ordering::Relaxed);
        }
    }

    fn take(&self) -> BTreeMap<TokenId, Timestamp> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, uses: Vec<(TokenId, Timestamp)>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, moment) in uses {
            if waiting.len() < WAITING {
                waiting.entry(id).or_insert(moment);
            }
        }
    }
}

/// The hour that a record's own note is of.
pub(crate) fn noted(last_used: Option<Timestamp>) -> AtomicI64 {
    AtomicI64::new(last_used.map_or(i64::MIN, |moment| moment.as_unix_seconds() / COARSE))
}

impl Gate {
    /// Writes when tokens were last used, and tells of how many. Call it every few minutes; what a crash loses is an
    /// hour's note. No use is noted later than `now`.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer; the notes are kept for the next call.
    pub async fn flush_last_used(&self, now: Timestamp) -> Result<usize, Unavailable> {
        let uses: Vec<_> =
            self.inner.uses.take().into_iter().map(|(id, moment)| (id, moment.min(now))).collect();
        if uses.is_empty() {
            return Ok(0);
        }
        match self.inner.held.storage().touch_tokens(&uses).await {
            Ok(()) => Ok(uses.len()),
            Err(error) => {
                self.inner.uses.put_back(uses);
                Err(error.into())
            }
        }
    }
}
