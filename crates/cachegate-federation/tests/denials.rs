//! Every denial, as its three readers see it.

#![expect(clippy::expect_used, reason = "a broken fixture fails the test")]

mod common;

use std::fmt::Write as _;
use std::time::Duration;

use cachegate_federation::{AnchorBuilder, Issuer, Refusal, Status, Verified};
use cachegate_jwt::Algorithm;
use common::{
    AUDIENCE, Case, NOW, anchor, anchor_for, base, case, keys, later, now, sign_text, verify, verify_token,
};
use serde_json::json;

fn refusal(result: Result<Verified, Refusal>) -> Refusal {
    result.map(|verified| verified.facts).expect_err("refused")
}

fn at(anchor: AnchorBuilder, case: &Case) -> Refusal {
    refusal(verify(anchor, case, now()))
}

fn here(case: &Case) -> Refusal {
    at(anchor(&case.platform), case)
}

fn under(header: &str) -> Refusal {
    let github = base("github-actions");
    let token = sign_text(header, &github.payload(), "RS256");
    refusal(verify_token(anchor("github-actions"), &token, &keys(&github), now()))
}

fn as_text(token: &str) -> Refusal {
    refusal(verify_token(anchor("github-actions"), token, &keys(&base("github-actions")), now()))
}

fn denials() -> Vec<Refusal> {
    let github = base("github-actions");
    let azure = base("azure-devops");
    let kid = github.header.get("kid").expect("a key id").clone();
    let aged = anchor("github-actions").max_age(Duration::from_secs(60));
    let aud = |platform: &str| here(&base(platform).with("aud", "https://other.example.com"));
    let enterprise = anchor_for(
        "github-actions",
        Issuer::from("https://token.actions.githubusercontent.com/lumen-inc"),
        AUDIENCE,
    );
    vec![
        as_text("not a token"),
        as_text(&format!("{}=", github.token())),
        as_text(&"a".repeat(20_000)),
        under("{\"alg\":\"none\"}"),
        under("{\"kid\":\"k\"}"),
        under(&format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"crit\":[\"x\"]}}")),
        under(&format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"jku\":\"https://evil.example\"}}")),
        here(&github.clone().with("iss", "https://evil.example/`\n\u{202E}")),
        here(&base("spiffe-jwt-svid").with("sub", "spiffe://evil.example/x")),
        here(&github.clone().without("iss")),
        here(&github.clone().with("iss", json!(["https://token.actions.githubusercontent.com"]))),
        at(anchor("github-actions").status(Status::Disabled), &github),
        refusal(verify_token(anchor("entra-id"), &azure.token(), &keys(&azure), now())),
        under("{\"alg\":\"RS256\",\"kid\":\"../x\",\"typ\":\"JWT\"}"),
        under(&format!("{{\"alg\":\"PS256\",\"kid\":{kid},\"typ\":\"JWT\"}}")),
        at(anchor("aws-sts").algorithms(&[Algorithm::Es384]), &case("aws-sts", "rs256-requested")),
        as_text(&{
            let token = github.token();
            let (input, _) = token.rsplit_once('.').expect("parts");
            format!("{input}.{}", "A".repeat(342))
        }),
        under(&format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"typ\":\"logout+jwt\"}}")),
        under(&format!("{{\"alg\":\"RS256\",\"kid\":{kid}}}")),
        here(&case("entra-id", "iss-tid-disagree-attack")),
        at(enterprise, &case("github-actions", "enterprise-issuer").without("enterprise")),
        here(&github.clone().without("aud")),
        here(&github.clone().with("aud", json!([AUDIENCE, "https://other.example.com"]))),
        aud("github-actions"),
        aud("gitlab-ci"),
        aud("semaphore"),
        here(&case("buildkite", "bare-defaults")),
        aud("aws-sts"),
        aud("google-compute-engine"),
        aud("entra-id"),
        aud("okta"),
        here(&case("circleci", "default-audience")),
        here(&case("kubernetes", "extended-default-token")),
        here(&case("bitbucket-pipelines", "default-audience")),
        aud("spiffe-jwt-svid"),
        here(&github.clone().without("exp")),
        here(&github.clone().with("exp", "soon")),
        refusal(verify(anchor("github-actions"), &github, later(1000))),
        here(&github.clone().with("nbf", NOW + 100)),
        here(&github.clone().with("iat", NOW + 100)),
        here(&case("gitlab-ci", "long-job-timeout")),
        refusal(verify(aged, &github, later(200))),
        here(&github.clone().with("jti", 7)),
        here(&base("entra-id").with("uti", 7)),
        here(&github.clone().without("repository_id")),
        here(&github.clone().with("repository_id", 456_789)),
        here(&github.clone().with("repository_id", "456789;")),
        here(
            &github
                .clone()
                .with("name-of-a-claim", "x")
                .with("sub", "repo:lumen-labs@1/beacon@2:ref:refs/heads/main"),
        ),
        here(&case("buildkite", "subject-claim-pipeline").without("pipeline_id")),
        here(&base("kubernetes").with("sub", "system:serviceaccount:ci:admin")),
        at(anchor("github-actions").required(&["environment"]), &github),
    ]
}

#[test]
fn every_denial_names_its_step_and_says_to_each_reader_what_is_theirs() {
    let mut text = String::new();
    for refusal in denials() {
        let _ = writeln!(text, "{} {}", refusal.step(), refusal.code());
        let _ = writeln!(text, "  public:   {}", refusal.public());
        let _ = writeln!(text, "  operator: expected {}", refusal.expected());
        let _ = writeln!(text, "  caller:   {}", refusal.hint());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_public_text_is_one_line_and_tells_nothing_of_the_configuration() {
    for refusal in denials() {
        let text = refusal.public();
        assert!(!text.contains(['\n', '\r']) && text.is_ascii(), "{text}");
        let hint = refusal.hint();
        // Where the caller's own token says it, it is the caller's to hear.
        if refusal.code() != "audience_not_sole" {
            assert!(!text.contains(AUDIENCE) && !hint.contains(AUDIENCE), "{text}");
        }
        for secret in ["3600", "at most 60 s"] {
            assert!(!text.contains(secret) || refusal.code() == "expired", "{text}");
        }
    }
}
