//! The key sets of anchors: discovered, fetched, kept and renewed.

mod absent;
mod error;
mod source;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cachegate_fetch::{Fetch, Url, UrlError};
use cachegate_jwt::{KeyError, KeyId, KeySet};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::keys::absent::Absent;
use crate::keys::source::{Obtained, Source};
use crate::{Anchor, KeySource};

pub use error::{KeysError, RefreshError};

/// How often an issuer is asked, and how long its keys are good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct KeyTimes {
    /// At least this long between the beginnings of two attempts, whatever tokens come.
    pub cool_down: Duration,
    /// The keys are renewed in the background after this time, or earlier where HTTP says so.
    pub soft_age: Duration,
    /// Keys that are older than this verify nothing.
    pub hard_age: Duration,
    /// A `kid` that the issuer did not have is not asked for again for this long.
    pub absent: Duration,
    /// How long one response may take.
    pub fetch: Duration,
}

/// 30 s, 1 h, 24 h, 60 s and 5 s.
impl Default for KeyTimes {
    fn default() -> Self {
        Self {
            cool_down: Duration::from_secs(30),
            soft_age: Duration::from_secs(3600),
            hard_age: Duration::from_secs(24 * 3600),
            absent: Duration::from_secs(60),
            fetch: Duration::from_secs(5),
        }
    }
}

impl KeyTimes {
    /// However short HTTP says that keys are fresh, they are not renewed more often than this.
    const SHORTEST_SOFT_AGE: Duration = Duration::from_secs(300);
}

/// The keys of one anchor, and of no other: what one issuer publishes never verifies another's tokens.
///
/// A point in time is given as the time since the beginning of the caller's monotonic clock. The age of keys counts
/// from the beginning of the attempt that brought them.
///
/// Looking at held keys takes no lock. An attempt is one for all who wait, goes on when one of them leaves, and is
/// driven by whoever polls: there is no runtime and no task here.
pub struct AnchorKeys {
    source: Option<Source>,
    fetch: Arc<dyn Fetch>,
    times: KeyTimes,
    held: ArcSwapOption<Held>,
    // Locked for moments only: never while a response is awaited or a key set is read.
    state: Mutex<State>,
}

struct Held {
    keys: Arc<KeySet>,
    /// `None`: they were configured, and do not age.
    since: Option<Duration>,
}

#[derive(Default)]
struct State {
    flight: Option<Flight>,
    /// When the last attempt began.
    attempted: Option<Duration>,
    /// What became of it, where it failed.
    failure: Option<RefreshError>,
    renew_at: Duration,
    /// Where discovery said that the keys are, and when.
    place: Option<(Url, Duration)>,
    absent: Absent,
    attempts: u64,
}

#[derive(Clone)]
struct Flight {
    number: u64,
    began: Duration,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

type Outcome = Result<Arc<Obtained>, RefreshError>;

impl AnchorKeys {
    /// The keys of this anchor, none of them fetched yet.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when the anchor's key source is no address that may be fetched from.
    pub fn new(anchor: &Anchor, fetch: Arc<dyn Fetch>) -> Result<Self, UrlError> {
        let inline = match anchor.keys() {
            KeySource::Inline(keys) => Some(Arc::new(Held { keys: Arc::new(keys.clone()), since: None })),
            KeySource::Discovery { .. } | KeySource::Url(_) => None,
        };
        Ok(Self {
            source: Source::new(anchor)?,
            fetch,
            times: KeyTimes::default(),
            held: ArcSwapOption::new(inline),
            state: Mutex::default(),
        })
    }

    /// With other times.
    #[must_use]
    pub fn with_times(mut self, times: KeyTimes) -> Self {
        self.times = times;
        self
    }

