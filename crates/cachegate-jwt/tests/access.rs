//! The access tokens of a gate: what is issued is accepted, and one change away from it is not.

#![expect(clippy::expect_used, reason = "a token that cannot be made fails the test")]

mod common;

use std::time::Duration;

use cachegate_jwt::*;
use cachegate_types::{
    ActionSet, ClosureId, Lane, LaneClass, LaneSource, OrganizationId, Principal, Restriction, Timestamp,
    TokenId, UserId, VersionRequirement, WorkspaceId,
};
use common::*;
use proptest::prelude::*;

const NOW: u32 = 1_700_000_000;
const GATE: &str = "https://cache.example";

fn now() -> Timestamp {
    NOW.into()
}

fn claims() -> AccessClaims {
    AccessClaims {
        issuer: GATE.into(),
        audience: GATE.into(),
        subject: "018bcfe5-6800-7000-8000-000000000001".into(),
        client_id: "gatectl".into(),
        token_id: TokenId::from_bytes([7; 16]),
        issued_at: now(),
        expires_at: Timestamp::from(NOW + 900),
        kind: Some("device".into()),
        ancestors: vec![TokenId::from_bytes([8; 16])],
        principal: Some(Principal::Device(OrganizationId::from_bytes([9; 16]))),
        lane: Some(Lane::main()),
        authorization_details: vec![
            Restriction::Organization(OrganizationId::from_bytes([9; 16])).into(),
            Restriction::Actions(ActionSet::from_bits(3).expect("bits")).into(),
        ],
    }
}

fn check() -> ClaimsCheck {
    ClaimsCheck::access_tokens(GATE, [GATE], Duration::from_secs(90 * 86_400)).expect("a check")
}

fn keys() -> AccessKeys {
    AccessKeys::new([signing_key().verifying_key().clone()])
}

fn issue(claims: &AccessClaims) -> String {
    sign_access_token(&signing_key(), claims).expect("issued").expose_secret().to_owned()
}

fn verify(token: &str) -> Result<AccessClaims, JwsError> {
    verify_access_token(token, &keys(), &check(), now())
}

/// The token's claims as JSON text, to be changed and signed anew by hand.
fn members() -> Members {
    let token = issue(&claims());
    let payload = token.split('.').nth(1).expect("a payload");
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&unb64(payload)).expect("an object");
    Members(object.into_iter().map(|(name, value)| (name, value.to_string())).collect())
}

