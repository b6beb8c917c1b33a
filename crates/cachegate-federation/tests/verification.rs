//! The ten rules of verification, and the families of attack on federated tokens: each asserts the refusal's code.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a broken fixture fails the test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_federation::{
    AnchorBuilder, AnchorError, AudienceMode, Fact, Federation, Issuer, IssuerTemplate, Keys, Knowledge,
    Mode, Platform, Refusal, Status, Tenancy, TokenKey, TriggerClass, Verified,
};
use cachegate_jwt::{Algorithm, KeySet, UnverifiedJws};
use cachegate_types::Lane;
use common::{
    AUDIENCE, Case, NOW, anchor, anchor_for, base, case, issuer, jwks, keys, later, now, sign_text, verify,
    verify_here, verify_token,
};
use serde_json::{Value, json};

fn code(result: Result<Verified, Refusal>) -> String {
    match result {
        Ok(_) => "taken".to_owned(),
        Err(refusal) => format!("{} {}", refusal.step(), refusal.code()),
    }
}

fn github() -> Case {
    base("github-actions")
}

/// What the ordinary GitHub anchor says to a token with this header and payload.
fn raw(header: &str, payload: &str) -> String {
    code(verify_token(
        anchor("github-actions"),
        &sign_text(header, payload, "RS256"),
        &keys(&github()),
        now(),
    ))
}

/// What it says to the base set's payload under this header.
fn under(header: &str) -> String {
    raw(header, &github().payload())
}

/// What it says to the base set with one claim written as this JSON text.
fn claim(name: &str, text: &str) -> String {
    let rest = github().without(name).payload();
    raw(&header(""), &format!("{{\"{name}\":{text},{}", &rest[1..]))
}

fn header(more: &str) -> String {
    let kid = github().header["kid"].clone();
    format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"typ\":\"JWT\"{more}}}")
}

// The ten rules.

#[test]
fn rule_1_an_unverified_issuer_is_a_key_into_a_closed_table() {
    for issuer in [
        "https://evil.example",
        "https://token.actions.githubusercontent.com/",
        "https://token.actions.githubusercontent.com/evil",
        "https://TOKEN.actions.githubusercontent.com",
        "https://tokenxactions.githubusercontent.com",
        "https://token.actions.githubusercontent.com@evil.example",
        "https://token.actions.githubusercontent.com ",
        "http://token.actions.githubusercontent.com",
        "",
    ] {
        assert_eq!(code(verify_here(&github().with("iss", issuer))), "anchor unknown_issuer", "{issuer}");
    }
    let empty = Federation::new([]).expect("a table");
    let token = github().token();
    let refusal = empty.verify(&token, |_| unreachable!("no key is asked for"), now()).expect_err("refused");
    assert_eq!(refusal.code(), "unknown_issuer");
}

#[test]
fn rule_2_keys_belong_to_one_anchor() {
    // Two anchors whose keys go by one name: the token is checked with those of its own issuer alone.
    let (github, circleci) =
        (github(), base("circleci").with_header("kid", "shared").with_header("alg", "ES256"));
    let mut other = github.clone().with_header("kid", "shared");
    other.header.insert("alg".to_owned(), json!("RS256"));
    let table = Federation::new([
        anchor("github-actions").keys(Keys::Inline(jwks("shared", "RS256"))).build().expect("an anchor"),
        anchor("circleci")
            .keys(Keys::Inline(jwks("shared", "ES256")))
            .algorithms(&[Algorithm::Es256])
            .build()
            .expect("an anchor"),
    ])
    .expect("a table");
    let keys_of = |anchor: &cachegate_federation::Anchor| match anchor.keys() {
        cachegate_federation::KeySource::Inline(keys) => Ok(Arc::new(keys.clone())),
        _ => unreachable!("inline"),
    };
    assert_eq!(code(table.verify(&other.token(), keys_of, now())), "taken");
    assert_eq!(code(table.verify(&circleci.token(), keys_of, now())), "taken");
    // The key of one issuer under the name of the other.
    let forged = circleci.with("iss", github.claims["iss"].clone());
    assert_eq!(code(table.verify(&forged.token(), keys_of, now())), "key algorithm_mismatch");
    let stranger = github.with_header("kid", "unknown");
    let refusal = table.verify(&stranger.token(), keys_of, now()).expect_err("refused");
    assert_eq!((refusal.step().as_str(), refusal.code()), ("key", "unknown_key"));
    assert!(refusal.is_unknown_key());
}

