//! Hostile input costs little, and nothing shows a secret.

use std::time::{Duration, Instant};

use cachegate_token::{
    Brand, Checked, Credential, CredentialError, DigestKey, Digester, OpaqueError, OpaqueKind, OpaqueToken,
    check,
};
use cachegate_types::{SecretBytes, TokenId};

use crate::numbers::Numbers;

const LIMIT: usize = 16 * 1024;

fn code(value: &[u8]) -> Option<&'static str> {
    Credential::bearer_header(value, &Brand::default()).map_err(|error| error.code()).err()
}

/// A JWT's outer form of exactly this length.
fn jwt(length: usize) -> String {
    format!("{}.b.c", "a".repeat(length - 4))
}

// A26.

#[test]
fn a26_a_token_of_16_kib_is_read_and_one_byte_more_is_not() {
    let brand = Brand::default();
    assert!(Credential::parse(&jwt(LIMIT), &brand).is_ok());
    let error = Credential::parse(&jwt(LIMIT + 1), &brand).map(|_| ()).err();
    assert_eq!(error, Some(CredentialError::TooLarge { length: LIMIT + 1 }));
    assert_eq!(code(format!("Bearer {}", jwt(LIMIT)).as_bytes()), None);
    assert_eq!(code(format!("Bearer {}", jwt(LIMIT + 1)).as_bytes()), Some("too_large"));
    let issued = format!("cg1_{}", jwt(LIMIT - 4));
    assert!(Credential::parse(&issued, &brand).is_ok(), "the prefix counts");
    assert!(Credential::parse(&format!("cg1_{}", jwt(LIMIT - 3)), &brand).is_err(), "the prefix counts");
    let error = OpaqueToken::parse(&"x".repeat(LIMIT + 1), &brand).map(|_| ()).err();
    assert_eq!(error, Some(OpaqueError::TooLarge { length: LIMIT + 1 }));
}

#[test]
fn a26_too_large_is_said_before_anything_else_is() {
    // Whatever is wrong with it besides: a list, a bad byte, an unknown scheme, no form at all.
    for filler in [",", "\0", "\u{FEFF}", " ", ".", "cgc_", "=", "Bearer "] {
        let text = filler.repeat(1 << 20);
        assert_eq!(code(text.as_bytes()), Some("too_large"), "{filler:?}");
        assert_eq!(code(format!("Bearer x{text}").as_bytes()), Some("too_large"), "{filler:?}");
        assert_eq!(code(format!("Basic {text}").as_bytes()), Some("too_large"), "{filler:?}");
        let error = Credential::parse(&text, &Brand::default()).map_err(|error| error.code()).err();
        assert_eq!(error, Some("too_large"), "{filler:?}");
    }
    // Short enough as a header, too long as a token.
    assert_eq!(code(format!("Bearer {}", ",".repeat(LIMIT + 1)).as_bytes()), Some("too_large"));
}

