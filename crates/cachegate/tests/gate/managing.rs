//! Who may make, list and end tokens; the first start and the recovery.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    AuditFilter, AuditFrom, Authority, DEVICE_TOKEN_LIFE, DeviceAccess, Gate, IssueError, Issued, Made,
    ManageError, MemoryVault, PersonalForm, TOKEN_RETENTION, TokenSpec,
};
use cachegate_policy::LockScope;
use cachegate_storage::{GroupRecord, MarkScope, MassScope, MemoryStorage, Storage, TokenFilter};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Epoch, Lane, Name, Principal, Role, SecretText, Timestamp,
    TokenId, UserId, WorkspaceId,
};

const OPERATOR: Authority<'_> = Authority::Operator;

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn why() -> Description {
    Description::default()
}

fn ci(workspace: WorkspaceId, level: AccessLevel) -> TokenSpec {
    TokenSpec::Ci { workspace, level, lane: Lane::main() }
}

fn personal(owner: UserId, actions: &[Action]) -> TokenSpec {
    TokenSpec::Personal { owner, actions: ActionSet::of(actions), form: PersonalForm::Opaque }
}

/// Whoever holds `text` tries to make this.
async fn make(scene: &Scene, text: &SecretText, spec: &TokenSpec) -> Result<Issued, IssueError> {
    let who = scene.authenticate(text).await;
    scene.gate.issue(&Authority::Of(&who), spec, why(), None, NOW.into()).await
}

fn is_denied(answer: &Result<Issued, IssueError>) -> bool {
    matches!(answer, Err(IssueError::Refused(ManageError::Denied { .. })))
}

#[test]
fn nobody_issues_more_than_they_hold() {
    block_on(async {
        let scene = Scene::new().await;
        let workspace = scene.workspace;
        let write = ci(workspace, AccessLevel::ReadWrite);
        let read = ci(workspace, AccessLevel::ReadOnly);
        let device = TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal };

        let (_, member) = scene.person(Role::Member, ActionSet::ALL).await;
        for spec in [&write, &read, &device] {
            assert!(is_denied(&make(&scene, &member, spec).await), "a member");
        }
        // An administrator's token that was not made to administer.
        let (_, weak) = scene.person(Role::Admin, AccessLevel::ReadWrite.actions()).await;
        for spec in [&write, &read, &device] {
            assert!(is_denied(&make(&scene, &weak, spec).await), "without administer");
        }
        // One that administers and reads makes what reads.
        let looks = ActionSet::of(&[Action::Administer, Action::Resolve, Action::Read]);
        let (_, reader) = scene.person(Role::Admin, looks).await;
        assert!(make(&scene, &reader, &read).await.is_ok());
        assert!(make(&scene, &reader, &device).await.is_ok());
        match make(&scene, &reader, &write).await {
            Err(IssueError::MoreThanHeld { wanted, held }) => {
                assert!(wanted.contains(Action::Write) && !held.contains(Action::Write));
            }
            other => panic!("{other:?}"),
        }
        let (_, admin) = scene.person(Role::Admin, ActionSet::ALL).await;
        assert!(make(&scene, &admin, &write).await.is_ok());
        // One that administers and resolves gives nobody the right to read what a release needs.
        let resolves = ActionSet::of(&[Action::Administer, Action::Resolve]);
        let (_, resolver) = scene.person(Role::Admin, resolves).await;
        let resolve_only = |reads_closures| {
            let requirement = "1.*".parse().expect("a requirement");
            let access =
                DeviceAccess::ResolveOnly { workspace: scene.workspace, requirement, reads_closures };
            TokenSpec::Device { organization: scene.organization, access }
        };
        let plain = make(&scene, &resolver, &resolve_only(false)).await.expect("a token");
        assert!(!plain.record.reads_closures);
        let closure = make(&scene, &reader, &resolve_only(true)).await.expect("a token");
        assert!(closure.record.reads_closures);
        let who = scene.authenticate(&resolver).await;
        let (by, id) = (Authority::Of(&who), closure.record.id);
        let rotated = scene.gate.rotate(&by, id, Duration::ZERO, None, NOW.into()).await;
        for answer in [make(&scene, &resolver, &resolve_only(true)).await, rotated] {
            match answer {
                Err(IssueError::MoreThanHeld { wanted, held }) => {
                    assert!(wanted.contains(Action::Read) && !held.contains(Action::Read));
                }
                other => panic!("{other:?}"),
            }
        }
        // Nothing of another organization.
        let (organization, elsewhere) = scene.elsewhere("other").await;
        assert!(is_denied(&make(&scene, &admin, &ci(elsewhere, AccessLevel::ReadOnly)).await));
        let device = TokenSpec::Device { organization, access: DeviceAccess::Normal };
        assert!(is_denied(&make(&scene, &admin, &device).await));
        let access = DeviceAccess::ResolveOnly {
            workspace: elsewhere,
            requirement: "*".parse().expect("a requirement"),
            reads_closures: false,
        };
        let device = TokenSpec::Device { organization: scene.organization, access };
        let answer = make(&scene, &admin, &device).await;
        assert_eq!(answer.expect_err("refused").to_string(), "no such workspace");
    });
}

