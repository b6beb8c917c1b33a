//! Bridges to `jsonwebtoken`, for applications that use it too.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{EllipticCurve, Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm as Theirs, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{digest, hmac, rsa};

use crate::{KeyError, KeySet, KeySetError, VerifyingKey, edwards};

type Result<T> = std::result::Result<T, Error>;

/// The key is judged as one that was read from JSON.
impl TryFrom<&Jwk> for VerifyingKey {
    type Error = KeyError;

    fn try_from(jwk: &Jwk) -> std::result::Result<Self, KeyError> {
        let json =
            serde_json::to_string(jwk).map_err(|_| KeyError::Malformed { what: "it cannot be written" })?;
        Self::from_jwk(&json)
    }
}

/// The set is judged as one that was read from JSON. What their reader has dropped cannot be judged any more:
/// reading the document itself with [`KeySet::from_jwks`] tells more.
impl TryFrom<&JwkSet> for KeySet {
    type Error = KeySetError;

    fn try_from(set: &JwkSet) -> std::result::Result<Self, KeySetError> {
        let json = serde_json::to_vec(set).map_err(|_| KeySetError::Malformed { position: 0 })?;
        Self::from_jwks(&json)
    }
}

/// A provider for `jsonwebtoken` on ring, which that crate does not bring itself. It speaks all algorithms of that
/// crate, HMAC included, and refuses Ed25519 keys of small order.
///
/// The provider is one for the whole process and can be chosen once, so that the choice is the application's:
/// `ring_provider().install_default()`. Nothing here ever installs it, and nothing here needs it.
pub fn ring_provider() -> &'static CryptoProvider {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            family(*algorithm, key.family())?;
            Ok(Box::new(RingSigner { algorithm: *algorithm, key: key.clone() }))
        },
        verifier_factory: |algorithm, key| {
            family(*algorithm, key.family())?;
            if let (Theirs::EdDSA, DecodingKeyKind::SecretOrDer(bytes)) = (algorithm, key.kind()) {
                let bytes = bytes.as_slice().try_into().map_err(|_| ErrorKind::InvalidEddsaKey)?;
                // Whether it is a point at all, ring sees at each use.
                edwards::check_writing(bytes).map_err(|_| ErrorKind::InvalidEddsaKey)?;
            }
            Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
        },
        key_utils: KeyUtils {
            rsa_pub_components_from_private_key: |der| {
                let pair =
                    RsaKeyPair::from_der(der).map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()))?;
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                Ok((public.n, public.e))
            },
            rsa_pub_components_from_public_key: |der| {
                rsa_components(der).ok_or_else(|| ErrorKind::InvalidRsaKey("not PKCS #1".into()).into())
            },
            ec_pub_components_from_private_key: |pkcs8, algorithm| {
                let Some(Operation::Ecdsa(parameters, _)) = operation(algorithm) else {
                    return Err(ErrorKind::InvalidEcdsaKey.into());
                };
                let p256 = algorithm == Theirs::ES256;
                let curve = if p256 { EllipticCurve::P256 } else { EllipticCurve::P384 };
                let pair = EcdsaKeyPair::from_pkcs8(parameters, pkcs8, &SystemRandom::new())
                    .map_err(|_| ErrorKind::InvalidEcdsaKey)?;
                let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                Ok((curve, x.to_vec(), y.to_vec()))
            },
            ed_pub_components_from_private_key: |pkcs8, curve| {
                if *curve != EllipticCurve::Ed25519 {
                    return Err(ErrorKind::InvalidAlgorithm.into());
                }
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                    .map_err(|_| ErrorKind::InvalidEddsaKey)?;
                Ok(pair.public_key().as_ref().to_vec())
            },
            compute_digest: |data, hash| {
                let algorithm = match hash {
                    ThumbprintHash::SHA256 => &digest::SHA256,
                    ThumbprintHash::SHA384 => &digest::SHA384,
                    ThumbprintHash::SHA512 => &digest::SHA512,
                    _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
                };
                Ok(digest::digest(algorithm, data).as_ref().to_vec())
            },
        },
    };
    &PROVIDER
}

fn family(algorithm: Theirs, key: AlgorithmFamily) -> Result<()> {
    if algorithm.family() == key { Ok(()) } else { Err(ErrorKind::InvalidKeyFormat.into()) }
}

