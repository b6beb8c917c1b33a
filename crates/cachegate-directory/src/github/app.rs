//! A GitHub App: each pull gets a token of its own, by a JWT that the App's key signs.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use cachegate_types::{SecretText, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use super::error::{GithubConfigError, PullError};

/// How long the JWT is good for: GitHub takes ten minutes at most, and its clock may be another.
const LIFE: i64 = 8 * 60;
const LEEWAY: i64 = 60;

/// What GitHub's API is asked with. It may read the organization's members.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GithubToken {
    /// A token of somebody's, as it is.
    Plain(SecretText),
    /// A GitHub App that is installed in the organization.
    App(GithubApp),
}

/// A GitHub App that is installed in an organization.
#[derive(Clone)]
pub struct GithubApp {
    client_id: Arc<str>,
    pub(super) installation: u64,
    key: Arc<RsaKeyPair>,
}

impl GithubApp {
    /// The App of this client id, by the number of its installation in the organization and the private key that GitHub
    /// gave it, in PEM form.
    ///
    /// # Errors
    ///
    /// [`GithubConfigError::AppKey`].
    pub fn new(client_id: &str, installation: u64, key: &SecretText) -> Result<Self, GithubConfigError> {
        let pem = key.expose_secret().trim();
        let body = |label: &str| -> Option<Vec<u8>> {
            let body = pem.strip_prefix(&format!("-----BEGIN {label}-----"))?;
            let body = body.strip_suffix(&format!("-----END {label}-----"))?;
            BASE64_STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
        };
        let rsa = |der: Vec<u8>| RsaKeyPair::from_der(&der).ok();
        let pkcs8 = |der: Vec<u8>| RsaKeyPair::from_pkcs8(&der).ok();
        let key = body("RSA PRIVATE KEY").and_then(rsa).or_else(|| body("PRIVATE KEY").and_then(pkcs8));
        let key = key.filter(|_| installation != 0 && !client_id.is_empty());
        let key = Arc::new(key.ok_or(GithubConfigError::AppKey)?);
        Ok(Self { client_id: client_id.into(), installation, key })
    }

    /// What the App shows to GitHub.
    pub(super) fn jwt(&self, now: Timestamp) -> Result<SecretText, PullError> {
        let at = now.as_unix_seconds();
        let claims = json!({ "iat": at - LEEWAY, "exp": at + LIFE, "iss": &*self.client_id });
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let input = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature);
        signed.map_err(|_| PullError::AppKey)?;
        Ok(SecretText::new(format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubApp")
            .field("client_id", &self.client_id)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}
