//! Refusals as problem details (RFC 9457), each with a stable code.
//!
//! None repeats what the request said: a token that was put in the wrong place is not sent back.

use std::borrow::Cow;

use axum::body::Body;
use cachegate::{
    CredentialError, IssueError, ManageError, NotAuthenticated, ResolveError, TrustRulesError, Unavailable,
};
use cachegate_directory::DirectoryError;
use cachegate_types::DecisionId;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::answer;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    decision: Option<DecisionId>,
}

const fn problem(status: StatusCode, code: &'static str, detail: &'static str) -> Problem {
    Problem { status, code, detail: Cow::Borrowed(detail), decision: None }
}

impl Problem {
    pub(super) const NO_CREDENTIAL: Self = problem(
        StatusCode::UNAUTHORIZED,
        "no_credential",
        "this needs a token: `Authorization: Bearer TOKEN`",
    );
    pub(super) const NOT_FOUND: Self = problem(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing here under this name that this token may use",
    );
    pub(super) const METHOD: Self = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this endpoint does not know this method",
    );
    pub(super) const TOO_LARGE: Self =
        problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "a body is at most 65536 bytes long");
    pub(super) const BODY_UNWANTED: Self =
        problem(StatusCode::BAD_REQUEST, "body_unwanted", "this operation takes no body");
    pub(super) const MEDIA_TYPE: Self = problem(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the body must be `application/json`",
    );
    pub(super) const BAD_KEY: Self = problem(
        StatusCode::BAD_REQUEST,
        "bad_idempotency_key",
        "an idempotency key is one header of 1 to 128 bytes of visible ASCII",
    );
    pub(super) const CHANGED: Self = problem(
        StatusCode::PRECONDITION_FAILED,
        "changed",
        "somebody else has changed it since it had this `ETag`; look again and repeat",
    );
    pub(super) const NOT_A_PERSON: Self = problem(
        StatusCode::FORBIDDEN,
        "not_a_person",
        "a personal token is made by the person whom it belongs to",
    );

    pub(super) fn query(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..problem(StatusCode::BAD_REQUEST, "bad_query", "") }
    }

    pub(super) fn body(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..problem(StatusCode::BAD_REQUEST, "bad_body", "") }
    }

    /// A credential that could not even be read. A checksum that is wrong reads as a token that is unknown.
    pub(super) fn credential(error: &CredentialError) -> Self {
        Self::not_authenticated(&match error.code() {
            "bad_checksum" => NotAuthenticated::Unknown,
            code => NotAuthenticated::Malformed { code },
        })
    }

    pub(super) fn not_authenticated(reason: &NotAuthenticated) -> Self {
        let detail = Cow::Owned(reason.to_string());
        Self { detail, ..problem(StatusCode::UNAUTHORIZED, reason.code(), "") }
    }

    /// Nothing was resolved. That no release fits reads as a place that is not there: some credentials that resolve
    /// nothing here get so far.
    pub(super) fn unresolved(error: &ResolveError) -> Self {
        let detail = Cow::Owned(error.to_string());
        let with = |status, code| Self { detail, ..problem(status, code, "") };
        match error {
            ResolveError::NoRelease { .. } => Self::NOT_FOUND,
            ResolveError::NoClosure { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "no_closure"),
            ResolveError::NotAReader => with(StatusCode::FORBIDDEN, "not_a_reader"),
            _ => Self::unavailable(&Unavailable::Internal),
        }
    }

    /// What the store said is for the operator's log.
    pub(super) fn unavailable(reason: &Unavailable) -> Self {
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            reason.code(),
            "nothing can be decided at present; try again later",
        )
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let (Some(decision), Some(members)) = (self.decision, body.as_object_mut()) {
            members.insert("decision".to_owned(), json!(decision));
        }
        let mut response = answer(self.status, "application/problem+json", body.to_string());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"cachegate\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        let detail = Cow::Owned(error.to_string());
        let with = |status, code| Self { detail, ..problem(status, code, "") };
        match error {
            ManageError::Denied { explanation, visible: true, decision } => {
                Self { detail: explanation.into(), decision, ..problem(StatusCode::FORBIDDEN, "denied", "") }
            }
            ManageError::Denied { visible: false, decision, .. } => Self { decision, ..Self::NOT_FOUND },
            ManageError::MoreThanHeld { .. } => with(StatusCode::FORBIDDEN, "more_than_held"),
            ManageError::NotAuthenticated(reason) => Self::not_authenticated(&reason),
            ManageError::Unavailable(reason) => Self::unavailable(&reason),
            ManageError::LastOwner => with(StatusCode::CONFLICT, "last_owner"),
            ManageError::Missing { .. } => Self::NOT_FOUND,
            ManageError::Exists { .. } => with(StatusCode::CONFLICT, "exists"),
            ManageError::Changed { .. } => with(StatusCode::CONFLICT, "changed"),
            ManageError::KeyReused => with(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            _ => Self::unavailable(&Unavailable::Internal),
        }
    }
}

impl From<TrustRulesError> for Problem {
    fn from(error: TrustRulesError) -> Self {
        let detail = Cow::Owned(error.to_string());
        match (error.code(), error) {
            (_, TrustRulesError::Refused(error)) => error.into(),
            (Some(code), _) => Self { detail, ..problem(StatusCode::UNPROCESSABLE_ENTITY, code, "") },
            (None, _) => Self::unavailable(&Unavailable::Internal),
        }
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Gate(error) => error.into(),
            _ => Self::unavailable(&Unavailable::Internal),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        let detail = Cow::Owned(error.to_string());
        let with = |status, code| Self { detail, ..problem(status, code, "") };
        match error {
            IssueError::Refused(error) => error.into(),
            IssueError::MoreThanHeld { .. } => with(StatusCode::FORBIDDEN, "more_than_held"),
            IssueError::FormerMember => with(StatusCode::FORBIDDEN, "former_member"),
            IssueError::NotTheOwner => with(StatusCode::FORBIDDEN, "not_the_owner"),
            IssueError::Level { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "level"),
            IssueError::Lane { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "lane"),
            IssueError::NotRotated { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "not_rotated"),
            IssueError::NotExchanged { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "not_exchanged"),
            IssueError::Lineage => with(StatusCode::UNPROCESSABLE_ENTITY, "lineage"),
            IssueError::Encoding { code: "no_randomness" } => Self::unavailable(&Unavailable::Internal),
            IssueError::Encoding { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "token_too_long"),
            _ => Self::unavailable(&Unavailable::Internal),
        }
    }
}