    /// The keys to verify a token with whose header names `kid`; the set holds a key of that name. For a token that
    /// names none, the keys that are held.
    ///
    /// Where the keys are held, this neither waits nor locks. Otherwise the issuer is asked, once for all who wait,
    /// unless it was asked less than the cool-down ago.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub async fn for_kid(&self, kid: Option<&KeyId>, now: Duration) -> Result<Arc<KeySet>, KeysError> {
        if let Some(answer) = self.held_for_kid(kid, now) {
            return answer;
        }
        let Some(flight) = self.flight(now) else {
            return self.judge(&self.state(), kid, now);
        };
        let outcome = flight.outcome.clone().await;
        self.settle(&flight, &outcome);
        let mut state = self.state();
        let answer = self.judge(&state, kid, now);
        if let (Err(KeysError::UnknownKey { kid }), Ok(_)) = (&answer, &outcome) {
            state.absent.insert(kid, now.saturating_add(self.times.absent));
        }
        answer
    }

    /// As [`AnchorKeys::for_kid`] without waiting; `None`: the issuer must be asked first.
    pub fn held_for_kid(&self, kid: Option<&KeyId>, now: Duration) -> Option<Result<Arc<KeySet>, KeysError>> {
        if let Some(keys) = self.good(now)
            && kid.is_none_or(|kid| keys.get(kid.as_bytes()).is_some())
        {
            return Some(Ok(keys));
        }
        let state = self.state();
        let known_absent = kid.is_some_and(|kid| state.absent.contains(kid, now));
        if (known_absent && self.good(now).is_some()) || !self.may_ask(&state, now) {
            return Some(self.judge(&state, kid, now));
        }
        None
    }

    /// When [`AnchorKeys::refresh_due`] has something to do next; `None`: never.
    pub fn due_at(&self) -> Option<Duration> {
        self.source.as_ref()?;
        let state = self.state();
        Some(state.renew_at.max(self.cooled_down_at(&state)))
    }

    /// Renews the keys if it is time to, in the background of all who verify; `false`: it is not time. The embedder
    /// calls this at [`AnchorKeys::due_at`], the first time before the first token comes.
    ///
    /// # Errors
    ///
    /// [`RefreshError`]: the keys that were held are held on.
    pub async fn refresh_due(&self, now: Duration) -> Result<bool, RefreshError> {
        if self.due_at().is_none_or(|due| now < due) {
            return Ok(false);
        }
        let Some(flight) = self.flight(now) else {
            return Ok(false);
        };
        let outcome = flight.outcome.clone().await;
        self.settle(&flight, &outcome);
        // What was fetched well may still be refused.
        outcome.and_then(|_| self.failure().map_or(Ok(true), Err))
    }

    /// The keys that are held, whatever their age, and when the attempt that brought them began.
    pub fn held(&self) -> Option<(Arc<KeySet>, Option<Duration>)> {
        self.held.load().as_ref().map(|held| (Arc::clone(&held.keys), held.since))
    }

    /// What became of the last attempt, where it failed.
    pub fn failure(&self) -> Option<RefreshError> {
        self.state().failure.clone()
    }

