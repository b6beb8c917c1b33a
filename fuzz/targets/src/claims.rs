use std::sync::LazyLock;
use std::time::Duration;

use cachegate_jwt::{
    AccessKeys, Algorithm, ClaimValue, Claims, ClaimsCheck, KeySet, UnverifiedJws, VerifyingKey,
    verify_access_token,
};
use cachegate_types::Timestamp;
use serde_json::Value;

use crate::NOW;
use crate::forge::{ED_X, JWKS, Signer, signed, unsigned};

const DAY: Duration = Duration::from_secs(86_400);

static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::from_jwks(JWKS.as_bytes()).expect("a set"));

/// The same key under its thumbprint, as the gate's own keys are called.
static OWN: LazyLock<VerifyingKey> = LazyLock::new(|| {
    VerifyingKey::from_jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED_X}"}}"#)).expect("a key")
});

static STRICT: LazyLock<ClaimsCheck> =
    LazyLock::new(|| ClaimsCheck::new("iss", ["aud", "two"], DAY).expect("a check"));

static LAX: LazyLock<ClaimsCheck> = LazyLock::new(|| {
    let check = ClaimsCheck::without_issuer(["aud", "two"], DAY).expect("a check");
    check.with_further_audiences().with_issued_at_optional().with_subject_optional().with_type_optional()
});

static ACCESS: LazyLock<ClaimsCheck> =
    LazyLock::new(|| ClaimsCheck::access_tokens("iss", ["aud"], DAY).expect("a check"));

/// The bytes as the payload of a token whose signature is right.
pub fn claims(data: &[u8]) {
    // What the reader refuses without a look at the signature is not worth a signature.
    let probe = unsigned(r#"{"alg":"EdDSA"}"#, data);
    if let Ok(parsed) = UnverifiedJws::parse(&probe)
        && let Err(error) = parsed.unverified_issuer()
        && !error.code().starts_with("claim_")
    {
        return;
    }
    foreign(&signed(Signer::Ed25519, r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#, data), data);
    own(&signed(Signer::Ed25519, format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, OWN.kid()), data));
}

fn foreign(token: &str, data: &[u8]) {
    let Ok(parsed) = UnverifiedJws::parse(token) else { return };
    let verified = parsed.verify(&KEYS, &[Algorithm::EdDsa]).expect("the signature is right");
    assert_eq!(verified.payload(), data);
    let Ok(claims) = verified.claims() else { return };
    let reference: Value = serde_json::from_slice(data).expect("serde_json reads whatever is read here");
    assert!(same(claims, &reference), "{claims:?} reads otherwise");
    let now = Timestamp::from(NOW);
    let strict = verified.check(&STRICT, now);
    let lax = verified.check(&LAX, now);
    assert!(strict.is_err() || lax.is_ok(), "the laxer check refuses: {:?}", lax.err());
    if let Ok(checked) = strict {
        assert_eq!(reference.get("iss"), Some(&Value::from("iss")));
        assert_eq!(reference.get("sub").and_then(Value::as_str), checked.subject.as_deref());
        let audience = reference.get("aud").map(|aud| aud.get(0).unwrap_or(aud));
        assert_eq!(audience.and_then(Value::as_str), Some(&*checked.audience));
        let exp = reference.get("exp").and_then(Value::as_i64).expect("a time");
        assert_eq!(exp, checked.expires_at.as_unix_seconds());
        assert!(exp + 30 > i64::from(NOW), "accepted after its time");
        let iat = reference.get("iat").and_then(Value::as_i64).expect("a time");
        assert!(iat <= i64::from(NOW) + 30 && exp - iat <= 86_400);
        assert!(
            reference.get("nbf").is_none_or(|nbf| nbf.as_i64().is_some_and(|nbf| nbf <= i64::from(NOW) + 30))
        );
    }
}

/// What a gate's own reader takes says the same when it is signed anew, and a foreign reader takes it too.
fn own(token: &str) {
    let keys = AccessKeys::new([OWN.clone()]);
    if let Ok(claims) = verify_access_token(token, &keys, &ACCESS, Timestamp::from(NOW)) {
        assert_eq!((&*claims.issuer, &*claims.audience), ("iss", "aud"));
        assert!(claims.expires_at > claims.issued_at);
        let set = KeySet::from_keys([OWN.clone()]);
        let verified = UnverifiedJws::parse(token).and_then(|jws| jws.verify(&set, &[Algorithm::EdDsa]));
        let verified = verified.expect("one signature");
        assert!(verified.check(&ACCESS, Timestamp::from(NOW)).is_ok());
    }
}

/// Member by member and value by value, in order.
fn same(claims: Claims<'_>, reference: &Value) -> bool {
    let Value::Object(members) = reference else { return false };
    members.len() == claims.iter().count()
        && claims.iter().all(|(name, value)| {
            members.get(&*name).is_some_and(|reference| same_value(&value, reference))
                && claims.get(&name).is_some()
        })
}

fn same_value(value: &ClaimValue<'_>, reference: &Value) -> bool {
    match value {
        ClaimValue::Null => reference.is_null(),
        ClaimValue::Bool(value) => reference.as_bool() == Some(*value),
        // `-0` is an integer here and a float there.
        ClaimValue::Integer(value) => {
            reference.as_i64() == Some(*value) || (*value == 0 && reference.as_f64() == Some(0.0))
        }
        ClaimValue::Number(text) => match (text.parse::<f64>(), reference.as_f64()) {
            // The reference rounds in its own way.
            (Ok(ours), Some(theirs)) => (ours - theirs).abs() <= ours.abs() * 1e-15 + f64::MIN_POSITIVE,
            _ => false,
        },
        ClaimValue::Text(text) => reference.as_str() == Some(text),
        ClaimValue::List(list) => reference.as_array().is_some_and(|elements| {
            elements.len() == list.iter().count()
                && list.iter().zip(elements).all(|(value, reference)| same_value(&value, reference))
        }),
        ClaimValue::Object(claims) => same(*claims, reference),
    }
}
