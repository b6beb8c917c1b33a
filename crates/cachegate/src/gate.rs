//! The gate: composes token, JWT, policy and storage into one question and four answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachegate_jwt::ClaimsCheck;
use cachegate_policy::{Decision, Membership, Place, Question, Rights, Standing, Workspace, decide};
use cachegate_storage::{MembershipRecord, Storage, StoreError, WorkspaceRecord};
use cachegate_token::{Brand, Credential, Digester};
use cachegate_types::{
    EntryKey, OrganizationId, Principal, Resource, Restriction, Revision, Timestamp, TokenId,
};
use quick_cache::sync::Cache;
use ring::rand::{SecureRandom, SystemRandom};

use crate::authenticate::{self, AuthenticateError};
use crate::decisions::Decisions;
use crate::established::{Authentication, HeldRights, PlaceId, Session};
use crate::guard::{guarded, guarded_now};
use crate::held::{Globals, Held};
use crate::keys::KeyRing;
use crate::sink::{DecisionEvent, DecisionSink, NotRecorded};
use crate::usage::Uses;
use crate::verdict::{Allowed, Denied, NotAuthenticated, Request, Unavailable, Verdict};
use crate::{Clock, KeyVault, LongestLives, MonotonicClock, VaultError};

/// A clock further from the store's than this refuses.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// How many waiting terminals a node tells from those that ask too often.
const WAITING_LOGINS: usize = 1024;

/// What to do with a request while the store cannot be reached and what is held is no longer fresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Degraded {
    /// Refuse it.
    #[default]
    Refuse,
    /// Serve what only looks (`resolve`, `read`) from what is held, for so long after it was last fresh; each such
    /// answer says that it is degraded. A revocation may then take effect that much later.
    ServeReads {
        /// For how long.
        within: Duration,
    },
}

/// What becomes of the line of a rotated token that is shown after its overlap has ended. The token itself is
/// refused either way, and the sink is told with the code `rotated_token_reused`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reuse {
    /// Nothing more: a forgotten job does not stop the others.
    #[default]
    Warn,
    /// Every token of the line is revoked, the successor included: a thief and the holder cannot be told apart.
    LockFamily,
}

/// Answers *may this credential do this, to this, now, and why?* Cheap to clone; all clones are one gate.
#[derive(Clone)]
pub struct Gate {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) held: Held,
    pub(crate) vault: Arc<dyn KeyVault>,
    pub(crate) ring: KeyRing,
    pub(crate) brand: Brand,
    pub(crate) issuer: String,
    pub(crate) own_tokens: ClaimsCheck,
    pub(crate) digester: Digester,
    /// What tells this verifier's memory of a credential from another's.
    pub(crate) verifier: [u8; 16],
    /// How many secrets and signatures were verified.
    pub(crate) verifications: AtomicU64,
    pub(crate) sessions: Cache<[u8; 32], Arc<Session>>,
    pub(crate) anonymous: Arc<Session>,
    /// When terminals that wait for a login last asked this node.
    pub(crate) asked: Cache<[u8; 32], Timestamp>,
    pub(crate) degraded: Degraded,
    pub(crate) reuse: Reuse,
    pub(crate) longest_lives: LongestLives,
    /// Whom sessions are made for, beside this gate.
    pub(crate) services: Vec<Arc<str>>,
    pub(crate) uses: Uses,
    pub(crate) decisions: Decisions,
    pub(crate) sink: Option<Arc<dyn DecisionSink>>,
    #[cfg(feature = "federation")]
    pub(crate) workloads: arc_swap::ArcSwapOption<crate::Workloads>,
    pub(crate) randomness: SystemRandom,
}

/// Composes a [`Gate`].
pub struct GateBuilder {
    storage: Arc<dyn Storage>,
    vault: Arc<dyn KeyVault>,
    clock: Arc<dyn Clock>,
    brand: Brand,
    issuer: String,
    digester: Digester,
    capacity: usize,
    degraded: Degraded,
    reuse: Reuse,
    longest_lives: LongestLives,
    services: Vec<Arc<str>>,
    sink: Option<Arc<dyn DecisionSink>>,
}

