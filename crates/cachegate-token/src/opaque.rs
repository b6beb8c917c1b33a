//! Opaque tokens: a public id to look up, a secret to compare, a checksum to tell a typo.

use std::fmt;

use zeroize::Zeroizing;

use cachegate_types::{SecretBytes, SecretText, TokenId};

use crate::{Brand, base62};

/// What an opaque token is for. The letter stands behind the brand, so that one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpaqueKind {
    /// A workspace's CI access token, `c`.
    Ci,
    /// A person's access token, `p`.
    Personal,
    /// What renews a login's session: single use, rotating, `r`.
    Refresh,
    /// What a signed-in browser keeps in its cookie, `b`.
    Browser,
}

impl OpaqueKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ci, Self::Personal, Self::Refresh, Self::Browser];

    /// The letter behind the brand.
    pub const fn letter(self) -> char {
        self.byte() as char
    }

    /// The kind that this letter stands for; `None` when it stands for none.
    pub const fn from_letter(letter: char) -> Option<Self> {
        match letter {
            'c' => Some(Self::Ci),
            'p' => Some(Self::Personal),
            'r' => Some(Self::Refresh),
            'b' => Some(Self::Browser),
            _ => None,
        }
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Personal => "personal",
            Self::Refresh => "refresh",
            Self::Browser => "browser",
        }
    }

    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Ci => b'c',
            Self::Personal => b'p',
            Self::Refresh => b'r',
            Self::Browser => b'b',
        }
    }
}

impl fmt::Display for OpaqueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An opaque token in its parts: as it was minted, or as somebody presented it and nobody yet believes it.
///
/// The text is the brand, the kind's letter, `_`, then in base62 the public id (22 digits), the secret (43) and a
/// CRC-32 (6) over all that stands before it. A token has exactly one text, and a text is at most one token. There is
/// no `==`: the secret is compared by [`Digester::verify`](crate::Digester::verify) alone.
#[derive(Clone)]
pub struct OpaqueToken {
    kind: OpaqueKind,
    id: TokenId,
    secret: SecretBytes<32>,
}

const ID_DIGITS: usize = 22;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;

/// The digits behind the separator.
pub(crate) const DIGITS: usize = ID_DIGITS + SECRET_DIGITS + CHECKSUM_DIGITS;

/// The kind's letter and the separator.
const MARK: usize = 2;

impl OpaqueToken {
    /// A token of these parts. The secret is 256 bits from the operating system's generator: it is the token's whole
    /// strength, and a digest at rest is safe only because it cannot be guessed.
    pub const fn new(kind: OpaqueKind, id: TokenId, secret: SecretBytes<32>) -> Self {
        Self { kind, id, secret }
    }

    /// Reads a token's text, and refuses every spelling but the one that [`OpaqueToken::to_text`] writes.
    ///
    /// # Errors
    ///
    /// [`OpaqueError::NotOurs`] when the text does not begin as this brand's opaque tokens do; anything else is ours
    /// and wrong. To whoever presented it, all of them answer as an unknown token does.
    pub fn parse(text: &str, brand: &Brand) -> Result<Self, OpaqueError> {
        Self::parse_bytes(text.as_bytes(), brand)
    }

    pub(crate) fn parse_bytes(text: &[u8], brand: &Brand) -> Result<Self, OpaqueError> {
        if text.len() > crate::credential::MAX_TOKEN_LENGTH {
            return Err(OpaqueError::TooLarge { length: text.len() });
        }
        let Some([letter, b'_', digits @ ..]) = text.strip_prefix(brand.as_str().as_bytes()) else {
            return Err(OpaqueError::NotOurs);
        };
        if !letter.is_ascii_alphabetic() {
            return Err(OpaqueError::NotOurs);
        }
        let kind = OpaqueKind::from_letter(char::from(*letter)).ok_or(OpaqueError::UnknownKind)?;
        let expected = brand.as_str().len() + MARK + DIGITS;
        if text.len() != expected {
            return Err(OpaqueError::Length { length: text.len(), expected });
        }
        if !digits.iter().fold(true, |good, byte| good & byte.is_ascii_alphanumeric()) {
            let position = digits.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(0);
            return Err(OpaqueError::Character { position: expected - DIGITS + position });
        }
        let (id, rest) = digits.split_at_checked(ID_DIGITS).unwrap_or_default();
        let (secret, checksum) = rest.split_at_checked(SECRET_DIGITS).unwrap_or_default();
        let (checked, _) = text.split_at_checked(expected - CHECKSUM_DIGITS).unwrap_or_default();
        // The checksum first: a typo is told as a typo, whatever else it broke.
        if base62::decode(checksum) != Some([u64::from(crc32fast::hash(checked))]) {
            return Err(OpaqueError::BadChecksum);
        }
        let id = base62::decode::<2>(id).map(to_bytes).ok_or(OpaqueError::NotCanonical)?;
        let limbs = Zeroizing::new(base62::decode(secret).ok_or(OpaqueError::NotCanonical)?);
        Ok(Self { kind, id: TokenId::from_bytes(id), secret: SecretBytes::new(to_bytes::<4, 32>(*limbs)) })
    }

