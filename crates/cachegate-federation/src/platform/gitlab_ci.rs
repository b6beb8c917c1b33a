//! GitLab CI: gitlab.com and instances of one's own.

use cachegate_jwt::Algorithm;

use super::reading::Reference;
use super::{Profile, Reading, Shape, common_facts, derived, digits, spec, text};
use crate::{Fact, FactClass, FactKind, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "gitlab-ci",
    title: "GitLab CI",
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
        ("project_id", FactClass::Id),
        ("namespace_id", FactClass::Id),
        ("job_project_id", FactClass::Id),
        ("job_namespace_id", FactClass::Id),
        ("project_path", FactClass::Name),
        ("namespace_path", FactClass::Name),
        ("job_project_path", FactClass::Name),
        ("job_namespace_path", FactClass::Name),
        ("user_id", FactClass::Id),
        ("user_login", FactClass::Name),
        ("user_email", FactClass::Display),
        ("user_access_level", FactClass::Context),
        ("user_identities", FactClass::Context),
        ("groups_direct", FactClass::Name),
        ("pipeline_id", FactClass::Run),
        ("pipeline_source", FactClass::Context),
        ("job_id", FactClass::Run),
        ("job_source", FactClass::Context),
        ("ref", FactClass::Context),
        ("ref_type", FactClass::Context),
        ("ref_path", FactClass::Context),
        ("ref_protected", FactClass::Context),
        ("environment", FactClass::Caller),
        ("environment_protected", FactClass::Context),
        ("deployment_tier", FactClass::Caller),
        ("environment_action", FactClass::Caller),
        ("runner_id", FactClass::Run),
        ("runner_environment", FactClass::Context),
        ("sha", FactClass::Context),
        ("project_visibility", FactClass::Context),
        ("ci_config_ref_uri", FactClass::Context),
        ("ci_config_sha", FactClass::Context),
    ],
    facts: common_facts![
        "jti",
        derived(Fact::OwnerId, FactClass::Id, "job_namespace_id"),
        derived(Fact::OwnerName, FactClass::Name, "job_namespace_path"),
        derived(Fact::RepoId, FactClass::Id, "job_project_id"),
        derived(Fact::RepoName, FactClass::Name, "job_project_path"),
        text(Fact::RepoVisibility, FactClass::Context, "project_visibility"),
        digits(Fact::OriginRepoId, FactClass::Id, "project_id"),
        spec(Fact::SameRepo, FactClass::Context, Shape::Derived(FactKind::Boolean), "job_project_id"),
        derived(Fact::RefFull, FactClass::Context, "ref_path"),
        derived(Fact::RefKind, FactClass::Context, "ref_path"),
        derived(Fact::RefName, FactClass::Context, "ref_path"),
        spec(Fact::RefProtected, FactClass::Context, Shape::TextualBoolean, "ref_protected"),
        text(Fact::Commit, FactClass::Context, "sha"),
        text(Fact::Event, FactClass::Context, "pipeline_source"),
        derived(Fact::TriggerClass, FactClass::Context, "pipeline_source"),
        digits(Fact::ActorId, FactClass::Id, "user_id"),
        text(Fact::ActorName, FactClass::Name, "user_login"),
        derived(Fact::WorkflowPath, FactClass::Context, "ci_config_ref_uri"),
        derived(Fact::WorkflowRef, FactClass::Context, "ci_config_ref_uri"),
        spec(Fact::WorkflowSha, FactClass::Context, Shape::Nullable, "ci_config_sha"),
        text(Fact::Environment, FactClass::Caller, "environment"),
        spec(Fact::EnvironmentProtected, FactClass::Context, Shape::TextualBoolean, "environment_protected"),
        text(Fact::RunnerKind, FactClass::Context, "runner_environment"),
        spec(Fact::RunnerId, FactClass::Run, Shape::Integer, "runner_id"),
        spec(Fact::Groups, FactClass::Name, Shape::List, "groups_direct"),
        digits(Fact::RunId, FactClass::Run, "pipeline_id"),
        digits(Fact::JobId, FactClass::Run, "job_id"),
    ],
    always: &[Fact::OriginRepoId],
    pin_sets: &[&[Fact::RepoId], &[Fact::OwnerId]],
    write_conditions: &[],
    folded: &[Fact::RepoName, Fact::OwnerName],
    principal: &[Fact::RepoId],
    group_cap: None,
    is_shared: |issuer| issuer == "https://gitlab.com",
    tenant: |_| None,
    tenant_fact: Fact::OwnerId,
    tenant_said: |_| Ok(None),
    intended_end: None,
    is_default_audience: |_| false,
    audience_hint: "set this service's audience in the job: `id_tokens: { NAME: { aud: ... } }`",
    read,
};