#[test]
fn machines_and_strangers_issue_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        scene.settings(|settings| settings.anonymous = AccessLevel::ReadWrite).await;
        let machines = [
            scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await,
            scene.device(DeviceAccess::Normal).await.token,
        ];
        for text in &machines {
            assert!(is_denied(&make(&scene, text, &ci(scene.workspace, AccessLevel::ReadOnly)).await));
            let answer = make(&scene, text, &personal(scene.owner, &[Action::Read])).await;
            assert!(matches!(answer, Err(IssueError::NotTheOwner)), "{answer:?}");
        }
        let nobody = scene.gate.authenticate(None, NOW.into()).await.expect("anonymous");
        let by = Authority::Of(&nobody);
        for spec in [ci(scene.workspace, AccessLevel::ReadOnly), personal(scene.owner, &[Action::Read])] {
            assert!(scene.gate.issue(&by, &spec, why(), None, NOW.into()).await.is_err());
        }
    });
}

#[test]
fn the_role_bounds_what_is_issued_and_the_credentials_lane_does_not() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, admin) = scene.person(Role::Admin, ActionSet::ALL).await;
        scene.settings(|settings| settings.personal = AccessLevel::ReadOnly).await;
        assert_eq!(scene.code(&admin, Action::Write).await, "personal_level");
        assert!(make(&scene, &admin, &ci(scene.workspace, AccessLevel::ReadWrite)).await.is_ok());
        let release = TokenSpec::Ci {
            workspace: scene.workspace,
            level: AccessLevel::ReadWrite,
            lane: Lane::release(),
        };
        assert!(make(&scene, &admin, &release).await.is_ok());
    });
}

#[test]
fn a_personal_token_carries_what_it_was_made_with_and_no_more() {
    block_on(async {
        let scene = Scene::new().await;
        let text =
            scene.personal(scene.owner, AccessLevel::ReadWrite.actions(), PersonalForm::Opaque).await.token;
        for action in [Action::Administer, Action::Replace, Action::Delete] {
            assert_eq!(scene.code(&text, action).await, "restricted", "{action}");
            let answer = make(&scene, &text, &personal(scene.owner, &[action])).await;
            assert!(matches!(answer, Err(IssueError::MoreThanHeld { .. })), "{answer:?}");
        }
        assert!(make(&scene, &text, &personal(scene.owner, &[Action::Read])).await.is_ok());
        let (other, _) = scene.person(Role::Member, ActionSet::ALL).await;
        let answer = make(&scene, &scene.administrator, &personal(other, &[Action::Read])).await;
        assert!(matches!(answer, Err(IssueError::NotTheOwner)), "not even an owner: {answer:?}");
    });
}

