//! Who is believed, and what is said to whoever is not.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    AuthenticateError, Authority, Credential, DeviceAccess, Digester, Gate, MemoryVault, Method,
    NotAuthenticated, PersonalForm, Request,
};
use cachegate_storage::{Act, Preconditions, TokenForm, TokenKind, TokenRecord};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_token::{OpaqueKind, OpaqueToken};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Lane, Principal, Resource, Role, SecretBytes,
    SecretText, Timestamp, TokenId, WorkspaceId,
};

const OPERATOR: Authority<'_> = Authority::Operator;

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn why() -> Description {
    Description::default()
}

fn opaque(kind: OpaqueKind, id: TokenId, secret: u8) -> OpaqueToken {
    OpaqueToken::new(kind, id, SecretBytes::new([secret; 32]))
}

async fn reason(scene: &Scene, text: &str, now: Timestamp) -> Result<(), NotAuthenticated> {
    let credential = Credential::parse(text, scene.gate.brand()).expect("a credential");
    match scene.gate.authenticate(Some(&credential), now).await {
        Ok(_) => Ok(()),
        Err(AuthenticateError::NotAuthenticated(reason)) => Err(reason),
        Err(AuthenticateError::Unavailable(error)) => Err(NotAuthenticated::Refused { code: error.code() }),
    }
}

#[test]
fn no_credential_is_anonymous() {
    block_on(async {
        let scene = Scene::new().await;
        let who = scene.gate.authenticate(None, NOW.into()).await.expect("anonymous");
        assert_eq!((who.principal(), who.method()), (&Principal::Anonymous, Method::NoCredential));
        assert_eq!((who.token_id(), who.until(), who.workspace()), (None, None, None));
    });
}

#[test]
fn a_bad_credential_never_becomes_anonymous() {
    block_on(async {
        let scene = Scene::new().await;
        scene.settings(|settings| settings.anonymous = AccessLevel::ReadWrite).await;
        assert_eq!(scene.ask(None, Action::Write, "k").await.code(), "allowed");
        let token = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let unknown = opaque(OpaqueKind::Ci, TokenId::from_bytes([7; 16]), 1);
        let wrong = opaque(OpaqueKind::Ci, token.record.id, 1);
        let brand = scene.gate.brand();
        for text in [unknown.to_text(brand), wrong.to_text(brand)] {
            assert_eq!(scene.code(&text, Action::Read).await, "unknown_token");
        }
        scene.revoke(token.record.id).await;
        assert_eq!(scene.code(&token.token, Action::Read).await, "revoked");
        for jwt in ["cg1_e30.e30.AA", "e30.e30.AA"] {
            let verdict = scene.code(&SecretText::new(jwt.to_owned()), Action::Read).await;
            assert_ne!(verdict, "allowed", "{jwt}");
        }
    });
}

#[test]
fn unknown_and_wrong_look_the_same_and_revoked_is_told_to_its_holder_alone() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let brand = scene.gate.brand().clone();
        let unknown = opaque(OpaqueKind::Ci, TokenId::from_bytes([7; 16]), 1).to_text(&brand);
        let wrong = opaque(OpaqueKind::Ci, token.record.id, 1).to_text(&brand);
        scene.revoke(token.record.id).await;
        for text in [&unknown, &wrong] {
            assert_eq!(
                reason(&scene, text.expose_secret(), NOW.into()).await,
                Err(NotAuthenticated::Unknown)
            );
        }
        let holder = reason(&scene, token.token.expose_secret(), NOW.into()).await;
        assert_eq!(holder, Err(NotAuthenticated::Revoked));
    });
}

