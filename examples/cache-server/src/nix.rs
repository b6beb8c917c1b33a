//! Nix's HTTP binary cache, below `/nix`. A narinfo is resolved, NARs, listings and logs are read, and what is put is
//! written into the credential's own lane like any entry: `nix copy` puts the NAR first and its narinfo last.

use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use cachegate_http::{Outcome, Protocol, answer};
use cachegate_types::{Action, Resource};

use crate::calls::{Call, Terms, allow, find, is_bound_to_releases, permit, serve, write};
use crate::entries::Stored;
use crate::server::Server;

const NIX: Protocol = Protocol::Nix;

const INFO: &str = "nix-cache-info";

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/nix/nix-cache-info", get(info).put(store_info))
        .route("/nix/{*path}", get(fetch).put(store))
}

/// Asked first of all. Served without being stored, so that no client has to write it; refused to whom the cache is
/// closed, for Nix keeps later refusals on disk as answers, but not this one.
async fn info(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    if !is_bound_to_releases(&server, &call, NIX).await
        && let Err(mut refusal) = allow(&server, &call, NIX, Action::Resolve, Resource::Workspace).await
    {
        // After a 404 Nix would try to make a cache here; after this it shows the reason.
        if refusal.status() == StatusCode::NOT_FOUND {
            *refusal.status_mut() = StatusCode::FORBIDDEN;
        }
        return refusal;
    }
    let mut response = Response::new(Body::from("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"));
    set_type(&mut response, "text/x-nix-cache-info");
    response
}

/// Put by Nix 2.8 where it was refused the one that is there.
async fn store_info(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    match permit(&server, &call, NIX, Action::Write, INFO).await {
        Ok(_) => answer(NIX, Action::Write, &Outcome::Exists).into_response(),
        Err(refusal) => refusal,
    }
}

async fn fetch(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let path = call.part("path");
    let kind = Kind::of(path);
    let action = kind.map_or(Action::Read, Kind::action);
    let found = match permit(&server, &call, NIX, action, path).await {
        Ok(permit) => find(&server, &permit).await,
        Err(refusal) => return refusal,
    };
    let (Some(stored), Some(kind)) = (found, kind) else {
        return answer(NIX, action, &Outcome::Miss).into_response();
    };
    let mut response = match kind {
        Kind::Nar => serve_part(&call, stored),
        Kind::Narinfo | Kind::Realisation | Kind::Listing | Kind::Log => serve(stored),
    };
    set_type(&mut response, kind.media_type());
    response
}

async fn store(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    let path = call.part("path");
    let terms = match Kind::of(path) {
        Some(Kind::Listing | Kind::Log) => Terms { headers: &["content-encoding"], ..Terms::default() },
        Some(Kind::Nar | Kind::Narinfo | Kind::Realisation) => Terms::default(),
        None => Terms { refused: Some("this is no path of a Nix binary cache"), ..Terms::default() },
    };
    write(&server, &call, NIX, path, body, terms).await
}

/// What a path below `/nix` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Narinfo,
    Realisation,
    Nar,
    Listing,
    Log,
}

impl Kind {
    fn of(path: &str) -> Option<Self> {
        match path.split_once('/') {
            None if path.ends_with(".narinfo") => Some(Self::Narinfo),
            None if path.ends_with(".ls") => Some(Self::Listing),
            Some(("nar", _)) => Some(Self::Nar),
            Some(("log", _)) => Some(Self::Log),
            Some(("realisations", _)) => Some(Self::Realisation),
            Some(("debuginfo", _)) => Some(Self::Listing),
            _ => None,
        }
    }

    /// What looking at it is: names of files and what a build printed are content, a path's references are not.
    fn action(self) -> Action {
        match self {
            Self::Narinfo | Self::Realisation => Action::Resolve,
            Self::Nar | Self::Listing | Self::Log => Action::Read,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Narinfo => "text/x-nix-narinfo",
            Self::Nar => "application/x-nix-nar",
            Self::Realisation | Self::Listing => "application/json",
            Self::Log => "text/plain; charset=utf-8",
        }
    }
}

/// A NAR, or the one range of it that the request asks for (RFC 9110, section 14): how Nix goes on with a download that
/// was cut off. Any other range is ignored, as the standard allows.
fn serve_part(call: &Call, mut stored: Stored) -> Response<Body> {
    let whole = stored.length;
    let asked = call.header(header::RANGE).and_then(|range| range_in(range, whole));
    let range = asked.filter(|(from, _)| {
        i64::try_from(*from).is_ok_and(|from| stored.file.seek(SeekFrom::Current(from)).is_ok())
    });
    if let Some((from, to)) = range {
        stored.length = to - from + 1;
    }
    let mut response = serve(stored);
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some((from, to)) = range
        && let Ok(range) = HeaderValue::try_from(format!("bytes {from}-{to}/{whole}"))
    {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

/// The first and the last byte of `bytes=FIRST-` or `bytes=FIRST-LAST`.
fn range_in(range: &str, length: u64) -> Option<(u64, u64)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let last = length.checked_sub(1)?;
    let from = from.parse().ok().filter(|from| *from <= last)?;
    let to = if to.is_empty() { last } else { to.parse::<u64>().ok()?.min(last) };
    (from <= to).then_some((from, to))
}

pub(crate) fn set_type(response: &mut Response<Body>, media_type: &'static str) {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
}
