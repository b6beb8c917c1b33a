//! Labels: which entries are served, and whose word that rests on.
#![expect(clippy::expect_used, clippy::panic, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{Allowed, Authority, Gate, MemoryVault, NotAdmitted, Request, SealError, Ticket, Verdict};
use cachegate_jwt::{Label, LabelFields, LabelKey};
use cachegate_policy::{LaneOrder, LockScope};
use cachegate_storage::{KeyPurpose, MarkScope};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Lane, LaneClass, Principal, Resource, Role,
    SecretBytes, SecretText, Timestamp, WorkspaceId,
};

const OPERATOR: Authority<'_> = Authority::Operator;
const BODY: [u8; 32] = [0xb0; 32];

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn why() -> Description {
    Description::default()
}

fn key() -> EntryKey {
    EntryKey::new(b"key").expect("a key")
}

async fn allowed(scene: &Scene, token: &SecretText, action: Action) -> Allowed {
    match scene.ask(Some(token), action, "key").await {
        Verdict::Allowed(allowed) => allowed,
        other => panic!("{other:?}"),
    }
}

async fn ticket(scene: &Scene, token: &SecretText) -> Ticket {
    allowed(scene, token, Action::Write).await.ticket(key()).expect("a ticket")
}

async fn seal(scene: &Scene, token: &SecretText) -> Vec<u8> {
    let ticket = ticket(scene, token).await;
    scene.gate.seal(&ticket, &BODY, 7, NOW.into()).await.expect("a label")
}

async fn admit(scene: &Scene, label: &[u8], token: &SecretText) -> Result<(), NotAdmitted> {
    let allowed = allowed(scene, token, Action::Read).await;
    scene.gate.admit(Some(label), &key(), &BODY, &allowed).await.map(drop)
}

async fn writer(scene: &Scene) -> SecretText {
    scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await
}

#[test]
fn labels_bind_the_bytes() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let label = seal(&scene, &token.token).await;
        let reader = allowed(&scene, &token.token, Action::Read).await;
        let found = scene.gate.admit(Some(&label), &key(), &BODY, &reader).await.expect("admitted");
        assert_eq!((found.lane, found.length, found.at), (Lane::main(), 7, NOW.into()));
        assert_eq!((found.token, found.writer), (Some(token.record.id), Principal::Ci(scene.workspace)));
        let other = scene.gate.admit(Some(&label), &key(), &[0xb1; 32], &reader).await;
        assert_eq!(other, Err(NotAdmitted::AnotherBody));
        for position in 0..label.len() {
            let mut broken = label.clone();
            broken[position] ^= 1;
            let answer = scene.gate.admit(Some(&broken), &key(), &BODY, &reader).await;
            assert!(matches!(answer, Err(NotAdmitted::BrokenLabel { .. })), "{position}: {answer:?}");
        }
        for length in 0..label.len() {
            let answer = scene.gate.admit(Some(&label[..length]), &key(), &BODY, &reader).await;
            assert!(matches!(answer, Err(NotAdmitted::BrokenLabel { .. })), "{length}: {answer:?}");
        }
    });
}

#[test]
fn an_entry_without_a_label_is_a_miss() {
    block_on(async {
        let scene = Scene::new().await;
        let token = writer(&scene).await;
        let reader = allowed(&scene, &token, Action::Read).await;
        assert_eq!(scene.gate.admit(None, &key(), &BODY, &reader).await, Err(NotAdmitted::NoLabel));
    });
}

#[test]
fn a_label_is_good_for_its_own_key_workspace_lane_and_generation_alone() {
    block_on(async {
        let scene = Scene::new().await;
        let token = writer(&scene).await;
        let label = seal(&scene, &token).await;
        let reader = allowed(&scene, &token, Action::Read).await;
        let other = EntryKey::new(b"other").expect("a key");
        let answer = scene.gate.admit(Some(&label), &other, &BODY, &reader).await;
        assert_eq!(answer, Err(NotAdmitted::AnotherEntry), "another key");

        // Another workspace of the same person.
        let (organization, elsewhere) = scene.elsewhere("other").await;
        let (user, person) = scene.person(Role::Member, ActionSet::ALL).await;
        scene
            .gate
            .set_member(&OPERATOR, organization, user, Role::Member, NOW.into())
            .await
            .expect("a member");
        let who = scene.authenticate(&person).await;
        let there = read_in(&scene, &who, elsewhere).await;
        let answer = scene.gate.admit(Some(&label), &key(), &BODY, &there).await;
        assert_eq!(answer, Err(NotAdmitted::AnotherEntry), "another workspace");

        // A lane that the reader does not read.
        let pull = scene.ci_token(AccessLevel::ReadWrite, "pull/42".parse().expect("a lane")).await;
        let poisoned = seal(&scene, &pull).await;
        let answer = scene.gate.admit(Some(&poisoned), &key(), &BODY, &reader).await;
        let lane = "pull/42".parse().expect("a lane");
        assert_eq!(answer, Err(NotAdmitted::AnotherLane { lane }));
        assert_eq!(admit(&scene, &label, &pull).await, Ok(()), "a pull request reads main");
        assert_eq!(admit(&scene, &poisoned, &pull).await, Ok(()), "and its own");

        // Another generation of the lane order.
        let mut order = LaneClass::ALL;
        order.swap(5, 6);
        scene.settings(|settings| settings.lanes = LaneOrder::new(&order).expect("an order")).await;
        assert_eq!(admit(&scene, &label, &token).await, Err(NotAdmitted::AnotherEntry), "another generation");
    });
}