#[test]
fn rule_3_the_algorithm_is_the_keys_and_the_anchors() {
    let only_384 = anchor("aws-sts").algorithms(&[Algorithm::Es384]);
    let rsa = case("aws-sts", "rs256-requested");
    assert_eq!(code(verify(only_384, &rsa, now())), "key algorithm_not_allowed");
    assert_eq!(code(verify(anchor("aws-sts"), &rsa, now())), "taken");
    let symmetric = json!({ "keys": [{ "kty": "oct", "kid": "k", "k": "AAAA", "alg": "HS256" }] });
    let refused = anchor("github-actions").keys(Keys::Inline(symmetric)).build().expect_err("no key is left");
    assert_eq!(refused.code(), "no_usable_key");
    let none = serde_json::from_value::<AnchorBuilder>(document(json!({ "algorithms": ["none"] })));
    let refused = none.expect("a document").build().expect_err("refused");
    assert_eq!(refused.code(), "unsupported_algorithm");
}

#[test]
fn rule_4_the_issuer_is_one_text_and_the_audience_is_ours_alone() {
    assert_eq!(claim("iss", "[\"https://token.actions.githubusercontent.com\"]"), "issuer claim_ill_typed");
    assert_eq!(code(verify_here(&github().without("iss"))), "issuer claim_missing");
    assert_eq!(code(verify_here(&github().with("aud", json!([AUDIENCE])))), "taken");
    let two = json!([AUDIENCE, "https://other.example.com"]);
    assert_eq!(code(verify_here(&github().with("aud", two.clone()))), "audience audience_not_sole");
    let contains = anchor("github-actions").mode(Mode::Direct).audience_mode(AudienceMode::Contains);
    assert_eq!(code(verify(contains.clone(), &github().with("aud", two), now())), "taken");
    // In exchange mode that cannot be asked for.
    assert_eq!(contains.mode(Mode::Exchange).build().expect_err("refused").code(), "further_audiences");
    for (platform, audience) in [
        ("github-actions", "https://github.com/lumen-labs"),
        ("semaphore", "https://acme.semaphoreci.com"),
        ("buildkite", "https://buildkite.com/acme-inc"),
        ("circleci", "11111111-2222-3333-4444-555555555555"),
        ("kubernetes", "https://kubernetes.default.svc"),
        ("bitbucket-pipelines", "ari:cloud:bitbucket::workspace/99999999-aaaa-bbbb-cccc-000000000000"),
        ("gitlab-ci", "https://gitlab.com"),
        ("entra-id", "api://AzureADTokenExchange"),
    ] {
        let refused = anchor_for(platform, issuer(platform), audience).build().expect_err("refused");
        assert_eq!(refused.code(), "default_audience", "{platform}");
    }
}

#[test]
fn rule_5_times_are_numbers_and_within_caps() {
    let github = github();
    assert_eq!(code(verify_here(&github.clone().without("exp"))), "time claim_missing");
    assert_eq!(code(verify_here(&github.clone().without("iat"))), "time claim_missing");
    assert_eq!(code(verify_here(&github.clone().without("sub"))), "pins claim_missing");
    assert_eq!(code(verify(anchor("github-actions"), &github, later(329))), "taken");
    assert_eq!(code(verify(anchor("github-actions"), &github, later(330))), "time expired");
    let ahead = github.clone().with("iat", NOW + 31).with("exp", NOW + 300);
    assert_eq!(code(verify_here(&ahead)), "time issued_in_future");
    assert_eq!(code(verify_here(&github.clone().with("nbf", NOW + 31))), "time not_yet_valid");
    assert_eq!(code(verify_here(&github.clone().with("exp", NOW + 3600))), "taken");
    let refusal = verify_here(&github.clone().with("exp", NOW + 3601)).expect_err("refused");
    assert_eq!(
        (refusal.code(), refusal.expected()),
        ("lifetime_too_long", "at most 3600 s between `iat` and expiry")
    );
    let aged = anchor("github-actions").max_age(Duration::from_secs(60));
    assert_eq!(code(verify(aged.clone(), &github, later(90))), "taken");
    assert_eq!(code(verify(aged, &github, later(91))), "time too_old");
    // Direct use is capped lower.
    let direct = anchor("github-actions").mode(Mode::Direct);
    assert_eq!(code(verify(direct.clone(), &github.clone().with("exp", NOW + 900), now())), "taken");
    assert_eq!(code(verify(direct, &github.with("exp", NOW + 901), now())), "time lifetime_too_long");
    let lenient = anchor("github-actions").leeway(Duration::from_secs(61)).build().expect_err("refused");
    assert_eq!(lenient.code(), "leeway_too_long");
}

