//! What a node holds of trust rules: each organization's own, compiled, and the platforms' tokens that rules let in.
//!
//! Whatever takes rules away drops both, and a token that was looked at by the former ones is not kept: see
//! [`Trust::epoch`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cachegate_federation::RuleSet;
use cachegate_storage::TokenRecord;
use cachegate_types::{Name, OrganizationId, TokenId};
use quick_cache::sync::Cache;

use crate::Workloads;
use crate::manage::TRUST_RULES;

/// All rules that are asked about one organization's jobs: the configured ones and its own.
pub(crate) struct Together {
    /// What they were compiled from.
    pub(crate) workloads: Arc<Workloads>,
    /// With those that the organization saved; `None` where it saved none.
    pub(crate) own: Option<RuleSet>,
}

impl Together {
    pub(crate) fn rules(&self) -> &RuleSet {
        self.own.as_ref().unwrap_or(self.workloads.rules())
    }
}

pub(crate) struct Trust {
    epoch: AtomicU64,
    /// Held while the epoch changes, and while something is kept.
    keeping: Mutex<()>,
    rules: Cache<OrganizationId, Arc<Together>>,
    tokens: Cache<TokenId, Arc<TokenRecord>>,
}

/// How many organizations' rules are held compiled.
const ORGANIZATIONS: usize = 1024;

impl Trust {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            keeping: Mutex::new(()),
            rules: Cache::new(ORGANIZATIONS),
            tokens: Cache::new(capacity),
        }
    }

    /// Read before anything is read that is to be kept.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn token(&self, id: TokenId) -> Option<Arc<TokenRecord>> {
        self.tokens.get(&id)
    }

    /// Keeps the record of a platform's token; no longer where rules changed since `epoch`.
    #[must_use]
    pub(crate) fn keep_token(&self, epoch: u64, record: Arc<TokenRecord>) -> bool {
        self.keep(epoch, || self.tokens.insert(record.id, record))
    }

    /// The rules of an organization, as compiled from these workloads.
    pub(crate) fn rules(&self, organization: OrganizationId, from: &Arc<Workloads>) -> Option<Arc<Together>> {
        self.rules.get(&organization).filter(|held| Arc::ptr_eq(&held.workloads, from))
    }

    pub(crate) fn keep_rules(&self, epoch: u64, organization: OrganizationId, rules: Arc<Together>) {
        self.keep(epoch, || self.rules.insert(organization, rules));
    }

    fn keep(&self, epoch: u64, keep: impl FnOnce()) -> bool {
        let _guard = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.epoch() == epoch;
        if current {
            keep();
        }
        current
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        let _guard = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.rules.clear();
        self.tokens.clear();
    }

    /// Forgets what rests on this document, if it is of rules.
    pub(crate) fn forget_document(&self, name: &Name) {
        if name.as_str().starts_with(TRUST_RULES) {
            self.forget();
        }
    }
}
