//! Looking at what there is: tokens, organizations, workspaces, members, groups, locks, marks of distrust.
//!
//! Whoever may not look at a thing gets the same answer as for one that is not there.

use cachegate_policy::LockScope;
use cachegate_storage::{
    GroupRecord, LockRecord, MarkRecord, MembershipRecord, OrganizationRecord, Revoked, TokenFilter,
    TokenKind, TokenRecord, UserRecord, WorkspaceRecord,
};
use cachegate_types::{
    Action, ActionSet, LockId, MarkId, OrganizationId, Principal, Resource, Restriction, Role, Timestamp,
    TokenId, UserId, WorkspaceId,
};

use crate::authenticate::AuthenticateError;
use crate::established::PlaceId;
use crate::gate::Inner;
use crate::manage::{Authority, ManageError, unless_denied};
use crate::verdict::{NotAuthenticated, Request};
use crate::{Authentication, Gate};

/// The most records that one page is picked from. Where few of them are for the caller's eyes a page may be short,
/// or empty, and still not the last.
pub(crate) const SCANNED: usize = 1000;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What is in it; it may be less than was asked for.
    pub items: Vec<T>,
    /// Where the next part begins; `None` when this is the last.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// A page of what was read with one more than `limit`.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> C) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// A token with what has become of it.
#[derive(Clone, Debug)]
pub struct TokenView {
    /// Its record.
    pub record: TokenRecord,
    /// Whether it still counts.
    pub state: TokenState,
}

/// Whether a token still counts, and if not, why.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TokenState {
    /// It counts.
    Live,
    /// Revoked: by itself, with many others, or with one that it came from; what revoked it where that is known.
    Revoked(Option<Revoked>),
    /// Expired, or one that it came from did.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Rotated, and its overlap is over.
    Superseded {
        /// When the overlap ended.
        at: Timestamp,
    },
}

impl TokenState {
    /// The stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Revoked(_) => "revoked",
            Self::Expired { .. } => "expired",
            Self::Superseded { .. } => "superseded",
        }
    }
}

/// An organization as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationView {
    /// Its record.
    pub record: OrganizationRecord,
    /// The caller's role in it, where the caller is a person.
    pub role: Option<Role>,
}

/// A workspace as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceView {
    /// Its record. Settings and list are for those who administer it.
    pub record: WorkspaceRecord,
    /// What the caller may do there, locks aside.
    pub actions: ActionSet,
}

/// A member with the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// The place and the groups.
    pub membership: MembershipRecord,
    /// The person.
    pub person: UserRecord,
}

