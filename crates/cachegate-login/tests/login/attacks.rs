//! The attacks on login, one by one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{Description, Timestamp};
use serde_json::json;

use crate::oidc::ada;
use crate::support::{CORP, OTHER, World, code, cookie, fields, name, query};

fn without(query: &str, field: &str) -> String {
    let prefix = format!("{field}=");
    query.split('&').filter(|pair| !pair.starts_with(&prefix)).collect::<Vec<_>>().join("&")
}

#[test]
fn open_redirect() {
    block_on(async {
        let world = World::new().await;
        for place in ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil"]
        {
            let begun = world.login.begin(&name("corp"), Some(place), NOW.into()).await;
            assert_eq!(begun.expect_err("begun").code(), "login_return_target", "{place:?}");
        }
        // The place is the one that was checked when the login was begun, whatever the answer says.
        let begun = world.login.begin(&name("corp"), Some("/acme?a=b"), NOW.into()).await.expect("begun");
        let mut answer = world.corp.authorize(&begun.location, &ada());
        for field in ["return_to", "redirect_uri", "next"] {
            answer.push_str(&format!("&{field}=https%3A%2F%2Fevil.example"));
        }
        let signed_in = world.finish("corp", &cookie(&begun), &answer).await.expect("signed in");
        assert_eq!(signed_in.return_to, "/acme?a=b");
    });
}

#[test]
fn session_fixation() {
    block_on(async {
        let world = World::new().await;
        // The attacker begins, plants the cookie in the victim's browser, and the victim signs in.
        let planted = world.begin("corp").await;
        let answer = world.corp.authorize(&planted.location, &ada());
        let victim = world.finish("corp", &cookie(&planted), &answer).await.expect("signed in");
        // What the attacker knows from before is worth nothing after.
        assert_eq!(code(world.finish("corp", &cookie(&planted), &answer).await), "login_finished");
        let handle = cookie(&planted);
        let handle = handle.split_once('=').expect("a value").1.to_owned();
        let begin =
            || world.scene.gate.begin_browser_session(victim.user, Description::default(), NOW.into());
        let (session, again) = (begin().await.expect("a session"), begin().await.expect("a session"));
        assert!(!session.token.expose_secret().contains(&handle));
        assert_ne!(session.record.id, again.record.id);
    });
}

#[test]
fn code_injection() {
    block_on(async {
        let world = World::new().await;
        // The attacker has stolen the code of the victim's login, and puts it into a login of their own.
        let victim = world.begin("corp").await;
        let stolen = fields(&world.corp.authorize(&victim.location, &ada()));
        let attacker = world.begin("corp").await;
        let own = fields(&world.corp.authorize(&attacker.location, &json!({ "sub": "mallory" })));
        let injected = query(&[("code", &stolen["code"]), ("state", &own["state"]), ("iss", CORP)]);
        let refused = world.finish("corp", &cookie(&attacker), &injected).await.expect_err("signed in");
        assert_eq!(refused.to_string(), "the provider refused: `invalid_grant`");
    });
}

#[test]
fn code_injection_at_a_provider_that_forgets_the_code_challenge() {
    block_on(async {
        let world = World::new().await;
        world.corp.forget_pkce();
        let victim = world.begin("corp").await;
        let stolen = fields(&world.corp.authorize(&victim.location, &ada()));
        let attacker = world.begin("corp").await;
        let own = fields(attacker.location.split_once('?').expect("a query").1);
        let injected = query(&[("code", &stolen["code"]), ("state", &own["state"]), ("iss", CORP)]);
        assert_eq!(code(world.finish("corp", &cookie(&attacker), &injected).await), "login_nonce");
    });
}

#[test]
fn login_csrf() {
    block_on(async {
        let world = World::new().await;
        // The attacker signs in as themselves, and has the victim's browser open the answer.
        let attacker = world.begin("corp").await;
        let answer = world.corp.authorize(&attacker.location, &json!({ "sub": "mallory" }));
        assert_eq!(code(world.finish("corp", "", &answer).await), "login_no_attempt");
        // The victim's browser has begun a login of its own.
        let victim = world.begin("corp").await;
        assert_eq!(code(world.finish("corp", &cookie(&victim), &answer).await), "login_state");
        assert_eq!(
            code(world.finish("corp", &cookie(&victim), &without(&answer, "state")).await),
            "login_state"
        );
        // Which it can still finish.
        let own = world.corp.authorize(&victim.location, &ada());
        assert!(world.finish("corp", &cookie(&victim), &own).await.is_ok());
    });
}

#[test]
fn a_cookie_that_nobody_gave_is_no_login() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let answer = world.corp.authorize(&begun.location, &ada());
        let made_up = "A".repeat(43);
        for value in ["", "x", &made_up] {
            let cookie = format!("__Host-cachegate-login={value}");
            assert_eq!(code(world.finish("corp", &cookie, &answer).await), "login_no_attempt", "{value}");
        }
        let twice = format!("{}; __Host-cachegate-login={made_up}", cookie(&begun));
        assert_eq!(code(world.finish("corp", &twice, &answer).await), "login_malformed");
    });
}

#[test]
fn wrong_nonce() {
    block_on(async {
        for nonce in [json!("another"), json!(""), json!(7), json!(null)] {
            let world = World::new().await;
            let said = nonce.clone();
            world.corp.change(move |claims| claims["nonce"] = said.clone());
            assert_eq!(code(world.sign_in(&ada()).await), "login_nonce", "{nonce}");
        }
        let world = World::new().await;
        world.corp.change(|claims| {
            claims.as_object_mut().expect("claims").remove("nonce");
        });
        assert_eq!(code(world.sign_in(&ada()).await), "login_nonce");
    });
}

