//! The storage traits: small, object-safe, the guarantee first.
//!
//! Each guarantee ends with the name of the case of the conformance suite (feature `conformance`) that holds a
//! back-end to it. An act that the caller is told of has been committed, and will survive what the back-end promises
//! to survive; its audit record was committed with it. Every error leaves everything as it was, except
//! [`StoreError::Unavailable`], after which an act may or may not have been done. Where several errors are right, a
//! back-end may answer any of them. A page of at most 0 records is empty.
//!
//! # Errors
//!
//! Every method may answer [`StoreError::Unavailable`], after which a read may be tried again, and
//! [`StoreError::Corrupt`], after which an operator has to look. The others are named where they are possible.

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
/// Only a change to what a node may already hold takes a revision: a new token or a new organization does
/// not. Case: `what_is_new_takes_no_revision`. Each change takes exactly one, in commit order, without gaps.
/// Cases: `each_change_takes_the_next_revision`, `racing_changes_take_distinct_revisions`. A refused act
/// takes none. Case: `a_refused_act_changes_nothing`. A store that outlives its process keeps its epoch and
/// its numbers. Cases: `a_reopened_store_keeps_its_revision`, `a_reopened_store_keeps_its_feed`.
#[async_trait]
pub trait Revisions: Send + Sync {
    /// The newest committed revision, read from the primary. Cases: `the_heartbeat_is_the_newest_revision`,
    /// `a_fresh_feed_is_empty`.
    async fn heartbeat(&self) -> Stored<Heartbeat>;

    /// The changes after `after`, at most `limit` of them (at least one if there is one). Cases:
    /// `the_feed_pages_without_loss`, `a_limit_of_zero_gives_one_change`. They come in the order of their
    /// revisions, one for each number. Case: `the_feed_is_in_order_without_gaps`. Each names what a node must
    /// drop. Case: `the_feed_names_what_changed`. Whoever holds a revision that this life of the store has
    /// not reached is told to begin anew. Cases: `a_revision_ahead_begins_anew`,
    /// `a_revision_of_another_epoch_begins_anew`.
    async fn changes_after(&self, after: Revision, limit: usize) -> Stored<Changes>;

    /// Completes when something may have changed; a hint that proves nothing. The default never completes.
    /// Case: `waiting_for_a_change_proves_nothing`.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

/// Organizations.
#[async_trait]
pub trait Organizations: Send + Sync {
    /// Adds an organization. `Exists` when its id or name is taken. Case:
    /// `organization_ids_and_names_are_unique`.
    async fn create_organization(&self, record: &OrganizationRecord, act: &Act) -> Stored<()>;

    /// The organization of this id. Case: `an_organization_reads_back`.
    async fn organization(&self, id: OrganizationId) -> Stored<Option<OrganizationRecord>>;

    /// The organization of this name. Case: `an_organization_reads_back`.
    async fn organization_by_name(&self, name: &Name) -> Stored<Option<OrganizationRecord>>;

    /// Organizations by ascending id, those after `after`, at most `limit`. Case:
    /// `organizations_page_by_ascending_id`.
    async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: usize,
    ) -> Stored<Vec<OrganizationRecord>>;
}

/// Workspaces, their settings and their lists.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Adds a workspace. `Exists` when its id, or its name in the organization, is taken. Case:
    /// `workspace_ids_and_names_are_unique`. `Missing` without the organization. Case:
    /// `a_workspace_needs_its_organization`.
    async fn create_workspace(&self, record: &WorkspaceRecord, act: &Act) -> Stored<()>;

    /// The workspace of this id. Case: `a_workspace_reads_back`.
    async fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>>;

    /// The workspace of this name in this organization. Case: `a_workspace_reads_back`.
    async fn workspace_by_name(
        &self,
        organization: OrganizationId,
        name: &Name,
    ) -> Stored<Option<WorkspaceRecord>>;

    /// The organization's workspaces by ascending id, those after `after`, at most `limit`. Case:
    /// `workspaces_page_by_ascending_id`.
    async fn workspaces(
        &self,
        organization: OrganizationId,
        after: Option<WorkspaceId>,
        limit: usize,
    ) -> Stored<Vec<WorkspaceRecord>>;

    /// Replaces the settings whole. Case: `settings_are_replaced_whole`. A changed lane order gets the next
    /// lane generation, whatever the argument says; otherwise the generation stays. Cases:
    /// `a_changed_lane_order_takes_the_next_generation`, `the_lane_generation_is_the_stores_own`. `Missing`
    /// without the workspace. Case: `settings_need_their_workspace`. `Precondition` where the workspace is no longer as
    /// `expected` has it. Case: `a_workspace_that_changed_meanwhile_is_not_written_over`.
    async fn set_settings(
        &self,
        id: WorkspaceId,
        settings: &WorkspaceSettings,
        expected: Option<&WorkspaceRecord>,
        act: &Act,
    ) -> Stored<Revision>;

    /// Replaces the list whole. Case: `a_list_is_replaced_whole`. `Missing` without the workspace. Case:
    /// `a_list_needs_its_workspace`. `Precondition` where the workspace is no longer as `expected` has it. Case:
    /// `a_workspace_that_changed_meanwhile_is_not_written_over`.
    async fn set_listed(
        &self,
        id: WorkspaceId,
        listed: &[Listed],
        expected: Option<&WorkspaceRecord>,
        act: &Act,
    ) -> Stored<Revision>;
}

