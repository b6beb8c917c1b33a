//! SCIM 2.0, `/scim/v2/{directory}/...`, as an axum router over the directories that the operator connected.
//!
//! ```
//! use cachegate::Gate;
//! use cachegate_directory::Scim;
//! use cachegate_http::scim;
//! use cachegate_types::Timestamp;
//!
//! fn mounted(
//!     server: axum::Router,
//!     gate: Gate,
//!     okta: Scim,
//!     clock: fn() -> Timestamp,
//! ) -> axum::Router {
//!     server.merge(scim::router(gate, clock, vec![okta], |departure| {
//!         println!("{} has left", departure.person.display);
//!     }))
//! }
//! ```
//!
//! Without a directory nothing is mounted. A directory that is unknown and one that the credential is not for are the
//! same 404.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::routing::any;
use cachegate::{AuthenticateError, Departure, Gate};
use cachegate_directory::{LONGEST_SCIM_BODY, Scim, ScimAnswer, ScimRequest};
use cachegate_types::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{credential_from_headers, refuse_credential_in_url};

/// Where directories are mounted.
const PREFIX: &str = "/scim/v2/";

/// The routes below `/scim/v2`, to be merged into a server's own. `clock` is wall time; `departed` is told of everyone
/// who left.
pub fn router<S>(
    gate: Gate,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    directories: Vec<Scim>,
    departed: impl Fn(&Departure) + Send + Sync + 'static,
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    if directories.is_empty() {
        return Router::new();
    }
    let by_name = |scim: Scim| (scim.directory().name.as_str().to_owned(), scim);
    let mounted = Arc::new(Mounted {
        gate,
        clock: Box::new(clock),
        directories: directories.into_iter().map(by_name).collect(),
        departed: Box::new(departed),
    });
    let handler = move |request: Request| serve(Arc::clone(&mounted), request);
    Router::new().route("/scim/v2/{*path}", any(handler))
}

struct Mounted {
    gate: Gate,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    directories: BTreeMap<String, Scim>,
    departed: Box<dyn Fn(&Departure) + Send + Sync>,
}

async fn serve(mounted: Arc<Mounted>, request: Request) -> Response<Body> {
    let answer = match call(&mounted, request).await {
        Ok(answer) => answer,
        Err((status, detail)) => ScimAnswer::refused(status, &detail),
    };
    answer.departures.iter().for_each(|departure| (mounted.departed)(departure));
    written(answer)
}

/// A refusal before the directory was asked: its status, and why.
type Refused = (u16, String);

/// Reads the request, in the order in which a stranger learns least.
async fn call(mounted: &Mounted, request: Request) -> Result<ScimAnswer, Refused> {
    let now = (mounted.clock)();
    let (parts, body) = request.into_parts();
    let brand = mounted.gate.brand();
    refuse_credential_in_url(&parts.uri, brand).map_err(|error| (401, error.to_string()))?;
    let who = {
        let credential =
            credential_from_headers(&parts.headers, brand).map_err(|_| (401, "no such token".to_owned()))?;
        let credential = credential.ok_or_else(|| (401, "a bearer token is needed".to_owned()))?;
        match mounted.gate.authenticate(Some(&credential), now).await {
            Ok(who) => who,
            Err(AuthenticateError::NotAuthenticated(reason)) => return Err((401, reason.to_string())),
            Err(AuthenticateError::Unavailable(_)) => {
                return Err((503, "this cannot be done at present; try again".to_owned()));
            }
        }
    };
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let scim = mounted.directories.get(name).ok_or_else(|| (404, "no such resource".to_owned()))?;
    let too_large = |_| (413, format!("the body is longer than {LONGEST_SCIM_BODY} bytes"));
    let body = to_bytes(body, LONGEST_SCIM_BODY).await.map_err(too_large)?;
    let request = ScimRequest {
        method: parts.method.as_str(),
        path: rest,
        query: parts.uri.query().unwrap_or_default(),
        if_match: text(&parts.headers, &header::IF_MATCH)?,
        if_none_match: text(&parts.headers, &header::IF_NONE_MATCH)?,
        body: &body,
    };
    Ok(scim.answer(&who, &request, now).await)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Refused> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| (400, format!("`{name}` is no text")))
}

fn written(answer: ScimAnswer) -> Response<Body> {
    let ScimAnswer { status, body, etag, location, .. } = answer;
    let has_body = body.is_some();
    let mut response = Response::new(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    }
    for (name, value) in [(header::ETAG, etag), (header::LOCATION, location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    if status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cachegate\""));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