async fn read_in(scene: &Scene, who: &cachegate::Authentication, workspace: WorkspaceId) -> Allowed {
    let resource = Resource::entry(workspace, key());
    match scene.gate.authorize(who, &Request::new(Action::Read, &resource), NOW.into()).await {
        Verdict::Allowed(allowed) => allowed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_floor_keeps_an_entry_of_a_lower_lane_out() {
    block_on(async {
        let scene = Scene::new().await;
        let token = writer(&scene).await;
        let label = seal(&scene, &token).await;
        let who = scene.authenticate(&token).await;
        let resource = Resource::entry(scene.workspace, key());
        let request = Request::new(Action::Read, &resource).floor(LaneClass::Release);
        let Verdict::Allowed(reader) = scene.gate.authorize(&who, &request, NOW.into()).await else {
            panic!("allowed")
        };
        let answer = scene.gate.admit(Some(&label), &key(), &BODY, &reader).await;
        assert_eq!(answer, Err(NotAdmitted::AnotherLane { lane: Lane::main() }));
    });
}

#[test]
fn sealing_asks_again_whether_the_token_lives() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let ticket = ticket(&scene, &token.token).await;
        scene.revoke(token.record.id).await;
        match scene.gate.seal(&ticket, &BODY, 7, NOW.into()).await {
            Err(SealError::NotAuthenticated(reason)) => assert_eq!(reason.code(), "revoked"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn sealing_asks_again_whether_the_right_stands() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, person) = scene.person(Role::Member, ActionSet::ALL).await;
        let code = async |ticket: &Ticket| match scene.gate.seal(ticket, &BODY, 7, NOW.into()).await {
            Err(SealError::Denied { code }) => code,
            other => panic!("{other:?}"),
        };
        let held = ticket(&scene, &person).await;
        let (lock, _) = scene
            .gate
            .lock(&OPERATOR, LockScope::Lane(LaneClass::Dev), ActionSet::ALL, None, why(), NOW.into())
            .await
            .expect("locked");
        assert_eq!(code(&held).await, "locked");
        scene.gate.lift_lock(&OPERATOR, lock, NOW.into()).await.expect("lifted");
        scene.settings(|settings| settings.personal = AccessLevel::ReadOnly).await;
        assert_eq!(code(&held).await, "personal_level");
        scene.settings(|settings| settings.personal = AccessLevel::ReadWrite).await;
        scene.settings(|settings| settings.personal_lane = cachegate_policy::PersonalLane::Main).await;
        assert_eq!(code(&held).await, "lane_changed");
        scene.settings(|settings| settings.personal_lane = cachegate_policy::PersonalLane::Dev).await;
        scene.gate.seal(&held, &BODY, 7, NOW.into()).await.expect("sealed");
        scene.gate.remove_member(&OPERATOR, scene.organization, user, NOW.into()).await.expect("left");
        assert_eq!(code(&held).await, "not_a_member");
    });
}

#[test]
fn nothing_is_sealed_while_the_store_is_out_of_reach() {
    block_on(async {
        let within = Duration::from_secs(600);
        let scene = Scene::degraded(cachegate::Degraded::ServeReads { within }).await;
        let token = writer(&scene).await;
        let ticket = ticket(&scene, &token).await;
        scene.faults.cut();
        scene.clock.advance(Duration::from_secs(4));
        let answer = scene.gate.seal(&ticket, &BODY, 7, NOW.into()).await;
        assert!(matches!(answer, Err(SealError::Unavailable(_))), "{answer:?}");
    });
}

