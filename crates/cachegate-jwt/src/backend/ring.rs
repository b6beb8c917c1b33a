//! ring.

use ring::agreement;
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaPublicKeyComponents, UnparsedPublicKey,
};
use zeroize::Zeroizing;

use super::{Backend, Issuing, Material};
use crate::Algorithm;

/// ring as the back-end.
pub(crate) struct Ring;

/// ring parses a public key at each use; what is kept is its checked bytes.
pub(crate) enum PublicKey {
    Plain(Box<[u8]>),
    Rsa(RsaPublicKeyComponents<Box<[u8]>>),
}

pub(crate) enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair, SystemRandom),
}

impl Backend for Ring {
    type PublicKey = PublicKey;
    type KeyPair = KeyPair;

    fn public_key(algorithm: Algorithm, material: Material<'_>) -> Option<PublicKey> {
        match (algorithm, material) {
            (Algorithm::EdDsa, Material::Ed25519(bytes)) => Some(PublicKey::Plain(bytes.as_slice().into())),
            (Algorithm::Es256, Material::Point(point)) => on_curve(&agreement::ECDH_P256, point),
            (Algorithm::Es384, Material::Point(point)) => on_curve(&agreement::ECDH_P384, point),
            (algorithm, Material::Rsa { modulus, exponent }) if algorithm.is_rsa() => {
                Some(PublicKey::Rsa(RsaPublicKeyComponents { n: modulus.into(), e: exponent.into() }))
            }
            _ => None,
        }
    }

    fn verify(algorithm: Algorithm, key: &PublicKey, message: &[u8], sig: &[u8]) -> bool {
        match key {
            PublicKey::Plain(bytes) => {
                let parameters: &dyn signature::VerificationAlgorithm = match algorithm {
                    Algorithm::EdDsa => &signature::ED25519,
                    Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
                    Algorithm::Rs256
                    | Algorithm::Rs384
                    | Algorithm::Rs512
                    | Algorithm::Ps256
                    | Algorithm::Ps384
                    | Algorithm::Ps512 => return false,
                };
                // `UnparsedPublicKey` would do the same behind a type that must be built for each call.
                UnparsedPublicKey::new(parameters, bytes).verify(message, sig).is_ok()
            }
            PublicKey::Rsa(components) => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Es384 => return false,
                };
                components.verify(parameters, message, sig).is_ok()
            }
        }
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
            // Despite its name it checks the public key that a version 2 document carries; version 1 carries none.
            Issuing::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(KeyPair::Ed25519),
            Issuing::Es256 => {
                let random = SystemRandom::new();
                let parameters = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(parameters, pkcs8, &random).ok()?;
                Some(KeyPair::P256(pair, random))
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

/// ring has no parsed public key, but a key agreement refuses a point that is not on the curve before anything else.
fn on_curve(curve: &'static agreement::Algorithm, point: &[u8]) -> Option<PublicKey> {
    let private = agreement::EphemeralPrivateKey::generate(curve, &SystemRandom::new()).ok()?;
    let peer = agreement::UnparsedPublicKey::new(curve, point);
    agreement::agree_ephemeral(private, &peer, |_| ()).ok()?;
    Some(PublicKey::Plain(point.into()))
}
