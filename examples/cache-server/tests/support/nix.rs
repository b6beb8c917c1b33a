//! The real Nix, unmodified, on machines of its own: no daemon, no network, and a store in a folder.

use std::fs;
use std::path::PathBuf;

use crate::client::{folder, run};

/// A machine with Nix, its store, and what it remembers of the caches that it asked.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    pub(crate) printed: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let conf =
            "experimental-features = nix-command\nbuild-users-group =\nsandbox = false\nsubstituters =\n";
        Self { folder: folder(&[("conf/nix.conf", conf), ("netrc", "")]) }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Its own store.
    fn store(&self) -> String {
        format!("local?root={}", self.at("store").display())
    }

    /// Runs a program of Nix to its end.
    pub(crate) fn nix(&self, program: &str, arguments: &[&str]) -> Run {
        let place = |name: &str| self.at(name).display().to_string();
        let (netrc, conf) = (place("netrc"), place("conf"));
        let (state, log) = (place("state"), place("log"));
        let arguments = [arguments, &["--option", "netrc-file", &netrc]].concat();
        let variables = [("NIX_CONF_DIR", &*conf), ("NIX_STATE_DIR", &*state), ("NIX_LOG_DIR", &*log)];
        let (succeeded, printed) = run(self.folder.path(), program, &arguments, &variables);
        Run { succeeded, printed }
    }

    /// Presents this token from now on, also in commands that run already: the file is renamed into its place.
    pub(crate) fn log_in(&self, token: &str) {
        let line = format!("machine 127.0.0.1 login cachegate password {token}\n");
        fs::write(self.at("netrc.new"), line).expect("written");
        fs::rename(self.at("netrc.new"), self.at("netrc")).expect("renamed");
    }

    /// Presents none.
    pub(crate) fn log_out(&self) {
        fs::write(self.at("netrc"), "").expect("written");
    }

    /// Forgets what caches answered.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_dir_all(self.at("home/.cache"));
    }

    /// Loses its store.
    pub(crate) fn empty(&self) {
        let _ = fs::remove_dir_all(self.at("store"));
    }

    /// A new path in its store, with this content.
    pub(crate) fn add(&self, name: &str, content: &str) -> String {
        self.evaluate(&format!("builtins.toFile \"{name}\" \"{content}\""))
    }

    /// A path that refers to another one: that one, and itself.
    pub(crate) fn add_pair(&self, content: &str) -> [String; 2] {
        let inner = format!("builtins.toFile \"inner\" \"{content}\"");
        let outer = format!("builtins.toFile \"outer\" \"needs ${{{inner}}}\"");
        [self.evaluate(&inner), self.evaluate(&outer)]
    }

    fn evaluate(&self, expression: &str) -> String {
        let store = self.store();
        let done = self.nix("nix", &["eval", "--impure", "--store", &store, "--raw", "--expr", expression]);
        assert!(done.succeeded && done.printed.starts_with("/nix/store/"), "{}", done.printed);
        done.printed
    }

    /// The same path with other bytes, as a build gives it that depends on what no hash covers. What it is made from
    /// says `honest`.
    pub(crate) fn build(&self, path: &str, text: &str) {
        let maker = Self::new();
        let honest = maker.add("pkg", "honest");
        assert_eq!(honest, path);
        let command = format!(
            "nix-store --store '{}' --export {path} | sed s/honest/{text}/ | nix-store --store '{}' --import",
            maker.store(),
            self.store()
        );
        let done = self.nix("sh", &["-c", &command]);
        assert!(done.succeeded, "{}", done.printed);
    }

    pub(crate) fn push(&self, cache: &str, paths: &[&str]) -> Run {
        let store = self.store();
        self.nix("nix", &[&["copy", "--from", &store, "--to", cache], paths].concat())
    }

    pub(crate) fn pull(&self, cache: &str, paths: &[&str]) -> Run {
        let store = self.store();
        self.nix("nix", &[&["copy", "--no-check-sigs", "--from", cache, "--to", &store], paths].concat())
    }

    pub(crate) fn realise(&self, cache: &str, path: &str) -> Run {
        let store = self.store();
        let substituters = ["--option", "substituters", cache, "--option", "require-sigs", "false"];
        self.nix("nix-store", &[&["--store", &store, "--realise", path], &substituters[..]].concat())
    }

    pub(crate) fn path_info(&self, cache: &str, path: &str) -> Run {
        self.nix("nix", &["path-info", "--store", cache, path])
    }

    /// What its store holds under this path.
    pub(crate) fn content(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at("store").join(path.trim_start_matches('/'))).ok()
    }
}
