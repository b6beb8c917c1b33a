//! Monotonic time, for freshness and nothing else. What tokens claim is read against the `now` of each call.

use std::fmt;
use std::time::{Duration, Instant};

/// A point on a gate's monotonic clock. Meaningless across processes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Ticks(u64);

impl Ticks {
    /// The beginning of the clock.
    pub const ZERO: Self = Self(0);

    /// Nanoseconds since the beginning of the clock.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning of the clock.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The point `span` later.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A monotonic clock. A test brings its own and sets it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now. Never earlier than an answer given before.
    fn ticks(&self) -> Ticks;
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    fn ticks(&self) -> Ticks {
        Ticks::ZERO.saturating_add(self.start.elapsed())
    }
}
