//! The denial tables: each reviewed as a whole, and asked with real verdicts what they tell to whom.

#![expect(clippy::expect_used, reason = "tests")]

use std::time::Duration;

use cachegate::{
    Authority, Brand, Credential, DeviceAccess, NotAuthenticated, PersonalForm, Request, SealError,
    Unavailable, Verdict,
};
use cachegate_http::{Answer, DECISION, Outcome, Protocol, answer, denial, malformed};
use cachegate_policy::{LockScope, OpenTo, WorkspaceSettings};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Lane, Resource, Role, SecretText, WorkspaceId,
};
use http::{Response, StatusCode};
use proptest::prelude::*;

/// What happened, as the tables tell it apart, with an example of each.
async fn happenings(action: Action) -> Vec<(&'static str, Said)> {
    let scene = Scene::new().await;
    let reader = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
    let stranger = Scene::new().await.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
    let verdict = |verdict| Said::Verdict(Box::new(verdict));
    let mut all = vec![
        ("no credential", verdict(scene.ask(None, action, "1").await)),
        ("unknown token", verdict(scene.ask(Some(&stranger), action, "1").await)),
        ("unknown place", verdict(elsewhere(&scene, Some(&reader), action).await)),
    ];
    if action.changes_something() {
        all.push(("read-only", verdict(scene.ask(Some(&reader), action, "1").await)));
    }
    let id = scene.authenticate(&reader).await.token_id().expect("an id");
    scene.revoke(id).await;
    all.push(("revoked", verdict(scene.ask(Some(&reader), action, "1").await)));
    let spec = cachegate::TokenSpec::Ci {
        workspace: scene.workspace,
        level: AccessLevel::ReadWrite,
        lane: Lane::main(),
    };
    let expired = scene.issue(&spec, Some(Duration::from_secs(1))).await.token;
    all.push(("expired", verdict(scene.ask_at(Some(&expired), action, "1", (NOW + 1).into()).await)));
    scene.faults.cut();
    scene.clock.advance(Duration::from_secs(4));
    all.push(("unavailable", verdict(scene.ask(None, action, "1").await)));
    all.push(("unusable", Said::Outcome(Outcome::Unusable { why: "the key is too long" })));
    all.push(("failed", Said::Outcome(Outcome::Failed)));
    if action.changes_something() {
        all.push(("stored", Said::Outcome(Outcome::Stored)));
        all.push(("exists", Said::Outcome(Outcome::Exists)));
        all.push(("too large", Said::Outcome(Outcome::TooLarge { limit: 10 })));
        let ended = |error: SealError| Said::Outcome(Outcome::NotSealed(error));
        all.push(("revoked meanwhile", ended(NotAuthenticated::Revoked.into())));
        all.push(("locked meanwhile", ended(SealError::Denied { code: "locked" })));
        let detail = "the disk at /var/lib is full".to_owned();
        all.push(("store lost meanwhile", ended(Unavailable::Store { detail }.into())));
    } else {
        all.push(("miss", Said::Outcome(Outcome::Miss)));
    }
    all
}

enum Said {
    Verdict(Box<Verdict>),
    Outcome(Outcome),
}

impl Said {
    fn answer(&self, protocol: Protocol, action: Action) -> Answer {
        match self {
            Self::Verdict(verdict) => denial(protocol, action, verdict).expect("a refusal"),
            Self::Outcome(outcome) => answer(protocol, action, outcome),
        }
    }
}

async fn elsewhere(scene: &Scene, token: Option<&SecretText>, action: Action) -> Verdict {
    ask(scene, token, action, WorkspaceId::from_bytes([9; 16])).await
}

async fn ask(scene: &Scene, token: Option<&SecretText>, action: Action, place: WorkspaceId) -> Verdict {
    let credential = token
        .map(|token| Credential::parse(token.expose_secret(), scene.gate.brand()).expect("a credential"));
    let resource = Resource::entry(place, EntryKey::new(b"1").expect("a key"));
    scene.gate.check(credential.as_ref(), &Request::new(action, &resource), NOW.into()).await
}

