//! Reports of tokens that were found in public, signed as GitHub signs them.

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cachegate_http::oauth::ReporterKey;
use cachegate_testkit::block_on;
use cachegate_types::{AccessLevel, Action, Lane};
use http::Request;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::client::{Answer, Client, REPORTER, REPORTER_KEY, digest_of};

/// The sample that GitHub documents, and its signature by the test key.
const SAMPLE: &str = r#"[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]"#;
const SAMPLE_SIGNATURE: &str =
    "MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+L2y8oQ9A2T9GGJo6WJY=";

/// Somebody who reports.
struct Reporter {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Reporter {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
        Self { key, random }
    }

    fn pem(&self) -> String {
        let sample = REPORTER_KEY.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let mut document = BASE64_STANDARD.decode(sample).expect("base64");
        document.truncate(26);
        document.extend_from_slice(self.key.public_key().as_ref());
        let body = BASE64_STANDARD.encode(document);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    fn sign(&self, body: &str) -> String {
        let signature = self.key.sign(&self.random, body.as_bytes()).expect("signs");
        BASE64_STANDARD.encode(signature.as_ref())
    }
}

fn place() -> (Reporter, Client) {
    let reporter = Reporter::new();
    let key = ReporterKey::from_pem("mine", &reporter.pem()).expect("a key");
    (reporter, Client::with(|settings| settings.reporters.push(key)))
}

fn send(client: &Client, id: &str, signature: &str, body: &str) -> Answer {
    let request = Request::post("/hooks/secret-scanning")
        .header("Github-Public-Key-Identifier", id)
        .header("Github-Public-Key-Signature", signature);
    client.send(request.body(Body::from(body.to_owned())).expect("a request"))
}

fn report(token: &str) -> Value {
    json!({"token": token, "type": "cachegate_token", "url": "https://github.com/x", "source": "commit"})
}

#[test]
fn the_published_sample_is_verified() {
    let client = Client::new();
    let answer = send(&client, REPORTER, SAMPLE_SIGNATURE, SAMPLE);
    let hash = BASE64_STANDARD.encode(digest_of("some_token"));
    let label = json!([{"token_hash": hash, "token_type": "some_type", "label": "false_positive"}]);
    assert_eq!((answer.status, answer.body), (200, label));
}

#[test]
fn what_is_not_signed_by_a_known_key_is_not_read() {
    let (reporter, client) = place();
    let token = block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let body = json!([report(token.expose_secret())]).to_string();
    let good = reporter.sign(&body);
    let changed = body.replace("commit", "Commit");
    for (id, signature, body) in [
        ("mine", good.as_str(), changed.as_str()),
        (REPORTER, &good, &body),
        ("nobody", &good, &body),
        ("", &good, &body),
        ("mine", "", &body),
        ("mine", "%%%", &body),
        ("mine", SAMPLE_SIGNATURE, &body),
        ("mine", &good, "not JSON"),
    ] {
        assert_eq!(
            send(&client, id, signature, body).told(),
            "401 access_denied bad_signature",
            "{id} {signature}"
        );
    }
    let unsigned = Request::post("/hooks/secret-scanning").body(Body::from(body.clone())).expect("a request");
    assert_eq!(client.send(unsigned).told(), "401 access_denied bad_signature");
    let doubled = Request::post("/hooks/secret-scanning")
        .header("Github-Public-Key-Identifier", "mine")
        .header("Github-Public-Key-Identifier", "mine")
        .header("Github-Public-Key-Signature", &good);
    assert_eq!(client.send(doubled.body(Body::from(body)).expect("a request")).status, 401);
    assert_eq!(block_on(client.scene.code(&token, Action::Read)), "allowed");
}

#[test]
fn what_was_found_is_revoked_labelled_and_told_of_and_a_replay_changes_nothing() {
    let (reporter, client) = place();
    let issued = block_on(client.scene.ci(AccessLevel::ReadWrite, Lane::main()));
    let session = client.session(&issued.token, None);
    let stays = block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let [found, child] = [issued.token.expose_secret(), session.expose_secret()];
    let body = json!([report(found), report("cgp_nothing"), report(child)]).to_string();
    let signature = reporter.sign(&body);
    client.scene.recorder.take();
    let labels = |answer: &Answer| {
        let list = answer.body.as_array().expect("a list").clone();
        list.iter().map(|one| one["label"].as_str().expect("a label").to_owned()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let answer = send(&client, "mine", &signature, &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(labels(&answer), ["true_positive", "false_positive", "true_positive"]);
        assert!(!answer.text.contains(found) && !answer.text.contains(child), "{}", answer.text);
    }
    let told: Vec<_> =
        client.scene.recorder.take().into_iter().map(|event| (event.code, event.token)).collect();
    assert_eq!(told, [("token_leaked", Some(issued.record.id))], "once; its session was dead with it");
    assert_eq!(block_on(client.scene.code(&issued.token, Action::Read)), "revoked");
    assert_eq!(block_on(client.scene.code(&stays, Action::Read)), "allowed");
}

#[test]
fn a_signed_body_that_is_no_list_of_reports_is_refused_without_repeating_it() {
    let (reporter, client) = place();
    let many = json!(vec![report("x"); 1001]).to_string();
    for (body, told) in [
        ("", "400 invalid_request"),
        ("{}", "400 invalid_request"),
        (r#"["cgp_secret"]"#, "400 invalid_request"),
        (r#"[{"type":"x"}]"#, "400 invalid_request"),
        (r#"[{"token":7}]"#, "400 invalid_request"),
        (&many, "400 invalid_request too_many_reports"),
        ("[]", "200"),
        (r#"[{"token":"x"}]"#, "200"),
    ] {
        let answer = send(&client, "mine", &reporter.sign(body), body);
        assert_eq!(answer.told(), told, "{body}");
        assert!(!answer.text.contains("cgp_secret"));
    }
    let long = " ".repeat(1024 * 1024 + 1);
    assert_eq!(
        send(&client, "mine", &reporter.sign(&long), &long).told(),
        "413 invalid_request body_too_large"
    );
    client.scene.faults.cut();
    let body = json!([report("cgp_nothing")]).to_string();
    let down = send(&client, "mine", &reporter.sign(&body), &body);
    assert_eq!(down.status, 503, "whoever reports tries again");
}

#[test]
fn a_reporters_key_is_a_p256_public_key() {
    let good = REPORTER_KEY;
    assert!(ReporterKey::from_pem(REPORTER, good).is_ok());
    assert!(!format!("{:?}", ReporterKey::from_pem(REPORTER, good)).contains("MFkw"));
    for (id, pem) in [
        ("", good.to_owned()),
        ("two words", good.to_owned()),
        ("x", String::new()),
        ("x", good.replace("BEGIN PUBLIC", "BEGIN PRIVATE")),
        ("x", good.replace("MFkw", "MFkx")),
        ("x", good.replace("3Q==", "")),
        ("x", good.replace("MFkw", "%%%%")),
    ] {
        assert!(ReporterKey::from_pem(id, &pem).is_err(), "{id} {pem}");
    }
}
