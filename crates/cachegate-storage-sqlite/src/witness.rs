//! How many acts were acknowledged, kept beside the database: by it, a database that is older than what was promised
//! is told from one that is whole.
//!
//! It is written after each commit and never synced by itself. So it never runs ahead of what is on the disk, and a
//! loss of power may leave it behind, which says nothing; while a log that was cut, or a database that was put back,
//! leaves it ahead.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::open;

/// What every witness begins with; the digit is its version.
const MAGIC: [u8; 8] = *b"cgdback1";

/// Magic, count, CRC-32 of both.
const LENGTH: usize = 8 + 8 + 4;

/// The witness of one database, open for writing.
#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
}

/// What a witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// There is none.
    Nothing,
    /// So many acts were acknowledged.
    Commits(u64),
    /// It cannot be read.
    Nonsense,
}

/// Where the witness of this database is.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    beside(database, "-acknowledged")
}

/// The file whose name is the database's with `suffix` behind it.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(suffix);
    path.into()
}

/// Reads the witness of this database.
pub(crate) fn read(database: &Path) -> io::Result<Said> {
    let path = path_of(database);
    // Another process may be writing it just now: nonsense has to be read three times to be believed.
    for _ in 0..3 {
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Said::Nothing),
            Err(error) => return Err(error),
        };
        if let Some(commits) = understood(&bytes) {
            return Ok(Said::Commits(commits));
        }
    }
    Ok(Said::Nonsense)
}

impl Witness {
    /// Opens the witness of this database for writing, making it if it is not there. It says `commits` then, or more.
    pub(crate) fn open(database: &Path, found: Said, commits: u64) -> io::Result<Self> {
        let path = path_of(database);
        if found == Said::Nothing {
            make(&path, commits)?;
        }
        let witness = Self { file: OpenOptions::new().write(true).open(path)? };
        let is_behind = match found {
            Said::Nothing => false,
            Said::Commits(found) => found < commits,
            Said::Nonsense => true,
        };
        if is_behind {
            witness.file.set_len(LENGTH as u64)?;
            witness.write(commits)?;
            witness.file.sync_all()?;
        }
        Ok(witness)
    }

    /// Writes that so many acts were acknowledged.
    pub(crate) fn write(&self, commits: u64) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&said(commits))
    }
}

/// Makes the witness whole before it has its name, so that nobody reads half of it. One that is there stays.
fn make(path: &Path, commits: u64) -> io::Result<()> {
    let random = open::random().map_err(io::Error::other)?;
    let made = beside(path, &format!(".{:016x}.new", random.0));
    open::create_file(&made)?;
    let written = fs::write(&made, said(commits))
        .and_then(|()| File::open(&made)?.sync_all())
        .and_then(|()| fs::hard_link(&made, path));
    fs::remove_file(&made)?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

fn said(commits: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(commits.to_be_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn understood(bytes: &[u8]) -> Option<u64> {
    let (commits, _) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
    let commits = u64::from_be_bytes(*commits);
    (said(commits) == bytes).then_some(commits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_read_as_it_was_written_and_in_no_other_form() {
        for commits in [0, 1, u64::MAX] {
            let bytes = said(commits);
            assert_eq!(bytes.len(), LENGTH);
            assert_eq!(understood(&bytes), Some(commits));
            for index in 0..LENGTH {
                let mut changed = bytes.clone();
                changed[index] ^= 1;
                assert_eq!(understood(&changed), None, "byte {index}");
                assert_eq!(understood(&bytes[..index]), None, "cut at {index}");
            }
        }
    }

    #[test]
    fn without_a_file_nothing_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("a");
        assert_eq!(read(&database).expect("readable"), Said::Nothing);
        Witness::open(&database, Said::Nothing, 7).expect("a witness").write(8).expect("written");
        assert_eq!(read(&database).expect("readable"), Said::Commits(8));
        Witness::open(&database, Said::Nothing, 3).expect("the one that was made meanwhile");
        Witness::open(&database, Said::Commits(8), 7).expect("one that is ahead of what was read before it");
        assert_eq!(read(&database).expect("readable"), Said::Commits(8));
        fs::write(path_of(&database), b"").expect("emptied");
        assert_eq!(read(&database).expect("readable"), Said::Nonsense);
    }
}
