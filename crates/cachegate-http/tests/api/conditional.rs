//! Settings and lists are changed as somebody saw them: of two administrators neither undoes the other unawares.

use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, ActionSet, Lane, Role, SecretText};
use http::header;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

fn settings(anonymous: &str) -> Value {
    json!({
        "anonymous": anonymous, "personal": "read-write", "personal_lane": "dev", "open_to": "members",
        "read_only_ci_writes": "refuse",
        "lanes": ["release", "main", "dev", "branch", "pull", "own", "anonymous"],
    })
}

fn tag(answer: &Answer) -> String {
    let tag = answer.headers.get(header::ETAG).unwrap_or_else(|| panic!("no tag in {}", answer.text));
    tag.to_str().expect("text").to_owned()
}

/// Two administrators of one workspace.
struct Two {
    scene: Scene,
    api: Client,
    one: SecretText,
    other: SecretText,
}

impl Two {
    fn new() -> Self {
        let scene = block_on(Scene::new());
        let api = Client::of(&scene);
        let one = scene.administrator.clone();
        let other = block_on(scene.person(Role::Admin, ActionSet::ALL)).1;
        Self { scene, api, one, other }
    }

    fn path(&self, of: &str) -> String {
        format!("/workspaces/{}{of}", self.scene.workspace)
    }

    fn put(&self, who: &SecretText, of: &str, body: &Value, if_match: &str) -> Answer {
        self.api.call("PUT", &self.path(of), Some(who), Some(body), &[("if-match", if_match)])
    }
}

#[test]
fn whoever_changes_what_another_has_changed_meanwhile_is_told_and_changes_nothing() {
    let two = Two::new();
    let seen = tag(&two.api.get(&two.one, &two.path("")));
    assert_eq!(seen, tag(&two.api.get(&two.other, &two.path(""))), "both look at the same state");
    let changed = two.put(&two.one, "/settings", &settings("read-only"), &seen);
    assert_eq!(changed.status, 200, "{}", changed.text);
    let refused = two.put(&two.other, "/settings", &settings("none"), &seen);
    assert_eq!(refused.told(), "412 changed", "{}", refused.text);
    let refused = two.put(&two.other, "/listed", &json!({"listed": []}), &seen);
    assert_eq!(refused.told(), "412 changed", "the list is part of the same state");
    let now = two.api.get(&two.other, &two.path(""));
    assert_eq!(now.body["settings"]["anonymous"], "read-only");
    assert_eq!(tag(&now), tag(&changed), "a change tells the new state's tag");
    assert_ne!(tag(&now), seen);
    assert_eq!(two.put(&two.other, "/settings", &settings("none"), &tag(&now)).status, 200);
}

#[test]
fn an_expected_tag_is_one_of_several_or_any_and_never_a_weak_one() {
    let two = Two::new();
    let seen = tag(&two.api.get(&two.one, &two.path("")));
    let same = settings("none");
    for good in ["*", &seen, &format!("\"x\", {seen}"), &format!("\"x\",{seen} ")] {
        assert_eq!(two.put(&two.one, "/settings", &same, good).status, 200, "{good}");
    }
    for bad in ["", "x", "\"\"", &format!("W/{seen}"), seen.trim_matches('"')] {
        assert_eq!(two.put(&two.one, "/settings", &same, bad).told(), "412 changed", "{bad}");
    }
    let without = two.api.put(&two.one, &two.path("/settings"), &same);
    assert_eq!(without.status, 200, "whoever expects nothing writes over whatever is there");
}

#[test]
fn a_lane_order_that_came_back_is_another_state() {
    let two = Two::new();
    let seen = tag(&two.api.get(&two.one, &two.path("")));
    let mut other = settings("none");
    other["lanes"] = json!(["main", "release", "dev", "branch", "pull", "own", "anonymous"]);
    for settings in [other, settings("none")] {
        assert_eq!(two.api.put(&two.one, &two.path("/settings"), &settings).status, 200);
    }
    assert_eq!(two.put(&two.other, "/settings", &settings("none"), &seen).told(), "412 changed");
}

#[test]
fn whoever_may_not_see_the_settings_sees_no_tag_of_them_and_learns_nothing_by_one() {
    let two = Two::new();
    let seen = tag(&two.api.get(&two.one, &two.path("")));
    let member = block_on(two.scene.person(Role::Member, ActionSet::ALL)).1;
    let reader = block_on(two.scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    for who in [&member, &reader] {
        let looked = two.api.get(who, &two.path(""));
        assert_eq!((looked.status, looked.headers.get(header::ETAG)), (200, None));
        let right = two.put(who, "/settings", &settings("none"), &seen);
        let wrong = two.put(who, "/settings", &settings("none"), "\"x\"");
        assert_eq!((right.told(), wrong.told()), ("403 denied".to_owned(), "403 denied".to_owned()));
    }
}

#[test]
fn of_many_that_saw_the_same_state_one_changes_it() {
    let two = Two::new();
    for round in 0..10 {
        let seen = tag(&two.api.get(&two.one, &two.path("")));
        let answers: Vec<_> = std::thread::scope(|threads| {
            let send = |who: &'static str| {
                let (scene, seen, path) = (&two.scene, &seen, two.path("/listed"));
                let token = if who == "one" { &two.one } else { &two.other };
                let user = block_on(scene.person(Role::Member, ActionSet::ALL)).0;
                let body = json!({"listed": [{"user": user, "actions": ["read"]}]});
                threads.spawn(move || {
                    let api = Client::at(scene, NOW);
                    api.call("PUT", &path, Some(token), Some(&body), &[("if-match", seen)])
                })
            };
            let threads: Vec<_> = ["one", "other"].into_iter().cycle().take(8).map(send).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let changed = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(changed, 1, "round {round}");
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 412)), "round {round}");
    }
}
