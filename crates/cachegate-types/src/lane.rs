//! Lanes: named partitions of a workspace's entries that say how far their writers are trusted.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use crate::Name;

/// What kind of lane it is. The order here is the default order of trust, highest first; a workspace may choose
/// another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum LaneClass {
    /// What is shipped. Read by everyone who may read at all.
    Release = 1,
    /// The trunk. Read by everyone who may read at all.
    Main = 2,
    /// Members' own machines. Read by member users.
    Dev = 3,
    /// One branch. Read by its own writers.
    Branch = 4,
    /// One pull request. Read by its own writers.
    Pull = 5,
    /// One session. Read by it alone.
    Own = 6,
    /// Nobody in particular. Read by anonymous requests.
    Anonymous = 7,
}

impl LaneClass {
    /// Every class, in the default order of trust, highest first.
    pub const ALL: [Self; 7] =
        [Self::Release, Self::Main, Self::Dev, Self::Branch, Self::Pull, Self::Own, Self::Anonymous];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Main => "main",
            Self::Dev => "dev",
            Self::Branch => "branch",
            Self::Pull => "pull",
            Self::Own => "own",
            Self::Anonymous => "anonymous",
        }
    }

    /// Whether there is one lane of the class in each workspace (`main`) or one for each name (`pull/17`).
    pub const fn is_single(self) -> bool {
        match self {
            Self::Release | Self::Main | Self::Dev | Self::Anonymous => true,
            Self::Branch | Self::Pull | Self::Own => false,
        }
    }

    /// The class that this byte of a canonical form is.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as u8 == byte)
    }
}

impl fmt::Display for LaneClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LaneClass {
    type Err = LaneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(LaneError::Class)
    }
}

/// Whose branches and pull requests these are: the issuer that vouches for them and its immutable repository id.
///
/// Two repositories of one name, one after the other, are two sources: a name that was given up and taken again
/// inherits no entry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LaneSource {
    /// The configured anchor.
    pub anchor: Name,
    /// The platform's immutable id of the repository or project: 1 to 64 bytes.
    pub repository: Arc<str>,
}

/// One lane: `{class, source, name}`. The name is bytes, compared whole, never a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    class: LaneClass,
    source: Option<LaneSource>,
    name: Arc<[u8]>,
}

impl Lane {
    /// The longest name, in bytes. Git's own limit for a reference is lower on most file systems.
    pub const MAX_NAME: usize = 255;

    /// The lane of a class that has one lane for a workspace.
    ///
    /// # Errors
    ///
    /// [`LaneError::NameMissing`] for a class with many lanes.
    pub fn single(class: LaneClass) -> Result<Self, LaneError> {
        if class.is_single() {
            Ok(Self { class, source: None, name: Arc::from([]) })
        } else {
            Err(LaneError::NameMissing { class })
        }
    }

    /// `release`.
    pub fn release() -> Self {
        Self { class: LaneClass::Release, source: None, name: Arc::from([]) }
    }

    /// `main`.
    pub fn main() -> Self {
        Self { class: LaneClass::Main, source: None, name: Arc::from([]) }
    }

    /// `dev`.
    pub fn dev() -> Self {
        Self { class: LaneClass::Dev, source: None, name: Arc::from([]) }
    }

    /// `anonymous`.
    pub fn anonymous() -> Self {
        Self { class: LaneClass::Anonymous, source: None, name: Arc::from([]) }
    }

    /// A lane of a class with many: `branch`, `pull` or `own`. Without a source it is one that an administrator
    /// named; with one it comes from a platform's verified facts.
    ///
    /// # Errors
    ///
    /// [`LaneError`] for a class with one lane, an empty or overlong name, or a source id that is empty or overlong.
    pub fn named(class: LaneClass, source: Option<LaneSource>, name: &[u8]) -> Result<Self, LaneError> {
        if class.is_single() {
            return Err(LaneError::NameUnwanted { class });
        }
        if name.is_empty() || name.len() > Self::MAX_NAME {
            return Err(LaneError::NameLength { length: name.len() });
        }
        if source.as_ref().is_some_and(|source| !(1..=64).contains(&source.repository.len())) {
            return Err(LaneError::Source);
        }
        Ok(Self { class, source, name: name.into() })
    }

