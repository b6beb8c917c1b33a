//! `version`: whether a resolved version satisfies a requirement.

use cachegate_types::{Version, VersionRequirement};
use serde::{Deserialize, Serialize};

use crate::request::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In {
    requirement: String,
    version: String,
}

#[derive(Serialize)]
pub(super) struct Out {
    matches: bool,
}

pub(super) fn version(In { requirement, version }: In) -> Result<Out, Refusal> {
    let requirement: VersionRequirement = requirement.parse()?;
    let version: Version = version.parse()?;
    Ok(Out { matches: requirement.matches(&version) })
}
