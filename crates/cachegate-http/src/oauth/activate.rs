//! `/activate`: the page where a person approves a waiting terminal (RFC 8628, section 3.3), without scripts.
//!
//! The person is signed in, or shows a token of theirs, in a password field or as `Bearer` and never in a URL. A form of
//! another site's is refused either way; one that a session speaks for carries the session's own token besides.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use cachegate::{Authentication, Authority, Credential, DeviceLoginError, IssueError, WaitingLogin};
use cachegate_types::{Principal, Restriction, Timestamp};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;

use super::client::authorization;
use super::failure::Failure;
use super::form::Form;
use super::token::{limit_of, to_scope};
use super::{App, answer};
use crate::browser::{BrowserSession, FORM_TOKEN, Sessions};
use crate::page::{document, escaped, html, told};
use crate::refuse_credential_in_url;

/// How many wrong codes one person may name, and within which time (RFC 8628, section 5.1).
pub(super) const GUESSES: (u32, Duration) = (10, Duration::from_secs(15 * 60));

/// The longest code that is shown again: ten letters, however they are grouped.
const LONGEST_CODE: usize = 20;

/// How whoever decides shows who they are.
#[derive(Clone, Copy)]
enum Proof<'s> {
    /// They are signed in.
    Session(&'s BrowserSession),
    /// They type a token; with the place where they could sign in, if there is one.
    Token { sign_in: bool },
}

/// What a person did.
enum Done {
    Looked(WaitingLogin),
    Approved,
    Denied,
}

/// The empty form, or one with the code of a link already in it. Nothing is looked up: a link tells nobody anything.
pub(super) async fn page(app: &App, request: Parts) -> Response<Body> {
    let uri = &request.uri;
    let sign_in = app.settings.sign_in;
    if let Err(error) = refuse_credential_in_url(uri, app.gate.brand()) {
        return refused(&Failure::credential(&error, "invalid_request"), "", Proof::Token { sign_in });
    }
    let query = Form::read(uri.query().unwrap_or_default());
    let code = query.as_ref().map(repeatable).unwrap_or_default();
    match app.sessions.find(&request.headers, (app.clock)()).await {
        Ok(session) => html(document("Approve a login", &form(code, None, proof(session.as_ref(), sign_in)))),
        Err(reason) => refused(&Failure::unavailable(&reason), code, Proof::Token { sign_in }),
    }
}

fn proof(session: Option<&BrowserSession>, sign_in: bool) -> Proof<'_> {
    session.map_or(Proof::Token { sign_in }, Proof::Session)
}

/// A person decides, or looks first.
pub(super) async fn decide(app: &App, request: Request) -> Response<Body> {
    let as_json = accepts_json(request.headers());
    let now = (app.clock)();
    let (code, session, done) = match read(app, request, now).await {
        Ok((form, parts, session)) => {
            let code = repeatable(&form).to_owned();
            let done = act(app, &parts.headers, &form, session.as_ref(), now).await;
            (code, session, done)
        }
        Err(failure) => (String::new(), None, Err(failure)),
    };
    let proof = proof(session.as_ref(), app.settings.sign_in);
    match (done, as_json) {
        (Err(failure), true) => failure.into_response(),
        (Err(failure), false) => refused(&failure, &code, proof),
        (Ok(Done::Looked(waiting)), true) => answer(&json!({
            "client": waiting.client.as_str(),
            "requested_at": waiting.requested_at.as_unix_seconds(),
            "expires_at": waiting.expires_at.as_unix_seconds(),
            "scope": to_scope(limit_of(&waiting.restrictions)),
        })),
        (Ok(Done::Approved), true) => answer(&json!({ "decision": "approved" })),
        (Ok(Done::Denied), true) => answer(&json!({ "decision": "denied" })),
        (Ok(Done::Looked(waiting)), false) => {
            html(document("Approve this login?", &form(&code, Some(&waiting), proof)))
        }
        (Ok(Done::Approved), false) => {
            html(document("Approved", "<p>The terminal is logged in. You can close this page.</p>"))
        }
        (Ok(Done::Denied), false) => {
            html(document("Denied", "<p>The terminal gets nothing. You can close this page.</p>"))
        }
    }
}

/// The form, and who is signed in at the browser that sends it. Whoever shows a token speaks for themselves.
async fn read(
    app: &App,
    request: Request,
    now: Timestamp,
) -> Result<(Form, Parts, Option<BrowserSession>), Failure> {
    let forged = |forged| Failure::forged(&forged);
    app.sessions.check_origin(request.headers()).map_err(forged)?;
    let (parts, form) = Form::of(app.gate.brand(), request).await?;
    if authorization(&parts.headers)?.is_some() || form.get("token").is_some() {
        return Ok((form, parts, None));
    }
    let session = app.sessions.find(&parts.headers, now).await.map_err(|why| Failure::unavailable(&why))?;
    if let Some(session) = &session {
        app.sessions.check_form(&parts.headers, session, form.get(FORM_TOKEN)).map_err(forged)?;
    }
    Ok((form, parts, session))
}

