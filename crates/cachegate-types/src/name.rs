//! Names and descriptions: declared alphabets, so that nothing strange reaches a log, a page or a policy.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A short name of an organization, a workspace, a group or an anchor: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`,
/// beginning and ending with a letter or digit.
///
/// One alphabet and one case, so that two names that look alike are alike, and none needs escaping in a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(NameError::Empty);
        };
        if bytes.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong { length: bytes.len(), limit: Self::MAX_LENGTH });
        }
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inner = |byte: &u8| plain(byte) || matches!(byte, b'-' | b'_' | b'.');
        if !plain(first) || !plain(last) {
            return Err(NameError::Edge);
        }
        match bytes.iter().position(|byte| !inner(byte)) {
            Some(position) => Err(NameError::Character { position }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

/// `organization/workspace`, as people write it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspacePath {
    /// The organization's name.
    pub organization: Name,
    /// The workspace's name within it.
    pub workspace: Name,
}

impl FromStr for WorkspacePath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (organization, workspace) = text.split_once('/').ok_or(NameError::Path)?;
        Ok(Self { organization: organization.parse()?, workspace: workspace.parse()? })
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.workspace)
    }
}

impl fmt::Debug for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkspacePath({self})")
    }
}

/// One line of free text by which people know a token, a lock or a rule: at most 200 bytes of UTF-8, no control
/// character, no bidirectional override, no byte order mark.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Description(Arc<str>);

impl Description {
    /// The longest description, in bytes.
    pub const MAX_LENGTH: usize = 200;

    /// The description as text. It is data: escape it where it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Description {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong { length: text.len(), limit: Self::MAX_LENGTH });
        }
        match text.char_indices().find(|(_, character)| is_treacherous(*character)) {
            Some((position, _)) => Err(NameError::Character { position }),
            None => Ok(Self(text.into())),
        }
    }
}

/// Characters that change how the text around them reads, or that no line of text holds.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Description({:?})", self.0)
    }
}

/// A text that is no name, path or description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing where a name is needed.
    #[error("a name is needed: 1 to 64 of a-z, 0-9, `-`, `_`, `.`")]
    Empty,
    /// Longer than the limit, in bytes.
    #[error("{length} bytes are too long: at most {limit} are allowed")]
    TooLong {
        /// The length found, in bytes.
        length: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// Begins or ends with something else than a letter or digit.
    #[error("a name begins and ends with a-z or 0-9")]
    Edge,
    /// Holds a character outside the alphabet.
    #[error("the character at byte {position} is not allowed")]
    Character {
        /// Where it stands, in bytes from the start.
        position: usize,
    },
    /// A workspace is written `organization/workspace`.
    #[error("a workspace is written `organization/workspace`")]
    Path,
}

#[cfg(feature = "serde")]
mod serde_impls {
    use super::{Description, Name, WorkspacePath};

    macro_rules! as_text {
        ($($name:ident)*) => {$(
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }
        )*};
    }
    as_text! { Description Name WorkspacePath }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_to_one_alphabet_and_one_case() {
        for good in ["a", "acme", "my-org_1.x", "0"] {
            assert_eq!(good.parse::<Name>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("-a".parse::<Name>(), Err(NameError::Edge));
        assert_eq!("a.".parse::<Name>(), Err(NameError::Edge));
        assert_eq!("aBc".parse::<Name>(), Err(NameError::Character { position: 1 }));
        assert_eq!("a/b".parse::<Name>(), Err(NameError::Character { position: 1 }));
        assert_eq!("a\0b".parse::<Name>(), Err(NameError::Character { position: 1 }));
        assert_eq!("a".repeat(65).parse::<Name>(), Err(NameError::TooLong { length: 65, limit: 64 }));
    }

    #[test]
    fn a_description_refuses_what_would_change_how_a_line_reads() {
        assert!("Submarine #137 – déjà vu".parse::<Description>().is_ok());
        for bad in ["a\nb", "a\u{1b}[31m", "a\u{202E}b", "\u{FEFF}a", "a\0"] {
            assert!(matches!(bad.parse::<Description>(), Err(NameError::Character { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_workspace_path_has_two_parts() {
        assert_eq!(
            "acme/app".parse::<WorkspacePath>().map(|path| path.to_string()),
            Ok("acme/app".to_owned())
        );
        assert_eq!("acme".parse::<WorkspacePath>(), Err(NameError::Path));
        assert!("acme/app/x".parse::<WorkspacePath>().is_err());
    }
}
