//! Fixed keys for tests, and tokens made by hand: whatever a signer of ours would never make.
//!
//! The keys are those that RFC 7515 and RFC 8037 print: known to everyone and good for nothing else.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::expect_used, reason = "a key that cannot be read fails the test")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_jwt::{Algorithm, KeySet, SigningKey, VerifyingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};

/// RFC 8037, appendix A.1.
pub(crate) const ED_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// RFC 8037, appendix A.1.
pub(crate) const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// RFC 7515, appendix A.3.
pub(crate) const EC_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// RFC 7515, appendix A.3.
pub(crate) const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
/// RFC 7515, appendix A.3.
pub(crate) const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_DP: &str = "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_DQ: &str = "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
/// RFC 7515, appendix A.2.
pub(crate) const RSA_QI: &str = "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Signs what nobody should sign.
pub(crate) fn signature(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let rsa = |padding: &'static dyn RsaEncoding| {
        let components = ring::rsa::KeyPairComponents {
            public_key: ring::rsa::PublicKeyComponents { n: unb64(RSA_N), e: vec![1, 0, 1] },
            d: unb64(RSA_D),
            p: unb64(RSA_P),
            q: unb64(RSA_Q),
            dP: unb64(RSA_DP),
            dQ: unb64(RSA_DQ),
            qInv: unb64(RSA_QI),
        };
        let pair = RsaKeyPair::from_components(&components).expect("a key");
        let mut made = vec![0; pair.public().modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut made).expect("signs");
        made
    };
    match algorithm {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&unb64(ED_D)).expect("a key");
            pair.sign(message).as_ref().to_vec()
        }
        Algorithm::Es256 => {
            let (random, point) = (SystemRandom::new(), [&[4][..], &unb64(EC_X), &unb64(EC_Y)].concat());
            let parameters = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair =
                EcdsaKeyPair::from_private_key_and_public_key(parameters, &unb64(EC_D), &point, &random);
            pair.expect("a key").sign(&random, message).expect("signs").as_ref().to_vec()
        }
        Algorithm::Es384 => unreachable!("no published key"),
        Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
        Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
        Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
        Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
        Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
        Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
    }
}

/// A JWS over any header and payload.
pub(crate) fn forge(algorithm: Algorithm, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign_parts(algorithm, &b64(header), &b64(payload))
}

/// A JWS over two parts as they are.
pub(crate) fn sign_parts(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let input = format!("{header}.{payload}");
    let signature = b64(signature(algorithm, input.as_bytes()));
    format!("{input}.{signature}")
}

pub(crate) fn ed_jwk(members: &str) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED_X}"{members}}}"#)
}

pub(crate) fn ec_jwk(members: &str) -> String {
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{EC_X}","y":"{EC_Y}"{members}}}"#)
}

pub(crate) fn rsa_jwk(members: &str) -> String {
    format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"{members}}}"#)
}

/// The three keys, called `ed`, `ec` and `rsa`.
pub(crate) fn key_set() -> KeySet {
    let keys = [ed_jwk(r#","kid":"ed""#), ec_jwk(r#","kid":"ec""#), rsa_jwk(r#","kid":"rsa","alg":"RS256""#)];
    let set = KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).expect("a set");
    assert_eq!(set.keys().len(), 3);
    set
}

/// The Ed25519 key as one that a gate signs with.
pub(crate) fn signing_key() -> SigningKey {
    let document = [&PKCS8_ED25519[..], &unb64(ED_D)].concat();
    SigningKey::from_pkcs8(Algorithm::EdDsa, &document).expect("a key")
}

pub(crate) const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

pub(crate) fn verifying_key(jwk: &str) -> VerifyingKey {
    VerifyingKey::from_jwk(jwk).expect("a key")
}

/// A JSON object, member by member, each value as JSON text: to change one thing and leave the rest.
#[derive(Clone, Debug)]
pub(crate) struct Members(pub(crate) Vec<(String, String)>);

impl Members {
    pub(crate) fn new(members: &[(&str, &str)]) -> Self {
        Self(members.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The member with another value, in its place or at the end.
    pub(crate) fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut changed = self.clone();
        let value = value.into();
        match changed.0.iter_mut().find(|(member, _)| member == name) {
            Some((_, old)) => *old = value,
            None => changed.0.push((name.to_owned(), value)),
        }
        changed
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(member, _)| member != name).cloned().collect())
    }

    /// A further member, even if there is one of the name. The name is JSON text without quotation marks.
    pub(crate) fn and(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.0.push((name.to_owned(), value.to_owned()));
        changed
    }

    pub(crate) fn json(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}
