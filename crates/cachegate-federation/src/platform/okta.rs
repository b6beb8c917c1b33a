//! Okta: access tokens of a custom authorization server, ID tokens of either kind of server.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, Shape, common_facts, derived, spec, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "okta",
    title: "Okta",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: true,
    issued_at_optional: false,
    bare_header: false,
    max_lifetime: 60 * 60,
    mode: Mode::Exchange,
    token_id: "jti",
    claims: &[
        ("iss", FactClass::Fixed),
        ("aud", FactClass::Fixed),
        ("sub", FactClass::Name),
        ("uid", FactClass::Id),
        ("cid", FactClass::Id),
        ("scp", FactClass::Admin),
        ("groups", FactClass::Name),
        ("ver", FactClass::Fixed),
        ("jti", FactClass::Run),
        ("auth_time", FactClass::Time),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("amr", FactClass::Context),
        ("idp", FactClass::Context),
        ("preferred_username", FactClass::Display),
        ("email", FactClass::Display),
        ("nonce", FactClass::Run),
        ("at_hash", FactClass::Run),
    ],
    facts: common_facts![
        "jti",
        derived(Fact::TriggerClass, FactClass::Context, "uid"),
        derived(Fact::ServiceAccountId, FactClass::Id, "cid"),
        derived(Fact::UserId, FactClass::Id, "uid"),
        derived(Fact::UserName, FactClass::Display, "sub"),
        spec(Fact::Groups, FactClass::Name, Shape::List, "groups"),
        spec(Fact::Roles, FactClass::Admin, Shape::List, "scp"),
        spec(Fact::AuthTime, FactClass::Time, Shape::Integer, "auth_time"),
        text(Fact::ClientId, FactClass::Id, "cid"),
    ],
    always: &[],
    pin_sets: &[],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::UserId, Fact::ServiceAccountId],
    group_cap: Some(100),
    is_shared: |_| false,
    tenant: |_| None,
    tenant_fact: Fact::TenantId,
    tenant_said: |_| Ok(None),
    intended_end: None,
    is_default_audience: |_| false,
    audience_hint: "use an access token of the custom authorization server whose audience is this service's, or an ID token of its client",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    // Group names are cut at a cap without a mark.
    if reading.groups_may_be_cut("groups")? {
        reading.facts.incomplete(Fact::Groups);
    }
    let (user, client) = (reading.text("uid")?, reading.known(Fact::ClientId));
    let is_id_token = reading.text("jti")?.is_some_and(|id| id.starts_with("ID."));
    let subject = reading.subject;
    let of_client = client.as_deref() == Some(subject);
    match (user, client) {
        // In an access token `sub` is the login, which can be given to someone else.
        (Some(user), Some(_)) if !of_client && !is_id_token => {
            reading.facts.know(Fact::UserId, &*user);
            reading.facts.know(Fact::UserName, subject);
            reading.facts.set_trigger(TriggerClass::HumanShell);
        }
        (None, None) if is_id_token => {
            reading.facts.know(Fact::UserId, subject);
            if let Some(name) = reading.text("preferred_username")? {
                reading.facts.know(Fact::UserName, &*name);
            }
            reading.facts.set_trigger(TriggerClass::HumanShell);
        }
        (None, Some(client)) if of_client && !is_id_token => {
            reading.facts.know(Fact::ServiceAccountId, client.as_str());
            reading.facts.set_trigger(TriggerClass::Trusted);
        }
        _ => {}
    }
    Ok(())
}