/// Sources that only those who may push or plan can cause. An unlisted one is unknown: a child pipeline, for one, may
/// have a merge request for its parent.
const TRUSTED: [&str; 3] = ["push", "schedule", "web"];

const MERGE_REQUEST: [&str; 2] = ["merge_request_event", "external_pull_request_event"];

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let event = reading.known(Fact::Event).unwrap_or_default();
    let of_merge_request = MERGE_REQUEST.contains(&event.as_str());
    let same_repository = know_project(reading, of_merge_request)?;
    reading.know_definition("ci_config_ref_uri", Fact::WorkflowPath, Fact::WorkflowRef)?;
    if !reading.has("groups_direct") {
        // Left out when there are too many.
        reading.facts.incomplete(Fact::Groups);
    }

    let (name, kind) = (reading.text("ref")?, reading.text("ref_type")?);
    let full = match (reading.text("ref_path")?, name.as_deref(), kind.as_deref()) {
        (Some(path), ..) => Some(path.into_owned()),
        (None, Some(name), Some("branch")) if !of_merge_request => Some(format!("refs/heads/{name}")),
        (None, Some(name), Some("tag")) if !of_merge_request => Some(format!("refs/tags/{name}")),
        _ => None,
    };
    let reference = full.as_deref().and_then(Reference::read);
    if let (Some(full), Some(reference)) = (full.as_deref(), reference) {
        reading.facts.know(Fact::RefFull, full);
        reading.know_reference(reference);
    }
    // A tag and a branch may share a name: all three claims must mean one thing.
    let agrees = match reference {
        Some(Reference::Branch(branch)) => {
            kind.as_deref() == Some("branch") && name.as_deref() == Some(branch)
        }
        Some(Reference::Tag(tag)) => kind.as_deref() == Some("tag") && name.as_deref() == Some(tag),
        Some(Reference::Pull(_)) | None => false,
    };
    // Tokens from before `job_project_id` may name the target of a merge request: there the protected ref decides.
    let own = same_repository.unwrap_or_else(|| {
        !reading.has("job_project_id") && reading.facts.boolean(Fact::RefProtected) == Some(true)
    });
    let trigger = match reference {
        _ if same_repository == Some(false) || of_merge_request => TriggerClass::Outsider,
        Some(Reference::Pull(_)) => TriggerClass::Outsider,
        Some(_) if TRUSTED.contains(&event.as_str()) && own && agrees => TriggerClass::Trusted,
        _ => TriggerClass::Unknown,
    };
    reading.conclude(trigger, reference);
    Ok(())
}

/// The repository is the one in which the job ran; `project_id` is where the change comes from. Whether both are one.
fn know_project(reading: &mut Reading<'_>, of_merge_request: bool) -> Result<Option<bool>, Refusal> {
    const JOB: [(Fact, &str, &str); 4] = [
        (Fact::RepoId, "job_project_id", "project_id"),
        (Fact::RepoName, "job_project_path", "project_path"),
        (Fact::OwnerId, "job_namespace_id", "namespace_id"),
        (Fact::OwnerName, "job_namespace_path", "namespace_path"),
    ];
    let newer = reading.has("job_project_id");
    for (fact, job, source) in JOB {
        let ids = matches!(fact, Fact::RepoId | Fact::OwnerId);
        let claim = if newer { job } else { source };
        let value = if ids { reading.digits(claim)? } else { reading.text(claim)? };
        match value {
            // One of the two, and nothing tells which.
            Some(_) if !newer && of_merge_request => reading.facts.incomplete(fact),
            Some(value) => reading.facts.know(fact, &*value),
            None => {}
        }
    }
    let same = match (reading.facts.text(Fact::OriginRepoId), reading.facts.text(Fact::RepoId)) {
        (Some(origin), Some(repository)) if newer => origin == repository,
        _ => return Ok(None),
    };
    reading.facts.know(Fact::SameRepo, same);
    Ok(Some(same))
}
