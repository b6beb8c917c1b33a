//! Who may do what, where, and when that ends: through the whole gate, not the policy alone.

use std::time::Duration;

use cachegate::{Authority, Candour, DeviceAccess, PersonalForm, Request, Verdict};
use cachegate_policy::{Listed, ListedParty, LockScope, OpenTo, ReadOnlyCiWrites};
use cachegate_storage::TokenRecord;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Lane, LaneClass, Principal, Resource, Role,
    SecretText, Timestamp,
};

const OPERATOR: Authority<'_> = Authority::Operator;
const LOOKS: [Action; 2] = [Action::Resolve, Action::Read];

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn why() -> Description {
    Description::default()
}

async fn anonymous(scene: &Scene, action: Action) -> &'static str {
    scene.ask(None, action, "key").await.code()
}

async fn lanes(scene: &Scene, token: Option<&SecretText>, action: Action) -> (Vec<String>, Option<String>) {
    match scene.ask(token, action, "key").await {
        Verdict::Allowed(allowed) => {
            (allowed.read_lanes().map(Lane::to_string).collect(), allowed.write_lane().map(Lane::to_string))
        }
        _ => (Vec::new(), None),
    }
}

#[test]
fn nobody_has_what_the_anonymous_level_says_and_no_more() {
    block_on(async {
        let scene = Scene::new().await;
        for action in Action::ALL {
            assert_eq!(anonymous(&scene, action).await, "action_not_granted", "none: {action}");
        }
        scene.settings(|settings| settings.anonymous = AccessLevel::ReadOnly).await;
        for action in Action::ALL {
            let expected = if LOOKS.contains(&action) { "allowed" } else { "action_not_granted" };
            assert_eq!(anonymous(&scene, action).await, expected, "read-only: {action}");
        }
        scene.settings(|settings| settings.anonymous = AccessLevel::ReadWrite).await;
        let (reads, writes) = lanes(&scene, None, Action::Write).await;
        assert_eq!(reads, ["anonymous", "release", "main"]);
        assert_eq!(writes.as_deref(), Some("anonymous"), "nobody writes what builds trust");
        for action in
            [Action::Replace, Action::Delete, Action::Administer, Action::Publish, Action::Provision]
        {
            assert_eq!(anonymous(&scene, action).await, "action_not_granted", "read-write: {action}");
        }
        scene.settings(|settings| settings.anonymous = AccessLevel::None).await;
        assert_eq!(anonymous(&scene, Action::Read).await, "action_not_granted", "at once");
    });
}

#[test]
fn the_personal_level_cuts_the_use_of_entries_and_not_their_administration() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, member) = scene.person(Role::Member, ActionSet::ALL).await;
        assert_eq!(scene.code(&member, Action::Write).await, "allowed");
        scene.settings(|settings| settings.personal = AccessLevel::ReadOnly).await;
        assert_eq!(scene.code(&member, Action::Read).await, "allowed");
        assert_eq!(scene.code(&member, Action::Write).await, "personal_level");
        scene.settings(|settings| settings.personal = AccessLevel::None).await;
        assert_eq!(scene.code(&member, Action::Read).await, "personal_level");
        assert_eq!(scene.code(&scene.administrator, Action::Read).await, "personal_level");
        // Whoever turned it off can turn it on again.
        let who = scene.administrator().await;
        let settings = cachegate_policy::WorkspaceSettings::default();
        scene
            .gate
            .set_settings(&Authority::Of(&who), scene.workspace, &settings, NOW.into())
            .await
            .expect("changed");
        assert_eq!(scene.code(&member, Action::Write).await, "allowed");
    });
}

#[test]
fn a_read_only_ci_token_writes_nothing_whatever_the_setting() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        for setting in [ReadOnlyCiWrites::Refuse, ReadOnlyCiWrites::OwnLane] {
            scene.settings(|settings| settings.read_only_ci_writes = setting).await;
            assert_eq!(scene.code(&token, Action::Read).await, "allowed");
            // A shared secret proves no run: an own lane is for a session from an exchange.
            assert_eq!(scene.code(&token, Action::Write).await, "action_not_granted", "{setting:?}");
        }
    });
}

