//! What the API lets whom do.

use std::cmp::Reverse;

use cachegate::{Authority, DeviceAccess, PersonalForm};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, ActionSet, Lane, Role, SecretText};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

fn scene() -> Scene {
    block_on(Scene::new())
}

fn id(answer: &Answer, pointer: &str) -> String {
    let text = answer.body.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {}", answer.text)).to_owned()
}

/// The token that an answer gave.
fn token(answer: &Answer) -> SecretText {
    assert_eq!(answer.told(), "201", "{}", answer.text);
    SecretText::new(id(answer, "/token"))
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.told(), "200", "{}", answer.text);
    let items = answer.body["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["id"].as_str().or(item["user"].as_str()).expect("an id").to_owned())
        .collect()
}

fn person(scene: &Scene, role: Role, actions: ActionSet) -> (String, SecretText) {
    let (user, token) = block_on(scene.person(role, actions));
    (user.to_string(), token)
}

fn member(scene: &Scene) -> SecretText {
    person(scene, Role::Member, ActionSet::ALL).1
}

const NOWHERE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn whoever_presents_a_token_is_told_who_they_are() {
    let scene = scene();
    let api = Client::of(&scene);
    let told = api.get(&scene.administrator, "/whoami").body;
    assert_eq!(told["principal"], json!({"kind": "user", "id": scene.owner}));
    assert_eq!(told["organizations"][0]["role"], "owner");
    let ci = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let told = api.get(&ci, "/whoami").body;
    assert_eq!(told["principal"], json!({"kind": "ci", "id": scene.workspace}));
    assert_eq!((&told["person"], &told["organizations"]), (&Value::Null, &json!([])));
    let device = block_on(scene.device(DeviceAccess::Normal)).token;
    assert_eq!(api.get(&device, "/whoami").body["organizations"][0]["name"], "acme");
}

#[test]
fn each_kind_of_token_is_made_shown_once_inspected_listed_and_revoked() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let ci = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-write", "description": "<b>CI</b>"});
    let personal = json!({"kind": "personal", "actions": ["read"], "form": "jwt", "expires_in": 60});
    let access = json!({"type": "resolve-only", "workspace": scene.workspace, "requirement": "1.*"});
    let device = json!({"kind": "device", "organization": scene.organization, "access": access});
    let mut access = access;
    access["closure"] = json!("read");
    let closure = json!({"kind": "device", "organization": scene.organization, "access": access});
    let normal = json!({"kind": "device", "organization": scene.organization, "access": {"type": "normal"}});
    for body in [&ci, &personal, &device, &closure, &normal] {
        let made = api.post(admin, "/tokens", body);
        assert_eq!(made.body["record"]["closure"], body["access"]["closure"], "{body}");
        let (secret, path) = (token(&made), format!("/tokens/{}", id(&made, "/record/id")));
        assert_eq!(api.get(&secret, "/whoami").status, 200, "{body}");
        let seen = api.get(admin, &path);
        assert_eq!(seen.body, made.body["record"], "{body}");
        let organization = format!("/tokens?organization={}", scene.organization);
        let own = if body["kind"] == "personal" { "/tokens" } else { &organization };
        let listed = api.get(admin, own);
        assert!(ids(&listed).contains(&id(&made, "/record/id")), "{body}");
        assert_eq!(api.post(admin, &format!("{path}/revoke"), &json!({"reason": "leaked"})).told(), "204");
        assert_eq!(api.get(&secret, "/whoami").told(), "401 revoked");
        // It stays listed, with the reason, and leaves the list of the living.
        let seen = api.get(admin, &path).body;
        assert_eq!((&seen["state"], &seen["revoked"]["reason"]), (&json!("revoked"), &json!("leaked")));
        assert!(ids(&api.get(admin, own)).contains(&id(&made, "/record/id")));
        let mark = if own.contains('?') { '&' } else { '?' };
        assert!(!ids(&api.get(admin, &format!("{own}{mark}state=live"))).contains(&id(&made, "/record/id")));
        for answer in [&seen.to_string(), &listed.text] {
            assert!(!answer.contains(secret.expose_secret()), "shown twice: {answer}");
        }
    }
    assert_eq!(api.get(admin, "/tokens?kind=device").body["items"], json!([]));
}

