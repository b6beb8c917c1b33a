//! `logout`, `status`, `whoami`.

use cachegate_client::TokenStore;
use cachegate_types::Timestamp;
use serde::Serialize;

use crate::cli::Logout;
use crate::context::{Context, now};
use crate::failure::{Failed, Status, causes};
use crate::show::{GREEN, RED, YELLOW, from_now, harmless, moment, note, pairs, print, print_json, styled};

pub(super) async fn whoami(context: &Context) -> Result<(), Failed> {
    let who = context.server().await?.whoami().await?;
    if context.global.json {
        return print_json(&who);
    }
    let mut lines = Vec::new();
    if let Some(person) = &who.person {
        lines.push(("person", harmless(&person.display)));
    }
    lines.push(("principal", harmless(&who.principal.to_string())));
    if let (Some(id), Some(kind)) = (who.token, &who.kind) {
        lines.push(("token", format!("{} {id}", harmless(kind))));
    }
    lines.push(("expires", who.expires_at.map_or_else(|| "never".to_owned(), until)));
    for organization in &who.organizations {
        let role = organization.role.as_deref().unwrap_or("no role");
        lines.push(("organization", format!("{} ({})", harmless(&organization.name), harmless(role))));
    }
    print(&pairs(&lines))
}

pub(super) fn status(context: &Context) -> Result<(), Failed> {
    #[derive(Serialize)]
    struct Held {
        server: String,
        expires_at: Option<Timestamp>,
        expired: bool,
        renewable: bool,
        netrc: bool,
    }
    let tokens = context.tokens();
    let origins = match &context.global.server {
        Some(origin) => vec![origin.clone()],
        None => tokens.origins()?,
    };
    let netrc = context.netrc(None)?;
    let mut found = Vec::new();
    for origin in origins {
        let Some(token) = tokens.token(&origin)? else { continue };
        let text = token.token_for(&origin);
        // What does not parse is told by `netrc doctor`.
        let login = netrc.login(origin.host().as_str()).ok().flatten();
        found.push(Held {
            server: origin.to_string(),
            expires_at: token.expires_at(),
            expired: token.expires_at().is_some_and(|at| at <= now()),
            renewable: token.refresh_for(&origin).is_some(),
            netrc: login
                .zip(text)
                .is_some_and(|(login, text)| login.password().expose_secret() == text.expose_secret()),
        });
    }
    if context.global.json {
        print_json(&found)?;
    } else {
        for held in &found {
            let state = match (held.expired, held.renewable) {
                (false, _) => styled(GREEN, "logged in"),
                (true, true) => styled(YELLOW, "logged in; to be renewed"),
                (true, false) => styled(RED, "expired: log in again"),
            };
            let netrc =
                if held.netrc { format!("in {}", netrc.path().display()) } else { "not there".to_owned() };
            print(&pairs(&[
                ("server", held.server.clone()),
                ("state", state),
                ("expires", held.expires_at.map_or_else(|| "not before it is revoked".to_owned(), until)),
                ("netrc", netrc),
            ]))?;
        }
    }
    match found.iter().all(|held| held.expired && !held.renewable) {
        false => Ok(()),
        true if found.is_empty() => Err(Failed::new(
            Status::Unauthenticated,
            "not_logged_in",
            "you are not logged in",
            "run `gatectl login --server URL`",
        )),
        true => Err(Failed::new(Status::Unauthenticated, "expired", "", "")),
    }
}

pub(super) async fn logout(context: &Context, logout: &Logout) -> Result<(), Failed> {
    let origin = context.origin()?;
    let tokens = context.tokens();
    let held = tokens.token(&origin)?;
    let forgotten = tokens.remove(&origin)?;
    if !logout.netrc.no_netrc {
        let netrc = context.netrc(logout.netrc.netrc_file.as_deref())?;
        if netrc.remove(origin.host())?.changed {
            note(&format!("took the entry for {} out of {}", origin.host(), netrc.path().display()));
        }
    }
    if !forgotten {
        note(&format!("you were not logged in to {origin}"));
        return Ok(());
    }
    // Forgotten first: a server that cannot be reached must not keep a token on this machine.
    let mut ended = false;
    if let Some(held) = held.filter(|held| held.refresh_for(&origin).is_some()) {
        match context.anonymous(&origin)?.end_session(&held).await {
            Ok(()) => ended = true,
            Err(error) => note(&format!(
                "the server was not told ({}): the session counts there until it expires",
                causes(&error)
            )),
        }
    }
    if context.global.json {
        return print_json(&serde_json::json!({ "server": origin.as_str(), "session_ended": ended }));
    }
    print(&format!("logged out of {origin}\n"))?;
    if !ended {
        note("the token itself still counts: revoke it with `gatectl auth token` if others may have it");
    }
    Ok(())
}

/// Until when, and how far that is.
pub(super) fn until(at: Timestamp) -> String {
    format!("{} UTC ({})", moment(at), from_now(at, now()))
}
