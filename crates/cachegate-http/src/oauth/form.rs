//! A request's parameters, each at most once (RFC 6749, section 3.2).

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use http::request::Parts;
use http::{StatusCode, header};

use cachegate_token::Brand;

use super::failure::Failure;
use crate::refuse_credential_in_url;
use crate::urlencoded::decoded;

/// The longest body that is read, in bytes: two of the longest tokens, escaped, fit.
const LONGEST_BODY: usize = 48 * 1024;

/// The most parameters that one request has.
const MOST: usize = 32;

/// The parameters of a request. Without `Debug`: tokens are among them.
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads a request to an endpoint: what it says is in its body alone.
    pub(crate) async fn of(brand: &Brand, request: Request) -> Result<(Parts, Self), Failure> {
        let (parts, body) = request.into_parts();
        refuse_credential_in_url(&parts.uri, brand)
            .map_err(|error| Failure::credential(&error, "invalid_request"))?;
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(Failure::request("parameters are sent in the body, not in the URL"));
        }
        let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Failure::request("the body must be `application/x-www-form-urlencoded`"));
        }
        let body = bytes(body, LONGEST_BODY).await?;
        let text = std::str::from_utf8(&body).map_err(|_| Failure::request("the body is no form"))?;
        Ok((parts, Self::read(text)?))
    }

    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let mut form = Self { pairs: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let broken = || Failure::request("the body is no form: an escape is broken");
            let (name, value) = (decoded(name).ok_or_else(broken)?, decoded(value).ok_or_else(broken)?);
            if form.pairs.iter().any(|(known, _)| *known == name) {
                return Err(Failure::request("a parameter stands twice"));
            }
            if form.pairs.len() >= MOST {
                return Err(Failure::request("a request has at most 32 parameters"));
            }
            form.pairs.push((name, value));
        }
        Ok(form)
    }

    /// A parameter. One without a value counts as one that is not there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| Failure::request(format!("`{name}` is missing")))
    }
}

/// A body of at most so many bytes.
pub(crate) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Failure> {
    to_bytes(body, limit).await.map_err(|_| {
        let text = format!("a body is at most {limit} bytes long here, and comes whole");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", text).because("body_too_large")
    })
}