/// People, their places in organizations, and groups.
#[async_trait]
pub trait Members: Send + Sync {
    /// Adds a person. `Exists` when the id is taken. Case: `user_ids_are_unique`.
    async fn create_user(&self, record: &UserRecord, act: &Act) -> Stored<()>;

    /// The person of this id. Case: `a_user_reads_back`.
    async fn user(&self, id: UserId) -> Stored<Option<UserRecord>>;

    /// Makes the person a member, or changes the role. Case: `a_member_is_given_a_role_and_another_one`.
    /// Somebody who left and comes back keeps `tokens_since` at the second after they left, so that tokens of
    /// the former time stay dead. Cases: `a_returning_member_keeps_former_tokens_dead`,
    /// `another_role_keeps_former_tokens_dead`, `leaving_again_raises_no_former_token`,
    /// `a_reopened_store_keeps_departures`. `Missing` without person or organization. Case:
    /// `a_member_needs_person_and_organization`.
    async fn set_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Stored<Revision>;

    /// Ends the membership and takes the person off the organization's groups. Cases:
    /// `leaving_ends_the_membership`, `leaving_takes_the_person_off_the_groups`. Nothing changes in other
    /// organizations. Case: `leaving_one_organization_leaves_the_others`. `Missing` when there is none. Case:
    /// `leaving_needs_a_membership`.
    async fn remove_member(&self, organization: OrganizationId, user: UserId, act: &Act) -> Stored<Revision>;

    /// Every place of the person, by ascending organization id. Case: `memberships_are_listed_ascending`. A
    /// group that lists somebody who is no member of its organization gives them nothing. Case:
    /// `a_group_gives_nothing_to_a_non_member`.
    async fn memberships(&self, user: UserId) -> Stored<Vec<MembershipRecord>>;

    /// The organization's members by ascending user id, those after `after`, at most `limit`. Case:
    /// `members_page_by_ascending_id`.
    async fn members(
        &self,
        organization: OrganizationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Stored<Vec<MembershipRecord>>;

    /// Adds a group or replaces it whole. Case: `a_group_is_replaced_whole`. Its members are kept ascending,
    /// each once, whether they are members of the organization or not. Case:
    /// `a_group_lists_each_person_once`. `Exists` when another group of the organization has the name, or a
    /// group of another organization the id. Cases: `group_names_are_unique_in_an_organization`,
    /// `a_group_stays_in_its_organization`. `Missing` without the organization. Case:
    /// `a_group_needs_its_organization`.
    async fn put_group(&self, record: &GroupRecord, act: &Act) -> Stored<Revision>;

    /// Removes a group. Case: `a_removed_group_is_gone`. `Missing` when there is none. Case:
    /// `removing_a_group_needs_it`.
    async fn remove_group(&self, id: GroupId, act: &Act) -> Stored<Revision>;

    /// The organization's groups by ascending id. Case: `groups_are_listed_by_ascending_id`.
    async fn groups(&self, organization: OrganizationId) -> Stored<Vec<GroupRecord>>;
}

/// Tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Adds a token. In the same transaction, and with their rows locked, its ancestors and everything in
    /// `preconditions` are read again: `Precondition` when one no longer holds. Each of these tokens, and
    /// each ancestor that it names in turn, must be known, not revoked alone or in mass, and not expired at
    /// the act's time. Cases: `revoked_ancestor_blocks_insertion`, `mass_revoked_ancestor_blocks_insertion`,
    /// `a_mass_revocation_spares_later_tokens`, `expired_ancestor_blocks_insertion`,
    /// `unknown_ancestor_blocks_insertion`, `an_ancestor_of_an_ancestor_blocks_insertion`,
    /// `too_long_a_lineage_blocks_insertion`, `a_precondition_token_must_live`,
    /// `a_precondition_member_must_be_one`. No child is committed after a revocation of what it came from.
    /// Case: `no_child_is_born_after_its_parents_revocation`. What `preconditions` lets be used once is used up
    /// with the insertion and not without it, and of many who race for it one makes a token. Cases:
    /// `a_token_uses_up_what_it_came_from`, `a_refused_insertion_uses_nothing_up`,
    /// `one_of_many_racing_uses_makes_a_token`. `Exists` when the id is taken. Case: `token_ids_are_unique`.
    /// Takes no revision. Whether organization, workspace and owner exist is not asked: `preconditions` says
    /// what must.
    async fn insert_token(
        &self,
        record: &TokenRecord,
        preconditions: &Preconditions,
        act: &Act,
    ) -> Stored<()>;

