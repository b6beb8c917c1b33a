//! The trust rules that an organization's administrators write, beside those that the operator configured.
//!
//! They let in the organization's own jobs and nobody else's: each rule gets the pins of the organization's tenant,
//! which the operator alone says. They are kept as they were written, with ids in the place of names, and are held
//! against the configuration anew wherever it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use cachegate_federation::{
    AnchorKeys, Ask, Evaluation, Explanation, Federation, Finding, Refusal, RuleBuilder, RuleError, RuleSet,
    RuleSetError, RulesDocument, Selection, Tenant, TenantError, Tenants, TrustRule, Verified, Within,
    lint_tenant,
};
use cachegate_jwt::UnverifiedJws;
use cachegate_storage::StoreError;
use cachegate_types::{Action, ActionSet, Name, OrganizationId, Resource, Revision, Timestamp, WorkspaceId};

use crate::gate::Inner;
use crate::manage::{Authority, ManageError, SCANNED, TRUST_RULES};
use crate::trust::Together;
use crate::{ExchangeError, Gate, IssueError, Workloads};

/// The most rules that an organization saves.
pub const MOST_TRUST_RULES: usize = 200;

/// The trust rules of one organization.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrustRules {
    /// Those that the operator configured for it, the most specific first. Nobody changes them here.
    pub configured: Vec<TrustRule>,
    /// Those that its administrators saved, as they wrote them.
    pub saved: Vec<RuleBuilder>,
    /// When they were saved last, if ever.
    pub saved_at: Option<Revision>,
    /// Who it is at which anchor: what each saved rule is bound to. Without one nothing can be saved.
    pub tenants: Vec<Tenant>,
}

/// Why rules were not saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustRulesError {
    /// Whoever asks may not, or nothing could be done.
    #[error(transparent)]
    Refused(#[from] ManageError),
    /// A rule names what is not there.
    #[error("rule `{rule}`: {source}")]
    Rule {
        /// Which.
        rule: Name,
        /// Why.
        source: RuleError,
    },
    /// A rule is not for the organization's own jobs.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The rules cannot stand together, or beside those that are configured.
    #[error(transparent)]
    Rules(#[from] RuleSetError),
    /// Too many.
    #[error("{count} rules: an organization saves at most {MOST_TRUST_RULES}; list values with `one_of`")]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl TrustRulesError {
    /// A stable name in snake case; `None` where it is nothing about the rules.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused(_) => None,
            Self::Rule { source, .. } => Some(source.code()),
            Self::Tenant(error) => Some(error.code()),
            Self::Rules(error) => Some(error.code()),
            Self::TooMany { .. } => Some("too_many_rules"),
        }
    }
}

impl From<StoreError> for TrustRulesError {
    fn from(error: StoreError) -> Self {
        ManageError::from(error).into()
    }
}

/// What became of a platform's token that was tried against rules. Nothing was used up, granted or kept.
#[derive(Debug)]
#[non_exhaustive]
pub enum RulesTrial {
    /// It did not get as far as the rules.
    Refused(Refusal),
    /// The keys of this anchor are not held at present, and a trial fetches nothing.
    NoKeys(Name),
    /// It was held against the rules.
    Tried {
        /// What the token is.
        verified: Box<Verified>,
        /// What came of it.
        evaluation: Box<Evaluation>,
        /// What each rule asked.
        explanation: Explanation,
    },
}

