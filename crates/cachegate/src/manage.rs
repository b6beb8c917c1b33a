//! Management: organizations, workspaces, members, revocation, locks, distrust, the first start.
//!
//! Each act asks whether its author may, is audited in its own transaction, and is acknowledged only after this gate
//! itself has taken it in: the very next request on it is decided anew.

mod audit;
mod departure;
mod lives;
mod look;
mod once;
mod people;
#[cfg(feature = "federation")]
mod trust;

use cachegate_policy::{Lock, LockScope, OpenTo, WorkspaceSettings};
use cachegate_storage::{
    Act, LockRecord, MarkRecord, MarkScope, MassRevocation, MassScope, OrganizationRecord, Revoked,
    StoreError, TokenFilter, TokenRecord, UserRecord, WorkspaceRecord,
};
use cachegate_types::{
    AccessLevel, Action, ActionSet, DecisionId, Description, LockId, MarkId, Name, OrganizationId, Principal,
    Resource, Restriction, Revision, Role, Timestamp, TokenId, UserId, WorkspaceId,
};

use crate::authenticate::AuthenticateError;
use crate::gate::{Inner, place_of};
use crate::issue::{Draft, Issued, limit_of, personal};
use crate::verdict::{Allowed, NotAuthenticated, Request, Unavailable, Verdict};
use crate::{Authentication, Gate, IssueError};

#[cfg(feature = "federation")]
pub(crate) use audit::TRUST_RULES;
pub use audit::{AuditEnd, AuditFilter, AuditFrom};
pub use departure::{Departure, DyingToken, Source};
pub use look::{MemberView, OrganizationView, Page, TokenState, TokenView, WorkspaceView};
pub(crate) use look::{SCANNED, acts_for};
pub use once::{Made, Once};
#[cfg(feature = "federation")]
pub use trust::{MOST_TRUST_RULES, RulesTrial, TrustRules, TrustRulesError};

/// In whose name an act is done.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// Somebody who was authenticated: their rights decide.
    Of(&'a Authentication),
    /// Whoever runs the service and holds its data anyway: a command on the server itself. Every act is allowed,
    /// and audited as nobody's.
    Operator,
}

impl Authority<'_> {
    pub(crate) fn principal(&self) -> Principal {
        match self {
            Self::Of(who) => who.session.principal.clone(),
            Self::Operator => Principal::Anonymous,
        }
    }

    pub(crate) fn act(&self, at: Timestamp) -> Act {
        let token = match self {
            Self::Of(who) => who.token_id(),
            Self::Operator => None,
        };
        Act { by: self.principal(), token, at }
    }
}

/// Why an act was not done. Nothing was changed then, except where the store did not answer: read again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// Its author may not.
    #[error("this is not allowed: {explanation}")]
    Denied {
        /// Why, in words for the author.
        explanation: String,
        /// Whether the author knows of the place, as somebody who may do something else there. Where this is not so,
        /// answer as if it were not there.
        visible: bool,
        /// By which [`Gate::refusal`] tells of it later; `None` where no decision was asked for.
        decision: Option<DecisionId>,
    },
    /// It would give somebody more than its author holds.
    #[error(
        "this would give {wanted}, and whoever does it holds {held} here; nobody gives more than they hold"
    )]
    MoreThanHeld {
        /// What it would give.
        wanted: ActionSet,
        /// What its author holds.
        held: ActionSet,
    },
    /// The author has sent another request with the same key.
    #[error("this idempotency key was used for another request; take a new one")]
    KeyReused,
    /// Its author's credential no longer counts.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// Nothing could be decided or done.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Something that it needs is not there.
    #[error("no such {what}")]
    Missing {
        /// The kind of thing.
        what: &'static str,
    },
    /// Something of this name or id is there already.
    #[error("this {what} exists already")]
    Exists {
        /// The kind of thing.
        what: &'static str,
    },
    /// What it rests on changed while it was done.
    #[error("the {what} changed meanwhile; look again and repeat")]
    Changed {
        /// The kind of thing.
        what: &'static str,
    },
    /// A directory says that the last owner has left, whom nobody could bring back.
    #[error("this is the organization's last owner; an owner must make another one first")]
    LastOwner,
    /// A credential may do more than the one thing that it is shown for.
    #[error("this credential holds {held}; a directory's own holds `provision` and nothing else")]
    MoreThanNeeded {
        /// What it holds here.
        held: ActionSet,
    },
    /// The machine gave no randomness.
    #[error("the machine gave no randomness")]
    Randomness,
}

