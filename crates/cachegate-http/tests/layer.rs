//! The tower layer in front of services that are not ours: what it lets through, what it answers itself, what becomes
//! of bodies.

#![expect(clippy::expect_used, reason = "tests")]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use cachegate::{Allowed, Brand, Credential};
use cachegate_http::{
    Answer, Asked, AuthorizationLayer, DECISION, Outcome, Protocol, answer, denial, malformed,
};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, EntryKey, Lane, Resource, SecretText, WorkspaceId};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn};

type Bytes = std::collections::VecDeque<u8>;

/// What the embedder makes of a request: `GET`, `HEAD` and `PUT` of `/KEY`.
fn asked(workspace: WorkspaceId, protocol: Protocol, parts: &Parts) -> Result<Asked, Answer> {
    let action = match parts.method.as_str() {
        "GET" | "HEAD" => Action::Read,
        "PUT" => Action::Write,
        _ => {
            let outcome = Outcome::Unusable { why: "entries are read and written" };
            return Err(answer(protocol, Action::Read, &outcome));
        }
    };
    let key = parts.uri.path().trim_start_matches('/').as_bytes();
    let key = EntryKey::new(key)
        .map_err(|_| answer(protocol, action, &Outcome::Unusable { why: "the key is too long" }))?;
    Ok(Asked { protocol, action, resource: Resource::entry(workspace, key) })
}

/// A body that counts how much of it was read.
struct Chunks {
    left: usize,
    read: Arc<AtomicUsize>,
}

const CHUNK: usize = 1000;

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.left.checked_sub(CHUNK).map(|left| {
            self.left = left;
            self.read.fetch_add(CHUNK, Ordering::SeqCst);
            Ok(Frame::data(vec![0; CHUNK].into()))
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// What came back, and whether the service inside was called.
struct Seen {
    response: Response<String>,
    inside: usize,
}

/// Sends a request through the layer to a service that tells what it found.
fn send<B: Body + Send + 'static>(scene: &Scene, protocol: Protocol, request: Request<B>) -> Seen {
    let inside = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&inside);
    let service = service_fn(move |request: Request<B>| {
        calls.fetch_add(1, Ordering::SeqCst);
        async move {
            let allowed = request.extensions().get::<Allowed>().expect("what was allowed");
            let asked = request.extensions().get::<Asked>().expect("what was asked");
            let reads: Vec<_> = allowed.read_lanes().map(ToString::to_string).collect();
            let writes = allowed.write_lane().map(ToString::to_string);
            let told = format!("{} {} {writes:?}", asked.action, reads.join(" "));
            Ok::<_, Infallible>(Response::new(told))
        }
    });
    let workspace = scene.workspace;
    let ask = move |parts: &Parts| asked(workspace, protocol, parts);
    let service = AuthorizationLayer::new(scene.gate.clone(), || NOW.into(), ask).layer(service);
    let response = block_on(service.oneshot(request)).expect("an answer");
    Seen { response, inside: inside.load(Ordering::SeqCst) }
}

fn request(method: &str, path: &str, token: Option<&SecretText>) -> Request<Empty<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    request.body(Empty::new()).expect("a request")
}

#[test]
fn what_is_allowed_goes_through_with_its_lanes() {
    let scene = block_on(Scene::new());
    let pull = block_on(scene.ci_token(AccessLevel::ReadWrite, "pull/7".parse().expect("a lane")));
    for (method, told) in [
        ("GET", "read pull/7 release main None"),
        ("HEAD", "read pull/7 release main None"),
        ("PUT", "write pull/7 release main Some(\"pull/7\")"),
    ] {
        let seen = send(&scene, Protocol::Plain, request(method, "/k", Some(&pull)));
        assert_eq!((seen.response.status(), seen.inside), (StatusCode::OK, 1), "{method}");
        assert_eq!(seen.response.body(), told, "{method}");
    }
}

