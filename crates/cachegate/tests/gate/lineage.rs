//! Lines of tokens: what dies with what, and what a rotation leaves behind.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    Authority, DEVICE_TOKEN_LIFE, DeviceAccess, IssueError, Issued, ManageError, PersonalForm, Reuse,
    TokenSpec,
};
use cachegate_storage::{MassScope, MemoryStorage, TokenRecord};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Epoch, Lane, Restriction, Role, SecretText, Timestamp,
    TokenId,
};

const OPERATOR: Authority<'_> = Authority::Operator;
const HOUR: Duration = Duration::from_secs(3600);

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn why() -> Description {
    Description::default()
}

async fn at(scene: &Scene, token: &SecretText, seconds: u32) -> &'static str {
    scene.ask_at(Some(token), Action::Read, "k", later(seconds)).await.code()
}

async fn rotate(scene: &Scene, id: TokenId, overlap: Duration) -> Issued {
    scene.gate.rotate(&OPERATOR, id, overlap, None, NOW.into()).await.expect("rotated")
}

#[test]
fn children_die_with_every_ancestor() {
    block_on(async {
        // Revoke each of the four generations in turn: all below die, none above.
        for revoked in 0..4 {
            let scene = Scene::new().await;
            let first = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
            let mut line = vec![(first.token, first.record.id)];
            let mut record = first.record;
            for _ in 0..4 {
                let text = scene.child(&record, "run").await;
                let id = scene.authenticate(&text).await.token_id().expect("a token");
                record = scene.storage.token(id).await.expect("read").expect("there");
                line.push((text, id));
            }
            for (text, _) in &line {
                assert_eq!(at(&scene, text, 0).await, "allowed");
            }
            scene.revoke(line[revoked].1).await;
            for (generation, (text, _)) in line.iter().enumerate() {
                let expected = if generation < revoked { "allowed" } else { "revoked" };
                assert_eq!(at(&scene, text, 0).await, expected, "{generation} of {revoked}");
            }
        }
    });
}

#[test]
fn a_child_dies_with_an_ancestor_that_expires_or_is_gone() {
    block_on(async {
        let scene = Scene::new().await;
        let spec =
            TokenSpec::Ci { workspace: scene.workspace, level: AccessLevel::ReadOnly, lane: Lane::main() };
        let parent = scene.issue(&spec, Some(Duration::from_secs(60))).await.record;
        let child = scene.child(&parent, "run").await;
        let who = scene.authenticate(&child).await;
        assert_eq!(who.until(), Some(later(60)), "its own hour is cut");
        assert_eq!(at(&scene, &child, 59).await, "allowed");
        assert_eq!(at(&scene, &child, 60).await, "expired");
    });
}

#[test]
fn a_child_dies_with_its_parents_mass() {
    block_on(async {
        let scene = Scene::new().await;
        let parent = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let child = scene.child(&parent.record, "run").await;
        assert_eq!(at(&scene, &child, 0).await, "allowed");
        let scope = MassScope::Family(parent.record.family);
        scene.gate.revoke_many(&OPERATOR, scope, None, why(), NOW.into()).await.expect("revoked");
        assert_eq!(at(&scene, &child, 0).await, "revoked", "the child's own family is another");
    });
}

#[test]
fn a_successor_inherits_everything_but_secret_id_and_time() {
    block_on(async {
        let scene = Scene::new().await;
        let pull = "pull/42".parse::<Lane>().expect("a lane");
        let personal = scene.personal(scene.owner, ActionSet::of(&[Action::Read]), PersonalForm::Jwt).await;
        for old in
            [scene.ci(AccessLevel::ReadWrite, pull).await, scene.device(DeviceAccess::Normal).await, personal]
        {
            let new = rotate(&scene, old.record.id, HOUR).await;
            let (old, new) = (old.record, new.record);
            assert_ne!(old.id, new.id);
            let shape = |record: &TokenRecord| {
                let grants: Vec<_> = record.grants.iter().map(|grant| (grant.scope, grant.actions)).collect();
                (
                    (record.kind, record.owner.clone(), record.organization, record.workspace),
                    (grants, record.restrictions.clone(), record.lane.clone(), record.floor),
                    (record.family, record.ancestors.clone(), record.expires_at),
                    std::mem::discriminant(&record.form),
                )
            };
            assert_eq!(shape(&old), shape(&new));
        }
    });
}

