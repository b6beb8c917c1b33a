//! schemathesis, which no one here wrote, holds the running server against the OpenAPI file that it serves: as the
//! administrator, as a member and with a token that only resolves. Started by `cargo xtask test`, which installs it.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[expect(dead_code, reason = "each test uses its part of the running program")]
#[path = "support/child.rs"]
mod child;
#[expect(dead_code, reason = "each test uses its part of the client")]
#[path = "support/http.rs"]
mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cache_server::now;
use cachegate::{Authority, FileVault, Gate, PersonalForm, TokenSpec};
use cachegate_storage::{Act, ReleaseRecord, Storage};
use cachegate_storage_sqlite::SqliteStorage;
use cachegate_types::{
    ActionSet, Description, EntryKey, Lane, Principal, ReleaseId, Role, UserId, WorkspaceId,
};
use child::Running;

/// How often each operation was answered with each status.
type Seen = BTreeMap<String, BTreeMap<u16, u32>>;

/// The running server, and who asks it.
struct Api {
    server: Running,
    administrator: String,
    member: String,
    /// A member, whom the administrator may do without.
    other: UserId,
    folder: tempfile::TempDir,
}

impl Api {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Running::start(folder.path(), &[]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // People come by login: here another gate over the same store makes them. The first start's own token publishes
        // nothing, so that its owner gets one that may.
        let (administrator, member, other) = runtime.block_on(async {
            let storage = SqliteStorage::open(&folder.path().join("cachegate.sqlite")).expect("its store");
            let vault = FileVault::open(&folder.path().join("keys")).expect("its keys");
            let storage: Arc<dyn Storage> = Arc::new(storage);
            let gate =
                Gate::builder(Arc::clone(&storage), Arc::new(vault)).build(now()).await.expect("a gate");
            let operator = Authority::Operator;
            let first = gate.organizations(&operator, None, 1, now()).await.expect("organizations");
            let organization = first.items.first().expect("the first start's").record.id;
            let person = async || {
                let user =
                    gate.create_user(&operator, Description::default(), now()).await.expect("a person");
                let made = gate.set_member(&operator, organization, user, Role::Member, now()).await;
                made.expect("a member");
                user
            };
            let members = gate.members(&operator, organization, None, 1, now()).await.expect("members");
            let owner = members.items.first().expect("the first start's").person.id;
            let (member, other) = (person().await, person().await);
            let (actions, form) = (ActionSet::ALL, PersonalForm::Opaque);
            let workspaces =
                gate.workspaces(&operator, organization, None, 1, now()).await.expect("workspaces");
            let workspace = workspaces.items.first().expect("the first start's").record.id;
            for version in ["1.0.0", "2.0.0"] {
                release(&*storage, workspace, version).await;
            }
            let token = async |owner| {
                let spec = TokenSpec::Personal { owner, actions, form };
                let issued = gate.issue(&operator, &spec, Description::default(), None, now()).await;
                issued.expect("a token").token.expose_secret().to_owned()
            };
            (token(owner).await, token(member).await, other)
        });
        Self { server, administrator, member, other, folder }
    }

