//! Tokens in a keyring, here the mock one of its crate.
#![cfg(feature = "keyring")]

use cachegate_client::{BoundToken, KeyringTokens, Origin, TokenStore, TokenStoreError};
use cachegate_types::{SecretText, Timestamp};
use keyring_core::{Entry, mock};

/// One test: the keyring is one for the whole process.
#[test]
fn a_token_is_kept_for_its_own_server_and_damage_is_told_without_its_words() {
    let tokens = KeyringTokens::new("gatectl");
    let server: Origin = "https://a.example".parse().expect("an origin");
    let other: Origin = "https://b.example".parse().expect("an origin");
    let refused = tokens.token(&server).expect_err("no keyring was named");
    assert!(matches!(refused, TokenStoreError::Keyring { .. }), "{refused}");

    keyring_core::set_default_store(mock::Store::new().expect("a store"));
    assert!(tokens.token(&server).expect("read").is_none());
    assert!(!tokens.remove(&server).expect("nothing there"));
    let end = Timestamp::from(1_700_000_000);
    let token = BoundToken::new(server.clone(), SecretText::new("cg1_a".into()))
        .with_refresh(SecretText::new("cgr_a".into()))
        .with_expiry(end);
    tokens.put(&token).expect("kept");
    let held = tokens.token(&server).expect("read").expect("held");
    assert_eq!(held.token_for(&server).map(SecretText::expose_secret), Some("cg1_a"));
    assert_eq!(held.refresh_for(&server).map(SecretText::expose_secret), Some("cgr_a"));
    assert_eq!(held.expires_at(), Some(end));
    assert!(held.token_for(&other).is_none());
    assert!(tokens.token(&other).expect("read").is_none());

    for (text, version) in
        [("canary", false), (r#"{"version":1,"token":"canary"}"#, false), (r#"{"version":2}"#, true)]
    {
        Entry::new("gatectl", server.as_str()).expect("an entry").set_password(text).expect("set");
        let error = tokens.token(&server).expect_err(text);
        let told = matches!(error, TokenStoreError::Version { .. });
        assert!(told == version && (told || matches!(error, TokenStoreError::Malformed { .. })), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(tokens.remove(&server).expect("removed"));
    assert!(tokens.token(&server).expect("read").is_none());
}
