//! The pages where people sign in and out, as an axum router: plain HTML that needs no scripts.
//!
//! ```
//! use std::sync::Arc;
//!
//! use cachegate::Gate;
//! use cachegate_http::{login, oauth};
//! use cachegate_login::Login;
//! use cachegate_types::Timestamp;
//!
//! fn mounted(
//!     server: axum::Router,
//!     gate: Gate,
//!     login: Arc<Login>,
//!     clock: fn() -> Timestamp,
//! ) -> Result<axum::Router, oauth::SettingsError> {
//!     let mut settings = oauth::Settings::default();
//!     settings.sign_in = true; // `/activate` offers it to whoever is not signed in
//!     let oauth = oauth::router(gate.clone(), clock, settings)?;
//!     Ok(server.merge(login::router(gate, clock, Some(login))).merge(oauth))
//! }
//! ```
//!
//! | path | what |
//! | --- | --- |
//! | `GET /login?return_to=/path` | offers the providers, and a form for a personal token |
//! | `POST /login` | signs in whoever shows a personal token, such as the first administrator |
//! | `GET /login/{provider}?return_to=/path` | leads to the provider |
//! | `GET /login/{provider}/callback` | where the provider leads back to |
//! | `POST /login/{provider}/device`, `.../device/token` | GitHub's device flow, for a terminal (RFC 8628) |
//! | `POST /logout` | ends the session |
//! | `/turborepo/token` | Turborepo's login: a person confirms, and the terminal that waits on the loopback gets a token |
//!
//! A login begins a new session and ends the one that the browser had; a session is
//! [`Sessions`]' to find. The gate's issuer is the URL at which browsers reach all of this.
//! Where that is neither encrypted nor the loopback, nobody signs in.

mod device;
mod page;
mod turborepo;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::routing::{get, post};
use cachegate::{Gate, Issued};
use cachegate_login::{Login, LoginError};
use cachegate_types::{Name, Timestamp};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::browser::{BrowserSession, Forged, Sessions};
use crate::oauth::failure::Failure;
use crate::oauth::limits::Budget;
use crate::oauth::only;
use crate::page::{document, html, told};

/// How many tokens that are wrong are answered at once, and how long it takes until one more is.
const WRONG_TOKENS: (u32, Duration) = (30, Duration::from_secs(2));

/// How many logins begin at once, and how long it takes until one more may: each waits in the store, and anybody may
/// begin one.
const LOGINS: (u32, Duration) = (300, Duration::from_secs(1));

/// What the handlers share.
struct App {
    gate: Gate,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    sessions: Sessions,
    login: Option<Arc<Login>>,
    begun: Budget,
    wrong_tokens: Budget,
}

/// The routes, to be merged into a server's own at its root. `clock` is wall time. Without a login, a personal token
/// alone signs in.
pub fn router<S>(
    gate: Gate,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    login: Option<Arc<Login>>,
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let app = Arc::new(App {
        sessions: Sessions::new(gate.clone()),
        gate,
        clock: Box::new(clock),
        login,
        begun: Budget::new(LOGINS.0, LOGINS.1),
        wrong_tokens: Budget::new(WRONG_TOKENS.0, WRONG_TOKENS.1),
    });
    let share = || Arc::clone(&app);
    let (offer, token, begin, finish, leave) = (share(), share(), share(), share(), share());
    let (code, poll, confirm, give) = (share(), share(), share(), share());
    let offer = async move |parts: Parts| page::offer(&offer, &parts).await;
    let token = async move |request: Request| page::sign_in(&token, request).await;
    let begin =
        async move |Path(provider): Path<String>, parts: Parts| begin_at(&begin, &provider, &parts).await;
    let finish =
        async move |Path(provider): Path<String>, parts: Parts| finish_at(&finish, &provider, &parts).await;
    let leave = async move |request: Request| page::sign_out(&leave, request).await;
    let code = async move |Path(provider): Path<String>| device::begin(&code, &provider).await;
    let poll = async move |Path(provider): Path<String>, request: Request| {
        device::poll(&poll, &provider, request).await
    };
    let confirm = async move |parts: Parts| turborepo::confirm(&confirm, &parts).await;
    let give = async move |request: Request| turborepo::give(&give, request).await;
    Router::new()
        .route("/login", get(offer).post(token).fallback(async || only("GET, HEAD, POST")))
        .route("/login/{provider}", get(begin).fallback(async || only("GET, HEAD")))
        .route("/login/{provider}/callback", get(finish).fallback(async || only("GET, HEAD")))
        .route("/login/{provider}/device", post(code).fallback(async || only("POST")))
        .route("/login/{provider}/device/token", post(poll).fallback(async || only("POST")))
        .route("/logout", post(leave).fallback(async || only("POST")))
        .route("/turborepo/token", get(confirm).post(give).fallback(async || only("GET, HEAD, POST")))
        .route("/turborepo/success", get(async || turborepo::success()))
}

/// Why a page is not what was asked for.
#[derive(Debug)]
enum Refused {
    Login(LoginError),
    Other(Failure),
}