    /// The class.
    pub fn class(&self) -> LaneClass {
        self.class
    }

    /// Whose branches and pull requests these are, where a platform vouches for it.
    pub fn source(&self) -> Option<&LaneSource> {
        self.source.as_ref()
    }

    /// The name within its class and source; empty where the class has one lane.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The form that digests and labels are made over: class, then anchor, repository and name, each behind its
    /// length in two bytes (big-endian). No two lanes share it.
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        let (anchor, repository) =
            self.source.as_ref().map_or(("", ""), |source| (source.anchor.as_str(), &*source.repository));
        let mut bytes = Vec::with_capacity(7 + anchor.len() + repository.len() + self.name.len());
        bytes.push(self.class as u8);
        for part in [anchor.as_bytes(), repository.as_bytes(), &self.name] {
            // Every part is at most 255 bytes: see `named`.
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// The lane that these bytes, made by [`Lane::to_canonical_bytes`], are; `None` when they are none.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
            let (length, rest) = bytes.split_first_chunk::<2>()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }
        let (class, rest) = bytes.split_first()?;
        let class = LaneClass::from_byte(*class)?;
        let (anchor, rest) = part(rest)?;
        let (repository, rest) = part(rest)?;
        let (name, rest) = part(rest)?;
        if !rest.is_empty() {
            return None;
        }
        let source = match (anchor, repository) {
            ([], []) => None,
            (anchor, repository) => Some(LaneSource {
                anchor: std::str::from_utf8(anchor).ok()?.parse().ok()?,
                repository: std::str::from_utf8(repository).ok()?.into(),
            }),
        };
        match (class.is_single(), &source, name) {
            (true, None, []) => Self::single(class).ok(),
            (true, _, _) => None,
            (false, _, name) => Self::named(class, source, name).ok(),
        }
    }
}

/// `main`, `pull/17`, or with a source `pull/@github:123456/17`. Bytes outside `A-Za-z0-9._/-` are percent-encoded,
/// so that the text is one line, has one reading, and a name cannot pretend to be a source.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.as_str())?;
        if self.class.is_single() {
            return Ok(());
        }
        f.write_char('/')?;
        if let Some(source) = &self.source {
            write!(f, "@{}:", source.anchor)?;
            escape(f, source.repository.as_bytes(), false)?;
            f.write_char('/')?;
        }
        escape(f, &self.name, true)
    }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8], slash: bool) -> fmt::Result {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') || (slash && byte == b'/') {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn unescape(text: &str) -> Result<Vec<u8>, LaneError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2).ok_or(LaneError::Escape)?;
            rest = tail;
            let digits = std::str::from_utf8(digits).map_err(|_| LaneError::Escape)?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(LaneError::Escape);
            }
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| LaneError::Escape)?);
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/') {
            bytes.push(byte);
        } else {
            return Err(LaneError::Escape);
        }
    }
    Ok(bytes)
}

impl FromStr for Lane {
    type Err = LaneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((class, rest)) = text.split_once('/') else {
            return Self::single(text.parse()?);
        };
        let class = class.parse()?;
        let Some(sourced) = rest.strip_prefix('@') else {
            return Self::named(class, None, &unescape(rest)?);
        };
        let (anchor, rest) = sourced.split_once(':').ok_or(LaneError::Source)?;
        let (repository, name) = rest.split_once('/').ok_or(LaneError::Source)?;
        let source = LaneSource {
            anchor: anchor.parse().map_err(|_| LaneError::Source)?,
            repository: String::from_utf8(unescape(repository)?).map_err(|_| LaneError::Source)?.into(),
        };
        Self::named(class, Some(source), &unescape(name)?)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({self})")
    }
}

