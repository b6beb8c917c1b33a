//! Where the keys are: only where the issuer's own document says, and only if it may say so.

use cachegate_federation::{Anchor, AnchorBuilder, Keys, KeysError, Platform, RefreshError};
use cachegate_fetch::Response;

use crate::site::{DISCOVERY, ISSUER, KEYS, START, Site, anchor, document, seconds, signer, status};

/// What the first token is told when the document is this.
fn refused(document: Response) -> (RefreshError, Site) {
    let site = Site::new();
    site.faults.put(DISCOVERY, document);
    match site.ask(site.signer.kid(), START).unwrap_err() {
        KeysError::Unavailable { source } => (source, site),
        other => panic!("{other}"),
    }
}

#[test]
fn the_documents_issuer_is_the_configured_one_byte_for_byte() {
    for issuer in [
        "https://issuer.example/",
        "https://ISSUER.example",
        "https://issuer.example:443",
        "http://issuer.example",
        "https://issuer.example/tenant",
        "https://evil.example",
        " https://issuer.example",
        "",
    ] {
        let (error, site) = refused(document(issuer, KEYS));
        assert_eq!(error, RefreshError::IssuerMismatch { expected: ISSUER.to_owned() }, "{issuer}");
        assert_eq!(site.counts(), (1, 0), "the keys of another issuer are not asked for");
    }
}

#[test]
fn keys_lie_at_the_issuers_own_host_and_port_over_tls() {
    for keys in [
        "https://evil.example/keys",
        "https://issuer.example.evil.example/keys",
        "https://keys.issuer.example/keys",
        "https://issuer.example:8443/keys",
        "https://issuer.example@evil.example/keys",
        "https://evil.example#issuer.example/keys",
        "http://issuer.example/keys",
        "http://127.0.0.1/keys",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/keys",
        "file:///etc/passwd",
        "//issuer.example/keys",
        "/keys",
        "",
    ] {
        let (error, site) = refused(document(ISSUER, keys));
        assert_eq!(error, RefreshError::KeysElsewhere { issuer: ISSUER.to_owned() }, "{keys}");
        assert_eq!(site.faults.fetched(), [DISCOVERY], "{keys}");
    }
}

#[test]
fn keys_at_another_host_are_fetched_where_the_host_was_named() {
    let elsewhere = "https://keys.example/certs";
    // As a document writes it.
    let mut document_of = serde_json::to_value(anchor(Keys::Discovery)).unwrap();
    document_of["key_hosts"] = serde_json::json!(["Keys.Example"]);
    let named: Anchor = serde_json::from_value(document_of).unwrap();
    let site = Site::with(&named);
    site.faults.put(DISCOVERY, document(ISSUER, elsewhere));
    site.faults.put(elsewhere, crate::site::jwks(&[&site.signer]));
    assert!(site.ask(site.signer.kid(), START).is_ok());
    for other in
        ["https://keys.example:444/certs", "http://keys.example/certs", "https://a.keys.example/certs"]
    {
        let site = Site::with(&named);
        site.faults.put(DISCOVERY, document(ISSUER, other));
        assert!(site.ask(site.signer.kid(), START).is_err(), "{other}");
        assert_eq!(site.faults.fetched(), [DISCOVERY]);
    }
}

#[test]
fn a_further_host_is_a_bare_name_and_for_keys_that_are_discovered() {
    let gitlab =
        || AnchorBuilder::new("ci".parse().unwrap(), Platform::GitlabCi, ISSUER, ["https://cache.example"]);
    for host in ["", "*.example", "https://keys.example", "keys.example:444", "keys.example/x", "a@b", "kéys"]
    {
        let refused = gitlab().key_hosts(&[host]).build().unwrap_err();
        assert_eq!(refused.code(), "anchor_key_source", "{host}");
    }
    let refused = gitlab().keys(Keys::Url(KEYS.to_owned())).key_hosts(&["keys.example"]).build().unwrap_err();
    assert_eq!(refused.code(), "anchor_key_source");
}

