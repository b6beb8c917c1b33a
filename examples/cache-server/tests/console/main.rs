//! The console of the real program in a real Chromium, with axe-core: `browser.mjs` does what people do. They sign in by
//! the administrator's token of the first start, or by a certified OpenID provider. Started by `cargo xtask test`.
//!
//! With `CACHEGATE_BLESS` set a picture of each page is written beside the console's README.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[expect(dead_code, reason = "no memory is measured here, and no command run on a folder")]
#[path = "../support/child.rs"]
mod child;
#[path = "../support/github.rs"]
mod github;
#[expect(dead_code, reason = "each test uses its part of the client")]
#[path = "../support/http.rs"]
mod http;
#[path = "../../../../crates/cachegate-login/tests/login/script.rs"]
mod script;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use cachegate_testkit::TestIssuer;
use child::Running;
use script::Script;
use serde_json::json;

/// A server with a workspace `acme/app`, and what else the configuration says.
fn server(folder: &Path, more: &str) -> Running {
    let file = folder.join("cachegate.toml");
    let text = format!("organization = \"acme\"\nworkspace = \"app\"\n{more}");
    fs::write(&file, text).expect("a configuration");
    Running::start(&folder.join("data"), &["--config", file.to_str().expect("a printable path")])
}

/// What the first start wrote to this file.
fn first_start(folder: &Path, file: &str) -> String {
    let text = fs::read_to_string(folder.join("data").join(file)).expect("what the first start wrote");
    text.trim_end().to_owned()
}

/// A job of the trunk stores a store path, describes a release of it and publishes that.
fn publish(address: SocketAddr, job: &str, version: &str, hash: &str) {
    let bearer = format!("Bearer {job}");
    let headers = [("authorization", bearer.as_str())];
    let narinfo = format!("StorePath: /nix/store/{hash}-pkg\nURL: nar/{hash}.nar\nReferences: \n");
    let release = format!("/f/acme/app/{version}");
    let described = format!("{{\"outputs\": {{\"default\": \"/nix/store/{hash}-pkg\"}}}}");
    for (path, body) in [
        (format!("/acme/app/nix/nar/{hash}.nar"), version),
        (format!("/acme/app/nix/{hash}.narinfo"), &narinfo),
        (release.clone(), &described),
    ] {
        let stored = http::put(address, &path, &headers, body.as_bytes());
        assert_eq!(stored.status, 201, "{}", stored.text());
    }
    let published = http::send(address, &http::head("POST", &release, &headers, None), &[]);
    assert_eq!(published.status, 201, "{}", published.text());
}

#[test]
#[ignore = "needs chromium, puppeteer and oidc-provider: run by cargo xtask test"]
fn every_flow_works_by_mouse_by_keyboard_and_without_scripts_and_axe_finds_nothing_serious() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let provider = here.join("tests/console/provider.mjs");
    let provider = Script::start(provider.to_str().expect("a printable path"), &[]);
    let issuer = TestIssuer::new(github::ISSUER);
    let more = format!(
        "[[tenants]]\norganization = \"acme\"\nanchor = \"github\"\npins = [{{ fact = \"owner.id\", is = \"123456\" }}]\n\
         [[login.providers]]\nname = \"corp\"\nkind = \"oidc\"\nissuer = \"http://{}\"\nclient_id = \"cache\"\n",
        provider.address
    );
    let server = server(folder.path(), &(github::configuration(&issuer.key_set()) + &more));
    let base = format!("http://{}", server.address);
    assert_eq!(http::get(provider.address, &format!("/reached-at?{base}"), &[]).status, 200);
    let job = github::token(&issuer, "push", "refs/heads/main", "a");
    for (version, hash) in [
        ("1.2.0", "6h16lcyhnnw252s3qv43rgxbwglzif48"),
        ("1.3.0", "7h16lcyhnnw252s3qv43rgxbwglzif48"),
        ("2.0.0", "8h16lcyhnnw252s3qv43rgxbwglzif48"),
    ] {
        publish(server.address, &job, version, hash);
    }
    let acts: Vec<_> = cachegate_console::forms().map(|(page, act)| format!("{page} {act}")).collect();
    let administrator = first_start(folder.path(), "administrator.token");
    let input = json!({ "administrator": administrator, "job": job, "acts": acts });
    let mut node = Command::new("node");
    node.arg(here.join("tests/console/browser.mjs")).env("BASE", base);
    node.env("PROVIDER", format!("http://{}", provider.address)).env("FOLDER", folder.path());
    if std::env::var_os("CACHEGATE_BLESS").is_some() {
        node.env("PICTURES", here.join("../../crates/cachegate-console/pictures"));
    }
    node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = node.spawn().expect("node starts");
    node.stdin.take().expect("its input").write_all(input.to_string().as_bytes()).expect("it reads");
    let output = node.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stdout);
    let printed = server.ended();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    // The browser tells what it saw of secrets through a file alone.
    let secrets = fs::read_to_string(folder.path().join("secrets")).expect("what the browser saw");
    let secrets: Vec<&str> = secrets.lines().collect();
    assert!(secrets.len() > 20, "{} secrets were seen", secrets.len());
    assert!(printed.lines().count() > 20, "the server keeps a log");
    let leaked = secrets.iter().filter(|secret| printed.contains(**secret)).count();
    assert_eq!(leaked, 0, "secrets stand in the server's log");
    println!("{told}");
}

#[test]
fn behind_https_every_cookie_is_secure_and_bound_to_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path(), "issuer = \"https://cache.example.com\"\n");
    let cookies = |answer: &http::Answer| -> Vec<String> {
        let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
        let cookies = lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        cookies.map(|(_, value)| value.to_owned()).collect()
    };
    let login = http::get(server.address, "/login", &[]);
    let form = cookies(&login).pop().expect("a cookie");
    let text = login.text();
    let field = text.split_once("name=\"form_token\" value=\"").expect("a form's token").1;
    let field = field.split('"').next().expect("its end");
    let token = first_start(folder.path(), "administrator.token");
    let body = format!("form_token={field}&token={token}");
    let headers = [
        ("cookie", form.split(';').next().expect("a pair")),
        ("origin", "https://cache.example.com"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let head = http::head("POST", "/login", &headers, Some(body.len() as u64));
    let entered = http::send(server.address, &head, body.as_bytes());
    assert_eq!(entered.status, 303, "{}", entered.text());
    let session = cookies(&entered);
    assert!(!session.is_empty(), "nobody was signed in");
    for cookie in session.iter().chain([&form]) {
        let said: Vec<&str> = cookie.split("; ").skip(1).collect();
        let name = cookie.split('=').next().expect("a name");
        for attribute in ["Secure", "HttpOnly", "Path=/"] {
            assert!(said.contains(&attribute), "{name} is not {attribute}: {said:?}");
        }
        assert!(
            said.iter().any(|one| matches!(*one, "SameSite=Lax" | "SameSite=Strict")),
            "{name}: {said:?}"
        );
        assert!(name.starts_with("__Host-"), "{name}");
    }
}

#[test]
fn each_picture_of_a_page_is_named_in_the_consoles_readme_and_each_that_is_named_is_there() {
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/cachegate-console");
    let readme = fs::read_to_string(console.join("README.md")).expect("the README");
    let named = readme.split("](pictures/").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    let files = fs::read_dir(console.join("pictures")).expect("the pictures");
    let files = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    assert_eq!(named, files.collect());
}
