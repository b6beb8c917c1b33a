//! Where a person is sent after the login: a path of this very host.

use crate::LoginError;

/// A path with an optional query. No scheme, no host, nothing that a browser would read as one.
#[derive(Debug)]
pub(crate) struct ReturnTarget(String);

impl ReturnTarget {
    const MAX_LENGTH: usize = 1024;

    /// What a browser takes a tab, a line break and a backslash for differs from what they look like, so that none is
    /// let through (URL standard, section 4.4).
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, LoginError> {
        let text = text.unwrap_or("/");
        let plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'`' | b'#');
        let is_path = text.starts_with('/') && !text.starts_with("//");
        match is_path && text.len() <= Self::MAX_LENGTH && text.bytes().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(LoginError::ReturnTarget),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_host_is_returned_to() {
        for good in ["/", "/acme/settings?editview=device-tokens", "/a//b", "/?next=https://x.example/"] {
            assert_eq!(ReturnTarget::parse(Some(good)).unwrap().as_str(), good);
        }
        assert_eq!(ReturnTarget::parse(None).unwrap().as_str(), "/");
        for bad in [
            "",
            "acme",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "https://evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "/a\r\nset-cookie: x=y",
            "/\u{e4}",
        ] {
            assert_eq!(ReturnTarget::parse(Some(bad)).unwrap_err().code(), "login_return_target", "{bad:?}");
        }
        assert!(ReturnTarget::parse(Some(&format!("/{}", "a".repeat(1024)))).is_err());
    }
}
