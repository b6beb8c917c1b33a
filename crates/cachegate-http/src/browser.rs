//! Who sits at a browser: the cookie of a signed-in person, and forms that no other site can send in their name.
//!
//! ```
//! use cachegate::Unavailable;
//! use cachegate_http::browser::Sessions;
//! use cachegate_types::Timestamp;
//! use http::HeaderMap;
//!
//! async fn greeting(sessions: &Sessions, headers: &HeaderMap, now: Timestamp) -> Result<String, Unavailable> {
//!     Ok(match sessions.find(headers, now).await? {
//!         Some(session) => format!("signed in as {:?}", session.authentication().principal()),
//!         None => format!("<a href=\"{}\">Sign in</a>", Sessions::sign_in_at("/acme/settings")),
//!     })
//! }
//! ```
//!
//! A session is a row of the store like any token's: listed, revoked and ended with its person as they are, and asked for
//! with every request. The cookie holds its secret, of which the store has a digest; it is no credential of the API.
//!
//! Where the gate is reached without encryption elsewhere than on the loopback, nobody is signed in.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cachegate::{
    AuthenticateError, Authentication, Authority, BROWSER_SESSION_LIFE, Credential, Gate, Issued,
    ManageError, Unavailable,
};
use cachegate_types::{Timestamp, TokenId};
use http::{HeaderMap, HeaderValue, header};
use ring::hmac;
use subtle::ConstantTimeEq as _;

/// The name of the parameter that every form carries: [`BrowserSession::form_field`] writes it.
pub const FORM_TOKEN: &str = "form_token";

const SESSION: &str = "cachegate-session";

/// The browser sessions of one gate, at the address that the gate's issuer is.
#[derive(Clone, Debug)]
pub struct Sessions {
    gate: Gate,
    reached: Reached,
}

/// How browsers reach the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reached {
    Encrypted,
    Loopback,
    Open,
}

/// Somebody who is signed in.
pub struct BrowserSession {
    who: Authentication,
    id: TokenId,
    form_token: String,
}

/// A form that may come from elsewhere. Nothing was done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Forged {
    /// The browser says that another site sent it.
    #[error("this form is sent from {origin} alone")]
    Origin {
        /// The gate's own origin.
        origin: String,
    },
    /// It does not carry what only a page of this session has.
    #[error("this form does not belong to your session; open its page again")]
    Token,
}

impl Forged {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Origin { .. } => "another_origin",
            Self::Token => "form_token",
        }
    }
}

impl Sessions {
    /// The sessions of this gate.
    pub fn new(gate: Gate) -> Self {
        let reached = Reached::of(gate.issuer());
        Self { gate, reached }
    }

    /// Who sits at the browser that sends these headers; `None` where nobody is signed in, or no longer.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nobody knows.
    pub async fn find(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, Unavailable> {
        let Some(text) = self.reached.cookie(headers, SESSION) else { return Ok(None) };
        let Ok(credential) = Credential::parse(text, self.gate.brand()) else { return Ok(None) };
        match self.gate.browser_session(&credential, now).await {
            Ok(who) => Ok(who.token_id().map(|id| BrowserSession { who, id, form_token: form_token(text) })),
            Err(AuthenticateError::NotAuthenticated(_)) => Ok(None),
            Err(AuthenticateError::Unavailable(reason)) => Err(reason),
        }
    }

    /// The `Set-Cookie` of a session that [`Gate::begin_browser_session`] or [`Gate::exchange_for_browser_session`] began.
    ///
    /// `SameSite=Lax`: a provider sends the person back from its own pages, and a link into these pages finds them signed
    /// in. What changes something is sent by forms alone, which [`Sessions::check_form`] looks at.
    pub fn set_cookie(&self, session: &Issued) -> HeaderValue {
        self.reached.set(SESSION, session.token.expose_secret(), BROWSER_SESSION_LIFE.as_secs(), "Lax")
    }

    /// The `Set-Cookie` that takes the session's cookie away.
    pub fn clear_cookie(&self) -> HeaderValue {
        self.reached.set(SESSION, "", 0, "Lax")
    }

    /// Ends a session, everywhere and at once. The cookie is taken away by [`Sessions::clear_cookie`].
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn end(&self, session: &BrowserSession, now: Timestamp) -> Result<(), ManageError> {
        let reason = "signed out".parse().unwrap_or_default();
        self.gate.revoke(&Authority::Operator, session.id, reason, now).await.map(drop)
    }

    /// Whether a form was sent from a page of this session: what the browser says of its origin, and the token that
    /// [`BrowserSession::form_field`] put into it. Asked before anything else is done with a form.
    ///
    /// # Errors
    ///
    /// [`Forged`], to be answered by 403.
    pub fn check_form(
        &self,
        headers: &HeaderMap,
        session: &BrowserSession,
        token: Option<&str>,
    ) -> Result<(), Forged> {
        self.check_origin(headers)?;
        if is_form_token(&session.form_token, token) { Ok(()) } else { Err(Forged::Token) }
    }

    /// Where a person signs in to come back to this path.
    pub fn sign_in_at(return_to: &str) -> String {
        format!("/login?return_to={}", crate::urlencoded::encoded(return_to))
    }

    /// Whether browsers reach this gate in a way in which a cookie can be kept secret: over TLS, or on the loopback.
    pub fn is_safe(&self) -> bool {
        self.reached != Reached::Open
    }

    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Forged> {
        let issuer = self.gate.issuer();
        let origin = headers.get_all(header::ORIGIN).iter().all(|value| value == issuer);
        let own = |value: &HeaderValue| value == "same-origin" || value == "none";
        match origin && headers.get_all("sec-fetch-site").iter().all(own) {
            true => Ok(()),
            false => Err(Forged::Origin { origin: issuer.to_owned() }),
        }
    }

    #[cfg(feature = "login")]
    pub(crate) const fn reached(&self) -> Reached {
        self.reached
    }
}

impl BrowserSession {
    /// Who it is, for [`Gate::authorize`] and for [`Authority::Of`].
    pub fn authentication(&self) -> &Authentication {
        &self.who
    }

