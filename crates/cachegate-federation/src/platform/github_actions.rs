//! GitHub Actions: github.com, an enterprise's own issuer, data-residency hosts, Enterprise Server.

use cachegate_jwt::Algorithm;

use super::reading::Reference;
use super::{Profile, Reading, Shape, between, common_facts, derived, digits, spec, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "github-actions",
    title: "GitHub Actions",
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
        ("aud", FactClass::Caller),
        ("jti", FactClass::Run),
        ("nbf", FactClass::Time),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("repository_id", FactClass::Id),
        ("repository_owner_id", FactClass::Id),
        ("enterprise_id", FactClass::Id),
        ("repository", FactClass::Name),
        ("repository_owner", FactClass::Name),
        ("enterprise", FactClass::Name),
        ("repository_visibility", FactClass::Context),
        ("ref", FactClass::Context),
        ("ref_type", FactClass::Context),
        ("ref_protected", FactClass::Context),
        ("sha", FactClass::Context),
        ("head_ref", FactClass::Caller),
        ("base_ref", FactClass::Context),
        ("event_name", FactClass::Context),
        ("workflow", FactClass::Caller),
        ("workflow_ref", FactClass::Context),
        ("workflow_sha", FactClass::Context),
        ("job_workflow_ref", FactClass::Context),
        ("job_workflow_sha", FactClass::Context),
        ("environment", FactClass::Caller),
        ("environment_node_id", FactClass::Id),
        ("runner_environment", FactClass::Context),
        ("actor", FactClass::Name),
        ("actor_id", FactClass::Id),
        ("run_id", FactClass::Run),
        ("run_number", FactClass::Run),
        ("run_attempt", FactClass::Run),
        ("check_run_id", FactClass::Run),
        ("repo_property_*", FactClass::Admin),
    ],
    facts: common_facts![
        "jti",
        text(Fact::TenantId, FactClass::Id, "enterprise_id"),
        text(Fact::TenantName, FactClass::Name, "enterprise"),
        digits(Fact::OwnerId, FactClass::Id, "repository_owner_id"),
        text(Fact::OwnerName, FactClass::Name, "repository_owner"),
        digits(Fact::RepoId, FactClass::Id, "repository_id"),
        text(Fact::RepoName, FactClass::Name, "repository"),
        text(Fact::RepoVisibility, FactClass::Context, "repository_visibility"),
        text(Fact::RefFull, FactClass::Context, "ref"),
        derived(Fact::RefKind, FactClass::Context, "ref"),
        derived(Fact::RefName, FactClass::Context, "ref"),
        spec(Fact::RefProtected, FactClass::Context, Shape::TextualBoolean, "ref_protected"),
        text(Fact::HeadRef, FactClass::Caller, "head_ref"),
        text(Fact::BaseRef, FactClass::Context, "base_ref"),
        text(Fact::Commit, FactClass::Context, "sha"),
        text(Fact::Event, FactClass::Context, "event_name"),
        derived(Fact::TriggerClass, FactClass::Context, "event_name"),
        digits(Fact::ActorId, FactClass::Id, "actor_id"),
        text(Fact::ActorName, FactClass::Name, "actor"),
        derived(Fact::WorkflowPath, FactClass::Context, "workflow_ref"),
        derived(Fact::WorkflowRef, FactClass::Context, "workflow_ref"),
        text(Fact::WorkflowSha, FactClass::Context, "workflow_sha"),
        derived(Fact::CalleePath, FactClass::Context, "job_workflow_ref"),
        derived(Fact::CalleeRef, FactClass::Context, "job_workflow_ref"),
        text(Fact::CalleeSha, FactClass::Context, "job_workflow_sha"),
        text(Fact::Environment, FactClass::Caller, "environment"),
        text(Fact::RunnerKind, FactClass::Context, "runner_environment"),
        digits(Fact::RunId, FactClass::Run, "run_id"),
        digits(Fact::JobId, FactClass::Run, "check_run_id"),
        digits(Fact::Attempt, FactClass::Run, "run_attempt"),
    ],
    always: &[Fact::OwnerId, Fact::RepoId],
    pin_sets: &[&[Fact::OwnerId], &[Fact::RepoId], &[Fact::TenantId]],
    write_conditions: &[],
    folded: &[Fact::OwnerName, Fact::RepoName, Fact::TenantName, Fact::Environment],
    principal: &[Fact::RepoId],
    group_cap: None,
    is_shared: |issuer| issuer == SHARED,
    tenant: |issuer| between(issuer, SHARED_SLASH, ""),
    tenant_fact: Fact::TenantName,
    tenant_said: |reading| Ok(reading.text("enterprise")?.map(Into::into)),
    intended_end: None,
    is_default_audience: |audience| between(audience, "https://github.com/", "").is_some(),
    audience_hint: "request the token for this service's audience: add `&audience=` to the request to ACTIONS_ID_TOKEN_REQUEST_URL",
    read,
};

