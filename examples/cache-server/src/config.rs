//! Flags and the configuration file. A flag beats the file; an unknown key in the file is an error.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cachegate_federation::{AnchorBuilder, RuleBuilder, TenantBuilder};
use cachegate_types::{AccessLevel, Description, Lane, Name, TokenId, WorkspacePath};
use clap::{Args, Parser, Subcommand};
use serde::Deserialize;

use crate::directories::DirectoriesEntry;
use crate::login::LoginEntry;

/// A remote cache for builds, in which a pull request can poison nobody.
#[derive(Debug, Parser)]
#[command(name = "cache-server", version, about)]
pub struct Flags {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where everything is kept [default: cachegate in the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve, unless a command is named
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving. These work on the data folder itself, also while a server runs on it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list and revoke CI access tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show and change workspaces
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Make all that a token wrote a miss, or trust it again
    #[command(subcommand)]
    Distrust(DistrustCommand),
    /// Replace the administrator's token: the old one is revoked
    Recover,
}

/// CI access tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make one, and print it alone on standard output
    Create {
        /// `read-only` or `read-write`
        #[arg(long, default_value = "read-write")]
        level: AccessLevel,
        /// Its one lane: main, release, branch/NAME or pull/NUMBER
        #[arg(long, default_value = "main")]
        lane: Lane,
        /// What people call it
        #[arg(long, short, default_value = "")]
        description: Description,
        /// How many days it lives [default: until it is revoked]
        #[arg(long, value_name = "DAYS")]
        expires_in: Option<u32>,
        /// The workspace [default: the server's first]
        #[arg(long, short, value_name = "ORGANIZATION/WORKSPACE")]
        workspace: Option<WorkspacePath>,
    },
    /// List them
    List {
        /// The workspace [default: the server's first]
        #[arg(long, short, value_name = "ORGANIZATION/WORKSPACE")]
        workspace: Option<WorkspacePath>,
    },
    /// Revoke one: refused everywhere within a second
    Revoke {
        /// Its id, as `token list` shows it
        id: TokenId,
        /// Why
        #[arg(long, default_value = "revoked on the server")]
        reason: Description,
    },
}

/// Workspaces.
#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Change what a workspace gives whom
    Set(WorkspaceSet),
    /// Add a workspace to the server's organization
    Create {
        /// Its name
        name: Name,
    },
}

/// What to change; what is not named stays.
#[derive(Debug, Args)]
pub struct WorkspaceSet {
    /// The workspace [default: the server's first]
    #[arg(long, short, value_name = "ORGANIZATION/WORKSPACE")]
    pub workspace: Option<WorkspacePath>,
    /// What a request without a token may do: none, resolve-only, read-only or read-write
    #[arg(long)]
    pub anonymous: Option<AccessLevel>,
    /// What personal tokens may do: none, resolve-only, read-only or read-write
    #[arg(long)]
    pub personal: Option<AccessLevel>,
}

/// Distrust.
#[derive(Debug, Subcommand)]
pub enum DistrustCommand {
    /// Everything that the token wrote, and what came from it, is a miss from now on
    Token {
        /// Its id
        id: TokenId,
        /// Why
        #[arg(long, default_value = "distrusted on the server")]
        reason: Description,
    },
    /// Takes every mark on the token away
    Lift {
        /// Its id
        id: TokenId,
    },
}

/// Everything that is configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data: PathBuf,
    /// The largest entry, in bytes.
    pub entry_limit: u64,
    /// The name of the organization that the first start makes.
    pub organization: Name,
    /// The name of the workspace that the first start makes.
    pub workspace: Name,
    /// Who may vouch for CI jobs and machines.
    pub anchors: Vec<AnchorBuilder>,
    /// What these then get. Organization and workspace may be named.
    pub rules: Vec<RuleBuilder>,
    /// Which organizations' administrators may save rules themselves, and who each is at an anchor. They may be named.
    pub tenants: Vec<TenantBuilder>,
    /// The URL under which others reach the server, if it is not where it listens.
    pub issuer: Option<String>,
    /// Services that sessions are also made for, and that may ask what a token is.
    pub services: Vec<ServiceEntry>,
    /// Keys of those who report tokens that they found in public.
    pub leak_reporters: Vec<ReporterEntry>,
    /// How people sign in.
    pub login: LoginEntry,
    /// Who says that somebody belongs to an organization.
    pub directories: DirectoriesEntry,
}

/// A service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// Its `client_id`.
    pub name: String,
    /// The audience of its tokens; without one, it asks about those for this server.
    pub audience: Option<String>,
    /// The SHA-256 of its secret, in hexadecimal digits.
    pub secret_sha256: String,
}

/// A key of somebody who reports tokens that they found in public.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReporterEntry {
    /// Its id, as a report names it.
    pub id: String,
    /// The public key, in PEM form.
    pub key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    entry_limit: Option<u64>,
    organization: Option<Name>,
    workspace: Option<Name>,
    #[serde(default)]
    anchors: Vec<AnchorBuilder>,
    #[serde(default)]
    rules: Vec<RuleBuilder>,
    #[serde(default)]
    tenants: Vec<TenantBuilder>,
    issuer: Option<String>,
    #[serde(default)]
    services: Vec<ServiceEntry>,
    #[serde(default)]
    leak_reporters: Vec<ReporterEntry>,
    #[serde(default)]
    login: LoginEntry,
    #[serde(default)]
    directories: DirectoriesEntry,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file `{path}`: {source}; check --config")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("the configuration file `{path}` is wrong: {problem}; mend it and start again")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong, on one line.
        problem: String,
    },
    /// There is no data folder to fall back on.
    #[error("this user has no home folder; say where to keep the data with --data DIR")]
    NoHome,
}

impl Config {
    /// The largest entry unless the file says otherwise: 1 GiB.
    pub const ENTRY_LIMIT: u64 = 1024 * 1024 * 1024;

    /// What flags and file say together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(path) => read(path)?,
            None => ConfigFile::default(),
        };
        let home = || {
            let folders = etcetera::choose_base_strategy().ok()?;
            Some(etcetera::BaseStrategy::data_dir(&folders).join("cachegate"))
        };
        let listen = flags.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let name = |name: Option<Name>, default: &str| match name {
            Some(name) => Ok(name),
            None => default.parse().map_err(|_| ConfigError::NoHome),
        };
        Ok(Self {
            listen,
            data: flags.data.clone().or(file.data).or_else(home).ok_or(ConfigError::NoHome)?,
            entry_limit: file.entry_limit.unwrap_or(Self::ENTRY_LIMIT),
            organization: name(file.organization, "local")?,
            workspace: name(file.workspace, "default")?,
            anchors: file.anchors,
            rules: file.rules,
            tenants: file.tenants,
            issuer: file.issuer,
            services: file.services,
            leak_reporters: file.leak_reporters,
            login: file.login,
            directories: file.directories,
        })
    }

    /// The URL under which the server issues tokens: the configured one, or where it listens.
    pub fn issuer(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }
}

fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| ConfigError::Content {
        path: path.to_owned(),
        problem: match error.span() {
            Some(span) => {
                let line = text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
                format!("line {line}: {}", error.message())
            }
            None => error.message().to_owned(),
        },
    })
}
