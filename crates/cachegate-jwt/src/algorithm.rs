//! The signature algorithms that are spoken here (RFC 7518, section 3.1; RFC 8037, section 3.1).

use std::fmt;
use std::str::FromStr;

/// A signature algorithm. Closed: there is no `none`, nothing symmetric, and no ES512.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// Ed25519. The default for what is issued here.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The registered name, as a header's `alg` carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// Whether the key is an RSA key: the one family in which a key does not name its algorithm by its shape.
    pub const fn is_rsa(self) -> bool {
        match self {
            Self::EdDsa | Self::Es256 | Self::Es384 => false,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => true,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads the registered name, in its registered case, and nothing else.
impl FromStr for Algorithm {
    type Err = UnsupportedAlgorithmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(UnsupportedAlgorithmError)
    }
}

/// A name that is no algorithm spoken here: `none`, HMAC, ES512, another case, anything unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported algorithm: expected EdDSA, ES256, ES384, RS256, RS384, RS512, PS256, PS384 or PS512")]
pub struct UnsupportedAlgorithmError;

impl UnsupportedAlgorithmError {
    /// `unsupported_algorithm`.
    pub const fn code(self) -> &'static str {
        "unsupported_algorithm"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_reads_back_what_it_prints() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn everything_else_is_unsupported() {
        for name in [
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            " ",
            "HS256",
            "HS384",
            "HS512",
            "ES512",
            "ES256K",
            "Ed25519",
            "Ed448",
            "eddsa",
            "EDDSA",
            "rs256",
            "RS256 ",
            " RS256",
            "RS256\0",
            "RS1",
            "RSA1_5",
            "A128KW",
            "dir",
            "ЕdDSA",
            "ｅｄｄｓａ",
            "ML-DSA-44",
        ] {
            assert_eq!(name.parse::<Algorithm>(), Err(UnsupportedAlgorithmError), "{name}");
        }
        assert_eq!(UnsupportedAlgorithmError.code(), "unsupported_algorithm");
    }
}
