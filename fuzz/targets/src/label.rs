use std::sync::LazyLock;

use cachegate_jwt::{Label, LabelKey};
use cachegate_types::SecretBytes;
use ring::hmac;

const SECRET: [u8; 32] = [7; 32];

static KEY: LazyLock<LabelKey> = LazyLock::new(|| LabelKey::from_bytes(SecretBytes::new(SECRET)));

static SEAL: LazyLock<hmac::Key> = LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, &SECRET));

/// The bytes as a label; and as what stands behind a label's version and key id, under a right seal.
pub fn label(data: &[u8]) {
    let _ = open(data);
    let mut sealed = [&[1][..], &KEY.id().to_bytes(), data].concat();
    let tag = hmac::sign(&SEAL, &sealed);
    sealed.extend_from_slice(tag.as_ref());
    if open(&sealed) {
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(!open(&sealed), "a broken seal");
    }
}

/// Whether it is a label; if so, it is the only one that says what it says.
fn open(bytes: &[u8]) -> bool {
    match Label::open(bytes, |id| (id == KEY.id()).then_some(&*KEY)) {
        Ok(fields) => {
            let again = Label::seal(&fields, &KEY).expect("what was opened can be sealed");
            assert_eq!(again, bytes, "one label, two spellings");
            true
        }
        Err(error) => {
            assert!(!error.code().is_empty());
            false
        }
    }
}
