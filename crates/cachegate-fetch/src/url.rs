//! Addresses that may be fetched from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

/// The address of a document: `https`, a host, an optional port, a path, an optional query. No login, no fragment.
///
/// The text stays as it was given: issuers are compared byte for byte.
#[derive(Clone)]
pub struct Url {
    text: String,
    // What the client connects by: read once, by one parser, so that a check and a connection cannot differ.
    uri: Uri,
    host: String,
    port: u16,
    https: bool,
}

impl Url {
    /// The longest address, in bytes.
    pub const MAX_LENGTH: usize = 2048;

    /// Where a machine of Google Cloud is told who it is.
    pub const GOOGLE_METADATA_HOST: &str = "metadata.google.internal";

    /// As `parse`, and `http` too where the host is `localhost` or an address of the loopback: for tests and
    /// development alone.
    ///
    /// A client must allow it as well.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    pub fn dangerous_parse_with_loopback_http(text: &str) -> Result<Self, UrlError> {
        let url = Self::read(text)?;
        if url.https || url.is_loopback() { Ok(url) } else { Err(UrlError::NotHttps) }
    }

    /// As `parse`, and `http` too where the host is [`Url::GOOGLE_METADATA_HOST`]: Google's machines ask for their own
    /// identity there, and it speaks nothing else.
    ///
    /// A client must allow it as well.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    pub fn dangerous_parse_with_google_metadata_http(text: &str) -> Result<Self, UrlError> {
        let url = Self::read(text)?;
        if url.https || url.is_google_metadata() { Ok(url) } else { Err(UrlError::NotHttps) }
    }

    /// The whole address, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host in lower case; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, stated or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, at least `/`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Whether the connection is to be encrypted.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether both have one scheme, one host and one port.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.https == other.https && self.host == other.host && self.port == other.port
    }

    /// This address with another path and without a query.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when the path is none.
    pub fn with_path(&self, path: &str) -> Result<Self, UrlError> {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let scheme = if self.https { "https" } else { "http" };
        Self::read(&format!("{scheme}://{authority}{path}"))
    }

    #[cfg(feature = "client")]
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    pub(crate) fn is_google_metadata(&self) -> bool {
        !self.https && self.host == Self::GOOGLE_METADATA_HOST && self.port == 80
    }

    fn read(text: &str) -> Result<Self, UrlError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(UrlError::TooLong { length: text.len() });
        }
        // RFC 3986, section 2, without `#`: the parser below would cut a fragment off and say nothing.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
        if let Some(position) = text.bytes().position(|byte| !plain(byte)) {
            return Err(UrlError::Character { position });
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(UrlError::NotHttps),
            None => return Err(UrlError::Malformed),
        };
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::Login);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        // A name, or an address; a port that is no number between 1 and 65535 would be read as none.
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let bracketed = authority.as_str().starts_with('[');
        let good_host = if bracketed {
            host.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty() && host.bytes().all(name)
        };
        let rest = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        let port = match (rest, authority.port_u16()) {
            ("", _) if https => 443,
            ("", _) => 80,
            (_, Some(port)) if port != 0 => port,
            _ => return Err(UrlError::Malformed),
        };
        if !good_host {
            return Err(UrlError::Malformed);
        }
        Ok(Self { text: text.to_owned(), uri, host, port, https })
    }
}

/// `https` alone.
impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Self::read(text)?;
        if url.https { Ok(url) } else { Err(UrlError::NotHttps) }
    }
}

impl PartialEq for Url {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Url {}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Without the query, which may carry what is not for a log.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, query) = self.text.split_once('?').map_or((&*self.text, ""), |(shown, _)| (shown, "?.."));
        write!(f, "Url({shown}{query})")
    }
}

