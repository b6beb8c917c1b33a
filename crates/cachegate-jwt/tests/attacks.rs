//! Every token here is one change away from one that is accepted, and is refused for that change.
//!
//! The families follow RFC 8725 and the vulnerabilities of other libraries; each alternative is a case of its own.

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

const NOW: u32 = 1_700_000_000;
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://cache.example";

fn now() -> Timestamp {
    NOW.into()
}

/// A platform's token that is accepted.
fn claims() -> Members {
    Members::new(&[
        ("iss", r#""https://issuer.example""#),
        ("sub", r#""repo:acme/app:ref:refs/heads/main""#),
        ("aud", r#""https://cache.example""#),
        ("exp", "1700000300"),
        ("nbf", "1699999400"),
        ("iat", "1700000000"),
        ("jti", r#""6f1c8a52""#),
        ("repository_id", r#""123456""#),
        ("nested", r#"{"a":{"b":[1,2,{"c":null}]}}"#),
    ])
}

/// The headers that go with it, one for each family of algorithms.
fn headers() -> [(Algorithm, Members); 3] {
    let header = |alg: Algorithm, kid| {
        Members::new(&[("typ", r#""JWT""#), ("alg", &format!("\"{alg}\"")), ("kid", kid)])
    };
    [
        (Algorithm::EdDsa, header(Algorithm::EdDsa, r#""ed""#)),
        (Algorithm::Es256, header(Algorithm::Es256, r#""ec""#)),
        (Algorithm::Rs256, header(Algorithm::Rs256, r#""rsa""#)),
    ]
}

fn check() -> ClaimsCheck {
    ClaimsCheck::new(ISSUER, [AUDIENCE], Duration::from_secs(3600)).expect("a check")
}

/// The one way of another issuer's token.
fn accept(token: &str) -> Result<(), JwsError> {
    let jws = UnverifiedJws::parse(token)?;
    let verified = jws.verify(&key_set(), &[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256])?;
    verified.check(&check(), now()).map(|_| ())
}

/// A case: its name, the token, and the code of its refusal.
#[track_caller]
fn refused(name: &str, token: &str, code: &str) {
    assert_eq!(accept(token).map_err(|error| error.code()), Err(code), "{name}");
}

#[track_caller]
fn accepted(name: &str, token: &str) {
    assert_eq!(accept(token), Ok(()), "{name}");
}

/// Each case with each family of algorithms.
#[track_caller]
fn with_header(name: &str, change: impl Fn(&Members) -> String, code: &str) {
    for (algorithm, header) in headers() {
        refused(&format!("{name}, {algorithm}"), &forge(algorithm, change(&header), claims().json()), code);
    }
}

#[track_caller]
fn with_claims(name: &str, changed: &str, code: &str) {
    for (algorithm, header) in headers() {
        refused(&format!("{name}, {algorithm}"), &forge(algorithm, header.json(), changed), code);
    }
}

#[track_caller]
fn good_claims(name: &str, changed: &str) {
    for (algorithm, header) in headers() {
        accepted(&format!("{name}, {algorithm}"), &forge(algorithm, header.json(), changed));
    }
}

#[test]
fn the_token_that_all_cases_are_one_change_away_from_is_accepted() {
    good_claims("unchanged", &claims().json());
}

#[test]
fn a1_the_algorithm_is_none_of_the_headers_choice() {
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "noné",
        "ｎｏｎｅ",
        "",
        " ",
        "HS256",
        "HS384",
        "HS512",
        "ES512",
        "ES256K",
        "RS1",
        "EDDSA",
        "eddsa",
        "rs256",
        "Rs256",
        "es256",
        "RS256 ",
        " RS256",
        "RS256,ES256",
        "Ed448",
        "unknown",
        "dir",
        "A128KW",
        "RSA1_5",
    ] {
        with_header(name, |header| header.with("alg", format!("\"{name}\"")).json(), "unsupported_algorithm");
    }
    with_header("missing", |header| header.without("alg").json(), "header_missing");
    for value in ["null", "1", "true", "[]", r#"["EdDSA"]"#, "{}", r#"{"alg":"EdDSA"}"#] {
        with_header(value, |header| header.with("alg", value).json(), "header_ill_typed");
    }
    with_header(
        "other case of the name",
        |header| header.without("alg").and("Alg", r#""EdDSA""#).json(),
        "header_missing",
    );
    with_header("twice", |header| header.and("alg", r#""none""#).json(), "duplicate_member");
    with_header("twice, escaped", |header| header.and(r"\u0061lg", r#""none""#).json(), "duplicate_member");
    for (algorithm, header) in headers() {
        let unsigned = format!("{}.{}", b64(header.with("alg", r#""none""#).json()), b64(claims().json()));
        refused("none without signature", &format!("{unsigned}."), "malformed");
        refused("none with a signature", &format!("{unsigned}.AA"), "unsupported_algorithm");
        let stripped = format!("{}.{}.", b64(header.json()), b64(claims().json()));
        refused(&format!("empty signature, {algorithm}"), &stripped, "malformed");
    }
}

#[test]
fn a2_a_public_key_is_no_secret() {
    let signed = |secret: &[u8]| {
        let input = format!("{}.{}", b64(r#"{"typ":"JWT","alg":"HS256","kid":"rsa"}"#), b64(claims().json()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        format!("{input}.{}", b64(ring::hmac::sign(&key, input.as_bytes()).as_ref()))
    };
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    for (name, secret) in [
        ("modulus", unb64(RSA_N)),
        ("JWK", rsa_jwk("").into_bytes()),
        ("PEM", pem.into()),
        ("PEM behind blanks", format!(" \n{pem}").into()),
        ("Ed25519 key", unb64(ED_X)),
        ("empty", Vec::new()),
    ] {
        refused(name, &signed(&secret), "unsupported_algorithm");
    }
    // The same signature, the header calling it what the key is for.
    let hs = signed(&unb64(RSA_N));
    let made = hs.rsplit('.').next().expect("a signature");
    let input = format!("{}.{}", b64(r#"{"typ":"JWT","alg":"RS256","kid":"rsa"}"#), b64(claims().json()));
    refused("HMAC as RSA signature", &format!("{input}.{made}"), "bad_signature");
    for jwk in [
        r#"{"kty":"oct","k":"AAAA","alg":"HS256"}"#,
        r#"{"kty":"oct","k":"AAAA","alg":"RS256"}"#,
        r#"{"kty":"oct"}"#,
    ] {
        assert_eq!(VerifyingKey::from_jwk(jwk), Err(KeyError::Symmetric));
    }
}

#[test]
fn a3_a_key_id_is_opaque_and_looked_up_whole() {
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "ed/../ed",
        "ed' OR '1'='1",
        "ed' UNION SELECT 'AA",
        "*)(uid=*",
        "ed|id",
        "$(id)",
        "`id`",
        "ed ",
        " ed",
        "ED",
        "e",
        "edd",
        "__proto__",
        "constructor",
        "toString",
        "http://evil.example/k",
        r"ed\n",
        "ｅｄ",
        "0",
        "null",
    ] {
        with_header(kid, |header| header.with("kid", format!("\"{kid}\"")).json(), "unknown_key");
    }
    with_header("NUL", |header| header.with("kid", r#""ed\u0000""#).json(), "not_clean_utf8");
    with_header("empty", |header| header.with("kid", r#""""#).json(), "key_id_length");
    let long = |length: usize| format!("\"{}\"", "k".repeat(length));
    with_header("257 bytes", |header| header.with("kid", long(257)).json(), "key_id_length");
    with_header("256 bytes", |header| header.with("kid", long(256)).json(), "unknown_key");
    with_header("1 KiB", |header| header.with("kid", long(1024)).json(), "too_large");
    with_header("1 MiB", |header| header.with("kid", long(1 << 20)).json(), "too_large");
    for value in ["1", "null", "true", "{}", r#"["ed"]"#] {
        with_header(value, |header| header.with("kid", value).json(), "header_ill_typed");
    }
    with_header("twice", |header| header.and("kid", r#""ed""#).json(), "duplicate_member");
    with_header("twice, escaped", |header| header.and(r"k\u0069d", r#""ed""#).json(), "duplicate_member");
}

#[test]
fn a3_without_a_key_id_only_a_single_fitting_key_serves() {
    for (algorithm, header) in headers() {
        let token = forge(algorithm, header.without("kid").json(), claims().json());
        accepted("one key of the algorithm", &token);
        let other = r#"{"kty":"OKP","crv":"Ed25519","kid":"other","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#;
        let second = [
            ed_jwk(r#","kid":"ed""#),
            ec_jwk(r#","kid":"ec""#),
            rsa_jwk(r#","kid":"rsa","alg":"RS256""#),
            ec_jwk(r#","kid":"ec2""#),
            rsa_jwk(r#","kid":"rsa2","alg":"RS256""#),
            other.to_owned(),
        ];
        let jwks = format!(r#"{{"keys":[{}]}}"#, second.join(","));
        let set = KeySet::from_jwks(jwks.as_bytes()).expect("a set");
        assert_eq!(set.keys().len(), 6, "{:?}", set.verdicts());
        let parsed = UnverifiedJws::parse(&token).expect("well formed");
        let result = parsed.verify(&set, &Algorithm::ALL).map(|_| ());
        assert_eq!(result, Err(JwsError::UnknownKey { kid: None }), "{algorithm}");
    }
}

#[test]
fn a4_a_token_does_not_bring_its_own_key() {
    let jwk = ed_jwk("");
    for (member, value) in [
        ("jku", r#""https://evil.example/jwks""#),
        ("x5u", r#""https://evil.example/x5u""#),
        ("x5c", r#"["MIIB"]"#),
        ("jwk", &*jwk),
        ("jku", "null"),
        ("jwk", "{}"),
        ("x5c", "[]"),
        ("x5u", r#""""#),
        (r"j\u006bu", r#""x""#),
    ] {
        with_header(member, |header| header.and(member, value).json(), "embedded_key");
    }
    for (member, value) in [("x5t", "1"), ("x5t", "null"), ("x5t#S256", "[]"), ("x5t#S256", "{}")] {
        with_header(member, |header| header.and(member, value).json(), "header_ill_typed");
    }
    // A thumbprint points nowhere; platforms send it.
    for (algorithm, header) in headers() {
        let header = header.and("x5t", r#""ujlk""#).and("x5t#S256", r#""ujlk""#);
        accepted("x5t", &forge(algorithm, header.json(), claims().json()));
    }
}

#[test]
fn a5_extensions_that_are_not_understood_refuse() {
    for value in [
        r#"["exp"]"#,
        r#"["unknown"]"#,
        "[]",
        "null",
        r#""exp""#,
        "{}",
        "true",
        r#"["alg"]"#,
        r#"["b64"]"#,
        r#"["absent","absent"]"#,
        "[1]",
    ] {
        with_header(value, |header| header.and("crit", value).json(), "critical_header");
    }
    with_header("crit escaped", |header| header.and(r"\u0063rit", r#"["x"]"#).json(), "critical_header");
    with_header(
        "crit with its member",
        |header| header.and("x", "1").and("crit", r#"["x"]"#).json(),
        "critical_header",
    );
    for (member, value) in [
        ("b64", "false"),
        ("b64", "true"),
        ("b64", "null"),
        ("zip", r#""DEF""#),
        ("zip", r#""""#),
        ("enc", r#""A128GCM""#),
        ("cty", r#""JWT""#),
        ("cty", r#""json""#),
        ("epk", "{}"),
        ("apu", r#""""#),
        ("apv", r#""""#),
        ("iv", r#""""#),
        ("tag", r#""""#),
        ("p2s", r#""""#),
        ("p2c", "1"),
    ] {
        with_header(member, |header| header.and(member, value).json(), "unsupported_header");
    }
}

#[test]
fn a6_no_member_comes_twice() {
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "repository_id", "nested"] {
        let value = &claims().0.iter().find(|(member, _)| member == name).expect("there").1.clone();
        with_claims(name, &claims().and(name, value).json(), "duplicate_member");
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        with_claims(&escaped, &claims().and(&escaped, value).json(), "duplicate_member");
        let last: String =
            format!("{}\\u{:04X}", &name[..name.len() - 1], u32::from(name.as_bytes()[name.len() - 1]));
        with_claims(&last, &claims().and(&last, "null").json(), "duplicate_member");
    }
    for nested in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"[{"a":1,"a":2}]"#,
        r#"[[[{"a":1,"\u0061":2}]]]"#,
        r#"{"":1,"":2}"#,
        r#"{"/":1,"\/":2}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
    ] {
        with_claims(nested, &claims().with("nested", nested).json(), "duplicate_member");
    }
    with_header("typ twice", |header| header.and("typ", r#""JWT""#).json(), "duplicate_member");
    with_header("unknown twice", |header| header.and("x", "1").and("x", "1").json(), "duplicate_member");
    with_header("nested twice", |header| header.and("x", r#"{"a":1,"a":1}"#).json(), "duplicate_member");
}

#[test]
fn a7_exactly_three_parts_over_an_object() {
    for (algorithm, header) in headers() {
        let good = forge(algorithm, header.json(), claims().json());
        let [head, payload, made] = good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        for (name, token) in [
            ("nothing", String::new()),
            ("dot", ".".into()),
            ("two dots", "..".into()),
            ("one part", head.to_owned()),
            ("two parts", format!("{head}.{payload}")),
            ("four parts", format!("{good}.{made}")),
            ("five parts", format!("{good}.{made}.{made}")),
            ("leading dot", format!(".{good}")),
            ("trailing dot", format!("{good}.")),
            ("double dot", format!("{head}..{payload}.{made}")),
            ("detached", format!("{head}..{made}")),
            ("no header", format!(".{payload}.{made}")),
            (
                "flattened JSON",
                format!(r#"{{"protected":"{head}","payload":"{payload}","signature":"{made}"}}"#),
            ),
            (
                "general JSON",
                format!(
                    r#"{{"payload":"{payload}","signatures":[{{"protected":"{head}","signature":"{made}"}}]}}"#
                ),
            ),
        ] {
            refused(&format!("{name}, {algorithm}"), &token, "malformed");
        }
        for (name, bytes) in [
            ("array", "[]".to_owned()),
            ("array of claims", format!("[{}]", claims().json())),
            ("text", "\"a\"".into()),
            ("number", "1".into()),
            ("null", "null".into()),
            ("true", "true".into()),
            ("nested token", good.clone()),
            ("text of a token", format!("\"{good}\"")),
            ("two objects", format!("{}{}", claims().json(), claims().json())),
            ("trailing comma", claims().json().replace("}}}", "}},}")),
            ("truncated", claims().json()[..100].to_owned()),
            ("leading blank", format!(" {}", claims().json())),
            ("trailing line feed", format!("{}\n", claims().json())),
            ("comment", format!("/**/{}", claims().json())),
            ("form", "iss=a&aud=b".into()),
        ] {
            refused(
                &format!("{name}, {algorithm}"),
                &forge(algorithm, header.json(), bytes),
                "not_json_object",
            );
        }
        for (name, bytes) in [
            ("array", "[]".to_owned()),
            ("text", "\"EdDSA\"".into()),
            ("null", "null".into()),
            ("leading blank", format!(" {}", header.json())),
            ("trailing line feed", format!("{}\n", header.json())),
            ("truncated", header.json()[..20].to_owned()),
        ] {
            refused(
                &format!("header: {name}, {algorithm}"),
                &forge(algorithm, bytes, claims().json()),
                "not_json_object",
            );
        }
    }
}

#[test]
fn a8_base64url_has_one_spelling() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // The last character with one of its unused bits set.
    let stray = |part: &str| {
        let last = part.chars().last().and_then(|last| ALPHABET.find(last)).expect("of the alphabet");
        let changed = ALPHABET.chars().nth(last | 1).expect("of the alphabet");
        format!("{}{changed}", &part[..part.len() - 1])
    };
    for (algorithm, header) in headers() {
        // 64 and 256 bytes of signature leave unused bits; the claims are padded until they do.
        let mut payload = claims().json();
        while payload.len() % 3 != 1 {
            payload.insert(1, ' ');
        }
        let mut head = header.json();
        while head.len() % 3 != 1 {
            head.insert(1, ' ');
        }
        let (head, payload) = (b64(head), b64(payload));
        let good = sign_parts(algorithm, &head, &payload);
        accepted("the padded token", &good);
        let made = good.rsplit('.').next().expect("a signature").to_owned();
        for (name, change) in [
            ("padded", &(|part: &str| format!("{part}=")) as &dyn Fn(&str) -> String),
            ("padded twice", &|part| format!("{part}==")),
            ("trailing blank", &|part| format!("{part} ")),
            ("trailing line feed", &|part| format!("{part}\n")),
            ("trailing NUL", &|part| format!("{part}\0")),
            ("leading blank", &|part| format!(" {part}")),
            ("inner line feed", &|part| format!("{}\n{}", &part[..4], &part[4..])),
            ("inner blank", &|part| format!("{} {}", &part[..4], &part[4..])),
            ("plus", &|part| format!("+{}", &part[1..])),
            ("slash", &|part| format!("/{}", &part[1..])),
            ("percent", &|part| format!("%{}", &part[1..])),
            ("not ASCII", &|part| format!("é{}", &part[1..])),
            ("dangling character", &|part| format!("{part}AAA")),
            ("stray bits", &stray),
        ] {
            // Signed as it stands, so that the signature is right wherever only the spelling is wrong.
            let header_changed = sign_parts(algorithm, &change(&head), &payload);
            refused(&format!("header {name}, {algorithm}"), &header_changed, "not_canonical_base64");
            let payload_changed = sign_parts(algorithm, &head, &change(&payload));
            refused(&format!("payload {name}, {algorithm}"), &payload_changed, "not_canonical_base64");
            let signature_changed = format!("{head}.{payload}.{}", change(&made));
            refused(&format!("signature {name}, {algorithm}"), &signature_changed, "not_canonical_base64");
        }
    }
}

/// The order of P-256, and the numbers beside it.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// `order - number`.
fn negated(number: &[u8], order: &[u8]) -> Vec<u8> {
    let (mut out, mut borrow) = (vec![0; 32], 0_i16);
    for at in (0..32).rev() {
        let digit = i16::from(order[at]) - i16::from(number[at]) - borrow;
        borrow = i16::from(digit < 0);
        out[at] = u8::try_from(digit.rem_euclid(256)).expect("a byte");
    }
    out
}

/// r and s of a 64-byte signature as an ASN.1 sequence.
fn der(made: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let mut number = number.to_vec();
        while number.len() > 1 && number[0] == 0 {
            number.remove(0);
        }
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).expect("short")][..], &number].concat()
    };
    let body = [integer(&made[..32]), integer(&made[32..])].concat();
    [&[0x30, u8::try_from(body.len()).expect("short")][..], &body].concat()
}

#[test]
fn a9_no_signature_but_the_right_one() {
    for (algorithm, header) in headers() {
        let input = format!("{}.{}", b64(header.json()), b64(claims().json()));
        let made = signature(algorithm, input.as_bytes());
        let with = |name: &str, bytes: &[u8]| {
            refused(&format!("{name}, {algorithm}"), &format!("{input}.{}", b64(bytes)), "bad_signature");
        };
        with("all zero", &vec![0; made.len()]);
        with("all one", &vec![0xff; made.len()]);
        with("one byte", &[0]);
        with("truncated", &made[..made.len() - 1]);
        with("extended", &[&made[..], &[0]].concat());
        with("extended in front", &[&[0], &made[..]].concat());
        with("twice", &[&made[..], &made[..]].concat());
        with("longer than any", &vec![1; 513]);
        for bit in [0, 7, made.len() * 4, made.len() * 8 - 1] {
            let mut flipped = made.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            with(&format!("bit {bit} flipped"), &flipped);
        }
        let other = signature(algorithm, b"another message");
        with("of another message", &other);
        // One byte of what was signed changed.
        let changed = format!("{}.{}", b64(header.json()), b64(claims().with("sub", r#""other""#).json()));
        refused("other claims", &format!("{changed}.{}", b64(&made)), "bad_signature");
    }
    let (algorithm, header) = (Algorithm::Es256, &headers()[1].1);
    let input = format!("{}.{}", b64(header.json()), b64(claims().json()));
    let made = signature(algorithm, input.as_bytes());
    let (order, zero, one) = (hex(P256_ORDER), vec![0; 32], [vec![0; 31], vec![1]].concat());
    for (name, bytes) in [
        ("DER", der(&made)),
        ("r is 0", [&zero, &made[32..]].concat()),
        ("s is 0", [&made[..32], &zero].concat()),
        ("r and s are 0", vec![0; 64]),
        ("r is the order", [&order, &made[32..]].concat()),
        ("s is the order", [&made[..32], &order].concat()),
        ("r and s are the order", [order.clone(), order.clone()].concat()),
        ("r and s are 1", [one.clone(), one].concat()),
        ("r and s exchanged", [&made[32..], &made[..32]].concat()),
        ("r negated", [&negated(&made[..32], &order), &made[32..]].concat()),
    ] {
        refused(name, &format!("{input}.{}", b64(bytes)), "bad_signature");
    }
}

#[test]
fn a10_an_ecdsa_signature_has_a_second_spelling_that_names_nothing() {
    let header = &headers()[1].1;
    let input = format!("{}.{}", b64(header.json()), b64(claims().json()));
    let made = signature(Algorithm::Es256, input.as_bytes());
    let mirrored = [&made[..32], &negated(&made[32..], &hex(P256_ORDER))].concat();
    let (one, other) = (format!("{input}.{}", b64(&made)), format!("{input}.{}", b64(&mirrored)));
    assert_ne!(one, other);
    accepted("n - s", &other);
    // What names a token is the same for both.
    let named = |token| UnverifiedJws::parse(token).expect("well formed").signing_input();
    assert_eq!(named(&one), named(&other));
    // EdDSA has no second spelling: S + L is refused.
    let header = &headers()[0].1;
    let input = format!("{}.{}", b64(header.json()), b64(claims().json()));
    let mut made = signature(Algorithm::EdDsa, input.as_bytes());
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, digit) in made[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(digit) + carry;
        *byte = u8::try_from(sum & 0xff).expect("a byte");
        carry = sum >> 8;
    }
    refused("S + L", &format!("{input}.{}", b64(&made)), "bad_signature");
}

#[test]
fn a11_ed25519_keys_under_which_anything_verifies_are_refused() {
    let y = |low: u8, middle: u8, high: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let order_8 = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let mut small = vec![y(0, 0, 0), y(1, 0, 0), y(0xec, 0xff, 0x7f)];
    small.extend(order_8.map(|text| <[u8; 32]>::try_from(hex(text)).expect("32 bytes")));
    for mut bytes in small {
        assert_eq!(VerifyingKey::from_ed25519_bytes(&bytes), Err(KeyError::SmallOrder));
        bytes[31] |= 0x80;
        assert_eq!(VerifyingKey::from_ed25519_bytes(&bytes), Err(KeyError::SmallOrder), "with the sign");
    }
    // y written as y + p: 0 to 18.
    for low in 0xed..=0xff {
        for sign in [0x7f, 0xff] {
            assert_eq!(
                VerifyingKey::from_ed25519_bytes(&y(low, 0xff, sign)),
                Err(KeyError::NotCanonical),
                "{low:x}"
            );
        }
    }
    // y = 2 is canonical and no point.
    assert_eq!(VerifyingKey::from_ed25519_bytes(&y(2, 0, 0)), Err(KeyError::NotOnCurve));
}

#[test]
fn a11_the_back_end_alone_would_take_a_small_order_key() {
    // The identity as key and as R, and S = 0: a signature of every message. This is why keys are judged here.
    let identity = [vec![1], vec![0; 31]].concat();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &identity);
    assert!(key.verify(b"anything", &[&identity[..], &[0; 32]].concat()).is_ok());
}

#[track_caller]
fn key_refused(name: &str, jwk: &str, code: &str) {
    assert_eq!(VerifyingKey::from_jwk(jwk).map_err(KeyError::code), Err(code), "{name}");
    // In a set it is refused alone.
    let set = KeySet::from_jwks(format!(r#"{{"keys":[{},{jwk}]}}"#, ed_jwk(r#","kid":"good""#)).as_bytes());
    let set = set.expect("a set");
    let codes: Vec<_> = set.verdicts().iter().map(|verdict| verdict.result.map_err(KeyError::code)).collect();
    assert_eq!(codes, [Ok(Algorithm::EdDsa), Err(code)], "{name}");
}

#[test]
fn a12_rsa_keys_are_neither_weak_nor_monstrous() {
    let jwk =
        |n: &[u8], e: &[u8]| format!(r#"{{"kty":"RSA","alg":"RS256","n":"{}","e":"{}"}}"#, b64(n), b64(e));
    let modulus = |bits: usize| {
        let mut bytes = vec![0x5a; bits.div_ceil(8)];
        bytes[0] = if bits.is_multiple_of(8) { 0x80 } else { 1 << (bits % 8 - 1) };
        *bytes.last_mut().expect("not empty") |= 1;
        bytes
    };
    const E: &[u8] = &[1, 0, 1];
    for bits in [2048, 2049, 3072, 4096] {
        assert!(VerifyingKey::from_jwk(&jwk(&modulus(bits), E)).is_ok(), "{bits}");
    }
    for bits in [8, 512, 1024, 1536, 2047, 4097, 8192, 16384] {
        key_refused(&format!("{bits} bits"), &jwk(&modulus(bits), E), "rsa_modulus");
    }
    let mut even = modulus(2048);
    even[255] = 0x5a;
    key_refused("even modulus", &jwk(&even, E), "rsa_modulus");
    key_refused("no modulus", &jwk(&[], E), "rsa_modulus");
    key_refused("leading zero", &jwk(&[&[0][..], &modulus(2048)].concat(), E), "key_malformed");
    for e in [&[3][..], &[17], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
        assert!(VerifyingKey::from_jwk(&jwk(&modulus(2048), e)).is_ok(), "{e:?}");
    }
    for e in [&[][..], &[1], &[2], &[4], &[1, 0, 0], &[1, 0, 0, 0, 1], &[0xff; 8]] {
        key_refused(&format!("exponent {e:?}"), &jwk(&modulus(2048), e), "rsa_exponent");
    }
    for e in [&[0][..], &[0, 1, 0, 1]] {
        key_refused("exponent with a leading zero", &jwk(&modulus(2048), e), "key_malformed");
    }
}

#[test]
fn a12_points_lie_on_their_curve() {
    let flip = |text: &str| {
        let mut bytes = unb64(text);
        bytes[31] ^= 1;
        b64(bytes)
    };
    let jwk = |x: &str, y: &str| format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
    let zero = b64([0; 32]);
    let prime = b64(hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"));
    for (name, x, y) in [
        ("x off by one", flip(EC_X), EC_Y.to_owned()),
        ("y off by one", EC_X.into(), flip(EC_Y)),
        ("exchanged", EC_Y.into(), EC_X.into()),
        ("origin", zero.clone(), zero),
        ("x is the prime", prime, EC_Y.into()),
        ("all ones", b64([0xff; 32]), b64([0xff; 32])),
    ] {
        key_refused(name, &jwk(&x, &y), "point_not_on_curve");
    }
    for (name, x, y) in [
        ("x short", b64([1; 31]), EC_Y.to_owned()),
        ("y long", EC_X.into(), b64([1; 33])),
        ("leading zero", b64([&[0][..], &unb64(EC_X)].concat()), EC_Y.into()),
        ("empty", String::new(), String::new()),
        ("padded", format!("{EC_X}="), EC_Y.into()),
    ] {
        key_refused(name, &jwk(&x, &y), "key_malformed");
    }
    key_refused("P-256 called P-384", &ec_jwk("").replace("P-256", "P-384"), "key_malformed");
}

#[test]
fn a13_a_key_is_for_verifying_or_it_is_not_taken() {
    for (name, members, code) in [
        ("use enc", r#","use":"enc""#, "key_use"),
        ("use Sig", r#","use":"Sig""#, "key_use"),
        ("use empty", r#","use":"""#, "key_use"),
        ("use other", r#","use":"tls""#, "key_use"),
        ("use null", r#","use":null"#, "key_malformed"),
        ("use list", r#","use":["sig"]"#, "key_malformed"),
        ("key_ops empty", r#","key_ops":[]"#, "key_operations"),
        ("key_ops sign", r#","key_ops":["sign"]"#, "key_operations"),
        ("key_ops encrypt", r#","key_ops":["encrypt","wrapKey"]"#, "key_operations"),
        ("key_ops text", r#","key_ops":"verify""#, "key_malformed"),
        ("key_ops number", r#","key_ops":["verify",1]"#, "key_malformed"),
        ("alg of another type", r#","alg":"ES256""#, "key_algorithm_mismatch"),
        ("alg RS256", r#","alg":"RS256""#, "key_algorithm_mismatch"),
        ("alg HS256", r#","alg":"HS256""#, "unsupported_algorithm"),
        ("alg none", r#","alg":"none""#, "unsupported_algorithm"),
        ("alg null", r#","alg":null"#, "key_malformed"),
        ("kid empty", r#","kid":"""#, "key_id_length"),
        ("kid number", r#","kid":1"#, "key_malformed"),
        ("private part", r#","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#, "private_key"),
        ("member of another type", r#","y":"AA""#, "key_malformed"),
    ] {
        key_refused(name, &ed_jwk(members), code);
    }
    key_refused("kid too long", &ed_jwk(&format!(r#","kid":"{}""#, "k".repeat(257))), "key_id_length");
    for members in [
        "",
        r#","use":"sig""#,
        r#","use":"jwt-svid""#,
        r#","key_ops":["sign","verify"]"#,
        r#","alg":"EdDSA""#,
        r#","x5c":["MIIB"]"#,
    ] {
        assert!(VerifyingKey::from_jwk(&ed_jwk(members)).is_ok(), "{members}");
    }
    for (name, jwk, code) in [
        ("kty missing", ed_jwk("").replace(r#""kty":"OKP","#, ""), "key_malformed"),
        ("kty number", ed_jwk("").replace(r#""OKP""#, "1"), "key_malformed"),
        ("kty okp", ed_jwk("").replace("OKP", "okp"), "unsupported_key_type"),
        ("kty AKP", r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#.into(), "unsupported_key_type"),
        ("OKP with P-256", ed_jwk("").replace("Ed25519", "P-256"), "unsupported_key_type"),
        ("Ed448", ed_jwk("").replace("Ed25519", "Ed448"), "unsupported_key_type"),
        ("X25519", ed_jwk("").replace("Ed25519", "X25519"), "unsupported_key_type"),
        ("crv missing", ed_jwk("").replace(r#""crv":"Ed25519","#, ""), "unsupported_key_type"),
        ("P-521", ec_jwk("").replace("P-256", "P-521"), "unsupported_key_type"),
        ("secp256k1", ec_jwk("").replace("P-256", "secp256k1"), "unsupported_key_type"),
        ("RSA with a curve", rsa_jwk(r#","crv":"P-256","alg":"RS256""#), "unsupported_key_type"),
        ("x missing", r#"{"kty":"OKP","crv":"Ed25519"}"#.into(), "key_malformed"),
        ("x short", r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#.into(), "key_malformed"),
        ("x padded", ed_jwk("").replace(ED_X, &format!("{ED_X}=")), "key_malformed"),
        ("symmetric", r#"{"kty":"oct","k":"AAAA","kid":"s"}"#.into(), "symmetric_key"),
        ("not an object", "[]".into(), "key_malformed"),
    ] {
        key_refused(name, &jwk, code);
    }
}

#[test]
fn a13_two_keys_of_one_name_are_both_dropped() {
    let other =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#;
    let thumbprint = VerifyingKey::from_jwk(&ed_jwk("")).expect("a key").thumbprint();
    for (name, keys, left) in [
        (
            "two families",
            vec![ed_jwk(r#","kid":"a""#), ec_jwk(r#","kid":"a""#), rsa_jwk(r#","kid":"r","alg":"RS256""#)],
            1,
        ),
        ("one family", vec![ed_jwk(r#","kid":"a""#), other.into()], 0),
        ("the same key", vec![ed_jwk(r#","kid":"a""#), ed_jwk(r#","kid":"a""#)], 0),
        ("one of them unusable", vec![ed_jwk(r#","kid":"a","use":"enc""#), ec_jwk(r#","kid":"a""#)], 0),
        ("one of them unknown", vec![r#"{"kty":"AKP","kid":"a"}"#.into(), ec_jwk(r#","kid":"a""#)], 0),
        ("written differently", vec![ed_jwk(r#","kid":"a""#), ec_jwk(r#","kid":"\u0061""#)], 0),
        (
            "a name that is another's thumbprint",
            vec![ed_jwk(""), ec_jwk(&format!(r#","kid":"{thumbprint}""#))],
            0,
        ),
        ("nothing shared", vec![ed_jwk(r#","kid":"a""#), ec_jwk(r#","kid":"A""#)], 2),
    ] {
        let set = KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).expect("a set");
        assert_eq!(set.keys().len(), left, "{name}");
        if left == 0 {
            assert_eq!(set.get(b"a"), None);
            let dropped = |verdict: &KeyVerdict| verdict.result == Err(KeyError::DuplicateKeyId);
            assert!(set.verdicts().iter().any(dropped), "{name}");
        }
    }
}

#[test]
fn a13_a_document_that_is_no_key_set_is_refused_whole() {
    let set = |text: &str| KeySet::from_jwks(text.as_bytes()).map(|_| ()).map_err(KeySetError::code);
    for (name, text, code) in [
        ("nothing", "".to_owned(), "key_set_malformed"),
        ("HTML", "<html></html>".into(), "key_set_malformed"),
        ("list", format!("[{}]", ed_jwk("")), "key_set_malformed"),
        ("truncated", r#"{"keys":[{"kty""#.into(), "key_set_malformed"),
        ("form feed", format!("{{\"keys\":[{}]}}\u{c}", ed_jwk("")), "key_set_malformed"),
        ("byte order mark", format!("\u{FEFF}{{\"keys\":[{}]}}", ed_jwk("")), "key_set_malformed"),
        ("no keys", "{}".into(), "key_set_without_keys"),
        ("one key", ed_jwk(""), "key_set_without_keys"),
        ("keys are an object", format!(r#"{{"keys":{}}}"#, ed_jwk("")), "key_set_without_keys"),
        ("keys are null", r#"{"keys":null}"#.into(), "key_set_without_keys"),
        ("keys twice", r#"{"keys":[],"keys":[]}"#.into(), "duplicate_member"),
        ("kid twice", format!(r#"{{"keys":[{}]}}"#, ed_jwk(r#","kid":"a","kid":"b""#)), "duplicate_member"),
        (
            "deep",
            format!(r#"{{"keys":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
            "key_set_malformed",
        ),
        ("65 keys", format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 65].join(",")), "key_set_too_large"),
        ("10,000 keys", format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 10_000].join(",")), "key_set_malformed"),
        ("10 MiB", format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(10 << 20)), "key_set_too_large"),
    ] {
        assert_eq!(set(&text), Err(code), "{name}");
    }
    assert_eq!(set(&format!("{{\"keys\":[{}]}}\n", vec!["{}"; 64].join(","))), Ok(()));
}

#[test]
fn a16_times_are_whole_seconds_that_exist() {
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            r#""1700000100""#,
            r#""""#,
            "1700000100.0",
            "1700000100.5",
            "1.7e9",
            "17000001E2",
            "1e-400",
            "true",
            "false",
            "null",
            "[]",
            "[1700000100]",
            "{}",
            r#"{"$date":1}"#,
            r#""2023-11-14T22:13:20Z""#,
        ] {
            with_claims(&format!("{claim} {value}"), &claims().with(claim, value).json(), "claim_ill_typed");
        }
        for value in [
            "-1",
            "-0",
            "-1700000000",
            "253402300800",
            "2147483647000",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "100000000000000000000000000000000000000",
        ] {
            with_claims(
                &format!("{claim} {value}"),
                &claims().with(claim, value).json(),
                "claim_out_of_range",
            );
        }
        for value in
            ["NaN", "Infinity", "-Infinity", "+1700000100", "01700000100", "0x6553f100", "1_700_000_100"]
        {
            with_claims(&format!("{claim} {value}"), &claims().with(claim, value).json(), "not_json_object");
        }
    }
    for claim in ["exp", "nbf", "iat", "repository_id", "new"] {
        for value in ["1e400", "-1e400", "1E309", &"9".repeat(400)] {
            with_claims(
                &format!("{claim} {value}"),
                &claims().with(claim, value).json(),
                "number_out_of_range",
            );
        }
    }
    with_claims("exp missing", &claims().without("exp").json(), "claim_missing");
    with_claims("iat missing", &claims().without("iat").json(), "claim_missing");
    with_claims("Exp", &claims().without("exp").and("Exp", "1700000300").json(), "claim_missing");
    with_claims("nbf after exp", &claims().with("nbf", "1700000301").json(), "times_contradict");
    with_claims("iat after exp", &claims().with("exp", "1699999999").json(), "times_contradict");
    with_claims("exp is 0", &claims().with("exp", "0").without("nbf").with("iat", "0").json(), "expired");
    with_claims("far future", &claims().with("exp", "253402300799").json(), "lifetime_too_long");
    with_claims("a second too long", &claims().with("exp", "1700003601").json(), "lifetime_too_long");
    good_claims("the longest lifetime", &claims().with("exp", "1700003600").json());
}

#[test]
fn a16_the_leeway_is_thirty_seconds_to_the_second() {
    let at = |exp: u32, nbf: u32, iat: u32| {
        let changed = claims().with("exp", exp.to_string()).with("nbf", nbf.to_string());
        changed.with("iat", iat.to_string()).json()
    };
    with_claims("expired", &at(NOW - 30, NOW - 900, NOW - 900), "expired");
    good_claims("expired within the leeway", &at(NOW - 29, NOW - 900, NOW - 900));
    with_claims("not yet valid", &at(NOW + 300, NOW + 31, NOW), "not_yet_valid");
    good_claims("not yet valid within the leeway", &at(NOW + 300, NOW + 30, NOW));
    with_claims("issued ahead", &at(NOW + 300, NOW, NOW + 31), "issued_in_future");
    good_claims("issued ahead within the leeway", &at(NOW + 300, NOW, NOW + 30));
    let build = |seconds| check().with_leeway(Duration::from_secs(seconds)).map(|_| ());
    assert_eq!(build(60), Ok(()));
    assert_eq!(build(61), Err(ClaimsCheckError::Leeway));
    assert_eq!(
        ClaimsCheck::new(ISSUER, [AUDIENCE], Duration::ZERO).map(|_| ()),
        Err(ClaimsCheckError::Lifetime)
    );
}

#[test]
fn a17_the_audience_is_ours_to_the_byte_and_ours_alone() {
    for value in [
        r#""https://other.example""#,
        r#""""#,
        r#""https://cache.example/""#,
        r#""https://cache.exampl""#,
        r#""https://cache.example.evil""#,
        r#""HTTPS://CACHE.EXAMPLE""#,
        r#""https://Cache.example""#,
        r#"" https://cache.example""#,
        r#""https://cache.example ""#,
        r#""https://cache.example\n""#,
        r#""cache.example""#,
        r#""https://cache.example,https://other.example""#,
        r#""https://cаche.example""#,
        r#""*""#,
        "[]",
        r#"["https://other.example"]"#,
        r#"[""]"#,
        r#"["https://cache.example/"]"#,
        r#"["*"]"#,
    ] {
        with_claims(value, &claims().with("aud", value).json(), "audience_mismatch");
    }
    for value in [
        "null",
        "1",
        "true",
        "{}",
        r#"{"0":"https://cache.example"}"#,
        "[1]",
        "[null]",
        r#"["https://cache.example",1]"#,
        r#"[1,"https://cache.example"]"#,
        r#"["https://cache.example",null]"#,
        r#"[["https://cache.example"]]"#,
        r#"["https://cache.example",["x"]]"#,
        r#"["https://cache.example",{}]"#,
    ] {
        with_claims(value, &claims().with("aud", value).json(), "claim_ill_typed");
    }
    with_claims("NUL", &claims().with("aud", r#""https://cache.example\u0000""#).json(), "not_clean_utf8");
    with_claims("missing", &claims().without("aud").json(), "claim_missing");
    with_claims(
        "Aud",
        &claims().without("aud").and("Aud", r#""https://cache.example""#).json(),
        "claim_missing",
    );
    for value in [
        r#"["https://cache.example","https://other.example"]"#,
        r#"["https://other.example","https://cache.example"]"#,
        r#"["https://cache.example","https://cache.example"]"#,
        r#"["https://cache.example",""]"#,
    ] {
        with_claims(value, &claims().with("aud", value).json(), "audience_not_sole");
    }
    good_claims("a list of one", &claims().with("aud", r#"["https://cache.example"]"#).json());
    good_claims("escaped", &claims().with("aud", r#""https:\/\/cache.example""#).json());
}

#[test]
fn a17_a_check_without_an_audience_is_not_built() {
    let build = |audiences: &[&str]| {
        ClaimsCheck::new(ISSUER, audiences.iter().copied(), Duration::from_secs(60)).map(|_| ())
    };
    assert_eq!(build(&[]), Err(ClaimsCheckError::EmptyAudience));
    assert_eq!(build(&[""]), Err(ClaimsCheckError::EmptyAudience));
    assert_eq!(build(&[AUDIENCE, ""]), Err(ClaimsCheckError::EmptyAudience));
    assert_eq!(build(&[AUDIENCE]), Ok(()));
    assert_eq!(
        ClaimsCheck::new("", [AUDIENCE], Duration::from_secs(60)).map(|_| ()),
        Err(ClaimsCheckError::EmptyIssuer)
    );
    assert_eq!(check().with_types(&[]).map(|_| ()), Err(ClaimsCheckError::EmptyType));
    assert_eq!(check().with_types(&["application/"]).map(|_| ()), Err(ClaimsCheckError::EmptyType));
}

#[test]
fn a18_the_issuer_is_the_configured_one_to_the_byte() {
    for value in [
        r#""https://issuer.example/""#,
        r#""https://ISSUER.example""#,
        r#""HTTPS://issuer.example""#,
        r#""http://issuer.example""#,
        r#""issuer.example""#,
        r#""https://user@issuer.example""#,
        r#""https://issuer.example@evil.example""#,
        r#""https://issuer.example.evil.example""#,
        r#""https://issuer.example:443""#,
        r#""https://issuer.example#""#,
        r#""https://issuer.example?""#,
        r#""https://issuer.example/tenant""#,
        r#""https://іssuer.example""#,
        r#""https://xn--ssuer-m1d.example""#,
        r#"" https://issuer.example""#,
        r#""https://issuer.example ""#,
        r#""https://issuer.example\n""#,
        r#""""#,
        r#""https://other.example""#,
    ] {
        with_claims(value, &claims().with("iss", value).json(), "issuer_mismatch");
    }
    for value in ["null", "1", "true", "{}", r#"["https://issuer.example"]"#, "[]"] {
        with_claims(value, &claims().with("iss", value).json(), "claim_ill_typed");
    }
    with_claims("missing", &claims().without("iss").json(), "claim_missing");
    with_claims("NUL", &claims().with("iss", r#""https://issuer.example\u0000""#).json(), "not_clean_utf8");
    for claim in ["sub", "jti"] {
        for value in ["null", "1", "true", "{}", "[]", r#"["a"]"#] {
            with_claims(claim, &claims().with(claim, value).json(), "claim_ill_typed");
        }
        with_claims(claim, &claims().with(claim, r#""""#).json(), "claim_out_of_range");
        with_claims(
            claim,
            &claims().with(claim, format!("\"{}\"", "s".repeat(1025))).json(),
            "claim_out_of_range",
        );
    }
    with_claims("sub missing", &claims().without("sub").json(), "claim_missing");
}

#[test]
fn a18_a_key_of_one_issuer_does_not_serve_another() {
    // Issuer B publishes a key under the name that A uses; B's token says that it is A's.
    let b = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}]}"#;
    let b = KeySet::from_jwks(b.as_bytes()).expect("a set");
    let token = forge(Algorithm::EdDsa, headers()[0].1.json(), claims().json());
    let parsed = UnverifiedJws::parse(&token).expect("well formed");
    assert_eq!(parsed.unverified_issuer().as_deref(), Ok(ISSUER));
    assert_eq!(parsed.verify(&b, &Algorithm::ALL).map(|_| ()), Err(JwsError::BadSignature));
    // B's key signs honestly, for A's name: the check that goes with B's keys expects B.
    let check_b =
        ClaimsCheck::new("https://b.example", [AUDIENCE], Duration::from_secs(3600)).expect("a check");
    let verified = parsed.verify(&key_set(), &Algorithm::ALL).expect("verifies");
    assert_eq!(verified.check(&check_b, now()).map(|_| ()), Err(JwsError::IssuerMismatch));
}

#[test]
fn a20_a_token_of_another_class_is_refused() {
    for typ in [
        "at+jwt",
        "application/at+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JOSE",
        "JWS",
        "JWE",
        "",
        " JWT",
        "JWT ",
        "application/",
        "application/application/jwt",
        "text/jwt",
        "jwt/",
        "jwt+json",
    ] {
        with_header(typ, |header| header.with("typ", format!("\"{typ}\"")).json(), "wrong_type");
    }
    with_header("missing", |header| header.without("typ").json(), "wrong_type");
    for value in ["null", "1", "[]", r#"["JWT"]"#, "{}"] {
        with_header(value, |header| header.with("typ", value).json(), "header_ill_typed");
    }
    for typ in ["JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT"] {
        for (algorithm, header) in headers() {
            let header = header.with("typ", format!("\"{typ}\""));
            accepted(typ, &forge(algorithm, header.json(), claims().json()));
        }
    }
}

#[test]
fn a23_header_key_and_list_agree_on_one_algorithm() {
    // Signed as the header says, by a key that is for another algorithm of the family.
    for algorithm in
        [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512]
    {
        let header = headers()[2].1.with("alg", format!("\"{algorithm}\""));
        refused(algorithm.as_str(), &forge(algorithm, header.json(), claims().json()), "algorithm_mismatch");
    }
    for (signer, _) in headers() {
        for (claimed, header) in headers() {
            if signer == claimed {
                continue;
            }
            // The signer's key named, another algorithm claimed.
            let name = headers().iter().find(|(algorithm, _)| *algorithm == signer).expect("one").1.clone();
            let kid = name.0.iter().find(|(member, _)| member == "kid").expect("there").1.clone();
            let token = forge(signer, header.with("kid", kid).json(), claims().json());
            refused(&format!("{signer} called {claimed}"), &token, "algorithm_mismatch");
        }
        let token = forge(
            signer,
            headers().iter().find(|(a, _)| *a == signer).expect("one").1.json(),
            claims().json(),
        );
        let parsed = UnverifiedJws::parse(&token).expect("well formed");
        let others: Vec<_> = Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != signer).collect();
        let not_allowed = Err(JwsError::AlgorithmNotAllowed { algorithm: signer });
        assert_eq!(parsed.verify(&key_set(), &others).map(|_| ()), not_allowed);
        assert_eq!(parsed.verify(&key_set(), &[]).map(|_| ()), not_allowed);
        assert!(parsed.verify(&key_set(), &[signer]).is_ok());
    }
}

#[test]
fn a24_a_key_without_alg_is_not_for_the_header_to_decide() {
    let bare = rsa_jwk(r#","kid":"rsa""#);
    assert_eq!(VerifyingKey::from_jwk(&bare), Err(KeyError::AlgorithmMissing));
    let one = |allowed: &[Algorithm]| VerifyingKey::from_jwk_for(&bare, allowed).map(|key| key.algorithm());
    assert_eq!(one(&[Algorithm::Rs256]), Ok(Algorithm::Rs256));
    assert_eq!(one(&[Algorithm::Es384, Algorithm::Ps256]), Ok(Algorithm::Ps256));
    assert_eq!(one(&[Algorithm::Rs256, Algorithm::Ps256]), Err(KeyError::AlgorithmMissing));
    assert_eq!(one(&[Algorithm::EdDsa]), Err(KeyError::AlgorithmMissing));
    let set = KeySet::from_jwks_for(format!(r#"{{"keys":[{bare}]}}"#).as_bytes(), &[Algorithm::Rs256])
        .expect("a set");
    for algorithm in
        [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512]
    {
        let header = headers()[2].1.with("alg", format!("\"{algorithm}\""));
        let token = forge(algorithm, header.json(), claims().json());
        let result =
            UnverifiedJws::parse(&token).expect("well formed").verify(&set, &Algorithm::ALL).map(|_| ());
        assert_eq!(result, Err(JwsError::AlgorithmMismatch { header: algorithm, key: Algorithm::Rs256 }));
    }
    // The others follow from type and curve alone.
    assert_eq!(verifying_key(&ed_jwk("")).algorithm(), Algorithm::EdDsa);
    assert_eq!(verifying_key(&ec_jwk("")).algorithm(), Algorithm::Es256);
}

#[test]
fn a26_size_and_depth_are_limited_before_anything_is_read() {
    for (name, nested, code) in [
        ("depth 9", format!("{}{}", "[".repeat(8), "]".repeat(8)), "too_complex"),
        ("depth 1000", format!("{}{}", "[".repeat(999), "]".repeat(999)), "too_complex"),
        ("depth of objects", format!("{}0{}", r#"{"a":"#.repeat(8), "}".repeat(8)), "too_complex"),
        (
            "members",
            format!("{{{}}}", (0..120).map(|n| format!("\"m{n}\":0")).collect::<Vec<_>>().join(",")),
            "too_complex",
        ),
        ("elements", format!("[{}]", vec!["0"; 513].join(",")), "too_complex"),
        (
            "100,000 members",
            format!("{{{}}}", (0..100_000).map(|n| format!("\"m{n}\":0")).collect::<Vec<_>>().join(",")),
            "too_large",
        ),
        ("depth 100,000", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), "too_large"),
        ("1 MiB of text", format!("\"{}\"", "x".repeat(1 << 20)), "too_large"),
    ] {
        with_claims(name, &claims().with("nested", nested).json(), code);
    }
    good_claims("depth 8", &claims().with("nested", format!("{}{}", "[".repeat(7), "]".repeat(7))).json());
    let names = |count: usize| (0..count).map(|n| format!("\"a{n}\"")).collect::<Vec<_>>().join(",");
    let many = format!("[\"{AUDIENCE}\",{}]", names(16));
    with_claims("17 audiences", &claims().with("aud", many).json(), "claim_out_of_range");
    let many = format!("[{}]", names(600));
    with_claims("600 audiences", &claims().with("aud", many).json(), "too_complex");
    let many = format!("[{}]", names(10_000));
    with_claims("10,000 audiences", &claims().with("aud", many).json(), "too_large");
    with_header(
        "1 MiB",
        |header| header.and("x", &format!("\"{}\"", "x".repeat(1 << 20))).json(),
        "too_large",
    );
    with_header("1 KiB", |header| header.and("x", &format!("\"{}\"", "x".repeat(1024))).json(), "too_large");
    with_header(
        "deep",
        |header| header.and("x", &format!("{}{}", "[".repeat(8), "]".repeat(8))).json(),
        "too_complex",
    );
    // The limit itself, and the byte beyond it.
    let (algorithm, header) = &headers()[0];
    let sized = |length: usize| {
        forge(
            *algorithm,
            header.json(),
            claims().with("nested", format!("\"{}\"", "x".repeat(length))).json(),
        )
    };
    let longest =
        (11_000..13_000).map(sized).take_while(|token| token.len() <= UnverifiedJws::MAX_LENGTH).last();
    accepted("the longest token", &longest.expect("one"));
    for text in [".".repeat(1 << 20), "a".repeat(200_000), format!("{}.a.b", "A".repeat(16 * 1024))] {
        refused("no token at all", &text, "too_large");
    }
}

#[test]
fn a27_claims_are_clean_unicode() {
    let (algorithm, header) = &headers()[0];
    let raw =
        |name: &str, claims: &[u8], code| refused(name, &forge(*algorithm, header.json(), claims), code);
    let json = claims().json();
    raw("byte order mark", format!("\u{FEFF}{json}").as_bytes(), "not_clean_utf8");
    raw("UTF-16", &json.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), "not_json_object");
    let marked: Vec<_> =
        "\u{FEFF}".encode_utf16().chain(json.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    raw("UTF-16 with a mark", &marked, "not_clean_utf8");
    let with = |bytes: &[u8]| {
        let at = json.find("acme").expect("there");
        [&json.as_bytes()[..at], bytes, &json.as_bytes()[at..]].concat()
    };
    for (name, bytes) in [
        ("stray continuation", &b"\x80"[..]),
        ("overlong slash", b"\xc0\xaf"),
        ("surrogate", b"\xed\xa0\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("latin 1", b"\xe9"),
        ("NUL", b"\0"),
        ("escaped NUL", b"\\u0000"),
        ("lone surrogate", b"\\ud800"),
        ("lone low surrogate", b"\\udfff"),
        ("reversed pair", b"\\udc00\\ud800"),
    ] {
        raw(name, &with(bytes), "not_clean_utf8");
    }
    for (name, bytes) in
        [("line feed", &b"\n"[..]), ("escape", b"\x1b"), ("bad escape", b"\\x41"), ("short escape", b"\\u4g")]
    {
        raw(name, &with(bytes), "not_json_object");
    }
    let head = header.json();
    refused("header byte order mark", &forge(*algorithm, format!("\u{FEFF}{head}"), &json), "not_clean_utf8");
    refused(
        "header UTF-16",
        &forge(*algorithm, head.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), &json),
        "not_json_object",
    );
}

#[test]
fn a28_no_refusal_and_no_debug_shows_the_token() {
    let canary = "c4n4ry-9f8e7d";
    let changed =
        claims().with("sub", format!("\"{canary}\"")).with("repository_id", format!("\"{canary}\""));
    let (algorithm, header) = &headers()[0];
    let token = forge(*algorithm, header.json(), changed.json());
    let encoded = token.split('.').nth(1).expect("a payload").to_owned();
    let mut shown = Vec::new();
    let parsed = UnverifiedJws::parse(&token).expect("well formed");
    shown.push(format!("{parsed:?}"));
    let verified = parsed.verify(&key_set(), &Algorithm::ALL).expect("verifies");
    shown.push(format!("{verified:?}"));
    shown.push(format!("{:?}", verified.claims().expect("claims")));
    for (name, value) in [
        ("iss", format!("\"{canary}\"")),
        ("aud", format!("[\"{canary}\"]")),
        ("exp", format!("\"{canary}\"")),
        ("exp", "1".into()),
        ("sub", "1".into()),
        (canary, format!("{{\"{canary}\":1,\"{canary}\":2}}")),
    ] {
        let error =
            accept(&forge(*algorithm, header.json(), changed.with(name, value).json())).expect_err("refused");
        shown.push(format!("{error} {error:?}"));
    }
    for (member, value) in
        [("alg", canary), ("typ", canary), ("jku", canary), ("crit", canary), ("zip", canary)]
    {
        let header = header.with(member, format!("\"{value}\""));
        let error = accept(&forge(*algorithm, header.json(), changed.json())).expect_err("refused");
        shown.push(format!("{error} {error:?}"));
    }
    for token in [
        format!("{token}="),
        format!("{token}A"),
        token.replace('.', ""),
        format!("{canary}.{canary}.{canary}"),
    ] {
        let error = accept(&token).expect_err("refused");
        shown.push(format!("{error} {error:?}"));
    }
    for text in shown {
        assert!(!text.contains(canary) && !text.contains(&encoded), "{text}");
    }
    let key = signing_key();
    let shown = format!("{key:?} {:?} {:?}", key.to_pkcs8(), LabelKey::generate().expect("a key"));
    assert!(!shown.contains(ED_D), "{shown}");
    assert!(shown.contains("SigningKey(EdDSA kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k)"), "{shown}");
}
