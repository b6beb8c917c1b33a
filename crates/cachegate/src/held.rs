//! What a node holds of the store, by revision, and how it knows that it is fresh.
//!
//! Everything held is either here or compiled from what is here. A change drops what it concerns and raises the
//! generation; whatever was compiled under an older generation is compiled anew. Loading and dropping meet under one
//! lock, so that a record read before a change is never kept after it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cachegate_jwt::AccessKeys;
use cachegate_policy::Lock;
use cachegate_storage::{
    Change, ChangeKind, Changes, KeyRecord, MarkRecord, MassRevocation, MembershipRecord, Storage,
    StoreError, TokenRecord, WorkspaceRecord,
};
use cachegate_types::{Revision, Timestamp, TokenId, UserId, WorkspaceId};
use quick_cache::sync::Cache;

use crate::keys::access_keys;
use crate::{Clock, Ticks};

/// A node is fresh for so long after the ticks taken before it sent the poll that confirmed the newest revision. One
/// second less than the promised five, for the request that has begun and the clock that is read before it.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(4);

/// How many changes are asked for at once.
const CHANGES_AT_ONCE: usize = 512;

/// What concerns every request and is small: held whole.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    pub(crate) revocations: Vec<MassRevocation>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) marks: Vec<MarkRecord>,
    pub(crate) keys: Vec<KeyRecord>,
    /// The public halves of the signing keys, ready to verify with.
    pub(crate) access: AccessKeys,
}

pub(crate) struct Held {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    position: Mutex<Position>,
    generation: AtomicU64,
    // Ticks in nanoseconds; 0 is never. Written under the lock alone.
    fresh_until: AtomicU64,
    // The store's wall clock minus the ticks, in seconds; `i64::MIN` where the store has no clock.
    store_offset: AtomicI64,
    globals: ArcSwapOption<Globals>,
    tokens: Cache<TokenId, Arc<TokenRecord>>,
    /// What platforms' own tokens are held to.
    #[cfg(feature = "federation")]
    pub(crate) trust: crate::trust::Trust,
    users: Cache<UserId, Arc<Vec<MembershipRecord>>>,
    workspaces: Cache<WorkspaceId, Arc<WorkspaceRecord>>,
}

/// Where this node stands in the feed.
#[derive(Default)]
struct Position {
    /// The revision that everything held includes.
    revision: Option<Revision>,
    /// How often an acknowledged act could not be taken in. A poll that began before the last of them proves
    /// nothing.
    doubts: u64,
}

impl Held {
    pub(crate) fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self {
            storage,
            clock,
            position: Mutex::new(Position::default()),
            generation: AtomicU64::new(1),
            fresh_until: AtomicU64::new(0),
            store_offset: AtomicI64::new(i64::MIN),
            globals: ArcSwapOption::empty(),
            tokens: Cache::new(capacity),
            #[cfg(feature = "federation")]
            trust: crate::trust::Trust::new(capacity),
            users: Cache::new(capacity),
            workspaces: Cache::new(capacity),
        }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether everything held is proven to be newer than the promised bound.
    pub(crate) fn is_fresh(&self) -> bool {
        self.clock.ticks().as_nanos() < self.fresh_until.load(Ordering::Acquire)
    }

    /// Whether the last proof is at most `span` older than a fresh one would be.
    pub(crate) fn is_within(&self, span: Duration) -> bool {
        let fresh_until = self.fresh_until.load(Ordering::Acquire);
        fresh_until != 0 && self.clock.ticks() < Ticks::from_nanos(fresh_until).saturating_add(span)
    }

    /// How far `now` is from the store's clock; zero where the store has none.
    pub(crate) fn skew(&self, now: Timestamp) -> Duration {
        match self.store_offset.load(Ordering::Acquire) {
            i64::MIN => Duration::ZERO,
            offset => {
                let store = offset.saturating_add(self.tick_seconds());
                Duration::from_secs(now.as_unix_seconds().abs_diff(store))
            }
        }
    }

