//! The endpoints over a scene in which GitHub vouches for one repository, and one service is registered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cachegate::{SessionSpec, Workloads};
use cachegate_federation::{
    AnchorBuilder, Fact, Federation, GrantPlan, Keys, LaneChoice, Mode, Pin, Platform, RuleBuilder,
    RulesDocument,
};
use cachegate_fetch::Fetch;
use cachegate_http::oauth::{self, ReporterKey, Service, Settings};
use cachegate_storage::MemoryStorage;
use cachegate_testkit::{FaultyFetch, NOW, Scene, TestIssuer, block_on};
use cachegate_types::{AccessLevel, Epoch, SecretText};
use http::{HeaderMap, Request, header};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const ISSUER: &str = "https://cache.example.com";
pub(crate) const SERVICE: &str = "https://registry.example.com";
pub(crate) const SECRET: &str = "two%20hundred+fifty-six bits";
pub(crate) const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// The test key that GitHub publishes with its sample of a report.
pub(crate) const REPORTER: &str = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d";
pub(crate) const REPORTER_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP
HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==
-----END PUBLIC KEY-----
";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// `status error code`, the code where it says more than the error.
    pub(crate) fn told(&self) -> String {
        let word = |name: &str| self.body[name].as_str().unwrap_or_default();
        format!("{} {} {}", self.status, word("error"), word("code")).trim().to_owned()
    }

    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {}", self.text))
    }

    pub(crate) fn header(&self, name: &header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

pub(crate) struct Client {
    pub(crate) scene: Scene,
    pub(crate) router: Router,
    pub(crate) github: TestIssuer,
    now: Arc<AtomicU32>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With these settings beside the service.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let storage = Arc::new(MemoryStorage::new(Epoch(1)));
        let composed = Scene::set(storage, |builder| builder.issuer(ISSUER).services(&[SERVICE]));
        let scene = block_on(composed);
        let github = TestIssuer::new(GITHUB);
        trust(&scene, &github);
        let now = Arc::new(AtomicU32::new(NOW));
        let clock = Arc::clone(&now);
        let mut settings = Settings::default();
        settings.services = vec![
            Service::new("registry", SERVICE, digest_of(SECRET)),
            Service::new("proxy", ISSUER, digest_of(SECRET)),
        ];
        settings.reporters = vec![ReporterKey::from_pem(REPORTER, REPORTER_KEY).expect("a key")];
        change(&mut settings);
        let clock = move || clock.load(Ordering::SeqCst).into();
        let router = oauth::router(scene.gate.clone(), clock, settings).expect("a router");
        Self { scene, router, github, now }
    }

    /// The endpoints' clock goes on.
    pub(crate) fn wait(&self, seconds: u32) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("an answer");
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.expect("a body");
            let text = String::from_utf8(body.to_vec()).expect("text");
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
        })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request"))
    }

    pub(crate) fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.post_with(path, pairs, &[])
    }

    pub(crate) fn post_with(&self, path: &str, pairs: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(form(pairs))).expect("a request"))
    }

    pub(crate) fn token(&self, pairs: &[(&str, &str)]) -> Answer {
        self.post("/oauth/token", pairs)
    }

    /// A token exchange of one of our own tokens.
    pub(crate) fn exchange(&self, token: &SecretText, more: &[(&str, &str)]) -> Answer {
        let own = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token.expose_secret()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        self.token(&[&own, more].concat())
    }

    /// What the service is told of a token.
    pub(crate) fn told_of(&self, service: &str, token: &str) -> Answer {
        self.post_with(
            "/oauth/introspect",
            &[("token", token)],
            &[("authorization", &basic(service, SECRET))],
        )
    }

    /// A session of this token, as the kernel gives it.
    pub(crate) fn session(&self, token: &SecretText, audience: Option<&str>) -> SecretText {
        let who = block_on(self.scene.authenticate(token));
        let spec = SessionSpec { audience: audience.map(Into::into), ..SessionSpec::default() };
        block_on(self.scene.gate.exchange(&who, &spec, NOW.into())).expect("a session").token
    }

    /// What a job on the trunk of the repository presents.
    pub(crate) fn job(&self, jti: &str) -> String {
        let workflow = "lumen-labs/beacon/.github/workflows/ci.yml@refs/heads/main";
        self.github.sign(&json!({
            "sub": "repo:lumen-labs/beacon:ref:refs/heads/main", "aud": ISSUER, "jti": jti,
            "iat": NOW, "nbf": NOW - 600, "exp": NOW + 300,
            "event_name": "push", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
            "sha": "938406d7b1f85ca53c188f1096cc16864d6fb980", "repository": "lumen-labs/beacon",
            "repository_id": "456789", "repository_owner": "lumen-labs", "repository_owner_id": "123456",
            "repository_visibility": "private", "run_id": "16789012345", "run_number": "412", "run_attempt": "1",
            "actor": "mira", "actor_id": "9876543", "workflow": "CI", "head_ref": "", "base_ref": "",
            "workflow_ref": workflow, "job_workflow_ref": workflow,
            "workflow_sha": "938406d7b1f85ca53c188f1096cc16864d6fb980",
            "job_workflow_sha": "938406d7b1f85ca53c188f1096cc16864d6fb980", "runner_environment": "github-hosted",
        }))
    }
}

fn trust(scene: &Scene, github: &TestIssuer) {
    let name = |text: &str| text.parse().expect("a name");
    let (fetch, pages) = FaultyFetch::new();
    github.publish(&pages);
    let fetch: Arc<dyn Fetch> = Arc::new(fetch);
    let anchor = AnchorBuilder::new(name("github"), Platform::GithubActions, GITHUB, [ISSUER])
        .keys(Keys::Discovery)
        .mode(Mode::Exchange)
        .build()
        .expect("an anchor");
    let federation = Federation::new([anchor]).expect("a table");
    let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main);
    let rule = RuleBuilder::allow(name("trunk"), name("github"), scene.organization, plan)
        .workspace(scene.workspace)
        .pin(Pin::new(Fact::RepoId, "456789"))
        .pin(Pin::new(Fact::OwnerId, "123456"));
    let rules =
        RulesDocument { rules: vec![rule], ..RulesDocument::default() }.build(&federation).expect("rules");
    let workloads = Workloads::new(federation, rules, &fetch).expect("addresses");
    scene.gate.set_workloads(Some(Arc::new(workloads)));
}

pub(crate) fn digest_of(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("32 bytes")
}

pub(crate) fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{secret}")))
}

/// As a form is written.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}
