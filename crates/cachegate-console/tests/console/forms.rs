//! No form is taken that is not one of the console's own, in the session of who sends it.

use cachegate_console::forms;
use cachegate_http::browser::FORM_TOKEN;
use http::{StatusCode, header};

use crate::support::{ORIGIN, Site};

fn url(page: &str) -> String {
    match page {
        "account" => "/account".to_owned(),
        page => format!("/acme/settings?editview={page}&workspace=app"),
    }
}

#[test]
fn every_form_is_refused_without_the_token_of_its_session() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let other = site.owner().await;
        assert_ne!(owner.form_token, other.form_token);
        let mut tried = 0;
        for (page, act) in forms() {
            let url = url(page);
            for token in [None, Some(""), Some("x"), Some(other.form_token.as_str())] {
                let mut fields = vec![("act", act)];
                fields.extend(token.map(|token| (FORM_TOKEN, token)));
                let answer = owner.post_raw(&url, &fields, Some(ORIGIN)).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{page} {act} {token:?}");
                assert!(answer.text.contains("not sent from a page of yours"), "{page} {act}");
            }
            let own = [("act", act), (FORM_TOKEN, owner.form_token.as_str())];
            let elsewhere = owner.post_raw(&url, &own, Some("https://evil.example")).await;
            assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "{page} {act} from elsewhere");
            let known = owner.post_raw(&url, &own, Some(ORIGIN)).await;
            assert_ne!(known.status, StatusCode::FORBIDDEN, "{page} {act} with its own token");
            tried += 1;
        }
        assert!(tried > 15, "{tried} forms");
    });
}

#[test]
fn what_no_form_does_is_not_there() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        for page in ["account", "device-tokens", "audit"] {
            let answer = owner.post(&url(page), &[("act", "explode")]).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{page}");
        }
    });
}

#[test]
fn nobody_who_is_not_signed_in_sees_a_page() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let mut nobody = site.owner().await;
        for cookie in ["", "__Host-cachegate-session=cgb_nothing", "cachegate-session=x"] {
            nobody.cookie = cookie.to_owned();
            let answer = nobody.get("/acme/settings?editview=device-tokens").await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            assert_eq!(
                answer.header(header::LOCATION),
                "/login?return_to=%2Facme%2Fsettings%3Feditview%3Ddevice-tokens"
            );
            assert_eq!(answer.text, "");
        }
    });
}
