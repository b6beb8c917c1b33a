//! The service accounts of a Kubernetes cluster: projected tokens.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, common_facts, derived, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "kubernetes",
    title: "Kubernetes",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: true,
    issued_at_optional: false,
    bare_header: false,
    max_lifetime: 3607,
    mode: Mode::Exchange,
    token_id: "jti",
    claims: &[
        ("iss", FactClass::Fixed),
        ("sub", FactClass::Name),
        ("aud", FactClass::Caller),
        ("jti", FactClass::Run),
        ("nbf", FactClass::Time),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("kubernetes.io", FactClass::Context),
        ("/kubernetes.io/namespace", FactClass::Name),
        ("/kubernetes.io/serviceaccount/name", FactClass::Name),
        ("/kubernetes.io/serviceaccount/uid", FactClass::Id),
        ("/kubernetes.io/pod/uid", FactClass::Run),
        ("/kubernetes.io/node/uid", FactClass::Run),
        ("/kubernetes.io/warnafter", FactClass::Time),
    ],
    facts: common_facts![
        "jti",
        derived(Fact::ClusterId, FactClass::Fixed, "iss"),
        text(Fact::ServiceAccountId, FactClass::Id, "/kubernetes.io/serviceaccount/uid"),
        derived(Fact::ServiceAccountName, FactClass::Name, "sub"),
        derived(Fact::TriggerClass, FactClass::Id, "/kubernetes.io/serviceaccount/uid"),
        text(Fact::InstanceId, FactClass::Run, "/kubernetes.io/node/uid"),
        text(Fact::WorkloadUid, FactClass::Run, "/kubernetes.io/pod/uid"),
    ],
    always: &[Fact::ServiceAccountId],
    pin_sets: &[&[Fact::ServiceAccountId]],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::ServiceAccountId],
    group_cap: None,
    is_shared: |_| false,
    tenant: |_| None,
    tenant_fact: Fact::TenantId,
    tenant_said: |_| Ok(None),
    intended_end: Some("/kubernetes.io/warnafter"),
    is_default_audience: |audience| audience.contains("kubernetes.default.svc"),
    audience_hint: "mount a projected service account token with this service's audience: the default token is for the cluster itself",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let issuer = reading.issuer;
    reading.facts.know(Fact::ClusterId, issuer);
    let namespace = reading.text("/kubernetes.io/namespace")?;
    let account = reading.text("/kubernetes.io/serviceaccount/name")?;
    if let (Some(namespace), Some(account)) = (namespace, account) {
        if reading.subject != format!("system:serviceaccount:{namespace}:{account}") {
            return Err(reading.disagrees("kubernetes.io", &format!("{namespace}/{account}")));
        }
        reading.facts.know(Fact::ServiceAccountName, format!("{namespace}/{account}").as_str());
        reading.facts.set_trigger(TriggerClass::Trusted);
    }
    Ok(())
}
