//! Tokens at rest on a person's machine, each bound to the server that it is for.

mod document;
#[cfg(feature = "keyring")]
mod keyring;

use std::fmt;
use std::time::Duration;

use cachegate_types::{SecretText, Timestamp};

use crate::{FileError, Origin};

pub use self::document::FileTokens;
#[cfg(feature = "keyring")]
pub use self::keyring::KeyringTokens;

/// A token and the one server that it is for. Whoever wants it names the server, and another gets nothing.
#[derive(Clone)]
pub struct BoundToken {
    origin: Origin,
    token: SecretText,
    refresh: Option<SecretText>,
    expires_at: Option<Timestamp>,
}

impl BoundToken {
    /// Binds a token to its server for good.
    pub fn new(origin: Origin, token: SecretText) -> Self {
        Self { origin, token, refresh: None, expires_at: None }
    }

    /// With what renews it: single use, so that it is stored again after each renewal.
    #[must_use]
    pub fn with_refresh(mut self, refresh: SecretText) -> Self {
        self.refresh = Some(refresh);
        self
    }

    /// With the moment from which it counts no more.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The server.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The token, for a request to this server; `None` where it is for another.
    pub fn token_for(&self, origin: &Origin) -> Option<&SecretText> {
        (self.origin == *origin).then_some(&self.token)
    }

    /// What renews the token, for a request to this server; `None` where it is for another, or there is nothing.
    pub fn refresh_for(&self, origin: &Origin) -> Option<&SecretText> {
        self.refresh.as_ref().filter(|_| self.origin == *origin)
    }

    /// The moment from which it counts no more, where that is known.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether it ends within this time, or has ended.
    pub fn ends_within(&self, margin: Duration, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now.saturating_add(margin))
    }
}

impl fmt::Debug for BoundToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundToken")
            .field("origin", &self.origin.as_str())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Where tokens are kept, at most one a server. The methods wait for a disk or another process.
pub trait TokenStore: Send + Sync + fmt::Debug {
    /// The token for this server; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read. That is no reason to go on without a token.
    fn token(&self, origin: &Origin) -> Result<Option<BoundToken>, TokenStoreError>;

    /// Keeps this token, in place of the one for its server.
    ///
    /// # Errors
    ///
    /// Where the store cannot be written; it is as it was then.
    fn put(&self, token: &BoundToken) -> Result<(), TokenStoreError>;

    /// Forgets the token for this server, and says whether there was one.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::put`].
    fn remove(&self, origin: &Origin) -> Result<bool, TokenStoreError>;
}

/// Why tokens were not read or not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenStoreError {
    /// The file could not be read or replaced.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than the owner can reach the file.
    #[error(
        "`{path}` has mode {mode:04o} and was not read, since others on this machine can reach its tokens: run `chmod \
         600` on it, and replace the tokens if others use this machine"
    )]
    WideMode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The store does not hold what it should.
    #[error(
        "{place} holds no tokens in a form known here, near line {line}, column {column}: move it away and log in again"
    )]
    Malformed {
        /// The file, or the keyring's entry.
        place: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The store was written by a later version.
    #[error(
        "{place} was written in version {found} of its form, and only 1 is known here: use the newer program"
    )]
    Version {
        /// The file, or the keyring's entry.
        place: String,
        /// The version found.
        found: u64,
    },
    /// The system's keyring refused, or there is none.
    #[error("the system's keyring did not {action} ({detail}): unlock it, or keep tokens in a file")]
    Keyring {
        /// What was tried, such as `read an entry`.
        action: &'static str,
        /// What it said.
        detail: String,
    },
}
