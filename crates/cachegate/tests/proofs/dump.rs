//! A thief has the whole database, and nothing else: it opens nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    Authority, Credential, Degraded, DeviceAccess, Gate, KeyVault, Once, PersonalForm, SealedVault,
    SessionSpec, TokenSpec,
};
use cachegate_jwt::{AccessClaims, Algorithm, AuthorizationDetail, LabelKey, SigningKey, sign_access_token};
use cachegate_policy::LockScope;
use cachegate_storage::{KeyPurpose, Storage, TokenForm, TokenKind, TokenRecord};
use cachegate_storage_sqlite::SqliteStorage;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_token::{OpaqueKind, OpaqueToken};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Lane, Principal, SecretBytes, SecretText, TokenId,
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rusqlite::types::ValueRef;

const OPERATOR: Authority<'_> = Authority::Operator;
const SEALING: [u8; 32] = [0x5e; 32];

/// What a thief reads: every value of every row, and the bytes of every file.
struct Loot {
    texts: Vec<String>,
    blobs: Vec<Vec<u8>>,
    files: Vec<Vec<u8>>,
}

impl Loot {
    fn of(folder: &Path) -> Self {
        let mut loot = Self { texts: Vec::new(), blobs: Vec::new(), files: Vec::new() };
        let connection = rusqlite::Connection::open(folder.join("store.sqlite")).expect("opened");
        let mut names =
            connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").expect("SQL");
        let names: Vec<String> = names.query_map([], |row| row.get(0)).expect("rows").flatten().collect();
        for name in &names {
            let mut rows = connection.prepare(&format!("SELECT * FROM {name}")).expect("SQL");
            let columns = rows.column_count();
            let mut rows = rows.query([]).expect("rows");
            while let Some(row) = rows.next().expect("a row") {
                for column in 0..columns {
                    match row.get_ref(column).expect("a value") {
                        ValueRef::Text(text) => loot.texts.push(String::from_utf8_lossy(text).into_owned()),
                        ValueRef::Blob(bytes) => loot.blobs.push(bytes.to_vec()),
                        ValueRef::Integer(number) => loot.texts.push(number.to_string()),
                        ValueRef::Null | ValueRef::Real(_) => {}
                    }
                }
            }
        }
        assert!(names.len() > 20, "every table is read");
        for file in std::fs::read_dir(folder).expect("a folder") {
            loot.files.push(std::fs::read(file.expect("a file").path()).expect("read"));
        }
        loot
    }

    /// Every text that could be a credential: values, their encodings, and what can be read in any of the bytes.
    fn strings(&self) -> Vec<String> {
        let mut strings = self.texts.clone();
        for blob in &self.blobs {
            strings.push(hexadecimal(blob));
            strings.push(base64(blob, b'+', b'/'));
            strings.push(base64(blob, b'-', b'_'));
        }
        for bytes in self.blobs.iter().chain(&self.files) {
            let readable = bytes.split(|byte| !byte.is_ascii_graphic()).filter(|part| part.len() >= 8);
            strings.extend(readable.map(|part| String::from_utf8_lossy(part).into_owned()));
        }
        // What JSON and the like quote stands alone too.
        let quoted = |text: &String| {
            text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-.~+/=".contains(letter))
                .filter(|part| part.len() >= 8)
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
        };
        let parts: Vec<_> = strings.iter().flat_map(quoted).collect();
        strings.extend(parts);
        strings.sort();
        strings.dedup();
        strings
    }

