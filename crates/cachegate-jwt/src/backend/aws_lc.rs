//! aws-lc-rs. It parses a public key once, which ring cannot, and is faster at most operations.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use zeroize::Zeroizing;

use super::{Backend, Issuing, Material};
use crate::Algorithm;

/// aws-lc-rs as the back-end.
pub(crate) struct AwsLc;

pub(crate) enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair, SystemRandom),
}

impl Backend for AwsLc {
    type PublicKey = ParsedPublicKey;
    type KeyPair = KeyPair;

    fn public_key(algorithm: Algorithm, material: Material<'_>) -> Option<ParsedPublicKey> {
        let rsa = match algorithm {
            Algorithm::EdDsa => {
                let Material::Ed25519(bytes) = material else { return None };
                return UnparsedPublicKey::new(&signature::ED25519, bytes).parse().ok();
            }
            Algorithm::Es256 => {
                let Material::Point(point) = material else { return None };
                return UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).parse().ok();
            }
            Algorithm::Es384 => {
                let Material::Point(point) = material else { return None };
                return UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).parse().ok();
            }
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        };
        let Material::Rsa { modulus, exponent } = material else { return None };
        RsaPublicKeyComponents { n: modulus, e: exponent }.to_parsed_public_key(rsa).ok()
    }

    fn verify(_: Algorithm, key: &ParsedPublicKey, message: &[u8], sig: &[u8]) -> bool {
        key.verify_sig(message, sig).is_ok()
    }

    fn generate(algorithm: Issuing) -> Option<Zeroizing<Vec<u8>>> {
        match algorithm {
            Issuing::EdDsa => super::generate_ed25519(),
            Issuing::Es256 => {
                let parameters = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(parameters, &SystemRandom::new()).ok()?;
                Some(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }

    fn key_pair(algorithm: Issuing, pkcs8: &[u8]) -> Option<KeyPair> {
        match algorithm {
            Issuing::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(KeyPair::Ed25519),
            Issuing::Es256 => {
                let parameters = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(parameters, pkcs8).ok()?;
                Some(KeyPair::P256(pair, SystemRandom::new()))
            }
        }
    }

    fn public_bytes(key: &KeyPair) -> &[u8] {
        match key {
            KeyPair::Ed25519(pair) => pair.public_key().as_ref(),
            KeyPair::P256(pair, _) => pair.public_key().as_ref(),
        }
    }

    fn sign(key: &KeyPair, message: &[u8]) -> Option<[u8; 64]> {
        match key {
            KeyPair::Ed25519(pair) => pair.sign(message).as_ref().try_into().ok(),
            KeyPair::P256(pair, random) => pair.sign(random, message).ok()?.as_ref().try_into().ok(),
        }
    }
}
