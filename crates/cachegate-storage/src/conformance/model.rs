//! A naive model of a store: lists, searched from end to end, with every rule spelled out again.
//!
//! It shares nothing with the in-memory back-end and the helpers that back-ends use, but for the texts of audit
//! entries.

use std::collections::BTreeSet;

use cachegate_policy::{LaneOrder, Listed, ListedParty, WorkspaceSettings};
use cachegate_types::{
    AccessLevel, ActionSet, ClosureId, Description, EntryKey, Epoch, LaneClass, OrganizationId, Principal,
    Revision, Role, Timestamp, TokenId, UserId,
};

use super::fixtures::{
    act, at, audit_from_the_end, closure, feed, group, group_record, key, lock, lock_record, mark,
    mark_record, mass, name, organization, organization_record, release_record, revoked, same_token,
    signing_key, token, token_record, user, user_record, version, whole_audit, workspace, workspace_record,
};
use super::operations::{Deed, Draft, Expected, Operation};
use super::outcome::{Outcome, Refusal, Violation, equal};
use crate::{
    AuditEntry, ChangeKind, Changes, GroupRecord, KeyRecord, LockRecord, MarkRecord, MassRevocation,
    MassScope, MemberRecord, MembershipRecord, OneUse, OrganizationRecord, Preconditions, ReleaseRecord,
    Storage, StoreError, Superseded, TokenFilter, TokenForm, TokenKind, TokenRecord, UserRecord,
    WorkspaceRecord, acts,
};

/// Does the operations one after another on a fresh and empty store, and compares every answer, the state, the feed
/// and the audit with a naive model.
///
/// Where several refusals are right, the store may choose.
pub async fn run_against_model(storage: &dyn Storage, operations: &[Operation]) -> Outcome {
    let start = storage.heartbeat().await?.revision;
    let mut model = Model::new(start);
    for (index, operation) in operations.iter().enumerate() {
        model.step(storage, index, &operation.0).await.map_err(|violation| {
            Violation::new(format!("operation {index}, {:?}: {violation}", operation.0))
        })?;
    }
    model.look(storage, 3).await.map_err(|violation| Violation::new(format!("at the end: {violation}")))
}

struct Model {
    start: Revision,
    changes: Vec<ChangeKind>,
    audit: Vec<AuditEntry>,
    organizations: Vec<OrganizationRecord>,
    workspaces: Vec<WorkspaceRecord>,
    users: Vec<UserRecord>,
    members: Vec<MemberRecord>,
    departures: Vec<(OrganizationId, UserId, Timestamp)>,
    groups: Vec<GroupRecord>,
    tokens: Vec<TokenRecord>,
    masses: Vec<MassRevocation>,
    keys: Vec<KeyRecord>,
    sealed: Vec<(String, Vec<u8>)>,
    /// Name, bytes and revision of every writing ever.
    documents: Vec<(u8, Vec<u8>, Revision)>,
    locks: Vec<LockRecord>,
    marks: Vec<MarkRecord>,
    consumed: Vec<(u8, u8, u8)>,
    /// Key, byte, and until when.
    pending: Vec<(u8, u8, u8)>,
    releases: Vec<(ReleaseRecord, Vec<(ClosureId, EntryKey)>)>,
}

/// The ways to be refused, each that holds.
fn problems(all: &[(bool, Refusal)]) -> Vec<Refusal> {
    all.iter().filter(|(holds, _)| *holds).map(|(_, refusal)| *refusal).collect()
}

const VERSIONS: [&str; 4] = ["1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0"];

/// Until when what an insertion uses up is kept.
const KEPT: u8 = 8;

/// What may happen once, as texts that are told apart by where the scope ends alone.
fn one_use(scope: u8, key: u8, keep_until: u8) -> OneUse {
    OneUse {
        scope: "x".repeat(usize::from(scope)),
        key: vec![b'x'; usize::from(key)],
        keep_until: at(u32::from(keep_until)),
    }
}

fn version_of(number: u8) -> &'static str {
    VERSIONS.get(usize::from(number.saturating_sub(1))).copied().unwrap_or("9.9.9")
}

impl Model {
    const fn new(start: Revision) -> Self {
        Self {
            start,
            changes: Vec::new(),
            audit: Vec::new(),
            organizations: Vec::new(),
            workspaces: Vec::new(),
            users: Vec::new(),
            members: Vec::new(),
            departures: Vec::new(),
            groups: Vec::new(),
            tokens: Vec::new(),
            masses: Vec::new(),
            keys: Vec::new(),
            sealed: Vec::new(),
            documents: Vec::new(),
            locks: Vec::new(),
            marks: Vec::new(),
            consumed: Vec::new(),
            pending: Vec::new(),
            releases: Vec::new(),
        }
    }

    fn revision(&self) -> Revision {
        let changes = u64::try_from(self.changes.len()).unwrap_or(u64::MAX);
        Revision { number: self.start.number + changes, ..self.start }
    }

