//! An opaque token has one text, and a text is at most one token.

use proptest::prelude::*;
use regex::Regex;

use cachegate_token::{Brand, Checked, OpaqueError, OpaqueKind, OpaqueToken, check, jwt_pattern, pattern};
use cachegate_types::{SecretBytes, TokenId};

use crate::numbers::Numbers;

/// Sixteen bytes from 1 and thirty-two bytes from 0xE0, written by an independent encoder.
const GOLDEN: &str = "cgp_01tuWckR0Qgud2DqqiTysqrKFCcw823OrBm12M1O8e6ZQf99v6mMY5fuWb9v97FWB0KupZl";

fn brand(text: &str) -> Brand {
    text.parse().expect("a brand")
}

fn kinds() -> impl Strategy<Value = OpaqueKind> {
    prop::sample::select(OpaqueKind::ALL.to_vec())
}

fn brands() -> impl Strategy<Value = Brand> {
    "[a-z]{2,8}".prop_map(|text| brand(&text))
}

#[test]
fn the_text_of_a_token_never_changes_between_versions() {
    let token = OpaqueToken::new(
        OpaqueKind::Personal,
        TokenId::from_bytes(std::array::from_fn(|index| index.to_le_bytes()[0] + 1)),
        SecretBytes::new(std::array::from_fn(|index| index.to_le_bytes()[0] + 0xE0)),
    );
    assert_eq!(token.to_text(&Brand::default()).expose_secret(), GOLDEN);
    let read = OpaqueToken::parse(GOLDEN, &Brand::default()).expect("a token");
    assert_eq!((read.kind(), read.id()), (token.kind(), token.id()));
}

proptest! {
    #[test]
    fn a_token_reads_back_what_it_prints(kind in kinds(), id: [u8; 16], secret: [u8; 32], brand in brands()) {
        let token = OpaqueToken::new(kind, TokenId::from_bytes(id), SecretBytes::new(secret));
        let text = token.to_text(&brand);
        let read = OpaqueToken::parse(text.expose_secret(), &brand).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!((read.kind(), read.id()), (kind, TokenId::from_bytes(id)));
        // The secret is shown by nothing; that it came back is seen in the text that it makes.
        let again = read.to_text(&brand);
        prop_assert_eq!(again.expose_secret(), text.expose_secret());
    }

    /// Whatever parses is exactly what its own parts print: there is no second spelling.
    #[test]
    fn whatever_parses_prints_as_it_was(
        text in prop_oneof![
            "cg[a-z0-9]_[0-9A-Za-z]{70,72}",
            "[ -~]{0,90}",
            any::<String>(),
        ],
    ) {
        if let Ok(token) = OpaqueToken::parse(&text, &Brand::default()) {
            let printed = token.to_text(&Brand::default());
            prop_assert_eq!(printed.expose_secret(), &text);
        }
    }

    #[test]
    fn different_tokens_have_different_texts(one: [u8; 48], other: [u8; 48]) {
        let text = |bytes: [u8; 48]| {
            let mut numbers = bytes.iter().copied();
            let id = TokenId::from_bytes(std::array::from_fn(|_| numbers.next().unwrap_or(0)));
            let secret = SecretBytes::new(std::array::from_fn(|_| numbers.next().unwrap_or(0)));
            OpaqueToken::new(OpaqueKind::Ci, id, secret).to_text(&Brand::default()).expose_secret().to_owned()
        };
        prop_assert_eq!(one == other, text(one) == text(other));
    }

    #[test]
    fn a_token_is_a_stranger_to_any_other_brand(kind in kinds(), seed: u64, one in brands(), other in brands()) {
        prop_assume!(one != other);
        let text = Numbers(seed).text(kind, &one);
        let read = OpaqueToken::parse(&text, &other).map(|token| token.id());
        // Also where one brand begins as the other does: the separator stands elsewhere.
        prop_assert_eq!(read, Err(OpaqueError::NotOurs));
    }
}

