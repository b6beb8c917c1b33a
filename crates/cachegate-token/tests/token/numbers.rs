//! Tokens for the tests, and a generator whose numbers are the same in every run.

use cachegate_token::{Brand, OpaqueKind, OpaqueToken};
use cachegate_types::{SecretBytes, TokenId};

/// SplitMix64: enough to make texts, and nothing secret.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }

    pub(crate) fn token(&mut self, kind: OpaqueKind) -> OpaqueToken {
        OpaqueToken::new(kind, TokenId::from_bytes(self.bytes()), SecretBytes::new(self.bytes()))
    }

    pub(crate) fn text(&mut self, kind: OpaqueKind, brand: &Brand) -> String {
        self.token(kind).to_text(brand).expose_secret().to_owned()
    }

    pub(crate) fn base62(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..length).map(|_| char::from(ALPHABET[usize::try_from(self.next() % 62).unwrap_or(0)])).collect()
    }
}
