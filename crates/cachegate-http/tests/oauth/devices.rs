//! The device flow (RFC 8628), and the page where a person approves.

use std::sync::{Arc, Barrier};

use axum::body::Body;
use cachegate_testkit::block_on;
use cachegate_types::{AccessLevel, Action, ActionSet, Lane, Role, SecretText};
use http::{Request, header};
use serde_json::json;

use crate::client::{Answer, Client, ISSUER};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn begin(client: &Client) -> (String, String) {
    let begun = client.post("/oauth/device_authorization", &[("client_id", "gatectl on <laptop>")]);
    assert_eq!(begun.status, 200, "{}", begun.text);
    assert_eq!(begun.text_of("verification_uri"), format!("{ISSUER}/activate"));
    let (device, user) = (begun.text_of("device_code"), begun.text_of("user_code"));
    assert_eq!(begun.text_of("verification_uri_complete"), format!("{ISSUER}/activate?user_code={user}"));
    assert_eq!((&begun.body["expires_in"], &begun.body["interval"]), (&json!(900), &json!(5)));
    assert_eq!(begun.header(&header::CACHE_CONTROL), "no-store");
    (device.to_owned(), user.to_owned())
}

fn finish(client: &Client, device: &str) -> Answer {
    client.token(&[("grant_type", GRANT), ("device_code", device), ("client_id", "gatectl")])
}

fn page(client: &Client, token: &SecretText, user_code: &str, decision: &str) -> Answer {
    let pairs = [("user_code", user_code), ("token", token.expose_secret()), ("decision", decision)];
    client.post("/activate", &pairs)
}

#[test]
fn a_terminal_waits_until_its_person_approves_and_is_logged_in_once() {
    let client = Client::new();
    let administrator = client.scene.administrator.clone();
    let (device, user) = begin(&client);
    assert_eq!(finish(&client, &device).told(), "400 authorization_pending");
    assert_eq!(finish(&client, &device).told(), "400 slow_down");
    let seen = page(&client, &administrator, &user, "look");
    assert!(seen.text.contains("gatectl on &lt;laptop&gt;") && seen.text.contains("Deny"), "{}", seen.text);
    assert_eq!(finish(&client, &device).told(), "400 slow_down", "looking decides nothing");
    let typed = user.replace('-', "").to_lowercase();
    assert_eq!(page(&client, &administrator, &typed, "approve").status, 200);
    let login = finish(&client, &device);
    let session = SecretText::new(login.text_of("access_token").to_owned());
    assert_eq!(block_on(client.scene.code(&session, Action::Write)), "allowed");
    assert!(login.text_of("refresh_token").starts_with("cgr_"));
    assert_eq!(finish(&client, &device).told(), "400 invalid_grant", "once");
    assert_eq!(page(&client, &administrator, &user, "approve").status, 404, "it is decided");
}

#[test]
fn a_login_carries_no_more_than_the_token_that_approved_it() {
    let client = Client::new();
    let reader = block_on(client.scene.person(Role::Member, ActionSet::of(&[Action::Read]))).1;
    let (device, user) = begin(&client);
    assert_eq!(page(&client, &reader, &user, "approve").status, 200);
    let login = finish(&client, &device);
    assert_eq!(login.text_of("scope"), "read");
    let session = SecretText::new(login.text_of("access_token").to_owned());
    assert_eq!(block_on(client.scene.code(&session, Action::Read)), "allowed");
    assert_ne!(block_on(client.scene.code(&session, Action::Write)), "allowed");
}

#[test]
fn what_is_denied_expired_or_unknown_is_told_by_its_name() {
    let client = Client::new();
    let administrator = client.scene.administrator.clone();
    let (denied, user) = begin(&client);
    assert_eq!(page(&client, &administrator, &user, "deny").status, 200);
    assert_eq!(finish(&client, &denied).told(), "400 access_denied");
    assert_eq!(finish(&client, "0".repeat(64).as_str()).told(), "400 invalid_grant");
    assert_eq!(finish(&client, "").told(), "400 invalid_request");
    let with_scope = [("grant_type", GRANT), ("device_code", &denied), ("scope", "read")];
    assert_eq!(client.token(&with_scope).told(), "400 invalid_scope");
    let (late, user) = begin(&client);
    // Both clocks go on: the store's too.
    client.wait(15 * 60);
    client.scene.faults.set_store_time((cachegate_testkit::NOW + 15 * 60).into());
    assert_eq!(finish(&client, &late).told(), "400 expired_token");
    assert_eq!(page(&client, &administrator, &user, "approve").status, 404);
}

