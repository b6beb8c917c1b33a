//! `federated`: where each fault is told, and until when a right lasts.

#![expect(clippy::indexing_slicing, reason = "tests")]

mod common;

use cachegate_testkit::TestIssuer;
use common::{code, is_an_answer, send};
use serde_json::{Value, json};

const NOW: u32 = 1_700_000_000;
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const ORGANIZATION: &str = "01890a5d-ac96-774b-bcce-b302099a8002";
const WORKSPACE: &str = "01890a5d-ac96-774b-bcce-b302099a8001";

fn claims() -> Value {
    json!({
        "sub": "repo:lumen-labs/beacon:ref:refs/heads/main", "aud": "https://cache.example", "jti": "a",
        "iat": NOW, "exp": NOW + 300, "repository": "lumen-labs/beacon", "repository_id": "456789",
        "repository_owner": "lumen-labs", "repository_owner_id": "123456", "event_name": "push",
        "ref": "refs/heads/main", "ref_type": "branch", "head_ref": "", "base_ref": "", "run_id": "1",
        "actor_id": "9",
    })
}

fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

fn rule(lane: &str) -> Value {
    json!({
        "name": "trunk", "anchor": "github", "organization": ORGANIZATION, "workspace": WORKSPACE,
        "pins": [{ "fact": "repo.id", "is": "456789" }, { "fact": "owner.id", "is": "123456" }],
        "when": [{ "fact": "event", "equals": "push" }],
        "grant": { "level": "read-write", "lane": lane, "ttl": 600 },
    })
}

/// A request for what the rule gives to a token with these claims.
fn request(claims: &Value) -> Value {
    let issuer = TestIssuer::new(ISSUER);
    json!({
        "op": "federated", "token": issuer.sign(claims), "jwks": issuer.key_set(), "rules": [rule("main")],
        "anchor": {
            "id": "github", "platform": "github-actions", "issuer": ISSUER,
            "audiences": ["https://cache.example"],
        },
        "now": NOW + 100,
    })
}

fn ask(request: &Value) -> Value {
    let answer = send(request.to_string().as_bytes()).remove(0);
    is_an_answer(&answer);
    answer
}

