//! Every reason not to open a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

/// Why a store was not opened. Nothing of an existing file was changed.
///
/// Each message says what was found, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder that should hold the file is not there.
    #[error("there is no folder for the database `{path}`; make the folder, or name another path")]
    NoFolder {
        /// The database.
        path: PathBuf,
    },
    /// The path is a folder, a device or something else.
    #[error("`{path}` is no file; expected the path of a database, such as a file in that folder")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// This user may not open the file.
    #[error("the database `{path}` may not be opened by this user; give the user the file and its folder")]
    NoPermission {
        /// The database.
        path: PathBuf,
    },
    /// The file can be read and not written.
    #[error(
        "the database `{path}` is read-only, and has to be written; give this user write access to the file"
    )]
    ReadOnlyFile {
        /// The database.
        path: PathBuf,
    },
    /// Nothing can be made in the folder, where the write-ahead log has to be.
    #[error(
        "the folder of the database `{path}` is read-only, and has to take its write-ahead log; give this user write \
         access to the folder"
    )]
    ReadOnlyFolder {
        /// The database.
        path: PathBuf,
    },
    /// The file has no bytes. This storage never leaves such a file: what was in it is lost.
    #[error(
        "the database `{path}` is empty: its content was cut off; restore it from a backup, or remove the file to \
         begin with an empty store"
    )]
    Empty {
        /// The database.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("`{path}` is no SQLite database; name another path, or restore the database from a backup")]
    NotADatabase {
        /// The path.
        path: PathBuf,
    },
    /// The file is shorter than it says.
    #[error("the database `{path}` was cut off after {length} bytes; restore it from a backup")]
    Truncated {
        /// The database.
        path: PathBuf,
        /// How long it is.
        length: u64,
    },
    /// The file is the database of another application.
    #[error(
        "`{path}` is the database of another application (its id is {found:#010x}, this one's is {expected:#010x}); \
         name another path"
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// The `application_id` found.
        found: i32,
        /// The `application_id` expected.
        expected: i32,
    },
    /// A newer program made the file.
    #[error("the database `{path}` has version {found}, and this program knows {known}; use a newer program")]
    TooNew {
        /// The database.
        path: PathBuf,
        /// The version found.
        found: i32,
        /// The newest version known.
        known: i32,
    },
    /// What is in the file does not hold together.
    #[error("the database `{path}` is damaged: {detail}; restore it from a backup")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// There is a log of acts, and no database that they belong to.
    #[error(
        "the database `{path}` is gone, but its log `{log}` is there and would be read into a new one; put the database \
         back, or remove the log to begin with an empty store"
    )]
    OrphanedLog {
        /// The database.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// The file lacks acts that were acknowledged: it was put back from a backup, or its log was cut.
    #[error(
        "the database `{path}` holds {found} acts, and {acknowledged} were acknowledged: revocations may be among those \
         that are missing; put the newer file back, or open this one as restored"
    )]
    Behind {
        /// The database.
        path: PathBuf,
        /// How many acts it holds.
        found: u64,
        /// How many acts were acknowledged.
        acknowledged: u64,
    },
    /// The file beside the database that counts what was acknowledged cannot be read.
    #[error(
        "`{witness}` does not say how many acts the database has to hold; if nothing else was damaged, remove it"
    )]
    DamagedWitness {
        /// The file.
        witness: PathBuf,
    },
    /// Another process holds the file for itself.
    #[error(
        "the database `{path}` was kept locked by another process for {} s; stop that process, or wait for it",
        waited.as_secs_f64()
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The file system lacks what a write-ahead log needs.
    #[error(
        "the database `{path}` cannot have a write-ahead log (its journal mode is `{found}`); keep it on a disk of this \
         machine"
    )]
    NoLog {
        /// The database.
        path: PathBuf,
        /// The journal mode that SQLite fell back to.
        found: String,
    },
    /// The disk is full.
    #[error("the disk of the database `{path}` is full; make room")]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// The operating system refused something else.
    #[error("the database `{path}` cannot be opened: the system refused to {what}")]
    System {
        /// The database.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite refused something else.
    #[error("the database `{path}` cannot be opened: SQLite answered {code}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's extended result code.
        code: i32,
    },
    /// There is no randomness for the epoch.
    #[error("the system gave no random bytes, and a new store needs some")]
    Randomness,
}

impl OpenError {
    /// What an error of SQLite's on this path is.
    pub(crate) fn of(path: &Path, waited: Duration, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let damaged = |detail: &str| Self::Damaged { path: path.clone(), detail: detail.to_owned() };
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => damaged("its pages do not fit together"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path, waited },
            // The file itself could be opened by then: what cannot is the log beside it.
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Self::ReadOnlyFolder { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            // Not SQLite's: a text that is none, a number where a text should be.
            None => damaged("a value is not what its column holds"),
            Some(_) => {
                let code = error.sqlite_error().map_or(0, |error| error.extended_code);
                Self::Sqlite { path, code }
            }
        }
    }

    /// What an error of the operating system's on this path is.
    pub(crate) fn system(path: &Path, what: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NoFolder { path },
            io::ErrorKind::StorageFull => Self::DiskFull { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path },
            _ => Self::System { path, what, source },
        }
    }
}
