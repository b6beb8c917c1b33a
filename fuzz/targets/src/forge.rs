//! Tokens that no signer of ours would make, under keys that everyone knows.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

/// RFC 8037, appendix A.1.
const ED_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// RFC 8037, appendix A.1.
pub(crate) const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// RFC 7515, appendix A.3.
const EC_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// RFC 7515, appendix A.3.
pub(crate) const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
/// RFC 7515, appendix A.3.
pub(crate) const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
/// RFC 7515, appendix A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

/// The three keys as a set, called `ed`, `ec` and `rsa`.
pub(crate) static JWKS: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{ED_X}","kid":"ed"}},{{"kty":"EC","crv":"P-256","x":"{EC_X}","y":"{EC_Y}","kid":"ec"}},{{"kty":"RSA","n":"{RSA_N}","e":"AQAB","alg":"RS256","kid":"rsa"}}]}}"#
    )
});

static ED: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&unb64(ED_D)).expect("a key"));

static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let point = [&[4][..], &unb64(EC_X), &unb64(EC_Y)].concat();
    let (parameters, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    EcdsaKeyPair::from_private_key_and_public_key(parameters, &unb64(EC_D), &point, &random).expect("a key")
});

/// Which of the keys signs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    Ed25519,
    P256,
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// A token of this header and payload whose signature is right.
pub(crate) fn signed(signer: Signer, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let mut token = format!("{}.{}", b64(header), b64(payload));
    let signature = match signer {
        Signer::Ed25519 => b64(ED.sign(token.as_bytes())),
        Signer::P256 => b64(EC.sign(&SystemRandom::new(), token.as_bytes()).expect("signs")),
    };
    token.push('.');
    token.push_str(&signature);
    token
}

/// The same with a signature of nobody.
pub(crate) fn unsigned(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}.AAAA", b64(header), b64(payload))
}
