//! What may this token do, and who may do this here? Asked by whoever manages it, answered without the secret.

use cachegate_policy::{Lock, Membership, Place, Rights, Standing, Workspace};
use cachegate_storage::{MembershipRecord, TokenFilter, TokenKind, TokenRecord, WorkspaceRecord};
use cachegate_types::{
    Action, ActionSet, GrantSource, Lane, LockId, Resource, Restriction, Timestamp, TokenId, UserId,
    WorkspaceId,
};

use crate::Gate;
use crate::established::PlaceId;
use crate::gate::Inner;
use crate::manage::{Authority, ManageError, Page, SCANNED, TokenState};

/// What a token may do in one place.
#[derive(Clone, Debug)]
pub struct TokenRights {
    /// Whether it still counts. One that does not may do nothing.
    pub state: TokenState,
    /// The place: a workspace, or an organization itself.
    pub place: Resource,
    /// What it may do there, locks aside.
    pub actions: ActionSet,
    /// The lanes that it reads, in the order in which it looks.
    pub reads: Vec<Lane>,
    /// The lane that it writes, where it may write.
    pub writes: Option<Lane>,
    /// What gives it that.
    pub sources: Vec<(GrantSource, ActionSet)>,
    /// What cuts it.
    pub restrictions: Vec<Restriction>,
    /// The locks that stop some of it at present.
    pub locks: Vec<LockId>,
}

/// Somebody who may do something in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub who: AccessParty,
    /// What they may do there, locks aside.
    pub actions: ActionSet,
    /// The lane that they write, where they may write.
    pub writes: Option<Lane>,
    /// What gives it to them.
    pub sources: Vec<GrantSource>,
}

/// Who may do something in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessParty {
    /// Whoever asks without a credential.
    Anonymous,
    /// A member, by a personal token or a login that is cut to no less.
    User(UserId),
    /// Whoever holds this token.
    Token(TokenId, TokenKind),
}

/// Where the next page of [`Gate::access`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessCursor {
    /// After this member; `None`: with the first.
    Members(Option<UserId>),
    /// After this token; `None`: with the first.
    Tokens(Option<TokenId>),
}

impl Gate {
    /// What a token may do in a workspace, or in the place that it belongs to, without its secret: for whoever manages
    /// the token, as [`Gate::token`] has it. In a place where it may do nothing, one that exists reads as one that
    /// does not.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Missing` with the kind `place` for a token that belongs to none, where none was named.
    pub async fn explain_token(
        &self,
        by: &Authority<'_>,
        token: TokenId,
        workspace: Option<WorkspaceId>,
        now: Timestamp,
    ) -> Result<TokenRights, ManageError> {
        let inner = &*self.inner;
        let record = inner.visible_token(by, token, now).await?;
        let place = workspace
            .or(record.workspace)
            .map(PlaceId::Workspace)
            .or(record.organization.map(PlaceId::Organization))
            .ok_or(ManageError::Missing { what: "place" })?;
        let state = inner.state(&record, now).await?;
        let mut told = TokenRights {
            state,
            place: place.into(),
            actions: ActionSet::EMPTY,
            reads: Vec::new(),
            writes: None,
            sources: Vec::new(),
            restrictions: record.restrictions.clone(),
            locks: Vec::new(),
        };
        if told.state != TokenState::Live || matches!(record.kind, TokenKind::Refresh | TokenKind::Browser) {
            return Ok(told);
        }
        let rights = inner.rights_of(&record, place, now).await?;
        told.actions = rights.usable(now);
        if told.actions.is_empty() {
            return Ok(told);
        }
        told.sources = rights.grants().iter().map(|grant| (grant.source, grant.actions)).collect();
        let found = match place {
            PlaceId::Workspace(id) => inner.held.workspace(id).await?,
            PlaceId::Organization(_) => None,
        };
        if let Some(view) = rights.view().filter(|_| told.actions.contains(Action::Read)) {
            let order = found.as_ref().map(|found| found.settings.lanes);
            let reached = |lane: &&Lane| match (order, record.floor) {
                (Some(order), Some(floor)) => order.rank(lane.class()) <= order.rank(floor),
                _ => true,
            };
            told.reads = view.lanes().filter(reached).cloned().collect();
        }
        told.writes = writes(&rights, told.actions);
        let lane = rights.view().and_then(|view| view.own()).map(Lane::class);
        let (organization, inside) = match (place, &found) {
            (PlaceId::Organization(id), _) => (id, None),
            (PlaceId::Workspace(id), Some(found)) => (found.organization, Some(id)),
            // A place that is not there has no rights in it: it was answered above.
            (PlaceId::Workspace(_), None) => return Ok(told),
        };
        let stops = |lock: &&Lock| {
            let mut actions = told.actions.iter();
            actions.any(|action| lock.stops(organization, inside, &record.owner, lane, action, now))
        };
        let globals = inner.held.globals().await?;
        told.locks = globals.locks.iter().filter(stops).map(|lock| lock.id).collect();
        Ok(told)
    }

