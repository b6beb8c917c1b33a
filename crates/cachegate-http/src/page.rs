//! Plain pages for people, without scripts: one style, and a policy that lets nothing else in.

use axum::body::Body;
use http::{HeaderValue, Response, header};

/// The pages' one style. `STYLE_HASH` is its SHA-256.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:3rem auto;max-width:28rem;padding:0 1rem}\
label,input{display:block;width:100%;box-sizing:border-box}input{font:inherit;padding:.4rem;margin:.2rem 0 1rem}\
button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}.told{border-left:.25rem solid;padding-left:.75rem}";
const STYLE_HASH: &str = "FAFV+u+VrG0fuPysrVJ3SbvBkvY5i2Q7La4mZrwocBk=";

/// A page. Title and body are markup: what a stranger wrote is [`escaped`] in them.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    )
}

/// What somebody is told before anything else.
pub(crate) fn told(text: &str) -> String {
    format!("<p class=\"told\" role=\"alert\">{}</p>", escaped(text))
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
        "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action {places}; frame-ancestors 'none'; \
         base-uri 'none'"
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
}