    /// The session's id, as lists of tokens show it.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What each form of this session carries as [`FORM_TOKEN`].
    pub fn form_token(&self) -> &str {
        &self.form_token
    }

    /// The same as a hidden field of a form.
    pub fn form_field(&self) -> String {
        form_field(&self.form_token)
    }
}

/// Without the form's token.
impl fmt::Debug for BrowserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserSession").field("who", &self.who).finish_non_exhaustive()
    }
}

impl Reached {
    fn of(issuer: &str) -> Self {
        if issuer.starts_with("https://") {
            return Self::Encrypted;
        }
        let authority = issuer.strip_prefix("http://").unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => authority.split(':').next(),
        };
        let host = host.unwrap_or_default();
        let address = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if address || host == "localhost" { Self::Loopback } else { Self::Open }
    }

    /// Where there is no encryption, browsers refuse the prefix that keeps every other host and every page that came
    /// without encryption from setting the cookie (RFC 6265bis, section 4.1.3.2).
    const fn prefix(self) -> &'static str {
        match self {
            Self::Encrypted => "__Host-",
            Self::Loopback | Self::Open => "",
        }
    }

    /// The value of the one cookie of this name. Of two, one was planted: none counts.
    pub(crate) fn cookie<'h>(self, headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
        if self == Self::Open {
            return None;
        }
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut values = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(found, _)| found.strip_prefix(self.prefix()) == Some(name))
            .map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    pub(crate) fn set(self, name: &str, value: &str, seconds: u64, same_site: &str) -> HeaderValue {
        let secure = if self == Self::Encrypted { "; Secure" } else { "" };
        let line = format!(
            "{}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}",
            self.prefix()
        );
        // All of it is letters, digits and punctuation.
        let mut line = HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("none"));
        line.set_sensitive(true);
        line
    }
}

/// What only whoever holds the cookie's value can know, and what does not tell it.
pub(crate) fn form_token(cookie: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"cachegate: a form of this browser"))
}

pub(crate) fn is_form_token(expected: &str, found: Option<&str>) -> bool {
    found.is_some_and(|found| expected.as_bytes().ct_eq(found.as_bytes()).into())
}

pub(crate) fn form_field(token: &str) -> String {
    format!("<input type=\"hidden\" name=\"{FORM_TOKEN}\" value=\"{token}\">")
}

/// A value for a cookie of a browser that nobody is signed in at.
#[cfg(feature = "login")]
pub(crate) fn random() -> Option<cachegate_types::SecretText> {
    let mut bytes = [0; 32];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut bytes).ok()?;
    Some(cachegate_types::SecretText::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_kept_from_scripts_other_hosts_and_open_wires() {
        let line =
            |issuer: &str| Reached::of(issuer).set(SESSION, "x", 5, "Lax").to_str().ok().map(str::to_owned);
        assert_eq!(
            line("https://cache.example").as_deref(),
            Some("__Host-cachegate-session=x; Path=/; Max-Age=5; HttpOnly; SameSite=Lax; Secure")
        );
        for loopback in
            ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:8080", "http://127.9.9.9"]
        {
            assert_eq!(Reached::of(loopback), Reached::Loopback, "{loopback}");
            assert_eq!(
                line(loopback).as_deref(),
                Some("cachegate-session=x; Path=/; Max-Age=5; HttpOnly; SameSite=Lax")
            );
        }
        for open in
            ["http://cache.example", "http://0.0.0.0:8080", "http://127.0.0.1.evil.example", "ftp://x"]
        {
            assert_eq!(Reached::of(open), Reached::Open, "{open}");
        }
    }

    #[test]
    fn a_planted_second_cookie_counts_as_none() {
        let of = |reached: Reached, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            reached.cookie(&headers, SESSION).map(str::to_owned)
        };
        let encrypted = |lines| of(Reached::Encrypted, lines);
        assert_eq!(encrypted(&["a=b; __Host-cachegate-session=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(encrypted(&["a=b", "__Host-cachegate-session=x"]).as_deref(), Some("x"));
        assert_eq!(encrypted(&["__Host-cachegate-session=x; __Host-cachegate-session=y"]), None);
        assert_eq!(encrypted(&["__Host-cachegate-session=x", "__Host-cachegate-session=x"]), None);
        assert_eq!(encrypted(&["cachegate-session=x; my__Host-cachegate-session=y"]), None);
        assert_eq!(of(Reached::Loopback, &["cachegate-session=x"]).as_deref(), Some("x"));
        assert_eq!(of(Reached::Open, &["cachegate-session=x"]), None);
    }

    #[test]
    fn a_form_belongs_to_one_cookie() {
        let (one, other) = (form_token("one"), form_token("other"));
        assert!(is_form_token(&one, Some(&one)));
        for wrong in [None, Some(""), Some(&*other), Some("one")] {
            assert!(!is_form_token(&one, wrong), "{wrong:?}");
        }
    }
}
