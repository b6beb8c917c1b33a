//! The attacks on login, as a browser and a stranger's page would make them.

use serde_json::json;

use crate::browser::{Browser, SESSION, Site, ada};
use crate::support::{CORP, OTHER, fields, query};

#[test]
fn open_redirect() {
    let site = Site::new();
    let mut browser = site.browser();
    let form = browser.get("/login").form_token();
    let token = site.world.scene.administrator.expose_secret().to_owned();
    for place in
        ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", "/\r\nx: y"]
    {
        let asked = query(&[("return_to", place)]);
        for path in [format!("/login?{asked}"), format!("/login/corp?{asked}")] {
            assert_eq!(browser.get(&path).told(), "400 login_return_target", "{path}");
        }
        let sent = browser.post("/login", &[("form_token", &form), ("token", &token), ("return_to", place)]);
        assert_eq!(sent.told(), "400 login_return_target", "{place:?}");
    }
    assert_eq!(browser.person(), None);
    // The place is the one that was checked at the beginning, whatever the answer says.
    let (_, back) = browser.answer_of("corp", &ada());
    let entered = browser.get(&format!("{back}&return_to=https%3A%2F%2Fevil.example"));
    assert_eq!(entered.location(), "/");
}

#[test]
fn session_fixation() {
    let site = Site::new();
    // The attacker's session and the attacker's attempt are planted in the victim's browser.
    let mut attacker = site.browser();
    attacker.sign_in(&json!({ "sub": "mallory" }));
    let (mallory, _) = attacker.found().expect("signed in");
    let (place, _) = attacker.answer_of("corp", &json!({ "sub": "mallory" }));
    let planted = attacker.jar.clone();
    let mut victim = Browser { site: &site, jar: planted.clone() };
    let answer = site.world.corp.authorize(&place, &ada());
    assert_eq!(victim.get(&format!("/login/corp/callback?{answer}")).location(), "/");
    let ada = victim.person().expect("signed in");
    assert_ne!(ada, mallory);
    // What was planted is worth nothing: neither the session, which has ended, nor the attempt, which is used up.
    let mut attacker = Browser { site: &site, jar: planted.clone() };
    assert_eq!(attacker.person(), None);
    assert_eq!(attacker.get(&format!("/login/corp/callback?{answer}")).told(), "400 login_finished");
    assert_eq!(attacker.person(), None);
    assert_ne!(victim.jar[SESSION], planted[SESSION]);
    // A value of the attacker's own making is no session either.
    for made_up in ["cgb_x", "x", &"A".repeat(75)] {
        victim.jar.insert(SESSION.to_owned(), made_up.to_owned());
        assert_eq!(victim.person(), None, "{made_up}");
    }
}

#[test]
fn code_injection() {
    let site = Site::new();
    let (mut victim, mut attacker) = (site.browser(), site.browser());
    let (_, stolen) = victim.answer_of("corp", &ada());
    let stolen = fields(stolen.split_once('?').expect("a query").1);
    let (_, own) = attacker.answer_of("corp", &json!({ "sub": "mallory" }));
    let own = fields(own.split_once('?').expect("a query").1);
    let injected = query(&[("code", &stolen["code"]), ("state", &own["state"]), ("iss", CORP)]);
    let refused = attacker.get(&format!("/login/corp/callback?{injected}"));
    assert_eq!(refused.told(), "400 login_refused");
    assert_eq!(attacker.person(), None);
}

#[test]
fn login_csrf() {
    let site = Site::new();
    let (mut victim, mut attacker) = (site.browser(), site.browser());
    let (_, answer) = attacker.answer_of("corp", &json!({ "sub": "mallory" }));
    assert_eq!(victim.get(&answer).told(), "400 login_no_attempt");
    let (_, own) = victim.answer_of("corp", &ada());
    assert_eq!(victim.get(&answer).told(), "400 login_state", "wrong state");
    assert_eq!(victim.person(), None);
    assert_eq!(victim.get(&own).status, 303, "which can still be finished");
    // By the form: another site's page, and one that does not know the browser's own cookie.
    let token = site.world.scene.administrator.expose_secret().to_owned();
    let attackers = attacker.get("/login").form_token();
    let mut victim = site.browser();
    for form in [None, Some(&*attackers), Some("")] {
        let mut pairs = vec![("token", &*token)];
        pairs.extend(form.map(|form| ("form_token", form)));
        assert_eq!(victim.post("/login", &pairs).told(), "403 form_token", "without a page of the site");
        victim.get("/login");
        assert_eq!(victim.post("/login", &pairs).told(), "403 form_token", "with another browser's");
        victim.jar.clear();
    }
    let own = victim.get("/login").form_token();
    let pairs = [("token", &*token), ("form_token", &own)];
    for from in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(victim.post_from("/login", &pairs, &[from]).told(), "403 another_origin", "{from:?}");
    }
    assert_eq!(victim.person(), None);
}

