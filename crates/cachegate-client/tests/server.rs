//! A server over an in-memory `Fetch`: what is sent to whom, and what its answers are taken for.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cachegate_client::{
    BoundToken, DeviceAccess, DevicePoll, Failure, Origin, ReleaseReference, Server, ServerError, TokenOrder,
    TokenQuery,
};
use cachegate_fetch::{Fetch, FetchError, Request, Response};
use cachegate_types::{SecretText, Timestamp};
use futures_executor::block_on;
use serde_json::{Value, json};

const SERVER: &str = "https://cache.example.org";
const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Answers in order, and keeps what was asked.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Response, FetchError>>>,
    asked: Mutex<Vec<Request>>,
}

#[async_trait]
impl Fetch for Script {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        self.asked.lock().expect("no panic").push(request.clone());
        self.answers.lock().expect("no panic").pop_front().expect("an answer is left")
    }
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Response>) -> Arc<Self> {
        let answers = answers.into_iter().map(Ok).collect();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    fn asked(&self, index: usize) -> Request {
        self.asked.lock().expect("no panic")[index].clone()
    }

    fn count(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

fn ok(body: &Value) -> Response {
    Response::new(200, body.to_string())
}

fn problem(status: u16, body: &Value) -> Response {
    Response::new(status, body.to_string()).with_header("content-type", "application/problem+json")
}

fn origin() -> Origin {
    SERVER.parse().expect("an origin")
}

fn token() -> BoundToken {
    BoundToken::new(origin(), SecretText::new("cg1_canary".into()))
        .with_refresh(SecretText::new("cgr_canary".into()))
}

fn now() -> Timestamp {
    Timestamp::from(1_700_000_000)
}

fn anonymous(script: &Arc<Script>) -> Server {
    Server::new(origin(), Arc::clone(script) as Arc<dyn Fetch>).expect("a server")
}

fn server(script: &Arc<Script>) -> Server {
    anonymous(script).with_token(token()).expect("its own token")
}

fn header(request: &Request, name: &str) -> Option<String> {
    let found = request.headers().iter().find(|(header, _)| *header == name);
    found.map(|(_, value)| value.expose_secret().to_owned())
}

fn body(request: &Request) -> String {
    request.body().map(|body| body.expose_secret().to_owned()).unwrap_or_default()
}

fn whoami() -> Value {
    json!({ "principal": { "kind": "user", "id": ID }, "method": "opaque-token" })
}

#[test]
fn a_token_goes_to_its_own_server_alone() {
    let script = Script::of([ok(&whoami())]);
    block_on(server(&script).whoami()).expect("an answer");
    let request = script.asked(0);
    assert_eq!(request.url().as_str(), "https://cache.example.org/api/v1/whoami");
    assert_eq!(header(&request, "authorization").as_deref(), Some("Bearer cg1_canary"));

    for other in ["https://cache.example.org:8443", "https://evil.example", "http://127.0.0.1"] {
        let server = Server::new(other.parse().expect("an origin"), Script::of([])).expect("a server");
        let error = server.with_token(token()).expect_err("a token of another");
        assert_eq!(error.code(), "other_server");
        assert!(!format!("{error:?} {error}").contains("canary"));
    }
}

#[test]
fn a_redirect_is_an_error_and_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Response::new(status, "").with_header("location", "https://evil.example/");
        let script = Script::of([elsewhere]);
        let error = block_on(server(&script).whoami()).expect_err("a redirect");
        assert!(matches!(error, ServerError::Redirected { status: found, .. } if found == status), "{error}");
        assert_eq!((script.count(), error.failure()), (1, Failure::Unavailable));
    }
}

#[test]
fn a_problem_tells_its_code_its_reason_its_decision_and_what_to_do() {
    let body = json!({ "code": "denied", "detail": "you hold read-only", "decision": ID, "status": 403 });
    let error = block_on(server(&Script::of([problem(403, &body)])).whoami()).expect_err("a refusal");
    assert_eq!((error.code(), error.failure()), ("denied", Failure::Refused));
    assert_eq!(error.to_string(), "you hold read-only");
    assert_eq!(error.decision().map(|id| id.to_string()).as_deref(), Some(ID));
    assert!(error.advice().contains("administrator"));
}

