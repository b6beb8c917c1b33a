//! The store that forgets when its process ends: for tests, trials and caches that start empty.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::ops::Bound::{Excluded, Unbounded};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use cachegate_policy::{Listed, WorkspaceSettings};
use cachegate_types::{
    ClosureId, EntryKey, Epoch, GroupId, LockId, MarkId, Name, OrganizationId, ReleaseId, Revision, Role,
    Timestamp, TokenId, UserId, Version, WorkspaceId,
};

use crate::{
    AccountRecord, Accounts, Act, Audit, AuditEntry, AuditRecord, Change, ChangeKind, Changes, Directories,
    DirectoryId, DirectoryKey, DirectoryKind, DirectoryRecord, Distrust, GroupRecord, Heartbeat, KeyRecord,
    Keys, LockRecord, Locks, MarkRecord, MassRevocation, MemberRecord, Members, MembershipRecord, OneUse,
    OrganizationRecord, Organizations, Pending, Preconditions, ReleaseRecord, Releases, Revisions, Revoked,
    Rules, RulesDocument, SingleUse, StoreError, Superseded, TokenFilter, TokenRecord, Tokens, UserRecord,
    WorkspaceRecord, Workspaces, acts, audit, rules,
};

type Stored<T> = Result<T, StoreError>;

/// A store in memory. Everything is gone with it; what is here obeys every rule of the traits.
///
/// One mutex guards all of it, and no method waits for anything else, so that its futures are ready at the first
/// poll. Should a thread panic while it holds the mutex, every later call is [`StoreError::Unavailable`].
pub struct MemoryStorage {
    state: Mutex<State>,
    waiting: Mutex<Waiting>,
}

impl MemoryStorage {
    /// An empty store. `epoch` must differ from that of every store before it that the same nodes knew.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            state: Mutex::new(State::new(Revision { epoch, number: 0 })),
            waiting: Mutex::new(Waiting::default()),
        }
    }

    /// Keeps the newest `limit` changes of the feed alone. Whoever asks for older ones is told to begin anew.
    #[must_use]
    pub fn with_history(self, limit: usize) -> Self {
        if let Ok(mut state) = self.state.lock() {
            state.history_limit = limit;
            state.trim();
        }
        self
    }

    fn state(&self) -> Stored<MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| StoreError::Unavailable {
            detail: "a thread panicked while it changed the store".to_owned(),
        })
    }

    /// Runs an act. It must check everything first, then change: nothing may fail once something has changed.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> Stored<T>) -> Stored<T> {
        let mut state = self.state()?;
        let before = state.revision;
        let result = act(&mut state);
        let changed = state.revision != before;
        drop(state);
        if changed {
            // Woken without the mutex: whoever wakes may come back at once.
            let wakers = self.waiting().change();
            wakers.into_values().for_each(Waker::wake);
        }
        result
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing here is ever half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").finish_non_exhaustive()
    }
}

/// All that is kept.
struct State {
    revision: Revision,
    history: VecDeque<Change>,
    history_limit: usize,
    organizations: BTreeMap<OrganizationId, OrganizationRecord>,
    organization_names: BTreeMap<Name, OrganizationId>,
    workspaces: BTreeMap<WorkspaceId, WorkspaceRecord>,
    workspace_names: BTreeMap<(OrganizationId, Name), WorkspaceId>,
    users: BTreeMap<UserId, UserRecord>,
    members: BTreeMap<(OrganizationId, UserId), MemberRecord>,
    /// The keys of `members`, by person.
    places: BTreeSet<(UserId, OrganizationId)>,
    /// For those who left: since when their tokens would count.
    departures: BTreeMap<(OrganizationId, UserId), Timestamp>,
    groups: BTreeMap<(OrganizationId, GroupId), GroupRecord>,
    group_homes: BTreeMap<GroupId, OrganizationId>,
    tokens: BTreeMap<TokenId, TokenRecord>,
    masses: Vec<MassRevocation>,
    keys: BTreeMap<Arc<str>, KeyRecord>,
    sealed: BTreeMap<String, Vec<u8>>,
    rules: BTreeMap<Name, RulesDocument>,
    locks: BTreeMap<LockId, LockRecord>,
    marks: BTreeMap<MarkId, MarkRecord>,
    consumed: BTreeMap<(String, Vec<u8>), Timestamp>,
    pending: BTreeMap<(String, Vec<u8>), (Vec<u8>, Timestamp)>,
    releases: BTreeMap<(WorkspaceId, Version), ReleaseRecord>,
    release_ids: BTreeSet<ReleaseId>,
    closures: BTreeSet<ClosureId>,
    closures_of: BTreeMap<(WorkspaceId, EntryKey), BTreeSet<ClosureId>>,
    /// By issuer and subject.
    accounts: BTreeMap<(Arc<str>, Arc<str>), AccountRecord>,
    directories: BTreeMap<(DirectoryId, DirectoryKind, Arc<str>), DirectoryRecord>,
    audit: Vec<AuditRecord>,
}

