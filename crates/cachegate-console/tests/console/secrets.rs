//! Tokens and cookies stay where they belong.

use cachegate::DeviceAccess;
use cachegate_http::browser::Sessions;
use cachegate_testkit::NOW;
use http::{StatusCode, header};

use crate::support::{Answer, Site, VIEWS};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

fn is_dressed(answer: &Answer, what: &str) {
    assert_eq!(answer.header(header::CONTENT_SECURITY_POLICY), POLICY, "{what}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{what}");
    assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{what}");
    assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY", "{what}");
    assert_eq!(answer.header(header::REFERRER_POLICY), "same-origin", "{what}");
    for inline in [" style=", "<style", " onclick=", "javascript:", "<script>", "http://", "//cdn"] {
        assert!(!answer.text.contains(inline), "{what} has {inline}");
    }
    assert_eq!(answer.text.matches("<script").count(), usize::from(!answer.text.is_empty()), "{what}");
}

#[test]
fn every_page_lets_nothing_in_from_elsewhere_and_is_kept_by_nobody() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (owner, stranger) = (site.owner().await, site.stranger().await);
        let token = site.scene.device(DeviceAccess::Normal).await.record.id;
        let mut urls = vec!["/".to_owned(), "/account".to_owned(), "/account?new=personal".to_owned()];
        urls.extend(VIEWS.map(|view| format!("/acme/settings?editview={view}&workspace=app")));
        urls.extend(
            ["normal", "resolve-only"]
                .map(|kind| format!("/acme/settings?editview=device-tokens&new={kind}")),
        );
        urls.push("/acme/settings?editview=ci-tokens&workspace=app&new=ci".to_owned());
        urls.push(format!("/acme/settings?editview=device-tokens&token={token}"));
        for url in &urls {
            let answer = owner.get(url).await;
            assert_eq!(answer.status, StatusCode::OK, "{url}");
            is_dressed(&answer, url);
            is_dressed(&stranger.get(url).await, url);
        }
        for (page, act) in cachegate_console::forms() {
            let url = if page == "account" {
                "/account".to_owned()
            } else {
                format!("/acme/settings?editview={page}&workspace=app")
            };
            let what = format!("{page} {act}");
            is_dressed(&owner.post(&url, &[("act", act)]).await, &what);
            is_dressed(&owner.post_raw(&url, &[("act", act)], None).await, &what);
        }
    });
}

#[test]
fn a_token_in_an_address_is_refused_and_not_repeated() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let token = site.scene.administrator.expose_secret();
        for url in [
            format!("/?after={token}"),
            format!("/acme/settings?editview=explain&workspace=app&decision={token}"),
            format!("/{token}/settings"),
        ] {
            let answer = owner.get(&url).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert!(!answer.text.contains(token));
        }
    });
}

#[test]
fn a_made_token_is_in_the_answer_that_made_it_and_nowhere_else() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let url = "/acme/settings?editview=ci-tokens&workspace=app";
        let fields = [
            ("act", "create"),
            ("new", "ci"),
            ("description", "trunk"),
            ("level", "read-write"),
            ("lane", "main"),
            ("days", "7"),
        ];
        let made = owner.post(url, &fields).await;
        assert_eq!(made.status, StatusCode::OK);
        let token = made.between("class=\"secret\" readonly value=\"", "\"").to_owned();
        assert!(token.starts_with("cgc_"));
        for (name, value) in &made.headers {
            assert!(!value.to_str().unwrap_or_default().contains(&token), "{name}");
        }
        for link in made.text.split("href=\"").skip(1).chain(made.text.split("action=\"").skip(1)) {
            assert!(!link.split('"').next().unwrap_or_default().contains(&token), "{link}");
        }
        let id = made.between("<dt>Id</dt><dd><code>", "<").to_owned();
        for view in VIEWS {
            let answer = owner.get(&format!("/acme/settings?editview={view}&workspace=app")).await;
            assert!(!answer.text.contains(&token), "{view}");
        }
        assert!(!owner.get(&format!("{url}&token={id}")).await.text.contains(&token));
        let kept = format!("{:?}", site.scene.storage.audit(0, 1000).await.expect("the audit"));
        assert!(!kept.contains(&token) && kept.contains(&id));
        assert!(!format!("{:?}", site.scene.recorder.take()).contains(&token));
    });
}

#[test]
fn the_sessions_cookie_is_kept_from_scripts_other_sites_and_open_wires() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let who = site.scene.administrator().await;
        let gate = &site.scene.gate;
        let begun = gate.exchange_for_browser_session(&who, Default::default(), NOW.into()).await;
        let line = Sessions::new(gate.clone()).set_cookie(&begun.expect("a session"));
        let line = line.to_str().expect("text").to_owned();
        assert!(line.starts_with("__Host-"));
        for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
            assert!(line.contains(attribute), "{attribute}");
        }
    });
}