#[test]
fn only_a_write_gives_a_ticket() {
    block_on(async {
        let scene = Scene::new().await;
        for action in [Action::Resolve, Action::Read, Action::Delete, Action::Administer] {
            let allowed = allowed(&scene, &scene.administrator, action).await;
            assert!(allowed.ticket(key()).is_none(), "{action}");
        }
        assert!(allowed(&scene, &scene.administrator, Action::Replace).await.ticket(key()).is_some());
    });
}

#[test]
fn a_ticket_of_another_gate_seals_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let (node, _, _) = scene.other_node().await;
        let token = writer(&scene).await;
        let ticket = ticket(&scene, &token).await;
        match node.seal(&ticket, &BODY, 7, NOW.into()).await {
            Err(SealError::NotAuthenticated(reason)) => assert_eq!(reason.code(), "another_gate"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn distrust_makes_every_entry_of_a_writer_a_miss_at_once_and_lifting_it_brings_them_back() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let other = writer(&scene).await;
        let (label, others) = (seal(&scene, &token.token).await, seal(&scene, &other).await);
        let held = allowed(&scene, &other, Action::Read).await;
        let scopes = [
            (MarkScope::Token(token.record.id), true),
            (MarkScope::Principal(Principal::Ci(scene.workspace)), false),
            (MarkScope::Window { workspace: None, from: NOW.into(), to: NOW.into() }, false),
            (MarkScope::Window { workspace: Some(scene.workspace), from: later(0), to: later(9) }, false),
        ];
        for (scope, spares_others) in scopes {
            let (mark, _) =
                scene.gate.distrust(&OPERATOR, scope.clone(), why(), NOW.into()).await.expect("marked");
            let answer = scene.gate.admit(Some(&label), &key(), &BODY, &held).await;
            assert_eq!(answer, Err(NotAdmitted::Distrusted { mark }), "{scope:?}, allowed before");
            assert_eq!(admit(&scene, &others, &other).await.is_ok(), spares_others, "{scope:?}");
            scene.gate.trust_again(&OPERATOR, mark, NOW.into()).await.expect("lifted");
            assert_eq!(admit(&scene, &label, &other).await, Ok(()), "{scope:?}");
        }
        for scope in [
            MarkScope::Run("run".into()),
            MarkScope::Window { workspace: None, from: later(1), to: later(9) },
            MarkScope::Window {
                workspace: Some(WorkspaceId::from_bytes([1; 16])),
                from: later(0),
                to: later(9),
            },
            MarkScope::Principal(Principal::Anonymous),
        ] {
            scene.gate.distrust(&OPERATOR, scope.clone(), why(), NOW.into()).await.expect("marked");
            assert_eq!(admit(&scene, &label, &other).await, Ok(()), "{scope:?} is of others");
        }
    });
}

#[test]
fn distrust_matches_every_ancestor_and_the_run() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let child = scene.child(&token.record, "run-1").await;
        let label = seal(&scene, &child).await;
        for scope in [MarkScope::Token(token.record.id), MarkScope::Run("run-1".into())] {
            let (mark, _) = scene.gate.distrust(&OPERATOR, scope, why(), NOW.into()).await.expect("marked");
            let answer = admit(&scene, &label, &token.token).await;
            assert_eq!(answer, Err(NotAdmitted::Distrusted { mark }));
            scene.gate.trust_again(&OPERATOR, mark, NOW.into()).await.expect("lifted");
        }
    });
}

#[test]
fn distrust_reaches_another_node_as_a_revocation_does() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let label = seal(&scene, &token.token).await;
        let (node, faults, clock) = scene.other_node().await;
        let verdict = scene.ask_gate(&node, Some(&token.token), Action::Read, "key", NOW.into()).await;
        let Verdict::Allowed(reader) = verdict else { panic!("{verdict:?}") };
        assert!(node.admit(Some(&label), &key(), &BODY, &reader).await.is_ok());
        let scope = MarkScope::Token(token.record.id);
        let (mark, _) = scene.gate.distrust(&OPERATOR, scope, why(), NOW.into()).await.expect("marked");
        // However long ago the request was allowed, the mark is asked for when it may be newer.
        clock.advance(Duration::from_secs(4));
        let answer = node.admit(Some(&label), &key(), &BODY, &reader).await;
        assert_eq!(answer, Err(NotAdmitted::Distrusted { mark }));
        faults.cut();
        clock.advance(Duration::from_secs(4));
        let answer = node.admit(Some(&label), &key(), &BODY, &reader).await;
        assert!(matches!(answer, Err(NotAdmitted::Unavailable(_))), "{answer:?}");
    });
}

