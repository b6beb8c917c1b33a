//! Private keys, and what is signed with them.

use std::fmt;

use cachegate_types::{SecretKey, SecretText};
use zeroize::Zeroizing;

use crate::backend::{Active, Backend, Issuing};
use crate::json::{self, Limits};
use crate::{Algorithm, KeyId, VerifyingKey, base64url};

/// A private key, parsed once. It carries its own public half, so that nobody can pair it with another.
pub struct SigningKey {
    pair: <Active as Backend>::KeyPair,
    document: Zeroizing<Vec<u8>>,
    public: VerifyingKey,
}

/// Why there is no private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// Tokens are issued with EdDSA or ES256 alone.
    #[error("tokens are not issued with {algorithm}: expected EdDSA or ES256")]
    UnsupportedAlgorithm {
        /// The algorithm asked for.
        algorithm: Algorithm,
    },
    /// Not a PKCS #8 document of a key of this algorithm.
    #[error("not a PKCS #8 private key for {algorithm}")]
    Malformed {
        /// The algorithm asked for.
        algorithm: Algorithm,
    },
    /// The system's generator gives nothing.
    #[error("the system gives no randomness")]
    Randomness,
}

impl SigningKeyError {
    /// A stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnsupportedAlgorithm { .. } => "unsupported_algorithm",
            Self::Malformed { .. } => "private_key_malformed",
            Self::Randomness => "no_randomness",
        }
    }
}

/// Why no token was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Longer than every netrc reader takes; fewer restrictions make it shorter.
    #[error("the token would have {length} bytes: at most {limit} are issued")]
    TooLong {
        /// The length that it would have, in bytes.
        length: usize,
        /// The longest that is issued, in bytes.
        limit: usize,
    },
    /// A claim has a value that no verifier would accept.
    #[error("the claim `{claim}` has a value that it cannot have")]
    Claim {
        /// Its name.
        claim: &'static str,
    },
    /// The system's generator gives nothing.
    #[error("the system gives no randomness")]
    Randomness,
}

impl IssueError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "token_too_long",
            Self::Claim { .. } => "claim_out_of_range",
            Self::Randomness => "no_randomness",
        }
    }
}

impl SigningKey {
    /// A new key, from the system's generator. EdDSA unless there is a reason.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let issuing = issuing(algorithm)?;
        let document = Active::generate(issuing).ok_or(SigningKeyError::Randomness)?;
        Self::from_document(issuing, document)
    }

    /// The key that a vault kept.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`].
    pub fn from_pkcs8(algorithm: Algorithm, document: &[u8]) -> Result<Self, SigningKeyError> {
        Self::from_document(issuing(algorithm)?, Zeroizing::new(document.to_vec()))
    }

    /// The key as PKCS #8 (RFC 5958), for a vault to keep.
    pub fn to_pkcs8(&self) -> SecretKey {
        SecretKey::new(self.document.to_vec())
    }

    /// The public half, called by its thumbprint.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// The public half as a JSON Web Key.
    pub fn public_jwk(&self) -> &str {
        self.public.to_jwk()
    }

    /// The key's name: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &KeyId {
        self.public.kid()
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// A JWS of this type over these claims, for what is no access token: an ID token, a logout token.
    ///
    /// # Errors
    ///
    /// [`IssueError::Claim`] when `claims` is not one strict JSON object or `typ` is `at+jwt`, which
    /// [`crate::sign_access_token`] alone makes.
    pub fn sign_claims(&self, typ: &str, claims: &str) -> Result<SecretText, IssueError> {
        if json::object(claims.as_bytes(), Limits::TOKEN).is_err()
            || typ.to_ascii_lowercase().contains("at+jwt")
        {
            return Err(IssueError::Claim { claim: "typ" });
        }
        let mut header = format!(r#"{{"alg":"{}","kid":"#, self.algorithm());
        json::write_text(&mut header, &String::from_utf8_lossy(self.kid().as_bytes()));
        header.push_str(r#","typ":"#);
        json::write_text(&mut header, typ);
        header.push('}');
        self.sign(&base64url::encode(header.as_bytes()), claims.as_bytes(), crate::UnverifiedJws::MAX_LENGTH)
    }

    /// The token made of an encoded header and a payload, unless it is longer than `limit`.
    pub(crate) fn sign(&self, header: &str, payload: &[u8], limit: usize) -> Result<SecretText, IssueError> {
        const SIGNATURE: usize = 86;
        let length = header.len() + 1 + (payload.len() * 4).div_ceil(3) + 1 + SIGNATURE;
        if length > limit {
            return Err(IssueError::TooLong { length, limit });
        }
        let mut token = String::with_capacity(length);
        token.push_str(header);
        token.push('.');
        base64url::encode_to(payload, &mut token);
        let signature = Active::sign(&self.pair, token.as_bytes()).ok_or(IssueError::Randomness)?;
        token.push('.');
        base64url::encode_to(&signature, &mut token);
        Ok(SecretText::new(token))
    }

    fn from_document(issuing: Issuing, document: Zeroizing<Vec<u8>>) -> Result<Self, SigningKeyError> {
        let algorithm = match issuing {
            Issuing::EdDsa => Algorithm::EdDsa,
            Issuing::Es256 => Algorithm::Es256,
        };
        let malformed = SigningKeyError::Malformed { algorithm };
        if !is_one_sequence(&document) {
            return Err(malformed);
        }
        let pair = Active::key_pair(issuing, &document).ok_or(malformed)?;
        let public = Active::public_bytes(&pair);
        let public = match issuing {
            Issuing::EdDsa => {
                let bytes = public.try_into().map_err(|_| malformed)?;
                VerifyingKey::from_ed25519_bytes(bytes)
            }
            Issuing::Es256 => VerifyingKey::from_p256_point(public),
        };
        Ok(Self { public: public.map_err(|_| malformed)?, pair, document })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm(), self.kid())
    }
}

/// Whether the bytes are one DER sequence and nothing behind it, which aws-lc-rs would overlook. The documents of
/// both algorithms are shorter than 256 bytes.
fn is_one_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, length @ ..=0x7f, rest @ ..] | [0x30, 0x81, length, rest @ ..] => {
            usize::from(*length) == rest.len()
        }
        _ => false,
    }
}

fn issuing(algorithm: Algorithm) -> Result<Issuing, SigningKeyError> {
    match algorithm {
        Algorithm::EdDsa => Ok(Issuing::EdDsa),
        Algorithm::Es256 => Ok(Issuing::Es256),
        Algorithm::Es384
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => Err(SigningKeyError::UnsupportedAlgorithm { algorithm }),
    }
}
