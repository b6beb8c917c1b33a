//! Turborepo's login: `turbo login` opens `/turborepo/token` in a browser, and waits on the loopback for a token.
//!
//! The token travels in a URL, as that client has it, and so to the loopback alone, to be read by a program of the person
//! who confirmed: it is a personal token of theirs, to read and write entries, with an end.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use cachegate::{Authority, PersonalForm, TokenSpec};
use cachegate_types::{Action, ActionSet, Principal};
use http::request::Parts;
use http::{Response, StatusCode};

use super::{App, Refused, lead_to};
use crate::browser::{BrowserSession, FORM_TOKEN, Sessions};
use crate::oauth::failure::Failure;
use crate::oauth::form::Form;
use crate::page::{DECIDE, document, ended, escaped, html, html_leading_to};
use crate::urlencoded::encoded;

/// How long the token lives: a season of work.
const LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The longest `state` that is given back.
const LONGEST_STATE: usize = 512;

/// The program that waits.
struct Waiting {
    /// `http://127.0.0.1:<port>`
    origin: String,
    /// What it knows its own login by. Clients of before 2.11 send none.
    state: Option<String>,
}

impl Waiting {
    /// Of what a request says. An address in digits: a name could be led elsewhere (RFC 8252, section 8.3).
    fn read(form: &Form) -> Result<Self, Failure> {
        let elsewhere = || {
            let text = "a token is sent to a program on this machine alone: `redirect_uri` is http://127.0.0.1:<port>";
            Failure::request(text).because("redirect_uri")
        };
        let place = form.required("redirect_uri")?;
        let port = place.strip_prefix("http://127.0.0.1:").ok_or_else(elsewhere)?;
        let port = port.strip_suffix('/').unwrap_or(port);
        let digits = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = port.parse().ok().filter(|_| digits).ok_or_else(elsewhere)?;
        let state = form.get("state").map(str::to_owned);
        if state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(Failure::request("`state` is too long"));
        }
        Ok(Self { origin: format!("http://127.0.0.1:{port}"), state })
    }

    fn query(&self) -> String {
        let state = self.state.as_deref().map(|state| format!("&state={}", encoded(state)));
        format!("redirect_uri={}{}", encoded(&self.origin), state.unwrap_or_default())
    }
}

/// `GET /turborepo/token`: asks the person, after their login if they are not signed in.
pub(super) async fn confirm(app: &App, parts: &Parts) -> Response<Body> {
    let confirm = async {
        app.safe()?;
        let waiting = Waiting::read(&Form::read(parts.uri.query().unwrap_or_default())?)?;
        let Some(session) = app.session(&parts.headers, app.now()).await? else {
            return Ok(lead_to(&Sessions::sign_in_at(&format!("/turborepo/token?{}", waiting.query()))));
        };
        Ok(asked(&waiting, &session))
    };
    confirm.await.unwrap_or_else(Refused::page)
}

/// `POST /turborepo/token`: the person has decided.
pub(super) async fn give(app: &App, request: Request) -> Response<Body> {
    let give = async {
        app.safe()?;
        app.sessions.check_origin(request.headers())?;
        let (parts, form) = Form::of(app.gate.brand(), request).await?;
        let now = app.now();
        let session = app.session(&parts.headers, now).await?.ok_or_else(|| {
            let text = "you are no longer signed in; run the login again";
            Failure::new(StatusCode::UNAUTHORIZED, "access_denied", text).because("no_session")
        })?;
        app.sessions.check_form(&parts.headers, &session, form.get(FORM_TOKEN))?;
        let waiting = Waiting::read(&form)?;
        match form.get("decision") {
            Some("approve") => {}
            Some("deny") => {
                return Ok(html(ended(
                    "Denied",
                    "<p class=\"told\" role=\"status\">The terminal gets nothing.</p>",
                )));
            }
            _ => return Err(Failure::request("`decision` is approve or deny").into()),
        }
        let who = session.authentication();
        let Principal::User(owner) = *who.principal() else {
            return Err(Failure::request("a token of this kind belongs to a person").into());
        };
        let refused = |error: &cachegate::ManageError| Failure::manage(error, "access_denied");
        let person = app.gate.person(who, now).await.map_err(|error| refused(&error))?;
        let spec = TokenSpec::Personal {
            owner,
            actions: ActionSet::of(&[Action::Resolve, Action::Read, Action::Write]),
            form: PersonalForm::Opaque,
        };
        let description = "turbo login".parse().unwrap_or_default();
        let issued = app.gate.issue(&Authority::Of(who), &spec, description, Some(LIFE), now).await;
        let issued = issued.map_err(|error| Failure::issue(&error, "access_denied"))?;
        let name = person.map(|person| person.display.as_str().to_owned()).unwrap_or_default();
        let state = waiting.state.as_deref().map(|state| format!("&state={}", encoded(state)));
        Ok(lead_to(&format!(
            "{}/?token={}&email={}{}",
            waiting.origin,
            issued.token.expose_secret(),
            encoded(&name),
            state.unwrap_or_default(),
        )))
    };
    give.await.unwrap_or_else(Refused::page)
}

/// Where the client leads the browser in the end.
pub(super) fn success() -> Response<Body> {
    html(ended("Logged in", "<p class=\"told good\" role=\"status\">The terminal is logged in.</p>"))
}

fn asked(waiting: &Waiting, session: &BrowserSession) -> Response<Body> {
    let state = waiting
        .state
        .as_deref()
        .map(|state| format!("<input type=\"hidden\" name=\"state\" value=\"{}\">", escaped(state)));
    let body = format!(
        "<p>A program on this machine, which waits at <b>{origin}</b> and says that it is <b>turbo login</b>, asks for a \
         token in your name.</p><p class=\"told warn\">Approve it only if you have just begun this.</p><p>The token may \
         resolve, read and write what you may, and ends after 90 days.</p><form method=\"post\" \
         action=\"/turborepo/token\" class=\"actions\">{field}<input type=\"hidden\" name=\"redirect_uri\" \
         value=\"{origin}\">{state}{DECIDE}</form>",
        origin = waiting.origin,
        field = session.form_field(),
        state = state.unwrap_or_default(),
    );
    // The form leads on to the program that waits.
    html_leading_to(document("Give turbo a token?", &body), &format!("'self' {}", waiting.origin))
}