#[test]
fn what_kind_of_failure_it_is_follows_from_the_answer() {
    for (answer, failure, code) in [
        (problem(401, &json!({ "code": "revoked", "detail": "d" })), Failure::Unauthenticated, "revoked"),
        (problem(400, &json!({ "error": "invalid_grant" })), Failure::Unauthenticated, "invalid_grant"),
        (
            problem(400, &json!({ "error": "invalid_grant", "code": "expired" })),
            Failure::Unauthenticated,
            "expired",
        ),
        (problem(404, &json!({ "code": "not_found" })), Failure::Refused, "not_found"),
        (problem(429, &json!({ "error": "slow_down" })), Failure::Unavailable, "slow_down"),
        (problem(503, &json!({ "code": "store" })), Failure::Unavailable, "store"),
        (Response::new(502, "<html>Bad gateway"), Failure::Unavailable, "not_a_cachegate_answer"),
        (Response::new(200, "<html>Welcome to the hotel"), Failure::Unavailable, "not_a_cachegate_answer"),
    ] {
        let error = block_on(server(&Script::of([answer])).whoami()).expect_err("a failure");
        assert_eq!((error.failure(), error.code()), (failure, code));
    }
}

#[test]
fn what_a_server_says_cannot_steer_a_terminal() {
    let body = json!({ "code": "denied", "detail": format!("\u{1b}[2J\r{}", "x".repeat(5_000)) });
    let error = block_on(server(&Script::of([problem(403, &body)])).whoami()).expect_err("a refusal");
    let shown = error.to_string();
    assert!(shown.chars().all(|letter| !letter.is_control()) && shown.chars().count() == 1_000, "{shown:?}");
}

#[test]
fn a_new_field_or_a_new_word_breaks_nothing() {
    let record = json!({
        "id": ID, "kind": "hardware", "issued_at": 1_700_000_000, "novel": [1],
        "restrictions": [{ "type": "moon-phase", "phase": "full" }, { "type": "until", "until": 1_800_000_000 }],
    });
    let page = json!({ "items": [record], "next": null, "total": 1 });
    let tokens =
        block_on(server(&Script::of([ok(&page)])).tokens(&TokenQuery::default(), 10)).expect("a list");
    assert_eq!((tokens[0].kind.as_str(), tokens[0].restrictions.len()), ("hardware", 2));
}

#[test]
fn a_list_is_read_page_by_page_and_no_further_than_wanted() {
    let record =
        |n: u32| json!({ "id": format!("01890a5d-ac96-774b-bcce-{n:012}"), "kind": "ci", "issued_at": 0 });
    let page =
        |from: u32, next: Value| ok(&json!({ "items": [record(from), record(from + 1)], "next": next }));
    let script = Script::of([page(0, json!("a b&limit=9")), page(2, json!("c")), page(4, json!(null))]);
    let all = block_on(server(&script).tokens(&TokenQuery::default(), usize::MAX)).expect("a list");
    assert_eq!(all.len(), 6);
    assert!(script.asked(1).url().as_str().ends_with("&limit=100&cursor=a%20b%26limit%3D9"));

    let script = Script::of([page(0, json!("b")), page(2, json!("c"))]);
    let three = block_on(server(&script).tokens(&TokenQuery::default(), 3)).expect("a list");
    assert_eq!((three.len(), script.count()), (3, 2));
    assert!(script.asked(1).url().as_str().contains("&limit=1&"));
}

#[test]
fn a_name_is_compared_whole_and_an_unknown_one_is_told() {
    let organizations = ok(&json!({ "items": [{ "id": ID, "name": "acme" }] }));
    let script = Script::of([organizations]);
    let error = block_on(server(&script).organization("acm")).expect_err("another name");
    assert!(matches!(error, ServerError::NoSuch { what: "organization", .. }));
    assert_eq!(error.to_string(), "there is no organization `acm` that this token may use");
}

#[test]
fn a_device_token_is_ordered_as_the_api_has_it() {
    let record = json!({ "id": ID, "kind": "device", "issued_at": 0 });
    let script =
        Script::of([Response::new(201, json!({ "token": "cg1_canary", "record": record }).to_string())]);
    let access = DeviceAccess::ResolveOnly {
        workspace: ID.parse().expect("an id"),
        requirement: "^0.1".into(),
        closure: true,
    };
    let order = TokenOrder::Device { organization: ID.parse().expect("an id"), access };
    let life = Some(Duration::from_secs(60));
    let issued = block_on(server(&script).create_token(&order, "Submarine #137", life)).expect("a token");
    assert!(!format!("{issued:?}").contains("canary"));
    let sent: Value = serde_json::from_str(&body(&script.asked(0))).expect("JSON");
    let access = json!({ "type": "resolve-only", "workspace": ID, "requirement": "^0.1", "closure": "read" });
    let expected = json!({
        "kind": "device", "organization": ID, "access": access, "description": "Submarine #137", "expires_in": 60,
    });
    assert_eq!(sent, expected);
}

