//! A terminal's login, approved by whoever is signed in.

use cachegate_testkit::block_on;
use cachegate_types::{Principal, SecretText};
use serde_json::json;

use crate::browser::{Site, ada};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn begin(site: &Site) -> (String, String) {
    let begun =
        site.browser().post_from("/oauth/device_authorization", &[("client_id", "gatectl <on laptop>")], &[]);
    let begun = begun.json();
    let of = |name: &str| begun[name].as_str().expect("a text").to_owned();
    (of("device_code"), of("user_code"))
}

fn finish(site: &Site, device: &str) -> crate::browser::Answer {
    site.browser().post_from(
        "/oauth/token",
        &[("grant_type", GRANT), ("device_code", device), ("client_id", "gatectl")],
        &[],
    )
}

#[test]
fn a_signed_in_person_sees_what_asks_and_approves_it() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (device, user) = begin(&site);
    let page = browser.get(&format!("/activate?user_code={user}"));
    assert!(!page.text.contains("type=\"password\""), "no token is asked for: {}", page.text);
    let form = page.form_token();
    let seen = browser.post("/activate", &[("user_code", &user), ("form_token", &form)]);
    for told in [
        "gatectl &lt;on laptop&gt;",
        &user,
        "Approve",
        "Deny",
        "Whatever you may",
        "<b>Ada</b>",
        "just now",
        "15 minutes",
    ] {
        assert!(seen.text.contains(told), "{told}: {}", seen.text);
    }
    assert_eq!(
        finish(&site, &device).json()["error"],
        json!("authorization_pending"),
        "looking decides nothing"
    );
    let form = seen.form_token();
    let done =
        browser.post("/activate", &[("user_code", &user), ("form_token", &form), ("decision", "approve")]);
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains("is now logged in as <b>Ada</b>"), "{}", done.text);
    let session = finish(&site, &device).json()["access_token"].as_str().expect("a session").to_owned();
    let who = block_on(site.world.scene.authenticate(&SecretText::new(session)));
    assert_eq!(*who.principal(), Principal::User(browser.person().expect("signed in")));
}

#[test]
fn the_page_says_first_that_one_approves_only_what_one_began() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (_, user) = begin(&site);
    site.wait(3 * 60);
    let form = browser.get("/activate").form_token();
    let seen = browser.post("/activate", &[("user_code", &user), ("form_token", &form)]).text;
    let (warning, buttons) = (seen.find("you have just started yourself"), seen.find("value=\"approve\""));
    assert!(warning.is_some() && warning < buttons, "{seen}");
    for told in ["3 minutes ago", "12 minutes from now", "<code>dev</code>", "nobody has checked it"] {
        assert!(seen.contains(told), "{told}: {seen}");
    }
}

#[test]
fn a_signed_in_person_denies() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (device, user) = begin(&site);
    let form = browser.get("/activate").form_token();
    let pairs = [("user_code", &*user), ("form_token", &form), ("decision", "deny")];
    assert_eq!(browser.post("/activate", &pairs).status, 200);
    assert_eq!(finish(&site, &device).json()["error"], json!("access_denied"));
}

#[test]
fn a_form_without_the_sessions_token_approves_nothing() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (device, user) = begin(&site);
    let refused = browser.post("/activate", &[("user_code", &user), ("decision", "approve")]);
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("does not belong to your session"), "{}", refused.text);
    assert_eq!(finish(&site, &device).json()["error"], json!("authorization_pending"));
}

#[test]
fn whoever_is_not_signed_in_shows_a_token_or_goes_to_sign_in() {
    let site = Site::new();
    let (device, user) = begin(&site);
    let mut browser = site.browser();
    let page = browser.get(&format!("/activate?user_code={user}"));
    let link = format!("/login?return_to=%2Factivate%3Fuser_code%3D{user}");
    assert!(page.text.contains("type=\"password\"") && page.text.contains(&link), "{}", page.text);
    let bare = browser.post("/activate", &[("user_code", &user), ("decision", "approve")]);
    assert_eq!(bare.status, 401);
    let token = site.world.scene.administrator.expose_secret();
    let pairs = [("user_code", &*user), ("token", token), ("decision", "approve")];
    assert_eq!(browser.post("/activate", &pairs).status, 200);
    assert_eq!(finish(&site, &device).status, 200);
    // Whoever signs in there comes back with the code.
    let begun = browser.get(&format!("/login/corp?return_to=%2Factivate%3Fuser_code%3D{user}"));
    let answer = site.world.corp.authorize(begun.location(), &ada());
    let entered = browser.get(&format!("/login/corp/callback?{answer}"));
    assert_eq!(entered.location(), format!("/activate?user_code={user}"));
}

#[test]
fn a_session_that_has_ended_approves_nothing() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (device, user) = begin(&site);
    let form = browser.get("/activate").form_token();
    let (_, session) = browser.found().expect("signed in");
    block_on(site.world.scene.revoke(session));
    let pairs = [("user_code", &*user), ("form_token", &form), ("decision", "approve")];
    assert_eq!(browser.post("/activate", &pairs).status, 401);
    assert_eq!(finish(&site, &device).json()["error"], json!("authorization_pending"));
}
