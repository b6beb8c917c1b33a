//! Forgetting what need not be kept any more.

use std::time::Duration;

use cachegate_types::Timestamp;

use crate::Gate;
use crate::verdict::Unavailable;

/// For how long an expired token stays listed.
pub const TOKEN_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a purge forgot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    /// Tokens that expired [`TOKEN_RETENTION`] ago or earlier.
    pub tokens: u64,
    /// What may happen once, past the time for which it had to be remembered.
    pub uses: u64,
    /// Logins that nobody approved in time, and requests that are no longer known again when they are repeated.
    pub pending: u64,
}

impl Gate {
    /// Forgets what has no more effect. Call it every hour or so; what it forgets was refused already, and is refused
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer; calling again is safe.
    pub async fn purge(&self, now: Timestamp) -> Result<Purged, Unavailable> {
        let inner = &*self.inner;
        // A clock that runs ahead would forget what still counts.
        inner.ensure_newest(now).await?;
        let storage = inner.held.storage();
        Ok(Purged {
            tokens: storage.purge_tokens(now.saturating_sub(TOKEN_RETENTION)).await?,
            uses: storage.purge_consumed(now).await?,
            pending: storage.purge_pending(now).await?,
        })
    }
}
