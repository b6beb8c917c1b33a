//! The user's nix.conf, and the one line of it that is ours.

use std::path::{Path, PathBuf};

use cachegate_client::{FileError, edit_document};

use crate::failure::{Failed, Status};

/// How our own line ends. Nix reads nothing behind a `#`.
const OURS: &str = "# gatectl";

#[derive(Debug)]
pub(crate) struct NixConf {
    path: PathBuf,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NixChange {
    /// Our line is new, or another.
    Written,
    /// It names the file already.
    Unchanged,
}

impl NixConf {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The netrc file that Nix is told to read: the last line counts.
    pub(crate) fn netrc_file(&self) -> Result<Option<PathBuf>, Failed> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(value).next_back().map(PathBuf::from)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let what = format!("`{}` could not be read: {error}", self.path.display());
                Err(Failed::new(Status::Refused, "nix_conf", what, "mend it, or use `--no-netrc`"))
            }
        }
    }

    /// Tells Nix of this netrc file. Nix reads one alone, so somebody else's line that names another is an error and
    /// stays; every other byte stays too.
    pub(crate) fn set_netrc_file(&self, netrc: &Path) -> Result<NixChange, Failed> {
        let (Some(netrc), Some(folder)) = (netrc.to_str(), self.path.parent()) else {
            return Err(self.refused("the path of the netrc file is no text"));
        };
        // Nix would read another path: it ends at a `#` and folds blanks.
        if netrc.contains(['#', '\n', '\t']) || netrc.contains("  ") || netrc.trim() != netrc {
            return Err(self.refused("nix.conf cannot hold the path of the netrc file"));
        }
        if self.netrc_file()?.as_deref() == Some(Path::new(netrc)) {
            return Ok(NixChange::Unchanged);
        }
        std::fs::create_dir_all(folder).map_err(|source| FileError::Io {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
        let line = format!("netrc-file = {netrc} {OURS}\n");
        edit_document(&self.path, |old| {
            let old = std::str::from_utf8(old).map_err(|_| self.refused("the file is no text"))?;
            let mut text = String::with_capacity(old.len() + line.len() + 1);
            for former in old.split_inclusive('\n') {
                match (value(former), former.trim_end().ends_with(OURS)) {
                    (Some(_), true) => {}
                    (Some(other), false) => {
                        return Err(
                            self.refused(&format!("a line of it names another netrc file, `{other}`"))
                        );
                    }
                    (None, _) => text.push_str(former),
                }
            }
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&line);
            Ok::<_, Failed>(Some(text.into_bytes()))
        })?;
        Ok(NixChange::Written)
    }

    fn refused(&self, why: &str) -> Failed {
        let what = format!("`{}` was left as it is: {why}", self.path.display());
        Failed::new(
            Status::Refused,
            "nix_conf",
            what,
            "name that file with `--netrc-file`, or use `--no-netrc`",
        )
    }
}

/// The value of a line that sets the netrc file.
fn value(line: &str) -> Option<&str> {
    let line = line.split('#').next()?;
    let (name, value) = line.split_once('=')?;
    (name.trim() == "netrc-file").then_some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(old: &str, netrc: &str) -> Result<String, Failed> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nix.conf");
        std::fs::write(&path, old).unwrap();
        let conf = NixConf::new(path.clone());
        let done = conf.set_netrc_file(Path::new(netrc));
        let text = std::fs::read_to_string(&path).unwrap();
        match done {
            Ok(_) => Ok(text),
            Err(error) => {
                assert_eq!(text, old, "what is refused changes nothing");
                Err(error)
            }
        }
    }

    #[test]
    fn only_its_own_line_is_added_or_replaced() {
        assert_eq!(changed("", "/n").unwrap(), "netrc-file = /n # gatectl\n");
        assert_eq!(changed("cores = 2", "/n").unwrap(), "cores = 2\nnetrc-file = /n # gatectl\n");
        assert_eq!(
            changed("# netrc-file = /x\nnetrc-file = /o # gatectl\r\n  cores=2\n", "/a b").unwrap(),
            "# netrc-file = /x\n  cores=2\nnetrc-file = /a b # gatectl\n"
        );
        assert_eq!(changed("netrc-file = /n\n", "/n").unwrap(), "netrc-file = /n\n");
    }

    #[test]
    fn a_line_of_somebody_else_stays_and_is_named() {
        let error = changed("cores = 2\nnetrc-file=/etc/nix/netrc # mine\n", "/n").unwrap_err();
        assert!(error.what.contains("`/etc/nix/netrc`"), "{}", error.what);
    }

    #[test]
    fn a_path_that_nix_would_read_otherwise_is_refused() {
        for path in ["/a#b", "/a  b", "/a\nb", " /a"] {
            assert_eq!(changed("", path).unwrap_err().code, "nix_conf", "{path}");
        }
    }
}
