//! Every denial, as its three readers see it.

#![expect(clippy::expect_used, reason = "a broken fixture fails the test")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use cachegate_federation::{
    AnchorBuilder, Ask, Federation, Issuer, KeysError, Refusal, RuleSet, Status, Step, Verified,
};
use cachegate_jwt::{Algorithm, KeyId, KeySet, UnverifiedJws};
use common::{
    AUDIENCE, Case, NOW, anchor, anchor_for, base, case, jwks, keys, later, now, sign_text, verify,
    verify_token,
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

/// The ordinary GitHub token with another text for its payload.
fn payload(payload: &str) -> Refusal {
    let github = base("github-actions");
    let header = serde_json::to_string(&github.header).expect("JSON");
    as_text(&sign_text(&header, payload, "RS256"))
}

/// Two clusters that call themselves alike.
fn ambiguous() -> Refusal {
    let cluster = base("kubernetes");
    let named = |id: &str| {
        let mut document = serde_json::to_value(anchor("kubernetes")).expect("a document");
        document.as_object_mut().expect("an object").insert("id".to_owned(), json!(id));
        serde_json::from_value::<cachegate_federation::Anchor>(document).expect("an anchor")
    };
    let table = Federation::new([named("one"), named("two")]).expect("a table");
    let token = cluster.token();
    table.anchor_for(&UnverifiedJws::parse(&token).expect("a token"), None).expect_err("refused")
}

/// A key of Microsoft's consumers under a token of a tenant.
fn foreign_key() -> Refusal {
    let entra = base("entra-id");
    let text = |member: &str| entra.header.get(member).and_then(|text| text.as_str()).expect("a text");
    let mut set = jwks(text("kid"), text("alg"));
    let consumers = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    let key = set.pointer_mut("/keys/0").and_then(|key| key.as_object_mut()).expect("a key");
    key.insert("issuer".to_owned(), json!(consumers));
    let set = KeySet::from_jwks(set.to_string().as_bytes()).expect("a key set");
    refusal(verify_token(anchor("entra-id"), &entra.token(), &set, now()))
}

/// What the gate says of tokens that are good.
fn by_the_gate() -> Vec<Refusal> {
    let github = base("github-actions");
    let verified = verify(anchor("github-actions"), &github, now()).expect("taken");
    let audited = verify(anchor("github-actions").status(Status::Audit), &github, now()).expect("taken");
    let kid = KeyId::new(b"new").expect("a key id");
    vec![
        Refusal::no_anchors(),
        Refusal::no_key(&KeysError::UnknownKey { kid }),
        Refusal::rules_not_loaded(&"two rules are called `main`"),
        Refusal::replayed(),
        Refusal::exchange_only(&verified),
        RuleSet::default().evaluate(&verified, &Ask::default()).outcome.expect_err("no rule"),
        RuleSet::default().evaluate(&audited, &Ask::default()).outcome.expect_err("on trial"),
    ]
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
    let mut all = vec![
        as_text("not a token"),
        payload("[]"),
        payload("{\"iss\":\"\\ud800\"}"),
        payload("{\"iss\":\"a\",\"iss\":\"b\"}"),
        payload("{\"iss\":1e400}"),
        payload(&format!("{}{}", "{\"a\":".repeat(9), "1".to_owned() + &"}".repeat(9))),
        under("{\"alg\":[\"RS256\"]}"),
        under("{\"alg\":\"RS256\",\"kid\":\"\"}"),
        here(&base("spiffe-jwt-svid").with_header("extra", "x")),
        ambiguous(),
        foreign_key(),
        here(&github.clone().with("nbf", NOW + 301)),
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
    ];
    all.extend(by_the_gate());
    all
}

/// Every code that a refusal can have is among the texts that are read when they change: here, or among those of the
/// rules.
#[test]
fn no_denial_is_left_out() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).expect("a file");
    let rules = read("src/rule/snapshots/cachegate_federation__rule__tests__refusals.snap");
    let mut shown: BTreeSet<String> = denials().iter().map(|refusal| refusal.code().to_owned()).collect();
    shown.extend(rules.lines().filter_map(|line| {
        let (step, rest) = line.trim().split_once(' ')?;
        let is_step = Step::ALL.iter().any(|known| known.as_str() == step);
        Some(rest.split_once(':')?.0.to_owned()).filter(|_| is_step)
    }));
    let mut found = 0;
    for file in ["src/federation.rs", "src/refusal.rs", "src/platform/reading.rs", "src/rule/evaluate.rs"] {
        for text in read(file).split("Refusal::new(").skip(1).chain(read(file).split("Self::new(").skip(1)) {
            let Some((_, rest)) = text.split_once(',') else { continue };
            let Some(code) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) else {
                continue;
            };
            assert!(shown.contains(code.0), "{file}: {}", code.0);
            found += 1;
        }
    }
    assert!(found > 25, "{found}: the source is written otherwise than it is read here");
}

#[test]
fn every_denial_has_something_for_each_reader() {
    for refusal in denials() {
        for text in [refusal.public(), refusal.expected(), refusal.hint()] {
            assert!(text.len() > 2 && !text.contains('\n'), "{}: {text:?}", refusal.code());
        }
    }
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