impl From<StoreError> for ManageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists { what } => Self::Exists { what },
            StoreError::Missing { what } => Self::Missing { what },
            StoreError::Precondition { what } => Self::Changed { what },
            error => Self::Unavailable(error.into()),
        }
    }
}

impl From<AuthenticateError> for ManageError {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::NotAuthenticated(reason) => Self::NotAuthenticated(reason),
            AuthenticateError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

/// What the first start made.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// The organization.
    pub organization: OrganizationId,
    /// Its first workspace.
    pub workspace: WorkspaceId,
    /// Its owner.
    pub owner: UserId,
    /// The owner's administering personal token; `None` when an earlier start has made it.
    pub administrator: Option<Issued>,
}

/// The document that records the first start. It is written once: whoever writes it makes the rest.
const FIRST_START: &str = "first-start";

impl Inner {
    /// Whether the author's own credential still counts.
    pub(crate) async fn alive(&self, by: &Authority<'_>, now: Timestamp) -> Result<(), ManageError> {
        // An act lasts: it rests on what the store says now, not on what this node remembers.
        self.ensure_newest(now).await?;
        if let Authority::Of(who) = by {
            self.still_alive(&who.session, now).await?;
        }
        Ok(())
    }

    /// Whether the author may do this.
    pub(crate) async fn may(
        &self,
        by: &Authority<'_>,
        action: Action,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        self.allowed(by, action, resource, now).await.map(drop)
    }

    /// What the author is allowed, if they may do this; `None` is the operator, who may.
    pub(crate) async fn allowed(
        &self,
        by: &Authority<'_>,
        action: Action,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<Option<Allowed>, ManageError> {
        self.alive(by, now).await?;
        let Authority::Of(who) = by else { return Ok(None) };
        match self.decide(&who.session, &Request::new(action, resource), now).await? {
            Verdict::Allowed(allowed) => Ok(Some(allowed)),
            Verdict::Denied(denied) => {
                let denied = self.decisions.keep(denied);
                Err(ManageError::Denied {
                    explanation: denied.explain(cachegate_policy::Candour::Caller),
                    visible: !denied.rights.rights.usable(now).is_empty(),
                    decision: denied.id(),
                })
            }
            Verdict::NotAuthenticated(reason) => Err(reason.into()),
            Verdict::Unavailable(reason) => Err(reason.into()),
        }
    }

    /// Whether the author holds what somebody is given by this.
    pub(crate) async fn holds(
        &self,
        by: &Authority<'_>,
        place: &Resource,
        wanted: ActionSet,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let Authority::Of(who) = by else { return Ok(()) };
        let rights = self.rights(&who.session, place_of(place)).await?;
        let mut held = rights.rights.ceiling(now);
        // No role brings `publish`: an administrator gives it by name, if their own credential was not cut to less.
        let publish = ActionSet::of(&[Action::Publish]);
        if held.contains(Action::Administer) && limit_of(who.restrictions()).contains_all(publish) {
            held = held.union(publish);
        }
        if held.contains_all(wanted) { Ok(()) } else { Err(ManageError::MoreThanHeld { wanted, held }) }
    }

    /// Takes in what was just acknowledged, so that this node is the first to know.
    pub(crate) async fn take_in(&self, revision: Revision) -> Revision {
        match self.held.catch_up().await {
            Ok(held) if held.includes(revision) => {}
            // The act is done all the same. Until the store answers again, nothing held is believed.
            Ok(_) | Err(_) => self.held.doubt(),
        }
        revision
    }
}

impl Gate {
    /// Revokes one token: its owner, or an administrator of what it belongs to. Its children die with it, and so does
    /// the line of rotations that continued it.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn revoke(
        &self,
        by: &Authority<'_>,
        token: TokenId,
        reason: Description,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        let record = inner.manageable(by, token, now).await?;
        covers(by, &record)?;
        let revoked = Revoked { at: now, reason: reason.clone(), by: by.principal() };
        let revision = inner.held.storage().revoke_token(record.id, &revoked, &by.act(now)).await?;
        // From here on it has no further successor. One that it has dies with it.
        let record = inner.held.storage().token(token).await?.unwrap_or(record);
        if record.superseded.is_some() {
            return inner.revoke_family(by, &record, reason, now).await;
        }
        Ok(inner.take_in(revision).await)
    }

