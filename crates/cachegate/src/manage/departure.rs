//! Who belongs to an organization, as somebody says: joining, leaving, and what leaving does.

use cachegate_storage::{
    Act, GroupRecord, MembershipRecord, StoreError, TokenFilter, TokenKind, TokenRecord, UserRecord,
};
use cachegate_types::{
    AccessLevel, Action, ActionSet, GroupId, Name, OrganizationId, Principal, Resource, Restriction, Role,
    Timestamp, TokenId, UserId,
};

use crate::authenticate::AuthenticateError;
use crate::gate::Inner;
use crate::manage::{Authority, ManageError, SCANNED, TokenState};
use crate::{Authentication, Gate};

/// What directories are called in the audit.
const DIRECTORY: &str = "directory";

/// Who says that somebody belongs to an organization, or has left.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// An administrator, or the operator.
    By(Authority<'a>),
    /// A directory that the operator connected to the organization. It makes members, and no owner.
    Directory {
        /// Its name: the audit knows it as a workload that this name vouches for.
        name: &'a Name,
        /// The credential that it shows, which must be allowed `provision` here; `None` where whoever asks has checked
        /// by other means that it is the directory.
        credential: Option<&'a Authentication>,
    },
}

impl Source<'_> {
    /// What the audit keeps of an act of theirs.
    pub fn act(&self, at: Timestamp) -> Act {
        match self {
            Self::By(by) => by.act(at),
            Self::Directory { credential: Some(who), .. } => Authority::Of(who).act(at),
            Self::Directory { name, credential: None } => {
                let by = Principal::Workload { anchor: (*name).clone(), subject: DIRECTORY.into() };
                Act { by, token: None, at }
            }
        }
    }
}

/// What the end of a membership does, or has done.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The organization.
    pub organization: OrganizationId,
    /// Who leaves it.
    pub person: UserRecord,
    /// The role that ends; `None`: they are no member.
    pub role: Option<Role>,
    /// The groups of the organization that they are taken off, ascending.
    pub groups: Vec<GroupId>,
    /// Their own live tokens that this organization refuses from then on, by ascending id. Their other organizations
    /// go on to take them.
    pub dying: Vec<DyingToken>,
    /// The organization's live tokens that they made, by ascending id: they stay, and are to be looked at.
    pub staying: Vec<TokenRecord>,
    /// Whether there are more of either than are told here.
    pub more: bool,
}

/// A person's own token, as far as it concerns an organization that they leave. What the person calls it is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DyingToken {
    /// Its id.
    pub id: TokenId,
    /// Its kind.
    pub kind: TokenKind,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it would have ended.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour or so.
    pub last_used: Option<Timestamp>,
}

impl Gate {
    /// Makes a person a member of the organization. Whoever is one keeps their role; the answer is whether they were
    /// none. A directory makes members and administrators and no owner.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn join(
        &self,
        source: &Source<'_>,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        now: Timestamp,
    ) -> Result<bool, ManageError> {
        let inner = &*self.inner;
        let wanted = AccessLevel::ReadWrite.actions().union(role.actions());
        inner.may_provision(source, organization, wanted, now).await?;
        match source {
            Source::By(by) => inner.owners_decide_owners(by, organization, user, Some(role)).await?,
            Source::Directory { .. } if role == Role::Owner => return Err(no_owner()),
            Source::Directory { .. } => {}
        }
        if inner.membership(organization, user).await?.is_some() {
            return Ok(false);
        }
        let storage = inner.held.storage();
        let revision = storage.set_member(organization, user, role, &source.act(now)).await?;
        inner.take_in(revision).await;
        Ok(true)
    }

    /// What it would do if the person left the organization now.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Missing` for somebody who was never seen.
    pub async fn departure(
        &self,
        source: &Source<'_>,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Departure, ManageError> {
        let inner = &*self.inner;
        inner.may_provision(source, organization, ActionSet::EMPTY, now).await?;
        let place = inner.membership(organization, user).await?;
        inner.departure(organization, user, place, now).await
    }

    /// Ends a membership, and tells what that did. From the next request on their tokens are refused here; their other
    /// organizations stay. Whoever is no member stays none.
    ///
    /// A directory ends no membership of the last owner: nobody could undo it.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; [`ManageError::LastOwner`].
    pub async fn leave(
        &self,
        source: &Source<'_>,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Departure, ManageError> {
        let inner = &*self.inner;
        inner.may_provision(source, organization, ActionSet::EMPTY, now).await?;
        let place = inner.membership(organization, user).await?;
        if let Some(place) = &place {
            match source {
                Source::By(by) => inner.owners_decide_owners(by, organization, user, None).await?,
                Source::Directory { .. } if place.member.role == Role::Owner => {
                    inner.another_owner(organization, user).await?;
                }
                Source::Directory { .. } => {}
            }
            match inner.held.storage().remove_member(organization, user, &source.act(now)).await {
                Ok(revision) => drop(inner.take_in(revision).await),
                // Somebody else was first.
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Told after it is done: nothing that is made meanwhile is left out.
        inner.departure(organization, user, place, now).await
    }

    /// Adds a group or replaces it whole. A new group gets a new id.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn keep_group(
        &self,
        source: &Source<'_>,
        organization: OrganizationId,
        id: Option<GroupId>,
        name: Name,
        members: Vec<UserId>,
        now: Timestamp,
    ) -> Result<GroupId, ManageError> {
        let inner = &*self.inner;
        inner.may_provision(source, organization, Role::Admin.actions(), now).await?;
        let id = match id {
            Some(id) => id,
            None => GroupId::new(now, inner.random().ok_or(ManageError::Randomness)?),
        };
        let record = GroupRecord { id, organization, name, members };
        let revision = inner.held.storage().put_group(&record, &source.act(now)).await?;
        inner.take_in(revision).await;
        Ok(id)
    }

    /// Removes a group of the organization; one that is not there stays away.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn drop_group(
        &self,
        source: &Source<'_>,
        organization: OrganizationId,
        id: GroupId,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let inner = &*self.inner;
        inner.may_provision(source, organization, ActionSet::EMPTY, now).await?;
        if inner.held.storage().groups(organization).await?.iter().all(|group| group.id != id) {
            return Ok(());
        }
        match inner.held.storage().remove_group(id, &source.act(now)).await {
            Ok(revision) => drop(inner.take_in(revision).await),
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether a credential is a directory's own for this organization: it may `provision` there, and nothing else
    /// anywhere.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn may_provision(
        &self,
        who: &Authentication,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        self.inner.provisions(who, organization, now).await
    }
}

