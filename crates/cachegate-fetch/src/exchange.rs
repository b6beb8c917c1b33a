//! A request, its limits, a response, and the trait that takes one to the other.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use cachegate_types::SecretText;

use crate::{FetchError, Url};

/// Something that fetches documents.
///
/// An implementation keeps the request's [`Limits`] itself: callers know no clock to cut it short with. It follows
/// no redirect: that is an answer like another, for the caller to refuse. It decodes no body.
#[async_trait]
pub trait Fetch: Send + Sync + fmt::Debug {
    /// Sends the request once and reads the whole response, whatever its status. Nothing is sent twice.
    ///
    /// # Errors
    ///
    /// [`FetchError`] when there is no whole response within the limits. Whether the request reached its target is
    /// then unknown, unless the error says that nothing was sent.
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError>;
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Read a document.
    Get,
    /// Hand over a body.
    Post,
}

/// What a request may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From the look-up of the host's name to the last byte of the body.
    pub time: Duration,
    /// The largest body that is read, in bytes.
    pub body: usize,
}

/// Five seconds and 256 KiB: what a key set needs, with room to spare.
impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(5), body: 256 * 1024 }
    }
}

/// One request. Its headers and its body may be secret and show in no `Debug`.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: Vec<(&'static str, SecretText)>,
    body: Option<SecretText>,
    limits: Limits,
}

impl Request {
    /// Reads the document at this address.
    pub fn get(url: Url) -> Self {
        Self { method: Method::Get, url, headers: Vec::new(), body: None, limits: Limits::default() }
    }

    /// Hands over a form (`application/x-www-form-urlencoded`), as OAuth's token endpoints take it.
    pub fn post_form(url: Url, fields: &[(&str, &str)]) -> Self {
        let length = fields.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
        // Never grown: what is left behind by growing would not be wiped.
        let mut body = String::with_capacity(length);
        for (name, value) in fields {
            if !body.is_empty() {
                body.push('&');
            }
            push_form_encoded(&mut body, name);
            body.push('=');
            push_form_encoded(&mut body, value);
        }
        Self::post(url, "application/x-www-form-urlencoded", SecretText::new(body))
    }

    /// Hands over a body of this type.
    pub fn post(url: Url, content_type: &'static str, body: SecretText) -> Self {
        let request = Self { method: Method::Post, body: Some(body), ..Self::get(url) };
        request.with_header("content-type", SecretText::new(content_type.to_owned()))
    }

    /// With a header more. `host`, `content-length`, `accept-encoding` and `connection` are the implementation's.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: SecretText) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is asked for.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Where.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The headers, in order.
    pub fn headers(&self) -> &[(&'static str, SecretText)] {
        &self.headers
    }

    /// The body, where there is one.
    pub fn body(&self) -> Option<&SecretText> {
        self.body.as_ref()
    }

    /// What it may cost.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

/// Neither values of headers nor the body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &headers)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A whole response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// A response without headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// With a header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The status code. A redirect is one like others: it was not followed.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of this name, which is given in lower case. One that is no text is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The body, as it was sent.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Nothing of the body, which may be a token, nor of the headers.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}

/// The URL standard's serializer of forms: all but a few bytes as `%XX`, a blank as `+`.
fn push_form_encoded(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            _ => out.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        "https://a.example/token".parse().unwrap()
    }

    #[test]
    fn a_form_keeps_every_byte_apart() {
        let request =
            Request::post_form(url(), &[("grant_type", "a:b"), ("x&y", "1=2 3+4%\u{e4}\n"), ("empty", "")]);
        let body = request.body().unwrap().expose_secret();
        assert_eq!(body, "grant_type=a%3Ab&x%26y=1%3D2+3%2B4%25%C3%A4%0A&empty=");
        assert_eq!(request.headers()[0].1.expose_secret(), "application/x-www-form-urlencoded");
    }

    #[test]
    fn debug_shows_no_secret() {
        let request = Request::post_form(url(), &[("code", "canary")])
            .with_header("authorization", SecretText::new("Bearer canary".to_owned()));
        let response = Response::new(200, "canary").with_header("Set-Cookie", "canary");
        assert_eq!(response.header("set-cookie"), Some("canary"));
        let shown = format!("{request:?} {request:#?} {response:?} {response:#?}");
        assert!(!shown.contains("canary") && shown.contains("authorization"), "{shown}");
    }
}
