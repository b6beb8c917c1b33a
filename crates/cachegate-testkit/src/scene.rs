//! A ready gate: one organization `acme` with one workspace `app`, its owner, and tokens on demand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cachegate::{
    Authentication, Authority, Credential, DecisionEvent, DecisionSink, Degraded, DeviceAccess, Gate,
    GateBuilder, Issued, KeyVault, MemoryVault, NotRecorded, PersonalForm, Request, TokenSpec, Verdict,
};
use cachegate_policy::WorkspaceSettings;
use cachegate_storage::{Act, MemoryStorage, Preconditions, Storage, TokenForm, TokenKind, TokenRecord};
use cachegate_token::{Digester, OpaqueKind, OpaqueToken};
use cachegate_types::{
    AccessLevel, Action, ActionSet, ClosureId, Description, EntryKey, Epoch, Lane, Name, OrganizationId,
    Principal, Resource, Restriction, Revision, Role, SecretBytes, SecretText, Timestamp, TokenId, UserId,
    WorkspaceId,
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
    descendants: AtomicU64,
}

/// Bytes that no call before gave.
fn unused_bytes(count: &AtomicU64) -> [u8; 10] {
    let [a, b, c, d, e, f, g, h] = count.fetch_add(1, Ordering::SeqCst).to_be_bytes();
    [0xcb, 0x1d, a, b, c, d, e, f, g, h]
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
            descendants: AtomicU64::new(0),
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

    /// The same, with its record.
    pub async fn ci(&self, level: AccessLevel, lane: Lane) -> Issued {
        self.issue(&TokenSpec::Ci { workspace: self.workspace, level, lane }, None).await
    }

    /// A device token of the organization.
    pub async fn device(&self, access: DeviceAccess) -> Issued {
        self.issue(&TokenSpec::Device { organization: self.organization, access }, None).await
    }

    /// A personal token with these actions.
    pub async fn personal(&self, owner: UserId, actions: ActionSet, form: PersonalForm) -> Issued {
        self.issue(&TokenSpec::Personal { owner, actions, form }, None).await
    }

    /// A session that came of this token, with its rights, in this run; alive for an hour.
    pub async fn child(&self, parent: &TokenRecord, run: &str) -> SecretText {
        let kind = parent.kind;
        self.descendant(parent, |record| TokenRecord { kind, run: Some(run.into()), ..record }).await
    }

    /// A token that reads one closure, come of this one.
    pub async fn closure_reader(&self, parent: &TokenRecord, closure: ClosureId) -> SecretText {
        let restriction = Restriction::Closure { workspace: self.workspace, closure };
        self.descendant(parent, |record| TokenRecord { restrictions: vec![restriction], ..record }).await
    }

    /// A child of `parent` as an exchange makes it: changed like this, with `parent` as its nearest ancestor.
    pub async fn descendant(
        &self,
        parent: &TokenRecord,
        change: impl FnOnce(TokenRecord) -> TokenRecord,
    ) -> SecretText {
        let bytes: [u8; 10] = unused_bytes(&self.descendants);
        let id = TokenId::new(NOW.into(), bytes);
        let kind = match parent.kind {
            TokenKind::Personal => OpaqueKind::Personal,
            _ => OpaqueKind::Ci,
        };
        let token = OpaqueToken::new(kind, id, SecretBytes::new([7; 32]));
        let ancestors = std::iter::once(parent.id).chain(parent.ancestors.iter().copied()).collect();
        let record = change(TokenRecord {
            id,
            form: TokenForm::Opaque(Digester::sha256().digest(&token)),
            ancestors,
            family: id,
            expires_at: Some((NOW + 3600).into()),
            ..parent.clone()
        });
        let act = Act { by: Principal::Anonymous, token: None, at: NOW.into() };
        self.storage.insert_token(&record, &Preconditions::default(), &act).await.expect("inserted");
        token.to_text(self.gate.brand())
    }

    /// The operator revokes a token.
    pub async fn revoke(&self, id: TokenId) -> Revision {
        self.gate.revoke(&Authority::Operator, id, Description::default(), NOW.into()).await.expect("revoked")
    }

    /// The operator changes the workspace's settings.
    pub async fn settings(&self, change: impl FnOnce(&mut WorkspaceSettings)) {
        let record = self.storage.workspace(self.workspace).await.expect("read").expect("a workspace");
        let mut settings = record.settings;
        change(&mut settings);
        self.gate
            .set_settings(&Authority::Operator, self.workspace, &settings, NOW.into())
            .await
            .expect("changed");
    }

    /// Another organization of this name with one workspace.
    pub async fn elsewhere(&self, name: &str) -> (OrganizationId, WorkspaceId) {
        let (operator, name) = (Authority::Operator, name.parse::<Name>().expect("a name"));
        let organization = self
            .gate
            .create_organization(&operator, name.clone(), NOW.into())
            .await
            .expect("an organization");
        let settings = WorkspaceSettings::default();
        let workspace = self
            .gate
            .create_workspace(&operator, organization, name, settings, NOW.into())
            .await
            .expect("a workspace");
        (organization, workspace)
    }

    /// The stable name of the answer to whoever holds this token.
    pub async fn code(&self, token: &SecretText, action: Action) -> &'static str {
        self.ask(Some(token), action, "key").await.code()
    }

    /// The stable name of the answer in another workspace, at another moment.
    pub async fn code_in(
        &self,
        workspace: WorkspaceId,
        token: &SecretText,
        action: Action,
        now: Timestamp,
    ) -> &'static str {
        let credential = Credential::parse(token.expose_secret(), self.gate.brand()).expect("a credential");
        let resource = Resource::entry(workspace, EntryKey::new(b"key").expect("a key"));
        self.gate.check(Some(&credential), &Request::new(action, &resource), now).await.code()
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