#[test]
fn a_degraded_read_is_admitted_for_as_long_as_it_is_allowed() {
    block_on(async {
        let within = Duration::from_secs(60);
        let scene = Scene::degraded(cachegate::Degraded::ServeReads { within }).await;
        let token = writer(&scene).await;
        let label = seal(&scene, &token).await;
        assert_eq!(admit(&scene, &label, &token).await, Ok(()));
        scene.gate.catch_up().await.expect("a revision");
        let before = allowed(&scene, &token, Action::Read).await;
        scene.faults.cut();
        scene.clock.advance(Duration::from_secs(4));
        let reader = allowed(&scene, &token, Action::Read).await;
        assert!(scene.gate.admit(Some(&label), &key(), &BODY, &reader).await.is_ok());
        // What was allowed on fresh facts is not degraded, and is not served on stale ones.
        let answer = scene.gate.admit(Some(&label), &key(), &BODY, &before).await;
        assert!(matches!(answer, Err(NotAdmitted::Unavailable(_))), "{answer:?}");
        scene.clock.advance(within);
        let answer = scene.gate.admit(Some(&label), &key(), &BODY, &reader).await;
        assert!(matches!(answer, Err(NotAdmitted::Unavailable(_))), "{answer:?}");
    });
}

async fn label_keys(scene: &Scene) -> Vec<Arc<str>> {
    let keys = scene.storage.keys().await.expect("keys");
    keys.into_iter().filter(|key| key.purpose == KeyPurpose::Label).map(|key| key.id).collect()
}

#[test]
fn a_retired_label_key_still_checks_and_a_revoked_one_makes_misses() {
    block_on(async {
        let scene = Scene::new().await;
        let token = writer(&scene).await;
        let before = seal(&scene, &token).await;
        let old = label_keys(&scene).await.remove(0);
        let new = scene.gate.rotate_label_key(&OPERATOR, NOW.into()).await.expect("rotated");
        let after = seal(&scene, &token).await;
        assert_ne!(before[1..9], after[1..9], "the new key seals");
        for label in [&before, &after] {
            assert_eq!(admit(&scene, label, &token).await, Ok(()));
        }
        scene.gate.revoke_key(&OPERATOR, &old, why(), NOW.into()).await.expect("revoked");
        let miss = Err(NotAdmitted::BrokenLabel { code: "label_unknown_key" });
        assert_eq!(admit(&scene, &before, &token).await, miss);
        assert_eq!(admit(&scene, &after, &token).await, Ok(()), "others unaffected");
        // Revoking the one that seals makes another at once.
        scene.gate.revoke_key(&OPERATOR, &new, why(), NOW.into()).await.expect("revoked");
        assert_eq!(admit(&scene, &after, &token).await, miss);
        let next = seal(&scene, &token).await;
        assert_eq!(admit(&scene, &next, &token).await, Ok(()));
    });
}

#[test]
fn a_label_under_a_key_of_ones_own_is_a_miss() {
    block_on(async {
        let scene = Scene::new().await;
        let token = writer(&scene).await;
        let good = seal(&scene, &token).await;
        let forger = LabelKey::from_bytes(SecretBytes::new([1; 32]));
        let fields = LabelFields {
            workspace: scene.workspace,
            lane: Lane::main(),
            lane_generation: 0,
            key: key(),
            digest: BODY,
            length: 7,
            ancestors: Vec::new(),
            token: None,
            principal: Principal::Ci(scene.workspace),
            run: None,
            time: NOW.into(),
        };
        let mut forged = Label::seal(&fields, &forger).expect("a label");
        let miss = |code| Err(NotAdmitted::BrokenLabel { code });
        assert_eq!(admit(&scene, &forged, &token).await, miss("label_unknown_key"));
        forged[1..9].copy_from_slice(&good[1..9]);
        assert_eq!(admit(&scene, &forged, &token).await, miss("label_bad_seal"));
    });
}

#[test]
fn a_node_without_the_label_key_serves_nothing_of_it() {
    block_on(async {
        let scene = Scene::new().await;
        let token = writer(&scene).await;
        let label = seal(&scene, &token).await;
        let node = Gate::builder(Arc::clone(&scene.storage), Arc::new(MemoryVault::default()))
            .build(NOW.into())
            .await
            .expect("a gate");
        let verdict = scene.ask_gate(&node, Some(&token), Action::Read, "key", NOW.into()).await;
        let Verdict::Allowed(reader) = verdict else { panic!("{verdict:?}") };
        let answer = node.admit(Some(&label), &key(), &BODY, &reader).await;
        assert_eq!(answer, Err(NotAdmitted::BrokenLabel { code: "label_unknown_key" }));
    });
}