    /// Revokes a token with the whole line of rotations that it is in, the successors to come included.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn revoke_line(
        &self,
        by: &Authority<'_>,
        token: TokenId,
        reason: Description,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let record = self.inner.manageable(by, token, now).await?;
        covers(by, &record)?;
        self.inner.revoke_family(by, &record, reason, now).await
    }

    /// Revokes many tokens by one row. An organization's or a workspace's, those issued until now: their
    /// administrators; all else: the operator.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn revoke_many(
        &self,
        by: &Authority<'_>,
        scope: MassScope,
        issued_until: Option<Timestamp>,
        reason: Description,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        match &scope {
            MassScope::Organization(id) => {
                inner.may(by, Action::Administer, &Resource::Organization(*id), now).await?;
            }
            MassScope::Workspace(id) => {
                inner.may(by, Action::Administer, &Resource::Workspace(*id), now).await?;
            }
            MassScope::Everything
            | MassScope::Family(_)
            | MassScope::Principal(_)
            | MassScope::Key(_)
            | MassScope::Anchor(_) => inner.only_operator(by, now).await?,
        }
        let issued_until = match by {
            Authority::Operator => issued_until,
            // Nobody can take it back: an administrator ends what there is, not what will ever be.
            Authority::Of(_) => Some(issued_until.map_or(now, |until| until.min(now))),
        };
        let revoked = Revoked { at: now, reason, by: by.principal() };
        let revocation = MassRevocation { scope, issued_until, revoked };
        let revision = inner.held.storage().revoke_many(&revocation, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Changes a workspace's settings.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn set_settings(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        settings: &WorkspaceSettings,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        self.set_settings_over(by, workspace, settings, None, now).await
    }

    /// The same, if settings and list are still as `seen`: so that of two who change them neither undoes unawares what
    /// the other did.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Changed` where they are not.
    pub async fn set_settings_over(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        settings: &WorkspaceSettings,
        seen: Option<&WorkspaceRecord>,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        let place = Resource::Workspace(workspace);
        inner.may(by, Action::Administer, &place, now).await?;
        let before = inner.held.workspace(workspace).await?;
        let wanted = opened(before.as_deref().map(|before| &before.settings), settings);
        inner.holds(by, &place, wanted, now).await?;
        let revision = inner.held.storage().set_settings(workspace, settings, seen, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Adds a workspace to an organization.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn create_workspace(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        name: Name,
        settings: WorkspaceSettings,
        now: Timestamp,
    ) -> Result<WorkspaceId, ManageError> {
        match self.create_workspace_once(by, organization, name, settings, None, now).await? {
            Made::Now(record) | Made::Before(record) => Ok(record.id),
        }
    }

    /// The same for a request that may be sent twice.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn create_workspace_once(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        name: Name,
        settings: WorkspaceSettings,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Made<WorkspaceRecord>, ManageError> {
        let inner = &*self.inner;
        let place = Resource::Organization(organization);
        inner.may(by, Action::Administer, &place, now).await?;
        inner.holds(by, &place, opened(None, &settings), now).await?;
        let planned = inner.plan(by, once, now).await?;
        let id = planned.workspace();
        let storage = inner.held.storage();
        if planned.again
            && let Some(record) = storage.workspace(id).await?
        {
            return Ok(Made::Before(record));
        }
        let record =
            WorkspaceRecord { id, organization, name, settings, listed: Vec::new(), created_at: now };
        storage.create_workspace(&record, &by.act(now)).await?;
        Ok(Made::Now(storage.workspace(id).await?.unwrap_or(record)))
    }

    /// Adds an organization. The operator's act.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn create_organization(
        &self,
        by: &Authority<'_>,
        name: Name,
        now: Timestamp,
    ) -> Result<OrganizationId, ManageError> {
        let inner = &*self.inner;
        inner.only_operator(by, now).await?;
        let id = OrganizationId::new(now, inner.random().ok_or(ManageError::Randomness)?);
        let record = OrganizationRecord { id, name, personal_of: None, created_at: now };
        inner.held.storage().create_organization(&record, &by.act(now)).await?;
        Ok(id)
    }

    /// Adds a person. The operator's act: people are otherwise made by logging in.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn create_user(
        &self,
        by: &Authority<'_>,
        display: Description,
        now: Timestamp,
    ) -> Result<UserId, ManageError> {
        let inner = &*self.inner;
        inner.only_operator(by, now).await?;
        let id = UserId::new(now, inner.random().ok_or(ManageError::Randomness)?);
        inner.held.storage().create_user(&UserRecord { id, display, created_at: now }, &by.act(now)).await?;
        Ok(id)
    }

    /// Makes a person a member, or changes the role. Only an owner makes or unmakes an owner.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn set_member(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        let place = Resource::Organization(organization);
        inner.may(by, Action::Administer, &place, now).await?;
        // A member has what the open workspaces give to members.
        let wanted = AccessLevel::ReadWrite.actions().union(role.actions());
        inner.holds(by, &place, wanted, now).await?;
        inner.owners_decide_owners(by, organization, user, Some(role)).await?;
        let revision = inner.held.storage().set_member(organization, user, role, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Ends a membership: the person's tokens lose this organization's caches with the next request, and keep the
    /// others.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn remove_member(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        inner.owners_decide_owners(by, organization, user, None).await?;
        let revision = inner.held.storage().remove_member(organization, user, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Locks a class of requests at once. An organization's or a workspace's: their administrators; all else: the
    /// operator. Locks never stop the operator.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn lock(
        &self,
        by: &Authority<'_>,
        scope: LockScope,
        actions: ActionSet,
        until: Option<Timestamp>,
        reason: Description,
        now: Timestamp,
    ) -> Result<(LockId, Revision), ManageError> {
        let inner = &*self.inner;
        inner.may_lock(by, &scope, now).await?;
        let id = LockId::new(now, inner.random().ok_or(ManageError::Randomness)?);
        let (_, revision) = inner.put_lock(by, Lock { id, scope, actions, until }, reason, now).await?;
        Ok((id, revision))
    }

    /// The same for a request that may be sent twice. Sent again after the lock was lifted, it locks again.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    #[expect(clippy::too_many_arguments, reason = "each of them is one thing that the act needs")]
    pub async fn lock_once(
        &self,
        by: &Authority<'_>,
        scope: LockScope,
        actions: ActionSet,
        until: Option<Timestamp>,
        reason: Description,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Made<LockRecord>, ManageError> {
        let inner = &*self.inner;
        inner.may_lock(by, &scope, now).await?;
        let planned = inner.plan(by, once, now).await?;
        let storage = inner.held.storage();
        if planned.again
            && let Some(record) =
                storage.locks().await?.into_iter().find(|record| record.lock.id == planned.lock())
        {
            return Ok(Made::Before(record));
        }
        let lock = Lock { id: planned.lock(), scope, actions, until };
        let (record, _) = inner.put_lock(by, lock, reason, now).await?;
        Ok(Made::Now(record))
    }

    /// Lifts a lock: whoever may make it, but for the operator's own. Whoever may not does not learn that it exists.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn lift_lock(
        &self,
        by: &Authority<'_>,
        id: LockId,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let locks = inner.held.storage().locks().await?;
        let found = locks.into_iter().find(|record| record.lock.id == id);
        let found = found.ok_or(ManageError::Missing { what: "lock" })?;
        if found.by == Authority::Operator.principal() {
            inner.only_operator(by, now).await.map_err(unless_denied("lock"))?;
        }
        inner.may_lock(by, &found.lock.scope, now).await.map_err(unless_denied("lock"))?;
        let revision = inner.held.storage().lift_lock(id, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Marks what somebody wrote as distrusted: every entry of theirs is a miss from the next request on. A window
    /// of one workspace: its administrators; all else: the operator.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn distrust(
        &self,
        by: &Authority<'_>,
        scope: MarkScope,
        reason: Description,
        now: Timestamp,
    ) -> Result<(MarkId, Revision), ManageError> {
        let inner = &*self.inner;
        inner.may_mark(by, &scope, now).await?;
        let id = MarkId::new(now, inner.random().ok_or(ManageError::Randomness)?);
        let (_, revision) = inner.put_mark(by, id, scope, reason, now).await?;
        Ok((id, revision))
    }

    /// The same for a request that may be sent twice. Sent again after the mark was taken away, it marks again.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn distrust_once(
        &self,
        by: &Authority<'_>,
        scope: MarkScope,
        reason: Description,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Made<MarkRecord>, ManageError> {
        let inner = &*self.inner;
        inner.may_mark(by, &scope, now).await?;
        let planned = inner.plan(by, once, now).await?;
        let storage = inner.held.storage();
        if planned.again
            && let Some(record) =
                storage.marks().await?.into_iter().find(|record| record.id == planned.mark())
        {
            return Ok(Made::Before(record));
        }
        let (record, _) = inner.put_mark(by, planned.mark(), scope, reason, now).await?;
        Ok(Made::Now(record))
    }

    /// Takes a mark of distrust away: whoever may make it, but for the operator's own. Whoever may not does not learn
    /// that it exists.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn trust_again(
        &self,
        by: &Authority<'_>,
        id: MarkId,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let marks = inner.held.storage().marks().await?;
        let found = marks.into_iter().find(|record| record.id == id);
        let found = found.ok_or(ManageError::Missing { what: "mark of distrust" })?;
        if found.by == Authority::Operator.principal() {
            inner.only_operator(by, now).await.map_err(unless_denied("mark of distrust"))?;
        }
        inner.may_mark(by, &found.scope, now).await.map_err(unless_denied("mark of distrust"))?;
        let revision = inner.held.storage().lift_mark(id, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// The tokens of a workspace or an organization, revoked and expired ones included.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn tokens(
        &self,
        by: &Authority<'_>,
        filter: &TokenFilter,
        after: Option<TokenId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<TokenRecord>, ManageError> {
        let inner = &*self.inner;
        match (by, filter.workspace, filter.organization) {
            // A person's own; what several machines share is its administrators'.
            (Authority::Of(who), _, _) if filter.owner.as_ref().is_some_and(|owner| acts_for(who, owner)) => {
                inner.alive(by, now).await?;
            }
            (_, Some(workspace), _) => {
                inner.may(by, Action::Administer, &Resource::Workspace(workspace), now).await?;
            }
            (_, None, Some(organization)) => {
                inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
            }
            (_, None, None) => inner.only_operator(by, now).await?,
        }
        Ok(inner.held.storage().tokens(filter, after, limit).await?)
    }

    /// Makes the first organization, workspace, owner and administrator's token, once for the life of a store: of
    /// many racing starts one makes them. A start that was cut off is finished by the next.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub async fn first_start(
        &self,
        organization: &Name,
        workspace: &Name,
        owner: &Description,
        now: Timestamp,
    ) -> Result<FirstStart, IssueError> {
        let inner = &*self.inner;
        let by = Authority::Operator;
        let act = by.act(now);
        let storage = inner.held.storage();
        let document: Name = FIRST_START.parse().map_err(|_| ManageError::Missing { what: "document" })?;
        let planned = FirstIds {
            organization: OrganizationId::new(now, inner.random().ok_or(ManageError::Randomness)?),
            workspace: WorkspaceId::new(now, inner.random().ok_or(ManageError::Randomness)?),
            owner: UserId::new(now, inner.random().ok_or(ManageError::Randomness)?),
            administrator: inner.new_token_id(now).ok_or(ManageError::Randomness)?,
        };
        let ids = match storage.put_rules(&document, &planned.to_bytes(), None, &act).await {
            Ok(_) => planned,
            Err(StoreError::Precondition { .. }) => self.first_ids().await?,
            Err(error) => return Err(error.into()),
        };
        let made = |administrator| FirstStart {
            organization: ids.organization,
            workspace: ids.workspace,
            owner: ids.owner,
            administrator,
        };
        // The administrator's token comes last. Once it is there nothing is made again: whoever left meanwhile stays
        // away.
        if storage.token(ids.administrator).await?.is_some() {
            return Ok(made(None));
        }
        let record = OrganizationRecord {
            id: ids.organization,
            name: organization.clone(),
            personal_of: None,
            created_at: now,
        };
        if storage.organization(ids.organization).await?.is_none() {
            let created = storage.create_organization(&record, &act).await;
            there_already(created, storage.organization(ids.organization).await?.is_some())?;
        }
        if storage.workspace(ids.workspace).await?.is_none() {
            let record = WorkspaceRecord {
                id: ids.workspace,
                organization: ids.organization,
                name: workspace.clone(),
                settings: WorkspaceSettings::default(),
                listed: Vec::new(),
                created_at: now,
            };
            let created = storage.create_workspace(&record, &act).await;
            there_already(created, storage.workspace(ids.workspace).await?.is_some())?;
        }
        if storage.user(ids.owner).await?.is_none() {
            let record = UserRecord { id: ids.owner, display: owner.clone(), created_at: now };
            let created = storage.create_user(&record, &act).await;
            there_already(created, storage.user(ids.owner).await?.is_some())?;
        }
        if storage.memberships(ids.owner).await?.is_empty() {
            let revision = storage.set_member(ids.organization, ids.owner, Role::Owner, &act).await?;
            inner.take_in(revision).await;
        }
        match self.administrator(&ids, Some(ids.administrator), now).await {
            Ok(issued) => Ok(made(Some(issued))),
            // Of several starts at once, another was first.
            Err(IssueError::Refused(ManageError::Exists { .. })) => Ok(made(None)),
            Err(error) => Err(error),
        }
    }

    /// Replaces the first owner's administering token: revokes every token of that person and makes a new one.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; `Missing` when there was no first start.
    pub async fn recover(&self, now: Timestamp) -> Result<Issued, IssueError> {
        let ids = self.first_ids().await?;
        let filter = TokenFilter {
            owner: Some(Principal::User(ids.owner)),
            live_at: Some(now),
            ..TokenFilter::default()
        };
        let reason: Description = "replaced by recovery".parse().unwrap_or_default();
        // Until there is none: whoever holds one could make another while the first ones go.
        loop {
            let live = self.inner.held.storage().tokens(&filter, None, 100).await?;
            if live.is_empty() {
                break;
            }
            for record in live {
                self.revoke(&Authority::Operator, record.id, reason.clone(), now).await?;
            }
        }
        let memberships = self.inner.held.storage().memberships(ids.owner).await?;
        if !memberships.iter().any(|place| place.member.role == Role::Owner) {
            self.set_member(&Authority::Operator, ids.organization, ids.owner, Role::Owner, now).await?;
        }
        self.administrator(&ids, None, now).await
    }

    async fn first_ids(&self) -> Result<FirstIds, ManageError> {
        let missing = || ManageError::Missing { what: "first start" };
        let document: Name = FIRST_START.parse().map_err(|_| missing())?;
        let document = self.inner.held.storage().rules(&document).await?.ok_or_else(missing)?;
        FirstIds::from_bytes(&document.bytes).ok_or_else(|| {
            Unavailable::Corrupt { detail: "the record of the first start has another length".to_owned() }
                .into()
        })
    }

    async fn administrator(
        &self,
        ids: &FirstIds,
        id: Option<TokenId>,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let draft = Draft { id, ..personal(ids.owner, ActionSet::ALL, false) };
        let description = "administrator".parse().unwrap_or_default();
        self.inner.issue(&Authority::Operator, draft, description, None, now).await
    }
}

impl Inner {
    /// The token of this id, if the author may manage it: its owner, or an administrator of what it belongs to. All
    /// others learn nothing, not even that it exists.
    pub(crate) async fn manageable(
        &self,
        by: &Authority<'_>,
        token: TokenId,
        now: Timestamp,
    ) -> Result<TokenRecord, ManageError> {
        let missing = || ManageError::Missing { what: "token" };
        self.alive(by, now).await?;
        let record = self.held.storage().token(token).await?.ok_or_else(missing)?;
        let Authority::Of(who) = by else { return Ok(record) };
        if acts_for(who, &record.owner) {
            return Ok(record);
        }
        let place = place_of_token(&record).ok_or_else(missing)?;
        self.may(by, Action::Administer, &place, now).await.map_err(unless_denied("token"))?;
        Ok(record)
    }

    /// Revokes every token of the line of rotations, those to come included.
    pub(crate) async fn revoke_family(
        &self,
        by: &Authority<'_>,
        record: &TokenRecord,
        reason: Description,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let revoked = Revoked { at: now, reason, by: by.principal() };
        let scope = MassScope::Family(record.family);
        let revocation = MassRevocation { scope, issued_until: None, revoked };
        let revision = self.held.storage().revoke_many(&revocation, &by.act(now)).await?;
        Ok(self.take_in(revision).await)
    }

    pub(crate) async fn only_operator(&self, by: &Authority<'_>, now: Timestamp) -> Result<(), ManageError> {
        self.alive(by, now).await?;
        match by {
            Authority::Operator => Ok(()),
            Authority::Of(_) => Err(ManageError::Denied {
                explanation: "only whoever runs the service may do this, on the server itself".to_owned(),
                visible: true,
                decision: None,
            }),
        }
    }

    async fn put_lock(
        &self,
        by: &Authority<'_>,
        lock: Lock,
        reason: Description,
        now: Timestamp,
    ) -> Result<(LockRecord, Revision), ManageError> {
        let record = LockRecord { lock, reason, by: by.principal(), at: now };
        let revision = self.held.storage().put_lock(&record, &by.act(now)).await?;
        Ok((record, self.take_in(revision).await))
    }

    async fn put_mark(
        &self,
        by: &Authority<'_>,
        id: MarkId,
        scope: MarkScope,
        reason: Description,
        now: Timestamp,
    ) -> Result<(MarkRecord, Revision), ManageError> {
        let record = MarkRecord { id, scope, reason, by: by.principal(), at: now };
        let revision = self.held.storage().put_mark(&record, &by.act(now)).await?;
        Ok((record, self.take_in(revision).await))
    }

    async fn may_lock(
        &self,
        by: &Authority<'_>,
        scope: &LockScope,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        match scope {
            LockScope::Organization(id) => {
                self.may(by, Action::Administer, &Resource::Organization(*id), now).await
            }
            LockScope::Workspace(id) => {
                self.may(by, Action::Administer, &Resource::Workspace(*id), now).await
            }
            LockScope::Everything | LockScope::Principal(_) | LockScope::Lane(_) => {
                self.only_operator(by, now).await
            }
        }
    }

    async fn may_mark(
        &self,
        by: &Authority<'_>,
        scope: &MarkScope,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        match scope {
            MarkScope::Window { workspace: Some(id), .. } => {
                self.may(by, Action::Administer, &Resource::Workspace(*id), now).await
            }
            MarkScope::Token(id) => match by {
                Authority::Operator => self.alive(by, now).await,
                Authority::Of(_) => {
                    self.alive(by, now).await?;
                    let missing = ManageError::Missing { what: "token" };
                    let record = self.held.storage().token(*id).await?;
                    let place = record.as_ref().and_then(place_of_token).ok_or(missing)?;
                    self.may(by, Action::Administer, &place, now).await.map_err(unless_denied("token"))
                }
            },
            MarkScope::Window { workspace: None, .. } | MarkScope::Principal(_) | MarkScope::Run(_) => {
                self.only_operator(by, now).await
            }
        }
    }

    /// An admin manages members and admins; what concerns an owner is an owner's.
    async fn owners_decide_owners(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        user: UserId,
        role: Option<Role>,
    ) -> Result<(), ManageError> {
        let Authority::Of(who) = by else { return Ok(()) };
        let role_of = async |user: UserId| -> Result<Option<Role>, StoreError> {
            let places = self.held.user(user).await?;
            let place = places.iter().find(|place| place.member.organization == organization);
            Ok(place.map(|place| place.member.role))
        };
        let concerns_owner = role == Some(Role::Owner) || role_of(user).await? == Some(Role::Owner);
        if !concerns_owner {
            return Ok(());
        }
        let own = match who.session.principal {
            Principal::User(author) => role_of(author).await?,
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                None
            }
        };
        if own == Some(Role::Owner) {
            Ok(())
        } else {
            Err(ManageError::Denied {
                explanation: "only an owner decides who is an owner".to_owned(),
                visible: true,
                decision: None,
            })
        }
    }
}

