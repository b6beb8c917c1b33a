//! What was refused or went wrong, and why.

use std::time::Duration;

/// Why there is no response. Nothing of the response, and no header or body of the request, is repeated in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Plain HTTP, which nobody allowed. Nothing was sent.
    #[error("`{host}` is not asked over plain HTTP")]
    NotHttps {
        /// The host of the address.
        host: String,
    },
    /// The host's name leads to an address that is not on the public internet, and nobody allowed it. Nothing was
    /// sent.
    #[error("`{host}` leads to an address that is not public")]
    PrivateAddress {
        /// The host of the address.
        host: String,
    },
    /// A header or the body of the request cannot be sent. Nothing was sent.
    #[error("the request cannot be sent: {what}")]
    InvalidRequest {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The host's name leads nowhere.
    #[error("`{host}` was not found: {detail}")]
    NotFound {
        /// The host of the address.
        host: String,
        /// The system's words.
        detail: String,
    },
    /// No connection.
    #[error("no connection to `{host}`: {detail}")]
    NotConnected {
        /// The host of the address.
        host: String,
        /// The system's words.
        detail: String,
    },
    /// No encrypted connection: most often a certificate that is not trusted here.
    #[error("no encrypted connection to `{host}`: {detail}")]
    Tls {
        /// The host of the address.
        host: String,
        /// The TLS library's words.
        detail: String,
    },
    /// Not complete in time.
    #[error("not complete within {} ms", limit.as_millis())]
    TimedOut {
        /// The time that the request had.
        limit: Duration,
    },
    /// A body that is larger than the request accepts. The rest was not read.
    #[error("a body of more than {limit} bytes")]
    TooLarge {
        /// The most that the request accepts, in bytes.
        limit: usize,
    },
    /// More or longer headers than are read.
    #[error("too many or too long headers")]
    HeadersTooLarge,
    /// A body in an encoding that was not asked for. It was not decoded: a few bytes may stand for gigabytes.
    #[error("a body in an encoding that was not asked for")]
    Encoded,
    /// The connection broke, or what came was no HTTP.
    #[error("a broken answer: {detail}")]
    Broken {
        /// The HTTP library's words.
        detail: String,
    },
}

impl FetchError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotHttps { .. } => "fetch_not_https",
            Self::PrivateAddress { .. } => "fetch_private_address",
            Self::InvalidRequest { .. } => "fetch_invalid_request",
            Self::NotFound { .. } => "fetch_host_not_found",
            Self::NotConnected { .. } => "fetch_not_connected",
            Self::Tls { .. } => "fetch_tls",
            Self::TimedOut { .. } => "fetch_timed_out",
            Self::TooLarge { .. } => "fetch_too_large",
            Self::HeadersTooLarge => "fetch_headers_too_large",
            Self::Encoded => "fetch_encoded",
            Self::Broken { .. } => "fetch_broken",
        }
    }
}