    /// The keys that are held and not too old.
    fn good(&self, now: Duration) -> Option<Arc<KeySet>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let age = held.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        (age <= self.times.hard_age).then(|| Arc::clone(&held.keys))
    }

    /// The answer by what is held, without asking anyone.
    fn judge(&self, state: &State, kid: Option<&KeyId>, now: Duration) -> Result<Arc<KeySet>, KeysError> {
        match (self.good(now), kid, &state.failure) {
            (Some(keys), None, _) => Ok(keys),
            (Some(keys), Some(kid), _) if keys.get(kid.as_bytes()).is_some() => Ok(keys),
            (Some(_), Some(kid), None) => Err(KeysError::UnknownKey { kid: kid.clone() }),
            (Some(_), Some(_), Some(failure)) => Err(KeysError::Unavailable { source: failure.clone() }),
            (None, _, failure) => match (self.held(), failure) {
                (Some((_, since)), _) => Err(KeysError::TooOld {
                    age: now.saturating_sub(since.unwrap_or(now)),
                    limit: self.times.hard_age,
                }),
                (None, Some(failure)) => Err(KeysError::Unavailable { source: failure.clone() }),
                // The attempt was overtaken by a later one that is not settled yet.
                (None, None) => Err(KeysError::Unavailable { source: RefreshError::Overtaken }),
            },
        }
    }

    /// Whether an attempt is under way or may begin.
    fn may_ask(&self, state: &State, now: Duration) -> bool {
        self.source.is_some() && (state.flight.is_some() || now >= self.cooled_down_at(state))
    }

    fn cooled_down_at(&self, state: &State) -> Duration {
        state.attempted.map_or(Duration::ZERO, |attempted| attempted.saturating_add(self.times.cool_down))
    }

    /// The attempt that is under way, or a new one; `None` during the cool-down.
    fn flight(&self, now: Duration) -> Option<Flight> {
        let source = self.source.as_ref()?;
        let mut state = self.state();
        // Discovery in both places and the keys are three responses. What takes longer hangs, against its contract,
        // and may not keep the keys from being renewed for ever.
        let patience = self.times.cool_down.max(self.times.fetch * 4);
        if let Some(flight) = &state.flight
            && now < flight.began.saturating_add(patience)
        {
            return Some(flight.clone());
        }
        if now < self.cooled_down_at(&state) {
            return None;
        }
        // What discovery said is not relied on after a failure: the keys may have moved.
        let known = match (&state.place, &state.failure) {
            (Some((place, at)), None) if now < at.saturating_add(self.times.soft_age) => Some(place.clone()),
            _ => None,
        };
        let (source, fetch, time) = (source.clone(), Arc::clone(&self.fetch), self.times.fetch);
        let work = async move { source.obtain(&*fetch, known, time).await.map(Arc::new) };
        let work = AssertUnwindSafe(work).catch_unwind();
        let outcome = work.map(|outcome| outcome.unwrap_or(Err(RefreshError::Panicked))).boxed().shared();
        state.attempts += 1;
        state.attempted = Some(now);
        let flight = Flight { number: state.attempts, began: now, outcome };
        state.flight = Some(flight.clone());
        Some(flight)
    }

    /// Takes over what an attempt brought: by the first of those who waited for it.
    fn settle(&self, flight: &Flight, outcome: &Outcome) {
        let mut state = self.state();
        if state.flight.as_ref().is_none_or(|current| current.number != flight.number) {
            return;
        }
        state.flight = None;
        state.failure = match outcome {
            Ok(obtained) => self.take_over(&mut state, flight.began, obtained).err(),
            Err(error) => Some(error.clone()),
        };
    }

    fn take_over(&self, state: &mut State, began: Duration, obtained: &Obtained) -> Result<(), RefreshError> {
        if self.good(began).is_some_and(|held| is_ambiguous(&held, &obtained.keys)) {
            return Err(RefreshError::AmbiguousKey { url: obtained.place.to_string() });
        }
        if obtained.discovered {
            state.place = Some((obtained.place.clone(), began));
        }
        let soft = self.times.soft_age;
        let fresh = obtained.fresh_for.unwrap_or(soft).max(KeyTimes::SHORTEST_SOFT_AGE).min(soft);
        state.renew_at = began.saturating_add(fresh);
        self.held.store(Some(Arc::new(Held { keys: Arc::clone(&obtained.keys), since: Some(began) })));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves a state that is whole, so that a panic in between harms nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two keys of `new` share the name of a key of `held`. Where such a set is all there is, both are dropped;
/// a good key is not given up for it.
fn is_ambiguous(held: &KeySet, new: &KeySet) -> bool {
    new.verdicts().iter().any(|verdict| {
        matches!(verdict.result, Err(KeyError::DuplicateKeyId))
            && verdict.kid.as_ref().is_some_and(|kid| held.get(kid.as_bytes()).is_some())
    })
}

impl fmt::Debug for AnchorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnchorKeys")
            .field("source", &self.source)
            .field("times", &self.times)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}
