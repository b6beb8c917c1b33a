//! Why a delivery was refused, and why GitHub's answer changed nothing.

use cachegate_fetch::{FetchError, UrlError};
use cachegate_storage::StoreError;
use cachegate_types::Timestamp;

use crate::DirectoryError;

/// Why GitHub cannot be a directory as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GithubConfigError {
    /// None, or more than two: one, and another while it takes the first one's place.
    #[error("a webhook has one secret, or two while they change; here are {count}")]
    Secrets {
        /// How many there are.
        count: usize,
    },
    /// A secret that can be guessed.
    #[error("a webhook's secret of {length} bytes can be guessed; take {least} random ones at least")]
    ShortSecret {
        /// Its length.
        length: usize,
        /// What is needed.
        least: usize,
    },
    /// An id that is none.
    #[error("an organization's numeric id at GitHub is not 0")]
    Id,
    /// An App without a private key, an id or an installation.
    #[error("a GitHub App has a client id, an installation, and a private RSA key in PEM form")]
    AppKey,
    /// No address of an API.
    #[error("the address of GitHub's API: {0}")]
    Address(#[from] UrlError),
    /// One organization, here or at GitHub, twice.
    #[error("one organization, here or at GitHub, is configured twice")]
    Twice,
}

/// Why a delivery was refused. Nothing of it is repeated, and nothing was changed, but where the store failed: then what
/// ended may or may not have ended here, and GitHub may send it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Too large to be one that is acted on.
    #[error("a delivery of {length} bytes is too large")]
    TooLarge {
        /// Its length.
        length: usize,
    },
    /// It has no SHA-256 signature.
    #[error("a delivery is signed, in `X-Hub-Signature-256`")]
    Unsigned,
    /// No configured secret signed this body.
    #[error("this body was not signed with a secret that is configured here")]
    WrongSignature,
    /// It was signed, and is not what GitHub sends.
    #[error("{what} is not what GitHub sends")]
    Malformed {
        /// What of it.
        what: &'static str,
    },
    /// It was signed, and is about an organization that is not configured with this secret.
    #[error("this delivery is about an organization that its secret does not stand for")]
    OtherOrganization,
    /// The store or the gate failed. It may be sent again.
    #[error("the store did not answer")]
    Unavailable {
        /// Why.
        #[source]
        source: DirectoryError,
    },
}

impl DeliveryError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "delivery_too_large",
            Self::Unsigned => "delivery_unsigned",
            Self::WrongSignature => "delivery_wrong_signature",
            Self::Malformed { .. } => "delivery_malformed",
            Self::OtherOrganization => "delivery_other_organization",
            Self::Unavailable { .. } => "delivery_unavailable",
        }
    }
}

impl From<StoreError> for DeliveryError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable { source: error.into() }
    }
}

impl From<DirectoryError> for DeliveryError {
    fn from(source: DirectoryError) -> Self {
        Self::Unavailable { source }
    }
}

/// Why a pull changed nothing, or not all that it should. Everybody who was in stays in, and everybody who was out stays
/// out, until one succeeds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Nobody configured this organization.
    #[error("this organization is in no directory at GitHub")]
    NotConfigured,
    /// Another pull of this organization goes on.
    #[error("a pull of this organization goes on already")]
    Busy,
    /// GitHub did not answer.
    #[error("GitHub did not answer")]
    Unreachable {
        /// Why.
        #[source]
        source: FetchError,
    },
    /// GitHub was asked too much.
    #[error("GitHub was asked too much; it may be asked again at {until}")]
    Limited {
        /// When.
        until: Timestamp,
    },
    /// An answer with another status than was hoped for: a redirect too, which would lead to the public members.
    #[error("GitHub answered {status} when it was asked for {what}")]
    Status {
        /// The status.
        status: u16,
        /// What it was asked for.
        what: &'static str,
    },
    /// An answer that is not what it should be.
    #[error("what GitHub says of {what} is not what it should be")]
    Garbage {
        /// What it was asked for.
        what: &'static str,
    },
    /// More than is read.
    #[error("GitHub lists more {what} than are read")]
    TooMany {
        /// What it was asked for.
        what: &'static str,
    },
    /// The App's key signs nothing.
    #[error("the GitHub App's key could not sign")]
    AppKey,
    /// The store or the gate failed.
    #[error("the store did not answer")]
    Unavailable {
        /// Why.
        #[source]
        source: DirectoryError,
    },
}

impl PullError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured => "pull_not_configured",
            Self::Busy => "pull_busy",
            Self::Unreachable { .. } => "pull_unreachable",
            Self::Limited { .. } => "pull_limited",
            Self::Status { .. } => "pull_status",
            Self::Garbage { .. } => "pull_garbage",
            Self::TooMany { .. } => "pull_too_many",
            Self::AppKey => "pull_app_key",
            Self::Unavailable { .. } => "pull_unavailable",
        }
    }

    /// When GitHub may be asked again, where it said so.
    pub const fn try_again_at(&self) -> Option<Timestamp> {
        match self {
            Self::Limited { until } => Some(*until),
            _ => None,
        }
    }
}

impl From<StoreError> for PullError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable { source: error.into() }
    }
}

impl From<DirectoryError> for PullError {
    fn from(source: DirectoryError) -> Self {
        Self::Unavailable { source }
    }
}
