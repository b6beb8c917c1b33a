//! What others are told of our tokens, and the end of a token by whoever shows it.

#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;

use cachegate::{
    Asking, Authority, DeviceAccess, Introspection, ManageError, PersonalForm, SessionSpec, Shown,
};
use cachegate_storage::MemoryStorage;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, ActionSet, Epoch, Lane, Role, SecretText, Timestamp};

const SERVICE: &str = "https://deploy.example";

async fn scene() -> Scene {
    let storage = Arc::new(MemoryStorage::new(Epoch(1)));
    Scene::set(storage, |builder| builder.services(&[SERVICE, "https://other.example"])).await
}

async fn session(scene: &Scene, source: &SecretText, audience: Option<&str>) -> SecretText {
    let spec = SessionSpec { audience: audience.map(Into::into), ..SessionSpec::default() };
    let who = scene.authenticate(source).await;
    scene.gate.exchange(&who, &spec, NOW.into()).await.expect("a session").token
}

async fn told(scene: &Scene, asking: Asking<'_>, token: &SecretText) -> Option<Introspection> {
    scene.gate.introspect(asking, token.expose_secret(), NOW.into()).await.expect("an answer")
}

#[test]
fn an_administrator_is_told_of_the_tokens_that_they_manage() {
    block_on(async {
        let scene = scene().await;
        let admin = scene.administrator().await;
        let asking = Asking::Administrator(&admin);
        let ci = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let device = scene.device(DeviceAccess::Normal).await;
        let personal = scene.personal(scene.owner, ActionSet::of(&[Action::Read]), PersonalForm::Jwt).await;
        for issued in [&ci, &device, &personal] {
            let told = told(&scene, asking, &issued.token).await.expect("active");
            assert_eq!(told.record.id, issued.record.id);
            assert_eq!((&*told.issuer, &*told.audience), ("cachegate", "cachegate"));
            assert_eq!(told.until, issued.record.expires_at);
        }
        let told = told(&scene, asking, &personal.token).await.expect("active");
        assert_eq!((told.actions, told.subject), (ActionSet::of(&[Action::Read]), scene.owner.to_string()));
    });
}

#[test]
fn what_does_not_count_and_what_one_may_not_know_of_look_the_same() {
    block_on(async {
        let scene = scene().await;
        let admin = scene.administrator().await;
        let asking = Asking::Administrator(&admin);
        let revoked = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        scene.revoke(revoked.record.id).await;
        assert!(told(&scene, asking, &revoked.token).await.is_none(), "revoked");
        let parent = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let child = session(&scene, &parent.token, None).await;
        assert!(told(&scene, asking, &child).await.is_some());
        scene.revoke(parent.record.id).await;
        assert!(told(&scene, asking, &child).await.is_none(), "its parent is revoked");
        let (_, theirs) = scene.person(Role::Member, ActionSet::ALL).await;
        assert!(told(&scene, asking, &theirs).await.is_none(), "another person's belongs to no organization");
        let elsewhere = Scene::new().await;
        let strange = elsewhere.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        assert!(told(&scene, asking, &strange).await.is_none(), "another gate's");
        for junk in ["", "x", "a.b.c", "cg1_a.b.c", "cgp_"] {
            assert!(told(&scene, asking, &SecretText::new(junk.to_owned())).await.is_none(), "{junk}");
        }
    });
}

#[test]
fn only_whoever_administers_an_organization_may_ask() {
    block_on(async {
        let scene = scene().await;
        let target = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let member = scene.person(Role::Member, ActionSet::ALL).await.1;
        let clerk = scene.person(Role::Admin, AccessLevel::ReadWrite.actions()).await.1;
        let ci = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let device = scene.device(DeviceAccess::Normal).await.token;
        for token in [member, clerk, ci, device] {
            let who = scene.authenticate(&token).await;
            let asked =
                scene.gate.introspect(Asking::Administrator(&who), target.expose_secret(), NOW.into()).await;
            assert!(matches!(asked, Err(ManageError::Denied { .. })), "{:?}", who.principal());
        }
        let admin = scene.person(Role::Admin, ActionSet::ALL).await.1;
        let who = scene.authenticate(&admin).await;
        assert!(told(&scene, Asking::Administrator(&who), &target).await.is_some());
    });
}

