//! A real OpenID provider on the loopback, unmodified: its tokens are discovered, verified, exchanged and presented while
//! its keys rotate. Started by `cargo xtask test`, which installs it.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "support/host.rs"]
#[expect(dead_code, reason = "nothing fails here, and no token is made")]
mod host;
#[path = "support/http.rs"]
#[expect(dead_code, reason = "statuses and bodies are all that is looked at")]
mod http;
#[path = "../../../crates/cachegate-login/tests/login/script.rs"]
mod script;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_server::now;
use cachegate::{ExchangeError, WorkloadToken};
use cachegate_federation::{AnchorBuilder, RuleBuilder};
use host::Host;
use http::{get, put, send};
use script::Script;
use serde::Deserialize;
use serde_json::Value;

const AUDIENCE: &str = "https://cache.example.com";
const ENTRY: &str = "/acme/app/v1/cache/7";
const ROUNDS: usize = 6;
/// How long the gate waits at least before it asks an issuer again.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The provider, which ends with the test.
struct Provider(Script);

impl Provider {
    fn start() -> Self {
        Self(Script::start(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/workloads/provider.mjs"), &[]))
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// An access token of this job, by the client credentials grant (RFC 6749, section 4.4) for our resource (RFC 8707).
    fn token(&self, job: &str) -> String {
        self.token_for(job, AUDIENCE)
    }

    fn token_for(&self, job: &str, resource: &str) -> String {
        let body = format!(
            "grant_type=client_credentials&scope=cache&resource={resource}&client_id={job}&client_secret=not-a-secret"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = send(
            self.0.address,
            &http::head("POST", "/token", &headers, Some(body.len() as u64)),
            body.as_bytes(),
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = json_of(&answer.text());
        answer.get("access_token").and_then(Value::as_str).expect("a token").to_owned()
    }

    /// From now on a new key signs; the one before it is still published, and no older one.
    fn rotate(&self) {
        assert_eq!(get(self.0.address, "/rotate", &[]).status, 200);
    }

    /// How often the discovery document and the keys were fetched.
    fn asked(&self) -> (usize, usize) {
        let text = get(self.0.address, "/asked", &[]).text();
        let (discovery, keys) = text.lines().find_map(|line| line.split_once(' ')).expect("two numbers");
        (discovery.parse().expect("a number"), keys.parse().expect("a number"))
    }
}

/// The one JSON object in a body, which may come in chunks.
fn json_of(body: &str) -> Value {
    let (from, to) = (body.find('{').expect("an object"), body.rfind('}').expect("its end"));
    serde_json::from_str(body.get(from..=to).expect("an object")).expect("JSON")
}

/// What an operator writes for an issuer of his own.
fn host(provider: &Provider, mode: &str) -> Host {
    #[derive(Deserialize)]
    struct File {
        anchors: Vec<AnchorBuilder>,
        rules: Vec<RuleBuilder>,
    }

    let text = format!(
        r#"
[[anchors]]
id = "forge"
platform = "gitlab-ci"
issuer = "{issuer}"
audiences = ["{AUDIENCE}"]
types = ["at+jwt"]
mode = "{mode}"

[[rules]]
name = "trunk"
anchor = "forge"
organization = "acme"
workspace = "app"
pins = [{{ fact = "repo.id", is = "20" }}]
when = [{{ fact = "event", equals = "push" }}, {{ ref = {{ kind = "branch", name = "main" }} }}]
grant = {{ level = "read-write", lane = "main", ttl = 600 }}

[[rules]]
name = "merge-requests"
anchor = "forge"
organization = "acme"
workspace = "app"
pins = [{{ fact = "repo.id", is = "20" }}]
when = [{{ fact = "event", equals = "merge_request_event" }}]
grant = {{ level = "read-write", lane = "pull", untrusted_reads = "granted", base = true }}
"#,
        issuer = provider.issuer(),
    );
    let file: File = toml::from_str(&text).expect("a configuration");
    Host::configured(|own| {
        own.anchors = file.anchors;
        own.rules = file.rules;
    })
}

/// What the server answers to whoever presents this.
fn status(host: &Host, token: &str) -> u16 {
    get(host.address, ENTRY, &[("authorization", &format!("Bearer {token}"))]).status
}

fn write(host: &Host, token: &str, body: &[u8]) -> u16 {
    put(host.address, ENTRY, &[("authorization", &format!("Bearer {token}"))], body).status
}

/// `exchanged`, or the step and the code of the refusal.
fn exchange(host: &Host, token: &str) -> Result<String, String> {
    let request = WorkloadToken::new(token);
    match host.runtime.block_on(host.server.gate().exchange_workload(&request, now())) {
        Ok(done) => Ok(done.session.token.expose_secret().to_owned()),
        Err(ExchangeError::Refused(refusal)) => Err(format!("{} {}", refusal.step(), refusal.code())),
        Err(other) => Err(other.to_string()),
    }
}

/// Rotates the provider's key again and again, while jobs fetch tokens and `present` them: good tokens, of the key before
/// and the key after, are never refused, and the keys are fetched once for each rotation.
fn rotate_while_tokens_flow(
    provider: &Provider,
    host: &Host,
    present: impl Fn(&str) -> Result<(), String> + Sync,
    refused: &str,
) {
    const JOBS: usize = 4;
    const TOKENS: usize = 8;
    let good = AtomicUsize::new(0);
    let take = |token: &str| match present(token) {
        Ok(()) => drop(good.fetch_add(1, Ordering::Relaxed)),
        Err(code) => panic!("a good token was refused: {code}"),
    };
    take(&provider.token("trunk"));
    let mut withdrawn: Option<String> = None;
    for round in 1..=ROUNDS {
        // Fetched under the key that is about to be replaced, and presented after.
        let in_flight: Vec<_> = (0..TOKENS).map(|_| provider.token("trunk")).collect();
        let unused = provider.token("trunk");
        host.clock.advance(COOL_DOWN + Duration::from_secs(1));
        std::thread::scope(|scope| {
            for job in 0..JOBS {
                let take = &take;
                scope.spawn(move || {
                    for _ in 0..TOKENS {
                        take(&provider.token(if job % 2 == 0 { "trunk" } else { "merge" }));
                    }
                });
            }
            provider.rotate();
        });
        for token in &in_flight {
            take(&provider.token("merge"));
            take(token);
        }
        // The key of the round before last was withdrawn, and the keys were fetched since.
        if let Some(token) = withdrawn.replace(unused) {
            assert_eq!(present(&token), Err(refused.to_owned()), "its key is no longer published");
        }
        assert_eq!(provider.asked(), (1, 1 + round), "once for each rotation, whoever waits");
    }
    let good = good.into_inner();
    assert_eq!(good, 1 + ROUNDS * (JOBS * TOKENS + 2 * TOKENS));
    println!("{good} good tokens over {ROUNDS} rotations: 0 refused, {:?} fetches", provider.asked());
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn jobs_present_a_real_providers_tokens_while_its_keys_rotate() {
    let provider = Provider::start();
    let host = host(&provider, "direct");
    assert_eq!(write(&host, &provider.token("merge"), b"evil"), 200);
    assert_eq!(status(&host, &provider.token("trunk")), 404, "the trunk never sees it");
    assert_eq!(write(&host, &provider.token("trunk"), b"good"), 200);
    rotate_while_tokens_flow(
        &provider,
        &host,
        |token| match status(&host, token) {
            200 => Ok(()),
            other => Err(other.to_string()),
        },
        "401",
    );
    assert_eq!(status(&host, &provider.token_for("trunk", "https://other.example.com")), 401);
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn jobs_exchange_a_real_providers_tokens_while_its_keys_rotate() {
    let provider = Provider::start();
    let host = host(&provider, "exchange");
    let token = provider.token("trunk");
    let session = exchange(&host, &token).expect("a session");
    assert_eq!(write(&host, &session, b"good"), 200);
    assert_eq!(exchange(&host, &token), Err("replay replayed".to_owned()));
    assert_eq!(status(&host, &provider.token("trunk")), 401, "without an exchange it is no credential");
    let for_another = provider.token_for("trunk", "https://other.example.com");
    assert_eq!(exchange(&host, &for_another), Err("audience audience_mismatch".to_owned()));
    rotate_while_tokens_flow(
        &provider,
        &host,
        |token| {
            let session = exchange(&host, token)?;
            match status(&host, &session) {
                200 => Ok(()),
                other => Err(other.to_string()),
            }
        },
        "key unknown_key",
    );
}
