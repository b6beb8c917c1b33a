//! Why there is no key, and why a refresh brought none.

use std::time::Duration;

use cachegate_fetch::FetchError;
use cachegate_jwt::{KeyId, KeySetError};

/// Why a token gets no keys to be verified with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The issuer was asked, lately enough, and has no key of this name. The token is refused.
    #[error("the issuer has no key of the token's key id")]
    UnknownKey {
        /// The token's `kid`; it is text that whoever made the token chose.
        kid: KeyId,
    },
    /// The issuer could not be asked, so that nobody knows whether it has such a key. The token is refused all the
    /// same; a later try may succeed.
    #[error("the issuer's keys are not to be had")]
    Unavailable {
        /// What came of the last attempt.
        source: RefreshError,
    },
    /// The last good keys are older than is accepted, and no newer ones are to be had: a key that was withdrawn
    /// meanwhile would still verify. A later try may succeed.
    #[error("the issuer's keys are {} s old, at most {} s are accepted", age.as_secs(), limit.as_secs())]
    TooOld {
        /// How old they are.
        age: Duration,
        /// How old they may be.
        limit: Duration,
    },
}

impl KeysError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "unknown_key",
            Self::Unavailable { .. } => "keys_unavailable",
            Self::TooOld { .. } => "keys_too_old",
        }
    }

    /// Whether this is a fault of the issuer or of the way to it, and no fault of the token.
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::UnknownKey { .. } => false,
            Self::Unavailable { .. } | Self::TooOld { .. } => true,
        }
    }
}

/// Why a refresh brought no keys. Those that were held are held on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// No whole response.
    #[error("`{url}` could not be fetched")]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why there is none.
        source: FetchError,
    },
    /// Any status but 200, redirects among them.
    #[error("`{url}` answers with status {status}, not with 200")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The discovery document is no JSON object with one `issuer` and one `jwks_uri`.
    #[error("`{url}` is no discovery document")]
    NotDiscovery {
        /// Where it is.
        url: String,
    },
    /// The discovery document speaks for another issuer.
    #[error("the discovery document is of another issuer, not of `{expected}`")]
    IssuerMismatch {
        /// The issuer that is configured, byte for byte.
        expected: String,
    },
    /// The discovery document names a place for the keys that is not `https` at the same host and port, nor at a
    /// host that is configured.
    #[error("the keys of `{issuer}` lie elsewhere than at its own host")]
    KeysElsewhere {
        /// The issuer that is configured.
        issuer: String,
    },
    /// The key set cannot be read.
    #[error("`{url}` is no key set")]
    KeySet {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        source: KeySetError,
    },
    /// The key set has no key that can be used.
    #[error("`{url}` has no usable key")]
    NoUsableKey {
        /// Where it is.
        url: String,
    },
    /// Two keys have the name of one that is held, and nobody can tell which of them is meant.
    #[error("`{url}` has two keys for one key id")]
    AmbiguousKey {
        /// Where it is.
        url: String,
    },
    /// The `Fetch` panicked.
    #[error("the fetch panicked")]
    Panicked,
    /// The attempt took so long that another was begun, which is still under way.
    #[error("the attempt took too long, and another was begun")]
    Overtaken,
}

impl RefreshError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Fetch { source, .. } => source.code(),
            Self::Status { .. } => "keys_status",
            Self::NotDiscovery { .. } => "not_a_discovery_document",
            Self::IssuerMismatch { .. } => "discovery_issuer_mismatch",
            Self::KeysElsewhere { .. } => "keys_elsewhere",
            Self::KeySet { source, .. } => source.code(),
            Self::NoUsableKey { .. } => "no_usable_key",
            Self::AmbiguousKey { .. } => "ambiguous_key",
            Self::Panicked => "fetch_panicked",
            Self::Overtaken => "fetch_overtaken",
        }
    }
}
