//! Digests: the only form in which an opaque token is kept.

use std::fmt;

use ring::{digest, hmac};
use subtle::{Choice, ConstantTimeEq};

use cachegate_types::SecretBytes;

use crate::OpaqueToken;

/// What is kept of an opaque token. It says whether a presented token is the one; it does not say what the token is.
///
/// It covers kind, public id and secret, so a digest moved to another token's record fits nothing there. There is no
/// `==`: compare with [`TokenDigest::matches`], or better ask [`Digester::verify`].
#[derive(Clone, Copy)]
pub struct TokenDigest {
    scheme: DigestScheme,
    bytes: [u8; 32],
}

impl TokenDigest {
    /// The digest of these parts, as a store read them back.
    pub const fn from_parts(scheme: DigestScheme, bytes: [u8; 32]) -> Self {
        Self { scheme, bytes }
    }

    /// How the digest was made.
    pub const fn scheme(&self) -> DigestScheme {
        self.scheme
    }

    /// The bytes to keep. For storage, never for a log or for `==`.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether both are the same digest, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        let same_scheme = Choice::from(u8::from(self.scheme == other.scheme));
        (self.bytes.ct_eq(&other.bytes) & same_scheme).into()
    }
}

/// Shows the scheme alone.
impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDigest").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// How a digest was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DigestScheme {
    /// SHA-256 (FIPS 180-4). Enough for 256 random bits: there is nothing to guess.
    Sha256,
    /// HMAC-SHA-256 (RFC 2104) under a key held outside the database: whoever can write the database still cannot
    /// plant a token that he knows.
    HmacSha256 {
        /// Which key.
        key_id: u32,
    },
}

impl DigestScheme {
    /// The scheme of this stable name and key id; `None` when there is no such scheme.
    pub fn from_parts(name: &str, key_id: Option<u32>) -> Option<Self> {
        match (name, key_id) {
            ("sha256", None) => Some(Self::Sha256),
            ("hmac-sha256", Some(key_id)) => Some(Self::HmacSha256 { key_id }),
            _ => None,
        }
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::HmacSha256 { .. } => "hmac-sha256",
        }
    }

    /// The key's id, where there is a key.
    pub const fn key_id(self) -> Option<u32> {
        match self {
            Self::Sha256 => None,
            Self::HmacSha256 { key_id } => Some(key_id),
        }
    }
}

/// A key for digests, held outside the database.
#[derive(Clone, Debug)]
pub struct DigestKey {
    /// The key's id, which each digest made with it carries; never used for another key.
    pub id: u32,
    /// 256 bits from the operating system's generator.
    pub secret: SecretBytes<32>,
}

impl DigestKey {
    /// The key of these parts.
    pub const fn new(id: u32, secret: SecretBytes<32>) -> Self {
        Self { id, secret }
    }
}

/// Makes digests in one way, and checks those made in that way or in a former one.
#[derive(Clone)]
pub struct Digester {
    current: Maker,
    previous: Vec<Maker>,
}

impl Digester {
    /// SHA-256: the default.
    pub const fn sha256() -> Self {
        Self { current: Maker::Sha256, previous: Vec::new() }
    }

    /// HMAC-SHA-256 under this key.
    pub fn hmac_sha256(key: DigestKey) -> Self {
        let DigestKey { id, secret } = key;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
        Self { current: Maker::HmacSha256 { id, key }, previous: Vec::new() }
    }

    /// Also checks what `previous` checks, and makes nothing with it: for a change of key.
    ///
    /// Replace the digest of each token that verifies and is not [current](Digester::is_current), and take the former
    /// way out when none is left. While [`Digester::sha256`] is a former way, whoever can write the database can
    /// still plant a token.
    ///
    /// # Errors
    ///
    /// [`DigesterError::Duplicate`] when a way is there twice: two keys under one id, or one for nothing.
    pub fn with_previous(mut self, previous: Self) -> Result<Self, DigesterError> {
        for maker in std::iter::once(previous.current).chain(previous.previous) {
            let scheme = maker.scheme();
            if self.maker(scheme).is_some() {
                return Err(DigesterError::Duplicate { scheme });
            }
            self.previous.push(maker);
        }
        Ok(self)
    }

    /// The digest to keep of a token just minted.
    pub fn digest(&self, token: &OpaqueToken) -> TokenDigest {
        self.current.digest(token)
    }

    /// Whether the presented token is the one whose digest is stored; `None` is a public id that nobody knows.
    ///
    /// An unknown id costs one digest and one comparison, as a known one does, and so does a digest made in a way that
    /// is not configured here. Both are `false`.
    pub fn verify(&self, presented: &OpaqueToken, stored: Option<&TokenDigest>) -> bool {
        let fitting = stored.and_then(|stored| self.maker(stored.scheme));
        let possible = Choice::from(u8::from(fitting.is_some()));
        let found = fitting.unwrap_or(&self.current).digest(presented);
        let wanted = stored.map_or(&NOBODY, |stored| &stored.bytes);
        #[cfg(test)]
        work::COMPARISONS.set(work::COMPARISONS.get() + 1);
        (found.bytes.ct_eq(wanted) & possible).into()
    }

