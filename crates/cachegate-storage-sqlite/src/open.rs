//! Finding out what a path is, before anything is written to it; and making a store where there is none.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cachegate_types::Epoch;
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

use crate::OpenError;
use crate::schema::{APPLICATION_ID, SCHEMA, VERSION};
use crate::table::STORE;
use crate::transaction::{Store, View};
use crate::witness::beside;

/// The statements that are kept prepared: more than there are.
const STATEMENTS: usize = 128;

/// The log's file is cut back to this size when it has been read into the database.
const LOG_LIMIT: i64 = 16 << 20;

/// The path, absolute and without links, whether there is a file yet or not.
///
/// So a name that SQLite would read as something else (`:memory:`, `file:a?mode=memory`) is a name, and a log is
/// looked for where SQLite puts it.
pub(crate) fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    let system = |source| OpenError::system(path, "find its folder", source);
    match fs::canonicalize(path) {
        Ok(found) => return Ok(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(system(error)),
    }
    let name = path.file_name().ok_or_else(|| OpenError::NotAFile { path: path.to_owned() })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::canonicalize(folder).map_err(system)?.join(name))
}

/// Makes an empty store at the path, unless something is there.
///
/// It is made under another name and then linked to its own, so that there never is half a store, and whoever else
/// makes one at the same time loses nothing.
pub(crate) fn make_unless_there(path: &Path, patience: Duration) -> Result<(), OpenError> {
    let system = |what| move |source| OpenError::system(path, what, source);
    match fs::symlink_metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(system("look at it")(error)),
    }
    for suffix in ["-wal", "-journal"] {
        let log = beside(path, suffix);
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(OpenError::OrphanedLog { path: path.to_owned(), log });
        }
    }
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.new", random()?.0));
    let made = path.with_file_name(name);
    create_file(&made).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnlyFolder { path: path.to_owned() }
        }
        _ => OpenError::system(path, "make it", source),
    })?;
    let linked = make(&made)
        .map_err(|error| OpenError::of(path, patience, &error))
        .and_then(|()| File::open(&made).and_then(|file| file.sync_all()).map_err(system("sync it")))
        .and_then(|()| match fs::hard_link(&made, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(system("name it")),
        });
    // Whether it has its name by now or not, this one is of no use any more.
    let _ = fs::remove_file(&made);
    linked?;
    sync_folder(path).map_err(system("sync its folder"))
}

/// Makes an empty file for its owner alone.
pub(crate) fn create_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// A name is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()) } else { Ok(()) }
}

fn make(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    fill(&mut connection)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// Makes the tables of an empty store.
pub(crate) fn fill(connection: &mut Connection) -> rusqlite::Result<()> {
    let epoch = random().map_err(|_| rusqlite::Error::InvalidQuery)?;
    let transaction = connection.transaction()?;
    for statement in SCHEMA {
        transaction.execute(statement, [])?;
    }
    transaction.execute(STORE.insert, params_from_iter(STORE.with_sum(&Store::new(epoch).cells())))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// A new epoch: of all that there ever were, no two are equal.
pub(crate) fn random() -> Result<Epoch, OpenError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| OpenError::Randomness)?;
    Ok(Epoch(u64::from_be_bytes(bytes)))
}