#[test]
fn a_list_is_given_in_pages_of_at_most_a_hundred() {
    let scene = scene();
    let api = Client::of(&scene);
    for _ in 0..105 {
        block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    }
    let all = format!("/tokens?workspace={}", scene.workspace);
    let first = api.get(&scene.administrator, &all);
    let next = id(&first, "/next");
    let second = api.get(&scene.administrator, &format!("{all}&cursor={next}"));
    assert_eq!((ids(&first).len(), ids(&second).len(), &second.body["next"]), (100, 5, &Value::Null));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&scene.administrator, &format!("{all}&limit=7{cursor}"));
        seen.extend(ids(&page));
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [ids(&first), ids(&second)].concat());
    for limit in ["0", "101", "-1", "x", ""] {
        assert_eq!(api.get(&scene.administrator, &format!("{all}&limit={limit}")).told(), "400 bad_query");
    }
}

#[test]
fn a_rotated_token_lives_on_for_its_overlap() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let first = block_on(scene.ci(AccessLevel::ReadOnly, Lane::main()));
    let path = format!("/tokens/{}/rotate", first.record.id);
    let rotated = api.post(admin, &path, &json!({"overlap": 60}));
    let successor = token(&rotated);
    for secret in [&first.token, &successor] {
        assert_eq!(api.get(secret, "/whoami").status, 200);
    }
    let late = Client::at(&scene, NOW + 60);
    assert_eq!(late.get(&first.token, "/whoami").told(), "401 superseded");
    assert_eq!(late.get(&successor, "/whoami").status, 200);
    let seen = late.get(admin, &format!("/tokens/{}", first.record.id)).body;
    assert_eq!((&seen["state"], &seen["successor"]), (&json!("superseded"), &rotated.body["record"]["id"]));
    assert_eq!(api.post(admin, &path, &json!({"overlap": 60})).told(), "409 changed");
    assert_eq!(api.post(admin, &path, &json!({"overlap": 2_592_001})).told(), "400 bad_body");
    // The whole line, those to come included.
    let line = format!("/tokens/{}/revoke", first.record.id);
    assert_eq!(api.post(admin, &line, &json!({"line": true})).told(), "204");
    assert_eq!(api.get(&successor, "/whoami").told(), "401 revoked");
}

#[test]
fn an_administrator_ends_all_tokens_of_a_place_at_once() {
    let scene = scene();
    let api = Client::of(&scene);
    let ci = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let path = format!("/workspaces/{}/revoke-tokens", scene.workspace);
    assert_eq!(api.post(&member(&scene), &path, &json!({})).told(), "403 denied");
    assert_eq!(api.post(&scene.administrator, &path, &json!({"reason": "leak"})).told(), "204");
    assert_eq!(api.get(&ci, "/whoami").told(), "401 revoked");
    let listed = api.get(&scene.administrator, &format!("/tokens?workspace={}", scene.workspace)).body;
    assert_eq!(listed["items"][0]["revoked"]["reason"], "leak", "a mass revocation tells its reason");
    let device = block_on(scene.device(DeviceAccess::Normal)).token;
    let path = format!("/organizations/{}/revoke-tokens", scene.organization);
    assert_eq!(api.post(&scene.administrator, &path, &json!({})).told(), "204");
    assert_eq!(api.get(&device, "/whoami").told(), "401 revoked");
}

