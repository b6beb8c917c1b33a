//! The identity of a job: "not here" lets the search go on, "here and broken" ends it and says what to change.

#![expect(clippy::expect_used, reason = "tests")]

use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_client::{
    AmbientError, AmbientProblem, Environment, IdentityToken, Platform, Run, RunError, RunOutput,
    Surroundings, ambient_token,
};
use cachegate_fetch::{Fetch, FetchError, Request, Response};
use cachegate_types::SecretText;
use futures_executor::block_on;
use serde_json::{Value, json};

const AUDIENCE: &str = "https://cache.example.org";

/// A token for this audience; `canary` stands in it where a secret would.
fn jwt(audience: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.canary-signature",
        part(&json!({"alg": "RS256"})),
        part(&json!({"aud": audience, "sub": "canary"}))
    )
}

fn good() -> String {
    jwt(&json!(AUDIENCE))
}

/// Everything around a job; what it was asked is written down.
#[derive(Debug)]
struct Job {
    environment: Environment,
    response: Result<Response, FetchError>,
    output: Result<RunOutput, RunError>,
    fetched: Mutex<Vec<Request>>,
    run: Mutex<Vec<String>>,
}

impl Job {
    fn new(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            environment: variables.collect(),
            response: Err(FetchError::HeadersTooLarge),
            output: Err(RunError { detail: "no such file".to_owned() }),
            fetched: Mutex::default(),
            run: Mutex::default(),
        }
    }

    fn on(mut self, product: &str) -> Self {
        self.environment = self.environment.with_product(product);
        self
    }

    fn answering(self, response: Response) -> Self {
        Self { response: Ok(response), ..self }
    }

    fn printing(self, success: bool, stdout: &str, stderr: &str) -> Self {
        let (stdout, stderr) = (SecretText::new(stdout.to_owned()), SecretText::new(stderr.to_owned()));
        Self { output: Ok(RunOutput { success, stdout, stderr }), ..self }
    }

    fn token(&self) -> Result<Option<IdentityToken>, AmbientError> {
        let surroundings = Surroundings { environment: &self.environment, fetch: self, run: self };
        block_on(ambient_token(AUDIENCE, &surroundings))
    }

    fn problem(&self) -> (Platform, AmbientProblem) {
        let error = self.token().expect_err("here and broken");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        assert!(error.to_string().contains(error.platform().as_str()), "{error}");
        (error.platform(), error.problem().clone())
    }

    fn found(&self) -> (Platform, String) {
        let token = self.token().expect("no error").expect("a token");
        assert!(!format!("{token:?}").contains("canary"), "{token:?}");
        (token.platform(), token.expose_secret().to_owned())
    }

    fn asked(&self) -> (usize, Vec<String>) {
        (self.fetched.lock().expect("a lock").len(), self.run.lock().expect("a lock").clone())
    }
}

#[async_trait]
impl Fetch for Job {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        self.fetched.lock().expect("a lock").push(request.clone());
        self.response.clone()
    }
}

#[async_trait]
impl Run for Job {
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<RunOutput, RunError> {
        self.run.lock().expect("a lock").push(format!("{program} {}", arguments.join(" ")));
        self.output.clone()
    }
}

