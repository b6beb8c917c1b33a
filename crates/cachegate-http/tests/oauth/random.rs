//! Ten thousand generated requests: each is answered with a typed refusal or a success, none with a fault of the
//! server's, and none repeats a secret.

use std::collections::BTreeMap;

use axum::body::Body;
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{AccessLevel, ActionSet, Lane, Role};
use http::Request;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::client::{Answer, Client, SECRET, SERVICE, basic, form};

const PATHS: [&str; 9] = [
    "/oauth/token",
    "/oauth/device_authorization",
    "/oauth/revoke",
    "/oauth/introspect",
    "/activate",
    "/hooks/secret-scanning",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

const NAMES: [&str; 20] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "assertion",
    "device_code",
    "refresh_token",
    "scope",
    "audience",
    "resource",
    "authorization_details",
    "client_id",
    "client_secret",
    "token",
    "token_type_hint",
    "user_code",
    "decision",
    "",
    "x",
];

/// The words of RFC 6749, 6750, 7009, 8628, 8693, 8707 and 9396.
const ERRORS: [&str; 15] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "unsupported_grant_type",
    "invalid_authorization_details",
    "authorization_pending",
    "slow_down",
    "access_denied",
    "expired_token",
    "temporarily_unavailable",
    "insufficient_scope",
    "unauthorized_client",
];

fn values(secrets: &[String]) -> Vec<String> {
    let fixed = [
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
        "refresh_token",
        "urn:ietf:params:oauth:token-type:access_token",
        "urn:ietf:params:oauth:token-type:jwt",
        SERVICE,
        "registry",
        "read write",
        "approve",
        "look",
        r#"[{"type":"cachegate_actions","actions":["read"]}]"#,
        "BCDFG-HJKLM",
    ];
    fixed.iter().map(|text| (*text).to_owned()).chain(secrets.iter().cloned()).collect()
}

/// Where each value is meant to stand, so that some requests get far.
fn usual(name: &str, values: &[String], pick: usize) -> String {
    let among: &[usize] = match name {
        "grant_type" => &[0, 1, 2, 3],
        "subject_token_type" | "requested_token_type" => &[4, 5],
        "audience" | "resource" => &[6],
        "client_id" => &[7],
        "scope" => &[8],
        "decision" => &[9, 10],
        "authorization_details" => &[11],
        "user_code" => &[12],
        _ => &[13, 14, 15, 16, 17, 18, 19],
    };
    values[among[pick % among.len()].min(values.len() - 1)].clone()
}

#[derive(Clone, Debug)]
enum Value {
    Usual(usize),
    Any(usize),
    Junk(String),
}

#[derive(Clone, Debug)]
struct Sent {
    path: usize,
    method: usize,
    pairs: Vec<(usize, Value)>,
    authorization: Option<usize>,
    kind: usize,
    raw: Option<Vec<u8>>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let value = prop_oneof![
        6 => any::<usize>().prop_map(Value::Usual),
        2 => any::<usize>().prop_map(Value::Any),
        1 => "\\PC{0,16}".prop_map(Value::Junk),
        1 => "[\\x00-\\x1f<>&%+\"'\\\\]{0,8}".prop_map(Value::Junk),
    ];
    let pairs = prop::collection::vec((any::<usize>(), value), 0..8);
    let raw = prop::option::weighted(0.1, prop::collection::vec(any::<u8>(), 0..64));
    let authorization = prop::option::weighted(0.2, any::<usize>());
    (0..12_usize, 0..10_usize, pairs, authorization, 0..12_usize, raw).prop_map(
        |(path, method, pairs, authorization, kind, raw)| Sent {
            path,
            method,
            pairs,
            authorization,
            kind,
            raw,
        },
    )
}

fn request(sent: &Sent, values: &[String]) -> Request<Body> {
    let path = PATHS[if sent.path < PATHS.len() { sent.path } else { 0 }];
    let gets = path.starts_with("/.well-known") != (sent.method == 0);
    let mut request = Request::builder().method(if gets { "GET" } else { "POST" }).uri(path);
    if sent.kind != 0 {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    if let Some(pick) = sent.authorization {
        let token = &values[13 + pick % (values.len() - 13)];
        let header = match pick % 4 {
            0 => basic("registry", SECRET),
            1 => basic("proxy", token),
            _ => format!("Bearer {token}"),
        };
        request = request.header("authorization", header.replace(['\n', '\r'], ""));
    }
    let pairs: Vec<_> = sent
        .pairs
        .iter()
        .map(|(name, value)| {
            let name = NAMES[name % NAMES.len()];
            let value = match value {
                Value::Usual(pick) => usual(name, values, *pick),
                Value::Any(pick) => values[pick % values.len()].clone(),
                Value::Junk(text) => text.clone(),
            };
            (name, value)
        })
        .collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = sent.raw.clone().unwrap_or_else(|| form(&pairs).into_bytes());
    request.body(Body::from(body)).expect("a request")
}

fn check(path: &str, answer: &Answer, secrets: &[String]) {
    let told = format!("{path} {} {}", answer.status, answer.text);
    assert!(matches!(answer.status, 200 | 400 | 401 | 403 | 404 | 405 | 429), "{told}");
    for secret in secrets {
        assert!(!answer.text.contains(secret.as_str()), "a secret came back: {told}");
        assert!(!format!("{:?}", answer.headers).contains(secret.as_str()), "a secret came back: {told}");
    }
    if answer.status == 200 || (path == "/activate" && answer.body.is_null()) {
        return;
    }
    let error = answer.body["error"].as_str().unwrap_or_else(|| panic!("no error: {told}"));
    assert!(ERRORS.contains(&error), "{told}");
    let text = answer.body["error_description"].as_str().unwrap_or_else(|| panic!("no description: {told}"));
    let allowed = |letter: char| matches!(letter, ' '..='!' | '#'..='[' | ']'..='~');
    assert!(!text.is_empty() && text.chars().all(allowed), "{told}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{told}");
}

#[test]
fn ten_thousand_generated_requests_are_answered_by_name_and_repeat_no_secret() {
    let client = Client::new();
    let scene = &client.scene;
    let login = block_on(scene.gate.log_in(scene.owner, NOW.into())).expect("a login");
    let ci = block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let member = block_on(scene.person(Role::Member, ActionSet::ALL)).1;
    let begun = client.post("/oauth/device_authorization", &[("client_id", "x")]);
    let secrets: Vec<String> =
        [&ci, &member, &login.refresh.token, &login.session.token, &scene.administrator]
            .into_iter()
            .map(|token| token.expose_secret().to_owned())
            .chain([client.job("a"), begun.text_of("device_code").to_owned(), SECRET.to_owned()])
            .collect();
    let values = values(&secrets);
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let strategy = sent();
    let mut seen: BTreeMap<(String, u16), usize> = BTreeMap::new();
    for _ in 0..10_000 {
        let sent = strategy.new_tree(&mut runner).expect("a request").current();
        let request = request(&sent, &values);
        let path = request.uri().path().to_owned();
        let answer = client.send(request);
        check(&path, &answer, &secrets);
        *seen.entry((path, answer.status)).or_default() += 1;
    }
    for path in PATHS {
        let refused = seen.keys().any(|(known, status)| known == path && *status >= 400);
        assert!(refused, "{path} refused nothing: {seen:?}");
    }
    for path in ["/oauth/token", "/oauth/device_authorization", "/oauth/revoke", "/oauth/introspect"] {
        assert!(seen.contains_key(&(path.to_owned(), 200)), "{path} never succeeded: {seen:?}");
    }
}