    /// Adds a successor and marks the predecessor as superseded, both or neither. Cases:
    /// `rotation_links_predecessor_and_successor`, `rotation_is_done_whole_or_not_at_all`,
    /// `a_reopened_store_keeps_its_rotations`. `Precondition` when the predecessor is revoked, expired or
    /// already superseded, so that of many racing rotations one wins, or when what a token is inserted with
    /// does not hold for the successor. Cases: `rotation_of_an_ended_token_is_refused`,
    /// `one_of_many_racing_rotations_wins`. `Missing` without the predecessor, `Exists` when the successor's
    /// id is taken. Case: `rotation_needs_the_predecessor`.
    async fn rotate_token(
        &self,
        predecessor: TokenId,
        successor: &TokenRecord,
        overlap_until: Timestamp,
        act: &Act,
    ) -> Stored<Revision>;

    /// The token of this id, revoked and expired ones included. Cases: `a_token_reads_back`,
    /// `a_reopened_store_keeps_its_tokens`.
    async fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>>;

    /// Tokens by ascending id, those after `after`, at most `limit`. Cases: `tokens_page_by_ascending_id`,
    /// `tokens_are_filtered_by_every_condition`, `living_tokens_are_listed_without_the_ended`.
    async fn tokens(
        &self,
        filter: &TokenFilter,
        after: Option<TokenId>,
        limit: usize,
    ) -> Stored<Vec<TokenRecord>>;

    /// Revokes one token. Cases: `a_revocation_is_kept`, `a_reopened_store_keeps_its_revocations`. Of a token
    /// that is revoked already, the first revocation stays as it is; the answer is a revision that includes
    /// it, and neither a revision nor an audit record is added. Cases: `the_first_revocation_stays`,
    /// `one_of_many_racing_revocations_counts`. `Missing` when there is no such token. Case:
    /// `revoking_needs_the_token`.
    async fn revoke_token(&self, id: TokenId, revoked: &Revoked, act: &Act) -> Stored<Revision>;

    /// Revokes many by one row. Cases: `mass_revoked_ancestor_blocks_insertion`,
    /// `mass_revocations_are_listed_oldest_first`.
    async fn revoke_many(&self, revocation: &MassRevocation, act: &Act) -> Stored<Revision>;

    /// Every mass revocation, oldest first. Case: `mass_revocations_are_listed_oldest_first`.
    async fn mass_revocations(&self) -> Stored<Vec<MassRevocation>>;

    /// Notes when tokens were last used: never earlier than already noted, unknown ids passed over. No
    /// revision, no audit. Cases: `last_use_never_goes_back`, `uses_of_unknown_tokens_are_passed_over`.
    async fn touch_tokens(&self, uses: &[(TokenId, Timestamp)]) -> Stored<()>;

    /// Removes tokens that expired before `before`. Those that are somebody's ancestor when it begins stay.
    /// Answers how many. No revision, no audit. Cases: `purging_takes_what_expired_before`,
    /// `purging_keeps_ancestors`.
    async fn purge_tokens(&self, before: Timestamp) -> Stored<u64>;
}