/// Looks at what is there without a lock and without writing a byte, so that a file that is not this storage's stays
/// as it is, its own log included.
pub(crate) fn examine(path: &Path) -> Result<(), OpenError> {
    let found = fs::metadata(path).map_err(|source| OpenError::system(path, "look at it", source))?;
    let path = path.to_owned();
    if !found.is_file() {
        return Err(OpenError::NotAFile { path });
    }
    match found.len() {
        0 => return Err(OpenError::Empty { path }),
        // No page of a database is smaller. SQLite takes a file of one byte for an empty one.
        1..512 => return Err(OpenError::NotADatabase { path }),
        512.. => {}
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(immutable(&path), flags) else {
        return Err(OpenError::NoPermission { path });
    };
    // A log that is there may hold what the file lacks: then only SQLite's own look at both can tell.
    let has_log = fs::metadata(beside(&path, "-wal")).is_ok_and(|log| log.len() > 0);
    let number = |name: &str| -> Result<Option<i32>, OpenError> {
        match connection.pragma_query_value(None, name, |row| row.get(0)) {
            Ok(number) => Ok(Some(number)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                if has_log {
                    Ok(None)
                } else {
                    Err(OpenError::Truncated { path: path.clone(), length: found.len() })
                }
            }
            Err(error) => Err(OpenError::of(&path, Duration::ZERO, &error)),
        }
    };
    identify(&path, number("application_id")?, number("user_version")?)?;
    let pages = (number("page_size")?, number("page_count")?);
    if let (Some(size), Some(count)) = pages
        && !has_log
        && u64::try_from(i64::from(size).saturating_mul(count.into())) != Ok(found.len())
    {
        return Err(OpenError::Truncated { path, length: found.len() });
    }
    Ok(())
}

/// Whether this is a database of this storage, of a version that is known here.
fn identify(path: &Path, application: Option<i32>, version: Option<i32>) -> Result<(), OpenError> {
    let path = path.to_owned();
    match (application, version) {
        (Some(found), _) if found != APPLICATION_ID => {
            Err(OpenError::Foreign { path, found, expected: APPLICATION_ID })
        }
        (_, Some(found)) if found > VERSION => Err(OpenError::TooNew { path, found, known: VERSION }),
        (_, Some(found)) if found < VERSION => {
            let detail = format!("its version is {found}, and there never was such a version");
            Err(OpenError::Damaged { path, detail })
        }
        _ => Ok(()),
    }
}

/// The URI by which SQLite opens the file as one that nobody changes: no lock, no log, no recovery.
fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

/// Opens a connection for acts, once everything was found in order.
pub(crate) fn connect(path: &Path, patience: Duration) -> Result<Connection, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::of(path, patience, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|_| OpenError::NoPermission { path: path.to_owned() })?;
    if connection.is_readonly("main").map_err(sqlite)? {
        return Err(OpenError::ReadOnlyFile { path: path.to_owned() });
    }
    connection.busy_timeout(patience).map_err(sqlite)?;
    // Should it turn out not to be ours after all, then its log is left where it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sqlite)?;
    configure(&connection).map_err(sqlite)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0)).map_err(sqlite);
    identify(path, Some(number("application_id")?), Some(number("user_version")?))?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sqlite)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { path: path.to_owned(), found: mode });
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(sqlite)?;
    Ok(connection)
}

/// What holds for every connection.
pub(crate) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Nothing in a file that somebody else may have written makes this program do anything.
    for (config, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(config, value)?;
    }
    // An acknowledged act is on the disk. `fullfsync` does on macOS what a sync does elsewhere.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_LIMIT}"), [], |_| Ok(()))
}

/// Whether the tables are those of this version, their pages hold together, and the row about the store can be read.
pub(crate) fn check(path: &Path, connection: &Connection, patience: Duration) -> Result<Store, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::of(path, patience, &error);
    let damaged = |detail: String| OpenError::Damaged { path: path.to_owned(), detail };
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' ORDER BY rowid")
        .map_err(sqlite)?;
    let found = statement.query_map([], |row| row.get::<_, String>(0)).map_err(sqlite)?;
    let found: Vec<String> = found.collect::<Result<_, _>>().map_err(sqlite)?;
    if found != SCHEMA {
        return Err(damaged(format!(
            "its {} tables and indexes are not the {} of version {VERSION}",
            found.len(),
            SCHEMA.len()
        )));
    }
    let first: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if first != "ok" {
        return Err(damaged(first));
    }
    View::of(connection).store().map_err(|error| damaged(error.to_string()))
}
