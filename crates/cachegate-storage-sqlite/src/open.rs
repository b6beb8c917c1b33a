//! Opening the file, and every reason not to.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::schema::{APPLICATION_ID, TABLES, VERSION};
use crate::worker::Worker;

/// How long an act waits for another process's act to end.
const BUSY: Duration = Duration::from_secs(5);

/// A storage in one SQLite file.
#[derive(Clone)]
pub struct SqliteStorage {
    pub(crate) writer: Worker,
    pub(crate) reader: Worker,
}

impl fmt::Debug for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStorage").finish_non_exhaustive()
    }
}

/// Why a file cannot be used. Nothing of it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be made or opened.
    #[error("cannot open the database `{path}`: {source}; check the folder and its permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path is no file.
    #[error("`{path}` is not a file; name a file for the database")]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The file can be read and not written.
    #[error("the database `{path}` is read-only; the service has to write it")]
    ReadOnly {
        /// Which.
        path: PathBuf,
    },
    /// The file is no database, or a damaged one.
    #[error("`{path}` is not a database, or a damaged one; restore it from a backup, or name another file")]
    NotADatabase {
        /// Which.
        path: PathBuf,
    },
    /// The file is another application's database.
    #[error("`{path}` is the database of another application; name another file")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A newer version made the file.
    #[error("the database `{path}` has version {found}, this program knows {known}; use a newer program")]
    TooNew {
        /// Which.
        path: PathBuf,
        /// The version found.
        found: i32,
        /// The newest version known.
        known: i32,
    },
    /// Another process holds the file for itself.
    #[error("the database `{path}` is locked by another process; stop it and try again")]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// SQLite failed otherwise.
    #[error("cannot use the database `{path}`: {detail}")]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The machine gave no randomness for the epoch.
    #[error("the machine gave no randomness")]
    Randomness,
}

impl SqliteStorage {
    /// Opens the file, making it with mode 0600 if it is not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; an existing file is left as it is.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = |source| OpenError::File { path: path.to_owned(), source };
        match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => return Err(OpenError::NotAFile { path: path.to_owned() }),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                {
                    use std::os::unix::fs::OpenOptionsExt;
                    options.mode(0o600);
                }
                match options.open(path) {
                    Ok(_) => {}
                    // Another process was faster: its file is as good.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(file(error)),
                }
            }
            Err(error) => return Err(file(error)),
        }
        let writer = connect(path)?;
        let reader = connect(path)?;
        let sqlite = |error| sqlite_error(path, &error);
        reader.pragma_update(None, "query_only", true).map_err(sqlite)?;
        Ok(Self {
            writer: Worker::start("cachegate-sqlite-writer", writer).map_err(file)?,
            reader: Worker::start("cachegate-sqlite-reader", reader).map_err(file)?,
        })
    }
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error| sqlite_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY).map_err(sqlite)?;
    // Reading what the file is comes before anything that could write to it.
    let pragma =
        |connection: &Connection, name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma(&connection, "application_id").map_err(sqlite)?;
    let version = pragma(&connection, "user_version").map_err(sqlite)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    let is_new = application == 0 && version == 0 && tables == 0;
    if !is_new && application != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(OpenError::TooNew { path: path.to_owned(), found: version, known: VERSION });
    }
    if connection.is_readonly("main").map_err(sqlite)? {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sqlite)?;
    if mode != "wal" {
        let detail = format!("its journal mode is `{mode}`, and a write-ahead log is needed");
        return Err(OpenError::Sqlite { path: path.to_owned(), detail });
    }
    for (name, value) in [
        ("synchronous", "FULL"),
        ("foreign_keys", "ON"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
    ] {
        connection.pragma_update(None, name, value).map_err(sqlite)?;
    }
    let synchronous = pragma(&connection, "synchronous").map_err(sqlite)?;
    if synchronous != 2 {
        let detail = "it cannot be told to sync each commit".to_owned();
        return Err(OpenError::Sqlite { path: path.to_owned(), detail });
    }
    if is_new {
        create(path, &mut connection)?;
    }
    Ok(connection)
}

/// Makes the tables, unless another process has made them meanwhile.
fn create(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    let sqlite = |error| sqlite_error(path, &error);
    let mut epoch = [0; 8];
    SystemRandom::new().fill(&mut epoch).map_err(|_| OpenError::Randomness)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let made: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    if made == 0 {
        transaction.execute_batch(TABLES).map_err(sqlite)?;
        transaction
            .execute(
                "INSERT INTO revision (id, epoch, number) VALUES (1, ?1, 0)",
                [i64::from_be_bytes(epoch)],
            )
            .map_err(sqlite)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
    }
    transaction.commit().map_err(sqlite)
}

fn sqlite_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase { path },
        Some(ErrorCode::ReadOnly) => OpenError::ReadOnly { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
        _ => OpenError::Sqlite { path, detail: error.to_string() },
    }
}
