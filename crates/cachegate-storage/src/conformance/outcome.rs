//! What a case answers.

use std::fmt::Debug;

use crate::StoreError;

/// What a case answers.
pub type Outcome = Result<(), Violation>;

/// How a store breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Violation {
    detail: String,
}

impl Violation {
    pub(super) const fn new(detail: String) -> Self {
        Self { detail }
    }
}

/// A store that fails where nothing is wrong.
impl From<StoreError> for Violation {
    fn from(error: StoreError) -> Self {
        Self::new(format!("failed where nothing is wrong: {error}"))
    }
}

/// The outcome for two values that must be equal.
pub(super) fn equal<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(Violation::new(format!("{what}: found {found:?}, expected {expected:?}")))
    }
}

/// The kinds of [`StoreError`], to compare them without what they refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unavailable,
    Exists,
    Missing,
    Precondition,
    Corrupt,
}

impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::Unavailable,
            StoreError::Exists { .. } => Self::Exists,
            StoreError::Missing { .. } => Self::Missing,
            StoreError::Precondition { .. } => Self::Precondition,
            StoreError::Corrupt { .. } => Self::Corrupt,
        }
    }
}

/// The outcome for an act that must be refused in this way.
pub(super) fn refused<T: Debug>(what: &str, found: Result<T, StoreError>, expected: Refusal) -> Outcome {
    match found {
        Ok(answer) => Err(Violation::new(format!("{what}: done with {answer:?}, expected {expected:?}"))),
        Err(error) => equal(what, &Refusal::from(&error), &expected),
    }
}

/// Fails the case with a text unless the condition holds.
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Violation::new(format!($($text)+)));
        }
    };
}

/// Declares cases and their table.
macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($storage:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            pub async fn $name($storage: std::sync::Arc<dyn $crate::Storage>) -> $crate::conformance::Outcome {
                $body
                Ok(())
            }
        )*

        pub(super) const CASES: &[(&str, $crate::conformance::CaseFn)] =
            &[$((stringify!($name), |storage| Box::pin($name(storage)))),*];
    };
}