#[test]
fn rule_6_shared_issuers_need_a_pin_and_ids_agree_wherever_they_stand() {
    for (platform, shared) in [
        ("github-actions", true),
        ("gitlab-ci", true),
        ("semaphore", true),
        ("buildkite", true),
        ("google-compute-engine", true),
        ("bitbucket-pipelines", true),
        ("aws-sts", false),
        ("okta", false),
        ("kubernetes", false),
    ] {
        let built = anchor(platform).build().expect("an anchor");
        assert_eq!(!built.pin_sets().is_empty(), shared, "{platform}");
        let dedicated = anchor(platform).tenancy(Tenancy::Dedicated).build();
        assert_eq!(matches!(dedicated, Err(AnchorError::SharedIssuer)), shared, "{platform}");
    }
    for set in
        Platform::ALL.iter().flat_map(|platform| platform.pin_sets().iter().map(move |set| (platform, set)))
    {
        for fact in set.1.iter() {
            let spec = set.0.fact(*fact).expect("a fact that the platform gives");
            assert_eq!(spec.class.as_str(), "id", "{} {fact}", set.0);
        }
    }
    let disagree = "repo:lumen-labs@123456/beacon@999:ref:refs/heads/main";
    assert_eq!(code(verify_here(&github().with("sub", disagree))), "pins subject_disagrees");
    let disagree = "repo:lumen-labs@1/beacon@456789:ref:refs/heads/main";
    assert_eq!(code(verify_here(&github().with("sub", disagree))), "pins subject_disagrees");
    for (platform, id, other) in [
        ("semaphore", "prj_id", "00000000-76ea-4d1e-a337-9e2abf77e99d"),
        ("circleci", "oidc.circleci.com/project-id", "00000000-bbbb-cccc-dddd-eeeeeeeeeeee"),
        ("bitbucket-pipelines", "repositoryUuid", "{00000000-aaaa-bbbb-cccc-222222222222}"),
    ] {
        assert_eq!(
            code(verify_here(&base(platform).with(id, other))),
            "pins subject_disagrees",
            "{platform}"
        );
    }
    assert_eq!(code(verify_here(&case("aws-sts", "account-mismatch-attack"))), "pins subject_disagrees");
    let bare = case("buildkite", "subject-claim-pipeline")
        .with("pipeline_id", "00000000-25f1-4582-ab68-6c3670820de1");
    assert_eq!(code(verify_here(&bare)), "pins subject_disagrees");
}

#[test]
fn rule_7_missing_null_wrong_typed_doubled_and_incomplete_claims_deny() {
    assert_eq!(code(verify_here(&github().without("repository_id"))), "pins claim_missing");
    assert_eq!(code(verify_here(&github().with("repository_id", Value::Null))), "pins claim_ill_typed");
    assert_eq!(code(verify_here(&github().with("repository_id", 456_789))), "pins claim_ill_typed");
    assert_eq!(code(verify_here(&github().with("repository_id", "456789 "))), "pins claim_out_of_range");
    assert_eq!(code(verify_here(&github().with("ref_protected", true))), "pins claim_ill_typed");
    assert_eq!(code(verify_here(&github().with("ref_protected", "TRUE"))), "pins claim_out_of_range");
    assert_eq!(code(verify_here(&base("gitlab-ci").with("runner_id", "1"))), "pins claim_ill_typed");
    assert_eq!(
        code(verify_here(&base("gitlab-ci").with("groups_direct", json!(["a", 1])))),
        "pins claim_ill_typed"
    );
    let doubled = github().payload().replacen('{', "{\"repository_id\":\"1\",", 1);
    assert_eq!(raw(&header(""), &doubled), "format duplicate_member");
    let required = anchor("github-actions").required(&["check_run_id", "environment"]);
    assert_eq!(code(verify(required, &github(), now())), "pins claim_missing");
    let nested = anchor("kubernetes").required(&["/kubernetes.io/pod/uid"]);
    assert_eq!(code(verify(nested.clone(), &base("kubernetes"), now())), "taken");
    assert_eq!(code(verify(nested, &case("kubernetes", "recreated-account"), now())), "pins claim_missing");
    for (platform, variant) in
        [("entra-id", "groups-overage"), ("entra-id", "implicit-hasgroups"), ("okta", "groups-at-cap")]
    {
        let facts = verify_here(&case(platform, variant)).expect("taken").facts;
        assert_eq!(facts.get(Fact::Groups), Knowledge::Incomplete, "{platform} {variant}");
    }
}

