//! A remote cache server that embeds cachegate.
//!
//! ```text
//! cargo run -p cache-server
//! ```
//!
//! The kernel decides; what is here moves bytes: `entries` keeps them in a folder, `calls` asks the kernel and moves
//! them, and over it each protocol has a thin face of its own: `nx`, `turborepo`, `plain` for ccache, `bazel`,
//! `gradle`, `nix`, `webdav` for sccache, and `releases`. `server` composes the gate, `config` reads flags and file,
//! `first_start` prints what to paste.

mod bazel;
mod calls;
mod config;
mod count;
mod directories;
mod entries;
mod first_start;
mod gradle;
mod identity;
mod log;
mod login;
mod narinfo;
mod nix;
mod nx;
mod plain;
mod releases;
mod secret;
mod server;
mod turborepo;
mod webdav;
mod workloads;

pub use config::{
    Command, Config, ConfigError, DistrustCommand, Flags, ReporterEntry, ServiceEntry, TokenCommand,
    WorkspaceCommand,
};
pub use directories::{DirectoriesEntry, DirectoryConfigError, GithubEntry, ScimEntry};
pub use first_start::announce;
pub use log::LogSink;
pub use login::{LoginConfigError, LoginEntry, ProviderEntry, ProviderKind};
pub use server::{Server, ServerError, now, serve};
