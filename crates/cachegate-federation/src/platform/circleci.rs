//! CircleCI: one issuer for each organization, or the root issuer that all share.

use cachegate_jwt::Algorithm;

use super::reading::Reference;
use super::{Profile, Reading, between, common_facts, derived, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "circleci",
    title: "CircleCI",
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
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("oidc.circleci.com/project-id", FactClass::Id),
        ("oidc.circleci.com/vcs-origin", FactClass::Name),
        ("oidc.circleci.com/vcs-ref", FactClass::Context),
        ("oidc.circleci.com/context-ids", FactClass::Admin),
        ("oidc.circleci.com/ssh-rerun", FactClass::Context),
        ("oidc.circleci.com/pipeline-id", FactClass::Run),
        ("oidc.circleci.com/pipeline-definition-id", FactClass::Id),
        ("oidc.circleci.com/workflow-id", FactClass::Run),
        ("oidc.circleci.com/job-id", FactClass::Run),
    ],
    facts: common_facts![
        "jti",
        derived(Fact::TenantId, FactClass::Id, "sub"),
        text(Fact::RepoId, FactClass::Id, "oidc.circleci.com/project-id"),
        text(Fact::RepoName, FactClass::Name, "oidc.circleci.com/vcs-origin"),
        text(Fact::RefFull, FactClass::Context, "oidc.circleci.com/vcs-ref"),
        derived(Fact::RefKind, FactClass::Context, "oidc.circleci.com/vcs-ref"),
        derived(Fact::RefName, FactClass::Context, "oidc.circleci.com/vcs-ref"),
        derived(Fact::TriggerClass, FactClass::Context, "oidc.circleci.com/ssh-rerun"),
        derived(Fact::ActorId, FactClass::Id, "sub"),
        text(Fact::RunId, FactClass::Run, "oidc.circleci.com/pipeline-id"),
        text(Fact::JobId, FactClass::Run, "oidc.circleci.com/job-id"),
    ],
    always: &[Fact::RepoId],
    pin_sets: &[&[Fact::TenantId], &[Fact::RepoId]],
    write_conditions: &[Fact::RepoName],
    folded: &[],
    principal: &[Fact::RepoId],
    group_cap: None,
    is_shared: |issuer| issuer == "https://oidc.circleci.com",
    tenant: |issuer| between(issuer, "https://oidc.circleci.com/org/", ""),
    tenant_fact: Fact::TenantId,
    tenant_said: |reading| Ok(organization(reading.subject).map(str::to_owned)),
    intended_end: None,
    is_default_audience: |audience| is_uuid(audience),
    audience_hint: "request the token with `circleci run oidc get --claims '{\"aud\":\"...\"}'` and this service's audience",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let parts: Vec<&str> = reading.subject.splitn(7, '/').collect();
    if let ["org", organization, "project", project, "user", user, ..] = parts.as_slice() {
        reading.subject_agrees(Fact::RepoId, "oidc.circleci.com/project-id", project)?;
        reading.facts.know(Fact::TenantId, *organization);
        reading.facts.know(Fact::ActorId, *user);
    }
    let (origin, full) = (reading.known(Fact::RepoName), reading.known(Fact::RefFull));
    let reference = full.as_deref().and_then(Reference::read);
    if let Some(reference) = reference {
        reading.know_reference(reference);
    }
    // The second form of the subject repeats origin and ref.
    let agrees = match (origin, full.as_deref(), parts.get(6)) {
        (Some(_), Some(_), None) => true,
        (Some(origin), Some(full), Some(tail)) => **tail == format!("vcs-origin/{origin}/vcs-ref/{full}"),
        _ => false,
    };
    let trigger = match (reading.boolean("oidc.circleci.com/ssh-rerun")?, reference) {
        (Some(true), _) => TriggerClass::HumanShell,
        (_, Some(Reference::Pull(_))) => TriggerClass::Outsider,
        (Some(false), Some(_)) if agrees => TriggerClass::Trusted,
        _ => TriggerClass::Unknown,
    };
    reading.conclude(trigger, reference);
    Ok(())
}

/// The organization that a subject names: `org/<id>/project/<id>/user/<id>`.
fn organization(subject: &str) -> Option<&str> {
    subject.strip_prefix("org/")?.split_once('/').map(|(organization, _)| organization)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
