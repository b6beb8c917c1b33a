//! Signing in and out.

use cachegate::Authority;
use cachegate_storage::MassScope;
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{AccessLevel, ActionSet, Description, Lane, Principal, Role};
use http::Request;
use serde_json::json;

use crate::browser::{Browser, SESSION, Site, ada};
use crate::support::{BASE, World};

#[test]
fn the_login_page_offers_what_there_is_and_lets_nothing_else_in() {
    let site = Site::new();
    let page = site.browser().get("/login?return_to=/acme/settings");
    assert_eq!(page.status, 200);
    for provider in ["corp", "github", "other"] {
        let link = format!("href=\"/login/{provider}?return_to=%2Facme%2Fsettings\"");
        assert!(page.text.contains(&link), "{}", page.text);
    }
    assert!(page.text.contains("type=\"password\""));
    assert!(!page.text.contains("<script") && !page.text.contains(" on"), "{}", page.text);
    let policy = page.header("content-security-policy");
    for rule in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!((page.header("cache-control"), page.header("x-frame-options")), ("no-store", "DENY"));
    let alone = Site::without_providers().browser().get("/login");
    assert!(alone.text.contains("type=\"password\"") && !alone.text.contains("Sign in by"), "{}", alone.text);
}

#[test]
fn a_person_signs_in_is_known_and_signs_out() {
    let site = Site::new();
    let mut browser = site.browser();
    assert_eq!(browser.person(), None);
    let begun = browser.get("/login/corp?return_to=/acme/settings");
    assert!(begun.location().starts_with("https://corp.example/authorize?"));
    let answer = site.world.corp.authorize(begun.location(), &ada());
    let entered = browser.get(&format!("/login/corp/callback?{answer}"));
    assert_eq!(entered.location(), "/acme/settings");
    assert_eq!(
        (entered.header("cache-control"), entered.header("referrer-policy")),
        ("no-store", "no-referrer")
    );
    let cookies = entered.cookies();
    let line = cookies.iter().find(|line| line.starts_with(SESSION)).expect("a session");
    let (_, attributes) = line.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure");
    assert!(!browser.jar.contains_key("__Host-cachegate-login"), "the attempt's cookie is gone");
    let person = browser.person().expect("signed in");
    let page = browser.get("/login");
    assert!(page.text.contains("signed in as <b>Ada</b>"), "{}", page.text);
    // Signed out, the session is dead, and not merely forgotten by the browser.
    let kept = browser.jar.clone();
    let left = browser.post("/logout", &[("form_token", &page.form_token())]);
    assert_eq!((left.location(), browser.jar.contains_key(SESSION)), ("/login", false));
    assert_eq!(Browser { site: &site, jar: kept }.person(), None);
    assert_eq!(browser.sign_in(&ada()).location(), "/");
    assert_eq!(browser.person(), Some(person));
}

#[test]
fn each_login_begins_a_new_session_and_ends_the_one_before() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (first, before) = (browser.found().expect("signed in"), browser.jar.clone());
    browser.sign_in(&ada());
    let second = browser.found().expect("signed in");
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_eq!(Browser { site: &site, jar: before }.person(), None, "what was there before is dead");
    // Elsewhere they stay signed in.
    let mut elsewhere = site.browser();
    elsewhere.sign_in(&ada());
    assert_eq!(browser.person(), elsewhere.person());
}

#[test]
fn a_session_ends_when_nobody_uses_it_and_in_the_end() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    for _ in 0..11 {
        site.wait(3600);
        assert!(browser.person().is_some(), "in use");
    }
    site.wait(3600);
    assert_eq!(browser.person(), None, "twelve hours");
    browser.sign_in(&ada());
    site.wait(2 * 3600);
    assert_eq!(browser.person(), None, "two hours of silence");
}