    fn tick_seconds(&self) -> i64 {
        i64::try_from(self.clock.ticks().as_nanos() / 1_000_000_000).unwrap_or(i64::MAX)
    }

    /// The revision that everything held includes.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.lock().revision
    }

    /// Forgets that it is fresh: the next request asks the store. A poll that is under way does not make it fresh
    /// again, as it may have been answered before what is doubted.
    pub(crate) fn doubt(&self) {
        let mut position = self.lock();
        position.doubts = position.doubts.wrapping_add(1);
        self.fresh_until.store(0, Ordering::Release);
    }

    /// Reads the feed up to the newest revision. Afterwards the node is fresh.
    pub(crate) async fn catch_up(&self) -> Result<Revision, StoreError> {
        let before = self.clock.ticks();
        let doubts = self.lock().doubts;
        let heartbeat = self.storage.heartbeat().await?;
        if let Some(time) = heartbeat.store_time {
            self.store_offset
                .store(time.as_unix_seconds().saturating_sub(self.tick_seconds()), Ordering::Release);
        }
        loop {
            let Some(held) = self.revision() else {
                // Nothing is held yet: begin at what the store has now.
                self.restart(heartbeat.revision);
                continue;
            };
            if held == heartbeat.revision {
                break;
            }
            if held.epoch == heartbeat.revision.epoch && held.number > heartbeat.revision.number {
                // Another poll of this node came back first with a newer answer, or the store went back. Its own
                // answer tells which.
                let again = self.storage.heartbeat().await?.revision;
                if again.epoch != held.epoch || again.number < held.number {
                    self.restart(again);
                }
                break;
            }
            match self.storage.changes_after(held, CHANGES_AT_ONCE).await? {
                Changes::After { changes, upto, more } => {
                    self.apply(&changes, upto);
                    if more && upto == held {
                        return Err(feed_error("it promises more and gives nothing"));
                    }
                    if !more && upto.epoch == heartbeat.revision.epoch && !upto.includes(heartbeat.revision) {
                        // Whatever answered is behind the primary: nothing is proven.
                        return Err(feed_error("it ends before the newest revision"));
                    }
                    if !more {
                        break;
                    }
                }
                Changes::Restart { upto } => {
                    self.restart(upto);
                    break;
                }
            }
        }
        let position = self.lock();
        if position.doubts == doubts {
            self.fresh_until.fetch_max(before.saturating_add(FRESH_FOR).as_nanos(), Ordering::AcqRel);
        }
        position.revision.ok_or(StoreError::Unavailable { detail: "no revision could be read".to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Position> {
        // A panic while it was held cannot have left more held than before: dropping comes first.
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restart(&self, upto: Revision) {
        let mut position = self.lock();
        self.drop_all();
        position.revision = Some(upto);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn drop_all(&self) {
        self.globals.store(None);
        self.tokens.clear();
        self.users.clear();
        self.workspaces.clear();
        #[cfg(feature = "federation")]
        self.trust.forget();
    }

    fn apply(&self, changes: &[Change], upto: Revision) {
        let mut position = self.lock();
        let Some(held) = position.revision else { return };
        if upto.epoch != held.epoch {
            self.drop_all();
        } else if upto.number <= held.number {
            return;
        }
        let mut next = held.number.saturating_add(1);
        for change in changes.iter().filter(|change| change.revision.number > held.number) {
            if change.revision.number != next {
                // A gap: whatever it hid, nothing held survives it.
                self.drop_all();
            }
            next = change.revision.number.saturating_add(1);
            self.drop_one(&change.kind);
        }
        if next != upto.number.saturating_add(1) {
            self.drop_all();
        }
        position.revision = Some(upto);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn drop_one(&self, kind: &ChangeKind) {
        match kind {
            ChangeKind::Organization(_) => {}
            #[cfg(not(feature = "federation"))]
            ChangeKind::Rules(_) => {}
            #[cfg(feature = "federation")]
            ChangeKind::Rules(name) => self.trust.forget_document(name),
            ChangeKind::Workspace(id) => {
                self.workspaces.remove(id);
            }
            ChangeKind::User(id) => {
                self.users.remove(id);
            }
            // Whom it lists is in every listed person's memberships.
            ChangeKind::Group(_) => self.users.clear(),
            ChangeKind::Token(id) => {
                self.tokens.remove(id);
            }
            ChangeKind::Revocations | ChangeKind::Keys | ChangeKind::Locks | ChangeKind::Marks => {
                self.globals.store(None);
            }
            // A kind that this version does not know may concern anything.
            _ => self.drop_all(),
        }
    }

    /// Keeps what `keep` stores, unless something changed since `generation`.
    fn keep(&self, generation: u64, keep: impl FnOnce()) {
        let _guard = self.lock();
        if self.generation() == generation {
            keep();
        }
    }

    pub(crate) fn globals_held(&self) -> Option<Arc<Globals>> {
        self.globals.load_full()
    }

    pub(crate) async fn globals(&self) -> Result<Arc<Globals>, StoreError> {
        if let Some(globals) = self.globals_held() {
            return Ok(globals);
        }
        let generation = self.generation();
        let keys = self.storage.keys().await?;
        let globals = Arc::new(Globals {
            access: access_keys(&keys),
            revocations: self.storage.mass_revocations().await?,
            locks: self.storage.locks().await?.into_iter().map(|record| record.lock).collect(),
            marks: self.storage.marks().await?,
            keys,
        });
        self.keep(generation, || self.globals.store(Some(Arc::clone(&globals))));
        Ok(globals)
    }

    /// How long this node's monotonic clock has been running.
    #[cfg(feature = "federation")]
    pub(crate) fn uptime(&self) -> Duration {
        Duration::from_nanos(self.clock.ticks().as_nanos())
    }

    /// Forgets every platform's token: each is looked at anew.
    #[cfg(feature = "federation")]
    pub(crate) fn forget_workloads(&self) {
        let _guard = self.lock();
        self.trust.forget();
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the record of a platform's token is still held.
    pub(crate) fn has_workload(&self, id: TokenId) -> bool {
        #[cfg(feature = "federation")]
        return self.trust.token(id).is_some();
        #[cfg(not(feature = "federation"))]
        {
            let _ = id;
            false
        }
    }

    pub(crate) async fn token(&self, id: TokenId) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        #[cfg(feature = "federation")]
        if let Some(record) = self.trust.token(id) {
            return Ok(Some(record));
        }
        if let Some(record) = self.tokens.get(&id) {
            return Ok(Some(record));
        }
        let generation = self.generation();
        let Some(record) = self.storage.token(id).await?.map(Arc::new) else { return Ok(None) };
        self.keep(generation, || self.tokens.insert(id, Arc::clone(&record)));
        Ok(Some(record))
    }

    pub(crate) fn user_held(&self, id: UserId) -> Option<Arc<Vec<MembershipRecord>>> {
        self.users.get(&id)
    }

    pub(crate) async fn user(&self, id: UserId) -> Result<Arc<Vec<MembershipRecord>>, StoreError> {
        if let Some(memberships) = self.user_held(id) {
            return Ok(memberships);
        }
        let generation = self.generation();
        let memberships = Arc::new(self.storage.memberships(id).await?);
        self.keep(generation, || self.users.insert(id, Arc::clone(&memberships)));
        Ok(memberships)
    }

    pub(crate) fn workspace_held(&self, id: WorkspaceId) -> Option<Arc<WorkspaceRecord>> {
        self.workspaces.get(&id)
    }

    pub(crate) async fn workspace(
        &self,
        id: WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceRecord>>, StoreError> {
        if let Some(record) = self.workspace_held(id) {
            return Ok(Some(record));
        }
        let generation = self.generation();
        let Some(record) = self.storage.workspace(id).await?.map(Arc::new) else { return Ok(None) };
        self.keep(generation, || self.workspaces.insert(id, Arc::clone(&record)));
        Ok(Some(record))
    }
}

fn feed_error(detail: &str) -> StoreError {
    StoreError::Unavailable { detail: format!("the feed of changes cannot be followed: {detail}") }
}