fn started(interval: Option<u64>) -> Response {
    let mut body = json!({
        "device_code": "canary-device", "user_code": "BDFG-HJKL", "expires_in": 900,
        "verification_uri": "https://cache.example.org/activate",
    });
    if let (Some(interval), Some(members)) = (interval, body.as_object_mut()) {
        members.insert("interval".to_owned(), json!(interval));
    }
    ok(&body)
}

#[test]
fn a_device_login_waits_slows_down_and_ends_with_a_session() {
    let granted = json!({ "access_token": "cg1_a", "token_type": "Bearer", "expires_in": 900, "refresh_token": "cgr_b" });
    let script = Script::of([
        started(None),
        problem(400, &json!({ "error": "authorization_pending" })),
        problem(400, &json!({ "error": "slow_down" })),
        ok(&granted),
    ]);
    let server = anonymous(&script);
    let mut login = block_on(server.start_device_login("gatectl on build-7")).expect("a login");
    assert!(!format!("{login:?}").contains("canary"));
    assert_eq!((login.user_code(), login.interval()), ("BDFG-HJKL", Duration::from_secs(5)));
    let mut poll = || block_on(server.poll_device_login(&mut login, now())).expect("a poll");
    assert!(matches!(poll(), DevicePoll::Pending));
    assert!(matches!(poll(), DevicePoll::SlowDown));
    let DevicePoll::Done(token) = poll() else { panic!("it is granted") };
    assert_eq!(login.interval(), Duration::from_secs(10), "slow_down makes all later waits longer");
    assert_eq!(token.expires_at(), Some(now().saturating_add(Duration::from_secs(900))));
    assert_eq!(token.refresh_for(&origin()).map(SecretText::expose_secret), Some("cgr_b"));
    assert!(body(&script.asked(3)).contains("device_code=canary-device&client_id=gatectl+on+build-7"));
    for index in 0..4 {
        assert_eq!(header(&script.asked(index), "authorization"), None, "the endpoint takes no token");
    }
}

#[test]
fn a_server_sets_no_interval_that_hammers_it_or_hangs() {
    for (said, taken) in [(0, 1), (7, 7), (1_000_000, 60)] {
        let login =
            block_on(anonymous(&Script::of([started(Some(said))])).start_device_login("x")).expect("a login");
        assert_eq!(login.interval(), Duration::from_secs(taken));
    }
}

#[test]
fn a_login_that_was_refused_or_forgotten_says_which() {
    for code in ["access_denied", "expired_token"] {
        let script = Script::of([started(None), problem(400, &json!({ "error": code }))]);
        let server = anonymous(&script);
        let mut login = block_on(server.start_device_login("x")).expect("a login");
        let error = block_on(server.poll_device_login(&mut login, now())).expect_err("no session");
        assert_eq!(error.code(), code);
        assert!(error.advice().contains("log in again"));
    }
}

#[test]
fn a_session_is_renewed_by_what_came_last() {
    let granted =
        |refresh: Value| ok(&json!({ "access_token": "cg1_n", "expires_in": 60, "refresh_token": refresh }));
    let script = Script::of([granted(json!("cgr_next")), granted(json!(null))]);
    let renewed =
        block_on(anonymous(&script).refresh(&token(), now())).expect("an answer").expect("a session");
    assert!(body(&script.asked(0)).starts_with("grant_type=refresh_token&refresh_token=cgr_canary&"));
    assert_eq!(renewed.refresh_for(&origin()).map(SecretText::expose_secret), Some("cgr_next"));
    let kept = block_on(anonymous(&script).refresh(&renewed, now())).expect("an answer").expect("a session");
    assert_eq!(kept.refresh_for(&origin()).map(SecretText::expose_secret), Some("cgr_next"));
    let plain = BoundToken::new(origin(), SecretText::new("cgp_x".into()));
    assert!(block_on(anonymous(&script).refresh(&plain, now())).expect("no request").is_none());
}

