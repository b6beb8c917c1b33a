//! Workloads: CI jobs and machines that a configured issuer vouches for, with no secret stored anywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachegate_federation::{
    AnchorKeys, Ask, Fact, Federation, KeysError, Matched, Mode, Refusal, RuleSet, Tenants, TokenKey,
    Verified,
};
use cachegate_fetch::{Fetch, UrlError};
use cachegate_jwt::UnverifiedJws;
use cachegate_storage::{OneUse, Preconditions, TokenForm, TokenKind, TokenRecord};
use cachegate_token::{DigestScheme, TokenDigest};
use cachegate_types::{Description, Grant, GrantSource, Name, Restriction, Scope, Timestamp, TokenId};
use futures_util::future::join_all;
use ring::digest::{Context, SHA256};

use crate::authenticate::AuthenticateError;
use crate::gate::Inner;
use crate::issue::{Draft, LOOKING};
use crate::manage::{Authority, ManageError};
use crate::session::LONGEST_SESSION_LIFE;
use crate::verdict::{NotAuthenticated, Unavailable};
use crate::{Gate, IssueError, Issued};

/// How often a token is looked at anew because rules changed meanwhile.
const LOOKS: usize = 8;

/// All that lets workloads in: who may vouch for them, with which keys, and what they then get.
pub struct Workloads {
    federation: Federation,
    keys: BTreeMap<Name, AnchorKeys>,
    rules: RuleSet,
    tenants: Tenants,
}

impl Workloads {
    /// These anchors with these rules. Keys that are not configured are asked for through `fetch`.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when an anchor's keys lie at no address that may be fetched from.
    pub fn new(federation: Federation, rules: RuleSet, fetch: &Arc<dyn Fetch>) -> Result<Self, UrlError> {
        let keys = federation
            .anchors()
            .map(|anchor| Ok((anchor.id().clone(), AnchorKeys::new(anchor, Arc::clone(fetch))?)))
            .collect::<Result<_, UrlError>>()?;
        Ok(Self { federation, keys, rules, tenants: Tenants::default() })
    }

    /// The same with organizations whose administrators may save rules themselves, each for its own jobs.
    #[must_use]
    pub fn with_tenants(mut self, tenants: Tenants) -> Self {
        self.tenants = tenants;
        self
    }

    /// The anchors.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// The rules that are configured. Organizations may have saved others beside them.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Which tenant of which anchor each organization is.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// The keys of one anchor.
    pub fn keys(&self, anchor: &Name) -> Option<&AnchorKeys> {
        self.keys.get(anchor)
    }
}

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workloads").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

/// What is exchanged for a session.
#[derive(Clone)]
#[non_exhaustive]
pub struct WorkloadToken<'a> {
    /// The platform's JWT, as it is.
    pub token: &'a str,
    /// The anchor, where several take its issuer.
    pub anchor: Option<&'a Name>,
    /// Where the session is wanted, and by which rule.
    pub ask: Ask,
    /// What cuts the session, beside what the rule says.
    pub restrictions: Vec<Restriction>,
    /// How long it is to live; `None`: as long as the rule says. Cut to that.
    pub life: Option<Duration>,
}

impl<'a> WorkloadToken<'a> {
    /// This token, for whatever the rules give.
    pub fn new(token: &'a str) -> Self {
        Self { token, anchor: None, ask: Ask::default(), restrictions: Vec::new(), life: None }
    }
}

/// Without the token: until it is used it is as good as a key.
impl fmt::Debug for WorkloadToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadToken")
            .field("anchor", &self.anchor)
            .field("ask", &self.ask)
            .finish_non_exhaustive()
    }
}

/// What an exchange gave.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// The session.
    pub session: Issued,
    /// By which rule, and what an operator should look at.
    pub matched: Matched,
}

/// Why a platform's token gives no right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// It is refused: the first step that failed, for three readers. Nothing was used up, so that a mended rule lets
    /// the same token in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody knows whether it is good: its issuer's keys could not be had. A later try may succeed.
    #[error("the keys of the anchor `{anchor}` could not be had")]
    Keys {
        /// The anchor.
        anchor: Name,
        /// Why.
        #[source]
        source: KeysError,
    },
    /// It was good, and no session came of it.
    #[error(transparent)]
    Failed(#[from] IssueError),
}