impl State {
    const fn new(revision: Revision) -> Self {
        Self {
            revision,
            history: VecDeque::new(),
            history_limit: usize::MAX,
            organizations: BTreeMap::new(),
            organization_names: BTreeMap::new(),
            workspaces: BTreeMap::new(),
            workspace_names: BTreeMap::new(),
            users: BTreeMap::new(),
            members: BTreeMap::new(),
            places: BTreeSet::new(),
            departures: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_homes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            masses: Vec::new(),
            keys: BTreeMap::new(),
            sealed: BTreeMap::new(),
            rules: BTreeMap::new(),
            locks: BTreeMap::new(),
            marks: BTreeMap::new(),
            consumed: BTreeMap::new(),
            pending: BTreeMap::new(),
            releases: BTreeMap::new(),
            release_ids: BTreeSet::new(),
            closures: BTreeSet::new(),
            closures_of: BTreeMap::new(),
            accounts: BTreeMap::new(),
            directories: BTreeMap::new(),
            audit: Vec::new(),
        }
    }

    /// Writes the audit record of an act that takes no revision.
    fn note(&mut self, entry: AuditEntry) {
        let record = audit::chained(self.audit.last(), entry);
        self.audit.push(record);
    }

    /// Writes the audit record of an act, and its change.
    fn commit(&mut self, kind: ChangeKind, entry: AuditEntry) -> Revision {
        self.note(entry);
        self.revision = self.next();
        self.history.push_back(Change { revision: self.revision, kind });
        self.trim();
        self.revision
    }

    /// The revision that the next change takes.
    fn next(&self) -> Revision {
        Revision { number: self.revision.number.saturating_add(1), ..self.revision }
    }

    fn trim(&mut self) {
        while self.history.len() > self.history_limit {
            self.history.pop_front();
        }
    }

    fn changes_after(&self, after: Revision, limit: usize) -> Changes {
        let newest = self.revision;
        let wanted = newest.number.checked_sub(after.number).and_then(|count| usize::try_from(count).ok());
        let skipped = wanted.and_then(|wanted| self.history.len().checked_sub(wanted));
        match skipped {
            Some(skipped) if after.epoch == newest.epoch => {
                let changes: Vec<Change> =
                    self.history.iter().skip(skipped).take(limit.max(1)).cloned().collect();
                let upto = changes.last().map_or(after, |change| change.revision);
                Changes::After { changes, upto, more: upto != newest }
            }
            Some(_) | None => Changes::Restart { upto: newest },
        }
    }

    fn membership(&self, member: &MemberRecord) -> MembershipRecord {
        let groups = self.groups_of(member.organization).filter(|group| group.members.contains(&member.user));
        MembershipRecord { member: member.clone(), groups: groups.map(|group| group.id).collect() }
    }

    fn told(&self, directory: &DirectoryId, kind: DirectoryKind) -> impl Iterator<Item = &DirectoryRecord> {
        let told = self.directories.range((directory.clone(), kind, Arc::from(""))..);
        let directory = directory.clone();
        told.take_while(move |((of, as_kind, _), _)| *of == directory && *as_kind == kind)
            .map(|(_, record)| record)
    }

    fn groups_of(&self, organization: OrganizationId) -> impl Iterator<Item = &GroupRecord> {
        let first = GroupId::from_bytes([0; 16]);
        self.groups
            .range((organization, first)..)
            .take_while(move |((home, _), _)| *home == organization)
            .map(|(_, group)| group)
    }
}

impl rules::Known for State {
    fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
        Ok(self.tokens.get(&id).cloned())
    }

    fn mass_revocations(&self) -> Stored<Vec<MassRevocation>> {
        Ok(self.masses.clone())
    }

    fn is_member(&self, organization: OrganizationId, user: UserId) -> Stored<bool> {
        Ok(self.members.contains_key(&(organization, user)))
    }
}

const fn exists<T>(what: &'static str) -> Stored<T> {
    Err(StoreError::Exists { what })
}

const fn missing<T>(what: &'static str) -> Stored<T> {
    Err(StoreError::Missing { what })
}

