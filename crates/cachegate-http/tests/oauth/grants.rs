//! `/oauth/token`: every grant, and every refusal by its name.

use axum::body::Body;
use cachegate_testkit::block_on;
use cachegate_types::{AccessLevel, Action, Lane, SecretText};
use http::{Request, header};
use serde_json::json;

use crate::client::{Answer, Client, ISSUER, SECRET, SERVICE, basic};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

fn ci(client: &Client) -> SecretText {
    block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()))
}

fn issued(answer: &Answer) -> SecretText {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.text_of("token_type"), "Bearer");
    assert_eq!(answer.header(&header::CACHE_CONTROL), "no-store");
    assert_eq!(answer.header(&header::CONTENT_TYPE), "application/json");
    SecretText::new(answer.text_of("access_token").to_owned())
}

fn code(client: &Client, token: &SecretText, action: Action) -> &'static str {
    block_on(client.scene.code(token, action))
}

#[test]
fn a_token_of_ours_is_exchanged_for_a_session() {
    let client = Client::new();
    let answer = client.exchange(&ci(&client), &[]);
    let session = issued(&answer);
    assert_eq!(answer.text_of("issued_token_type"), ACCESS);
    assert_eq!(answer.body["expires_in"], 900);
    assert!(session.expose_secret().starts_with("cg1_"));
    assert_eq!(code(&client, &session, Action::Write), "allowed");
}

#[test]
fn a_scope_narrows_and_never_widens() {
    let client = Client::new();
    let answer = client.exchange(&ci(&client), &[("scope", "read administer")]);
    let narrow = issued(&answer);
    assert_eq!(answer.text_of("scope"), "read administer");
    assert_eq!(code(&client, &narrow, Action::Read), "allowed");
    assert_ne!(code(&client, &narrow, Action::Write), "allowed");
    assert_ne!(code(&client, &narrow, Action::Administer), "allowed", "what it comes from may not");
    let wider = client.exchange(&narrow, &[("scope", "read write")]);
    assert_eq!(wider.text_of("scope"), "read", "what was cut stays cut");
    assert_ne!(code(&client, &issued(&wider), Action::Write), "allowed");
    assert_eq!(client.exchange(&narrow, &[("scope", "write")]).told(), "400 invalid_scope");
    for scope in ["everything", "read  write", " ", "read\twrite", "openid"] {
        assert_eq!(client.exchange(&narrow, &[("scope", scope)]).told(), "400 invalid_scope", "{scope:?}");
    }
}

