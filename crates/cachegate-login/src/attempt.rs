//! One attempt to sign in: what the browser holds, what is kept here, and what the provider is shown.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_storage::{Pending, StoreError};
use cachegate_types::{Name, SecretBytes, SecretText, Timestamp};
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::LoginError;
use crate::target::ReturnTarget;

/// How long a person may take at the provider.
pub(crate) const ATTEMPT_LIFE: Duration = Duration::from_secs(10 * 60);

const SCOPE: &str = "login";

/// What stands in the place of an attempt that was finished.
const USED: &[u8] = b"used";

/// 256 random bits in the browser's cookie, and nowhere else: a store that is read gives nobody a login.
///
/// All that one attempt shows to the provider follows from it, one way, so that it is bound to this browser.
pub(crate) struct Handle(SecretBytes<32>);

impl Handle {
    pub(crate) fn new() -> Result<Self, LoginError> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| LoginError::Randomness)?;
        Ok(Self(SecretBytes::new(bytes)))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(SecretBytes::new(bytes.try_into().ok()?)))
    }

    pub(crate) fn to_text(&self) -> SecretText {
        SecretText::new(URL_SAFE_NO_PAD.encode(self.0.expose_secret()))
    }

    /// `state` (RFC 6749, section 10.12): who comes back with it began in this browser.
    pub(crate) fn state(&self) -> SecretText {
        self.derive("state")
    }

    /// `nonce` (OpenID Connect Core 1.0, section 3.1.2.1): an ID token with it was made for this attempt.
    pub(crate) fn nonce(&self) -> SecretText {
        self.derive("nonce")
    }

    /// The code verifier (RFC 7636, section 4.1): a code that was given to another attempt is of no use in this one.
    pub(crate) fn verifier(&self) -> SecretText {
        self.derive("code verifier")
    }

    /// 43 letters of base64url, which is also the shortest code verifier.
    fn derive(&self, label: &str) -> SecretText {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let tag = hmac::sign(&key, format!("cachegate login: {label}").as_bytes());
        SecretText::new(URL_SAFE_NO_PAD.encode(tag))
    }

    fn key(&self) -> Vec<u8> {
        digest(&SHA256, self.0.expose_secret()).as_ref().to_vec()
    }
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(crate) fn same(expected: &SecretText, found: &str) -> bool {
    expected.expose_secret().as_bytes().ct_eq(found.as_bytes()).into()
}

/// What is kept of an attempt. No secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    pub(crate) provider: Name,
    pub(crate) return_to: String,
    expires_at: i64,
    #[serde(skip)]
    bytes: Vec<u8>,
}

impl Attempt {
    pub(crate) async fn begin(
        handle: &Handle,
        provider: &Name,
        return_to: &ReturnTarget,
        pending: &dyn Pending,
        now: Timestamp,
    ) -> Result<(), LoginError> {
        let expires_at = now.saturating_add(ATTEMPT_LIFE);
        let attempt = Self {
            provider: provider.clone(),
            return_to: return_to.as_str().to_owned(),
            expires_at: expires_at.as_unix_seconds(),
            bytes: Vec::new(),
        };
        let bytes = serde_json::to_vec(&attempt).map_err(|_| corrupt())?;
        match pending.put_pending(SCOPE, &handle.key(), &bytes, expires_at).await? {
            true => Ok(()),
            // 256 random bits were there before: they are not random.
            false => Err(LoginError::Randomness),
        }
    }

    /// The attempt of this browser, if it can still be finished.
    pub(crate) async fn find(
        handle: &Handle,
        pending: &dyn Pending,
        now: Timestamp,
    ) -> Result<Self, LoginError> {
        let bytes = pending.pending(SCOPE, &handle.key()).await?.ok_or(LoginError::NoAttempt)?;
        if bytes == USED {
            return Err(LoginError::Finished);
        }
        let mut attempt: Self = serde_json::from_slice(&bytes).map_err(|_| corrupt())?;
        if attempt.expires_at <= now.as_unix_seconds() {
            return Err(LoginError::Expired);
        }
        attempt.bytes = bytes;
        Ok(attempt)
    }

    /// Nobody finishes it after this: of many who try at once, one is let through.
    pub(crate) async fn use_up(&self, handle: &Handle, pending: &dyn Pending) -> Result<(), LoginError> {
        match pending.change_pending(SCOPE, &handle.key(), &self.bytes, USED).await? {
            true => Ok(()),
            false => Err(LoginError::Finished),
        }
    }
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { what: "login", detail: "it is no attempt to sign in".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_found_in_its_text_alone() {
        let handle = Handle::new().unwrap();
        let text = handle.to_text();
        assert_eq!(Handle::parse(text.expose_secret()).unwrap().key(), handle.key());
        for wrong in ["", "short", "a b", &"A".repeat(42), &"A".repeat(44)] {
            assert!(Handle::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_the_provider_sees_tells_neither_the_handle_nor_one_another() {
        let handle = Handle::new().unwrap();
        let shown = [handle.to_text(), handle.state(), handle.nonce(), handle.verifier()];
        for (index, one) in shown.iter().enumerate() {
            assert_eq!(one.expose_secret().len(), 43, "a code verifier has 43 letters or more");
            for other in shown.iter().skip(index + 1) {
                assert!(!same(one, other.expose_secret()));
            }
        }
    }
}