#[test]
fn a_creation_with_a_key_is_done_once_and_shows_the_token_once() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let body = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only"});
    let send = |body: &Value, key: &str| {
        api.call("POST", "/tokens", Some(admin), Some(body), &[("idempotency-key", key)])
    };
    let first = send(&body, "k1");
    let secret = token(&first);
    let again = send(&body, "k1");
    assert_eq!((again.status, &again.body["record"]), (200, &first.body["record"]));
    assert!(again.body.get("token").is_none() && !again.text.contains(secret.expose_secret()));
    let other = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-write"});
    assert_eq!(send(&other, "k1").told(), "422 idempotency_key_reused");
    assert_ne!(send(&body, "k2").body["record"]["id"], first.body["record"]["id"]);
    // Another person's key of the same name is another key.
    let (_, colleague) = person(&scene, Role::Admin, ActionSet::ALL);
    let theirs = api.call("POST", "/tokens", Some(&colleague), Some(&body), &[("idempotency-key", "k1")]);
    assert_eq!(theirs.status, 201);
    // A rotation too.
    let path = format!("/tokens/{}/rotate", id(&first, "/record/id"));
    let rotate = || {
        let body = json!({"overlap": 9});
        api.call("POST", &path, Some(admin), Some(&body), &[("idempotency-key", "k3")])
    };
    let (made, known) = (rotate(), rotate());
    assert_eq!((made.status, known.status), (201, 200));
    assert_eq!(made.body["record"]["id"], known.body["record"]["id"]);
    let keys = "x".repeat(129);
    for bad in ["", " ", "a b", &keys] {
        assert_eq!(send(&body, bad).told(), "400 bad_idempotency_key", "{bad:?}");
    }
}

#[test]
fn every_other_creation_with_a_key_is_done_once() {
    let scene = scene();
    let api = Client::of(&scene);
    let organization = scene.organization;
    let scope = json!({"type": "workspace", "workspace": scene.workspace});
    let window = json!({"type": "window", "workspace": scene.workspace, "from": 1, "to": 2});
    for (path, list, body) in [
        (format!("/organizations/{organization}/workspaces"), None, json!({"name": "web"})),
        (format!("/organizations/{organization}/groups"), None, json!({"name": "core", "members": []})),
        ("/locks".to_owned(), Some("/locks"), json!({"scope": scope, "actions": ["write"], "for": 60})),
        ("/distrust".to_owned(), Some("/distrust"), json!({"scope": window, "reason": "<i>"})),
    ] {
        let send = || {
            let key = [("idempotency-key", path.as_str())];
            api.call("POST", &path, Some(&scene.administrator), Some(&body), &key)
        };
        let (made, known) = (send(), send());
        assert_eq!((made.status, known.status), (201, 200), "{}", known.text);
        assert_eq!(made.body, known.body, "{path}");
        let listed = ids(&api.get(&scene.administrator, list.unwrap_or(&path)));
        assert_eq!(listed.iter().filter(|found| **found == id(&made, "/id")).count(), 1, "{path}");
    }
}

#[test]
fn a_person_sees_their_organizations_and_the_workspaces_that_they_may_use() {
    let scene = scene();
    let api = Client::of(&scene);
    let (other, hidden) = block_on(scene.elsewhere("other"));
    let (_, ada) = person(&scene, Role::Member, ActionSet::ALL);
    let organization = format!("/organizations/{}", scene.organization);
    assert_eq!(ids(&api.get(&ada, "/organizations")), [scene.organization.to_string()]);
    assert_eq!(api.get(&ada, &organization).body["role"], "member");
    assert_eq!(ids(&api.get(&ada, &format!("{organization}/workspaces"))), [scene.workspace.to_string()]);
    let seen = api.get(&ada, &format!("/workspaces/{}", scene.workspace)).body;
    assert_eq!(
        (&seen["name"], seen.get("settings")),
        (&json!("app"), None),
        "settings are its administrators'"
    );
    assert!(
        api.get(&scene.administrator, &format!("/workspaces/{}", scene.workspace))
            .body
            .get("settings")
            .is_some()
    );
    // A private one lists people.
    block_on(scene.settings(|settings| settings.open_to = cachegate_policy::OpenTo::Listed));
    assert_eq!(ids(&api.get(&ada, &format!("{organization}/workspaces"))), Vec::<String>::new());
    assert_eq!(ids(&api.get(&ada, &format!("/organizations/{other}/workspaces"))), Vec::<String>::new());
    for path in [
        format!("/workspaces/{}", scene.workspace),
        format!("/workspaces/{hidden}"),
        format!("/organizations/{other}"),
        format!("/workspaces/{NOWHERE}"),
        format!("/organizations/{NOWHERE}"),
        "/workspaces/not-an-id".to_owned(),
    ] {
        assert_eq!(api.get(&ada, &path).told(), "404 not_found", "{path}");
    }
}

