//! The page that offers a login, and what its forms do.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::Request;
use cachegate::{AuthenticateError, Credential, Gate, IssueError, Issued, ManageError};
use cachegate_types::Timestamp;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};

use super::{App, Refused, lead_to};
use crate::browser::{BrowserSession, FORM_TOKEN, Forged, form_field, form_token, is_form_token, random};
use crate::oauth::failure::Failure;
use crate::oauth::form::Form;
use crate::page::{document, escaped, html, name_of, told};
use crate::refuse_credential_in_url;
use crate::urlencoded::encoded;

/// Binds the form of whoever is not signed in to their browser, so that no other site can sign it in as somebody else.
const FORM: &str = "cachegate-form";

/// How long a form may stay open, in seconds.
const FORM_LIFE: u64 = 60 * 60;

/// `GET /login`.
pub(super) async fn offer(app: &App, parts: &Parts) -> Response<Body> {
    let offered = async {
        app.safe()?;
        let return_to = return_to(&app.gate, parts)?;
        let session = app.session(&parts.headers, app.now()).await?;
        shown(app, &parts.headers, session.as_ref(), return_to.as_deref(), None).await
    };
    offered.await.unwrap_or_else(Refused::page)
}

/// `POST /login`: whoever shows a personal token is signed in with what the token has.
pub(super) async fn sign_in(app: &App, request: Request) -> Response<Body> {
    let signed_in = async {
        app.safe()?;
        app.sessions.check_origin(request.headers())?;
        let (parts, form) = Form::of(app.gate.brand(), request).await?;
        let cookie = app.sessions.reached().cookie(&parts.headers, FORM);
        if !cookie.is_some_and(|cookie| is_form_token(&form_token(cookie), form.get(FORM_TOKEN))) {
            return Err(Forged::Token.into());
        }
        let return_to = form.get("return_to").map(str::to_owned);
        path(return_to.as_deref())?;
        let now = app.now();
        match session_of(app, form.get("token").unwrap_or_default(), now).await? {
            Some(session) => {
                Ok(app.enter(&parts.headers, &session, return_to.as_deref().unwrap_or("/"), now).await?)
            }
            None => {
                let refusal = match app.wrong_tokens.take(now) {
                    true => {
                        let text = "this token signs nobody in: show a personal token that still counts";
                        Failure::new(StatusCode::UNAUTHORIZED, "access_denied", text).because("wrong_token")
                    }
                    false => Failure::too_often(),
                };
                let session = app.session(&parts.headers, now).await?;
                shown(app, &parts.headers, session.as_ref(), return_to.as_deref(), Some(refusal)).await
            }
        }
    };
    signed_in.await.unwrap_or_else(Refused::page)
}

/// The session that a token begins; `None` for whatever is wrong with it, which is not told apart.
async fn session_of(app: &App, text: &str, now: Timestamp) -> Result<Option<Issued>, Failure> {
    let Ok(credential) = Credential::parse(text.trim(), app.gate.brand()) else { return Ok(None) };
    let who = match app.gate.authenticate(Some(&credential), now).await {
        Ok(who) => who,
        Err(AuthenticateError::NotAuthenticated(_)) => return Ok(None),
        Err(AuthenticateError::Unavailable(reason)) => return Err(Failure::unavailable(&reason)),
    };
    let description = "signed in by a personal token".parse().unwrap_or_default();
    match app.gate.exchange_for_browser_session(&who, description, now).await {
        Ok(session) => Ok(Some(session)),
        Err(IssueError::Refused(ManageError::Unavailable(reason))) => Err(Failure::unavailable(&reason)),
        Err(_) => Ok(None),
    }
}