    /// Every value that could be a key: what is 32, 48, 64 or more bytes long, or decodes to it, and each of its
    /// parts of 32.
    fn keys(&self) -> Vec<Vec<u8>> {
        let mut keys = self.blobs.clone();
        for text in self.strings() {
            keys.extend(
                [unhexadecimal(&text), unbase64(&text), Some(text.into_bytes())].into_iter().flatten(),
            );
        }
        let parts: Vec<_> = keys
            .iter()
            .filter(|key| key.len() > 32 && key.len() <= 512)
            .flat_map(|key| key.windows(32).map(<[u8]>::to_vec))
            .collect();
        keys.extend(parts);
        keys.retain(|key| (32..=512).contains(&key.len()));
        keys.sort();
        keys.dedup();
        keys
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let bytes = digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte"));
    digits.len().is_multiple_of(2).then(|| bytes.collect())
}

fn base64(bytes: &[u8], plus: u8, slash: u8) -> String {
    let letter = |six: u32| match u8::try_from(six).expect("six bits") {
        six @ 0..26 => b'A' + six,
        six @ 26..52 => b'a' + six - 26,
        six @ 52..62 => b'0' + six - 52,
        62 => plus,
        _ => slash,
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let joined =
            chunk.iter().fold(0, |joined, byte| (joined << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(letter((joined >> (18 - 6 * place)) & 63)));
        }
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let (mut held, mut bits, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 255).expect("a byte"));
        }
    }
    Some(bytes)
}

/// What the thief tries it on: the running gate, whose records the thief has read.
struct Target {
    scene: Scene,
    /// The same gate, with its keys in rows of the very database, sealed.
    gate: Gate,
    vault: Arc<dyn KeyVault>,
    records: Vec<TokenRecord>,
    /// Of each kind one plain token: what the thief does not have.
    secrets: Vec<SecretText>,
}

impl Target {
    fn admits(&self, credential: &Credential<'_>) -> bool {
        block_on(async {
            match credential {
                Credential::Opaque(token) if token.kind() == OpaqueKind::Refresh => {
                    self.gate.renew(credential, NOW.into()).await.is_ok()
                }
                _ => self.gate.authenticate(Some(credential), NOW.into()).await.is_ok(),
            }
        })
    }

    /// Whether the text opens something in any of its forms.
    fn opens(&self, text: &str) -> bool {
        let brand = self.gate.brand();
        let prefixed = format!("{}{text}", brand.jwt_prefix());
        let letters = ["c", "p", "r"].map(|letter| format!("{}{letter}_{text}", brand.as_str()));
        for text in letters.iter().map(String::as_str).chain([text, prefixed.as_str()]) {
            let basic =
                |login: &str| format!("Basic {}=", base64(format!("{login}:{text}").as_bytes(), b'+', b'/'));
            let headers = [format!("Bearer {text}"), basic(""), basic("user"), text.to_owned()];
            let read = headers
                .iter()
                .map(|header| Credential::bearer_header(header.as_bytes(), brand).ok().flatten());
            let mut read = read.chain([Credential::parse(text, brand).ok()]);
            if read.any(|credential| credential.is_some_and(|credential| self.admits(&credential))) {
                return true;
            }
        }
        block_on(self.gate.finish_device_login(text, NOW.into())).is_ok()
            || block_on(self.gate.waiting_login(text, NOW.into())).is_ok()
    }

    /// Whether tokens or labels can be made with the bytes.
    fn mints(&self, key: &[u8], published: &[Vec<u8>]) -> bool {
        let mut signing: Vec<_> = SigningKey::from_pkcs8(Algorithm::EdDsa, key).into_iter().collect();
        if let Ok(secret) = <[u8; 32]>::try_from(key) {
            // As the seed of a key: it makes one that is published, or it makes none that counts.
            if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(key)
                && published.iter().any(|public| public == pair.public_key().as_ref())
            {
                return true;
            }
            // As the secret of each opaque token.
            for record in &self.records {
                let kind = match record.kind {
                    TokenKind::Ci => OpaqueKind::Ci,
                    TokenKind::Personal => OpaqueKind::Personal,
                    _ => OpaqueKind::Refresh,
                };
                let token = OpaqueToken::new(kind, record.id, SecretBytes::new(secret));
                let text = token.to_text(self.gate.brand());
                let credential = Credential::parse(text.expose_secret(), self.gate.brand()).expect("one");
                if matches!(record.form, TokenForm::Opaque(_)) && self.admits(&credential) {
                    return true;
                }
            }
            // As a key of labels.
            let id = LabelKey::from_bytes(SecretBytes::new(secret)).id().to_string();
            let keys = block_on(self.scene.storage.keys()).expect("keys");
            if keys.iter().any(|key| key.purpose == KeyPurpose::Label && *key.id == *id) {
                return true;
            }
        }
        signing.retain(|key| {
            self.records.iter().filter(|record| matches!(record.form, TokenForm::Jwt { .. })).any(|record| {
                let token = sign_access_token(key, &claims(record)).expect("signed");
                let text = format!("{}{}", self.gate.brand().jwt_prefix(), token.expose_secret());
                self.admits(&Credential::parse(&text, self.gate.brand()).expect("a JWT"))
            })
        });
        !signing.is_empty()
    }
}

