//! `/activate`: the page where a person approves a waiting terminal (RFC 8628, section 3.3), without scripts.
//!
//! The person is signed in, or shows a token of theirs, in a password field or as `Bearer` and never in a URL. A form of
//! another site's is refused either way; one that a session speaks for carries the session's own token besides.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use cachegate::{
    Authentication, Authority, Credential, DeviceLoginError, IssueError, REFRESH_LIFE, WaitingLogin,
};
use cachegate_types::{Action, Principal, Restriction, Timestamp};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;

use super::client::authorization;
use super::failure::Failure;
use super::form::Form;
use super::token::{limit_of, to_scope};
use super::{App, answer};
use crate::browser::{BrowserSession, FORM_TOKEN, Sessions};
use crate::page::{DECIDE, document, ended, escaped, html, name_of, told};
use crate::refuse_credential_in_url;

const TITLE: &str = "Approve a login";

/// How many wrong codes one person may name, and within which time (RFC 8628, section 5.1).
pub(super) const GUESSES: (u32, Duration) = (10, Duration::from_secs(15 * 60));

/// The longest code that is shown again: ten letters, however they are grouped.
const LONGEST_CODE: usize = 20;

/// How whoever decides shows who they are.
enum Proof {
    /// They are signed in: the form's field, and what people call them.
    Session { field: String, person: String },
    /// They type a token; with the place where they could sign in, if there is one.
    Token { sign_in: bool },
}

/// What a person did, about what.
enum Done {
    Looked(WaitingLogin),
    Approved(WaitingLogin),
    Denied(WaitingLogin),
}

/// The empty form, or one with the code of a link already in it. Nothing is looked up: a link tells nobody anything.
pub(super) async fn page(app: &App, request: Parts) -> Response<Body> {
    let uri = &request.uri;
    let sign_in = app.settings.sign_in;
    if let Err(error) = refuse_credential_in_url(uri, app.gate.brand()) {
        return refused(&Failure::credential(&error, "invalid_request"), "", &Proof::Token { sign_in });
    }
    let query = Form::read(uri.query().unwrap_or_default());
    let code = query.as_ref().map(repeatable).unwrap_or_default();
    let now = (app.clock)();
    let proof = match app.sessions.find(&request.headers, now).await {
        Ok(session) => proof(app, session.as_ref(), now).await,
        Err(reason) => Err(Failure::unavailable(&reason)),
    };
    match proof {
        Ok(proof) => html(document(TITLE, &asking(code, &proof))),
        Err(failure) => refused(&failure, code, &Proof::Token { sign_in }),
    }
}

