//! What is wrong, too much, treacherous or in the wrong place.

use axum::body::Body;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, ActionSet, Lane, Role};
use http::{Request, header};
use serde_json::json;

use crate::client::{Answer, Client};

fn scene() -> (Scene, Client) {
    let scene = block_on(Scene::new());
    let client = Client::of(&scene);
    (scene, client)
}

fn request(scene: &Scene, method: &str, path: &str) -> http::request::Builder {
    let token = scene.administrator.expose_secret();
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
}

fn post(scene: &Scene, api: &Client, media_type: &str, body: impl Into<Body>) -> Answer {
    let request = request(scene, "POST", "/tokens").header(header::CONTENT_TYPE, media_type);
    api.send(request.body(body.into()).expect("a request"))
}

#[test]
fn a_body_is_json_whole_known_and_not_too_long() {
    let (scene, api) = scene();
    let good = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only"}).to_string();
    assert_eq!(post(&scene, &api, "application/json; charset=utf-8", good.clone()).status, 201);
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        assert_eq!(post(&scene, &api, media_type, good.clone()).told(), "415 unsupported_media_type");
    }
    let more = good.replace("read-only\"", "read-only\",\"admin\":true");
    let twice = good.replace("\"level\"", "\"level\":\"read-only\",\"level\"");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for body in ["", "{", "null", "[]", "\"x\"", "\u{feff}{}", &more, &twice, &deep, &format!("{good}{good}")]
    {
        assert_eq!(post(&scene, &api, "application/json", body.to_owned()).told(), "400 bad_body", "{body}");
    }
    let long = format!("{good}{}", " ".repeat(65_537 - good.len()));
    assert_eq!(post(&scene, &api, "application/json", long.clone()).told(), "413 body_too_large");
    assert_eq!(post(&scene, &api, "application/json", long[..65_536].to_owned()).status, 201);
    assert_eq!(post(&scene, &api, "application/json", vec![b'"', 0xff, b'"']).told(), "400 bad_body");
    let unwanted = request(&scene, "GET", "/whoami").body(Body::from("{}")).expect("a request");
    assert_eq!(api.send(unwanted).told(), "400 body_unwanted");
}

#[test]
fn a_query_is_known_and_said_once() {
    let (scene, api) = scene();
    for query in
        ["x=1", "limit=1&limit=2", "limit=%", "cursor=%ff", "workspace=x", "kind=x", "state=x", "cursor=x"]
    {
        let answer = api.get(&scene.administrator, &format!("/tokens?{query}"));
        assert_eq!(answer.told(), "400 bad_query", "{query}");
    }
    assert_eq!(api.get(&scene.administrator, "/whoami?x=1").told(), "400 bad_query");
}

#[test]
fn names_and_descriptions_are_refused_or_come_back_as_text() {
    let (scene, api) = scene();
    let make = |description: &str| {
        let body = json!({
            "kind": "ci", "workspace": scene.workspace, "level": "read-only", "description": description,
        });
        api.post(&scene.administrator, "/tokens", &body)
    };
    for markup in ["<script>alert(1)</script>", "\"'&\\/", "{{7*7}}", "${x}", "déjà vu – ✓"] {
        assert_eq!(make(markup).body["record"]["description"], markup);
    }
    for treacherous in ["a\nb", "a\r\nx: y", "\u{1b}[31m", "a\u{202e}b", "\u{feff}", "a\0", &"x".repeat(201)]
    {
        assert_eq!(make(treacherous).told(), "400 bad_body", "{treacherous:?}");
    }
    let groups = format!("/organizations/{}/groups", scene.organization);
    for name in ["", "<b>", "A", "a b", "../x", "-a", "a\u{0}", &"a".repeat(65)] {
        let body = json!({"name": name, "members": []});
        assert_eq!(api.post(&scene.administrator, &groups, &body).told(), "400 bad_body", "{name:?}");
    }
    assert!(
        api.get(&scene.administrator, &format!("/organizations/{}/audit", scene.organization)).status == 200
    );
}

