//! Whatever arrives, the readers answer: no panic, and no more work than the limits allow.

#![expect(clippy::expect_used, reason = "a token that cannot be made fails the test")]

mod common;

use std::time::Duration;

use cachegate_jwt::*;
use cachegate_types::Timestamp;
use common::*;
use proptest::prelude::*;

fn read_everything(token: &str) {
    let now = Timestamp::from(1_700_000_000);
    let check = ClaimsCheck::access_tokens("iss", ["aud"], Duration::from_secs(3600)).expect("a check");
    let keys = AccessKeys::new([signing_key().verifying_key().clone()]);
    let _ = verify_access_token(token, &keys, &check, now);
    if let Ok(parsed) = UnverifiedJws::parse(token) {
        let _ = (parsed.unverified_issuer(), parsed.unverified_subject());
        if let Ok(verified) = parsed.verify(&key_set(), &Algorithm::ALL) {
            let _ = verified.check(&check, now);
            if let Ok(claims) = verified.claims() {
                walk(claims);
            }
        }
    }
}

fn walk(claims: Claims<'_>) {
    for (name, value) in claims.iter() {
        assert!(claims.get(&name).is_some());
        visit(&value);
    }
}

fn visit(value: &ClaimValue<'_>) {
    match value {
        ClaimValue::Object(claims) => walk(*claims),
        ClaimValue::List(list) => list.iter().for_each(|value| visit(&value)),
        ClaimValue::Null
        | ClaimValue::Bool(_)
        | ClaimValue::Integer(_)
        | ClaimValue::Number(_)
        | ClaimValue::Text(_) => {}
    }
}

proptest! {
    #[test]
    fn no_text_panics_the_readers(text in any::<String>(), dotted in "[A-Za-z0-9_.=-]{0,80}") {
        read_everything(&text);
        read_everything(&dotted);
    }

    #[test]
    fn no_header_and_no_payload_panics_the_readers(
        header in proptest::collection::vec(any::<u8>(), 0..64),
        payload in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        read_everything(&forge(Algorithm::EdDsa, &header, &payload));
        read_everything(&forge(Algorithm::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#, &payload));
    }

    #[test]
    fn no_json_panics_the_readers(payload in "[\\{\\}\\[\\]\",:\\\\u0-9a-f.eE+\\- tn]{0,60}") {
        read_everything(&forge(Algorithm::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#, format!("{{{payload}}}")));
        read_everything(&forge(Algorithm::EdDsa, format!("{{{payload}}}"), "{}"));
    }

    #[test]
    fn no_key_set_panics_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), member in "[a-z]{1,5}", value in any::<String>()) {
        let _ = KeySet::from_jwks(&bytes);
        let value = serde_json::to_string(&value).expect("a text");
        for jwk in [ed_jwk, ec_jwk, rsa_jwk] {
            let jwks = format!(r#"{{"keys":[{}]}}"#, jwk(&format!(r#","{member}":{value}"#)));
            if let Ok(set) = KeySet::from_jwks(jwks.as_bytes()) {
                for key in set.keys() {
                    prop_assert_eq!(VerifyingKey::from_jwk(key.to_jwk()), Ok(key.clone()));
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic_the_reader_of_private_keys(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SigningKey::from_pkcs8(Algorithm::EdDsa, &bytes).is_err());
        prop_assert!(SigningKey::from_pkcs8(Algorithm::Es256, &bytes).is_err());
    }

    #[test]
    fn a_claim_reads_as_it_was_written(text in "\\PC{0,40}", number in any::<i64>()) {
        prop_assume!(!text.contains('\0'));
        let json = serde_json::json!({ "text": text, "number": number, "list": [text, [number]] }).to_string();
        let token = forge(Algorithm::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#, &json);
        let verified = UnverifiedJws::parse(&token).expect("well formed").verify(&key_set(), &[Algorithm::EdDsa]);
        let verified = verified.expect("verifies");
        let claims = verified.claims().expect("claims");
        prop_assert_eq!(claims.as_json(), &json);
        let is = |name| matches!(claims.get(name), Some(ClaimValue::Text(read)) if read == text);
        prop_assert!(is("text"));
        let is = |name| matches!(claims.get(name), Some(ClaimValue::Integer(read)) if read == number);
        prop_assert!(is("number"));
        prop_assert!(claims.get("absent").is_none());
    }
}

#[test]
fn what_crosses_threads_may() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<VerifyingKey>();
    shared::<KeySet>();
    shared::<SigningKey>();
    shared::<LabelKey>();
    shared::<AccessKeys>();
    shared::<ClaimsCheck>();
    shared::<AccessClaims>();
    shared::<VerifiedJws>();
    shared::<JwsError>();
    shared::<KeySetError>();
}
