#![doc = include_str!("../README.md")]
// The trust classes and steps that a decision matches are closed: a new case must stop the build.
#![warn(clippy::wildcard_enum_match_arm)]

mod anchor;
mod facts;
mod federation;
mod keys;
mod platform;
mod refusal;

pub use anchor::{
    Anchor, AnchorBuilder, AnchorError, AudienceMode, Issuer, IssuerTemplate, KeySource, Keys, Mode, Status,
    Tenancy, TrustDomain,
};
pub use facts::{Fact, FactClass, FactKind, FactValue, Facts, Knowledge, TriggerClass, UnknownFactError};
pub use federation::{Federation, TokenKey, Verified};
pub use keys::{AnchorKeys, KeyTimes, KeysError, RefreshError};
pub use platform::{FactSpec, Platform, UnsupportedPlatformError};
pub use refusal::{Refusal, Step};

/// How the issuers of Azure DevOps begin.
const AZURE_DEVOPS: &str = "https://vstoken.dev.azure.com/";