#[test]
fn no_ci_token_is_made_for_a_lane_that_a_secret_cannot_prove() {
    block_on(async {
        let scene = Scene::new().await;
        for lane in ["dev", "anonymous", "own/x", "pull/@github:1/17", "branch/@github:1/next"] {
            let lane = lane.parse::<Lane>().expect("a lane");
            let spec = TokenSpec::Ci {
                workspace: scene.workspace,
                level: AccessLevel::ReadWrite,
                lane: lane.clone(),
            };
            let answer = scene.gate.issue(&OPERATOR, &spec, why(), None, NOW.into()).await;
            assert!(matches!(answer, Err(IssueError::Lane { .. })), "{lane}");
        }
        for level in [AccessLevel::None, AccessLevel::ResolveOnly] {
            let answer =
                scene.gate.issue(&OPERATOR, &ci(scene.workspace, level), why(), None, NOW.into()).await;
            assert!(matches!(answer, Err(IssueError::Level { .. })), "{level}");
        }
    });
}

#[test]
fn a_device_token_lives_ninety_days_at_most() {
    block_on(async {
        let scene = Scene::new().await;
        let spec = TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal };
        for life in [None, Some(DEVICE_TOKEN_LIFE * 2)] {
            let end = scene.issue(&spec, life).await.record.expires_at;
            assert_eq!(end, Some(later(0).saturating_add(DEVICE_TOKEN_LIFE)));
        }
        let end = scene.issue(&spec, Some(Duration::from_secs(60))).await.record.expires_at;
        assert_eq!(end, Some(later(60)));
    });
}

#[test]
fn what_a_node_remembers_never_suffices_to_issue() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, text) = scene.person(Role::Admin, ActionSet::ALL).await;
        let (node, _, _) = scene.other_node().await;
        let credential =
            cachegate::Credential::parse(text.expose_secret(), node.brand()).expect("a credential");
        let who = node.authenticate(Some(&credential), NOW.into()).await.expect("an administrator");
        let by = Authority::Of(&who);
        let spec = ci(scene.workspace, AccessLevel::ReadWrite);
        node.issue(&by, &spec, why(), None, NOW.into()).await.expect("a token");
        // Still a member, and no administrator any more. The node's clock stands still: it is fresh.
        scene
            .gate
            .set_member(&OPERATOR, scene.organization, user, Role::Member, NOW.into())
            .await
            .expect("demoted");
        let answer = node.issue(&by, &spec, why(), None, NOW.into()).await;
        assert!(matches!(answer, Err(IssueError::Refused(ManageError::Denied { .. }))), "{answer:?}");
        scene.revoke(who.token_id().expect("a token")).await;
        let answer = node.issue(&by, &personal(user, &[Action::Read]), why(), None, NOW.into()).await;
        assert!(matches!(answer, Err(IssueError::Refused(ManageError::NotAuthenticated(_)))), "{answer:?}");
    });
}

#[test]
fn nothing_is_issued_while_the_store_is_down() {
    block_on(async {
        let scene = Scene::new().await;
        scene.faults.cut();
        let spec = ci(scene.workspace, AccessLevel::ReadOnly);
        let answer = scene.gate.issue(&OPERATOR, &spec, why(), None, NOW.into()).await;
        assert!(matches!(answer, Err(IssueError::Refused(ManageError::Unavailable(_)))), "{answer:?}");
    });
}