#[test]
fn that_second_is_already_too_late_for_a_remembered_token_too() {
    block_on(async {
        let scene = Scene::new().await;
        let life = Some(Duration::from_secs(60));
        let spec = cachegate::TokenSpec::Ci {
            workspace: scene.workspace,
            level: AccessLevel::ReadOnly,
            lane: Lane::main(),
        };
        let opaque = scene.issue(&spec, life).await.token;
        let spec =
            cachegate::TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal };
        let jwt = scene.issue(&spec, life).await.token;
        for token in [&opaque, &jwt] {
            let code =
                async |seconds| scene.ask_at(Some(token), Action::Read, "k", later(seconds)).await.code();
            assert_eq!(code(59).await, "allowed");
            assert_eq!(code(60).await, "expired");
            assert!(scene.ask_held(Some(token), Action::Read, "k", later(60)).is_none());
            let held = reason(&scene, token.expose_secret(), later(60)).await;
            assert_eq!(held, Err(NotAuthenticated::Expired { at: later(60) }));
            // A clock that goes back finds it alive, as the store does.
            assert_eq!(code(59).await, "allowed");
        }
    });
}

/// A row that the store holds, with a secret that is known.
async fn row(scene: &Scene, kind: TokenKind, letter: OpaqueKind, owner: Principal) -> OpaqueToken {
    let id = TokenId::new(NOW.into(), [kind as u8 + 1; 10]);
    let token = opaque(letter, id, 5);
    let record = TokenRecord {
        id,
        kind,
        form: TokenForm::Opaque(Digester::sha256().digest(&token)),
        owner,
        organization: Some(scene.organization),
        workspace: Some(scene.workspace),
        description: why(),
        grants: Vec::new(),
        restrictions: Vec::new(),
        reads_closures: false,
        lane: None,
        base: None,
        floor: None,
        run: None,
        issued_at: NOW.into(),
        expires_at: None,
        created_by: Principal::Anonymous,
        ancestors: Vec::new(),
        family: id,
        superseded: None,
        revoked: None,
        last_used: None,
    };
    let act = Act { by: Principal::Anonymous, token: None, at: NOW.into() };
    scene.storage.insert_token(&record, &Preconditions::default(), &act).await.expect("inserted");
    token
}

#[test]
fn a_token_of_one_kind_is_not_taken_for_a_row_of_another() {
    block_on(async {
        let scene = Scene::new().await;
        let brand = scene.gate.brand().clone();
        for kind in TokenKind::ALL {
            for letter in OpaqueKind::ALL {
                let scene = Scene::new().await;
                let token = row(&scene, kind, letter, Principal::User(scene.owner)).await;
                let answer = reason(&scene, token.to_text(&brand).expose_secret(), NOW.into()).await;
                let expected = match (kind, letter) {
                    (TokenKind::Ci, OpaqueKind::Ci) | (TokenKind::Personal, OpaqueKind::Personal) => Ok(()),
                    (TokenKind::Refresh, OpaqueKind::Refresh) | (TokenKind::Browser, OpaqueKind::Browser) => {
                        Err(NotAuthenticated::Refused { code: "wrong_token_kind" })
                    }
                    _ => Err(NotAuthenticated::Unknown),
                };
                assert_eq!(answer, expected, "{kind:?} behind {letter:?}");
            }
        }
        drop(scene);
    });
}

#[test]
fn a_jwt_whose_id_names_another_row_is_refused() {
    block_on(async {
        // Two gates with one vault of keys and two stores: what one signs verifies at the other.
        let scene = Scene::new().await;
        let device = scene.device(DeviceAccess::Normal).await;
        assert_eq!(reason(&scene, device.token.expose_secret(), NOW.into()).await, Ok(()));
        let act = Act { by: Principal::Anonymous, token: None, at: NOW.into() };
        let other = Scene::new().await;
        for key in scene.storage.keys().await.expect("keys") {
            other.storage.put_key(&key, &act).await.expect("a key");
        }
        other.gate.catch_up().await.expect("a revision");
        let answer = async || reason(&other, device.token.expose_secret(), NOW.into()).await;
        assert_eq!(answer().await, Err(NotAuthenticated::Unknown), "no row");

        // An opaque token's row, a row of another kind, a row of another life.
        let opaque = scene.ci(AccessLevel::ReadOnly, Lane::main()).await.record.form;
        let jwt = device.record.form.clone();
        let variants = [
            TokenRecord { form: opaque, ..device.record.clone() },
            TokenRecord { kind: TokenKind::Session, form: jwt.clone(), ..device.record.clone() },
            TokenRecord { expires_at: None, form: jwt.clone(), ..device.record.clone() },
            TokenRecord { issued_at: later(1), form: jwt, ..device.record.clone() },
        ];
        for record in variants {
            let other = Scene::new().await;
            for key in scene.storage.keys().await.expect("keys") {
                other.storage.put_key(&key, &act).await.expect("a key");
            }
            other.storage.insert_token(&record, &Preconditions::default(), &act).await.expect("inserted");
            other.gate.catch_up().await.expect("a revision");
            let answer = reason(&other, device.token.expose_secret(), NOW.into()).await;
            assert_eq!(answer, Err(NotAuthenticated::Unknown), "{:?}", record.kind);
        }
    });
}

