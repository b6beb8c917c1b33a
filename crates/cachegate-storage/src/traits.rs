//! The storage traits: small, object-safe, the guarantee first.
//!
//! Each guarantee ends with the name of the conformance case that holds a back-end to it. An act that the caller is
//! told of has been committed, and will survive what the back-end promises to survive; its audit record was
//! committed with it. Every error leaves everything as it was, except [`StoreError::Unavailable`], after which an
//! act may or may not have been done.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use cachegate_policy::{Listed, WorkspaceSettings};
use cachegate_types::{
    ClosureId, EntryKey, GroupId, LockId, MarkId, Name, OrganizationId, Revision, Role, Timestamp, TokenId,
    UserId, Version, WorkspaceId,
};

use crate::{
    Act, AuditEntry, AuditRecord, Changes, GroupRecord, Heartbeat, KeyRecord, LockRecord, MarkRecord,
    MassRevocation, MembershipRecord, OrganizationRecord, Preconditions, ReleaseRecord, Revoked,
    RulesDocument, StoreError, TokenFilter, TokenRecord, UserRecord, WorkspaceRecord,
};

/// A result of a store.
type Stored<T> = Result<T, StoreError>;

/// Revisions and the feed of changes.
///
/// Only a change to what a node may already hold takes a revision: a new token or a new organization does not. Each
/// change takes exactly one, in commit order, without gaps.
#[async_trait]
pub trait Revisions: Send + Sync {
    /// The newest committed revision, read from the primary.
    async fn heartbeat(&self) -> Stored<Heartbeat>;

    /// The changes after `after`, at most `limit` of them (at least one if there is one).
    async fn changes_after(&self, after: Revision, limit: usize) -> Stored<Changes>;

    /// Completes when something may have changed; a hint that proves nothing. The default never completes.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

/// Organizations.
#[async_trait]
pub trait Organizations: Send + Sync {
    /// Adds an organization. `Exists` when its id or name is taken.
    async fn create_organization(&self, record: &OrganizationRecord, act: &Act) -> Stored<()>;

    /// The organization of this id.
    async fn organization(&self, id: OrganizationId) -> Stored<Option<OrganizationRecord>>;

    /// The organization of this name.
    async fn organization_by_name(&self, name: &Name) -> Stored<Option<OrganizationRecord>>;

    /// Organizations by ascending id, those after `after`, at most `limit`.
    async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: usize,
    ) -> Stored<Vec<OrganizationRecord>>;
}

/// Workspaces, their settings and their lists.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Adds a workspace. `Exists` when its id, or its name in the organization, is taken; `Missing` without the
    /// organization.
    async fn create_workspace(&self, record: &WorkspaceRecord, act: &Act) -> Stored<()>;

    /// The workspace of this id.
    async fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>>;

    /// The workspace of this name in this organization.
    async fn workspace_by_name(
        &self,
        organization: OrganizationId,
        name: &Name,
    ) -> Stored<Option<WorkspaceRecord>>;

    /// The organization's workspaces by ascending id, those after `after`, at most `limit`.
    async fn workspaces(
        &self,
        organization: OrganizationId,
        after: Option<WorkspaceId>,
        limit: usize,
    ) -> Stored<Vec<WorkspaceRecord>>;

    /// Replaces the settings whole. A changed lane order gets the next lane generation, whatever the argument says;
    /// otherwise the generation stays. `Missing` without the workspace.
    async fn set_settings(
        &self,
        id: WorkspaceId,
        settings: &WorkspaceSettings,
        act: &Act,
    ) -> Stored<Revision>;

    /// Replaces the list whole. `Missing` without the workspace.
    async fn set_listed(&self, id: WorkspaceId, listed: &[Listed], act: &Act) -> Stored<Revision>;
}

/// People, their places in organizations, and groups.
#[async_trait]
pub trait Members: Send + Sync {
    /// Adds a person. `Exists` when the id is taken.
    async fn create_user(&self, record: &UserRecord, act: &Act) -> Stored<()>;

