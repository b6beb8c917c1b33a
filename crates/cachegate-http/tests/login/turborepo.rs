//! Turborepo's login: a person confirms, and a program on the loopback gets a token.

use cachegate_testkit::{NOW, block_on};
use cachegate_types::{Action, ActionSet, Principal, Restriction, SecretText};

use crate::browser::{Site, ada};
use crate::support::{fields, query};

const PLACE: &str = "http://127.0.0.1:9789";

#[test]
fn a_person_signs_in_confirms_and_turbo_gets_a_token_with_an_end() {
    let site = Site::new();
    let mut browser = site.browser();
    let asked = query(&[("redirect_uri", PLACE), ("state", "r4nd&m")]);
    let led = browser.get(&format!("/turborepo/token?{asked}"));
    let return_to = fields(led.location().split_once('?').expect("a query").1)["return_to"].clone();
    assert!(
        led.location().starts_with("/login?") && return_to.starts_with("/turborepo/token?"),
        "{return_to}"
    );
    let begun = browser.get(&format!("/login/corp?{}", query(&[("return_to", &return_to)])));
    let answer = site.world.corp.authorize(begun.location(), &ada());
    let entered = browser.get(&format!("/login/corp/callback?{answer}"));
    let page = browser.get(entered.location());
    assert!(page.text.contains(PLACE) && page.text.contains("turbo login"), "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:9789;"),
        "browsers follow the policy: {policy}"
    );
    let form = page.form_token();
    let pairs =
        [("form_token", &*form), ("redirect_uri", PLACE), ("state", "r4nd&m"), ("decision", "approve")];
    let given = browser.post("/turborepo/token", &pairs);
    let (place, query) = given.location().split_once('?').expect("a query");
    let sent = fields(query);
    assert_eq!((place, &*sent["state"], &*sent["email"]), ("http://127.0.0.1:9789/", "r4nd&m", "Ada"));
    assert_eq!((given.header("cache-control"), given.header("referrer-policy")), ("no-store", "no-referrer"));
    let who = block_on(site.world.scene.authenticate(&SecretText::new(sent["token"].clone())));
    assert_eq!(*who.principal(), Principal::User(browser.person().expect("signed in")));
    let cut = ActionSet::of(&[Action::Resolve, Action::Read, Action::Write]);
    assert!(matches!(who.restrictions(), [Restriction::Actions(actions)] if *actions == cut), "{who:?}");
    assert_eq!(who.until(), Some((NOW + 90 * 86_400).into()));
    let record = block_on(site.world.scene.storage.token(who.token_id().expect("an id"))).expect("read");
    assert_eq!(record.expect("a record").description.as_str(), "turbo login");
    assert_eq!(browser.get("/turborepo/success").status, 200);
}

#[test]
fn a_token_is_sent_to_the_loopback_alone() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let form = browser.get("/login").form_token();
    for place in [
        "",
        "https://evil.example",
        "http://evil.example:9789",
        "http://127.0.0.1",
        "http://127.0.0.1:",
        "http://127.0.0.1:0",
        "http://127.0.0.1:09789",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:9789@evil.example",
        "http://127.0.0.1:9789.evil.example",
        "http://127.0.0.1:9789/path",
        "http://127.0.0.1:9789#x",
        "http://127.0.0.1:9789?x=y",
        "http://127.0.0.1.evil.example:9789",
        "http://x@127.0.0.1:9789",
        "http://localhost:9789",
        "https://127.0.0.1:9789",
        "http://127.0.0.1:9789\r\nx: y",
        "javascript:alert(1)",
        "//127.0.0.1:9789",
    ] {
        let page =
            browser.get(&format!("/turborepo/token?{}", query(&[("redirect_uri", place), ("state", "s")])));
        assert_eq!(page.status, 400, "{place:?}");
        let pairs =
            [("form_token", &*form), ("redirect_uri", place), ("state", "s"), ("decision", "approve")];
        assert_eq!(browser.post("/turborepo/token", &pairs).status, 400, "{place:?}");
    }
}

#[test]
fn turbo_gets_nothing_without_a_person_who_says_so() {
    let site = Site::new();
    let mut browser = site.browser();
    let pairs = [("redirect_uri", PLACE), ("state", "s"), ("decision", "approve")];
    assert_eq!(browser.post("/turborepo/token", &pairs).told(), "401 no_session");
    browser.sign_in(&ada());
    assert_eq!(browser.post("/turborepo/token", &pairs).told(), "403 form_token");
    let form = browser.get(&format!("/turborepo/token?{}", query(&[("redirect_uri", PLACE)]))).form_token();
    let denied =
        browser.post("/turborepo/token", &[("form_token", &*form), pairs[0], pairs[1], ("decision", "deny")]);
    assert_eq!((denied.status, denied.header("location")), (200, ""));
    let undecided = browser.post("/turborepo/token", &[("form_token", &*form), pairs[0]]);
    assert_eq!(undecided.status, 400);
    let filter = cachegate_storage::TokenFilter {
        owner: browser.person().map(Principal::User),
        kind: Some(cachegate_storage::TokenKind::Personal),
        ..Default::default()
    };
    let by = cachegate::Authority::Operator;
    let made = block_on(site.world.scene.gate.tokens(&by, &filter, None, 100, NOW.into())).expect("a list");
    assert!(made.is_empty(), "{made:?}");
}
