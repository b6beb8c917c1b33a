//! Wall time in whole seconds, as tokens claim it (RFC 7519, section 2, `NumericDate`).

use std::fmt;
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

/// Unix seconds between 1970-01-01 and 9999-12-31, UTC.
///
/// The range is what RFC 3339 can print and what a sane `exp` can say; a number outside it is refused where it is
/// read, so that no arithmetic further in can overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// # Errors
    ///
    /// [`TimestampError`] when the number lies outside the years 1970 to 9999.
    pub const fn from_unix_seconds(seconds: i64) -> Result<Self, TimestampError> {
        if seconds < Self::MIN.0 || seconds > Self::MAX.0 {
            Err(TimestampError { seconds })
        } else {
            Ok(Self(seconds))
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    pub const fn as_unix_seconds(self) -> i64 {
        self.0
    }

    /// The moment `span` later, in whole seconds; at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(span).min(Self::MAX.0))
    }

    /// The moment `span` earlier, in whole seconds; at least [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span).max(Self::MIN.0))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<u32> for Timestamp {
    fn from(seconds: u32) -> Self {
        Self(i64::from(seconds))
    }
}

impl TryFrom<OffsetDateTime> for Timestamp {
    type Error = TimestampError;

    fn try_from(moment: OffsetDateTime) -> Result<Self, Self::Error> {
        Self::from_unix_seconds(moment.unix_timestamp())
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(moment: Timestamp) -> Self {
        // The range of `Timestamp` lies inside that of `OffsetDateTime`.
        Self::from_unix_timestamp(moment.0).unwrap_or(Self::UNIX_EPOCH)
    }
}

/// RFC 3339, in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from(*self).format(&Rfc3339) {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "unix second {}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = i64::deserialize(deserializer)?;
        Self::from_unix_seconds(seconds).map_err(serde::de::Error::custom)
    }
}

/// A number of seconds that no [`Timestamp`] can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unix second {seconds} lies outside the years 1970 to 9999")]
pub struct TimestampError {
    seconds: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_as_rfc_3339() {
        assert_eq!(Timestamp::from(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_second_outside_the_declared_range_is_refused() {
        assert_eq!(Timestamp::from_unix_seconds(-1), Err(TimestampError { seconds: -1 }));
        assert!(Timestamp::from_unix_seconds(Timestamp::MAX.as_unix_seconds() + 1).is_err());
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_the_range() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_sub(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }
}
