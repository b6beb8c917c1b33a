//! `/activate`: the page where a person approves a waiting terminal (RFC 8628, section 3.3), without scripts.
//!
//! The person shows a token of theirs, in a password field or as `Bearer`, and never in a URL. No cookie stands for
//! anybody here, so that no other site's form can approve in somebody's name; one is refused all the same.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use cachegate::{Authentication, Authority, Credential, DeviceLoginError, IssueError, WaitingLogin};
use cachegate_types::{Principal, Restriction, Timestamp};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::client::authorization;
use super::failure::Failure;
use super::form::Form;
use super::token::{limit_of, to_scope};
use super::{App, answer};
use crate::refuse_credential_in_url;

/// How many wrong codes one person may name, and within which time (RFC 8628, section 5.1).
pub(super) const GUESSES: (u32, Duration) = (10, Duration::from_secs(15 * 60));

/// The longest code that is shown again: ten letters, however they are grouped.
const LONGEST_CODE: usize = 20;

/// The page's one style. `STYLE_HASH` is its SHA-256.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:3rem auto;max-width:28rem;padding:0 1rem}\
label,input{display:block;width:100%;box-sizing:border-box}input{font:inherit;padding:.4rem;margin:.2rem 0 1rem}\
button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}.told{border-left:.25rem solid;padding-left:.75rem}";
const STYLE_HASH: &str = "FAFV+u+VrG0fuPysrVJ3SbvBkvY5i2Q7La4mZrwocBk=";

/// What a person did.
enum Done {
    Looked(WaitingLogin),
    Approved,
    Denied,
}

/// The empty form, or one with the code of a link already in it. Nothing is looked up: a link tells nobody anything.
pub(super) fn page(app: &App, request: &Request) -> Response<Body> {
    let uri = request.uri();
    if let Err(error) = refuse_credential_in_url(uri, app.gate.brand()) {
        return refused(&Failure::credential(&error, "invalid_request"), "");
    }
    let query = Form::read(uri.query().unwrap_or_default());
    let code = query.as_ref().map(repeatable).unwrap_or_default();
    html(&document("Approve a login", "", &form(code, None)))
}

/// A person decides, or looks first.
pub(super) async fn decide(app: &App, request: Request) -> Response<Body> {
    let as_json = accepts_json(request.headers());
    let (code, done) = match read(app, request).await {
        Ok((form, parts)) => {
            let code = repeatable(&form).to_owned();
            (code, act(app, &parts.headers, &form, (app.clock)()).await)
        }
        Err(failure) => (String::new(), Err(failure)),
    };
    match (done, as_json) {
        (Err(failure), true) => failure.into_response(),
        (Err(failure), false) => refused(&failure, &code),
        (Ok(Done::Looked(waiting)), true) => answer(&json!({
            "client": waiting.client.as_str(),
            "requested_at": waiting.requested_at.as_unix_seconds(),
            "expires_at": waiting.expires_at.as_unix_seconds(),
            "scope": to_scope(limit_of(&waiting.restrictions)),
        })),
        (Ok(Done::Approved), true) => answer(&json!({ "decision": "approved" })),
        (Ok(Done::Denied), true) => answer(&json!({ "decision": "denied" })),
        (Ok(Done::Looked(waiting)), false) => {
            html(&document("Approve this login?", "", &form(&code, Some(&waiting))))
        }
        (Ok(Done::Approved), false) => {
            html(&document("Approved", "<p>The terminal is logged in. You can close this page.</p>", ""))
        }
        (Ok(Done::Denied), false) => {
            html(&document("Denied", "<p>The terminal gets nothing. You can close this page.</p>", ""))
        }
    }
}

async fn read(app: &App, request: Request) -> Result<(Form, Parts), Failure> {
    same_origin(app, request.headers())?;
    let (parts, form) = Form::of(app, request).await?;
    Ok((form, parts))
}

async fn act(app: &App, headers: &HeaderMap, form: &Form, now: Timestamp) -> Result<Done, Failure> {
    let code = form.required("user_code")?;
    let decision = form.get("decision").unwrap_or("look");
    let who = person(app, headers, form, now).await?;
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

/// A form of another site's is refused by what browsers say of its origin.
fn same_origin(app: &App, headers: &HeaderMap) -> Result<(), Failure> {
    let origin = headers.get_all(header::ORIGIN).iter().all(|value| value == app.gate.issuer());
    let site =
        headers.get_all("sec-fetch-site").iter().all(|value| value == "same-origin" || value == "none");
    if origin && site {
        return Ok(());
    }
    let text = format!("this form is sent from {}/activate alone", app.gate.issuer());
    Err(Failure::new(StatusCode::FORBIDDEN, "access_denied", text).because("another_origin"))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| one.split(';').next().unwrap_or_default().trim() == "application/json")
}

fn refused(failure: &Failure, code: &str) -> Response<Body> {
    let told = format!("<p class=\"told\" role=\"alert\">{}</p>", escaped(&failure.text()));
    let mut response = html(&document("Approve a login", &told, &form(code, None)));
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

fn form(code: &str, waiting: Option<&WaitingLogin>) -> String {
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
            extent(&waiting.restrictions),
        ),
    };
    out.push_str(
        "<label>Your personal token<input type=\"password\" name=\"token\" required \
         autocomplete=\"current-password\"></label>",
    );
    out.push_str(match waiting {
        None => "<button name=\"decision\" value=\"look\">Continue</button>",
        Some(_) => {
            "<button name=\"decision\" value=\"approve\">Approve</button>\
             <button name=\"decision\" value=\"deny\">Deny</button>"
        }
    });
    out.push_str("</form>");
    out
}

/// What a login may do, in words.
fn extent(restrictions: &[Restriction]) -> String {
    if restrictions.is_empty() {
        return "do whatever the token below may".to_owned();
    }
    let more = restrictions.iter().any(|one| !matches!(one, Restriction::Actions(_)));
    let places = if more { ", in places that the terminal named" } else { "" };
    let actions = to_scope(limit_of(restrictions));
    format!("do at most this of what the token below may: {}{places}", escaped(&actions))
}

fn document(title: &str, told: &str, form: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{told}{form}</main></body></html>"
    )
}

/// A text inside an element or between double quotes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
        out
    })
}

fn html(text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    let headers = response.headers_mut();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` a browser would send its own form with the origin `null`.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use ring::digest::{SHA256, digest};

    use super::*;

    #[test]
    fn the_policy_allows_the_one_style_that_there_is() {
        assert_eq!(BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes())), STYLE_HASH);
    }

    #[test]
    fn nothing_that_a_stranger_wrote_is_markup() {
        let waiting = WaitingLogin {
            client: "<script>x</script>".parse().expect("a description"),
            requested_at: Timestamp::MIN,
            expires_at: Timestamp::MAX,
            restrictions: Vec::new(),
        };
        let text = form("\"><img src=x onerror='x'>", Some(&waiting));
        assert!(
            !text.contains("<script") && !text.contains("<img") && !text.contains("value=\"\""),
            "{text}"
        );
    }
}