    /// The token's one text, shown once to whoever asked for it.
    pub fn to_text(&self, brand: &Brand) -> SecretText {
        let mut digits = Zeroizing::new([0; DIGITS]);
        let (id, rest) = digits.split_at_mut(ID_DIGITS);
        let (secret, checksum) = rest.split_at_mut(SECRET_DIGITS);
        base62::encode(to_limbs::<2>(&self.id.to_bytes()), id);
        base62::encode(*Zeroizing::new(to_limbs::<4>(self.secret.expose_secret())), secret);
        let mut hasher = crc32fast::Hasher::new();
        for part in [brand.as_str().as_bytes(), &[self.kind.byte(), b'_'], id, secret] {
            hasher.update(part);
        }
        base62::encode([u64::from(hasher.finalize())], checksum);

        // The whole capacity at once: a text that grew would leave copies of its beginning behind.
        let mut text = String::with_capacity(brand.as_str().len() + MARK + DIGITS);
        text.push_str(brand.as_str());
        text.push(self.kind.letter());
        text.push('_');
        text.extend(digits.iter().map(|digit| char::from(*digit)));
        SecretText::new(text)
    }

    /// What the token is for.
    pub const fn kind(&self) -> OpaqueKind {
        self.kind
    }

    /// The public id: what the token's record is looked up by, and what lists and logs show.
    pub const fn id(&self) -> TokenId {
        self.id
    }

    pub(crate) const fn secret(&self) -> &SecretBytes<32> {
        &self.secret
    }
}

/// Shows the kind and the public id alone.
impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaqueToken").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Big-endian bytes as little-endian limbs.
fn to_limbs<const LIMBS: usize>(bytes: &[u8]) -> [u64; LIMBS] {
    let mut limbs = [0; LIMBS];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.rchunks(8)) {
        *limb = bytes.iter().fold(0, |limb, byte| (limb << 8) | u64::from(*byte));
    }
    limbs
}

/// Little-endian limbs as big-endian bytes.
fn to_bytes<const LIMBS: usize, const BYTES: usize>(limbs: [u64; LIMBS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (bytes, limb) in bytes.rchunks_mut(8).zip(limbs) {
        for (to, from) in bytes.iter_mut().zip(limb.to_be_bytes()) {
            *to = from;
        }
    }
    bytes
}

/// Why a text is no opaque token of this brand.
///
/// The difference is for the holder's own tools. Whoever presents such a text learns that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpaqueError {
    /// Longer than any token may be.
    #[error("the token has {length} bytes: at most 16384 are read")]
    TooLarge {
        /// The length found, in bytes.
        length: usize,
    },
    /// Does not begin as this brand's opaque tokens do: not mine.
    #[error("not an opaque token of this brand")]
    NotOurs,
    /// The letter behind the brand stands for no kind.
    #[error("the letter behind the brand stands for no kind of token")]
    UnknownKind,
    /// Too short or too long for an opaque token: cut off, or more than one.
    #[error("the token has {length} bytes where {expected} are needed")]
    Length {
        /// The length found, in bytes.
        length: usize,
        /// The one length that is right, in bytes.
        expected: usize,
    },
    /// Holds something else than letters and digits behind the separator.
    #[error("the character at byte {position} is not of a token's alphabet")]
    Character {
        /// Where it stands, in bytes from the start.
        position: usize,
    },
    /// The checksum does not fit the rest: a typo, or made up.
    #[error("the token's checksum does not fit: it was not copied whole")]
    BadChecksum,
    /// The checksum fits, but the id or the secret is a number too high for its width: made up.
    #[error("the token's id or secret is out of range")]
    NotCanonical,
}

impl OpaqueError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotOurs => "unknown_format",
            Self::UnknownKind => "unknown_kind",
            Self::Length { .. } | Self::Character { .. } => "malformed",
            Self::BadChecksum => "bad_checksum",
            Self::NotCanonical => "not_canonical",
        }
    }

    /// Whether another verifier may still know the text. Everything else is ours and wrong, and ends the search.
    pub const fn is_not_ours(&self) -> bool {
        matches!(self, Self::NotOurs)
    }
}