/// The values behind `after`, at most `limit`, that `wanted` takes.
fn page<K: Ord, V: Clone>(
    map: &BTreeMap<K, V>,
    after: Option<K>,
    limit: usize,
    wanted: impl Fn(&V) -> bool,
) -> Vec<V> {
    let start = after.map_or(Unbounded, Excluded);
    let values = map.range((start, Unbounded)).map(|(_, value)| value);
    values.filter(|value| wanted(value)).take(limit).cloned().collect()
}

#[async_trait]
impl Revisions for MemoryStorage {
    async fn heartbeat(&self) -> Stored<Heartbeat> {
        Ok(Heartbeat { revision: self.state()?.revision, store_time: None })
    }

    async fn changes_after(&self, after: Revision, limit: usize) -> Stored<Changes> {
        Ok(self.state()?.changes_after(after, limit))
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let seen = self.waiting().changes;
        Box::pin(Changed { storage: self, seen, place: None })
    }
}

#[async_trait]
impl Organizations for MemoryStorage {
    async fn create_organization(&self, record: &OrganizationRecord, act: &Act) -> Stored<()> {
        self.act(|state| {
            if state.organizations.contains_key(&record.id)
                || state.organization_names.contains_key(&record.name)
            {
                return exists("organization");
            }
            state.organizations.insert(record.id, record.clone());
            state.organization_names.insert(record.name.clone(), record.id);
            state.note(acts::create_organization(record, act));
            Ok(())
        })
    }

    async fn organization(&self, id: OrganizationId) -> Stored<Option<OrganizationRecord>> {
        Ok(self.state()?.organizations.get(&id).cloned())
    }

    async fn organization_by_name(&self, name: &Name) -> Stored<Option<OrganizationRecord>> {
        let state = self.state()?;
        Ok(state.organization_names.get(name).and_then(|id| state.organizations.get(id)).cloned())
    }

    async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: usize,
    ) -> Stored<Vec<OrganizationRecord>> {
        Ok(page(&self.state()?.organizations, after, limit, |_| true))
    }
}

#[async_trait]
impl Workspaces for MemoryStorage {
    async fn create_workspace(&self, record: &WorkspaceRecord, act: &Act) -> Stored<()> {
        self.act(|state| {
            let name = (record.organization, record.name.clone());
            if state.workspaces.contains_key(&record.id) || state.workspace_names.contains_key(&name) {
                return exists("workspace");
            }
            if !state.organizations.contains_key(&record.organization) {
                return missing("organization");
            }
            state.workspaces.insert(record.id, record.clone());
            state.workspace_names.insert(name, record.id);
            state.note(acts::create_workspace(record, act));
            Ok(())
        })
    }

    async fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>> {
        Ok(self.state()?.workspaces.get(&id).cloned())
    }

    async fn workspace_by_name(
        &self,
        organization: OrganizationId,
        name: &Name,
    ) -> Stored<Option<WorkspaceRecord>> {
        let state = self.state()?;
        let id = state.workspace_names.get(&(organization, name.clone()));
        Ok(id.and_then(|id| state.workspaces.get(id)).cloned())
    }

    async fn workspaces(
        &self,
        organization: OrganizationId,
        after: Option<WorkspaceId>,
        limit: usize,
    ) -> Stored<Vec<WorkspaceRecord>> {
        Ok(page(&self.state()?.workspaces, after, limit, |workspace| workspace.organization == organization))
    }

    async fn set_settings(
        &self,
        id: WorkspaceId,
        settings: &WorkspaceSettings,
        expected: Option<&WorkspaceRecord>,
        act: &Act,
    ) -> Stored<Revision> {
        self.act(|state| {
            let Some(workspace) = state.workspaces.get_mut(&id) else { return missing("workspace") };
            rules::workspace_as_expected(workspace, expected)?;
            workspace.settings = rules::settings_to_keep(&workspace.settings, settings)?;
            Ok(state.commit(ChangeKind::Workspace(id), acts::set_settings(id, act)))
        })
    }

    async fn set_listed(
        &self,
        id: WorkspaceId,
        listed: &[Listed],
        expected: Option<&WorkspaceRecord>,
        act: &Act,
    ) -> Stored<Revision> {
        self.act(|state| {
            let Some(workspace) = state.workspaces.get_mut(&id) else { return missing("workspace") };
            rules::workspace_as_expected(workspace, expected)?;
            workspace.listed = listed.to_vec();
            Ok(state.commit(ChangeKind::Workspace(id), acts::set_listed(id, listed.len(), act)))
        })
    }
}

#[async_trait]
impl Members for MemoryStorage {
    async fn create_user(&self, record: &UserRecord, act: &Act) -> Stored<()> {
        self.act(|state| {
            if state.users.contains_key(&record.id) {
                return exists("user");
            }
            state.users.insert(record.id, record.clone());
            state.note(acts::create_user(record, act));
            Ok(())
        })
    }

