//! The console as a whole: its routes, who is signed in, and what every answer carries.

use std::fmt;
use std::sync::{Arc, LazyLock};

use askama::Template;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request};
use axum::routing::get;
use cachegate::{
    Authentication, Authority, Gate, IssueError, ManageError, OrganizationView, Request as Question, Verdict,
    WorkspaceView,
};
use cachegate_http::browser::{BrowserSession, FORM_TOKEN, Sessions};
use cachegate_http::refuse_credential_in_url;
use cachegate_storage::{Accounts, MarkScope};
use cachegate_types::{Action, Name, Resource, Timestamp, TokenId, WorkspaceId};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::fields::Fields;
use crate::pages::{self, View};

/// The longest form that is read, in bytes: a set of rules with a platform's token fits.
const LONGEST_FORM: usize = 128 * 1024;

/// What the pages may load and send: nothing but the console's own files and forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Counts what is stored, so that the effect of distrust is told before it is confirmed. A server that can, implements
/// it.
#[async_trait]
pub trait CountEntries: Send + Sync {
    /// How many entries of these workspaces the mark would make a miss that are none yet; `None` where nobody knows.
    /// Whoever looks waits for it: it takes a few seconds at most, however much is stored.
    async fn distrusted(&self, workspaces: &[WorkspaceId], scope: &MarkScope) -> Option<Counted>;
}

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// As many as this.
    Exactly(u64),
    /// As many as this were found before there was too much to look through.
    AtLeast(u64),
}

/// The console, to be mounted by a server.
pub struct Console {
    app: App,
}

/// What the pages are made from.
pub(crate) struct App {
    pub(crate) gate: Gate,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    sessions: Sessions,
    /// Where the caches' protocols are served.
    pub(crate) protocols: Option<String>,
    pub(crate) accounts: Option<Arc<dyn Accounts>>,
    pub(crate) entries: Option<Arc<dyn CountEntries>>,
}

impl Console {
    /// The console of this gate. `clock` is wall time. The pages where people sign in are `cachegate-http`'s.
    pub fn new(gate: Gate, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let sessions = Sessions::new(gate.clone());
        let clock = Box::new(clock);
        Self { app: App { gate, clock, sessions, protocols: None, accounts: None, entries: None } }
    }

    /// Where the caches' protocols are served as `examples/cache-server` serves them, such as
    /// `https://cache.example.com`: with it the pages show what to paste into each build tool.
    #[must_use]
    pub fn protocols_at(mut self, url: &str) -> Self {
        self.app.protocols = Some(url.trim_end_matches('/').to_owned());
        self
    }

    /// The accounts at providers that people sign in by: with them each person sees their own.
    #[must_use]
    pub fn accounts(mut self, accounts: Arc<dyn Accounts>) -> Self {
        self.app.accounts = Some(accounts);
        self
    }

    /// What counts stored entries.
    #[must_use]
    pub fn entries(mut self, entries: Arc<dyn CountEntries>) -> Self {
        self.app.entries = Some(entries);
        self
    }

    /// The routes, to be merged into a server's own: `/`, `/account`, `/{organization}/settings` and the two files
    /// below `/-/`.
    pub fn router<S>(self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let app = Arc::new(self.app);
        let serve = |place: Place| {
            let app = Arc::clone(&app);
            async move |request: Request| serve(&app, place, request).await
        };
        let settings = {
            let app = Arc::clone(&app);
            async move |Path(organization): Path<String>, request: Request| {
                serve_in(&app, organization, request).await
            }
        };
        Router::new()
            .route("/", get(serve(Place::Home)))
            .route("/account", get(serve(Place::Account)).post(serve(Place::Account)))
            .route("/{organization}/settings", get(settings.clone()).post(settings))
            .route("/-/console.css", get(async || asset("text/css; charset=utf-8", &STYLE)))
            .route("/-/console.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("gate", &self.app.gate).finish_non_exhaustive()
    }
}

/// The look that every page has, then what the console has beyond it.
static STYLE: LazyLock<String> =
    LazyLock::new(|| [cachegate_http::PAGE_STYLE, include_str!("../assets/console.css")].concat());
const SCRIPT: &str = include_str!("../assets/console.js");

/// Which page a path is of.
#[derive(Clone, Debug)]
enum Place {
    Home,
    Account,
    Settings(String),
}

/// A request by somebody who is signed in.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) now: Timestamp,
    session: BrowserSession,
    /// What people call who is signed in.
    pub(crate) person: String,
    /// What the URL asks for.
    pub(crate) query: Fields,
    /// What the form says; empty for a page that is looked at.
    pub(crate) form: Fields,
}

impl Call {
    pub(crate) fn gate(&self) -> &Gate {
        &self.app.gate
    }

    pub(crate) fn who(&self) -> &Authentication {
        self.session.authentication()
    }

    /// The session's own token.
    pub(crate) fn session(&self) -> TokenId {
        self.session.id()
    }

    /// What shows that a form is one of this console's, for this session: each form carries it.
    pub(crate) fn form_field(&self) -> String {
        self.session.form_field()
    }

