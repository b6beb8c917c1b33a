//! Sessions: what a credential is exchanged for, or a person logs in to. Never more than what it came from, and never
//! longer.

use std::sync::Arc;
use std::time::Duration;

use cachegate_policy::ReadOnlyCiWrites;
use cachegate_storage::{Preconditions, StoreError, TokenKind, TokenRecord};
use cachegate_token::{Credential, OpaqueKind};
use cachegate_types::{
    Action, ActionSet, Description, Grant, GrantSource, Lane, LaneClass, Principal, Restriction, Timestamp,
    UserId,
};

use crate::authenticate::AuthenticateError;
use crate::gate::Inner;
use crate::issue::Draft;
use crate::manage::{Authority, ManageError};
use crate::verdict::NotAuthenticated;
use crate::{Authentication, Gate, IssueError, Issued, Method};

/// How long a session lives unless a shorter life is asked for.
pub const SESSION_LIFE: Duration = Duration::from_secs(15 * 60);

/// The longest life of a session for this gate. One for another service lives [`SESSION_LIFE`] at most.
pub const LONGEST_SESSION_LIFE: Duration = Duration::from_secs(60 * 60);

/// The longest time between two renewals of a login.
pub const REFRESH_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a session is to be, within what it is exchanged for.
#[derive(Clone, Debug, Default)]
pub struct SessionSpec {
    /// What cuts it, beside all that cuts the credential.
    pub restrictions: Vec<Restriction>,
    /// The registered service that it is for; `None`: this gate. A session for a service is none here, and a plain JWT
    /// without the brand's prefix, as the service's own software reads it.
    pub audience: Option<Arc<str>>,
    /// How long it is to live; `None`: [`SESSION_LIFE`]. Cut to what is allowed, and to the credential's own end.
    pub life: Option<Duration>,
}

/// What a login gives.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The session.
    pub session: Issued,
    /// What renews it, once: an opaque token that is no credential for anything else.
    pub refresh: Issued,
}

impl Gate {
    /// Exchanges a credential for a session (RFC 8693): the same principal, rights and lane, cut by `spec`. It dies
    /// with the credential and with all that the credential came from.
    ///
    /// The session of a read-only CI token writes `own/<session id>` where the workspace says `read_only_ci_writes =
    /// own-lane`: a session is one run's, as a shared secret is not.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; nothing was made then.
    pub async fn exchange(
        &self,
        who: &Authentication,
        spec: &SessionSpec,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let inner = &*self.inner;
        let by = Authority::Of(who);
        inner.alive(&by, now).await?;
        let source = who.session.record.as_deref().ok_or(IssueError::NotExchanged { kind: "missing" })?;
        if who.method() == Method::Workload {
            // It is stored nowhere, so that nothing could die with it; the token itself is exchanged instead.
            return Err(IssueError::NotExchanged { kind: "presented workload" });
        }
        match source.kind {
            TokenKind::Ci | TokenKind::Personal | TokenKind::Device | TokenKind::Session => {}
            TokenKind::Closure | TokenKind::Refresh | TokenKind::Browser => {
                return Err(IssueError::NotExchanged { kind: source.kind.as_str() });
            }
        }
        let mut draft = inner.draft_session(source, now).await?;
        draft.restrictions.extend(spec.restrictions.iter().cloned());
        // What was named beside the credential narrows what it is exchanged for.
        draft
            .restrictions
            .extend(who.session.named_workspace.map(|named| Restriction::Workspaces(vec![named])));
        let mut longest = LONGEST_SESSION_LIFE;
        if let Some(audience) = &spec.audience {
            if !inner.services.contains(audience) {
                return Err(IssueError::UnknownService);
            }
            draft.audience = Some(Arc::clone(audience));
            longest = SESSION_LIFE;
        }
        let left = who.until().map(|until| until.since(now));
        draft.longest = left.into_iter().chain([longest]).min();
        let life = spec.life.unwrap_or(SESSION_LIFE);
        inner.issue(&by, draft, Description::default(), Some(life), now).await
    }

    /// Begins a person's session: for whoever has just established who it is, by a login of theirs. The operator's
    /// act; what the person may do is decided at each use.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; `Missing` when there is no such person.
    pub async fn log_in(&self, user: UserId, now: Timestamp) -> Result<LoggedIn, IssueError> {
        self.inner.log_in(user, Vec::new(), Preconditions::default(), now).await
    }

    /// Renews a login: the refresh token is used up, and its successor comes with a new session. One that is shown a
    /// second time has been stolen from, or by, whoever showed it first: every session of that login ends.
    ///
    /// # Errors
    ///
    /// [`IssueError::Refused`] with what is wrong with the token.
    pub async fn renew(&self, refresh: &Credential<'_>, now: Timestamp) -> Result<LoggedIn, IssueError> {
        let inner = &*self.inner;
        inner.alive(&Authority::Operator, now).await?;
        let record = inner.refresh_record(refresh, now).await?;
        let draft = Draft {
            restrictions: record.restrictions.clone(),
            ancestors: record.ancestors.clone(),
            family: Some(record.family),
            ..Draft::new(TokenKind::Refresh, false, record.owner.clone())
        };
        let life = Some(REFRESH_LIFE);
        let next = inner.mint(&Authority::Operator, draft, Description::default(), life, now).await?;
        let act = Authority::Operator.act(now);
        match inner.held.storage().rotate_token(record.id, &next.record, now, &act).await {
            Ok(revision) => inner.take_in(revision).await,
            // Somebody else was first with the same token.
            Err(StoreError::Precondition { .. }) => return Err(inner.stolen(&record, now).await.into()),
            Err(error) => return Err(error.into()),
        };
        let session = inner.session_of(&next.record, now).await?;
        Ok(LoggedIn { session, refresh: next })
    }
}