#[test]
fn authorization_details_narrow_and_never_widen() {
    let client = Client::new();
    let nowhere = json!([{"type": "cachegate_workspaces", "identifiers": []}]).to_string();
    let answer = client.exchange(&ci(&client), &[("authorization_details", &nowhere)]);
    assert_eq!(answer.body["authorization_details"].to_string(), nowhere);
    let narrow = issued(&answer);
    assert_ne!(code(&client, &narrow, Action::Read), "allowed");
    let here = json!([{"type": "cachegate_workspaces", "identifiers": [client.scene.workspace.to_string()]}]);
    let again = issued(&client.exchange(&narrow, &[("authorization_details", &here.to_string())]));
    assert_ne!(code(&client, &again, Action::Read), "allowed", "what was cut stays cut");
    for (bad, error) in [
        ("x", "invalid_authorization_details"),
        ("{}", "invalid_authorization_details"),
        (r#"[{"type":"other"}]"#, "invalid_authorization_details"),
        (r#"[{"type":"cachegate_until","until":1,"more":2}]"#, "invalid_authorization_details"),
        (r#"[]],"x":[[]"#, "invalid_authorization_details"),
    ] {
        let answer = client.exchange(&narrow, &[("authorization_details", bad)]);
        assert_eq!((answer.status, answer.text_of("error")), (400, error), "{bad}");
    }
}

#[test]
fn a_session_of_a_service_is_a_plain_jwt_that_counts_there_alone() {
    let client = Client::new();
    let source = ci(&client);
    for more in [
        vec![("audience", SERVICE)],
        vec![("resource", SERVICE)],
        vec![("audience", SERVICE), ("resource", SERVICE), ("requested_token_type", JWT)],
    ] {
        let answer = client.exchange(&source, &more);
        let session = issued(&answer);
        assert!(session.expose_secret().starts_with("eyJ"), "no prefix");
        assert_eq!(code(&client, &session, Action::Read), "unknown_issuer", "it is none here");
        assert_eq!(client.told_of("registry", session.expose_secret()).body["active"], true);
        assert_eq!(answer.text_of("issued_token_type"), if more.len() == 3 { JWT } else { ACCESS });
    }
    let own = issued(&client.exchange(&source, &[("audience", ISSUER), ("resource", ISSUER)]));
    assert_eq!(code(&client, &own, Action::Read), "allowed");
    for more in [
        &[("audience", "https://elsewhere.example")][..],
        &[("resource", "https://elsewhere.example")],
        &[("audience", SERVICE), ("resource", ISSUER)],
    ] {
        assert_eq!(client.exchange(&source, more).told(), "400 invalid_target", "{more:?}");
    }
    assert_eq!(client.exchange(&source, &[("requested_token_type", JWT)]).told(), "400 invalid_request");
}

#[test]
fn a_jobs_own_token_is_exchanged_once() {
    let client = Client::new();
    let subject = |token: &str, kind: &str| {
        client.token(&[("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", kind)])
    };
    for (jti, kind) in [("a", JWT), ("b", "urn:ietf:params:oauth:token-type:id_token")] {
        let job = client.job(jti);
        let session = issued(&subject(&job, kind));
        assert_eq!(code(&client, &session, Action::Write), "allowed");
        assert_eq!(subject(&job, kind).told(), "400 invalid_request replayed");
    }
    let job = client.job("c");
    assert_eq!(subject(&job, ACCESS).told(), "400 invalid_request wrong_token_type");
    let session = issued(&client.token(&[("grant_type", BEARER), ("assertion", &job), ("scope", "read")]));
    assert_eq!(code(&client, &session, Action::Read), "allowed");
    assert_ne!(code(&client, &session, Action::Write), "allowed", "the scope narrows");
    assert_eq!(
        client.token(&[("grant_type", BEARER), ("assertion", &job)]).told(),
        "400 invalid_grant replayed"
    );
    let asked = [("grant_type", BEARER), ("assertion", &client.job("d")), ("audience", SERVICE)];
    assert_eq!(client.token(&asked).told(), "400 invalid_target");
    issued(&client.token(&[("grant_type", BEARER), ("assertion", &client.job("d"))]));
}

#[test]
fn an_assertion_that_is_not_believed_is_an_invalid_grant_with_the_step() {
    let client = Client::new();
    let assert = |token: &str| client.token(&[("grant_type", BEARER), ("assertion", token)]).told();
    let other = cachegate_testkit::TestIssuer::new("https://elsewhere.example");
    let stranger = other.sign(&json!({"sub": "x", "aud": ISSUER, "iat": 1, "exp": 2, "jti": "x"}));
    let told = assert(&stranger);
    assert!(told.starts_with("400 invalid_grant ") && told.len() > 18, "{told}");
    let job = client.job("x");
    let (signed, _) = job.rsplit_once('.').expect("three parts");
    assert!(assert(&format!("{signed}.AAAA")).starts_with("400 invalid_grant "));
    assert_eq!(assert("no JWT at all"), "400 invalid_grant invisible_byte");
    assert_eq!(assert(ci(&client).expose_secret()), "400 invalid_grant wrong_token_type");
    client.wait(24 * 60 * 60);
    assert!(assert(&job).starts_with("400 invalid_grant "), "expired");
}

#[test]
fn a_refresh_token_counts_once_and_shown_twice_ends_the_login() {
    let client = Client::new();
    let login = block_on(client.scene.gate.log_in(client.scene.owner, cachegate_testkit::NOW.into()));
    let first = login.expect("a login").refresh.token;
    let renew = |token: &SecretText, more: &[(&str, &str)]| {
        let own = [("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())];
        client.token(&[&own, more].concat())
    };
    for (parameter, error) in [
        ("scope", "400 invalid_scope"),
        ("audience", "400 invalid_target"),
        ("resource", "400 invalid_target"),
        ("authorization_details", "400 invalid_authorization_details"),
    ] {
        assert_eq!(renew(&first, &[(parameter, "read")]).told(), error);
    }
    let answer = renew(&first, &[]);
    let session = issued(&answer);
    assert_eq!(code(&client, &session, Action::Read), "allowed");
    let second = SecretText::new(answer.text_of("refresh_token").to_owned());
    assert_eq!(renew(&first, &[]).told(), "400 invalid_grant revoked");
    assert_eq!(renew(&second, &[]).told(), "400 invalid_grant revoked");
    assert_eq!(code(&client, &session, Action::Read), "revoked");
    assert_eq!(renew(&ci(&client), &[]).told(), "400 invalid_grant wrong_token_kind");
}

#[test]
fn a_subject_token_that_is_not_believed_is_an_invalid_request_with_the_reason() {
    let client = Client::new();
    let source = block_on(client.scene.ci(AccessLevel::ReadWrite, Lane::main()));
    let text = source.token.expose_secret();
    let mut letters: Vec<char> = text.chars().collect();
    let last = letters.len() - 1;
    letters[last] = if letters[last] == 'a' { 'b' } else { 'a' };
    let mistyped = SecretText::new(letters.into_iter().collect());
    assert_eq!(client.exchange(&mistyped, &[]).told(), "400 invalid_request unknown_token", "no oracle");
    let elsewhere = block_on(cachegate_testkit::Scene::new()).administrator;
    assert_eq!(client.exchange(&elsewhere, &[]).told(), "400 invalid_request unknown_token");
    block_on(client.scene.revoke(source.record.id));
    assert_eq!(client.exchange(&source.token, &[]).told(), "400 invalid_request revoked");
    let four = (0..4).fold(ci(&client), |token, _| issued(&client.exchange(&token, &[])));
    assert_eq!(client.exchange(&four, &[]).told(), "400 invalid_request lineage");
}

#[test]
fn a_request_that_is_none_is_refused_by_what_is_wrong_with_it() {
    let client = Client::new();
    let told = |pairs: &[(&str, &str)]| client.token(pairs).told();
    assert_eq!(told(&[]), "400 invalid_request");
    assert_eq!(told(&[("grant_type", "")]), "400 invalid_request", "without a value it is not there");
    for grant in ["password", "authorization_code", "client_credentials", "implicit", "TOKEN"] {
        assert_eq!(told(&[("grant_type", grant)]), "400 unsupported_grant_type", "{grant}");
    }
    assert_eq!(told(&[("grant_type", EXCHANGE), ("subject_token", "x")]), "400 invalid_request");
    let source = ci(&client);
    let saml = ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2");
    let subject = ("subject_token", source.expose_secret());
    assert_eq!(told(&[("grant_type", EXCHANGE), subject, saml]), "400 invalid_request");
    for doubled in ["grant_type", "scope", "x"] {
        let twice = client.exchange(&source, &[(doubled, "read"), (doubled, "read")]);
        assert_eq!(twice.told(), "400 invalid_request", "otherwise good, and `{doubled}` stands twice");
    }
    for more in [("actor_token", "x"), ("actor_token_type", ACCESS), ("requested_token_type", "x")] {
        assert_eq!(client.exchange(&source, &[more]).told(), "400 invalid_request", "{more:?}");
    }
    issued(&client.exchange(&source, &[("client_id", "anybody"), ("unknown", "ignored")]));
    let many: Vec<_> = (0..40).map(|index| format!("p{index}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(told(&many), "400 invalid_request");
}

#[test]
fn what_is_no_form_in_a_body_is_refused_before_it_is_read() {
    let client = Client::new();
    let send = |request: http::request::Builder, body: &str| {
        client.send(request.body(Body::from(body.to_owned())).expect("a request"))
    };
    let form = "application/x-www-form-urlencoded";
    let post = |path: &str, kind: &str| Request::post(path).header("content-type", kind);
    let path = "/oauth/token";
    assert_eq!(send(post(path, "application/json"), "{}").told(), "400 invalid_request");
    assert_eq!(send(Request::post(path), "grant_type=x").told(), "400 invalid_request");
    assert_eq!(send(post(path, form), "grant_type=%zz").told(), "400 invalid_request");
    assert_eq!(
        send(post(path, form), &"x".repeat(48 * 1024 + 1)).told(),
        "413 invalid_request body_too_large"
    );
    assert_eq!(send(post("/oauth/token?grant_type=x", form), "").told(), "400 invalid_request");
    let token = client.scene.administrator.expose_secret();
    let in_url = send(post(&format!("/oauth/token?subject_token={token}"), form), "");
    assert_eq!(in_url.told(), "400 invalid_request in_url");
    assert_eq!(
        send(post(path, "Application/X-WWW-Form-Urlencoded; charset=utf-8"), "grant_type=x").status,
        400
    );
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        let request = Request::builder().method(method).uri(path);
        let answer = send(request, "");
        assert_eq!((answer.status, answer.header(&header::ALLOW)), (405, "POST"), "{method}");
    }
}

#[test]
fn a_client_is_public_or_proves_that_it_is_the_service() {
    let client = Client::new();
    let source = ci(&client);
    let pairs =
        [("grant_type", EXCHANGE), ("subject_token", source.expose_secret()), ("subject_token_type", ACCESS)];
    let with = |header: &str, more: &[(&str, &str)]| {
        let headers: &[_] = if header.is_empty() { &[] } else { &[("authorization", header)] };
        client.post_with("/oauth/token", &[&pairs, more].concat(), headers)
    };
    assert_eq!(with(&basic("registry", SECRET), &[]).status, 200);
    assert_eq!(with("", &[("client_id", "registry"), ("client_secret", SECRET)]).status, 200);
    for (header, more) in [
        (basic("registry", "wrong"), vec![]),
        (basic("nobody", SECRET), vec![]),
        ("Basic %".to_owned(), vec![]),
        ("Basic".to_owned(), vec![]),
        (format!("Bearer {}", source.expose_secret()), vec![]),
        (String::new(), vec![("client_id", "registry"), ("client_secret", "wrong")]),
    ] {
        let answer = with(&header, &more);
        assert_eq!(answer.told(), "401 invalid_client", "{header} {more:?}");
        assert!(answer.header(&header::WWW_AUTHENTICATE).starts_with("Basic"), "{header}");
    }
    let both = with(&basic("registry", SECRET), &[("client_secret", SECRET)]);
    assert_eq!(both.told(), "400 invalid_request");
    let other = with(&basic("registry", SECRET), &[("client_id", "proxy")]);
    assert_eq!(other.told(), "400 invalid_request");
}

#[test]
fn a_store_out_of_reach_gives_nothing_and_says_nothing_of_itself() {
    let client = Client::new();
    let source = ci(&client);
    client.scene.faults.cut();
    for answer in [
        client.exchange(&source, &[]),
        client.token(&[("grant_type", BEARER), ("assertion", &client.job("a"))]),
        client.token(&[("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", "x")]),
        client.post("/oauth/device_authorization", &[("client_id", "x")]),
        client.post("/oauth/revoke", &[("token", source.expose_secret())]),
        client.told_of("registry", source.expose_secret()),
    ] {
        assert_eq!(answer.told(), "503 temporarily_unavailable store_unavailable", "{}", answer.text);
    }
    client.scene.faults.mend();
    let record = issued(&client.exchange(&source, &[]));
    assert_eq!(code(&client, &record, Action::Read), "allowed");
}
