//! Ids: UUIDv7 (RFC 9562, section 5.7), never reused. Names are for people, ids are for decisions.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

use crate::Timestamp;

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an id: expected a UUID such as `01890a5d-ac96-774b-bcce-b302099a8057`, got {length} bytes of something else"
)]
pub struct IdError {
    length: usize,
}

macro_rules! id {
    ($(#[$doc:meta] $name:ident)*) => {$(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id from the moment of creation and ten bytes of good randomness.
            pub fn new(now: Timestamp, randomness: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_unix_seconds()).unwrap_or(0).saturating_mul(1000);
                Self(Builder::from_unix_timestamp_millis(millis, &randomness).into_uuid())
            }

            /// The moment of creation, to the second; `None` for an id that carries none.
            pub fn created_at(self) -> Option<Timestamp> {
                // Other versions count from elsewhere.
                let unix = self.0.get_timestamp().filter(|_| self.0.get_version_num() == 7)?;
                Timestamp::from_unix_seconds(i64::try_from(unix.to_unix().0).ok()?).ok()
            }

            /// The id that these sixteen bytes are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes that this id is.
            pub const fn to_bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        /// The hyphenated lower-case form.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        /// Reads the hyphenated form alone, in either case.
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = IdError { length: text.len() };
                if text.len() != 36 {
                    return Err(error);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| error)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

id! {
    /// A tenant.
    OrganizationId
    /// The unit that owns one cache and its settings.
    WorkspaceId
    /// A person.
    UserId
    /// A group of people in one organization.
    GroupId
    /// A token that this gate issued.
    TokenId
    /// A trust rule.
    RuleId
    /// A lock.
    LockId
    /// A mark of distrust.
    MarkId
    /// A request that was refused.
    DecisionId
    /// A published release.
    ReleaseId
    /// The set of entries that one release's output needs.
    ClosureId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = TokenId::new(Timestamp::from(1_700_000_000), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(Uuid::from(id).get_version_num(), 7);
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = TokenId::new(Timestamp::from(1_700_000_000), [255; 10]);
        let late = TokenId::new(Timestamp::from(1_700_000_001), [0; 10]);
        assert!(early < late);
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        for text in ["", "01890a5dac96774bbcceb302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}", "x"] {
            assert_eq!(text.parse::<TokenId>(), Err(IdError { length: text.len() }), "{text}");
        }
    }
}