#[cfg(feature = "serde")]
mod serde_impls {
    use super::{Lane, LaneClass};

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
    as_text! { Lane LaneClass }
}

/// A text or a set of parts that is no lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// No class has this name.
    #[error("unknown lane class: expected release, main, dev, branch/NAME, pull/NUMBER, own/ID or anonymous")]
    Class,
    /// The class has many lanes: say which.
    #[error("`{class}` has many lanes: write `{class}/NAME`")]
    NameMissing {
        /// The class.
        class: LaneClass,
    },
    /// The class has one lane, which has no name.
    #[error("`{class}` is one lane: write it without a name")]
    NameUnwanted {
        /// The class.
        class: LaneClass,
    },
    /// A name is 1 to [`Lane::MAX_NAME`] bytes.
    #[error("a lane's name is 1 to 255 bytes long, this one has {length}")]
    NameLength {
        /// The length found, in bytes.
        length: usize,
    },
    /// A source is `@anchor:repository`, the repository 1 to 64 bytes.
    #[error("a lane's source is written `@ANCHOR:REPOSITORY-ID/`, the id 1 to 64 bytes long")]
    Source,
    /// A byte outside the alphabet is written `%XX`.
    #[error("a lane's name is written in A-Za-z0-9._/- and %XX")]
    Escape,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lanes() -> impl Strategy<Value = Lane> {
        let source =
            proptest::option::of(("[a-z][a-z0-9]{0,8}", "\\PC{1,12}").prop_map(|(anchor, repository)| {
                LaneSource { anchor: anchor.parse().expect("a name"), repository: repository.into() }
            }));
        let name = proptest::collection::vec(any::<u8>(), 1..40);
        prop_oneof![
            Just(Lane::release()),
            Just(Lane::main()),
            Just(Lane::dev()),
            Just(Lane::anonymous()),
            (prop_oneof![Just(LaneClass::Branch), Just(LaneClass::Pull), Just(LaneClass::Own)], source, name)
                .prop_map(|(class, source, name)| Lane::named(class, source, &name).expect("a lane")),
        ]
    }

    proptest! {
        #[test]
        fn a_lane_reads_back_what_it_prints(lane in lanes()) {
            prop_assert_eq!(lane.to_string().parse::<Lane>(), Ok(lane));
        }

        #[test]
        fn two_lanes_share_a_text_or_a_canonical_form_only_if_they_are_one(a in lanes(), b in lanes()) {
            prop_assert_eq!(a == b, a.to_string() == b.to_string());
            prop_assert_eq!(a == b, a.to_canonical_bytes() == b.to_canonical_bytes());
        }

        #[test]
        fn a_canonical_form_reads_back(lane in lanes()) {
            prop_assert_eq!(Lane::from_canonical_bytes(&lane.to_canonical_bytes()), Some(lane));
        }

        #[test]
        fn no_bytes_panic_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,64}") {
            let _ = Lane::from_canonical_bytes(&bytes);
            let _ = text.parse::<Lane>();
        }
    }

    #[test]
    fn a_name_cannot_pretend_to_be_a_source_or_to_leave_its_class() {
        let lane = Lane::named(LaneClass::Branch, None, b"@github:1/main").expect("a lane");
        assert_eq!(lane.to_string(), "branch/%40github%3A1/main");
        assert_ne!(Lane::named(LaneClass::Branch, None, b"../main").expect("a lane"), Lane::main());
        assert_eq!("main/x".parse::<Lane>(), Err(LaneError::NameUnwanted { class: LaneClass::Main }));
        assert_eq!("pull".parse::<Lane>(), Err(LaneError::NameMissing { class: LaneClass::Pull }));
        assert_eq!("pull/".parse::<Lane>(), Err(LaneError::NameLength { length: 0 }));
        assert_eq!("trunk".parse::<Lane>(), Err(LaneError::Class));
        assert_eq!("pull/a b".parse::<Lane>(), Err(LaneError::Escape));
    }
}
