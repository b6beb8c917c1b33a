//! GitHub Actions as a server's configuration lets its jobs in, and the tokens that it gives them.

use cache_server::now;
use cachegate_testkit::TestIssuer;
use serde_json::json;

pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// What an operator writes: pushes to `main` write the trunk, pull requests a lane of their own.
pub(crate) fn configuration(keys: &serde_json::Value) -> String {
    format!(
        r#"
[[anchors]]
id = "github"
platform = "github-actions"
issuer = "{ISSUER}"
audiences = ["https://cache.example.com"]
mode = "direct"
max_lifetime = 3600
keys.inline = {keys}

[[rules]]
name = "trunk"
anchor = "github"
organization = "acme"
workspace = "app"
pins = [
    {{ fact = "repo.id", is = "456789", name = "lumen-labs/beacon" }},
    {{ fact = "owner.id", is = "123456" }},
]
when = [{{ fact = "event", equals = "push" }}, {{ ref = {{ kind = "branch", name = "main" }} }}]
grant = {{ level = "read-write", lane = "main", publish = true }}

[[rules]]
name = "pull-requests"
anchor = "github"
organization = "acme"
workspace = "app"
pins = [{{ fact = "repo.id", is = "456789" }}, {{ fact = "owner.id", is = "123456" }}]
when = [{{ fact = "event", equals = "pull_request" }}]
grant = {{ level = "read-write", lane = "pull", untrusted_reads = "granted" }}
"#,
        keys = inline(keys),
    )
}

/// A key set as TOML has it inline.
fn inline(keys: &serde_json::Value) -> String {
    let key = keys.pointer("/keys/0").and_then(serde_json::Value::as_object).expect("a key");
    let members: Vec<_> = key.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("{{ keys = [{{ {} }}] }}", members.join(", "))
}

/// What GitHub gives a job of this event at this reference.
pub(crate) fn token(issuer: &TestIssuer, event: &str, reference: &str, jti: &str) -> String {
    let at = now().as_unix_seconds();
    let workflow = "lumen-labs/beacon/.github/workflows/ci.yml@refs/heads/main";
    let subject = match event {
        "pull_request" => "repo:lumen-labs/beacon:pull_request".to_owned(),
        _ => format!("repo:lumen-labs/beacon:ref:{reference}"),
    };
    issuer.sign(&json!({
        "sub": subject, "aud": "https://cache.example.com", "jti": jti, "iat": at, "nbf": at - 60, "exp": at + 3000,
        "event_name": event, "ref": reference, "ref_type": "branch", "sha": "938406d7b1f85ca53c188f1096cc16864d6fb980",
        "repository": "lumen-labs/beacon", "repository_id": "456789", "repository_owner": "lumen-labs",
        "repository_owner_id": "123456", "repository_visibility": "private", "run_id": "1", "run_number": "1",
        "run_attempt": "1", "actor": "mira", "actor_id": "9", "workflow": "CI", "workflow_ref": workflow,
        "job_workflow_ref": workflow, "workflow_sha": "938406d7b1f85ca53c188f1096cc16864d6fb980",
        "job_workflow_sha": "938406d7b1f85ca53c188f1096cc16864d6fb980", "runner_environment": "github-hosted",
        "head_ref": if event == "pull_request" { "feature" } else { "" },
        "base_ref": if event == "pull_request" { "main" } else { "" },
    }))
}
