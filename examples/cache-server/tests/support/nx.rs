//! The real Nx, unmodified, in a workspace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An Nx workspace with one project `a`, whose task writes what the undeclared variable `POISON` says: runs with and
/// without it have one hash.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

/// What a run of `nx build a` left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    pub(crate) printed: String,
    pub(crate) output: Option<String>,
}

impl Run {
    /// Whether the task was taken from the remote cache.
    pub(crate) fn was_remote_hit(&self) -> bool {
        self.printed.contains("[remote cache]")
    }

    /// What the task wrote, whether it ran or was replayed.
    pub(crate) fn output(&self) -> &str {
        self.output.as_deref().unwrap_or_default()
    }
}

/// Where `cargo xtask test` installs Nx.
fn installed() -> PathBuf {
    let place = std::env::var_os("CACHEGATE_NX")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients/nx"), PathBuf::from);
    assert!(
        place.join("node_modules/.bin/nx").exists(),
        "no Nx in {}: run `cargo xtask test`",
        place.display()
    );
    place
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().expect("a parent")).expect("a folder");
            fs::write(at(path), text).expect("written");
        };
        write("package.json", r#"{"name": "w", "private": true, "devDependencies": {"nx": "24.0.6"}}"#);
        write("nx.json", r#"{"neverConnectToCloud": true, "analytics": false, "useDaemonProcess": false}"#);
        write(".gitignore", "node_modules\n.nx\ndist\nhome\n");
        write(
            "a/project.json",
            r#"{"name": "a", "root": "a", "targets": {"build": {
                "executor": "nx:run-commands", "cache": true,
                "inputs": ["{projectRoot}/src/**/*"], "outputs": ["{projectRoot}/dist"],
                "options": {"command": "mkdir -p a/dist && echo ${POISON:-clean} > a/dist/out.txt && echo ran"}
            }}}"#,
        );
        write("a/src/in.txt", "1");
        fs::create_dir_all(at("home")).expect("a home");
        std::os::unix::fs::symlink(installed().join("node_modules"), at("node_modules")).expect("a link");
        let git = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(folder.path())
            .status()
            .expect("git runs");
        assert!(git.success());
        Self { folder }
    }

    /// Changes the task's input, and so its hash.
    pub(crate) fn change(&self, input: &str) {
        fs::write(self.folder.path().join("a/src/in.txt"), input).expect("written");
    }

    /// Runs `nx build a` against `server` with nothing in the local cache.
    pub(crate) fn build(&self, server: &str, token: Option<&str>, poison: Option<&str>) -> Run {
        for left in [".nx", "a/dist"] {
            let _ = fs::remove_dir_all(self.folder.path().join(left));
        }
        let printed = self.folder.path().join("home/printed.txt");
        let sink = fs::File::create(&printed).expect("a file");
        let mut command = Command::new(self.folder.path().join("node_modules/.bin/nx"));
        command
            .args(["build", "a"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path().join("home"))
            .envs([("NO_COLOR", "1"), ("CI", "true"), ("NX_DAEMON", "false"), ("NX_TUI", "false")])
            .envs([("NX_NO_CLOUD", "true"), ("NX_SELF_HOSTED_REMOTE_CACHE_SERVER", server)])
            .stdin(Stdio::null())
            .stdout(sink.try_clone().expect("a file"))
            .stderr(sink);
        if let Some(token) = token {
            command.env("NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN", token);
        }
        if let Some(poison) = poison {
            command.env("POISON", poison);
        }
        let mut child = command.spawn().expect("Nx starts");
        let deadline = Instant::now() + Duration::from_secs(120);
        let status = loop {
            if let Some(status) = child.try_wait().expect("its status") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("Nx did not end: {}", fs::read_to_string(&printed).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Run {
            succeeded: status.success(),
            printed: fs::read_to_string(&printed).expect("what it printed"),
            output: fs::read_to_string(self.folder.path().join("a/dist/out.txt"))
                .ok()
                .map(|text| text.trim().to_owned()),
        }
    }
}