/// The statuses as they were agreed: what happened, then those for a look and for a change, a protocol a column.
const REVIEWED: &[(&str, [(u16, u16); 7])] = &[
    //                        Nx          Turborepo   plain       Bazel       Gradle      Nix         WebDAV
    ("no credential", [(404, 403), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401)]),
    ("unknown token", [(401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401)]),
    ("revoked", [(401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401)]),
    ("expired", [(401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401), (401, 401)]),
    ("unknown place", [(404, 403), (403, 403), (403, 403), (403, 403), (403, 403), (403, 403), (404, 403)]),
    ("read-only", [(0, 403), (0, 403), (0, 403), (0, 403), (0, 403), (0, 403), (0, 403)]),
    ("unavailable", [(404, 403), (503, 503), (503, 503), (503, 503), (503, 503), (503, 403), (404, 503)]),
    ("failed", [(404, 403), (503, 503), (503, 503), (503, 503), (503, 503), (503, 403), (404, 503)]),
    ("unusable", [(404, 403), (400, 400), (400, 400), (400, 400), (400, 400), (400, 400), (400, 400)]),
    ("miss", [(404, 0), (404, 0), (404, 0), (404, 0), (404, 0), (404, 0), (404, 0)]),
    ("stored", [(0, 200), (0, 202), (0, 201), (0, 201), (0, 201), (0, 201), (0, 201)]),
    ("exists", [(0, 409), (0, 200), (0, 200), (0, 200), (0, 200), (0, 200), (0, 200)]),
    ("too large", [(0, 403), (0, 413), (0, 413), (0, 413), (0, 413), (0, 413), (0, 413)]),
    ("revoked meanwhile", [(0, 403), (0, 403), (0, 403), (0, 403), (0, 403), (0, 403), (0, 403)]),
    ("locked meanwhile", [(0, 403), (0, 403), (0, 403), (0, 403), (0, 403), (0, 403), (0, 403)]),
    ("store lost meanwhile", [(0, 403), (0, 503), (0, 503), (0, 503), (0, 503), (0, 403), (0, 503)]),
];

#[test]
fn each_answer_has_the_status_that_its_client_does_the_right_thing_with() {
    block_on(async {
        for action in Action::ALL {
            for (name, said) in happenings(action).await {
                let (_, columns) = REVIEWED.iter().find(|(row, _)| *row == name).expect("a reviewed row");
                for (protocol, (look, change)) in Protocol::ALL.iter().zip(columns) {
                    let agreed = if action.changes_something() { change } else { look };
                    // What Nix may not resolve is not there; what it resolved and may not read is refused.
                    let hidden =
                        (*protocol, action, name) == (Protocol::Nix, Action::Resolve, "unknown place");
                    let agreed = if hidden { &404 } else { agreed };
                    let answer = said.answer(*protocol, action);
                    assert_eq!(answer.status.as_u16(), *agreed, "{protocol} {action} {name}");
                    assert_eq!(answer.challenge, *agreed == 401, "{protocol} {action} {name}");
                }
            }
        }
    });
}

#[test]
fn every_protocol_has_its_column_and_its_own_name() {
    let mut names: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.as_str()).collect();
    names.dedup();
    assert_eq!(names, ["nx", "turborepo", "plain", "bazel", "gradle", "nix", "webdav"]);
}

#[test]
fn an_allowed_request_has_no_refusal() {
    block_on(async {
        let scene = Scene::new().await;
        let writer = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let verdict = scene.ask(Some(&writer), Action::Write, "1").await;
        assert!(Protocol::ALL.iter().all(|protocol| denial(*protocol, Action::Write, &verdict).is_none()));
    });
}

#[test]
fn every_text_is_one_short_line_without_control_characters_and_in_the_protocols_form() {
    block_on(async {
        for action in Action::ALL {
            for (name, said) in happenings(action).await {
                for protocol in Protocol::ALL {
                    let answer = said.answer(*protocol, action);
                    let text = answer.text.clone();
                    assert!(!text.is_empty() && text.len() <= 600, "{name}: {text}");
                    assert!(!text.chars().any(char::is_control), "{name}: {text:?}");
                    assert!(!text.contains("/var/lib"), "{name}: what the store said is for the log: {text}");
                    let status = answer.status;
                    let (head, body) = answer.into_response::<String>().into_parts();
                    let media_type = head.headers.get("content-type").expect("a type").clone();
                    if *protocol != Protocol::Turborepo {
                        assert_eq!((media_type.as_bytes(), body), (&b"text/plain"[..], format!("{text}\n")));
                        continue;
                    }
                    assert_eq!(media_type, "application/json");
                    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                    if status.is_success() {
                        assert_eq!(body, serde_json::json!({ "urls": [] }));
                    } else {
                        assert_eq!(body["error"]["message"], text);
                        let forbidden = status == StatusCode::FORBIDDEN;
                        assert_eq!(body["error"]["code"] == "forbidden", forbidden, "{name}");
                    }
                }
            }
        }
    });
}

#[test]
fn a_refusal_becomes_a_response() {
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
        let mut typo = token.expose_secret().to_owned();
        let last = typo.pop();
        typo.push(if last == Some('0') { '1' } else { '0' });
        let error = Credential::parse(&typo, &Brand::default()).expect_err("a wrong checksum");
        assert_eq!(error.code(), "bad_checksum");
        for action in Action::ALL {
            let unknown = scene.ask(Some(&token), action, "1").await;
            for protocol in Protocol::ALL {
                let known = denial(*protocol, action, &unknown);
                assert_eq!(known, Some(malformed(*protocol, action, &error)));
            }
        }
    });
}