    /// Whether the stored digest was made as this digester makes them, so that nothing needs replacing.
    pub fn is_current(&self, stored: &TokenDigest) -> bool {
        self.current.scheme() == stored.scheme
    }

    fn maker(&self, scheme: DigestScheme) -> Option<&Maker> {
        std::iter::once(&self.current).chain(&self.previous).find(|maker| maker.scheme() == scheme)
    }
}

/// What an unknown id is compared with. Were it ever met, the answer would still be no.
const NOBODY: [u8; 32] = [0; 32];

/// [`Digester::sha256`].
impl Default for Digester {
    fn default() -> Self {
        Self::sha256()
    }
}

/// Shows the schemes alone.
impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous: Vec<_> = self.previous.iter().map(Maker::scheme).collect();
        f.debug_struct("Digester")
            .field("current", &self.current.scheme())
            .field("previous", &previous)
            .finish()
    }
}

/// One way to make a digest.
#[derive(Clone)]
enum Maker {
    Sha256,
    HmacSha256 { id: u32, key: hmac::Key },
}

/// Against confusion with digests of other things. With it a digest is of 55 bytes, the most that SHA-256 takes in one
/// block.
const TAG: &[u8; 6] = b"cgtok1";

impl Maker {
    const fn scheme(&self) -> DigestScheme {
        match self {
            Self::Sha256 => DigestScheme::Sha256,
            Self::HmacSha256 { id, .. } => DigestScheme::HmacSha256 { key_id: *id },
        }
    }

    fn digest(&self, token: &OpaqueToken) -> TokenDigest {
        #[cfg(test)]
        work::DIGESTS.set(work::DIGESTS.get() + 1);
        // Each part has a fixed length, so that no two tokens make one message.
        let (kind, id) = ([token.kind().byte()], token.id().to_bytes());
        let parts: [&[u8]; 4] = [TAG, &kind, &id, token.secret().expose_secret()];
        let bytes = match self {
            Self::Sha256 => {
                let mut context = digest::Context::new(&digest::SHA256);
                parts.into_iter().for_each(|part| context.update(part));
                to_array(context.finish().as_ref())
            }
            Self::HmacSha256 { key, .. } => {
                let mut context = hmac::Context::with_key(key);
                parts.into_iter().for_each(|part| context.update(part));
                to_array(context.sign().as_ref())
            }
        };
        TokenDigest { scheme: self.scheme(), bytes }
    }
}

/// The 32 bytes that every SHA-256 is.
pub(crate) fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}

/// A digester that cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigesterError {
    /// One scheme, and one key id, stands for one way alone.
    #[error("the digest scheme {} is there twice{}", .scheme.as_str(), KeyId(*.scheme))]
    Duplicate {
        /// Which.
        scheme: DigestScheme,
    },
}

/// ` with key id 7`, or nothing.
struct KeyId(DigestScheme);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.key_id().map_or(Ok(()), |id| write!(f, " with key id {id}"))
    }
}

/// Work done on this thread, for the test that an unknown id costs what a known one does.
#[cfg(test)]
mod work {
    use std::cell::Cell;

    thread_local! {
        pub(super) static DIGESTS: Cell<u32> = const { Cell::new(0) };
        pub(super) static COMPARISONS: Cell<u32> = const { Cell::new(0) };
    }
}

#[cfg(test)]
mod tests {
    use cachegate_types::TokenId;

    use super::*;
    use crate::OpaqueKind;

    fn token(kind: OpaqueKind, id: u8, secret: u8) -> OpaqueToken {
        OpaqueToken::new(kind, TokenId::from_bytes([id; 16]), SecretBytes::new([secret; 32]))
    }

    fn keyed(id: u32, secret: u8) -> Digester {
        Digester::hmac_sha256(DigestKey::new(id, SecretBytes::new([secret; 32])))
    }

    /// The answer, and the digests and comparisons that it cost.
    fn cost(digester: &Digester, presented: &OpaqueToken, stored: Option<&TokenDigest>) -> (bool, u32, u32) {
        work::DIGESTS.set(0);
        work::COMPARISONS.set(0);
        let answer = digester.verify(presented, stored);
        (answer, work::DIGESTS.get(), work::COMPARISONS.get())
    }

    #[test]
    fn a29_an_unknown_id_costs_what_a_known_one_does() {
        let (mine, other) = (token(OpaqueKind::Ci, 1, 1), token(OpaqueKind::Ci, 1, 2));
        for digester in [Digester::sha256(), keyed(1, 9)] {
            let stored = digester.digest(&mine);
            let unconfigured =
                TokenDigest::from_parts(DigestScheme::HmacSha256 { key_id: 77 }, *stored.bytes());
            assert_eq!(cost(&digester, &mine, Some(&stored)), (true, 1, 1));
            assert_eq!(cost(&digester, &other, Some(&stored)), (false, 1, 1), "wrong secret");
            assert_eq!(cost(&digester, &mine, None), (false, 1, 1), "unknown id");
            assert_eq!(cost(&digester, &mine, Some(&unconfigured)), (false, 1, 1), "unknown key");
        }
    }