#[test]
fn rule_8_who_triggered_it_decides_writing() {
    for (platform, variant, trigger) in [
        ("github-actions", "pull-request-same-repo", TriggerClass::Outsider),
        ("github-actions", "pull-request-target-danger", TriggerClass::Outsider),
        ("gitlab-ci", "fork-merge-request-in-target", TriggerClass::Outsider),
        ("semaphore", "pull-request-into-main", TriggerClass::Outsider),
        ("semaphore", "debug-job", TriggerClass::HumanShell),
        ("circleci", "fork-pr-secrets-enabled", TriggerClass::Outsider),
        ("circleci", "ssh-rerun", TriggerClass::HumanShell),
    ] {
        let facts = verify_here(&case(platform, variant)).expect("taken").facts;
        assert_eq!(facts.trigger(), trigger, "{platform} {variant}");
        for lane in [Lane::release(), Lane::main(), Lane::dev(), Lane::anonymous()] {
            assert!(!facts.may_write(&lane), "{platform} {variant} {lane}");
        }
    }
    for event in ["workflow_run", "issue_comment", "pull_request_target", "pull_request"] {
        let facts = verify_here(&github().with("event_name", event)).expect("taken").facts;
        assert_eq!((facts.trigger(), facts.lane()), (TriggerClass::Outsider, None), "{event}");
    }
    // Another branch's lane is never a trusted job's either.
    let facts = verify_here(&github()).expect("taken").facts;
    let other: Lane = "branch/@github-actions:456789/other".parse().expect("a lane");
    assert!(facts.may_write(facts.lane().expect("a lane")) && !facts.may_write(&other));
}

#[test]
fn rule_9_a_token_is_known_by_its_id_or_by_its_signing_input() {
    let verified = verify_here(&github()).expect("taken");
    assert_eq!(verified.token, TokenKey::Id("97c05501-3b6d-4c08-8eda-49813ba7ba0e".into()));
    // Kept until expiry, the leeway and a margin are over.
    assert_eq!(verified.remember_until, later(300 + 30 + 60));
    let svid = base("spiffe-jwt-svid");
    let (one, two) = (svid.token(), svid.token());
    assert_ne!(one, two, "each signature is another");
    let key = |token: &str| {
        verify_token(anchor("spiffe-jwt-svid"), token, &keys(&svid), now()).expect("taken").token
    };
    assert!(matches!(key(&one), TokenKey::Digest(_)));
    assert_eq!(key(&one), key(&two), "whoever writes the signature another way has not another token");
    // Entra's tokens have an id of another name.
    assert_eq!(
        verify_here(&base("entra-id")).expect("taken").token,
        TokenKey::Id("kRx0oXg0_U2m0Xl1AAAA".into())
    );
    assert_ne!(TokenKey::Id("sha256:00".into()).to_string(), TokenKey::Digest([0; 32]).to_string());
}

#[test]
fn rule_10_an_anchor_that_is_switched_off_refuses_and_one_in_audit_says_so() {
    let off = anchor("github-actions").status(Status::Disabled);
    assert_eq!(code(verify(off, &github(), now())), "anchor anchor_disabled");
    let audit = verify(anchor("github-actions").status(Status::Audit), &github(), now()).expect("taken");
    assert_eq!(audit.status, Status::Audit);
    let drifted =
        verify_here(&github().with("brand_new_claim", "x")).expect("what is not known is of no effect");
    assert_eq!(drifted.unknown_claims, ["brand_new_claim"]);
    assert!(verify_here(&github()).expect("taken").unknown_claims.is_empty());
}

// The families of attack.

#[test]
fn a1_algorithms_that_are_none() {
    for algorithm in ["\"none\"", "\"None\"", "\"\"", "\"HS256\"", "\"RS256\\u0000\"", "\"ES512\""] {
        let header = format!("{{\"alg\":{algorithm},\"kid\":\"k\",\"typ\":\"JWT\"}}");
        let code = under(&header);
        assert!(
            matches!(code.as_str(), "header unsupported_algorithm" | "header not_clean_utf8"),
            "{header}: {code}"
        );
    }
    assert_eq!(under("{\"kid\":\"k\"}"), "header header_missing");
    assert_eq!(under("{\"alg\":[\"RS256\"]}"), "header header_ill_typed");
    assert_eq!(under("{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}"), "header duplicate_member");
}

#[test]
fn a2_a_public_key_is_never_a_shared_secret() {
    let kid = github().header["kid"].clone();
    assert_eq!(
        under(&format!("{{\"alg\":\"HS256\",\"kid\":{kid},\"typ\":\"JWT\"}}")),
        "header unsupported_algorithm"
    );
}

#[test]
fn a3_a_key_id_is_opaque() {
    for kid in ["../../etc/passwd", "' OR 1=1 --", "__proto__", "*", "7bf25970-20ad-4195-bcbc-1ad67fd044a"] {
        assert_eq!(
            code(verify_token(
                anchor("github-actions"),
                &github().with_header("kid", kid).token(),
                &keys(&github()),
                now(),
            )),
            "key unknown_key",
            "{kid}"
        );
    }
    assert_eq!(under("{\"alg\":\"RS256\",\"kid\":7}"), "header header_ill_typed");
    assert_eq!(under("{\"alg\":\"RS256\",\"kid\":\"\"}"), "header key_id_length");
}