#[test]
fn a_predecessor_lives_through_its_overlap_and_no_longer() {
    block_on(async {
        let scene = Scene::new().await;
        let old = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        assert_eq!(at(&scene, &old.token, 0).await, "allowed");
        let new = rotate(&scene, old.record.id, HOUR).await;
        assert_eq!(at(&scene, &old.token, 3599).await, "allowed");
        assert_eq!(at(&scene, &old.token, 3600).await, "superseded");
        assert_eq!(at(&scene, &new.token, 3600).await, "allowed");
    });
}

#[test]
fn a_predecessor_that_is_shown_after_its_overlap_warns() {
    block_on(async {
        let scene = Scene::new().await;
        let old = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let new = rotate(&scene, old.record.id, HOUR).await;
        assert_eq!(at(&scene, &old.token, 0).await, "allowed");
        scene.recorder.take();
        assert_eq!(at(&scene, &old.token, 3600).await, "superseded");
        let events: Vec<_> =
            scene.recorder.take().into_iter().map(|event| (event.code, event.token)).collect();
        assert_eq!(events, [("rotated_token_reused", Some(old.record.id)), ("superseded", None)]);
        assert_eq!(at(&scene, &new.token, 3601).await, "allowed");
    });
}

#[test]
fn a_predecessor_that_is_shown_after_its_overlap_locks_the_family_where_that_was_chosen() {
    block_on(async {
        let storage = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::set(storage, |builder| builder.reuse(Reuse::LockFamily)).await;
        let old = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let other = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let new = rotate(&scene, old.record.id, HOUR).await;
        let newest = rotate(&scene, new.record.id, HOUR).await;
        let child = scene.child(&newest.record, "run").await;
        assert_eq!(at(&scene, &child, 3599).await, "allowed");
        // Somebody who knows the id alone raises no alarm.
        let wrong = cachegate_token::OpaqueToken::new(
            cachegate_token::OpaqueKind::Ci,
            old.record.id,
            cachegate_types::SecretBytes::new([1; 32]),
        );
        assert_eq!(at(&scene, &wrong.to_text(scene.gate.brand()), 3600).await, "unknown_token");
        assert_eq!(at(&scene, &newest.token, 3600).await, "allowed");

        assert_eq!(at(&scene, &old.token, 3600).await, "superseded");
        assert_eq!(at(&scene, &newest.token, 3600).await, "revoked");
        assert_eq!(at(&scene, &old.token, 3600).await, "revoked");
        assert_eq!(at(&scene, &other.token, 3600).await, "allowed", "another line");
        let again = scene.gate.rotate(&OPERATOR, newest.record.id, HOUR, None, later(3600)).await;
        assert!(matches!(again, Err(IssueError::Refused(ManageError::Changed { .. }))), "{again:?}");
        assert_eq!(scene.storage.mass_revocations().await.expect("read").len(), 1, "one row, not one a use");
    });
}

#[test]
fn a_child_of_a_superseded_token_raises_no_alarm() {
    block_on(async {
        let storage = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::set(storage, |builder| builder.reuse(Reuse::LockFamily)).await;
        let old = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let child = scene.child(&old.record, "run").await;
        let new = rotate(&scene, old.record.id, Duration::from_secs(60)).await;
        assert_eq!(at(&scene, &child, 60).await, "superseded");
        assert_eq!(at(&scene, &new.token, 60).await, "allowed");
    });
}

#[test]
fn revoking_a_predecessor_takes_its_successors() {
    block_on(async {
        // A thief may have been the one who rotated it.
        let scene = Scene::new().await;
        let old = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let new = rotate(&scene, old.record.id, HOUR).await;
        let newest = rotate(&scene, new.record.id, HOUR).await;
        assert_eq!(at(&scene, &newest.token, 0).await, "allowed");
        scene.revoke(old.record.id).await;
        for token in [&old, &new, &newest] {
            assert_eq!(at(&scene, &token.token, 0).await, "revoked");
        }
    });
}

