//! What is measured: a gate with a store in memory, and a platform whose tokens are read with its key set.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cachegate::{
    Authority, Credential, DeviceAccess, Gate, Issued, MemoryVault, Request, TokenSpec, Verdict,
};
use cachegate_jwt::{
    AccessClaims, AccessKeys, Algorithm, ClaimsCheck, KeySet, SigningKey, UnverifiedJws, VerifyingKey,
};
use cachegate_policy::{Decision, Place, Question, Rights, Standing, Workspace, WorkspaceSettings, decide};
use cachegate_storage::{MemoryStorage, Storage};
use cachegate_types::{
    AccessLevel, Action, Description, EntryKey, Epoch, Grant, GrantSource, Lane, OrganizationId, Principal,
    Resource, Restriction, RuleId, Scope, SecretText, Timestamp, TokenId, WorkspaceId,
};
use futures_util::FutureExt as _;

/// When everything is measured: the platform's token is valid then.
pub(crate) const NOW: u32 = 1_700_000_000;

/// How many tokens the gate remembers: so few that it soon has to forget one for each that it sees, as a gate does
/// that has run for long.
const CAPACITY: usize = 2048;

/// The claims of the platform's token, as CI platforms write them.
const CLAIMS: &str = include_str!("../platform/claims.json");
/// The same, signed with a key that was thrown away.
const RS256: &str = include_str!("../platform/rs256.jwt");
const RS256_KEY: &str = include_str!("../platform/rs256.jwk.json");

/// Keys, tokens and a gate.
#[derive(Debug)]
pub struct World {
    pub(crate) door: Door,
    organization: OrganizationId,
    ci: TokenSpec,
    /// A JWT and an opaque token that the gate has seen, as headers.
    pub(crate) signed: SecretText,
    pub(crate) opaque: SecretText,
    /// Headers for one use each.
    stack: RefCell<Vec<SecretText>>,
    pub(crate) platform: [Platform; 3],
    pub(crate) issuing: Issuing,
    pub(crate) policy: Policy,
}

/// A gate and what it is asked about.
#[derive(Debug)]
pub(crate) struct Door {
    gate: Gate,
    pub(crate) entry: Resource,
}

/// A token of another issuer with what it is verified with.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) algorithm: Algorithm,
    pub(crate) token: String,
    pub(crate) key: VerifyingKey,
    keys: KeySet,
    check: ClaimsCheck,
}

/// What a token of ours is made of and read with.
#[derive(Debug)]
pub(crate) struct Issuing {
    pub(crate) key: SigningKey,
    pub(crate) claims: AccessClaims,
    pub(crate) token: SecretText,
    pub(crate) keys: AccessKeys,
    pub(crate) check: ClaimsCheck,
}

/// Ten grants, of which the last one decides.
#[derive(Debug)]
pub(crate) struct Policy {
    rights: Rights,
    principal: Principal,
    workspace: Workspace,
    grants: Vec<Grant>,
}

impl World {
    /// All of it, ready.
    pub fn new() -> Self {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        let vault = Arc::new(MemoryVault::default());
        let gate = now(Gate::builder(storage, vault).capacity(CAPACITY).build(NOW.into())).expect("a gate");
        let name = |name: &str| name.parse().expect("a name");
        let first = now(gate.first_start(&name("acme"), &name("app"), &Description::default(), NOW.into()))
            .expect("the first start");
        let ci =
            TokenSpec::Ci { workspace: first.workspace, level: AccessLevel::ReadWrite, lane: Lane::main() };
        let entry = Resource::entry(first.workspace, EntryKey::new(b"5f3a9c").expect("a key"));
        let mut world = Self {
            organization: first.organization,
            signed: SecretText::new(String::new()),
            opaque: header(&issue(&gate, &ci).token),
            ci,
            stack: RefCell::default(),
            platform: platform(),
            issuing: Issuing::new(),
            policy: Policy::new(first.workspace, first.organization),
            door: Door { gate, entry },
        };
        world.signed = world.device_token();
        world
    }

    /// Lets the gate see the two tokens again, whatever was changed since.
    pub(crate) fn warm(&self) {
        self.door.catch_up();
        for header in [&self.signed, &self.opaque] {
            assert!(self.door.asks(header), "seen");
        }
    }

