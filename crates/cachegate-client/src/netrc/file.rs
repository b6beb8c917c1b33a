//! The netrc file on disk.

use std::path::{Path, PathBuf};

use cachegate_token::Brand;
use cachegate_types::SecretText;

use super::{Finding, Netrc, NetrcEditError, NetrcLogin, NetrcParseError, Problem, Replace};
use crate::Host;
use crate::file::{self, FileError, Held};

/// A netrc file by its path. Nothing is opened before a method is called; each reads the file anew.
#[derive(Clone, Debug)]
pub struct NetrcFile {
    path: PathBuf,
    brand: Brand,
}

/// What became of a netrc file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetrcChange {
    /// Whether the file was replaced; it is not where it held the same already.
    pub changed: bool,
    /// What some reader stumbles over in the file as it is now.
    pub findings: Vec<Finding>,
}

/// Why a netrc file was not read or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetrcError {
    /// The file could not be read or replaced.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not parse.
    #[error("`{}` was not read", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        #[source]
        source: NetrcParseError,
    },
    /// It was left as it is.
    #[error("`{}` was not changed", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: NetrcEditError,
    },
}

impl NetrcFile {
    /// The file at this path; the brand tells which entries are our own.
    pub fn new(path: impl Into<PathBuf>, brand: Brand) -> Self {
        Self { path: path.into(), brand }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds for a host, as [`Netrc::login`]; `None` too where there is no file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or does not parse.
    pub fn login(&self, host: &str) -> Result<Option<NetrcLogin>, NetrcError> {
        let Some(held) = file::read(&self.path)? else { return Ok(None) };
        Netrc::parse(&held.text)
            .login(host)
            .map_err(|source| NetrcError::Parse { path: self.path.clone(), source })
    }

    /// Makes this token the one credential of the host, as [`Netrc::with_token`]. A new file has mode 0600; an old one
    /// keeps its owner, and its mode where that lets nobody but a group read.
    ///
    /// A link is followed to the file that it names, which is replaced in its own folder. Extended attributes are not
    /// carried over. Waits up to ten seconds for another writer; in async code it belongs on a thread for blocking work.
    ///
    /// # Errors
    ///
    /// Where the file cannot be replaced, or must not be; it is as it was then, unless the error is that of a sync
    /// after the rename.
    pub fn set(&self, host: &Host, token: &SecretText, replace: Replace) -> Result<NetrcChange, NetrcError> {
        self.change(|netrc| netrc.with_token(host, token, replace, &self.brand).map(Some))
    }

    /// Takes out the entries of the host that were written here, and no others.
    ///
    /// # Errors
    ///
    /// As [`NetrcFile::set`].
    pub fn remove(&self, host: &Host) -> Result<NetrcChange, NetrcError> {
        if file::read(&self.path)?.is_none() {
            return Ok(NetrcChange { changed: false, findings: Vec::new() });
        }
        self.change(|netrc| {
            let (text, count) = netrc.without(host, &self.brand)?;
            Ok((count > 0).then_some(text))
        })
    }

    /// Everything that some reader stumbles over, the file's mode included; nothing where there is no file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn doctor(&self) -> Result<Vec<Finding>, NetrcError> {
        Ok(file::read(&self.path)?.map(|held| examined(&held)).unwrap_or_default())
    }

    fn change(
        &self,
        mut edit: impl FnMut(&Netrc) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, NetrcEditError>,
    ) -> Result<NetrcChange, NetrcError> {
        let mut changed = false;
        file::replace(&self.path, |held| {
            let old = held.map(|held| held.text.as_slice()).unwrap_or_default();
            let new = edit(&Netrc::parse(old))
                .map_err(|source| NetrcError::Edit { path: self.path.clone(), source })?;
            let new = new.filter(|new| held.is_none() || new.as_slice() != old);
            changed = new.is_some();
            Ok::<_, NetrcError>(new)
        })?;
        Ok(NetrcChange { changed, findings: self.doctor()? })
    }
}

fn examined(held: &Held) -> Vec<Finding> {
    let mut findings = Netrc::parse(&held.text).findings().to_vec();
    if let Some(mode) = held.mode().filter(|mode| mode & 0o077 != 0) {
        findings.insert(0, Finding::of_file(Problem::WideMode { mode }));
    }
    findings
}