fn header() -> Members {
    Members::new(&[
        ("alg", r#""EdDSA""#),
        ("kid", r#""kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k""#),
        ("typ", r#""at+jwt""#),
    ])
}

fn signed(header: &Members, claims: &Members) -> String {
    forge(Algorithm::EdDsa, header.json(), claims.json())
}

#[track_caller]
fn refused(name: &str, token: &str, code: &str) {
    assert_eq!(verify(token).map_err(|error| error.code()), Err(code), "{name}");
}

#[test]
fn what_is_issued_is_accepted_and_reads_back() {
    assert_eq!(verify(&issue(&claims())), Ok(claims()));
    // The form that the cases below are one change away from.
    assert_eq!(verify(&signed(&header(), &members())), Ok(claims()));
    let es256 = SigningKey::generate(Algorithm::Es256).expect("a key");
    let token = sign_access_token(&es256, &claims()).expect("issued");
    let keys = AccessKeys::new([signing_key().verifying_key().clone(), es256.verifying_key().clone()]);
    assert_eq!(verify_access_token(token.expose_secret(), &keys, &check(), now()), Ok(claims()));
    refused("a key of another gate", token.expose_secret(), "unknown_key");
}

#[test]
fn a_header_in_another_order_is_read_strictly_and_accepted() {
    let reordered = Members(header().0.into_iter().rev().collect());
    assert_eq!(verify(&signed(&reordered, &members())), Ok(claims()));
    let spelled = header().with("typ", r#""application/AT+JWT""#);
    assert_eq!(verify(&signed(&spelled, &members())), Ok(claims()));
}

#[test]
fn a_header_that_is_not_ours_is_refused_for_what_it_says() {
    for (name, header, code) in [
        ("none", header().with("alg", r#""none""#), "unsupported_algorithm"),
        ("HS256", header().with("alg", r#""HS256""#), "unsupported_algorithm"),
        ("ES256", header().with("alg", r#""ES256""#), "algorithm_mismatch"),
        ("no alg", header().without("alg"), "header_missing"),
        ("no kid", header().without("kid"), "unknown_key"),
        ("other kid", header().with("kid", r#""other""#), "unknown_key"),
        ("no typ", header().without("typ"), "wrong_type"),
        ("ID token", header().with("typ", r#""JWT""#), "wrong_type"),
        ("logout token", header().with("typ", r#""logout+jwt""#), "wrong_type"),
        ("crit", header().and("crit", "[]"), "critical_header"),
        ("jwk", header().and("jwk", &ed_jwk("")), "embedded_key"),
        ("zip", header().and("zip", r#""DEF""#), "unsupported_header"),
        ("typ twice", header().and("typ", r#""at+jwt""#), "duplicate_member"),
    ] {
        refused(name, &signed(&header, &members()), code);
    }
}

#[test]
fn a_token_of_another_kind_of_verifier_is_refused() {
    // A platform's token at the gate, the gate's token at a verifier of platforms' tokens.
    let platform = signing_key().sign_claims("JWT", &members().json()).expect("signed");
    refused("a platform's token", platform.expose_secret(), "wrong_type");
    let token = issue(&claims());
    let parsed = UnverifiedJws::parse(&token).expect("well formed");
    let verified = parsed.verify_with(signing_key().verifying_key(), &[Algorithm::EdDsa]).expect("verifies");
    let platforms = ClaimsCheck::new(GATE, [GATE], Duration::from_secs(3600)).expect("a check");
    assert_eq!(verified.check(&platforms, now()).map(|_| ()), Err(JwsError::WrongType));
    // With the brand's prefix left on, or twice, or of another token.
    for (prefix, code) in [
        ("cg1_", "not_json_object"),
        ("cg1_cg1_", "not_json_object"),
        ("flakehub1_", "not_clean_utf8"),
        ("Bearer ", "not_canonical_base64"),
    ] {
        refused(prefix, &format!("{prefix}{token}"), code);
    }
    assert!(matches!(
        signing_key().sign_claims("application/AT+JWT", &members().json()),
        Err(IssueError::Claim { claim: "typ" })
    ));
    // Another gate's token, and ours for another service.
    let another = |change: &dyn Fn(&mut AccessClaims)| {
        let mut claims = claims();
        change(&mut claims);
        issue(&claims)
    };
    refused(
        "another gate",
        &another(&|claims| claims.issuer = "https://other.example".into()),
        "issuer_mismatch",
    );
    refused(
        "another service",
        &another(&|claims| claims.audience = "https://s.example".into()),
        "audience_mismatch",
    );
}

#[test]
fn every_claim_is_there_well_typed_and_known() {
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"] {
        refused(name, &signed(&header(), &members().without(name)), "claim_missing");
    }
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "jti",
        "client_id",
        "kind",
        "anc",
        "prn",
        "lane",
        "authorization_details",
    ] {
        for value in ["null", "true", "{}", "1.5"] {
            refused(name, &signed(&header(), &members().with(name, value)), "claim_ill_typed");
        }
    }
    for (name, value) in [
        ("sub", r#""""#),
        ("sub", r#""a\nb""#),
        ("sub", r#""a\u202eb""#),
        ("sub", r#""\ufeffa""#),
        ("sub", r#""a\u200bb""#),
        ("client_id", r#""""#),
        ("client_id", r#""a\u001b[31m""#),
        ("kind", r#""a\u2066""#),
        ("jti", r#""7""#),
        ("jti", r#""07070707070707070707070707070707""#),
        ("anc", r#"["x"]"#),
        ("prn", r#""AA""#),
        ("prn", r#""=""#),
        ("lane", r#""trunk""#),
        ("lane", r#""main/x""#),
        ("exp", "-1"),
        ("iat", "253402300800"),
    ] {
        refused(
            &format!("{name} {value}"),
            &signed(&header(), &members().with(name, value)),
            "claim_out_of_range",
        );
    }
    let id = r#""07070707-0707-0707-0707-070707070707""#;
    let five = format!("[{}]", [id; 5].join(","));
    refused("five ancestors", &signed(&header(), &members().with("anc", five)), "claim_out_of_range");
    for name in ["scope", "nonce", "roles", "Kind", "act", "cnf", ""] {
        refused(name, &signed(&header(), &members().with(name, r#""x""#)), "unknown_claim");
    }
    refused("twice", &signed(&header(), &members().and("kind", r#""ci""#)), "duplicate_member");
}

#[test]
fn times_are_checked_as_for_every_token() {
    let at = |exp: u32, iat: u32| {
        let changed = members().with("exp", exp.to_string()).with("iat", iat.to_string());
        verify(&signed(&header(), &changed)).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(at(NOW - 29, NOW - 900), Ok(()));
    assert_eq!(at(NOW - 30, NOW - 900), Err("expired"));
    assert_eq!(at(NOW + 900, NOW + 30), Ok(()));
    assert_eq!(at(NOW + 900, NOW + 31), Err("issued_in_future"));
    assert_eq!(at(NOW + 90 * 86_400, NOW), Ok(()));
    assert_eq!(at(NOW + 90 * 86_400 + 1, NOW), Err("lifetime_too_long"));
    assert_eq!(at(NOW - 1, NOW), Err("times_contradict"));
}

#[test]
fn a_revoked_key_is_told_only_after_its_signature_was_right() {
    let token = issue(&claims());
    let revoked = AccessKeys::new([]).with_revoked([signing_key().verifying_key().clone()]);
    let verify =
        |token: &str| verify_access_token(token, &revoked, &check(), now()).map_err(|error| error.code());
    assert_eq!(verify(&token), Err("key_revoked"));
    let mut altered = token.into_bytes();
    let last = altered.len() - 5;
    altered[last] = if altered[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(verify(&String::from_utf8(altered).expect("text")), Err("bad_signature"));
    // In force and revoked at once is revoked.
    let both = keys().with_revoked([signing_key().verifying_key().clone()]);
    assert_eq!(both.in_force().count(), 0);
}

#[test]
fn a_detail_that_is_not_known_might_restrict_and_is_refused() {
    let with = |details: &str| signed(&header(), &members().with("authorization_details", details));
    const W: &str = r#""09090909-0909-0909-0909-090909090909""#;
    for (details, code) in [
        (r#"[{"type":"cachegate_future"}]"#.to_owned(), "unknown_authorization_detail"),
        (r#"[{"type":"payment_initiation"}]"#.into(), "unknown_authorization_detail"),
        (
            format!(r#"[{{"type":"cachegate_organization","identifier":{W},"actions":["read"]}}]"#),
            "unknown_authorization_detail",
        ),
        (
            r#"[{"type":"cachegate_actions","actions":[],"locations":[]}]"#.into(),
            "unknown_authorization_detail",
        ),
        (r#"[{"type":"cachegate_actions"}]"#.into(), "claim_out_of_range"),
        (r#"[{"type":"cachegate_actions","actions":["fly"]}]"#.into(), "claim_out_of_range"),
        (r#"[{"type":"cachegate_actions","actions":"read"}]"#.into(), "claim_ill_typed"),
        (r#"[{"type":"cachegate_actions","actions":[1]}]"#.into(), "claim_ill_typed"),
        (r#"[{"type":"cachegate_organization","identifier":"acme"}]"#.into(), "claim_out_of_range"),
        (r#"[{"type":"cachegate_organization","identifier":1}]"#.into(), "claim_ill_typed"),
        (r#"[{"type":"cachegate_workspaces","identifiers":["x"]}]"#.into(), "claim_out_of_range"),
        (r#"[{"type":"cachegate_workspaces"}]"#.into(), "claim_out_of_range"),
        (format!(r#"[{{"type":"cachegate_releases","workspace":{W}}}]"#), "claim_out_of_range"),
        (
            format!(r#"[{{"type":"cachegate_releases","workspace":{W},"requirement":"x.y"}}]"#),
            "claim_out_of_range",
        ),
        (format!(r#"[{{"type":"cachegate_closure","workspace":{W}}}]"#), "claim_out_of_range"),
        (r#"[{"type":"cachegate_until","until":"1700000000"}]"#.into(), "claim_ill_typed"),
        (r#"[{"type":"cachegate_until","until":-1}]"#.into(), "claim_out_of_range"),
        (r#"[{"type":"cachegate_until"}]"#.into(), "claim_out_of_range"),
        (r#"[{"type":1}]"#.into(), "claim_ill_typed"),
        (r#"[{}]"#.into(), "claim_out_of_range"),
        (r#"["cachegate_until"]"#.into(), "claim_ill_typed"),
        (r#"{"type":"cachegate_until","until":1}"#.into(), "claim_ill_typed"),
    ] {
        refused(&details, &with(&details), code);
    }
    assert_eq!(AuthorizationDetail::list_from_json("[]"), Ok(Vec::new()));
    for text in ["", "{}", "null", r#"[],"x":1"#, "[]}", "[[]"] {
        assert!(AuthorizationDetail::list_from_json(text).is_err(), "{text}");
    }
}

#[test]
fn a_token_that_would_be_too_long_or_wrong_is_not_issued() {
    let workspaces = |count: usize| {
        let ids = (0..count).map(|_| WorkspaceId::from_bytes([0xab; 16])).collect();
        AccessClaims { authorization_details: vec![Restriction::Workspaces(ids).into()], ..claims() }
    };
    let longest =
        (0..60).take_while(|count| sign_access_token(&signing_key(), &workspaces(*count)).is_ok()).count()
            - 1;
    assert!((25..45).contains(&longest), "{longest}");
    assert!(issue(&workspaces(longest)).len() <= MAX_ACCESS_TOKEN);
    assert!(verify(&issue(&workspaces(longest))).is_ok());
    let error = sign_access_token(&signing_key(), &workspaces(longest + 1)).expect_err("too long");
    assert_eq!(error.code(), "token_too_long");
    let wrong = |change: &dyn Fn(&mut AccessClaims)| {
        let mut claims = claims();
        change(&mut claims);
        sign_access_token(&signing_key(), &claims).map(|_| ())
    };
    assert_eq!(wrong(&|claims| claims.subject = "a\nb".into()), Err(IssueError::Claim { claim: "sub" }));
    assert_eq!(wrong(&|claims| claims.subject.clear()), Err(IssueError::Claim { claim: "sub" }));
    assert_eq!(wrong(&|claims| claims.client_id.clear()), Err(IssueError::Claim { claim: "client_id" }));
    assert_eq!(wrong(&|claims| claims.issuer = "".into()), Err(IssueError::Claim { claim: "iss" }));
    assert_eq!(wrong(&|claims| claims.audience = "".into()), Err(IssueError::Claim { claim: "aud" }));
    assert_eq!(wrong(&|claims| claims.kind = Some(String::new())), Err(IssueError::Claim { claim: "kind" }));
    assert_eq!(
        wrong(&|claims| claims.expires_at = claims.issued_at),
        Err(IssueError::Claim { claim: "exp" })
    );
    assert_eq!(
        wrong(&|claims| claims.ancestors = vec![TokenId::from_bytes([0; 16]); 5]),
        Err(IssueError::Claim { claim: "anc" })
    );
}

#[test]
fn a_private_key_goes_to_the_vault_and_comes_back() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = SigningKey::generate(algorithm).expect("a key");
        let back = SigningKey::from_pkcs8(algorithm, key.to_pkcs8().expose_secret()).expect("the key");
        assert_eq!(back.verifying_key(), key.verifying_key());
        assert_eq!(key.kid().to_string(), key.verifying_key().thumbprint().to_string());
        assert_eq!(VerifyingKey::from_jwk(key.public_jwk()).as_ref(), Ok(key.verifying_key()));
        let jwks = to_jwks([key.verifying_key()]);
        assert_eq!(KeySet::from_jwks(jwks.as_bytes()).expect("a set").keys(), [key.verifying_key().clone()]);
        assert_ne!(SigningKey::generate(algorithm).expect("a key").verifying_key(), key.verifying_key());
    }
    let ed = SigningKey::generate(Algorithm::EdDsa).expect("a key").to_pkcs8();
    for bytes in [&b""[..], b"0", &[0; 48], &ed.expose_secret()[..47], &[ed.expose_secret(), b"x"].concat()] {
        let error = SigningKey::from_pkcs8(Algorithm::EdDsa, bytes).expect_err("no key");
        assert_eq!(error.code(), "private_key_malformed");
    }
    assert!(SigningKey::from_pkcs8(Algorithm::Es256, ed.expose_secret()).is_err());
    for algorithm in Algorithm::ALL.into_iter().filter(|a| !matches!(a, Algorithm::EdDsa | Algorithm::Es256))
    {
        let error = SigningKey::generate(algorithm).expect_err("not issued with");
        assert_eq!(error, SigningKeyError::UnsupportedAlgorithm { algorithm });
    }
}

fn id<T>(make: impl Fn([u8; 16]) -> T) -> impl Strategy<Value = T>
where
    T: std::fmt::Debug,
{
    any::<[u8; 16]>().prop_map(make)
}

fn restriction() -> impl Strategy<Value = Restriction> {
    prop_oneof![
        (0_u8..128).prop_map(|bits| Restriction::Actions(ActionSet::from_bits(bits).expect("bits"))),
        id(OrganizationId::from_bytes).prop_map(Restriction::Organization),
        proptest::collection::vec(id(WorkspaceId::from_bytes), 0..4).prop_map(Restriction::Workspaces),
        (
            id(WorkspaceId::from_bytes),
            proptest::sample::select(&["*", "1.*", "0.1", "=1.2.3", ">=1, <3", "~1.2", "^0.3.1-pre"][..])
        )
            .prop_map(|(workspace, text)| {
                let requirement: VersionRequirement = text.parse().expect("a requirement");
                Restriction::Releases { workspace, requirement }
            }),
        (id(WorkspaceId::from_bytes), id(ClosureId::from_bytes))
            .prop_map(|(workspace, closure)| Restriction::Closure { workspace, closure }),
        (0..=Timestamp::MAX.as_unix_seconds())
            .prop_map(|second| Restriction::Until(Timestamp::from_unix_seconds(second).expect("in range"))),
    ]
}

fn lane() -> impl Strategy<Value = Lane> {
    let source = proptest::option::of(("[a-z]{1,8}", "\\PC{1,8}").prop_map(|(anchor, repository)| {
        LaneSource { anchor: anchor.parse().expect("a name"), repository: repository.into() }
    }));
    prop_oneof![
        Just(Lane::main()),
        (source, proptest::collection::vec(any::<u8>(), 1..20)).prop_map(|(source, name)| Lane::named(
            LaneClass::Branch,
            source,
            &name
        )
        .expect("a lane")),
    ]
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        Just(Principal::Anonymous),
        id(UserId::from_bytes).prop_map(Principal::User),
        id(WorkspaceId::from_bytes).prop_map(Principal::Ci),
        ("[a-z]{1,8}", any::<String>()).prop_map(|(anchor, subject)| Principal::Workload {
            anchor: anchor.parse().expect("a name"),
            subject: subject.into(),
        }),
    ]
}

fn any_claims() -> impl Strategy<Value = AccessClaims> {
    (
        "[a-zé\"\\\\/ ]{1,30}",
        id(TokenId::from_bytes),
        proptest::option::of("[a-z]{1,8}"),
        proptest::collection::vec(id(TokenId::from_bytes), 0..=4),
        proptest::option::of(principal()),
        proptest::option::of(lane()),
        proptest::collection::vec(restriction(), 0..6),
        1_u32..900,
    )
        .prop_map(|(subject, token_id, kind, ancestors, principal, lane, restrictions, life)| {
            AccessClaims {
                client_id: subject.clone(),
                subject,
                token_id,
                expires_at: Timestamp::from(NOW + life),
                kind,
                ancestors,
                principal,
                lane,
                authorization_details: restrictions.into_iter().map(Into::into).collect(),
                ..claims()
            }
        })
}

proptest! {
    #[test]
    fn whatever_is_issued_reads_back_whole(claims in any_claims()) {
        match sign_access_token(&signing_key(), &claims) {
            Ok(token) => {
                prop_assert!(token.expose_secret().len() <= MAX_ACCESS_TOKEN);
                prop_assert_eq!(verify(token.expose_secret()), Ok(claims));
            }
            Err(error) => prop_assert_eq!(error.code(), "token_too_long"),
        }
    }

    #[test]
    fn restrictions_and_authorization_details_are_one(restrictions in proptest::collection::vec(restriction(), 0..6)) {
        let details: Vec<_> = restrictions.iter().cloned().map(AuthorizationDetail::from).collect();
        let json = AuthorizationDetail::list_to_json(&details);
        prop_assert!(serde_json::from_str::<Vec<serde_json::Value>>(&json).is_ok());
        let back = AuthorizationDetail::list_from_json(&json).expect("known details");
        prop_assert_eq!(back.into_iter().map(Restriction::from).collect::<Vec<_>>(), restrictions);
    }

    #[test]
    fn one_changed_character_is_refused(at in 0_usize..400, to in 0_usize..64) {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut token = issue(&claims()).into_bytes();
        let at = at % token.len();
        prop_assume!(token[at] != ALPHABET[to] && token[at] != b'.');
        token[at] = ALPHABET[to];
        prop_assert!(verify(&String::from_utf8(token).expect("text")).is_err());
    }
}
