//! The real turbo, unmodified, in a repository of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::client::{folder, installed, run};

/// A repository with three packages. The task of each writes what the undeclared file `poison.txt` says: runs before
/// and after a change of it have one hash.
pub(crate) struct Repository {
    folder: tempfile::TempDir,
    command: PathBuf,
}

/// How turbo is told of the server.
#[derive(Clone, Copy)]
pub(crate) struct Remote<'a> {
    pub(crate) api: &'a str,
    pub(crate) token: &'a str,
    /// `TURBO_TEAM` or `TURBO_TEAMID`, and its value.
    pub(crate) team: (&'a str, &'a str),
    /// More variables.
    pub(crate) more: &'a [(&'a str, &'a str)],
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    pub(crate) printed: String,
    /// What the task of package `a` wrote, whether it ran or was replayed.
    pub(crate) output: String,
}

impl Run {
    /// Whether every task was taken from the cache.
    pub(crate) fn was_all_hit(&self) -> bool {
        self.printed.contains("3 cached, 3 total") && self.printed.contains(">>> FULL TURBO")
    }

    /// Whether no task was.
    pub(crate) fn was_all_miss(&self) -> bool {
        self.printed.contains("0 cached, 3 total")
    }

    /// What turbo printed of itself: the warnings, each on one line however it was broken.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.printed.split_whitespace().collect::<Vec<_>>().join(" ").contains(text)
    }
}

impl Repository {
    pub(crate) fn new() -> Self {
        Self::with(r#"{"tasks": {"build": {"inputs": ["src/**"], "outputs": ["dist/**"]}}}"#)
    }

    /// One whose artifacts are signed with the key in `TURBO_REMOTE_CACHE_SIGNATURE_KEY`.
    pub(crate) fn signed() -> Self {
        Self::with(
            r#"{"remoteCache": {"signature": true},
                "tasks": {"build": {"inputs": ["src/**"], "outputs": ["dist/**"]}}}"#,
        )
    }

    fn with(configuration: &str) -> Self {
        let package = |name: &str| {
            let script = "mkdir -p dist && cat ../../poison.txt > dist/out.txt && echo ran";
            format!(r#"{{"name": "{name}", "version": "1.0.0", "scripts": {{"build": "{script}"}}}}"#)
        };
        let lock = r#"{"name": "w", "lockfileVersion": 3, "requires": true, "packages": {
            "": {"name": "w", "workspaces": ["packages/*"]},
            "node_modules/a": {"resolved": "packages/a", "link": true}, "packages/a": {"version": "1.0.0"},
            "node_modules/b": {"resolved": "packages/b", "link": true}, "packages/b": {"version": "1.0.0"},
            "node_modules/c": {"resolved": "packages/c", "link": true}, "packages/c": {"version": "1.0.0"}}}"#;
        let folder = folder(&[
            (
                "package.json",
                r#"{"name": "w", "private": true, "packageManager": "npm@10.8.2", "workspaces": ["packages/*"]}"#,
            ),
            ("package-lock.json", lock),
            ("turbo.json", configuration),
            (".gitignore", "node_modules\n.turbo\ndist\nhome\npoison.txt\n"),
            ("poison.txt", "clean"),
            ("home/.npmrc", "update-notifier=false\n"),
            ("packages/a/package.json", &package("a")),
            ("packages/a/src/in.txt", "1"),
            ("packages/b/package.json", &package("b")),
            ("packages/b/src/in.txt", "1"),
            ("packages/c/package.json", &package("c")),
            ("packages/c/src/in.txt", "1"),
        ]);
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "--all"],
            &["-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "x"],
        ] {
            let (done, printed) = run(folder.path(), "git", arguments, &[]);
            assert!(done, "{printed}");
        }
        let command = installed("turbo", "CACHEGATE_TURBO").join("node_modules/.bin/turbo");
        Self { folder, command }
    }

    /// What the tasks write from now on. No hash changes.
    pub(crate) fn poison(&self, text: &str) {
        fs::write(self.folder.path().join("poison.txt"), text).expect("written");
    }

    /// Changes an input of each task, and so each hash.
    pub(crate) fn change(&self, input: &str) {
        for package in ["a", "b", "c"] {
            fs::write(self.folder.path().join("packages").join(package).join("src/in.txt"), input)
                .expect("written");
        }
    }

    /// Runs `turbo run build` with nothing in the local cache.
    pub(crate) fn build(&self, remote: Remote<'_>) -> Run {
        self.turbo(&["--skip-infer", "run", "build", "--concurrency=1"], remote)
    }

    /// Runs turbo with nothing in the local cache.
    pub(crate) fn turbo(&self, arguments: &[&str], remote: Remote<'_>) -> Run {
        let at = |path: &str| self.folder.path().join(path);
        for package in ["a", "b", "c"] {
            for left in [".turbo", "dist"] {
                let _ = fs::remove_dir_all(at("packages").join(package).join(left));
            }
        }
        for left in [".turbo", "node_modules"] {
            let _ = fs::remove_dir_all(at(left));
        }
        let mut variables = vec![
            ("NO_COLOR", "1"),
            ("TURBO_TELEMETRY_DISABLED", "1"),
            ("DO_NOT_TRACK", "1"),
            ("TURBO_API", remote.api),
            remote.team,
        ];
        if !remote.token.is_empty() {
            variables.push(("TURBO_TOKEN", remote.token));
        }
        variables.extend(remote.more);
        let (succeeded, printed) = run(self.folder.path(), &self.command, arguments, &variables);
        let output = fs::read_to_string(at("packages/a/dist/out.txt")).unwrap_or_default();
        Run { succeeded, printed, output }
    }

    /// Starts `turbo login` under a terminal, by the script that makes one.
    pub(crate) fn login(&self, script: &Path, api: &str) -> Child {
        let mut command = Command::new("python3");
        command.arg(script).arg("--").arg(&self.command).args(["login", "--api", api, "--login", api]);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path().join("home"));
        // No browser: turbo then shows what to open.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("BROWSER", "true");
        command.envs([
            ("NO_COLOR", "1"),
            ("TERM", "dumb"),
            ("TURBO_TELEMETRY_DISABLED", "1"),
            ("DO_NOT_TRACK", "1"),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.spawn().expect("python starts")
    }

    /// The token that a login left, and the mode of its file.
    pub(crate) fn kept_token(&self) -> (String, u32) {
        let path = self.folder.path().join("home/.config/turborepo/config.json");
        let text = fs::read_to_string(&path).expect("a token is kept");
        let token = text.split('"').nth(3).expect("a token").to_owned();
        (token, fs::metadata(&path).expect("its mode").permissions().mode())
    }

    /// Builds with what a login left, and no variable that holds a token.
    pub(crate) fn build_logged_in(&self, api: &str) -> Run {
        let more = [("TURBO_LOGIN", api)];
        let remote = Remote { api, token: "", team: ("TURBO_TEAM", "acme"), more: &more };
        self.build(remote)
    }
}
