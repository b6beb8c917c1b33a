//! The gate as an identity provider: its metadata advertise what there is, and its keys verify what it issues.

use std::time::Duration;

use cachegate_http::oauth::{self, Service, Settings, SettingsError};
use cachegate_jwt::{AccessKeys, ClaimsCheck, KeySet, verify_access_token};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Lane};
use http::header;
use serde_json::json;

use crate::client::{Client, ISSUER, SERVICE};

#[test]
fn every_endpoint_that_is_advertised_is_there() {
    let client = Client::new();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.header(&header::CONTENT_TYPE)), (200, "application/json"));
        assert_eq!(answer.header(&header::CACHE_CONTROL), "public, max-age=300");
        let document = answer.body.as_object().expect("an object");
        assert_eq!(document["issuer"], ISSUER);
        let mut endpoints = 0;
        for (name, value) in document {
            let Some(path) = value.as_str().and_then(|url| url.strip_prefix(ISSUER)) else { continue };
            if path.is_empty() {
                continue;
            }
            endpoints += 1;
            let status =
                if name == "jwks_uri" { client.get(path).status } else { client.post(path, &[]).status };
            assert!(matches!(status, 200 | 400 | 401), "{name}: {status}");
        }
        assert_eq!(endpoints, 5);
        for grant in document["grant_types_supported"].as_array().expect("a list") {
            let told = client.token(&[("grant_type", grant.as_str().expect("a name"))]).told();
            assert_eq!(told, "400 invalid_request", "{grant} is known");
        }
        for scope in document["scopes_supported"].as_array().expect("a list") {
            let source = block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
            let answer = client.exchange(&source, &[("scope", scope.as_str().expect("a name"))]);
            assert_eq!(answer.status, 200, "{scope}");
        }
        for absent in ["authorization_endpoint", "registration_endpoint", "userinfo_endpoint"] {
            assert!(!document.contains_key(absent), "{absent}");
        }
        assert_eq!(document["response_types_supported"], json!([]));
    }
}

#[test]
fn the_published_keys_verify_what_is_issued() {
    let client = Client::new();
    let answer = client.get("/.well-known/jwks.json");
    assert_eq!((answer.status, answer.header(&header::CONTENT_TYPE)), (200, "application/jwk-set+json"));
    assert_eq!(
        answer.header(&header::CACHE_CONTROL),
        "public, max-age=300",
        "less than a key is published early"
    );
    assert!(!answer.text.contains("\"d\""), "public halves alone: {}", answer.text);
    let keys = KeySet::from_jwks(answer.text.as_bytes()).expect("a key set");
    let keys = AccessKeys::new(keys.keys().iter().cloned());
    let source = block_on(client.scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    for (audience, prefix) in [(None, "cg1_"), (Some(SERVICE), "")] {
        let session = client.session(&source, audience);
        let jwt = session.expose_secret().strip_prefix(prefix).expect("a prefix");
        let check =
            ClaimsCheck::access_tokens(ISSUER, [audience.unwrap_or(ISSUER)], Duration::from_secs(3600));
        let claims = verify_access_token(jwt, &keys, &check.expect("a check"), NOW.into()).expect("verified");
        assert_eq!(claims.kind.as_deref(), Some("session"));
    }
}

#[test]
fn keys_that_cannot_be_had_are_no_empty_set() {
    let client = Client::new();
    client.scene.faults.cut();
    client.scene.clock.advance(Duration::from_secs(60));
    assert_eq!(client.get("/.well-known/jwks.json").told(), "503 temporarily_unavailable store_unavailable");
}

#[test]
fn an_issuer_that_is_no_origin_serves_nothing() {
    let scene = block_on(Scene::new());
    let refused = oauth::router::<()>(scene.gate, || NOW.into(), Settings::default());
    assert!(matches!(refused, Err(SettingsError::Issuer { issuer }) if issuer == "cachegate"));
}

#[test]
fn a_service_has_a_name_of_its_own_and_an_audience_that_tokens_are_made_for() {
    let client = Client::new();
    let with = |services: Vec<Service>| {
        let mut settings = Settings::default();
        settings.services = services;
        oauth::router::<()>(client.scene.gate.clone(), || NOW.into(), settings).err()
    };
    let service = |name: &str, audience: &str| Service::new(name, audience, [0; 32]);
    assert!(matches!(with(vec![service("", ISSUER)]), Some(SettingsError::ServiceName { .. })));
    assert!(matches!(with(vec![service("a:b", ISSUER)]), Some(SettingsError::ServiceName { .. })));
    let twice = vec![service("a", ISSUER), service("a", ISSUER)];
    assert!(matches!(with(twice), Some(SettingsError::ServiceName { .. })));
    let unknown = with(vec![service("a", "https://elsewhere.example")]);
    assert!(matches!(unknown, Some(SettingsError::Audience { .. })));
    assert!(with(vec![service("a", ISSUER), service("b", ISSUER)]).is_none());
}
