//! The command: reads flags, runs, and ends with one clear sentence where it cannot.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command; it speaks to a terminal")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cache_server::{
    Command, Config, DistrustCommand, Flags, LogSink, Server, ServerError, TokenCommand, WorkspaceCommand,
    announce, now, serve,
};
use cachegate::{Authority, ManageError, TokenSpec};
use cachegate_storage::{MarkScope, TokenFilter, TokenKind};
use cachegate_types::{WorkspaceId, WorkspacePath};
use clap::Parser;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let config = match Config::from_flags(&flags) {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    let done = match flags.command {
        None => run(&config).await,
        Some(command) => act(&config, command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

fn complain(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("cache-server: {error}");
    ExitCode::FAILURE
}

async fn run(config: &Config) -> Result<(), ServerError> {
    // The port first: where it is taken, nothing is made.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| ServerError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(ServerError::Serve)?;
    // Where the port was the system's choice, that is where the tokens say they come from.
    let config = &Config { listen: address, ..config.clone() };
    let server = Arc::new(Server::open(config, Arc::new(LogSink)).await?);
    announce(config, &server, address, server.first_token(), &mut std::io::stdout())
        .map_err(|source| ServerError::Data { path: config.data.clone(), source })?;
    serve(listener, server, stop()).await
}

/// Completes when the process is told to stop.
async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

async fn act(config: &Config, command: Command) -> Result<(), ServerError> {
    let server = Server::open(config, Arc::new(LogSink)).await?;
    let by = Authority::Operator;
    match command {
        Command::Token(TokenCommand::Create { level, lane, description, expires_in, workspace }) => {
            let workspace = named(&server, workspace).await?;
            let life = expires_in.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
            let spec = TokenSpec::Ci { workspace, level, lane };
            let issued = server.gate().issue(&by, &spec, description, life, now()).await?;
            println!("{}", issued.token.expose_secret());
        }
        Command::Token(TokenCommand::List { workspace }) => {
            let workspace = named(&server, workspace).await?;
            let filter = TokenFilter {
                workspace: Some(workspace),
                kind: Some(TokenKind::Ci),
                ..TokenFilter::default()
            };
            let mut after = None;
            loop {
                let page = server.gate().tokens(&by, &filter, after, 100, now()).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for token in &page {
                    let state = match (&token.revoked, token.expires_at) {
                        (Some(revoked), _) => format!("revoked {}: {}", revoked.at, revoked.reason),
                        (None, Some(at)) if now() >= at => format!("expired {at}"),
                        (None, Some(at)) => format!("until {at}"),
                        (None, None) => "until revoked".to_owned(),
                    };
                    let level = token.grants.first().map(|grant| grant.actions.level()).unwrap_or_default();
                    let lane = token.lane.as_ref().map(ToString::to_string).unwrap_or_default();
                    println!("{}  {level:<10}  {lane:<12}  {state}  {}", token.id, token.description);
                }
            }
        }
        Command::Token(TokenCommand::Revoke { id, reason }) => {
            let revision = server.gate().revoke(&by, id, reason, now()).await?;
            println!("revoked {id} at revision {revision}; refused everywhere within a second");
        }
        Command::Workspace(WorkspaceCommand::Create { name }) => {
            let first = server.storage().workspace(server.default_workspace()).await?;
            let first = first.ok_or(ManageError::Missing { what: "workspace" })?;
            let settings = cachegate_policy::WorkspaceSettings::default();
            let id = server
                .gate()
                .create_workspace(&by, first.organization, name.clone(), settings, now())
                .await?;
            println!("workspace {name}, id {id}");
        }
        Command::Workspace(WorkspaceCommand::Set(set)) => {
            let workspace = named(&server, set.workspace).await?;
            let found = server.storage().workspace(workspace).await?;
            let mut settings = found.ok_or(ManageError::Missing { what: "workspace" })?.settings;
            settings.anonymous = set.anonymous.unwrap_or(settings.anonymous);
            settings.personal = set.personal.unwrap_or(settings.personal);
            let revision = server.gate().set_settings(&by, workspace, &settings, now()).await?;
            println!(
                "anonymous {}, personal {}, at revision {revision}; in force everywhere within a second",
                settings.anonymous, settings.personal
            );
        }
        Command::Distrust(DistrustCommand::Token { id, reason }) => {
            let (mark, _) = server.gate().distrust(&by, MarkScope::Token(id), reason, now()).await?;
            println!("everything that {id} wrote is a miss; mark {mark}");
        }
        Command::Distrust(DistrustCommand::Lift { id }) => {
            for mark in server.storage().marks().await? {
                if mark.scope == MarkScope::Token(id) {
                    server.gate().trust_again(&by, mark.id, now()).await?;
                    println!("mark {} is lifted", mark.id);
                }
            }
        }
        Command::Recover => {
            let path = server.recover(&config.data).await?;
            println!("the administrator's new token is in {}; the old one is revoked", path.display());
        }
    }
    Ok(())
}

async fn named(server: &Server, path: Option<WorkspacePath>) -> Result<WorkspaceId, ServerError> {
    match path {
        None => Ok(server.default_workspace()),
        Some(path) => Ok(server.find(&path).await?.ok_or(ManageError::Missing { what: "workspace" })?),
    }
}
