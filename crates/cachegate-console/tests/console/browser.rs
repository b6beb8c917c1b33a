//! The console in a real Chromium, with axe-core: `browser.mjs` does what a person does.
//!
//! With `CACHEGATE_BLESS` set a picture of each page is written beside the README.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use cachegate_testkit::github_push_claims;
use cachegate_types::{AccessLevel, Action, Lane};

use crate::support::Site;

#[test]
#[ignore = "needs chromium and puppeteer: run by cargo xtask test"]
fn every_flow_works_in_a_browser_by_keyboard_too_and_axe_finds_nothing_serious() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (input, base) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (site, issuer) = Site::reached_at(&base).await;
        for version in ["1.2.0", "1.3.0", "2.0.0"] {
            site.release(version).await;
        }
        site.scene.ci_token(AccessLevel::ReadWrite, "release".parse().expect("a lane")).await;
        let pull = site.scene.ci_token(AccessLevel::ReadWrite, "pull/17".parse().expect("a lane")).await;
        site.scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let refused = site.scene.ask(Some(&pull), Action::Delete, "key").await;
        let cachegate::Verdict::Denied(denied) = refused else { panic!("it was allowed") };
        let input = format!(
            "{}\n{}\n{}\n",
            site.scene.administrator.expose_secret(),
            denied.id().expect("an id"),
            issuer.sign(&github_push_claims(&base)),
        );
        tokio::spawn(axum::serve(listener, site.served()).into_future());
        (input, base)
    });
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.arg(here.join("tests/console/browser.mjs")).env("BASE", base).stdin(Stdio::piped());
    node.stdout(Stdio::piped()).stderr(Stdio::piped());
    if std::env::var_os("CACHEGATE_BLESS").is_some() {
        node.env("PICTURES", here.join("pictures"));
    }
    let mut node = node.spawn().expect("node starts");
    node.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let output = node.wait_with_output().expect("it ends");
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    println!("{told}");
}