#[test]
fn a_personal_token_is_revoked_by_its_owner_and_strangers_learn_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, text) = scene.person(Role::Member, ActionSet::ALL).await;
        let owner = scene.authenticate(&text).await;
        let token = scene.personal(user, ActionSet::ALL, PersonalForm::Opaque).await;
        let (_, stranger) = scene.person(Role::Admin, ActionSet::ALL).await;
        let (_, member) = scene.person(Role::Member, ActionSet::ALL).await;
        let ci = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let revoke = async |who: &cachegate::Authentication, id| {
            scene.gate.revoke(&Authority::Of(who), id, why(), NOW.into()).await
        };
        let nowhere = TokenId::from_bytes([9; 16]);
        for text in [&stranger, &member, &ci.token] {
            let who = scene.authenticate(text).await;
            for id in [token.record.id, nowhere] {
                assert_eq!(revoke(&who, id).await.expect_err("refused").to_string(), "no such token");
            }
        }
        let who = scene.authenticate(&member).await;
        assert_eq!(revoke(&who, ci.record.id).await.expect_err("refused").to_string(), "no such token");
        assert_eq!(scene.code(&token.token, Action::Read).await, "allowed");
        revoke(&owner, token.record.id).await.expect("revoked");
        assert_eq!(scene.code(&token.token, Action::Read).await, "revoked");
        let who = scene.authenticate(&stranger).await;
        revoke(&who, ci.record.id).await.expect("an administrator's to revoke");
        assert_eq!(scene.code(&ci.token, Action::Read).await, "revoked");
        // Whoever is revoked manages nothing, whatever they held when they came.
        revoke(&owner, owner.token_id().expect("a token")).await.expect("its own");
        match revoke(&owner, token.record.id).await {
            Err(ManageError::NotAuthenticated(reason)) => assert_eq!(reason.code(), "revoked"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_administrator_ends_the_tokens_that_there_are_and_not_those_to_come() {
    block_on(async {
        let scene = Scene::new().await;
        let who = scene.administrator().await;
        let before = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        for until in [None, Some(later(9999))] {
            let scope = MassScope::Workspace(scene.workspace);
            scene
                .gate
                .revoke_many(&Authority::Of(&who), scope, until, why(), NOW.into())
                .await
                .expect("revoked");
        }
        assert_eq!(scene.code(&before.token, Action::Read).await, "revoked");
        let spec = ci(scene.workspace, AccessLevel::ReadOnly);
        let after = scene.gate.issue(&OPERATOR, &spec, why(), None, later(1)).await.expect("a token").token;
        assert_eq!(scene.ask_at(Some(&after), Action::Read, "k", later(1)).await.code(), "allowed");
        for scope in [
            MassScope::Everything,
            MassScope::Principal(Principal::User(scene.owner)),
            MassScope::Family(before.record.family),
        ] {
            let answer =
                scene.gate.revoke_many(&Authority::Of(&who), scope.clone(), None, why(), NOW.into()).await;
            assert!(matches!(answer, Err(ManageError::Denied { .. })), "{scope:?}");
        }
    });
}

#[test]
fn whoever_shares_a_secret_does_not_list_its_siblings() {
    block_on(async {
        let scene = Scene::new().await;
        let ci = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let list = async |text: &SecretText, filter: &TokenFilter| {
            let who = scene.authenticate(text).await;
            scene
                .gate
                .tokens(&Authority::Of(&who), filter, None, 100, NOW.into())
                .await
                .map(|list| list.len())
        };
        let siblings = TokenFilter {
            owner: Some(Principal::Ci(scene.workspace)),
            workspace: Some(scene.workspace),
            ..TokenFilter::default()
        };
        assert!(list(&ci.token, &siblings).await.is_err());
        assert_eq!(list(&scene.administrator, &siblings).await.expect("listed"), 1);
        let own = TokenFilter { owner: Some(Principal::User(scene.owner)), ..TokenFilter::default() };
        assert_eq!(list(&scene.administrator, &own).await.expect("listed"), 1);
        let (_, member) = scene.person(Role::Member, ActionSet::ALL).await;
        assert!(list(&member, &own).await.is_err());
        assert!(list(&member, &TokenFilter::default()).await.is_err());
    });
}

#[test]
fn only_an_owner_decides_who_is_an_owner() {
    block_on(async {
        let scene = Scene::new().await;
        let (admin, text) = scene.person(Role::Admin, ActionSet::ALL).await;
        let who = scene.authenticate(&text).await;
        let by = Authority::Of(&who);
        let set = async |user, role| {
            scene.gate.set_member(&by, scene.organization, user, role, NOW.into()).await.map(drop)
        };
        assert!(matches!(set(admin, Role::Owner).await, Err(ManageError::Denied { .. })));
        assert!(matches!(set(scene.owner, Role::Member).await, Err(ManageError::Denied { .. })));
        let removed = scene.gate.remove_member(&by, scene.organization, scene.owner, NOW.into()).await;
        assert!(matches!(removed, Err(ManageError::Denied { .. })));
        let (member, _) = scene.person(Role::Member, ActionSet::ALL).await;
        assert!(set(member, Role::Admin).await.is_ok());
    });
}

async fn start(gate: &Gate, moment: Timestamp) -> cachegate::FirstStart {
    let name = |name: &str| name.parse::<Name>().expect("a name");
    gate.first_start(&name("acme"), &name("app"), &Description::default(), moment).await.expect("started")
}

async fn bare(storage: &Arc<dyn Storage>) -> Gate {
    Gate::builder(Arc::clone(storage), Arc::new(MemoryVault::default()))
        .build(NOW.into())
        .await
        .expect("a gate")
}

#[test]
fn the_first_start_happens_once() {
    block_on(async {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        let gate = bare(&storage).await;
        let first = start(&gate, NOW.into()).await;
        let again = start(&gate, later(1)).await;
        assert!(first.administrator.is_some() && again.administrator.is_none());
        assert_eq!(
            (first.organization, first.workspace, first.owner),
            (again.organization, again.workspace, again.owner)
        );
    });
}

#[test]
fn of_many_racing_first_starts_one_makes_the_administrator() {
    for _ in 0..50 {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let storage = Arc::clone(&storage);
                std::thread::spawn(move || {
                    block_on(async { start(&bare(&storage).await, NOW.into()).await.administrator })
                })
            })
            .collect();
        let made = threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).count();
        assert_eq!(made, 1);
    }
}

