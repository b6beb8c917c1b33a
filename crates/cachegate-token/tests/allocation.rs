//! A request with a good bearer token is read, and believed or not, without a heap allocation.

use std::hint::black_box;

use allocation_counter::measure;

use cachegate_token::{Brand, Credential, DigestKey, Digester, OpaqueKind, OpaqueToken};
use cachegate_types::{SecretBytes, TokenId};

#[test]
fn reading_digesting_and_verifying_a_bearer_token_allocate_nothing() {
    let brand = Brand::default();
    let token = OpaqueToken::new(OpaqueKind::Ci, TokenId::from_bytes([1; 16]), SecretBytes::new([2; 32]));
    let text = token.to_text(&brand);
    let opaque = format!("Bearer {}", text.expose_secret());
    let jwt = format!("Bearer cg1_{}.{}.{}", "a".repeat(100), "b".repeat(600), "c".repeat(86));
    let plain = Digester::sha256();
    let keyed = Digester::hmac_sha256(DigestKey::new(1, SecretBytes::new([3; 32])));
    let stored = plain.digest(&token);
    for value in [&opaque, &jwt] {
        let fields = [("host", &b"x"[..]), ("authorization", value.as_bytes())];
        let mut found = 0;
        let counted = measure(|| {
            let credential = Credential::from_fields(fields, &brand);
            if let Ok(Some(credential)) = &credential {
                found += 1;
                black_box(credential.cache_digest(b"gate"));
                black_box(credential.public_id());
            }
            if let Ok(Some(Credential::Opaque(token))) = &credential {
                black_box(plain.verify(token, Some(&stored)));
                black_box(keyed.verify(token, None));
            }
        });
        assert_eq!(found, 1);
        assert_eq!(counted.count_total, 0, "{} bytes", value.len());
    }
}

#[test]
fn refusing_allocates_nothing() {
    let brand = Brand::default();
    let long = "x".repeat(100_000);
    let fitting = format!("Bearer {}", "x.".repeat(8000));
    for value in [&long, &fitting, "Bearer cgc_x", "Digest x", "Bearer a, Bearer b", "Bearer \0", ""] {
        let mut refused = false;
        let counted = measure(|| refused = Credential::bearer_header(value.as_bytes(), &brand).is_err());
        assert!(refused);
        assert_eq!(counted.count_total, 0, "{} bytes", value.len());
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(black_box(vec![0_u8; 100]))).count_total, 1);
}