    /// Compares the answer of an act without a revision; `true` when it was done.
    fn quiet(
        &mut self,
        found: Result<(), StoreError>,
        problems: &[Refusal],
        entry: AuditEntry,
    ) -> Result<bool, Violation> {
        match found {
            Ok(()) if problems.is_empty() => {
                self.audit.push(entry);
                Ok(true)
            }
            Err(error) if problems.contains(&Refusal::from(&error)) => Ok(false),
            other => Err(Violation::new(format!("found {other:?}, right would be {problems:?}"))),
        }
    }

    /// Compares the answer of an act with a revision; `true` when it was done.
    fn loud(
        &mut self,
        found: Result<Revision, StoreError>,
        problems: &[Refusal],
        kind: ChangeKind,
        entry: AuditEntry,
    ) -> Result<bool, Violation> {
        let expected = Revision { number: self.revision().number + 1, ..self.start };
        let done = match found {
            Ok(revision) => {
                equal("the answered revision", &revision, &expected)?;
                Ok(())
            }
            Err(error) => Err(error),
        };
        let done = self.quiet(done, problems, entry)?;
        if done {
            self.changes.push(kind);
        }
        Ok(done)
    }

    fn knows_organization(&self, id: u8) -> bool {
        self.organizations.iter().any(|record| record.id == organization(id))
    }

    fn knows_workspace(&self, id: u8) -> bool {
        self.workspaces.iter().any(|record| record.id == workspace(id))
    }

    fn is_member(&self, place: u8, person: u8) -> bool {
        self.members
            .iter()
            .any(|member| member.organization == organization(place) && member.user == user(person))
    }

    fn token(&self, id: TokenId) -> Option<&TokenRecord> {
        self.tokens.iter().find(|token| token.id == id)
    }

    /// Whether the token itself is over, or unknown.
    fn over(&self, id: TokenId, now: Timestamp) -> bool {
        let Some(token) = self.token(id) else { return true };
        let expired = match token.expires_at {
            Some(end) => now.as_unix_seconds() >= end.as_unix_seconds(),
            None => false,
        };
        expired || token.revoked.is_some() || self.masses.iter().any(|mass| taken(mass, token))
    }

    /// Whether nothing can come from the token any more.
    fn barren(&self, id: TokenId, now: Timestamp) -> bool {
        self.over(id, now)
            || self
                .token(id)
                .is_some_and(|token| token.ancestors.iter().any(|ancestor| self.over(*ancestor, now)))
    }

    fn bad_lineage(&self, record: &TokenRecord, now: Timestamp) -> bool {
        record.ancestors.len() > 4 || record.ancestors.iter().any(|ancestor| self.barren(*ancestor, now))
    }