#[test]
fn a_session_is_listed_and_whoever_revokes_it_ends_it_with_the_next_request() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let (user, session) = browser.found().expect("signed in");
    let gate = &site.world.scene.gate;
    let filter = cachegate_storage::TokenFilter { owner: Some(Principal::User(user)), ..Default::default() };
    let page = block_on(gate.tokens(&Authority::Operator, &filter, None, 100, NOW.into())).expect("a list");
    let [listed] = &*page else { panic!("one session: {page:?}") };
    assert_eq!((listed.id, listed.description.as_str()), (session, "signed in by corp"));
    block_on(gate.revoke(&Authority::Operator, session, Description::default(), NOW.into()))
        .expect("revoked");
    assert_eq!(browser.person(), None);
    assert!(!browser.get("/login").text.contains("signed in as"));
    // A departure ends them all.
    browser.sign_in(&ada());
    let person = MassScope::Principal(Principal::User(user));
    let ended = gate.revoke_many(&Authority::Operator, person, None, Description::default(), NOW.into());
    block_on(ended).expect("revoked");
    assert_eq!(browser.person(), None);
}

#[test]
fn the_administrators_token_signs_in_by_a_form_and_never_in_a_url() {
    let site = Site::without_providers();
    let token = site.world.scene.administrator.expose_secret().to_owned();
    let mut browser = site.browser();
    for url in [format!("/login?token={token}"), format!("/login?return_to=/{token}")] {
        assert_eq!(browser.get(&url).status, 400, "{url}");
    }
    let page = browser.get("/login?return_to=/acme");
    let pairs = [("form_token", &*page.form_token()), ("token", &token), ("return_to", "/acme")];
    let entered = browser.post("/login", &pairs);
    assert_eq!(entered.location(), "/acme");
    assert_eq!(browser.person(), Some(site.world.scene.owner));
    let mut another = site.browser();
    let form = another.get("/login").form_token();
    let entered = another.post("/login", &[("form_token", &form), ("token", &token)]);
    assert_eq!(entered.location(), "/", "as a provider leads to where nothing else was looked for");
    // The session is the token's: it ends with it.
    let id = block_on(site.world.scene.administrator()).token_id().expect("an id");
    block_on(site.world.scene.revoke(id));
    assert_eq!(browser.person(), None);
}

