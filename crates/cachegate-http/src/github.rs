//! GitHub's webhooks, `POST /hooks/github`, as an axum router.
//!
//! ```
//! use cachegate_directory::Github;
//! use cachegate_http::github;
//! use cachegate_types::Timestamp;
//!
//! fn mounted(server: axum::Router, directory: Github, clock: fn() -> Timestamp) -> axum::Router {
//!     server.merge(github::router(directory, clock))
//! }
//! ```
//!
//! The signature over the very bytes is the only credential. What ended has ended before the answer; the rest is only
//! taken, and whoever runs [`Github::follow`](cachegate_directory::Github::follow) asks GitHub. The body of an answer,
//! which GitHub shows beside the delivery, says what came of it.
//!
//! | status | code |
//! | --- | --- |
//! | 200 | `pong`, `ended`, `repeated`, `last_owner` |
//! | 202 | `asks`, `ignored` |
//! | 400 | `delivery_malformed` |
//! | 401 | `delivery_unsigned`, `delivery_wrong_signature` |
//! | 403 | `delivery_other_organization` |
//! | 413 | `delivery_too_large` |
//! | 415 | `delivery_not_json` |
//! | 503 | `delivery_unavailable`: send it again |

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::routing::post;
use cachegate_directory::{Delivery, DeliveryError, Github, Received};
use cachegate_types::Timestamp;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// The route, to be merged into a server's own at its root. `clock` is wall time.
pub fn router<S>(github: Github, clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let receive = async move |request: Request| receive(&github, clock(), request).await;
    Router::new().route("/hooks/github", post(receive).fallback(async || only_post()))
}

async fn receive(github: &Github, now: Timestamp, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let one = |name: &str| one(&parts.headers, name);
    let media_type = one("content-type").unwrap_or_default();
    if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let detail = "set the webhook's content type to `application/json`";
        return told(StatusCode::UNSUPPORTED_MEDIA_TYPE, "delivery_not_json", detail);
    }
    let Ok(body) = to_bytes(body, Delivery::MAX_BODY).await else {
        let error = DeliveryError::TooLarge { length: Delivery::MAX_BODY + 1 };
        return refused(&error);
    };
    let delivery = Delivery {
        event: one("x-github-event"),
        id: one("x-github-delivery"),
        signature: one("x-hub-signature-256"),
        body: &body,
    };
    match github.receive(&delivery, now).await {
        Ok(received) => taken(received),
        Err(error) => refused(&error),
    }
}

/// A header that stands there once: of two, nobody knows which was meant.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    first.filter(|_| values.next().is_none())
}

fn taken(received: Received) -> Response<Body> {
    let (code, detail) = (received.code(), received.to_string());
    let status = match received {
        Received::Asks | Received::Ignored => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    told(status, code, &detail)
}

fn refused(error: &DeliveryError) -> Response<Body> {
    let status = match error {
        DeliveryError::Unsigned | DeliveryError::WrongSignature => StatusCode::UNAUTHORIZED,
        DeliveryError::OtherOrganization => StatusCode::FORBIDDEN,
        DeliveryError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        DeliveryError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    told(status, error.code(), &error.to_string())
}

fn told(status: StatusCode, code: &str, detail: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({ "code": code, "detail": detail }).to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn only_post() -> Response<Body> {
    let detail = "this endpoint takes POST";
    let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}