    async fn step(&mut self, storage: &dyn Storage, index: usize, deed: &Deed) -> Outcome {
        // Several operations in each second, so that ends are met to the second.
        let second = u32::try_from(index / 4).unwrap_or(0);
        let act = act(second);
        let now = act.at;
        match deed {
            Deed::CreateOrganization { id, name: called } => {
                let record =
                    OrganizationRecord { name: name(&format!("org-{called}"))?, ..organization_record(*id)? };
                let taken =
                    self.organizations.iter().any(|known| known.id == record.id || known.name == record.name);
                let found = storage.create_organization(&record, &act).await;
                let entry = acts::create_organization(&record, &act);
                if self.quiet(found, &problems(&[(taken, Refusal::Exists)]), entry)? {
                    self.organizations.push(record);
                }
            }
            Deed::CreateWorkspace { id, organization: place, name: called } => {
                let record = WorkspaceRecord {
                    name: name(&format!("ws-{called}"))?,
                    ..workspace_record(*id, *place)?
                };
                let taken = self.workspaces.iter().any(|known| {
                    known.id == record.id
                        || (known.organization == record.organization && known.name == record.name)
                });
                let wrong = problems(&[
                    (taken, Refusal::Exists),
                    (!self.knows_organization(*place), Refusal::Missing),
                ]);
                let found = storage.create_workspace(&record, &act).await;
                if self.quiet(found, &wrong, acts::create_workspace(&record, &act))? {
                    self.workspaces.push(record);
                }
            }
            Deed::SetSettings { id, usual_order, level, generation } => {
                let settings = settings(*usual_order, *level, *generation)?;
                let found = storage.set_settings(workspace(*id), &settings, None, &act).await;
                let wrong = problems(&[(!self.knows_workspace(*id), Refusal::Missing)]);
                let kind = ChangeKind::Workspace(workspace(*id));
                if self.loud(found, &wrong, kind, acts::set_settings(workspace(*id), &act))? {
                    for known in self.workspaces.iter_mut().filter(|known| known.id == workspace(*id)) {
                        let former = known.settings.lane_generation;
                        let same = known.settings.lanes.classes() == settings.lanes.classes();
                        known.settings = settings.clone();
                        known.settings.lane_generation = if same { former } else { former + 1 };
                    }
                }
            }
            Deed::SetListed { id, count, seen } => {
                let listed: Vec<Listed> = (0..*count)
                    .map(|number| Listed { party: ListedParty::User(user(number)), actions: ActionSet::ALL })
                    .collect();
                let held = self.workspaces.iter().find(|known| known.id == workspace(*id)).cloned();
                let seen = held.clone().filter(|_| *seen != 0).map(|held| match seen {
                    1 => held,
                    _ => WorkspaceRecord { listed: [held.listed, listed.clone()].concat(), ..held },
                });
                let changed = seen.as_ref().is_some_and(|seen| Some(seen) != held.as_ref());
                let found = storage.set_listed(workspace(*id), &listed, seen.as_ref(), &act).await;
                let wrong = problems(&[
                    (!self.knows_workspace(*id), Refusal::Missing),
                    (changed, Refusal::Precondition),
                ]);
                let entry = acts::set_listed(workspace(*id), listed.len(), &act);
                if self.loud(found, &wrong, ChangeKind::Workspace(workspace(*id)), entry)? {
                    for known in self.workspaces.iter_mut().filter(|known| known.id == workspace(*id)) {
                        known.listed.clone_from(&listed);
                    }
                }
            }
            Deed::CreateUser { id } => {
                let record = user_record(*id)?;
                let taken = self.users.iter().any(|known| known.id == record.id);
                let found = storage.create_user(&record, &act).await;
                let entry = acts::create_user(&record, &act);
                if self.quiet(found, &problems(&[(taken, Refusal::Exists)]), entry)? {
                    self.users.push(record);
                }
            }
            Deed::SetMember { organization: place, user: person, role } => {
                let (place, person) = (*place, *person);
                let known = self.users.iter().any(|known| known.id == user(person));
                let wrong = problems(&[(!known || !self.knows_organization(place), Refusal::Missing)]);
                let found = storage.set_member(organization(place), user(person), *role, &act).await;
                let entry = acts::set_member(organization(place), user(person), *role, &act);
                if self.loud(found, &wrong, ChangeKind::User(user(person)), entry)? {
                    self.set_member(organization(place), user(person), *role);
                }
            }
            Deed::RemoveMember { organization: place, user: person } => {
                let (place, person) = (*place, *person);
                let wrong = problems(&[(!self.is_member(place, person), Refusal::Missing)]);
                let found = storage.remove_member(organization(place), user(person), &act).await;
                let entry = acts::remove_member(organization(place), user(person), &act);
                if self.loud(found, &wrong, ChangeKind::User(user(person)), entry)? {
                    self.members.retain(|member| {
                        !(member.organization == organization(place) && member.user == user(person))
                    });
                    self.departures.push((organization(place), user(person), at(second + 1)));
                    for known in
                        self.groups.iter_mut().filter(|known| known.organization == organization(place))
                    {
                        known.members.retain(|listed| *listed != user(person));
                    }
                }
            }
            Deed::PutGroup { id, organization: place, name: called, members } => {
                let record = GroupRecord {
                    name: name(&format!("group-{called}"))?,
                    ..group_record(*id, *place, members)?
                };
                let taken = self.groups.iter().any(|known| {
                    let here = known.organization == record.organization;
                    let same = known.id == record.id;
                    (here && !same && known.name == record.name) || (same && !here)
                });
                let wrong = problems(&[
                    (taken, Refusal::Exists),
                    (!self.knows_organization(*place), Refusal::Missing),
                ]);
                let found = storage.put_group(&record, &act).await;
                let once: BTreeSet<UserId> = record.members.iter().copied().collect();
                let kept = GroupRecord { members: once.into_iter().collect(), ..record };
                if self.loud(found, &wrong, ChangeKind::Group(kept.id), acts::put_group(&kept, &act))? {
                    self.groups.retain(|known| known.id != kept.id);
                    self.groups.push(kept);
                }
            }
            Deed::RemoveGroup { id } => {
                let known = self.groups.iter().find(|known| known.id == group(*id));
                let place = known.map_or(organization(0), |known| known.organization);
                let wrong = problems(&[(known.is_none(), Refusal::Missing)]);
                let found = storage.remove_group(group(*id), &act).await;
                let entry = acts::remove_group(place, group(*id), &act);
                if self.loud(found, &wrong, ChangeKind::Group(group(*id)), entry)? {
                    self.groups.retain(|known| known.id != group(*id));
                }
            }
            Deed::InsertToken { token: draft, live, members, uses } => {
                let record = drafted(draft)?;
                let preconditions = Preconditions {
                    members: members
                        .iter()
                        .map(|(place, person)| (organization(*place), user(*person)))
                        .collect(),
                    live: live.iter().map(|number| token(*number)).collect(),
                    uses: uses.iter().map(|key| one_use(1, *key, KEPT)).collect(),
                };
                let used = |key: &u8| self.consumed.iter().any(|(scope, used, _)| (*scope, used) == (1, key));
                let unmet = self.bad_lineage(&record, now)
                    || live.iter().any(|number| self.barren(token(*number), now))
                    || members.iter().any(|(place, person)| !self.is_member(*place, *person))
                    || uses.iter().any(used)
                    || uses.iter().collect::<BTreeSet<_>>().len() < uses.len();
                let wrong = problems(&[
                    (self.token(record.id).is_some(), Refusal::Exists),
                    (unmet, Refusal::Precondition),
                ]);
                let found = storage.insert_token(&record, &preconditions, &act).await;
                if self.quiet(found, &wrong, acts::insert_token(&record, &act))? {
                    self.consumed.extend(uses.iter().map(|key| (1, *key, KEPT)));
                    self.tokens.push(record);
                }
            }
            Deed::RotateToken { predecessor, successor, overlap } => {
                let record = drafted(successor)?;
                let old = token(*predecessor);
                let superseded = self.token(old).is_some_and(|token| token.superseded.is_some());
                let known = self.token(old).is_some();
                let wrong = problems(&[
                    (!known, Refusal::Missing),
                    (known && (superseded || self.barren(old, now)), Refusal::Precondition),
                    (self.bad_lineage(&record, now), Refusal::Precondition),
                    (self.token(record.id).is_some(), Refusal::Exists),
                ]);
                let found = storage.rotate_token(old, &record, at(u32::from(*overlap)), &act).await;
                let entry = acts::rotate_token(old, &record, &act);
                if self.loud(found, &wrong, ChangeKind::Token(old), entry)? {
                    for token in self.tokens.iter_mut().filter(|token| token.id == old) {
                        token.superseded =
                            Some(Superseded { by: record.id, overlap_until: at(u32::from(*overlap)) });
                    }
                    self.tokens.push(record);
                }
            }
            Deed::RevokeToken { id } => {
                let (id, leak) = (token(*id), revoked(second)?);
                let found = storage.revoke_token(id, &leak, &act).await;
                if self.token(id).is_some_and(|token| token.revoked.is_some()) {
                    // Any revision since the first revocation would do; the newest is the plain answer.
                    let includes = found.as_ref().is_ok_and(|found| self.revision().includes(*found));
                    check!(includes, "a second revocation answered {found:?}");
                } else {
                    let wrong = problems(&[(self.token(id).is_none(), Refusal::Missing)]);
                    // Of what is missing nothing is noted.
                    let entry = match self.token(id) {
                        Some(known) => acts::revoke_token(known, &leak, &act),
                        None => acts::revoke_token(&token_record(1)?, &leak, &act),
                    };
                    if self.loud(found, &wrong, ChangeKind::Token(id), entry)? {
                        for token in self.tokens.iter_mut().filter(|token| token.id == id) {
                            token.revoked = Some(leak.clone());
                        }
                    }
                }
            }
            Deed::RevokeMany { scope, of, until } => {
                let revocation = mass(scope_of(*scope, *of)?, until.map(u32::from))?;
                let found = storage.revoke_many(&revocation, &act).await;
                let entry = acts::revoke_many(&revocation, &act);
                if self.loud(found, &[], ChangeKind::Revocations, entry)? {
                    self.masses.push(revocation);
                }
            }
            Deed::TouchTokens { uses } => {
                let uses: Vec<(TokenId, Timestamp)> =
                    uses.iter().map(|(id, second)| (token(*id), at(u32::from(*second)))).collect();
                storage.touch_tokens(&uses).await?;
                for (id, moment) in uses {
                    for token in self.tokens.iter_mut().filter(|token| token.id == id) {
                        if token.last_used.is_none_or(|noted| noted < moment) {
                            token.last_used = Some(moment);
                        }
                    }
                }
            }
            Deed::PurgeTokens { before } => {
                let before = at(u32::from(*before));
                let named: Vec<TokenId> =
                    self.tokens.iter().flat_map(|token| token.ancestors.clone()).collect();
                let held = self.tokens.len();
                self.tokens.retain(|token| {
                    named.contains(&token.id) || token.expires_at.is_none_or(|end| end >= before)
                });
                let gone = u64::try_from(held - self.tokens.len()).unwrap_or(0);
                equal("how many are gone", &storage.purge_tokens(before).await?, &gone)?;
            }
            Deed::PutKey { id, created, revoked: ended } => {
                let leak = if *ended { Some(revoked(second)?) } else { None };
                let mut record =
                    KeyRecord { revoked: leak, ..signing_key(&format!("k{id}"), u32::from(*created)) };
                let found = storage.put_key(&record, &act).await;
                let former = self.keys.iter().find(|known| known.id == record.id);
                if let Some(KeyRecord { revoked: Some(first), .. }) = former {
                    record.revoked = Some(first.clone());
                }
                if self.loud(found, &[], ChangeKind::Keys, acts::put_key(&record, &act))? {
                    self.keys.retain(|known| known.id != record.id);
                    self.keys.push(record);
                }
            }
            Deed::PutSealed { id, byte } => {
                let id = format!("s{id}");
                let taken = self.sealed.iter().any(|(known, _)| *known == id);
                match storage.put_sealed(&id, &[*byte]).await {
                    Ok(()) if !taken => self.sealed.push((id, vec![*byte])),
                    Err(StoreError::Exists { .. }) if taken => {}
                    other => check!(false, "found {other:?} where the id is taken: {taken}"),
                }
            }
            Deed::PutRules { name: number, byte, expected } => {
                let revisions: Vec<Revision> = self
                    .documents
                    .iter()
                    .filter(|(known, ..)| known == number)
                    .map(|(.., revision)| *revision)
                    .collect();
                let read = match expected {
                    Expected::Nothing => None,
                    Expected::Current => revisions.last().copied(),
                    Expected::Former => revisions.iter().rev().nth(1).copied(),
                };
                let wrong = problems(&[(read != revisions.last().copied(), Refusal::Precondition)]);
                let called = name(&format!("doc-{number}"))?;
                let found = storage.put_rules(&called, &[*byte], read, &act).await;
                let entry = acts::put_rules(&called, &[*byte], &act);
                if self.loud(found, &wrong, ChangeKind::Rules(called), entry)? {
                    self.documents.push((*number, vec![*byte], self.revision()));
                }
            }
            Deed::PutLock { id } => {
                let record = lock_record(*id)?;
                let taken = self.locks.iter().any(|known| known.lock.id == record.lock.id);
                let found = storage.put_lock(&record, &act).await;
                let wrong = problems(&[(taken, Refusal::Exists)]);
                if self.loud(found, &wrong, ChangeKind::Locks, acts::put_lock(&record, &act))? {
                    self.locks.push(record);
                }
            }
            Deed::LiftLock { id } => {
                let known = self.locks.iter().any(|known| known.lock.id == lock(*id));
                let found = storage.lift_lock(lock(*id), &act).await;
                let wrong = problems(&[(!known, Refusal::Missing)]);
                if self.loud(found, &wrong, ChangeKind::Locks, acts::lift_lock(&lock_record(*id)?, &act))? {
                    self.locks.retain(|known| known.lock.id != lock(*id));
                }
            }
            Deed::PutMark { id } => {
                let record = mark_record(*id)?;
                let taken = self.marks.iter().any(|known| known.id == record.id);
                let found = storage.put_mark(&record, &act).await;
                let wrong = problems(&[(taken, Refusal::Exists)]);
                if self.loud(found, &wrong, ChangeKind::Marks, acts::put_mark(&record, &act))? {
                    self.marks.push(record);
                }
            }
            Deed::LiftMark { id } => {
                let known = self.marks.iter().any(|known| known.id == mark(*id));
                let found = storage.lift_mark(mark(*id), &act).await;
                let wrong = problems(&[(!known, Refusal::Missing)]);
                if self.loud(found, &wrong, ChangeKind::Marks, acts::lift_mark(&mark_record(*id)?, &act))? {
                    self.marks.retain(|known| known.id != mark(*id));
                }
            }
            Deed::Consume { scope, key, keep_until } => {
                let first = !self.consumed.iter().any(|(known, used, _)| known == scope && used == key);
                let one = one_use(*scope, *key, *keep_until);
                let found = storage.consume(&one.scope, &one.key, one.keep_until).await?;
                equal("whether it is the first use", &found, &first)?;
                if first {
                    self.consumed.push((*scope, *key, *keep_until));
                }
            }
            Deed::PurgeConsumed { now } => {
                let held = self.consumed.len();
                self.consumed.retain(|(.., keep_until)| keep_until > now);
                let gone = u64::try_from(held - self.consumed.len()).unwrap_or(0);
                equal("how many are gone", &storage.purge_consumed(at(u32::from(*now))).await?, &gone)?;
            }
            Deed::PutPending { key, byte, keep_until } => {
                let free = !self.pending.iter().any(|(known, ..)| known == key);
                let until = at(u32::from(*keep_until));
                let found = storage.put_pending("wait", &[*key], &[*byte], until).await?;
                equal("whether it was put", &found, &free)?;
                if free {
                    self.pending.push((*key, *byte, *keep_until));
                }
            }
            Deed::ChangePending { key, expected, byte } => {
                let held = self.pending.iter_mut().find(|(known, ..)| known == key);
                let right = held.filter(|(_, held, _)| held == expected);
                let found = storage.change_pending("wait", &[*key], &[*expected], &[*byte]).await?;
                equal("whether it was changed", &found, &right.is_some())?;
                if let Some((_, held, _)) = right {
                    *held = *byte;
                }
            }
            Deed::PurgePending { now } => {
                let held = self.pending.len();
                self.pending.retain(|(.., keep_until)| keep_until > now);
                let gone = u64::try_from(held - self.pending.len()).unwrap_or(0);
                equal("how many are gone", &storage.purge_pending(at(u32::from(*now))).await?, &gone)?;
            }
            Deed::PublishRelease { id, workspace: place, version: number, closures: sets, keys } => {
                let outputs =
                    (1..).zip(sets).map(|(output, set): (u8, _)| (output.to_string().into(), closure(*set)));
                let record = ReleaseRecord {
                    closures: outputs.collect(),
                    ..release_record(*id, *place, version_of(*number))?
                };
                let keys = keys.iter().map(|(set, number)| Ok((closure(*set), key(&[*number])?)));
                let keys = keys.collect::<Result<Vec<_>, Violation>>()?;
                let ids: BTreeSet<_> = record.closures.values().collect();
                let twice = ids.len() < record.closures.len();
                let taken = self.releases.iter().any(|(known, _)| {
                    known.id == record.id
                        || (known.workspace == record.workspace && known.version == record.version)
                        || known.closures.values().any(|id| ids.contains(id))
                }) || twice;
                let wrong =
                    problems(&[(taken, Refusal::Exists), (!self.knows_workspace(*place), Refusal::Missing)]);
                let found = storage.publish_release(&record, &keys, &act).await;
                if self.quiet(found, &wrong, acts::publish_release(&record, &act))? {
                    self.releases.push((record, keys));
                }
            }
            Deed::YankRelease { workspace: place, version: number } => {
                let (place, number) = (workspace(*place), version(version_of(*number))?);
                let known = self
                    .releases
                    .iter_mut()
                    .map(|(known, _)| known)
                    .find(|known| known.workspace == place && known.version == number);
                let found = storage.yank_release(place, &number, &act).await;
                match (known, found) {
                    (Some(ReleaseRecord { yanked_at: Some(_), .. }), Ok(())) => {}
                    (Some(known), Ok(())) => {
                        known.yanked_at = Some(now);
                        self.audit.push(acts::yank_release(place, &number, &act));
                    }
                    (None, Err(StoreError::Missing { .. })) => {}
                    (known, found) => check!(false, "found {found:?} where there is {known:?}"),
                }
            }
            Deed::AppendAudit { count } => {
                let entries: Vec<AuditEntry> = (0..*count)
                    .map(|number| AuditEntry {
                        act: act.clone(),
                        code: "tested".into(),
                        target: number.to_string().into(),
                        detail: Description::default(),
                    })
                    .collect();
                storage.append_audit(&entries).await?;
                self.audit.extend(entries);
            }
            Deed::Look { limit } => self.look(storage, usize::from(*limit)).await?,
        }
        equal("the heartbeat", &storage.heartbeat().await?.revision, &self.revision())
    }