impl Gate {
    /// The trust rules of an organization: for its administrators.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn trust_rules(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<TrustRules, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        if inner.held.storage().organization(organization).await?.is_none() {
            return Err(ManageError::Missing { what: "organization" });
        }
        let workloads = self.workloads();
        let (saved, saved_at) = inner.saved_rules(organization).await?;
        let configured = workloads.iter().flat_map(|workloads| workloads.rules().rules());
        let configured = configured.filter(|rule| rule.organization() == organization).cloned().collect();
        let tenants = workloads.iter().flat_map(|workloads| workloads.tenants().of(organization));
        Ok(TrustRules { configured, saved, saved_at, tenants: tenants.cloned().collect() })
    }

    /// Replaces the rules that an organization's administrators wrote. From the acknowledgement on they decide what its
    /// jobs get; sessions that were exchanged before live out their time. Nobody gives a job more than they hold
    /// themselves.
    ///
    /// With `seen`, only if nobody saved others since.
    ///
    /// # Errors
    ///
    /// [`TrustRulesError`]; `Changed` where somebody did.
    pub async fn set_trust_rules(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        rules: &[RuleBuilder],
        seen: Option<&TrustRules>,
        now: Timestamp,
    ) -> Result<Revision, TrustRulesError> {
        let inner = &*self.inner;
        let before = self.trust_rules(by, organization, now).await?;
        if rules.len() > MOST_TRUST_RULES {
            return Err(TrustRulesError::TooMany { count: rules.len() });
        }
        let places = inner.places_of(organization).await?;
        let rules = rules.iter().map(|rule| places.resolve(rule.clone())).collect::<Result<Vec<_>, _>>()?;
        let workloads = self.workloads();
        let none = Nobody::default();
        let (federation, tenants, configured) = none.or(workloads.as_deref());
        compile(federation, tenants, configured, organization, rules.clone())?;
        for rule in rules.iter().filter(|rule| !before.saved.contains(rule)) {
            let place = match rule.workspace_named().and_then(|id| id.parse().ok()) {
                Some(workspace) => Resource::Workspace(workspace),
                None => Resource::Organization(organization),
            };
            let wanted = rule.grant().map_or(ActionSet::EMPTY, |grant| grant.actions());
            inner.holds(by, &place, wanted, now).await?;
        }
        let expected = seen.map_or(before.saved_at, |seen| seen.saved_at);
        let document = RulesDocument { selection: Selection::default(), rules };
        let bytes = serde_json::to_vec(&document).map_err(corrupt)?;
        let (name, act) = (document_of(organization)?, by.act(now));
        let revision = inner.held.storage().put_rules(&name, &bytes, expected, &act).await?;
        Ok(inner.take_in(revision).await)
    }

    /// What is dangerous, useless or wrong in rules that an organization's administrators are about to save, the worst
    /// first.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn lint_trust_rules(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        rules: &[RuleBuilder],
        now: Timestamp,
    ) -> Result<Vec<Finding>, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        let places = inner.places_of(organization).await?;
        let (mut known, mut findings) = (Vec::new(), Vec::new());
        for rule in rules.iter().take(MOST_TRUST_RULES) {
            match places.resolve(rule.clone()) {
                Ok(rule) => known.push(rule),
                Err(error) => findings.push(finding(rule.name(), &error)),
            }
        }
        if let Some(rule) = rules.get(MOST_TRUST_RULES) {
            findings.push(finding(rule.name(), &TrustRulesError::TooMany { count: rules.len() }));
        }
        let workloads = self.workloads();
        let none = Nobody::default();
        let (federation, tenants, configured) = none.or(workloads.as_deref());
        findings.extend(lint_tenant(federation, tenants, organization, configured, &known));
        Ok(findings)
    }

    /// Tries a platform's token against rules as if they were saved, in this organization alone. The token is verified
    /// with the keys that are held already: nobody makes the gate fetch anything.
    ///
    /// # Errors
    ///
    /// [`TrustRulesError`], also for rules that could not be saved.
    pub async fn try_trust_rules(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        rules: &[RuleBuilder],
        token: &str,
        now: Timestamp,
    ) -> Result<RulesTrial, TrustRulesError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        if rules.len() > MOST_TRUST_RULES {
            return Err(TrustRulesError::TooMany { count: rules.len() });
        }
        let places = inner.places_of(organization).await?;
        let rules = rules.iter().map(|rule| places.resolve(rule.clone())).collect::<Result<Vec<_>, _>>()?;
        let Some(workloads) = self.workloads() else { return Ok(RulesTrial::Refused(Refusal::no_anchors())) };
        let rules =
            compile(workloads.federation(), workloads.tenants(), workloads.rules(), organization, rules)?;
        // What others' rules ask is not for this organization's administrators.
        let own = rules.rules().iter().filter(|rule| rule.organization() == organization).cloned();
        let rules = RuleSet::new(own, rules.selection())?;
        Ok(match verify_with_held(&workloads, organization, token, now) {
            Err(untried) => untried,
            Ok(verified) => {
                let ask = Ask { within: Within::Organization(organization), ..Ask::default() };
                RulesTrial::Tried {
                    evaluation: Box::new(rules.evaluate(&verified, &ask)),
                    explanation: rules.explain(&verified.facts),
                    verified: Box::new(verified),
                }
            }
        })
    }
}

/// Verifies a token by the anchors of one organization: whom others trust is not for its administrators.
fn verify_with_held(
    workloads: &Workloads,
    organization: OrganizationId,
    token: &str,
    now: Timestamp,
) -> Result<Verified, RulesTrial> {
    let refused = RulesTrial::Refused;
    let token = UnverifiedJws::parse(token).map_err(|error| refused(error.into()))?;
    let configured = || workloads.rules().rules().iter().filter(|rule| rule.organization() == organization);
    let own = |id: &Name| {
        workloads.tenants().of(organization).any(|tenant| tenant.anchor() == id)
            || configured().any(|rule| rule.anchor() == id)
    };
    let anchors = workloads.federation().anchors().filter(|anchor| own(anchor.id()));
    // Names are as they were, each once.
    let known = Federation::new(anchors.map(|anchor| (**anchor).clone())).unwrap_or_default();
    let anchor = known.anchor_for(&token, None).map_err(refused)?;
    let held = workloads.keys(anchor.id()).and_then(AnchorKeys::held);
    let Some((keys, _)) = held else { return Err(RulesTrial::NoKeys(anchor.id().clone())) };
    anchor.verify(&token, &keys, now).map_err(refused)
}