    /// A token that may resolve and nothing else.
    fn resolve_only(&self) -> String {
        let bearer = format!("Bearer {}", self.administrator);
        let json = |path: &str| -> serde_json::Value {
            let answer = http::get(self.server.address, path, &[("authorization", &bearer)]);
            serde_json::from_slice(&answer.body).expect("JSON")
        };
        let id = |page: &serde_json::Value| page["items"][0]["id"].as_str().expect("an id").to_owned();
        let organization = id(&json("/api/v1/organizations"));
        let workspace = id(&json(&format!("/api/v1/organizations/{organization}/workspaces")));
        let access = serde_json::json!({"type": "resolve-only", "workspace": workspace, "requirement": "*"});
        let body = serde_json::json!({"kind": "device", "organization": organization, "access": access});
        let body = body.to_string();
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let head = http::head("POST", "/api/v1/tokens", &headers, Some(body.len() as u64));
        let answer = http::send(self.server.address, &head, body.as_bytes());
        let made: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Runs schemathesis with this token to its end, and tells what it saw.
    fn run(&self, token: &str) -> Seen {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
        let program = std::env::var_os("CACHEGATE_SCHEMATHESIS").unwrap_or_else(|| "st".into());
        let url = format!("http://{}/api/v1", self.server.address);
        let seen = self.folder.path().join("seen.jsonl");
        let output = Command::new(program)
            .arg("--config-file")
            .arg(scripts.join("schemathesis.toml"))
            .args(["run", &format!("{url}/openapi.json"), "--url", &url])
            .args(["-H", &format!("Authorization: Bearer {token}")])
            .current_dir(self.folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SCHEMATHESIS_HOOKS", scripts.join("hooks.py"))
            .env("CACHEGATE_API", &url)
            .env("CACHEGATE_ADMINISTRATOR", &self.administrator)
            .env("CACHEGATE_TOKEN", token)
            .env("CACHEGATE_USER", self.other.to_string())
            .env("CACHEGATE_SEEN", &seen)
            .output()
            .expect("schemathesis runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
        let mut all = Seen::new();
        for line in fs::read_to_string(seen).expect("what it saw").lines() {
            let (operation, status): (String, u16) = serde_json::from_str(line).expect("an answer");
            *all.entry(operation).or_default().entry(status).or_default() += 1;
        }
        all
    }
}

/// Publishes a release, as whoever keeps the entries does.
async fn release(storage: &dyn Storage, workspace: WorkspaceId, version: &str) {
    let key = EntryKey::new(version.as_bytes()).expect("a key");
    let record = ReleaseRecord {
        id: ReleaseId::new(now(), [version.bytes().next().expect("a digit"); 10]),
        workspace,
        version: version.parse().expect("a version"),
        lane: Lane::main(),
        key,
        digest: [7; 32],
        closures: [].into(),
        published_at: now(),
        yanked_at: None,
    };
    let act = Act { by: Principal::Anonymous, token: None, at: now() };
    storage.publish_release(&record, &[], &act).await.expect("published");
}

/// The operations that the description has, but for the one that serves it: schemathesis reads that, and tries the rest.
fn operations() -> BTreeSet<String> {
    let document: serde_json::Value = serde_json::from_str(cachegate_http::api::OPENAPI).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").values();
    let methods = paths.flat_map(|methods| methods.as_object().expect("methods").values());
    let ids = methods.map(|operation| operation["operationId"].as_str().expect("an id").to_owned());
    ids.filter(|id| id != "openapi").collect()
}

/// Those that succeeded at least once.
fn reached(seen: &Seen) -> BTreeSet<String> {
    let good = |statuses: &BTreeMap<u16, u32>| statuses.keys().any(|status| (200..300).contains(status));
    seen.iter().filter(|(_, statuses)| good(statuses)).map(|(operation, _)| operation.clone()).collect()
}

fn count(seen: &Seen) -> u32 {
    seen.values().flat_map(BTreeMap::values).sum()
}

#[test]
#[ignore = "needs schemathesis: run by cargo xtask test"]
fn as_the_administrator_every_operation_is_as_described_and_succeeds() {
    let api = Api::start();
    let seen = api.run(&api.administrator);
    println!("{} answers: {seen:?}", count(&seen));
    assert_eq!(reached(&seen), operations());
}

#[test]
#[ignore = "needs schemathesis: run by cargo xtask test"]
fn as_a_member_every_operation_is_as_described() {
    let api = Api::start();
    let seen = api.run(&api.member);
    println!("{} answers: {seen:?}", count(&seen));
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), operations());
}

#[test]
#[ignore = "needs schemathesis: run by cargo xtask test"]
fn with_a_token_that_only_resolves_every_operation_is_as_described() {
    let api = Api::start();
    let seen = api.run(&api.resolve_only());
    println!("{} answers: {seen:?}", count(&seen));
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), operations());
}
