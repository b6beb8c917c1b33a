//! GitHub's two flows, through the pages.

use cachegate_testkit::block_on;
use cachegate_types::{Principal, SecretText};
use serde_json::json;

use crate::browser::{Browser, Site};
use crate::github_site::{Person, ada};
use crate::support::World;

fn site(admitted: &[u64]) -> Site {
    let world = block_on(World::with(
        |corp| corp,
        |github| match admitted {
            [] => github.allow_device_flow(),
            ids => github.admit_organizations(ids).allow_device_flow(),
        },
    ));
    Site::over(world, true)
}

fn sign_in(browser: &mut Browser<'_>, person: &Person) -> String {
    let begun = browser.get("/login/github");
    let answer = browser.site.world.github.authorize(begun.location(), person);
    browser.get(&format!("/login/github/callback?{answer}")).told()
}

#[test]
fn a_person_signs_in_by_github_and_is_their_numeric_id() {
    let site = site(&[]);
    let mut browser = site.browser();
    assert_eq!(sign_in(&mut browser, &ada()), "303");
    let before = browser.person().expect("signed in");
    assert_eq!(sign_in(&mut browser, &Person { login: "countess", ..ada() }), "303");
    assert_eq!(browser.person(), Some(before), "a renamed account stays");
    assert_eq!(sign_in(&mut browser, &Person { id: 9_000_001, ..ada() }), "303");
    assert_ne!(browser.person(), Some(before), "a name that was registered again is somebody else");
}

#[test]
fn members_of_an_admitted_organization_alone_are_let_in() {
    for (admitted, told) in [(9_919, "303"), (77, "403 login_not_admitted")] {
        let site = site(&[admitted]);
        assert_eq!(sign_in(&mut site.browser(), &ada()), told);
    }
    let site = site(&[9_919]);
    *site.world.github.hides_organizations.lock().expect("whole") = true;
    assert_eq!(sign_in(&mut site.browser(), &ada()), "403 login_groups_unknown");
}

#[test]
fn a_terminal_signs_in_by_githubs_device_flow() {
    let site = site(&[]);
    let mut terminal = site.browser();
    let begun = terminal.post_from("/login/github/device", &[], &[]).json();
    assert_eq!(
        (&begun["verification_uri"], &begun["interval"]),
        (&json!("https://github.com/login/device"), &json!(5))
    );
    let code = begun["device_code"].as_str().expect("a code").to_owned();
    let mut poll = || terminal.post_from("/login/github/device/token", &[("device_code", &code)], &[]);
    let waiting = poll();
    assert_eq!((waiting.status, &waiting.json()["error"]), (400, &json!("authorization_pending")));
    site.world.github.approve(begun["user_code"].as_str().expect("a code"), &ada());
    let done = poll().json();
    let session = SecretText::new(done["access_token"].as_str().expect("a session").to_owned());
    let who = block_on(site.world.scene.authenticate(&session));
    let mut browser = site.browser();
    sign_in(&mut browser, &ada());
    assert_eq!(*who.principal(), Principal::User(browser.person().expect("signed in")), "the same person");
    assert!(done["refresh_token"].as_str().expect("a token").starts_with("cgr_"));
    assert_eq!(poll().json()["code"], json!("login_refused"), "once");
}

#[test]
fn the_device_flow_is_told_of_where_it_is_not() {
    let site = Site::new();
    let refused = site.browser().post_from("/login/github/device", &[], &[]);
    assert_eq!((refused.status, &refused.json()["code"]), (404, &json!("login_no_device_flow")));
    let refused = site.browser().post_from("/login/nobody/device/token", &[("device_code", "x")], &[]);
    assert_eq!((refused.status, &refused.json()["code"]), (404, &json!("login_unknown_provider")));
}