#[test]
fn the_end_of_a_session_takes_what_renews_it_first() {
    let script = Script::of([ok(&json!({})), ok(&json!({}))]);
    block_on(anonymous(&script).end_session(&token())).expect("both are over");
    assert!(body(&script.asked(0)).starts_with("token=cgr_canary&token_type_hint=refresh_token"));
    assert!(body(&script.asked(1)).starts_with("token=cg1_canary&token_type_hint=access_token"));
}

#[test]
fn no_answer_is_told_apart_from_a_refusal() {
    let script = Script::default();
    let detail = "refused".to_owned();
    let lost = FetchError::NotConnected { host: "cache.example.org".into(), detail };
    script.answers.lock().expect("no panic").push_back(Err(lost));
    let error = block_on(server(&Arc::new(script)).whoami()).expect_err("no answer");
    assert_eq!((error.code(), error.failure()), ("fetch_not_connected", Failure::Unavailable));
}

#[test]
fn a_reference_names_a_place_a_requirement_and_perhaps_an_output() {
    for (text, output) in [
        ("acme/app/0.1#default", Some("default")),
        ("acme/app/*", None),
        ("acme/app/>=1.2, <2#packages.x86_64-linux.hello", Some("packages.x86_64-linux.hello")),
        ("acme/app/=1.2.3#a#b", Some("a#b")),
    ] {
        let reference: ReleaseReference = text.parse().expect(text);
        assert_eq!(reference.output(), output);
        let again: ReleaseReference = reference.to_string().parse().expect("its own form");
        assert_eq!(again, reference);
    }
    for (text, what) in [
        ("", "organization"),
        ("/app/1#x", "organization"),
        ("acme", "workspace"),
        ("acme/a b/1", "workspace"),
        ("acme/app", "version requirement"),
        ("acme/app/", "version requirement"),
        ("acme/app/one#x", "version requirement"),
        ("acme/app/1/2#x", "version requirement"),
        ("https://cache.example.org/f/acme/app/1", "organization"),
        ("acme/app/1#", "output"),
        ("acme/app/1#a b", "output"),
    ] {
        let error = text.parse::<ReleaseReference>().expect_err(text).to_string();
        assert!(error.starts_with(&format!("its {what} ")), "{text}: {error}");
    }
}

#[test]
fn a_release_is_resolved_at_its_own_address_and_its_token_is_not_shown() {
    let found = json!({ "attribute_path": "a/b", "store_path": "/nix/store/x", "version": "0.1.4", "token": "cg1_canary" });
    let script = Script::of([ok(&found)]);
    let reference = "acme/app/>=0.1#a/b".parse().expect("a reference");
    let resolved = block_on(server(&script).resolve(&reference, true)).expect("resolved");
    assert_eq!(
        script.asked(0).url().as_str(),
        "https://cache.example.org/f/acme/app/%3E%3D0.1/output/a%2Fb?include_token=true"
    );
    assert_eq!(resolved.token.as_ref().map(SecretText::expose_secret), Some("cg1_canary"));
    let written = serde_json::to_string(&resolved).expect("written");
    assert!(!format!("{resolved:?} {written}").contains("canary") && written.contains("0.1.4"));
}

#[test]
fn a_refusal_in_plain_text_says_why_and_which_decision_it_was() {
    let text = |status, kind: &str, body: &str| {
        Response::new(status, body).with_header("content-type", kind).with_header("cachegate-decision", ID)
    };
    for (answer, code, failure) in [
        (text(404, "text/plain; charset=utf-8", "no release satisfies `2`\n"), "not_found", Failure::Refused),
        (text(403, "text/plain", "no release satisfies `2`"), "denied", Failure::Refused),
        (text(401, "text/plain", "no release satisfies `2`"), "not_authenticated", Failure::Unauthenticated),
    ] {
        let error = block_on(server(&Script::of([answer])).file("/f/x.tar.gz")).expect_err("refused");
        assert_eq!(
            (error.code(), error.failure(), error.to_string().as_str()),
            (code, failure, "no release satisfies `2`")
        );
        assert_eq!(error.decision().map(|id| id.to_string()).as_deref(), Some(ID));
    }
    for other in [text(404, "text/html", "<html>"), text(502, "text/plain", "")] {
        let error = block_on(server(&Script::of([other])).file("/f/x.tar.gz")).expect_err("no answer");
        assert_eq!(error.code(), "not_a_cachegate_answer");
    }
}
