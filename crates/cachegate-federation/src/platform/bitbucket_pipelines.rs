//! Bitbucket Pipelines: one issuer for each workspace, called by its slug.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, common_facts, derived, text};
use crate::{Fact, FactClass, Mode, Refusal};

pub(super) const PROFILE: Profile = Profile {
    name: "bitbucket-pipelines",
    title: "Bitbucket Pipelines",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: false,
    issued_at_optional: false,
    max_lifetime: 60 * 60,
    mode: Mode::Exchange,
    token_id: "jti",
    claims: &[
        ("iss", FactClass::Name),
        ("sub", FactClass::Run),
        ("aud", FactClass::Caller),
        ("workspaceUuid", FactClass::Id),
        ("repositoryUuid", FactClass::Id),
        ("pipelineUuid", FactClass::Run),
        ("pipelineRunUuid", FactClass::Run),
        ("stepUuid", FactClass::Run),
        ("deploymentEnvironmentUuid", FactClass::Id),
        ("branchName", FactClass::Context),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
    ],
    facts: common_facts![
        "jti",
        text(Fact::TenantId, FactClass::Id, "workspaceUuid"),
        derived(Fact::TenantName, FactClass::Name, "iss"),
        text(Fact::RepoId, FactClass::Id, "repositoryUuid"),
        derived(Fact::RefFull, FactClass::Context, "branchName"),
        derived(Fact::RefKind, FactClass::Context, "branchName"),
        derived(Fact::RefName, FactClass::Context, "branchName"),
        derived(Fact::TriggerClass, FactClass::Context, "branchName"),
        text(Fact::Environment, FactClass::Id, "deploymentEnvironmentUuid"),
        text(Fact::RunId, FactClass::Run, "pipelineUuid"),
        text(Fact::JobId, FactClass::Run, "stepUuid"),
    ],
    pin_sets: &[&[Fact::TenantId], &[Fact::RepoId]],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::TenantId, Fact::RepoId],
    group_cap: None,
    is_shared: |_| true,
    tenant: |_| None,
    tenant_fact: Fact::TenantId,
    tenant_said: |_| Ok(None),
    intended_end: None,
    is_default_audience: |audience| audience.starts_with("ari:cloud:bitbucket::"),
    audience_hint: "list this service's audience in the step: `oidc: { audiences: [...] }`",
    read,
};

fn read(_reading: &mut Reading<'_>) -> Result<(), Refusal> {
    Ok(())
}