    async fn user(&self, id: UserId) -> Stored<Option<UserRecord>> {
        Ok(self.state()?.users.get(&id).cloned())
    }

    async fn set_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Stored<Revision> {
        self.act(|state| {
            if !state.organizations.contains_key(&organization) {
                return missing("organization");
            }
            if !state.users.contains_key(&user) {
                return missing("user");
            }
            let tokens_since = state.departures.get(&(organization, user)).copied();
            let member = MemberRecord { organization, user, role, tokens_since };
            state.members.insert((organization, user), member);
            state.places.insert((user, organization));
            Ok(state.commit(ChangeKind::User(user), acts::set_member(organization, user, role, act)))
        })
    }

    async fn remove_member(&self, organization: OrganizationId, user: UserId, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            let Some(member) = state.members.remove(&(organization, user)) else {
                return missing("membership");
            };
            state.places.remove(&(user, organization));
            state.departures.insert((organization, user), rules::tokens_since(member.tokens_since, act.at));
            for group in state.groups.values_mut().filter(|group| group.organization == organization) {
                group.members.retain(|listed| *listed != user);
            }
            Ok(state.commit(ChangeKind::User(user), acts::remove_member(organization, user, act)))
        })
    }

    async fn memberships(&self, user: UserId) -> Stored<Vec<MembershipRecord>> {
        let state = self.state()?;
        let first = OrganizationId::from_bytes([0; 16]);
        let places = state.places.range((user, first)..).take_while(|(person, _)| *person == user);
        let members = places.filter_map(|(user, organization)| state.members.get(&(*organization, *user)));
        Ok(members.map(|member| state.membership(member)).collect())
    }

    async fn members(
        &self,
        organization: OrganizationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Stored<Vec<MembershipRecord>> {
        let state = self.state()?;
        let start = after.map_or_else(
            || std::ops::Bound::Included((organization, UserId::from_bytes([0; 16]))),
            |after| Excluded((organization, after)),
        );
        let members = state.members.range((start, Unbounded)).map(|(_, member)| member);
        let members = members.take_while(|member| member.organization == organization).take(limit);
        Ok(members.map(|member| state.membership(member)).collect())
    }

    async fn put_group(&self, record: &GroupRecord, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            let elsewhere =
                state.group_homes.get(&record.id).is_some_and(|home| *home != record.organization);
            let taken = |group: &GroupRecord| group.id != record.id && group.name == record.name;
            if elsewhere || state.groups_of(record.organization).any(taken) {
                return exists("group");
            }
            if !state.organizations.contains_key(&record.organization) {
                return missing("organization");
            }
            let kept = rules::group_to_keep(record);
            let entry = acts::put_group(&kept, act);
            state.group_homes.insert(record.id, record.organization);
            state.groups.insert((record.organization, record.id), kept);
            Ok(state.commit(ChangeKind::Group(record.id), entry))
        })
    }

    async fn remove_group(&self, id: GroupId, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            let Some(organization) = state.group_homes.remove(&id) else { return missing("group") };
            state.groups.remove(&(organization, id));
            Ok(state.commit(ChangeKind::Group(id), acts::remove_group(organization, id, act)))
        })
    }

    async fn groups(&self, organization: OrganizationId) -> Stored<Vec<GroupRecord>> {
        Ok(self.state()?.groups_of(organization).cloned().collect())
    }
}

#[async_trait]
impl Tokens for MemoryStorage {
    async fn insert_token(
        &self,
        record: &TokenRecord,
        preconditions: &Preconditions,
        act: &Act,
    ) -> Stored<()> {
        self.act(|state| {
            if state.tokens.contains_key(&record.id) {
                return exists("token");
            }
            rules::check_insertion(record, preconditions, act.at, state)?;
            let mut uses = BTreeMap::new();
            for OneUse { scope, key, keep_until } in &preconditions.uses {
                let pair = (scope.clone(), key.clone());
                if state.consumed.contains_key(&pair) || uses.insert(pair, *keep_until).is_some() {
                    return Err(rules::USED_UP);
                }
            }
            state.consumed.append(&mut uses);
            state.tokens.insert(record.id, record.clone());
            state.note(acts::insert_token(record, act));
            Ok(())
        })
    }

