//! The suite finds what is broken, and says what: back-ends with one fault each fail by the name of the rule.

#![cfg(feature = "conformance")]
#![expect(
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test's faults concern a call or they do not"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use cachegate_policy::{Listed, WorkspaceSettings};
use cachegate_storage::conformance::{CASES, failures, random_operations, run_against_model};
use cachegate_storage::{
    Act, Audit, AuditEntry, AuditRecord, ChangeKind, Changes, Distrust, GroupRecord, Heartbeat, KeyRecord,
    Keys, LockRecord, Locks, MarkRecord, MassRevocation, MemberRecord, Members, MembershipRecord,
    MemoryStorage, OrganizationRecord, Organizations, Pending, Preconditions, ReleaseRecord, Releases,
    Revisions, Revoked, Rules, RulesDocument, SingleUse, Storage, StoreError, Superseded, TokenFilter,
    TokenRecord, Tokens, UserRecord, WorkspaceRecord, Workspaces, acts, chain_digest,
};
use cachegate_types::{
    ClosureId, EntryKey, Epoch, GroupId, LockId, MarkId, Name, OrganizationId, Revision, Role, Timestamp,
    TokenId, UserId, Version, WorkspaceId,
};
use futures_executor::block_on;

/// Declares the faults, what each does, and the case that must find it.
macro_rules! faults {
    ($($fault:ident: $what:literal, found by $case:ident;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Fault { None, $($fault),* }

        const FAULTS: &[(Fault, &str, &str)] = &[$((Fault::$fault, $what, stringify!($case))),*];
    };
}

faults! {
    RevocationLost: "acknowledges a revocation and forgets it", found by a_revocation_is_kept;
    LaterRevocationWins: "overwrites a revocation with a later one", found by the_first_revocation_stays;
    RevisionSkipped: "passes over a number", found by each_change_takes_the_next_revision;
    RevisionTakenByInsertion: "takes a revision for a new token", found by what_is_new_takes_no_revision;
    FeedOutOfOrder: "gives changes newest first", found by the_feed_is_in_order_without_gaps;
    FeedWithGap: "leaves a change out of a page", found by the_feed_pages_without_loss;
    FeedAfterAnyEpoch: "answers readers of a former life", found by a_revision_of_another_epoch_begins_anew;
    WrongKindOfChange: "tells of a user where a group changed", found by the_feed_names_what_changed;
    RotationWithoutCondition: "gives a rotated token a second successor", found by rotation_of_an_ended_token_is_refused;
    RotationByHalves: "marks the predecessor, then finds the id taken", found by rotation_is_done_whole_or_not_at_all;
    RotationRace: "looks before it rotates, unlocked", found by one_of_many_racing_rotations_wins;
    ConsumedTwice: "says yes to a second use", found by a_key_is_used_up_once;
    ConsumeRace: "looks before it uses up, unlocked", found by one_of_many_racing_consumers_wins;
    UseIgnored: "makes a token of what was used up", found by a_token_uses_up_what_it_came_from;
    UsedUpForNothing: "uses up, then refuses the insertion", found by a_refused_insertion_uses_nothing_up;
    PendingOverwritten: "puts over what waits", found by what_waits_is_not_put_twice;
    PendingChangedUnread: "changes whatever waits", found by what_waits_is_changed_by_who_read_it;
    PendingRace: "looks at what waits, then changes it, unlocked", found by one_of_many_racing_changes_wins;
    ScopesConfused: "joins scope and key to one text", found by scopes_and_keys_are_told_apart;
    RevokedAncestorIgnored: "lets the revoked have children", found by revoked_ancestor_blocks_insertion;
    MassRevocationIgnored: "looks at single revocations alone", found by mass_revoked_ancestor_blocks_insertion;
    ExpiryOffByOne: "counts the last second as alive", found by expired_ancestor_blocks_insertion;
    InsertionRace: "looks at the parent, then inserts, unlocked", found by no_child_is_born_after_its_parents_revocation;
    AuditRecordMissing: "keeps no record of a lock", found by every_act_leaves_one_record;
    AuditOfRefusals: "keeps a record of what was refused", found by a_refused_act_leaves_no_record;
    ChainBroken: "digests each record alone", found by the_audit_is_one_chain;
    BackwardsRepeatsRecord: "begins a page backwards with the last record again", found by the_audit_pages_by_descending_number;
    BackwardsFromTheBeginning: "turns the first page around", found by the_audit_pages_by_descending_number;
    TokensOfReturningMember: "forgets that somebody left", found by a_returning_member_keeps_former_tokens_dead;
    GroupOfNonMember: "makes whoever a group lists a member", found by a_group_gives_nothing_to_a_non_member;
    GroupTakenOver: "lets an organization take a group", found by a_group_stays_in_its_organization;
    ClosureRightFromNobody: "lets every token obtain closures", found by a_token_reads_back;
    PageRepeatsRow: "begins a page with the last row again", found by tokens_page_by_ascending_id;
    PageShort: "filters after it cut the page", found by tokens_are_filtered_by_every_condition;
    TouchGoesBack: "notes whatever use comes last", found by last_use_never_goes_back;
    PurgeTakesAncestors: "purges the parents of the living", found by purging_keeps_ancestors;
    ClosureAcrossWorkspaces: "opens closures of other workspaces", found by closures_stay_within_their_workspace;
    ReleaseOverwritten: "publishes a version again", found by a_release_never_changes;
    DocumentOverwritten: "writes whatever was expected", found by a_document_needs_the_expected_revision;
    DocumentRace: "looks at the revision, then writes, unlocked", found by one_of_many_racing_writers_wins;
    KeyRevivable: "lets a writer take a revocation back", found by a_revoked_key_stays_revoked;
    ExpectationIgnored: "writes over what changed meanwhile", found by a_workspace_that_changed_meanwhile_is_not_written_over;
    LaneGenerationFromCaller: "believes the caller's generation", found by the_lane_generation_is_the_stores_own;
}

/// A back-end with one fault.
struct Broken {
    fault: Fault,
    inner: MemoryStorage,
    /// What the fault keeps beside the inner store.
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    revoked: BTreeMap<TokenId, Revoked>,
    superseded: BTreeMap<TokenId, Superseded>,
    used: BTreeMap<TokenId, Timestamp>,
    purged: BTreeSet<TokenId>,
    consumed: BTreeSet<(String, Vec<u8>)>,
    releases: Vec<ReleaseRecord>,
    keys: BTreeMap<Arc<str>, KeyRecord>,
    generations: BTreeMap<WorkspaceId, u32>,
}

type Stored<T> = Result<T, StoreError>;

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { fault, inner: MemoryStorage::new(Epoch(7)), notes: Mutex::new(Notes::default()) }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn notes<T>(&self, read: impl FnOnce(&mut Notes) -> T) -> T {
        read(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a revision for nothing.
    async fn burn(&self, act: &Act) -> Stored<Revision> {
        let name: Name = "burnt".parse().expect("a name");
        let held = self.inner.rules(&name).await?.map(|document| document.revision);
        self.inner.put_rules(&name, b"", held, act).await
    }

    /// What the fault makes of a token that is read.
    fn seen(&self, mut token: TokenRecord) -> Option<TokenRecord> {
        self.notes(|notes| {
            if let Some(revoked) = notes.revoked.get(&token.id) {
                token.revoked = Some(revoked.clone());
            }
            if let Some(superseded) = notes.superseded.get(&token.id) {
                token.superseded = Some(*superseded);
            }
            if let Some(used) = notes.used.get(&token.id) {
                token.last_used = Some(*used);
            }
            token.reads_closures |= self.is(Fault::ClosureRightFromNobody);
            (!notes.purged.contains(&token.id)).then_some(token)
        })
    }

    fn member_seen(&self, mut place: MembershipRecord) -> MembershipRecord {
        if self.is(Fault::TokensOfReturningMember) {
            place.member.tokens_since = None;
        }
        place
    }

    fn workspace_seen(&self, mut workspace: WorkspaceRecord) -> WorkspaceRecord {
        if let Some(generation) = self.notes(|notes| notes.generations.get(&workspace.id).copied()) {
            workspace.settings.lane_generation = generation;
        }
        workspace
    }

    /// The record without the ancestors that the fault does not look at.
    async fn without_ancestors(
        &self,
        record: &TokenRecord,
        now: Timestamp,
        masses: &[MassRevocation],
    ) -> Stored<TokenRecord> {
        let mut kept = Vec::new();
        for id in &record.ancestors {
            let ignored = match self.inner.token(*id).await? {
                None => false,
                Some(token) => match self.fault {
                    Fault::RevokedAncestorIgnored => token.revoked.is_some(),
                    Fault::MassRevocationIgnored => masses.iter().any(|mass| mass.takes(&token)),
                    Fault::ExpiryOffByOne => token.expires_at == Some(now),
                    _ => false,
                },
            };
            if !ignored {
                kept.push(*id);
            }
        }
        Ok(TokenRecord { ancestors: kept, ..record.clone() })
    }

    /// What a back-end does that looks and acts in two steps: others act in between. Ends when one has.
    fn between(&self, acted: impl Fn() -> bool) {
        for _ in 0..50_000 {
            if acted() {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// The answer of the inner store, which never waits.
fn ready<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("the inner store waited"),
    }
}

/// Implements a trait: calls that go to the inner store as they are, and the rest.
macro_rules! back_end {
    ($name:ident {
        $(forward $method:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*
        $(and { $($rest:tt)* })?
    }) => {
        #[async_trait]
        impl $name for Broken {
            $(
                async fn $method(&self, $($argument: $kind),*) -> Stored<$answer> {
                    self.inner.$method($($argument),*).await
                }
            )*
            $($($rest)*)?
        }
    };
}

back_end! { Revisions {
    forward heartbeat() -> Heartbeat;
    and {
        async fn changes_after(&self, after: Revision, limit: usize) -> Stored<Changes> {
            let after = match self.fault {
                Fault::FeedAfterAnyEpoch => Revision { epoch: Epoch(7), ..after },
                _ => after,
            };
            let mut answer = self.inner.changes_after(after, limit).await?;
            if let Changes::After { changes, .. } = &mut answer {
                match self.fault {
                    Fault::FeedOutOfOrder => changes.reverse(),
                    Fault::FeedWithGap if changes.len() > 1 => drop(changes.remove(0)),
                    Fault::WrongKindOfChange => {
                        for change in changes {
                            if let ChangeKind::Group(id) = change.kind {
                                change.kind = ChangeKind::User(UserId::from_bytes(id.to_bytes()));
                            }
                        }
                    }
                    _ => {}
                }
            }
            Ok(answer)
        }
    }
}}

back_end! { Organizations {
    forward create_organization(record: &OrganizationRecord, act: &Act) -> ();
    forward organization(id: OrganizationId) -> Option<OrganizationRecord>;
    forward organization_by_name(name: &Name) -> Option<OrganizationRecord>;
    forward organizations(after: Option<OrganizationId>, limit: usize) -> Vec<OrganizationRecord>;
}}

back_end! { Workspaces {
    forward create_workspace(record: &WorkspaceRecord, act: &Act) -> ();
    forward workspace_by_name(organization: OrganizationId, name: &Name) -> Option<WorkspaceRecord>;
    forward workspaces(
        organization: OrganizationId, after: Option<WorkspaceId>, limit: usize
    ) -> Vec<WorkspaceRecord>;
    and {
        async fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>> {
            Ok(self.inner.workspace(id).await?.map(|found| self.workspace_seen(found)))
        }

        async fn set_settings(
            &self,
            id: WorkspaceId,
            settings: &WorkspaceSettings,
            expected: Option<&WorkspaceRecord>,
            act: &Act,
        ) -> Stored<Revision> {
            let expected = expected.filter(|_| !self.is(Fault::ExpectationIgnored));
            let revision = self.inner.set_settings(id, settings, expected, act).await?;
            if self.is(Fault::LaneGenerationFromCaller) {
                self.notes(|notes| notes.generations.insert(id, settings.lane_generation));
            }
            Ok(revision)
        }

        async fn set_listed(
            &self,
            id: WorkspaceId,
            listed: &[Listed],
            expected: Option<&WorkspaceRecord>,
            act: &Act,
        ) -> Stored<Revision> {
            let expected = expected.filter(|_| !self.is(Fault::ExpectationIgnored));
            let revision = self.inner.set_listed(id, listed, expected, act).await?;
            if self.is(Fault::RevisionSkipped) {
                return self.inner.set_listed(id, listed, None, act).await;
            }
            Ok(revision)
        }
    }
}}

back_end! { Members {
    forward user(id: UserId) -> Option<UserRecord>;
    forward set_member(organization: OrganizationId, user: UserId, role: Role, act: &Act) -> Revision;
    forward remove_member(organization: OrganizationId, user: UserId, act: &Act) -> Revision;
    forward remove_group(id: GroupId, act: &Act) -> Revision;
    forward groups(organization: OrganizationId) -> Vec<GroupRecord>;
    and {
        async fn create_user(&self, record: &UserRecord, act: &Act) -> Stored<()> {
            let answer = self.inner.create_user(record, act).await;
            if self.is(Fault::AuditOfRefusals) && answer.is_err() {
                self.inner.append_audit(&[acts::create_user(record, act)]).await?;
            }
            answer
        }

        async fn memberships(&self, user: UserId) -> Stored<Vec<MembershipRecord>> {
            let mut places = self.inner.memberships(user).await?;
            if self.is(Fault::GroupOfNonMember) {
                for OrganizationRecord { id: organization, .. } in self.inner.organizations(None, 99).await? {
                    let groups = self.inner.groups(organization).await?;
                    let groups: Vec<_> =
                        groups.iter().filter(|group| group.members.contains(&user)).map(|group| group.id).collect();
                    let known = places.iter().any(|place| place.member.organization == organization);
                    if !known && !groups.is_empty() {
                        let member =
                            MemberRecord { organization, user, role: Role::Member, tokens_since: None };
                        places.push(MembershipRecord { member, groups });
                    }
                }
            }
            Ok(places.into_iter().map(|place| self.member_seen(place)).collect())
        }

        async fn members(
            &self,
            organization: OrganizationId,
            after: Option<UserId>,
            limit: usize,
        ) -> Stored<Vec<MembershipRecord>> {
            let places = self.inner.members(organization, after, limit).await?;
            Ok(places.into_iter().map(|place| self.member_seen(place)).collect())
        }

        async fn put_group(&self, record: &GroupRecord, act: &Act) -> Stored<Revision> {
            let answer = self.inner.put_group(record, act).await;
            if self.is(Fault::GroupTakenOver) && matches!(answer, Err(StoreError::Exists { .. })) {
                self.inner.remove_group(record.id, act).await?;
                return self.inner.put_group(record, act).await;
            }
            answer
        }
    }
}}

back_end! { Tokens {
    forward revoke_many(revocation: &MassRevocation, act: &Act) -> Revision;
    forward mass_revocations() -> Vec<MassRevocation>;
    and {
        async fn insert_token(
            &self,
            record: &TokenRecord,
            preconditions: &Preconditions,
            act: &Act,
        ) -> Stored<()> {
            let masses = self.inner.mass_revocations().await?;
            let record = match self.fault {
                Fault::InsertionRace => {
                    let ended = || {
                        record.ancestors.iter().any(|id| {
                            ready(self.inner.token(*id)).is_ok_and(|found| {
                                found.is_none_or(|token| token.revoked.is_some())
                            })
                        })
                    };
                    if ended() {
                        return self.inner.insert_token(record, preconditions, act).await;
                    }
                    // Only a race gives the parent's end a chance to come between.
                    if !record.ancestors.is_empty() {
                        self.between(ended);
                    }
                    if ended() {
                        TokenRecord { ancestors: Vec::new(), ..record.clone() }
                    } else {
                        record.clone()
                    }
                }
                _ => self.without_ancestors(record, act.at, &masses).await?,
            };
            let uses = || preconditions.uses.iter();
            if self.is(Fault::UseIgnored) {
                let rest = Preconditions { uses: Vec::new(), ..preconditions.clone() };
                for one in uses() {
                    self.inner.consume(&one.scope, &one.key, one.keep_until).await?;
                }
                return self.inner.insert_token(&record, &rest, act).await;
            }
            let inserted = self.inner.insert_token(&record, preconditions, act).await;
            if self.is(Fault::UsedUpForNothing) && inserted.is_err() {
                for one in uses() {
                    self.inner.consume(&one.scope, &one.key, one.keep_until).await?;
                }
            }
            inserted?;
            if self.is(Fault::RevisionTakenByInsertion) {
                self.burn(act).await?;
            }
            Ok(())
        }

        async fn rotate_token(
            &self,
            predecessor: TokenId,
            successor: &TokenRecord,
            overlap_until: Timestamp,
            act: &Act,
        ) -> Stored<Revision> {
            let rotated = || {
                ready(self.inner.token(predecessor))
                    .is_ok_and(|found| found.is_some_and(|token| token.superseded.is_some()))
            };
            let was = rotated();
            if self.is(Fault::RotationRace) && !was {
                self.between(rotated);
            }
            let answer = self.inner.rotate_token(predecessor, successor, overlap_until, act).await;
            let again = match self.fault {
                Fault::RotationWithoutCondition => rotated(),
                Fault::RotationRace => !was,
                Fault::RotationByHalves => {
                    if matches!(answer, Err(StoreError::Exists { .. })) {
                        let superseded = Superseded { by: successor.id, overlap_until };
                        self.notes(|notes| notes.superseded.insert(predecessor, superseded));
                    }
                    false
                }
                _ => false,
            };
            if again && matches!(answer, Err(StoreError::Precondition { .. })) {
                self.inner.insert_token(successor, &Preconditions::default(), act).await?;
                return self.burn(act).await;
            }
            answer
        }

        async fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
            Ok(self.inner.token(id).await?.and_then(|token| self.seen(token)))
        }

        async fn tokens(
            &self,
            filter: &TokenFilter,
            after: Option<TokenId>,
            limit: usize,
        ) -> Stored<Vec<TokenRecord>> {
            let mut page = match self.fault {
                Fault::PageShort => {
                    let fitting = self.inner.tokens(filter, None, usize::MAX).await?;
                    let mut page = self.inner.tokens(&TokenFilter::default(), after, limit).await?;
                    page.retain(|token| fitting.iter().any(|fits| fits.id == token.id));
                    page
                }
                _ => self.inner.tokens(filter, after, limit).await?,
            };
            if let (Fault::PageRepeatsRow, Some(after)) = (self.fault, after) {
                page.splice(0..0, self.inner.token(after).await?);
                page.truncate(limit);
            }
            Ok(page.into_iter().filter_map(|token| self.seen(token)).collect())
        }

        async fn revoke_token(&self, id: TokenId, revoked: &Revoked, act: &Act) -> Stored<Revision> {
            if self.is(Fault::RevocationLost) && self.inner.token(id).await?.is_some() {
                return Ok(self.inner.heartbeat().await?.revision);
            }
            let answer = self.inner.revoke_token(id, revoked, act).await?;
            if self.is(Fault::LaterRevocationWins) {
                self.notes(|notes| notes.revoked.insert(id, revoked.clone()));
            }
            Ok(answer)
        }

        async fn touch_tokens(&self, uses: &[(TokenId, Timestamp)]) -> Stored<()> {
            if self.is(Fault::TouchGoesBack) {
                self.notes(|notes| notes.used.extend(uses.iter().copied()));
            }
            self.inner.touch_tokens(uses).await
        }

        async fn purge_tokens(&self, before: Timestamp) -> Stored<u64> {
            if !self.is(Fault::PurgeTakesAncestors) {
                return self.inner.purge_tokens(before).await;
            }
            let all = self.inner.tokens(&TokenFilter::default(), None, usize::MAX).await?;
            let expired = all.iter().filter(|token| token.expires_at.is_some_and(|end| end < before));
            let gone = self.notes(|notes| expired.filter(|token| notes.purged.insert(token.id)).count());
            Ok(u64::try_from(gone).unwrap_or(0))
        }
    }
}}

back_end! { Keys {
    forward put_sealed(id: &str, bytes: &[u8]) -> ();
    forward sealed(id: &str) -> Option<Vec<u8>>;
    and {
        async fn put_key(&self, record: &KeyRecord, act: &Act) -> Stored<Revision> {
            if self.is(Fault::KeyRevivable) {
                self.notes(|notes| notes.keys.insert(Arc::clone(&record.id), record.clone()));
            }
            self.inner.put_key(record, act).await
        }

        async fn keys(&self) -> Stored<Vec<KeyRecord>> {
            let mut keys = self.inner.keys().await?;
            self.notes(|notes| {
                for key in &mut keys {
                    if let Some(noted) = notes.keys.get(&key.id) {
                        key.clone_from(noted);
                    }
                }
            });
            Ok(keys)
        }
    }
}}

back_end! { Rules {
    forward rules(name: &Name) -> Option<RulesDocument>;
    and {
        async fn put_rules(
            &self,
            name: &Name,
            bytes: &[u8],
            expected: Option<Revision>,
            act: &Act,
        ) -> Stored<Revision> {
            let held = || ready(self.inner.rules(name)).ok().flatten().map(|found| found.revision);
            match self.fault {
                Fault::DocumentOverwritten => self.inner.put_rules(name, bytes, held(), act).await,
                Fault::DocumentRace if held() == expected => {
                    self.between(|| held() != expected);
                    let mut answer = self.inner.put_rules(name, bytes, held(), act).await;
                    while answer.is_err() {
                        answer = self.inner.put_rules(name, bytes, held(), act).await;
                    }
                    answer
                }
                _ => self.inner.put_rules(name, bytes, expected, act).await,
            }
        }
    }
}}

back_end! { Locks {
    forward put_lock(record: &LockRecord, act: &Act) -> Revision;
    forward lift_lock(id: LockId, act: &Act) -> Revision;
    forward locks() -> Vec<LockRecord>;
}}

back_end! { Distrust {
    forward put_mark(record: &MarkRecord, act: &Act) -> Revision;
    forward lift_mark(id: MarkId, act: &Act) -> Revision;
    forward marks() -> Vec<MarkRecord>;
}}

back_end! { SingleUse {
    forward purge_consumed(now: Timestamp) -> u64;
    and {
        async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool> {
            match self.fault {
                Fault::ConsumedTwice => self.inner.consume(scope, key, keep_until).await.map(|_| true),
                Fault::ScopesConfused => {
                    self.inner.consume("", &[scope.as_bytes(), key].concat(), keep_until).await
                }
                Fault::ConsumeRace => {
                    let pair = (scope.to_owned(), key.to_vec());
                    let used = || self.notes(|notes| notes.consumed.contains(&pair));
                    let was = used();
                    if !was {
                        self.between(used);
                    }
                    self.notes(|notes| notes.consumed.insert(pair));
                    Ok(!was)
                }
                _ => self.inner.consume(scope, key, keep_until).await,
            }
        }
    }
}}

back_end! { Pending {
    forward purge_pending(now: Timestamp) -> u64;
    and {
        async fn put_pending(&self, scope: &str, key: &[u8], bytes: &[u8], keep_until: Timestamp) -> Stored<bool> {
            let put = self.inner.put_pending(scope, key, bytes, keep_until).await?;
            if let (Fault::PendingOverwritten, false, Some(held)) =
                (self.fault, put, self.inner.pending(scope, key).await?)
            {
                self.inner.change_pending(scope, key, &held, bytes).await?;
            }
            Ok(put)
        }

        async fn pending(&self, scope: &str, key: &[u8]) -> Stored<Option<Vec<u8>>> {
            self.inner.pending(scope, key).await
        }

        async fn change_pending(&self, scope: &str, key: &[u8], expected: &[u8], bytes: &[u8]) -> Stored<bool> {
            let held = || ready(self.inner.pending(scope, key)).ok().flatten();
            match (self.fault, held()) {
                (Fault::PendingChangedUnread, Some(held)) => {
                    self.inner.change_pending(scope, key, &held, bytes).await
                }
                (Fault::PendingRace, Some(before)) if before == expected => {
                    self.between(|| held().is_some_and(|now| now != before));
                    while !self.inner.change_pending(scope, key, &held().unwrap_or_default(), bytes).await? {}
                    Ok(true)
                }
                _ => self.inner.change_pending(scope, key, expected, bytes).await,
            }
        }
    }
}}

back_end! { Releases {
    forward yank_release(workspace: WorkspaceId, version: &Version, act: &Act) -> ();
    forward release(workspace: WorkspaceId, version: &Version) -> Option<ReleaseRecord>;
    and {
        async fn publish_release(
            &self,
            record: &ReleaseRecord,
            needed: &[(ClosureId, EntryKey)],
            act: &Act,
        ) -> Stored<()> {
            let answer = self.inner.publish_release(record, needed, act).await;
            if self.is(Fault::ReleaseOverwritten) && matches!(answer, Err(StoreError::Exists { .. })) {
                self.notes(|notes| notes.releases.push(record.clone()));
                return Ok(());
            }
            answer
        }

        async fn releases(&self, workspace: WorkspaceId) -> Stored<Vec<ReleaseRecord>> {
            let mut releases = self.inner.releases(workspace).await?;
            self.notes(|notes| {
                for release in &mut releases {
                    let later = notes.releases.iter().rev().find(|later| {
                        later.workspace == release.workspace && later.version == release.version
                    });
                    if let Some(later) = later {
                        release.clone_from(later);
                    }
                }
            });
            Ok(releases)
        }

        async fn closures_of(&self, workspace: WorkspaceId, key: &EntryKey) -> Stored<Vec<ClosureId>> {
            let mut closures = self.inner.closures_of(workspace, key).await?;
            if self.is(Fault::ClosureAcrossWorkspaces) {
                for organization in self.inner.organizations(None, usize::MAX).await? {
                    for other in self.inner.workspaces(organization.id, None, usize::MAX).await? {
                        closures.extend(self.inner.closures_of(other.id, key).await?);
                    }
                }
                closures.sort_unstable();
                closures.dedup();
            }
            Ok(closures)
        }
    }
}}

back_end! { Audit {
    forward append_audit(entries: &[AuditEntry]) -> ();
    and {
        async fn audit(&self, after: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
            let mut records = self.inner.audit(after, limit).await?;
            match self.fault {
                Fault::AuditRecordMissing => records.retain(|record| &*record.entry.code != acts::LOCK_SET),
                Fault::ChainBroken => {
                    for record in &mut records {
                        record.digest = chain_digest(&[0; 32], record.number, &record.entry);
                    }
                }
                _ => {}
            }
            Ok(records)
        }

        async fn audit_before(&self, before: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
            match self.fault {
                Fault::BackwardsRepeatsRecord => {
                    self.inner.audit_before(before.saturating_add(1), limit).await
                }
                Fault::BackwardsFromTheBeginning => {
                    let mut records = self.inner.audit(0, limit).await?;
                    records.retain(|record| record.number < before);
                    records.reverse();
                    Ok(records)
                }
                _ => self.inner.audit_before(before, limit).await,
            }
        }
    }
}}

fn fresh(fault: Fault) -> Arc<dyn Storage> {
    Arc::new(Broken::new(fault))
}

/// Operations that the model is given to find a fault.
fn found_by_the_model(fault: Fault) -> Option<u64> {
    (0..600).find(|seed| {
        let operations = random_operations(*seed, 60);
        block_on(run_against_model(&*fresh(fault), &operations)).is_err()
    })
}

/// Faults that one thread alone never meets.
const RACES: [Fault; 5] =
    [Fault::RotationRace, Fault::ConsumeRace, Fault::InsertionRace, Fault::DocumentRace, Fault::PendingRace];

#[test]
fn the_wrapper_without_a_fault_obeys_every_rule() {
    assert_eq!(failures(&|| fresh(Fault::None)), []);
    assert_eq!(found_by_the_model(Fault::None), None);
}

#[test]
fn every_fault_is_found_by_the_case_of_its_rule() {
    assert!(FAULTS.len() >= 15, "the table shrank to {} faults", FAULTS.len());
    let mut missed = Vec::new();
    println!("| a back-end that … | is found by | of {} cases, failing |", CASES.len());
    println!("| --- | --- | --- |");
    for (fault, what, expected) in FAULTS {
        let failed = failures(&|| fresh(*fault));
        println!("| {what} | `{expected}` | {} |", failed.len());
        if !failed.iter().any(|(name, _)| name == expected) {
            missed.push((*fault, *expected, failed));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_fault_of_one_thread_is_found_by_the_model_too() {
    let mut missed = Vec::new();
    for (fault, what, _) in FAULTS.iter().filter(|(fault, ..)| !RACES.contains(fault)) {
        match found_by_the_model(*fault) {
            Some(seed) => println!("a back-end that {what}: sequence {seed}"),
            None => missed.push(*fault),
        }
    }
    assert_eq!(missed, []);
}