#[test]
fn a_token_in_the_wrong_place_is_refused_and_not_sent_back() {
    let (scene, api) = scene();
    let secret = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let text = secret.expose_secret();
    let admin = &scene.administrator;
    let mut told = vec![
        api.get(admin, &format!("/tokens/{text}")),
        api.get(admin, &format!("/tokens?cursor={text}")),
        api.get(admin, &format!("/tokens?{text}=1")),
        api.get(admin, &format!("/whoami?access_token={text}")),
    ];
    for answer in &told {
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
    for body in [
        json!({ text: 1 }),
        json!({"kind": text}),
        json!({"kind": "ci", "workspace": text, "level": "read-only"}),
        json!({"kind": "ci", "workspace": scene.workspace, "level": text}),
        json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only", "lane": text}),
        json!({"kind": "device", "organization": scene.organization, "access": {"type": text}}),
        json!({"kind": "personal", "actions": [text]}),
        json!(text),
        json!([text]),
    ] {
        let answer = api.post(admin, "/tokens", &body);
        assert_eq!(answer.told(), "400 bad_body", "{}", answer.text);
        told.push(answer);
    }
    // A good token whose last letter is another reads as one that is unknown.
    let mut typo = text.to_owned();
    typo.replace_range(typo.len() - 1.., if typo.ends_with('x') { "y" } else { "x" });
    let bad = [("authorization", format!("Bearer {typo}"))];
    let answer = api.call("GET", "/whoami", None, None, &[(bad[0].0, &bad[0].1)]);
    assert_eq!(answer.told(), "401 unknown_token");
    told.push(answer);
    for answer in told {
        assert!(!answer.text.contains(&text[4..]), "{}", answer.text);
    }
}

#[test]
fn a_credential_that_is_doubled_or_malformed_never_becomes_another() {
    let (scene, api) = scene();
    let good = format!("Bearer {}", scene.administrator.expose_secret());
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(api.call("GET", "/whoami", None, None, &twice).status, 401);
    for bad in ["Bearer", "Bearer x", "Basic !", "Digest x", "Bearer cgp_x"] {
        let answer = api.call("GET", "/whoami", None, None, &[("authorization", bad)]);
        assert_eq!(answer.status, 401, "{bad}: {}", answer.text);
    }
    assert_eq!(api.call("GET", "/whoami", None, None, &[]).told(), "401 no_credential");
    // Strangers learn nothing of what the body or the query should be.
    let body = json!({});
    assert_eq!(api.call("POST", "/tokens?x", None, Some(&body), &[]).told(), "401 no_credential");
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let (scene, api) = scene();
    for path in ["", "/", "/nothing", "/tokens/", "/tokens/a/b/c", "/openapi.yaml", "/../whoami"] {
        assert_eq!(api.get(&scene.administrator, path).told(), "404 not_found", "{path}");
    }
    assert_eq!(api.delete(&scene.administrator, "/tokens").told(), "405 method_not_allowed");
    assert_eq!(api.call("PATCH", "/whoami", None, None, &[]).told(), "405 method_not_allowed");
    assert_eq!(api.call("GET", "/openapi.json", None, None, &[]).body["openapi"], "3.1.0");
}

#[test]
fn while_the_store_is_down_everything_is_refused_and_nothing_is_told() {
    let (scene, api) = scene();
    scene.faults.cut();
    scene.clock.advance(std::time::Duration::from_secs(10));
    for path in ["/whoami", "/tokens", "/organizations", "/locks"] {
        let answer = api.get(&scene.administrator, path);
        assert_eq!(answer.told(), "503 store_unavailable", "{path}");
        assert!(answer.body["detail"].as_str().expect("text").starts_with("nothing can be decided"));
    }
}

#[test]
fn of_many_racing_creations_with_one_key_one_makes_the_token() {
    let scene = block_on(Scene::new());
    let (_, token) = block_on(scene.person(Role::Admin, ActionSet::ALL));
    let body = json!({"kind": "ci", "workspace": scene.workspace, "level": "read-only"});
    for round in 0..20 {
        let key = format!("k{round}");
        let answers: Vec<_> = std::thread::scope(|threads| {
            let send = || {
                Client::at(&scene, NOW).call(
                    "POST",
                    "/tokens",
                    Some(&token),
                    Some(&body),
                    &[("idempotency-key", &key)],
                )
            };
            let threads: Vec<_> = (0..8).map(|_| threads.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1);
        for answer in answers {
            assert!(matches!(answer.status, 200 | 201 | 409), "{}", answer.text);
        }
        let listed = Client::of(&scene).get(&token, &format!("/tokens?workspace={}", scene.workspace));
        assert_eq!(listed.body["items"].as_array().expect("items").len(), round + 1);
    }
}
