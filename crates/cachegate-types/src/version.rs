//! Versions of releases (Semantic Versioning 2.0.0) and requirements on them (Cargo's grammar).

use std::fmt;
use std::str::FromStr;

/// The longest version or requirement read, in bytes.
const MAX_LENGTH: usize = 128;

/// A release's version, such as `1.2.3` or `0.1.494976+rev-abc`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

/// What a token may resolve: `*`, `1.*`, `0.1`, `=1.2.3`, `>=1, <3`. A bare version means as in Cargo: `^`.
///
/// It is matched against the version that was resolved, never against another requirement. `*` matches no
/// pre-release.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VersionRequirement(semver::VersionReq);

impl VersionRequirement {
    /// Whether the resolved `version` satisfies it.
    pub fn matches(&self, version: &Version) -> bool {
        self.0.matches(&version.0)
    }
}

/// A text that is no version or requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Longer than 128 bytes.
    #[error("{length} bytes are too long: at most 128 are allowed")]
    TooLong {
        /// The length found, in bytes.
        length: usize,
    },
    /// Not a semantic version.
    #[error("not a version: {reason}; expected one such as `1.2.3`")]
    Version {
        /// What the reader stumbled over.
        reason: String,
    },
    /// Not a requirement.
    #[error("not a version requirement: {reason}; expected one such as `0.1`, `1.*` or `=1.2.3`")]
    Requirement {
        /// What the reader stumbled over.
        reason: String,
    },
}

impl VersionError {
    /// The stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Version { .. } => "not_a_version",
            Self::Requirement { .. } => "not_a_requirement",
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong { length: text.len() });
        }
        semver::Version::parse(text)
            .map(Self)
            .map_err(|error| VersionError::Version { reason: error.to_string() })
    }
}

impl FromStr for VersionRequirement {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong { length: text.len() });
        }
        let requirement = semver::VersionReq::parse(text)
            .map_err(|error| VersionError::Requirement { reason: error.to_string() })?;
        // `1,1` prints as `^1, ^1`: whatever is read here must be readable again after it was printed.
        let printed = requirement.to_string().len();
        if printed > MAX_LENGTH {
            return Err(VersionError::TooLong { length: printed });
        }
        Ok(Self(requirement))
    }
}

macro_rules! shown_as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
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
shown_as_text! { Version VersionRequirement }

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(requirement: &str, version: &str) -> bool {
        let requirement: VersionRequirement = requirement.parse().expect("a requirement");
        requirement.matches(&version.parse().expect("a version"))
    }

    #[test]
    fn requirements_mean_what_cargo_means() {
        assert!(matches("*", "9.9.9"));
        assert!(matches("1.*", "1.9.0"));
        assert!(!matches("1.2.*", "1.3.0"));
        assert!(matches("0.1", "0.1.494976"));
        assert!(!matches("0.1.1", "0.2.0"));
        assert!(matches("1.0.1", "1.9.0"));
        assert!(!matches("=0.1.15", "0.1.16"));
        assert!(!matches("*", "21.3.12-pre"));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        assert!(matches!("1.x.y.z".parse::<VersionRequirement>(), Err(VersionError::Requirement { .. })));
        assert!(matches!("1".parse::<Version>(), Err(VersionError::Version { .. })));
        assert_eq!("1".repeat(129).parse::<Version>(), Err(VersionError::TooLong { length: 129 }));
    }

    #[test]
    fn a_requirement_that_prints_too_long_is_refused() {
        let text = ["11"; 32].join(",");
        assert!(text.len() <= MAX_LENGTH);
        assert_eq!(text.parse::<VersionRequirement>(), Err(VersionError::TooLong { length: 32 * 5 - 2 }));
        let text = ["1"; 25].join(",");
        let requirement: VersionRequirement = text.parse().expect("a requirement");
        assert_eq!(requirement.to_string().parse(), Ok(requirement));
    }
}