#[test]
fn a_terminal_asks_for_less_and_its_person_sees_it() {
    let client = Client::new();
    let administrator = client.scene.administrator.clone();
    let pairs = [("client_id", "x"), ("scope", "read resolve")];
    let begun = client.post("/oauth/device_authorization", &pairs);
    let (device, user) = (begun.text_of("device_code"), begun.text_of("user_code"));
    let seen = page(&client, &administrator, user, "look");
    let told = ["Of what the token below may, at most this", "(<code>resolve</code>)", "(<code>read</code>)"];
    assert!(told.iter().all(|told| seen.text.contains(told)), "{}", seen.text);
    assert!(
        !seen.text.contains("<code>write</code>") && !seen.text.contains("What it stores"),
        "{}",
        seen.text
    );
    assert_eq!(page(&client, &administrator, user, "approve").status, 200);
    let login = finish(&client, device);
    assert_eq!(login.text_of("scope"), "resolve read");
    let session = SecretText::new(login.text_of("access_token").to_owned());
    assert_eq!(block_on(client.scene.code(&session, Action::Read)), "allowed");
    assert_ne!(block_on(client.scene.code(&session, Action::Write)), "allowed");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", login.text_of("refresh_token"))];
    assert_eq!(client.token(&refresh).text_of("scope"), "resolve read", "renewed, it stays cut");
}

#[test]
fn a_terminal_says_what_it_is_called() {
    let client = Client::new();
    let begin = |pairs: &[(&str, &str)]| client.post("/oauth/device_authorization", pairs).told();
    assert_eq!(begin(&[]), "400 invalid_request");
    assert_eq!(begin(&[("client_id", "\u{7}bell")]), "400 invalid_request");
    assert_eq!(begin(&[("client_id", &"x".repeat(201))]), "400 invalid_request");
    assert_eq!(begin(&[("client_id", "x"), ("scope", "openid")]), "400 invalid_scope");
    assert_eq!(begin(&[("client_id", "x"), ("audience", crate::client::SERVICE)]), "400 invalid_target");
    let many = json!([{"type": "cachegate_workspaces", "identifiers": vec![ID; 60]}]).to_string();
    let told = begin(&[("client_id", "x"), ("authorization_details", &many)]);
    assert_eq!(told, "400 invalid_authorization_details details_too_long");
}

#[test]
fn terminals_that_begin_to_wait_too_often_are_held_back() {
    let client = Client::new();
    let begin = || client.post("/oauth/device_authorization", &[("client_id", "x")]);
    let answers: Vec<_> = (0..302).map(|_| begin().status).collect();
    assert_eq!((answers[299], answers[300], answers[301]), (200, 429, 429));
    assert_eq!(begin().header(&header::RETRY_AFTER), "60");
    client.wait(1);
    assert_eq!((begin().status, begin().status), (200, 429));
}

#[test]
fn of_sixty_four_that_ask_with_one_approved_code_one_is_logged_in() {
    let client = Arc::new(Client::new());
    let administrator = client.scene.administrator.clone();
    for _ in 0..8 {
        let (device, user) = begin(&client);
        assert_eq!(page(&client, &administrator, &user, "approve").status, 200);
        let barrier = Arc::new(Barrier::new(64));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (client, device, barrier) = (Arc::clone(&client), device.clone(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    finish(&client, &device).told()
                })
            })
            .collect();
        let mut told: Vec<_> = tasks.into_iter().map(|task| task.join().expect("no panic")).collect();
        told.sort();
        let won = told.iter().filter(|one| *one == "200").count();
        assert_eq!(won, 1, "{told:?}");
        assert!(told.iter().skip(1).all(|one| one == "400 invalid_grant"), "{told:?}");
    }
}

#[test]
fn whoever_names_wrong_codes_waits_and_others_do_not() {
    let client = Client::new();
    let guesser = block_on(client.scene.person(Role::Member, ActionSet::ALL)).1;
    let (device, user) = begin(&client);
    for _ in 0..10 {
        assert_eq!(page(&client, &guesser, "BCDFG-HJKLM", "look").status, 404);
    }
    assert_eq!(page(&client, &guesser, &user, "approve").status, 429, "even the right one");
    assert_eq!(finish(&client, &device).told(), "400 authorization_pending");
    let administrator = client.scene.administrator.clone();
    assert_eq!(page(&client, &administrator, &user, "approve").status, 200);
}