#[test]
fn the_service_inside_seals_what_it_stored() {
    let scene = block_on(Scene::new());
    let writer = block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let (gate, workspace) = (scene.gate.clone(), scene.workspace);
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let gate = gate.clone();
        async move {
            let (parts, body) = request.into_parts();
            let allowed = parts.extensions.get::<Allowed>().expect("what was allowed");
            let Some(Asked { protocol, resource: Resource::Entry { key, .. }, .. }) = parts.extensions.get()
            else {
                panic!("an entry was asked for");
            };
            let length = body.collect().await.expect("a body").aggregate().remaining() as u64;
            let ticket = allowed.ticket(key.clone()).expect("a ticket");
            let sealed = gate.seal(&ticket, &[7; 32], length, NOW.into()).await;
            assert!(sealed.is_ok());
            let stored = answer(*protocol, Action::Write, &Outcome::Stored);
            Ok::<_, Infallible>(stored.into_response::<String>())
        }
    });
    let layer = AuthorizationLayer::new(
        scene.gate,
        || NOW.into(),
        move |parts: &Parts| asked(workspace, Protocol::Turborepo, parts),
    );
    let request = request("PUT", "/k", Some(&writer)).map(|_| Full::new(Bytes::from(vec![1, 2, 3])));
    let response = block_on(layer.layer(service).oneshot(request)).expect("an answer");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
}

#[test]
fn every_refusal_is_the_denial_of_its_protocol_and_never_goes_through() {
    let scene = block_on(Scene::new());
    let reader = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let revoked = block_on(scene.ci(AccessLevel::ReadWrite, Lane::main()));
    block_on(scene.revoke(revoked.record.id));
    let unknown = block_on(async { Scene::new().await.ci_token(AccessLevel::ReadWrite, Lane::main()).await });
    let cases = [
        (None, "GET", Action::Read, "action_not_granted"),
        (None, "PUT", Action::Write, "action_not_granted"),
        (Some(&reader), "PUT", Action::Write, "action_not_granted"),
        (Some(&unknown), "GET", Action::Read, "unknown_token"),
        (Some(&revoked.token), "PUT", Action::Write, "revoked"),
    ];
    let refused = |token: Option<&SecretText>, method: &str, action, code: &str| {
        let verdict = block_on(scene.ask(token, action, "k"));
        assert_eq!(verdict.code(), code, "{method}");
        for protocol in Protocol::ALL {
            let seen = send(&scene, *protocol, request(method, "/k", token));
            let agreed = denial(*protocol, action, &verdict).expect("a refusal").into_response::<String>();
            assert_eq!(seen.inside, 0, "{protocol} {method}");
            assert_eq!(seen.response.status(), agreed.status(), "{protocol} {method}");
            let names = |response: &Response<String>| response.headers().keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&seen.response), names(&agreed), "{protocol} {method}");
            if !agreed.headers().contains_key(DECISION) {
                assert_eq!(seen.response.body(), agreed.body(), "{protocol} {method}");
            }
        }
    };
    for (token, method, action, code) in cases {
        refused(token, method, action, code);
    }
    scene.faults.cut();
    scene.clock.advance(Duration::from_secs(10));
    refused(Some(&reader), "GET", Action::Read, "store_unavailable");
}

#[test]
fn a_credential_that_cannot_be_read_never_becomes_anonymous() {
    let scene = block_on(Scene::new());
    block_on(scene.settings(|settings| settings.anonymous = AccessLevel::ReadWrite));
    let seen = send(&scene, Protocol::Nx, request("GET", "/k", None));
    assert_eq!((seen.response.status(), seen.inside), (StatusCode::OK, 1), "the control");
    let token = block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let mut twice = request("GET", "/k", Some(&token));
    let again = twice.headers().get(header::AUTHORIZATION).expect("a header").clone();
    twice.headers_mut().append(header::AUTHORIZATION, again);
    let in_url = request("GET", &format!("/k?access_token={}", token.expose_secret()), None);
    let mut basic = request("GET", "/k", None);
    basic.headers_mut().insert(header::AUTHORIZATION, "Basic !".parse().expect("a value"));
    for request in [twice, in_url, basic] {
        let seen = send(&scene, Protocol::Nx, request);
        assert_eq!((seen.response.status(), seen.inside), (StatusCode::UNAUTHORIZED, 0));
        assert!(seen.response.headers().contains_key(header::WWW_AUTHENTICATE));
        assert!(!seen.response.body().contains(token.expose_secret()));
    }
    let error = Credential::parse("a b", &Brand::default()).expect_err("no token");
    let agreed: Response<String> = malformed(Protocol::Nx, Action::Read, &error).into_response();
    let seen = send(&scene, Protocol::Nx, request("GET", "/k", Some(&SecretText::new("a b".to_owned()))));
    assert_eq!(seen.response.body(), agreed.body());
}

