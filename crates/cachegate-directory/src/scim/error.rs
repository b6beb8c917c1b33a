//! Why a request of a SCIM client was not done, as RFC 7644, section 3.12, has it.

use cachegate::ManageError;
use cachegate_storage::StoreError;
use serde_json::{Value, json};

use super::schema::ERROR;
use crate::DirectoryError;

/// Why a request was not done. Nothing was changed then, except where the store did not answer: send it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ScimError {
    #[error("the body is not what this request needs: {what}")]
    Syntax { what: &'static str },
    #[error("the filter cannot be read: {what}")]
    Filter { what: &'static str },
    #[error("the path cannot be read: {what}")]
    Path { what: &'static str },
    #[error("`{attribute}`: {what}")]
    Value { attribute: &'static str, what: &'static str },
    #[error("the operation has no target: {what}")]
    NoTarget { what: &'static str },
    #[error("`{attribute}` is not for clients to change")]
    Mutability { attribute: &'static str },
    #[error("another {what} of this directory has the same id or name")]
    Uniqueness { what: &'static str },
    #[error("more than {limit} {what} at once")]
    TooMany { what: &'static str, limit: usize },
    #[error("the resource changed meanwhile; read it again")]
    Changed,
    #[error("no such resource")]
    NotFound,
    #[error("this resource does not take this method")]
    Method,
    #[error("this is not supported here; see /ServiceProviderConfig")]
    NotSupported,
    #[error("the body is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<StoreError> for ScimError {
    fn from(error: StoreError) -> Self {
        Self::Directory(error.into())
    }
}

impl ScimError {
    /// The status and, where RFC 7644 (table 9) has a word for it, the `scimType`.
    pub(super) const fn status(&self) -> (u16, Option<&'static str>) {
        match self {
            Self::Syntax { .. } => (400, Some("invalidSyntax")),
            Self::Filter { .. } => (400, Some("invalidFilter")),
            Self::Path { .. } => (400, Some("invalidPath")),
            Self::Value { .. } => (400, Some("invalidValue")),
            Self::NoTarget { .. } => (400, Some("noTarget")),
            Self::Mutability { .. } => (400, Some("mutability")),
            Self::TooMany { .. } => (400, Some("tooMany")),
            Self::Uniqueness { .. } => (409, Some("uniqueness")),
            Self::Changed => (412, None),
            Self::NotFound => (404, None),
            Self::Method => (405, None),
            Self::NotSupported => (501, None),
            Self::TooLarge { .. } => (413, None),
            Self::Directory(DirectoryError::Gate(error)) => match error {
                ManageError::NotAuthenticated(_) => (401, None),
                ManageError::Denied { visible: false, .. } => (404, None),
                ManageError::Denied { .. }
                | ManageError::MoreThanHeld { .. }
                | ManageError::MoreThanNeeded { .. }
                | ManageError::LastOwner => (403, None),
                ManageError::Missing { .. } => (404, None),
                ManageError::Exists { .. } => (409, Some("uniqueness")),
                ManageError::Changed { .. } | ManageError::KeyReused => (409, None),
                _ => (503, None),
            },
        }
    }

    /// The error as the client reads it.
    pub(super) fn body(&self) -> Value {
        let (status, scim_type) = self.status();
        let detail = match status {
            // What is not there and what is not granted look the same.
            404 => Self::NotFound.to_string(),
            // What failed inside is for the log.
            503 => "this cannot be done at present; try again".to_owned(),
            _ => self.to_string(),
        };
        body(status, scim_type, &detail)
    }
}

/// An error as a client reads it.
pub(super) fn body(status: u16, scim_type: Option<&str>, detail: &str) -> Value {
    let mut body = json!({"schemas": [ERROR], "status": status.to_string(), "detail": detail});
    if let (Some(scim_type), Some(body)) = (scim_type, body.as_object_mut()) {
        body.insert("scimType".to_owned(), scim_type.into());
    }
    body
}
