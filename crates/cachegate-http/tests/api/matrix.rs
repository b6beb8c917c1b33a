//! Every class of credential at every operation, against a reviewed table; and what is unknown beside what is not
//! granted.

use std::fmt::Write as _;

use cachegate::{Authority, DeviceAccess, PersonalForm, SessionSpec};
use cachegate_federation::Mode;
use cachegate_storage::{Act, ReleaseRecord};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, ActionSet, ClosureId, Description, EntryKey, Lane, Principal, ReleaseId, Role, SecretText,
    TokenId,
};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::workload;

const NOWHERE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The reviewed answers: a line an operation, a column a class.
const TABLE: &str = include_str!("matrix.txt");

/// A while after the scene began, so that something can have ended.
const LATER: u32 = NOW + 5;

/// How a scene comes by a credential of a class.
type ComeBy = fn(&Scene) -> Option<SecretText>;

/// The classes of credential.
const CLASSES: [(&str, ComeBy); 20] = [
    ("none", |_| None),
    ("unknown", |_| Some(block_on(Scene::new()).administrator)),
    ("revoked", |scene| {
        let ended = block_on(scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque));
        block_on(scene.revoke(ended.record.id));
        Some(ended.token)
    }),
    ("expired", |scene| {
        let spec = cachegate::TokenSpec::Personal {
            owner: scene.owner,
            actions: ActionSet::ALL,
            form: PersonalForm::Opaque,
        };
        Some(block_on(scene.issue(&spec, Some(std::time::Duration::from_secs(1)))).token)
    }),
    ("refresh", |scene| {
        Some(block_on(scene.gate.log_in(scene.owner, NOW.into())).expect("a login").refresh.token)
    }),
    ("ci-read", |scene| Some(block_on(scene.ci_token(AccessLevel::ReadOnly, Lane::main())))),
    ("ci-write", |scene| Some(block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main())))),
    ("ci-session", |scene| {
        Some(session(scene, &block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main()))))
    }),
    // A CI job: with its platform's own token, and with what that was exchanged for.
    ("workload", |scene| Some(workload::pushed(scene, Mode::Direct))),
    ("job", |scene| Some(workload::session(scene))),
    ("device", |scene| Some(block_on(scene.device(DeviceAccess::Normal)).token)),
    ("resolve", |scene| {
        let requirement = "*".parse().expect("a requirement");
        let workspace = scene.workspace;
        let access = DeviceAccess::ResolveOnly { workspace, requirement, reads_closures: false };
        Some(block_on(scene.device(access)).token)
    }),
    ("closure", |scene| {
        let parent = block_on(scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque));
        Some(block_on(scene.closure_reader(&parent.record, ClosureId::from_bytes([3; 16]))))
    }),
    ("stranger", |scene| {
        let (organization, _) = block_on(scene.elsewhere("other"));
        let user = block_on(scene.gate.create_user(&Authority::Operator, Description::default(), NOW.into()));
        let user = user.expect("a user");
        let made = scene.gate.set_member(&Authority::Operator, organization, user, Role::Owner, NOW.into());
        block_on(made).expect("an owner elsewhere");
        Some(block_on(scene.personal(user, ActionSet::ALL, PersonalForm::Opaque)).token)
    }),
    ("former", |scene| {
        let (user, token) = block_on(scene.person(Role::Admin, ActionSet::ALL));
        let left = scene.gate.remove_member(&Authority::Operator, scene.organization, user, NOW.into());
        block_on(left).expect("left");
        Some(token)
    }),
    ("member", |scene| Some(block_on(scene.person(Role::Member, ActionSet::ALL)).1)),
    ("session", |scene| {
        let member = block_on(scene.person(Role::Member, ActionSet::ALL)).1;
        Some(session(scene, &member))
    }),
    // An administrator's token that was not made to administer.
    ("clerk", |scene| Some(block_on(scene.person(Role::Admin, AccessLevel::ReadWrite.actions())).1)),
    ("admin", |scene| Some(block_on(scene.person(Role::Admin, ActionSet::ALL)).1)),
    ("owner", |scene| Some(scene.administrator.clone())),
];

