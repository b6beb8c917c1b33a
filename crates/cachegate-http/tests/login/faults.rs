//! A provider or a store that fails: nobody who was in is locked out, and nobody who was out is let in.

use std::time::Duration;

use cachegate_fetch::{FetchError, Response};

use crate::browser::{Site, ada};

type Fault = fn(Response) -> Result<Response, FetchError>;

const FAULTS: [(&str, Fault); 7] = [
    ("down", |_| {
        Err(FetchError::NotConnected { host: "corp.example".to_owned(), detail: "refused".to_owned() })
    }),
    ("slow", |_| Err(FetchError::TimedOut { limit: Duration::from_secs(5) })),
    ("an error", |_| Ok(Response::new(500, "oops"))),
    ("too busy", |_| Ok(Response::new(429, "{}"))),
    ("a redirect", |_| Ok(Response::new(302, "").with_header("location", "https://evil.example/"))),
    ("a page", |_| Ok(Response::new(200, "<html>Sign in to the network</html>"))),
    ("nothing", |_| Ok(Response::new(200, ""))),
];

#[test]
fn a_provider_that_fails_lets_nobody_in_and_locks_nobody_out() {
    for (what, fault) in FAULTS {
        for place in ["/.well-known/openid-configuration", "/token", "/jwks"] {
            let site = Site::new();
            let mut inside = site.browser();
            inside.sign_in(&ada());
            // Another site that has not met the provider yet.
            let fresh = Site::new();
            fresh.world.net.fail(&format!("https://corp.example{place}"), fault);
            site.world.net.fail(&format!("https://corp.example{place}"), fault);
            let mut outside = fresh.browser();
            let begun = outside.get("/login/corp");
            let refused = match begun.status {
                303 => {
                    let answer = fresh.world.corp.authorize(begun.location(), &ada());
                    outside.get(&format!("/login/corp/callback?{answer}"))
                }
                _ => begun,
            };
            assert_eq!(refused.status, 503, "{what} at {place}: {}", refused.told());
            assert_eq!(outside.person(), None, "{what} at {place}");
            assert!(inside.person().is_some(), "{what} at {place}");
            assert_eq!(inside.get("/login").status, 200, "{what} at {place}");
            // Mended, they get in.
            fresh.world.net.mend();
            fresh.world.scene.clock.advance(Duration::from_secs(31));
            assert_eq!(outside.sign_in(&ada()).status, 303, "{what} at {place}");
        }
    }
}

#[test]
fn a_store_that_does_not_answer_lets_nobody_in_and_ends_no_session() {
    let site = Site::new();
    let (mut inside, mut outside) = (site.browser(), site.browser());
    inside.sign_in(&ada());
    let (_, answer) = outside.answer_of("corp", &ada());
    let form = inside.get("/login").form_token();
    let own = outside.get("/login").form_token();
    site.world.scene.faults.cut();
    assert_eq!(outside.get(&answer).told(), "503 login_store");
    assert_eq!(outside.get("/login/corp").told(), "503 login_store");
    assert_eq!(inside.get("/login").told(), "503 store_unavailable");
    assert_eq!(inside.post("/logout", &[("form_token", &form)]).told(), "503 store_unavailable");
    let token = site.world.scene.administrator.expose_secret();
    let refused = outside.post("/login", &[("form_token", &own), ("token", token)]);
    assert_eq!(refused.status, 503, "{}", refused.told());
    site.world.scene.faults.mend();
    assert!(inside.person().is_some(), "whoever was in still is");
    assert_eq!(outside.person(), None);
    assert_eq!(outside.get(&answer).status, 303, "the attempt was not used up");
}

#[test]
fn a_login_that_is_cut_off_anywhere_lets_nobody_in_by_half() {
    let (mut cut, mut finished) = (0, false);
    while !finished {
        let site = Site::new();
        let mut browser = site.browser();
        let (_, back) = browser.answer_of("corp", &ada());
        site.world.scene.faults.cut_after(cut);
        let answer = browser.get(&back);
        site.world.scene.faults.mend();
        finished = answer.status == 303;
        assert!(finished || answer.status == 503, "after {cut} calls: {}", answer.told());
        assert_eq!(browser.person().is_some(), finished, "after {cut} calls");
        cut += 1;
    }
    assert!(cut > 10, "only {cut} calls were cut");
}
