//! The embedder's brand: how every token of one installation begins.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How every token of one installation begins: 2 to 8 lower-case ASCII letters, `cg` unless chosen otherwise.
///
/// Choose one that, with a kind letter and `_` behind it, is no other product's prefix: `gh` would make `ghp_`.
/// Changing it later makes every token in use a stranger.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Brand {
    /// The brand with [`JWT_MARK`] behind it.
    jwt_prefix: Arc<str>,
}

/// What stands between the brand and a JWT: the version of the format and the separator.
const JWT_MARK: &str = "1_";

impl Brand {
    /// The shortest brand, in letters.
    pub const MIN_LENGTH: usize = 2;

    /// The longest brand, in letters.
    pub const MAX_LENGTH: usize = 8;

    /// The brand itself, such as `cg`.
    pub fn as_str(&self) -> &str {
        self.jwt_prefix.strip_suffix(JWT_MARK).unwrap_or_default()
    }

    /// What an issued JWT travels behind, such as `cg1_`; the digit is the version of the format.
    pub fn jwt_prefix(&self) -> &str {
        &self.jwt_prefix
    }
}

/// `cg`.
impl Default for Brand {
    fn default() -> Self {
        Self { jwt_prefix: concat!("cg", "1_").into() }
    }
}

impl FromStr for Brand {
    type Err = BrandError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len()) {
            return Err(BrandError::Length { length: text.len() });
        }
        match text.bytes().position(|byte| !byte.is_ascii_lowercase()) {
            Some(position) => Err(BrandError::Character { position }),
            None => Ok(Self { jwt_prefix: [text, JWT_MARK].concat().into() }),
        }
    }
}

impl fmt::Display for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brand({})", self.as_str())
    }
}

/// A text that is no brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrandError {
    /// Too short or too long.
    #[error("a brand has 2 to 8 letters, not {length} bytes")]
    Length {
        /// The length found, in bytes.
        length: usize,
    },
    /// Holds something else than `a-z`.
    #[error("a brand is of a-z alone; the character at byte {position} is not")]
    Character {
        /// Where it stands, in bytes from the start.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_two_to_eight_lower_case_letters() {
        for good in ["cg", "acme", "abcdefgh"] {
            let brand: Brand = good.parse().expect("a brand");
            assert_eq!((brand.as_str(), brand.to_string()), (good, good.to_owned()));
            assert_eq!(brand.jwt_prefix(), format!("{good}1_"));
            assert_eq!(format!("{brand:?}"), format!("Brand({good})"));
        }
        for (bad, length) in [("", 0), ("c", 1), ("abcdefghi", 9)] {
            assert_eq!(bad.parse::<Brand>(), Err(BrandError::Length { length }));
        }
        for (bad, position) in [("Cg", 0), ("cG", 1), ("c1", 1), ("cg_", 2), ("cgé", 2), (" cg", 0)] {
            assert_eq!(bad.parse::<Brand>(), Err(BrandError::Character { position }), "{bad}");
        }
    }

    #[test]
    fn the_default_is_the_one_that_reads_as_cg() {
        assert_eq!("cg".parse(), Ok(Brand::default()));
    }
}
