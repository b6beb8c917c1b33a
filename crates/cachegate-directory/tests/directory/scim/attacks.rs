//! SCIM tokens with too little right, with too much, of others, and dead ones.

use cachegate::{Authority, DeviceAccess, ManageError, TokenSpec};
use cachegate_policy::WorkspaceSettings;
use cachegate_storage::TokenFilter;
use cachegate_testkit::block_on;
use cachegate_types::{AccessLevel, Action, ActionSet, Description, Lane, Role};
use serde_json::json;

use super::{World, by_hand, now};

#[test]
fn scim_token_with_too_little_right() {
    block_on(async {
        let world = World::new().await;
        let (_, member) = by_hand(&world.scene, Role::Member).await;
        let ci = world.scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let device = world.scene.device(DeviceAccess::Normal).await.token;
        let before = world.members().await;
        for (token, expected) in [(member, 404), (ci, 404), (device, 403)] {
            let who = world.scene.authenticate(&token).await;
            for (method, path) in [("GET", "/Users"), ("POST", "/Users"), ("GET", "/Schemas"), ("GET", "/x")]
            {
                let answer = world.send_as(&who, method, path, &json!({"userName": "eve"})).await;
                assert!([403, 404].contains(&answer.status), "{method} {path}: {answer:?}");
                if path != "/x" {
                    assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
                }
            }
        }
        assert_eq!(world.members().await, before);
    });
}

#[test]
fn scim_token_with_too_much_right() {
    block_on(async {
        let world = World::new().await;
        for role in [Role::Admin, Role::Owner] {
            let (_, token) = by_hand(&world.scene, role).await;
            let who = world.scene.authenticate(&token).await;
            let answer = world.send_as(&who, "POST", "/Users", &json!({"userName": "eve"})).await;
            assert_eq!(answer.status, 403, "{role}: an administrator's token is no directory's");
        }
        assert_eq!(world.get("/Users").await["totalResults"], 0);
    });
}

#[test]
fn scim_token_does_nothing_but_say_who_belongs() {
    block_on(async {
        let world = World::new().await;
        let scene = &world.scene;
        let token = scene.device(DeviceAccess::Provision).await;
        let who = scene.authenticate(&token.token).await;
        for action in Action::ALL.into_iter().filter(|action| *action != Action::Provision) {
            assert_eq!(scene.code(&token.token, action).await, "action_not_granted", "{action}");
        }
        let (gate, by, organization) = (&scene.gate, Authority::Of(&who), scene.organization);
        let (hand, _) = by_hand(scene, Role::Member).await;
        let denied = |done: Result<(), ManageError>| {
            assert!(matches!(done, Err(ManageError::Denied { .. })), "{done:?}");
        };
        denied(gate.set_member(&by, organization, hand, Role::Owner, now()).await.map(drop));
        denied(gate.remove_member(&by, organization, hand, now()).await.map(drop));
        denied(gate.members(&by, organization, None, 1, now()).await.map(drop));
        let settings = WorkspaceSettings::default();
        denied(gate.set_settings(&by, scene.workspace, &settings, now()).await.map(drop));
        let filter = TokenFilter { organization: Some(organization), ..TokenFilter::default() };
        denied(gate.tokens(&by, &filter, None, 1, now()).await.map(drop));
        denied(
            gate.lock(
                &by,
                cachegate_policy::LockScope::Organization(organization),
                ActionSet::ALL,
                None,
                Description::default(),
                now(),
            )
            .await
            .map(drop),
        );
        for access in [DeviceAccess::Provision, DeviceAccess::Normal] {
            let spec = TokenSpec::Device { organization, access };
            assert!(gate.issue(&by, &spec, Description::default(), None, now()).await.is_err());
        }
    });
}

#[test]
fn scim_token_of_another_organization() {
    block_on(async {
        let world = World::new().await;
        let (elsewhere, _) = world.scene.elsewhere("other").await;
        let spec = TokenSpec::Device { organization: elsewhere, access: DeviceAccess::Provision };
        let token = world.scene.issue(&spec, None).await;
        let who = world.scene.authenticate(&token.token).await;
        let answer = world.send_as(&who, "POST", "/Users", &json!({"userName": "eve"})).await;
        let unknown = world.send("GET", "/Users/nobody", &json!(null)).await;
        assert_eq!((answer.status, &answer.body), (404, &unknown.body), "as if it were not there");
        assert_eq!(world.get("/Users").await["totalResults"], 0);
    });
}

#[test]
fn scim_token_that_was_revoked() {
    block_on(async {
        let world = World::new().await;
        let token = world.scene.device(DeviceAccess::Provision).await;
        let who = world.scene.authenticate(&token.token).await;
        let body = json!({"userName": "eve"});
        assert_eq!(world.send_as(&who, "POST", "/Users", &body).await.status, 201);
        world.scene.revoke(token.record.id).await;
        let answer = world.send_as(&who, "POST", "/Users", &json!({"userName": "mallory"})).await;
        assert_eq!(answer.status, 401, "also with what was authenticated before");
    });
}

#[test]
fn scim_token_is_made_by_administrators_alone() {
    block_on(async {
        let world = World::new().await;
        let spec =
            TokenSpec::Device { organization: world.scene.organization, access: DeviceAccess::Provision };
        for (role, made) in [(Role::Member, false), (Role::Admin, true), (Role::Owner, true)] {
            let (_, token) = by_hand(&world.scene, role).await;
            let who = world.scene.authenticate(&token).await;
            let issued = world
                .scene
                .gate
                .issue(&Authority::Of(&who), &spec, Description::default(), None, now())
                .await;
            assert_eq!(issued.is_ok(), made, "{role}: {issued:?}");
        }
        let (owner, _) = by_hand(&world.scene, Role::Owner).await;
        let reader = world.scene.personal(owner, AccessLevel::ReadOnly.actions(), Default::default()).await;
        let who = world.scene.authenticate(&reader.token).await;
        let issued =
            world.scene.gate.issue(&Authority::Of(&who), &spec, Description::default(), None, now()).await;
        assert!(issued.is_err(), "an owner's token that only reads makes none");
    });
}