    async fn rotate_token(
        &self,
        predecessor: TokenId,
        successor: &TokenRecord,
        overlap_until: Timestamp,
        act: &Act,
    ) -> Stored<Revision> {
        self.act(|state| {
            rules::check_rotation(predecessor, successor, act.at, state)?;
            if state.tokens.contains_key(&successor.id) {
                return exists("token");
            }
            let Some(token) = state.tokens.get_mut(&predecessor) else { return missing("token") };
            token.superseded = Some(Superseded { by: successor.id, overlap_until });
            state.tokens.insert(successor.id, successor.clone());
            let entry = acts::rotate_token(predecessor, successor, act);
            Ok(state.commit(ChangeKind::Token(predecessor), entry))
        })
    }

    async fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
        Ok(self.state()?.tokens.get(&id).cloned())
    }

    async fn tokens(
        &self,
        filter: &TokenFilter,
        after: Option<TokenId>,
        limit: usize,
    ) -> Stored<Vec<TokenRecord>> {
        let state = self.state()?;
        Ok(page(&state.tokens, after, limit, |token| rules::lists(filter, token, &state.masses)))
    }

    async fn revoke_token(&self, id: TokenId, revoked: &Revoked, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            let Some(token) = state.tokens.get_mut(&id) else { return missing("token") };
            if token.revoked.is_some() {
                return Ok(state.revision);
            }
            token.revoked = Some(revoked.clone());
            let entry = acts::revoke_token(token, revoked, act);
            Ok(state.commit(ChangeKind::Token(id), entry))
        })
    }

    async fn revoke_many(&self, revocation: &MassRevocation, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            state.masses.push(revocation.clone());
            Ok(state.commit(ChangeKind::Revocations, acts::revoke_many(revocation, act)))
        })
    }

    async fn mass_revocations(&self) -> Stored<Vec<MassRevocation>> {
        Ok(self.state()?.masses.clone())
    }

    async fn touch_tokens(&self, uses: &[(TokenId, Timestamp)]) -> Stored<()> {
        self.act(|state| {
            for (id, moment) in uses {
                if let Some(token) = state.tokens.get_mut(id) {
                    token.last_used = token.last_used.max(Some(*moment));
                }
            }
            Ok(())
        })
    }

    async fn purge_tokens(&self, before: Timestamp) -> Stored<u64> {
        self.act(|state| {
            let ancestors: BTreeSet<TokenId> =
                state.tokens.values().flat_map(|token| token.ancestors.iter().copied()).collect();
            let held = state.tokens.len();
            state.tokens.retain(|id, token| {
                token.expires_at.is_none_or(|end| end >= before) || ancestors.contains(id)
            });
            Ok(count(held, state.tokens.len()))
        })
    }
}