// What a stranger learns.

/// Everything that reaches the wire but for the one thing that differs each time: the decision's own id, of which
/// the length is left.
fn on_the_wire(protocol: Protocol, action: Action, verdict: &Verdict) -> String {
    let answer = denial(protocol, action, verdict).expect("a refusal");
    let decision = answer.decision.map(|id| id.to_string());
    let response = answer.into_response::<String>();
    let wire = format!("{} {:?} {}", response.status(), response.headers(), response.body());
    match decision {
        Some(decision) => wire.replace(&decision, &"x".repeat(decision.len())),
        None => wire,
    }
}

/// Whatever is refused to whomever, its refusal can be asked about, by an id that says nothing of what was refused.
#[test]
fn every_refusal_that_was_decided_carries_its_id_in_a_header_and_in_the_text() {
    block_on(async {
        for action in Action::ALL {
            for (name, said) in happenings(action).await {
                let denied =
                    matches!(&said, Said::Verdict(verdict) if matches!(**verdict, Verdict::Denied(_)));
                for protocol in Protocol::ALL {
                    let answer = said.answer(*protocol, action);
                    assert_eq!(answer.decision.is_some(), denied, "{protocol} {action} {name}");
                    let (decision, text) = (answer.decision.map(|id| id.to_string()), answer.text.clone());
                    let response = answer.into_response::<String>();
                    let told = response.headers().get(DECISION).map(|id| id.to_str().expect("text"));
                    assert_eq!(told, decision.as_deref(), "{protocol} {action} {name}");
                    if let Some(decision) = decision {
                        assert!(text.ends_with(&format!(" (decision {decision})")), "{text}");
                        assert!(response.body().contains(&decision), "{}", response.body());
                    }
                }
            }
        }
    });
}

#[test]
fn the_id_of_a_refusal_opens_its_explanation_to_whoever_was_refused_and_to_administrators() {
    block_on(async {
        let scene = Scene::new().await;
        let reader = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let other = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let verdict = scene.ask(Some(&reader), Action::Write, "1").await;
        let id = denial(Protocol::Bazel, Action::Write, &verdict).and_then(|answer| answer.decision);
        let id = id.expect("an id");
        let asked = async |token: &SecretText| {
            let who = scene.authenticate(token).await;
            let refusal = scene.gate.refusal(&Authority::Of(&who), id, NOW.into()).await;
            refusal.map(|refusal| refusal.reason.map(|reason| reason.code()))
        };
        assert_eq!(asked(&reader).await.expect("theirs"), None);
        assert_eq!(asked(&scene.administrator).await.expect("an administrator"), Some("action_not_granted"));
        assert!(asked(&other).await.is_err(), "another token's refusal is nobody else's");
    });
}

