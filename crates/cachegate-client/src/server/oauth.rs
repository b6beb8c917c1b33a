//! Getting, renewing and ending a session: RFC 8628, RFC 8693, RFC 6749 and RFC 7009.

use std::fmt;
use std::time::Duration;

use cachegate_fetch::Request;
use cachegate_types::{SecretText, Timestamp};
use serde::Deserialize;

use super::error::shown;
use super::{Server, ServerError};
use crate::{BoundToken, IdentityToken};

/// Who asks. The server knows no secret of it (RFC 6749, section 2.1: a public client).
const CLIENT_ID: &str = "cachegate-client";
/// How much longer is waited after each `slow_down` (RFC 8628, section 3.5), and at first where nothing is said.
const STEP: Duration = Duration::from_secs(5);
/// The longest wait between two polls.
const LONGEST: Duration = Duration::from_secs(60);

/// A login that waits for somebody to confirm it in a browser.
#[derive(Clone)]
pub struct DeviceLogin {
    client: String,
    device_code: SecretText,
    user_code: String,
    verification_uri: String,
    complete: Option<String>,
    life: Duration,
    interval: Duration,
}

impl DeviceLogin {
    /// What the person types in, or compares.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// Where, with the code filled in, if the server offers that.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.complete.as_deref()
    }

    /// How long the code counts, from the moment that it was given.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// How long to wait before each poll. It grows where the server asks for that.
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("verification_uri", &self.verification_uri)
            .field("life", &self.life)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// What one poll came to.
#[derive(Debug)]
pub enum DevicePoll {
    /// Nobody has confirmed it yet: wait for the interval, and poll again.
    Pending,
    /// The same, and the interval has grown.
    SlowDown,
    /// Here is the token.
    Done(BoundToken),
}

/// What a token endpoint gives (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

impl Server {
    /// Begins a login by device authorization (RFC 8628, section 3.1). `client` is shown to whoever confirms it, such
    /// as `gatectl on build-7`, and believed by nobody.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn start_device_login(&self, client: &str) -> Result<DeviceLogin, ServerError> {
        #[derive(Deserialize)]
        struct Started {
            device_code: String,
            user_code: String,
            verification_uri: String,
            verification_uri_complete: Option<String>,
            expires_in: u64,
            interval: Option<u64>,
        }
        let url = self.url("/oauth/device_authorization")?;
        let response = self.send(Request::post_form(url, &[("client_id", client)])).await?;
        let started: Started = self.read(&response)?;
        Ok(DeviceLogin {
            client: client.to_owned(),
            device_code: SecretText::new(started.device_code),
            user_code: shown(&started.user_code),
            verification_uri: shown(&started.verification_uri),
            complete: started.verification_uri_complete.as_deref().map(shown),
            life: Duration::from_secs(started.expires_in),
            interval: started
                .interval
                .map_or(STEP, Duration::from_secs)
                .clamp(Duration::from_secs(1), LONGEST),
        })
    }

    /// Asks once whether the login is confirmed (RFC 8628, section 3.4). The caller waits between two polls.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: `access_denied` where somebody refused it, `expired_token` where nobody confirmed it in time.
    pub async fn poll_device_login(
        &self,
        login: &mut DeviceLogin,
        now: Timestamp,
    ) -> Result<DevicePoll, ServerError> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", login.device_code.expose_secret()),
            ("client_id", &login.client),
        ];
        match self.granted(&fields, None, now).await {
            Ok(token) => Ok(DevicePoll::Done(token)),
            Err(ServerError::Refused { code, .. }) if code == "authorization_pending" => {
                Ok(DevicePoll::Pending)
            }
            Err(ServerError::Refused { code, .. }) if code == "slow_down" => {
                login.interval = login.interval.saturating_add(STEP).min(LONGEST);
                Ok(DevicePoll::SlowDown)
            }
            Err(error) => Err(error),
        }
    }

    /// Exchanges a job's identity token for a session (RFC 8693, section 2.1). The identity token must be for this
    /// server: whoever it is sent to may use it where its audience says.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn exchange(
        &self,
        identity: &IdentityToken,
        now: Timestamp,
    ) -> Result<BoundToken, ServerError> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", identity.expose_secret()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("client_id", CLIENT_ID),
        ];
        self.granted(&fields, None, now).await
    }

    /// Renews a session by what renews it, which is used up: keep what comes back at once (RFC 6749, section 6).
    /// `None` where nothing renews it.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: `invalid_grant` where it cannot be renewed any more.
    pub async fn refresh(
        &self,
        held: &BoundToken,
        now: Timestamp,
    ) -> Result<Option<BoundToken>, ServerError> {
        let Some(refresh) = held.refresh_for(&self.origin) else { return Ok(None) };
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
            ("client_id", CLIENT_ID),
        ];
        self.granted(&fields, Some(refresh), now).await.map(Some)
    }

    /// Ends a session: what renews it, and with it the token (RFC 7009, section 2.1).
    ///
    /// # Errors
    ///
    /// [`ServerError`]. The token may still count then.
    pub async fn end_session(&self, held: &BoundToken) -> Result<(), ServerError> {
        let shown = [
            (held.refresh_for(&self.origin), "refresh_token"),
            (held.token_for(&self.origin), "access_token"),
        ];
        for (token, hint) in shown {
            let Some(token) = token else { continue };
            let fields =
                [("token", token.expose_secret()), ("token_type_hint", hint), ("client_id", CLIENT_ID)];
            self.send(Request::post_form(self.url("/oauth/revoke")?, &fields)).await?;
        }
        Ok(())
    }

    async fn granted(
        &self,
        fields: &[(&str, &str)],
        former: Option<&SecretText>,
        now: Timestamp,
    ) -> Result<BoundToken, ServerError> {
        let response = self.send(Request::post_form(self.url("/oauth/token")?, fields)).await?;
        let granted: Granted = self.read(&response)?;
        let mut token = BoundToken::new(self.origin.clone(), SecretText::new(granted.access_token));
        // A server that gives no other keeps the former in force (RFC 6749, section 6).
        if let Some(refresh) = granted.refresh_token.map(SecretText::new).or_else(|| former.cloned()) {
            token = token.with_refresh(refresh);
        }
        if let Some(seconds) = granted.expires_in {
            token = token.with_expiry(now.saturating_add(Duration::from_secs(seconds)));
        }
        Ok(token)
    }
}
