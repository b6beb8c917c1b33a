//! Whatever happens to one claim of any set, the right is never more than before.

#![expect(clippy::expect_used, reason = "a broken fixture fails the test")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use cachegate_federation::{
    AnchorBuilder, Fact, FactClass, FactValue, Facts, Federation, Issuer, Keys, Knowledge, Refusal, Verified,
};
use cachegate_jwt::{Algorithm, KeySet};
use cachegate_types::Lane;
use common::{AUDIENCE, Case, PLATFORMS, anchor_for, cases, issuer, jwks, now, sign_text};
use serde_json::{Value, json};

/// The anchor that takes this very set if any does, with a key that signs fast.
fn anchor(case: &Case) -> AnchorBuilder {
    let platform = if case.platform == "azure-devops" { "entra-id" } else { case.platform.as_str() };
    let issuer = match case.claims.get("iss").and_then(Value::as_str) {
        // The sets that no anchor takes stay at the one of their platform.
        Some(said) if issuer_fits(case, said) => Issuer::from(said),
        _ => issuer(platform),
    };
    let audience = match (platform, case.variant.as_str()) {
        ("entra-id", "v1-token") => "api://cachegate",
        ("entra-id", _) => "32e07959-e26b-4d9d-9886-9b1aad1e215b",
        ("okta", "id-token") => "0oa1b2c3d4e5f6g7h8i9",
        _ => AUDIENCE,
    };
    anchor_for(platform, issuer, audience)
        .keys(Keys::Inline(jwks("k", "ES256")))
        .algorithms(&[Algorithm::Es256])
}

fn issuer_fits(case: &Case, said: &str) -> bool {
    let refused = ["consumer-account", "foreign-tenant-attack", "iss-tid-disagree-attack"];
    said.starts_with("https://")
        && !["azure-devops", "spiffe-jwt-svid"].contains(&case.platform.as_str())
        && !refused.contains(&case.variant.as_str())
}

/// A gate with one anchor.
struct Gate {
    federation: Federation,
    keys: Arc<KeySet>,
}

impl Gate {
    fn new(case: &Case) -> Self {
        let keys = KeySet::from_jwks(jwks("k", "ES256").to_string().as_bytes()).expect("a key set");
        let anchor = anchor(case).build().expect("an anchor");
        Self { federation: Federation::new([anchor]).expect("a table"), keys: Arc::new(keys) }
    }

    fn run(&self, payload: &str) -> Result<Verified, Refusal> {
        let token = sign_text(r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, payload, "ES256");
        self.federation.verify(&token, |_| Ok(Arc::clone(&self.keys)), now())
    }
}

/// Every place in the claims: the members, and the members of objects in them.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        places(inner, &place, found);
        found.push(place);
    }
}

fn changed(claims: &Value, place: &str, value: Option<Value>) -> Option<Value> {
    let mut changed = claims.clone();
    let (parent, name) = place.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let parent = changed.pointer_mut(parent)?.as_object_mut()?;
    match value {
        Some(value) => drop(parent.insert(name, value)),
        None => drop(parent.remove(&name)),
    }
    Some(changed)
}