    /// The person of this id.
    async fn user(&self, id: UserId) -> Stored<Option<UserRecord>>;

    /// Makes the person a member, or changes the role. Somebody who left and comes back keeps `tokens_since` at the
    /// second after they left, so that tokens of the former time stay dead. `Missing` without person or
    /// organization.
    async fn set_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Stored<Revision>;

    /// Ends the membership and takes the person off the organization's groups. `Missing` when there is none.
    async fn remove_member(&self, organization: OrganizationId, user: UserId, act: &Act) -> Stored<Revision>;

    /// Every place of the person, by ascending organization id.
    async fn memberships(&self, user: UserId) -> Stored<Vec<MembershipRecord>>;

    /// The organization's members by ascending user id, those after `after`, at most `limit`.
    async fn members(
        &self,
        organization: OrganizationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Stored<Vec<MembershipRecord>>;

    /// Adds a group or replaces it whole. `Exists` when another group of the organization has the name; `Missing`
    /// without the organization.
    async fn put_group(&self, record: &GroupRecord, act: &Act) -> Stored<Revision>;

    /// Removes a group. `Missing` when there is none.
    async fn remove_group(&self, id: GroupId, act: &Act) -> Stored<Revision>;

    /// The organization's groups by ascending id.
    async fn groups(&self, organization: OrganizationId) -> Stored<Vec<GroupRecord>>;
}

/// Tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Adds a token. In the same transaction, and with their rows locked, its ancestors and everything in
    /// `preconditions` are read again: `Precondition` when one no longer holds. `Exists` when the id is taken.
    /// Takes no revision.
    async fn insert_token(
        &self,
        record: &TokenRecord,
        preconditions: &Preconditions,
        act: &Act,
    ) -> Stored<()>;

    /// Adds a successor and marks the predecessor as superseded, both or neither. `Precondition` when the
    /// predecessor is revoked, expired or already superseded, so that of many racing rotations one wins.
    async fn rotate_token(
        &self,
        predecessor: TokenId,
        successor: &TokenRecord,
        overlap_until: Timestamp,
        act: &Act,
    ) -> Stored<Revision>;

    /// The token of this id, revoked and expired ones included.
    async fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>>;

    /// Tokens by ascending id, those after `after`, at most `limit`.
    async fn tokens(
        &self,
        filter: &TokenFilter,
        after: Option<TokenId>,
        limit: usize,
    ) -> Stored<Vec<TokenRecord>>;

    /// Revokes one token. Of a token that is revoked already, the first revocation stays as it is; the answer is a
    /// revision that includes it. `Missing` when there is no such token.
    async fn revoke_token(&self, id: TokenId, revoked: &Revoked, act: &Act) -> Stored<Revision>;

    /// Revokes many by one row.
    async fn revoke_many(&self, revocation: &MassRevocation, act: &Act) -> Stored<Revision>;

    /// Every mass revocation, oldest first.
    async fn mass_revocations(&self) -> Stored<Vec<MassRevocation>>;

    /// Notes when tokens were last used: never earlier than already noted, unknown ids passed over. No revision, no
    /// audit.
    async fn touch_tokens(&self, uses: &[(TokenId, Timestamp)]) -> Stored<()>;

    /// Removes tokens that expired before `before`. Those that are somebody's ancestor stay. Answers how many.
    async fn purge_tokens(&self, before: Timestamp) -> Stored<u64>;
}

/// Keys: what the public may know of them, and sealed rows that the store cannot read.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Adds a key or replaces its record whole. A revocation, once there, stays.
    async fn put_key(&self, record: &KeyRecord, act: &Act) -> Stored<Revision>;

    /// Every key, oldest first.
    async fn keys(&self) -> Stored<Vec<KeyRecord>>;

    /// Adds a sealed row. `Exists` when the id is taken. Takes no revision.
    async fn put_sealed(&self, id: &str, bytes: &[u8]) -> Stored<()>;

    /// The sealed row of this id.
    async fn sealed(&self, id: &str) -> Stored<Option<Vec<u8>>>;
}

