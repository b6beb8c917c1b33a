//! The session of a signed-in browser: what its cookie stands for.

use std::time::Duration;

use cachegate_storage::TokenKind;
use cachegate_token::{Credential, OpaqueKind};
use cachegate_types::{Description, Principal, Timestamp, UserId};

use crate::authenticate::AuthenticateError;
use crate::issue::Draft;
use crate::manage::{Authority, ManageError};
use crate::verdict::NotAuthenticated;
use crate::{Authentication, Gate, IssueError, Issued, Method};

/// How long a browser stays signed in at most, whatever it does.
pub const BROWSER_SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// How long it stays signed in while it asks for nothing.
pub const BROWSER_SESSION_IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// How coarsely it is written down when a browser last asked.
const COARSE: Duration = Duration::from_secs(5 * 60);

impl Gate {
    /// Begins the session of a browser: for whoever has just established who it is, by a login of theirs. The operator's
    /// act; what the person may do is decided at each use. The description is what a list of sessions shows.
    ///
    /// The token is for the browser's cookie alone: it is no credential, and [`Gate::browser_session`] alone takes it.
    /// It ends after [`BROWSER_SESSION_LIFE`], and after [`BROWSER_SESSION_IDLE`] without a use.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; `Missing` when there is no such person.
    pub async fn begin_browser_session(
        &self,
        user: UserId,
        description: Description,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let inner = &*self.inner;
        inner.alive(&Authority::Operator, now).await?;
        if inner.held.storage().user(user).await?.is_none() {
            return Err(ManageError::Missing { what: "user" }.into());
        }
        let draft = Draft::new(TokenKind::Browser, false, Principal::User(user));
        inner.issue(&Authority::Operator, draft, description, Some(BROWSER_SESSION_LIFE), now).await
    }

    /// Begins the session of a browser in which somebody showed a personal token of theirs: with what cuts the token, and
    /// to end with it.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotExchanged`] for any other credential.
    pub async fn exchange_for_browser_session(
        &self,
        who: &Authentication,
        description: Description,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let inner = &*self.inner;
        let by = Authority::Of(who);
        inner.alive(&by, now).await?;
        let source = match (who.session.record.as_deref(), who.session.named_workspace) {
            (Some(record), None) if record.kind == TokenKind::Personal => record,
            (record, _) => {
                let kind = record.map_or("missing", |record| record.kind.as_str());
                return Err(IssueError::NotExchanged { kind });
            }
        };
        let draft = inner.draft_session(source, now).await?;
        let draft = Draft { kind: TokenKind::Browser, jwt: false, ..draft };
        let left = who.until().map(|until| until.since(now));
        let life = left.into_iter().chain([BROWSER_SESSION_LIFE]).min();
        inner.issue(&by, draft, description, life, now).await
    }

    /// Who sits at a browser that shows this token. The store is asked each time, so that whatever ended the session ends
    /// it with the very next request.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError`]; any other credential than a browser's is refused.
    pub async fn browser_session(
        &self,
        token: &Credential<'_>,
        now: Timestamp,
    ) -> Result<Authentication, AuthenticateError> {
        let inner = &*self.inner;
        let Credential::Opaque(token) = token else {
            return Err(NotAuthenticated::Refused { code: "wrong_token_kind" }.into());
        };
        if token.kind() != OpaqueKind::Browser {
            return Err(NotAuthenticated::Refused { code: "wrong_token_kind" }.into());
        }
        inner.ensure_newest(now).await?;
        inner.verify_opaque(token).await?;
        let generation = inner.held.generation();
        let record = inner.held.storage().token(token.id()).await?.ok_or(NotAuthenticated::Unknown)?;
        let last = record.last_used.map_or(record.issued_at, |used| used.max(record.issued_at));
        let idle_end = last.saturating_add(BROWSER_SESSION_IDLE);
        let session =
            inner.session_of_live(record.into(), Method::OpaqueToken, None, None, generation, now).await?;
        if now >= idle_end {
            return Err(NotAuthenticated::Expired { at: idle_end }.into());
        }
        if now >= last.saturating_add(COARSE) {
            // A use that is not written down ends the session sooner, and lets nobody in.
            let _ = inner.held.storage().touch_tokens(&[(token.id(), now)]).await;
        }
        Ok(Authentication::new(session))
    }
}