async fn act(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    session: Option<&BrowserSession>,
    now: Timestamp,
) -> Result<Done, Failure> {
    let code = form.required("user_code")?;
    let decision = form.get("decision").unwrap_or("look");
    let who = match session {
        Some(session) => session.authentication().clone(),
        None => person(app, headers, form, now).await?,
    };
    let not_a_person = || {
        let text = "a login is approved by a person, with a personal token or the session of another login";
        Failure::new(StatusCode::FORBIDDEN, "access_denied", text).because("not_a_person")
    };
    let Principal::User(user) = *who.principal() else { return Err(not_a_person()) };
    if !app.guesses.allowed(user, now) {
        return Err(Failure::too_often());
    }
    let by = Authority::Of(&who);
    let done = match decision {
        "look" => app.gate.waiting_login(code, now).await.map(Done::Looked),
        "approve" => app.gate.decide_device_login(&by, code, true, now).await.map(|()| Done::Approved),
        "deny" => app.gate.decide_device_login(&by, code, false, now).await.map(|()| Done::Denied),
        _ => return Err(Failure::request("`decision` is look, approve or deny")),
    };
    done.map_err(|error| match error {
        DeviceLoginError::Unknown => {
            app.guesses.note(user, now);
            let text = "no login waits under this code; look at the terminal again";
            Failure::new(StatusCode::NOT_FOUND, "invalid_request", text).because("unknown_user_code")
        }
        DeviceLoginError::Failed(IssueError::NotTheOwner) => not_a_person(),
        DeviceLoginError::Failed(error) => Failure::issue(&error, "access_denied"),
        error => Failure::device(&error),
    })
}

/// Whoever shows a token, in the form or as `Bearer`. A browser sends `Basic` unasked, so that it stands for nobody.
async fn person(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    now: Timestamp,
) -> Result<Authentication, Failure> {
    let missing = || {
        Failure::new(StatusCode::UNAUTHORIZED, "access_denied", "show a personal token")
            .because("no_credential")
    };
    let text = match (authorization(headers)?, form.get("token")) {
        (Some(_), Some(_)) => return Err(Failure::request("show one token")),
        (Some(header), None) => {
            let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
            if scheme.eq_ignore_ascii_case("bearer") { token } else { return Err(missing()) }
        }
        (None, Some(token)) => token,
        (None, None) => return Err(missing()),
    };
    let credential = Credential::parse(text.trim(), app.gate.brand())
        .map_err(|error| Failure::credential(&error, "access_denied").unauthorized())?;
    let who = app.gate.authenticate(Some(&credential), now).await;
    who.map_err(|error| Failure::authenticate(&error, "access_denied").unauthorized())
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| one.split(';').next().unwrap_or_default().trim() == "application/json")
}

fn refused(failure: &Failure, code: &str, proof: Proof<'_>) -> Response<Body> {
    let body = told(&failure.text()) + &form(code, None, proof);
    let mut response = html(document("Approve a login", &body));
    failure.dress(&mut response);
    // A browser would ask for a login of its own, which is none here.
    response.headers_mut().remove(header::WWW_AUTHENTICATE);
    response
}

/// The code as it was typed, if it can be one: a token that was put in its place is not sent back.
fn repeatable(form: &Form) -> &str {
    let typed = form.get("user_code").unwrap_or_default();
    let letters = typed.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b' '));
    if letters && typed.len() <= LONGEST_CODE { typed } else { "" }
}

fn form(code: &str, waiting: Option<&WaitingLogin>, proof: Proof<'_>) -> String {
    let typed = code;
    let code = escaped(code);
    let mut out = "<form method=\"post\" action=\"/activate\" autocomplete=\"off\">".to_owned();
    // Writing to a string cannot fail.
    let _ = match waiting {
        None => write!(
            out,
            "<label>Code that the terminal shows<input name=\"user_code\" value=\"{code}\" maxlength=\"24\" required \
             autocapitalize=\"characters\" spellcheck=\"false\"></label>"
        ),
        Some(waiting) => write!(
            out,
            "<p>A terminal that calls itself <b>{}</b> asked at {} for a login in your name, with the code \
             <b>{code}</b>. Nobody has checked what it calls itself. Approve it only if you began this, and the \
             terminal before you shows the same code.</p><p>It may then {}.</p><input type=\"hidden\" name=\"user_code\" value=\"{code}\">",
            escaped(waiting.client.as_str()),
            waiting.requested_at,
            extent(&waiting.restrictions, proof),
        ),
    };
    match proof {
        Proof::Session(session) => out.push_str(&session.form_field()),
        Proof::Token { .. } => out.push_str(
            "<label>Your personal token<input type=\"password\" name=\"token\" required \
             autocomplete=\"current-password\"></label>",
        ),
    }
    out.push_str(match waiting {
        None => "<button name=\"decision\" value=\"look\">Continue</button>",
        Some(_) => {
            "<button name=\"decision\" value=\"approve\">Approve</button>\
             <button name=\"decision\" value=\"deny\">Deny</button>"
        }
    });
    out.push_str("</form>");
    if let Proof::Token { sign_in: true } = proof {
        let here =
            if typed.is_empty() { "/activate".to_owned() } else { format!("/activate?user_code={typed}") };
        let _ = write!(out, "<p>Or <a href=\"{}\">sign in</a>.</p>", escaped(&Sessions::sign_in_at(&here)));
    }
    out
}

/// What a login may do, in words.
fn extent(restrictions: &[Restriction], proof: Proof<'_>) -> String {
    let whoever = match proof {
        Proof::Session(_) => "you",
        Proof::Token { .. } => "the token below",
    };
    if restrictions.is_empty() {
        return format!("do whatever {whoever} may");
    }
    let more = restrictions.iter().any(|one| !matches!(one, Restriction::Actions(_)));
    let places = if more { ", in places that the terminal named" } else { "" };
    let actions = to_scope(limit_of(restrictions));
    format!("do at most this of what {whoever} may: {}{places}", escaped(&actions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_wrote_is_markup() {
        let waiting = WaitingLogin {
            client: "<script>x</script>".parse().expect("a description"),
            requested_at: Timestamp::MIN,
            expires_at: Timestamp::MAX,
            restrictions: Vec::new(),
        };
        let text = form("\"><img src=x onerror='x'>", Some(&waiting), Proof::Token { sign_in: true });
        assert!(
            !text.contains("<script") && !text.contains("<img") && !text.contains("value=\"\""),
            "{text}"
        );
    }
}
