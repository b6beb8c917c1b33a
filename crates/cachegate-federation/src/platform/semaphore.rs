//! Semaphore: one issuer for each organization, called by its slug.

use cachegate_jwt::Algorithm;

use super::reading::Reference;
use super::{Profile, Reading, Shape, between, common_facts, derived, spec, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "semaphore",
    title: "Semaphore",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: false,
    issued_at_optional: false,
    bare_header: false,
    max_lifetime: 60 * 60,
    mode: Mode::Exchange,
    token_id: "jti",
    claims: &[
        ("iss", FactClass::Fixed),
        ("sub", FactClass::Caller),
        ("sub127", FactClass::Caller),
        ("aud", FactClass::Caller),
        ("jti", FactClass::Run),
        ("nbf", FactClass::Time),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("org_id", FactClass::Id),
        ("prj_id", FactClass::Id),
        ("org", FactClass::Name),
        ("prj", FactClass::Name),
        ("repo", FactClass::Name),
        ("repo_slug", FactClass::Name),
        ("branch", FactClass::Context),
        ("pr_branch", FactClass::Caller),
        ("pr", FactClass::Context),
        ("ref", FactClass::Context),
        ("ref_type", FactClass::Context),
        ("tag", FactClass::Context),
        ("wf_id", FactClass::Run),
        ("ppl_id", FactClass::Run),
        ("job_id", FactClass::Run),
        ("job_type", FactClass::Context),
        ("actor", FactClass::Id),
        ("trg", FactClass::Context),
        ("https://aws.amazon.com/tags", FactClass::Context),
    ],
    facts: common_facts![
        "jti",
        text(Fact::TenantId, FactClass::Id, "org_id"),
        text(Fact::TenantName, FactClass::Name, "org"),
        text(Fact::RepoId, FactClass::Id, "prj_id"),
        text(Fact::RepoName, FactClass::Name, "repo_slug"),
        text(Fact::RefFull, FactClass::Context, "ref"),
        derived(Fact::RefKind, FactClass::Context, "ref"),
        derived(Fact::RefName, FactClass::Context, "ref"),
        text(Fact::HeadRef, FactClass::Caller, "pr_branch"),
        derived(Fact::BaseRef, FactClass::Context, "branch"),
        text(Fact::Event, FactClass::Context, "job_type"),
        derived(Fact::TriggerClass, FactClass::Context, "ref_type"),
        spec(Fact::ActorId, FactClass::Id, Shape::Nullable, "actor"),
        text(Fact::RunId, FactClass::Run, "wf_id"),
        text(Fact::JobId, FactClass::Run, "job_id"),
    ],
    always: &[Fact::TenantId, Fact::RepoId],
    pin_sets: &[&[Fact::TenantId], &[Fact::RepoId]],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::TenantId, Fact::RepoId],
    group_cap: None,
    is_shared: |_| true,
    tenant: |issuer| between(issuer, "https://", ".semaphoreci.com"),
    tenant_fact: Fact::TenantName,
    tenant_said: |reading| Ok(reading.text("org")?.map(Into::into)),
    intended_end: None,
    is_default_audience: |audience| between(audience, "https://", ".semaphoreci.com").is_some(),
    audience_hint: "request the token for this service's audience: the default is the organization's own address",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let pieces: Vec<&str> = reading.subject.split(':').take(4).collect();
    if let ["org", _, "project", project] = pieces.as_slice() {
        reading.subject_agrees(Fact::RepoId, "prj_id", project)?;
    }
    let full = reading.known(Fact::RefFull);
    let reference = full.as_deref().and_then(Reference::read);
    if let Some(reference) = reference {
        reading.know_reference(reference);
    }
    let (kind, number) = (reading.text("ref_type")?, reading.text("pr")?);
    let of_pull_request = matches!(kind.as_deref(), Some("pull-request" | "pull_request"))
        || matches!(reference, Some(Reference::Pull(_)))
        || number.is_some()
        || reading.known(Fact::HeadRef).is_some();
    if of_pull_request && let Some(target) = reading.text("branch")? {
        // On a pull request `branch` is the target. Elsewhere it says nothing that `ref` does not.
        reading.facts.know(Fact::BaseRef, &*target);
    }
    let agrees = match reference {
        Some(Reference::Branch(_)) => kind.as_deref() == Some("branch"),
        Some(Reference::Tag(_)) => kind.as_deref() == Some("tag"),
        Some(Reference::Pull(pull)) => number.as_deref().is_none_or(|number| number == pull),
        None => false,
    };
    let trigger = match reading.known(Fact::Event).as_deref() {
        Some("debug_job" | "project_debug_job") => TriggerClass::HumanShell,
        _ if of_pull_request => TriggerClass::Outsider,
        Some("pipeline_job") if agrees => TriggerClass::Trusted,
        _ => TriggerClass::Unknown,
    };
    reading.conclude(trigger, reference.filter(|_| agrees));
    Ok(())
}
