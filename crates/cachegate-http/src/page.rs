//! Plain pages for people, without scripts: one style, and a policy that lets nothing else in.

use std::sync::LazyLock;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cachegate::{Gate, ManageError};
use cachegate_types::Timestamp;
use http::{HeaderValue, Response, header};
use ring::digest::{SHA256, digest};

use crate::browser::BrowserSession;

/// The look of every page for people: colours, light and dark, type, fields, buttons, what is told, where the focus is,
/// and the bar with the name. Whoever serves pages beside these puts their own rules behind it.
pub const STYLE: &str = include_str!("page.css");

/// How the policy names the style: by its SHA-256.
static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()))));

/// A page. Title and body are markup: what a stranger wrote is [`escaped`] in them.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} · cachegate</title><style>{STYLE}</style></head>\
         <body><header class=\"bar\"><span class=\"brand\">cachegate</span></header>\
         <main id=\"main\" class=\"alone\"><h1>{title}</h1>{body}</main></body></html>"
    )
}

/// The buttons of who is asked.
pub(crate) const DECIDE: &str = "<button name=\"decision\" value=\"approve\" class=\"large\">Approve</button>\
                                 <button name=\"decision\" value=\"deny\" class=\"large danger\">Deny</button>";

/// The last page of something: how it ended, and what one may do now.
pub(crate) fn ended(title: &str, body: &str) -> String {
    document(title, &format!("{body}<p class=\"hint\">You can close this page.</p>"))
}

/// What somebody is told before anything else: a message, as a sentence.
pub(crate) fn told(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = letters.as_str();
    let end = if rest.ends_with('.') { "" } else { "." };
    format!("<p class=\"told bad\" role=\"alert\">{}{}{end}</p>", escaped(&first), escaped(rest))
}

/// What people call whoever is signed in.
pub(crate) async fn name_of(
    gate: &Gate,
    session: &BrowserSession,
    now: Timestamp,
) -> Result<String, ManageError> {
    let person = gate.person(session.authentication(), now).await?;
    let name = person.map(|person| person.display.as_str().to_owned()).filter(|name| !name.is_empty());
    Ok(name.unwrap_or_else(|| "somebody without a name".to_owned()))
}

/// A text inside an element or between double quotes.
pub(crate) fn escaped(text: &str) -> String {
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

/// The answer with this page, whose forms lead nowhere but here.
pub(crate) fn html(text: String) -> Response<Body> {
    html_leading_to(text, "'self'")
}

/// The same with forms that lead to these places, redirects included.
pub(crate) fn html_leading_to(text: String, places: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    let policy = format!(
        "default-src 'none'; style-src {}; form-action {places}; frame-ancestors 'none'; \
         base-uri 'none'",
        *STYLE_HASH,
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
    use super::*;

    #[test]
    fn the_policy_allows_the_one_style_that_there_is() {
        let page = html(document("A page", ""));
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("a text").to_owned();
        let text = document("A page", "");
        let style = text.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next());
        let hash = BASE64_STANDARD.encode(digest(&SHA256, style.expect("a style").as_bytes()));
        assert!(policy.contains(&format!("style-src 'sha256-{hash}';")), "{policy}");
        // What a browser reads otherwise than it is written would have another digest; what is loaded is refused.
        assert!(STYLE.is_ascii() && !STYLE.contains(['<', '\r', '\0']) && !STYLE.contains("url("));
    }
}
