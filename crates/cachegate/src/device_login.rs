//! Logging in where there is no browser (RFC 8628): a terminal shows a code, a person approves it elsewhere.

use std::fmt;
use std::time::Duration;

use cachegate_jwt::AuthorizationDetail;
use cachegate_storage::{OneUse, Preconditions, StoreError, TokenKind};
use cachegate_types::{Description, Principal, Restriction, SecretText, Timestamp, TokenId, UserId};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::gate::Inner;
use crate::manage::{Authority, ManageError, acts_for};
use crate::{Authentication, Gate, IssueError, LoggedIn};

/// How long a terminal waits for its person.
pub const DEVICE_LOGIN_LIFE: Duration = Duration::from_secs(15 * 60);

/// How long a terminal waits between two questions.
pub const DEVICE_LOGIN_INTERVAL: Duration = Duration::from_secs(5);

/// The letters of a user code: no vowel, so that no word comes of it, and none that looks like another
/// (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Ten letters of twenty: 43 bits.
const USER_CODE_LENGTH: usize = 10;

const DEVICE_CODES: &str = "device-code";
const USER_CODES: &str = "user-code";

/// What a terminal is told (RFC 8628, section 3.2).
#[derive(Clone, Debug)]
pub struct DeviceLogin {
    /// What it asks with: 256 random bits. A secret.
    pub device_code: SecretText,
    /// What the person types: two groups of five letters, such as `BCDFG-HJKLM`.
    pub user_code: String,
    /// When both stop counting.
    pub expires_at: Timestamp,
}

/// What is shown to whoever is asked for an approval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingLogin {
    /// What waits, in its own words: nobody has checked them.
    pub client: Description,
    /// Since when.
    pub requested_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// What cuts the login, beside all that cuts the credential that approves it: the terminal asks for no more.
    pub restrictions: Vec<Restriction>,
}

/// Why a waiting login gives nothing yet, or never will (RFC 8628, section 3.5).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceLoginError {
    /// Nobody has decided yet.
    #[error("nobody has approved this login yet; ask again in five seconds")]
    Pending,
    /// It was asked too soon.
    #[error("asked too soon; wait five seconds longer between two questions")]
    SlowDown,
    /// The person said no.
    #[error("this login was denied")]
    Denied,
    /// Nobody decided in time.
    #[error("nobody approved this login in time; begin anew")]
    Expired,
    /// No login waits under this code, or it was finished.
    #[error("no login waits under this code")]
    Unknown,
    /// It could not be done.
    #[error(transparent)]
    Failed(#[from] IssueError),
}

impl DeviceLoginError {
    /// The stable name; for the first four that of RFC 8628, section 3.5.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Pending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
            Self::Unknown => "invalid_grant",
            Self::Failed(_) => "server_error",
        }
    }
}

impl From<StoreError> for DeviceLoginError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What is kept of a waiting login. Of the codes their digests alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    client: Description,
    requested_at: Timestamp,
    expires_at: Timestamp,
    decision: Decision,
    /// What the terminal wants less of, as an RFC 9396 list.
    asked: String,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Decision {
    Open,
    Denied,
    Approved {
        by: UserId,
        /// The token that approved: it must still live when the login is finished.
        token: Option<TokenId>,
        /// What cut it, as an RFC 9396 list: a login is never more than who approved it.
        details: String,
    },
}

impl Waiting {
    fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes)
            .map_err(|error| StoreError::Corrupt { what: "waiting login", detail: error.to_string() })
    }

    fn write(&self) -> Vec<u8> {
        // Nothing in it can fail to be JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn read_details(text: &str) -> Result<Vec<Restriction>, StoreError> {
    let corrupt = |_| StoreError::Corrupt {
        what: "waiting login",
        detail: "its restrictions cannot be read".to_owned(),
    };
    let details = AuthorizationDetail::list_from_json(text).map_err(corrupt)?;
    Ok(details.into_iter().map(Restriction::from).collect())
}