/// Why there is no gate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The store failed.
    #[error("the store failed while the gate was being built")]
    Store {
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The vault failed.
    #[error("the key vault failed while the gate was being built")]
    Vault {
        /// Why.
        #[source]
        source: VaultError,
    },
    /// A key is not what its record says.
    #[error("the key `{id}` cannot be used: {code}")]
    Key {
        /// Which.
        id: String,
        /// What is wrong with it.
        code: &'static str,
    },
    /// The issuer is no name for one.
    #[error("an issuer is 1 to 255 bytes of visible ASCII, such as `https://cache.example.com`")]
    Issuer,
    /// A service is no name for one, or is this gate.
    #[error("a service is 1 to 255 bytes of visible ASCII, and not the gate's own issuer")]
    Service,
    /// The machine gave no randomness.
    #[error("the machine gave no randomness")]
    Randomness,
}

/// Whether this can be an issuer or an audience.
fn is_party(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl GateBuilder {
    /// The name under which the gate issues tokens and expects to find itself in them: the `iss` and the `aud` of
    /// its JWTs. Default: `cachegate`.
    #[must_use]
    pub fn issuer(mut self, issuer: &str) -> Self {
        issuer.clone_into(&mut self.issuer);
        self
    }

    /// The brand that its tokens begin with. Default: `cg`.
    #[must_use]
    pub fn brand(mut self, brand: Brand) -> Self {
        self.brand = brand;
        self
    }

    /// How opaque tokens are digested. Default: SHA-256.
    #[must_use]
    pub fn digester(mut self, digester: Digester) -> Self {
        self.digester = digester;
        self
    }

    /// The monotonic clock. Default: the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many credentials, and how many records of each kind, are remembered at most. Default: 65,536.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// What to do while the store cannot be reached. Default: refuse.
    #[must_use]
    pub fn degraded(mut self, degraded: Degraded) -> Self {
        self.degraded = degraded;
        self
    }

    /// The longest lives of CI and personal tokens: what is asked for beyond them is cut. Default: no limit.
    #[must_use]
    pub fn longest_lives(mut self, longest_lives: LongestLives) -> Self {
        self.longest_lives = longest_lives;
        self
    }

    /// What becomes of the line of a rotated token that is shown after its overlap. Default: a warning.
    #[must_use]
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.reuse = reuse;
        self
    }

    /// Services that sessions are also made for, by the audience that they verify: each 1 to 255 bytes of visible
    /// ASCII, and none of them this gate. Default: none.
    #[must_use]
    pub fn services(mut self, audiences: &[&str]) -> Self {
        self.services = audiences.iter().map(|audience| Arc::from(*audience)).collect();
        self
    }

    /// Where decisions are told of. Default: nowhere.
    #[must_use]
    pub fn sink(mut self, sink: Arc<dyn DecisionSink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Reads the store once, makes the first keys where there are none, and is ready.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub async fn build(self, now: Timestamp) -> Result<Gate, BuildError> {
        if !is_party(&self.issuer) {
            return Err(BuildError::Issuer);
        }
        if self.services.iter().any(|service| !is_party(service) || **service == *self.issuer) {
            return Err(BuildError::Service);
        }
        // Our tokens are for the gate alone: it is their issuer and their one audience.
        let own_tokens =
            ClaimsCheck::access_tokens(&self.issuer, [self.issuer.as_str()], crate::DEVICE_TOKEN_LIFE)
                .map_err(|_| BuildError::Issuer)?;
        let randomness = SystemRandom::new();
        let mut verifier = [0; 16];
        randomness.fill(&mut verifier).map_err(|_| BuildError::Randomness)?;
        let mut decisions = [0; 32];
        randomness.fill(&mut decisions).map_err(|_| BuildError::Randomness)?;
        let inner = Inner {
            held: Held::new(self.storage, self.clock, self.capacity),
            vault: self.vault,
            ring: KeyRing::default(),
            brand: self.brand,
            issuer: self.issuer,
            own_tokens,
            digester: self.digester,
            verifier,
            verifications: AtomicU64::new(0),
            sessions: Cache::new(self.capacity),
            anonymous: authenticate::anonymous(verifier),
            asked: Cache::new(WAITING_LOGINS),
            degraded: self.degraded,
            reuse: self.reuse,
            longest_lives: self.longest_lives,
            services: self.services,
            uses: Uses::default(),
            decisions: Decisions::new(&decisions),
            sink: self.sink,
            #[cfg(feature = "federation")]
            workloads: arc_swap::ArcSwapOption::empty(),
            randomness,
        };
        inner.held.catch_up().await.map_err(|source| BuildError::Store { source })?;
        inner.ensure_keys(now).await?;
        Ok(Gate { inner: Arc::new(inner) })
    }
}

impl Gate {
    /// A gate over this storage, its private keys in this vault.
    pub fn builder(storage: Arc<dyn Storage>, vault: Arc<dyn KeyVault>) -> GateBuilder {
        GateBuilder {
            storage,
            vault,
            clock: Arc::new(MonotonicClock::new()),
            brand: Brand::default(),
            issuer: "cachegate".to_owned(),
            digester: Digester::sha256(),
            capacity: 65_536,
            degraded: Degraded::default(),
            reuse: Reuse::default(),
            longest_lives: LongestLives::default(),
            services: Vec::new(),
            sink: None,
        }
    }

    /// The brand of its tokens, which parsing a credential needs.
    pub fn brand(&self) -> &Brand {
        &self.inner.brand
    }

    /// How many secrets and signatures it has verified, right ones and wrong ones: a credential that was seen a moment
    /// ago is known without.
    pub fn verifications(&self) -> u64 {
        self.inner.verifications.load(Ordering::Relaxed)
    }

    /// Who presents this? No credential is `Principal::Anonymous`; a bad one is an error and never becomes
    /// anonymous.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError`].
    pub async fn authenticate(
        &self,
        credential: Option<&Credential<'_>>,
        now: Timestamp,
    ) -> Result<Authentication, AuthenticateError> {
        guarded(async {
            self.inner.ensure_fresh(None, now).await?;
            self.inner.session(credential, now).await.map(Authentication::new)
        })
        .await?
    }

    /// May whoever was authenticated do this now? Asks again whether the token still lives.
    pub async fn authorize(&self, who: &Authentication, request: &Request<'_>, now: Timestamp) -> Verdict {
        let work = async {
            let verdict = match self.inner.authorize(&who.session, request, now).await {
                Ok(verdict) => verdict,
                Err(error) => refuse(error),
            };
            self.inner.tell(verdict, Some(&who.session), request, now)
        };
        guarded(work).await.unwrap_or_else(Verdict::Unavailable)
    }

    /// Authenticates and authorizes in one call.
    pub async fn check(
        &self,
        credential: Option<&Credential<'_>>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Verdict {
        let work = async {
            let (verdict, session) = match self.inner.check(credential, request, now).await {
                Ok((verdict, session)) => (verdict, Some(session)),
                Err(error) => (refuse(error), None),
            };
            self.inner.tell(verdict, session.as_ref(), request, now)
        };
        guarded(work).await.unwrap_or_else(Verdict::Unavailable)
    }

    /// The same answer without waiting, when everything that it needs is held and fresh; `None` means: ask
    /// [`Gate::check`].
    pub fn check_held(
        &self,
        credential: Option<&Credential<'_>>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Option<Verdict> {
        let inner = &*self.inner;
        let work = || {
            // The proof of freshness first: a session that was looked up before it could be older than it.
            if !inner.is_proven(request.at_least, now) {
                return None;
            }
            let session = inner.session_held(credential, now)?;
            let verdict = inner.decide_held(&session, request, now)?;
            Some(inner.tell(verdict, Some(&session), request, now))
        };
        guarded_now(work).unwrap_or_else(|fault| Some(Verdict::Unavailable(fault)))
    }

    /// Reads the feed up to the newest revision now, and tells which one is held.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer.
    pub async fn catch_up(&self) -> Result<Revision, Unavailable> {
        Ok(self.inner.held.catch_up().await?)
    }

    /// Follows the feed for ever: call it in a task of the embedder's runtime, with a sleep of that runtime.
    ///
    /// `pause` waits for the poll interval; 250 ms leaves a wide margin below the bound. A gate whose feed is not
    /// followed is as safe, and asks the store itself as soon as what it holds is 4 s old.
    pub async fn follow_feed<P, F>(&self, mut pause: P)
    where
        P: FnMut() -> F,
        F: Future<Output = ()>,
    {
        loop {
            // A failure is not hidden: the gate stops being fresh by itself and then answers `Unavailable`.
            let _ = self.inner.held.catch_up().await;
            pause().await;
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for GateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateBuilder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

fn refuse(error: AuthenticateError) -> Verdict {
    match error {
        AuthenticateError::NotAuthenticated(reason) => Verdict::NotAuthenticated(reason),
        AuthenticateError::Unavailable(reason) => Verdict::Unavailable(reason),
    }
}

impl Inner {
    /// Proves that what is held is fresh enough, asking the store where it is not.
    pub(crate) async fn ensure_fresh(
        &self,
        at_least: Option<Revision>,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        if !self.held.is_fresh() || !self.includes(at_least) {
            self.held.catch_up().await?;
        }
        if let Some(wanted) = at_least.filter(|wanted| !self.includes(Some(*wanted))) {
            return Err(Unavailable::Store { detail: format!("revision {wanted} is not there yet") });
        }
        self.agree_on_time(now)
    }

    /// Asks the store for its newest revision, however fresh this node is: what a node merely remembers never
    /// suffices to issue or to manage.
    pub(crate) async fn ensure_newest(&self, now: Timestamp) -> Result<(), Unavailable> {
        self.held.catch_up().await?;
        self.agree_on_time(now)
    }

    fn agree_on_time(&self, now: Timestamp) -> Result<(), Unavailable> {
        let apart = self.held.skew(now);
        if apart > CLOCK_TOLERANCE {
            return Err(Unavailable::Clock { apart, limit: CLOCK_TOLERANCE });
        }
        Ok(())
    }

    fn includes(&self, at_least: Option<Revision>) -> bool {
        at_least.is_none_or(|wanted| self.held.revision().is_some_and(|held| held.includes(wanted)))
    }

    /// What [`Inner::ensure_fresh`] ensures, where it needs no question to the store.
    fn is_proven(&self, at_least: Option<Revision>, now: Timestamp) -> bool {
        self.held.is_fresh() && self.includes(at_least) && self.agree_on_time(now).is_ok()
    }

    async fn check(
        &self,
        credential: Option<&Credential<'_>>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<(Verdict, Arc<Session>), AuthenticateError> {
        match self.ensure_fresh(request.at_least, now).await {
            Ok(()) => {}
            Err(unavailable @ Unavailable::Store { .. }) => {
                return self.check_degraded(credential, request, now).ok_or(unavailable.into());
            }
            Err(unavailable) => return Err(unavailable.into()),
        }
        let session = self.session(credential, now).await?;
        let verdict = self.decide(&session, request, now).await?;
        Ok((verdict, session))
    }

    /// The answer from what is held, where the operator chose that for a store that cannot be reached.
    fn check_degraded(
        &self,
        credential: Option<&Credential<'_>>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Option<(Verdict, Arc<Session>)> {
        let looks_only = !request.action.changes_something() && request.at_least.is_none();
        if !looks_only || !self.serves_reads_still() || self.agree_on_time(now).is_err() {
            return None;
        }
        let session = self.session_held(credential, now)?;
        let mut verdict = self.decide_held(&session, request, now)?;
        if let Verdict::Allowed(allowed) = &mut verdict {
            allowed.degraded = true;
        }
        Some((verdict, session))
    }

    /// Whether the operator's chosen time of serving reads without the store is still running.
    pub(crate) fn serves_reads_still(&self) -> bool {
        match self.degraded {
            Degraded::Refuse => false,
            Degraded::ServeReads { within } => self.held.is_within(within),
        }
    }

    pub(crate) async fn authorize(
        &self,
        session: &Arc<Session>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Verdict, AuthenticateError> {
        self.ensure_fresh(request.at_least, now).await?;
        self.still_alive(session, now).await?;
        Ok(self.decide(session, request, now).await?)
    }

    /// Whether what was authenticated, perhaps long ago, still counts. The facts must be fresh.
    pub(crate) async fn still_alive(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<(), AuthenticateError> {
        if session.gate != self.verifier {
            // Another gate's: what it has seen is not what this one has.
            return Err(NotAuthenticated::Refused { code: "another_gate" }.into());
        }
        let Some(record) = &session.record else { return Ok(()) };
        if session.generation != self.held.generation() || session.is_expired(now) {
            let record = self.held.token(record.id).await?.ok_or(NotAuthenticated::Unknown)?;
            self.life(&record, now).await?;
        }
        Ok(())
    }

    fn decide_held(&self, session: &Arc<Session>, request: &Request<'_>, now: Timestamp) -> Option<Verdict> {
        let place = place_of(request.resource);
        let globals = self.held.globals_held()?;
        let held = session.rights.load_full();
        let rights = match held {
            Some(rights) if rights.place == place && rights.generation == self.held.generation() => rights,
            Some(_) | None => self.rights_held(session, place)?,
        };
        Some(answer(session, rights, globals, request, now))
    }

    pub(crate) async fn decide(
        &self,
        session: &Arc<Session>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        let globals = self.held.globals().await?;
        let rights = self.rights(session, place_of(request.resource)).await?;
        Ok(answer(session, rights, globals, request, now))
    }

    /// The compiled rights in this place, gathering what is not held.
    pub(crate) async fn rights(
        &self,
        session: &Arc<Session>,
        place: PlaceId,
    ) -> Result<Arc<HeldRights>, StoreError> {
        let generation = self.held.generation();
        if let Some(rights) = session.rights.load_full()
            && rights.place == place
            && rights.generation == generation
        {
            return Ok(rights);
        }
        let workspace = match place {
            PlaceId::Organization(_) => None,
            PlaceId::Workspace(id) => self.held.workspace(id).await?,
        };
        let memberships = match session.principal {
            Principal::User(user) => Some(self.held.user(user).await?),
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                None
            }
        };
        let rights = compile(session, place, workspace.as_deref(), memberships.as_deref().map(Vec::as_slice));
        let rights = Arc::new(HeldRights { place, generation, rights });
        // A place that is not there yet may be made at any time, and nothing tells of it.
        if workspace.is_some() || matches!(place, PlaceId::Organization(_)) {
            session.rights.store(Some(Arc::clone(&rights)));
        }
        Ok(rights)
    }

    fn rights_held(&self, session: &Arc<Session>, place: PlaceId) -> Option<Arc<HeldRights>> {
        let generation = self.held.generation();
        let workspace = match place {
            PlaceId::Organization(_) => None,
            PlaceId::Workspace(id) => Some(self.held.workspace_held(id)?),
        };
        let memberships = match session.principal {
            Principal::User(user) => Some(self.held.user_held(user)?),
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                None
            }
        };
        let rights = compile(session, place, workspace.as_deref(), memberships.as_deref().map(Vec::as_slice));
        let rights = Arc::new(HeldRights { place, generation, rights });
        session.rights.store(Some(Arc::clone(&rights)));
        Some(rights)
    }

    pub(crate) fn tell(
        &self,
        verdict: Verdict,
        session: Option<&Arc<Session>>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Verdict {
        if let Some(session) = session {
            self.uses.note(session, now);
        }
        let verdict = match verdict {
            Verdict::Denied(denied) => Verdict::Denied(self.decisions.keep(denied)),
            Verdict::Allowed(_) | Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => verdict,
        };
        let Some(sink) = &self.sink else { return verdict };
        let event = DecisionEvent {
            at: now,
            principal: session.map(|session| session.principal.clone()),
            token: session.and_then(|session| session.record.as_ref()).map(|record| record.id),
            action: request.action,
            resource: request.resource.clone(),
            code: verdict.code(),
            decision: match &verdict {
                Verdict::Denied(denied) => denied.id(),
                Verdict::Allowed(_) | Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => None,
            },
            degraded: matches!(&verdict, Verdict::Allowed(allowed) if allowed.degraded),
        };
        match sink.record(event) {
            Ok(()) => verdict,
            Err(NotRecorded) if verdict.is_allowed() => Verdict::Unavailable(Unavailable::Unrecorded),
            // A refusal stays the refusal that it is.
            Err(NotRecorded) => verdict,
        }
    }

    pub(crate) fn random<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.randomness.fill(&mut bytes).ok()?;
        Some(bytes)
    }
}

pub(crate) fn place_of(resource: &Resource) -> PlaceId {
    match resource {
        Resource::Organization(id) => PlaceId::Organization(*id),
        Resource::Workspace(id)
        | Resource::Entry { workspace: id, .. }
        | Resource::Release { workspace: id, .. } => PlaceId::Workspace(*id),
    }
}

fn answer(
    session: &Arc<Session>,
    rights: Arc<HeldRights>,
    globals: Arc<Globals>,
    request: &Request<'_>,
    now: Timestamp,
) -> Verdict {
    let question = Question {
        principal: &session.principal,
        action: request.action,
        resource: request.resource,
        floor: request.floor,
        now,
    };
    match decide(&rights.rights, &globals.locks, &question) {
        Decision::Allow(allow) => Verdict::Allowed(Allowed {
            allow,
            session: Arc::clone(session),
            rights,
            workspace: request.resource.workspace(),
            action: request.action,
            only_key: only_key(session, request.resource),
            degraded: false,
        }),
        Decision::Deny(deny) => Verdict::Denied(Denied {
            id: None,
            reason: deny.reason,
            session: Arc::clone(session),
            rights,
            globals,
            action: request.action,
            resource: request.resource.clone(),
            floor: request.floor,
            now,
        }),
    }
}

/// The key that an answer is bound to. Entries of a workspace are alike but for closures: whoever reads by one may
/// not take the answer for a key inside it to one outside.
fn only_key(session: &Session, resource: &Resource) -> Option<EntryKey> {
    let restrictions = &session.record.as_ref()?.restrictions;
    match resource {
        Resource::Entry { key, .. }
            if restrictions.iter().any(|one| matches!(one, Restriction::Closure { .. })) =>
        {
            Some(key.clone())
        }
        Resource::Entry { .. }
        | Resource::Organization(_)
        | Resource::Workspace(_)
        | Resource::Release { .. } => None,
    }
}

/// Compiles what the records say of this session in this place.
fn compile(
    session: &Session,
    place: PlaceId,
    workspace: Option<&WorkspaceRecord>,
    memberships: Option<&[MembershipRecord]>,
) -> Rights {
    let record = session.record.as_deref();
    let mut restrictions = record.map_or(&[][..], |record| &record.restrictions);
    // A workspace that was named beside the token narrows it: what is asked of another was not meant.
    let narrowed;
    if let Some(named) = session.named_workspace {
        narrowed = [restrictions, &[Restriction::Workspaces(vec![named])]].concat();
        restrictions = &narrowed;
    }
    let described;
    let (organization, here, listed) = match (place, workspace) {
        (PlaceId::Organization(id), _) => (id, Place::Organization(id), &[][..]),
        (PlaceId::Workspace(_), Some(found)) => {
            described = Workspace {
                id: found.id,
                organization: found.organization,
                settings: found.settings.clone(),
            };
            (found.organization, Place::Workspace(&described), found.listed.as_slice())
        }
        // No such workspace: rights in a place that is nowhere answer every question with "unknown place".
        (PlaceId::Workspace(_), None) => {
            let nowhere = OrganizationId::from_bytes([0; 16]);
            (nowhere, Place::Organization(nowhere), &[][..])
        }
    };
    match (&session.principal, record) {
        (Principal::Anonymous, _) | (_, None) => Rights::compile(&here, &Standing::Anonymous, restrictions),
        (Principal::User(user), Some(record)) => {
            let place = memberships.unwrap_or_default().iter().find(|place| {
                // Tokens of a former time in the organization stay dead, and so does what came of them.
                let since = place.member.tokens_since;
                place.member.organization == organization
                    && since.is_none_or(|since| session.rooted_at >= since)
            });
            let membership =
                place.map(|place| Membership { role: place.member.role, groups: place.groups.clone() });
            let standing = Standing::User { user: *user, membership: membership.as_ref(), listed };
            let rights = Rights::compile(&here, &standing, restrictions);
            match record.floor {
                Some(floor) => rights.down_to(floor),
                None => rights,
            }
        }
        (Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. }, Some(record)) => {
            let main = cachegate_types::Lane::main();
            let standing = Standing::Granted {
                grants: &record.grants,
                lane: record.lane.as_ref().unwrap_or(&main),
                base: record.base.as_ref(),
                floor: record.floor,
            };
            Rights::compile(&here, &standing, restrictions)
        }
    }
}

/// Ids of what a caller is about to make.
impl Inner {
    pub(crate) fn new_token_id(&self, now: Timestamp) -> Option<TokenId> {
        self.random().map(|bytes| TokenId::new(now, bytes))
    }
}
