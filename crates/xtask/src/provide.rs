//! What some tests need beside Rust and a C compiler, and how it comes onto the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::cargo;
use crate::{Workspace, XtaskError};

/// The version of cargo-deny that the configuration is written for.
pub const CARGO_DENY: &str = "0.20.2";

/// A client that npm installs, under the target folder, by a lock without the addresses it came from.
struct NpmClient {
    /// What tests call it, and what its command is called.
    name: &'static str,
    /// The variable that tells the tests where it is installed.
    variable: &'static str,
    manifests: [(&'static str, &'static str); 2],
}

const NPM_CLIENTS: [NpmClient; 2] = [
    NpmClient {
        name: "nx",
        variable: "CACHEGATE_NX",
        manifests: [
            ("package.json", include_str!("../clients/nx/package.json")),
            ("package-lock.json", include_str!("../clients/nx/package-lock.json")),
        ],
    },
    NpmClient {
        name: "turbo",
        variable: "CACHEGATE_TURBO",
        manifests: [
            ("package.json", include_str!("../clients/turbo/package.json")),
            ("package-lock.json", include_str!("../clients/turbo/package-lock.json")),
        ],
    },
];

/// A program that a Debian package brings.
struct Program {
    /// What tests call it.
    need: &'static str,
    command: &'static str,
    package: &'static str,
}

const PROGRAMS: [Program; 5] = [
    Program { need: "ccache", command: "ccache", package: "ccache" },
    Program { need: "curl", command: "curl", package: "curl" },
    Program { need: "git", command: "git", package: "git" },
    Program { need: "nix", command: "nix", package: "nix-bin" },
    Program { need: "python", command: "python3", package: "python3" },
];

/// Whether a test may ask for this.
pub fn can_provide(need: &str) -> bool {
    let others = ["strace", "pycurl"];
    others.contains(&need)
        || PROGRAMS.iter().any(|program| program.need == need)
        || NPM_CLIENTS.iter().any(|client| client.name == need)
}

/// What a need came to.
pub(crate) enum Provided {
    /// It is there; the variables that say where.
    Ready(Vec<(&'static str, OsString)>),
    /// It is not, and why.
    Missing(String),
}

/// Brings things onto the machine, asking the package lists for news at most once.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    updated: bool,
}

impl Provider {
    pub(crate) fn provide(&mut self, need: &str, workspace: &Workspace) -> Result<Provided, XtaskError> {
        if let Some(client) = NPM_CLIENTS.iter().find(|client| client.name == need) {
            return client.install(workspace);
        }
        if let Some(program) = PROGRAMS.iter().find(|program| program.need == need) {
            return Ok(self.program(program.command, program.package));
        }
        match need {
            "strace" => Ok(self.strace()),
            "pycurl" => Ok(pycurl(workspace)),
            other => Ok(Provided::Missing(format!("nobody knows how to install `{other}`"))),
        }
    }

    fn strace(&mut self) -> Provided {
        match self.program("strace", "strace") {
            Provided::Ready(_) if !answers("strace", &["-f", "-o", "/dev/null", "true"]) => {
                Provided::Missing("this machine does not let one process trace another".to_owned())
            }
            provided => provided,
        }
    }

    /// A program that a Debian package brings.
    fn program(&mut self, name: &str, package: &str) -> Provided {
        if answers(name, &["--version"]) || self.debian(package) {
            Provided::Ready(Vec::new())
        } else {
            Provided::Missing(format!("not installed, and `apt-get install {package}` was not possible"))
        }
    }

    /// Installs a Debian package, where this is Debian and we are root.
    fn debian(&mut self, package: &str) -> bool {
        let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| {
            use std::os::unix::fs::MetadataExt;
            metadata.uid() == 0
        });
        if !root || !answers("apt-get", &["--version"]) {
            return false;
        }
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "Dpkg::Use-Pty=0"]);
            command.args(arguments).stdin(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if !self.updated {
            println!("==> apt-get update");
            self.updated = apt(&["update"]);
        }
        println!("==> apt-get install {package}");
        apt(&["install", "-y", "--no-install-recommends", package])
    }
}