/// Keys: what the public may know of them, and sealed rows that the store cannot read.
///
/// All of this, and documents, locks, marks and releases, is found again when a store that outlives its
/// process is opened anew. Case: `a_reopened_store_keeps_everything_else`.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Adds a key or replaces its record whole. Case: `a_key_is_replaced_whole`. A revocation, once there,
    /// stays. Case: `a_revoked_key_stays_revoked`.
    async fn put_key(&self, record: &KeyRecord, act: &Act) -> Stored<Revision>;

    /// Every key, oldest first; those of one second by their ids. Case: `keys_are_listed_oldest_first`.
    async fn keys(&self) -> Stored<Vec<KeyRecord>>;

    /// Adds a sealed row. `Exists` when the id is taken. Case: `sealed_ids_are_unique`. Takes no revision.
    async fn put_sealed(&self, id: &str, bytes: &[u8]) -> Stored<()>;

    /// The sealed row of this id. Case: `a_sealed_row_reads_back`.
    async fn sealed(&self, id: &str) -> Stored<Option<Vec<u8>>>;
}

/// Documents that the store does not read.
#[async_trait]
pub trait Rules: Send + Sync {
    /// Writes a document. `expected` is the revision that the writer read: `None` where there was no
    /// document; `Precondition` when it is another by now. Cases: `a_document_needs_the_expected_revision`,
    /// `one_of_many_racing_writers_wins`.
    async fn put_rules(
        &self,
        name: &Name,
        bytes: &[u8],
        expected: Option<Revision>,
        act: &Act,
    ) -> Stored<Revision>;

    /// The document of this name. Case: `a_document_reads_back`.
    async fn rules(&self, name: &Name) -> Stored<Option<RulesDocument>>;
}

/// Locks.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Adds a lock. `Exists` when the id is taken. Case: `lock_ids_are_unique`.
    async fn put_lock(&self, record: &LockRecord, act: &Act) -> Stored<Revision>;

    /// Takes a lock away. Case: `a_lifted_lock_is_gone`. `Missing` when there is none. Case:
    /// `lifting_a_lock_needs_it`.
    async fn lift_lock(&self, id: LockId, act: &Act) -> Stored<Revision>;

    /// Every lock, by ascending id, ended ones included. Case: `locks_are_listed_by_ascending_id`.
    async fn locks(&self) -> Stored<Vec<LockRecord>>;
}

/// Marks of distrust.
#[async_trait]
pub trait Distrust: Send + Sync {
    /// Adds a mark. `Exists` when the id is taken. Case: `mark_ids_are_unique`.
    async fn put_mark(&self, record: &MarkRecord, act: &Act) -> Stored<Revision>;

    /// Takes a mark away: what it marked is trusted again. Case: `a_lifted_mark_is_gone`. `Missing` when
    /// there is none. Case: `lifting_a_mark_needs_it`.
    async fn lift_mark(&self, id: MarkId, act: &Act) -> Stored<Revision>;

    /// Every mark, by ascending id. Case: `marks_are_listed_by_ascending_id`.
    async fn marks(&self) -> Stored<Vec<MarkRecord>>;
}

/// What may happen once.
#[async_trait]
pub trait SingleUse: Send + Sync {
    /// Uses up `key` within `scope`. `true` for exactly one of all calls with the pair, whoever makes them,
    /// until it is purged. Cases: `a_key_is_used_up_once`, `scopes_and_keys_are_told_apart`,
    /// `one_of_many_racing_consumers_wins`, `a_key_is_free_after_a_purge_alone`,
    /// `a_reopened_store_keeps_what_was_used_up`.
    async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool>;

    /// Forgets what need not be kept after `now`: what was to be kept until then or less. Answers how many.
    /// Case: `what_must_be_kept_survives_a_purge`.
    async fn purge_consumed(&self, now: Timestamp) -> Stored<u64>;
}

/// What waits for somebody for a while, and is changed by whoever is first: a login that waits for its approval. No
/// revision, no audit; its bytes are its owner's, and hold no secret.
#[async_trait]
pub trait Pending: Send + Sync {
    /// Keeps `bytes` under `key` within `scope`. Case: `what_waits_reads_back`. `false` when something is there
    /// already, which stays as it is. Case: `what_waits_is_not_put_twice`.
    async fn put_pending(&self, scope: &str, key: &[u8], bytes: &[u8], keep_until: Timestamp)
    -> Stored<bool>;