fn of(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// The letters that a person typed, however they were grouped.
fn letters(typed: &str) -> Option<String> {
    let code: String = typed
        .chars()
        .filter(|letter| !matches!(letter, '-' | ' '))
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let is_one = code.len() == USER_CODE_LENGTH && code.bytes().all(|letter| LETTERS.contains(&letter));
    is_one.then_some(code)
}

impl Gate {
    /// A terminal begins to wait. `client` is what it calls itself, for the person who is asked.
    ///
    /// # Errors
    ///
    /// [`IssueError`] when there is no store or no randomness.
    pub async fn begin_device_login(
        &self,
        client: Description,
        now: Timestamp,
    ) -> Result<DeviceLogin, IssueError> {
        self.begin_narrowed_device_login(client, &[], now).await
    }

    /// The same for a login that is cut like this, whoever approves it.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub async fn begin_narrowed_device_login(
        &self,
        client: Description,
        restrictions: &[Restriction],
        now: Timestamp,
    ) -> Result<DeviceLogin, IssueError> {
        let inner = &*self.inner;
        inner.ensure_newest(now).await?;
        let (user_code, device_code) = inner.new_codes().ok_or(ManageError::Randomness)?;
        let expires_at = now.saturating_add(DEVICE_LOGIN_LIFE);
        let asked: Vec<_> = restrictions.iter().cloned().map(AuthorizationDetail::from).collect();
        let asked = AuthorizationDetail::list_to_json(&asked);
        let waiting = Waiting { client, requested_at: now, expires_at, decision: Decision::Open, asked };
        let device = of(device_code.expose_secret());
        let storage = inner.held.storage();
        let put = storage.put_pending(USER_CODES, &of(&user_code), &device, expires_at).await?
            && storage.put_pending(DEVICE_CODES, &device, &waiting.write(), expires_at).await?;
        if !put {
            // Two of 2^43 that wait at once: the caller asks again.
            return Err(ManageError::Exists { what: "user code" }.into());
        }
        let (first, rest) = user_code.split_at(USER_CODE_LENGTH / 2);
        Ok(DeviceLogin { device_code, user_code: format!("{first}-{rest}"), expires_at })
    }

    /// What waits under the code that a person typed, to be shown before they decide: in either case, with or without
    /// its hyphen.
    ///
    /// Whoever serves this limits how often it is asked: a code has 43 bits and lives a quarter of an hour.
    ///
    /// # Errors
    ///
    /// [`DeviceLoginError::Unknown`] also where somebody has decided, or nobody did in time.
    pub async fn waiting_login(&self, typed: &str, now: Timestamp) -> Result<WaitingLogin, DeviceLoginError> {
        let (_, _, waiting) = self.inner.open_login(typed, now).await?;
        let restrictions = read_details(&waiting.asked)?;
        let Waiting { client, requested_at, expires_at, .. } = waiting;
        Ok(WaitingLogin { client, requested_at, expires_at, restrictions })
    }

    /// A person decides on a waiting login, with a personal token or the session of another login. Approved, it becomes
    /// a session of theirs, cut by all that cuts the credential that they approve with. Of many decisions the first
    /// counts.
    ///
    /// # Errors
    ///
    /// [`DeviceLoginError`].
    pub async fn decide_device_login(
        &self,
        by: &Authority<'_>,
        typed: &str,
        approved: bool,
        now: Timestamp,
    ) -> Result<(), DeviceLoginError> {
        let inner = &*self.inner;
        inner.alive(by, now).await.map_err(IssueError::from)?;
        let Authority::Of(who) = by else { return Err(IssueError::NotTheOwner.into()) };
        let Principal::User(user) = who.session.principal else { return Err(IssueError::NotTheOwner.into()) };
        if !inner.speaks_for(who, user).await? {
            return Err(IssueError::NotTheOwner.into());
        }
        let (device, before, waiting) = inner.open_login(typed, now).await?;
        let details: Vec<_> = who.restrictions().iter().cloned().map(AuthorizationDetail::from).collect();
        let named = who.session.named_workspace.map(|id| Restriction::Workspaces(vec![id]).into());
        let details = [details, named.into_iter().collect()].concat();
        let decision = if approved {
            let details = AuthorizationDetail::list_to_json(&details);
            Decision::Approved { by: user, token: who.token_id(), details }
        } else {
            Decision::Denied
        };
        let after = Waiting { decision, ..waiting }.write();
        match inner.held.storage().change_pending(DEVICE_CODES, &device, &before, &after).await? {
            true => Ok(()),
            // Somebody else was first.
            false => Err(DeviceLoginError::Unknown),
        }
    }

    /// The terminal asks whether it may go on. Of many that ask with one approved code, one is logged in.
    ///
    /// # Errors
    ///
    /// [`DeviceLoginError`]: [`DeviceLoginError::Pending`] means: ask again.
    pub async fn finish_device_login(
        &self,
        device_code: &str,
        now: Timestamp,
    ) -> Result<LoggedIn, DeviceLoginError> {
        let inner = &*self.inner;
        inner.ensure_newest(now).await.map_err(IssueError::from)?;
        let device = of(device_code);
        let bytes = inner.held.storage().pending(DEVICE_CODES, &device).await?;
        let waiting = Waiting::read(&bytes.ok_or(DeviceLoginError::Unknown)?)?;
        if now >= waiting.expires_at {
            return Err(DeviceLoginError::Expired);
        }
        match waiting.decision {
            Decision::Open if inner.asked_too_soon(&device, now) => Err(DeviceLoginError::SlowDown),
            Decision::Open => Err(DeviceLoginError::Pending),
            Decision::Denied => Err(DeviceLoginError::Denied),
            Decision::Approved { by, token, details } => {
                let restrictions = [read_details(&details)?, read_details(&waiting.asked)?].concat();
                let keep_until = waiting.expires_at.saturating_add(DEVICE_LOGIN_LIFE);
                let once = OneUse { scope: DEVICE_CODES.to_owned(), key: device, keep_until };
                let preconditions = Preconditions {
                    live: token.into_iter().collect(),
                    uses: vec![once],
                    ..Preconditions::default()
                };
                match inner.log_in(by, restrictions, preconditions, now).await {
                    Err(IssueError::Refused(ManageError::Changed { what: "single use" })) => {
                        Err(DeviceLoginError::Unknown)
                    }
                    // Whoever approved has lost the right to since.
                    Err(IssueError::Refused(ManageError::Changed { .. })) => Err(DeviceLoginError::Denied),
                    done => Ok(done?),
                }
            }
        }
    }
}

