//! For scanners and for the holder's own tools: how tokens look, and whether a text is one. Offline, and no verdict on
//! whether anybody would accept it.

use crate::opaque::DIGITS;
use crate::{Brand, OpaqueError, OpaqueKind, OpaqueToken};

/// The regular expression that finds this brand's opaque tokens in any text. What it finds, [`check`] confirms: one
/// chance text in four thousand million passes.
///
/// It keeps to what every common engine reads the same: a word boundary, classes and a count.
pub fn pattern(brand: &Brand) -> String {
    let letters: String = OpaqueKind::ALL.into_iter().map(OpaqueKind::letter).collect();
    format!(r"\b{brand}[{letters}]_[0-9A-Za-z]{{{DIGITS}}}\b")
}

/// The regular expression that finds this brand's JWTs in any text. They carry no checksum; their signature is one.
pub fn jwt_pattern(brand: &Brand) -> String {
    format!(r"\b{}[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+", brand.jwt_prefix())
}

/// What an opaque token's text alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Whole, as minted. Whether it is revoked, expired or was ever issued, only a gate can tell.
    Valid,
    /// Right in shape, and not what was minted: a typo, or made up.
    BadChecksum,
    /// Begins as a token does and has a wrong length or character: cut off, or not copied alone.
    Malformed,
    /// Of a kind that this version does not know.
    UnknownKind,
    /// Right in shape and checksum, and yet never minted.
    NotCanonical,
    /// Not an opaque token of this brand.
    NotOurs,
}

impl Checked {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::BadChecksum => "bad_checksum",
            Self::Malformed => "malformed",
            Self::UnknownKind => "unknown_kind",
            Self::NotCanonical => "not_canonical",
            Self::NotOurs => "unknown_format",
        }
    }
}

/// Tells a typo from a token, without asking anybody. Never the answer to a request: that would help to guess.
pub fn check(text: &str, brand: &Brand) -> Checked {
    match OpaqueToken::parse(text, brand) {
        Ok(_) => Checked::Valid,
        Err(OpaqueError::BadChecksum) => Checked::BadChecksum,
        Err(OpaqueError::UnknownKind) => Checked::UnknownKind,
        Err(OpaqueError::NotCanonical) => Checked::NotCanonical,
        Err(OpaqueError::Length { .. } | OpaqueError::Character { .. }) => Checked::Malformed,
        Err(OpaqueError::NotOurs | OpaqueError::TooLarge { .. }) => Checked::NotOurs,
    }
}
