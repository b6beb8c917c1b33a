//! Directories that say who belongs to an organization: which there are, from the configuration.

use axum::Router;
use cachegate::Gate;
use cachegate_directory::{Scim, Stores};
use cachegate_storage::{DirectoryId, StoreError};
use cachegate_types::Name;
use serde::Deserialize;

use crate::config::Config;
use crate::log::note;

/// The directories.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoriesEntry {
    /// Those that push their changes by SCIM 2.0, as Okta and Entra do.
    #[serde(default)]
    pub scim: Vec<ScimEntry>,
}

/// A directory that speaks SCIM, at `/scim/v2/{name}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScimEntry {
    /// Its name, in its address.
    pub name: Name,
    /// The organization [default: the server's first].
    pub organization: Option<Name>,
    /// By which issuer its people sign in: its `externalId` is their immutable id there.
    pub issuer: Option<String>,
}

/// Why a directory cannot be connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryConfigError {
    /// There is no such organization.
    #[error("the directory `{directory}` is of the organization `{organization}`, which is not there")]
    Organization {
        /// The directory.
        directory: Name,
        /// The organization.
        organization: Name,
    },
    /// Two directories have one name.
    #[error("two directories are called `{directory}`")]
    Doubled {
        /// The name.
        directory: Name,
    },
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The routes of the directories.
pub(crate) async fn routes(
    config: &Config,
    gate: &Gate,
    stores: &Stores,
) -> Result<Router, DirectoryConfigError> {
    let mut mounted: Vec<Scim> = Vec::new();
    for entry in &config.directories.scim {
        let organization = entry.organization.as_ref().unwrap_or(&config.organization);
        let found = stores.storage.organization_by_name(organization).await?;
        let found = found.ok_or_else(|| DirectoryConfigError::Organization {
            directory: entry.name.clone(),
            organization: organization.clone(),
        })?;
        if mounted.iter().any(|scim| scim.directory().name == entry.name) {
            return Err(DirectoryConfigError::Doubled { directory: entry.name.clone() });
        }
        let directory = DirectoryId { organization: found.id, name: entry.name.clone() };
        let base = format!("{}/scim/v2/{}", config.issuer().trim_end_matches('/'), entry.name);
        let scim = Scim::new(gate.clone(), stores.clone(), directory, base);
        mounted.push(match &entry.issuer {
            Some(issuer) => scim.issuer(issuer),
            None => scim,
        });
    }
    Ok(cachegate_http::scim::router(gate.clone(), crate::now, mounted, |departure| {
        note(&format!(
            "user {} left organization {}: {} of their tokens are refused there now; {} tokens that they made stay",
            departure.person.id,
            departure.organization,
            departure.dying.len(),
            departure.staying.len()
        ));
    }))
}
