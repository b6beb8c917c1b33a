//! Turborepo: `/v8/artifacts`, as turbo 2.11 uses it.
//!
//! `?slug=` or `?teamId=` names the organization. That is a request, not a right: it only has to be true of the
//! workspace, which the path names or the token was made for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use cachegate_http::{Outcome, Protocol, answer};
use cachegate_types::{Action, Resource};
use serde::{Deserialize, Serialize};

use crate::calls::{Call, Terms, allow, find, kept_headers, permit, read, who, write};
use crate::server::{Server, now};

const TURBOREPO: Protocol = Protocol::Turborepo;

/// How long the task took, and the signature that the client made with a key of its own: given back as they came.
const DURATION: &str = "x-artifact-duration";
const TAG: &str = "x-artifact-tag";

/// The largest list of hashes or events that is read, in bytes.
const LIST: usize = 1024 * 1024;
/// The most hashes that one request may ask for: each is looked up.
const HASHES: usize = 512;

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/v8/artifacts", axum::routing::post(query).options(preflight))
        .route("/v8/artifacts/status", get(status).options(preflight))
        .route("/v8/artifacts/events", axum::routing::post(events).options(preflight))
        .route("/v2/user", get(user).options(preflight))
        .route("/v8/artifacts/{hash}", get(fetch).put(store).options(preflight))
}

/// The organization that is meant, as often as the query names one.
fn with_teams(mut call: Call) -> Call {
    let pairs = call.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    call.teams = pairs
        .filter(|(name, _)| matches!(*name, "slug" | "teamId"))
        .map(|(_, value)| value.to_owned())
        .collect();
    call
}

async fn fetch(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let call = with_teams(call);
    read(&server, &call, TURBOREPO, call.part("hash")).await
}

async fn store(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    let call = with_teams(call);
    let terms = Terms { headers: &[DURATION, TAG], ..Terms::default() };
    write(&server, &call, TURBOREPO, call.part("hash"), body, terms).await
}

/// Whether the cache is of any use to this token: asked by turbo at its start.
async fn status(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    match allow(&server, &with_teams(call), TURBOREPO, Action::Read, Resource::Workspace).await {
        Ok(_) => json(&BTreeMap::from([("status", "enabled")])),
        Err(refusal) => refusal,
    }
}

/// Who the token belongs to: asked by `turbo login` once it has one. turbo reads all four; there is one name here.
async fn user(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let who = match who(&server, &call, TURBOREPO, Action::Read).await {
        Ok((who, _)) => who,
        Err(refusal) => return refusal,
    };
    match server.gate().person(&who, now()).await {
        Ok(Some(person)) => {
            let (id, name) = (person.id.to_string(), person.display.to_string());
            let user = [("id", &id), ("username", &name), ("email", &name), ("name", &name)];
            json(&BTreeMap::from([("user", BTreeMap::from(user))]))
        }
        Ok(None) => {
            let mut response = unusable("no person is behind this: show a personal token");
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response
        }
        Err(_) => answer(TURBOREPO, Action::Read, &Outcome::Failed).into_response(),
    }
}

/// Hits and misses, as turbo counts them; they are nothing to the server.
async fn events(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    match allow(&server, &with_teams(call), TURBOREPO, Action::Read, Resource::Workspace).await {
        Ok(_) => match to_bytes(body, LIST).await {
            Ok(_) => json(&BTreeMap::<&str, &str>::new()),
            Err(_) => unusable("the list of events is too long"),
        },
        Err(refusal) => refusal,
    }
}

#[derive(Deserialize)]
struct Hashes {
    hashes: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    size: u64,
    task_duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

/// Which of these artifacts are there: asked by `turbo run --dry`.
async fn query(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    let call = with_teams(call);
    if let Err(refusal) = allow(&server, &call, TURBOREPO, Action::Read, Resource::Workspace).await {
        return refusal;
    }
    let body = to_bytes(body, LIST).await.unwrap_or_default();
    let asked = match serde_json::from_slice::<Hashes>(&body) {
        Ok(asked) if asked.hashes.len() <= HASHES => asked.hashes,
        Ok(_) => return unusable("more hashes than one request may ask for"),
        Err(_) => return unusable("expected {\"hashes\": [...]}"),
    };
    let mut found = BTreeMap::new();
    for hash in asked {
        let stored = match permit(&server, &call, TURBOREPO, Action::Read, &hash).await {
            Ok(permit) => find(&server, &permit).await,
            Err(refusal) => return refusal,
        };
        let artifact = stored.map(|stored| {
            let kept = |wanted: &str| {
                let value = kept_headers(&stored.beside).find(|(name, _)| name == wanted)?.1;
                value.to_str().ok().map(ToOwned::to_owned)
            };
            let task_duration_ms = kept(DURATION).and_then(|text| text.parse().ok()).unwrap_or_default();
            Artifact { size: stored.length, task_duration_ms, tag: kept(TAG) }
        });
        found.insert(hash, artifact);
    }
    json(&found)
}

/// `TURBO_PREFLIGHT`: turbo asks first which headers it may send.
async fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, Content-Type, User-Agent, x-artifact-duration, x-artifact-tag, x-artifact-sha, \
             x-artifact-dirty-hash, x-artifact-client-ci, x-artifact-client-interactive",
        ),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, PUT, POST, OPTIONS"),
    );
    response
}

fn unusable(why: &'static str) -> Response<Body> {
    answer(TURBOREPO, Action::Read, &Outcome::Unusable { why }).into_response()
}

fn json(value: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    match serde_json::to_string(value) {
        Ok(text) => *response.body_mut() = Body::from(text),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