impl Inner {
    /// Begins a person's session, cut like this, if this holds.
    pub(crate) async fn log_in(
        &self,
        user: UserId,
        restrictions: Vec<Restriction>,
        preconditions: Preconditions,
        now: Timestamp,
    ) -> Result<LoggedIn, IssueError> {
        self.alive(&Authority::Operator, now).await?;
        if self.held.storage().user(user).await?.is_none() {
            return Err(ManageError::Missing { what: "user" }.into());
        }
        let draft = Draft {
            restrictions,
            preconditions,
            ..Draft::new(TokenKind::Refresh, false, Principal::User(user))
        };
        let life = Some(REFRESH_LIFE);
        let refresh = self.issue(&Authority::Operator, draft, Description::default(), life, now).await?;
        let session = self.session_of(&refresh.record, now).await?;
        Ok(LoggedIn { session, refresh })
    }

    /// A session of this token, with all that the token has.
    pub(crate) async fn draft_session(
        &self,
        source: &TokenRecord,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        if source.ancestors.len() >= TokenRecord::MAX_ANCESTORS {
            return Err(IssueError::Lineage);
        }
        let is_anonymous = |grant: &&Grant| grant.source == GrantSource::AnonymousLevel;
        let own = || source.grants.iter().filter(|grant| !is_anonymous(grant));
        let as_anonymous = || source.grants.iter().filter(is_anonymous);
        let mut draft = Draft {
            organization: source.organization,
            workspace: source.workspace,
            grants: own().map(|grant| (grant.scope, grant.actions)).collect(),
            as_anonymous: as_anonymous().next().map(|grant| grant.scope),
            restrictions: source.restrictions.clone(),
            lane: source.lane.clone(),
            base: source.base.clone(),
            floor: source.floor,
            run: source.run.clone(),
            ancestors: [&[source.id], &*source.ancestors].concat(),
            ..Draft::new(TokenKind::Session, true, source.owner.clone())
        };
        if self.writes_an_own_lane(source).await? {
            let id = self.new_token_id(now).ok_or(IssueError::Encoding { code: "no_randomness" })?;
            let lane = Lane::named(LaneClass::Own, None, id.to_string().as_bytes());
            draft.lane = Some(lane.map_err(|_| IssueError::Encoding { code: "own_lane" })?);
            draft.id = Some(id);
            for (_, actions) in &mut draft.grants {
                *actions = actions.union(ActionSet::of(&[Action::Write]));
            }
        }
        Ok(draft)
    }

    /// Whether sessions of this token write a lane of their own: those of a read-only CI token, where the workspace
    /// says so.
    async fn writes_an_own_lane(&self, source: &TokenRecord) -> Result<bool, IssueError> {
        let writes = source.grants.iter().any(|grant| grant.actions.contains(Action::Write));
        let (TokenKind::Ci, false, Some(workspace)) = (source.kind, writes, source.workspace) else {
            return Ok(false);
        };
        let workspace = self.held.workspace(workspace).await?;
        Ok(workspace.is_some_and(|found| found.settings.read_only_ci_writes == ReadOnlyCiWrites::OwnLane))
    }

    async fn session_of(&self, refresh: &TokenRecord, now: Timestamp) -> Result<Issued, IssueError> {
        let draft = self.draft_session(refresh, now).await?;
        self.issue(&Authority::Operator, draft, Description::default(), Some(SESSION_LIFE), now).await
    }

    /// The record of a refresh token that was shown, if its secret is right and it lives.
    async fn refresh_record(
        &self,
        refresh: &Credential<'_>,
        now: Timestamp,
    ) -> Result<Arc<TokenRecord>, IssueError> {
        let Credential::Opaque(token) = refresh else {
            return Err(ManageError::from(NotAuthenticated::Refused { code: "wrong_token_kind" }).into());
        };
        if token.kind() != OpaqueKind::Refresh {
            return Err(ManageError::from(NotAuthenticated::Refused { code: "wrong_token_kind" }).into());
        }
        self.verify_opaque(token).await.map_err(ManageError::from)?;
        let record = self.held.token(token.id()).await?;
        let record = record.ok_or(ManageError::from(NotAuthenticated::Unknown))?;
        match self.life(&record, now).await {
            Ok(_) => Ok(record),
            Err(AuthenticateError::NotAuthenticated(NotAuthenticated::Superseded { .. })) => {
                Err(self.stolen(&record, now).await.into())
            }
            Err(error) => Err(ManageError::from(error).into()),
        }
    }

    /// Ends a login whose refresh token was shown twice.
    async fn stolen(&self, record: &TokenRecord, now: Timestamp) -> ManageError {
        if let Some(sink) = &self.sink {
            // The refusal itself is told of apart from this; a sink that cannot take it changes nothing here.
            let _ = sink.record(crate::sink::alarm("rotated_token_reused", record, now));
        }
        let reason = "a refresh token was used twice".parse().unwrap_or_default();
        match self.revoke_family(&Authority::Operator, record, reason, now).await {
            Ok(_) => NotAuthenticated::Revoked.into(),
            // What the store does not take now is tried again with the next use.
            Err(error) => error,
        }
    }
}
