//! The server as an identity provider: who may ask what a token is, and who reports those that they found in public.

use cachegate::Gate;
use cachegate_http::browser::Sessions;
use cachegate_http::oauth::{ReporterKey, ReporterKeyError, Service, Settings, SettingsError};

use crate::config::Config;

/// Why the configuration of the identity provider cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The digest of a service's secret is none.
    #[error("the configuration's service `{name}`: `secret_sha256` is 64 hexadecimal digits")]
    Secret {
        /// The service.
        name: String,
    },
    /// A reporter's key is none.
    #[error("the configuration's leak reporter `{id}`: {source}")]
    Reporter {
        /// The key's id.
        id: String,
        /// Why.
        source: ReporterKeyError,
    },
    /// The endpoints cannot stand like this.
    #[error("the configuration's `issuer` and `services`: {0}")]
    Settings(#[from] SettingsError),
}

/// The audiences of services, beside the server's own.
pub(crate) fn audiences<'c>(config: &'c Config, issuer: &str) -> Vec<&'c str> {
    let mut audiences: Vec<_> = config.services.iter().filter_map(|one| one.audience.as_deref()).collect();
    audiences.retain(|audience| *audience != issuer);
    audiences.sort_unstable();
    audiences.dedup();
    audiences
}

pub(crate) fn settings(config: &Config, gate: &Gate) -> Result<Settings, IdentityError> {
    let issuer = gate.issuer();
    let mut settings = Settings::default();
    settings.sign_in = Sessions::new(gate.clone()).is_safe();
    // The console's page.
    settings.account = Some("/account");
    for entry in &config.services {
        let secret =
            digest(&entry.secret_sha256).ok_or_else(|| IdentityError::Secret { name: entry.name.clone() })?;
        let audience = entry.audience.as_deref().unwrap_or(issuer);
        settings.services.push(Service::new(&entry.name, audience, secret));
    }
    for entry in &config.leak_reporters {
        let key = ReporterKey::from_pem(&entry.id, &entry.key)
            .map_err(|source| IdentityError::Reporter { id: entry.id.clone(), source })?;
        settings.reporters.push(key);
    }
    Ok(settings)
}

/// The bytes that hexadecimal digits stand for.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
