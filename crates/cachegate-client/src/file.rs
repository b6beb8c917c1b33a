//! One small secret file: read whole, replaced whole, by one writer at a time.
//!
//! A writer holds a lock beside the file, writes a new file beside it, syncs it, and renames it into place. Whatever
//! ends the process, and whenever, the name holds the old bytes or the new ones.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

/// The largest file that is read. A netrc of 300 KB is known to work with every reader.
const LARGEST: u64 = 1 << 20;

/// How often the lock is tried, and how long to wait between: ten seconds. A writer holds it for milliseconds.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// How often a change starts again because somebody who takes no lock wrote in between.
const ROUNDS: u32 = 8;

/// Why a file was not read or not replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused a step.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("`{}` is no regular file: name another, or move it away", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A link to nothing: nothing is created where a link points.
    #[error("`{}` is a link to a file that does not exist: create that file, or take the link away", path.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// A link that somebody else than the file's owner or the administrator made.
    #[error("`{}` is a link made by somebody else than the owner of the file it points to: name the file itself", path.display())]
    ForeignLink {
        /// The link.
        path: PathBuf,
    },
    /// More than a mebibyte.
    #[error("`{}` has more than {LARGEST} bytes and was not read: is it the right file?", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
    },
    /// Another process holds the lock.
    #[error("another process has been changing `{}` for ten seconds: end it, or try again", path.display())]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// Somebody who takes no lock writes the file again and again.
    #[error("`{}` changed each time it was about to be replaced: end what writes it, or try again", path.display())]
    Unsteady {
        /// The path.
        path: PathBuf,
    },
}

/// A file's bytes, and what is known of it.
pub(crate) struct Held {
    pub(crate) text: Zeroizing<Vec<u8>>,
    metadata: Metadata,
}

impl Held {
    /// The permission bits; `None` where the system has none.
    pub(crate) fn mode(&self) -> Option<u32> {
        platform::mode(&self.metadata)
    }
}

/// Reads the file; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Held>, FileError> {
    let failed = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    // Looked at before it is opened, so that a pipe makes nobody wait.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.is_file() => return Err(FileError::NotAFile { path: path.to_owned() }),
        Ok(_) => {}
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    // Enough at once: a buffer that grows leaves copies of itself behind.
    let size = usize::try_from(metadata.len().min(LARGEST)).unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(Held { text, metadata }))
}

/// Replaces the file's bytes by what `change` makes of them; a file that is not there counts as empty, and a `None`
/// leaves it as it is.
pub(crate) fn replace<E: From<FileError>>(
    path: &Path,
    mut change: impl FnMut(Option<&Held>) -> Result<Option<Zeroizing<Vec<u8>>>, E>,
) -> Result<(), E> {
    let target = resolve(path)?;
    let _lock = lock(&target)?;
    for _ in 0..ROUNDS {
        let held = read(&target)?;
        let Some(text) = change(held.as_ref())? else { return Ok(()) };
        // Under the lock the name is ours: what is there was left by a process that was killed.
        let path = beside(&target, ".cachegate-new");
        let fresh =
            Fresh::write(&path, &target, &text, held.as_ref().map(|held| &held.metadata), platform::liken)?;
        // Not all who write this file take the lock: what came in between is read again, not lost.
        let now = read(&target)?;
        if now.as_ref().map(|now| &now.text) == held.as_ref().map(|held| &held.text) {
            return Ok(fresh.rename()?);
        }
    }
    Err(FileError::Unsteady { path: target }.into())
}

/// Replaces a file that is no secret, such as a tool's configuration, by what `change` makes of its bytes; a file that
/// is not there counts as empty, and a `None` leaves it as it is. Its owner and its mode stay.
///
/// A new file is written beside it and renamed into place, so that whoever reads sees the old bytes or the new. What
/// somebody else wrote in between is read again. No lock is left in the folder, which may be a working copy.
///
/// # Errors
///
/// What `change` says, or [`FileError`]; the file is as it was then.
pub fn edit_document<E: From<FileError>>(
    path: &Path,
    mut change: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>,
) -> Result<bool, E> {
    let target = resolve(path)?;
    for _ in 0..ROUNDS {
        let held = read(&target)?;
        let old = held.as_ref().map(|held| held.text.as_slice());
        let Some(text) = change(old.unwrap_or_default())? else { return Ok(false) };
        // A name of this process's own, since there is no lock.
        let path = beside(&target, &format!(".cachegate-new-{}", std::process::id()));
        let metadata = held.as_ref().map(|held| &held.metadata);
        let fresh = Fresh::write(&path, &target, &Zeroizing::new(text), metadata, platform::same)?;
        if read(&target)?.as_ref().map(|now| now.text.as_slice()) == old {
            fresh.rename()?;
            return Ok(true);
        }
    }
    Err(FileError::Unsteady { path: target }.into())
}

/// The file itself, behind any link.
fn resolve(path: &Path) -> Result<PathBuf, FileError> {
    let failed = |source| FileError::Io { action: "look at", path: path.to_owned(), source };
    let link = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        looked => looked.map_err(failed)?,
    };
    if !link.is_symlink() {
        return Ok(path.to_owned());
    }
    let target = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FileError::DanglingLink { path: path.to_owned() });
        }
        target => target.map_err(failed)?,
    };
    let metadata = fs::metadata(&target).map_err(failed)?;
    if !platform::may_link(&link, &metadata) {
        return Err(FileError::ForeignLink { path: path.to_owned() });
    }
    Ok(target)
}