/// The claims that the gate itself put into this token: all of them can be read from its row.
fn claims(record: &TokenRecord) -> AccessClaims {
    let details = record.restrictions.iter().cloned().map(AuthorizationDetail::from);
    AccessClaims {
        issuer: "cachegate".into(),
        audience: "cachegate".into(),
        subject: "anybody".to_owned(),
        client_id: "cachegate".to_owned(),
        token_id: record.id,
        issued_at: record.issued_at,
        expires_at: record.expires_at.expect("an end"),
        kind: Some(record.kind.as_str().to_owned()),
        ancestors: Vec::new(),
        principal: None,
        lane: None,
        authorization_details: details.collect(),
    }
}

/// A store with every kind of token, key, login and record in it.
async fn filled(folder: &Path) -> Target {
    let storage: Arc<dyn Storage> =
        Arc::new(SqliteStorage::open(&folder.join("store.sqlite")).expect("a store"));
    let scene = Scene::over(storage, Degraded::Refuse).await;
    let vault: Arc<dyn KeyVault> =
        Arc::new(SealedVault::new(Arc::clone(&scene.storage), SecretBytes::new(SEALING)));
    let gate = Gate::builder(Arc::clone(&scene.storage), Arc::clone(&vault));
    let gate = gate.build(NOW.into()).await.expect("a gate");
    let why = Description::default;
    let mut issued = Vec::new();
    let requirement = "1.*".parse().expect("a requirement");
    let access = DeviceAccess::ResolveOnly { workspace: scene.workspace, requirement, reads_closures: true };
    let personal = |form| TokenSpec::Personal { owner: scene.owner, actions: ActionSet::ALL, form };
    let ci = TokenSpec::Ci { workspace: scene.workspace, level: AccessLevel::ReadWrite, lane: Lane::main() };
    let organization = scene.organization;
    for spec in [
        ci.clone(),
        personal(PersonalForm::Opaque),
        personal(PersonalForm::Jwt),
        TokenSpec::Device { organization, access: DeviceAccess::Normal },
        TokenSpec::Device { organization, access },
    ] {
        issued.push(gate.issue(&OPERATOR, &spec, why(), None, NOW.into()).await.expect("a token"));
    }
    gate.rotate_signing_key(&OPERATOR, NOW.into()).await.expect("rotated");
    gate.rotate_label_key(&OPERATOR, NOW.into()).await.expect("rotated");
    let credential =
        |text: &SecretText| Credential::parse(text.expose_secret(), gate.brand()).expect("one").into_owned();
    let who = gate.authenticate(Some(&credential(&issued[1].token)), NOW.into()).await.expect("believed");
    issued.push(gate.exchange(&who, &SessionSpec::default(), NOW.into()).await.expect("a session"));
    let login = gate.log_in(scene.owner, NOW.into()).await.expect("logged in");
    issued.extend([login.session, login.refresh]);
    let rotated =
        gate.rotate(&OPERATOR, issued[0].record.id, Duration::from_secs(60), None, NOW.into()).await;
    issued.push(rotated.expect("rotated"));
    let by = Authority::Of(&who);
    let mut secrets: Vec<_> = issued.iter().map(|issued| issued.token.clone()).collect();
    for approved in [None, Some(true), Some(false)] {
        let login = gate.begin_device_login(why(), NOW.into()).await.expect("it waits");
        if let Some(approved) = approved {
            gate.decide_device_login(&by, &login.user_code, approved, NOW.into()).await.expect("decided");
        }
        if approved == Some(true) {
            secrets.push(login.device_code);
        }
    }
    let once = Once { key: "once", request: b"request" };
    gate.issue_once(&by, &ci, why(), None, Some(&once), NOW.into()).await.expect("a token");
    let scope = LockScope::Principal(Principal::Device(organization));
    gate.lock(&OPERATOR, scope, ActionSet::of(&[Action::Delete]), None, why(), NOW.into())
        .await
        .expect("locked");
    let mut records = Vec::new();
    for made in &issued {
        records.push(scene.storage.token(made.record.id).await.expect("read").expect("a token"));
    }
    Target { scene, gate, vault, records, secrets }
}