impl Inner {
    /// The rules that a verified token is held to: the configured ones, and those of the organization that it is of.
    pub(crate) async fn rules_for(
        &self,
        workloads: &Arc<Workloads>,
        verified: &Verified,
    ) -> Result<Arc<Together>, ExchangeError> {
        let Some(organization) = workloads.tenants().organization_of(&verified.facts) else {
            return Ok(Arc::new(Together { workloads: Arc::clone(workloads), own: None }));
        };
        if let Some(held) = self.held.trust.rules(organization, workloads) {
            return Ok(held);
        }
        let epoch = self.held.trust.epoch();
        let (saved, saved_at) = self.saved_rules(organization).await.map_err(IssueError::from)?;
        // A rule for an anchor at which the organization is nobody any more takes no token, and is no reason to refuse
        // those of other anchors.
        let tenants = workloads.tenants();
        let counts =
            |rule: &RuleBuilder| tenants.of(organization).any(|tenant| tenant.anchor() == rule.anchor());
        let saved: Vec<RuleBuilder> = saved.into_iter().filter(counts).collect();
        let own = saved_at.map(|_| {
            compile(workloads.federation(), tenants, workloads.rules(), organization, saved)
                .map_err(|error| Refusal::rules_not_loaded(&error))
        });
        let own = own.transpose()?;
        let together = Arc::new(Together { workloads: Arc::clone(workloads), own });
        self.held.trust.keep_rules(epoch, organization, Arc::clone(&together));
        Ok(together)
    }

    /// What an organization's administrators saved, and at which revision.
    async fn saved_rules(
        &self,
        organization: OrganizationId,
    ) -> Result<(Vec<RuleBuilder>, Option<Revision>), StoreError> {
        let name = document_of(organization)?;
        let Some(document) = self.held.storage().rules(&name).await? else { return Ok((Vec::new(), None)) };
        let read: RulesDocument = serde_json::from_slice(&document.bytes).map_err(corrupt)?;
        Ok((read.rules, Some(document.revision)))
    }

    /// The places that rules of an organization can name.
    async fn places_of(&self, organization: OrganizationId) -> Result<Places, ManageError> {
        let missing = ManageError::Missing { what: "organization" };
        let storage = self.held.storage();
        let record = storage.organization(organization).await?.ok_or(missing)?;
        let mut workspaces = BTreeMap::new();
        let mut after = None;
        loop {
            let page = storage.workspaces(organization, after, SCANNED).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            workspaces.extend(page.into_iter().map(|record| (record.name.to_string(), record.id)));
        }
        Ok(Places { organization, name: record.name, workspaces })
    }
}

/// An organization's places by name: a rule decides by their ids, and people write names.
struct Places {
    organization: OrganizationId,
    name: Name,
    workspaces: BTreeMap<String, WorkspaceId>,
}

impl Places {
    /// A rule with ids in the place of names, each of this organization.
    fn resolve(&self, rule: RuleBuilder) -> Result<RuleBuilder, TrustRulesError> {
        let name = rule.name().clone();
        let resolved = rule
            .resolve(
                |name| (name == self.name.as_str()).then_some(self.organization),
                |_, name| self.workspaces.get(name).copied(),
            )
            .map_err(|source| TrustRulesError::Rule { rule: name.clone(), source })?;
        let foreign = |id: &str| self.workspaces.values().all(|own| id.parse() != Ok(*own));
        match resolved.workspace_named() {
            // A workspace of another organization reads as one that is not there.
            Some(id) if foreign(id) => Err(TrustRulesError::Rule {
                rule: name,
                source: RuleError::NotResolved { key: "workspace", name: id.to_owned() },
            }),
            Some(_) | None => Ok(resolved),
        }
    }
}

/// What counts where no anchor is configured.
#[derive(Default)]
struct Nobody {
    federation: Federation,
    tenants: Tenants,
    rules: RuleSet,
}

impl Nobody {
    fn or<'a>(&'a self, workloads: Option<&'a Workloads>) -> (&'a Federation, &'a Tenants, &'a RuleSet) {
        match workloads {
            Some(workloads) => (workloads.federation(), workloads.tenants(), workloads.rules()),
            None => (&self.federation, &self.tenants, &self.rules),
        }
    }
}

/// An organization's rules, bound to its tenants, beside those that are configured.
fn compile(
    federation: &Federation,
    tenants: &Tenants,
    configured: &RuleSet,
    organization: OrganizationId,
    rules: Vec<RuleBuilder>,
) -> Result<RuleSet, TrustRulesError> {
    let bound =
        rules.into_iter().map(|rule| tenants.bind(organization, rule)).collect::<Result<Vec<_>, _>>()?;
    let own = RulesDocument { selection: configured.selection(), rules: bound }.build(federation)?;
    Ok(configured.with(&own)?)
}

fn finding(rule: &Name, error: &TrustRulesError) -> Finding {
    Finding::error(rule, error.code().unwrap_or_default(), &error.to_string())
}

fn document_of(organization: OrganizationId) -> Result<Name, StoreError> {
    format!("{TRUST_RULES}{organization}").parse().map_err(corrupt)
}

fn corrupt(error: impl std::error::Error) -> StoreError {
    StoreError::Corrupt { what: "trust rules", detail: error.to_string() }
}
