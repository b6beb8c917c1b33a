//! The OAuth endpoints, as an axum router: what other software already speaks.
//!
//! ```
//! use cachegate::Gate;
//! use cachegate_http::oauth::{self, Settings, SettingsError};
//! use cachegate_types::Timestamp;
//!
//! fn mounted(server: axum::Router, gate: Gate, clock: fn() -> Timestamp) -> Result<axum::Router, SettingsError> {
//!     Ok(server.merge(oauth::router(gate, clock, Settings::default())?))
//! }
//! ```
//!
//! | path | what |
//! | --- | --- |
//! | `POST /oauth/token` | token exchange (RFC 8693), JWT bearer (RFC 7523), device code (RFC 8628), refresh |
//! | `POST /oauth/device_authorization` | a terminal begins to wait (RFC 8628) |
//! | `POST /oauth/revoke` | whoever holds a token ends it (RFC 7009) |
//! | `POST /oauth/introspect` | what is this token? (RFC 7662) |
//! | `GET /.well-known/oauth-authorization-server` | the metadata (RFC 8414) |
//! | `GET /.well-known/openid-configuration` | the same, as OpenID Connect names it |
//! | `GET /.well-known/jwks.json` | the keys that verify the gate's JWTs (RFC 7517) |
//! | `/activate` | the page where a person approves a waiting terminal |
//! | `POST /hooks/secret-scanning` | leak reports that revoke, signed as GitHub signs them |
//!
//! The gate's issuer is the URL at which all of this is reached.
//!
//! **Clients are public**: a `client_id` is a name that is shown to people and believed of nobody, as every grant here
//! carries its own proof. A [`Service`] alone has a secret: it may introspect, and may send the secret elsewhere too.
//!
//! **Parameters narrow.** `scope` (names of actions) and `authorization_details` (RFC 9396) are added to what cuts the
//! token already. `audience` and `resource` name this gate or one service that it makes sessions for; such a session is
//! a plain JWT, without the brand's prefix, that counts at that service alone. A JWT for the gate is verified by its key
//! set once the prefix is taken off.
//!
//! Each parameter stands at most once. Refusals are RFC 6749's, with a `code` where the standard's word says less than
//! there is to say; none repeats what the request said.

mod activate;
mod client;
mod device;
pub(crate) mod failure;
pub(crate) mod form;
mod leaks;
pub(crate) mod limits;
mod metadata;
pub(crate) mod token;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use cachegate::Gate;
use cachegate_types::Timestamp;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

pub use client::Service;
use failure::Failure;
use form::Form;
pub use leaks::{ReporterKey, ReporterKeyError};
use limits::{Budget, Guesses};

use crate::browser::Sessions;

/// How long others may keep the keys and the metadata: half of what a key is published before it signs.
const KEEP: &str = "public, max-age=300";

/// Whom the endpoints serve beside everybody.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Services that may introspect.
    pub services: Vec<Service>,
    /// Keys of those who report tokens that they found in public.
    pub reporters: Vec<ReporterKey>,
    /// Whether people sign in at `/login` here, so that the page that approves a login may send them there.
    pub sign_in: bool,
    /// The path where people see their logins and end them, such as the console's `/account`: the page that approves a
    /// login leads there.
    pub account: Option<&'static str>,
}

/// Why there are no endpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The gate's issuer is no URL at which these endpoints could be reached.
    #[error("the gate's issuer `{issuer}` is no origin such as `https://cache.example.com`")]
    Issuer {
        /// The issuer.
        issuer: String,
    },
    /// Two services have one name, or one has none.
    #[error("`{name}` is the name of two services, or no name of one")]
    ServiceName {
        /// The name.
        name: String,
    },
    /// A service is for an audience that the gate makes no tokens for.
    #[error("the gate makes no tokens for `{audience}`, the audience of the service `{name}`")]
    Audience {
        /// The service's name.
        name: String,
        /// Its audience.
        audience: String,
    },
}

/// What the handlers share.
pub(crate) struct App {
    gate: Gate,
    sessions: Sessions,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    settings: Settings,
    /// Terminals that begin to wait: anybody may.
    logins: Budget,
    /// Codes of terminals that people named wrongly.
    guesses: Guesses,
}

/// How many terminals begin to wait at once, and how long it takes until one more may: each waits in the store.
const LOGINS: (u32, Duration) = (300, Duration::from_secs(1));