/// Why a text is no address to fetch from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Longer than [`Url::MAX_LENGTH`].
    #[error("an address of {length} bytes is too long: at most {} are read", Url::MAX_LENGTH)]
    TooLong {
        /// The length found, in bytes.
        length: usize,
    },
    /// Not an absolute address with a host.
    #[error("not an absolute address with a host")]
    Malformed,
    /// A byte that stands in no address, or a `#`.
    #[error("a byte that may not stand in an address: byte {position}")]
    Character {
        /// Where, in bytes from the start.
        position: usize,
    },
    /// A login in front of the host.
    #[error("an address may not carry a login")]
    Login,
    /// Any scheme but `https`.
    #[error("the address must begin with `https://`")]
    NotHttps,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_as_it_is_written() {
        let url: Url = "https://Issuer.Example:8443/a/b?c=d".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("issuer.example", 8443, "/a/b"));
        assert_eq!(url.as_str(), "https://Issuer.Example:8443/a/b?c=d");
        let url: Url = "https://[2001:DB8::1]".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("2001:db8::1", 443, "/"));
    }

    #[test]
    fn only_https_is_an_address_and_loopback_http_by_its_dangerous_name() {
        for text in ["http://127.0.0.1/", "http://localhost:80/", "http://[::1]:9/"] {
            assert_eq!(text.parse::<Url>(), Err(UrlError::NotHttps), "{text}");
            assert!(Url::dangerous_parse_with_loopback_http(text).is_ok(), "{text}");
        }
        for text in
            ["http://issuer.example/", "http://10.0.0.1/", "http://localhost.example/", "ftp://127.0.0.1/"]
        {
            assert_eq!(Url::dangerous_parse_with_loopback_http(text), Err(UrlError::NotHttps), "{text}");
        }
    }

    #[test]
    fn googles_metadata_is_an_address_by_its_dangerous_name_alone() {
        let text = "http://metadata.google.internal/computeMetadata/v1/x?audience=a";
        assert_eq!(text.parse::<Url>(), Err(UrlError::NotHttps));
        assert_eq!(Url::dangerous_parse_with_loopback_http(text), Err(UrlError::NotHttps));
        assert!(Url::dangerous_parse_with_google_metadata_http(text).is_ok());
        for text in [
            "http://metadata.google.internal:8080/",
            "http://metadata.google.internal.evil.example/",
            "http://169.254.169.254/",
            "http://127.0.0.1/",
        ] {
            let parsed = Url::dangerous_parse_with_google_metadata_http(text);
            assert_eq!(parsed, Err(UrlError::NotHttps), "{text}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (text, error) in [
            ("https://good.example@evil.example/", UrlError::Login),
            ("https://user:word@good.example/", UrlError::Login),
            ("https://good.example#@evil.example/", UrlError::Character { position: 20 }),
            ("https://good.example\\@evil.example/", UrlError::Character { position: 20 }),
            ("https://good.example/a b", UrlError::Character { position: 22 }),
            ("https://good.example/\r\nx: y", UrlError::Character { position: 21 }),
            ("https://g\u{f6}\u{f6}d.example/", UrlError::Character { position: 9 }),
            ("https://good.example:0/", UrlError::Malformed),
            ("https://good.example:65536/", UrlError::Malformed),
            ("https://good.example:x/", UrlError::Malformed),
            ("https://good.example:/", UrlError::Malformed),
            ("https://[::1/", UrlError::Malformed),
            ("https://[good.example]/", UrlError::Malformed),
            ("https://good%2eexample/", UrlError::Malformed),
            ("https:///path", UrlError::Malformed),
            ("//good.example/", UrlError::Malformed),
            ("", UrlError::Malformed),
            ("/path", UrlError::Malformed),
            ("file:///etc/passwd", UrlError::Malformed),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
        let long = format!("https://good.example/{}", "a".repeat(Url::MAX_LENGTH));
        assert_eq!(long.parse::<Url>(), Err(UrlError::TooLong { length: long.len() }));
    }

    #[test]
    fn another_port_or_scheme_or_host_is_another_origin() {
        let url: Url = "https://a.example/x".parse().unwrap();
        let same = |text: &str| url.same_origin(&Url::read(text).unwrap());
        assert!(same("https://a.example:443/y?z") && same("https://A.EXAMPLE/"));
        assert!(!same("https://a.example:444/x") && !same("http://a.example:443/x"));
        assert!(!same("https://b.a.example/x") && !same("https://a.example./x"));
    }

    #[test]
    fn debug_hides_the_query() {
        let url: Url = "https://a.example/x?token=canary".parse().unwrap();
        assert_eq!(format!("{url:?}"), "Url(https://a.example/x?..)");
    }
}
