use std::collections::BTreeSet;

use cachegate_jwt::{Algorithm, KeySet, VerifyingKey};
use serde_json::Value;

/// The bytes as a key set.
pub fn key_set(data: &[u8]) {
    for allowed in [&[][..], &[Algorithm::Rs256], &Algorithm::ALL] {
        match KeySet::from_jwks_for(data, allowed) {
            Ok(set) => examine(&set, data),
            Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
        }
    }
}

fn examine(set: &KeySet, data: &[u8]) {
    let reference: Value = serde_json::from_slice(data).expect("serde_json reads whatever is read here");
    let elements = reference.get("keys").and_then(Value::as_array).expect("a list");
    assert_eq!(set.verdicts().len(), elements.len());
    assert_eq!(set.verdicts().iter().filter(|verdict| verdict.result.is_ok()).count(), set.keys().len());
    let names: BTreeSet<_> = set.keys().iter().map(|key| key.kid().clone()).collect();
    assert_eq!(names.len(), set.keys().len(), "two keys of one name");
    for verdict in set.verdicts() {
        if let Err(error) = verdict.result {
            assert!(!error.code().is_empty() && !error.to_string().contains('\n'));
        }
    }
    for key in set.keys() {
        assert_eq!(set.get(key.kid().as_bytes()), Some(key));
        let again = VerifyingKey::from_jwk(key.to_jwk()).expect("a key is read as it was written");
        assert_eq!(&again, key);
        assert_eq!(again.thumbprint(), key.thumbprint());
        // Public keys alone: none brings its private half.
        let written: Value = serde_json::from_str(key.to_jwk()).expect("JSON");
        assert!(["d", "p", "q", "k"].iter().all(|member| written.get(member).is_none()));
    }
}
