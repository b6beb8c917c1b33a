//! A storage that fails on demand, and counts what it is asked.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use cachegate_policy::{Listed, WorkspaceSettings};
use cachegate_storage::{
    AccountRecord, Accounts, Act, Audit, AuditEntry, AuditRecord, Changes, Distrust, GroupRecord, Heartbeat,
    KeyRecord, Keys, LockRecord, Locks, MarkRecord, MassRevocation, Members, MembershipRecord,
    OrganizationRecord, Organizations, Pending, Preconditions, ReleaseRecord, Releases, Revisions, Revoked,
    Rules, RulesDocument, SingleUse, Storage, StoreError, TokenFilter, TokenRecord, Tokens, UserRecord,
    WorkspaceRecord, Workspaces,
};
use cachegate_types::{
    ClosureId, EntryKey, GroupId, LockId, MarkId, Name, OrganizationId, Revision, Role, Timestamp, TokenId,
    UserId, Version, WorkspaceId,
};

/// What somebody does to each record of the audit that is read; `false` takes it out.
type Tampering = Box<dyn Fn(&mut AuditRecord) -> bool + Send>;

/// What a [`FaultyStorage`] does wrong at present.
pub struct Faults {
    inner: RwLock<Arc<dyn Storage>>,
    cut: AtomicBool,
    // Calls that still pass; negative: all.
    passing: AtomicI64,
    panics: AtomicBool,
    lagging: AtomicBool,
    calls: AtomicU64,
    store_time: AtomicI64,
    tampering: Mutex<Option<Tampering>>,
    after_heartbeat: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Faults {
    /// Every call fails as unavailable from now on.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// So many calls still pass, then every call fails as unavailable.
    pub fn cut_after(&self, calls: u32) {
        self.passing.store(i64::from(calls), Ordering::SeqCst);
    }

    /// Every call panics from now on.
    pub fn panic(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// The feed gives no change from now on, though the newest revision is told truly: a replica that lags.
    pub fn lag(&self) {
        self.lagging.store(true, Ordering::SeqCst);
    }

    /// Calls reach the storage again, and are answered as it answers.
    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
        self.passing.store(-1, Ordering::SeqCst);
        self.panics.store(false, Ordering::SeqCst);
        self.lagging.store(false, Ordering::SeqCst);
        *self.tampering.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Somebody's hand is in the audit from now on: what this does to a record is what is read, whichever way.
    /// `false` takes the record out.
    pub fn tamper(&self, with: impl Fn(&mut AuditRecord) -> bool + Send + 'static) {
        *self.tampering.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(with));
    }

    fn tampered(&self, mut records: Vec<AuditRecord>) -> Vec<AuditRecord> {
        if let Some(tamper) = &*self.tampering.lock().unwrap_or_else(PoisonError::into_inner) {
            records.retain_mut(tamper);
        }
        records
    }

    /// Another storage answers from now on: a restore, or a failover.
    pub fn replace(&self, storage: Arc<dyn Storage>) {
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = storage;
    }

    /// The storage's own clock shows this from now on.
    pub fn set_store_time(&self, time: Timestamp) {
        self.store_time.store(time.as_unix_seconds(), Ordering::SeqCst);
    }

    /// Runs this once, after the next heartbeat has been read and before it is answered: what happens between a
    /// question and its answer.
    pub fn after_next_heartbeat(&self, run: impl FnOnce() + Send + 'static) {
        *self.after_heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(run));
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn reach(&self) -> Result<Arc<dyn Storage>, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics.load(Ordering::SeqCst), "the test makes the storage panic");
        let passes = match self.passing.load(Ordering::SeqCst) {
            0 => false,
            left if left < 0 => true,
            _ => self.passing.fetch_sub(1, Ordering::SeqCst) > 0,
        };
        if self.cut.load(Ordering::SeqCst) || !passes {
            return Err(StoreError::Unavailable { detail: "cut off by the test".to_owned() });
        }
        Ok(Arc::clone(&*self.inner.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("cut", &self.cut).field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// Passes every call on, unless its [`Faults`] say otherwise.
pub struct FaultyStorage {
    faults: Arc<Faults>,
}

impl FaultyStorage {
    /// A storage over `inner`, and the switch of its faults.
    pub fn new(inner: Arc<dyn Storage>) -> (Self, Arc<Faults>) {
        let faults = Arc::new(Faults {
            inner: RwLock::new(inner),
            cut: AtomicBool::new(false),
            passing: AtomicI64::new(-1),
            panics: AtomicBool::new(false),
            lagging: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            store_time: AtomicI64::new(0),
            tampering: Mutex::new(None),
            after_heartbeat: Mutex::new(None),
        });
        (Self { faults: Arc::clone(&faults) }, faults)
    }

    fn reach(&self) -> Result<Arc<dyn Storage>, StoreError> {
        self.faults.reach()
    }
}

impl std::fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyStorage").field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// Accounts that fail with the storage beside them.
pub struct FaultyAccounts {
    inner: Arc<dyn Accounts>,
    faults: Arc<Faults>,
}

impl FaultyAccounts {
    /// These accounts, failing when these faults say so.
    pub fn new(inner: Arc<dyn Accounts>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

impl std::fmt::Debug for FaultyAccounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyAccounts").field("faults", &self.faults).finish_non_exhaustive()
    }
}

#[async_trait]
impl Accounts for FaultyAccounts {
    async fn link_account(&self, record: &AccountRecord, act: &Act) -> Result<(), StoreError> {
        self.faults.reach()?;
        self.inner.link_account(record, act).await
    }

    async fn account(&self, issuer: &str, subject: &str) -> Result<Option<AccountRecord>, StoreError> {
        self.faults.reach()?;
        self.inner.account(issuer, subject).await
    }

    async fn accounts_of(&self, user: UserId) -> Result<Vec<AccountRecord>, StoreError> {
        self.faults.reach()?;
        self.inner.accounts_of(user).await
    }
}

macro_rules! pass_on {
    ($($trait:ident { $(fn $method:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;)* })*) => {$(
        #[async_trait]
        impl $trait for FaultyStorage {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.reach()?.$method($($argument),*).await
            })*
        }
    )*};
}

#[async_trait]
impl Revisions for FaultyStorage {
    async fn heartbeat(&self) -> Result<Heartbeat, StoreError> {
        let heartbeat = self.reach()?.heartbeat().await?;
        let set = self.faults.store_time.load(Ordering::SeqCst);
        let run = self.faults.after_heartbeat.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(run) = run {
            run();
        }
        let store_time = Timestamp::from_unix_seconds(set).ok().filter(|_| set != 0).or(heartbeat.store_time);
        Ok(Heartbeat { store_time, ..heartbeat })
    }

