//! A clock that stands still until it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachegate::{Clock, Ticks};

/// A monotonic clock that a test moves.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// Moves it forward.
    pub fn advance(&self, span: Duration) {
        self.nanos.fetch_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn ticks(&self) -> Ticks {
        // Never zero: zero is how a gate says "never".
        Ticks::from_nanos(self.nanos.load(Ordering::SeqCst) + 1)
    }
}