    fn set_member(&mut self, place: OrganizationId, person: UserId, role: Role) {
        let left = self.departures.iter().filter(|(from, who, _)| *from == place && *who == person);
        let tokens_since = left.map(|(.., since)| *since).max();
        self.members.retain(|member| !(member.organization == place && member.user == person));
        self.members.push(MemberRecord { organization: place, user: person, role, tokens_since });
    }

    fn membership(&self, member: &MemberRecord) -> MembershipRecord {
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .filter(|group| group.organization == member.organization && group.members.contains(&member.user))
            .map(|group| group.id)
            .collect();
        groups.sort();
        MembershipRecord { member: member.clone(), groups }
    }

    /// Reads everything, in pages of `limit` where there are pages, and compares it.
    async fn look(&self, storage: &dyn Storage, limit: usize) -> Outcome {
        self.look_at_places(storage, limit).await?;
        self.look_at_people(storage, limit).await?;
        self.look_at_tokens(storage, limit).await?;
        self.look_at_the_rest(storage).await?;
        let numbered = (self.start.number + 1..)
            .zip(&self.changes)
            .map(|(number, kind)| (Revision { number, ..self.start }, kind.clone()));
        equal("the feed", &feed(storage, self.start, limit).await?, &numbered.collect())?;
        let ahead = Revision { number: self.revision().number + 1, ..self.start };
        let restart = Changes::Restart { upto: self.revision() };
        equal("the feed ahead", &storage.changes_after(ahead, limit).await?, &restart)?;
        let former = Revision { epoch: Epoch(self.start.epoch.0.wrapping_sub(1)), ..self.start };
        equal("the feed of a former life", &storage.changes_after(former, limit).await?, &restart)?;
        let records = whole_audit(storage).await?;
        let mut backwards = audit_from_the_end(storage, limit, records.len()).await?;
        backwards.reverse();
        equal("the audit from its end", &backwards, &records)?;
        let audit: Vec<AuditEntry> = records.into_iter().map(|record| record.entry).collect();
        equal("the audit", &audit, &self.audit)
    }

