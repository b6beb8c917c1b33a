//! People who sign in by a provider that the configuration names. Without any, a personal token alone signs in.

use std::path::PathBuf;
use std::sync::Arc;

use cachegate::Gate;
use cachegate_fetch::{Client, ClientError, Fetch};
use cachegate_http::browser::Sessions;
use cachegate_login::{GithubBuilder, Login, OidcBuilder, OidcKind, Provider, ProviderError};
use cachegate_storage::{Accounts, Storage};
use cachegate_types::{Name, SecretText};
use serde::Deserialize;

use crate::config::Config;
use crate::secret::secret;

/// What the configuration says of logins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginEntry {
    /// The providers that people sign in by.
    #[serde(default)]
    pub providers: Vec<ProviderEntry>,
}

/// A provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderEntry {
    /// Its name here, which stands in its addresses.
    pub name: Name,
    /// What it is.
    pub kind: ProviderKind,
    /// The id that it gave to this server.
    pub client_id: String,
    /// A file with the secret that it gave to this server.
    pub client_secret_file: Option<PathBuf>,
    /// An environment variable with the secret that it gave to this server.
    pub client_secret_env: Option<String>,
    /// Entra: the tenant's id.
    pub tenant: Option<String>,
    /// Okta and others: the issuer, byte for byte. Entra: where it is not Microsoft's public cloud.
    pub issuer: Option<String>,
    /// All but GitHub: the groups whose members are let in; without any, everyone whom the provider knows.
    #[serde(default)]
    pub groups: Vec<String>,
    /// All but GitHub: scopes beside `openid` and `profile`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// GitHub: the numeric ids of the organizations whose members are let in; without any, everyone.
    #[serde(default)]
    pub organizations: Vec<u64>,
    /// GitHub: whether terminals sign in by its device flow.
    #[serde(default)]
    pub device_flow: bool,
    /// GitHub Enterprise Server: its web pages.
    pub web: Option<String>,
    /// GitHub Enterprise Server: its API.
    pub api: Option<String>,
}

/// What a provider is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// GitHub, or a GitHub Enterprise Server.
    Github,
    /// Microsoft Entra.
    Entra,
    /// Okta.
    Okta,
    /// Any other provider of OpenID Connect.
    Oidc,
}

/// Why nobody could sign in as the configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginConfigError {
    /// The provider cannot be set up.
    #[error("the configuration's provider `{name}`: {source}")]
    Provider {
        /// Which.
        name: Name,
        /// Why.
        source: ProviderError,
    },
    /// A provider lacks what its kind needs, or has what it does not know.
    #[error("the configuration's provider `{name}`: {problem}")]
    Entry {
        /// Which.
        name: Name,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The providers cannot stand together.
    #[error("the configuration's `login.providers`: {0}")]
    Together(ProviderError),
    /// Cookies would travel in the open.
    #[error(
        "the configuration's `login.providers`: people reach this server at `{issuer}`, unencrypted; set `issuer` to \
         its https address"
    )]
    Open {
        /// Where.
        issuer: String,
    },
    /// No client can be made to ask providers with.
    #[error("providers cannot be asked: {0}")]
    Client(#[from] ClientError),
}

/// The login by the providers that the configuration names; `None` where it names none.
pub(crate) fn login(
    config: &Config,
    gate: &Gate,
    storage: &Arc<dyn Storage>,
    accounts: Arc<dyn Accounts>,
) -> Result<Option<Arc<Login>>, LoginConfigError> {
    if config.login.providers.is_empty() {
        return Ok(None);
    }
    if !Sessions::new(gate.clone()).is_safe() {
        return Err(LoginConfigError::Open { issuer: gate.issuer().to_owned() });
    }
    // A provider on this machine is one that somebody is trying out.
    let fetch: Arc<dyn Fetch> = Arc::new(Client::builder().dangerous_allow_loopback_http().build()?);
    let mut login = Login::builder(gate.clone(), Arc::clone(storage), accounts, fetch, gate.issuer());
    for entry in &config.login.providers {
        login = login.provider(entry.provider()?);
    }
    Ok(Some(Arc::new(login.build().map_err(LoginConfigError::Together)?)))
}

