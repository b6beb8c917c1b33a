//! Directories that say who belongs to an organization: which there are, from the configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cachegate::{Departure, Gate};
use cachegate_directory::{
    Github, GithubApp, GithubBuilder, GithubConfigError, GithubOrganization, GithubToken, PullError, Pulled,
    Scim, Stores,
};
use cachegate_fetch::{Client, ClientError, Fetch};
use cachegate_storage::{DirectoryId, StoreError};
use cachegate_types::{Name, OrganizationId};
use serde::Deserialize;

use crate::config::Config;
use crate::log::note;
use crate::secret::secret;
use crate::server::with_causes;

/// What GitHub is called in the audit.
const GITHUB: &str = "github";

/// The directories.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoriesEntry {
    /// Those that push their changes by SCIM 2.0, as Okta and Entra do.
    #[serde(default)]
    pub scim: Vec<ScimEntry>,
    /// Organizations at GitHub.
    #[serde(default)]
    pub github: Vec<GithubEntry>,
    /// How often GitHub is asked without a webhook, in seconds [default: 15 minutes].
    pub github_every: Option<u32>,
    /// GitHub Enterprise Server: its web pages.
    pub github_web: Option<String>,
    /// GitHub Enterprise Server: its API.
    pub github_api: Option<String>,
}

/// An organization at GitHub, whose webhooks come to `/hooks/github`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubEntry {
    /// The numeric id of the organization there.
    pub id: u64,
    /// The organization here [default: the server's first].
    pub organization: Option<Name>,
    /// A file with the secret that its webhooks are signed with.
    pub webhook_secret_file: Option<PathBuf>,
    /// An environment variable with it.
    pub webhook_secret_env: Option<String>,
    /// A file with the secret before it, while it changes.
    pub former_webhook_secret_file: Option<PathBuf>,
    /// An environment variable with the secret before it, while it changes.
    pub former_webhook_secret_env: Option<String>,
    /// A file with a token that may read the organization's members.
    pub token_file: Option<PathBuf>,
    /// An environment variable with a token that may read the organization's members.
    pub token_env: Option<String>,
    /// Instead of a token: the client id of a GitHub App that may.
    pub app_client_id: Option<String>,
    /// The number of the App's installation in the organization.
    pub app_installation: Option<u64>,
    /// A file with the App's private key.
    pub app_key_file: Option<PathBuf>,
    /// An environment variable with the App's private key.
    pub app_key_env: Option<String>,
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
    /// An organization at GitHub lacks something.
    #[error("the organization {id} at GitHub: {problem}")]
    Entry {
        /// Its numeric id there.
        id: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// GitHub cannot be asked, or not about these organizations.
    #[error("the configuration's `directories.github`: {0}")]
    Github(#[from] GithubConfigError),
    /// A GitHub Enterprise Server is named by half.
    #[error(
        "a GitHub Enterprise Server has `directories.github_web` and `directories.github_api`: name both"
    )]
    Half,
    /// No client can be made to ask GitHub with.
    #[error("GitHub cannot be asked: {0}")]
    Client(#[from] ClientError),
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
        let organization = organization(config, stores, &entry.name, entry.organization.as_ref()).await?;
        if mounted.iter().any(|scim| scim.directory().name == entry.name) {
            return Err(DirectoryConfigError::Doubled { directory: entry.name.clone() });
        }
        let directory = DirectoryId { organization, name: entry.name.clone() };
        let base = format!("{}/scim/v2/{}", config.issuer().trim_end_matches('/'), entry.name);
        let scim = Scim::new(gate.clone(), stores.clone(), directory, base);
        mounted.push(match &entry.issuer {
            Some(issuer) => scim.issuer(issuer),
            None => scim,
        });
    }
    Ok(cachegate_http::scim::router(gate.clone(), crate::now, mounted, departed))
}

