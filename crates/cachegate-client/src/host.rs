//! Where a credential may go: a host name for netrc, an origin for everything else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A host name as netrc can hold one: lower-case ASCII letters, digits, `.`, `-` and `_`, no port, no final dot.
///
/// netrc knows neither ports nor paths: what is written for a host goes to every server on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

/// What netrc readers take for something else when it stands where a value should.
pub(crate) const KEYWORDS: [&str; 6] = ["machine", "default", "login", "password", "account", "macdef"];

impl Host {
    /// The longest name, in bytes (RFC 1035, section 2.3.4, as text).
    pub const MAX_LENGTH: usize = 253;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only this machine can answer under the name.
    fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.0.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Upper-case letters become lower-case ones, as host names compare.
impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MAX_LENGTH {
            return Err(HostError::Length { length: text.len() });
        }
        if !text.is_ascii() {
            return Err(HostError::NotAscii);
        }
        if text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
            return Err(HostError::Character { position: text.find(':').unwrap_or(0) });
        }
        if let Some((_, port)) = text.split_once(':')
            && port.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(HostError::Port);
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if let Some(position) = text.bytes().position(|byte| !fits(byte)) {
            return Err(HostError::Character { position });
        }
        if text.starts_with(['.', '-']) || text.ends_with('.') || text.contains("..") {
            return Err(HostError::Dots);
        }
        let name = text.to_ascii_lowercase();
        if KEYWORDS.contains(&name.as_str()) {
            return Err(HostError::Keyword);
        }
        Ok(Self(name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no host name for netrc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Empty or too long.
    #[error("a host name has 1 to 253 bytes, not {length}")]
    Length {
        /// The length found, in bytes.
        length: usize,
    },
    /// Holds something else than ASCII.
    #[error("a host name is written in ASCII here: give its `xn--` form")]
    NotAscii,
    /// Ends in a port.
    #[error("no reader of netrc matches a host with a port: leave the port out")]
    Port,
    /// Holds a character that no host name holds, as a whole URL does.
    #[error(
        "the character at byte {position} is in no host name: give the name alone, without scheme, path or user"
    )]
    Character {
        /// Where it stands, in bytes from the start.
        position: usize,
    },
    /// Starts or ends in a dot, or holds two together.
    #[error("a host name neither starts nor ends with a dot, starts with no hyphen and has no empty part")]
    Dots,
    /// A word of netrc itself.
    #[error("this name is a word of netrc itself, and readers take it for one: use the full host name")]
    Keyword,
}

impl HostError {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "host_length",
            Self::NotAscii => "host_not_ascii",
            Self::Port => "host_with_port",
            Self::Character { .. } => "host_character",
            Self::Dots => "host_dots",
            Self::Keyword => "host_keyword",
        }
    }
}

/// Scheme, host and port (RFC 6454): what a token is bound to.
///
/// `https`, or `http` to this very machine. The rest of a URL is dropped, so that any address below a server names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    text: String,
    host: Host,
}

impl Origin {
    /// As a URL without a path, such as `https://cache.example.org`; the default port is not written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, as netrc names it.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = url.split_once("://").ok_or(OriginError::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(OriginError::Scheme),
        };
        // A backslash is a slash to browsers and a character of the name to others: `Host` refuses it.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(OriginError::User);
        }
        let (host, port) = match authority.split_once(':') {
            None => (authority, default_port),
            Some((host, digits)) => {
                let port = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
                let port = port.and_then(|digits| digits.parse::<u16>().ok()).filter(|port| *port != 0);
                (host, port.ok_or(OriginError::Port)?)
            }
        };
        let host: Host = host.parse().map_err(OriginError::Host)?;
        if scheme == "http" && !host.is_loopback() {
            return Err(OriginError::Plain);
        }
        let text = if port == default_port {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Ok(Self { text, host })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A text that names no origin a token may be bound to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Starts with neither `https://` nor `http://`.
    #[error("the address of a server starts with `https://`")]
    Scheme,
    /// `http` to another machine: whoever listens on the way would have the token.
    #[error(
        "a token is sent over `https` alone, but for this machine itself: use the server's `https://` address"
    )]
    Plain,
    /// Holds a user or a password.
    #[error("the address holds a user or a password: leave out what stands before the `@`")]
    User,
    /// A port that is none.
    #[error("the port of the address is no number between 1 and 65535")]
    Port,
    /// A host that is none.
    #[error("the host of the address is none")]
    Host(#[source] HostError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_plain_name_in_lower_case() {
        for (text, name) in [
            ("cache.example.org", "cache.example.org"),
            ("CACHE.Example.org", "cache.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("under_score-1", "under_score-1"),
        ] {
            assert_eq!(text.parse::<Host>().expect(text).as_str(), name);
        }
    }

    #[test]
    fn what_no_reader_matches_is_refused_as_a_host() {
        use HostError as Error;
        for (text, error) in [
            ("", Error::Length { length: 0 }),
            ("bücher.example", Error::NotAscii),
            ("cache.example.org:8080", Error::Port),
            ("::1", Error::Character { position: 0 }),
            ("[::1]", Error::Character { position: 0 }),
            ("https://cache.example.org", Error::Character { position: 5 }),
            ("cache.example.org/x", Error::Character { position: 17 }),
            ("user@cache.example.org", Error::Character { position: 4 }),
            ("a b", Error::Character { position: 1 }),
            ("a\nmachine", Error::Character { position: 1 }),
            ("#a", Error::Character { position: 0 }),
            ("\"a\"", Error::Character { position: 0 }),
            ("a\\b", Error::Character { position: 1 }),
            ("cache.example.org.", Error::Dots),
            ("a..b", Error::Dots),
            ("Default", Error::Keyword),
            ("machine", Error::Keyword),
        ] {
            assert_eq!(text.parse::<Host>(), Err(error), "{text}");
        }
        assert_eq!("a".repeat(254).parse::<Host>(), Err(Error::Length { length: 254 }));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_of_a_url() {
        for (url, origin) in [
            ("https://cache.example.org", "https://cache.example.org"),
            ("HTTPS://Cache.Example.org:443/org/workspace?x#y", "https://cache.example.org"),
            ("https://cache.example.org:8443/", "https://cache.example.org:8443"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(url.parse::<Origin>().expect(url).as_str(), origin);
        }
    }

    #[test]
    fn an_origin_that_could_leak_or_mislead_is_refused() {
        use OriginError as Error;
        for (url, error) in [
            ("cache.example.org", Error::Scheme),
            ("ftp://cache.example.org", Error::Scheme),
            ("http://cache.example.org", Error::Plain),
            ("http://localhost.example.org", Error::Plain),
            ("http://127.0.0.1.example.org", Error::Plain),
            ("https://good.example@evil.example", Error::User),
            ("https://cache.example.org:", Error::Port),
            ("https://cache.example.org:0", Error::Port),
            ("https://cache.example.org:+1", Error::Port),
            ("https://cache.example.org:65536", Error::Port),
            ("https://", Error::Host(HostError::Length { length: 0 })),
            ("https://evil.example\\.good.example", Error::Host(HostError::Character { position: 12 })),
        ] {
            assert_eq!(url.parse::<Origin>(), Err(error), "{url}");
        }
    }
}
