//! A ready gate: one organization `acme` with one workspace `app`, its owner, and tokens on demand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cachegate::{
    Authentication, Authority, Credential, DecisionEvent, DecisionSink, Degraded, Gate, GateBuilder, Issued,
    KeyVault, MemoryVault, NotRecorded, PersonalForm, Request, TokenSpec, Verdict,
};
use cachegate_storage::{MemoryStorage, Storage};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Epoch, Lane, OrganizationId, Resource, Role,
    SecretText, Timestamp, UserId, WorkspaceId,
};

use crate::{Faults, FaultyStorage, ManualClock};

/// When every scene begins: 2023-11-14T22:13:20Z.
pub const NOW: u32 = 1_700_000_000;

/// Keeps every decision it is told of.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Mutex<Vec<DecisionEvent>>,
}

impl Recorder {
    /// Takes what was kept so far.
    pub fn take(&self) -> Vec<DecisionEvent> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DecisionSink for Recorder {
    fn record(&self, event: DecisionEvent) -> Result<(), NotRecorded> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Ok(())
    }
}

/// A gate over a memory storage that fails on demand.
pub struct Scene {
    /// The gate.
    pub gate: Gate,
    /// The storage that it asks.
    pub storage: Arc<dyn Storage>,
    /// The vault that keeps its keys.
    pub vault: Arc<dyn KeyVault>,
    /// What the storage does wrong.
    pub faults: Arc<Faults>,
    /// The gate's monotonic clock.
    pub clock: Arc<ManualClock>,
    /// What the gate told of its decisions.
    pub recorder: Arc<Recorder>,
    /// The organization `acme`.
    pub organization: OrganizationId,
    /// Its workspace `app`.
    pub workspace: WorkspaceId,
    /// Its owner.
    pub owner: UserId,
    /// The owner's administering token.
    pub administrator: SecretText,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl Scene {
    /// A scene with a gate that refuses while its storage is out of reach.
    pub async fn new() -> Self {
        Self::degraded(Degraded::Refuse).await
    }

    /// A scene whose gate does this while its storage is out of reach.
    pub async fn degraded(degraded: Degraded) -> Self {
        Self::over(Arc::new(MemoryStorage::new(Epoch(1))), degraded).await
    }

    /// A scene over this storage, which must be empty.
    pub async fn over(storage: Arc<dyn Storage>, degraded: Degraded) -> Self {
        Self::set(storage, |builder| builder.degraded(degraded)).await
    }

    /// A scene over this storage, which must be empty, with a gate composed like this.
    pub async fn set(storage: Arc<dyn Storage>, compose: impl FnOnce(GateBuilder) -> GateBuilder) -> Self {
        let (faulty, faults) = FaultyStorage::new(storage);
        let storage: Arc<dyn Storage> = Arc::new(faulty);
        let clock = Arc::new(ManualClock::default());
        let recorder = Arc::new(Recorder::default());
        let vault: Arc<dyn KeyVault> = Arc::new(MemoryVault::default());
        let gate = compose(Gate::builder(Arc::clone(&storage), Arc::clone(&vault)))
            .clock(clock.clone())
            .sink(recorder.clone())
            .build(NOW.into())
            .await
            .expect("a gate");
        let first = gate
            .first_start(
                &"acme".parse().expect("a name"),
                &"app".parse().expect("a name"),
                &Description::default(),
                NOW.into(),
            )
            .await
            .expect("a first start");
        Self {
            gate,
            storage,
            vault,
            faults,
            clock,
            recorder,
            organization: first.organization,
            workspace: first.workspace,
            owner: first.owner,
            administrator: first.administrator.expect("an administrator").token,
        }
    }

    /// Another node: a second gate over the same storage and vault, with faults and a clock of its own.
    pub async fn other_node(&self) -> (Gate, Arc<Faults>, Arc<ManualClock>) {
        let (faulty, faults) = FaultyStorage::new(Arc::clone(&self.storage));
        let clock = Arc::new(ManualClock::default());
        let gate = Gate::builder(Arc::new(faulty), Arc::clone(&self.vault))
            .clock(clock.clone())
            .build(NOW.into())
            .await
            .expect("a gate");
        (gate, faults, clock)
    }

    /// The administrator, authenticated.
    pub async fn administrator(&self) -> Authentication {
        self.authenticate(&self.administrator).await
    }

    /// Whoever holds this token, authenticated.
    pub async fn authenticate(&self, token: &SecretText) -> Authentication {
        let credential = Credential::parse(token.expose_secret(), self.gate.brand()).expect("a credential");
        self.gate.authenticate(Some(&credential), NOW.into()).await.expect("authenticated")
    }

    /// A CI token of the workspace.
    pub async fn ci_token(&self, level: AccessLevel, lane: Lane) -> SecretText {
        self.issue(&TokenSpec::Ci { workspace: self.workspace, level, lane }, None).await.token
    }

    /// A token that the operator makes.
    pub async fn issue(&self, spec: &TokenSpec, life: Option<Duration>) -> Issued {
        self.gate
            .issue(&Authority::Operator, spec, Description::default(), life, NOW.into())
            .await
            .expect("a token")
    }

    /// A new person, member of the organization in this role, and a personal token of theirs with these actions.
    pub async fn person(&self, role: Role, actions: ActionSet) -> (UserId, SecretText) {
        let operator = Authority::Operator;
        let user =
            self.gate.create_user(&operator, Description::default(), NOW.into()).await.expect("a user");
        self.gate
            .set_member(&operator, self.organization, user, role, NOW.into())
            .await
            .expect("a membership");
        let spec = TokenSpec::Personal { owner: user, actions, form: PersonalForm::Opaque };
        (user, self.issue(&spec, None).await.token)
    }

    /// May whoever holds this token do this to the entry `key` of the workspace, at the beginning of the scene?
    pub async fn ask(&self, token: Option<&SecretText>, action: Action, key: &str) -> Verdict {
        self.ask_at(token, action, key, NOW.into()).await
    }

    /// The same, at another moment.
    pub async fn ask_at(
        &self,
        token: Option<&SecretText>,
        action: Action,
        key: &str,
        now: Timestamp,
    ) -> Verdict {
        self.ask_gate(&self.gate, token, action, key, now).await
    }

    /// The same, of another gate.
    pub async fn ask_gate(
        &self,
        gate: &Gate,
        token: Option<&SecretText>,
        action: Action,
        key: &str,
        now: Timestamp,
    ) -> Verdict {
        let credential =
            token.map(|token| Credential::parse(token.expose_secret(), gate.brand()).expect("a credential"));
        let resource = Resource::entry(self.workspace, EntryKey::new(key.as_bytes()).expect("a key"));
        gate.check(credential.as_ref(), &Request::new(action, &resource), now).await
    }

    /// The answer that needs no waiting, if there is one.
    pub fn ask_held(
        &self,
        token: Option<&SecretText>,
        action: Action,
        key: &str,
        now: Timestamp,
    ) -> Option<Verdict> {
        let credential = token
            .map(|token| Credential::parse(token.expose_secret(), self.gate.brand()).expect("a credential"));
        let resource = Resource::entry(self.workspace, EntryKey::new(key.as_bytes()).expect("a key"));
        self.gate.check_held(credential.as_ref(), &Request::new(action, &resource), now)
    }
}
