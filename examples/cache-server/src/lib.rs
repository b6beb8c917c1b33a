//! A remote cache server that embeds cachegate.
//!
//! ```text
//! cargo run -p cache-server
//! ```
//!
//! The kernel decides; what is here moves bytes: `entries` keeps them in a folder, `nx` speaks Nx's protocol, `server`
//! composes the gate, `config` reads flags and file, `first_start` prints what to paste.

mod config;
mod entries;
mod first_start;
mod log;
mod nx;
mod server;

pub use config::{Command, Config, ConfigError, DistrustCommand, Flags, TokenCommand, WorkspaceCommand};
pub use first_start::announce;
pub use log::LogSink;
pub use server::{Server, ServerError, now, serve};
