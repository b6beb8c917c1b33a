//! Bitbucket Pipelines: one issuer for each workspace, called by its slug.

use cachegate_jwt::Algorithm;
use cachegate_types::LaneClass;

use super::reading::Reference;
use super::{Profile, Reading, between, common_facts, derived, text};
use crate::{Fact, FactClass, Mode, Refusal};

pub(super) const PROFILE: Profile = Profile {
    name: "bitbucket-pipelines",
    title: "Bitbucket Pipelines",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: false,
    issued_at_optional: false,
    bare_header: false,
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
    always: &[Fact::TenantId, Fact::RepoId],
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

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let parts: Vec<&str> = reading.subject.split(':').collect();
    if let [repository, environment @ .., step] = parts.as_slice() {
        reading.subject_agrees(Fact::RepoId, "repositoryUuid", repository)?;
        reading.subject_agrees(Fact::JobId, "stepUuid", step)?;
        if let [environment] = environment {
            reading.subject_agrees(Fact::Environment, "deploymentEnvironmentUuid", environment)?;
        }
    }
    if let Some(workspace) = between(reading.issuer, "https://api.bitbucket.org/2.0/workspaces/", ISSUER_END)
    {
        reading.facts.know(Fact::TenantName, workspace);
    }
    if let Some(branch) = reading.text("branchName")? {
        reading.facts.know(Fact::RefFull, format!("refs/heads/{branch}").as_str());
        reading.know_reference(Reference::Branch(&branch));
        // No claim says what started the step, a pull request for one: the branch is all that it may write for.
        let lane = reading.lane(LaneClass::Branch, &branch);
        reading.facts.set_lane(lane);
    }
    Ok(())
}

const ISSUER_END: &str = "/pipelines-config/identity/oidc";