#[test]
fn each_fault_is_told_at_its_step_with_the_steps_before_it() {
    let good = request(&claims());
    assert_eq!(code(&ask(&good)), "ok");
    let token = good["token"].as_str().expect("a token");
    let (unsigned, _) = token.rsplit_once('.').expect("three parts");
    let foreign = request(&with(claims(), "iss", "https://evil.example"));
    for (step, expected, passed, request) in [
        ("format", "malformed", 0, with(good.clone(), "token", "a.b")),
        ("size", "too_large", 0, with(good.clone(), "token", "a".repeat(20_000))),
        ("header", "unsupported_algorithm", 2, with(good.clone(), "token", "eyJhbGciOiJub25lIn0.e30.AA")),
        ("anchor", "unknown_issuer", 3, foreign),
        ("key", "unknown_key", 4, with(good.clone(), "jwks", json!({ "keys": [] }))),
        (
            "signature",
            "bad_signature",
            5,
            with(good.clone(), "token", format!("{unsigned}.{}", "A".repeat(86))),
        ),
        ("audience", "audience_mismatch", 8, request(&with(claims(), "aud", "https://other.example"))),
        ("time", "expired", 9, with(good.clone(), "now", NOW + 330)),
        ("pins", "claim_ill_typed", 10, request(&with(claims(), "repository_id", ()))),
        ("pins", "no_rule", 10, request(&with(claims(), "repository_id", "1"))),
        ("conditions", "condition_failed", 11, request(&with(claims(), "event_name", "issues"))),
        (
            "grant",
            "lane_not_allowed",
            12,
            with(
                request(&with(claims(), "event_name", "issues")),
                "rules",
                json!([with(rule("main"), "when", json!([]))]),
            ),
        ),
    ] {
        let answer = ask(&request);
        assert_eq!((answer["step"].as_str(), code(&answer)), (Some(step), expected), "{answer}");
        let steps = answer["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), passed + 1, "{answer}");
        assert_eq!(steps[passed], json!({ "step": step, "ok": false }));
        assert!(steps.iter().take(passed).all(|step| step["ok"] == true && step["step"] != "replay"));
        assert!(answer["expected"].is_string() && answer["hint"].is_string(), "{answer}");
    }
}

#[test]
fn a_session_ends_by_the_rule_and_a_token_that_is_presented_by_both() {
    let exchange = request(&claims());
    assert_eq!(ask(&exchange)["expires_at"], NOW + 100 + 600);
    let mut direct = exchange;
    direct["anchor"]["mode"] = json!("direct");
    assert_eq!(ask(&direct)["expires_at"], NOW + 300, "the token ends first");
    direct["rules"][0]["grant"]["ttl"] = json!(120);
    assert_eq!(ask(&direct)["expires_at"], NOW + 120, "the rule ends first");
}

#[test]
fn what_cannot_stand_is_refused_before_the_token_is_looked_at() {
    let good = with(request(&claims()), "token", "no token at all");
    for (expected, changed) in [
        (
            "unsupported_platform",
            with(good.clone(), "anchor", with(good["anchor"].clone(), "platform", "jenkins")),
        ),
        (
            "default_audience",
            with(good.clone(), "anchor", with(good["anchor"].clone(), "audiences", json!([ISSUER]))),
        ),
        ("key_set_without_keys", with(good.clone(), "jwks", json!({ "keys": 1 }))),
        ("unknown_anchor", with(good.clone(), "rules", json!([with(rule("main"), "anchor", "gitlab")]))),
        ("duplicate_rule", with(good.clone(), "rules", json!([rule("main"), rule("main")]))),
        ("bad_request", with(good.clone(), "rules", json!({ "rule": [] }))),
        ("bad_request", with(good.clone(), "within", json!({ "workspace": WORKSPACE }))),
        ("bad_request", with(good.clone(), "now", ())),
    ] {
        let answer = ask(&changed);
        assert_eq!((code(&answer), &answer["step"]), (expected, &Value::Null), "{answer}");
    }
    let pinless = ask(&with(good.clone(), "rules", json!([with(rule("main"), "pins", json!([]))])));
    assert_eq!(code(&pinless), "rule_pin_missing", "{pinless}");
    let without = good.as_object().expect("an object").iter().filter(|(name, _)| *name != "rules");
    let nothing_to_choose =
        with(Value::Object(without.map(|(n, v)| (n.clone(), v.clone())).collect()), "rule", "trunk");
    assert_eq!(code(&ask(&nothing_to_choose)), "bad_request");
}

#[test]
fn an_unknown_member_is_refused_at_every_depth_of_anchor_and_rules() {
    let good = request(&claims());
    let mut refused = 0;
    for member in ["anchor", "rules"] {
        let text = good[member].to_string();
        for (at, _) in text.match_indices('{') {
            let wider = format!("{}\"unknown\":1,{}", &text[..=at], &text[at + 1..]);
            let request = with(good.clone(), member, serde_json::from_str::<Value>(&wider).expect("JSON"));
            assert_eq!(code(&ask(&request)), "bad_request", "{request}");
            refused += 1;
        }
    }
    // The anchor, the rule, its two pins, its condition and its grant.
    assert_eq!(refused, 6);
}

#[test]
fn a_rule_is_named_and_a_place_is_chosen() {
    let by_name =
        with(request(&claims()), "rules", json!({ "selection": "by_name", "rules": [rule("main")] }));
    assert_eq!(code(&ask(&by_name)), "rule_not_named");
    assert_eq!(code(&ask(&with(by_name, "rule", "trunk"))), "ok");
    let elsewhere = with(request(&claims()), "within", json!({ "organization": WORKSPACE }));
    assert_eq!(code(&ask(&elsewhere)), "no_rule");
}