    /// The bytes, for as long as nobody purged them. Case: `what_waits_reads_back`.
    async fn pending(&self, scope: &str, key: &[u8]) -> Stored<Option<Vec<u8>>>;

    /// Puts `bytes` in the place of `expected`, and keeps the time. `false` when something else is there, or
    /// nothing; of many at once, one is told `true`. Cases: `what_waits_is_changed_by_who_read_it`,
    /// `one_of_many_racing_changes_wins`.
    async fn change_pending(&self, scope: &str, key: &[u8], expected: &[u8], bytes: &[u8]) -> Stored<bool>;

    /// Forgets what need not be kept after `now`: what was to be kept until then or less. Answers how many.
    /// Case: `what_waits_is_forgotten_after_its_time`.
    async fn purge_pending(&self, now: Timestamp) -> Stored<u64>;
}

/// Releases and the closures that they need.
#[async_trait]
pub trait Releases: Send + Sync {
    /// Publishes a release, with the keys in each of its closures; a key in a closure that the record does not name
    /// is not kept. Cases: `each_output_has_a_closure_of_its_own`, `a_release_without_closure_keeps_no_keys`.
    /// `Exists` when the workspace has the version, or the id of the release or of one of its closures is taken: a release never changes, and neither does a closure. Case:
    /// `a_release_never_changes`. `Missing` without the workspace. Case: `a_release_needs_its_workspace`.
    async fn publish_release(
        &self,
        record: &ReleaseRecord,
        needed: &[(ClosureId, EntryKey)],
        act: &Act,
    ) -> Stored<()>;

    /// Withdraws a release. Case: `a_yanked_release_stays_listed`. Withdrawing again changes nothing. Case:
    /// `yanking_again_changes_nothing`. `Missing` when there is none. Case: `yanking_needs_the_release`.
    async fn yank_release(&self, workspace: WorkspaceId, version: &Version, act: &Act) -> Stored<()>;

    /// The release of this version, yanked ones included. Case: `a_release_reads_back`.
    async fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>>;

    /// The workspace's releases by ascending version, yanked ones included. Case:
    /// `releases_are_listed_by_ascending_version`.
    async fn releases(&self, workspace: WorkspaceId) -> Stored<Vec<ReleaseRecord>>;

    /// The closures of the workspace that hold the key, ascending; those of yanked releases included. Case:
    /// `closures_are_listed_by_ascending_id`. A closure of another workspace is never among them. Case:
    /// `closures_stay_within_their_workspace`.
    async fn closures_of(&self, workspace: WorkspaceId, key: &EntryKey) -> Stored<Vec<ClosureId>>;
}

/// The audit: append-only, chained by digests. Management acts append by themselves.
///
/// Every act leaves one record, the one that [`crate::acts`] makes of it. Case:
/// `every_act_leaves_one_record`. What was refused, and what is no act of anybody, leaves none. Cases:
/// `a_refused_act_leaves_no_record`, `what_is_no_act_leaves_no_record`. The records make one chain, as
/// [`crate::verify_chain`] checks it, whoever appends at once and however often the store is opened. Cases:
/// `the_audit_is_one_chain`, `racing_acts_make_one_chain`, `a_reopened_store_keeps_its_audit`.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Appends entries, all or none, in this order, with nothing between them. Cases:
    /// `appended_entries_keep_their_order`, `racing_acts_make_one_chain`.
    async fn append_audit(&self, entries: &[AuditEntry]) -> Stored<()>;

    /// Records by ascending number, those after number `after`, at most `limit`. Case:
    /// `the_audit_pages_by_ascending_number`.
    async fn audit(&self, after: u64, limit: usize) -> Stored<Vec<AuditRecord>>;

    /// Records by descending number, those before number `before`, at most `limit`; before `u64::MAX` is from the
    /// newest on. Case: `the_audit_pages_by_descending_number`. They are those that
    /// [`audit`](Self::audit) gives. Case: `the_audit_is_the_same_from_either_end`.
    async fn audit_before(&self, before: u64, limit: usize) -> Stored<Vec<AuditRecord>>;
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
    + Pending
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
        + Pending
        + Releases
        + Audit
        + ?Sized,
> Storage for T
{
}
