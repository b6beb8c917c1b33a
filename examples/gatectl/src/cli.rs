//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use cachegate_client::{Origin, ReleaseReference};
use cachegate_types::{AccessLevel, Action, DecisionId, Description, Lane, TokenId, VersionRequirement};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Log in to a build cache, manage its tokens, and keep them out of places where they do not belong.
#[derive(Debug, Parser)]
#[command(name = "gatectl", version, about, after_help = EXIT)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT: &str = "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 not authenticated, 4 server \
                    unavailable, 5 found something (scan, doctor, lint).";

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The server [default: the one that you are logged in to]
    #[arg(long, short, global = true, env = "CACHEGATE_SERVER", value_name = "URL")]
    pub(crate) server: Option<Origin>,
    /// Use the token in this file, `-` for standard input, in place of the one from `login`
    #[arg(long, global = true, env = "CACHEGATE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in, and let Nix, git and curl know
    Login(Login),
    /// End the session and forget the token
    Logout(Logout),
    /// Say where you are logged in, and until when
    Status,
    /// Ask the server who you are
    Whoami,
    /// Keep a netrc file fresh while builds run
    Agent(Agent),
    /// Manage what lets people and machines in
    #[command(subcommand)]
    Auth(Auth),
    /// Say where a release's output lies
    Resolve(Resolve),
    /// Fetch a release's source archive, or an entry
    Fetch(FetchFile),
    /// Say why something was refused, or whether it would be
    Explain(Explain),
    /// Check trust rules before they are in force
    #[command(subcommand)]
    Policy(Policy),
    /// Speak Bazel's credential helper protocol
    #[command(subcommand)]
    CredentialHelper(CredentialHelper),
    /// Look after netrc files
    #[command(subcommand)]
    Netrc(Netrc),
    /// Find tokens in files that are committed
    Scan(Scan),
    /// Take a committed token out of a tool's configuration
    Convert(Convert),
    /// Say which CI job or cloud machine this is
    Ambient(Ambient),
    /// Print a completion script for a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Paste a token; it is not shown
    #[arg(long, conflicts_with = "ambient")]
    pub(crate) paste: bool,
    /// Exchange the identity of this CI job or cloud machine
    #[arg(long)]
    pub(crate) ambient: bool,
    /// The audience to ask the identity for [default: the server's address]
    #[arg(long, requires = "ambient")]
    pub(crate) audience: Option<String>,
    #[command(flatten)]
    pub(crate) netrc: NetrcPlace,
    /// Replace an entry for this host that somebody else wrote
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NetrcPlace {
    /// The netrc file [default: the one that nix.conf or NETRC names, or ~/.netrc]
    #[arg(long, value_name = "FILE", conflicts_with = "no_netrc")]
    pub(crate) netrc_file: Option<PathBuf>,
    /// Leave netrc and nix.conf alone
    #[arg(long)]
    pub(crate) no_netrc: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) netrc: NetrcPlace,
}

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// Refresh once, if it is time, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Exchange the identity of this CI job or cloud machine, again and again
    #[arg(long)]
    pub(crate) ambient: bool,
    /// The audience to ask the identity for [default: the server's address]
    #[arg(long, requires = "ambient")]
    pub(crate) audience: Option<String>,
    /// Renew what ends within this time
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "5m")]
    pub(crate) margin: Duration,
    /// The netrc file [default: the one that nix.conf or NETRC names, or ~/.netrc]
    #[arg(long, value_name = "FILE")]
    pub(crate) netrc_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Make, list, rotate and revoke tokens
    #[command(subcommand)]
    Token(Token),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Device tokens, for machines of an organization
    #[command(subcommand)]
    Device(Device),
    /// CI access tokens, for the pipelines of a workspace
    #[command(subcommand)]
    Ci(Ci),
    /// Personal access tokens, for yourself
    #[command(subcommand)]
    Personal(Personal),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Make one, and print it alone on standard output
    Create(CreateDevice),
    /// List them
    List(ListIn),
    /// Revoke one: refused everywhere within a second
    Revoke(Revoke),
    /// Make a successor, and print it alone on standard output
    Rotate(Rotate),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ci {
    /// Make one, and print it alone on standard output
    Create(CreateCi),
    /// List them
    List(ListIn),
    /// Revoke one: refused everywhere within a second
    Revoke(Revoke),
    /// Make a successor, and print it alone on standard output
    Rotate(Rotate),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Personal {
    /// Make one, and print it alone on standard output
    Create(CreatePersonal),
    /// List yours
    List(List),
    /// Revoke one: refused everywhere within a second
    Revoke(Revoke),
    /// Make a successor, and print it alone on standard output
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(crate) struct Made {
    /// What people call it
    #[arg(long, short, default_value = "")]
    pub(crate) description: Description,
    /// How long it lives, such as `30d` or `12h` [default: as long as its kind may]
    #[arg(long, value_name = "TIME", value_parser = life)]
    pub(crate) expires_in: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct CreateDevice {
    /// The organization, by name or id [default: your only one]
    #[arg(long, short, value_name = "ORGANIZATION")]
    pub(crate) org: Option<String>,
    #[command(flatten)]
    pub(crate) made: Made,
    /// Resolve-only, for this workspace alone (ORGANIZATION/WORKSPACE, or an id)
    #[arg(long, short, value_name = "WORKSPACE", requires = "requirement")]
    pub(crate) workspace: Option<String>,
    /// Resolve-only, for releases that fit this, such as `0.1`, `=1.2.3` or `*`
    #[arg(long, requires = "workspace")]
    pub(crate) requirement: Option<VersionRequirement>,
    /// Resolve-only, and may read what it resolved
    #[arg(long, requires = "workspace")]
    pub(crate) closure: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateCi {
    /// The workspace: ORGANIZATION/WORKSPACE, or an id
    #[arg(long, short, value_name = "WORKSPACE")]
    pub(crate) workspace: String,
    /// read-only or read-write
    #[arg(long, default_value = "read-write")]
    pub(crate) level: AccessLevel,
    /// Its one lane: main, release, branch/NAME or pull/NUMBER [default: main]
    #[arg(long)]
    pub(crate) lane: Option<Lane>,
    #[command(flatten)]
    pub(crate) made: Made,
}

#[derive(Debug, Args)]
pub(crate) struct CreatePersonal {
    #[command(flatten)]
    pub(crate) made: Made,
    /// As a JWT
    #[arg(long)]
    pub(crate) jwt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// So many at most
    #[arg(long, short, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// Also those that are expired, revoked or replaced
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListIn {
    /// The organization, by name or id [default: your only one]
    #[arg(long, short, value_name = "ORGANIZATION", conflicts_with = "workspace")]
    pub(crate) org: Option<String>,
    /// The workspace: ORGANIZATION/WORKSPACE, or an id
    #[arg(long, short, value_name = "WORKSPACE")]
    pub(crate) workspace: Option<String>,
    #[command(flatten)]
    pub(crate) list: List,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Its id, as `list` shows it
    #[arg(long, value_name = "ID")]
    pub(crate) token_id: TokenId,
    /// The organization, by name or id: refuse to revoke one of another
    #[arg(long, short, value_name = "ORGANIZATION")]
    pub(crate) org: Option<String>,
    /// Why
    #[arg(long, default_value = "revoked by gatectl")]
    pub(crate) reason: Description,
    /// Its predecessors and successors too
    #[arg(long)]
    pub(crate) line: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Its id, as `list` shows it
    #[arg(long, value_name = "ID")]
    pub(crate) token_id: TokenId,
    /// How long it lives on beside its successor
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "1d")]
    pub(crate) overlap: Duration,
    /// How long the successor lives [default: as long as its kind may]
    #[arg(long, value_name = "TIME", value_parser = life)]
    pub(crate) expires_in: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// ORGANIZATION/WORKSPACE/REQUIREMENT#OUTPUT, such as `acme/app/0.1#default`
    #[arg(value_name = "RELEASE")]
    pub(crate) release: ReleaseReference,
    /// Also print, on a line of its own, a token that reads what the output needs and nothing else
    #[arg(long)]
    pub(crate) include_token: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FetchFile {
    /// The source archive of ORGANIZATION/WORKSPACE/REQUIREMENT
    #[arg(value_name = "RELEASE", required_unless_present = "entry", conflicts_with = "entry")]
    pub(crate) release: Option<ReleaseReference>,
    /// Or: the entry at this path, such as `acme/app/nix/HASH.narinfo`
    #[arg(long, value_name = "PATH")]
    pub(crate) entry: Option<String>,
    /// Where to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The decision, as a refusal names it
    #[arg(value_name = "DECISION", required_unless_present = "action", conflicts_with = "action")]
    pub(crate) decision: Option<DecisionId>,
    /// Or: would this be allowed? resolve, read, write, replace, delete, administer or publish
    #[arg(long, requires = "workspace")]
    pub(crate) action: Option<Action>,
    /// In this workspace: ORGANIZATION/WORKSPACE, or an id
    #[arg(long, short, value_name = "WORKSPACE")]
    pub(crate) workspace: Option<String>,
    /// To the entry of this key
    #[arg(long, requires = "action")]
    pub(crate) key: Option<String>,
    /// To this release
    #[arg(long = "release", value_name = "VERSION", requires = "action", conflicts_with = "key")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say what is dangerous or useless in anchors and rules
    Lint {
        /// A TOML file with `[[anchors]]` and `[[rules]]`, such as the server's configuration
        rules: PathBuf,
    },
    /// Say what a job's identity token would earn, without asking any server
    Test(PolicyTest),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// A TOML file with `[[anchors]]` and `[[rules]]`, such as the server's configuration
    pub(crate) rules: PathBuf,
    /// The job's identity token, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    /// The issuer's key set (JWKS)
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: PathBuf,
    /// As of then, in unix seconds [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialHelper {
    /// Read a request on standard input, write the headers for it on standard output
    Get,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Netrc {
    /// Say what some reader of the file would stumble over
    Doctor {
        /// The netrc file [default: the one that nix.conf or NETRC names, or ~/.netrc]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Files and folders
    #[arg(default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// nx.json, .turbo/config.json, a netrc file or a .env file
    pub(crate) file: PathBuf,
    /// Also make a successor for CI; the committed token lives on for the overlap
    #[arg(long)]
    pub(crate) rotate: bool,
    /// How long the committed token lives on beside its successor
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "7d", requires = "rotate")]
    pub(crate) overlap: Duration,
    /// The public workspace id to leave in nx.json [default: that of the token, asked of the server]
    #[arg(long, value_name = "ID")]
    pub(crate) workspace_id: Option<String>,
    /// Change nothing, and say what would be
    #[arg(long, conflicts_with = "rotate")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ambient {
    /// The audience to ask for [default: the server's address]
    #[arg(long)]
    pub(crate) audience: Option<String>,
    /// Print the identity token alone on standard output
    #[arg(long)]
    pub(crate) print: bool,
}

/// `90s`, `15m`, `12h`, `30d`.
fn life(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a number with its unit: `90s`, `15m`, `12h` or `30d`".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        Some("d") => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}
