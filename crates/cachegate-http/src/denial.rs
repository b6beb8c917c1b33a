//! Answers as each build tool does the right thing with them: access stays closed, the build goes on where it can,
//! and the reason reaches its reader where the tool shows it.
//!
//! No table knows whether a thing exists: what is unknown and what is not granted look the same in status, headers and
//! body.

use std::fmt;

use cachegate::{NotAuthenticated, SealError, Unavailable, Verdict};
use cachegate_token::CredentialError;
use cachegate_types::{Action, DecisionId, Principal};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::tables::{Form, Row, Table, table};

/// A cache protocol, for the table to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Protocol {
    /// Nx's self-hosted remote cache (Nx 20.8 and later).
    Nx,
    /// Turborepo's `/v8/artifacts`.
    Turborepo,
    /// Plain HTTP, as ccache speaks it.
    Plain,
    /// Bazel's HTTP cache.
    Bazel,
    /// Gradle's HTTP build cache.
    Gradle,
    /// Nix's HTTP binary cache.
    Nix,
    /// WebDAV, as sccache speaks it.
    WebDav,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: &'static [Self] =
        &[Self::Nx, Self::Turborepo, Self::Plain, Self::Bazel, Self::Gradle, Self::Nix, Self::WebDav];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nx => "nx",
            Self::Turborepo => "turborepo",
            Self::Plain => "plain",
            Self::Bazel => "bazel",
            Self::Gradle => "gradle",
            Self::Nix => "nix",
            Self::WebDav => "webdav",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says by which id a refusal can be asked about: `GET /api/v1/decisions/{id}`.
pub const DECISION: HeaderName = HeaderName::from_static("cachegate-decision");

/// An answer without an entry, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Whether to ask for Basic credentials (RFC 7617).
    pub challenge: bool,
    /// One line of plain text without control characters.
    pub text: String,
    /// By which the kernel tells of the refusal later. A refusal that was decided has one, whatever was refused.
    pub decision: Option<DecisionId>,
    form: Form,
}

impl Answer {
    fn new(table: &Table, status: StatusCode, text: &str) -> Self {
        let challenge = status == StatusCode::UNAUTHORIZED;
        Self { status, challenge, text: one_line(text), decision: None, form: table.form }
    }

    /// The same, with the id in the text: where a tool shows anything, it shows that.
    fn decided(mut self, decision: Option<DecisionId>) -> Self {
        if let Some(decision) = decision {
            self.text = format!("{} (decision {decision})", self.text);
        }
        Self { decision, ..self }
    }

    /// As a response, its body in the protocol's form.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let (media_type, body) = match self.form {
            // Nx 24 shows a text only where this is `text/plain` to the letter, without a charset.
            Form::Text => ("text/plain", format!("{}\n", self.text)),
            Form::TurborepoJson => ("application/json", turborepo_json(self.status, &self.text)),
        };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"cachegate\""));
        }
        if let Some(Ok(decision)) = self.decision.map(|id| HeaderValue::try_from(id.to_string())) {
            headers.insert(DECISION, decision);
        }
        response
    }
}

/// What became of a request that the kernel allowed, where no entry is served.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// No entry that may be served is in a lane that the credential reads.
    Miss,
    /// The entry is stored.
    Stored,
    /// The writer's own lane has the entry: it is written once, and nothing was changed.
    Exists,
    /// The entry is too long.
    TooLarge {
        /// The longest that is stored, in bytes.
        limit: u64,
    },
    /// The request is none that can be carried out, whoever asks.
    Unusable {
        /// Why, in words for whoever wrote the client.
        why: &'static str,
    },
    /// The body was complete, and the kernel no longer lets it be stored.
    NotSealed(SealError),
    /// The cache failed; why is for its own log.
    Failed,
}

