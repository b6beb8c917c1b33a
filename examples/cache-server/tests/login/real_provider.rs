//! A certified OpenID provider that no one here wrote plays Okta and Entra. Started by `cargo xtask test`, which installs
//! it.

use std::time::{Duration, Instant};

use cache_server::{ProviderEntry, ProviderKind};

use crate::browser::Browser;
use crate::host::Host;
use crate::oidc_provider::Provider;
use crate::support::query;

/// How long rotated keys may take to be known: they are asked for at most once in thirty seconds.
const PATIENCE: Duration = Duration::from_secs(120);

struct World {
    host: Host,
    provider: Provider,
    _secret: tempfile::TempDir,
}

fn world(groups: &[&str]) -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "not-a-secret\n").expect("written");
    let mut started = None;
    let host = Host::configured(|config| {
        let base = format!("http://{}", config.listen);
        let provider = Provider::start(&base);
        config.issuer = Some(base);
        for (name, kind, issuer) in
            [("okta", ProviderKind::Okta, provider.okta()), ("entra", ProviderKind::Entra, provider.entra())]
        {
            config.login.providers.push(ProviderEntry {
                name: name.parse().expect("a name"),
                kind,
                client_id: format!("{name}-client"),
                client_secret_file: Some(file.clone()),
                client_secret_env: None,
                tenant: None,
                issuer: Some(issuer),
                groups: groups.iter().map(|&group| group.to_owned()).collect(),
                scopes: Vec::new(),
                organizations: Vec::new(),
                device_flow: false,
                web: None,
                api: None,
            });
        }
        started = Some(provider);
    });
    World { host, provider: started.expect("a provider"), _secret: folder }
}

impl World {
    fn browser(&self) -> Browser {
        Browser::at(self.host.address)
    }

    fn sign_in(&self, browser: &mut Browser, provider: &str) -> String {
        browser.sign_in(provider, |location| self.provider.authorize(location))
    }
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn people_sign_in_by_okta_and_entra_approve_a_terminal_and_sign_out() {
    let world = world(&[]);
    let mut people = Vec::new();
    for provider in ["okta", "entra"] {
        let mut browser = world.browser();
        assert_eq!(world.sign_in(&mut browser, provider), "303", "{provider}");
        assert_eq!(browser.name().as_deref(), Some("Ada"));
        let person = browser.approve_a_terminal();
        browser.sign_out();
        assert_eq!(browser.name(), None);
        assert_eq!(world.sign_in(&mut browser, provider), "303", "{provider}");
        assert_eq!(browser.approve_a_terminal(), person, "{provider}: the same person as before");
        people.push(person);
    }
    assert_ne!(people[0], people[1], "two providers that know one name are two people");
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn wrong_state_wrong_nonce_wrong_issuer_mixed_up_providers_and_a_stolen_code() {
    let world = world(&[]);
    let begin = |browser: &mut Browser, provider: &str| {
        browser.get(&format!("/login/{provider}")).location().to_owned()
    };
    let back = |browser: &mut Browser, provider: &str, answer: &str| {
        browser.get(&format!("/login/{provider}/callback?{answer}")).told()
    };
    let (mut victim, mut attacker) = (world.browser(), world.browser());
    let (own, theirs) = (begin(&mut victim, "okta"), begin(&mut attacker, "okta"));
    let (own, theirs) = (world.provider.authorize(&own), world.provider.authorize(&theirs));
    assert_eq!(back(&mut victim, "okta", &theirs), "400 login_state");
    assert_eq!(back(&mut victim, "entra", &own), "400 login_other_provider");
    assert_eq!(back(&mut victim, "okta", &own.replace("%2Fokta", "%2Felsewhere")), "400 login_issuer");
    // A code that was stolen, in a login of the attacker's own.
    let (stolen, mine) = (Browser::asked(&format!("?{own}")), Browser::asked(&format!("?{theirs}")));
    let injected = query(&[("code", &stolen["code"]), ("state", &mine["state"]), ("iss", &mine["iss"])]);
    assert_eq!(back(&mut attacker, "okta", &injected), "400 login_refused");
    // An ID token that was made for another attempt.
    let mut nonce = world.browser();
    let location = begin(&mut nonce, "okta");
    let asked = Browser::asked(&location)["nonce"].clone();
    let answer = world.provider.authorize(&location.replace(&asked, "another"));
    assert_eq!(back(&mut nonce, "okta", &answer), "400 login_nonce");
    for browser in [&mut victim, &mut attacker, &mut nonce] {
        assert_eq!(browser.name(), None);
    }
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn rotated_keys_are_learned_and_lock_nobody_out() {
    let world = world(&[]);
    let (mut inside, mut coming) = (world.browser(), world.browser());
    assert_eq!(world.sign_in(&mut inside, "okta"), "303");
    world.provider.rotate();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert_eq!(inside.name().as_deref(), Some("Ada"), "whoever is in stays so");
        match &*world.sign_in(&mut coming, "okta") {
            "303" => break,
            "400 unknown_key" | "503 login_provider_keys" => {}
            told => panic!("{told}"),
        }
        assert!(Instant::now() < deadline, "the new key is never learned");
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(coming.approve_a_terminal(), inside.approve_a_terminal());
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn groups_that_are_cut_off_let_nobody_in() {
    let staff = world(&["staff"]);
    assert_eq!(staff.sign_in(&mut staff.browser(), "okta"), "303");
    assert_eq!(staff.sign_in(&mut staff.browser(), "entra"), "403 login_groups_unknown");
    let owners = world(&["owners"]);
    assert_eq!(owners.sign_in(&mut owners.browser(), "okta"), "403 login_not_admitted");
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn a_provider_that_is_gone_locks_nobody_out() {
    let World { host, provider, _secret } = world(&[]);
    let mut inside = Browser::at(host.address);
    assert_eq!(inside.sign_in("okta", |location| provider.authorize(location)), "303");
    let begun = inside.get("/login/okta").location().to_owned();
    let answer = provider.authorize(&begun);
    drop(provider);
    let mut outside = Browser::at(host.address);
    assert_eq!(outside.get("/login/entra").status, 503);
    assert_eq!(inside.get(&format!("/login/okta/callback?{answer}")).status, 503);
    assert_eq!((inside.name().as_deref(), outside.name()), (Some("Ada"), None));
}