#[test]
fn wrong_issuer() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let answer = without(&world.corp.authorize(&begun.location, &ada()), "iss");
        // The provider says that it sends `iss` (RFC 9207), so that silence is somebody else's.
        assert_eq!(code(world.finish("corp", &cookie(&begun), &answer).await), "login_issuer");
        for issuer in [OTHER, "https://corp.example/", ""] {
            let answer = format!("{answer}&{}", query(&[("iss", issuer)]));
            assert_eq!(
                code(world.finish("corp", &cookie(&begun), &answer).await),
                "login_issuer",
                "{issuer}"
            );
        }
        // An ID token of another issuer, whose key happens to be trusted there.
        world.corp.change(|claims| claims["iss"] = json!(OTHER));
        assert_eq!(code(world.sign_in(&ada()).await), "unknown_issuer");
    });
}

#[test]
fn mixed_up_providers() {
    block_on(async {
        let world = World::new().await;
        // `other` is the attacker's: it sends the browser on to `corp`, to be given a code of `corp`.
        let begun = world.begin("other").await;
        let asked = fields(begun.location.split_once('?').expect("a query").1);
        assert_eq!(asked["redirect_uri"], "https://cache.example/login/other/callback");
        let honest = world.begin("corp").await;
        let answer = fields(&world.corp.authorize(&honest.location, &ada()));
        let mixed = query(&[("code", &answer["code"]), ("state", &asked["state"]), ("iss", CORP)]);
        assert_eq!(code(world.finish("corp", &cookie(&begun), &mixed).await), "login_other_provider");
        // At its own address the answer says that it comes from elsewhere.
        assert_eq!(code(world.finish("other", &cookie(&begun), &mixed).await), "login_issuer");
        assert_eq!(world.net.count("https://other.example/token"), 0, "the attacker was not given the code");
        assert_eq!(code(world.finish("nobody", &cookie(&begun), &mixed).await), "login_unknown_provider");
    });
}

#[test]
fn a_login_is_finished_once_and_within_ten_minutes() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let answer = world.corp.authorize(&begun.location, &ada());
        let late = Timestamp::from(NOW).saturating_add(Duration::from_secs(600));
        assert_eq!(code(world.finish_at("corp", &cookie(&begun), &answer, late).await), "login_expired");
        assert!(world.finish("corp", &cookie(&begun), &answer).await.is_ok());
        let acts = world.acts().await;
        assert_eq!(code(world.finish("corp", &cookie(&begun), &answer).await), "login_finished");
        assert_eq!(world.acts().await, acts);
    });
}

#[test]
fn a_parameter_that_comes_twice_is_refused() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let answer = world.corp.authorize(&begun.location, &ada());
        for field in ["code", "state", "iss", "error"] {
            let twice = format!("{answer}&{field}=x&{field}=x");
            assert_eq!(
                code(world.finish("corp", &cookie(&begun), &twice).await),
                "login_malformed",
                "{field}"
            );
        }
        let long = format!("{answer}&x={}", "a".repeat(8 * 1024));
        assert_eq!(code(world.finish("corp", &cookie(&begun), &long).await), "login_malformed");
    });
}

#[test]
fn a_refusal_is_told_in_letters_that_harm_no_page() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let state = fields(&world.corp.authorize(&begun.location, &ada()))["state"].clone();
        let said = query(&[("error", "access_denied<script>\r\n"), ("state", &state), ("iss", CORP)]);
        let refused = world.finish("corp", &cookie(&begun), &said).await.expect_err("signed in");
        assert_eq!(refused.to_string(), "the provider refused: `access_deniedscript`");
        assert_eq!(code(world.finish("corp", &cookie(&begun), &said).await), "login_finished");
    });
}

#[test]
fn rotated_keys() {
    block_on(async {
        let world = World::new().await;
        let before = world.sign_in(&ada()).await.expect("signed in");
        world.corp.issuer.rename_key("k2");
        // Whatever tokens come, the issuer is asked at most once in thirty seconds.
        assert!(world.sign_in(&ada()).await.is_err());
        world.scene.clock.advance(Duration::from_secs(31));
        assert_eq!(world.sign_in(&ada()).await.expect("signed in").user, before.user);
    });
}

#[test]
fn an_id_token_that_nobody_signed() {
    block_on(async {
        let world = World::new().await;
        for (forge, expected) in [
            ("eyJhbGciOiJub25lIn0.e30.AAAA", "unsupported_algorithm"),
            ("eyJhbGciOiJub25lIn0.e30.", "malformed"),
            ("not a token", "malformed"),
            ("", "malformed"),
        ] {
            world.net.fail("https://corp.example/token", move |_| {
                let answer = json!({ "access_token": "a", "token_type": "Bearer", "id_token": forge });
                Ok(cachegate_fetch::Response::new(200, answer.to_string()))
            });
            let acts = world.acts().await;
            let refused = world.sign_in(&ada()).await.expect_err("signed in");
            assert_eq!(refused.code(), expected, "{forge:?}: {refused}");
            assert_eq!(world.acts().await, acts);
        }
        // A signature that is right, over another text.
        world.net.fail("https://corp.example/token", |answer| {
            let mut answer: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
            let token = answer["id_token"].as_str().expect("a token").to_owned();
            let parts: Vec<&str> = token.split('.').collect();
            let [head, claims, signature] = &*parts else { panic!("three parts") };
            let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
            let claims = String::from_utf8(claims).expect("text").replace("00u1ada", "00u9eve");
            answer["id_token"] = json!(format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims)));
            Ok(cachegate_fetch::Response::new(200, answer.to_string()))
        });
        assert_eq!(code(world.sign_in(&ada()).await), "bad_signature");
    });
}