    async fn look_at_places(&self, storage: &dyn Storage, limit: usize) -> Outcome {
        let mut all = self.organizations.clone();
        all.sort_by_key(|record| record.id);
        let (mut found, mut after) = (Vec::new(), None);
        while let Some(last) = {
            let page = storage.organizations(after, limit).await?;
            let last = page.last().map(|record| record.id);
            found.extend(page);
            last
        } {
            check!(found.len() <= all.len(), "a page repeats organizations");
            after = Some(last);
        }
        equal("the organizations", &found, &all)?;
        for number in 1..=3 {
            let id = organization(number);
            let known = all.iter().find(|record| record.id == id).cloned();
            equal("an organization", &storage.organization(id).await?, &known)?;
            let called = name(&format!("org-{number}"))?;
            let known = all.iter().find(|record| record.name == called).cloned();
            equal("an organization by name", &storage.organization_by_name(&called).await?, &known)?;
            let mut owned: Vec<WorkspaceRecord> =
                self.workspaces.iter().filter(|record| record.organization == id).cloned().collect();
            owned.sort_by_key(|record| record.id);
            equal("the workspaces", &storage.workspaces(id, None, usize::MAX).await?, &owned)?;
            for called in 1..=3 {
                let called = name(&format!("ws-{called}"))?;
                let known = owned.iter().find(|record| record.name == called).cloned();
                equal("a workspace by name", &storage.workspace_by_name(id, &called).await?, &known)?;
            }
            let mut groups: Vec<GroupRecord> =
                self.groups.iter().filter(|record| record.organization == id).cloned().collect();
            groups.sort_by_key(|record| record.id);
            equal("the groups", &storage.groups(id).await?, &groups)?;
        }
        for number in 1..=4 {
            let known = self.workspaces.iter().find(|record| record.id == workspace(number)).cloned();
            equal("a workspace", &storage.workspace(workspace(number)).await?, &known)?;
        }
        Ok(())
    }

