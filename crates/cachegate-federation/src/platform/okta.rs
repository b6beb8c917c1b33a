//! Okta: access tokens of a custom authorization server, ID tokens of either kind of server.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, Shape, common_facts, derived, spec, text};
use crate::{Fact, FactClass, Mode, Refusal};

pub(super) const PROFILE: Profile = Profile {
    name: "okta",
    title: "Okta",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT", "at+jwt", "application/okta-internal-at+jwt"],
    type_optional: true,
    issued_at_optional: false,
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

fn read(_reading: &mut Reading<'_>) -> Result<(), Refusal> {
    Ok(())
}
