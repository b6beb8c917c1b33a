//! CI jobs and machines that the configuration lets in by their platforms' own tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use cachegate::{Authority, Gate, ManageError, Workloads};
use cachegate_federation::{
    Anchor, AnchorError, Federation, RuleBuilder, RuleError, RuleSetError, RulesDocument, Severity,
    TenantError, Tenants, lint,
};
use cachegate_fetch::{Client, ClientError, Fetch, UrlError};
use cachegate_storage::{Storage, StoreError};
use cachegate_types::{OrganizationId, WorkspaceId};

use crate::config::Config;
use crate::log::note;
use crate::server::now;

/// Why the configuration's anchors and rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadsError {
    /// An anchor cannot be.
    #[error("the configuration's `anchors`: {0}")]
    Anchor(#[from] AnchorError),
    /// A rule names what is not there.
    #[error("the configuration's `rules`: {0}")]
    Rule(#[from] RuleError),
    /// The rules cannot stand together.
    #[error("the configuration's `rules`: {0}")]
    Rules(#[from] RuleSetError),
    /// An organization is not who the configuration says.
    #[error("the configuration's `tenants`: {0}")]
    Tenants(#[from] TenantError),
    /// What organizations saved cannot be looked at.
    #[error("saved trust rules: {0}")]
    Saved(#[from] ManageError),
    /// An anchor's keys lie at no address that may be fetched from.
    #[error("the configuration's `anchors`: {0}")]
    Address(#[from] UrlError),
    /// No client can be made to fetch keys with.
    #[error("keys of issuers cannot be fetched: {0}")]
    Client(#[from] ClientError),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Lets in whom the configuration names; nobody, where it names no anchor.
///
/// # Errors
///
/// [`WorkloadsError`].
pub(crate) async fn let_in(
    config: &Config,
    gate: &Gate,
    storage: &dyn Storage,
) -> Result<(), WorkloadsError> {
    if config.anchors.is_empty() && config.rules.is_empty() && config.tenants.is_empty() {
        return Ok(());
    }
    let anchors = config.anchors.iter().cloned().map(|anchor| anchor.build());
    let federation = Federation::new(anchors.collect::<Result<Vec<Anchor>, _>>()?)?;
    let places = Places::read(storage).await?;
    let rules = config.rules.iter().cloned().map(|rule| places.resolve(rule));
    let rules = RulesDocument { rules: rules.collect::<Result<_, _>>()?, ..RulesDocument::default() };
    for finding in lint(&federation, &rules) {
        note(&finding.to_string());
    }
    let rules = rules.build(&federation)?;
    let tenants = config.tenants.iter().cloned();
    let tenants = tenants.map(|tenant| tenant.resolve(|name| places.organizations.get(name).copied()));
    let tenants = Tenants::new(tenants.collect::<Result<Vec<_>, _>>()?, &federation)?;
    let organizations: Vec<OrganizationId> = tenants.organizations().collect();
    // An issuer on this machine is one that somebody is trying out.
    let fetch: Arc<dyn Fetch> = Arc::new(Client::builder().dangerous_allow_loopback_http().build()?);
    let workloads = Workloads::new(federation, rules, &fetch)?.with_tenants(tenants);
    gate.set_workloads(Some(Arc::new(workloads)));
    for organization in organizations {
        let saved = gate.trust_rules(&Authority::Operator, organization, now()).await?.saved;
        let findings = gate.lint_trust_rules(&Authority::Operator, organization, &saved, now()).await?;
        for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
            note(&format!("saved trust rules of the organization {organization}: {finding}"));
        }
    }
    Ok(())
}

/// Every organization and workspace by name: a rule decides by their ids, and people write names.
struct Places {
    organizations: BTreeMap<String, OrganizationId>,
    workspaces: BTreeMap<(OrganizationId, String), WorkspaceId>,
}

impl Places {
    async fn read(storage: &dyn Storage) -> Result<Self, StoreError> {
        const PAGE: usize = 256;
        let mut places = Self { organizations: BTreeMap::new(), workspaces: BTreeMap::new() };
        let mut after = None;
        loop {
            let page = storage.organizations(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for organization in &page {
                places.organizations.insert(organization.name.to_string(), organization.id);
                let mut behind = None;
                loop {
                    let page = storage.workspaces(organization.id, behind, PAGE).await?;
                    let Some(last) = page.last() else { break };
                    behind = Some(last.id);
                    let named = |record: &cachegate_storage::WorkspaceRecord| {
                        ((organization.id, record.name.to_string()), record.id)
                    };
                    places.workspaces.extend(page.iter().map(named));
                }
            }
        }
        Ok(places)
    }

    fn resolve(&self, rule: RuleBuilder) -> Result<RuleBuilder, RuleError> {
        rule.resolve(
            |name| self.organizations.get(name).copied(),
            |organization, name| self.workspaces.get(&(organization, name.to_owned())).copied(),
        )
    }
}
