//! SCIM: as Entra and Okta send it, as attackers would, and at random.

mod attacks;
mod departures;
mod filters;
mod random;
mod shapes;

use std::collections::BTreeSet;
use std::sync::Arc;

use cachegate::{Authentication, Degraded, DeviceAccess};
use cachegate_directory::{Scim, ScimAnswer, ScimRequest, Stores};
use cachegate_storage::{Accounts as _, DirectoryId, Members as _, MemoryStorage};
use cachegate_testkit::{NOW, Scene};
use cachegate_types::{ActionSet, Epoch, Role, SecretText, Timestamp, UserId};
use serde_json::{Value, json};

/// By which issuer the directory's people sign in.
const ISSUER: &str = "https://acme.okta.example";

/// A scene whose organization is told by SCIM who is in it.
struct World {
    scene: Scene,
    store: Arc<MemoryStorage>,
    scim: Scim,
    who: Authentication,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::over(store.clone(), Degraded::Refuse).await;
        let scim = directory(&scene, &store, "okta");
        let token = scene.device(DeviceAccess::Provision).await.token;
        let who = scene.authenticate(&token).await;
        Self { scene, store, scim, who }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> ScimAnswer {
        self.send_as(&self.who, method, path, body).await
    }

    async fn send_as(&self, who: &Authentication, method: &str, path: &str, body: &Value) -> ScimAnswer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = ScimRequest { method, path, query, if_match: None, if_none_match: None, body: &body };
        self.scim.answer(who, &request, now()).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body.expect("a body")
    }

    /// Provisions somebody; their id in the directory.
    async fn user(&self, name: &str, external: &str) -> String {
        let answer = self.send("POST", "/Users", &json!({"userName": name, "externalId": external})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        id_of(&answer)
    }

    /// What PATCH with these operations answers.
    async fn patch(&self, path: &str, operations: Value) -> ScimAnswer {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        self.send("PATCH", path, &json!({"schemas": schemas, "Operations": operations})).await
    }

    async fn activate(&self, id: &str, active: bool) -> ScimAnswer {
        self.patch(&format!("/Users/{id}"), json!([{"op": "replace", "value": {"active": active}}])).await
    }

    /// Who this is here.
    async fn person(&self, external: &str) -> UserId {
        self.store.account(ISSUER, external).await.expect("a store").expect("an account").user
    }

    /// A personal token of theirs.
    async fn token(&self, external: &str) -> SecretText {
        let person = self.person(external).await;
        self.scene.personal(person, ActionSet::ALL, Default::default()).await.token
    }

    async fn members(&self) -> BTreeSet<UserId> {
        let members = self.store.members(self.scene.organization, None, 1000).await.expect("members");
        members.into_iter().map(|place| place.member.user).collect()
    }
}

fn directory(scene: &Scene, store: &Arc<MemoryStorage>, name: &str) -> Scim {
    let directory = DirectoryId { organization: scene.organization, name: name.parse().expect("a name") };
    let stores =
        Stores { storage: Arc::clone(&scene.storage), accounts: store.clone(), directories: store.clone() };
    Scim::new(scene.gate.clone(), stores, directory, format!("https://cache.example/scim/v2/{name}"))
        .issuer(ISSUER)
}

fn now() -> Timestamp {
    NOW.into()
}

fn id_of(answer: &ScimAnswer) -> String {
    answer.body.as_ref().and_then(|body| body["id"].as_str()).expect("an id").to_owned()
}

/// The SCIM word for what is wrong, or the status where there is none.
fn wrong(answer: &ScimAnswer) -> String {
    let body = answer.body.clone().unwrap_or_default();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{answer:?}");
    assert_eq!(body["status"], answer.status.to_string());
    body["scimType"].as_str().map_or_else(|| answer.status.to_string(), str::to_owned)
}

/// A member by hand.
async fn by_hand(scene: &Scene, role: Role) -> (UserId, SecretText) {
    scene.person(role, ActionSet::ALL).await
}
