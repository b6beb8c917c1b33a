//! Allocations are counted, not timed: the counts are exact.

#![expect(clippy::expect_used, reason = "a token that cannot be made fails the test")]

mod common;

use std::time::Duration;

use cachegate_jwt::*;
use cachegate_types::{ActionSet, OrganizationId, Restriction, Timestamp, TokenId};
use common::*;

const GATE: &str = "https://cache.example";

fn count<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let mut made = None;
    let info = allocation_counter::measure(|| made = Some(work()));
    (info.count_total, made.expect("done"))
}

fn claims(restrictions: Vec<Restriction>) -> AccessClaims {
    AccessClaims {
        issuer: GATE.into(),
        audience: GATE.into(),
        subject: "018bcfe5-6800-7000-8000-000000000001".into(),
        client_id: "gatectl".into(),
        token_id: TokenId::from_bytes([7; 16]),
        issued_at: 1_700_000_000.into(),
        expires_at: 1_700_000_900.into(),
        kind: None,
        ancestors: Vec::new(),
        principal: None,
        lane: None,
        authorization_details: restrictions.into_iter().map(Into::into).collect(),
    }
}

#[test]
fn a_cold_access_token_costs_at_most_four_allocations() {
    let key = signing_key();
    let keys = AccessKeys::new([key.verifying_key().clone()]);
    let check = ClaimsCheck::access_tokens(GATE, [GATE], Duration::from_secs(3600)).expect("a check");
    let restrictions = vec![
        Restriction::Organization(OrganizationId::from_bytes([9; 16])),
        Restriction::Actions(ActionSet::from_bits(3).expect("bits")),
    ];
    let token = sign_access_token(&key, &claims(restrictions)).expect("issued");
    let now = Timestamp::from(1_700_000_000);
    let verify = |token: &str| verify_access_token(token, &keys, &check, now);
    // The back-end detects the processor once.
    verify(token.expose_secret()).expect("verifies");
    let (allocations, verified) = count(|| verify(token.expose_secret()));
    assert!(verified.is_ok());
    // Subject, client id, the list of details.
    assert!(allocations <= 4, "{allocations}");
    for (name, bad) in [
        ("oversized", "a".repeat(200_000)),
        ("no dots", "a".repeat(600)),
        ("altered", format!("{}A", token.expose_secret())),
        ("bad signature", token.expose_secret().replace(".ey", ".ez")),
        (
            "expired",
            sign_access_token(
                &key,
                &AccessClaims { issued_at: 0.into(), expires_at: 9.into(), ..claims(vec![]) },
            )
            .expect("issued")
            .expose_secret()
            .to_owned(),
        ),
    ] {
        let (allocations, verified) = count(|| verify(&bad));
        assert!(verified.is_err(), "{name}");
        assert!(allocations <= 2, "{name}: {allocations}");
    }
}

#[test]
fn issuing_costs_at_most_four_allocations() {
    let (key, claims) = (signing_key(), claims(Vec::new()));
    sign_access_token(&key, &claims).expect("issued");
    let (allocations, issued) = count(|| sign_access_token(&key, &claims));
    assert!(issued.is_ok());
    assert!(allocations <= 4, "{allocations}");
}

#[test]
fn what_is_refused_before_it_is_read_costs_nothing() {
    for text in ["a".repeat(200_000), ".".repeat(100), "a.b".into(), String::new(), "{}".into()] {
        let (allocations, parsed) = count(|| UnverifiedJws::parse(&text).map(|_| ()));
        assert!(parsed.is_err());
        assert_eq!(allocations, 0);
    }
}