/// What ring calls the algorithm.
enum Operation {
    Hmac(hmac::Algorithm),
    Ed25519,
    Ecdsa(&'static EcdsaSigningAlgorithm, &'static dyn VerificationAlgorithm),
    Rsa(&'static dyn RsaEncoding, &'static RsaParameters),
}

fn operation(algorithm: Theirs) -> Option<Operation> {
    Some(match algorithm {
        Theirs::HS256 => Operation::Hmac(hmac::HMAC_SHA256),
        Theirs::HS384 => Operation::Hmac(hmac::HMAC_SHA384),
        Theirs::HS512 => Operation::Hmac(hmac::HMAC_SHA512),
        Theirs::EdDSA => Operation::Ed25519,
        Theirs::ES256 => {
            Operation::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &signature::ECDSA_P256_SHA256_FIXED)
        }
        Theirs::ES384 => {
            Operation::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, &signature::ECDSA_P384_SHA384_FIXED)
        }
        Theirs::RS256 => Operation::Rsa(&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256),
        Theirs::RS384 => Operation::Rsa(&signature::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384),
        Theirs::RS512 => Operation::Rsa(&signature::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512),
        Theirs::PS256 => Operation::Rsa(&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256),
        Theirs::PS384 => Operation::Rsa(&signature::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384),
        Theirs::PS512 => Operation::Rsa(&signature::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512),
        _ => return None,
    })
}

struct RingSigner {
    algorithm: Theirs,
    key: EncodingKey,
}

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        let (refused, key) = (|_| SignatureError::new(), self.key.as_bytes());
        let random = SystemRandom::new();
        match operation(self.algorithm).ok_or_else(SignatureError::new)? {
            Operation::Hmac(algorithm) => {
                Ok(hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec())
            }
            Operation::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).map_err(refused)?;
                Ok(pair.sign(message).as_ref().to_vec())
            }
            Operation::Ecdsa(parameters, _) => {
                let pair = EcdsaKeyPair::from_pkcs8(parameters, key, &random).map_err(refused)?;
                pair.sign(&random, message)
                    .map(|made| made.as_ref().to_vec())
                    .map_err(|_| SignatureError::new())
            }
            Operation::Rsa(parameters, _) => {
                let pair = RsaKeyPair::from_der(key).map_err(refused)?;
                let mut made = vec![0; pair.public().modulus_len()];
                pair.sign(parameters, &random, message, &mut made).map_err(|_| SignatureError::new())?;
                Ok(made)
            }
        }
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Theirs {
        self.algorithm
    }
}

struct RingVerifier {
    algorithm: Theirs,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], made: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        let plain = |parameters: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(parameters, key).verify(message, made)
        };
        let verified = match (operation(self.algorithm).ok_or_else(SignatureError::new)?, self.key.kind()) {
            (Operation::Hmac(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                hmac::verify(&hmac::Key::new(algorithm, key), message, made)
            }
            (Operation::Ed25519, DecodingKeyKind::SecretOrDer(key)) => plain(&signature::ED25519, key),
            (Operation::Ecdsa(_, parameters), DecodingKeyKind::SecretOrDer(key)) => plain(parameters, key),
            (Operation::Rsa(_, parameters), DecodingKeyKind::SecretOrDer(key)) => plain(parameters, key),
            (Operation::Rsa(_, parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, made)
            }
            (_, DecodingKeyKind::RsaModulusExponent { .. }) => return Err(SignatureError::new()),
        };
        verified.map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Theirs {
        self.algorithm
    }
}

/// Modulus and exponent of a PKCS #1 public key (RFC 8017, appendix A.1.1), which ring reads and does not show.
fn rsa_components(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
        let (found, rest) = der.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
            0x82 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        if *found == tag { rest.split_at_checked(length) } else { None }
    }
    let integer = |der| {
        let (mut number, rest) = element(0x02, der)?;
        if let [0, tail @ ..] = number {
            number = tail;
        }
        Some((number.to_vec(), rest))
    };
    let (sequence, rest) = element(0x30, der)?;
    let (modulus, exponent) = integer(sequence)?;
    let (exponent, tail) = integer(exponent)?;
    (rest.is_empty() && tail.is_empty()).then_some((modulus, exponent))
}