/// Documents that the store does not read.
#[async_trait]
pub trait Rules: Send + Sync {
    /// Writes a document. `expected` is the revision that the writer read: `None` where there was no document;
    /// `Precondition` when it is another by now.
    async fn put_rules(
        &self,
        name: &Name,
        bytes: &[u8],
        expected: Option<Revision>,
        act: &Act,
    ) -> Stored<Revision>;

    /// The document of this name.
    async fn rules(&self, name: &Name) -> Stored<Option<RulesDocument>>;
}

/// Locks.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Adds a lock. `Exists` when the id is taken.
    async fn put_lock(&self, record: &LockRecord, act: &Act) -> Stored<Revision>;

    /// Takes a lock away. `Missing` when there is none.
    async fn lift_lock(&self, id: LockId, act: &Act) -> Stored<Revision>;

    /// Every lock, by ascending id, ended ones included.
    async fn locks(&self) -> Stored<Vec<LockRecord>>;
}

/// Marks of distrust.
#[async_trait]
pub trait Distrust: Send + Sync {
    /// Adds a mark. `Exists` when the id is taken.
    async fn put_mark(&self, record: &MarkRecord, act: &Act) -> Stored<Revision>;

    /// Takes a mark away: what it marked is trusted again. `Missing` when there is none.
    async fn lift_mark(&self, id: MarkId, act: &Act) -> Stored<Revision>;

    /// Every mark, by ascending id.
    async fn marks(&self) -> Stored<Vec<MarkRecord>>;
}

/// What may happen once.
#[async_trait]
pub trait SingleUse: Send + Sync {
    /// Uses up `key` within `scope`. `true` for exactly one of all calls with the pair, whoever makes them, until
    /// it is purged.
    async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool>;

    /// Forgets what need not be kept after `now`. Answers how many.
    async fn purge_consumed(&self, now: Timestamp) -> Stored<u64>;
}

/// Releases and the closures that they need.
#[async_trait]
pub trait Releases: Send + Sync {
    /// Publishes a release, with the keys in its closure. `Exists` when the workspace has the version; a release
    /// never changes. `Missing` without the workspace.
    async fn publish_release(&self, record: &ReleaseRecord, closure: &[EntryKey], act: &Act) -> Stored<()>;

    /// Withdraws a release. Withdrawing again changes nothing. `Missing` when there is none.
    async fn yank_release(&self, workspace: WorkspaceId, version: &Version, act: &Act) -> Stored<()>;

    /// The release of this version, yanked ones included.
    async fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>>;

    /// The workspace's releases by ascending version, yanked ones included.
    async fn releases(&self, workspace: WorkspaceId) -> Stored<Vec<ReleaseRecord>>;

    /// The closures of the workspace that hold the key, ascending; those of yanked releases included.
    async fn closures_of(&self, workspace: WorkspaceId, key: &EntryKey) -> Stored<Vec<ClosureId>>;
}

/// The audit: append-only, chained by digests. Management acts append by themselves.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Appends entries, all or none, in this order.
    async fn append_audit(&self, entries: &[AuditEntry]) -> Stored<()>;

    /// Records by ascending number, those after number `after`, at most `limit`.
    async fn audit(&self, after: u64, limit: usize) -> Stored<Vec<AuditRecord>>;
}

/// All of it.
pub trait Storage:
    Revisions
    + Organizations
    + Workspaces
    + Members
    + Tokens
    + Keys
    + Rules
    + Locks
    + Distrust
    + SingleUse
    + Releases
    + Audit
{
}

impl<
    T: Revisions
        + Organizations
        + Workspaces
        + Members
        + Tokens
        + Keys
        + Rules
        + Locks
        + Distrust
        + SingleUse
        + Releases
        + Audit
        + ?Sized,
> Storage for T
{
}