#[test]
fn whatever_is_wrong_with_a_token_the_answer_is_the_same_and_not_given_for_ever() {
    let site = Site::without_providers();
    let scene = &site.world.scene;
    let right = scene.administrator.expose_secret().to_owned();
    let (_, revoked) = block_on(scene.person(Role::Owner, ActionSet::ALL));
    let id = block_on(scene.authenticate(&revoked)).token_id().expect("an id");
    block_on(scene.revoke(id));
    let ci = block_on(scene.ci_token(AccessLevel::ReadWrite, Lane::main()));
    let login = block_on(scene.gate.log_in(scene.owner, NOW.into())).expect("a login");
    let unknown = block_on(Site::without_providers().world.scene.person(Role::Owner, ActionSet::ALL)).1;
    let mut typo = right.clone();
    typo.pop();
    let wrong = [
        String::new(),
        "x".to_owned(),
        typo,
        revoked.expose_secret().to_owned(),
        ci.expose_secret().to_owned(),
        unknown.expose_secret().to_owned(),
        login.session.token.expose_secret().to_owned(),
        login.refresh.token.expose_secret().to_owned(),
    ];
    let mut browser = site.browser();
    let form = browser.get("/login").form_token();
    let mut answers = Vec::new();
    for token in &wrong {
        let refused = browser.post("/login", &[("form_token", &form), ("token", token)]);
        assert_eq!(refused.told(), "401 wrong_token", "{token}");
        assert!(refused.header("www-authenticate").is_empty(), "no dialogue of the browser's own");
        assert!(token.is_empty() || !refused.text.contains(&format!("\"{token}\"")), "it is not sent back");
        answers.push(refused.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    for _ in wrong.len()..30 {
        browser.post("/login", &[("form_token", &form), ("token", "x")]);
    }
    let refused = browser.post("/login", &[("form_token", &form), ("token", "x")]);
    assert_eq!(refused.told(), "429 too_often");
    // Whoever holds a right one is not shut out by those who guess.
    assert_eq!(browser.post("/login", &[("form_token", &form), ("token", &right)]).status, 303);
    site.wait(60);
    assert_eq!(browser.post("/login", &[("form_token", &form), ("token", "x")]).told(), "401 wrong_token");
}

#[test]
fn a_browsers_session_is_no_credential_of_the_api() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let value = &browser.jar[SESSION];
    let whoami = |name: &str, value: String| {
        site.send(
            Request::get("/api/v1/whoami")
                .header(name, value)
                .body(axum::body::Body::empty())
                .expect("a request"),
        )
    };
    assert_eq!(whoami("authorization", format!("Bearer {value}")).status, 401);
    let by_cookie = whoami("cookie", format!("{SESSION}={value}"));
    assert!(
        !by_cookie.text.contains("00000") && by_cookie.json()["principal"]["type"] != json!("user"),
        "{}",
        by_cookie.text
    );
}

#[test]
fn nobody_signs_in_over_an_open_wire() {
    let site = block_on(Site::reached_at("http://cache.example"));
    let mut browser = site.browser();
    assert_eq!(browser.get("/login").told(), "403 not_encrypted");
    assert_eq!(browser.get("/login/corp").told(), "403 not_encrypted");
    let form = [("token", site.world.scene.administrator.expose_secret())];
    assert_eq!(browser.post_from("/login", &form, &[]).told(), "403 not_encrypted");
    // On the loopback there is nobody to listen.
    let site = block_on(Site::reached_at("http://127.0.0.1:8080"));
    let page = site.browser().get("/login");
    assert_eq!(page.status, 200);
    let line = page.cookies().first().copied().unwrap_or_default().to_owned();
    assert!(line.starts_with("cachegate-form=") && !line.contains("Secure"), "{line}");
}

#[test]
fn whoever_signs_in_has_an_organization_of_their_own_and_nobody_elses() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let user = browser.person().expect("signed in");
    let places = block_on(site.world.scene.storage.memberships(user)).expect("read");
    let [place] = &*places else { panic!("one place: {places:?}") };
    assert_ne!(place.member.organization, site.world.scene.organization);
    assert_eq!(place.member.role, Role::Owner);
}

#[test]
fn groups_that_are_cut_off_or_missing_let_nobody_in() {
    let admitting = |claims: serde_json::Value| {
        let world = block_on(World::with(|corp| corp.admit_groups(&["staff"]).group_cap(3), |github| github));
        let site = Site::over(world, true);
        let mut browser = site.browser();
        let mut person = ada();
        if !claims.is_null() {
            person["groups"] = claims;
        }
        let told = browser.sign_in(&person).told();
        (told, browser.person().is_some())
    };
    assert_eq!(admitting(json!(["staff"])), ("303".to_owned(), true));
    assert_eq!(admitting(json!(["guests"])), ("403 login_not_admitted".to_owned(), false));
    assert_eq!(admitting(json!(["staff", "a", "b"])), ("403 login_groups_unknown".to_owned(), false));
    assert_eq!(admitting(json!(null)), ("403 login_groups_unknown".to_owned(), false));
}

#[test]
fn other_methods_and_providers_that_are_not_there_are_told_so() {
    let site = Site::new();
    let mut browser = site.browser();
    assert_eq!(browser.get("/logout").status, 405);
    assert_eq!(browser.post("/login/corp", &[]).status, 405);
    assert_eq!(browser.get("/login/nobody").told(), "404 login_unknown_provider");
    assert_eq!(browser.get("/login/No%20Name").told(), "404 login_unknown_provider");
    assert_eq!(browser.get("/login/nobody/callback?code=x").told(), "404 login_unknown_provider");
    let from = [("origin", BASE)];
    assert_eq!(browser.post_from("/logout", &[], &from).status, 303, "nobody was signed in");
}
