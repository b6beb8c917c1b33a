//! The management API, `/api/v1`, as an axum router: tokens, organizations, workspaces, members, groups, releases,
//! locks, distrust, the audit, and why something is or is not allowed.
//!
//! ```
//! use std::time::{SystemTime, UNIX_EPOCH};
//!
//! use cachegate::Gate;
//! use cachegate_http::api;
//! use cachegate_types::Timestamp;
//!
//! fn mounted(server: axum::Router, gate: Gate) -> axum::Router {
//!     let clock = || {
//!         let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
//!         Timestamp::from_unix_seconds(seconds.try_into().unwrap_or(0)).unwrap_or(Timestamp::MIN)
//!     };
//!     server.merge(api::router(gate, clock))
//! }
//! ```
//!
//! Every operation asks the kernel in the name of whoever presents the credential; the router decides nothing. What is
//! unknown and what is not granted are the same 404. Refusals are problem details (RFC 9457) with a stable `code`.
//! Bodies are read strictly: a member that is unknown is an error. A list is given in pages of at most 100. A creation
//! with an `Idempotency-Key` is done once however often it is sent; a token's plain form is in the first answer alone.
//! A workspace's settings and list are changed under the `ETag` that its administrator saw, with `If-Match`.
//! [`OPENAPI`] describes all of it.

mod call;
mod guards;
mod people;
mod places;
mod problem;
mod releases;
mod shape;
mod tokens;
mod told;
mod trust;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::routing::{MethodFilter, on};
use cachegate::{AuthenticateError, Gate};
use cachegate_types::Timestamp;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::{credential_from_headers, refuse_credential_in_url};
use call::{Call, Query};
use problem::Problem;

/// The description of the API (OpenAPI 3.1), as JSON. `GET /api/v1/openapi.json` serves it.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Where the API is mounted.
const PREFIX: &str = "/api/v1";

/// The longest body that is read, in bytes: a group of a thousand people fits.
const LONGEST_BODY: usize = 64 * 1024;

/// The longest key of a request that may be sent twice, in bytes.
const LONGEST_KEY: usize = 128;

/// The routes below `/api/v1`, to be merged into a server's own. `clock` is wall time.
pub fn router<S>(gate: Gate, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let api = Arc::new(Api { gate, clock: Box::new(clock) });
    let mut router = Router::new();
    for operation in operations() {
        let api = Arc::clone(&api);
        let handler = move |request: Request| serve(api, operation, request);
        router = router.route(operation.path, on(operation.method, handler));
    }
    let router = router
        .route("/openapi.json", axum::routing::get(async || answer(StatusCode::OK, JSON, OPENAPI.to_owned())))
        .fallback(async || Problem::NOT_FOUND.into_response())
        .method_not_allowed_fallback(async || Problem::METHOD.into_response());
    // Nesting leaves the bare prefix with a slash to the server.
    Router::new()
        .nest(PREFIX, router)
        .route("/api/v1/", axum::routing::any(async || Problem::NOT_FOUND.into_response()))
}

struct Api {
    gate: Gate,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// What an operation answers.
struct Answer {
    status: StatusCode,
    body: Option<Value>,
    etag: Option<HeaderValue>,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body), etag: None }
    }

    fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body: Some(body), etag: None }
    }

    fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, etag: None }
    }

    /// The same with what tells this state of the thing from another.
    fn tagged(self, etag: Option<HeaderValue>) -> Self {
        Self { etag, ..self }
    }
}

type Answered = Result<Answer, Problem>;

/// One operation.
#[derive(Clone, Copy)]
struct Operation {
    method: MethodFilter,
    /// The method's name, for the description.
    #[cfg(test)]
    verb: &'static str,
    path: &'static str,
    /// The parameters that its query may have.
    query: &'static [&'static str],
    /// Whether it reads a body.
    body: bool,
    run: fn(Call) -> Pin<Box<dyn Future<Output = Answered> + Send>>,
}

macro_rules! operations {
    ($($method:ident $path:literal ($($query:literal)*) $body:literal => $run:path;)*) => {
        /// Every operation.
        fn operations() -> impl Iterator<Item = Operation> {
            [$(Operation {
                method: MethodFilter::$method,
                #[cfg(test)]
                verb: stringify!($method),
                path: $path,
                query: &[$($query),*],
                body: $body,
                run: |call| Box::pin($run(call)),
            }),*].into_iter()
        }
    };
}