/// Counted ids would tell how many refusals lie between two of a stranger's own: some of them are made where a thing
/// exists alone.
#[test]
fn two_ids_say_nothing_of_what_lies_between_them() {
    block_on(async {
        let scene = Scene::new().await;
        let refused = async || {
            let verdict = scene.ask(None, Action::Read, "1").await;
            let decision = denial(Protocol::Plain, Action::Read, &verdict).and_then(|answer| answer.decision);
            u128::from_be_bytes(decision.expect("an id").to_bytes()) & u128::from(u64::MAX >> 2)
        };
        let ids: Vec<_> = [refused().await, refused().await, refused().await, refused().await].into();
        let steps: Vec<_> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    });
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
enum Asker {
    Nobody,
    Ci(AccessLevel, bool),
    Member,
    Owner,
    Outsider,
    Device,
    ForeignDevice,
}

fn askers() -> impl Strategy<Value = Asker> {
    prop_oneof![
        Just(Asker::Nobody),
        (any::<bool>(), any::<bool>()).prop_map(|(writes, pull)| {
            Asker::Ci(if writes { AccessLevel::ReadWrite } else { AccessLevel::ReadOnly }, pull)
        }),
        Just(Asker::Member),
        Just(Asker::Owner),
        Just(Asker::Outsider),
        Just(Asker::Device),
        Just(Asker::ForeignDevice),
    ]
}

fn levels() -> impl Strategy<Value = AccessLevel> {
    prop::sample::select(AccessLevel::ALL.as_slice())
}

/// A place that exists, and what its administrators chose.
#[derive(Clone, Copy, Debug)]
struct Place {
    own_organization: bool,
    anonymous: AccessLevel,
    personal: AccessLevel,
    listed_only: bool,
    locked: bool,
    frozen: bool,
}

fn places() -> impl Strategy<Value = Place> {
    let choices = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    // Most places are closed to strangers: the others teach nothing here.
    let anonymous = prop_oneof![4 => Just(AccessLevel::None), 1 => levels()];
    (choices, anonymous, levels()).prop_map(|(choices, anonymous, personal)| {
        let (own_organization, listed_only, locked, frozen) = choices;
        Place { own_organization, anonymous, personal, listed_only, locked, frozen }
    })
}

async fn token_of(scene: &Scene, asker: Asker) -> Option<SecretText> {
    let operator = Authority::Operator;
    match asker {
        Asker::Nobody => None,
        Asker::Ci(level, pull) => {
            let lane = if pull { "pull/17".parse().expect("a lane") } else { Lane::main() };
            Some(scene.ci_token(level, lane).await)
        }
        Asker::Member => Some(scene.person(Role::Member, ActionSet::ALL).await.1),
        Asker::Owner => Some(scene.administrator.clone()),
        Asker::Outsider => {
            let user = scene.gate.create_user(&operator, Description::default(), NOW.into()).await;
            Some(scene.personal(user.expect("a user"), ActionSet::ALL, PersonalForm::Opaque).await.token)
        }
        Asker::Device => Some(scene.device(DeviceAccess::Normal).await.token),
        Asker::ForeignDevice => {
            let (organization, _) = scene.elsewhere("foreign").await;
            let access = DeviceAccess::Normal;
            Some(scene.issue(&cachegate::TokenSpec::Device { organization, access }, None).await.token)
        }
    }
}

async fn make(scene: &Scene, place: Place) -> WorkspaceId {
    let operator = Authority::Operator;
    let settings = WorkspaceSettings {
        anonymous: place.anonymous,
        personal: place.personal,
        open_to: if place.listed_only { OpenTo::Listed } else { OpenTo::Members },
        ..WorkspaceSettings::default()
    };
    let (organization, workspace) = if place.own_organization {
        let name = "other".parse().expect("a name");
        let made =
            scene.gate.create_workspace(&operator, scene.organization, name, settings, NOW.into()).await;
        (scene.organization, made.expect("a workspace"))
    } else {
        let (organization, workspace) = scene.elsewhere("neighbour").await;
        scene.gate.set_settings(&operator, workspace, &settings, NOW.into()).await.expect("set");
        (organization, workspace)
    };
    let scopes = [
        (place.locked, LockScope::Workspace(workspace)),
        (place.frozen, LockScope::Organization(organization)),
    ];
    for (_, scope) in scopes.into_iter().filter(|(wanted, _)| *wanted) {
        let reason = Description::default();
        scene.gate.lock(&operator, scope, ActionSet::ALL, None, reason, NOW.into()).await.expect("a lock");
    }
    workspace
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Whoever holds nothing in a place cannot tell it from one that does not exist: not by status, not by a header, not
    /// by a byte of the body; whatever they ask, through whichever protocol, whoever they are, locked or not.
    #[test]
    fn no_table_tells_a_stranger_whether_a_thing_exists(
        asker in askers(),
        place in places(),
        unknown in any::<[u8; 16]>(),
    ) {
        block_on(async {
            let scene = Scene::new().await;
            let workspace = make(&scene, place).await;
            let token = token_of(&scene, asker).await;
            // What the asker holds there once the locks are gone is what they may know of.
            let open = Scene::new().await;
            let unlocked = make(&open, Place { locked: false, frozen: false, ..place }).await;
            let same = token_of(&open, asker).await;
            for action in Action::ALL {
                if ask(&open, same.as_ref(), action, unlocked).await.is_allowed() {
                    return;
                }
            }
            for action in Action::ALL {
                let there = ask(&scene, token.as_ref(), action, workspace).await;
                let nowhere = ask(&scene, token.as_ref(), action, WorkspaceId::from_bytes(unknown)).await;
                for protocol in Protocol::ALL {
                    assert_eq!(
                        on_the_wire(*protocol, action, &there),
                        on_the_wire(*protocol, action, &nowhere),
                        "{protocol} {action}: {} and {}",
                        there.code(),
                        nowhere.code()
                    );
                }
            }
        });
    }

    /// The tables have no other input than what happened: the key that was asked for changes no answer.
    #[test]
    fn no_table_answers_one_key_otherwise_than_another(asker in askers(), one in "[ -~]{1,40}", other in "[ -~]{1,40}") {
        block_on(async {
            let scene = Scene::new().await;
            let token = token_of(&scene, asker).await;
            for action in Action::ALL {
                let (one, other) = (
                    scene.ask(token.as_ref(), action, &one).await,
                    scene.ask(token.as_ref(), action, &other).await,
                );
                assert_eq!(one.is_allowed(), other.is_allowed());
                for protocol in Protocol::ALL.iter().filter(|_| !one.is_allowed()) {
                    assert_eq!(on_the_wire(*protocol, action, &one), on_the_wire(*protocol, action, &other));
                }
            }
        });
    }
}