/// Waits for the lock, which ends with the process that holds it. Its file stays: to take it away would be to let two
/// writers hold locks on two files of one name.
fn lock(target: &Path) -> Result<File, FileError> {
    let path = beside(target, ".cachegate-lock");
    let failed = |source| FileError::Io { action: "lock", path: path.clone(), source };
    let file = match platform::private(OpenOptions::new().write(true).create_new(true)).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Never created through a link that somebody put there.
            if !fs::symlink_metadata(&path).map_err(failed)?.is_file() {
                return Err(FileError::NotAFile { path });
            }
            OpenOptions::new().write(true).open(&path).map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(FileError::Busy { path: target.to_owned() })
}

/// A new file beside the one that it will replace; taken away again unless it does.
struct Fresh<'a> {
    path: PathBuf,
    target: &'a Path,
}

impl<'a> Fresh<'a> {
    /// Writes it with mode 0600 from its first byte on, then likens it to the old one.
    fn write(
        path: &Path,
        target: &'a Path,
        text: &[u8],
        old: Option<&Metadata>,
        liken: fn(&File, &Metadata) -> io::Result<()>,
    ) -> Result<Self, FileError> {
        let failed = |source| FileError::Io { action: "write", path: path.to_owned(), source };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file =
            platform::private(OpenOptions::new().write(true).create_new(true)).open(path).map_err(failed)?;
        let fresh = Self { path: path.to_owned(), target };
        file.write_all(text).map_err(failed)?;
        if let Some(old) = old {
            liken(&file, old).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        Ok(fresh)
    }

    fn rename(self) -> Result<(), FileError> {
        let failed = |source| FileError::Io { action: "replace", path: self.target.to_owned(), source };
        fs::rename(&self.path, self.target).map_err(failed)?;
        platform::sync_folder(self.target).map_err(failed)
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing under the name, and that is well.
        let _ = fs::remove_file(&self.path);
    }
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().map_or_else(OsString::new, OsString::from);
    name.push(suffix);
    target.with_file_name(name)
}

#[cfg(unix)]
mod platform {
    use std::fs::{File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
    use std::path::Path;

    pub(super) fn mode(metadata: &Metadata) -> Option<u32> {
        Some(metadata.mode() & 0o7777)
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o600)
    }

    /// A link is followed where the file's owner or the administrator made it; anyone else could point it anywhere.
    pub(super) fn may_link(link: &Metadata, target: &Metadata) -> bool {
        link.uid() == target.uid() || link.uid() == 0
    }

    /// The owner and group of the old file, and its mode, never widened. A group that may read was let in on purpose,
    /// as the builders of a Nix daemon are; that everyone may is an accident, and ends here.
    pub(super) fn liken(file: &File, old: &Metadata) -> io::Result<()> {
        let mask = if old.mode() & 0o007 == 0 { 0o640 } else { 0o600 };
        with_mode(file, old, old.mode() & mask)
    }

    /// The owner, the group and the mode of the old file.
    pub(super) fn same(file: &File, old: &Metadata) -> io::Result<()> {
        with_mode(file, old, old.mode() & 0o777)
    }

    fn with_mode(file: &File, old: &Metadata, mode: u32) -> io::Result<()> {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(mode))
    }

    pub(super) fn sync_folder(target: &Path) -> io::Result<()> {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn mode(_: &Metadata) -> Option<u32> {
        None
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn may_link(_: &Metadata, _: &Metadata) -> bool {
        true
    }

    pub(super) fn liken(_: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn same(_: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn what_somebody_without_the_lock_wrote_in_between_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut round = 0;
        replace::<FileError>(&path, |held| {
            round += 1;
            let old = held.map(|held| String::from_utf8(held.text.to_vec()).unwrap()).unwrap_or_default();
            if round < 3 {
                fs::write(&path, format!("{old}theirs {round}\n")).unwrap();
            }
            Ok(text(&format!("{old}ours\n")))
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs 1\ntheirs 2\nours\n");

        let steady = replace::<FileError>(&path, |held| {
            round += 1;
            fs::write(&path, format!("theirs {round}\n")).unwrap();
            Ok(held.and_then(|_| text("ours\n")))
        });
        assert!(matches!(steady, Err(FileError::Unsteady { .. })));
        assert!(fs::read_to_string(&path).unwrap().starts_with("theirs"));
        assert!(!folder.path().join("file.cachegate-new").exists());
    }

    #[test]
    fn a_document_keeps_its_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nx.json");
        fs::write(&path, "old").unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o664)).unwrap();
        assert!(edit_document::<FileError>(&path, |old| Ok(Some([old, b" new"].concat()))).unwrap());
        assert!(!edit_document::<FileError>(&path, |_| Ok(None)).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old new");
        #[cfg(unix)]
        assert_eq!(read(&path).unwrap().unwrap().mode(), Some(0o664));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_too_large_to_be_what_it_should_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let size = usize::try_from(LARGEST).unwrap();
        fs::write(&path, vec![b'\n'; size]).unwrap();
        assert!(read(&path).unwrap().is_some());
        fs::write(&path, vec![b'\n'; size + 1]).unwrap();
        assert!(matches!(read(&path), Err(FileError::TooLarge { .. })));
    }
}