#[test]
fn a4_a_token_brings_no_key() {
    for member in ["jku", "jwk", "x5u", "x5c"] {
        assert_eq!(
            under(&header(&format!(",\"{member}\":\"https://evil.example/keys\""))),
            "header embedded_key",
            "{member}"
        );
    }
}

#[test]
fn a5_nothing_beside_a_signature_is_asked_for() {
    assert_eq!(under(&header(",\"crit\":[]")), "header critical_header");
    for member in ["b64", "zip", "enc", "cty"] {
        assert_eq!(under(&header(&format!(",\"{member}\":\"x\""))), "header unsupported_header", "{member}");
    }
}

#[test]
fn a6_no_member_comes_twice() {
    let payload = base("kubernetes").payload().replacen(
        "\"namespace\":",
        "\"namespace\":\"x\",\"n\\u0061mespace\":",
        1,
    );
    let token = sign_text(&Value::Object(base("kubernetes").header).to_string(), &payload, "RS256");
    let refused = verify_token(anchor("kubernetes"), &token, &keys(&base("kubernetes")), now());
    assert_eq!(code(refused), "format duplicate_member");
}

#[test]
fn a7_a8_one_shape_and_one_spelling() {
    let token = github().token();
    let check = |token: &str| code(verify_token(anchor("github-actions"), token, &keys(&github()), now()));
    assert_eq!(check(&token), "taken");
    for broken in [format!("{token}.x"), token.replacen('.', "", 1), format!(".{token}"), String::new()] {
        assert_eq!(check(&broken), "format malformed");
    }
    for broken in
        [format!("{token}="), format!("{token}\n"), format!(" {token}"), token.replacen("ey", "e+", 1)]
    {
        let code = check(&broken);
        assert!(code.ends_with("not_canonical_base64"), "{code}");
    }
    assert_eq!(raw(&header(""), "[]"), "format not_json_object");
}

#[test]
fn a9_a10_signatures() {
    let svid = base("spiffe-jwt-svid");
    let token = svid.token();
    let (input, signature) = token.rsplit_once('.').expect("parts");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let check = |signature: &[u8]| {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
        code(verify_token(anchor("spiffe-jwt-svid"), &token, &keys(&svid), now()))
    };
    assert_eq!(check(&bytes), "taken");
    assert_eq!(check(&[0; 64]), "signature bad_signature");
    assert_eq!(check(&bytes[..63]), "signature bad_signature");
    assert_eq!(check(&[&bytes[..], &[0]].concat()), "signature bad_signature");
    let mut flipped = bytes;
    flipped[10] ^= 1;
    assert_eq!(check(&flipped), "signature bad_signature");
}

#[test]
fn a11_an_ed25519_key_of_small_order_or_another_spelling_is_no_key() {
    let okp = |bytes: [u8; 32]| {
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": URL_SAFE_NO_PAD.encode(bytes) });
        let set = json!({ "keys": [key] });
        anchor("kubernetes").algorithms(&[Algorithm::EdDsa]).keys(Keys::Inline(set)).build()
    };
    // RFC 8032, section 7.1, test 1: a good one.
    let good = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("base64url");
    let good: [u8; 32] = good.try_into().expect("32 bytes");
    assert!(okp(good).is_ok());
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    // Zero, written as the prime itself.
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xed, 0x7f);
    for bytes in [[0; 32], identity, order_two, not_canonical] {
        assert_eq!(okp(bytes).expect_err("no key is left").code(), "no_usable_key", "{bytes:?}");
    }
    // The scalar of a signature has one spelling: with the group's order added it is no signature.
    let signer = cachegate_jwt::SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let set = KeySet::from_jwks(cachegate_jwt::to_jwks([signer.verifying_key()]).as_bytes()).expect("a set");
    let claims = base("kubernetes").payload();
    let token = signer.sign_claims("JWT", &claims).expect("signed").expose_secret().to_owned();
    let check = |token: &str| {
        let built = anchor("kubernetes").algorithms(&[Algorithm::EdDsa]).keys(Keys::Discovery);
        code(verify_token(built, token, &set, now()))
    };
    assert_eq!(check(&token), "taken");
    let (input, signature) = token.rsplit_once('.').expect("parts");
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    // 2^252 + 27742317777372353535851937790883648493, the least byte first.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + add + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(check(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))), "signature bad_signature");
}

