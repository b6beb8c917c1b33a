//! Refusals as OAuth has them (RFC 6749, section 5.2), each with a stable code beside the standard's word where that
//! says more.
//!
//! None repeats what the request said: a token that was put in the wrong place is not sent back.

use std::borrow::Cow;

use axum::body::Body;
use cachegate::{
    AuthenticateError, CredentialError, DeviceLoginError, IssueError, ManageError, NotAuthenticated,
    Unavailable,
};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::answer;
use crate::browser::Forged;

/// The longest description, in bytes.
const LONGEST: usize = 400;

/// A refusal.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) code: &'static str,
    description: Cow<'static, str>,
    /// What a 401 asks for.
    challenge: &'static str,
}

impl Failure {
    pub(crate) fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let description = description.into();
        Self { status, error, code: error, description, challenge: "Bearer realm=\"cachegate\"" }
    }

    pub(crate) fn bad(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, description)
    }

    pub(crate) fn request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_request", description)
    }

    /// The more precise name.
    pub(crate) fn because(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// What is wrong with the credential of whoever asks, and not with what they ask (RFC 6750, section 3.1).
    pub(crate) fn unauthorized(self) -> Self {
        match self.status {
            StatusCode::BAD_REQUEST => Self { status: StatusCode::UNAUTHORIZED, ..self },
            _ => self,
        }
    }

    /// A client that is not the service that it says it is.
    pub(crate) fn client() -> Self {
        let text = "no service is registered under this name with this secret; others are public and send `client_id` \
                    alone";
        let failure = Self::new(StatusCode::UNAUTHORIZED, "invalid_client", text);
        Self { challenge: "Basic realm=\"cachegate\"", ..failure }
    }

    /// A form that may come from elsewhere.
    pub(crate) fn forged(forged: &Forged) -> Self {
        Self::new(StatusCode::FORBIDDEN, "access_denied", forged.to_string()).because(forged.code())
    }

    pub(crate) fn too_often() -> Self {
        let text = "asked too often; wait a minute and try again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", text).because("too_often")
    }

    /// What the store said is for the operator's log.
    pub(crate) fn unavailable(reason: &Unavailable) -> Self {
        let text = "nothing can be decided at present; try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text).because(reason.code())
    }

    /// A token that could not even be read. A checksum that is wrong reads as a token that is unknown.
    pub(crate) fn credential(error: &CredentialError, blame: &'static str) -> Self {
        let reason = match error.code() {
            "bad_checksum" => NotAuthenticated::Unknown,
            code => NotAuthenticated::Malformed { code },
        };
        Self::not_authenticated(&reason, blame)
    }

    pub(crate) fn not_authenticated(reason: &NotAuthenticated, blame: &'static str) -> Self {
        Self::bad(blame, reason.to_string()).because(reason.code())
    }

    pub(crate) fn authenticate(error: &AuthenticateError, blame: &'static str) -> Self {
        match error {
            AuthenticateError::NotAuthenticated(reason) => Self::not_authenticated(reason, blame),
            AuthenticateError::Unavailable(reason) => Self::unavailable(reason),
        }
    }

    pub(crate) fn manage(error: &ManageError, blame: &'static str) -> Self {
        match error {
            ManageError::NotAuthenticated(reason) => Self::not_authenticated(reason, blame),
            ManageError::Unavailable(reason) => Self::unavailable(reason),
            ManageError::Changed { .. } => Self::bad(blame, error.to_string()).because("changed"),
            ManageError::Missing { .. } => Self::bad(blame, error.to_string()).because("missing"),
            ManageError::Denied { .. } => Self::bad(blame, error.to_string()).because("denied"),
            _ => Self::unavailable(&Unavailable::Internal),
        }
    }

    pub(crate) fn issue(error: &IssueError, blame: &'static str) -> Self {
        let with = |error_word, code| Self::bad(error_word, error.to_string()).because(code);
        match error {
            IssueError::Refused(error) => Self::manage(error, blame),
            IssueError::UnknownService => with("invalid_target", "unknown_service"),
            IssueError::NotExchanged { .. } => with(blame, "not_exchanged"),
            IssueError::Lineage => with(blame, "lineage"),
            IssueError::FormerMember => with(blame, "former_member"),
            IssueError::NotTheOwner => with(blame, "not_the_owner"),
            IssueError::Encoding { code } if *code != "no_randomness" => {
                with("invalid_request", "token_too_long")
            }
            _ => Self::unavailable(&Unavailable::Internal),
        }
    }

    pub(crate) fn device(error: &DeviceLoginError) -> Self {
        match error {
            DeviceLoginError::Failed(error) => Self::issue(error, "invalid_grant"),
            waiting => Self::bad(waiting.code(), waiting.to_string()),
        }
    }

    /// The description, in the characters that OAuth allows.
    pub(crate) fn text(&self) -> String {
        let plain = |letter: char| match letter {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => letter,
            _ => ' ',
        };
        self.description.chars().map(plain).take(LONGEST).collect()
    }

    /// What every answer to this says beside its body.
    pub(crate) fn dress(&self, response: &mut Response<Body>) {
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut body = json!({ "error": self.error, "error_description": self.text() });
        if let (true, Some(members)) = (self.code != self.error, body.as_object_mut()) {
            members.insert("code".to_owned(), json!(self.code));
        }
        let mut response = answer(&body);
        self.dress(&mut response);
        response
    }
}
