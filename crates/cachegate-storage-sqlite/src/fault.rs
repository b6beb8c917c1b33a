//! What SQLite's errors are to a caller. No message of SQLite's is passed on: some quote what they stumbled over.

use cachegate_storage::StoreError;
use rusqlite::ErrorCode;

/// Said of a lock that was not given up in time. [`is_lock`] knows it again.
const LOCKED: &str = "another process kept the database locked for longer than this one waits";

/// The error to answer.
pub(crate) fn of(error: &rusqlite::Error) -> StoreError {
    let unavailable = |detail: &str| StoreError::Unavailable { detail: detail.to_owned() };
    let corrupt = |detail: &str| StoreError::Corrupt { what: "database file", detail: detail.to_owned() };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => unavailable(LOCKED),
        Some(ErrorCode::DiskFull) => unavailable("the disk is full"),
        Some(ErrorCode::SystemIoFailure) => unavailable("the disk failed to read or to write"),
        Some(ErrorCode::CannotOpen) => unavailable("the database or its log cannot be opened any more"),
        Some(ErrorCode::ReadOnly) => unavailable("the database has become read-only"),
        Some(ErrorCode::OutOfMemory) => unavailable("there is no memory left"),
        Some(ErrorCode::DatabaseCorrupt) => corrupt("its pages are damaged"),
        Some(ErrorCode::NotADatabase) => corrupt("it is no database any more"),
        // Everything was checked before it was written: what stands there is not what was read.
        Some(ErrorCode::ConstraintViolation) => corrupt("a row and an index disagree"),
        // More than a billion bytes. It will not fit later either.
        Some(ErrorCode::TooBig) => StoreError::Precondition { what: "size" },
        Some(code) => unavailable(&format!("SQLite failed: {code:?}")),
        None => unavailable("SQLite was asked for what it does not know"),
    }
}

/// Whether the error is that of a lock held by another process.
pub(crate) fn is_lock(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { detail } if detail == LOCKED)
}

/// What is answered once the thread has ended, or when the call made it panic.
pub(crate) fn stopped() -> StoreError {
    StoreError::Unavailable { detail: "the database's thread has stopped".to_owned() }
}