    async fn look_at_people(&self, storage: &dyn Storage, limit: usize) -> Outcome {
        for number in 1..=4 {
            let known = self.users.iter().find(|record| record.id == user(number)).cloned();
            equal("a person", &storage.user(user(number)).await?, &known)?;
            let mut places: Vec<MembershipRecord> = self
                .members
                .iter()
                .filter(|member| member.user == user(number))
                .map(|member| self.membership(member))
                .collect();
            places.sort_by_key(|place| place.member.organization);
            equal("the memberships", &storage.memberships(user(number)).await?, &places)?;
        }
        for number in 1..=3 {
            let mut all: Vec<MembershipRecord> = self
                .members
                .iter()
                .filter(|member| member.organization == organization(number))
                .map(|member| self.membership(member))
                .collect();
            all.sort_by_key(|place| place.member.user);
            let whole = storage.members(organization(number), None, usize::MAX).await?;
            equal("the members", &whole, &all)?;
            let behind: Vec<MembershipRecord> =
                all.into_iter().filter(|place| place.member.user > user(2)).take(limit).collect();
            let found = storage.members(organization(number), Some(user(2)), limit).await?;
            equal("the members behind one", &found, &behind)?;
        }
        Ok(())
    }

    async fn look_at_tokens(&self, storage: &dyn Storage, limit: usize) -> Outcome {
        let mut all: Vec<&TokenRecord> = self.tokens.iter().collect();
        all.sort_by_key(|token| token.id);
        for number in 1..=8 {
            match (storage.token(token(number)).await?, self.token(token(number))) {
                (Some(found), Some(known)) => same_token(&found, known)?,
                (None, None) => {}
                (found, known) => check!(false, "found {found:?}, expected {known:?}"),
            }
        }
        let moment = at(8);
        let any = TokenFilter::default;
        let filters = [
            any(),
            TokenFilter { live_at: Some(moment), ..any() },
            TokenFilter { kind: Some(TokenKind::Device), ..any() },
            TokenFilter { organization: Some(organization(1)), live_at: Some(moment), ..any() },
            TokenFilter { workspace: Some(workspace(1)), ..any() },
            TokenFilter { owner: Some(Principal::User(user(1))), ..any() },
        ];
        for filter in filters {
            let fits = |token: &&&TokenRecord| {
                filter.organization.is_none_or(|id| token.organization == Some(id))
                    && filter.workspace.is_none_or(|id| token.workspace == Some(id))
                    && filter.owner.as_ref().is_none_or(|owner| token.owner == *owner)
                    && filter.kind.is_none_or(|kind| token.kind == kind)
                    && filter.live_at.is_none_or(|moment| !self.over(token.id, moment))
            };
            let expected: Vec<TokenId> = all.iter().filter(fits).map(|token| token.id).collect();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = storage.tokens(&filter, after, limit).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for token in &page {
                    if let Some(known) = self.token(token.id) {
                        same_token(token, known)?;
                    }
                    found.push(token.id);
                }
                check!(found.len() <= expected.len(), "a page repeats tokens: {found:?}");
            }
            equal(&format!("the tokens of {filter:?}"), &found, &expected)?;
        }
        equal("the mass revocations", &storage.mass_revocations().await?, &self.masses)
    }

    async fn look_at_the_rest(&self, storage: &dyn Storage) -> Outcome {
        let mut keys = self.keys.clone();
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        equal("the keys", &storage.keys().await?, &keys)?;
        for number in 1..=3 {
            let id = format!("s{number}");
            let known = self.sealed.iter().find(|(known, _)| *known == id).map(|(_, bytes)| bytes.clone());
            equal("a sealed row", &storage.sealed(&id).await?, &known)?;
        }
        for number in 1..=2 {
            let found = storage.rules(&name(&format!("doc-{number}"))?).await?;
            let last = self.documents.iter().rev().find(|(known, ..)| *known == number);
            let last = last.map(|(_, bytes, revision)| (bytes.clone(), *revision));
            equal("a document", &found.map(|found| (found.bytes, found.revision)), &last)?;
        }
        let mut locks = self.locks.clone();
        locks.sort_by_key(|record| record.lock.id);
        equal("the locks", &storage.locks().await?, &locks)?;
        let mut marks = self.marks.clone();
        marks.sort_by_key(|record| record.id);
        equal("the marks", &storage.marks().await?, &marks)?;
        for number in 1..=2 {
            let known = self.pending.iter().find(|(known, ..)| *known == number);
            let bytes = known.map(|(_, byte, _)| vec![*byte]);
            equal("what waits", &storage.pending("wait", &[number]).await?, &bytes)?;
        }
        for place in 1..=4 {
            let mut releases: Vec<ReleaseRecord> = self
                .releases
                .iter()
                .map(|(record, _)| record.clone())
                .filter(|record| record.workspace == workspace(place))
                .collect();
            releases.sort_by(|one, other| one.version.cmp(&other.version));
            equal("the releases", &storage.releases(workspace(place)).await?, &releases)?;
            for number in 1..=4 {
                let text = version(version_of(number))?;
                let known = releases.iter().find(|record| record.version == text).cloned();
                equal("a release", &storage.release(workspace(place), &text).await?, &known)?;
            }
            for number in 1..=3 {
                let key = key(&[number])?;
                let mut closures: Vec<ClosureId> = self
                    .releases
                    .iter()
                    .filter(|(record, _)| record.workspace == workspace(place))
                    .flat_map(|(record, keys)| {
                        let held =
                            |id: &&ClosureId| keys.iter().any(|(set, held)| set == *id && *held == key);
                        record.closures.values().filter(held).copied().collect::<Vec<_>>()
                    })
                    .collect();
                closures.sort();
                equal("the closures", &storage.closures_of(workspace(place), &key).await?, &closures)?;
            }
        }
        Ok(())
    }
}