    async fn changes_after(&self, after: Revision, limit: usize) -> Result<Changes, StoreError> {
        let storage = self.reach()?;
        if self.faults.lagging.load(Ordering::SeqCst) {
            return Ok(Changes::After { changes: Vec::new(), upto: after, more: false });
        }
        storage.changes_after(after, limit).await
    }
}

pass_on! {
    Organizations {
        fn create_organization(record: &OrganizationRecord, act: &Act) -> ();
        fn organization(id: OrganizationId) -> Option<OrganizationRecord>;
        fn organization_by_name(name: &Name) -> Option<OrganizationRecord>;
        fn organizations(after: Option<OrganizationId>, limit: usize) -> Vec<OrganizationRecord>;
    }
    Workspaces {
        fn create_workspace(record: &WorkspaceRecord, act: &Act) -> ();
        fn workspace(id: WorkspaceId) -> Option<WorkspaceRecord>;
        fn workspace_by_name(organization: OrganizationId, name: &Name) -> Option<WorkspaceRecord>;
        fn workspaces(
            organization: OrganizationId,
            after: Option<WorkspaceId>,
            limit: usize,
        ) -> Vec<WorkspaceRecord>;
        fn set_settings(
            id: WorkspaceId,
            settings: &WorkspaceSettings,
            expected: Option<&WorkspaceRecord>,
            act: &Act,
        ) -> Revision;
        fn set_listed(
            id: WorkspaceId,
            listed: &[Listed],
            expected: Option<&WorkspaceRecord>,
            act: &Act,
        ) -> Revision;
    }
    Members {
        fn create_user(record: &UserRecord, act: &Act) -> ();
        fn user(id: UserId) -> Option<UserRecord>;
        fn set_member(organization: OrganizationId, user: UserId, role: Role, act: &Act) -> Revision;
        fn remove_member(organization: OrganizationId, user: UserId, act: &Act) -> Revision;
        fn memberships(user: UserId) -> Vec<MembershipRecord>;
        fn members(organization: OrganizationId, after: Option<UserId>, limit: usize) -> Vec<MembershipRecord>;
        fn put_group(record: &GroupRecord, act: &Act) -> Revision;
        fn remove_group(id: GroupId, act: &Act) -> Revision;
        fn groups(organization: OrganizationId) -> Vec<GroupRecord>;
    }
    Tokens {
        fn insert_token(record: &TokenRecord, preconditions: &Preconditions, act: &Act) -> ();
        fn rotate_token(
            predecessor: TokenId,
            successor: &TokenRecord,
            overlap_until: Timestamp,
            act: &Act,
        ) -> Revision;
        fn token(id: TokenId) -> Option<TokenRecord>;
        fn tokens(filter: &TokenFilter, after: Option<TokenId>, limit: usize) -> Vec<TokenRecord>;
        fn revoke_token(id: TokenId, revoked: &Revoked, act: &Act) -> Revision;
        fn revoke_many(revocation: &MassRevocation, act: &Act) -> Revision;
        fn mass_revocations() -> Vec<MassRevocation>;
        fn touch_tokens(uses: &[(TokenId, Timestamp)]) -> ();
        fn purge_tokens(before: Timestamp) -> u64;
    }
    Keys {
        fn put_key(record: &KeyRecord, act: &Act) -> Revision;
        fn keys() -> Vec<KeyRecord>;
        fn put_sealed(id: &str, bytes: &[u8]) -> ();
        fn sealed(id: &str) -> Option<Vec<u8>>;
    }
    Rules {
        fn put_rules(name: &Name, bytes: &[u8], expected: Option<Revision>, act: &Act) -> Revision;
        fn rules(name: &Name) -> Option<RulesDocument>;
    }
    Locks {
        fn put_lock(record: &LockRecord, act: &Act) -> Revision;
        fn lift_lock(id: LockId, act: &Act) -> Revision;
        fn locks() -> Vec<LockRecord>;
    }
    Distrust {
        fn put_mark(record: &MarkRecord, act: &Act) -> Revision;
        fn lift_mark(id: MarkId, act: &Act) -> Revision;
        fn marks() -> Vec<MarkRecord>;
    }
    Pending {
        fn put_pending(scope: &str, key: &[u8], bytes: &[u8], keep_until: Timestamp) -> bool;
        fn pending(scope: &str, key: &[u8]) -> Option<Vec<u8>>;
        fn change_pending(scope: &str, key: &[u8], expected: &[u8], bytes: &[u8]) -> bool;
        fn purge_pending(now: Timestamp) -> u64;
    }
    SingleUse {
        fn consume(scope: &str, key: &[u8], keep_until: Timestamp) -> bool;
        fn purge_consumed(now: Timestamp) -> u64;
    }
    Releases {
        fn publish_release(record: &ReleaseRecord, needed: &[(ClosureId, EntryKey)], act: &Act) -> ();
        fn yank_release(workspace: WorkspaceId, version: &Version, act: &Act) -> ();
        fn release(workspace: WorkspaceId, version: &Version) -> Option<ReleaseRecord>;
        fn releases(workspace: WorkspaceId) -> Vec<ReleaseRecord>;
        fn closures_of(workspace: WorkspaceId, key: &EntryKey) -> Vec<ClosureId>;
    }
}

#[async_trait]
impl Audit for FaultyStorage {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        self.reach()?.append_audit(entries).await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(self.faults.tampered(self.reach()?.audit(after, limit).await?))
    }

    async fn audit_before(&self, before: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(self.faults.tampered(self.reach()?.audit_before(before, limit).await?))
    }
}
