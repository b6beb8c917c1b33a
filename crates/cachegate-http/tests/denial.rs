//! The denial tables, over real verdicts: what Nx and plain HTTP clients get, and what nobody learns.

#![expect(clippy::expect_used, reason = "tests")]

use std::time::Duration;

use cachegate::{Authority, Brand, Credential, Request, Verdict};
use cachegate_http::{Denial, Protocol, denial, malformed};
use cachegate_policy::WorkspaceSettings;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, EntryKey, Lane, Resource, SecretText, WorkspaceId};
use http::{Response, StatusCode};

const PROTOCOLS: [Protocol; 2] = [Protocol::Nx, Protocol::Plain];

/// A verdict of each kind that refuses, by name.
async fn refusals(action: Action) -> Vec<(&'static str, Verdict)> {
    let scene = Scene::new().await;
    let reader = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
    let mut all = vec![
        ("no credential", scene.ask(None, action, "1").await),
        ("unknown place", elsewhere(&scene, Some(&reader), action).await),
    ];
    if action.changes_something() {
        all.push(("read-only", scene.ask(Some(&reader), action, "1").await));
    }
    let other = Scene::new().await;
    let stranger = other.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
    all.push(("unknown", scene.ask(Some(&stranger), action, "1").await));
    let id = scene.authenticate(&reader).await.token_id().expect("an id");
    scene
        .gate
        .revoke(&Authority::Operator, id, "a test".parse().expect("a reason"), NOW.into())
        .await
        .expect("revoked");
    all.push(("revoked", scene.ask(Some(&reader), action, "1").await));
    let spec = cachegate::TokenSpec::Ci {
        workspace: scene.workspace,
        level: AccessLevel::ReadWrite,
        lane: Lane::main(),
    };
    let expired = scene.issue(&spec, Some(Duration::from_secs(1))).await.token;
    all.push(("expired", scene.ask_at(Some(&expired), action, "1", (NOW + 1).into()).await));
    scene.faults.cut();
    scene.clock.advance(Duration::from_secs(4));
    all.push(("unavailable", scene.ask(None, action, "1").await));
    all
}

async fn elsewhere(scene: &Scene, token: Option<&SecretText>, action: Action) -> Verdict {
    let who = match token {
        Some(token) => Some(scene.authenticate(token).await),
        None => None,
    };
    let place = WorkspaceId::from_bytes([9; 16]);
    let resource = Resource::entry(place, EntryKey::new(b"1").expect("a key"));
    let request = Request::new(action, &resource);
    match who {
        Some(who) => scene.gate.authorize(&who, &request, NOW.into()).await,
        None => scene.gate.check(None, &request, NOW.into()).await,
    }
}

fn status(protocol: Protocol, action: Action, name: &str) -> StatusCode {
    let looks = action == Action::Read;
    match (protocol, name) {
        (_, "unknown" | "revoked" | "expired") => StatusCode::UNAUTHORIZED,
        (Protocol::Nx, _) if looks => StatusCode::NOT_FOUND,
        (Protocol::Nx, _) => StatusCode::FORBIDDEN,
        (_, "no credential") => StatusCode::UNAUTHORIZED,
        (_, "unavailable") => StatusCode::SERVICE_UNAVAILABLE,
        (_, _) => StatusCode::FORBIDDEN,
    }
}

#[test]
fn each_refusal_has_the_status_that_its_client_does_the_right_thing_with() {
    block_on(async {
        for action in [Action::Read, Action::Write] {
            for (name, verdict) in refusals(action).await {
                assert!(!verdict.is_allowed(), "{name}");
                for protocol in PROTOCOLS {
                    let denial = denial(protocol, action, &verdict).expect("a refusal");
                    assert_eq!(denial.status, status(protocol, action, name), "{protocol:?} {action} {name}");
                    assert_eq!(denial.challenge, denial.status == StatusCode::UNAUTHORIZED, "{name}");
                }
            }
        }
    });
}

#[test]
fn an_allowed_request_has_no_refusal() {
    block_on(async {
        let scene = Scene::new().await;
        let writer = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let verdict = scene.ask(Some(&writer), Action::Write, "1").await;
        assert!(PROTOCOLS.iter().all(|protocol| denial(*protocol, Action::Write, &verdict).is_none()));
    });
}

#[test]
fn a_refusal_is_one_short_line_without_control_characters() {
    block_on(async {
        for action in [Action::Read, Action::Write] {
            for (name, verdict) in refusals(action).await {
                for protocol in PROTOCOLS {
                    let text = denial(protocol, action, &verdict).expect("a refusal").text;
                    assert!(!text.is_empty() && text.len() <= 600, "{name}: {text}");
                    assert!(!text.chars().any(char::is_control), "{name}: {text:?}");
                }
            }
        }
    });
}

/// Whoever holds nothing in a workspace cannot tell it from one that does not exist, in any table.
#[test]
fn no_table_tells_a_stranger_whether_a_workspace_exists() {
    block_on(async {
        let scene = Scene::new().await;
        let settings = WorkspaceSettings::default();
        let other = scene
            .gate
            .create_workspace(
                &Authority::Operator,
                scene.organization,
                "other".parse().expect("a name"),
                settings,
                NOW.into(),
            )
            .await
            .expect("a workspace");
        let token = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let who = scene.authenticate(&token).await;
        for action in Action::ALL {
            let mut seen: Vec<Vec<Option<Denial>>> = Vec::new();
            for place in [other, WorkspaceId::from_bytes([9; 16])] {
                let resource = Resource::entry(place, EntryKey::new(b"1").expect("a key"));
                let request = Request::new(action, &resource);
                let with = scene.gate.authorize(&who, &request, NOW.into()).await;
                let without = scene.gate.check(None, &request, NOW.into()).await;
                seen.push(
                    PROTOCOLS
                        .iter()
                        .flat_map(|protocol| {
                            [denial(*protocol, action, &with), denial(*protocol, action, &without)]
                        })
                        .collect(),
                );
            }
            assert_eq!(seen.first(), seen.last(), "{action}");
            assert!(seen.iter().flatten().all(Option::is_some), "{action} is refused in both");
        }
    });
}

#[test]
fn a_refusal_becomes_a_plain_text_response() {
    let error = Credential::parse("a b", &Brand::default()).expect_err("no token");
    let response: Response<String> = malformed(Protocol::Nx, Action::Write, &error).into_response();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("www-authenticate"), Some("Basic realm=\"cachegate\""));
    assert_eq!(header("content-type"), Some("text/plain"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(response.body(), &format!("this credential is malformed ({})\n", error.code()));
}

/// A stranger who tries texts learns nothing from the checksum.
#[test]
fn a_wrong_checksum_reads_as_an_unknown_token() {
    block_on(async {
        let scene = Scene::new().await;
        let token = Scene::new().await.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let unknown = scene.ask(Some(&token), Action::Read, "1").await;
        let mut typo = token.expose_secret().to_owned();
        let last = typo.pop();
        typo.push(if last == Some('0') { '1' } else { '0' });
        let error = Credential::parse(&typo, &Brand::default()).expect_err("a wrong checksum");
        assert_eq!(error.code(), "bad_checksum");
        for protocol in PROTOCOLS {
            let known = denial(protocol, Action::Read, &unknown);
            assert_eq!(known, Some(malformed(protocol, Action::Read, &error)));
        }
    });
}