#[test]
fn one_credential_has_one_lane_per_workspace() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, member) = scene.person(Role::Member, ActionSet::ALL).await;
        let pull = "pull/42".parse::<Lane>().expect("a lane");
        let tokens = [
            (scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await, "main"),
            (scene.ci_token(AccessLevel::ReadWrite, Lane::release()).await, "release"),
            (scene.ci_token(AccessLevel::ReadWrite, pull).await, "pull/42"),
            (member, "dev"),
            (scene.administrator.clone(), "dev"),
        ];
        // More grants give more levels and never another lane.
        let listed = [Listed { party: ListedParty::User(user), actions: ActionSet::ALL }];
        let act = cachegate_storage::Act { by: Principal::Anonymous, token: None, at: NOW.into() };
        scene.storage.set_listed(scene.workspace, &listed, None, &act).await.expect("listed");
        scene.gate.catch_up().await.expect("a revision");
        for (token, lane) in &tokens {
            for action in [Action::Write, Action::Read] {
                let (reads, writes) = lanes(&scene, Some(token), action).await;
                assert_eq!(reads.first().map(String::as_str), Some(*lane), "{action}");
                assert_eq!(writes.as_deref(), (action == Action::Write).then_some(*lane));
            }
        }
        let (reads, _) = lanes(&scene, Some(&tokens[2].0), Action::Read).await;
        assert_eq!(reads, ["pull/42", "release", "main"], "nothing sideways, nothing of dev");
    });
}

#[test]
fn a_request_may_raise_its_floor_and_never_lower_it() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let who = scene.authenticate(&token).await;
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let read = async |floor| match scene
            .gate
            .authorize(&who, &Request::new(Action::Read, &resource).floor(floor), NOW.into())
            .await
        {
            Verdict::Allowed(allowed) => allowed.read_lanes().map(Lane::to_string).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(read(LaneClass::Release).await, ["release"]);
        assert_eq!(read(LaneClass::Anonymous).await, ["main", "release"], "as without");
    });
}

#[test]
fn a_member_who_leaves_loses_this_organizations_caches_at_once_and_no_others() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, token) = scene.person(Role::Member, ActionSet::ALL).await;
        let (other, elsewhere) = scene.elsewhere("other").await;
        scene.gate.set_member(&OPERATOR, other, user, Role::Member, NOW.into()).await.expect("a member");
        let ci = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let early = scene.authenticate(&token).await;
        assert_eq!(scene.code(&token, Action::Read).await, "allowed");
        assert_eq!(scene.code_in(elsewhere, &token, Action::Read, NOW.into()).await, "allowed");

        scene.gate.remove_member(&OPERATOR, scene.organization, user, NOW.into()).await.expect("left");
        assert_eq!(scene.code(&token, Action::Read).await, "not_a_member");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        assert_eq!(scene.gate.authorize(&early, &request, NOW.into()).await.code(), "not_a_member");
        assert_eq!(scene.code_in(elsewhere, &token, Action::Read, NOW.into()).await, "allowed");
        assert_eq!(scene.code(&ci, Action::Read).await, "allowed", "the workspace's tokens stay");
    });
}