impl Gate {
    /// One token: for its owner, and for administrators of what it belongs to.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn token(
        &self,
        by: &Authority<'_>,
        id: TokenId,
        now: Timestamp,
    ) -> Result<TokenView, ManageError> {
        let record = self.inner.visible_token(by, id, now).await?;
        self.inner.view(record, now).await
    }

    /// The tokens of a workspace or an organization, for its administrators, or of the person who asks: a page of at
    /// most `limit`, revoked and expired ones included for as long as they are kept.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn token_page(
        &self,
        by: &Authority<'_>,
        filter: &TokenFilter,
        after: Option<TokenId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<TokenView, TokenId>, ManageError> {
        let records = self.tokens(by, filter, after, limit.saturating_add(1), now).await?;
        let page = Page::cut(records, limit, |record| record.id);
        let mut items = Vec::with_capacity(page.items.len());
        for record in page.items {
            items.push(self.inner.view(record, now).await?);
        }
        Ok(Page { items, next: page.next })
    }

    /// Who the caller is, as people call them; `None` for a machine.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn person(
        &self,
        who: &Authentication,
        now: Timestamp,
    ) -> Result<Option<UserRecord>, ManageError> {
        self.inner.alive(&Authority::Of(who), now).await?;
        match who.principal() {
            Principal::User(id) => Ok(self.inner.held.storage().user(*id).await?),
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                Ok(None)
            }
        }
    }

    /// One organization: for its members, and for machines that may use all of it.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn organization(
        &self,
        by: &Authority<'_>,
        id: OrganizationId,
        now: Timestamp,
    ) -> Result<OrganizationView, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let missing = || ManageError::Missing { what: "organization" };
        let role = match by {
            Authority::Operator => None,
            Authority::Of(who) => inner.sees_organization(who, id, now).await?.ok_or_else(missing)?,
        };
        let record = inner.held.storage().organization(id).await?.ok_or_else(missing)?;
        Ok(OrganizationView { record, role })
    }

    /// The organizations that the caller is in, by ascending id.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn organizations(
        &self,
        by: &Authority<'_>,
        after: Option<OrganizationId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<OrganizationView, OrganizationId>, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let storage = inner.held.storage();
        let who = match by {
            Authority::Of(who) => who,
            Authority::Operator => {
                let records = storage.organizations(after, limit.saturating_add(1)).await?;
                let view = |record| OrganizationView { record, role: None };
                return Ok(Page::cut(records.into_iter().map(view).collect(), limit, |view| view.record.id));
            }
        };
        let places = match who.principal() {
            Principal::User(user) => {
                let places = inner.held.user(*user).await?;
                places.iter().map(|place| place.member.organization).collect()
            }
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                who.organization().into_iter().collect::<Vec<_>>()
            }
        };
        let mut items = Vec::new();
        for id in places.into_iter().filter(|id| after.is_none_or(|after| *id > after)) {
            let Some(role) = inner.sees_organization(who, id, now).await? else { continue };
            if let Some(record) = storage.organization(id).await? {
                items.push(OrganizationView { record, role });
            }
            if items.len() > limit {
                break;
            }
        }
        Ok(Page::cut(items, limit, |view| view.record.id))
    }

    /// One workspace: for whoever may do anything there.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn workspace(
        &self,
        by: &Authority<'_>,
        id: WorkspaceId,
        now: Timestamp,
    ) -> Result<WorkspaceView, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let missing = || ManageError::Missing { what: "workspace" };
        let actions = inner.usable(by, PlaceId::Workspace(id), now).await?;
        let record = inner.held.workspace(id).await?.filter(|_| !actions.is_empty()).ok_or_else(missing)?;
        Ok(WorkspaceView { record: (*record).clone(), actions })
    }

    /// The workspaces of an organization in which the caller may do anything, by ascending id. A page may be short
    /// and still not the last.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn workspaces(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        after: Option<WorkspaceId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<WorkspaceView, WorkspaceId>, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let records = inner.held.storage().workspaces(organization, after, SCANNED).await?;
        let whole = records.len() < SCANNED;
        let last = records.last().map(|record| record.id);
        let mut items = Vec::new();
        for record in records {
            let actions = inner.usable(by, PlaceId::Workspace(record.id), now).await?;
            if actions.is_empty() {
                continue;
            }
            items.push(WorkspaceView { record, actions });
            if items.len() > limit {
                return Ok(Page::cut(items, limit, |view| view.record.id));
            }
        }
        Ok(Page { items, next: last.filter(|_| !whole) })
    }

    /// The organization's members by ascending id: for its administrators.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn members(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        after: Option<UserId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<MemberView, UserId>, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        let storage = inner.held.storage();
        let records = storage.members(organization, after, limit.saturating_add(1)).await?;
        let page = Page::cut(records, limit, |record| record.member.user);
        let mut items = Vec::with_capacity(page.items.len());
        for membership in page.items {
            let person = storage.user(membership.member.user).await?;
            let person = person.ok_or(ManageError::Missing { what: "user" })?;
            items.push(MemberView { membership, person });
        }
        Ok(Page { items, next: page.next })
    }

    /// One member: for the organization's administrators.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn member(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<MemberView, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        let missing = || ManageError::Missing { what: "member" };
        let places = inner.held.storage().memberships(user).await?;
        let membership = places.into_iter().find(|place| place.member.organization == organization);
        let membership = membership.ok_or_else(missing)?;
        let person = inner.held.storage().user(user).await?.ok_or_else(missing)?;
        Ok(MemberView { membership, person })
    }

    /// The organization's groups by ascending id: for its administrators.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn groups(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Vec<GroupRecord>, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        Ok(inner.held.storage().groups(organization).await?)
    }

    /// The locks of places that the caller administers, by ascending id, ended ones included; all of them for the
    /// operator.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn locks(
        &self,
        by: &Authority<'_>,
        after: Option<LockId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<LockRecord, LockId>, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let mut items = Vec::new();
        let records = inner.held.storage().locks().await?;
        for record in records.into_iter().filter(|record| after.is_none_or(|after| record.lock.id > after)) {
            let place = match &record.lock.scope {
                LockScope::Organization(id) => Some(PlaceId::Organization(*id)),
                LockScope::Workspace(id) => Some(PlaceId::Workspace(*id)),
                LockScope::Everything | LockScope::Principal(_) | LockScope::Lane(_) => None,
            };
            if inner.administers(by, place, now).await? {
                items.push(record);
            }
            if items.len() > limit {
                break;
            }
        }
        Ok(Page::cut(items, limit, |record| record.lock.id))
    }

    /// The marks of distrust of places that the caller administers, by ascending id; all of them for the operator.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn marks(
        &self,
        by: &Authority<'_>,
        after: Option<MarkId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<MarkRecord, MarkId>, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let mut items = Vec::new();
        let records = inner.held.storage().marks().await?;
        for record in records.into_iter().filter(|record| after.is_none_or(|after| record.id > after)) {
            // As it is made, so it is seen: and the operator's own are the operator's.
            let seen = match by {
                Authority::Operator => true,
                Authority::Of(_) => match inner.may_mark(by, &record.scope, now).await {
                    Ok(()) => true,
                    Err(ManageError::Denied { .. } | ManageError::Missing { .. }) => false,
                    Err(error) => return Err(error),
                },
            };
            if seen {
                items.push(record);
            }
            if items.len() > limit {
                break;
            }
        }
        Ok(Page::cut(items, limit, |record| record.id))
    }
}

