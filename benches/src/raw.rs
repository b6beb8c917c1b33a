//! The bare operations of the back-end, which everything is a ratio to.

use std::hint::black_box;

use cachegate_jwt::Algorithm;
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use crate::Operation;
use crate::names::{ED25519_SIGN, ED25519_VERIFY, ES256_VERIFY, RS256_VERIFY, SHA256_OF_SIGNED};
use crate::world::{Platform, World};

pub(crate) fn operations(world: &World) -> Vec<Operation<'_>> {
    let mut operations: Vec<_> = world.platform.iter().map(verify).collect();
    let document = world.issuing.key.to_pkcs8();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(document.expose_secret()).expect("a key");
    let (input, _) = world.issuing.token.expose_secret().rsplit_once('.').expect("a token");
    let signed = world.signed.expose_secret().strip_prefix("Bearer ").unwrap_or_default();
    operations.push(Operation::new(ED25519_SIGN, move || {
        pair.sign(black_box(input.as_bytes())).as_ref().len() == 64
    }));
    operations.push(Operation::new(SHA256_OF_SIGNED, || {
        digest(&SHA256, black_box(signed.as_bytes())).as_ref().len() == 32
    }));
    operations
}

fn verify(platform: &Platform) -> Operation<'_> {
    let (input, signature) = platform.signed();
    match platform.algorithm {
        Algorithm::EdDsa => {
            let key = UnparsedPublicKey::new(&ED25519, platform.key_member("x"));
            Operation::new(ED25519_VERIFY, move || key.verify(black_box(input), &signature).is_ok())
        }
        Algorithm::Es256 => {
            let point = [vec![4], platform.key_member("x"), platform.key_member("y")].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            Operation::new(ES256_VERIFY, move || key.verify(black_box(input), &signature).is_ok())
        }
        _ => {
            let key = RsaPublicKeyComponents { n: platform.key_member("n"), e: platform.key_member("e") };
            Operation::new(RS256_VERIFY, move || {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, black_box(input), &signature).is_ok()
            })
        }
    }
}
