//! CircleCI: one issuer for each organization, or the root issuer that all share.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, Shape, between, common_facts, derived, text};
use crate::{Fact, FactClass, Mode, Refusal};

pub(super) const PROFILE: Profile = Profile {
    name: "circleci",
    title: "CircleCI",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: false,
    issued_at_optional: false,
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

fn read(_reading: &mut Reading<'_>) -> Result<(), Refusal> {
    Ok(())
}

/// The organization that a subject names: `org/<id>/project/<id>/user/<id>`.
fn organization(subject: &str) -> Option<&str> {
    subject.strip_prefix("org/")?.split_once('/').map(|(organization, _)| organization)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
