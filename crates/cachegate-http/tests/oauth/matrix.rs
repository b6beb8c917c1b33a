//! Every class of token at every endpoint, against a reviewed table: what an endpoint is not for, it refuses.

use std::fmt::Write as _;
use std::time::Duration;

use cachegate::{
    Authority, DeviceAccess, OutputSpec, PersonalForm, ReleaseSpec, StoredEntry, TokenSpec, Verdict,
};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, ActionSet, ClosureId, EntryKey, Lane, Role, SecretText};

use crate::client::{Client, ISSUER, SERVICE};

/// The reviewed answers.
const TABLE: &str = include_str!("matrix.txt");

type ComeBy = fn(&Client) -> SecretText;

/// The classes of token.
const CLASSES: [(&str, ComeBy); 25] = [
    ("another gate's", |_| block_on(Scene::new()).administrator),
    ("mistyped", |client| {
        let token = ci(client, AccessLevel::ReadWrite);
        let (rest, last) = token.expose_secret().split_at(token.expose_secret().len() - 1);
        SecretText::new(format!("{rest}{}", if last == "a" { "b" } else { "a" }))
    }),
    ("revoked", |client| {
        let issued =
            block_on(client.scene.personal(client.scene.owner, ActionSet::ALL, PersonalForm::Opaque));
        block_on(client.scene.revoke(issued.record.id));
        issued.token
    }),
    ("expired", |client| {
        let (owner, actions, form) = (client.scene.owner, ActionSet::ALL, PersonalForm::Opaque);
        let spec = TokenSpec::Personal { owner, actions, form };
        block_on(client.scene.issue(&spec, Some(Duration::from_secs(1)))).token
    }),
    ("CI, read-only", |client| ci(client, AccessLevel::ReadOnly)),
    ("CI, read-write", |client| ci(client, AccessLevel::ReadWrite)),
    ("CI's session", |client| client.session(&ci(client, AccessLevel::ReadWrite), None)),
    ("device", |client| block_on(client.scene.device(DeviceAccess::Normal)).token),
    ("device, resolve-only", |client| {
        let requirement = "*".parse().expect("a requirement");
        let workspace = client.scene.workspace;
        let access = DeviceAccess::ResolveOnly { workspace, requirement, reads_closures: false };
        block_on(client.scene.device(access)).token
    }),
    ("closure token", closure_token),
    ("bound to a closure", |client| {
        let parent =
            block_on(client.scene.personal(client.scene.owner, ActionSet::ALL, PersonalForm::Opaque));
        block_on(client.scene.closure_reader(&parent.record, ClosureId::from_bytes([3; 16])))
    }),
    ("member's personal", |client| block_on(client.scene.person(Role::Member, ActionSet::ALL)).1),
    ("admin's, read-write", |client| {
        block_on(client.scene.person(Role::Admin, AccessLevel::ReadWrite.actions())).1
    }),
    ("admin's", |client| block_on(client.scene.person(Role::Admin, ActionSet::ALL)).1),
    ("owner's JWT", |client| owners_jwt(client)),
    ("owner's session", |client| client.session(&client.scene.administrator, None)),
    ("owner's login", |client| {
        let login = block_on(client.scene.gate.log_in(client.scene.owner, NOW.into()));
        login.expect("a login").session.token
    }),
    ("owner's refresh", |client| {
        let login = block_on(client.scene.gate.log_in(client.scene.owner, NOW.into()));
        login.expect("a login").refresh.token
    }),
    ("service's session", |client| client.session(&client.scene.administrator, Some(SERVICE))),
    ("job's own", |client| SecretText::new(client.job("a"))),
    ("stranger's job", |client| {
        let stranger = cachegate_testkit::TestIssuer::new("https://elsewhere.example");
        let claims = serde_json::json!({"sub": "x", "aud": ISSUER, "iat": NOW, "exp": NOW + 300, "jti": "x"});
        let _ = client;
        SecretText::new(stranger.sign(&claims))
    }),
    ("job's, prefixed", |client| SecretText::new(format!("cg1_{}", client.job("a")))),
    ("owner's JWT, bare", |client| {
        SecretText::new(owners_jwt(client).expose_secret().replacen("cg1_", "", 1))
    }),
    ("service's, prefixed", |client| {
        let bare = client.session(&client.scene.administrator, Some(SERVICE));
        SecretText::new(format!("cg1_{}", bare.expose_secret()))
    }),
    ("device code", |client| {
        let begun = client.post("/oauth/device_authorization", &[("client_id", "x")]);
        SecretText::new(begun.text_of("device_code").to_owned())
    }),
];