#[test]
fn forms_of_other_sites_do_nothing_in_a_persons_name() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&ada());
    let own = browser.get("/login").form_token();
    let mut other = site.browser();
    other.sign_in(&json!({ "sub": "mallory" }));
    let theirs = other.get("/login").form_token();
    let redirect = ("redirect_uri", "http://127.0.0.1:9789");
    for (path, more) in [
        ("/logout", vec![]),
        ("/turborepo/token", vec![redirect, ("decision", "approve")]),
        ("/activate", vec![("user_code", "BCDFG-HJKLM"), ("decision", "approve")]),
    ] {
        let with = |form: Option<&'static str>| {
            [more.clone(), form.map(|form| ("form_token", form)).into_iter().collect()].concat()
        };
        let code = |answer: &crate::browser::Answer| answer.status;
        assert_eq!(code(&browser.post(path, &with(None))), 403, "{path}: no token");
        assert_eq!(code(&browser.post(path, &with(Some("A")))), 403, "{path}: a made-up token");
        let pairs: Vec<_> = [more.clone(), vec![("form_token", &*theirs)]].concat();
        assert_eq!(code(&browser.post(path, &pairs)), 403, "{path}: another session's token");
        let pairs: Vec<_> = [more.clone(), vec![("form_token", &*own)]].concat();
        for from in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "same-site")]
        {
            assert_eq!(code(&browser.post_from(path, &pairs, &[from])), 403, "{path}: {from:?}");
        }
        assert!(browser.person().is_some(), "{path}");
    }
}

#[test]
fn wrong_nonce() {
    let site = Site::new();
    site.world.corp.change(|claims| claims["nonce"] = json!("another"));
    let mut browser = site.browser();
    assert_eq!(browser.sign_in(&ada()).told(), "400 login_nonce");
    assert_eq!(browser.person(), None);
}

#[test]
fn wrong_issuer() {
    let site = Site::new();
    let mut browser = site.browser();
    let (_, back) = browser.answer_of("corp", &ada());
    let elsewhere = back.replace("corp.example", "other.example");
    assert_eq!(browser.get(&elsewhere).told(), "400 login_issuer");
    site.world.corp.change(|claims| claims["iss"] = json!(OTHER));
    assert_eq!(browser.sign_in(&ada()).told(), "400 unknown_issuer");
    assert_eq!(browser.person(), None);
}

#[test]
fn mixed_up_providers() {
    let site = Site::new();
    let (mut honest, mut victim) = (site.browser(), site.browser());
    let (_, answer) = honest.answer_of("corp", &ada());
    let answer = fields(answer.split_once('?').expect("a query").1);
    let begun = victim.get("/login/other");
    let asked = fields(begun.location().split_once('?').expect("a query").1);
    let mixed = query(&[("code", &answer["code"]), ("state", &asked["state"]), ("iss", CORP)]);
    assert_eq!(victim.get(&format!("/login/corp/callback?{mixed}")).told(), "400 login_other_provider");
    assert_eq!(victim.get(&format!("/login/other/callback?{mixed}")).told(), "400 login_issuer");
    assert_eq!(site.world.net.count("https://other.example/token"), 0, "the attacker was not given the code");
    assert_eq!(victim.person(), None);
}

#[test]
fn account_takeover_by_mail_address() {
    let site = Site::new();
    let mut victim = site.browser();
    victim.sign_in(&ada());
    let mut claims = ada();
    claims["email"] = json!("ada@corp.example");
    claims["email_verified"] = json!(true);
    let mut attacker = site.browser();
    let (_, back) = attacker.answer_of("other", &claims);
    assert_eq!(attacker.get(&back).status, 303);
    assert_ne!(attacker.person().expect("signed in"), victim.person().expect("signed in"));
    claims["sub"] = json!("00u2mallory");
    attacker.sign_in(&claims);
    assert_ne!(attacker.person().expect("signed in"), victim.person().expect("signed in"));
}

#[test]
fn account_takeover_by_a_renamed_account() {
    let site = Site::new();
    let mut victim = site.browser();
    victim.sign_in(&ada());
    let before = victim.person().expect("signed in");
    victim.sign_in(
        &json!({ "sub": "00u1ada", "name": "Countess", "preferred_username": "countess@corp.example" }),
    );
    assert_eq!(victim.person(), Some(before));
    let mut squatter = ada();
    squatter["sub"] = json!("00u9mallory");
    let mut attacker = site.browser();
    attacker.sign_in(&squatter);
    assert_ne!(attacker.person().expect("signed in"), before);
}

#[test]
fn nothing_that_a_provider_says_is_markup() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.sign_in(&json!({ "sub": "1", "name": "<script>alert(1)</script>" }));
    let page = browser.get("/login?return_to=/%22%3E%3Cscript%3E");
    assert_eq!(page.told(), "400 login_return_target");
    let page = browser.get("/login");
    assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script"), "{}", page.text);
    let begun = browser.get("/login/corp");
    let state = fields(begun.location().split_once('?').expect("a query").1)["state"].clone();
    let said =
        query(&[("error", "<img src=x>"), ("error_description", "<b>"), ("state", &state), ("iss", CORP)]);
    let refused = browser.get(&format!("/login/corp/callback?{said}"));
    assert_eq!(refused.told(), "400 login_refused");
    assert!(!refused.text.contains("<img") && !refused.text.contains("<b>"), "{}", refused.text);
}