    /// In whose name the kernel is asked: never the operator's.
    pub(crate) fn by(&self) -> Authority<'_> {
        Authority::Of(self.who())
    }

    /// The form's value of this name, and where there is no form, the URL's.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.form.get(name).or_else(|| self.query.get(name)).unwrap_or_default()
    }

    /// Whether who is signed in may administer this place; what the page would show is for those alone.
    pub(crate) async fn administers(&self, place: Resource) -> Result<bool, Failure> {
        match self.gate().authorize(self.who(), &Question::new(Action::Administer, &place), self.now).await {
            Verdict::Allowed(_) => Ok(true),
            Verdict::Denied(_) => Ok(false),
            Verdict::NotAuthenticated(_) => Err(Failure::signed_out()),
            Verdict::Unavailable(_) => Err(Failure::unavailable()),
        }
    }

    /// A page.
    pub(crate) fn page(
        &self,
        title: &str,
        tabs: Option<&pages::Tabs<'_>>,
        main: &impl Template,
    ) -> Result<Response<Body>, Failure> {
        let main = main.render().map_err(|_| Failure::broken())?;
        document(StatusCode::OK, Some(self), title, tabs, &main)
    }

    /// The same for a form that cannot be taken as it is.
    pub(crate) fn again(
        &self,
        title: &str,
        tabs: Option<&pages::Tabs<'_>>,
        main: &impl Template,
    ) -> Result<Response<Body>, Failure> {
        let mut response = self.page(title, tabs, main)?;
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        Ok(response)
    }
}

pub(crate) type Answered = Result<Response<Body>, Failure>;

/// Why there is no such page, or why a form was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody is signed in, or no longer: where that is mended.
    SignIn(String),
    /// Told on a page of its own.
    Told { status: StatusCode, title: &'static str, text: String },
    /// Told beside the form, which stays filled in.
    Form(String),
}

impl Failure {
    /// What is not there, and what is not for whoever asks: the same.
    pub(crate) fn missing() -> Self {
        let text =
            "There is no such page, or it is not for you. Whoever administers the organization can tell.";
        Self::Told { status: StatusCode::NOT_FOUND, title: "Not found", text: text.to_owned() }
    }

    pub(crate) fn unavailable() -> Self {
        let text = "Nothing could be decided just now, and so nothing was done. Look again in a moment.";
        Self::Told { status: StatusCode::SERVICE_UNAVAILABLE, title: "Not just now", text: text.to_owned() }
    }

    fn signed_out() -> Self {
        Self::SignIn(Sessions::sign_in_at("/"))
    }

    fn broken() -> Self {
        let text = "The page could not be made.".to_owned();
        Self::Told { status: StatusCode::INTERNAL_SERVER_ERROR, title: "Broken", text }
    }

    fn forged() -> Self {
        let text = "This form was not sent from a page of yours, or its page is too old. Nothing was done: open the page \
                    anew and try again.";
        Self::Told { status: StatusCode::FORBIDDEN, title: "Refused", text: text.to_owned() }
    }

    fn bad(text: &str) -> Self {
        Self::Told { status: StatusCode::BAD_REQUEST, title: "Bad request", text: text.to_owned() }
    }

    pub(crate) fn form(text: impl Into<String>) -> Self {
        Self::Form(text.into())
    }

    pub(crate) fn denied(text: String) -> Self {
        Self::Told { status: StatusCode::FORBIDDEN, title: "Not allowed", text }
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Denied { explanation, visible: true, decision } => Self::denied(match decision {
                Some(id) => format!("{explanation}. This refusal has the id {id}."),
                None => format!("{explanation}."),
            }),
            ManageError::Denied { visible: false, .. } | ManageError::Missing { .. } => Self::missing(),
            ManageError::NotAuthenticated(_) => Self::signed_out(),
            ManageError::Unavailable(_) | ManageError::Randomness => Self::unavailable(),
            error => Self::form(sentence(&error)),
        }
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Refused(error) => error.into(),
            error => Self::form(sentence(&error)),
        }
    }
}

/// A message as a sentence.
pub(crate) fn sentence(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}

async fn serve_in(app: &Arc<App>, organization: String, request: Request) -> Response<Body> {
    serve(app, Place::Settings(organization), request).await
}

async fn serve(app: &Arc<App>, place: Place, request: Request) -> Response<Body> {
    let mut signed = None;
    let answered = match call(app, request).await {
        Ok(call) => {
            let answered = run(&call, place).await;
            signed = Some(call);
            answered
        }
        Err(failure) => Err(failure),
    };
    answered.or_else(|failure| told(signed.as_ref(), failure)).unwrap_or_else(|_| plain())
}