async fn proof(app: &App, session: Option<&BrowserSession>, now: Timestamp) -> Result<Proof, Failure> {
    let Some(session) = session else { return Ok(Proof::Token { sign_in: app.settings.sign_in }) };
    let person = name_of(&app.gate, session, now).await;
    let person = person.map_err(|error| Failure::manage(&error, "access_denied"))?;
    Ok(Proof::Session { field: session.form_field(), person })
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
    // Whoever's session has ended meanwhile shows who they are anew.
    let proof = proof(app, session.as_ref(), now).await;
    let proof = proof.unwrap_or(Proof::Token { sign_in: app.settings.sign_in });
    match (done, as_json) {
        (Err(failure), true) => failure.into_response(),
        (Err(failure), false) => refused(&failure, &code, &proof),
        (Ok(Done::Looked(waiting)), true) => answer(&json!({
            "client": waiting.client.as_str(),
            "requested_at": waiting.requested_at.as_unix_seconds(),
            "expires_at": waiting.expires_at.as_unix_seconds(),
            "scope": to_scope(limit_of(&waiting.restrictions)),
        })),
        (Ok(Done::Approved(_)), true) => answer(&json!({ "decision": "approved" })),
        (Ok(Done::Denied(_)), true) => answer(&json!({ "decision": "denied" })),
        (Ok(Done::Looked(waiting)), false) => {
            html(document("Approve this login?", &deciding(&code, &waiting, &proof, now)))
        }
        (Ok(Done::Approved(waiting)), false) => {
            html(ended("Approved", &approved(&waiting, &proof, app.settings.account)))
        }
        (Ok(Done::Denied(waiting)), false) => html(ended("Denied", &denied(&waiting))),
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
    let decision = match form.get("decision") {
        None | Some("look") => None,
        Some("approve") => Some(true),
        Some("deny") => Some(false),
        Some(_) => return Err(Failure::request("`decision` is look, approve or deny")),
    };
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
    let done = async {
        let waiting = app.gate.waiting_login(code, now).await?;
        if let Some(approved) = decision {
            app.gate.decide_device_login(&by, code, approved, now).await?;
        }
        Ok(match decision {
            None => Done::Looked(waiting),
            Some(true) => Done::Approved(waiting),
            Some(false) => Done::Denied(waiting),
        })
    };
    done.await.map_err(|error| match error {
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

fn refused(failure: &Failure, code: &str, proof: &Proof) -> Response<Body> {
    let body = told(&failure.text()) + &asking(code, proof);
    let mut response = html(document(TITLE, &body));
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

/// The first page: which code?
fn asking(code: &str, proof: &Proof) -> String {
    let mut out = format!(
        "<p>A program that you started, such as a command in a terminal, shows a code. Type it here to see what it asks \
         for; nothing is given before you approve it.</p>\
         <form method=\"post\" action=\"/activate\" autocomplete=\"off\" class=\"stack\"><label for=\"code\">Code that the \
         program shows</label><input id=\"code\" class=\"code\" name=\"user_code\" value=\"{}\" maxlength=\"24\" required \
         autocapitalize=\"characters\" spellcheck=\"false\">{}<p class=\"actions\"><button name=\"decision\" \
         value=\"look\">Continue</button></p></form>",
        escaped(code),
        shown_by(proof),
    );
    match proof {
        Proof::Session { person, .. } => {
            let _ = write!(out, "<p class=\"hint\">You are signed in as <b>{}</b>.</p>", escaped(person));
        }
        Proof::Token { .. } => out.push_str(&elsewhere(code, proof)),
    }
    out
}

/// The second page: what asks for what, and two buttons.
///
/// Whoever is led here by somebody else's link approves somebody else's login: the page says so first (RFC 8628,
/// section 5.4).
fn deciding(code: &str, waiting: &WaitingLogin, proof: &Proof, now: Timestamp) -> String {
    let ago = now.since(waiting.requested_at).as_secs() / 60;
    let left = waiting.expires_at.since(now).as_secs().div_ceil(60);
    let name = match proof {
        Proof::Session { person, .. } => format!("<b>{}</b>, who is signed in here", escaped(person)),
        Proof::Token { .. } => "the owner of the token below".to_owned(),
    };
    let ago = match ago {
        0 => "just now".to_owned(),
        ago => format!("{} ago", minutes(ago)),
    };
    format!(
        "<p class=\"told warn\"><b>Approve only what you have just started yourself.</b> If a link or a code was sent to \
         you, by mail, in a chat or on the telephone, deny it: whoever sent it would act in your name.</p>\
         <dl class=\"facts\"><div><dt>Program</dt><dd><b>{client}</b><br><span class=\"hint\">So it calls itself; nobody has \
         checked it.</span></dd></div>\
         <div><dt>Code</dt><dd><span class=\"code\">{code}</span><br><span class=\"hint\">The program must show the same \
         one.</span></dd></div>\
         <div><dt>Asked</dt><dd>{ago}, at {since} UTC</dd></div>\
         <div><dt>Open until</dt><dd>{until} UTC, {left} from now</dd></div>\
         <div><dt>In the name of</dt><dd>{name}</dd></div></dl>\
         <section><h2>What it will be able to do</h2>{extent}</section>\
         <section><form method=\"post\" action=\"/activate\" autocomplete=\"off\" class=\"stack\"><input type=\"hidden\" \
         name=\"user_code\" value=\"{code}\">{field}<div class=\"actions\">{DECIDE}</div></form>{elsewhere}</section>",
        client = escaped(waiting.client.as_str()),
        code = escaped(code),
        since = time_of(waiting.requested_at),
        until = time_of(waiting.expires_at),
        left = minutes(left),
        extent = extent(&waiting.restrictions, proof),
        field = shown_by(proof),
        elsewhere = elsewhere(code, proof),
    )
}

fn minutes(count: u64) -> String {
    if count == 1 { "1 minute".to_owned() } else { format!("{count} minutes") }
}

/// The time of day, to the minute.
fn time_of(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..16).unwrap_or(&text).to_owned()
}

/// Where a form shows who decides.
fn shown_by(proof: &Proof) -> &str {
    match proof {
        Proof::Session { field, .. } => field,
        Proof::Token { .. } => {
            "<label for=\"token\">Your personal token</label><input id=\"token\" type=\"password\" name=\"token\" required \
             autocomplete=\"current-password\">"
        }
    }
}

/// The way to sign in instead of showing a token.
fn elsewhere(code: &str, proof: &Proof) -> String {
    let Proof::Token { sign_in: true } = proof else { return String::new() };
    let here = if code.is_empty() { "/activate".to_owned() } else { format!("/activate?user_code={code}") };
    format!("<p>Or <a href=\"{}\">sign in</a>.</p>", escaped(&Sessions::sign_in_at(&here)))
}

/// What a login may do, in words.
fn extent(restrictions: &[Restriction], proof: &Proof) -> String {
    let whoever = match proof {
        Proof::Session { .. } => "you",
        Proof::Token { .. } => "the token below",
    };
    let mut out = if restrictions.is_empty() {
        format!(
            "<p>Whatever {whoever} may, in every organization: fetch and store entries, and where that is given, manage \
             tokens, members and settings.</p>"
        )
    } else {
        let actions = limit_of(restrictions);
        let mut list = format!("<p>Of what {whoever} may, at most this:</p><ul>");
        for action in actions.iter() {
            let _ = write!(list, "<li>{} (<code>{}</code>)</li>", in_words(action), action.as_str());
        }
        if actions.is_empty() {
            list.push_str("<li>nothing at all</li>");
        }
        list.push_str("</ul>");
        list.extend(restrictions.iter().filter_map(place));
        list
    };
    if limit_of(restrictions).contains(Action::Write) {
        out.push_str(
            "<p>What it stores goes into the lane that each workspace keeps for people: <code>dev</code>, which no build of \
             <code>main</code> or <code>release</code> reads, unless its settings say <code>main</code>.</p>",
        );
    }
    let days = REFRESH_LIFE.as_secs() / (24 * 60 * 60);
    let _ = write!(
        out,
        "<p>It stays logged in until it logs out, renews nothing for {days} days, or somebody takes the login back.</p>"
    );
    out
}

/// Where a login may act, if it is not everywhere.
fn place(restriction: &Restriction) -> Option<String> {
    let ids = match restriction {
        Restriction::Actions(_) => return None,
        Restriction::Until(until) => return Some(format!("<p>It ends at {until} at the latest.</p>")),
        Restriction::Organization(id) => format!("in the organization <code>{id}</code>"),
        Restriction::Workspaces(ids) => {
            let ids: Vec<_> = ids.iter().map(|id| format!("<code>{id}</code>")).collect();
            format!("in these workspaces: {}", ids.join(", "))
        }
        Restriction::Releases { workspace, requirement } => format!(
            "with releases <code>{}</code> of the workspace <code>{workspace}</code>",
            escaped(&requirement.to_string())
        ),
        Restriction::Closure { workspace, .. } => {
            format!("with what one release of the workspace <code>{workspace}</code> needs")
        }
    };
    Some(format!("<p>Only {ids}.</p>"))
}

const fn in_words(action: Action) -> &'static str {
    match action {
        Action::Resolve => "find out which releases there are, and what they stand for",
        Action::Read => "fetch stored entries",
        Action::Write => "store new entries",
        Action::Replace => "overwrite entries",
        Action::Delete => "remove entries",
        Action::Administer => "manage tokens, members, settings, rules and locks",
        Action::Publish => "publish and withdraw releases",
        Action::Provision => "say who belongs to an organization, and who has left",
    }
}

fn approved(waiting: &WaitingLogin, proof: &Proof, account: Option<&str>) -> String {
    let name = match proof {
        Proof::Session { person, .. } => format!("as <b>{}</b>", escaped(person)),
        Proof::Token { .. } => "in the name of the token's owner".to_owned(),
    };
    let place = match account {
        Some(path) => format!(
            "open <a href=\"{}\">your account</a> and revoke it under <i>Terminals and jobs</i>",
            escaped(path)
        ),
        None => "revoke it among your tokens".to_owned(),
    };
    format!(
        "<p class=\"told good\" role=\"status\"><b>{}</b> is now logged in {name}.</p><p>Go back to it: it goes on by itself \
         within seconds.</p><p>To take the login back, log out there, or {place}: it is refused at once.</p>",
        escaped(waiting.client.as_str()),
    )
}

fn denied(waiting: &WaitingLogin) -> String {
    format!(
        "<p class=\"told\" role=\"status\"><b>{}</b> gets nothing, and its code is used up.</p><p>If you did not start it, \
         somebody tried to log in in your name: tell whoever administers your organization how the code reached you.</p>",
        escaped(waiting.client.as_str()),
    )
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
        let code = "\"><img src=x onerror='x'>";
        let proof = Proof::Token { sign_in: true };
        let named = Proof::Session { field: String::new(), person: "<script>x</script>".to_owned() };
        for text in [
            asking(code, &proof),
            deciding(code, &waiting, &proof, Timestamp::MIN),
            deciding(code, &waiting, &named, Timestamp::MIN),
            approved(&waiting, &named, Some("/account")),
            denied(&waiting),
        ] {
            assert!(
                !text.contains("<script") && !text.contains("<img") && !text.contains("value=\"\""),
                "{text}"
            );
        }
    }
}