#[test]
fn a_jwt_of_another_gate_is_refused() {
    block_on(async {
        let scene = Scene::new().await;
        let device = scene.device(DeviceAccess::Normal).await.token;
        let other = Scene::new().await;
        let answer = reason(&other, device.expose_secret(), NOW.into()).await;
        assert_eq!(answer, Err(NotAuthenticated::Refused { code: "unknown_key" }));
        // Without the prefix it is a platform's, and none is configured.
        let bare = device.expose_secret().strip_prefix("cg1_").expect("a prefix");
        assert_eq!(reason(&scene, bare, NOW.into()).await, Err(NotAuthenticated::UnknownIssuer));
        // Under another name, the same keys and rows say nothing.
        let renamed = Gate::builder(Arc::clone(&scene.storage), Arc::clone(&scene.vault))
            .issuer("another")
            .build(NOW.into())
            .await
            .expect("a gate");
        let credential = Credential::parse(device.expose_secret(), renamed.brand()).expect("a credential");
        let answer = renamed.authenticate(Some(&credential), NOW.into()).await.expect_err("refused");
        assert_eq!(answer.to_string(), "this token was refused (issuer_mismatch)");
    });
}

#[test]
fn personal_tokens_come_as_jwts_too_and_never_outlive_their_key() {
    block_on(async {
        let scene = Scene::new().await;
        let spec = cachegate::TokenSpec::Personal {
            owner: scene.owner,
            actions: ActionSet::ALL,
            form: PersonalForm::Jwt,
        };
        let issued = scene.issue(&spec, Some(Duration::from_secs(10 * 365 * 86_400))).await;
        assert_eq!(
            issued.record.expires_at,
            Some(NOW.into()).map(|now: Timestamp| now.saturating_add(cachegate::DEVICE_TOKEN_LIFE))
        );
        assert_eq!(scene.code(&issued.token, Action::Write).await, "allowed");
    });
}

#[test]
fn an_nx_cloud_pair_means_the_workspace_that_it_names() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, token) = scene.person(Role::Member, ActionSet::ALL).await;
        let (other, elsewhere) = scene.elsewhere("other").await;
        scene.gate.set_member(&OPERATOR, other, user, Role::Member, NOW.into()).await.expect("a member");
        let id = scene.workspace.to_string();
        let fields = [
            ("nx-cloud-id", id.as_bytes()),
            ("nx-cloud-personal-access-token", token.expose_secret().as_bytes()),
        ];
        let pair = Credential::from_fields(fields, scene.gate.brand()).expect("a pair").expect("a pair");
        let who = scene.gate.authenticate(Some(&pair), NOW.into()).await.expect("a person");
        assert_eq!(who.workspace(), Some(scene.workspace));
        let ask = async |workspace: WorkspaceId| {
            let resource = Resource::entry(workspace, EntryKey::new(b"k").expect("a key"));
            scene.gate.check(Some(&pair), &Request::new(Action::Read, &resource), NOW.into()).await.code()
        };
        assert_eq!(ask(scene.workspace).await, "allowed");
        assert_eq!(ask(elsewhere).await, "restricted", "another workspace was not meant");
        // The bare token is not narrowed, and shares nothing with the pair.
        assert_eq!(scene.code_in(elsewhere, &token, Action::Read, NOW.into()).await, "allowed");
        assert_eq!(ask(elsewhere).await, "restricted");
    });
}