fn session(scene: &Scene, token: &SecretText) -> SecretText {
    let who = block_on(scene.authenticate(token));
    block_on(scene.gate.exchange(&who, &SessionSpec::default(), NOW.into())).expect("a session").token
}

/// Publishes 1.0.0, as whoever keeps the entries does.
pub(crate) async fn release(scene: &Scene) {
    let (key, closure) = (EntryKey::new(b"k").expect("a key"), ClosureId::from_bytes([3; 16]));
    let record = ReleaseRecord {
        id: ReleaseId::from_bytes([1; 16]),
        workspace: scene.workspace,
        version: "1.0.0".parse().expect("a version"),
        lane: Lane::main(),
        key: key.clone(),
        digest: [7; 32],
        closures: [("out".into(), closure)].into(),
        published_at: NOW.into(),
        yanked_at: None,
    };
    let act = Act { by: Principal::Anonymous, token: None, at: NOW.into() };
    scene.storage.publish_release(&record, &[(closure, key)], &act).await.expect("published");
}

/// A scene with one of everything that an operation may be about.
struct Place {
    scene: Scene,
    ids: Vec<String>,
    ci: TokenId,
    personal: TokenId,
    user: String,
    group: String,
    lock: String,
    mark: String,
    decision: String,
}

impl Place {
    fn new() -> Self {
        let scene = block_on(Scene::new());
        let api = Client::at(&scene, LATER);
        let admin = scene.administrator.clone();
        let text = |answer: &Answer, name: &str| answer.body[name].as_str().expect("an id").to_owned();
        let ci = block_on(scene.ci(AccessLevel::ReadOnly, Lane::main()));
        let personal = block_on(scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque)).record.id;
        let user = block_on(scene.person(Role::Member, ActionSet::ALL)).0.to_string();
        let groups = format!("/organizations/{}/groups", scene.organization);
        let group = text(&api.post(&admin, &groups, &json!({"name": "core", "members": [user]})), "id");
        let nothing = json!({"type": "window", "workspace": scene.workspace, "from": 1, "to": 2});
        let mark = text(&api.post(&admin, "/distrust", &json!({"scope": nothing})), "id");
        let scope = json!({"type": "workspace", "workspace": scene.workspace});
        let over = json!({"scope": scope, "actions": ["publish"], "for": 1});
        let lock = text(&api.post(&admin, "/locks", &over), "id");
        let ask = json!({"action": "write", "workspace": scene.workspace, "key": "k"});
        let decision = text(&api.post(&ci.token, "/explain", &ask), "id");
        block_on(release(&scene));
        let mut ids: Vec<_> = [&user, &group, &lock, &mark, &decision].into_iter().cloned().collect();
        ids.extend([scene.organization.to_string(), scene.workspace.to_string()]);
        ids.extend([ci.record.id.to_string(), personal.to_string()]);
        Self { scene, ids, ci: ci.record.id, personal, user, group, lock, mark, decision }
    }

    /// One good request to every operation, by its name in the table.
    fn requests(&self) -> Vec<(&'static str, &'static str, String, Option<Value>)> {
        let Self { ci, personal, user, group, lock, mark, decision, .. } = self;
        let (organization, workspace) = (self.scene.organization, self.scene.workspace);
        let o = format!("/organizations/{organization}");
        let w = format!("/workspaces/{workspace}");
        let settings = json!({
            "anonymous": "none", "personal": "read-write", "personal_lane": "dev", "open_to": "members",
            "read_only_ci_writes": "refuse",
            "lanes": ["release", "main", "dev", "branch", "pull", "own", "anonymous"],
        });
        let device = json!({"kind": "device", "organization": organization, "access": {"type": "normal"}});
        let read_only = json!({"kind": "ci", "workspace": workspace, "level": "read-only"});
        let lock_body =
            json!({"scope": {"type": "workspace", "workspace": workspace}, "actions": ["publish"]});
        let lock_all =
            json!({"scope": {"type": "organization", "organization": organization}, "actions": ["publish"]});
        let window = json!({"scope": {"type": "window", "workspace": workspace, "from": 1, "to": 2}});
        let writer = json!({"scope": {"type": "token", "token": ci}});
        vec![
            ("who am I", "GET", "/whoami".to_owned(), None),
            ("own tokens", "GET", "/tokens".to_owned(), None),
            ("tokens of a workspace", "GET", format!("/tokens?workspace={workspace}"), None),
            ("tokens of an organization", "GET", format!("/tokens?organization={organization}"), None),
            ("make a CI token", "POST", "/tokens".to_owned(), Some(read_only)),
            (
                "make a personal token",
                "POST",
                "/tokens".to_owned(),
                Some(json!({"kind": "personal", "actions": ["read"]})),
            ),
            ("make a device token", "POST", "/tokens".to_owned(), Some(device)),
            ("inspect a CI token", "GET", format!("/tokens/{ci}"), None),
            ("inspect the owner's token", "GET", format!("/tokens/{personal}"), None),
            ("explain a CI token", "GET", format!("/tokens/{ci}/rights"), None),
            (
                "explain the owner's token",
                "GET",
                format!("/tokens/{personal}/rights?workspace={workspace}"),
                None,
            ),
            ("rotate a CI token", "POST", format!("/tokens/{ci}/rotate"), Some(json!({"overlap": 1}))),
            (
                "rotate the owner's token",
                "POST",
                format!("/tokens/{personal}/rotate"),
                Some(json!({"overlap": 1})),
            ),
            ("revoke a CI token", "POST", format!("/tokens/{ci}/revoke"), Some(json!({}))),
            (
                "revoke the owner's token",
                "POST",
                format!("/tokens/{personal}/revoke"),
                Some(json!({"line": true})),
            ),
            ("own organizations", "GET", "/organizations".to_owned(), None),
            ("an organization", "GET", o.clone(), None),
            ("longest lives", "GET", format!("{o}/longest-lives"), None),
            (
                "set longest lives",
                "PUT",
                format!("{o}/longest-lives"),
                Some(json!({"ci": 3600, "personal": null})),
            ),
            ("revoke an organization's", "POST", format!("{o}/revoke-tokens"), Some(json!({}))),
            ("workspaces", "GET", format!("{o}/workspaces"), None),
            ("make a workspace", "POST", format!("{o}/workspaces"), Some(json!({"name": "web"}))),
            ("members", "GET", format!("{o}/members"), None),
            ("a member", "GET", format!("{o}/members/{user}"), None),
            ("set a member", "PUT", format!("{o}/members/{user}"), Some(json!({"role": "admin"}))),
            ("set an owner", "PUT", format!("{o}/members/{user}"), Some(json!({"role": "owner"}))),
            ("what a departure does", "GET", format!("{o}/members/{user}/departure"), None),
            ("remove a member", "DELETE", format!("{o}/members/{user}"), None),
            ("groups", "GET", format!("{o}/groups"), None),
            ("make a group", "POST", format!("{o}/groups"), Some(json!({"name": "more", "members": []}))),
            (
                "set a group",
                "PUT",
                format!("{o}/groups/{group}"),
                Some(json!({"name": "less", "members": []})),
            ),
            ("remove a group", "DELETE", format!("{o}/groups/{group}"), None),
            ("trust rules", "GET", format!("{o}/trust-rules"), None),
            ("save trust rules", "PUT", format!("{o}/trust-rules"), Some(json!({"rules": []}))),
            ("lint trust rules", "POST", format!("{o}/trust-rules/lint"), Some(json!({"rules": []}))),
            ("try trust rules", "POST", format!("{o}/trust-rules/try"), Some(json!({"token": "a.b.c"}))),
            ("audit", "GET", format!("{o}/audit"), None),
            ("a workspace", "GET", w.clone(), None),
            ("set settings", "PUT", format!("{w}/settings"), Some(settings)),
            ("set the list", "PUT", format!("{w}/listed"), Some(json!({"listed": []}))),
            ("revoke a workspace's", "POST", format!("{w}/revoke-tokens"), Some(json!({}))),
            ("who may write", "GET", format!("{w}/access"), None),
            ("releases", "GET", format!("{w}/releases"), None),
            ("withdraw a release", "POST", format!("{w}/releases/1.0.0/yank"), None),
            ("resolve", "POST", format!("{w}/resolve"), Some(json!({"requirement": "*"}))),
            (
                "resolve and read",
                "POST",
                format!("{w}/resolve"),
                Some(json!({"requirement": "*", "closure": true})),
            ),
            ("locks", "GET", "/locks".to_owned(), None),
            ("lock a workspace", "POST", "/locks".to_owned(), Some(lock_body)),
            ("lock an organization", "POST", "/locks".to_owned(), Some(lock_all)),
            ("lift a lock", "DELETE", format!("/locks/{lock}"), None),
            ("marks", "GET", "/distrust".to_owned(), None),
            ("distrust a window", "POST", "/distrust".to_owned(), Some(window)),
            ("distrust a token", "POST", "/distrust".to_owned(), Some(writer)),
            ("trust again", "DELETE", format!("/distrust/{mark}"), None),
            (
                "may I",
                "POST",
                "/explain".to_owned(),
                Some(json!({"action": "read", "workspace": workspace, "key": "k"})),
            ),
            ("why", "GET", format!("/decisions/{decision}"), None),
        ]
    }

    /// The same request about things that are not there.
    fn nowhere(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, id| text.replace(id, NOWHERE))
    }
}

