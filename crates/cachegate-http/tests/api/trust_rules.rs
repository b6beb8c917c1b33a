//! Trust rules over the API: looked at, linted, tried, saved as somebody saw them, and in force at once.

use cachegate::WorkloadToken;
use cachegate_federation::Mode;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{ActionSet, Role};
use http::header;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::workload::{pushed, trusted};

fn trunk() -> Value {
    json!({
        "name": "trunk", "anchor": "github", "organization": "acme", "workspace": "app",
        "when": [{"fact": "event", "equals": "push"}, {"fact": "trigger.class", "equals": "trusted"}],
        "grant": {"level": "read-write", "lane": "main"},
    })
}

fn tag(answer: &Answer) -> &str {
    answer.headers[header::ETAG].to_str().expect("text")
}

#[test]
fn a_rule_is_linted_tried_saved_and_then_lets_a_job_in() {
    let scene = block_on(Scene::new());
    let job = trusted(&scene, Mode::Exchange, vec![]);
    let exchange = || {
        let token = WorkloadToken::new(job.expose_secret());
        block_on(scene.gate.exchange_workload(&token, NOW.into())).map(|done| done.matched.rule_name)
    };
    exchange().expect_err("nothing is saved yet");
    let (api, admin) = (Client::of(&scene), &scene.administrator);
    let path = format!("/organizations/{}/trust-rules", scene.organization);
    let rules = json!({"rules": [trunk()]});
    assert_eq!(api.post(admin, &format!("{path}/lint"), &rules).body["findings"], json!([]));
    let body = json!({"rules": [trunk()], "token": job.expose_secret()});
    let tried = api.post(admin, &format!("{path}/try"), &body);
    assert_eq!((&tried.body["outcome"], &tried.body["grant"]["rule"]), (&json!("let_in"), &json!("trunk")));
    let facts = tried.body["facts"].as_array().expect("facts");
    assert!(facts.contains(&json!({"fact": "repo.id", "value": "456789"})), "{facts:?}");
    assert!(!tried.text.contains(job.expose_secret()), "it is not sent back");
    let untried = api.post(admin, &format!("{path}/try"), &json!({"token": job.expose_secret()}));
    assert_eq!(untried.body["refusal"]["code"], "no_rule", "by the rules that are saved: none");
    exchange().expect_err("a trial saves nothing");
    let saved = api.put(admin, &path, &rules);
    assert_eq!(saved.told(), "200");
    assert_eq!(saved.body["rules"][0]["workspace"], json!(scene.workspace), "names became ids");
    assert_eq!(saved.body["tenants"][0]["pins"], json!([{"fact": "owner.id", "is": "123456"}]));
    assert_eq!(exchange().expect("let in").as_str(), "trunk");
}

#[test]
fn what_cannot_be_saved_is_told_with_the_rule_and_what_to_write_instead() {
    let scene = block_on(Scene::new());
    pushed(&scene, Mode::Exchange);
    let (api, admin) = (Client::of(&scene), &scene.administrator);
    let path = format!("/organizations/{}/trust-rules", scene.organization);
    assert_eq!(api.get(admin, &path).body["configured"][0]["name"], "main");
    let with = |member: &str, value: Value| {
        let mut rule = trunk();
        rule[member] = value;
        api.put(admin, &path, &json!({"rules": [rule]}))
    };
    for (answer, told) in [
        (with("workspace", json!("nosuch")), "422 rule_not_resolved"),
        (with("anchor", json!("gitlab")), "422 rule_not_a_tenant"),
        (with("pins", json!([{"fact": "owner.id", "is": "1"}])), "422 rule_other_tenant"),
        (with("grant", json!({"level": "read-write"})), "422 rule_lane_missing"),
        (with("name", json!("main")), "422 duplicate_rule"),
        (with("more", json!(1)), "400 bad_body"),
        (with("pins", json!([{"fact": "owner.ids", "is": "1"}])), "400 bad_body"),
    ] {
        assert_eq!(answer.told(), told, "{}", answer.text);
    }
    let foreign = with("pins", json!([{"fact": "owner.id", "is": "1"}]));
    assert_eq!(
        foreign.body["detail"],
        "rule `trunk` pins others than this organization, which is `owner.id` = `123456` at the anchor `github`"
    );
}

#[test]
fn of_two_administrators_neither_overwrites_the_others_rules_unawares() {
    let scene = block_on(Scene::new());
    trusted(&scene, Mode::Exchange, vec![]);
    let (api, one) = (Client::of(&scene), &scene.administrator);
    let other = block_on(scene.person(Role::Admin, ActionSet::ALL)).1;
    let path = format!("/organizations/{}/trust-rules", scene.organization);
    let seen = api.get(one, &path);
    let save = |token, tag: &str, rules: Value| {
        api.call("PUT", &path, Some(token), Some(&json!({"rules": rules})), &[("if-match", tag)])
    };
    let saved = save(&other, tag(&seen), json!([trunk()]));
    assert_eq!(saved.status, 200);
    assert_eq!(save(one, tag(&seen), json!([])).told(), "412 changed");
    assert_eq!(api.get(one, &path).body["rules"][0]["name"], "trunk", "nothing was overwritten");
    assert_eq!(save(one, tag(&saved), json!([])).status, 200);
}