#[test]
fn every_single_changed_character_is_refused_with_the_code_of_its_place() {
    let mut numbers = Numbers(1);
    let mut seen = 0_u32;
    for kind in OpaqueKind::ALL {
        for brand in [Brand::default(), brand("abcdefgh")] {
            let text = numbers.text(kind, &brand);
            let prefix = brand.as_str().len();
            for position in 0..text.len() {
                for byte in 0..=0x7F_u8 {
                    let mut bytes = text.clone().into_bytes();
                    if bytes[position] == byte {
                        continue;
                    }
                    bytes[position] = byte;
                    let changed = String::from_utf8(bytes).expect("ASCII");
                    let expected = match position {
                        // The brand, or the separator: somebody else's.
                        _ if position < prefix || position == prefix + 1 => "unknown_format",
                        _ if position == prefix => match byte {
                            b'b' | b'c' | b'p' | b'r' => "bad_checksum",
                            byte if byte.is_ascii_alphabetic() => "unknown_kind",
                            _ => "unknown_format",
                        },
                        _ if byte.is_ascii_alphanumeric() => "bad_checksum",
                        _ => "malformed",
                    };
                    let code = OpaqueToken::parse(&changed, &brand).map_err(|error| error.code()).err();
                    assert_eq!(code, Some(expected), "byte {byte:#04x} at {position}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 4 * (75 + 81) * 127);
}

#[test]
fn two_neighbours_changed_about_are_a_bad_checksum() {
    let mut numbers = Numbers(2);
    for _ in 0..200 {
        let text = numbers.text(OpaqueKind::Ci, &Brand::default());
        for position in 4..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            if bytes[position] == bytes[position + 1] {
                continue;
            }
            bytes.swap(position, position + 1);
            let changed = String::from_utf8(bytes).expect("ASCII");
            let result = OpaqueToken::parse(&changed, &Brand::default()).map(|token| token.id());
            assert_eq!(result, Err(OpaqueError::BadChecksum), "at {position}");
        }
    }
}

#[test]
fn a_token_cut_off_or_carried_on_is_malformed_by_length() {
    let brand = Brand::default();
    for length in 4..GOLDEN.len() {
        let result = OpaqueToken::parse(&GOLDEN[..length], &brand).map(|token| token.id());
        assert_eq!(result, Err(OpaqueError::Length { length, expected: 75 }));
    }
    for more in ["0", " ", "\n", "\0", GOLDEN] {
        let text = format!("{GOLDEN}{more}");
        let result = OpaqueToken::parse(&text, &brand).map(|token| token.id());
        assert_eq!(result, Err(OpaqueError::Length { length: text.len(), expected: 75 }), "{more:?}");
        assert_eq!(check(&text, &brand), Checked::Malformed);
    }
    for before in [" ", "\u{FEFF}", "\0", "x", "Bearer "] {
        let result = OpaqueToken::parse(&format!("{before}{GOLDEN}"), &brand).map(|token| token.id());
        assert_eq!(result, Err(OpaqueError::NotOurs), "{before:?}");
    }
}

#[test]
fn numbers_out_of_range_have_no_spelling() {
    let parse = |text| OpaqueToken::parse(text, &Brand::default()).map(|token| token.id());
    // The highest id and secret, and each of them one higher, with a checksum that fits.
    let highest = "cgc_7n42DGM5Tflk9n8mt7Fhc7yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12teWoF";
    let id = "cgc_7n42DGM5Tflk9n8mt7Fhc800000000000000000000000000000000000000000001vd9Vs";
    let secret = "cgc_0000000000000000000000yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp23JlwkC";
    assert_eq!(parse(highest), Ok(TokenId::from_bytes([0xFF; 16])));
    assert_eq!(parse(id), Err(OpaqueError::NotCanonical));
    assert_eq!(parse(secret), Err(OpaqueError::NotCanonical));
    assert_eq!(check(secret, &Brand::default()), Checked::NotCanonical);
    // A checksum, and the same with 2^32 on top, which a reader of 32 bits would cut off.
    let checksum = "cgc_000000000000000000000500000000000000000000000000000000000000000072qLjgx";
    let higher = "cgc_000000000000000000000500000000000000000000000000000000000000000077X0yt1";
    assert!(parse(checksum).is_ok());
    assert_eq!(parse(higher), Err(OpaqueError::BadChecksum));
}

#[test]
fn of_a_million_random_texts_of_the_right_shape_none_passes() {
    let brand = Brand::default();
    let mut numbers = Numbers(3);
    let (mut any_digits, mut any_checksum) = (0, 0);
    for _ in 0..500_000 {
        let text = format!("cgc_{}", numbers.base62(71));
        any_digits += u32::from(check(&text, &brand) == Checked::Valid);
        // The harder half: id, secret and checksum all in range, so that the checksum alone decides.
        let (one, other) = (numbers.text(OpaqueKind::Ci, &brand), numbers.text(OpaqueKind::Ci, &brand));
        let text = format!("{}{}", &one[..69], &other[69..]);
        any_checksum += u32::from(check(&text, &brand) == Checked::Valid);
    }
    assert_eq!((any_digits, any_checksum), (0, 0));
}

#[test]
fn texts_sort_as_their_ids_do() {
    let mut numbers = Numbers(4);
    let mut tokens: Vec<_> = (0..500).map(|_| numbers.token(OpaqueKind::Ci)).collect();
    tokens.sort_by_key(OpaqueToken::id);
    let texts: Vec<_> =
        tokens.iter().map(|token| token.to_text(&Brand::default()).expose_secret().to_owned()).collect();
    assert!(texts.is_sorted());
}

#[test]
fn a_double_click_selects_the_whole_token() {
    // What terminals, browsers and editors agree to be one word (Unicode, UAX 29, WB5, WB9 and WB13a): letters, digits
    // and the low line. A hyphen, a dot or a slash would end it.
    let mut numbers = Numbers(5);
    for kind in OpaqueKind::ALL {
        for _ in 0..1000 {
            let text = numbers.text(kind, &Brand::default());
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{kind}");
        }
    }
}

#[test]
fn the_published_expression_finds_every_minted_token_and_only_whole_ones() {
    let mut numbers = Numbers(6);
    for brand in [Brand::default(), brand("acme")] {
        let expression = Regex::new(&pattern(&brand)).expect("an expression");
        for kind in OpaqueKind::ALL {
            for _ in 0..1000 {
                let text = numbers.text(kind, &brand);
                for around in [
                    ("", ""),
                    ("token=\"", "\""),
                    ("https://x:", "@host/"),
                    ("\n", "\n"),
                    ("-", "-"),
                    ("NX_KEY=", ";"),
                    ("é ", " é"),
                ] {
                    let page = format!("{}{text}{}", around.0, around.1);
                    let found: Vec<_> = expression.find_iter(&page).map(|found| found.as_str()).collect();
                    assert_eq!(found, [text.as_str()], "{around:?}");
                }
                for page in [format!("x{text}"), format!("{text}x"), format!("_{text}"), text[1..].to_owned()]
                {
                    assert!(!expression.is_match(&page));
                }
            }
        }
    }
    assert_eq!(pattern(&Brand::default()), r"\bcg[cprb]_[0-9A-Za-z]{71}\b");
}

#[test]
fn the_published_expression_finds_issued_jwts_and_no_foreign_ones() {
    let expression = Regex::new(&jwt_pattern(&Brand::default())).expect("an expression");
    let page = "password cg1_eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln-_A\nnext";
    assert_eq!(
        expression.find(page).map(|found| found.as_str()),
        Some("cg1_eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln-_A")
    );
    assert!(!expression.is_match("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln"));
    assert!(!expression.is_match("xcg1_eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln"));
}

#[test]
fn the_checker_tells_a_typo_from_a_token_and_from_a_stranger() {
    let brand = Brand::default();
    for (text, expected) in [
        (GOLDEN.to_owned(), Checked::Valid),
        (GOLDEN.replace("Qgud2", "Qgvd2"), Checked::BadChecksum),
        (GOLDEN.replace("Qgud2", "Qg-d2"), Checked::Malformed),
        (GOLDEN[..70].to_owned(), Checked::Malformed),
        (GOLDEN.replacen("cgp_", "cgx_", 1), Checked::UnknownKind),
        (GOLDEN.replacen("cgp_", "cgP_", 1), Checked::UnknownKind),
        (GOLDEN.replacen("cgp_", "CGP_", 1), Checked::NotOurs),
        (GOLDEN.replacen("cgp_", "ghp_", 1), Checked::NotOurs),
        (GOLDEN.replacen("cgp_", "cg1_", 1), Checked::NotOurs),
        (String::new(), Checked::NotOurs),
        ("cg".to_owned(), Checked::NotOurs),
        ("cgp_".to_owned(), Checked::Malformed),
        ("cgp_".to_owned() + &"0".repeat(100_000), Checked::NotOurs),
    ] {
        assert_eq!(check(&text, &brand), expected, "{} bytes", text.len());
    }
    assert_eq!(Checked::BadChecksum.as_str(), OpaqueError::BadChecksum.code());
    assert_eq!(Checked::NotOurs.as_str(), OpaqueError::NotOurs.code());
}

#[test]
fn a_kind_reads_back_its_letter_and_no_other_letter_is_one() {
    for kind in OpaqueKind::ALL {
        assert_eq!(OpaqueKind::from_letter(kind.letter()), Some(kind));
    }
    let letters = (0..=0x10FFFF).filter_map(char::from_u32).filter_map(OpaqueKind::from_letter).count();
    assert_eq!(letters, OpaqueKind::ALL.len());
    assert_eq!(OpaqueKind::ALL.map(OpaqueKind::as_str), ["ci", "personal", "refresh", "browser"]);
}
