//! What the configuration file says of logins, and what is wrong with it in one sentence.

use std::sync::Arc;

use cache_server::{Config, Flags, LogSink, Server};
use clap::Parser;

/// What the server says when it starts with this file.
fn told(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("cache.toml"), folder.path().join("data"));
    std::fs::write(folder.path().join("secret"), "s3cret\n").expect("written");
    std::fs::write(folder.path().join("empty"), "\n").expect("written");
    let folder_text = folder.path().to_str().expect("a printable path");
    std::fs::write(&file, text.replace("FOLDER", folder_text)).expect("written");
    let arguments =
        ["cache-server".as_ref(), "--config".as_ref(), file.as_os_str(), "--data".as_ref(), data.as_os_str()];
    let config = match Config::from_flags(&Flags::parse_from(arguments)) {
        Ok(config) => config,
        Err(error) => return error.to_string().replace(folder_text, "FOLDER"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(Server::open(&config, Arc::new(LogSink))) {
        Ok(_) => "runs".to_owned(),
        Err(error) => error.to_string().replace(folder_text, "FOLDER"),
    }
}

const GOOD: &str = r#"
issuer = "https://cache.example.com"

[[login.providers]]
name = "github"
kind = "github"
client_id = "Iv1.8a61f9b3a7aba766"
client_secret_file = "FOLDER/secret"
organizations = [9919]

[[login.providers]]
name = "entra"
kind = "entra"
tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
client_id = "11112222-bbbb-3333-cccc-4444dddd5555"
client_secret_file = "FOLDER/secret"
groups = ["00001111-aaaa-2222-bbbb-3333cccc4444"]

[[login.providers]]
name = "okta"
kind = "okta"
issuer = "https://acme.okta.com"
client_id = "0oa1cache"
client_secret_file = "FOLDER/secret"
scopes = ["groups"]
groups = ["builders"]

[[login.providers]]
name = "keycloak"
kind = "oidc"
issuer = "https://id.acme.example/realms/build"
client_id = "cache"
"#;

#[test]
fn a_file_with_every_kind_of_provider_is_taken() {
    assert_eq!(told(GOOD), "runs");
}

#[test]
fn what_is_wrong_with_a_provider_is_said_in_one_sentence() {
    let provider = |more: &str| {
        format!(
            "issuer = \"https://cache.example.com\"\n[[login.providers]]\nname = \"x\"\nclient_id = \"c\"\n{more}"
        )
    };
    let secret = "client_secret_file = \"FOLDER/secret\"\n";
    for (text, expected) in [
        (provider("kind = \"okta\"\n"), "`x`: say its `issuer`"),
        (provider("kind = \"entra\"\n"), "`x`: say the `tenant`"),
        (provider("kind = \"github\"\n"), "`x`: GitHub gives every application a secret"),
        (
            provider(&format!("kind = \"github\"\n{secret}groups = [\"a\"]\n")),
            "`groups` means nothing to a provider",
        ),
        (
            provider("kind = \"oidc\"\nissuer = \"https://a.example\"\norganizations = [1]\n"),
            "`organizations` means nothing",
        ),
        (
            provider(&format!("kind = \"github\"\n{secret}web = \"https://g.example\"\n")),
            "has `web` and `api`: name both",
        ),
        (
            provider("kind = \"github\"\nclient_secret_file = \"FOLDER/nowhere\"\n"),
            "cannot read `client_secret_file` FOLDER/nowhere",
        ),
        (
            provider("kind = \"github\"\nclient_secret_file = \"FOLDER/empty\"\n"),
            "`client_secret_env` names is empty",
        ),
        (
            provider("kind = \"github\"\nclient_secret_env = \"CACHEGATE_NOT_THERE\"\n"),
            "`CACHEGATE_NOT_THERE` (`client_secret_env`) is not set",
        ),
        (provider(&format!("kind = \"github\"\n{secret}client_secret_env = \"A\"\n")), "not both"),
        (
            provider("kind = \"okta\"\nissuer = \"http://okta.example\"\n"),
            "the configuration's provider `x`: ",
        ),
        (
            provider("kind = \"oidc\"\nissuer = \"https://login.microsoftonline.com/t/v2.0\"\n"),
            "is set up as `entra`",
        ),
        (provider("kind = \"ldap\"\n"), "unknown variant `ldap`"),
        (provider("kind = \"okta\"\nsecret = \"in the file\"\n"), "unknown field `secret`"),
        (
            GOOD.replace("https://cache.example.com", "http://cache.example.com"),
            "unencrypted; set `issuer` to its https address",
        ),
        (GOOD.replace("name = \"okta\"", "name = \"entra\""), "two providers have one name"),
    ] {
        let told = told(&text);
        assert!(told.contains(expected), "{told}\n{text}");
        assert!(!told.contains('\n') && !told.contains("s3cret"), "{told}");
    }
}
