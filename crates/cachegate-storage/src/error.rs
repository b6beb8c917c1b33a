//! What a store answers when it cannot do what was asked.

/// Why a store did not do what was asked. Every variant means that nothing was changed, except
/// [`StoreError::Unavailable`] from an act, after which the caller must read again before it believes anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store could not be reached, or did not answer. Trying again later is safe for reads.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// What happened, without any record's content.
        detail: String,
    },
    /// Something of this id or name exists already. Trying again is useless.
    #[error("this {what} exists already")]
    Exists {
        /// The kind of record.
        what: &'static str,
    },
    /// The record that should be changed, or one that it refers to, does not exist.
    #[error("no such {what}")]
    Missing {
        /// The kind of record.
        what: &'static str,
    },
    /// A condition that the act rests on no longer holds: an ancestor was revoked or has expired, a member has left,
    /// a document was changed by somebody else. Read again and decide anew.
    #[error("the {what} is no longer as this act needs it")]
    Precondition {
        /// The kind of record.
        what: &'static str,
    },
    /// A record that is there cannot be read. An operator has to look; nothing is guessed.
    #[error("the stored {what} cannot be read: {detail}")]
    Corrupt {
        /// The kind of record.
        what: &'static str,
        /// What is wrong with it, without its content.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anything else being done.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