/// `POST /logout`.
pub(super) async fn sign_out(app: &App, request: Request) -> Response<Body> {
    let signed_out = async {
        app.sessions.check_origin(request.headers())?;
        let (parts, form) = Form::of(app.gate.brand(), request).await?;
        let now = app.now();
        if let Some(session) = app.session(&parts.headers, now).await? {
            app.sessions.check_form(&parts.headers, &session, form.get(FORM_TOKEN))?;
            app.sessions
                .end(&session, now)
                .await
                .map_err(|error| Failure::manage(&error, "access_denied"))?;
        }
        let mut response = lead_to("/login");
        response.headers_mut().append(header::SET_COOKIE, app.sessions.clear_cookie());
        Ok(response)
    };
    signed_out.await.unwrap_or_else(Refused::page)
}

/// The page itself.
async fn shown(
    app: &App,
    headers: &HeaderMap,
    session: Option<&BrowserSession>,
    return_to: Option<&str>,
    refusal: Option<Failure>,
) -> Result<Response<Body>, Refused> {
    let mut body = refusal.as_ref().map(|refusal| told(&refusal.text())).unwrap_or_default();
    if let Some(session) = session {
        let name = name_of(&app.gate, session, app.now()).await;
        let name = escaped(&name.map_err(|error| Failure::manage(&error, "access_denied"))?);
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<p>You are signed in as <b>{name}</b>.</p><form method=\"post\" action=\"/logout\">{}<button \
             class=\"quiet\">Sign out</button></form><section><h2>Sign in as somebody else</h2>",
            session.form_field(),
        );
    } else {
        body.push_str("<section>");
    }
    let carried = return_to.map(|place| format!("?return_to={}", encoded(place))).unwrap_or_default();
    for provider in app.login.iter().flat_map(|login| login.providers()) {
        let _ = write!(
            body,
            "<p class=\"actions\"><a class=\"button large\" href=\"/login/{provider}{}\">Sign in by {provider}</a></p>",
            escaped(&carried)
        );
    }
    let offers = app.login.iter().any(|login| login.providers().next().is_some());
    let reached = app.sessions.reached();
    let kept = reached.cookie(headers, FORM).map(str::to_owned);
    let value = match &kept {
        Some(kept) => kept.clone(),
        None => random().ok_or(cachegate_login::LoginError::Randomness)?.expose_secret().to_owned(),
    };
    let return_field = return_to
        .map(|place| format!("<input type=\"hidden\" name=\"return_to\" value=\"{}\">", escaped(place)));
    let _ = write!(
        body,
        "{}<form method=\"post\" action=\"/login\" autocomplete=\"off\" class=\"stack\">{}{}<label \
         for=\"token\">A personal token</label><input id=\"token\" type=\"password\" name=\"token\" required \
         aria-describedby=\"which\" autocomplete=\"current-password\"><p id=\"which\" class=\"hint\">On a fresh server the \
         administrator's, from the file that its first start names.</p><p class=\"actions\"><button{}>Sign in</button></p>\
         </form></section>",
        if offers { "</section><section><h2>Or by a token</h2>" } else { "" },
        form_field(&form_token(&value)),
        return_field.unwrap_or_default(),
        // Where a provider is offered, it is what most people want.
        if offers { " class=\"quiet\"" } else { "" },
    );
    let mut response = html(document("Sign in", &body));
    if let Some(refusal) = refusal {
        Refused::Other(refusal).dress(&mut response);
    }
    if kept.is_none() {
        response.headers_mut().append(header::SET_COOKIE, reached.set(FORM, &value, FORM_LIFE, "Strict"));
    }
    Ok(response)
}

/// Where the query says that the person is led after the login.
pub(super) fn return_to(gate: &Gate, parts: &Parts) -> Result<Option<String>, Refused> {
    refuse_credential_in_url(&parts.uri, gate.brand())
        .map_err(|error| Failure::credential(&error, "invalid_request"))?;
    let query = Form::read(parts.uri.query().unwrap_or_default())?;
    let place = query.get("return_to").map(str::to_owned);
    path(place.as_deref())?;
    Ok(place)
}

/// The same check as the login's own: a path of this host, and nothing that a browser reads as another.
fn path(place: Option<&str>) -> Result<(), cachegate_login::LoginError> {
    cachegate_login::Login::check_return_target(place)
}
