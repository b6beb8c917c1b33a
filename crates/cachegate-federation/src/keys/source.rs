//! Asking an issuer for its keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cachegate_fetch::{Fetch, Limits, Request, Response, Url, UrlError};
use cachegate_jwt::{Algorithm, KeySet};
use serde::Deserialize;

use super::RefreshError;
use crate::{Anchor, KeySource, Platform};

/// Where one anchor's keys are, and by what they are judged.
#[derive(Clone, Debug)]
pub(super) struct Source {
    place: Place,
    /// Hosts beside the issuer's own where its keys may lie.
    key_hosts: BTreeSet<String>,
    algorithms: Vec<Algorithm>,
}

#[derive(Clone, Debug)]
enum Place {
    Discovery { document: Url, issuer: String },
    Keys(Url),
}

/// What a refresh brought.
#[derive(Debug)]
pub(super) struct Obtained {
    pub(super) keys: Arc<KeySet>,
    /// Where the keys were.
    pub(super) place: Url,
    /// Whether the discovery document was read, or what it said before was taken.
    pub(super) discovered: bool,
    /// For how long HTTP says that they are fresh.
    pub(super) fresh_for: Option<Duration>,
}

/// OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2. A member that comes twice is an error.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Document {
    fn read(bytes: &[u8]) -> Option<Self> {
        // A list of two texts would be read as well.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }
}

impl Source {
    /// `None` for keys that are at hand.
    pub(super) fn new(anchor: &Anchor) -> Result<Option<Self>, UrlError> {
        let place = match anchor.keys() {
            KeySource::Discovery { url, issuer } => {
                Place::Discovery { document: address(url)?, issuer: issuer.clone() }
            }
            KeySource::Url(url) => Place::Keys(address(url)?),
            KeySource::Inline(_) => return Ok(None),
        };
        let own = own_key_hosts(anchor.platform()).iter().map(|host| (*host).to_owned());
        let key_hosts = own.chain(anchor.key_hosts().iter().map(|host| host.to_ascii_lowercase())).collect();
        Ok(Some(Self { place, key_hosts, algorithms: anchor.algorithms().to_vec() }))
    }

    /// Fetches the keys; `known` is where they were before, if that may be relied on.
    pub(super) async fn obtain(
        &self,
        fetch: &dyn Fetch,
        known: Option<Url>,
        time: Duration,
    ) -> Result<Obtained, RefreshError> {
        let limits = Limits { time, body: KeySet::MAX_BYTES };
        let (place, discovered) = match (&self.place, known) {
            (Place::Keys(url), _) => (url.clone(), false),
            (Place::Discovery { .. }, Some(known)) => (known, false),
            (Place::Discovery { document, issuer }, None) => {
                (self.discover(fetch, document, issuer, limits).await?, true)
            }
        };
        let response = get(fetch, &place, limits).await?;
        let url = || place.to_string();
        let keys = KeySet::from_jwks_for(response.body(), &self.algorithms)
            .map_err(|source| RefreshError::KeySet { url: url(), source })?;
        if keys.is_empty() {
            return Err(RefreshError::NoUsableKey { url: url() });
        }
        Ok(Obtained { keys: Arc::new(keys), fresh_for: fresh_for(&response), place, discovered })
    }

    async fn discover(
        &self,
        fetch: &dyn Fetch,
        document: &Url,
        issuer: &str,
        limits: Limits,
    ) -> Result<Url, RefreshError> {
        let response = match (get(fetch, document, limits).await, by_rfc_8414(document)) {
            (Err(RefreshError::Status { status: 404, .. }), Some(other)) => {
                get(fetch, &other, limits).await?
            }
            (response, _) => response?,
        };
        let found = Document::read(response.body())
            .ok_or_else(|| RefreshError::NotDiscovery { url: document.to_string() })?;
        if found.issuer != issuer {
            return Err(RefreshError::IssuerMismatch { expected: issuer.to_owned() });
        }
        // Plain HTTP is accepted from an issuer on the loopback alone, and only for that same issuer.
        let keys = match document.is_https() {
            true => found.jwks_uri.parse(),
            false => Url::dangerous_parse_with_loopback_http(&found.jwks_uri),
        };
        keys.ok()
            .filter(|keys: &Url| keys.same_origin(document) || self.is_key_host(keys))
            .ok_or_else(|| RefreshError::KeysElsewhere { issuer: issuer.to_owned() })
    }

