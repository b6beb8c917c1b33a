//! Bazel 2.1.0, unmodified, against the server. Started by `cargo xtask test`, which installs it.
//!
//! Bazel never fails a build over the cache: each test looks at what it prints, and at the server's own decisions.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/client.rs"]
#[expect(dead_code, reason = "one test has no use for the server's address alone")]
mod client;
#[path = "support/host.rs"]
#[expect(dead_code, reason = "Bazel has no anonymous test of its own")]
mod host;

use std::fs;
use std::path::PathBuf;

use cachegate_types::{AccessLevel, Action, Resource};
use client::{folder, installed, run};
use host::Host;

/// A workspace with one rule, whose output depends on a file that it does not declare.
struct Workspace {
    folder: tempfile::TempDir,
    bazel: PathBuf,
}

/// What a build came to.
#[derive(Debug)]
struct Run {
    succeeded: bool,
    printed: String,
    output: String,
}

impl Run {
    fn was_remote_hit(&self) -> bool {
        self.printed.contains("1 remote cache hit")
    }
}

impl Workspace {
    fn new() -> Self {
        let folder = folder(&[("WORKSPACE", "")]);
        let poison = folder.path().join("home/poison.txt").display().to_string();
        fs::write(&poison, "clean").expect("written");
        let rule = format!(
            "genrule(name = \"g\", outs = [\"o\"], cmd = \"cat {poison} > $@\", tags = [\"no-sandbox\"])\n"
        );
        fs::write(folder.path().join("BUILD"), rule).expect("written");
        let place = installed("bazel", "CACHEGATE_BAZEL").join("node_modules/@bazel");
        let bazel = place.join("bazel-linux_x64/bazel-2.1.0-linux-x86_64");
        Self { folder, bazel }
    }

    fn bazel(&self, arguments: &[&str]) -> (bool, String) {
        let root = format!("--output_user_root={}", self.folder.path().join("home/out").display());
        let startup = [&*root, "--max_idle_secs=60", "--nohome_rc", "--nosystem_rc"];
        run(self.folder.path(), &self.bazel, &[&startup, arguments].concat(), &[("USER", "tester")])
    }

    /// Builds with nothing at hand, while the undeclared file says this.
    fn build(&self, cache: &str, says: &str) -> Run {
        fs::write(self.folder.path().join("home/poison.txt"), says).expect("written");
        let (cleaned, printed) = self.bazel(&["clean"]);
        assert!(cleaned, "{printed}");
        let cache = format!("--remote_http_cache={cache}");
        let (succeeded, printed) =
            self.bazel(&["build", "//:g", &cache, "--spawn_strategy=local", "--color=no", "--curses=no"]);
        let output = fs::read_to_string(self.folder.path().join("bazel-bin/o")).unwrap_or_default();
        Run { succeeded, printed, output }
    }
}

/// Bazel's own server goes with its workspace.
impl Drop for Workspace {
    fn drop(&mut self) {
        self.bazel(&["shutdown"]);
    }
}

fn cache(host: &Host, token: &str) -> String {
    format!("http://ci:{token}@{}/acme/app/bazel", host.address)
}

/// The writes of what actions came to since the last look, by their codes.
fn actions_written(host: &Host) -> Vec<&'static str> {
    let events = host.recorder.take();
    let written = events.iter().filter(|event| {
        let Resource::Entry { key, .. } = &event.resource else { return false };
        event.action == Action::Write && key.to_string().starts_with("bazel:ac/")
    });
    written.map(|event| event.code).collect()
}

#[test]
#[ignore = "needs bazel: run by cargo xtask test"]
fn bazel_stores_hits_and_stays_green_whatever_the_token() {
    let (host, workspace) = (Host::new(), Workspace::new());
    let token = |level, lane| cache(&host, &host.token(level, lane));
    let reader = token(AccessLevel::ReadOnly, "main");

    let run = workspace.build(&reader, "clean");
    assert!(run.succeeded && !run.was_remote_hit(), "{}", run.printed);
    assert!(run.printed.contains("403") && run.printed.contains("write"), "the reason: {}", run.printed);
    assert_eq!(actions_written(&host), [""; 0], "no entry for an action whose outputs are not there");

    // CVE-2025-36852: the key is the same in all runs, the bytes are not.
    let (main, pull) = (token(AccessLevel::ReadWrite, "main"), token(AccessLevel::ReadWrite, "pull/42"));
    let run = workspace.build(&pull, "evil");
    assert!(run.succeeded && run.output == "evil", "{}", run.printed);
    assert_eq!(actions_written(&host), ["allowed"]);
    let run = workspace.build(&main, "clean");
    assert!(run.succeeded && !run.was_remote_hit() && run.output == "clean", "{}", run.printed);
    for (cache, output) in [(&reader, "clean"), (&pull, "evil")] {
        let run = workspace.build(cache, "neither");
        assert!(run.succeeded && run.was_remote_hit(), "{}", run.printed);
        assert_eq!(run.output, output);
    }
}