#[test]
fn whoever_comes_back_needs_new_tokens_and_those_work() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, old) = scene.person(Role::Member, ActionSet::ALL).await;
        let (gate, organization) = (&scene.gate, scene.organization);
        gate.remove_member(&OPERATOR, organization, user, later(5)).await.expect("left");
        gate.set_member(&OPERATOR, organization, user, Role::Member, later(9)).await.expect("back");
        assert_eq!(scene.code_in(scene.workspace, &old, Action::Read, later(9)).await, "not_a_member");

        // Nothing that the old token makes comes alive either.
        let who = scene.authenticate(&old).await;
        let id = who.token_id().expect("a token");
        let spec = cachegate::TokenSpec::Personal {
            owner: user,
            actions: ActionSet::ALL,
            form: PersonalForm::Opaque,
        };
        let by = Authority::Of(&who);
        let issued = gate.issue(&by, &spec, why(), None, later(9)).await;
        assert!(matches!(issued, Err(cachegate::IssueError::FormerMember)), "{issued:?}");
        let rotated = gate.rotate(&by, id, Duration::ZERO, None, later(9)).await;
        assert!(matches!(rotated, Err(cachegate::IssueError::FormerMember)), "{rotated:?}");

        // A session that was exchanged for it afterwards is of the former time too.
        let record = scene.storage.token(id).await.expect("read").expect("there");
        let session =
            scene.descendant(&record, |session| TokenRecord { issued_at: later(9), ..session }).await;
        assert_eq!(scene.code_in(scene.workspace, &session, Action::Read, later(9)).await, "not_a_member");

        let new = gate.issue(&OPERATOR, &spec, why(), None, later(9)).await.expect("a token").token;
        assert_eq!(scene.code_in(scene.workspace, &new, Action::Read, later(9)).await, "allowed");
        assert_eq!(scene.code_in(scene.workspace, &old, Action::Read, later(9)).await, "not_a_member");
    });
}

#[test]
fn a_workspace_that_is_open_to_those_listed_is_closed_to_other_members() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, member) = scene.person(Role::Member, ActionSet::ALL).await;
        scene.settings(|settings| settings.open_to = OpenTo::Listed).await;
        assert_eq!(scene.code(&member, Action::Read).await, "action_not_granted");
    });
}

#[test]
fn a_lock_beats_every_grant_and_lifting_it_gives_them_back() {
    block_on(async {
        let scene = Scene::new().await;
        let ci = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let scopes = [
            LockScope::Everything,
            LockScope::Organization(scene.organization),
            LockScope::Workspace(scene.workspace),
            LockScope::Principal(Principal::Ci(scene.workspace)),
            LockScope::Lane(LaneClass::Main),
        ];
        for scope in scopes {
            let writes = ActionSet::of(&[Action::Write]);
            let (lock, _) = scene
                .gate
                .lock(&OPERATOR, scope.clone(), writes, None, why(), NOW.into())
                .await
                .expect("locked");
            assert_eq!(scene.code(&ci, Action::Write).await, "locked", "{scope:?}");
            assert_eq!(scene.code(&ci, Action::Read).await, "allowed", "{scope:?} stops writes alone");
            scene.gate.lift_lock(&OPERATOR, lock, NOW.into()).await.expect("lifted");
            assert_eq!(scene.code(&ci, Action::Write).await, "allowed", "{scope:?}");
        }
        let until = Some(later(10));
        scene
            .gate
            .lock(&OPERATOR, LockScope::Everything, ActionSet::ALL, until, why(), NOW.into())
            .await
            .expect("locked");
        let at = async |seconds| scene.ask_at(Some(&ci), Action::Read, "k", later(seconds)).await.code();
        assert_eq!((at(9).await, at(10).await), ("locked", "allowed"));
    });
}

#[test]
fn an_operators_lock_is_not_lifted_by_an_administrator() {
    block_on(async {
        let scene = Scene::new().await;
        let who = scene.administrator().await;
        let by = Authority::Of(&who);
        let scope = LockScope::Organization(scene.organization);
        let reads = ActionSet::of(&[Action::Read]);
        let lock = async |by: &Authority<'_>| {
            scene.gate.lock(by, scope.clone(), reads, None, why(), NOW.into()).await.expect("locked").0
        };
        let operators = lock(&OPERATOR).await;
        let lifted = scene.gate.lift_lock(&by, operators, NOW.into()).await;
        assert_eq!(lifted.expect_err("refused").to_string(), "no such lock");
        let own = lock(&by).await;
        scene.gate.lift_lock(&by, own, NOW.into()).await.expect("lifted");
        assert_eq!(scene.code(&scene.administrator, Action::Read).await, "locked");
        // A stranger does not learn that it is there.
        let (_, member) = scene.person(Role::Member, ActionSet::ALL).await;
        let stranger = scene.authenticate(&member).await;
        let own = lock(&by).await;
        for id in [own, operators, cachegate_types::LockId::from_bytes([9; 16])] {
            let error = scene.gate.lift_lock(&Authority::Of(&stranger), id, NOW.into()).await;
            assert_eq!(error.expect_err("refused").to_string(), "no such lock");
        }
    });
}