impl Inner {
    /// The token of this id, if the caller may look at it.
    pub(crate) async fn visible_token(
        &self,
        by: &Authority<'_>,
        id: TokenId,
        now: Timestamp,
    ) -> Result<TokenRecord, ManageError> {
        let missing = || ManageError::Missing { what: "token" };
        self.alive(by, now).await?;
        let record = self.held.storage().token(id).await?.ok_or_else(missing)?;
        let Authority::Of(who) = by else { return Ok(record) };
        if acts_for(who, &record.owner) {
            return Ok(record);
        }
        let place = super::place_of_token(&record).ok_or_else(missing)?;
        self.may(by, Action::Administer, &place, now).await.map_err(unless_denied("token"))?;
        Ok(record)
    }

    async fn view(&self, record: TokenRecord, now: Timestamp) -> Result<TokenView, ManageError> {
        let state = self.state(&record, now).await?;
        Ok(TokenView { record, state })
    }

    /// What has become of a token.
    pub(crate) async fn state(
        &self,
        record: &TokenRecord,
        now: Timestamp,
    ) -> Result<TokenState, ManageError> {
        match self.life(record, now).await {
            Ok(_) => Ok(TokenState::Live),
            Err(AuthenticateError::NotAuthenticated(reason)) => match reason {
                NotAuthenticated::Expired { at } => Ok(TokenState::Expired { at }),
                NotAuthenticated::Superseded { at } => Ok(TokenState::Superseded { at }),
                _ => {
                    let globals = self.held.globals().await?;
                    let mass = globals.revocations.iter().find(|revocation| revocation.takes(record));
                    let mass = mass.map(|revocation| &revocation.revoked);
                    Ok(TokenState::Revoked(record.revoked.as_ref().or(mass).cloned()))
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The role in which somebody sees an organization; the outer `None`: they do not.
    async fn sees_organization(
        &self,
        who: &Authentication,
        id: OrganizationId,
        now: Timestamp,
    ) -> Result<Option<Option<Role>>, ManageError> {
        let Principal::User(user) = who.principal() else {
            let rights = self.rights(&who.session, PlaceId::Organization(id)).await?;
            return Ok((!rights.rights.usable(now).is_empty()).then_some(None));
        };
        let admitted = who.session.named_workspace.is_none()
            && who.restrictions().iter().all(|restriction| match restriction {
                Restriction::Organization(organization) => *organization == id,
                Restriction::Workspaces(_) | Restriction::Releases { .. } | Restriction::Closure { .. } => {
                    false
                }
                Restriction::Actions(_) | Restriction::Until(_) => true,
            });
        let places = self.held.user(*user).await?;
        let place = places.iter().find(|place| {
            let since = place.member.tokens_since;
            place.member.organization == id && since.is_none_or(|since| who.session.rooted_at >= since)
        });
        Ok(place.filter(|_| admitted).map(|place| Some(place.member.role)))
    }

    /// What somebody may do in a place, locks aside.
    pub(crate) async fn usable(
        &self,
        by: &Authority<'_>,
        place: PlaceId,
        now: Timestamp,
    ) -> Result<ActionSet, ManageError> {
        match by {
            Authority::Operator => Ok(ActionSet::ALL),
            Authority::Of(who) => Ok(self.rights(&who.session, place).await?.rights.usable(now)),
        }
    }

    /// Whether somebody administers this place; `None` is nowhere in particular, which is the operator's.
    async fn administers(
        &self,
        by: &Authority<'_>,
        place: Option<PlaceId>,
        now: Timestamp,
    ) -> Result<bool, ManageError> {
        match (by, place) {
            (Authority::Operator, _) => Ok(true),
            (Authority::Of(_), None) => Ok(false),
            (Authority::Of(who), Some(place)) => {
                let request = place.into();
                let request = Request::new(Action::Administer, &request);
                Ok(self.decide(&who.session, &request, now).await?.is_allowed())
            }
        }
    }
}

/// Whether this credential speaks for this person in what concerns the person's own tokens: a personal token or a
/// session that reaches all of theirs. One that reads a closure or resolves a release was given to a machine.
pub(crate) fn acts_for(who: &Authentication, owner: &Principal) -> bool {
    let kind =
        matches!(who.token_kind(), Some(TokenKind::Personal | TokenKind::Session | TokenKind::Browser));
    let narrow = who
        .restrictions()
        .iter()
        .any(|one| matches!(one, Restriction::Releases { .. } | Restriction::Closure { .. }));
    matches!(owner, Principal::User(_)) && who.principal() == owner && kind && !narrow
}