#[test]
fn settings_and_lists_decide_from_the_next_request_on() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let path = format!("/workspaces/{}", scene.workspace);
    let (user, ada) = person(&scene, Role::Member, ActionSet::ALL);
    let mut settings = api.get(admin, &path).body["settings"].clone();
    settings["open_to"] = json!("listed");
    settings["anonymous"] = json!("read-only");
    let put = api.put(admin, &format!("{path}/settings"), &settings);
    assert_eq!(put.body["settings"], settings);
    assert_eq!(block_on(scene.ask(None, Action::Read, "k")).code(), "allowed");
    assert_eq!(block_on(scene.code(&ada, Action::Write)), "action_not_granted");
    let listed = json!({"listed": [{"user": user, "actions": ["resolve", "read", "write"]}]});
    assert_eq!(api.put(admin, &format!("{path}/listed"), &listed).body["listed"], listed["listed"]);
    assert_eq!(block_on(scene.code(&ada, Action::Write)), "allowed");
    // A settings document is whole.
    settings.as_object_mut().expect("settings").remove("anonymous");
    assert_eq!(api.put(admin, &format!("{path}/settings"), &settings).told(), "400 bad_body");
    let both = json!({"listed": [{"user": user, "group": user, "actions": []}]});
    assert_eq!(api.put(admin, &format!("{path}/listed"), &both).told(), "400 bad_body");
}

#[test]
fn an_organization_cuts_the_lives_of_tokens_that_are_made_from_then_on() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let path = format!("/organizations/{}/longest-lives", scene.organization);
    let make = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only", "expires_in": 7200});
    let life = || {
        let record = api.post(admin, "/tokens", &make).body["record"].clone();
        record["expires_at"].as_i64().expect("an end") - record["issued_at"].as_i64().expect("a beginning")
    };
    assert_eq!(api.get(admin, &path).body, json!({"ci": null, "personal": null}));
    assert_eq!(life(), 7200);
    let hour = json!({"ci": 3600, "personal": null});
    assert_eq!(api.put(admin, &path, &hour).body, hour);
    assert_eq!(api.get(admin, &path).body, hour);
    assert_eq!(life(), 3600);
    for bad in [
        json!([null, null]),
        json!({"ci": 3600}),
        json!({"ci": 0, "personal": null}),
        json!({"ci": -1, "personal": null}),
    ] {
        assert_eq!(api.put(admin, &path, &bad).told(), "400 bad_body", "{bad}");
    }
    assert_eq!(api.put(&member(&scene), &path, &hour).told(), "404 not_found");
    assert_eq!(api.get(admin, &path).body, hour);
}