/// The newest curl, as a library with Python around it, under the target folder.
fn pycurl(workspace: &Workspace) -> Provided {
    let folder = workspace.target.join("clients").join("pycurl");
    let ready = || Provided::Ready(vec![("CACHEGATE_PYCURL", folder.clone().into_os_string())]);
    if folder.join("pycurl").is_dir() {
        return ready();
    }
    println!("==> pip install pycurl, in {}", folder.display());
    let arguments =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    let mut command = Command::new("python3");
    command.args(arguments).arg("--target").arg(&folder).arg("pycurl").stdin(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        ready()
    } else {
        Provided::Missing("pip could not install it".to_owned())
    }
}

impl NpmClient {
    fn install(&self, workspace: &Workspace) -> Result<Provided, XtaskError> {
        let folder = workspace.target.join("clients").join(self.name);
        let ready = || Provided::Ready(vec![(self.variable, folder.clone().into_os_string())]);
        for program in ["node", "npm"] {
            if !answers(program, &["--version"]) {
                return Ok(Provided::Missing(format!("no `{program}` on this machine")));
            }
        }
        // Written last, so that an install cut short is done again.
        let stamp = folder.join("installed.json");
        let wanted = self.manifests.map(|(_, text)| text).concat();
        let command = folder.join("node_modules").join(".bin").join(self.name);
        if std::fs::read_to_string(&stamp).is_ok_and(|held| held == wanted) && command.is_file() {
            return Ok(ready());
        }
        println!("==> npm install, in {}", folder.display());
        std::fs::create_dir_all(&folder).map_err(XtaskError::file(&folder))?;
        for (name, text) in self.manifests {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(XtaskError::file(path))?;
        }
        // Not `npm ci`: it refuses a lock without the builds for other platforms, which not every registry carries.
        let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        let status = Command::new("npm").args(arguments).current_dir(&folder).stdin(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) || !command.is_file() {
            return Ok(Provided::Missing("npm could not install it".to_owned()));
        }
        std::fs::write(&stamp, wanted).map_err(XtaskError::file(stamp))?;
        Ok(ready())
    }
}

/// The cargo-deny to run: the one on the machine where it has the right version, else our own.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<Option<PathBuf>, XtaskError> {
    let right = |program: &Path| {
        let output = Command::new(program).arg("--version").stderr(Stdio::null()).output();
        output.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {CARGO_DENY}")
        })
    };
    cargo_tool(workspace, "cargo-deny", &["--version", CARGO_DENY], right)
}

/// The cargo-fuzz to run: the one on the machine, else our own.
pub(crate) fn cargo_fuzz(workspace: &Workspace) -> Result<Option<PathBuf>, XtaskError> {
    let there = |program: &Path| answers(&program.to_string_lossy(), &["--version"]);
    cargo_tool(workspace, "cargo-fuzz", &[], there)
}

/// A program that cargo installs: the one on the machine where it is `right`, else our own under the target folder.
fn cargo_tool(
    workspace: &Workspace,
    name: &str,
    which: &[&str],
    right: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>, XtaskError> {
    let tools = workspace.target.join("tools");
    let own = tools.join("bin").join(name);
    for program in [PathBuf::from(name), own.clone()] {
        if right(&program) {
            return Ok(Some(program));
        }
    }
    println!("==> cargo install {name} {}, one to three minutes, once", which.join(" "));
    let status = Command::new(cargo())
        .args(["install", name, "--locked", "--quiet", "--root"])
        .arg(&tools)
        .arg("--target-dir")
        .arg(tools.join("build"))
        .args(which)
        .stdin(Stdio::null())
        .status()
        .map_err(|source| XtaskError::Start { program: "cargo install".to_owned(), source })?;
    let _ = std::fs::remove_dir_all(tools.join("build"));
    Ok((status.success() && right(&own)).then_some(own))
}

pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
