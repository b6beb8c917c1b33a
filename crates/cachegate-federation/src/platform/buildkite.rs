//! Buildkite: one issuer for all organizations; ids are in a token only where they were asked for.

use cachegate_jwt::Algorithm;

use super::reading::Reference;
use super::{Profile, Reading, between, common_facts, derived, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "buildkite",
    title: "Buildkite",
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
        ("nbf", FactClass::Time),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("organization_id", FactClass::Id),
        ("pipeline_id", FactClass::Id),
        ("cluster_id", FactClass::Id),
        ("queue_id", FactClass::Id),
        ("build_id", FactClass::Run),
        ("organization_slug", FactClass::Name),
        ("pipeline_slug", FactClass::Name),
        ("cluster_name", FactClass::Name),
        ("queue_key", FactClass::Name),
        ("build_number", FactClass::Run),
        ("build_branch", FactClass::Caller),
        ("build_tag", FactClass::Caller),
        ("build_commit", FactClass::Caller),
        ("step_key", FactClass::Caller),
        ("job_id", FactClass::Run),
        ("agent_id", FactClass::Run),
        ("build_source", FactClass::Context),
        ("runner_environment", FactClass::Context),
        ("agent_tag:*", FactClass::Caller),
        ("https://aws.amazon.com/tags", FactClass::Context),
    ],
    facts: common_facts![
        "jti",
        text(Fact::TenantId, FactClass::Id, "organization_id")
            .asked_by("request the id with `buildkite-agent oidc request-token --claim organization_id`"),
        text(Fact::TenantName, FactClass::Name, "organization_slug"),
        text(Fact::RepoId, FactClass::Id, "pipeline_id")
            .asked_by("request the id with `buildkite-agent oidc request-token --claim pipeline_id`"),
        text(Fact::RepoName, FactClass::Name, "pipeline_slug"),
        derived(Fact::RefFull, FactClass::Caller, "build_branch"),
        derived(Fact::RefKind, FactClass::Caller, "build_tag"),
        derived(Fact::RefName, FactClass::Caller, "build_branch"),
        text(Fact::Commit, FactClass::Caller, "build_commit"),
        text(Fact::Event, FactClass::Context, "build_source"),
        derived(Fact::TriggerClass, FactClass::Context, "build_source"),
        text(Fact::RunnerKind, FactClass::Context, "runner_environment"),
        text(Fact::RunnerId, FactClass::Run, "agent_id"),
        text(Fact::ClusterId, FactClass::Id, "cluster_id")
            .asked_by("request the id with `buildkite-agent oidc request-token --claim cluster_id`"),
        text(Fact::QueueId, FactClass::Id, "queue_id")
            .asked_by("request the id with `buildkite-agent oidc request-token --claim queue_id`"),
        text(Fact::RunId, FactClass::Run, "build_id")
            .asked_by("request the id with `buildkite-agent oidc request-token --claim build_id`"),
        text(Fact::JobId, FactClass::Run, "job_id"),
    ],
    always: &[],
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
    is_default_audience: |audience| between(audience, "https://buildkite.com/", "").is_some(),
    audience_hint: "request the token with `buildkite-agent oidc request-token --audience` and this service's audience",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    check_subject(reading)?;
    let (tag, branch) = (reading.text("build_tag")?, reading.text("build_branch")?);
    let reference = match (tag.as_deref(), branch.as_deref()) {
        (Some(tag), _) => Some((format!("refs/tags/{tag}"), Reference::Tag(tag))),
        (None, Some(branch)) => Some((format!("refs/heads/{branch}"), Reference::Branch(branch))),
        (None, None) => None,
    };
    // Where the subject is the composite one, it repeats the reference.
    let reference = reference.filter(|(full, _)| {
        let said = reading.subject.strip_prefix("organization:");
        said.is_none_or(|said| said.contains(&format!(":ref:{full}:commit:")))
    });
    match &reference {
        Some((full, reference)) => {
            reading.facts.know(Fact::RefFull, full.as_str());
            reading.know_reference(*reference);
        }
        None => {
            for fact in [Fact::RefFull, Fact::RefKind, Fact::RefName] {
                reading.facts.incomplete(fact);
            }
        }
    }
    // No branch has a colon in its name: it is the platform's mark of a third party's fork.
    let of_fork = branch.as_deref().is_some_and(|branch| branch.contains(':'));
    let trigger = match reading.known(Fact::Event).as_deref() {
        _ if of_fork => TriggerClass::Outsider,
        // Of every other source the branch and the commit are whatever the build's creator said.
        Some("webhook") if reference.is_some() => TriggerClass::Trusted,
        _ => TriggerClass::Unknown,
    };
    reading.conclude(trigger, reference.map(|(_, reference)| reference));
    Ok(())
}

/// With `--subject-claim` the subject is one bare id. It names something only if a claim says what.
fn check_subject(reading: &Reading<'_>) -> Result<(), Refusal> {
    const IDS: [Fact; 7] = [
        Fact::TenantId,
        Fact::RepoId,
        Fact::ClusterId,
        Fact::QueueId,
        Fact::RunId,
        Fact::JobId,
        Fact::RunnerId,
    ];
    let bare = !reading.subject.contains(':');
    if bare && !IDS.into_iter().any(|id| reading.facts.text(id) == Some(reading.subject)) {
        let pipeline = reading.facts.text(Fact::RepoId).unwrap_or_default();
        return Err(reading
            .disagrees("pipeline_id", pipeline)
            .with_hint("request the id that is the subject with `--claim` as well"));
    }
    Ok(())
}
