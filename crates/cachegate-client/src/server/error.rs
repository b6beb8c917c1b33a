//! What a server refused, or why there is no answer.

use cachegate_fetch::{FetchError, Response, UrlError};
use cachegate_types::DecisionId;
use serde::Deserialize;

use crate::Origin;

/// The most of a text from a server that is shown.
const LONGEST_TEXT: usize = 1_000;

/// Why a server did not do what it was asked.
///
/// A text that a server sent is shortened and free of control characters: it may go to a terminal.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// There is no whole answer.
    #[error("`{origin}` was not reached")]
    NotReached {
        /// The server.
        origin: Origin,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The answer leads elsewhere. It was not followed: a token goes to its own server alone.
    #[error("`{origin}` answered {status}, which leads elsewhere and was not followed")]
    Redirected {
        /// The server.
        origin: Origin,
        /// The status of the answer.
        status: u16,
    },
    /// The answer is none that a cachegate server gives.
    #[error("the answer of `{origin}`, status {status}, is none that a cachegate server gives here")]
    Answer {
        /// The server.
        origin: Origin,
        /// The status of the answer.
        status: u16,
    },
    /// The server refused, and said why.
    #[error("{detail}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The stable code; OAuth's word where there is no better one.
        code: String,
        /// OAuth's word, where an endpoint of OAuth answered (RFC 6749, section 5.2).
        error: Option<String>,
        /// The reason, for people.
        detail: String,
        /// Under which the server tells more of it.
        decision: Option<DecisionId>,
    },
    /// A name that stands for nothing that this token may see.
    #[error("there is no {what} `{name}` that this token may use")]
    NoSuch {
        /// What was looked for, such as `organization`.
        what: &'static str,
        /// Its name, as it was given.
        name: String,
    },
    /// The token is for another server.
    #[error("the token is for `{bound_to}` and is not given to `{origin}`")]
    OtherServer {
        /// Whom the token is for.
        bound_to: Origin,
        /// Whom it was to be given to.
        origin: Origin,
    },
    /// What was asked cannot be written as an address.
    #[error("what was asked cannot be written as an address")]
    Address {
        /// Why.
        #[source]
        source: UrlError,
    },
}

/// What kind of failure it is: what a program does next depends on this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The token is missing, bad, expired or revoked: log in.
    Unauthenticated,
    /// The token is good, and this is not for it; or there is no such thing; or the request is wrong.
    Refused,
    /// Nothing can be said now: try later.
    Unavailable,
}

impl ServerError {
    /// What kind of failure it is.
    pub fn failure(&self) -> Failure {
        match self {
            Self::NotReached { .. } | Self::Redirected { .. } | Self::Answer { .. } => Failure::Unavailable,
            Self::Refused { status: 401, .. } => Failure::Unauthenticated,
            // RFC 6749, section 5.2: how a token endpoint says that what was shown to it counts no more.
            Self::Refused { error: Some(error), .. } if error == "invalid_grant" => Failure::Unauthenticated,
            Self::Refused { status: 429 | 500..=599, .. } => Failure::Unavailable,
            Self::Refused { .. } | Self::NoSuch { .. } | Self::OtherServer { .. } | Self::Address { .. } => {
                Failure::Refused
            }
        }
    }

    /// A stable name in snake case; that of the server, where it gave one.
    pub fn code(&self) -> &str {
        match self {
            Self::NotReached { source, .. } => source.code(),
            Self::Redirected { .. } => "redirected",
            Self::Answer { .. } => "not_a_cachegate_answer",
            Self::Refused { code, .. } => code,
            Self::NoSuch { .. } => "not_found",
            Self::OtherServer { .. } => "other_server",
            Self::Address { .. } => "bad_address",
        }
    }

    /// Under which the server tells more of its decision.
    pub fn decision(&self) -> Option<DecisionId> {
        match self {
            Self::Refused { decision, .. } => *decision,
            _ => None,
        }
    }

    /// What to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotReached { source: FetchError::Tls { .. }, .. } => {
                "check that the address is right and that its certificate is trusted here (`SSL_CERT_FILE`)"
            }
            Self::NotReached { .. } => "check the address and the network, then try again",
            Self::Redirected { .. } | Self::Answer { .. } => {
                "check the address: it must be that of the server itself, without a path"
            }
            Self::Refused { code, .. } if code == "replayed" => {
                "use the session of the first exchange, or have the platform give the job another token"
            }
            Self::Refused { status, code, error, .. } => {
                match (error.as_ref().unwrap_or(code).as_str(), status) {
                    ("access_denied", _) => "somebody refused the request in the browser: log in again",
                    ("expired_token", _) => "the code was not confirmed in time: log in again",
                    ("invalid_grant", _) | (_, 401) => "log in again, or name another token",
                    ("more_than_held", _) => "ask for less, or ask somebody who may do it",
                    ("not_found", _) => "check the name, or ask an administrator for access to it",
                    ("denied", _) => "ask an administrator for the right",
                    ("invalid_request", _) => "show the endpoint another token",
                    (_, 429 | 500..=599) => "try again later; if it stays so, tell the server's operator",
                    _ => "change what was asked",
                }
            }
            Self::NoSuch { .. } => "check the name, or ask an administrator for access to it",
            Self::OtherServer { .. } => "log in to this server",
            Self::Address { .. } => "check the ids and paths that were given",
        }
    }

    /// What an answer that is no success means.
    pub(super) fn of_answer(origin: &Origin, response: &Response) -> Self {
        /// A problem (RFC 9457), or an error of OAuth (RFC 6749, section 5.2).
        #[derive(Deserialize)]
        struct Said {
            code: Option<String>,
            detail: Option<String>,
            #[serde(default)]
            decision: Option<String>,
            error: Option<String>,
            error_description: Option<String>,
        }
        let status = response.status();
        if (300..400).contains(&status) {
            return Self::Redirected { origin: origin.clone(), status };
        }
        let said: Option<Said> = serde_json::from_slice(response.body()).ok();
        let Some((code, said)) =
            said.and_then(|said| Some((said.code.clone().or(said.error.clone())?, said)))
        else {
            return Self::of_text(origin, response);
        };
        let detail = said.detail.or(said.error_description);
        Self::Refused {
            status,
            detail: detail
                .map_or_else(|| format!("the server answered `{}`", shown(&code)), |text| shown(&text)),
            code: shown(&code),
            error: said.error.as_deref().map(shown),
            decision: said.decision.and_then(|id| id.parse().ok()),
        }
    }
}

impl ServerError {
    /// The protocols of build tools refuse in one line of plain text.
    fn of_text(origin: &Origin, response: &Response) -> Self {
        let status = response.status();
        let kind = response.header("content-type").unwrap_or_default();
        let code = match status {
            400 => "bad_request",
            401 => "not_authenticated",
            403 => "denied",
            404 => "not_found",
            _ => "refused",
        };
        let decision = response.header("cachegate-decision");
        let text = std::str::from_utf8(response.body()).ok().map(str::trim);
        // The text may name the decision for those who see no header.
        let named = decision.map(|id| format!(" (decision {id})")).unwrap_or_default();
        let text = text.map(|text| text.strip_suffix(&named).unwrap_or(text));
        match text.filter(|text| kind.starts_with("text/plain") && !text.is_empty()) {
            None => Self::Answer { origin: origin.clone(), status },
            Some(text) => Self::Refused {
                status,
                code: code.to_owned(),
                error: None,
                detail: shown(text),
                decision: decision.and_then(|id| id.parse().ok()),
            },
        }
    }
}

/// A text of a server, as it may go to a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .take(LONGEST_TEXT)
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect()
}