/// What is published of the signing keys.
fn published(target: &Target) -> Vec<Vec<u8>> {
    let keys = block_on(target.scene.storage.keys()).expect("keys");
    let jwks = keys.iter().filter_map(|key| key.public.as_deref());
    jwks.filter_map(|jwk| unbase64(jwk.split_once("\"x\":\"")?.1.split('"').next()?)).collect()
}

#[test]
fn a_stolen_database_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = block_on(filled(folder.path()));
    let loot = Loot::of(folder.path());
    let (strings, keys, published) = (loot.strings(), loot.keys(), published(&target));
    println!("{} texts, {} possible keys, {} published keys", strings.len(), keys.len(), published.len());
    assert!(strings.len() > 500 && keys.len() > 10_000 && published.len() >= 3);
    for text in &strings {
        assert!(!target.opens(text), "opens: {text}");
    }
    for key in &keys {
        assert!(!target.mints(key, &published), "mints: {key:x?}");
    }
    // Nor does any part of a secret lie in a file.
    for secret in &target.secrets {
        let part = &secret.expose_secret().as_bytes()[secret.expose_secret().len() - 20..];
        assert!(!loot.files.iter().any(|file| file.windows(20).any(|window| window == part)));
    }
}

#[test]
fn the_thief_would_find_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = block_on(filled(folder.path()));
    // Each secret, planted where a careless store would have left it, is found and opens.
    let published = published(&target);
    let plant = |texts: Vec<String>, blobs: Vec<Vec<u8>>| Loot { texts, blobs, files: Vec::new() };
    for secret in &target.secrets {
        let text = format!("{{\"token\":\"{}\"}}", secret.expose_secret());
        let found = plant(vec![text.clone()], Vec::new()).strings();
        assert!(found.iter().any(|text| target.opens(text)), "a planted token is not found");
    }
    // The private keys, as the vault has them, in three spellings.
    let keys = block_on(target.scene.storage.keys()).expect("keys");
    let mut private = 0;
    for record in &keys {
        let Some(document) = block_on(target.vault.key(&record.id)).ok().flatten() else { continue };
        private += 1;
        let document = document.expose_secret().to_vec();
        for loot in [
            plant(Vec::new(), vec![document.clone()]),
            plant(vec![hexadecimal(&document)], Vec::new()),
            plant(vec![format!("key: {}", base64(&document, b'+', b'/'))], Vec::new()),
        ] {
            assert!(
                loot.keys().iter().any(|key| target.mints(key, &published)),
                "{} is not found",
                record.id
            );
        }
    }
    assert!(private >= 3, "there were keys to plant");
    // And an opaque token's secret, were it kept.
    let secret = [7; 32];
    let record =
        target.records.iter().find(|record| matches!(record.form, TokenForm::Opaque(_))).expect("one");
    let planted =
        OpaqueToken::new(OpaqueKind::Ci, TokenId::new(NOW.into(), [9; 10]), SecretBytes::new(secret));
    let digest = cachegate::Digester::sha256().digest(&planted);
    let planted = TokenRecord {
        id: planted.id(),
        kind: TokenKind::Ci,
        form: TokenForm::Opaque(digest),
        family: planted.id(),
        superseded: None,
        ..record.clone()
    };
    let act = cachegate_storage::Act { by: Principal::Anonymous, token: None, at: NOW.into() };
    let preconditions = cachegate_storage::Preconditions::default();
    block_on(target.scene.storage.insert_token(&planted, &preconditions, &act)).expect("inserted");
    let target = Target { records: vec![planted], ..target };
    assert!(target.mints(&secret, &published));
}
