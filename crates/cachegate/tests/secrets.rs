//! No secret shows: not in what is printed of any public type, not in an error, an event or a panic.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a step that fails is a failed test")]

use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cachegate::{
    Authority, Candour, Credential, DeviceAccess, FileVault, Gate, KeyVault, MemoryVault, PersonalForm,
    Request, SealedVault, TokenSpec, VaultError, Verdict,
};
use cachegate_storage::{MemoryStorage, Storage, TokenForm};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Epoch, Lane, Resource, Role, SecretBytes,
    SecretKey, SecretText,
};

/// A vault that remembers what it was given, so that the test knows what to look for.
#[derive(Debug, Default)]
struct Witness {
    inner: MemoryVault,
    seen: Mutex<Vec<SecretKey>>,
}

#[async_trait]
impl KeyVault for Witness {
    async fn put(&self, id: &str, key: &SecretKey) -> Result<(), VaultError> {
        self.seen.lock().expect("a lock").push(key.clone());
        self.inner.put(id, key).await
    }

    async fn key(&self, id: &str) -> Result<Option<SecretKey>, VaultError> {
        self.inner.key(id).await
    }
}

/// Everything that must not show, in the spellings in which it could.
#[derive(Default)]
struct Canaries(Vec<String>);

impl Canaries {
    fn bytes(&mut self, bytes: &[u8]) {
        // As `{:?}` of a slice prints it, and in hexadecimal; a part is enough to give it away.
        let part = &bytes[bytes.len() / 2..][..8];
        let list = format!("{part:?}");
        self.0.push(list.trim_matches(['[', ']']).to_owned());
        self.0.push(part.iter().map(|byte| format!("{byte:02x}")).collect());
    }

    fn token(&mut self, text: &SecretText) {
        let text = text.expose_secret();
        // The end of an opaque token is secret and checksum, that of a JWT its signature.
        self.0.push(text[text.len() - 24..].to_owned());
        self.0.push(text.to_owned());
    }

    fn look(&self, shown: &str, what: &str) {
        let flat: String = shown.split_whitespace().collect();
        for canary in &self.0 {
            let hidden = !shown.contains(canary.as_str()) && !flat.contains(&canary.replace(' ', ""));
            assert!(hidden, "{what} shows a secret");
        }
    }

    fn debug(&self, value: &impl Debug, what: &str) {
        self.look(&format!("{value:?}"), what);
        self.look(&format!("{value:#?}"), what);
    }

    fn both(&self, value: &(impl Debug + Display), what: &str) {
        self.debug(value, what);
        self.look(&value.to_string(), what);
    }
}