/// Whether a mass revocation takes the token itself.
fn taken(mass: &MassRevocation, token: &TokenRecord) -> bool {
    let within = match &mass.scope {
        MassScope::Everything => true,
        MassScope::Family(family) => &token.family == family,
        MassScope::Principal(principal) => &token.owner == principal,
        MassScope::Organization(id) => token.organization.as_ref() == Some(id),
        MassScope::Workspace(id) => token.workspace.as_ref() == Some(id),
        MassScope::Key(key) => matches!(&token.form, TokenForm::Jwt { key: signed } if signed == key),
        MassScope::Anchor(name) => {
            matches!(&token.owner, Principal::Workload { anchor, .. } if anchor == name)
        }
    };
    within && mass.issued_until.is_none_or(|until| token.issued_at <= until)
}

fn settings(usual_order: bool, level: u8, generation: u8) -> Result<WorkspaceSettings, Violation> {
    let mut classes = LaneClass::ALL;
    if !usual_order {
        classes.swap(0, 1);
    }
    Ok(WorkspaceSettings {
        anonymous: AccessLevel::ALL.into_iter().nth(usize::from(level)).unwrap_or_default(),
        lanes: LaneOrder::new(&classes).map_err(|error| Violation::new(error.to_string()))?,
        lane_generation: u32::from(generation),
        ..WorkspaceSettings::default()
    })
}