/// The place whose administrators manage this token; `None` for a person's own.
pub(crate) fn place_of_token(record: &TokenRecord) -> Option<Resource> {
    match (record.workspace, record.organization) {
        (Some(workspace), _) => Some(Resource::Workspace(workspace)),
        (None, Some(organization)) => Some(Resource::Organization(organization)),
        (None, None) => None,
    }
}

/// A person's own token is ended by one of theirs that carries all that it does, and by itself.
fn covers(by: &Authority<'_>, record: &TokenRecord) -> Result<(), ManageError> {
    let Authority::Of(who) = by else { return Ok(()) };
    if who.principal() != &record.owner || who.token_id() == Some(record.id) {
        return Ok(());
    }
    let (wanted, held) = (limit_of(&record.restrictions), limit_of(who.restrictions()));
    let is_bound = |restriction: &&Restriction| !matches!(restriction, Restriction::Actions(_));
    let as_bound = who.restrictions().iter().filter(is_bound).all(|one| record.restrictions.contains(one));
    if held.contains_all(wanted) && as_bound && who.session.named_workspace.is_none() {
        return Ok(());
    }
    Err(ManageError::MoreThanHeld { wanted, held })
}

/// What these settings give that the former ones did not; without former ones, all that they give.
fn opened(before: Option<&WorkspaceSettings>, after: &WorkspaceSettings) -> ActionSet {
    let raised = |before: Option<AccessLevel>, after: AccessLevel| match before {
        Some(before) if after <= before => ActionSet::EMPTY,
        Some(_) | None => after.actions(),
    };
    let anonymous = raised(before.map(|before| before.anonymous), after.anonymous);
    let personal = raised(before.map(|before| before.personal), after.personal);
    let members = match (before.map(|before| before.open_to), after.open_to) {
        (Some(OpenTo::Members), _) | (_, OpenTo::Listed) => ActionSet::EMPTY,
        (Some(OpenTo::Listed) | None, OpenTo::Members) => AccessLevel::ReadWrite.actions(),
    };
    anonymous.union(personal).union(members)
}