    fn is_key_host(&self, keys: &Url) -> bool {
        keys.is_https() && keys.port() == 443 && self.key_hosts.contains(keys.host())
    }
}

/// Further hosts of the platform itself, where its own discovery documents say that the keys are: those of
/// `accounts.google.com` at Google's, those of `sts.windows.net` at Microsoft's.
fn own_key_hosts(platform: Platform) -> &'static [&'static str] {
    if platform == Platform::GoogleComputeEngine {
        &["www.googleapis.com"]
    } else if platform == Platform::EntraId {
        &["login.microsoftonline.com", "login.windows.net"]
    } else {
        &[]
    }
}

/// The configuration has settled that plain HTTP leads to the loopback alone.
fn address(url: &str) -> Result<Url, UrlError> {
    Url::dangerous_parse_with_loopback_http(url)
}

/// Where RFC 8414, section 3.1, puts the document of an issuer that has a path: before the path, not after it.
fn by_rfc_8414(document: &Url) -> Option<Url> {
    let path = document.path().strip_suffix("/.well-known/openid-configuration")?;
    document.with_path(&format!("/.well-known/oauth-authorization-server{path}")).ok()
}

async fn get(fetch: &dyn Fetch, url: &Url, limits: Limits) -> Result<Response, RefreshError> {
    let response = fetch
        .fetch(&Request::get(url.clone()).with_limits(limits))
        .await
        .map_err(|source| RefreshError::Fetch { url: url.to_string(), source })?;
    match response.status() {
        200 => Ok(response),
        status => Err(RefreshError::Status { url: url.to_string(), status }),
    }
}

/// What is left of `max-age` (RFC 9111, sections 4.2 and 5.2.2.1); nothing where the response must not be stored.
fn fresh_for(response: &Response) -> Option<Duration> {
    let mut age = None;
    for directive in response.header("cache-control")?.split(',') {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        if name.eq_ignore_ascii_case("max-age") {
            age = value.trim_matches('"').parse::<u64>().ok();
        } else if name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store") {
            return Some(Duration::ZERO);
        }
    }
    let spent = response.header("age").and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    age.map(|age| Duration::from_secs(age.saturating_sub(spent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8414_puts_the_well_known_part_before_the_path() {
        let at = |text: &str| by_rfc_8414(&text.parse().unwrap()).map(|url| url.to_string());
        assert_eq!(
            at("https://a.example/t/1/.well-known/openid-configuration").unwrap(),
            "https://a.example/.well-known/oauth-authorization-server/t/1"
        );
        assert_eq!(
            at("https://a.example:8443/.well-known/openid-configuration").unwrap(),
            "https://a.example:8443/.well-known/oauth-authorization-server"
        );
        assert_eq!(at("https://a.example/keys"), None);
    }

    #[test]
    fn freshness_is_what_is_left_of_max_age() {
        let of = |control: &str, age: &str| {
            let response = Response::new(200, "").with_header("Cache-Control", control);
            fresh_for(&response.with_header("Age", age)).map(|left| left.as_secs())
        };
        assert_eq!(of("public, Max-Age=600, must-revalidate", "0"), Some(600));
        assert_eq!(of("max-age=\"600\"", "100"), Some(500));
        assert_eq!(of("max-age=600", "700"), Some(0));
        assert_eq!(of("no-store, max-age=600", "0"), Some(0));
        assert_eq!(of("max-age=-1", "x"), None);
        assert_eq!(of("public", "0"), None);
        assert_eq!(fresh_for(&Response::new(200, "")), None);
    }
}