/// GitHub, where the configuration names an organization there.
pub(crate) async fn github(
    config: &Config,
    gate: &Gate,
    stores: &Stores,
) -> Result<Option<Github>, DirectoryConfigError> {
    let entries = &config.directories;
    if entries.github.is_empty() {
        return Ok(None);
    }
    let name: Name = GITHUB.parse().map_err(|_| DirectoryConfigError::Half)?;
    // A GitHub on this machine is one that somebody is trying out.
    let fetch: Arc<dyn Fetch> = Arc::new(Client::builder().dangerous_allow_loopback_http().build()?);
    let mut github = GithubBuilder::new(name.clone(), gate.clone(), stores.clone(), fetch).departed(departed);
    match (&entries.github_web, &entries.github_api) {
        (Some(web), Some(api)) => github = github.server(web, api),
        (None, None) => {}
        _ => return Err(DirectoryConfigError::Half),
    }
    for entry in &entries.github {
        let organization = organization(config, stores, &name, entry.organization.as_ref()).await?;
        github = github.organization(entry.organization(organization)?);
    }
    Ok(Some(github.build()?))
}

/// Asks GitHub again and again; never ends.
pub(crate) async fn follow(github: Github, every: Duration) {
    let noted = |organization, pulled: Result<Pulled, PullError>| match pulled {
        Ok(pulled) if pulled == Pulled::default() => {}
        Ok(pulled) => note(&format!("GitHub changed organization {organization}: {pulled}")),
        Err(error) => note(&format!("organization {organization} stays as it is: {}", with_causes(&error))),
    };
    github.follow(every, crate::now, tokio::time::sleep, noted).await;
}

impl DirectoriesEntry {
    /// How often GitHub is asked without a webhook.
    pub(crate) fn github_every(&self) -> Duration {
        Duration::from_secs(self.github_every.map_or(15 * 60, |seconds| u64::from(seconds.max(1))))
    }
}

impl GithubEntry {
    fn organization(&self, organization: OrganizationId) -> Result<GithubOrganization, DirectoryConfigError> {
        let entry = |problem: String| DirectoryConfigError::Entry { id: self.id, problem };
        let secret = |key, file: &Option<PathBuf>, variable: &Option<String>| {
            secret(key, file.as_deref(), variable.as_deref()).map_err(entry)
        };
        let needed = |key: &str| entry(format!("name its `{key}_file` or `{key}_env`"));
        let present = secret("webhook_secret", &self.webhook_secret_file, &self.webhook_secret_env)?;
        let former = secret(
            "former_webhook_secret",
            &self.former_webhook_secret_file,
            &self.former_webhook_secret_env,
        )?;
        let present = present.ok_or_else(|| needed("webhook_secret"))?;
        let token = secret("token", &self.token_file, &self.token_env)?;
        let key = secret("app_key", &self.app_key_file, &self.app_key_env)?;
        let token = match (token, &self.app_client_id, self.app_installation, key) {
            (Some(token), None, None, None) => GithubToken::Plain(token),
            (None, Some(client_id), Some(installation), Some(key)) => {
                GithubToken::App(GithubApp::new(client_id, installation, &key)?)
            }
            (None, None, None, None) => return Err(needed("token")),
            _ => {
                let problem =
                    "name a token, or `app_client_id`, `app_installation` and `app_key_file` of an App";
                return Err(entry(problem.to_owned()));
            }
        };
        let secrets = std::iter::once(present).chain(former).collect();
        Ok(GithubOrganization { organization, github: self.id, secrets, token })
    }
}

/// The organization of this name, or the server's first.
async fn organization(
    config: &Config,
    stores: &Stores,
    directory: &Name,
    name: Option<&Name>,
) -> Result<OrganizationId, DirectoryConfigError> {
    let name = name.unwrap_or(&config.organization);
    let found = stores.storage.organization_by_name(name).await?;
    let found = found.ok_or_else(|| DirectoryConfigError::Organization {
        directory: directory.clone(),
        organization: name.clone(),
    })?;
    Ok(found.id)
}

/// Writes down who left, and what that did.
fn departed(departure: &Departure) {
    note(&format!(
        "user {} left organization {}: {} of their tokens are refused there now; {} tokens that they made stay",
        departure.person.id,
        departure.organization,
        departure.dying.len(),
        departure.staying.len()
    ));
}