operations! {
    GET "/whoami" () false => told::whoami;
    GET "/tokens" ("organization" "workspace" "kind" "state" "limit" "cursor") false => tokens::list;
    POST "/tokens" () true => tokens::create;
    GET "/tokens/{token}" () false => tokens::inspect;
    GET "/tokens/{token}/rights" ("workspace") false => tokens::rights;
    POST "/tokens/{token}/rotate" () true => tokens::rotate;
    POST "/tokens/{token}/revoke" () true => tokens::revoke;
    GET "/organizations" ("limit" "cursor") false => places::organizations;
    GET "/organizations/{organization}" () false => places::organization;
    GET "/organizations/{organization}/longest-lives" () false => tokens::longest_lives;
    PUT "/organizations/{organization}/longest-lives" () true => tokens::set_longest_lives;
    POST "/organizations/{organization}/revoke-tokens" () true => tokens::revoke_organization;
    GET "/organizations/{organization}/workspaces" ("limit" "cursor") false => places::workspaces;
    POST "/organizations/{organization}/workspaces" () true => places::create_workspace;
    GET "/organizations/{organization}/members" ("limit" "cursor") false => people::members;
    GET "/organizations/{organization}/members/{user}" () false => people::member;
    PUT "/organizations/{organization}/members/{user}" () true => people::set_member;
    DELETE "/organizations/{organization}/members/{user}" () false => people::remove_member;
    GET "/organizations/{organization}/members/{user}/departure" () false => people::departure;
    GET "/organizations/{organization}/groups" ("limit" "cursor") false => people::groups;
    POST "/organizations/{organization}/groups" () true => people::create_group;
    PUT "/organizations/{organization}/groups/{group}" () true => people::set_group;
    DELETE "/organizations/{organization}/groups/{group}" () false => people::remove_group;
    GET "/organizations/{organization}/trust-rules" () false => trust::inspect;
    PUT "/organizations/{organization}/trust-rules" () true => trust::save;
    POST "/organizations/{organization}/trust-rules/lint" () true => trust::lint;
    POST "/organizations/{organization}/trust-rules/try" () true => trust::attempt;
    GET "/organizations/{organization}/audit"
        ("code" "user" "target" "since" "until" "order" "limit" "cursor") false => told::audit;
    GET "/workspaces/{workspace}" () false => places::workspace;
    PUT "/workspaces/{workspace}/settings" () true => places::set_settings;
    PUT "/workspaces/{workspace}/listed" () true => places::set_listed;
    POST "/workspaces/{workspace}/revoke-tokens" () true => tokens::revoke_workspace;
    GET "/workspaces/{workspace}/access" ("action" "limit" "cursor") false => told::access;
    GET "/workspaces/{workspace}/releases" ("limit" "cursor") false => releases::releases;
    POST "/workspaces/{workspace}/releases/{version}/yank" () false => releases::yank;
    POST "/workspaces/{workspace}/resolve" () true => releases::resolve;
    GET "/locks" ("limit" "cursor") false => guards::locks;
    POST "/locks" () true => guards::lock;
    DELETE "/locks/{lock}" () false => guards::lift_lock;
    GET "/distrust" ("limit" "cursor") false => guards::marks;
    POST "/distrust" () true => guards::distrust;
    DELETE "/distrust/{mark}" () false => guards::trust_again;
    POST "/explain" () true => told::explain;
    GET "/decisions/{decision}" () false => told::decision;
}

const JSON: &str = "application/json";

async fn serve(api: Arc<Api>, operation: Operation, request: Request) -> Response<Body> {
    match call(&api, operation, request).await {
        Ok(Answer { status, body, etag }) => {
            let mut response = match body {
                Some(body) => answer(status, JSON, body.to_string()),
                None => answer(status, "", String::new()),
            };
            if let Some(etag) = etag {
                response.headers_mut().insert(header::ETAG, etag);
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Reads the request, in the order in which a stranger learns least, and runs the operation.
async fn call(api: &Arc<Api>, operation: Operation, request: Request) -> Answered {
    let now = (api.clock)();
    let (mut parts, body) = request.into_parts();
    let brand = api.gate.brand();
    refuse_credential_in_url(&parts.uri, brand).map_err(|error| Problem::credential(&error))?;
    let who = {
        let credential =
            credential_from_headers(&parts.headers, brand).map_err(|error| Problem::credential(&error))?;
        let credential = credential.ok_or(Problem::NO_CREDENTIAL)?;
        match api.gate.authenticate(Some(&credential), now).await {
            Ok(who) => who,
            Err(AuthenticateError::NotAuthenticated(reason)) => {
                return Err(Problem::not_authenticated(&reason));
            }
            Err(AuthenticateError::Unavailable(reason)) => return Err(Problem::unavailable(&reason)),
        }
    };
    let query = Query::read(parts.uri.query().unwrap_or_default(), operation.query)?;
    let key = idempotency_key(&parts.headers)?;
    let if_match = parts.headers.get_all(header::IF_MATCH).iter().cloned().collect();
    // What is no text is the name of nothing.
    let path = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::NOT_FOUND)?;
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let limit = if operation.body { LONGEST_BODY } else { 0 };
    let body = to_bytes(body, limit)
        .await
        .map_err(|_| if operation.body { Problem::TOO_LARGE } else { Problem::BODY_UNWANTED })?;
    if operation.body && !is_json(&parts.headers) {
        return Err(Problem::MEDIA_TYPE);
    }
    (operation.run)(Call { api: Arc::clone(api), now, who, path, query, body, key, if_match }).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| Problem::BAD_KEY)?;
            let good =
                (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            if good { Ok(Some(text.to_owned())) } else { Err(Problem::BAD_KEY) }
        }
        (Some(_), Some(_)) => Err(Problem::BAD_KEY),
    }
}

fn answer(status: StatusCode, media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !media_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Each operation with the parameters of its query and whether it takes a body.
    type Described = BTreeMap<(String, String), (Vec<String>, bool)>;

    fn documented() -> Described {
        let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
        let mut all = Described::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                let query = query.map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
                let body = operation.get("requestBody").is_some();
                all.insert((method.to_uppercase(), path.clone()), (query, body));
            }
        }
        all
    }

    #[test]
    fn every_route_is_documented_and_every_documented_route_exists() {
        let mut real = Described::new();
        for operation in operations() {
            let query = operation.query.iter().map(|name| (*name).to_owned()).collect();
            let key = (operation.verb.to_owned(), operation.path.to_owned());
            assert!(real.insert(key, (query, operation.body)).is_none(), "{} twice", operation.path);
        }
        real.insert(("GET".to_owned(), "/openapi.json".to_owned()), (Vec::new(), false));
        assert_eq!(documented(), real);
    }

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let ids: Vec<_> = paths
            .values()
            .flat_map(|methods| methods.as_object().expect("methods").values())
            .map(|operation| operation["operationId"].as_str().expect("an id"))
            .collect();
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[index + 1..].contains(id), "{id}");
        }
    }
}