impl From<LoginError> for Refused {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<Forged> for Refused {
    fn from(forged: Forged) -> Self {
        Self::Other(Failure::forged(&forged))
    }
}

impl Refused {
    /// For a person, with a way to begin anew.
    fn page(self) -> Response<Body> {
        let text = match &self {
            Self::Login(error) => error.to_string(),
            Self::Other(failure) => failure.text(),
        };
        let body = told(&text) + "<p><a href=\"/login\">Sign in</a></p>";
        let mut response = html(document("Nobody was signed in", &body));
        self.dress(&mut response);
        response
    }

    /// For a terminal.
    fn json(self) -> Response<Body> {
        match self {
            Self::Login(error) => {
                let (status, word) = (status_of(&error), word_of(&error));
                Failure::new(status, word, error.to_string()).because(error.code()).into_response()
            }
            Self::Other(failure) => failure.into_response(),
        }
    }

    fn dress(&self, response: &mut Response<Body>) {
        match self {
            Self::Login(error) => {
                *response.status_mut() = status_of(error);
                response.headers_mut().insert("cachegate-code", HeaderValue::from_static(error.code()));
            }
            Self::Other(failure) => {
                failure.dress(response);
                // A browser would ask for a login of its own, which is none here.
                response.headers_mut().remove(header::WWW_AUTHENTICATE);
                response.headers_mut().insert("cachegate-code", HeaderValue::from_static(failure.code));
            }
        }
    }
}

fn status_of(error: &LoginError) -> StatusCode {
    match error {
        LoginError::UnknownProvider | LoginError::NoDeviceFlow => StatusCode::NOT_FOUND,
        LoginError::NotAdmitted | LoginError::GroupsUnknown => StatusCode::FORBIDDEN,
        error if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn word_of(error: &LoginError) -> &'static str {
    match status_of(error) {
        StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        StatusCode::FORBIDDEN => "access_denied",
        _ => "invalid_request",
    }
}

impl App {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The login, and the provider of this name.
    fn provider(&self, name: &str) -> Result<(&Login, Name), LoginError> {
        let login = self.login.as_deref().ok_or(LoginError::UnknownProvider)?;
        let name = name.parse().map_err(|_| LoginError::UnknownProvider)?;
        Ok((login, name))
    }

    async fn session(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<BrowserSession>, Failure> {
        self.sessions.find(headers, now).await.map_err(|reason| Failure::unavailable(&reason))
    }

    /// Cookies travel where nobody listens.
    fn safe(&self) -> Result<(), Failure> {
        if self.sessions.is_safe() {
            return Ok(());
        }
        let text = "nobody signs in over an unencrypted connection: serve this by HTTPS, and say so in the gate's issuer";
        Err(Failure::new(StatusCode::FORBIDDEN, "access_denied", text).because("not_encrypted"))
    }

    /// Leads there with a session that has just begun. The one before it ends.
    async fn enter(
        &self,
        headers: &HeaderMap,
        session: &Issued,
        return_to: &str,
        now: Timestamp,
    ) -> Result<Response<Body>, Failure> {
        if let Some(before) = self.session(headers, now).await? {
            // It ends by itself, where the store does not take it now.
            let _ = self.sessions.end(&before, now).await;
        }
        let mut response = lead_to(return_to);
        response.headers_mut().append(header::SET_COOKIE, self.sessions.set_cookie(session));
        Ok(response)
    }
}

/// `GET /login/{provider}`.
async fn begin_at(app: &App, provider: &str, parts: &Parts) -> Response<Body> {
    let begin = async {
        app.safe()?;
        let (login, name) = app.provider(provider)?;
        if !app.begun.take(app.now()) {
            return Err(Failure::too_often().into());
        }
        let return_to = page::return_to(&app.gate, parts)?;
        let begun = login.begin(&name, return_to.as_deref(), app.now()).await?;
        let mut response = lead_to(&begun.location);
        if let Ok(mut cookie) = HeaderValue::try_from(begun.set_cookie.expose_secret()) {
            cookie.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    };
    begin.await.unwrap_or_else(Refused::page)
}

/// `GET /login/{provider}/callback`.
async fn finish_at(app: &App, provider: &str, parts: &Parts) -> Response<Body> {
    let finish = async {
        app.safe()?;
        let (login, name) = app.provider(provider)?;
        let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let now = app.now();
        let signed_in = login.finish(&name, cookies, parts.uri.query().unwrap_or_default(), now).await?;
        let description = format!("signed in by {name}").parse().unwrap_or_default();
        let session = app.gate.begin_browser_session(signed_in.user, description, now).await;
        let session = session.map_err(LoginError::from)?;
        let mut response = app.enter(&parts.headers, &session, &signed_in.return_to, now).await?;
        if let Ok(cookie) = HeaderValue::try_from(signed_in.clear_cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    };
    finish.await.unwrap_or_else(Refused::page)
}

/// Another place, to be got. What led there is told to nobody.
fn lead_to(place: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    match HeaderValue::try_from(place) {
        Ok(place) => {
            headers.insert(header::LOCATION, place);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            *response.status_mut() = StatusCode::SEE_OTHER;
        }
        // Places are checked before; what no header can carry is no place.
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}