/// Whoever may not manage a thing does not learn that it exists.
fn unless_denied(what: &'static str) -> impl FnOnce(ManageError) -> ManageError {
    move |error| match error {
        ManageError::Denied { .. } => ManageError::Missing { what },
        error => error,
    }
}

/// What somebody else has made meanwhile is as good as made.
fn there_already(created: Result<(), StoreError>, is_there: bool) -> Result<(), StoreError> {
    match created {
        Err(StoreError::Exists { .. }) if is_there => Ok(()),
        created => created,
    }
}

/// The ids that the first start made, as its document keeps them: 64 bytes.
struct FirstIds {
    organization: OrganizationId,
    workspace: WorkspaceId,
    owner: UserId,
    administrator: TokenId,
}

impl FirstIds {
    fn to_bytes(&self) -> Vec<u8> {
        [
            self.organization.to_bytes(),
            self.workspace.to_bytes(),
            self.owner.to_bytes(),
            self.administrator.to_bytes(),
        ]
        .concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (organization, rest) = bytes.split_first_chunk()?;
        let (workspace, rest) = rest.split_first_chunk()?;
        let (owner, rest) = rest.split_first_chunk()?;
        Some(Self {
            organization: OrganizationId::from_bytes(*organization),
            workspace: WorkspaceId::from_bytes(*workspace),
            owner: UserId::from_bytes(*owner),
            administrator: TokenId::from_bytes(rest.try_into().ok()?),
        })
    }
}