    #[test]
    fn the_digest_of_nobody_lets_nobody_in() {
        let digester = Digester::sha256();
        let mine = token(OpaqueKind::Ci, 1, 1);
        let nobody = TokenDigest::from_parts(DigestScheme::Sha256, NOBODY);
        assert!(!digester.verify(&mine, Some(&nobody)));
        assert!(!digester.verify(&mine, None));
    }

    #[test]
    fn a_digest_covers_kind_id_and_secret() {
        for digester in [Digester::sha256(), keyed(1, 9)] {
            let stored = digester.digest(&token(OpaqueKind::Ci, 1, 1));
            assert!(digester.verify(&token(OpaqueKind::Ci, 1, 1), Some(&stored)));
            assert!(!digester.verify(&token(OpaqueKind::Personal, 1, 1), Some(&stored)), "kind");
            assert!(!digester.verify(&token(OpaqueKind::Ci, 2, 1), Some(&stored)), "moved to another record");
            assert!(!digester.verify(&token(OpaqueKind::Ci, 1, 2), Some(&stored)), "secret");
        }
    }

    #[test]
    fn the_schemes_are_the_standards_own() {
        // Computed with Python's hashlib and hmac over `cgtok1`, `c`, sixteen 1s and thirty-two 2s, keyed with 9s. To
        // change these is to make every token in use a stranger.
        let mine = token(OpaqueKind::Ci, 1, 2);
        assert_eq!(
            hex(Digester::sha256().digest(&mine).bytes()),
            "1197608bbaa943199c35daca1a2556198c64ba2a60ea9387ad7ed70627c6e672"
        );
        assert_eq!(
            hex(keyed(5, 9).digest(&mine).bytes()),
            "3ea6855c171c0442d2be39414d782a8249fe8aae74ed058de2693eaab7073570"
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_change_of_key_keeps_former_digests_good_and_makes_no_more_of_them() {
        let mine = token(OpaqueKind::Personal, 1, 1);
        let plain = Digester::sha256();
        let old = keyed(1, 1);
        let new = keyed(2, 2)
            .with_previous(old.clone())
            .and_then(|digester| digester.with_previous(plain.clone()))
            .expect("three ways");
        for former in [&plain, &old] {
            let stored = former.digest(&mine);
            assert!(new.verify(&mine, Some(&stored)));
            assert!(!new.is_current(&stored));
            assert!(!keyed(2, 2).verify(&mine, Some(&stored)), "not given, not checked");
        }
        assert!(new.is_current(&new.digest(&mine)));
        assert_eq!(new.digest(&mine).scheme(), DigestScheme::HmacSha256 { key_id: 2 });
        assert!(!keyed(2, 3).verify(&mine, Some(&new.digest(&mine))), "another key of the same id");
    }

    #[test]
    fn a_plain_digest_counts_for_nothing_where_a_key_is_demanded() {
        let planted = token(OpaqueKind::Personal, 1, 1);
        let digester = keyed(1, 1);
        let plain = Digester::sha256().digest(&planted);
        assert!(!digester.verify(&planted, Some(&plain)));
        let relabelled = TokenDigest::from_parts(DigestScheme::HmacSha256 { key_id: 1 }, *plain.bytes());
        assert!(!digester.verify(&planted, Some(&relabelled)));
    }

    #[test]
    fn one_key_id_stands_for_one_key() {
        let duplicate = |scheme| Some(DigesterError::Duplicate { scheme });
        assert_eq!(
            keyed(1, 1).with_previous(keyed(1, 2)).err(),
            duplicate(DigestScheme::HmacSha256 { key_id: 1 })
        );
        assert_eq!(
            Digester::sha256().with_previous(Digester::sha256()).err(),
            duplicate(DigestScheme::Sha256)
        );
        let error = keyed(7, 1).with_previous(keyed(7, 2)).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("the digest scheme hmac-sha256 is there twice with key id 7"));
    }

    #[test]
    fn digests_match_by_scheme_and_bytes() {
        let one = TokenDigest::from_parts(DigestScheme::Sha256, [1; 32]);
        assert!(one.matches(&one.clone()));
        assert!(!one.matches(&TokenDigest::from_parts(DigestScheme::HmacSha256 { key_id: 0 }, [1; 32])));
        for position in 0..32 {
            let mut bytes = [1; 32];
            bytes[position] ^= 0x80;
            assert!(!one.matches(&TokenDigest::from_parts(DigestScheme::Sha256, bytes)), "{position}");
        }
    }

    #[test]
    fn a_scheme_reads_back_what_it_is_called() {
        for scheme in [DigestScheme::Sha256, DigestScheme::HmacSha256 { key_id: 0 }] {
            assert_eq!(DigestScheme::from_parts(scheme.as_str(), scheme.key_id()), Some(scheme));
        }
        for (name, key_id) in [("sha256", Some(1)), ("hmac-sha256", None), ("SHA256", None), ("", None)] {
            assert_eq!(DigestScheme::from_parts(name, key_id), None);
        }
    }
}