impl Inner {
    /// Whether a credential stands for its person, and not for a task: what was exchanged for a while, or is bound to a
    /// release or a closure, would come to live as long as a login.
    async fn speaks_for(&self, who: &Authentication, user: UserId) -> Result<bool, StoreError> {
        let Some(record) = &who.session.record else { return Ok(false) };
        let parent = match (record.kind, record.ancestors.first()) {
            (TokenKind::Session, Some(parent)) => self.held.token(*parent).await?,
            (TokenKind::Session, None) => return Ok(false),
            _ => None,
        };
        let exchanged = parent.is_some_and(|parent| parent.kind != TokenKind::Refresh);
        Ok(!exchanged && acts_for(who, &Principal::User(user)))
    }

    fn new_codes(&self) -> Option<(String, SecretText)> {
        let mut user_code = String::new();
        while user_code.len() < USER_CODE_LENGTH {
            // Above 240 a byte would favour the first letters.
            let bytes: [u8; 32] = self.random()?;
            let fair = bytes.iter().filter(|byte| **byte < 240);
            let letters = fair.filter_map(|byte| LETTERS.get(usize::from(byte % 20)));
            user_code.extend(letters.map(|letter| char::from(*letter)));
        }
        user_code.truncate(USER_CODE_LENGTH);
        let secret: [u8; 32] = self.random()?;
        let hexadecimal =
            |out: &mut String, byte: &u8| fmt::Write::write_fmt(out, format_args!("{byte:02x}"));
        let mut device_code = String::new();
        secret.iter().try_for_each(|byte| hexadecimal(&mut device_code, byte)).ok()?;
        Some((user_code, SecretText::new(device_code)))
    }

    /// The login that waits under this code, if nobody has decided on it: its key, its bytes and what they say.
    async fn open_login(
        &self,
        typed: &str,
        now: Timestamp,
    ) -> Result<(Vec<u8>, Vec<u8>, Waiting), DeviceLoginError> {
        let code = letters(typed).ok_or(DeviceLoginError::Unknown)?;
        let storage = self.held.storage();
        let device = storage.pending(USER_CODES, &of(&code)).await?.ok_or(DeviceLoginError::Unknown)?;
        let bytes = storage.pending(DEVICE_CODES, &device).await?.ok_or(DeviceLoginError::Unknown)?;
        let waiting = Waiting::read(&bytes)?;
        match waiting.decision {
            Decision::Open if now < waiting.expires_at => Ok((device, bytes, waiting)),
            Decision::Open | Decision::Denied | Decision::Approved { .. } => Err(DeviceLoginError::Unknown),
        }
    }

    /// Whether this terminal asked this node less than the interval ago; notes that it asked now.
    fn asked_too_soon(&self, device: &[u8], now: Timestamp) -> bool {
        let Ok(key) = <[u8; 32]>::try_from(device) else { return false };
        let before = self.asked.get(&key);
        self.asked.insert(key, now);
        before.is_some_and(|before| now < before.saturating_add(DEVICE_LOGIN_INTERVAL))
    }
}