impl From<ExchangeError> for AuthenticateError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Refused(refusal) => {
                NotAuthenticated::Workload { refusal: Arc::new(refusal) }.into()
            }
            error @ ExchangeError::Keys { .. } => Unavailable::Keys { detail: error.to_string() }.into(),
            ExchangeError::Failed(IssueError::Refused(ManageError::NotAuthenticated(reason))) => {
                reason.into()
            }
            ExchangeError::Failed(IssueError::Refused(ManageError::Unavailable(reason))) => reason.into(),
            ExchangeError::Failed(error) => Unavailable::Store { detail: error.to_string() }.into(),
        }
    }
}

impl Gate {
    /// Lets workloads in by these anchors and rules from now on, and by no others: what was let in by the former ones
    /// directly is looked at anew, and sessions that were exchanged live out their time.
    pub fn set_workloads(&self, workloads: Option<Arc<Workloads>>) {
        self.inner.workloads.store(workloads);
        self.inner.held.forget_workloads();
    }

    /// The anchors and rules that let workloads in.
    pub fn workloads(&self) -> Option<Arc<Workloads>> {
        self.inner.workloads.load_full()
    }

    /// Renews the keys of every anchor when it is time to, for ever: call it in a task of the embedder's runtime, with
    /// a sleep of that runtime, as [`Gate::follow_feed`]. Without it keys are fetched when a token needs them.
    pub async fn refresh_keys<P, F>(&self, mut pause: P)
    where
        P: FnMut() -> F,
        F: Future<Output = ()>,
    {
        loop {
            if let Some(workloads) = self.workloads() {
                // All at once, so that an issuer who answers late makes no other one late. What failed is kept by the
                // keys themselves, and the last good ones are held on.
                let uptime = self.inner.held.uptime();
                let _ = join_all(workloads.keys.values().map(|keys| keys.refresh_due(uptime))).await;
            }
            pause().await;
        }
    }