#[test]
fn of_many_rotations_of_one_token_one_wins() {
    block_on(async {
        let scene = Scene::new().await;
        let old = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        rotate(&scene, old.record.id, HOUR).await;
        let second = scene.gate.rotate(&OPERATOR, old.record.id, HOUR, None, NOW.into()).await;
        assert!(matches!(second, Err(IssueError::Refused(ManageError::Changed { .. }))), "{second:?}");
        scene.revoke(old.record.id).await;
        let third = scene.gate.rotate(&OPERATOR, old.record.id, HOUR, None, NOW.into()).await;
        assert!(matches!(third, Err(IssueError::Refused(ManageError::Changed { .. }))), "{third:?}");
    });
}

#[test]
fn a_rotated_device_token_keeps_to_ninety_days() {
    block_on(async {
        let scene = Scene::new().await;
        let old = scene.device(DeviceAccess::Normal).await;
        let life = Some(DEVICE_TOKEN_LIFE * 4);
        let new = scene.gate.rotate(&OPERATOR, old.record.id, HOUR, life, later(60)).await.expect("rotated");
        assert_eq!(new.record.expires_at, Some(later(60).saturating_add(DEVICE_TOKEN_LIFE)));
        assert_eq!(at(&scene, &new.token, 60).await, "allowed");
    });
}

#[test]
fn nobody_rotates_into_more_than_they_hold() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, text) = scene.person(Role::Member, ActionSet::of(&[Action::Read])).await;
        let who = scene.authenticate(&text).await;
        let by = Authority::Of(&who);
        let strong = scene.personal(user, ActionSet::ALL, PersonalForm::Opaque).await.record.id;
        let answer = scene.gate.rotate(&by, strong, HOUR, None, NOW.into()).await;
        assert!(matches!(answer, Err(IssueError::MoreThanHeld { .. })), "{answer:?}");
        let own = who.token_id().expect("a token");
        scene.gate.rotate(&by, own, HOUR, None, NOW.into()).await.expect("its equal");
        // A workspace's token, and one that there is not: the same answer to whoever manages neither.
        let ci = scene.ci(AccessLevel::ReadOnly, Lane::main()).await.record.id;
        for id in [ci, TokenId::from_bytes([9; 16])] {
            let answer = scene.gate.rotate(&by, id, HOUR, None, NOW.into()).await;
            assert_eq!(answer.expect_err("refused").to_string(), "no such token");
        }
        // A CI token's holder makes no successor of it.
        let ci = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let who = scene.authenticate(&ci.token).await;
        let answer = scene.gate.rotate(&Authority::Of(&who), ci.record.id, HOUR, None, NOW.into()).await;
        assert_eq!(answer.expect_err("refused").to_string(), "no such token");
    });
}

#[test]
fn a_bound_token_rotates_into_a_bound_one() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, _) = scene.person(Role::Member, ActionSet::ALL).await;
        let free = scene.personal(user, ActionSet::ALL, PersonalForm::Opaque).await;
        let bound = Restriction::Workspaces(vec![scene.workspace]);
        let restrictions = vec![Restriction::Actions(ActionSet::ALL), bound.clone()];
        let text = scene.descendant(&free.record, |record| TokenRecord { restrictions, ..record }).await;
        let who = scene.authenticate(&text).await;
        let by = Authority::Of(&who);
        let new = scene.gate.rotate(&by, free.record.id, HOUR, None, NOW.into()).await.expect("rotated");
        assert!(new.record.restrictions.contains(&bound));
        let spec = TokenSpec::Personal { owner: user, actions: ActionSet::ALL, form: PersonalForm::Opaque };
        let new = scene.gate.issue(&by, &spec, why(), None, NOW.into()).await.expect("issued");
        assert!(new.record.restrictions.contains(&bound));
    });
}

#[test]
fn sessions_are_not_rotated() {
    block_on(async {
        let scene = Scene::new().await;
        let parent = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let session = scene
            .descendant(&parent.record, |record| TokenRecord {
                kind: cachegate_storage::TokenKind::Session,
                ..record
            })
            .await;
        let credential = cachegate::Credential::parse(session.expose_secret(), scene.gate.brand());
        let id = credential.expect("a credential").public_id().expect("an id");
        let answer = scene.gate.rotate(&OPERATOR, id, HOUR, None, NOW.into()).await;
        assert!(matches!(answer, Err(IssueError::NotRotated { kind: "session" })), "{answer:?}");
    });
}