#[test]
fn a26_too_large_is_refused_without_being_read() {
    // 64 MiB a thousand times over: reading even once a byte would take seconds.
    let text = "a".repeat(64 << 20);
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(Credential::parse(&text, &Brand::default()).is_err());
        assert!(Credential::bearer_header(text.as_bytes(), &Brand::default()).is_err());
        assert_eq!(check(&text, &Brand::default()), Checked::NotOurs);
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a26_the_worst_texts_that_are_read_cost_no_more_than_their_length() {
    let at_most = |text: String| text[..LIMIT.min(text.len())].to_owned();
    let worst = [
        ".".repeat(LIMIT),
        "a.".repeat(LIMIT / 2),
        jwt(LIMIT - 1) + ",",
        jwt(LIMIT - 1) + "=",
        at_most("cgc_".repeat(LIMIT / 4)),
        at_most(format!("cgc_{}", "z".repeat(LIMIT))),
        at_most(format!("cg1_{}", ".".repeat(LIMIT))),
        at_most(format!("cg1_{}", "cg1_".repeat(LIMIT))),
        ",".repeat(LIMIT),
        "a ".repeat(LIMIT / 2),
        ":".repeat(LIMIT),
    ];
    for text in worst {
        for value in [format!("Bearer {text}"), format!("Basic {text}"), text.clone()] {
            let started = Instant::now();
            for _ in 0..100 {
                assert!(code(value.as_bytes()).is_some());
            }
            // 16 KiB read ten times at a byte per nanosecond, a hundred times over, is 16 ms; quadratic would be 27 s.
            assert!(started.elapsed() < Duration::from_secs(1), "{:?} for {}", started.elapsed(), &text[..8]);
        }
    }
}

// A27.

#[test]
fn a27_no_byte_beyond_visible_ascii_is_in_a_credential() {
    let brand = Brand::default();
    let token = Numbers(20).text(OpaqueKind::Ci, &brand);
    let jwt = format!("cg1_{}", jwt(40));
    for strange in [
        "\0",
        "\t",
        "\n",
        "\r\n",
        "\u{7F}",
        "\u{80}",
        "\u{A0}",
        "\u{200B}",
        "\u{200D}",
        "\u{202E}",
        "\u{2066}",
        "\u{FEFF}",
        "\u{0441}",
        "\u{FF43}",
        "\u{1F600}",
        "\u{10FFFF}",
    ] {
        for text in [&token, &jwt] {
            for position in [0, 2, 4, 20, text.len()] {
                let changed = format!("{}{strange}{}", &text[..position], &text[position..]);
                let error = Credential::parse(&changed, &brand).map(|_| ()).err();
                assert_eq!(error, Some(CredentialError::InvisibleByte { position }), "{strange:?}");
            }
        }
    }
}

#[test]
fn a27_bytes_that_are_no_utf_8_are_refused() {
    let token = Numbers(21).text(OpaqueKind::Ci, &Brand::default());
    // Cut off, overlong, a surrogate, UTF-16.
    for strange in [&b"\xC3"[..], b"\xC0\xAE", b"\xED\xA0\x80", b"\xFE\xFF", b"\xFF\xFEc\0g\0"] {
        for value in [
            [b"Bearer ", strange, token.as_bytes()].concat(),
            [b"Bearer ", token.as_bytes(), strange].concat(),
            [strange, b"Bearer ", token.as_bytes()].concat(),
        ] {
            assert_eq!(code(&value), Some("invisible_byte"));
        }
    }
    let utf_16: Vec<u8> = format!("Bearer {token}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(code(&utf_16), Some("invisible_byte"));
}

// A28.

/// Everything that this crate can be made to say about a token, and the token's own text.
fn sayings(numbers: &mut Numbers, kind: OpaqueKind) -> (String, Vec<String>) {
    let brand = Brand::default();
    let token = numbers.token(kind);
    let text = token.to_text(&brand);
    let text = text.expose_secret().to_owned();
    let secret_jwt = format!("{}.{}.{}", numbers.base62(30), numbers.base62(60), numbers.base62(86));
    let mut said = vec![
        format!("{token:?} {token:#?}"),
        format!("{:?}", token.to_text(&brand)),
        format!("{:?}", OpaqueToken::parse(&text, &brand)),
        format!("{:?}", check(&text, &brand)),
    ];
    let key = DigestKey::new(7, SecretBytes::new(numbers.bytes()));
    let digester = Digester::hmac_sha256(key.clone()).with_previous(Digester::sha256()).expect("two ways");
    let digest = digester.digest(&token);
    said.push(format!("{key:?} {digester:?} {digester:#?} {digest:?} {digest:#?}"));
    let mut texts =
        vec![text.clone(), secret_jwt.clone(), format!("cg1_{secret_jwt}"), format!("cg2_{secret_jwt}")];
    // Each wrong in its own way, so that every error speaks.
    for position in [0, 2, 3, 10, 40, 70] {
        for replacement in ["x", "-", "\0", ",", " ", "\u{FEFF}"] {
            texts.push(format!("{}{replacement}{}", &text[..position], &text[position + 1..]));
        }
    }
    texts.extend([format!("{text}{text}"), text[..60].to_owned(), format!("{text}{}", "x".repeat(LIMIT))]);
    for text in &texts {
        match Credential::parse(text, &brand) {
            Ok(credential) => {
                said.push(format!("{credential:?} {credential:#?} {}", credential.kind()));
                said.push(format!("{:?}", credential.into_owned()));
            }
            Err(error) => said.push(format!("{error} {error:?} {error:#?} {}", error.code())),
        }
        for value in [format!("Bearer {text}"), format!("Basic {text}"), text.clone(), format!("{text} x")] {
            said.push(match Credential::bearer_header(value.as_bytes(), &brand) {
                Ok(found) => format!("{found:?}"),
                Err(error) => format!("{error} {error:?}"),
            });
        }
    }
    (format!("{}{secret_jwt}", &text[26..]), said)
}

#[test]
fn a28_nothing_that_is_said_holds_any_part_of_a_secret() {
    let mut numbers = Numbers(22);
    for kind in OpaqueKind::ALL {
        for _ in 0..10 {
            let (secrets, said) = sayings(&mut numbers, kind);
            for window in secrets.as_bytes().windows(6) {
                let canary = std::str::from_utf8(window).expect("ASCII");
                for text in &said {
                    assert!(!text.contains(canary), "{text}");
                }
            }
        }
    }
}

#[test]
fn a28_the_canary_would_be_heard() {
    let brand = Brand::default();
    let mut numbers = Numbers(23);
    let text = numbers.text(OpaqueKind::Ci, &brand);
    let token = OpaqueToken::parse(&text, &brand).expect("a token");
    let leak = format!("{token:?} {}", &text[26..]);
    assert!(
        text.as_bytes()[26..]
            .windows(6)
            .any(|window| leak.contains(std::str::from_utf8(window).expect("ASCII")))
    );
}

#[test]
fn a28_debug_shows_kind_and_public_id_and_no_more() {
    let id = TokenId::from_bytes([0x11; 16]);
    let token = OpaqueToken::new(OpaqueKind::Ci, id, SecretBytes::new([0x22; 32]));
    assert_eq!(
        format!("{token:?}"),
        "OpaqueToken { kind: Ci, id: TokenId(11111111-1111-1111-1111-111111111111), .. }"
    );
    assert_eq!(format!("{:?}", Digester::sha256().digest(&token)), "TokenDigest { scheme: Sha256, .. }");
    let digester = Digester::hmac_sha256(DigestKey::new(7, SecretBytes::new([0x33; 32])));
    assert_eq!(format!("{digester:?}"), "Digester { current: HmacSha256 { key_id: 7 }, previous: [] }");
    let jwt = Credential::parse("a.b.c", &Brand::default()).expect("a credential");
    assert_eq!(format!("{jwt:?}"), "ForeignJwt(JwtText(5 bytes))");
}

// A29; that an unknown id costs the same work is shown beside the code, where the work can be counted.

#[test]
fn a29_an_unknown_id_and_a_wrong_secret_are_one_answer() {
    let mut numbers = Numbers(24);
    let digester = Digester::sha256();
    let (mine, other) = (numbers.token(OpaqueKind::Ci), numbers.token(OpaqueKind::Ci));
    let stored = digester.digest(&mine);
    assert!(digester.verify(&mine, Some(&stored)));
    assert!(!digester.verify(&other, Some(&stored)));
    assert!(!digester.verify(&mine, None));
}

#[test]
fn no_digest_at_rest_is_a_credential() {
    // What a dump of the database holds, tried as a token in every spelling that comes to mind.
    let mut numbers = Numbers(25);
    let brand = Brand::default();
    let token = numbers.token(OpaqueKind::Personal);
    let digest = Digester::sha256().digest(&token);
    let hex: String = digest.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(Credential::parse(&hex, &brand).is_err());
    assert!(Credential::parse(&token.id().to_string(), &brand).is_err());
    let replayed = OpaqueToken::new(token.kind(), token.id(), SecretBytes::new(*digest.bytes()));
    assert!(!Digester::sha256().verify(&replayed, Some(&digest)));
}