#[test]
fn members_and_groups_are_their_administrators_to_manage() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let place = format!("/organizations/{}", scene.organization);
    let (user, ada) = person(&scene, Role::Member, ActionSet::ALL);
    let members = format!("{place}/members");
    let path = format!("{members}/{user}");
    let mut both = [scene.owner.to_string(), user.clone()];
    both.sort();
    assert_eq!(ids(&api.get(admin, &members)), both);
    assert_eq!(api.put(admin, &path, &json!({"role": "admin"})).told(), "204");
    assert_eq!(api.get(&ada, &path).body["role"], "admin");
    let owner = format!("{members}/{}", scene.owner);
    assert_eq!(
        api.put(&ada, &owner, &json!({"role": "member"})).told(),
        "403 denied",
        "an owner's to decide"
    );
    assert_eq!(api.delete(&ada, &owner).told(), "403 denied");
    assert_eq!(
        api.put(admin, &format!("{members}/{NOWHERE}"), &json!({"role": "admin"})).told(),
        "404 not_found"
    );
    // Groups give what workspaces list them with.
    let made = api.post(admin, &format!("{place}/groups"), &json!({"name": "core", "members": [user]}));
    let group = id(&made, "/id");
    assert_eq!(api.get(admin, &path).body["groups"], json!([group]));
    assert_eq!(ids(&api.get(admin, &format!("{place}/groups"))), std::slice::from_ref(&group));
    let taken = api.post(admin, &format!("{place}/groups"), &json!({"name": "core", "members": []}));
    assert_eq!(taken.told(), "409 exists");
    let renamed = json!({"name": "kernel", "members": []});
    assert_eq!(api.put(admin, &format!("{place}/groups/{group}"), &renamed).told(), "204");
    assert_eq!(api.get(admin, &path).body["groups"], json!([]));
    assert_eq!(api.delete(admin, &format!("{place}/groups/{group}")).told(), "204");
    assert_eq!(api.delete(admin, &format!("{place}/groups/{group}")).told(), "404 not_found");
    // Leaving ends it at once.
    let preview = api.get(admin, &format!("{path}/departure"));
    assert_eq!(preview.told(), "200");
    assert_eq!(preview.body["role"], "admin");
    assert_eq!(preview.body["dying"].as_array().map(Vec::len), Some(1), "what the person signs in with");
    assert_eq!(preview.body["staying"], json!([]));
    assert!(preview.body["dying"][0].get("description").is_none(), "what a person calls it is theirs");
    let left = api.delete(admin, &path);
    assert_eq!(
        (left.told(), &left.body),
        ("200".to_owned(), &preview.body),
        "before and after tell the same"
    );
    assert_eq!(api.get(admin, &format!("{path}/departure")).told(), "404 not_found");
    assert_eq!(api.get(admin, &path).told(), "404 not_found");
    assert_eq!(api.get(&ada, &place).told(), "404 not_found");
    assert_eq!(ids(&api.get(&ada, "/organizations")), Vec::<String>::new());
}

#[test]
fn nobody_gives_or_ends_more_than_they_hold() {
    let scene = scene();
    let api = Client::of(&scene);
    let place = format!("/organizations/{}", scene.organization);
    let workspace = format!("/workspaces/{}", scene.workspace);
    let looks = ActionSet::of(&[Action::Administer, Action::Resolve, Action::Read]);
    let (user, clerk) = person(&scene, Role::Admin, looks);
    let (friend, _) = person(&scene, Role::Member, ActionSet::ALL);
    let mut open = api.get(&scene.administrator, &workspace).body["settings"].clone();
    open["anonymous"] = json!("read-write");
    let lines = json!({"listed": [{"user": user, "actions": ["write"]}]});
    let publish = json!({"listed": [{"user": user, "actions": ["publish"]}]});
    for (method, path, body) in [
        (
            "POST",
            "/tokens".to_owned(),
            json!({"kind": "ci", "workspace": scene.workspace, "level": "read-write"}),
        ),
        ("POST", "/tokens".to_owned(), json!({"kind": "personal", "actions": ["write"]})),
        ("PUT", format!("{workspace}/settings"), open),
        ("PUT", format!("{workspace}/listed"), lines),
        ("PUT", format!("{workspace}/listed"), publish.clone()),
        ("POST", format!("{place}/workspaces"), json!({"name": "web"})),
        ("POST", format!("{place}/groups"), json!({"name": "core", "members": [user]})),
        ("PUT", format!("{place}/members/{friend}"), json!({"role": "admin"})),
    ] {
        let answer = api.call(method, &path, Some(&clerk), Some(&body), &[]);
        assert_eq!(answer.told(), "403 more_than_held", "{method} {path} {body}");
    }
    // What they hold they give.
    let read = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only"});
    assert_eq!(api.post(&clerk, "/tokens", &read).status, 201);
    let lines = json!({"listed": [{"user": friend, "actions": ["read"]}]});
    assert_eq!(api.put(&clerk, &format!("{workspace}/listed"), &lines).status, 200);
    // `publish` is in no role: an administrator gives it by name.
    assert_eq!(api.put(&scene.administrator, &format!("{workspace}/listed"), &publish).status, 200);
    // A weak token of a person ends none of the person's strong ones, and itself.
    let reader = block_on(scene.personal(scene.owner, ActionSet::of(&[Action::Read]), PersonalForm::Opaque));
    let strong = block_on(scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque));
    let end = |token| api.post(&reader.token, &format!("/tokens/{token}/revoke"), &json!({})).told();
    assert_eq!(end(strong.record.id), "403 more_than_held");
    assert_eq!(end(reader.record.id), "204");
}