fn ci(client: &Client, level: AccessLevel) -> SecretText {
    block_on(client.scene.ci_token(level, Lane::main()))
}

/// What the owner's resolve of a release with its closure gives.
fn closure_token(client: &Client) -> SecretText {
    let scene = &client.scene;
    let entry = EntryKey::new(b"key").expect("a key");
    let writer = ci(client, AccessLevel::ReadWrite);
    let Verdict::Allowed(allowed) = block_on(scene.ask(Some(&writer), Action::Write, "key")) else {
        panic!("not allowed to write")
    };
    let ticket = allowed.ticket(entry.clone()).expect("a ticket");
    let label = block_on(scene.gate.seal(&ticket, &[7; 32], 7, NOW.into())).expect("a label");
    let stored = StoredEntry { key: &entry, label: &label, digest: &[7; 32] };
    let version = "1.0.0".parse().expect("a version");
    let closure = [stored];
    let outputs = [OutputSpec { name: "out", closure: &closure }];
    let spec =
        ReleaseSpec { workspace: scene.workspace, version: &version, entry: stored, outputs: &outputs };
    block_on(scene.gate.publish_release(&Authority::Operator, &spec, NOW.into())).expect("published");
    let (owner, any) = (block_on(scene.administrator()), "*".parse().expect("a requirement"));
    let resolved = scene.gate.resolve_closure(&owner, scene.workspace, &any, None, None, NOW.into());
    block_on(resolved).expect("resolved").1.token
}

fn owners_jwt(client: &Client) -> SecretText {
    block_on(client.scene.personal(client.scene.owner, ActionSet::ALL, PersonalForm::Jwt)).token
}

type Endpoint = fn(&Client, &str) -> String;

/// What a token can be sent to, and as what.
const ENDPOINTS: [(&str, Endpoint); 11] = [
    ("exchange: access token", |client, token| exchange(client, token, "access_token", &[])),
    ("exchange: access token, for a service", |client, token| {
        exchange(client, token, "access_token", &[("audience", SERVICE)])
    }),
    ("exchange: JWT", |client, token| exchange(client, token, "jwt", &[])),
    ("exchange: ID token", |client, token| exchange(client, token, "id_token", &[])),
    ("exchange: refresh token", |client, token| exchange(client, token, "refresh_token", &[])),
    ("assertion", |client, token| {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        client.token(&[("grant_type", grant), ("assertion", token)]).told()
    }),
    ("refresh", |client, token| {
        client.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).told()
    }),
    ("device code", |client, token| {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        client.token(&[("grant_type", grant), ("device_code", token)]).told()
    }),
    ("introspect, asking with it", |client, token| {
        let target = ci(client, AccessLevel::ReadOnly);
        let bearer = format!("Bearer {token}");
        let pairs = [("token", target.expose_secret())];
        client.post_with("/oauth/introspect", &pairs, &[("authorization", &bearer)]).told()
    }),
    ("introspect, as a service's secret", |client, token| {
        let pairs = [("token", "x"), ("client_id", "registry"), ("client_secret", token)];
        client.post("/oauth/introspect", &pairs).told()
    }),
    ("approve a terminal", |client, token| {
        let begun = client.post("/oauth/device_authorization", &[("client_id", "x")]);
        let pairs = [("user_code", begun.text_of("user_code")), ("token", token), ("decision", "approve")];
        client.post_with("/activate", &pairs, &[("accept", "application/json")]).told()
    }),
];

fn exchange(client: &Client, token: &str, kind: &str, more: &[(&str, &str)]) -> String {
    let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
    let own = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", &kind),
    ];
    client.token(&[&own, more].concat()).told()
}

#[test]
fn every_class_of_token_is_refused_wherever_it_is_not_for() {
    let mut table = String::new();
    for (endpoint, send) in ENDPOINTS {
        writeln!(table, "{endpoint}").expect("written");
        for (class, come_by) in CLASSES {
            let client = Client::new();
            let token = come_by(&client);
            client.wait(5);
            let told = send(&client, token.expose_secret());
            writeln!(table, "    {class:<22}{told}").expect("written");
        }
    }
    assert!(table == TABLE, "the answers changed; review them:\n{table}");
}