    /// Exchanges a platform's own JWT for a session (RFC 8693, RFC 7523) with what the one matching rule gives: once,
    /// where the anchor's mode is `exchange`. The session ends when the rule says and not when the token does, as a
    /// build cannot exchange anew in the middle of its run.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`].
    pub async fn exchange_workload(
        &self,
        request: &WorkloadToken<'_>,
        now: Timestamp,
    ) -> Result<Exchanged, ExchangeError> {
        let inner = &*self.inner;
        inner.ensure_newest(now).await.map_err(IssueError::from)?;
        let workloads = self.workloads().ok_or_else(Refusal::no_anchors)?;
        let verified = inner.verify_workload(&workloads, request.token, request.anchor, now).await?;
        let rules = inner.rules_for(&workloads, &verified).await?;
        let matched = rules.rules().evaluate(&verified, &request.ask).outcome?;
        // Whoever, whichever anchor and whichever token was revoked gets no session either.
        let direct = workload_record(&verified, &matched, now);
        inner.life(&direct, now).await.map_err(|error| IssueError::from(ManageError::from(error)))?;
        let once = OneUse {
            scope: format!("exchange {}", verified.anchor),
            key: verified.token.to_string().into_bytes(),
            keep_until: verified.remember_until,
        };
        let uses = match verified.mode {
            Mode::Exchange => vec![once],
            Mode::Direct => Vec::new(),
        };
        let scope = scope_of(&matched);
        let draft = Draft {
            organization: Some(matched.organization),
            workspace: matched.workspace,
            grants: vec![(scope, matched.actions)],
            as_anonymous: matched.anonymous_reads.then_some(scope),
            restrictions: request.restrictions.clone(),
            lane: Some(matched.lane.clone()),
            base: matched.base.clone(),
            floor: matched.floor,
            run: run_of(&verified),
            longest: Some(matched.ttl.min(LONGEST_SESSION_LIFE)),
            preconditions: Preconditions { uses, ..Preconditions::default() },
            ..Draft::new(TokenKind::Session, true, verified.principal.clone())
        };
        let life = request.life.unwrap_or(matched.ttl);
        let description = described(&matched);
        match inner.issue(&Authority::Operator, draft, description, Some(life), now).await {
            Ok(session) => Ok(Exchanged { session, matched }),
            Err(IssueError::Refused(ManageError::Changed { what: "single use" })) => {
                Err(Refusal::replayed().into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Inner {
    /// Verifies a platform's token with its anchor's keys, asking for them where they are not held.
    async fn verify_workload(
        &self,
        workloads: &Workloads,
        token: &str,
        anchor: Option<&Name>,
        now: Timestamp,
    ) -> Result<Verified, ExchangeError> {
        let token = UnverifiedJws::parse(token).map_err(Refusal::from)?;
        let anchor = workloads.federation.anchor_for(&token, anchor)?;
        let keys = workloads.keys.get(anchor.id()).ok_or_else(Refusal::no_anchors)?;
        let kid = token.unverified_header().kid.as_ref();
        let keys = match keys.for_kid(kid, self.held.uptime()).await {
            Ok(keys) => keys,
            Err(source) if source.is_unavailable() => {
                return Err(ExchangeError::Keys { anchor: anchor.id().clone(), source });
            }
            Err(error) => return Err(Refusal::no_key(&error).into()),
        };
        Ok(anchor.verify(&token, &keys, now)?)
    }

    /// Lets a platform's token in that is presented with a request itself, and answers by which record it is held.
    pub(crate) async fn admit_workload(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<TokenId, AuthenticateError> {
        for _ in 0..LOOKS {
            let epoch = self.held.trust.epoch();
            let Some(workloads) = self.workloads.load_full() else {
                return Err(NotAuthenticated::UnknownIssuer.into());
            };
            let verified = self.verify_workload(&workloads, token, None, now).await?;
            if verified.mode != Mode::Direct {
                return Err(ExchangeError::from(Refusal::exchange_only(&verified)).into());
            }
            let rules = self.rules_for(&workloads, &verified).await?;
            let matched = rules.rules().evaluate(&verified, &Ask::default()).outcome;
            let matched = matched.map_err(ExchangeError::from)?;
            let record = workload_record(&verified, &matched, now);
            let id = record.id;
            if self.held.trust.keep_token(epoch, Arc::new(record)) {
                return Ok(id);
            }
            // Rules changed meanwhile: it is looked at by those that count now.
        }
        Err(Unavailable::Store { detail: "trust rules change all the time".to_owned() }.into())
    }
}

/// The run that wrote, where the platform names one: what is distrusted by run.
fn run_of(verified: &Verified) -> Option<Arc<str>> {
    let run = verified.facts.text(Fact::RunId)?;
    Some(format!("{}:{run}", verified.anchor).into())
}

fn described(matched: &Matched) -> Description {
    format!("by the rule {}", matched.rule_name).parse().unwrap_or_default()
}

fn scope_of(matched: &Matched) -> Scope {
    match matched.workspace {
        Some(workspace) => Scope::Workspace(workspace),
        None => Scope::Organization(matched.organization),
    }
}

/// What a token of a platform is known by here: an id that follows from its anchor and its own.
fn id_of(anchor: &Name, token: &TokenKey) -> TokenId {
    let mut context = Context::new(&SHA256);
    context.update(anchor.as_str().as_bytes());
    context.update(&[0]);
    context.update(token.to_string().as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    // UUIDv8 (RFC 9562, section 5.8): no id that this gate makes is one.
    if let Some(version) = bytes.get_mut(6) {
        *version = (*version & 0x0f) | 0x80;
    }
    if let Some(variant) = bytes.get_mut(8) {
        *variant = (*variant & 0x3f) | 0x80;
    }
    TokenId::from_bytes(bytes)
}

/// The record of a platform's token: held by the node that saw it, stored nowhere.
fn workload_record(verified: &Verified, matched: &Matched, now: Timestamp) -> TokenRecord {
    let scope = scope_of(matched);
    let issued_at = verified.issued_at.unwrap_or(Timestamp::MIN);
    let grant = |source, actions| Grant { source, scope, actions, until: None };
    let mut grants = vec![grant(GrantSource::Rule(matched.rule), matched.actions)];
    grants.extend(matched.anonymous_reads.then(|| grant(GrantSource::AnonymousLevel, LOOKING)));
    TokenRecord {
        id: id_of(&verified.anchor, &verified.token),
        kind: TokenKind::Session,
        form: TokenForm::Opaque(TokenDigest::from_parts(DigestScheme::Sha256, verified.digest)),
        owner: verified.principal.clone(),
        organization: Some(matched.organization),
        workspace: matched.workspace,
        description: described(matched),
        grants,
        restrictions: Vec::new(),
        reads_closures: false,
        lane: Some(matched.lane.clone()),
        base: matched.base.clone(),
        floor: matched.floor,
        run: run_of(verified),
        issued_at,
        expires_at: Some(verified.right_ends(matched, now)),
        created_by: verified.principal.clone(),
        ancestors: Vec::new(),
        // By its digest it can be revoked whether it has an id or not.
        family: id_of(&verified.anchor, &TokenKey::Digest(verified.digest)),
        superseded: None,
        revoked: None,
        last_used: None,
    }
}