#[test]
fn locks_and_distrust_are_made_seen_and_lifted_by_the_places_administrators() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let ci = block_on(scene.ci(AccessLevel::ReadWrite, Lane::main()));
    let scope = json!({"type": "workspace", "workspace": scene.workspace});
    let lock = json!({"scope": scope, "actions": ["write"], "for": 60, "reason": "freeze"});
    let made = api.post(admin, "/locks", &lock);
    assert_eq!(block_on(scene.code(&ci.token, Action::Write)), "locked");
    let mark = json!({"scope": {"type": "token", "token": ci.record.id}});
    let marked = api.post(admin, "/distrust", &mark);
    let ada = member(&scene);
    for (list, body, made) in [("/locks", &lock, &made), ("/distrust", &mark, &marked)] {
        let path = format!("{list}/{}", id(made, "/id"));
        assert_eq!(ids(&api.get(admin, list)), [id(made, "/id")]);
        assert_eq!(ids(&api.get(&ada, list)), Vec::<String>::new());
        assert!(matches!(api.post(&ada, list, body).status, 403 | 404));
        assert_eq!(api.delete(&ada, &path).told(), "404 not_found");
        assert_eq!(api.delete(admin, &path).told(), "204");
        assert_eq!(api.delete(admin, &path).told(), "404 not_found");
    }
    assert_eq!(block_on(scene.code(&ci.token, Action::Write)), "allowed");
    let empty = json!({"scope": scope, "actions": []});
    assert_eq!(api.post(admin, "/locks", &empty).told(), "400 bad_body");
    // What is the operator's cannot even be said here.
    let everything = json!({"scope": {"type": "everything"}, "actions": ["write"]});
    assert_eq!(api.post(admin, "/locks", &everything).told(), "400 bad_body");
}

#[test]
fn a_token_is_explained_without_its_secret() {
    let scene = scene();
    let api = Client::of(&scene);
    let ci = block_on(scene.ci(AccessLevel::ReadWrite, "pull/17".parse().expect("a lane")));
    let path = format!("/tokens/{}/rights", ci.record.id);
    let told = api.get(&scene.administrator, &path).body;
    assert_eq!(told["actions"], json!(["resolve", "read", "write"]));
    assert_eq!(
        (&told["reads"], &told["writes"]),
        (&json!(["pull/17", "release", "main"]), &json!("pull/17"))
    );
    assert_eq!(told["grants"][0]["source"], json!({"type": "token", "id": ci.record.id}));
    // What is said is what is decided.
    for action in Action::ALL {
        let said = told["actions"].as_array().expect("actions").contains(&json!(action.as_str()));
        assert_eq!(block_on(scene.code(&ci.token, action)) == "allowed", said, "{action}");
    }
    let scope = json!({"type": "workspace", "workspace": scene.workspace});
    let lock = api.post(&scene.administrator, "/locks", &json!({"scope": scope, "actions": ["write"]}));
    assert_eq!(api.get(&scene.administrator, &path).body["locks"], json!([id(&lock, "/id")]));
    // A personal token belongs to no place: name one. Of one that holds nothing, nothing is told.
    let (_, ada) = person(&scene, Role::Member, ActionSet::ALL);
    let own = id(&api.get(&ada, "/whoami"), "/token");
    assert_eq!(api.get(&ada, &format!("/tokens/{own}/rights")).told(), "404 not_found");
    let here = api.get(&ada, &format!("/tokens/{own}/rights?workspace={}", scene.workspace)).body;
    assert_eq!(here["writes"], "dev");
    let (_, hidden) = block_on(scene.elsewhere("other"));
    let there = |place: &str| {
        let mut told = api.get(&ada, &format!("/tokens/{own}/rights?workspace={place}")).body;
        told["place"] = Value::Null;
        told
    };
    assert_eq!(there(&hidden.to_string()), there(NOWHERE));
    // An ended token may do nothing.
    block_on(scene.revoke(ci.record.id));
    let told = api.get(&scene.administrator, &path).body;
    assert_eq!((&told["state"], &told["actions"]), (&json!("revoked"), &json!([])));
    assert_eq!(api.get(&ada, &path).told(), "404 not_found");
}