    /// Who may do `action` in a workspace, locks aside: everyone without a credential, then the members, then the
    /// tokens that hold rights of their own. For the workspace's administrators. A page may be short and still not the
    /// last.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn access(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        action: Action,
        after: Option<AccessCursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<Access, AccessCursor>, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Workspace(workspace), now).await?;
        let found =
            inner.held.workspace(workspace).await?.ok_or(ManageError::Missing { what: "workspace" })?;
        let asked = Asked { workspace: &found, action, limit, now };
        let mut items = Vec::new();
        if after.is_none() {
            let rights = Rights::compile(&Place::Workspace(&described(&found)), &Standing::Anonymous, &[]);
            items.extend(asked.access(AccessParty::Anonymous, &rights));
        }
        let tokens = match after {
            None => inner.members_who(&asked, None, &mut items).await?,
            Some(AccessCursor::Members(member)) => inner.members_who(&asked, member, &mut items).await?,
            Some(AccessCursor::Tokens(token)) => Some(AccessCursor::Tokens(token)),
        };
        match tokens {
            Some(AccessCursor::Tokens(token)) if items.len() < limit => {
                let next = inner.tokens_which(&asked, token, &mut items).await?;
                Ok(Page { items, next })
            }
            next => Ok(Page { items, next }),
        }
    }
}

/// The question of [`Gate::access`].
struct Asked<'a> {
    workspace: &'a WorkspaceRecord,
    action: Action,
    limit: usize,
    now: Timestamp,
}

impl Asked<'_> {
    fn access(&self, who: AccessParty, rights: &Rights) -> Option<Access> {
        let actions = rights.usable(self.now);
        let gives = rights.grants().iter().filter(|grant| grant.actions.contains(self.action));
        actions.contains(self.action).then(|| Access {
            who,
            actions,
            writes: writes(rights, actions),
            sources: gives.map(|grant| grant.source).collect(),
        })
    }
}

impl Inner {
    /// Adds the members, and tells where to go on.
    async fn members_who(
        &self,
        asked: &Asked<'_>,
        after: Option<UserId>,
        items: &mut Vec<Access>,
    ) -> Result<Option<AccessCursor>, ManageError> {
        let storage = self.held.storage();
        let members = storage.members(asked.workspace.organization, after, SCANNED).await?;
        let whole = members.len() < SCANNED;
        let mut last = after;
        for place in members {
            if items.len() >= asked.limit {
                return Ok(Some(AccessCursor::Members(last)));
            }
            last = Some(place.member.user);
            let rights = member_rights(asked.workspace, &place);
            items.extend(asked.access(AccessParty::User(place.member.user), &rights));
        }
        Ok(Some(if whole { AccessCursor::Tokens(None) } else { AccessCursor::Members(last) }))
    }

    /// Adds the tokens with rights of their own, and tells where to go on.
    async fn tokens_which(
        &self,
        asked: &Asked<'_>,
        after: Option<TokenId>,
        items: &mut Vec<Access>,
    ) -> Result<Option<AccessCursor>, ManageError> {
        let filter = TokenFilter {
            organization: Some(asked.workspace.organization),
            live_at: Some(asked.now),
            ..TokenFilter::default()
        };
        let tokens = self.held.storage().tokens(&filter, after, SCANNED).await?;
        let whole = tokens.len() < SCANNED;
        let mut last = after;
        for token in tokens {
            if items.len() >= asked.limit {
                return Ok(Some(AccessCursor::Tokens(last)));
            }
            last = Some(token.id);
            if self.state(&token, asked.now).await? != TokenState::Live {
                continue;
            }
            let place = PlaceId::Workspace(asked.workspace.id);
            let rights = self.rights_of(&token, place, asked.now).await?;
            items.extend(asked.access(AccessParty::Token(token.id, token.kind), &rights));
        }
        Ok(Some(AccessCursor::Tokens(last)).filter(|_| !whole))
    }

    /// The rights of a living token, as a credential would have them.
    async fn rights_of(
        &self,
        record: &TokenRecord,
        place: PlaceId,
        now: Timestamp,
    ) -> Result<Rights, ManageError> {
        let session = self.session_of_record(record, now).await?;
        Ok(self.rights(&session, place).await?.rights.clone())
    }
}

fn described(record: &WorkspaceRecord) -> Workspace {
    Workspace { id: record.id, organization: record.organization, settings: record.settings.clone() }
}

fn member_rights(workspace: &WorkspaceRecord, place: &MembershipRecord) -> Rights {
    let membership = Membership { role: place.member.role, groups: place.groups.clone() };
    let standing =
        Standing::User { user: place.member.user, membership: Some(&membership), listed: &workspace.listed };
    Rights::compile(&Place::Workspace(&described(workspace)), &standing, &[])
}

fn writes(rights: &Rights, actions: ActionSet) -> Option<Lane> {
    let own = rights.view().and_then(|view| view.own());
    own.filter(|_| actions.contains(Action::Write)).cloned()
}