fn drafted(draft: &Draft) -> Result<TokenRecord, Violation> {
    let (owner, organization_id, workspace_id) = match draft.owner {
        0 => (Principal::User(user(1)), None, None),
        1 => (Principal::Ci(workspace(1)), Some(organization(1)), Some(workspace(1))),
        2 => (Principal::Device(organization(2)), Some(organization(2)), None),
        3 => {
            let anchor = name("github")?;
            (Principal::Workload { anchor, subject: "repo:a/b".into() }, Some(organization(1)), None)
        }
        _ => (Principal::User(user(2)), None, None),
    };
    let usual = token_record(draft.id)?;
    Ok(TokenRecord {
        kind: TokenKind::ALL.into_iter().nth(usize::from(draft.kind)).unwrap_or(TokenKind::Ci),
        form: if draft.kind.is_multiple_of(2) { usual.form } else { TokenForm::Jwt { key: "k1".into() } },
        owner,
        organization: organization_id,
        workspace: workspace_id,
        issued_at: at(u32::from(draft.issued)),
        expires_at: draft.expires.map(|second| at(u32::from(second))),
        ancestors: draft.ancestors.iter().map(|number| token(*number)).collect(),
        family: token(draft.family),
        ..token_record(draft.id)?
    })
}

fn scope_of(scope: u8, of: u8) -> Result<MassScope, Violation> {
    Ok(match scope {
        0 => MassScope::Family(token(of)),
        1 => MassScope::Principal(Principal::User(user(of))),
        2 => MassScope::Organization(organization(of)),
        3 => MassScope::Workspace(workspace(of)),
        4 => MassScope::Key(format!("k{of}").into()),
        5 => MassScope::Anchor(name(if of.is_multiple_of(2) { "github" } else { "gitlab" })?),
        _ => MassScope::Everything,
    })
}
