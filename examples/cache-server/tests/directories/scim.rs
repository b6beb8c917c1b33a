//! A directory that pushes its changes by SCIM, against the running server; and scim2-tester, which no one here wrote.

use std::path::Path;
use std::process::Command;

use cache_server::{DirectoriesEntry, ScimEntry, now};
use cachegate::{Authority, DeviceAccess, PersonalForm, TokenSpec};
use cachegate_types::{AccessLevel, ActionSet, Description, OrganizationId, Role};
use serde_json::{Value, json};

use crate::host::Host;
use crate::http::{Answer, get, head, put, send};

/// A server whose organization `acme` is told by `okta` who is in it.
struct World {
    host: Host,
    organization: OrganizationId,
    token: String,
}

impl World {
    fn new() -> Self {
        let okta = ScimEntry {
            name: "okta".parse().expect("a name"),
            organization: None,
            issuer: Some("https://acme.okta.example".to_owned()),
        };
        let host = Host::configured(|config| {
            config.directories = DirectoriesEntry { scim: vec![okta], ..DirectoriesEntry::default() };
        });
        let acme = "acme".parse().expect("a name");
        let found = host.runtime.block_on(host.server.storage().organization_by_name(&acme));
        let organization = found.expect("the store").expect("the organization").id;
        let spec = TokenSpec::Device { organization, access: DeviceAccess::Provision };
        let issued =
            host.server.gate().issue(&Authority::Operator, &spec, Description::default(), None, now());
        let issued = host.runtime.block_on(issued).expect("a token");
        Self { token: issued.token.expose_secret().to_owned(), host, organization }
    }

    fn scim(&self, method: &str, path: &str, body: &Value) -> Answer {
        let (bearer, body) = (format!("Bearer {}", self.token), body.to_string());
        let headers = [("authorization", &*bearer), ("content-type", "application/scim+json")];
        let head = head(method, &format!("/scim/v2/okta{path}"), &headers, Some(body.len() as u64));
        send(self.host.address, &head, body.as_bytes())
    }
}

#[test]
fn whoever_leaves_the_directory_is_refused_by_the_very_next_request_and_the_organizations_tokens_work_on() {
    let world = World::new();
    let made =
        world.scim("POST", "/Users", &json!({"userName": "ada@acme.example", "externalId": "00u1ada"}));
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(made.has_header("content-type: application/scim+json") && made.has_header("etag: W/\"1\""));
    let made: Value = serde_json::from_slice(&made.body).expect("JSON");
    let id = made["id"].as_str().expect("an id");
    let gate = world.host.server.gate();
    let members = gate.members(&Authority::Operator, world.organization, None, 100, now());
    let members = world.host.runtime.block_on(members).expect("members").items;
    let ada = members.iter().find(|member| member.membership.member.role == Role::Member).expect("a member");
    let spec =
        TokenSpec::Personal { owner: ada.person.id, actions: ActionSet::ALL, form: PersonalForm::Opaque };
    let own = gate.issue(&Authority::Operator, &spec, Description::default(), None, now());
    let own = world.host.runtime.block_on(own).expect("a token");
    let bearer = format!("Bearer {}", own.token.expose_secret());
    let build = |bearer: &str, key: &str| {
        put(world.host.address, &format!("/acme/app/ccache/{key}"), &[("authorization", bearer)], b"x")
    };
    let first = build(&bearer, "7f3a");
    assert_eq!(first.status, 201, "{}", first.text());
    world.host.recorder.take();
    let patch = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
    let left = world.scim("PATCH", &format!("/Users/{id}"), &patch);
    assert_eq!(left.status, 200, "{}", left.text());
    let refused = build(&bearer, "7f3b");
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(world.host.recorder.take().last().map(|event| event.code), Some("not_a_member"));
    let organizations = format!("Bearer {}", world.host.token(AccessLevel::ReadWrite, "main"));
    assert_eq!(build(&organizations, "7f3b").status, 201);
    let still = world.scim("GET", "/Users", &Value::Null);
    assert_eq!(still.status, 200, "what belongs to the organization works on");
}

#[test]
fn without_the_right_credential_a_directory_tells_nothing() {
    let world = World::new();
    for (path, headers, status) in [
        ("/scim/v2/okta/Users", vec![], 401),
        ("/scim/v2/nowhere/Users", vec![], 401),
        ("/scim/v2/okta/Users", vec![("authorization", "Bearer nonsense")], 401),
        ("/scim/v2/okta/Users?access_token=x", vec![], 401),
    ] {
        let answer = get(world.host.address, path, &headers);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.has_header("www-authenticate: Bearer realm=\"cachegate\""));
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    }
    let bearer = format!("Bearer {}", world.token);
    let elsewhere = get(world.host.address, "/scim/v2/nowhere/Users", &[("authorization", &bearer)]);
    assert_eq!(elsewhere.status, 404);
    let long = vec![b'x'; (1 << 20) + 1];
    let answer = put(world.host.address, "/scim/v2/okta/Users/x", &[("authorization", &bearer)], &long);
    assert_eq!(answer.status, 413);
}

#[test]
fn without_directories_nothing_is_mounted() {
    let host = Host::configured(|_| {});
    let with = |path: &str| get(host.address, path, &[]).text();
    assert_eq!(with("/scim/v2/okta/Users"), with("/nothing/is/here"));
}

#[test]
#[ignore = "needs scim2-tester: run by cargo xtask test"]
fn scim2_tester_finds_nothing_wrong() {
    let world = World::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/directories/check_server.py");
    let program = std::env::var_os("CACHEGATE_SCIM2_TESTER").unwrap_or_else(|| "python3".into());
    let output = Command::new(program)
        .arg(script)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CACHEGATE_SCIM", format!("http://{}/scim/v2/okta", world.host.address))
        .env("CACHEGATE_TOKEN", &world.token)
        .output()
        .expect("Python runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{told}");
}