    /// A new JWT, as a header.
    fn device_token(&self) -> SecretText {
        let spec = TokenSpec::Device { organization: self.organization, access: DeviceAccess::Normal };
        header(&issue(&self.door.gate, &spec).token)
    }

    /// Makes so many JWTs that the gate has not seen.
    pub(crate) fn make_unseen(&self, count: u32) {
        self.door.catch_up();
        *self.stack.borrow_mut() = (0..count).map(|_| self.device_token()).collect();
    }

    /// Makes so many opaque tokens that the gate has seen, and then revokes another one.
    pub(crate) fn make_seen_before_a_change(&self, count: u32) {
        let gate = &self.door.gate;
        let seen = self.seen(count);
        let another = issue(gate, &self.ci).record.id;
        now(gate.revoke(&Authority::Operator, another, Description::default(), NOW.into())).expect("revoked");
        *self.stack.borrow_mut() = seen;
    }

    /// From the header with one of those to the decision.
    pub(crate) fn asks_with_next(&self) -> bool {
        self.stack.borrow_mut().pop().is_some_and(|header| self.door.asks(&header))
    }

    /// So many headers with opaque tokens that the gate has seen.
    pub(crate) fn seen(&self, count: u32) -> Vec<SecretText> {
        let seen: Vec<_> = (0..count).map(|_| header(&issue(&self.door.gate, &self.ci).token)).collect();
        // Twice: what is asked for again is not the first to be forgotten.
        for header in seen.iter().chain(&seen) {
            assert!(self.door.asks(header), "seen");
        }
        seen
    }
}

impl Door {
    /// Makes what the gate holds fresh, as its feed would.
    pub(crate) fn catch_up(&self) {
        now(self.gate.catch_up()).expect("the store answers");
    }

    /// The answer to a request with this header; `None` when the header itself is refused.
    pub(crate) fn answer(&self, header: &[u8]) -> Option<Verdict> {
        let credential = Credential::bearer_header(header, self.gate.brand()).ok()??;
        let request = Request::new(Action::Read, &self.entry);
        Some(now(self.gate.check(Some(&credential), &request, NOW.into())))
    }

    fn asks(&self, header: &SecretText) -> bool {
        self.answer(header.expose_secret().as_bytes()).is_some_and(|verdict| verdict.is_allowed())
    }

    /// From a header that was seen before to the decision, without waiting.
    pub(crate) fn asks_held(&self, header: &SecretText) -> bool {
        let credential = Credential::bearer_header(header.expose_secret().as_bytes(), self.gate.brand());
        let Ok(Some(credential)) = credential else { return false };
        let request = Request::new(Action::Read, &self.entry);
        let verdict = self.gate.check_held(Some(&credential), &request, NOW.into());
        verdict.is_some_and(|verdict| verdict.is_allowed())
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A store in memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("ready")
}

fn issue(gate: &Gate, spec: &TokenSpec) -> Issued {
    let issued = gate.issue(&Authority::Operator, spec, Description::default(), None, NOW.into());
    now(issued).expect("a token")
}

fn header(token: &SecretText) -> SecretText {
    SecretText::new(format!("Bearer {}", token.expose_secret()))
}

/// The same claims, signed in the three ways in which platforms sign.
fn platform() -> [Platform; 3] {
    let ours = |algorithm| {
        let key = SigningKey::generate(algorithm).expect("a key");
        let token = key.sign_claims("JWT", CLAIMS).expect("a token");
        (algorithm, token.expose_secret().to_owned(), key.verifying_key().clone())
    };
    let rsa = VerifyingKey::from_jwk(RS256_KEY).expect("a key");
    let tokens = [ours(Algorithm::EdDsa), ours(Algorithm::Es256), (Algorithm::Rs256, RS256.to_owned(), rsa)];
    tokens.map(|(algorithm, token, key)| Platform {
        algorithm,
        token,
        keys: KeySet::from_keys([key.clone()]),
        key,
        check: ClaimsCheck::new(
            "https://token.platform.example",
            ["https://cache.example"],
            Duration::from_secs(3600),
        )
        .expect("a check"),
    })
}

impl Platform {
    /// What the signature is over, and the signature.
    pub(crate) fn signed(&self) -> (&[u8], Vec<u8>) {
        let (input, signature) = self.token.rsplit_once('.').expect("a token");
        (input.as_bytes(), BASE64_URL_SAFE_NO_PAD.decode(signature).expect("a signature"))
    }