/// Somebody of a class, in a scene.
struct Class {
    place: Place,
    token: Option<SecretText>,
    api: Client,
}

impl Class {
    fn new(come_by: ComeBy) -> Self {
        let place = Place::new();
        let token = come_by(&place.scene);
        let api = Client::at(&place.scene, LATER);
        Self { place, token, api }
    }
}

fn without_decision(answer: &Answer) -> (u16, Vec<String>, Value) {
    let mut body = answer.body.clone();
    if let Some(decision) = body.get_mut("decision") {
        *decision = Value::Null;
    }
    let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    (answer.status, headers, body)
}

#[test]
fn every_class_of_token_gets_at_every_operation_what_the_table_says() {
    let mut table = String::from("                          ");
    for (class, _) in CLASSES {
        let _ = write!(table, " {class:>10}");
    }
    let operations = Place::new().requests().len();
    // What only looks may share a scene.
    let shared = CLASSES.map(|(_, come_by)| Class::new(come_by));
    for index in 0..operations {
        let mut line = String::new();
        for ((class, come_by), shared) in CLASSES.iter().zip(&shared) {
            let own;
            let (_, method, ..) = shared.place.requests().swap_remove(index);
            let Class { place, token, api } = match method {
                "GET" => shared,
                _ => {
                    own = Class::new(*come_by);
                    &own
                }
            };
            let (name, method, path, body) = place.requests().swap_remove(index);
            if line.is_empty() {
                line = format!("{name:26}");
            }
            // First what is not there, as the other may change what is.
            let elsewhere = body
                .as_ref()
                .map(|body| serde_json::from_str::<Value>(&place.nowhere(&body.to_string())).expect("JSON"));
            let unknown = api.call(method, &place.nowhere(&path), token.as_ref(), elsewhere.as_ref(), &[]);
            let known = api.call(method, &path, token.as_ref(), body.as_ref(), &[]);
            if known.status == 404 {
                assert_eq!(without_decision(&known), without_decision(&unknown), "{class}: {name}");
            }
            for answer in [&known, &unknown] {
                let shown = token.as_ref().is_some_and(|token| answer.text.contains(token.expose_secret()));
                assert!(!shown, "{class}: {name} shows the token");
            }
            let told = match known.code() {
                "" => known.status.to_string(),
                "denied" | "not_found" | "no_credential" => known.status.to_string(),
                code => code.to_owned(),
            };
            let told: String = told.chars().take(10).collect();
            let _ = write!(line, " {told:>10}");
        }
        table.push('\n');
        table.push_str(&line);
    }
    assert!(table.trim() == TABLE.trim(), "the answers are not those of the table, but:\n{table}");
}