#[test]
fn a12_a13_a_weak_key_and_a_name_twice_are_no_keys() {
    let weak = json!({ "keys": [{ "kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQ", "alg": "RS256" }] });
    let refused = anchor("github-actions").keys(Keys::Inline(weak)).build().expect_err("no key is left");
    assert_eq!(refused.code(), "no_usable_key");
    let (one, two) = (jwks("k", "RS256"), jwks("k", "ES256"));
    let doubled = json!({ "keys": [one["keys"][0], two["keys"][0]] });
    let refused = anchor("github-actions").keys(Keys::Inline(doubled)).build().expect_err("no key is left");
    assert_eq!(refused.code(), "no_usable_key");
    let strange = json!({ "keys": [{ "kty": "AKP", "kid": "new", "alg": "ML-DSA-44" }, one["keys"][0]] });
    assert!(
        anchor("github-actions").keys(Keys::Inline(strange)).build().is_ok(),
        "an unknown kind costs itself alone"
    );
}

#[test]
fn a15_an_issuer_is_a_plain_https_address() {
    for issuer in [
        "http://issuer.example",
        "https://user@issuer.example",
        "https://issuer.example?x",
        "https://issuer.example#x",
        "https://*.example",
        "https://token.actions.githubusercontent.com/*",
        "https://",
        "kubernetes/serviceaccount",
        "https://issuer.example/\n",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
    ] {
        let refused = anchor_for("kubernetes", Issuer::from(issuer), AUDIENCE).build().expect_err("refused");
        assert_eq!(refused.code(), "anchor_issuer", "{issuer}");
        let refused = anchor("kubernetes").keys(Keys::Url(issuer.to_owned())).build().expect_err("refused");
        assert_eq!(refused.code(), "anchor_key_source", "{issuer}");
    }
    for issuer in ["http://127.0.0.1:8080", "http://[::1]:8080/realm", "https://issuer.example:8443/a/b"] {
        assert!(anchor_for("kubernetes", Issuer::from(issuer), AUDIENCE).build().is_ok(), "{issuer}");
    }
}

#[test]
fn a16_times_of_another_type_or_range() {
    for name in ["exp", "iat", "nbf"] {
        for text in ["\"1790000000\"", "1790000000.5", "true", "null", "[1790000000]", "{}"] {
            assert_eq!(claim(name, text), "time claim_ill_typed", "{name} {text}");
        }
        for text in ["-1", "9223372036854775807", "18446744073709551616"] {
            assert_eq!(claim(name, text), "time claim_out_of_range", "{name} {text}");
        }
        assert_eq!(claim(name, "1e400"), "format number_out_of_range", "{name}");
    }
    assert_eq!(claim("exp", "253402300799"), "time lifetime_too_long");
    assert_eq!(claim("nbf", "1790000301"), "time times_contradict");
    let stretched = base("kubernetes").with_pointer("/kubernetes.io/warnafter", "soon");
    assert_eq!(code(verify_here(&stretched)), "time claim_ill_typed");
}

#[test]
fn a17_audiences_of_another_type_or_spelling() {
    for text in ["null", "7", "{}", "[[\"https://cache.example.com\"]]", "[\"https://cache.example.com\",7]"]
    {
        assert_eq!(claim("aud", text), "audience claim_ill_typed", "{text}");
    }
    for text in [
        "\"\"",
        "[]",
        "\"https://cache.example.co\"",
        "\"https://cache.example.com/\"",
        "\"https://CACHE.example.com\"",
        "\"https://cache.example.com \"",
    ] {
        assert_eq!(claim("aud", text), "audience audience_mismatch", "{text}");
    }
    assert_eq!(claim("aud", "\"https://cache.example.com\\u0000\""), "format not_clean_utf8");
    assert_eq!(code(verify_here(&github().without("aud"))), "audience claim_missing");
    let nobody =
        AnchorBuilder::new("a".parse().expect("a name"), Platform::Okta, "https://acme.okta.com", []);
    assert_eq!(nobody.build().expect_err("refused").code(), "empty_audience");
}

#[test]
fn a18_the_key_of_one_issuer_under_the_name_of_another() {
    // GitLab's token with GitHub's issuer, signed by GitLab's key.
    let forged = base("gitlab-ci").with("iss", github().claims["iss"].clone());
    let refused = verify_token(anchor("github-actions"), &forged.token(), &keys(&github()), now());
    assert_eq!(code(refused), "key unknown_key");
}

#[test]
fn a19_one_subject_text_under_two_issuers_is_two_principals() {
    let here = verify_here(&github()).expect("taken");
    let there = case("github-actions", "ghes").with("sub", github().claims["sub"].clone());
    let ghes =
        anchor_for("github-actions", Issuer::from("https://ghes.example.com/_services/token"), AUDIENCE);
    let federation = Federation::new([serde_json::from_value::<AnchorBuilder>(renamed(&ghes))
        .expect("a document")
        .build()
        .expect("an anchor")])
    .expect("a table");
    let there = federation.verify(&there.token(), |_| Ok(Arc::new(keys(&there))), now()).expect("taken");
    assert_eq!(here.subject, there.subject);
    assert_ne!(here.principal, there.principal);
    assert_ne!(here.facts.lane(), there.facts.lane());
    // An environment named to look like a branch is no branch.
    let glued = github()
        .with("sub", "repo:lumen-labs@123456/beacon@456789:environment:x:ref:refs/heads/main")
        .with("environment", "x:ref:refs/heads/main")
        .with("ref", "refs/heads/evil");
    let facts = verify_here(&glued).expect("taken").facts;
    assert_eq!(facts.text(Fact::RefName), Some("evil"));
    for wrong in ["7", "null", "\"\""] {
        let code = claim("sub", wrong);
        assert!(code.starts_with("pins claim_"), "{code}");
    }
}

