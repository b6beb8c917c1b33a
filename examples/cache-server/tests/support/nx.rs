//! The real Nx, unmodified, in a workspace of its own.

use std::fs;

use crate::client::{folder, installed, run};

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

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = folder(&[
            ("package.json", r#"{"name": "w", "private": true, "devDependencies": {"nx": "24.0.6"}}"#),
            ("nx.json", r#"{"neverConnectToCloud": true, "analytics": false, "useDaemonProcess": false}"#),
            (".gitignore", "node_modules\n.nx\ndist\nhome\nlarge.bin\n"),
            (
                "a/project.json",
                r#"{"name": "a", "root": "a", "targets": {"build": {
                    "executor": "nx:run-commands", "cache": true,
                    "inputs": ["{projectRoot}/src/**/*"], "outputs": ["{projectRoot}/dist"],
                    "options": {"command": "mkdir -p a/dist && cp large.bin a/dist && echo ${POISON:-clean} > a/dist/out.txt"}
                }}}"#,
            ),
            ("a/src/in.txt", "1"),
            ("large.bin", ""),
        ]);
        let modules = installed("nx", "CACHEGATE_NX").join("node_modules");
        std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).expect("a link");
        assert!(run(folder.path(), "git", &["init", "--quiet"], &[]).0);
        Self { folder }
    }

    /// Changes the task's input, and so its hash.
    pub(crate) fn change(&self, input: &str) {
        fs::write(self.folder.path().join("a/src/in.txt"), input).expect("written");
    }

    /// Makes what the task stores this long, and nothing that compresses.
    pub(crate) fn enlarge(&self, length: usize) {
        let mut state = 1_u64;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        fs::write(self.folder.path().join("large.bin"), bytes).expect("written");
    }

    /// Runs `nx build a` against `server` with nothing in the local cache.
    pub(crate) fn build(&self, server: &str, token: Option<&str>, poison: Option<&str>) -> Run {
        for left in [".nx", "a/dist"] {
            let _ = fs::remove_dir_all(self.folder.path().join(left));
        }
        let mut variables = vec![
            ("NO_COLOR", "1"),
            ("CI", "true"),
            ("NX_DAEMON", "false"),
            ("NX_TUI", "false"),
            ("NX_NO_CLOUD", "true"),
            ("NX_SELF_HOSTED_REMOTE_CACHE_SERVER", server),
        ];
        variables.extend(token.map(|token| ("NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN", token)));
        variables.extend(poison.map(|poison| ("POISON", poison)));
        let command = self.folder.path().join("node_modules/.bin/nx");
        let (succeeded, printed) = run(self.folder.path(), command, &["build", "a"], &variables);
        Run {
            succeeded,
            printed,
            output: fs::read_to_string(self.folder.path().join("a/dist/out.txt"))
                .ok()
                .map(|text| text.trim().to_owned()),
        }
    }
}