#[test]
fn an_answer_for_a_key_inside_a_closure_is_not_taken_for_one_outside() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let closure = cachegate_types::ClosureId::from_bytes([4; 16]);
        let reader = scene.closure_reader(&token.record, closure).await;
        let who = scene.authenticate(&reader).await;
        let inside = EntryKey::new(b"inside").expect("a key");
        let resource = Resource::Entry { workspace: scene.workspace, key: inside, closures: vec![closure] };
        let request = Request::new(Action::Read, &resource);
        let Verdict::Allowed(allowed) = scene.gate.authorize(&who, &request, NOW.into()).await else {
            panic!("allowed")
        };
        let label = seal(&scene, &token.token).await;
        let answer = scene.gate.admit(Some(&label), &key(), &BODY, &allowed).await;
        assert_eq!(answer, Err(NotAdmitted::AnotherEntry));
        assert_eq!(scene.code(&reader, Action::Read).await, "restricted");
    });
}

#[test]
fn an_administrator_distrusts_what_is_of_their_own_workspace_alone() {
    block_on(async {
        let scene = Scene::new().await;
        let who = scene.administrator().await;
        let by = Authority::Of(&who);
        let token = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let (_, elsewhere) = scene.elsewhere("other").await;
        let spec = cachegate::TokenSpec::Ci {
            workspace: elsewhere,
            level: AccessLevel::ReadWrite,
            lane: Lane::main(),
        };
        let foreign = scene.issue(&spec, None).await.record.id;
        let mark = async |scope| scene.gate.distrust(&by, scope, why(), NOW.into()).await.map(|(id, _)| id);
        let own = mark(MarkScope::Token(token.record.id)).await.expect("marked");
        scene.gate.trust_again(&by, own, NOW.into()).await.expect("lifted");
        // A token of others and one that there is not look the same.
        for id in [foreign, cachegate_types::TokenId::from_bytes([9; 16])] {
            assert_eq!(mark(MarkScope::Token(id)).await.expect_err("refused").to_string(), "no such token");
        }
        for scope in [
            MarkScope::Principal(Principal::Ci(scene.workspace)),
            MarkScope::Run("run".into()),
            MarkScope::Window { workspace: None, from: NOW.into(), to: NOW.into() },
            MarkScope::Window { workspace: Some(elsewhere), from: NOW.into(), to: NOW.into() },
        ] {
            assert!(mark(scope.clone()).await.is_err(), "{scope:?}");
        }
        // What the operator distrusts stays distrusted.
        let scope = MarkScope::Token(token.record.id);
        let (operators, _) = scene.gate.distrust(&OPERATOR, scope, why(), NOW.into()).await.expect("marked");
        let lifted = scene.gate.trust_again(&by, operators, NOW.into()).await;
        assert_eq!(lifted.expect_err("refused").to_string(), "no such mark of distrust");
    });
}

#[test]
fn only_an_admitted_entry_occupies_its_place() {
    block_on(async {
        // What a distrusted writer left is no entry to whoever asks before writing: the next one may be written.
        let scene = Scene::new().await;
        let (bad, good) = (scene.ci(AccessLevel::ReadWrite, Lane::main()).await, writer(&scene).await);
        let label = seal(&scene, &bad.token).await;
        let writing = allowed(&scene, &good, Action::Write).await;
        assert!(scene.gate.admit(Some(&label), &key(), &BODY, &writing).await.is_ok(), "occupied");
        let scope = MarkScope::Token(bad.record.id);
        let (mark, _) = scene.gate.distrust(&OPERATOR, scope, why(), NOW.into()).await.expect("marked");
        let answer = scene.gate.admit(Some(&label), &key(), &BODY, &writing).await;
        assert_eq!(answer, Err(NotAdmitted::Distrusted { mark }), "free");
        let next = seal(&scene, &good).await;
        assert_eq!(admit(&scene, &next, &good).await, Ok(()));
    });
}

#[test]
fn a_revoked_writers_entries_stay_until_they_are_distrusted() {
    block_on(async {
        // A revocation ends rights; what was written while they stood is another question.
        let scene = Scene::new().await;
        let (writer, reader) = (scene.ci(AccessLevel::ReadWrite, Lane::main()).await, writer(&scene).await);
        let label = seal(&scene, &writer.token).await;
        scene.revoke(writer.record.id).await;
        assert_eq!(admit(&scene, &label, &reader).await, Ok(()));
    });
}