/// What keeps a read-write cache on the default branch at the platform itself: only those who may push can cause it.
const TRUSTED: [&str; 7] = [
    "push",
    "schedule",
    "workflow_dispatch",
    "repository_dispatch",
    "delete",
    "registry_package",
    "page_build",
];

/// What an outsider can cause while the token speaks for the base repository, and pull requests.
const OUTSIDER: [&str; 4] = ["pull_request", "pull_request_target", "issue_comment", "workflow_run"];

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    check_subject(reading)?;
    reading.know_definition("workflow_ref", Fact::WorkflowPath, Fact::WorkflowRef)?;
    reading.know_definition("job_workflow_ref", Fact::CalleePath, Fact::CalleeRef)?;
    let full = reading.known(Fact::RefFull);
    let reference = full.as_deref().and_then(Reference::read);
    if let Some(reference) = reference {
        reading.know_reference(reference);
    }
    // `ref_type` says `branch` of a pull request too: it can contradict, never vouch.
    let kind = reading.text("ref_type")?;
    let agrees = match (reference, kind.as_deref()) {
        (_, None) => true,
        (Some(Reference::Branch(_) | Reference::Pull(_)), Some(kind)) => kind == "branch",
        (Some(Reference::Tag(_)), Some(kind)) => kind == "tag",
        (None, Some(_)) => false,
    };
    let of_pull_request = reading.known(Fact::HeadRef).is_some() || reading.known(Fact::BaseRef).is_some();
    let event = reading.known(Fact::Event).unwrap_or_default();
    let trigger = match reference {
        Some(Reference::Pull(_)) => TriggerClass::Outsider,
        _ if OUTSIDER.contains(&event.as_str()) => TriggerClass::Outsider,
        Some(_) if TRUSTED.contains(&event.as_str()) && agrees && !of_pull_request => TriggerClass::Trusted,
        _ => TriggerClass::Unknown,
    };
    reading.conclude(trigger, reference);
    Ok(())
}

/// `sub` has many shapes, some chosen by the job's author; where it carries ids, they are the claims'.
fn check_subject(reading: &Reading<'_>) -> Result<(), Refusal> {
    let pieces: Vec<&str> = reading.subject.split(':').collect();
    for pair in pieces.windows(2) {
        let [key, value] = pair else { continue };
        match *key {
            "repo" | "repository" => {
                if let Some((owner, repository)) = immutable(value) {
                    reading.subject_agrees(Fact::OwnerId, "repository_owner_id", owner)?;
                    reading.subject_agrees(Fact::RepoId, "repository_id", repository)?;
                }
            }
            "repository_owner_id" => reading.subject_agrees(Fact::OwnerId, key, value)?,
            "repository_id" => reading.subject_agrees(Fact::RepoId, key, value)?,
            _ => {}
        }
    }
    Ok(())
}

/// The ids in `owner@1/name@2`.
fn immutable(text: &str) -> Option<(&str, &str)> {
    let (owner, repository) = text.split_once('/')?;
    Some((owner.rsplit_once('@')?.1, repository.rsplit_once('@')?.1))
}

const SHARED: &str = "https://token.actions.githubusercontent.com";
const SHARED_SLASH: &str = "https://token.actions.githubusercontent.com/";
