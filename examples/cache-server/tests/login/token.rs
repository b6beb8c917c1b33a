//! The administrator's token works alone, and so does Turborepo's login with it.

use cachegate::Authority;
use cachegate_types::Description;

use cache_server::now;

use crate::browser::{Browser, user_of};
use crate::host::Host;
use crate::http::{get, put};
use crate::support::{owners_token, query};

#[test]
fn an_administrators_token_signs_in_and_gives_turbo_a_token_that_works() {
    let host = Host::configured(|config| config.issuer = Some(format!("http://{}", config.listen)));
    let path = "acme/app".parse().expect("a path");
    let found = host.runtime.block_on(host.server.find(&path));
    found.expect("read").expect("a workspace");
    let administrator = owners_token(&host);
    let mut browser = Browser::at(host.address);
    let asked = query(&[("redirect_uri", "http://127.0.0.1:9789"), ("state", "s1")]);
    let led = browser.get(&format!("/turborepo/token?{asked}")).location().to_owned();
    let return_to = Browser::asked(&led)["return_to"].clone();
    let form = browser.get(&led).form_token();
    let pairs = [("form_token", &*form), ("token", administrator.expose_secret()), ("return_to", &return_to)];
    let entered = browser.post("/login", &pairs);
    assert_eq!(entered.location(), return_to);
    assert_eq!(browser.name().as_deref(), Some("Grace"));
    // The console is theirs; it sends whoever is not signed in to do so.
    let console = browser.get("/");
    assert_eq!(console.status, 200);
    assert!(console.text().contains("acme"), "{}", console.text());
    assert_eq!(browser.get("/account").status, 200);
    assert!(Browser::at(host.address).get("/").location().starts_with("/login"));
    let form = browser.get(&return_to).form_token();
    let pairs = [
        ("form_token", &*form),
        ("redirect_uri", "http://127.0.0.1:9789"),
        ("state", "s1"),
        ("decision", "approve"),
    ];
    let given = browser.post("/turborepo/token", &pairs);
    assert!(given.location().starts_with("http://127.0.0.1:9789/?token=cgp_"), "{}", given.location());
    let sent = Browser::asked(given.location());
    assert_eq!((&*sent["state"], &*sent["email"]), ("s1", "Grace"));
    // What turbo does with it.
    let bearer = format!("Bearer {}", sent["token"]);
    let headers = [("authorization", &*bearer)];
    assert!(!user_of(host.address, &sent["token"]).is_empty());
    assert_ne!(get(host.address, "/v2/user", &[]).status, 200);
    let entry = "/acme/app/v8/artifacts/0123456789abcdef?slug=acme";
    assert_eq!(put(host.address, entry, &headers, b"tar").status, 202);
    assert_eq!(get(host.address, entry, &headers).body, b"tar");
    assert_eq!(browser.get("/turborepo/success?email=x").status, 200);
}

#[test]
fn a_browsers_cookie_opens_no_cache() {
    let host = Host::configured(|config| config.issuer = Some(format!("http://{}", config.listen)));
    let issued = host.runtime.block_on(async {
        let gate = host.server.gate();
        let user =
            gate.create_user(&Authority::Operator, Description::default(), now()).await.expect("a person");
        gate.begin_browser_session(user, Description::default(), now()).await.expect("a session")
    });
    let bearer = format!("Bearer {}", issued.token.expose_secret());
    let refused = get(host.address, "/acme/app/v1/cache/7", &[("authorization", &bearer)]);
    assert_eq!(refused.status, 401);
}
