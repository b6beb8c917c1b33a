//! Refusals as each build tool does the right thing with them: access stays closed, the build goes on where it can,
//! and the reason reaches its reader where the tool shows it.
//!
//! One table a protocol, made of what real clients were seen to do. No table knows whether a thing exists: what is
//! unknown and what is not granted look the same in status, headers and body.

use cachegate::{NotAuthenticated, Unavailable, Verdict};
use cachegate_token::CredentialError;
use cachegate_types::{Action, Principal};
use http::{HeaderValue, Response, StatusCode, header};

/// A cache protocol, for the table to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Protocol {
    /// Nx's self-hosted remote cache (Nx 20.8 and later).
    ///
    /// Nx goes on after GET 404 and after PUT 403 and 409 alone, and shows the server's text after 401 alone. A bad
    /// credential is therefore 401, which stops the build and says why; all else lets the build go on without the
    /// cache.
    Nx,
    /// Plain HTTP, as ccache, Bazel and Gradle speak it: the statuses mean what RFC 9110 says.
    Plain,
}

/// A refusal, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The status.
    pub status: StatusCode,
    /// Whether to ask for Basic credentials (RFC 7617).
    pub challenge: bool,
    /// One line of plain text without control characters.
    pub text: String,
}

impl Denial {
    /// As a response with a plain-text body.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(format!("{}\n", self.text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // Nx 24 shows a text only where this is `text/plain` to the letter, without a charset.
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"cachegate\""));
        }
        response
    }
}

/// The refusal that this verdict is in this protocol; `None` when it allows.
pub fn denial(protocol: Protocol, action: Action, verdict: &Verdict) -> Option<Denial> {
    let (kind, text) = match verdict {
        Verdict::Allowed(_) => return None,
        Verdict::Denied(denied) => match denied.principal() {
            Principal::Anonymous => (Kind::NoCredential, ANONYMOUS.to_owned()),
            Principal::User(_) | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                (Kind::Denied, denied.explain(cachegate::Candour::Caller))
            }
        },
        Verdict::NotAuthenticated(reason) => (Kind::BadCredential, not_authenticated_text(reason)),
        Verdict::Unavailable(reason) => (Kind::Unavailable, unavailable_text(reason)),
    };
    Some(row(protocol, action, kind, &text))
}

/// The refusal of a credential that could not even be read.
///
/// A checksum that is wrong is told from an unknown token by the holder's own tools alone: here both read the same.
pub fn malformed(protocol: Protocol, action: Action, error: &CredentialError) -> Denial {
    let reason = match error.code() {
        "bad_checksum" => NotAuthenticated::Unknown,
        code => NotAuthenticated::Malformed { code },
    };
    row(protocol, action, Kind::BadCredential, &not_authenticated_text(&reason))
}

const ANONYMOUS: &str = "not found, or not allowed without a token";

/// Why a request is refused, as far as the tables tell apart.
#[derive(Clone, Copy)]
enum Kind {
    /// A credential was presented and not believed.
    BadCredential,
    /// None was presented, and nobody in particular may not.
    NoCredential,
    /// Who asks is known, and may not.
    Denied,
    /// Nothing could be decided.
    Unavailable,
}

fn row(protocol: Protocol, action: Action, kind: Kind, text: &str) -> Denial {
    let looks = !action.changes_something();
    let status = match (protocol, kind, looks) {
        (_, Kind::BadCredential, _) | (Protocol::Plain, Kind::NoCredential, _) => StatusCode::UNAUTHORIZED,
        (Protocol::Nx, Kind::NoCredential | Kind::Denied | Kind::Unavailable, true) => StatusCode::NOT_FOUND,
        (Protocol::Nx, Kind::NoCredential | Kind::Denied | Kind::Unavailable, false)
        | (Protocol::Plain, Kind::Denied, _) => StatusCode::FORBIDDEN,
        (Protocol::Plain, Kind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Denial { status, challenge: status == StatusCode::UNAUTHORIZED, text: one_line(text) }
}

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

/// Texts go to terminals: one line, no control characters, not long.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(500).collect()
}