/// Reads a request. A form that is not one of this session's own pages goes no further than this.
async fn call(app: &Arc<App>, request: Request) -> Result<Call, Failure> {
    let now = (app.clock)();
    let (parts, body) = request.into_parts();
    refuse_credential_in_url(&parts.uri, app.gate.brand()).map_err(|_| {
        Failure::bad("A token is never part of an address. Consider this one as seen by others: revoke it.")
    })?;
    let session = app.sessions.find(&parts.headers, now).await.map_err(|_| Failure::unavailable())?;
    let session = session.ok_or_else(|| sign_in(&parts))?;
    let broken = || Failure::bad("The request is not written as a form is.");
    let query = Fields::read(parts.uri.query().unwrap_or_default()).ok_or_else(broken)?;
    let form = if parts.method == Method::POST {
        let body = to_bytes(body, LONGEST_FORM).await.map_err(|_| Failure::bad("The form is too long."))?;
        let form = std::str::from_utf8(&body).ok().and_then(Fields::read).ok_or_else(broken)?;
        let checked = app.sessions.check_form(&parts.headers, &session, form.get(FORM_TOKEN));
        checked.map_err(|_| Failure::forged())?;
        form
    } else {
        Fields::default()
    };
    let person = app.gate.person(session.authentication(), now).await?.ok_or_else(|| sign_in(&parts))?;
    let person =
        if person.display.as_str().is_empty() { "you".to_owned() } else { person.display.to_string() };
    Ok(Call { app: Arc::clone(app), now, session, person, query, form })
}

/// Where to sign in, to come back to what was looked for.
fn sign_in(parts: &Parts) -> Failure {
    let looked_for = parts.uri.path_and_query().map(PathAndQuery::as_str);
    let back = looked_for.filter(|_| parts.method == Method::GET).unwrap_or("/");
    Failure::SignIn(Sessions::sign_in_at(back))
}

async fn run(call: &Call, place: Place) -> Answered {
    let act = call.form.get("act");
    match place {
        Place::Home => pages::home::show(call).await,
        Place::Account => match act {
            None => pages::account::show(call).await,
            Some(act) if !pages::account::ACTS.contains(&act) => Err(Failure::missing()),
            Some(act) => pages::account::act(call, act).await,
        },
        Place::Settings(name) => {
            let organization = organization(call, &name).await?;
            let view = call.query.get("editview").map_or(Some(View::Workspaces), View::named);
            pages::serve(call, &organization, view.ok_or_else(Failure::missing)?, act).await
        }
    }
}

/// The organization of this name, if who is signed in is in it.
async fn organization(call: &Call, name: &str) -> Result<OrganizationView, Failure> {
    let name: Name = name.parse().map_err(|_| Failure::missing())?;
    let mut after = None;
    loop {
        let page = call.gate().organizations(&call.by(), after, 100, call.now).await?;
        if let Some(found) = page.items.into_iter().find(|found| found.record.name == name) {
            return Ok(found);
        }
        after = Some(page.next.ok_or_else(Failure::missing)?);
    }
}

impl Call {
    /// The workspace that the URL names, if who is signed in may do anything in it.
    pub(crate) async fn workspace(&self, organization: &OrganizationView) -> Result<WorkspaceView, Failure> {
        let name: Name = self.value("workspace").parse().map_err(|_| Failure::missing())?;
        let found = self.workspaces(organization).await?;
        found.into_iter().find(|found| found.record.name == name).ok_or_else(Failure::missing)
    }

    /// The workspaces of an organization in which who is signed in may do anything.
    pub(crate) async fn workspaces(
        &self,
        organization: &OrganizationView,
    ) -> Result<Vec<WorkspaceView>, Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page =
                self.gate().workspaces(&self.by(), organization.record.id, after, 1000, self.now).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }
}

/// Another page, after something was done.
pub(crate) fn see(place: &str) -> Answered {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::try_from(place).map_err(|_| Failure::broken())?;
    response.headers_mut().insert(header::LOCATION, place);
    dress(&mut response);
    Ok(response)
}

fn told(call: Option<&Call>, failure: Failure) -> Answered {
    let (status, title, text) = match failure {
        Failure::SignIn(place) => return see(&place),
        Failure::Told { status, title, text } => (status, title, text),
        Failure::Form(text) => (StatusCode::UNPROCESSABLE_ENTITY, "Not done", text),
    };
    let main = pages::Told { title, text: &text }.render().map_err(|_| Failure::broken())?;
    document(status, call, title, None, &main)
}

#[derive(Template)]
#[template(path = "document.html")]
struct Document<'a> {
    title: &'a str,
    call: Option<&'a Call>,
    tabs: Option<&'a pages::Tabs<'a>>,
    main: &'a str,
}

fn document(
    status: StatusCode,
    call: Option<&Call>,
    title: &str,
    tabs: Option<&pages::Tabs<'_>>,
    main: &str,
) -> Answered {
    let text = Document { title, call, tabs, main }.render().map_err(|_| Failure::broken())?;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    dress(&mut response);
    Ok(response)
}

/// What cannot go wrong.
fn plain() -> Response<Body> {
    let mut response =
        Response::new(Body::from("<!doctype html><title>Broken</title><p>The page could not be made."));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    dress(&mut response);
    response
}

/// What every page carries: nobody keeps it, frames it, or loads anything from elsewhere into it.
fn dress(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` a browser would send the console's own forms with the origin `null`.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn asset(media_type: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
