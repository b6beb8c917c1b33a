//! The token store: a token is for its server alone, in a file for its owner alone.

#![expect(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use cachegate_client::{BoundToken, FileTokens, Origin, TokenStore, TokenStoreError};
use cachegate_types::{SecretText, Timestamp};
use tempfile::TempDir;

fn origin(url: &str) -> Origin {
    url.parse().expect("an origin")
}

fn bound(url: &str, token: &str) -> BoundToken {
    BoundToken::new(origin(url), SecretText::new(token.to_owned()))
}

fn text(store: &FileTokens, url: &str) -> Option<String> {
    let held = store.token(&origin(url)).expect("read")?;
    held.token_for(&origin(url)).map(|token| token.expose_secret().to_owned())
}

#[test]
fn a_token_is_given_for_its_own_server_and_for_no_other() {
    let folder = TempDir::new().expect("a folder");
    let store = FileTokens::new(folder.path().join("new").join("tokens.json"));
    assert!(store.token(&origin("https://a.example")).expect("no file").is_none());
    store.put(&bound("https://a.example", "cg1_a")).expect("kept");
    store.put(&bound("https://b.example", "cg1_b")).expect("kept");
    assert_eq!(text(&store, "https://a.example/any/path"), Some("cg1_a".into()));
    for other in [
        "https://a.example:8443",
        "https://a.example.evil.example",
        "https://www.a.example",
        "https://c.example",
        "http://localhost",
    ] {
        assert_eq!(text(&store, other), None, "{other}");
        let held = store.token(&origin("https://a.example")).expect("read").expect("held");
        assert!(held.token_for(&origin(other)).is_none(), "{other}");
        assert!(
            held.with_refresh(SecretText::new("r".into())).refresh_for(&origin(other)).is_none(),
            "{other}"
        );
    }
    assert_eq!(store.origins().expect("read"), [origin("https://a.example"), origin("https://b.example")]);
}

#[test]
fn a_token_is_kept_whole_replaced_and_forgotten() {
    let folder = TempDir::new().expect("a folder");
    let store = FileTokens::new(folder.path().join("tokens.json"));
    let server = origin("https://a.example");
    let end = Timestamp::from(1_700_000_000);
    let token =
        bound("https://a.example", "cg1_a").with_refresh(SecretText::new("cgr_a".into())).with_expiry(end);
    store.put(&bound("https://a.example", "old")).expect("kept");
    store.put(&token).expect("kept");
    let held = store.token(&server).expect("read").expect("held");
    assert_eq!(held.refresh_for(&server).map(SecretText::expose_secret), Some("cgr_a"));
    assert_eq!(held.expires_at(), Some(end));
    let minute = Duration::from_secs(60);
    assert!(held.ends_within(minute, end.saturating_sub(minute)));
    assert!(!held.ends_within(minute, end.saturating_sub(minute * 2)));
    assert!(store.remove(&server).expect("removed"));
    assert!(!store.remove(&server).expect("nothing there"));
    assert_eq!(text(&store, "https://a.example"), None);
    assert!(!FileTokens::new(folder.path().join("absent")).remove(&server).expect("no file"));
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_alone_and_is_not_read_when_it_is_not() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("deep").join("tokens.json");
    let store = FileTokens::new(&path);
    store.put(&bound("https://a.example", "cg1_a")).expect("kept");
    let mode = |path: &Path| fs::metadata(path).expect("metadata").mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("mode");
    let read = store.token(&origin("https://a.example"));
    assert!(matches!(read, Err(TokenStoreError::WideMode { mode: 0o640, .. })), "{read:?}");
    let kept = store.put(&bound("https://b.example", "cg1_b"));
    assert!(matches!(kept, Err(TokenStoreError::WideMode { mode: 0o640, .. })), "{kept:?}");
}

#[test]
fn what_is_no_store_is_left_alone_and_its_words_are_not_repeated() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("tokens.json");
    let store = FileTokens::new(&path);
    for (document, code) in [
        ("canary", "malformed"),
        (
            r#"{"version":1,"tokens":{"https://a.example":{"token":"canary","expires_at":"canary"}}}"#,
            "malformed",
        ),
        (r#"{"version":1,"tokens":{"https://a.example":"canary"}}"#, "malformed"),
        (r#"{"version":1}"#, "malformed"),
        (r#"{"version":2,"secrets":["canary"]}"#, "version"),
    ] {
        store.remove(&origin("https://a.example")).ok();
        fs::remove_file(&path).ok();
        write_private(&path, document);
        let read = store.token(&origin("https://a.example")).expect_err(document);
        let kept = store.put(&bound("https://b.example", "canary")).expect_err(document);
        let found = |error: &TokenStoreError| match error {
            TokenStoreError::Malformed { .. } => "malformed",
            TokenStoreError::Version { .. } => "version",
            _ => "other",
        };
        assert_eq!((found(&read), found(&kept)), (code, code), "{document}");
        assert!(!format!("{read} {read:?} {kept} {kept:?}").contains("canary"));
        assert_eq!(fs::read_to_string(&path).expect("read"), document);
    }
    assert!(!format!("{:?}", bound("https://b.example", "canary")).contains("canary"));
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
}

#[test]
fn logins_to_many_servers_at_once_lose_nothing() {
    let folder = TempDir::new().expect("a folder");
    let store = FileTokens::new(folder.path().join("tokens.json"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..5 {
                    store.put(&bound(&format!("https://s{turn}.t{thread}.example"), "cg1_a")).expect("kept");
                }
            });
        }
    });
    assert_eq!(store.origins().expect("read").len(), 40);
}