impl Inner {
    /// Whether somebody may say who belongs to the organization, and give them `wanted`.
    async fn may_provision(
        &self,
        source: &Source<'_>,
        organization: OrganizationId,
        wanted: ActionSet,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let place = Resource::Organization(organization);
        match source {
            Source::By(by) => {
                self.may(by, Action::Administer, &place, now).await?;
                self.holds(by, &place, wanted, now).await
            }
            Source::Directory { credential: Some(who), .. } => self.provisions(who, organization, now).await,
            Source::Directory { credential: None, .. } => Ok(self.ensure_newest(now).await?),
        }
    }

    async fn provisions(
        &self,
        who: &Authentication,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let (by, place) = (Authority::Of(who), Resource::Organization(organization));
        self.may(&by, Action::Provision, &place, now).await?;
        // What a directory's server holds, whoever breaks into it holds.
        let provision = ActionSet::of(&[Action::Provision]);
        let held = self.rights(&who.session, crate::gate::place_of(&place)).await?.rights.ceiling(now);
        if held != provision || who.token_kind() != Some(TokenKind::Device) {
            return Err(ManageError::MoreThanNeeded { held });
        }
        Ok(())
    }

    async fn membership(
        &self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Option<MembershipRecord>, StoreError> {
        let places = self.held.storage().memberships(user).await?;
        Ok(places.into_iter().find(|place| place.member.organization == organization))
    }

    async fn another_owner(&self, organization: OrganizationId, user: UserId) -> Result<(), ManageError> {
        let mut after = None;
        loop {
            let members = self.held.storage().members(organization, after, SCANNED).await?;
            let owns =
                |place: &MembershipRecord| place.member.role == Role::Owner && place.member.user != user;
            if members.iter().any(owns) {
                return Ok(());
            }
            match members.last() {
                Some(last) if members.len() == SCANNED => after = Some(last.member.user),
                Some(_) | None => return Err(ManageError::LastOwner),
            }
        }
    }

    async fn departure(
        &self,
        organization: OrganizationId,
        user: UserId,
        place: Option<MembershipRecord>,
        now: Timestamp,
    ) -> Result<Departure, ManageError> {
        let storage = self.held.storage();
        let person = storage.user(user).await?.ok_or(ManageError::Missing { what: "user" })?;
        let of_user = Principal::User(user);
        let own = TokenFilter { owner: Some(of_user.clone()), live_at: Some(now), ..TokenFilter::default() };
        let own = match place {
            Some(_) => storage.tokens(&own, None, SCANNED).await?,
            None => Vec::new(),
        };
        let since = place.as_ref().and_then(|place| place.member.tokens_since);
        let mut more = own.len() == SCANNED;
        let mut dying = Vec::new();
        for record in own {
            let reaches = record.restrictions.iter().all(|one| match one {
                Restriction::Organization(other) => *other == organization,
                Restriction::Actions(_)
                | Restriction::Workspaces(_)
                | Restriction::Releases { .. }
                | Restriction::Closure { .. }
                | Restriction::Until(_) => true,
            });
            let lives = reaches
                && match self.life(&record, now).await {
                    Ok(life) => since.is_none_or(|since| life.rooted_at >= since),
                    Err(AuthenticateError::NotAuthenticated(_)) => false,
                    Err(error) => return Err(error.into()),
                };
            if lives {
                let TokenRecord { id, kind, issued_at, expires_at, last_used, .. } = record;
                dying.push(DyingToken { id, kind, issued_at, expires_at, last_used });
            }
        }
        let theirs =
            TokenFilter { organization: Some(organization), live_at: Some(now), ..TokenFilter::default() };
        let mut staying = Vec::new();
        let mut after = None;
        loop {
            let tokens = storage.tokens(&theirs, after, SCANNED).await?;
            let last = tokens.last().map(|record| record.id).filter(|_| tokens.len() == SCANNED);
            for record in tokens {
                // Sessions end by themselves.
                let theirs =
                    record.created_by == of_user && matches!(record.kind, TokenKind::Ci | TokenKind::Device);
                if theirs && self.state(&record, now).await? == TokenState::Live {
                    staying.push(record);
                }
            }
            if staying.len() > SCANNED {
                staying.truncate(SCANNED);
                more = true;
                break;
            }
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        let role = place.as_ref().map(|place| place.member.role);
        let groups = place.map(|place| place.groups).unwrap_or_default();
        Ok(Departure { organization, person, role, groups, dying, staying, more })
    }
}

fn no_owner() -> ManageError {
    ManageError::Denied {
        explanation: "only an owner decides who is an owner".to_owned(),
        visible: true,
        decision: None,
    }
}
