//! Google Compute Engine: the metadata server's tokens, in full format. The issuer signs every Google sign-in as well.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, Shape, common_facts, derived, digits, spec, text};
use crate::{Fact, FactClass, Knowledge, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "google-compute-engine",
    title: "Google Compute Engine",
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
        ("aud", FactClass::Caller),
        ("sub", FactClass::Id),
        ("azp", FactClass::Id),
        ("email", FactClass::Name),
        ("email_verified", FactClass::Context),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("google", FactClass::Context),
        ("/google/compute_engine/project_number", FactClass::Id),
        ("/google/compute_engine/project_id", FactClass::Name),
        ("/google/compute_engine/zone", FactClass::Context),
        ("/google/compute_engine/instance_id", FactClass::Run),
        ("/google/compute_engine/instance_name", FactClass::Name),
        ("/google/compute_engine/instance_creation_timestamp", FactClass::Time),
        ("/google/compute_engine/instance_confidentiality", FactClass::Context),
        ("/google/compute_engine/license_id", FactClass::Context),
    ],
    facts: common_facts![
        "jti",
        text(Fact::TenantName, FactClass::Name, "/google/compute_engine/project_id"),
        spec(Fact::AccountId, FactClass::Id, Shape::Integer, "/google/compute_engine/project_number"),
        derived(Fact::ServiceAccountId, FactClass::Id, "sub"),
        derived(Fact::ServiceAccountName, FactClass::Name, "email"),
        derived(Fact::UserId, FactClass::Id, "sub"),
        derived(Fact::TriggerClass, FactClass::Context, "azp"),
        digits(Fact::InstanceId, FactClass::Run, "/google/compute_engine/instance_id"),
        derived(Fact::ClientId, FactClass::Id, "azp"),
    ],
    always: &[],
    pin_sets: &[&[Fact::ServiceAccountId], &[Fact::AccountId]],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::ServiceAccountId],
    group_cap: None,
    is_shared: |_| true,
    tenant: |_| None,
    tenant_fact: Fact::AccountId,
    tenant_said: |_| Ok(None),
    intended_end: None,
    is_default_audience: |audience| audience.ends_with(".apps.googleusercontent.com"),
    audience_hint: "ask the metadata server for this service's audience: `identity?audience=...&format=full`",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let (subject, party) = (reading.subject, reading.text("azp")?);
    let (email, verified) = (reading.text("email")?, reading.boolean("email_verified")?);
    let digits = !subject.is_empty() && subject.bytes().all(|byte| byte.is_ascii_digit());
    match party.as_deref() {
        Some(party) if party == subject && digits => {
            reading.facts.know(Fact::ServiceAccountId, subject);
            match (email, verified) {
                (Some(email), Some(true)) => reading.facts.know(Fact::ServiceAccountName, &*email),
                (Some(_), _) => reading.facts.incomplete(Fact::ServiceAccountName),
                (None, _) => {}
            }
            let on_instance =
                [Fact::ServiceAccountName, Fact::InstanceId].map(|fact| reading.facts.text(fact));
            let has_project = matches!(reading.facts.get(Fact::AccountId), Knowledge::Known(_));
            if has_project && on_instance.iter().all(Option::is_some) {
                reading.facts.set_trigger(TriggerClass::Trusted);
            }
        }
        // The issuer signs every person's sign-in as well: there the authorized party is the application.
        Some(party) => {
            reading.facts.know(Fact::UserId, subject);
            reading.facts.know(Fact::ClientId, party);
            reading.facts.set_trigger(TriggerClass::HumanShell);
        }
        None => {}
    }
    Ok(())
}