#[test]
fn a20_another_class_of_token() {
    for typ in ["at+jwt", "logout+jwt", "JOSE", "", "secevent+jwt"] {
        let header = format!("{{\"alg\":\"RS256\",\"kid\":{},\"typ\":\"{typ}\"}}", github().header["kid"]);
        assert_eq!(under(&header), "type wrong_type", "{typ}");
    }
    let strict = anchor("okta").types(&["at+jwt"]);
    assert_eq!(code(verify(strict.clone(), &base("okta"), now())), "type wrong_type");
    assert_eq!(code(verify(strict, &base("okta").with_header("typ", "at+JWT"), now())), "taken");
    let ours = format!("cg1_{}", github().token());
    assert!(UnverifiedJws::parse(&ours).is_err());
}

#[test]
fn a21_a_right_signature_of_the_wrong_tenant() {
    assert_eq!(code(verify_here(&case("entra-id", "foreign-tenant-attack"))), "anchor unknown_issuer");
    assert_eq!(code(verify_here(&case("entra-id", "iss-tid-disagree-attack"))), "issuer tenant_mismatch");
    let slug = Issuer::from("https://token.actions.githubusercontent.com/lumen-inc");
    let enterprise = anchor_for("github-actions", slug, AUDIENCE);
    let stranger = case("github-actions", "enterprise-issuer").with("enterprise", "evil-inc");
    assert_eq!(code(verify(enterprise, &stranger, now())), "issuer tenant_mismatch");
    assert_eq!(code(verify_here(&base("semaphore").with("org", "evil"))), "issuer tenant_mismatch");
    let stranger = base("circleci").with(
        "sub",
        "org/00000000-2222-3333-4444-555555555555/project/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/user/u",
    );
    assert_eq!(code(verify_here(&stranger)), "issuer tenant_mismatch");

    let template = |tenants: &[&str]| {
        Issuer::Template(IssuerTemplate {
            template: "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(),
            tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
        })
    };
    let audience = "32e07959-e26b-4d9d-9886-9b1aad1e215b";
    let entra = |tenants: &[&str]| anchor_for("entra-id", template(tenants), audience);
    let ours = "be2ef3dc-7428-4bc2-b79f-771b9a8c60be";
    assert_eq!(code(verify(entra(&[ours]), &base("entra-id"), now())), "taken");
    assert_eq!(
        code(verify(entra(&[ours]), &case("entra-id", "foreign-tenant-attack"), now())),
        "anchor unknown_issuer"
    );
    assert_eq!(entra(&[ours]).build().expect("an anchor").tenancy(), Tenancy::Shared);
    let built = entra(&[ours]).keys(Keys::Discovery).build().expect("an anchor");
    let cachegate_federation::KeySource::Discovery { url, issuer } = built.keys() else {
        unreachable!("discovered")
    };
    assert_eq!(url, "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration");
    assert_eq!(issuer, "https://login.microsoftonline.com/{tenantid}/v2.0");
    for tenants in [&[][..], &["9188040d-6c67-4c5b-b112-36a304b66dad"], &["common"], &["a/b"], &["*"], &[""]]
    {
        assert_eq!(entra(tenants).build().expect_err("refused").code(), "anchor_issuer", "{tenants:?}");
    }
}

#[test]
fn a23_a24_header_key_and_list_say_the_same() {
    // The set has an RSA key without an algorithm: the anchor's list gives it one, the header never.
    let mut set = jwks("k", "RS256");
    set["keys"][0].as_object_mut().expect("an object").remove("alg");
    let text = set.to_string();
    let ambiguous =
        KeySet::from_jwks_for(text.as_bytes(), &[Algorithm::Rs256, Algorithm::Ps256]).expect("a set");
    assert!(ambiguous.keys().is_empty());
    let anchor = anchor("github-actions").keys(Keys::Inline(set));
    assert!(anchor.clone().build().is_ok());
    assert_eq!(
        anchor.algorithms(&[Algorithm::Rs256, Algorithm::Ps256]).build().expect_err("refused").code(),
        "no_usable_key"
    );
    let kid = github().header["kid"].clone();
    assert_eq!(
        under(&format!("{{\"alg\":\"PS256\",\"kid\":{kid},\"typ\":\"JWT\"}}")),
        "key algorithm_mismatch"
    );
}