impl ProviderEntry {
    fn provider(&self) -> Result<Provider, LoginConfigError> {
        self.check()?;
        let (secret, issuer) = (self.secret()?, self.issuer()?);
        let built = match (self.kind, issuer) {
            (ProviderKind::Github, _) => self.github(secret)?.build(),
            (ProviderKind::Entra, Some(issuer)) => self.oidc(OidcKind::Entra, &issuer, secret).build(),
            (ProviderKind::Okta, Some(issuer)) => self.oidc(OidcKind::Okta, &issuer, secret).build(),
            (ProviderKind::Oidc, Some(issuer)) => self.oidc(OidcKind::Standard, &issuer, secret).build(),
            (_, None) => return Err(self.wrong("say its `issuer`, as its own documents write it")),
        };
        built.map_err(|source| LoginConfigError::Provider { name: self.name.clone(), source })
    }

    fn github(&self, secret: Option<SecretText>) -> Result<GithubBuilder, LoginConfigError> {
        let secret = secret.ok_or_else(|| {
            self.wrong("GitHub gives every application a secret: name its `client_secret_file` or `client_secret_env`")
        })?;
        let mut github = GithubBuilder::new(self.name.clone(), &self.client_id, secret);
        match (&self.web, &self.api) {
            (Some(web), Some(api)) => github = github.server(web, api),
            (None, None) => {}
            _ => return Err(self.wrong("a GitHub Enterprise Server has `web` and `api`: name both")),
        }
        if !self.organizations.is_empty() {
            github = github.admit_organizations(&self.organizations);
        }
        Ok(if self.device_flow { github.allow_device_flow() } else { github })
    }

    fn oidc(&self, kind: OidcKind, issuer: &str, secret: Option<SecretText>) -> OidcBuilder {
        let texts = |list: &'_ [String]| -> Vec<String> { list.to_vec() };
        let (groups, scopes) = (texts(&self.groups), texts(&self.scopes));
        let mut oidc = OidcBuilder::new(self.name.clone(), kind, issuer, &self.client_id)
            .admit_groups(&groups.iter().map(String::as_str).collect::<Vec<_>>())
            .scopes(&scopes.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some(secret) = secret {
            oidc = oidc.client_secret(secret);
        }
        oidc
    }

    fn issuer(&self) -> Result<Option<String>, LoginConfigError> {
        match (self.kind, &self.tenant, &self.issuer) {
            (ProviderKind::Entra, Some(tenant), None) => {
                Ok(Some(format!("https://login.microsoftonline.com/{tenant}/v2.0")))
            }
            (ProviderKind::Entra, None, None) => {
                Err(self.wrong("say the `tenant`, by its id: Entra admin center, Overview"))
            }
            (_, Some(_), Some(_)) => Err(self.wrong("name the `tenant` or the `issuer`, not both")),
            (_, _, issuer) => Ok(issuer.clone()),
        }
    }

    /// What the kind does not know would be taken for a limit that is none.
    fn check(&self) -> Result<(), LoginConfigError> {
        let github = self.kind == ProviderKind::Github;
        let foreign = [
            ("tenant", self.tenant.is_some() && self.kind != ProviderKind::Entra),
            ("issuer", self.issuer.is_some() && github),
            ("groups", !self.groups.is_empty() && github),
            ("scopes", !self.scopes.is_empty() && github),
            ("organizations", !self.organizations.is_empty() && !github),
            ("device_flow", self.device_flow && !github),
            ("web", self.web.is_some() && !github),
            ("api", self.api.is_some() && !github),
        ];
        match foreign.iter().find(|(_, there)| *there) {
            Some((key, _)) => {
                Err(self.wrong(&format!("`{key}` means nothing to a provider of this kind; take it out")))
            }
            None => Ok(()),
        }
    }

    fn secret(&self) -> Result<Option<SecretText>, LoginConfigError> {
        let (file, variable) = (self.client_secret_file.as_deref(), self.client_secret_env.as_deref());
        secret("client_secret", file, variable).map_err(|problem| self.wrong(&problem))
    }

    fn wrong(&self, problem: &str) -> LoginConfigError {
        LoginConfigError::Entry { name: self.name.clone(), problem: problem.to_owned() }
    }
}
