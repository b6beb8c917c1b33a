//! A provider that is down, slow, or answers garbage lets nobody in and changes nothing.

use std::time::Duration;

use cachegate_fetch::{FetchError, Response};
use cachegate_testkit::NOW;
use cachegate_testkit::block_on;

use crate::oidc::ada;
use crate::support::{World, cookie, name};

type Fault = fn(Response) -> Result<Response, FetchError>;

const FAULTS: [(&str, Fault); 10] = [
    ("down", |_| {
        Err(FetchError::NotConnected { host: "corp.example".to_owned(), detail: "refused".to_owned() })
    }),
    ("slow", |_| Err(FetchError::TimedOut { limit: Duration::from_secs(5) })),
    ("a broken connection", |_| Err(FetchError::Broken { detail: "cut".to_owned() })),
    ("an error", |_| Ok(Response::new(500, "oops"))),
    ("too busy", |_| Ok(Response::new(429, "{}"))),
    ("a redirect", |_| Ok(Response::new(302, "").with_header("location", "https://evil.example/"))),
    ("a page", |_| Ok(Response::new(200, "<html>Sign in to the network</html>"))),
    ("nothing", |_| Ok(Response::new(200, ""))),
    ("half", |answer| {
        let half = answer.body().len() / 2;
        Ok(Response::new(200, answer.body().get(..half).unwrap_or_default()))
    }),
    ("a list", |_| Ok(Response::new(200, "[1,2,3]"))),
];

#[test]
fn a_failing_provider_of_openid_connect() {
    block_on(async {
        for url in [
            "https://corp.example/.well-known/openid-configuration",
            "https://corp.example/jwks",
            "https://corp.example/token",
        ] {
            for (what, fault) in FAULTS {
                let world = World::new().await;
                let acts = world.acts().await;
                world.net.fail(url, fault);
                let error = match world.login.begin(&name("corp"), None, NOW.into()).await {
                    Ok(begun) => {
                        let query = world.corp.authorize(&begun.location, &ada());
                        world.finish("corp", &cookie(&begun), &query).await.expect_err("signed in")
                    }
                    Err(error) => error,
                };
                assert!(error.is_unavailable(), "{url}, {what}: {error:?}");
                assert!(error.code().starts_with("login_provider_"), "{url}, {what}: {error:?}");
                assert_eq!(world.acts().await, acts, "{url}, {what}");
                // It recovers.
                world.net.mend();
                world.scene.clock.advance(Duration::from_secs(31));
                assert!(world.sign_in(&ada()).await.is_ok(), "{url}, {what}");
            }
        }
    });
}

#[test]
fn a_failing_github() {
    block_on(async {
        for url in [
            "https://github.com/login/oauth/access_token",
            "https://api.github.com/applications/Iv1.8a61f9b3a7aba766/token",
            "https://api.github.com/user/memberships/orgs?state=active&per_page=100&page=1",
        ] {
            for (what, fault) in FAULTS {
                let world = World::with(|corp| corp, |github| github.read_organizations()).await;
                let acts = world.acts().await;
                world.net.fail(url, fault);
                let begun = world.begin("github").await;
                let query = world.github.authorize(&begun.location, &crate::github_site::ada());
                let error = world.finish("github", &cookie(&begun), &query).await.expect_err("signed in");
                assert!(error.code().starts_with("login_provider_"), "{url}, {what}: {error:?}");
                assert_eq!(world.acts().await, acts, "{url}, {what}");
            }
        }
    });
}

#[test]
fn whoever_is_signed_in_stays_so_while_the_provider_is_down() {
    block_on(async {
        let world = World::new().await;
        let signed_in = world.sign_in(&ada()).await.expect("signed in");
        for url in ["https://corp.example/.well-known/openid-configuration", "https://corp.example/token"] {
            world.net.fail(url, |_| Err(FetchError::TimedOut { limit: Duration::from_secs(5) }));
        }
        let login = world.scene.gate.log_in(signed_in.user, NOW.into()).await.expect("a session");
        assert!(world.sign_in(&ada()).await.is_err());
        let session = world.scene.authenticate(&login.session.token).await;
        assert_eq!(*session.principal(), cachegate_types::Principal::User(signed_in.user));
    });
}

#[test]
fn a_failing_store_lets_nobody_in() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let query = world.corp.authorize(&begun.location, &ada());
        world.scene.faults.cut();
        let error = world.finish("corp", &cookie(&begun), &query).await.expect_err("signed in");
        assert_eq!((error.code(), error.is_unavailable()), ("login_store", true));
        // The attempt was not used up.
        world.scene.faults.mend();
        assert!(world.finish("corp", &cookie(&begun), &query).await.is_ok());
    });
}
