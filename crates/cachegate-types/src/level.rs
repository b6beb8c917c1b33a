//! Actions, sets of actions, and the four access levels.

use std::fmt;
use std::str::FromStr;

/// What a request wants to do. Closed: a new action must be thought about at each match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Action {
    /// Learn what a name or key stands for, without the bytes.
    Resolve = 1,
    /// Fetch the bytes of an entry.
    Read = 1 << 1,
    /// Store a new entry.
    Write = 1 << 2,
    /// Overwrite an entry.
    Replace = 1 << 3,
    /// Remove an entry.
    Delete = 1 << 4,
    /// Manage tokens, members, settings, rules and locks.
    Administer = 1 << 5,
    /// Create or yank a release. In no level and no role: granted by name.
    Publish = 1 << 6,
    /// Say who is a member, who is in which group, and who has left. In no level and no role: a directory's own token
    /// has it.
    Provision = 1 << 7,
}

impl Action {
    /// Every action, weakest first.
    pub const ALL: [Self; 8] = [
        Self::Resolve,
        Self::Read,
        Self::Write,
        Self::Replace,
        Self::Delete,
        Self::Administer,
        Self::Publish,
        Self::Provision,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Read => "read",
            Self::Write => "write",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Administer => "administer",
            Self::Publish => "publish",
            Self::Provision => "provision",
        }
    }

    /// Whether it leaves something behind; what merely looks does not.
    pub const fn changes_something(self) -> bool {
        match self {
            Self::Resolve | Self::Read => false,
            Self::Write
            | Self::Replace
            | Self::Delete
            | Self::Administer
            | Self::Publish
            | Self::Provision => true,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Action {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or(LevelError::Action)
    }
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ActionSet(u8);

impl ActionSet {
    /// No action.
    pub const EMPTY: Self = Self(0);
    /// Every action.
    pub const ALL: Self = Self(0b1111_1111);

    /// The set of these.
    pub const fn of(actions: &[Action]) -> Self {
        let (mut bits, mut rest) = (0, actions);
        while let [action, tail @ ..] = rest {
            bits |= *action as u8;
            rest = tail;
        }
        Self(bits)
    }

    /// Whether `action` is in it.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action as u8 != 0
    }

    /// Whether every action of `other` is in it.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The actions, weakest first.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }

    /// One bit an action, as records keep it: the bit's place is the action's place in [`Action::ALL`].
    pub const fn to_bits(self) -> u8 {
        self.0
    }

    /// The set that these bits are; `None` when a bit stands for no action.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if Self::ALL.contains_all(Self(bits)) { Some(Self(bits)) } else { None }
    }

    /// The highest level whose actions are all in it.
    pub fn level(self) -> AccessLevel {
        let mut held = AccessLevel::None;
        for level in AccessLevel::ALL {
            if self.contains_all(level.actions()) {
                held = level;
            }
        }
        held
    }
}

impl fmt::Debug for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The actions by name, `, ` between them; `nothing` when there is none.
impl fmt::Display for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (index, action) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(action.as_str())?;
        }
        Ok(())
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::EMPTY, |set, action| Self(set.0 | action as u8))
    }
}

/// The four levels of the policy engine. Each holds all actions of the one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum AccessLevel {
    /// Nothing.
    #[default]
    None,
    /// `resolve`.
    ResolveOnly,
    /// `resolve` and `read`.
    ReadOnly,
    /// `resolve`, `read` and `write`.
    ReadWrite,
}

impl AccessLevel {
    /// Every level, lowest first.
    pub const ALL: [Self; 4] = [Self::None, Self::ResolveOnly, Self::ReadOnly, Self::ReadWrite];

    /// What the level allows.
    pub const fn actions(self) -> ActionSet {
        match self {
            Self::None => ActionSet::EMPTY,
            Self::ResolveOnly => ActionSet::of(&[Action::Resolve]),
            Self::ReadOnly => ActionSet::of(&[Action::Resolve, Action::Read]),
            Self::ReadWrite => ActionSet::of(&[Action::Resolve, Action::Read, Action::Write]),
        }
    }

    /// The lowest level that allows `action`; `None` when no level does.
    pub fn needed_for(action: Action) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.actions().contains(action))
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ResolveOnly => "resolve-only",
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        }
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AccessLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(LevelError::Level)
    }
}

/// A text that is no level or action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LevelError {
    /// No access level has this name.
    #[error("unknown access level: expected `none`, `resolve-only`, `read-only` or `read-write`")]
    Level,
    /// No action has this name.
    #[error(
        "unknown action: expected resolve, read, write, replace, delete, administer, publish or provision"
    )]
    Action,
    /// No role has this name.
    #[error("unknown role: expected `member`, `admin` or `owner`")]
    Role,
}

#[cfg(feature = "serde")]
mod serde_impls {
    use super::{AccessLevel, Action, ActionSet};

    macro_rules! as_text {
        ($($name:ident)*) => {$(
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.as_str())
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
    as_text! { AccessLevel Action }

    /// A list of action names.
    impl serde::Serialize for ActionSet {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.iter())
        }
    }

    impl<'de> serde::Deserialize<'de> for ActionSet {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Vec::<Action>::deserialize(deserializer)?.into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_holds_all_actions_of_the_one_before() {
        for (lower, higher) in AccessLevel::ALL.into_iter().zip(AccessLevel::ALL.into_iter().skip(1)) {
            assert!(higher.actions().contains_all(lower.actions()));
            assert_ne!(higher.actions(), lower.actions());
        }
    }

    #[test]
    fn no_level_replaces_deletes_administers_publishes_or_provisions() {
        let beyond =
            [Action::Replace, Action::Delete, Action::Administer, Action::Publish, Action::Provision];
        for action in beyond {
            assert_eq!(AccessLevel::needed_for(action), None);
        }
        assert_eq!(AccessLevel::needed_for(Action::Read), Some(AccessLevel::ReadOnly));
    }

    #[test]
    fn a_set_with_a_gap_has_the_level_below_the_gap() {
        assert_eq!(ActionSet::of(&[Action::Resolve, Action::Write]).level(), AccessLevel::ResolveOnly);
        assert_eq!(ActionSet::ALL.level(), AccessLevel::ReadWrite);
    }

    #[test]
    fn bits_round_trip() {
        for bits in 0..=u8::MAX {
            assert_eq!(ActionSet::from_bits(bits).map(ActionSet::to_bits), Some(bits));
        }
        assert_eq!(Action::ALL.into_iter().collect::<ActionSet>(), ActionSet::ALL);
    }

    #[test]
    fn names_round_trip() {
        for level in AccessLevel::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
        }
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
        assert_eq!("Read-Only".parse::<AccessLevel>(), Err(LevelError::Level));
    }
}
