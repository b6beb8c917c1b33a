//! `login`: by device authorization, by a token that somebody has, or by the identity of a job.

use std::path::Path;
use std::time::{Duration, Instant};

use cachegate_client::{
    BoundToken, DeviceLogin, DevicePoll, Origin, Replace, Server, TokenStore, ambient_token,
};
use cachegate_types::{SecretText, Timestamp};

use super::session::until;
use crate::cli::{Login, NetrcPlace};
use crate::context::{Context, environment, now, read_token, surroundings, token_of};
use crate::failure::{Failed, Status};
use crate::nix_conf::NixChange;
use crate::show::{BOLD, harmless, note, print, print_json, spinner, styled};

pub(super) async fn login(context: &Context, login: &Login) -> Result<(), Failed> {
    let origin = context.origin().map_err(|error| match error.status {
        Status::Unauthenticated => {
            Failed::usage("login needs to know where", "name the server with `--server URL`")
        }
        _ => error,
    })?;
    let server = context.anonymous(&origin)?;
    let token = if login.ambient {
        by_identity(&server, login.audience.as_deref(), context).await?
    } else if let Some(path) = &context.global.token_file {
        given(&server, read_token(path)?).await?
    } else if login.paste {
        given(&server, pasted()?).await?
    } else {
        by_device(&server).await?
    };
    context.tokens().put(&token)?;
    let places = if login.netrc.no_netrc {
        Vec::new()
    } else {
        let replace = if login.replace { Replace::Any } else { Replace::Own };
        let told = tell_tools(context, &login.netrc, &token, replace);
        told.map_err(|error| Failed {
            what: format!("you are logged in, but Nix, git and curl were not told: {}", error.what),
            ..error
        })?
    };
    if context.global.json {
        return print_json(&serde_json::json!({
            "server": origin.as_str(),
            "expires_at": token.expires_at(),
            "renewable": token.refresh_for(&origin).is_some(),
            "written": places,
        }));
    }
    let ends = token
        .expires_at()
        .map_or_else(|| "until the token is revoked".to_owned(), |at| format!("until {}", until(at)));
    print(&format!("logged in to {origin}, {ends}\n"))?;
    for place in places {
        print(&format!("wrote {place}\n"))?;
    }
    if token.refresh_for(&origin).is_some() && !login.netrc.no_netrc {
        note("run `gatectl agent` beside longer builds: it renews what Nix reads from netrc");
    }
    Ok(())
}

/// Writes the token where Nix, git and curl look, and says which files changed.
fn tell_tools(
    context: &Context,
    place: &NetrcPlace,
    token: &BoundToken,
    replace: Replace,
) -> Result<Vec<String>, Failed> {
    let netrc = context.netrc(place.netrc_file.as_deref())?;
    let mut written = Vec::new();
    if write_netrc(context, place.netrc_file.as_deref(), token, replace)? {
        written.push(netrc.path().display().to_string());
    }
    let conf = context.nix_conf();
    if conf.set_netrc_file(netrc.path())? == NixChange::Written {
        written.push(conf.path().display().to_string());
    }
    Ok(written)
}

/// Writes the token into netrc, and says whether that changed anything.
pub(super) fn write_netrc(
    context: &Context,
    named: Option<&Path>,
    token: &BoundToken,
    replace: Replace,
) -> Result<bool, Failed> {
    let netrc = context.netrc(named)?;
    let Some(text) = token.token_for(token.origin()) else { return Ok(false) };
    let change = netrc.set(token.origin().host(), text, replace)?;
    for finding in &change.findings {
        note(&format!("{}: {finding}", netrc.path().display()));
    }
    Ok(change.changed)
}

/// A token that somebody has already. The server says whether it counts, before anything is written.
async fn given(server: &Server, text: SecretText) -> Result<BoundToken, Failed> {
    let token = BoundToken::new(server.origin().clone(), text);
    let waiting = spinner("asking the server who this is");
    let who = server.clone().with_token(token.clone())?.whoami().await;
    waiting.finish_and_clear();
    Ok(match who?.expires_at {
        Some(at) => token.with_expiry(at),
        None => token,
    })
}

fn pasted() -> Result<SecretText, Failed> {
    let text = rpassword::prompt_password("token (not shown): ").map_err(|error| {
        Failed::usage(
            format!("nothing can be pasted here: {error}"),
            "use `--token-file FILE`, or `-` for standard input",
        )
    })?;
    token_of(&SecretText::new(text), "what was pasted")
}

/// The identity of this job or machine, exchanged.
pub(super) async fn by_identity(
    server: &Server,
    audience: Option<&str>,
    context: &Context,
) -> Result<BoundToken, Failed> {
    let fetch = context.fetch(server.origin())?;
    let environment = environment();
    let audience = audience.unwrap_or(server.origin().as_str());
    let identity = ambient_token(audience, &surroundings(&environment, &*fetch)).await?;
    let identity = identity.ok_or_else(not_here)?;
    Ok(server.exchange(&identity, now()).await?)
}

/// No platform is here.
pub(super) fn not_here() -> Failed {
    Failed::new(
        Status::Refused,
        "no_ambient_identity",
        "this is neither a CI job nor a cloud machine that gatectl knows",
        "run it there, or use `gatectl login`",
    )
}

/// RFC 8628: somebody confirms it in a browser, on this machine or another.
async fn by_device(server: &Server) -> Result<BoundToken, Failed> {
    let mut login = server.start_device_login(&client()).await.map_err(|error| {
        let offered = !matches!(error.code(), "not_a_cachegate_answer" | "not_found");
        let failed = Failed::from(error);
        if offered {
            return failed;
        }
        Failed { advice: "use `--paste` or `--token-file FILE`; or check the address".to_owned(), ..failed }
    })?;
    let begun = Instant::now();
    announce(server.origin(), &login, now());
    let waiting = spinner("waiting for you to confirm it there");
    let done = loop {
        if begun.elapsed() >= login.life() {
            break Err(Failed::new(
                Status::Unauthenticated,
                "expired_token",
                "nobody confirmed the code in time",
                "log in again",
            ));
        }
        tokio::time::sleep(login.interval().min(login.life())).await;
        match server.poll_device_login(&mut login, now()).await {
            Ok(DevicePoll::Done(token)) => break Ok(token),
            Ok(DevicePoll::Pending | DevicePoll::SlowDown) => {}
            // RFC 8628, section 3.5: a connection that breaks is tried again, as long as the code counts.
            Err(error) if matches!(error.failure(), cachegate_client::Failure::Unavailable) => {
                waiting.set_message("the server does not answer; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => break Err(error.into()),
        }
    };
    waiting.finish_and_clear();
    done
}

/// What whoever confirms the login is shown.
fn client() -> String {
    let named = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let host = named.or_else(|| std::fs::read_to_string("/etc/hostname").ok()).unwrap_or_default();
    let host: String = host.chars().filter(|letter| letter.is_ascii_graphic()).take(64).collect();
    if host.is_empty() { "gatectl".to_owned() } else { format!("gatectl on {host}") }
}

fn announce(origin: &Origin, login: &DeviceLogin, now: Timestamp) {
    let place = login.verification_uri_complete().unwrap_or(login.verification_uri());
    note(&format!("To log in to {origin}, open"));
    note(&format!("    {}", styled(BOLD, &harmless(place))));
    note(&format!("and confirm the code {}", styled(BOLD, &harmless(login.user_code()))));
    note(&format!("It counts until {}.", until(now.saturating_add(login.life()))));
}