#[async_trait]
impl Keys for MemoryStorage {
    async fn put_key(&self, record: &KeyRecord, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            let kept = rules::key_to_keep(state.keys.get(&record.id), record);
            let entry = acts::put_key(&kept, act);
            state.keys.insert(Arc::clone(&record.id), kept);
            Ok(state.commit(ChangeKind::Keys, entry))
        })
    }

    async fn keys(&self) -> Stored<Vec<KeyRecord>> {
        let mut keys: Vec<_> = self.state()?.keys.values().cloned().collect();
        // Stable: keys of one second stay in the order of their ids.
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }

    async fn put_sealed(&self, id: &str, bytes: &[u8]) -> Stored<()> {
        self.act(|state| {
            if state.sealed.contains_key(id) {
                return exists("sealed row");
            }
            state.sealed.insert(id.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    async fn sealed(&self, id: &str) -> Stored<Option<Vec<u8>>> {
        Ok(self.state()?.sealed.get(id).cloned())
    }
}

#[async_trait]
impl Rules for MemoryStorage {
    async fn put_rules(
        &self,
        name: &Name,
        bytes: &[u8],
        expected: Option<Revision>,
        act: &Act,
    ) -> Stored<Revision> {
        self.act(|state| {
            if state.rules.get(name).map(|document| document.revision) != expected {
                return Err(StoreError::Precondition { what: "document" });
            }
            let document =
                RulesDocument { name: name.clone(), bytes: bytes.to_vec(), revision: state.next() };
            state.rules.insert(name.clone(), document);
            Ok(state.commit(ChangeKind::Rules(name.clone()), acts::put_rules(name, bytes, act)))
        })
    }

    async fn rules(&self, name: &Name) -> Stored<Option<RulesDocument>> {
        Ok(self.state()?.rules.get(name).cloned())
    }
}

#[async_trait]
impl Locks for MemoryStorage {
    async fn put_lock(&self, record: &LockRecord, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            if state.locks.contains_key(&record.lock.id) {
                return exists("lock");
            }
            state.locks.insert(record.lock.id, record.clone());
            Ok(state.commit(ChangeKind::Locks, acts::put_lock(record, act)))
        })
    }

    async fn lift_lock(&self, id: LockId, act: &Act) -> Stored<Revision> {
        self.act(|state| match state.locks.remove(&id) {
            Some(record) => Ok(state.commit(ChangeKind::Locks, acts::lift_lock(&record, act))),
            None => missing("lock"),
        })
    }

    async fn locks(&self) -> Stored<Vec<LockRecord>> {
        Ok(self.state()?.locks.values().cloned().collect())
    }
}

#[async_trait]
impl Distrust for MemoryStorage {
    async fn put_mark(&self, record: &MarkRecord, act: &Act) -> Stored<Revision> {
        self.act(|state| {
            if state.marks.contains_key(&record.id) {
                return exists("mark");
            }
            state.marks.insert(record.id, record.clone());
            Ok(state.commit(ChangeKind::Marks, acts::put_mark(record, act)))
        })
    }

    async fn lift_mark(&self, id: MarkId, act: &Act) -> Stored<Revision> {
        self.act(|state| match state.marks.remove(&id) {
            Some(record) => Ok(state.commit(ChangeKind::Marks, acts::lift_mark(&record, act))),
            None => missing("mark"),
        })
    }

    async fn marks(&self) -> Stored<Vec<MarkRecord>> {
        Ok(self.state()?.marks.values().cloned().collect())
    }
}

#[async_trait]
impl SingleUse for MemoryStorage {
    async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool> {
        self.act(|state| {
            let pair = (scope.to_owned(), key.to_vec());
            if state.consumed.contains_key(&pair) {
                return Ok(false);
            }
            state.consumed.insert(pair, keep_until);
            Ok(true)
        })
    }

    async fn purge_consumed(&self, now: Timestamp) -> Stored<u64> {
        self.act(|state| {
            let held = state.consumed.len();
            state.consumed.retain(|_, keep_until| *keep_until > now);
            Ok(count(held, state.consumed.len()))
        })
    }
}

#[async_trait]
impl Accounts for MemoryStorage {
    async fn link_account(&self, record: &AccountRecord, act: &Act) -> Stored<()> {
        self.act(|state| {
            let pair = (Arc::clone(&record.issuer), Arc::clone(&record.subject));
            if state.accounts.contains_key(&pair) {
                return exists("account");
            }
            state.accounts.insert(pair, record.clone());
            state.note(acts::link_account(record, act));
            Ok(())
        })
    }

    async fn account(&self, issuer: &str, subject: &str) -> Stored<Option<AccountRecord>> {
        Ok(self.state()?.accounts.get(&(issuer.into(), subject.into())).cloned())
    }

    async fn accounts_of(&self, user: UserId) -> Stored<Vec<AccountRecord>> {
        Ok(self.state()?.accounts.values().filter(|account| account.user == user).cloned().collect())
    }
}

#[async_trait]
impl Directories for MemoryStorage {
    async fn put_record(&self, record: &DirectoryRecord, expected: Option<u64>, act: &Act) -> Stored<u64> {
        self.act(|state| {
            let key = (record.directory.clone(), record.target.kind(), Arc::clone(&record.id));
            let held = state.directories.get(&key).map(|held| held.version);
            if held != expected {
                return Err(StoreError::Precondition { what: "directory record" });
            }
            let same = |one: &Option<Arc<str>>, other: &Option<Arc<str>>| one.is_some() && one == other;
            let mut others = state.directories.values().filter(|other| {
                other.directory == record.directory
                    && other.target.kind() == record.target.kind()
                    && other.id != record.id
            });
            if others.any(|other| same(&other.external, &record.external) || same(&other.name, &record.name))
            {
                return exists("directory record");
            }
            let version = held.unwrap_or(0).saturating_add(1);
            state.directories.insert(key, DirectoryRecord { version, ..record.clone() });
            state.note(acts::put_directory_record(record, act));
            Ok(version)
        })
    }

    async fn remove_record(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        id: &str,
        expected: u64,
        act: &Act,
    ) -> Stored<()> {
        self.act(|state| {
            let key = (directory.clone(), kind, Arc::from(id));
            let Some(held) = state.directories.get(&key) else { return missing("directory record") };
            if held.version != expected {
                return Err(StoreError::Precondition { what: "directory record" });
            }
            let entry = acts::remove_directory_record(held, act);
            state.directories.remove(&key);
            state.note(entry);
            Ok(())
        })
    }

    async fn record(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        key: DirectoryKey<'_>,
    ) -> Stored<Option<DirectoryRecord>> {
        let state = self.state()?;
        Ok(match key {
            DirectoryKey::Id(id) => state.directories.get(&(directory.clone(), kind, id.into())).cloned(),
            DirectoryKey::External(text) => {
                state.told(directory, kind).find(|one| one.external.as_deref() == Some(text)).cloned()
            }
            DirectoryKey::Name(text) => {
                state.told(directory, kind).find(|one| one.name.as_deref() == Some(text)).cloned()
            }
        })
    }

    async fn records(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        after: Option<&str>,
        limit: usize,
    ) -> Stored<Vec<DirectoryRecord>> {
        let state = self.state()?;
        let told = state.told(directory, kind).filter(|one| after.is_none_or(|after| *one.id > *after));
        Ok(told.take(limit).cloned().collect())
    }
}

#[async_trait]
impl Pending for MemoryStorage {
    async fn put_pending(
        &self,
        scope: &str,
        key: &[u8],
        bytes: &[u8],
        keep_until: Timestamp,
    ) -> Stored<bool> {
        self.act(|state| {
            let pair = (scope.to_owned(), key.to_vec());
            if state.pending.contains_key(&pair) {
                return Ok(false);
            }
            state.pending.insert(pair, (bytes.to_vec(), keep_until));
            Ok(true)
        })
    }

    async fn pending(&self, scope: &str, key: &[u8]) -> Stored<Option<Vec<u8>>> {
        let pair = (scope.to_owned(), key.to_vec());
        Ok(self.state()?.pending.get(&pair).map(|(bytes, _)| bytes.clone()))
    }

    async fn change_pending(&self, scope: &str, key: &[u8], expected: &[u8], bytes: &[u8]) -> Stored<bool> {
        self.act(|state| match state.pending.get_mut(&(scope.to_owned(), key.to_vec())) {
            Some((held, _)) if held == expected => {
                *held = bytes.to_vec();
                Ok(true)
            }
            Some(_) | None => Ok(false),
        })
    }

    async fn purge_pending(&self, now: Timestamp) -> Stored<u64> {
        self.act(|state| {
            let held = state.pending.len();
            state.pending.retain(|_, (_, keep_until)| *keep_until > now);
            Ok(count(held, state.pending.len()))
        })
    }
}

#[async_trait]
impl Releases for MemoryStorage {
    async fn publish_release(
        &self,
        record: &ReleaseRecord,
        needed: &[(ClosureId, EntryKey)],
        act: &Act,
    ) -> Stored<()> {
        self.act(|state| {
            let place = (record.workspace, record.version.clone());
            if state.releases.contains_key(&place) || state.release_ids.contains(&record.id) {
                return exists("release");
            }
            let ids = BTreeSet::from_iter(record.closures.values().copied());
            if ids.len() < record.closures.len() || !state.closures.is_disjoint(&ids) {
                return exists("closure");
            }
            if !state.workspaces.contains_key(&record.workspace) {
                return missing("workspace");
            }
            for (id, key) in needed.iter().filter(|(id, _)| ids.contains(id)) {
                state.closures_of.entry((record.workspace, key.clone())).or_default().insert(*id);
            }
            state.closures.extend(ids);
            state.release_ids.insert(record.id);
            state.releases.insert(place, record.clone());
            state.note(acts::publish_release(record, act));
            Ok(())
        })
    }

    async fn yank_release(&self, workspace: WorkspaceId, version: &Version, act: &Act) -> Stored<()> {
        self.act(|state| {
            let Some(release) = state.releases.get_mut(&(workspace, version.clone())) else {
                return missing("release");
            };
            if release.yanked_at.is_none() {
                release.yanked_at = Some(act.at);
                state.note(acts::yank_release(workspace, version, act));
            }
            Ok(())
        })
    }

    async fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>> {
        Ok(self.state()?.releases.get(&(workspace, version.clone())).cloned())
    }

    async fn releases(&self, workspace: WorkspaceId) -> Stored<Vec<ReleaseRecord>> {
        let state = self.state()?;
        let releases = state.releases.values().filter(|release| release.workspace == workspace);
        Ok(releases.cloned().collect())
    }

    async fn closures_of(&self, workspace: WorkspaceId, key: &EntryKey) -> Stored<Vec<ClosureId>> {
        let state = self.state()?;
        let closures = state.closures_of.get(&(workspace, key.clone()));
        Ok(closures.map(|closures| closures.iter().copied().collect()).unwrap_or_default())
    }
}

#[async_trait]
impl Audit for MemoryStorage {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Stored<()> {
        self.act(|state| {
            for entry in entries {
                state.note(entry.clone());
            }
            Ok(())
        })
    }

    async fn audit(&self, after: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.state()?.audit.iter().skip(after).take(limit).cloned().collect())
    }

    async fn audit_before(&self, before: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
        let state = self.state()?;
        let before = usize::try_from(before.saturating_sub(1)).unwrap_or(usize::MAX);
        let earlier = state.audit.get(..before).unwrap_or(&state.audit);
        Ok(earlier.iter().rev().take(limit).cloned().collect())
    }
}