#[test]
fn a_refused_head_has_the_status_of_the_get_and_no_body() {
    let scene = block_on(Scene::new());
    for protocol in Protocol::ALL {
        let get = send(&scene, *protocol, request("GET", "/k", None)).response;
        let head = send(&scene, *protocol, request("HEAD", "/k", None)).response;
        assert_eq!(head.status(), get.status(), "{protocol}");
        assert_eq!((head.body().as_str(), get.body().is_empty()), ("", false), "{protocol}");
    }
}

#[test]
fn where_there_is_nothing_to_ask_the_function_answers_itself() {
    let scene = block_on(Scene::new());
    let seen = send(&scene, Protocol::Bazel, request("DELETE", "/k", Some(&scene.administrator)));
    assert_eq!((seen.response.status(), seen.inside), (StatusCode::BAD_REQUEST, 0));
    assert!(scene.recorder.take().iter().all(|event| event.action != Action::Read), "nothing was decided");
}

#[test]
fn a_body_that_is_let_through_was_not_touched() {
    let scene = block_on(Scene::new());
    let writer = block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let read = Arc::new(AtomicUsize::new(0));
    let body = Chunks { left: 1 << 30, read: Arc::clone(&read) };
    let seen = send(&scene, Protocol::Plain, request("PUT", "/k", Some(&writer)).map(|_| body));
    assert_eq!((seen.inside, read.load(Ordering::SeqCst)), (1, 0));
}

#[test]
fn of_a_refused_body_a_mebibyte_is_read_so_that_the_client_sees_the_answer() {
    let scene = block_on(Scene::new());
    let sent = |length: usize, change: fn(&mut Request<Chunks>)| {
        let read = Arc::new(AtomicUsize::new(0));
        let body = Chunks { left: length, read: Arc::clone(&read) };
        let mut request = request("PUT", "/k", None).map(|_| body);
        change(&mut request);
        let seen = send(&scene, Protocol::Nx, request);
        assert_eq!((seen.response.status(), seen.inside), (StatusCode::FORBIDDEN, 0));
        read.load(Ordering::SeqCst)
    };
    assert_eq!(sent(5 * CHUNK, |_| ()), 5 * CHUNK);
    assert_eq!(sent(1 << 30, |_| ()), 1_049_000, "and not much more");
    let waits = |request: &mut Request<Chunks>| {
        request.headers_mut().insert(header::EXPECT, header::HeaderValue::from_static("100-continue"));
    };
    assert_eq!(sent(5 * CHUNK, waits), 0, "whoever waits has not sent it");
    assert_eq!(sent(5 * CHUNK, |request| *request.version_mut() = Version::HTTP_2), 0);
}

#[test]
fn how_much_is_read_of_a_refused_body_is_the_embedders_choice() {
    let scene = block_on(Scene::new());
    let workspace = scene.workspace;
    let read = Arc::new(AtomicUsize::new(0));
    let body = Chunks { left: 5 * CHUNK, read: Arc::clone(&read) };
    let ask = move |parts: &Parts| asked(workspace, Protocol::Nx, parts);
    let layer = AuthorizationLayer::new(scene.gate, || NOW.into(), ask).discarding(CHUNK as u64);
    let inside = service_fn(async |_: Request<Chunks>| Ok::<_, Infallible>(Response::new(String::new())));
    let request = request("PUT", "/k", None).map(|_| body);
    let response = block_on(layer.layer(inside).oneshot(request)).expect("an answer");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(read.load(Ordering::SeqCst), 2 * CHUNK);
}

#[test]
fn it_goes_around_an_axum_router() {
    let scene = block_on(Scene::new());
    let reader = block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main()));
    let workspace = scene.workspace;
    let ask = move |parts: &Parts| asked(workspace, Protocol::Gradle, parts);
    let lanes = async |axum::Extension(allowed): axum::Extension<Allowed>| {
        allowed.read_lanes().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let router = axum::Router::new()
        .route("/{key}", axum::routing::get(lanes))
        .layer(AuthorizationLayer::new(scene.gate, || NOW.into(), ask));
    let got = |token: Option<&SecretText>| {
        let request = request("GET", "/k", token).map(|_| axum::body::Body::empty());
        let response = block_on(router.clone().oneshot(request)).expect("an answer");
        let status = response.status();
        let body = block_on(axum::body::to_bytes(response.into_body(), 1000)).expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    };
    assert_eq!(got(Some(&reader)), (StatusCode::OK, "main release".to_owned()));
    assert_eq!(got(None).0, StatusCode::UNAUTHORIZED);
}
