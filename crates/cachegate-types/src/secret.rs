//! Secrets: wiped on drop, shown by nobody, compared by nobody, written by nobody.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text, such as a token in its plain form.
///
/// No `Display`, no `PartialEq`, no `Serialize`: the one way out is [`SecretText::expose_secret`].
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over; the original is gone.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for whoever must hand it on: a request header, the one answer to its creator, a 0600 file.
    /// Never for a log, an error or a comparison.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// `N` secret bytes, such as a key or the random part of a token.
#[derive(Clone)]
pub struct SecretBytes<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> SecretBytes<N> {
    /// Takes the bytes over.
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for a digest, a signature or a sealed file; never for a log, an error or `==`.
    pub fn expose_secret(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes<{N}>(..)")
    }
}

/// Secret bytes of any length, such as a PKCS#8 document.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for a key's constructor or a vault; never for a log, an error or `==`.
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_kind_alone() {
        let text = SecretText::new("canary-text".into());
        assert_eq!(format!("{text:?} {text:#?}"), "SecretText(..) SecretText(..)");
        assert_eq!(format!("{:?}", SecretBytes::new([0x41; 4])), "SecretBytes<4>(..)");
        assert_eq!(format!("{:?}", SecretKey::new(b"canary".to_vec())), "SecretKey(..)");
        assert_eq!(text.expose_secret(), "canary-text");
    }
}
