//! People sign in by GitHub.

use cachegate_fetch::Response;
use cachegate_login::{Groups, Poll};
use cachegate_testkit::{NOW, block_on};
use serde_json::json;

use crate::github_site::{Person, ada};
use crate::support::{World, code, cookie, name, secret};

async fn sign_in(
    world: &World,
    person: &Person,
) -> Result<cachegate_login::SignedIn, cachegate_login::LoginError> {
    let begun = world.begin("github").await;
    let query = world.github.authorize(&begun.location, person);
    world.finish("github", &cookie(&begun), &query).await
}

#[test]
fn a_person_signs_in_by_github() {
    block_on(async {
        let world = World::with(|corp| corp, |github| github.read_organizations()).await;
        let first = sign_in(&world, &ada()).await.expect("signed in");
        assert!(first.is_new);
        assert_eq!((&*first.identity.issuer, &*first.identity.subject), ("https://github.com", "583231"));
        // An invitation that was not accepted is no membership.
        assert_eq!(first.identity.groups, Groups::Known([std::sync::Arc::from("9919")].into()));
        let again = sign_in(&world, &ada()).await.expect("signed in");
        assert_eq!((again.user, again.is_new), (first.user, false));
    });
}

#[test]
fn a_renamed_account_stays_and_a_re_registered_name_is_somebody_else() {
    block_on(async {
        let world = World::new().await;
        let before = sign_in(&world, &ada()).await.expect("signed in");
        let renamed = Person { login: "countess", ..ada() };
        assert_eq!(sign_in(&world, &renamed).await.expect("signed in").user, before.user);
        let squatter = Person { id: 9_000_001, ..ada() };
        let taken = sign_in(&world, &squatter).await.expect("signed in");
        assert_ne!(taken.user, before.user);
        assert!(taken.is_new);
    });
}

#[test]
fn a_token_of_another_application_is_no_login() {
    block_on(async {
        let world = World::new().await;
        // The token endpoint is made to hand out a token that another application was given.
        let stolen = world.github.token_of("Iv1.another", &ada());
        world.net.fail("https://github.com/login/oauth/access_token", move |_| {
            let answer = json!({ "access_token": stolen, "token_type": "bearer", "scope": "" });
            Ok(Response::new(200, answer.to_string()))
        });
        let acts = world.acts().await;
        assert_eq!(code(sign_in(&world, &ada()).await), "login_other_application");
        assert_eq!(world.acts().await, acts, "nothing was done");
    });
}

#[test]
fn only_active_members_of_an_admitted_organization_are_let_in() {
    block_on(async {
        let admitting = |id: u64| World::with(|corp| corp, move |github| github.admit_organizations(&[id]));
        assert!(sign_in(&admitting(9_919).await, &ada()).await.is_ok());
        assert_eq!(code(sign_in(&admitting(77).await, &ada()).await), "login_not_admitted");
        let hidden = admitting(9_919).await;
        *hidden.github.hides_organizations.lock().expect("whole") = true;
        assert_eq!(code(sign_in(&hidden, &ada()).await), "login_groups_unknown");
    });
}

#[test]
fn organizations_are_read_page_by_page_and_too_many_are_unknown() {
    block_on(async {
        let world = World::with(|corp| corp, |github| github.admit_organizations(&[250])).await;
        let member_of =
            |count: u64| Person { places: (1..=count).map(|id| (id, "active")).collect(), ..ada() };
        assert!(sign_in(&world, &member_of(250)).await.is_ok());
        assert_eq!(code(sign_in(&world, &member_of(249)).await), "login_not_admitted");
        assert_eq!(code(sign_in(&world, &member_of(1_000)).await), "login_groups_unknown");
    });
}

#[test]
fn a_terminal_signs_in_by_the_device_flow() {
    block_on(async {
        let world = World::with(|corp| corp, |github| github.allow_device_flow()).await;
        let github = name("github");
        let begun = world.login.begin_device(&github).await.expect("begun");
        assert_eq!(begun.verification_uri, "https://github.com/login/device");
        let poll = async || world.login.poll_device(&github, &begun.device_code, NOW.into()).await;
        assert!(matches!(poll().await, Ok(Poll::Pending)));
        world.github.approve(&begun.user_code, &ada());
        let Ok(Poll::Done(done)) = poll().await else { panic!("not signed in") };
        assert_eq!(&*done.identity.subject, "583231");
        // It gave its token once.
        let again = poll().await.expect_err("signed in twice");
        assert_eq!(again.to_string(), "the provider refused: `incorrect_device_code`");
    });
}

#[test]
fn the_device_flow_is_a_choice_and_leads_to_github_alone() {
    block_on(async {
        let world = World::new().await;
        let off = world.login.begin_device(&name("github")).await.expect_err("begun");
        assert_eq!(off.code(), "login_no_device_flow");
        let off = world.login.poll_device(&name("github"), &secret("x"), NOW.into()).await;
        assert_eq!(off.expect_err("asked").code(), "login_no_device_flow");
        let other = world.login.begin_device(&name("corp")).await.expect_err("begun");
        assert_eq!(other.code(), "login_no_device_flow");

        let world = World::with(|corp| corp, |github| github.allow_device_flow()).await;
        world.net.fail("https://github.com/login/device/code", |_| {
            let answer = json!({
                "device_code": "d", "user_code": "u", "expires_in": 900,
                "verification_uri": "https://github.com.evil.example/login/device",
            });
            Ok(Response::new(200, answer.to_string()))
        });
        let led = world.login.begin_device(&name("github")).await.expect_err("begun");
        assert_eq!(led.code(), "login_provider_garbage");
    });
}

#[test]
fn a_slower_pace_is_told_and_a_denial_is_final() {
    block_on(async {
        let world = World::with(|corp| corp, |github| github.allow_device_flow()).await;
        let said = |error: &'static str| {
            world.net.fail("https://github.com/login/oauth/access_token", move |_| {
                Ok(Response::new(200, json!({ "error": error, "interval": 10 }).to_string()))
            });
        };
        let ask = async || world.login.poll_device(&name("github"), &secret("d"), NOW.into()).await;
        said("slow_down");
        assert!(matches!(ask().await, Ok(Poll::SlowDown)));
        for error in ["access_denied", "expired_token"] {
            said(error);
            let refused = ask().await.expect_err("signed in");
            assert_eq!(refused.to_string(), format!("the provider refused: `{error}`"));
        }
    });
}