#[test]
fn an_administrator_learns_who_may_write_a_workspace() {
    let scene = scene();
    let api = Client::of(&scene);
    let path = format!("/workspaces/{}/access", scene.workspace);
    let (user, ada) = person(&scene, Role::Member, ActionSet::ALL);
    let writer = block_on(scene.ci(AccessLevel::ReadWrite, Lane::main())).record.id;
    let reader = block_on(scene.ci(AccessLevel::ReadOnly, Lane::main())).record.id;
    block_on(scene.device(DeviceAccess::Normal));
    let list = |query: &str| {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&scene.administrator, &format!("{path}?limit=2{query}{cursor}"));
            assert_eq!(page.status, 200, "{}", page.text);
            all.extend(page.body["items"].as_array().expect("items").iter().cloned());
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    };
    let who = |lines: &[Value]| lines.iter().map(|line| line["who"]["id"].clone()).collect::<Vec<_>>();
    let lines = list("");
    // People by their ids, then the tokens.
    let mut people = [scene.owner.to_string(), user.clone()];
    people.sort();
    assert_eq!(who(&lines), [json!(people[0]), json!(people[1]), json!(writer)]);
    let theirs = lines.iter().find(|line| line["who"]["id"] == json!(user)).expect("a member");
    assert_eq!((&theirs["sources"], &theirs["writes"]), (&json!([{"type": "membership"}]), &json!("dev")));
    assert_eq!(lines[2]["writes"], "main");
    assert_eq!(list("&action=read").len(), 5);
    assert!(who(&list("&action=read")).contains(&json!(reader)));
    // Anonymous comes first, where it may.
    block_on(scene.settings(|settings| settings.anonymous = AccessLevel::ReadWrite));
    assert_eq!(list("")[0]["who"], json!({"type": "anonymous"}));
    // Whoever may no longer write is not in it.
    block_on(scene.revoke(writer));
    block_on(scene.settings(|settings| settings.personal = AccessLevel::ReadOnly));
    assert_eq!(list(""), [list("")[0].clone()]);
    assert_eq!(api.get(&ada, &path).told(), "403 denied");
    assert_eq!(api.get(&scene.administrator, &format!("{path}?action=fly")).told(), "400 bad_query");
    assert_eq!(api.get(&scene.administrator, &format!("{path}?cursor=fly")).told(), "400 bad_query");
}

#[test]
fn a_refusal_is_explained_later_by_its_id_to_whoever_may_know() {
    let scene = scene();
    let api = Client::of(&scene);
    let ci = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let ask = json!({"action": "write", "workspace": scene.workspace, "key": "k"});
    let asked = api.post(&ci, "/explain", &ask);
    assert_eq!(asked.body["decision"], "deny");
    let path = format!("/decisions/{}", id(&asked, "/id"));
    // Whoever was refused is told what they were told then.
    let told = api.get(&ci, &path).body;
    assert_eq!((&told["explanation"], &told["reason"]), (&asked.body["explanation"], &Value::Null));
    // An administrator is told all.
    let told = api.get(&scene.administrator, &path).body;
    assert_eq!(told["reason"], "action_not_granted");
    assert!(told["explanation"].as_str().expect("text").contains("because"), "{told}");
    // Nobody else learns that it was.
    let sibling = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    for other in [&sibling, &member(&scene)] {
        assert_eq!(api.get(other, &path).told(), "404 not_found");
    }
    assert_eq!(api.get(&scene.administrator, &format!("/decisions/{NOWHERE}")).told(), "404 not_found");
    // A build's own refusal too, and one of the API.
    let cachegate::Verdict::Denied(denied) = block_on(scene.ask(Some(&ci), Action::Write, "k")) else {
        panic!("allowed");
    };
    let path = format!("/decisions/{}", denied.id().expect("an id"));
    assert_eq!(api.get(&scene.administrator, &path).body["resource"]["key"], "k");
    let refused = api.post(&ci, &format!("/workspaces/{}/revoke-tokens", scene.workspace), &json!({}));
    assert_eq!(refused.told(), "403 denied");
    assert_eq!(api.get(&ci, &format!("/decisions/{}", id(&refused, "/decision"))).status, 200);
    let allowed = json!({"action": "read", "workspace": scene.workspace, "key": "k"});
    assert_eq!(api.post(&ci, "/explain", &allowed).body["reads"], json!(["main", "release"]));
}