#[test]
fn a_first_start_that_was_cut_off_is_finished_by_the_next() {
    block_on(async {
        let mut calls = 0;
        loop {
            let (faulty, faults) =
                cachegate_testkit::FaultyStorage::new(Arc::new(MemoryStorage::new(Epoch(1))));
            let storage: Arc<dyn Storage> = Arc::new(faulty);
            let gate = bare(&storage).await;
            let name = |name: &str| name.parse::<Name>().expect("a name");
            faults.cut_after(calls);
            let cut =
                gate.first_start(&name("acme"), &name("app"), &Description::default(), NOW.into()).await;
            faults.mend();
            let whole = cut.is_ok();
            let next = start(&gate, NOW.into()).await;
            let administrator = cut.ok().and_then(|cut| cut.administrator).or(next.administrator);
            let text = administrator.expect("an administrator").token;
            let credential =
                cachegate::Credential::parse(text.expose_secret(), gate.brand()).expect("a credential");
            let who = gate.authenticate(Some(&credential), NOW.into()).await.expect("believed");
            gate.set_settings(&Authority::Of(&who), next.workspace, &Default::default(), NOW.into())
                .await
                .expect("an administrator of all that was made");
            if whole {
                break;
            }
            calls += 1;
        }
        assert!(calls > 8, "cut at each of {calls} calls");
    });
}

#[test]
fn a_first_owner_who_left_stays_away_when_the_service_starts_again() {
    block_on(async {
        let scene = Scene::new().await;
        let gate = &scene.gate;
        gate.remove_member(&OPERATOR, scene.organization, scene.owner, NOW.into()).await.expect("left");
        assert!(start(gate, later(9)).await.administrator.is_none());
        assert!(scene.storage.memberships(scene.owner).await.expect("read").is_empty());
        assert_eq!(scene.code(&scene.administrator, Action::Read).await, "not_a_member");
    });
}