/// How many are gone.
fn count(before: usize, after: usize) -> u64 {
    u64::try_from(before.saturating_sub(after)).unwrap_or(u64::MAX)
}

/// Who waits for a change.
#[derive(Default)]
struct Waiting {
    changes: u64,
    places: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiting {
    /// Counts a change; answers whom to wake.
    fn change(&mut self) -> BTreeMap<u64, Waker> {
        self.changes = self.changes.wrapping_add(1);
        std::mem::take(&mut self.wakers)
    }
}

/// Ready once there was a change after it was made, polled or not.
struct Changed<'a> {
    storage: &'a MemoryStorage,
    seen: u64,
    place: Option<u64>,
}

impl Future for Changed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.storage.waiting();
        if waiting.changes != self.seen {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or(waiting.places);
        if self.place.is_none() {
            waiting.places = waiting.places.wrapping_add(1);
        }
        waiting.wakers.insert(place, context.waker().clone());
        drop(waiting);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.storage.waiting().wakers.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use cachegate_types::Principal;
    use futures_executor::block_on;

    use super::*;
    use crate::MassScope;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn storage() -> MemoryStorage {
        MemoryStorage::new(Epoch(7))
    }

    fn change(storage: &MemoryStorage) -> Revision {
        let by = Principal::Anonymous;
        let reason = "a test".parse().expect("a description");
        let act = Act { by: by.clone(), token: None, at: Timestamp::from(1) };
        let revoked = Revoked { at: act.at, reason, by };
        let revocation = MassRevocation { scope: MassScope::Everything, issued_until: None, revoked };
        block_on(storage.revoke_many(&revocation, &act)).expect("a revision")
    }

    #[test]
    fn whoever_waits_is_woken_by_a_change_and_by_nothing_else() {
        let storage = storage();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut changed = storage.changed();
        assert_eq!(changed.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(changed.as_mut().poll(&mut context), Poll::Pending);
        block_on(storage.touch_tokens(&[])).expect("no change");
        assert_eq!(block_on(storage.consume("x", b"y", Timestamp::MAX)), Ok(true));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        change(&storage);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(changed.as_mut().poll(&mut context), Poll::Ready(()));
    }

    #[test]
    fn a_change_before_the_first_poll_is_not_lost() {
        let storage = storage();
        let mut changed = storage.changed();
        change(&storage);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(changed.as_mut().poll(&mut context), Poll::Ready(()));
        let next = pin!(storage.changed());
        assert_eq!(next.poll(&mut context), Poll::Pending, "a change before it was made is no change");
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let storage = storage();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            assert_eq!(storage.changed().as_mut().poll(&mut context), Poll::Pending);
        }
        assert_eq!(storage.waiting().wakers.len(), 0);
    }

    #[test]
    fn whoever_fell_behind_a_bounded_history_begins_anew() {
        let storage = storage().with_history(3);
        let start = Revision { epoch: Epoch(7), number: 0 };
        let revisions: Vec<Revision> = (0..5).map(|_| change(&storage)).collect();
        let upto = revisions[4];
        for (after, known) in [(start, false), (revisions[0], false), (revisions[1], true), (upto, true)] {
            let restart = block_on(storage.changes_after(after, 9)) == Ok(Changes::Restart { upto });
            assert_eq!(restart, !known, "{after}");
        }
        match block_on(storage.changes_after(revisions[1], 9)) {
            Ok(Changes::After { changes, upto, more: false }) => {
                let found: Vec<Revision> = changes.iter().map(|change| change.revision).collect();
                assert_eq!((&found[..], upto), (&revisions[2..], revisions[4]));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn after_a_panic_in_an_act_the_store_is_unavailable() {
        let storage = storage();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            storage.act::<()>(|_| panic!("on purpose"))
        }));
        assert!(panicked.is_err());
        let error = block_on(storage.heartbeat()).expect_err("poisoned");
        assert!(matches!(error, StoreError::Unavailable { .. }) && error.is_retryable(), "{error:?}");
        assert!(block_on(storage.consume("x", b"y", Timestamp::MAX)).is_err());
    }

    #[test]
    fn a_store_crosses_threads_and_shows_nothing() {
        fn shared<T: Send + Sync>(value: T) -> T {
            value
        }
        let storage = shared(storage());
        block_on(storage.put_sealed("canary", b"canary")).expect("a row");
        assert_eq!(format!("{storage:?}"), "MemoryStorage { .. }");
    }
}