/// The routes, to be merged into a server's own at its root. `clock` is wall time.
///
/// # Errors
///
/// [`SettingsError`].
pub fn router<S>(
    gate: Gate,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    settings: Settings,
) -> Result<Router<S>, SettingsError>
where
    S: Clone + Send + Sync + 'static,
{
    check(&gate, &settings)?;
    let app = Arc::new(App {
        sessions: Sessions::new(gate.clone()),
        gate,
        clock: Box::new(clock),
        settings,
        logins: Budget::new(LOGINS.0, LOGINS.1),
        guesses: Guesses::new(activate::GUESSES.0, activate::GUESSES.1),
    });
    let mut router = Router::new();
    for (path, document) in [
        ("/.well-known/oauth-authorization-server", metadata::authorization_server(app.gate.issuer())),
        ("/.well-known/openid-configuration", metadata::openid(app.gate.issuer())),
    ] {
        let serve = async move || kept("application/json", document.to_string());
        router = router.route(path, get(serve).fallback(async || only("GET, HEAD")));
    }
    let keys = Arc::clone(&app);
    let keys = async move || match keys.gate.key_set((keys.clock)()).await {
        Ok(keys) => kept("application/jwk-set+json", keys),
        Err(reason) => Failure::unavailable(&reason).into_response(),
    };
    router = router.route("/.well-known/jwks.json", get(keys).fallback(async || only("GET, HEAD")));
    for (path, endpoint) in [
        ("/oauth/token", Endpoint::Token),
        ("/oauth/device_authorization", Endpoint::Device),
        ("/oauth/revoke", Endpoint::Revoke),
        ("/oauth/introspect", Endpoint::Introspect),
        ("/hooks/secret-scanning", Endpoint::Leaks),
    ] {
        let app = Arc::clone(&app);
        let serve = async move |request: Request| match serve(&app, endpoint, request).await {
            Ok(response) => response,
            Err(failure) => failure.into_response(),
        };
        router = router.route(path, post(serve).fallback(async || only("POST")));
    }
    let (page, decide) = (Arc::clone(&app), app);
    let page = async move |request: Parts| activate::page(&page, request).await;
    let decide = async move |request: Request| activate::decide(&decide, request).await;
    Ok(router.route("/activate", get(page).post(decide).fallback(async || only("GET, HEAD, POST"))))
}

/// The endpoints that are sent something.
#[derive(Clone, Copy)]
enum Endpoint {
    Token,
    Device,
    Revoke,
    Introspect,
    Leaks,
}

async fn serve(app: &App, endpoint: Endpoint, request: Request) -> Result<Response<Body>, Failure> {
    let now = (app.clock)();
    match endpoint {
        Endpoint::Token => token::token(app, &sent(app, request).await?, now).await,
        Endpoint::Device => device::begin(app, &sent(app, request).await?, now).await,
        Endpoint::Revoke => tokens::revoke(app, &sent(app, request).await?, now).await,
        Endpoint::Introspect => tokens::introspect(app, request, now).await,
        Endpoint::Leaks => leaks::report(app, request, now).await,
    }
}

/// What a public client sent, or a service that authenticated itself without need.
async fn sent(app: &App, request: Request) -> Result<Form, Failure> {
    let (parts, form) = Form::of(app.gate.brand(), request).await?;
    client::service(&app.settings.services, &parts.headers, &form)?;
    Ok(form)
}

/// Whether the endpoints can stand where the issuer says, and know whom they serve.
fn check(gate: &Gate, settings: &Settings) -> Result<(), SettingsError> {
    let issuer = gate.issuer();
    let host = issuer.strip_prefix("https://").or(issuer.strip_prefix("http://")).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(SettingsError::Issuer { issuer: issuer.to_owned() });
    }
    for (index, service) in settings.services.iter().enumerate() {
        let (name, audience) = (service.name(), service.audience());
        let others = settings.services.iter().take(index);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) || others.into_iter().any(|other| other.name() == name)
        {
            return Err(SettingsError::ServiceName { name: name.to_owned() });
        }
        if audience != issuer && !gate.services().any(|known| known == audience) {
            return Err(SettingsError::Audience { name: name.to_owned(), audience: audience.to_owned() });
        }
    }
    Ok(())
}

/// An answer that nobody keeps (RFC 6749, section 5.1).
pub(crate) fn answer(body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A public document that others keep for a while.
fn kept(media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(KEEP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The answer to another method than these.
pub(crate) fn only(methods: &'static str) -> Response<Body> {
    let text = format!("this endpoint takes {methods}");
    let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", text);
    let mut response = failure.because("method_not_allowed").into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}
