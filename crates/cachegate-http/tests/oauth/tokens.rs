//! Introspection (RFC 7662) and revocation (RFC 7009).

use cachegate_testkit::block_on;
use cachegate_types::{AccessLevel, Action, ActionSet, Lane, Role, SecretText};
use http::header;
use serde_json::json;

use crate::client::{Client, ISSUER, SECRET, SERVICE};

fn ci(client: &Client) -> SecretText {
    block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()))
}

#[test]
fn a_service_is_told_of_the_tokens_that_are_for_it() {
    let client = Client::new();
    let source = ci(&client);
    let session = client.session(&source, Some(SERVICE));
    let told = client.told_of("registry", session.expose_secret());
    assert_eq!((told.status, told.header(&header::CACHE_CONTROL)), (200, "no-store"));
    for (name, value) in [
        ("active", json!(true)),
        ("token_type", json!("Bearer")),
        ("iss", json!(ISSUER)),
        ("aud", json!(SERVICE)),
        ("sub", json!(client.scene.workspace.to_string())),
        ("client_id", json!("cachegate")),
        ("kind", json!("session")),
        ("iat", json!(cachegate_testkit::NOW)),
        ("exp", json!(cachegate_testkit::NOW + 900)),
    ] {
        assert_eq!(told.body[name], value, "{name}");
    }
    let inactive = json!({"active": false});
    for (service, token) in [
        ("registry", source.expose_secret()),
        ("registry", client.scene.administrator.expose_secret()),
        ("registry", client.session(&source, None).expose_secret()),
        ("registry", "nothing"),
        ("registry", &client.job("a")),
        ("proxy", session.expose_secret()),
        ("proxy", "cgp_nothing"),
    ] {
        let told = client.told_of(service, token);
        assert_eq!((told.status, &told.body), (200, &inactive));
    }
    assert_eq!(client.told_of("proxy", source.expose_secret()).body["kind"], "ci");
    let hinted = [
        ("token", source.expose_secret()),
        ("token_type_hint", "refresh_token"),
        ("client_id", "proxy"),
        ("client_secret", SECRET),
    ];
    assert_eq!(client.post("/oauth/introspect", &hinted).body["active"], true, "a hint is a hint");
}

#[test]
fn an_administrator_is_told_with_a_token_of_their_own() {
    let client = Client::new();
    let ask = |with: &SecretText, token: &SecretText| {
        let bearer = format!("bearer {}", with.expose_secret());
        client.post_with(
            "/oauth/introspect",
            &[("token", token.expose_secret())],
            &[("authorization", &bearer)],
        )
    };
    let source = ci(&client);
    let told = ask(&client.scene.administrator, &source);
    assert_eq!((&told.body["active"], &told.body["kind"]), (&json!(true), &json!("ci")));
    let own = ask(&client.scene.administrator, &client.scene.administrator);
    assert_eq!(own.body["active"], true);
    let member = block_on(client.scene.person(Role::Member, ActionSet::ALL)).1;
    assert_eq!(ask(&member, &source).told(), "401 insufficient_scope");
    assert_eq!(ask(&source, &source).told(), "401 insufficient_scope");
    assert_eq!(
        ask(&client.scene.administrator, &member).body,
        json!({"active": false}),
        "not theirs to know"
    );
}

#[test]
fn whoever_is_neither_is_told_nothing() {
    let client = Client::new();
    let source = ci(&client);
    let pairs = [("token", source.expose_secret())];
    let nobody = client.post("/oauth/introspect", &pairs);
    assert_eq!(nobody.told(), "401 invalid_client");
    for header in ["Basic cmVnaXN0cnk6d3Jvbmc=", "Basic", "Digest x"] {
        let answer = client.post_with("/oauth/introspect", &pairs, &[("authorization", header)]);
        assert_eq!(answer.told(), "401 invalid_client", "{header}");
    }
    for (header, code) in [
        ("Bearer cgp_x", "401 invalid_token malformed_opaque"),
        ("Bearer", "401 invalid_client"),
        ("Bearer a.b.c", "401 invalid_token"),
    ] {
        let answer = client.post_with("/oauth/introspect", &pairs, &[("authorization", header)]);
        assert!(
            answer.status == 401 && !answer.text.contains("active"),
            "{header}: {} {code}",
            answer.told()
        );
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE), "{header}");
    }
    assert_eq!(client.told_of("registry", "").told(), "400 invalid_request");
}

#[test]
fn a_holder_ends_a_token_and_nobody_learns_whether_there_was_one() {
    let client = Client::new();
    let source = ci(&client);
    let child = client.session(&source, None);
    let revoke = |token: &str| client.post("/oauth/revoke", &[("token", token), ("token_type_hint", "x")]);
    let answers =
        [source.expose_secret(), source.expose_secret(), "nothing", "cgp_x", &client.job("a")].map(revoke);
    for answer in &answers {
        assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
        assert_eq!(answer.headers, answers[0].headers);
    }
    for token in [&source, &child] {
        assert_eq!(block_on(client.scene.code(token, Action::Read)), "revoked");
    }
    assert_eq!(client.post("/oauth/revoke", &[]).told(), "400 invalid_request");
}

#[test]
fn a_login_that_is_given_up_ends_whole() {
    let client = Client::new();
    let login = block_on(client.scene.gate.log_in(client.scene.owner, cachegate_testkit::NOW.into()));
    let login = login.expect("a login");
    assert_eq!(client.post("/oauth/revoke", &[("token", login.refresh.token.expose_secret())]).status, 200);
    assert_eq!(block_on(client.scene.code(&login.session.token, Action::Read)), "revoked");
    assert_eq!(block_on(client.scene.code(&client.scene.administrator, Action::Read)), "allowed");
}