#[test]
fn google_keeps_its_keys_at_its_other_host() {
    let (issuer, place) = ("https://accounts.google.com", "https://www.googleapis.com/oauth2/v3/certs");
    let google = |platform| {
        AnchorBuilder::new("g".parse().unwrap(), platform, issuer, ["https://cache.example"]).build().unwrap()
    };
    for (platform, found) in [(Platform::GoogleComputeEngine, true), (Platform::GitlabCi, false)] {
        let site = Site::with(&google(platform));
        site.faults.put(&format!("{issuer}/.well-known/openid-configuration"), document(issuer, place));
        site.faults.put(place, crate::site::jwks(&[&site.signer]));
        assert_eq!(site.ask(site.signer.kid(), START).is_ok(), found, "{platform:?}");
        assert_eq!(site.faults.count(place), usize::from(found));
    }
}

#[test]
fn a_document_that_can_be_read_two_ways_is_refused() {
    for text in [
        r#"{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/keys","jwks_uri":"https://issuer.example/k"}"#,
        r#"{"issuer":"https://evil.example","issuer":"https://issuer.example","jwks_uri":"https://issuer.example/keys"}"#,
        r#"{"issuer":["https://issuer.example"],"jwks_uri":"https://issuer.example/keys"}"#,
        r#"{"issuer":null,"jwks_uri":"https://issuer.example/keys"}"#,
        r#"{"jwks_uri":"https://issuer.example/keys"}"#,
        r#"{"issuer":"https://issuer.example"}"#,
        r#"{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/keys"}x"#,
        r#"["https://issuer.example","https://issuer.example/keys"]"#,
        "<html></html>",
        "",
    ] {
        let (error, site) = refused(Response::new(200, text));
        assert_eq!(error.code(), "not_a_discovery_document", "{text}");
        assert_eq!(site.counts(), (1, 0));
    }
}

#[test]
fn a_redirect_of_either_document_is_a_refusal() {
    for code in [301, 302, 303, 307, 308] {
        for url in [DISCOVERY, KEYS] {
            let site = Site::new();
            let moved = Response::new(code, "").with_header("location", "https://evil.example/");
            site.faults.put(url, moved);
            let refused = site.ask(site.signer.kid(), START).unwrap_err();
            let source = RefreshError::Status { url: url.to_owned(), status: code };
            assert_eq!(refused, KeysError::Unavailable { source });
            assert!(site.faults.fetched().iter().all(|fetched| fetched.starts_with(ISSUER)));
        }
    }
}

#[test]
fn an_issuer_with_a_path_is_found_in_both_places_that_the_standards_name() {
    let place = "https://issuer.example/a/b/.well-known/openid-configuration";
    let other = "https://issuer.example/.well-known/oauth-authorization-server/a/b";
    for (found, asked) in [(place, vec![place, KEYS]), (other, vec![place, other, KEYS])] {
        let site = Site::with(&anchor(Keys::DiscoveryAt(place.to_owned())));
        site.faults.put(found, document(ISSUER, KEYS));
        assert!(site.ask(site.signer.kid(), START).is_ok());
        assert_eq!(site.faults.fetched(), asked);
    }
    // What is found in the second place is judged as what is found in the first.
    let site = Site::with(&anchor(Keys::DiscoveryAt(place.to_owned())));
    site.faults.put(other, document("https://evil.example", KEYS));
    assert!(site.ask(site.signer.kid(), START).is_err());
    // And only an answer that says "not here" leads there.
    let site = Site::with(&anchor(Keys::DiscoveryAt(place.to_owned())));
    site.faults.put(other, document(ISSUER, KEYS));
    site.fault(place, status(500));
    assert!(site.ask(site.signer.kid(), START).is_err());
    assert_eq!(site.faults.fetched(), [place]);
}

#[test]
fn keys_that_moved_are_found_at_the_second_attempt() {
    let site = Site::held();
    let (next, moved) = (signer(), "https://issuer.example/new-keys");
    site.faults.put(DISCOVERY, document(ISSUER, moved));
    site.faults.put(moved, crate::site::jwks(&[&next]));
    site.fault(KEYS, status(404));
    assert_eq!(site.ask(next.kid(), START + seconds(30)).unwrap_err().code(), "keys_unavailable");
    assert!(site.ask(next.kid(), START + seconds(60)).is_ok());
    assert_eq!(site.faults.fetched(), [DISCOVERY, KEYS, KEYS, DISCOVERY, moved]);
}