#[test]
fn only_a_person_approves_and_only_with_a_token_that_counts() {
    let client = Client::new();
    let (device, user) = begin(&client);
    let ci = block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    assert_eq!(page(&client, &ci, &user, "approve").status, 403);
    let strange = block_on(cachegate_testkit::Scene::new()).administrator;
    assert_eq!(page(&client, &strange, &user, "approve").status, 401);
    assert_eq!(client.post("/activate", &[("user_code", &user), ("decision", "approve")]).status, 401);
    let json = |headers: &[(&str, &str)], pairs: &[(&str, &str)]| {
        client.post_with("/activate", pairs, &[&[("accept", "application/json")], headers].concat())
    };
    let administrator = client.scene.administrator.expose_secret();
    let pairs = [("user_code", user.as_str()), ("decision", "approve")];
    let basic = crate::client::basic("me", administrator);
    let cached = json(&[("authorization", &basic)], &pairs);
    assert_eq!(cached.told(), "401 access_denied no_credential", "a browser would send it unasked");
    let bearer = format!("Bearer {administrator}");
    let twice = [pairs[0], pairs[1], ("token", administrator)];
    assert_eq!(json(&[("authorization", &bearer)], &twice).told(), "400 invalid_request");
    assert_eq!(json(&[], &[("decision", "approve"), ("token", administrator)]).told(), "400 invalid_request");
    let other = [pairs[0], ("decision", "perhaps")];
    assert_eq!(json(&[("authorization", &bearer)], &other).told(), "400 invalid_request");
    assert_eq!(finish(&client, &device).told(), "400 authorization_pending", "nothing was decided");
    let looked = json(&[("authorization", &bearer)], &[("user_code", &user)]);
    assert_eq!(looked.text_of("client"), "gatectl on <laptop>");
    assert_eq!(json(&[("authorization", &bearer)], &pairs).body, json!({"decision": "approved"}));
}

#[test]
fn a_form_of_another_site_decides_nothing() {
    let client = Client::new();
    let (_, user) = begin(&client);
    let administrator = client.scene.administrator.expose_secret().to_owned();
    let pairs = [("user_code", user.as_str()), ("token", &administrator), ("decision", "approve")];
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "https://cache.example.com.evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(client.post_with("/activate", &pairs, &[(name, value)]).status, 403, "{name}: {value}");
    }
    let own = [("origin", ISSUER), ("sec-fetch-site", "same-origin")];
    assert_eq!(client.post_with("/activate", &pairs, &own).status, 200);
}

#[test]
fn the_page_runs_nothing_keeps_nothing_and_shows_no_token() {
    let client = Client::new();
    let (_, user) = begin(&client);
    let attack = "/activate?user_code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let administrator = client.scene.administrator.clone();
    for answer in [
        client.get("/activate"),
        client.get(&format!("/activate?user_code={user}")),
        client.get(attack),
        page(&client, &administrator, &user, "look"),
        page(&client, &administrator, "<script>", "look"),
        page(&client, &administrator, &user, "perhaps"),
        page(&client, &SecretText::new("<script>\"cgp_".to_owned()), &user, "look"),
    ] {
        let policy = answer.header(&header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("form-action 'self'; frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header(&header::CACHE_CONTROL), "no-store");
        assert_eq!(answer.header(&header::X_FRAME_OPTIONS), "DENY");
        assert_eq!(answer.header(&header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert!(
            !answer.headers.contains_key(header::SET_COOKIE)
                && !answer.headers.contains_key("www-authenticate")
        );
        assert!(!answer.text.contains("<script"), "{}", answer.text);
        assert!(!answer.text.contains(administrator.expose_secret()), "{}", answer.text);
    }
    assert!(client.get(&format!("/activate?user_code={user}")).text.contains(&format!("value=\"{user}\"")));
    let in_url = client.get(&format!("/activate?token={}", administrator.expose_secret()));
    assert_eq!(in_url.status, 400, "{}", in_url.text);
    let put = Request::put("/activate").body(Body::empty()).expect("a request");
    assert_eq!(client.send(put).status, 405);
}
