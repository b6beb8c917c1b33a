use std::sync::LazyLock;

use cachegate_jwt::{Algorithm, JwsError, KeySet, UnverifiedJws};

use crate::forge::{JWKS, b64, unsigned};

static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::from_jwks(JWKS.as_bytes()).expect("a set"));

/// The bytes as a token's text, and as a token's header.
pub fn jws(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        read(text);
    }
    read(&unsigned(data, "{}"));
}

fn read(token: &str) {
    let parsed = match UnverifiedJws::parse(token) {
        Ok(parsed) => parsed,
        Err(error) => return tell(&error),
    };
    assert!(token.starts_with(parsed.signing_input()));
    assert!(token.len() <= UnverifiedJws::MAX_LENGTH);
    for text in [parsed.unverified_issuer(), parsed.unverified_subject()] {
        if let Err(error) = text {
            tell(&error);
        }
    }
    let algorithm = parsed.unverified_header().algorithm;
    match parsed.verify(&KEYS, &Algorithm::ALL) {
        Ok(verified) => {
            assert_eq!(verified.key().algorithm(), algorithm, "the key chose another algorithm");
            assert_eq!(parsed.signing_input().rsplit('.').next(), Some(&*b64(verified.payload())));
            let none = parsed.verify(&KEYS, &[]).map(|_| ()).map_err(|error| error.code());
            assert_eq!(none, Err("algorithm_not_allowed"));
        }
        Err(error) => tell(&error),
    }
}

/// An error has a stable name, and one line of words.
fn tell(error: &JwsError) {
    let (code, words) = (error.code(), error.to_string());
    assert!(
        !code.is_empty()
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9'))
    );
    assert!(!words.contains(['\n', '\r']));
}