/// The refusal that this verdict is in this protocol; `None` when it allows.
pub fn denial(protocol: Protocol, action: Action, verdict: &Verdict) -> Option<Answer> {
    let table = table(protocol);
    let (row, text) = match verdict {
        Verdict::Allowed(_) => return None,
        Verdict::Denied(denied) => match denied.principal() {
            Principal::Anonymous => (&table.no_credential, ANONYMOUS.to_owned()),
            Principal::User(_) | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                (&table.denied, denied.explain(cachegate::Candour::Caller))
            }
        },
        Verdict::NotAuthenticated(reason) => (&table.bad_credential, not_authenticated_text(reason)),
        Verdict::Unavailable(reason) => (&table.unavailable, unavailable_text(reason)),
    };
    let decision = match verdict {
        Verdict::Denied(denied) => denied.id(),
        Verdict::Allowed(_) | Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => None,
    };
    Some(Answer::new(table, row.status(action), &text).decided(decision))
}

/// The refusal of a credential that could not even be read.
///
/// A checksum that is wrong is told from an unknown token by the holder's own tools alone: here both read the same.
pub fn malformed(protocol: Protocol, action: Action, error: &CredentialError) -> Answer {
    let reason = match error.code() {
        "bad_checksum" => NotAuthenticated::Unknown,
        code => NotAuthenticated::Malformed { code },
    };
    let table = table(protocol);
    Answer::new(table, table.bad_credential.status(action), &not_authenticated_text(&reason))
}

/// What an allowed request that serves no entry is answered in this protocol.
pub fn answer(protocol: Protocol, action: Action, outcome: &Outcome) -> Answer {
    let table = table(protocol);
    let (status, text) = match outcome {
        Outcome::Miss => (table.miss, "no such entry".to_owned()),
        Outcome::Stored => (table.stored, "stored".to_owned()),
        Outcome::Exists => {
            (table.exists, "this entry exists already in your lane; entries are written once".to_owned())
        }
        Outcome::TooLarge { limit } => {
            (table.too_large, format!("entries are at most {limit} bytes long here"))
        }
        Outcome::Unusable { why } => (table.unusable.status(action), (*why).to_owned()),
        Outcome::NotSealed(error) => {
            let (row, text) = match error {
                SealError::NotAuthenticated(reason) => (&table.denied, not_authenticated_text(reason)),
                SealError::Unavailable(reason) => (&table.unavailable, unavailable_text(reason)),
                other => (&table.denied, other.to_string()),
            };
            (row.status(action), format!("not stored: {text}"))
        }
        Outcome::Failed => {
            (table.unavailable.status(action), "the cache failed; the server's log says why".to_owned())
        }
    };
    Answer::new(table, status, &text)
}

impl Row {
    fn status(&self, action: Action) -> StatusCode {
        match action {
            Action::Resolve => self.resolve,
            _ if action.changes_something() => self.change,
            _ => self.read,
        }
    }
}

const ANONYMOUS: &str = "not found, or not allowed without a token";

fn not_authenticated_text(reason: &NotAuthenticated) -> String {
    match reason {
        // The sentence names it already.
        NotAuthenticated::Malformed { .. } | NotAuthenticated::Refused { .. } => reason.to_string(),
        _ => format!("{reason} [{}]", reason.code()),
    }
}

fn unavailable_text(reason: &Unavailable) -> String {
    // What the store said is for the operator's log, not for whoever asks.
    format!("the cache cannot decide at present; try again later [{}]", reason.code())
}

/// The code is read for a 403 alone, where `forbidden` makes turbo warn once and stop.
fn turborepo_json(status: StatusCode, text: &str) -> String {
    let code = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::BAD_REQUEST => "bad_request",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        status if status.is_success() => return r#"{"urls":[]}"#.to_owned(),
        _ => "unavailable",
    };
    serde_json::json!({ "error": { "code": code, "message": text } }).to_string()
}

/// Texts go to terminals: one line, no control characters, not long.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(500).collect()
}