#[test]
fn a_service_is_told_of_what_is_for_it_alone() {
    block_on(async {
        let scene = scene().await;
        let source = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let own = session(&scene, &source.token, Some(SERVICE)).await;
        let other = session(&scene, &source.token, Some("https://other.example")).await;
        let asking = Asking::Service(SERVICE);
        let found = told(&scene, asking, &own).await.expect("active");
        assert_eq!(&*found.audience, SERVICE);
        assert!(told(&scene, asking, &other).await.is_none(), "for another service");
        assert!(told(&scene, asking, &source.token).await.is_none(), "for the gate");
        let gate = Asking::Service("cachegate");
        assert!(told(&scene, gate, &source.token).await.is_some());
        assert!(told(&scene, gate, &own).await.is_none());
        let prefixed = SecretText::new(format!("cg1_{}", own.expose_secret()));
        assert!(told(&scene, asking, &prefixed).await.is_none(), "the prefix says that it is for the gate");
        scene.revoke(source.record.id).await;
        assert!(told(&scene, asking, &own).await.is_none(), "it died with what it came from");
    });
}

#[test]
fn whoever_shows_a_token_ends_it_with_all_that_came_of_it() {
    block_on(async {
        let scene = scene().await;
        let source = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let child = session(&scene, &source.token, None).await;
        let for_service = session(&scene, &source.token, Some(SERVICE)).await;
        let show = async |token: &SecretText, at: u32| {
            let now = Timestamp::from(NOW + at);
            scene.gate.give_up(token.expose_secret(), now).await.expect("an answer")
        };
        assert!(matches!(show(&for_service, 0).await, Shown::Revoked(_)), "a plain JWT is known too");
        assert!(
            matches!(show(&child, 0).await, Shown::Revoked(record) if record.ancestors == [source.record.id])
        );
        assert_eq!(scene.code(&source.token, Action::Read).await, "allowed", "what it came from stays");
        assert!(matches!(show(&child, 0).await, Shown::Ended), "twice changes nothing");
        let second = session(&scene, &source.token, None).await;
        assert!(matches!(show(&source.token, 0).await, Shown::Revoked(_)));
        assert_eq!(scene.code(&second, Action::Read).await, "revoked");
        let login = scene.gate.log_in(scene.owner, NOW.into()).await.expect("a login");
        assert!(matches!(show(&login.session.token, 16 * 60).await, Shown::Ended), "expired");
        assert!(matches!(show(&login.refresh.token, 0).await, Shown::Revoked(_)));
        assert_eq!(scene.code(&login.session.token, Action::Read).await, "revoked");
    });
}

#[test]
fn an_id_without_the_secret_ends_nothing() {
    block_on(async {
        let scene = scene().await;
        let source = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let id = source.record.id;
        let forged = cachegate_token::OpaqueToken::new(
            cachegate_token::OpaqueKind::Ci,
            id,
            cachegate_types::SecretBytes::new([1; 32]),
        );
        let text = forged.to_text(scene.gate.brand());
        let shown = scene.gate.give_up(text.expose_secret(), NOW.into()).await.expect("an answer");
        assert!(matches!(shown, Shown::Unknown));
        assert_eq!(scene.code(&source.token, Action::Read).await, "allowed");
    });
}

#[test]
fn a_leaked_token_is_revoked_audited_and_told_of_once() {
    block_on(async {
        let scene = scene().await;
        let source = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        scene.recorder.take();
        let report = async || {
            let text = source.token.expose_secret();
            scene.gate.report_leak(text, "commit\nof\u{7}a secret", NOW.into()).await.expect("an answer")
        };
        assert!(matches!(report().await, Shown::Revoked(_)));
        assert!(matches!(report().await, Shown::Ended));
        let codes: Vec<_> =
            scene.recorder.take().into_iter().map(|event| (event.code, event.token)).collect();
        assert_eq!(codes, [("token_leaked", Some(source.record.id))]);
        let record = scene.storage.token(source.record.id).await.expect("read").expect("kept");
        let reason = record.revoked.expect("revoked").reason;
        assert_eq!(reason.as_str(), "found in public: commitofasecret");
        let audit = scene
            .gate
            .audit(
                &Authority::Operator,
                None,
                &cachegate::AuditFilter::default(),
                cachegate::AuditFrom::NEWEST,
                100,
                NOW.into(),
            )
            .await
            .expect("the audit");
        let id = source.record.id.to_string();
        assert!(audit.items.iter().any(|line| format!("{line:?}").contains(&id)));
    });
}

#[test]
fn a_store_out_of_reach_is_no_answer() {
    block_on(async {
        let scene = scene().await;
        let token = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        scene.faults.cut();
        let text = token.expose_secret();
        let asked = scene.gate.introspect(Asking::Service("cachegate"), text, NOW.into()).await;
        assert!(matches!(asked, Err(ManageError::Unavailable(_))));
        let shown = scene.gate.give_up(text, NOW.into()).await;
        assert!(matches!(shown, Err(ManageError::Unavailable(_))));
        scene.faults.mend();
        assert_eq!(scene.code(&token, Action::Read).await, "allowed", "nothing was revoked");
    });
}
