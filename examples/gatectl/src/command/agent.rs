//! `agent`: what netrc says stays fresh while builds run. Nix and curl read the file anew for each transfer.

use std::time::Duration;

use cachegate_client::{BoundToken, Replace, Server, TokenStore};

use super::login::{by_identity, write_netrc};
use super::session::until;
use crate::cli::Agent;
use crate::context::{Context, not_logged_in, now};
use crate::failure::{Failed, Status};
use crate::show::{note, print};

/// How long to wait after a failure, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn agent(context: &Context, agent: &Agent) -> Result<(), Failed> {
    let origin = context.origin()?;
    let server = context.anonymous(&origin)?;
    let mut pause = FIRST_PAUSE;
    loop {
        let wait = match refreshed(context, agent, &server).await {
            Ok(token) => {
                pause = FIRST_PAUSE;
                let Some(ends) = token.expires_at() else {
                    return print("the token does not expire: there is nothing to renew\n");
                };
                if agent.once {
                    return print(&format!("netrc is fresh, until {}\n", until(ends)));
                }
                if !agent.ambient && token.refresh_for(&origin).is_none() {
                    note(&format!("nothing renews this token: it ends {}", until(ends)));
                }
                // Where a token lives for less than the margin, at half of its life.
                let left = ends.since(now());
                left.saturating_sub(agent.margin).max(left / 2).max(Duration::from_secs(1))
            }
            // A server that cannot be reached now may be there before the token ends.
            Err(failed) if failed.status == Status::Unavailable && !agent.once => {
                note(&format!("{}; trying again in {} s", failed.what, pause.as_secs()));
                let wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            }
            Err(failed) => return Err(failed),
        };
        tokio::time::sleep(wait).await;
    }
}

/// The token, renewed if it is time, and in netrc.
async fn refreshed(context: &Context, agent: &Agent, server: &Server) -> Result<BoundToken, Failed> {
    let origin = server.origin();
    let held = context.tokens().token(origin)?;
    let token = match held {
        Some(held) if !held.ends_within(agent.margin, now()) => held,
        _ if agent.ambient => {
            let token = by_identity(server, agent.audience.as_deref(), context).await?;
            context.tokens().put(&token)?;
            token
        }
        None => return Err(not_logged_in(origin)),
        Some(_) => context.renew(server, agent.margin).await?,
    };
    if token.ends_within(Duration::ZERO, now()) {
        return Err(Failed::new(
            Status::Unauthenticated,
            "expired",
            format!("the token for {origin} has expired, and nothing renews it"),
            "log in again",
        ));
    }
    write_netrc(context, agent.netrc_file.as_deref(), &token, Replace::Own)?;
    Ok(token)
}
