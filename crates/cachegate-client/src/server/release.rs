//! Releases: resolved to an output's path, with a token for what it needs, and fetched.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cachegate_fetch::{Limits, Request};
use cachegate_types::{Name, SecretText, VersionRequirement};
use serde::{Deserialize, Serialize};

use super::{Server, ServerError};
use crate::ambient::percent_encoded;

/// What one file may cost: 256 MiB in ten minutes.
const FILE: Limits = Limits { time: Duration::from_secs(600), body: 256 << 20 };

/// `ORGANIZATION/WORKSPACE/REQUIREMENT`, with `#OUTPUT` behind it where one output is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseReference {
    organization: Name,
    workspace: Name,
    requirement: VersionRequirement,
    output: Option<String>,
}

impl ReleaseReference {
    /// The output that is meant.
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    fn path(&self) -> String {
        let requirement = percent_encoded(&self.requirement.to_string());
        format!("/f/{}/{}/{requirement}", self.organization, self.workspace)
    }
}

impl FromStr for ReleaseReference {
    type Err = ReleaseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, output) = match text.split_once('#') {
            Some((place, output)) => (place, Some(output)),
            None => (text, None),
        };
        if output.is_some_and(|output| output.is_empty() || output.contains(char::is_whitespace)) {
            return Err(ReleaseReferenceError { what: "output" });
        }
        let wrong = |what| ReleaseReferenceError { what };
        let mut parts = place.splitn(3, '/');
        let mut part = |what| parts.next().filter(|part| !part.is_empty()).ok_or(wrong(what));
        Ok(Self {
            organization: part("organization")?.parse().map_err(|_| wrong("organization"))?,
            workspace: part("workspace")?.parse().map_err(|_| wrong("workspace"))?,
            requirement: part("version requirement")?.parse().map_err(|_| wrong("version requirement"))?,
            output: output.map(str::to_owned),
        })
    }
}

impl fmt::Display for ReleaseReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.organization, self.workspace, self.requirement)?;
        match &self.output {
            Some(output) => write!(f, "#{output}"),
            None => Ok(()),
        }
    }
}

/// A text that names no release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its {what} is missing or none; expected `ORGANIZATION/WORKSPACE/REQUIREMENT#OUTPUT`, such as `acme/app/0.1#default`"
)]
pub struct ReleaseReferenceError {
    what: &'static str,
}

/// What a reference resolved to.
#[derive(Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResolvedRelease {
    /// The version that was found.
    pub version: String,
    /// The output.
    pub attribute_path: String,
    /// Where it lies in the store.
    pub store_path: String,
    /// Reads what the output needs, and nothing else, for minutes; where it was asked for. Not written where this is.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    pub token: Option<SecretText>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretText::new))
}

impl Server {
    /// Resolves an output of the highest release that fits, and obtains a token that reads exactly what it needs where
    /// that is asked for. Without an output the one called `default` is meant.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: what is not there and what the token may not resolve are the same.
    pub async fn resolve(
        &self,
        reference: &ReleaseReference,
        with_token: bool,
    ) -> Result<ResolvedRelease, ServerError> {
        let output = percent_encoded(reference.output().unwrap_or("default"));
        let query = if with_token { "?include_token=true" } else { "" };
        let url = self.url(&format!("{}/output/{output}{query}", reference.path()))?;
        self.read(&self.send(self.authorized(Request::get(url))).await?)
    }

    /// The source archive of the highest release that fits, for whoever reads: at most 256 MiB.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn source_archive(&self, reference: &ReleaseReference) -> Result<Vec<u8>, ServerError> {
        self.file(&format!("{}.tar.gz", reference.path())).await
    }

    /// A file of the server by its path, which begins with `/`, such as an entry in a workspace: at most 256 MiB.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn file(&self, path: &str) -> Result<Vec<u8>, ServerError> {
        let request = self.authorized(Request::get(self.url(path)?));
        Ok(self.send_within(request, FILE).await?.body().to_vec())
    }
}
