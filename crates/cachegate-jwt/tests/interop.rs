//! Beside an application that uses `jsonwebtoken`: its keys become ours, and it can sign and verify with ring.

#![cfg(feature = "jsonwebtoken")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a key that cannot be read fails the test")]

mod common;

use cachegate_jwt::*;
use common::*;
use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::jwk::{EllipticCurve, Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm as Theirs, DecodingKey, EncodingKey};

#[test]
fn a_key_of_theirs_is_judged_as_one_of_ours() {
    let read = |json: &str| VerifyingKey::try_from(&serde_json::from_str::<Jwk>(json).expect("their key"));
    assert_eq!(read(&ed_jwk(r#","kid":"a""#)), VerifyingKey::from_jwk(&ed_jwk(r#","kid":"a""#)));
    assert_eq!(read(&rsa_jwk(r#","alg":"RS256""#)), VerifyingKey::from_jwk(&rsa_jwk(r#","alg":"RS256""#)));
    // They would verify with each of these.
    assert_eq!(read(&ed_jwk(r#","use":"enc""#)), Err(KeyError::Use));
    assert_eq!(read(&ed_jwk(r#","key_ops":["encrypt"]"#)), Err(KeyError::Operations));
    assert_eq!(read(&ed_jwk(r#","alg":"RS256""#)), Err(KeyError::AlgorithmMismatch));
    assert_eq!(read(r#"{"kty":"oct","k":"AAAA"}"#), Err(KeyError::Symmetric));
    let set = format!(r#"{{"keys":[{},{}]}}"#, ed_jwk(r#","kid":"a""#), ec_jwk(r#","kid":"a""#));
    let set: JwkSet = serde_json::from_str(&set).expect("their set");
    assert!(KeySet::try_from(&set).expect("a set").is_empty(), "two keys of one name");
}

/// Through the provider's own functions: a test must not choose the provider of the process.
fn round_trip(provider: &CryptoProvider, algorithm: Theirs, private: &EncodingKey, public: &DecodingKey) {
    let signer = (provider.signer_factory)(&algorithm, private).expect("a signer");
    let verifier = (provider.verifier_factory)(&algorithm, public).expect("a verifier");
    assert_eq!((signer.algorithm(), verifier.algorithm()), (algorithm, algorithm));
    let mut made = signer.try_sign(b"message").expect("signs");
    assert!(verifier.verify(b"message", &made).is_ok(), "{algorithm:?}");
    assert!(verifier.verify(b"another", &made).is_err(), "{algorithm:?}");
    made[3] ^= 1;
    assert!(verifier.verify(b"message", &made).is_err(), "{algorithm:?}");
}

#[test]
fn the_ring_provider_signs_and_verifies() {
    let provider = ring_provider();
    let secret = b"a secret of thirty-two bytes ...";
    for algorithm in [Theirs::HS256, Theirs::HS384, Theirs::HS512] {
        round_trip(provider, algorithm, &EncodingKey::from_secret(secret), &DecodingKey::from_secret(secret));
    }
    let ed = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let jwk: Jwk = serde_json::from_str(ed.public_jwk()).expect("their key");
    let private = EncodingKey::from_ed_der(ed.to_pkcs8().expose_secret());
    round_trip(provider, Theirs::EdDSA, &private, &DecodingKey::from_jwk(&jwk).expect("a key"));
    let x =
        (provider.key_utils.ed_pub_components_from_private_key)(private.as_bytes(), &EllipticCurve::Ed25519);
    assert_eq!(
        VerifyingKey::from_jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(x.expect("x"))))
            .map(|key| key.thumbprint()),
        Ok(ed.verifying_key().thumbprint())
    );

    let ec = SigningKey::generate(Algorithm::Es256).expect("a key");
    let jwk: Jwk = serde_json::from_str(ec.public_jwk()).expect("their key");
    let private = EncodingKey::from_ec_der(ec.to_pkcs8().expose_secret());
    round_trip(provider, Theirs::ES256, &private, &DecodingKey::from_jwk(&jwk).expect("a key"));
    let (curve, x, y) =
        (provider.key_utils.ec_pub_components_from_private_key)(private.as_bytes(), Theirs::ES256)
            .expect("a point");
    assert_eq!(curve, EllipticCurve::P256);
    assert!(ec.public_jwk().contains(&b64(x)) && ec.public_jwk().contains(&b64(y)));

    let private = EncodingKey::from_rsa_der(&rsa_der());
    for algorithm in
        [Theirs::RS256, Theirs::RS384, Theirs::RS512, Theirs::PS256, Theirs::PS384, Theirs::PS512]
    {
        let public = DecodingKey::from_rsa_components(RSA_N, "AQAB").expect("a key");
        round_trip(provider, algorithm, &private, &public);
        round_trip(provider, algorithm, &private, &DecodingKey::from_rsa_der(&rsa_public_der()));
    }
    let components = (unb64(RSA_N), vec![1, 0, 1]);
    let utils = &provider.key_utils;
    assert_eq!((utils.rsa_pub_components_from_private_key)(&rsa_der()).expect("a key"), components);
    assert_eq!((utils.rsa_pub_components_from_public_key)(&rsa_public_der()).expect("a key"), components);
    assert!((utils.rsa_pub_components_from_public_key)(b"0").is_err());
    assert_eq!((utils.compute_digest)(b"", ThumbprintHash::SHA256).expect("a digest").len(), 32);
}

#[test]
fn the_ring_provider_refuses_keys_of_another_family_and_of_small_order() {
    let provider = ring_provider();
    let secret = DecodingKey::from_secret(b"secret");
    assert!((provider.verifier_factory)(&Theirs::EdDSA, &secret).is_err());
    assert!((provider.signer_factory)(&Theirs::RS256, &EncodingKey::from_secret(b"secret")).is_err());
    let identity = DecodingKey::from_ed_components(&b64([&[1][..], &[0; 31]].concat())).expect("their key");
    assert!((provider.verifier_factory)(&Theirs::EdDSA, &identity).is_err());
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    match content.len() {
        0..=0x7f => [&[tag, length[1]][..], content].concat(),
        0x80..=0xff => [&[tag, 0x81, length[1]][..], content].concat(),
        _ => [&[tag, 0x82, length[0], length[1]][..], content].concat(),
    }
}

fn integer(number: &[u8]) -> Vec<u8> {
    der(2, &if number[0] < 0x80 { number.to_vec() } else { [&[0], number].concat() })
}

/// PKCS #1.
fn rsa_der() -> Vec<u8> {
    let mut numbers = vec![vec![0], unb64(RSA_N), vec![1, 0, 1]];
    numbers.extend([RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QI].map(unb64));
    der(0x30, &numbers.iter().flat_map(|number| integer(number)).collect::<Vec<_>>())
}

fn rsa_public_der() -> Vec<u8> {
    der(0x30, &[integer(&unb64(RSA_N)), integer(&[1, 0, 1])].concat())
}