#[test]
fn the_newest_refusals_push_out_the_oldest() {
    let scene = scene();
    let api = Client::of(&scene);
    let ci = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let refused = || match block_on(scene.ask(Some(&ci), Action::Write, "k")) {
        cachegate::Verdict::Denied(denied) => denied.id().expect("an id"),
        other => panic!("{}", other.code()),
    };
    let seen = |id| api.get(&ci, &format!("/decisions/{id}")).status;
    let first = refused();
    let rest: Vec<_> = (1..1024).map(|_| refused()).collect();
    assert_eq!(seen(first), 200);
    let last = refused();
    assert_eq!((seen(first), seen(rest[0]), seen(last)), (404, 200, 200));
}

#[test]
fn the_audit_of_an_organization_is_its_administrators_and_tells_of_it_alone() {
    let scene = scene();
    let api = Client::of(&scene);
    let admin = &scene.administrator;
    let (other, hidden) = block_on(scene.elsewhere("other"));
    let path = format!("/organizations/{}/audit", scene.organization);
    let made = api.post(
        admin,
        "/tokens",
        &json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only"}),
    );
    let secret = token(&made);
    let read = |query: &str| {
        let answer = api.get(admin, &format!("{path}?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        (answer.body["items"].as_array().expect("items").clone(), answer.text)
    };
    let (all, text) = read("");
    assert!(!text.contains(secret.expose_secret()));
    let id = made.body["record"]["id"].as_str().expect("an id");
    let target = format!("{}/{id}", scene.organization);
    assert!(all.iter().any(|record| record["target"] == target));
    assert_eq!(read(&format!("target={id}")).0.len(), 1, "asked for by its id alone");
    let strangers = [other.to_string(), hidden.to_string()];
    assert!(!strangers.iter().any(|id| text.contains(id)), "another organization's: {text}");
    let (some, _) = read(&format!("code=token_issued&user={}&since={NOW}&until={NOW}", scene.owner));
    assert_eq!(some.len(), 1);
    assert_eq!(read(&format!("since={}", NOW + 1)).0.len(), 0);
    assert_eq!(read("target=nothing").0.len(), 0);
    // In pages, in order, each once; the newest first unless asked otherwise.
    let paged = |order: &str| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(admin, &format!("{path}?limit=2{order}{cursor}")).body;
            seen.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return seen,
            }
        }
    };
    assert!(all.len() > 2 && all.is_sorted_by_key(|record| Reverse(record["number"].as_u64())), "{text}");
    assert_eq!(all[0]["target"], target, "what was just done is at the top");
    assert_eq!(paged(""), all);
    assert_eq!(paged("&order=newest"), all);
    let mut oldest = paged("&order=oldest");
    assert_eq!(read("order=oldest").0, oldest);
    oldest.reverse();
    assert_eq!(oldest, all);
    for unknown in ["order=", "order=Newest", "order=newest&order=oldest"] {
        assert_eq!(api.get(admin, &format!("{path}?{unknown}")).told(), "400 bad_query", "{unknown}");
    }
    assert_eq!(api.get(&member(&scene), &path).told(), "404 not_found");
    assert_eq!(api.get(admin, &format!("/organizations/{other}/audit")).told(), "404 not_found");
    // The operator reads all of it, and has it checked.
    let end = block_on(scene.gate.verify_audit(&Authority::Operator, NOW.into())).expect("whole");
    let whole = block_on(scene.storage.audit(0, 1000)).expect("read");
    let last = whole.last().expect("a record");
    assert_eq!((end.number, end.digest), (last.number, last.digest));
}