#[test]
fn an_authentication_made_earlier_is_asked_about_again() {
    block_on(async {
        let scene = Scene::new().await;
        let spec = cachegate::TokenSpec::Ci {
            workspace: scene.workspace,
            level: AccessLevel::ReadOnly,
            lane: Lane::main(),
        };
        let token = scene.issue(&spec, Some(Duration::from_secs(60))).await;
        let who = scene.authenticate(&token.token).await;
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        assert_eq!(scene.gate.authorize(&who, &request, later(59)).await.code(), "allowed");
        assert_eq!(scene.gate.authorize(&who, &request, later(60)).await.code(), "expired");
        scene.revoke(token.record.id).await;
        assert_eq!(scene.gate.authorize(&who, &request, later(59)).await.code(), "revoked");
    });
}

#[test]
fn an_authentication_of_another_gate_says_nothing_here() {
    block_on(async {
        let scene = Scene::new().await;
        let (node, _, _) = scene.other_node().await;
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        let who = scene.administrator().await;
        assert_eq!(node.authorize(&who, &request, NOW.into()).await.code(), "another_gate");
        let nobody = scene.gate.authenticate(None, NOW.into()).await.expect("anonymous");
        assert_eq!(node.authorize(&nobody, &request, NOW.into()).await.code(), "another_gate");
        let locked = node
            .lock(
                &Authority::Of(&who),
                cachegate_policy::LockScope::Workspace(scene.workspace),
                ActionSet::ALL,
                None,
                why(),
                NOW.into(),
            )
            .await;
        assert_eq!(locked.expect_err("refused").to_string(), "this token was refused (another_gate)");
    });
}

#[test]
fn a_rotated_signing_key_goes_on_verifying_what_it_signed() {
    block_on(async {
        let scene = Scene::new().await;
        let before = scene.device(DeviceAccess::Normal).await;
        let next = scene.gate.rotate_signing_key(&OPERATOR, NOW.into()).await.expect("rotated");
        // Published before use: the old one still signs.
        let set = scene.gate.key_set(NOW.into()).await.expect("a key set");
        assert!(set.contains(&*next));
        let during = scene.device(DeviceAccess::Normal).await;
        let key = |record: &TokenRecord| match &record.form {
            TokenForm::Jwt { key } => Arc::clone(key),
            TokenForm::Opaque(_) => panic!("a JWT"),
        };
        assert_eq!(key(&during.record), key(&before.record));
        let used = NOW + u32::try_from(cachegate::PUBLISH_BEFORE_USE.as_secs()).expect("a number");
        let spec =
            cachegate::TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal };
        let after = scene.gate.issue(&OPERATOR, &spec, why(), None, used.into()).await.expect("a token");
        assert_eq!(key(&after.record), next);
        for token in [&before, &during, &after] {
            assert_eq!(reason(&scene, token.token.expose_secret(), used.into()).await, Ok(()));
        }
        // The set drops it once nothing that it signed can still live.
        let retired = Timestamp::from(used).saturating_add(cachegate::DEVICE_TOKEN_LIFE);
        let set = scene.gate.key_set(retired).await.expect("a key set");
        assert!(!set.contains(&*key(&before.record)) && set.contains(&*next));
    });
}

#[test]
fn a_revoked_signing_key_takes_its_tokens_at_once_and_no_others() {
    block_on(async {
        let scene = Scene::new().await;
        let device = scene.device(DeviceAccess::Normal).await;
        let ci = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        assert_eq!(scene.code(&device.token, Action::Read).await, "allowed");
        let who = scene.authenticate(&device.token).await;
        let TokenForm::Jwt { key } = &device.record.form else { panic!("a JWT") };
        scene.gate.revoke_key(&OPERATOR, key, why(), NOW.into()).await.expect("revoked");
        assert_eq!(scene.code(&device.token, Action::Read).await, "revoked");
        assert_eq!(
            reason(&scene, device.token.expose_secret(), NOW.into()).await,
            Err(NotAuthenticated::Revoked)
        );
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let verdict = scene.gate.authorize(&who, &Request::new(Action::Read, &resource), NOW.into()).await;
        assert_eq!(verdict.code(), "revoked");
        assert_eq!(scene.code(&ci, Action::Read).await, "allowed");
        // There is a new one at once.
        let next = scene.device(DeviceAccess::Normal).await;
        assert_eq!(scene.code(&next.token, Action::Read).await, "allowed");
        assert!(!scene.gate.key_set(NOW.into()).await.expect("a set").contains(&**key));
        // A gate that never saw the token says the same.
        let (node, _, _) = scene.other_node().await;
        let verdict = scene.ask_gate(&node, Some(&device.token), Action::Read, "k", NOW.into()).await;
        assert_eq!(verdict.code(), "revoked");
    });
}

