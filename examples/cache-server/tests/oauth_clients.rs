//! Software that no one here wrote against the running server, as an identity provider.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/child.rs"]
#[expect(dead_code, reason = "no memory is measured here, and no command run on a folder")]
mod child;

use std::path::Path;
use std::process::Command;

use child::Running;

const AUDIENCE: &str = "https://registry.example.com";

/// `printf open-sesame | sha256sum`: everybody may know it here.
const SECRET: &str = "open-sesame";
const SECRET_SHA256: &str = "d7ecdf25eaf3deba0f2628771dbdd22d4138ab6cf38f91ed02a2ca0dec7c8ab7";

/// A server with a service of its own audience, and one that asks about the server's own tokens.
fn server(folder: &Path) -> Running {
    let configuration = format!(
        r#"
[[services]]
name = "registry"
audience = "{AUDIENCE}"
secret_sha256 = "{SECRET_SHA256}"

[[services]]
name = "proxy"
secret_sha256 = "{SECRET_SHA256}"
"#
    );
    let path = folder.join("cachegate.toml");
    std::fs::write(&path, configuration).expect("a configuration");
    Running::start(folder, &["--config", path.to_str().expect("a printable path")])
}

/// Runs a script against a server of its own, and shows what it said if it failed.
fn run(mut command: Command) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let administrator = std::fs::read_to_string(folder.path().join("administrator.token"))
        .expect("the administrator's token");
    let output = command
        .env("ISSUER", format!("http://{}", server.address))
        .env("ADMINISTRATOR", administrator.trim())
        .env("AUDIENCE", AUDIENCE)
        .env("SERVICE", "registry")
        .env("SERVER", "proxy")
        .env("SECRET", SECRET)
        .output()
        .expect("it runs");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

/// What the variable says, which `cargo xtask test` sets.
fn provided(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; run `cargo xtask test`"))
}

#[test]
fn a_configuration_that_cannot_stand_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cachegate.toml");
    let path = path.to_str().expect("a printable path");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a printable path");
    let service =
        |more: &str| format!("[[services]]\nname = \"a\"\nsecret_sha256 = \"{SECRET_SHA256}\"\n{more}");
    for (configuration, told) in [
        ("issuer = \"cache.example.com\"".to_owned(), "is no origin"),
        ("issuer = \"https://example.com/cache\"".to_owned(), "is no origin"),
        (service("").replace(SECRET_SHA256.split_at(2).0, "no"), "64 hexadecimal digits"),
        (service("secret = \"x\""), "unknown field `secret`"),
        (service(&service("")), "the name of two services"),
        ("[[leak_reporters]]\nid = \"a\"\nkey = \"b\"".to_owned(), "ECDSA P-256"),
    ] {
        std::fs::write(path, &configuration).expect("a configuration");
        let output = child::run(&["--listen", "127.0.0.1:0", "--data", data, "--config", path]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(told), "{configuration}: {said}");
    }
}

#[test]
#[ignore = "needs authlib: run by cargo xtask test"]
fn authlib_and_pyjwt_use_it_as_an_identity_provider() {
    let mut command = Command::new(provided("CACHEGATE_AUTHLIB"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oauth/clients.py"));
    // Authlib wants TLS, which loopback has no need of.
    command.env("AUTHLIB_INSECURE_TRANSPORT", "1");
    run(command);
}

#[test]
#[ignore = "needs openid-client: run by cargo xtask test"]
fn openid_client_and_jose_use_it_as_an_identity_provider() {
    let installed = Path::new(&provided("CACHEGATE_OPENID_CLIENT")).join("node_modules");
    // A module is looked for beside the script that names it.
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(installed, folder.path().join("node_modules")).expect("a link");
    let script = folder.path().join("clients.mjs");
    let text = include_str!("oauth/clients.mjs");
    std::fs::write(&script, text).expect("the script");
    let mut command = Command::new("node");
    command.arg(script);
    run(command);
}