/// Another value of the same type and shape, as another tenant's token would have it.
fn of_another_tenant(value: &Value) -> Option<Value> {
    let other = |text: &str| match text.bytes().rposition(|byte| byte.is_ascii_alphanumeric()) {
        Some(at) => {
            let last = text.as_bytes().get(at).copied().unwrap_or(b'0');
            let swapped = if last == b'7' { "8" } else { "7" };
            format!("{}{swapped}{}", &text[..at], &text[at + 1..])
        }
        None => format!("{text}other"),
    };
    match value {
        Value::String(text) => Some(Value::String(other(text))),
        Value::Number(number) => number.as_i64().map(|number| json!(number + 1)),
        Value::Array(list) => list.first().and_then(of_another_tenant).map(|element| json!([element])),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn shared(facts: &Facts) -> BTreeSet<&'static str> {
    [
        ("release", Lane::release()),
        ("main", Lane::main()),
        ("dev", Lane::dev()),
        ("anonymous", Lane::anonymous()),
    ]
    .into_iter()
    .filter(|(_, lane)| facts.may_write(lane))
    .map(|(name, _)| name)
    .collect()
}

fn known(facts: &Facts) -> Vec<(Fact, FactValue)> {
    let derived = [Fact::TriggerClass, Fact::TokenExpires];
    facts
        .iter()
        .filter(|(fact, _)| !derived.contains(fact))
        .filter_map(|(fact, knowledge)| match knowledge {
            Knowledge::Known(value) => Some((fact, value.into_owned())),
            Knowledge::Absent | Knowledge::Incomplete => None,
        })
        .collect()
}

/// What one change may not do.
fn raised(
    before: &Result<Verified, Refusal>,
    after: &Result<Verified, Refusal>,
    same_tenant: bool,
) -> Option<String> {
    let Ok(after) = after else { return None };
    let Ok(before) = before else { return Some("was refused, and is taken".to_owned()) };
    let (old, new) = (&before.facts, &after.facts);
    if !shared(new).is_subset(&shared(old)) {
        return Some(format!("shared lanes: {:?}, then {:?}", shared(old), shared(new)));
    }
    if let Some(lane) = new.lane() {
        let source = lane.source().map(|source| &*source.repository);
        if source.is_none() || source != new.text(Fact::RepoId) {
            return Some(format!("a lane of another repository: {lane}"));
        }
        if same_tenant && old.lane() != Some(lane) {
            return Some(format!("another lane: {:?}, then {lane}", old.lane()));
        }
    }
    if after.expires_at > before.expires_at {
        return Some("lives longer".to_owned());
    }
    if same_tenant {
        let old = known(old);
        if let Some(fact) = known(new).into_iter().find(|fact| !old.contains(fact)) {
            return Some(format!("a fact that was not known: {fact:?}"));
        }
    }
    None
}

#[test]
fn no_change_of_one_claim_raises_the_right() {
    let (mut wrong, mut tried, mut taken) = (Vec::new(), 0, 0);
    for case in PLATFORMS.iter().flat_map(|platform| cases(platform)) {
        let (gate, claims) = (Gate::new(&case), Value::Object(case.claims.clone()));
        let before = gate.run(&claims.to_string());
        let mut all = Vec::new();
        places(&claims, "", &mut all);
        for place in all {
            let original = claims.pointer(&place).cloned().unwrap_or_default();
            let mut mutations = vec![("removed", None, true)];
            for other in [json!(null), json!(true), json!(7), json!("7"), json!(["7"]), json!({"7": "7"})] {
                if kind(&other) != kind(&original) && !original.is_null() {
                    mutations.push(("other type", Some(other), true));
                }
            }
            if let Some(other) = of_another_tenant(&original) {
                let name = place.trim_start_matches('/').replace("~1", "/").replace("~0", "~");
                let class =
                    case.platform.parse().ok().and_then(|platform: cachegate_federation::Platform| {
                        platform.claim_class(&name).or_else(|| platform.claim_class(&place))
                    });
                if matches!(class, Some(FactClass::Id | FactClass::Name | FactClass::Fixed)) {
                    mutations.push(("other tenant", Some(other), false));
                }
            }
            for (what, value, same_tenant) in mutations {
                let Some(mutated) = changed(&claims, &place, value.clone()) else { continue };
                let after = gate.run(&mutated.to_string());
                (tried, taken) = (tried + 1, taken + usize::from(after.is_ok()));
                if let Some(why) = raised(&before, &after, same_tenant) {
                    wrong
                        .push(format!("{} {}: {place} {what} {value:?}: {why}", case.platform, case.variant));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 8_000 && taken > 1_000, "{tried} tried, {taken} taken");
}

#[test]
fn a_claim_that_comes_twice_refuses_the_token() {
    for case in PLATFORMS.iter().flat_map(|platform| cases(platform)) {
        let (gate, claims) = (Gate::new(&case), Value::Object(case.claims.clone()));
        let mut all = Vec::new();
        places(&claims, "", &mut all);
        let text = claims.to_string();
        for place in all {
            let name = place.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
            let member = format!("{}:", Value::String(name));
            // Before the first one, in whatever object that stands.
            let Some(at) = text.find(&member) else { continue };
            for value in ["null", "\"other\""] {
                let doubled = format!("{}{member}{value},{}", &text[..at], &text[at..]);
                let refusal = gate.run(&doubled).map(|verified| verified.facts);
                let refusal = refusal.map_err(|refusal| (refusal.step().as_str(), refusal.code()));
                assert_eq!(refusal.err(), Some(("format", "duplicate_member")), "{} {place}", case.platform);
            }
        }
    }
}