#[test]
fn a_resolve_only_device_token_resolves_its_versions_and_does_nothing_else() {
    block_on(async {
        let scene = Scene::new().await;
        let access = DeviceAccess::ResolveOnly {
            workspace: scene.workspace,
            requirement: "1.*".parse().expect("a requirement"),
            reads_closures: false,
        };
        let token = scene.device(access).await.token;
        let who = scene.authenticate(&token).await;
        let ask = async |action, resource: &Resource| {
            scene.gate.authorize(&who, &Request::new(action, resource), NOW.into()).await.code()
        };
        let release = |version: &str| Resource::Release {
            workspace: scene.workspace,
            version: version.parse().expect("a version"),
        };
        assert_eq!(ask(Action::Resolve, &release("1.2.3")).await, "allowed");
        assert_eq!(ask(Action::Resolve, &release("2.0.0")).await, "restricted");
        assert_eq!(ask(Action::Read, &release("1.2.3")).await, "action_not_granted");
        let entry = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        for action in Action::ALL {
            assert_eq!(ask(action, &entry).await, "restricted", "{action}");
            assert_eq!(ask(action, &Resource::Workspace(scene.workspace)).await, "restricted", "{action}");
        }
    });
}

#[test]
fn a_device_token_reads_main_and_above_and_writes_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.device(DeviceAccess::Normal).await.token;
        assert_eq!(lanes(&scene, Some(&token), Action::Read).await.0, ["main", "release"]);
        for action in [Action::Write, Action::Replace, Action::Delete, Action::Administer, Action::Publish] {
            assert_eq!(scene.code(&token, action).await, "action_not_granted", "{action}");
        }
        let (_, elsewhere) = scene.elsewhere("other").await;
        assert_eq!(scene.code_in(elsewhere, &token, Action::Read, NOW.into()).await, "restricted");
    });
}

#[test]
fn what_is_unknown_and_what_is_not_granted_look_the_same_to_whoever_holds_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, elsewhere) = scene.elsewhere("other").await;
        let token = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let who = scene.authenticate(&token).await;
        let nowhere = cachegate_types::WorkspaceId::from_bytes([9; 16]);
        let mut texts = Vec::new();
        for workspace in [elsewhere, nowhere] {
            let resource = Resource::entry(workspace, EntryKey::new(b"k").expect("a key"));
            match scene.gate.authorize(&who, &Request::new(Action::Read, &resource), NOW.into()).await {
                Verdict::Denied(denied) => {
                    texts.push((denied.explain(Candour::Public), denied.explain(Candour::Caller)));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(texts[0], texts[1]);
    });
}

#[test]
fn a_name_that_changes_hands_inherits_nothing() {
    block_on(async {
        // Tokens name workspaces by id: one of the same name elsewhere is another.
        let scene = Scene::new().await;
        let token = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let (other, _) = scene.elsewhere("other").await;
        let name = "app".parse().expect("a name");
        let settings = cachegate_policy::WorkspaceSettings::default();
        let twin = scene
            .gate
            .create_workspace(&OPERATOR, other, name, settings, NOW.into())
            .await
            .expect("a workspace of the same name");
        assert_eq!(scene.code_in(scene.workspace, &token, Action::Read, NOW.into()).await, "allowed");
        assert_eq!(scene.code_in(twin, &token, Action::Read, NOW.into()).await, "action_not_granted");
    });
}