#[test]
fn recovery_ends_every_token_of_the_first_owner_and_makes_one() {
    block_on(async {
        let scene = Scene::new().await;
        let mut old = vec![scene.administrator.clone()];
        for _ in 0..3 {
            old.push(scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque).await.token);
        }
        let jwt = scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Jwt).await;
        old.push(jwt.token);
        let (_, other) = scene.person(Role::Owner, ActionSet::ALL).await;
        scene
            .gate
            .remove_member(&OPERATOR, scene.organization, scene.owner, NOW.into())
            .await
            .expect("somebody removed them");
        let new = scene.gate.recover(later(5)).await.expect("recovered").token;
        for text in &old {
            assert_eq!(scene.ask_at(Some(text), Action::Read, "k", later(5)).await.code(), "revoked");
        }
        for action in [Action::Read, Action::Administer] {
            assert_eq!(scene.ask_at(Some(&new), action, "k", later(5)).await.code(), "allowed");
        }
        assert_eq!(scene.code(&other, Action::Read).await, "allowed");
        let bare = bare(&(Arc::new(MemoryStorage::new(Epoch(1))) as Arc<dyn Storage>)).await;
        assert_eq!(bare.recover(NOW.into()).await.expect_err("refused").to_string(), "no such first start");
    });
}

#[test]
fn what_is_gone_stays_in_its_organizations_audit_and_in_no_others() {
    block_on(async {
        let scene = Scene::new().await;
        let (gate, organization) = (&scene.gate, scene.organization);
        let hour = Duration::from_secs(3600);
        let token = scene.issue(&ci(scene.workspace, AccessLevel::ReadOnly), Some(hour)).await.record.id;
        gate.revoke(&OPERATOR, token, why(), NOW.into()).await.expect("revoked");
        let people = "people".parse().expect("a name");
        let group = gate.create_group(&OPERATOR, organization, people, Vec::new(), None, NOW.into()).await;
        let Made::Now(GroupRecord { id: group, .. }) = group.expect("made") else { panic!("made now") };
        gate.remove_group(&OPERATOR, organization, group, NOW.into()).await.expect("removed");
        let mut gone = vec![token.to_string(), group.to_string()];
        for scope in [LockScope::Organization(organization), LockScope::Workspace(scene.workspace)] {
            let lock = gate.lock(&OPERATOR, scope, ActionSet::ALL, None, why(), NOW.into()).await;
            let (lock, _) = lock.expect("locked");
            gate.lift_lock(&OPERATOR, lock, NOW.into()).await.expect("lifted");
            gone.push(lock.to_string());
        }
        let window = MarkScope::Window { workspace: Some(scene.workspace), from: NOW.into(), to: NOW.into() };
        let (mark, _) = gate.distrust(&OPERATOR, window, why(), NOW.into()).await.expect("marked");
        gate.trust_again(&OPERATOR, mark, NOW.into()).await.expect("lifted");
        gone.push(mark.to_string());
        let late = later(3600).saturating_add(TOKEN_RETENTION).saturating_add(hour);
        assert!(gate.purge(late).await.expect("purged").tokens > 0);
        assert!(scene.storage.token(token).await.expect("readable").is_none(), "forgotten");

        let other = gate.create_organization(&OPERATOR, "other".parse().expect("a name"), NOW.into()).await;
        let other = other.expect("made");
        for id in &gone {
            let about = AuditFilter { target: Some(id.clone()), ..AuditFilter::default() };
            let of = async |place| {
                gate.audit(&OPERATOR, Some(place), &about, AuditFrom::OLDEST, 10, NOW.into()).await
            };
            assert_eq!(of(organization).await.expect("a page").items.len(), 2, "{id}: made and gone");
            assert_eq!(of(other).await.expect("a page").items.len(), 0, "{id}");
        }
    });
}

#[test]
fn an_act_names_its_author_and_token_in_the_audit() {
    block_on(async {
        let scene = Scene::new().await;
        let who = scene.administrator().await;
        let token = scene.ci(AccessLevel::ReadOnly, Lane::main()).await.record.id;
        scene.gate.revoke(&Authority::Of(&who), token, why(), NOW.into()).await.expect("revoked");
        let audit = scene.storage.audit(0, 1000).await.expect("read");
        let last = &audit.last().expect("a record").entry;
        assert_eq!(last.act.by, Principal::User(scene.owner));
        assert_eq!(last.act.token, who.token_id());
        assert_eq!(*last.target, format!("{}/{token}", scene.organization));
        assert!(last.is_about(&token.to_string()));
    });
}