const GITHUB: [(&str, &str); 3] = [
    ("GITHUB_ACTIONS", "true"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://pipelines.example/token?api-version=2.0"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary"),
];

#[test]
fn on_a_persons_machine_there_is_no_identity_and_nobody_is_asked() {
    for variables in [
        &[][..],
        &[("CI", "true"), ("HOME", "/x"), ("AWS_PROFILE", "work"), ("AWS_ACCESS_KEY_ID", "canary")],
        &[("GITHUB_ACTIONS", ""), ("GITLAB_CI", "false"), ("GITHUB_TOKEN", "canary"), ("K_SERVICE", "")],
    ] {
        let job = Job::new(variables).on("A Laptop");
        assert!(job.token().expect("no error").is_none());
        assert_eq!(job.asked(), (0, Vec::new()));
    }
}

#[test]
fn github_is_asked_at_its_own_address_with_its_own_secret() {
    let job =
        Job::new(&GITHUB).answering(Response::new(200, json!({"value": good(), "count": 1}).to_string()));
    assert_eq!(job.found(), (Platform::GithubActions, good()));
    let request = job.fetched.lock().expect("a lock").remove(0);
    assert_eq!(
        request.url().as_str(),
        "https://pipelines.example/token?api-version=2.0&audience=https%3A%2F%2Fcache.example.org"
    );
    assert_eq!(
        request.headers().first().map(|(name, value)| (*name, value.expose_secret())),
        Some(("authorization", "Bearer canary"))
    );
}

#[test]
fn github_without_its_permission_is_broken_and_the_permission_is_named() {
    for (missing, _) in GITHUB.iter().skip(1) {
        let variables: Vec<(&str, &str)> = GITHUB.into_iter().filter(|(name, _)| name != missing).collect();
        let (platform, problem) = Job::new(&variables).problem();
        assert_eq!(platform, Platform::GithubActions);
        assert!(matches!(&problem, AmbientProblem::NotSet { variable, .. } if variable == missing));
        assert!(problem.to_string().contains("`permissions: id-token: write`"), "{problem}");
    }
    for url in ["http://pipelines.example/token", "file:///x", "canary", "https://a@b.example/"] {
        let job = Job::new(&[GITHUB[0], ("ACTIONS_ID_TOKEN_REQUEST_URL", url), GITHUB[2]]);
        assert!(matches!(job.problem().1, AmbientProblem::Address { .. }), "{url}");
        assert_eq!(job.asked().0, 0, "the secret was not sent");
    }
}

#[test]
fn an_answer_that_is_no_token_is_broken() {
    let answer = |status, body: &str| Job::new(&GITHUB).answering(Response::new(status, body)).problem().1;
    assert!(matches!(answer(302, "canary"), AmbientProblem::Status { status: 302, .. }));
    assert!(matches!(answer(403, "canary"), AmbientProblem::Status { status: 403, .. }));
    assert_eq!(answer(200, "canary"), AmbientProblem::Answer);
    assert_eq!(answer(200, r#"{"value": "canary"}"#), AmbientProblem::NoToken { length: 6 });
    assert_eq!(answer(200, r#"{"value": "canary.canary.canary"}"#), AmbientProblem::NoToken { length: 20 });
    assert!(matches!(Job::new(&GITHUB).problem().1, AmbientProblem::Fetch { .. }));
    let long = format!("{}{}", good(), "A".repeat(16 * 1024));
    assert!(matches!(answer(200, &json!({ "value": long }).to_string()), AmbientProblem::NoToken { .. }));
}

#[test]
fn a_token_for_another_server_is_not_handed_over() {
    for audience in [json!("https://other.example"), json!(["a", "b"]), json!([]), json!(null)] {
        let body = json!({ "value": jwt(&audience) }).to_string();
        let (_, problem) = Job::new(&GITHUB).answering(Response::new(200, body)).problem();
        assert!(
            matches!(&problem, AmbientProblem::OtherAudience { wanted, .. } if wanted == AUDIENCE),
            "{problem}"
        );
    }
    let list = jwt(&json!(["a", AUDIENCE]));
    let job = Job::new(&[("SEMAPHORE", "true"), ("SEMAPHORE_OIDC_TOKEN", &list)]);
    assert_eq!(job.found(), (Platform::Semaphore, list));
}

#[test]
fn gitlab_and_semaphore_give_theirs_by_a_variable() {
    let token = good();
    for (variables, platform) in [
        ([("GITLAB_CI", "true"), ("CACHEGATE_ID_TOKEN", &*token)], Platform::GitlabCi),
        ([("GITLAB_CI", "true"), ("HTTPS___CACHE_EXAMPLE_ORG_ID_TOKEN", &token)], Platform::GitlabCi),
        ([("SEMAPHORE", "true"), ("SEMAPHORE_OIDC_TOKEN", &token)], Platform::Semaphore),
    ] {
        assert_eq!(Job::new(&variables).found(), (platform, good()));
    }
    let (platform, problem) = Job::new(&[("GITLAB_CI", "true")]).problem();
    assert_eq!(platform, Platform::GitlabCi);
    let lines = r#"id_tokens: { CACHEGATE_ID_TOKEN: { aud: "https://cache.example.org" } }"#;
    assert!(problem.to_string().contains(lines), "{problem}");
    let (platform, problem) = Job::new(&[("SEMAPHORE", "true")]).problem();
    assert_eq!(platform, Platform::Semaphore);
    assert!(matches!(problem, AmbientProblem::NotSet { .. }));
}

#[test]
fn buildkites_agent_is_asked_for_the_ids_that_rules_pin() {
    let job = Job::new(&[("BUILDKITE", "true")]).printing(true, &format!("{}\n", good()), "");
    assert_eq!(job.found(), (Platform::Buildkite, good()));
    assert_eq!(
        job.asked().1,
        [
            "buildkite-agent oidc request-token --audience https://cache.example.org --claim organization_id,pipeline_id"
        ]
    );
    assert!(matches!(
        Job::new(&[("BUILDKITE", "true")]).problem().1,
        AmbientProblem::NotStarted { program: "buildkite-agent", .. }
    ));
}

#[test]
fn circlecis_own_token_is_used_only_where_it_is_for_this_server() {
    let circleci = |token: &str| Job::new(&[("CIRCLECI", "true"), ("CIRCLE_OIDC_TOKEN_V2", token)]);
    let job = circleci(&good());
    assert_eq!(job.found(), (Platform::CircleCi, good()));
    assert_eq!(job.asked().1, Vec::<String>::new());

    let job = circleci(&jwt(&json!("organization"))).printing(true, &good(), "");
    assert_eq!(job.found(), (Platform::CircleCi, good()));
    assert_eq!(job.asked().1, [r#"circleci run oidc get --claims {"aud":"https://cache.example.org"}"#]);

    let fork = Job::new(&[("CIRCLECI", "true")]);
    assert!(matches!(fork.problem().1, AmbientProblem::NotSet { .. }));
    assert_eq!(fork.asked().1, Vec::<String>::new());
}

#[test]
fn amazon_is_asked_by_its_own_tool() {
    let answer = json!({"WebIdentityToken": good(), "Expiration": "2026-01-01T00:00:00Z"}).to_string();
    for job in [
        Job::new(&[("AWS_LAMBDA_FUNCTION_NAME", "f")]),
        Job::new(&[("CODEBUILD_BUILD_ARN", "arn")]),
        Job::new(&[]).on("Amazon EC2 m7g.large"),
    ] {
        let job = job.printing(true, &answer, "");
        assert_eq!(job.found(), (Platform::Aws, good()));
        assert_eq!(
            job.asked().1,
            [
                "aws sts get-web-identity-token --audience https://cache.example.org --signing-algorithm ES384 --output \
             json"
            ]
        );
    }
    let broken = Job::new(&[]).on("Amazon EC2");
    let said =
        "\nAn error occurred (OutboundWebIdentityFederationDisabled): eyJcanary.canary.canary.canary\nmore";
    let (_, problem) = broken.printing(false, "canary", said).problem();
    assert!(
        matches!(&problem, AmbientProblem::Failed { program: "aws", said, .. } if said == "An error occurred (OutboundWebIdentityFederationDisabled): [..]"),
        "{problem:?}"
    );
    assert!(problem.to_string().contains("outbound identity federation"), "{problem}");
    let (_, problem) = Job::new(&[]).on("Amazon EC2").printing(true, "canary", "").problem();
    assert_eq!(problem, AmbientProblem::Answer);
}

#[test]
fn googles_metadata_server_is_asked_and_must_say_that_it_is_one() {
    let answer = Response::new(200, good());
    for job in [Job::new(&[]).on("Google Google Compute Engine"), Job::new(&[("K_SERVICE", "s")])] {
        let job = job.answering(answer.clone().with_header("Metadata-Flavor", "Google"));
        assert_eq!(job.found(), (Platform::Gcp, good()));
        let request = job.fetched.lock().expect("a lock").remove(0);
        assert_eq!(
            request.url().as_str(),
            "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience=\
             https%3A%2F%2Fcache.example.org&format=full&licenses=TRUE"
        );
        let headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        assert_eq!(headers, [("metadata-flavor", "Google")]);
    }
    let google = || Job::new(&[]).on("Google");
    assert_eq!(google().answering(answer).problem().1, AmbientProblem::Answer);
    let problem = google().answering(Response::new(404, "")).problem().1;
    assert!(matches!(problem, AmbientProblem::Status { status: 404, .. }));
}

#[test]
fn a_job_whose_own_identity_is_broken_does_not_become_its_machine() {
    let answer = Response::new(200, good()).with_header("Metadata-Flavor", "Google");
    let job = Job::new(&[("GITHUB_ACTIONS", "true")]).on("Google").answering(answer);
    assert_eq!(job.problem().0, Platform::GithubActions);
    assert_eq!(job.asked(), (0, Vec::new()));
}

#[test]
fn a_platform_that_was_named_is_asked_without_a_search() {
    let job = Job::new(&GITHUB).printing(true, &good(), "");
    let surroundings = Surroundings { environment: &job.environment, fetch: &job, run: &job };
    let platform = Platform::from_name("buildkite").expect("a name");
    let token = block_on(platform.token(AUDIENCE, &surroundings)).expect("a token");
    assert_eq!(token.platform(), Platform::Buildkite);
    for platform in Platform::ALL {
        assert_eq!(Platform::from_name(platform.as_str()), Some(platform));
    }
    assert!(!format!("{:?}", surroundings.environment).contains("canary"));
}

#[test]
fn the_search_can_go_on_in_another_thread() {
    fn crosses_threads<T: Send>(_: &T) {}
    let job = Job::new(&[]);
    let surroundings = Surroundings { environment: &job.environment, fetch: &job, run: &job };
    crosses_threads(&ambient_token(AUDIENCE, &surroundings));
}
