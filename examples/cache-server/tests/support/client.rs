//! What the tests with real clients share: programs run to their end, and what the server decided meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cachegate_types::{Action, Resource};

use crate::host::Host;

/// How long a client may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

impl Host {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The decisions on entries since the last look, as `(action, code)`.
    pub(crate) fn decisions(&self) -> Vec<(Action, &'static str)> {
        let events = self.recorder.take();
        events
            .iter()
            .filter(|event| matches!(event.resource, Resource::Entry { .. }))
            .map(|event| (event.action, event.code))
            .collect()
    }
}

/// Where `cargo xtask test` installs this client.
pub(crate) fn installed(name: &str, variable: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients").join(name);
    let place = std::env::var_os(variable).map_or(folder, PathBuf::from);
    let command = place.join("node_modules/.bin").join(name);
    assert!(command.exists(), "no {name} in {}: run `cargo xtask test`", place.display());
    place
}

/// A folder with these files and an empty home.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    fs::create_dir_all(folder.path().join("home")).expect("a home");
    folder
}

/// Runs a program in this folder to its end, with the folder's home and `PATH` for its only surroundings, and gives
/// whether it succeeded and what it printed.
pub(crate) fn run(
    folder: &Path,
    program: impl AsRef<Path>,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (bool, String) {
    let printed = folder.join("home/printed.txt");
    let sink = fs::File::create(&printed).expect("a file");
    let mut child = Command::new(program.as_ref())
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.join("home"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(sink.try_clone().expect("a file"))
        .stderr(sink)
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("no end: {}", fs::read_to_string(&printed).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let printed = fs::read(&printed).expect("what it printed");
    (status.success(), String::from_utf8_lossy(&printed).into_owned())
}