#[test]
fn a_vault_without_the_private_key_makes_a_new_one() {
    block_on(async {
        let scene = Scene::new().await;
        let before = scene.device(DeviceAccess::Normal).await;
        let gate = Gate::builder(Arc::clone(&scene.storage), Arc::new(MemoryVault::default()))
            .build(NOW.into())
            .await
            .expect("a gate");
        let spec =
            cachegate::TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal };
        let after = gate.issue(&OPERATOR, &spec, why(), None, NOW.into()).await.expect("a token");
        for token in [&before.token, &after.token] {
            let verdict = scene.ask_gate(&gate, Some(token), Action::Read, "k", NOW.into()).await;
            assert_eq!(verdict.code(), "allowed", "public halves are shared");
        }
    });
}

#[test]
fn last_used_is_noted_to_the_hour_and_written_when_asked() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let used =
            async || scene.storage.token(token.record.id).await.expect("read").expect("there").last_used;
        assert_eq!(scene.gate.flush_last_used(NOW.into()).await, Ok(0));
        assert_eq!(scene.code(&token.token, Action::Read).await, "allowed");
        assert_eq!(used().await, None, "not on the way of a request");
        scene.faults.cut();
        assert!(scene.gate.flush_last_used(later(5)).await.is_err());
        scene.faults.mend();
        assert_eq!(scene.gate.flush_last_used(later(5)).await, Ok(1), "kept for the next call");
        assert_eq!(used().await, Some(NOW.into()));
        // The same hour is not written again, even after something changed.
        let other = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        scene.revoke(other.record.id).await;
        assert_eq!(scene.code(&token.token, Action::Read).await, "allowed");
        assert_eq!(scene.gate.flush_last_used(later(6)).await, Ok(0));
        let hour = NOW + 3600;
        assert!(scene.ask_held(Some(&token.token), Action::Read, "k", hour.into()).is_some());
        assert_eq!(scene.gate.flush_last_used((hour - 1).into()).await, Ok(1));
        assert_eq!(used().await, Some((hour - 1).into()), "never later than the flush");
        // What was refused as unknown is no use.
        let wrong = opaque(OpaqueKind::Ci, token.record.id, 1).to_text(scene.gate.brand());
        assert_eq!(scene.code(&wrong, Action::Read).await, "unknown_token");
        assert_eq!(scene.gate.flush_last_used(hour.into()).await, Ok(0));
    });
}

#[test]
fn what_is_remembered_is_bound_to_the_whole_credential() {
    block_on(async {
        // A good token warms the memory; nothing that differs from it in one place finds it there.
        let scene = Scene::new().await;
        let opaque = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let jwt = scene.device(DeviceAccess::Normal).await.token;
        for token in [&opaque, &jwt] {
            assert_eq!(scene.code(token, Action::Read).await, "allowed");
            let text = token.expose_secret();
            for position in (0..text.len()).step_by(7).chain([text.len() - 1]) {
                let mut bytes = text.as_bytes().to_vec();
                bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
                let text = String::from_utf8(bytes).expect("text");
                let Ok(credential) = Credential::parse(&text, scene.gate.brand()) else { continue };
                let resource = Resource::entry(scene.workspace, EntryKey::new(b"key").expect("a key"));
                let request = Request::new(Action::Read, &resource);
                assert!(
                    scene.gate.check_held(Some(&credential), &request, NOW.into()).is_none(),
                    "{position}"
                );
                let verdict = scene.gate.check(Some(&credential), &request, NOW.into()).await;
                assert!(!verdict.is_allowed(), "{position}");
            }
            assert_eq!(scene.code(token, Action::Read).await, "allowed");
        }
    });
}
