//! Who sends a request: a public client, of which nothing is believed, or a registered service.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, header};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::failure::Failure;
use super::form::Form;
use crate::urlencoded::decoded;

/// The longest header with a service's secret that is looked at, in bytes.
const LONGEST: usize = 1024;

/// A service that may ask what a token is (RFC 7662), told of those that are for it.
#[derive(Clone)]
pub struct Service {
    name: String,
    audience: String,
    secret: [u8; 32],
}

impl Service {
    /// A service of this name, its `client_id`, for tokens of this audience: that of a service that the gate makes
    /// sessions for, or the gate's own issuer. Of its secret, 256 random bits in any spelling, the SHA-256 is kept.
    pub fn new(name: &str, audience: &str, secret_sha256: [u8; 32]) -> Self {
        Self { name: name.to_owned(), audience: audience.to_owned(), secret: secret_sha256 }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The audience of the tokens that it is told of.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    fn has_secret(&self, text: &str) -> bool {
        let of = |text: &str| digest(&SHA256, text.as_bytes());
        // Some clients escape what they send (RFC 6749, section 2.3.1), some do not.
        let escaped = decoded(text).is_some_and(|text| of(&text).as_ref().ct_eq(&self.secret).into());
        escaped | bool::from(of(text).as_ref().ct_eq(&self.secret))
    }
}

/// Without the digest: a secret that people chose could be guessed from it.
impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// The service that authenticates itself, by `Basic` or in the body; `None` for a public client, whose `client_id` is a
/// name and nothing more.
pub(super) fn service<'s>(
    services: &'s [Service],
    headers: &HeaderMap,
    form: &Form,
) -> Result<Option<&'s Service>, Failure> {
    let header = authorization(headers)?;
    let secret = form.get("client_secret");
    let (name, secret) = match (header, secret) {
        (None, None) => return Ok(None),
        (None, Some(secret)) => (form.required("client_id")?.to_owned(), secret.to_owned()),
        (Some(_), Some(_)) => return Err(Failure::request("a client authenticates itself in one way")),
        (Some(value), None) => {
            let (scheme, encoded) = value.split_once(' ').unwrap_or((value, ""));
            if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > LONGEST {
                return Err(Failure::client());
            }
            let text =
                BASE64_STANDARD.decode(encoded.trim()).ok().and_then(|text| String::from_utf8(text).ok());
            let (name, secret) = text
                .as_deref()
                .and_then(|text| text.split_once(':'))
                .and_then(|(name, secret)| Some((decoded(name)?, secret.to_owned())))
                .ok_or_else(Failure::client)?;
            if form.get("client_id").is_some_and(|other| other != name) {
                return Err(Failure::request("`client_id` is not the client that authenticates itself"));
            }
            (name, secret)
        }
    };
    let known = services.iter().find(|service| service.name == name && service.has_secret(&secret));
    known.map(Some).ok_or_else(Failure::client)
}

/// The one `Authorization` header.
pub(super) fn authorization(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Failure::client()),
        (Some(_), Some(_)) => Err(Failure::request("a client authenticates itself in one way")),
    }
}