#[test]
fn a25_the_record_of_a_use_outlives_the_token() {
    let anchor = anchor("github-actions").leeway(Duration::from_secs(60));
    let verified = verify(anchor.clone(), &github(), later(359)).expect("the last second");
    assert!(verified.remember_until > later(359), "a record that ends before the token lets it in again");
    assert_eq!(code(verify(anchor, &github(), verified.remember_until)), "time expired");
}

#[test]
fn a26_size_and_number() {
    let long = github().with("repo_property_x", "a".repeat(16 * 1024));
    assert_eq!(code(verify_here(&long)), "size too_large");
    let members: Vec<String> = (0..130).map(|n| format!("\"m{n}\":0")).collect();
    assert_eq!(raw(&header(""), &format!("{{{}}}", members.join(","))), "size too_complex");
}

#[test]
fn a27_text_that_would_change_how_a_line_reads() {
    for actor in ["mira\u{202E}", "mira\nadmin", "mira\u{200B}"] {
        assert_eq!(code(verify_here(&github().with("actor", actor))), "pins claim_out_of_range", "{actor:?}");
    }
    let refusal = verify_here(&github().with("actor", "mira\u{202E}`\n")).expect_err("refused");
    assert_eq!(
        refusal.public(),
        "the token's `actor` has a value that it cannot have: `mira\\u{202e}\\u{60}\\u{a}`"
    );
}

#[test]
fn azure_devops_is_no_platform() {
    for variant in ["base", "entra-issuer"] {
        let azure = case("azure-devops", variant);
        let refused = verify_token(anchor("entra-id"), &azure.token(), &keys(&azure), now());
        assert_eq!(code(refused), "anchor unsupported_platform", "{variant}");
    }
    let refused = serde_json::from_value::<AnchorBuilder>(document(json!({ "platform": "azure-devops" })))
        .expect("a document")
        .build();
    assert_eq!(refused.expect_err("refused").code(), "unsupported_platform");
    let issuer = Issuer::from("https://vstoken.dev.azure.com/a2619858-8fa2-4abf-8361-f911162c2175");
    assert_eq!(
        anchor_for("entra-id", issuer, AUDIENCE).build().expect_err("refused").code(),
        "unsupported_platform"
    );
}

/// An anchor's document with some members changed.
fn document(changes: Value) -> Value {
    let mut document = json!({
        "id": "github",
        "platform": "github-actions",
        "issuer": "https://token.actions.githubusercontent.com",
        "keys": "discovery",
        "audiences": [AUDIENCE],
    });
    let Value::Object(changes) = changes else { unreachable!("an object") };
    document.as_object_mut().expect("an object").extend(changes);
    document
}

fn renamed(anchor: &AnchorBuilder) -> Value {
    let mut document = serde_json::to_value(anchor).expect("a document");
    document["id"] = json!("ghes");
    document
}

#[test]
fn a_document_with_an_unknown_member_is_refused() {
    assert!(serde_json::from_value::<AnchorBuilder>(document(json!({}))).is_ok());
    for changes in [
        json!({ "audience": AUDIENCE }),
        json!({ "issuer": { "template": "https://a/{x}", "tenants": ["a"], "tenant": "b" } }),
        json!({ "issuer": { "trust_domain": "a", "extra": 1 } }),
        json!({ "keys": { "uri": "https://a" } }),
        json!({ "mode": "both" }),
        json!({ "status": "off" }),
    ] {
        assert!(serde_json::from_value::<AnchorBuilder>(document(changes.clone())).is_err(), "{changes}");
    }
}

#[test]
fn a_document_reads_the_same_from_toml_and_json_and_back() {
    let text = r#"
        id = "github"
        platform = "github-actions"
        issuer = "https://token.actions.githubusercontent.com"
        keys = "discovery"
        audiences = ["https://cache.example.com"]
        max_lifetime = 600
        mode = "direct"
        status = "audit"
    "#;
    let anchor: cachegate_federation::Anchor = toml::from_str(text).expect("an anchor");
    let again: cachegate_federation::Anchor =
        serde_json::from_value(serde_json::to_value(&anchor).expect("JSON")).expect("an anchor");
    assert_eq!(serde_json::to_value(&anchor).expect("JSON"), serde_json::to_value(&again).expect("JSON"));
    assert_eq!(
        (again.mode(), again.status(), again.max_lifetime()),
        (Mode::Direct, Status::Audit, Duration::from_secs(600))
    );
    assert!(
        toml::from_str::<cachegate_federation::Anchor>(&text.replace("github-actions", "azure-devops"))
            .is_err()
    );
}
