//! SPIFFE JWT-SVIDs: the trust domain of the subject stands in the issuer's place.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, common_facts, derived};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "spiffe-jwt-svid",
    title: "SPIFFE",
    algorithms: &[
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ],
    types: &["JWT", "JOSE"],
    type_optional: true,
    issued_at_optional: true,
    bare_header: true,
    max_lifetime: 60 * 60,
    mode: Mode::Direct,
    token_id: "jti",
    claims: &[
        ("sub", FactClass::Admin),
        ("aud", FactClass::Caller),
        ("exp", FactClass::Time),
        ("iat", FactClass::Time),
        ("iss", FactClass::Fixed),
        ("jti", FactClass::Run),
        ("nbf", FactClass::Time),
    ],
    facts: common_facts![
        "jti",
        derived(Fact::TenantId, FactClass::Fixed, "sub"),
        derived(Fact::WorkloadUid, FactClass::Admin, "sub"),
        derived(Fact::TriggerClass, FactClass::Admin, "sub"),
    ],
    always: &[],
    pin_sets: &[],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::WorkloadUid],
    group_cap: None,
    is_shared: |_| false,
    tenant: |_| None,
    tenant_fact: Fact::TenantId,
    tenant_said: |_| Ok(None),
    intended_end: None,
    is_default_audience: |_| false,
    audience_hint: "fetch the JWT-SVID for this service's audience",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let (domain, subject) = (reading.issuer, reading.subject);
    reading.facts.know(Fact::TenantId, domain);
    reading.facts.know(Fact::WorkloadUid, subject);
    reading.facts.set_trigger(TriggerClass::Trusted);
    Ok(())
}
