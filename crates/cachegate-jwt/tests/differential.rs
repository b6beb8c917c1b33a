//! Beside `jsonwebtoken`, configured as strictly as it can be, with a back-end that shares no code with ours:
//! whatever is accepted here is accepted there. The reverse is not expected.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a token that cannot be made fails the test"
)]

mod common;

use std::time::Duration;

use cachegate_jwt::*;
use cachegate_types::Timestamp;
use common::*;
use jsonwebtoken::{DecodingKey, Validation};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// In 2096: the reference reads the clock itself, and whatever is valid here has not expired for it. What it
/// cannot be asked, `theirs` asks in its place.
const NOW: u32 = 4_000_000_000;

const ALGORITHMS: [(Algorithm, jsonwebtoken::Algorithm, &str); 5] = [
    (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA, "ed"),
    (Algorithm::Es256, jsonwebtoken::Algorithm::ES256, "ec"),
    (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256, "rsa"),
    (Algorithm::Ps256, jsonwebtoken::Algorithm::PS256, "rsa"),
    (Algorithm::Rs512, jsonwebtoken::Algorithm::RS512, "rsa"),
];

fn jwk(algorithm: Algorithm) -> String {
    match algorithm {
        Algorithm::EdDsa => ed_jwk(r#","kid":"ed""#),
        Algorithm::Es256 => ec_jwk(r#","kid":"ec""#),
        _ => rsa_jwk(&format!(r#","kid":"rsa","alg":"{algorithm}""#)),
    }
}

fn ours(algorithm: Algorithm, token: &str) -> Result<(), JwsError> {
    let set = KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, jwk(algorithm)).as_bytes()).expect("a set");
    let check = ClaimsCheck::new("iss", ["aud"], Duration::from_secs(3600)).expect("a check");
    UnverifiedJws::parse(token)?.verify(&set, &[algorithm])?.check(&check, Timestamp::from(NOW)).map(|_| ())
}

fn theirs(algorithm: Algorithm, token: &str) -> Result<(), String> {
    let theirs = ALGORITHMS.iter().find(|(ours, _, _)| *ours == algorithm).expect("one").1;
    let mut validation = Validation::new(theirs);
    validation.set_issuer(&["iss"]);
    validation.set_audience(&["aud"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = match algorithm {
        Algorithm::EdDsa => DecodingKey::from_ed_components(ED_X),
        Algorithm::Es256 => DecodingKey::from_ec_components(EC_X, EC_Y),
        _ => DecodingKey::from_rsa_components(RSA_N, "AQAB"),
    };
    let decoded = jsonwebtoken::decode::<serde_json::Value>(token, &key.expect("a key"), &validation)
        .map_err(|error| error.to_string())?;
    let (claims, now) = (decoded.claims, u64::from(NOW));
    if claims["exp"].as_u64().is_none_or(|exp| exp + 30 <= now) {
        return Err("exp".into());
    }
    if claims.get("nbf").is_some_and(|nbf| nbf.as_u64().is_none_or(|nbf| nbf > now + 30)) {
        return Err("nbf".into());
    }
    Ok(())
}

fn claims() -> Members {
    let now = NOW;
    Members::new(&[
        ("iss", r#""iss""#),
        ("sub", r#""sub""#),
        ("aud", r#""aud""#),
        ("exp", &(now + 600).to_string()),
        ("nbf", &(now - 600).to_string()),
        ("iat", &now.to_string()),
        ("jti", r#""jti""#),
        ("x", r#"{"a":[1,2.5,null,true,"é"]}"#),
    ])
}

fn header(algorithm: Algorithm) -> Members {
    let kid = ALGORITHMS.iter().find(|(ours, _, _)| *ours == algorithm).expect("one").2;
    Members::new(&[("alg", &format!("\"{algorithm}\"")), ("kid", &format!("\"{kid}\"")), ("typ", r#""JWT""#)])
}

fn values() -> impl Strategy<Value = String> {
    let now = i64::from(NOW);
    prop_oneof![
        select(
            &[
                "null",
                "true",
                "0",
                "-0",
                "1.0",
                "1e9",
                "\"\"",
                "\"iss\"",
                "\"aud\"",
                "\"JWT\"",
                "[]",
                "{}",
                "[\"aud\"]",
                "[\"aud\",\"other\"]",
                "[[\"aud\"]]",
                "[null,\"aud\"]",
                "\"\\u0061ud\"",
                "\"EdDSA\"",
                "\"ES256\"",
                "\"none\"",
                "\"HS256\"",
                "[\"exp\"]",
                "false",
                "\"at+jwt\"",
                "1e400",
                "\"a\\u0000\""
            ][..]
        )
        .prop_map(str::to_owned),
        (now - 100..now + 4000).prop_map(|second| second.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        "\"[a-z]{0,6}\"",
    ]
}

/// One change of the text of a JSON object.
fn change(members: Members, names: &'static [&'static str]) -> impl Strategy<Value = Members> {
    let untouched = members.clone();
    prop_oneof![
        3 => Just(untouched),
        4 => (select(names), values()).prop_map({
            let members = members.clone();
            move |(name, value)| members.with(name, value)
        }),
        2 => (select(names), values()).prop_map({
            let members = members.clone();
            move |(name, value)| members.and(name, &value)
        }),
        1 => select(names).prop_map(move |name| members.without(name)),
    ]
}

const CLAIMS: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "x", "y", "\\u0061ud", "Exp"];
const HEADER: &[&str] = &["alg", "kid", "typ", "crit", "b64", "zip", "jwk", "cty", "x5t", "y"];

/// A change of the finished text.
#[derive(Debug, Clone)]
enum Cut {
    Whole,
    Replace(Index, char),
    Insert(Index, char),
    Remove(Index),
}

fn cuts() -> impl Strategy<Value = Cut> {
    let characters = || {
        prop_oneof![
            select(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                    .chars()
                    .collect::<Vec<_>>()
            ),
            select(vec!['.', '=', '+', '/', ' ', '\n', '\0', 'é']),
        ]
    };
    prop_oneof![
        4 => Just(Cut::Whole),
        2 => (any::<Index>(), characters()).prop_map(|(at, character)| Cut::Replace(at, character)),
        1 => (any::<Index>(), characters()).prop_map(|(at, character)| Cut::Insert(at, character)),
        1 => any::<Index>().prop_map(Cut::Remove),
    ]
}

fn cut(token: &str, cut: &Cut) -> String {
    let mut characters: Vec<char> = token.chars().collect();
    match cut {
        Cut::Whole => {}
        Cut::Replace(at, character) => {
            let at = at.index(characters.len());
            characters[at] = *character;
        }
        Cut::Insert(at, character) => characters.insert(at.index(characters.len()), *character),
        Cut::Remove(at) => {
            characters.remove(at.index(characters.len()));
        }
    }
    characters.into_iter().collect()
}

#[test]
fn both_accept_the_token_that_is_changed() {
    for (algorithm, _, _) in ALGORITHMS {
        let token = forge(algorithm, header(algorithm).json(), claims().json());
        assert_eq!(ours(algorithm, &token), Ok(()));
        assert_eq!(theirs(algorithm, &token), Ok(()));
    }
}

/// The other direction, so that a reader sees why it is not demanded.
#[test]
fn the_reference_accepts_what_is_refused_here() {
    let algorithm = Algorithm::EdDsa;
    for (name, header, claims, code) in [
        ("crit", header(algorithm).and("crit", r#"["x"]"#), claims(), "critical_header"),
        ("typ", header(algorithm).with("typ", r#""at+jwt""#), claims(), "wrong_type"),
        ("zip", header(algorithm).and("zip", r#""DEF""#), claims(), "unsupported_header"),
        ("iat ahead", header(algorithm), claims().with("iat", (NOW + 500).to_string()), "issued_in_future"),
        (
            "a lifetime of a century",
            header(algorithm),
            claims().with("exp", "7100000000"),
            "lifetime_too_long",
        ),
        ("iat as a float", header(algorithm), claims().with("iat", "4000000000.5"), "claim_ill_typed"),
        ("a claim twice", header(algorithm), claims().and("x", "1"), "duplicate_member"),
    ] {
        let token = forge(algorithm, header.json(), claims.json());
        assert_eq!(theirs(algorithm, &token), Ok(()), "{name}");
        assert_eq!(ours(algorithm, &token).map_err(|error| error.code()), Err(code), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_here_is_accepted_there(
        (algorithm, header, claims) in select(&ALGORITHMS[..2]).prop_flat_map(|(algorithm, _, _)| {
            (Just(algorithm), change(header(algorithm), HEADER), change(claims(), CLAIMS))
        }),
        text in cuts(),
    ) {
        let token = cut(&forge(algorithm, header.json(), claims.json()), &text);
        if ours(algorithm, &token).is_ok() {
            let reference = theirs(algorithm, &token);
            prop_assert!(reference.is_ok(), "{reference:?} {} {}", header.json(), claims.json());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_here_is_accepted_there_under_rsa(
        (algorithm, header, claims) in select(&ALGORITHMS[2..]).prop_flat_map(|(algorithm, _, _)| {
            (Just(algorithm), change(header(algorithm), HEADER), change(claims(), CLAIMS))
        }),
        text in cuts(),
    ) {
        let token = cut(&forge(algorithm, header.json(), claims.json()), &text);
        if ours(algorithm, &token).is_ok() {
            let reference = theirs(algorithm, &token);
            prop_assert!(reference.is_ok(), "{reference:?} {} {}", header.json(), claims.json());
        }
    }
}