    /// A member of the public key, decoded.
    pub(crate) fn key_member(&self, name: &str) -> Vec<u8> {
        let text = self.key_text(name);
        BASE64_URL_SAFE_NO_PAD.decode(text).expect("a member")
    }

    /// A member of the public key, as it is written.
    pub(crate) fn key_text(&self, name: &str) -> &str {
        let (_, rest) = self.key.to_jwk().split_once(&format!(r#""{name}":""#)).expect("a member");
        rest.split_once('"').expect("a member").0
    }

    /// From the token to the decision of what a rule granted it.
    pub(crate) fn decides(&self, policy: &Policy, resource: &Resource) -> bool {
        let claims =
            UnverifiedJws::parse(&self.token).and_then(|jws| jws.verify(&self.keys, &[self.algorithm]));
        let Ok(verified) = claims else { return false };
        let Ok(checked) = verified.check(&self.check, NOW.into()) else { return false };
        checked.subject.is_some() && policy.decides_anew(resource)
    }
}

impl Issuing {
    fn new() -> Self {
        const GATE: &str = "https://cache.example";
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        let claims = AccessClaims {
            issuer: GATE.into(),
            audience: GATE.into(),
            subject: "018bcfe5-6800-7000-8000-000000000001".into(),
            client_id: "gatectl".into(),
            token_id: TokenId::from_bytes([7; 16]),
            issued_at: NOW.into(),
            expires_at: Timestamp::from(NOW).saturating_add(Duration::from_secs(900)),
            kind: Some("device".into()),
            ancestors: Vec::new(),
            principal: None,
            lane: None,
            authorization_details: vec![
                Restriction::Organization(OrganizationId::from_bytes([9; 16])).into(),
            ],
        };
        let token = cachegate_jwt::sign_access_token(&key, &claims).expect("a token");
        let keys = AccessKeys::new([key.verifying_key().clone()]);
        let check = ClaimsCheck::access_tokens(GATE, [GATE], Duration::from_secs(3600)).expect("a check");
        Self { key, claims, token, keys, check }
    }
}

impl Policy {
    fn new(workspace: WorkspaceId, organization: OrganizationId) -> Self {
        let settings = WorkspaceSettings::default();
        let workspace = Workspace { id: workspace, organization, settings };
        let grant = |index: u8| Grant {
            source: GrantSource::Rule(RuleId::from_bytes([index; 16])),
            scope: Scope::Workspace(workspace.id),
            actions: if index < 9 { AccessLevel::ResolveOnly } else { AccessLevel::ReadOnly }.actions(),
            until: None,
        };
        let grants: Vec<Grant> = (0..10).map(grant).collect();
        let standing = Standing::Granted { grants: &grants, lane: &Lane::main(), base: None, floor: None };
        let rights = Rights::compile(&Place::Workspace(&workspace), &standing, &[]);
        Self { rights, principal: Principal::Ci(workspace.id), workspace, grants }
    }

    fn question<'a>(&'a self, resource: &'a Resource) -> Question<'a> {
        Question { principal: &self.principal, action: Action::Read, resource, floor: None, now: NOW.into() }
    }

    /// The decision, with the grant that decided.
    pub(crate) fn decides(&self, resource: &Resource) -> bool {
        matches!(decide(&self.rights, &[], &self.question(resource)), Decision::Allow(allow) if allow.grant() == 9)
    }

    /// The same where nothing is known yet of the credential's rights in the place.
    fn decides_anew(&self, resource: &Resource) -> bool {
        let lane = Lane::main();
        let grants = self.grants.get(9..).unwrap_or_default();
        let standing = Standing::Granted { grants, lane: &lane, base: None, floor: None };
        let rights = Rights::compile(&Place::Workspace(&self.workspace), &standing, &[]);
        decide(&rights, &[], &self.question(resource)).is_allow()
    }
}
