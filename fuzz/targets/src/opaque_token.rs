use cachegate_token::{Brand, Checked, Credential, Digester, OpaqueError, OpaqueKind, OpaqueToken, check};
use cachegate_types::{SecretBytes, TokenId};

/// The bytes as a token's text, once as they are and once with the checksum put right; and as the parts of a token.
pub fn opaque_token(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        read(text);
        if let Some(text) = with_right_checksum(text) {
            let checked = read(&text);
            assert!(!matches!(checked, Checked::BadChecksum), "the right checksum does not fit");
        }
    }
    if let Some((letter, parts)) = data.split_first()
        && let Some((id, parts)) = parts.split_first_chunk::<16>()
        && let Some((secret, rest)) = parts.split_first_chunk::<32>()
    {
        write(*letter, *id, *secret, rest);
    }
}

/// A text that is read is the one that is written.
fn read(text: &str) -> Checked {
    let brand = Brand::default();
    let checked = check(text, &brand);
    match OpaqueToken::parse(text, &brand) {
        Ok(token) => {
            assert_eq!(checked, Checked::Valid);
            assert_eq!(token.to_text(&brand).expose_secret(), text, "a token has two texts");
            assert!(!format!("{token:?}").contains(text));
            let Ok(Credential::Opaque(credential)) = Credential::parse(text, &brand) else {
                panic!("a token that is no credential");
            };
            assert_eq!((credential.id(), credential.kind()), (token.id(), token.kind()));
        }
        Err(error) => {
            assert_ne!(checked, Checked::Valid);
            assert_eq!(checked == Checked::NotOurs, error.is_not_ours() || too_large(&error));
            let credential = Credential::parse(text, &brand);
            assert!(!matches!(credential, Ok(Credential::Opaque(_))), "{error}");
        }
    }
    checked
}

fn too_large(error: &OpaqueError) -> bool {
    matches!(error, OpaqueError::TooLarge { .. })
}

/// What is written is read again, has one digest, and no character of it can be another.
fn write(letter: u8, id: [u8; 16], secret: [u8; 32], rest: &[u8]) {
    let brand = Brand::default();
    let kind = OpaqueKind::ALL[usize::from(letter) % OpaqueKind::ALL.len()];
    let token = OpaqueToken::new(kind, TokenId::from_bytes(id), SecretBytes::new(secret));
    let text = token.to_text(&brand);
    let text = text.expose_secret();
    let again = OpaqueToken::parse(text, &brand).expect("what was written is read");
    assert_eq!((again.id(), again.kind()), (token.id(), token.kind()));
    let digester = Digester::sha256();
    assert!(digester.verify(&again, Some(&digester.digest(&token))));
    if let [place, other, ..] = rest {
        let mut changed = text.as_bytes().to_vec();
        let place = usize::from(*place) % changed.len();
        if changed[place] != *other && other.is_ascii() {
            changed[place] = *other;
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(OpaqueToken::parse(&changed, &brand).is_err(), "a typo at {place} is a token");
        }
    }
}

/// The text with the last six characters replaced by the base62 of the CRC-32 of all before them.
fn with_right_checksum(text: &str) -> Option<String> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (checked, _) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let mut left = crc32fast::hash(checked.as_bytes());
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(left % 62) as usize];
        left /= 62;
    }
    Some(format!("{checked}{}", std::str::from_utf8(&digits).expect("ASCII")))
}
