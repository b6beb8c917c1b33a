//! Microsoft Entra ID: one issuer for each tenant, in the forms of version 1 and 2.

use cachegate_jwt::Algorithm;

use super::{Profile, Reading, Shape, between, common_facts, derived, spec, text};
use crate::{Fact, FactClass, Mode, Refusal, TriggerClass};

pub(super) const PROFILE: Profile = Profile {
    name: "entra-id",
    title: "Microsoft Entra ID",
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    type_optional: false,
    issued_at_optional: false,
    bare_header: false,
    max_lifetime: 90 * 60,
    mode: Mode::Exchange,
    token_id: "uti",
    claims: &[
        ("iss", FactClass::Fixed),
        ("tid", FactClass::Id),
        ("oid", FactClass::Id),
        ("sub", FactClass::Id),
        ("aud", FactClass::Fixed),
        ("azp", FactClass::Id),
        ("appid", FactClass::Id),
        ("azpacr", FactClass::Context),
        ("idtyp", FactClass::Context),
        ("scp", FactClass::Admin),
        ("roles", FactClass::Admin),
        ("groups", FactClass::Admin),
        ("hasgroups", FactClass::Context),
        ("_claim_names", FactClass::Context),
        ("_claim_sources", FactClass::Context),
        ("wids", FactClass::Admin),
        ("preferred_username", FactClass::Display),
        ("unique_name", FactClass::Display),
        ("upn", FactClass::Display),
        ("email", FactClass::Display),
        ("name", FactClass::Display),
        ("idp", FactClass::Context),
        ("uti", FactClass::Run),
        ("nbf", FactClass::Time),
        ("iat", FactClass::Time),
        ("exp", FactClass::Time),
        ("ver", FactClass::Fixed),
        ("aio", FactClass::Display),
        ("rh", FactClass::Display),
        ("amr", FactClass::Context),
        ("appidacr", FactClass::Context),
    ],
    facts: common_facts![
        "uti",
        text(Fact::TenantId, FactClass::Id, "tid"),
        derived(Fact::TriggerClass, FactClass::Context, "idtyp"),
        derived(Fact::ServiceAccountId, FactClass::Id, "oid"),
        derived(Fact::UserId, FactClass::Id, "oid"),
        derived(Fact::UserName, FactClass::Display, "preferred_username"),
        spec(Fact::Groups, FactClass::Admin, Shape::List, "groups"),
        spec(Fact::Roles, FactClass::Admin, Shape::List, "roles"),
        derived(Fact::ClientId, FactClass::Id, "azp"),
    ],
    always: &[Fact::TenantId],
    pin_sets: &[&[Fact::TenantId]],
    write_conditions: &[],
    folded: &[],
    principal: &[Fact::TenantId, Fact::UserId, Fact::ServiceAccountId],
    group_cap: None,
    is_shared: |_| false,
    tenant: |issuer| {
        between(issuer, "https://login.microsoftonline.com/", "/v2.0")
            .or_else(|| between(issuer, "https://sts.windows.net/", "/"))
    },
    tenant_fact: Fact::TenantId,
    tenant_said: |reading| Ok(reading.text("tid")?.map(Into::into)),
    intended_end: None,
    is_default_audience: |audience| {
        audience == "api://AzureADTokenExchange" || audience == "00000003-0000-0000-c000-000000000000"
    },
    audience_hint: "request the token for this service's application: its client id, or its `api://` address",
    read,
};

fn read(reading: &mut Reading<'_>) -> Result<(), Refusal> {
    let client = reading.text("azp")?.or(reading.text("appid")?);
    if let Some(client) = client {
        reading.facts.know(Fact::ClientId, &*client);
    }
    // Too many groups are not listed, and where they are not configured none is: neither means "in no group". The
    // place that the token names to fetch them from is never followed.
    let more = reading.has("_claim_names") || reading.boolean("hasgroups")? == Some(true);
    if more || reading.groups_may_be_cut("groups")? {
        reading.facts.incomplete(Fact::Groups);
    }
    let (object, delegated) = (reading.text("oid")?, reading.text("scp")?.is_some());
    match (object, reading.text("idtyp")?.as_deref(), delegated) {
        (Some(object), None | Some("user"), true) => {
            reading.facts.know(Fact::UserId, &*object);
            for claim in ["preferred_username", "unique_name", "upn"] {
                if let Some(name) = reading.text(claim)? {
                    reading.facts.know(Fact::UserName, &*name);
                    break;
                }
            }
            reading.facts.set_trigger(TriggerClass::HumanShell);
        }
        (Some(object), Some("app"), false) => {
            reading.facts.know(Fact::ServiceAccountId, &*object);
            reading.facts.set_trigger(TriggerClass::Trusted);
        }
        // `idtyp` is optional: without it and without delegated scopes nothing tells a person from an application.
        _ => {}
    }
    Ok(())
}