#[test]
fn no_public_type_shows_a_secret() {
    let panics = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&panics);
    std::panic::set_hook(Box::new(move |info| heard.lock().expect("a lock").push_str(&info.to_string())));
    block_on(async {
        let scene = Scene::new().await;
        let witness = Arc::new(Witness::default());
        let operator = Authority::Operator;
        let builder = Gate::builder(Arc::clone(&scene.storage), witness.clone());
        let mut canaries = Canaries::default();
        let shown = format!("{builder:?}");
        let gate = builder.build(NOW.into()).await.expect("a gate");
        gate.rotate_label_key(&operator, NOW.into()).await.expect("rotated");
        for key in witness.seen.lock().expect("a lock").iter() {
            canaries.bytes(key.expose_secret());
        }
        let (user, text) = scene.person(Role::Admin, ActionSet::ALL).await;
        canaries.token(&text);
        canaries.token(&scene.administrator);
        let specs = [
            TokenSpec::Ci { workspace: scene.workspace, level: AccessLevel::ReadWrite, lane: Lane::main() },
            TokenSpec::Personal { owner: user, actions: ActionSet::ALL, form: PersonalForm::Jwt },
            TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal },
        ];
        let mut issued = Vec::new();
        for spec in &specs {
            let made =
                gate.issue(&operator, spec, Description::default(), None, NOW.into()).await.expect("made");
            canaries.token(&made.token);
            if let TokenForm::Opaque(digest) = &made.record.form {
                canaries.bytes(digest.bytes());
            }
            issued.push(made);
        }
        assert!(canaries.0.len() >= 12, "there is something to look for");

        canaries.look(&shown, "GateBuilder");
        canaries.debug(&gate, "Gate");
        canaries.debug(&issued, "Issued and TokenRecord");
        canaries.debug(&specs, "TokenSpec");
        canaries.debug(&witness, "a vault");
        canaries.debug(&scene, "Scene");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        for made in &issued {
            let credential =
                Credential::parse(made.token.expose_secret(), gate.brand()).expect("a credential");
            canaries.debug(&credential, "Credential");
            let who = gate.authenticate(Some(&credential), NOW.into()).await.expect("believed");
            canaries.debug(&who, "Authentication");
            canaries.debug(&Authority::Of(&who), "Authority");
            for action in Action::ALL {
                let request = Request::new(action, &resource);
                canaries.debug(&request, "Request");
                let verdict = gate.check(Some(&credential), &request, NOW.into()).await;
                canaries.debug(&verdict, "Verdict");
                match &verdict {
                    Verdict::Allowed(allowed) => {
                        if let Some(ticket) = allowed.ticket(EntryKey::new(b"k").expect("a key")) {
                            canaries.debug(&ticket, "Ticket");
                            let label = gate.seal(&ticket, &[0; 32], 0, NOW.into()).await.expect("a label");
                            canaries.debug(&label, "a label");
                            let found = gate.admit(Some(&label), ticket.key(), &[0; 32], allowed).await;
                            canaries.debug(&found, "Provenance");
                        }
                    }
                    Verdict::Denied(denied) => {
                        for candour in [Candour::Public, Candour::Caller, Candour::Operator] {
                            canaries.look(&denied.explain(candour), "an explanation");
                        }
                    }
                    Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => {}
                }
            }
            gate.revoke(&operator, made.record.id, Description::default(), NOW.into())
                .await
                .expect("revoked");
            let error = gate.authenticate(Some(&credential), NOW.into()).await.expect_err("revoked");
            canaries.both(&error, "AuthenticateError");
            let verdict =
                gate.check(Some(&credential), &Request::new(Action::Read, &resource), NOW.into()).await;
            canaries.debug(&verdict, "Verdict");
            let rotated = gate.rotate(&operator, made.record.id, Duration::ZERO, None, NOW.into()).await;
            canaries.both(&rotated.expect_err("revoked"), "IssueError");
            // Cut anywhere, it is an error that does not repeat it.
            let whole = made.token.expose_secret();
            for length in [5, 20, whole.len() - 1] {
                if let Err(error) = Credential::parse(&whole[..length], gate.brand()) {
                    canaries.both(&error, "CredentialError");
                }
            }
        }
        for event in scene.recorder.take() {
            canaries.debug(&event, "DecisionEvent");
        }
        for record in scene.storage.audit(0, 10_000).await.expect("read") {
            canaries.debug(&record, "AuditRecord");
        }
        canaries.look(&gate.key_set(NOW.into()).await.expect("a set"), "the key set");

        // Vaults and their errors.
        let folder = tempfile::tempdir().expect("a folder");
        let file = FileVault::open(folder.path()).expect("a vault");
        let memory: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        let sealed = SealedVault::new(memory, SecretBytes::new([0xc5; 32]));
        canaries.bytes(&[0xc5; 32]);
        let key = SecretKey::new((100..148).collect());
        canaries.bytes(key.expose_secret());
        for vault in [&file as &dyn KeyVault, &sealed] {
            vault.put("a", &key).await.expect("kept");
            canaries.debug(&vault, "a vault");
            canaries.both(&vault.put("a", &key).await.expect_err("taken"), "VaultError");
            canaries.debug(&vault.key("a").await.expect("read"), "a key");
        }

        // A panic on the way.
        scene.faults.panic();
        scene.clock.advance(Duration::from_secs(9));
        assert_eq!(scene.code(&text, Action::Read).await, "internal_fault");
        let heard = panics.lock().expect("a lock").clone();
        assert!(heard.contains("the test makes the storage panic"));
        canaries.look(&heard, "a panic");
    });
}
