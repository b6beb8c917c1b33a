//! OpenID Connect as it should go, and what each kind of provider is known for.

use std::time::Duration;

use cachegate_federation::{Issuer, IssuerTemplate};
use cachegate_login::{Groups, OidcBuilder, OidcKind, ProviderError};
use cachegate_testkit::{NOW, block_on};
use cachegate_types::Role;
use serde_json::{Value, json};

use crate::support::{CLIENT, CORP, OTHER, SECRET, World, code, cookie, fields, name, secret};

pub(crate) fn ada() -> Value {
    json!({ "sub": "00u1ada", "name": "Ada", "preferred_username": "ada@corp.example", "email": "ada@corp.example" })
}

#[test]
fn a_person_signs_in_and_has_a_personal_organization() {
    block_on(async {
        let world = World::new().await;
        let first = world.sign_in(&ada()).await.expect("signed in");
        assert!(first.is_new);
        assert_eq!((&*first.identity.issuer, &*first.identity.subject), (CORP, "00u1ada"));
        assert_eq!(first.identity.display.as_str(), "Ada");
        assert_eq!(first.return_to, "/");
        assert!(first.clear_cookie.contains("Max-Age=0"));

        let places = world.scene.storage.memberships(first.user).await.expect("read");
        let [place] = &*places else { panic!("one place, found {places:?}") };
        assert_eq!(place.member.role, Role::Owner);
        let own = world.scene.storage.organization(place.member.organization).await.expect("read");
        assert_eq!(own.expect("an organization").personal_of, Some(first.user));

        let acts = world.acts().await;
        let again = world.sign_in(&ada()).await.expect("signed in");
        assert_eq!((again.user, again.is_new), (first.user, false));
        assert_eq!(world.acts().await, acts, "nothing is made");
    });
}

#[test]
fn the_request_says_what_the_standards_ask_for() {
    block_on(async {
        let world = World::new().await;
        let begun = world.begin("corp").await;
        let (place, asked) = begun.location.split_once('?').expect("a query");
        let asked = fields(asked);
        assert_eq!(place, "https://corp.example/authorize");
        assert_eq!(asked["scope"], "openid profile");
        assert_eq!(asked["redirect_uri"], "https://cache.example/login/corp/callback");
        for random in ["state", "nonce", "code_challenge"] {
            assert_eq!(asked[random].len(), 43, "{random}");
        }
        // Nothing of the cookie is seen by the provider.
        let cookie = cookie(&begun);
        let handle = cookie.split_once('=').expect("a value").1;
        assert!(!begun.location.contains(handle));
        // What is kept here gives nobody a login.
        let shown = format!("{begun:?}");
        assert!(!shown.contains(handle), "{shown}");
    });
}

#[test]
fn a_login_is_awaited_on_any_thread() {
    fn is_send(_: &impl Send) {}
    block_on(async {
        let (world, corp) = (World::new().await, name("corp"));
        let login = &world.login;
        is_send(&login.begin(&corp, None, NOW.into()));
        is_send(&login.finish(&corp, vec!["a=b"], "", NOW.into()));
        is_send(&login.begin_device(&corp));
        is_send(&login.poll_device(&corp, &secret("d"), NOW.into()));
        fn is_shared(_: &(impl Send + Sync)) {}
        is_shared(login);
    });
}

#[test]
fn discovery_is_asked_once_and_held_on_while_it_fails() {
    block_on(async {
        let world = World::new().await;
        let document = "https://corp.example/.well-known/openid-configuration";
        for _ in 0..3 {
            world.begin("corp").await;
        }
        assert_eq!(world.net.count(document), 1);
        world.net.fail(document, |_| Ok(cachegate_fetch::Response::new(503, "")));
        world.scene.clock.advance(Duration::from_secs(2 * 3600));
        for _ in 0..3 {
            world.begin("corp").await;
        }
        assert_eq!(world.net.count(document), 2, "one that fails is left alone for a while");
        world.scene.clock.advance(Duration::from_secs(24 * 3600));
        let stale = world.login.begin(&name("corp"), None, NOW.into()).await;
        assert_eq!(stale.expect_err("begun").code(), "login_provider_status");
        let again = world.login.begin(&name("corp"), None, NOW.into()).await;
        assert_eq!(again.expect_err("begun").code(), "login_provider_failing");
    });
}

#[test]
fn discovery_that_leads_elsewhere_is_not_followed() {
    block_on(async {
        for (member, value) in [
            ("issuer", json!("https://evil.example")),
            ("issuer", json!("https://corp.example/")),
            ("token_endpoint", json!("https://evil.example/token")),
            ("token_endpoint", json!("http://corp.example/token")),
            ("authorization_endpoint", json!("https://corp.example:8443/authorize")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("code_challenge_methods_supported", json!(["plain"])),
        ] {
            let world = World::new().await;
            let said = value.clone();
            world.corp.document(move |document| document[member] = said.clone());
            let error = world.login.begin(&name("corp"), None, NOW.into()).await.expect_err("begun");
            assert_eq!(error.code(), "login_provider_garbage", "{member} {value}: {error}");
        }
        // Whoever has endpoints at another host says so in the configuration.
        let world = World::with(
            |corp| corp.endpoints("https://corp.example/authorize", "https://corp.example/token"),
            |github| github,
        );
        let world = world.await;
        world.corp.document(|document| document["token_endpoint"] = json!("https://evil.example/token"));
        assert!(world.sign_in(&ada()).await.is_ok());
    });
}

#[test]
fn an_id_token_is_for_this_application_alone() {
    block_on(async {
        for (claim, value, expected) in [
            ("aud", json!("another-client"), "audience_mismatch"),
            ("aud", json!([CLIENT, "another-client"]), "audience_not_sole"),
            ("azp", json!("another-client"), "login_authorized_party"),
            ("azp", json!(7), "login_authorized_party"),
            ("iss", json!(OTHER), "unknown_issuer"),
            ("iss", json!("https://corp.example/"), "unknown_issuer"),
            ("exp", json!(NOW + 3601), "lifetime_too_long"),
            ("sub", json!(""), "claim_out_of_range"),
        ] {
            let world = World::new().await;
            let said = value.clone();
            world.corp.change(move |claims| claims[claim] = said.clone());
            let acts = world.acts().await;
            assert_eq!(code(world.sign_in(&ada()).await), expected, "{claim} {value}");
            assert_eq!(world.acts().await, acts, "nothing was done");
        }
        let world = World::new().await;
        world.corp.change(|claims| {
            claims["iat"] = json!(NOW - 600);
            claims["exp"] = json!(NOW - 31);
        });
        assert_eq!(code(world.sign_in(&ada()).await), "expired");
        world.corp.change(|claims| {
            claims["iat"] = json!(NOW - 631);
            claims["exp"] = json!(NOW + 60);
        });
        assert_eq!(code(world.sign_in(&ada()).await), "too_old");
        world.corp.change(|claims| claims["azp"] = json!(CLIENT));
        assert!(world.sign_in(&ada()).await.is_ok());
    });
}

#[test]
fn a_person_who_authenticated_long_ago_does_so_again() {
    block_on(async {
        let world = World::with(|corp| corp.max_age(Duration::from_secs(600)), |github| github).await;
        let begun = world.begin("corp").await;
        assert!(begun.location.contains("max_age=600"));
        for (said, expected) in [(json!(NOW - 600), None), (json!(NOW - 631), Some("login_auth_time"))] {
            world.corp.change(move |claims| claims["auth_time"] = said.clone());
            assert_eq!(world.sign_in(&ada()).await.err().map(|error| error.code()), expected);
        }
        world.corp.change(|_| {});
        assert_eq!(code(world.sign_in(&ada()).await), "login_auth_time", "silence is no answer");
    });
}

#[test]
fn groups_that_are_cut_off_or_missing_let_nobody_in() {
    block_on(async {
        let world = World::with(|corp| corp.admit_groups(&["staff"]), |github| github).await;
        let of = |groups: Value| {
            let mut claims = ada();
            claims["groups"] = groups;
            claims
        };
        assert!(world.sign_in(&of(json!(["staff", "all"]))).await.is_ok());
        assert_eq!(code(world.sign_in(&of(json!(["all"]))).await), "login_not_admitted");
        assert_eq!(code(world.sign_in(&ada()).await), "login_groups_unknown");
        // As many as Okta lists at most, `staff` among them: whoever is in more may not be told apart.
        let many: Vec<_> = (0..99).map(|number| format!("g{number}")).chain(["staff".to_owned()]).collect();
        assert_eq!(code(world.sign_in(&of(json!(many))).await), "login_groups_unknown");
    });
}

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const ELSEWHERE: &str = "99998888-0000-cccc-1111-dddd2222eeee";
const OBJECT: &str = "bbbbcccc-1111-dddd-2222-eeee3333ffff";
const MICROSOFT: &str = "https://login.microsoftonline.com";

/// As Entra's ID tokens are.
fn person(tenant: &str) -> Value {
    json!({
        "iss": format!("{MICROSOFT}/{tenant}/v2.0"), "tid": tenant, "oid": OBJECT, "sub": "pairwise-1", "ver": "2.0",
        "name": "Ada", "preferred_username": "ada@corp.example", "email": "ada@corp.example", "uti": "u1", "rh": "0.",
    })
}

/// Entra, which has one document and one set of endpoints for all tenants.
async fn entra(tenants: &[&str], change: impl FnOnce(OidcBuilder) -> OidcBuilder) -> World {
    let builder = |id: &str, kind, issuer: Issuer| {
        OidcBuilder::new(name(id), kind, issuer, CLIENT).client_secret(secret(SECRET))
    };
    let issuer = IssuerTemplate {
        template: format!("{MICROSOFT}/{{tenantid}}/v2.0"),
        tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
    };
    let corp = change(builder("corp", OidcKind::Entra, Issuer::Template(issuer)));
    let other = builder("other", OidcKind::Standard, OTHER.into());
    let world = World::of(corp, &format!("{MICROSOFT}/organizations/v2.0"), |github| github, other).await;
    world.corp.document(|document| {
        document["issuer"] = json!(format!("{MICROSOFT}/{{tenantid}}/v2.0"));
        // Entra does not say where its answers come from, nor that it takes code challenges.
        document["authorization_response_iss_parameter_supported"] = json!(false);
        document["code_challenge_methods_supported"] = json!(null);
    });
    world
}

async fn at_entra(
    world: &World,
    claims: &Value,
) -> Result<cachegate_login::SignedIn, cachegate_login::LoginError> {
    let begun = world.begin("corp").await;
    let query = world.corp.authorize(&begun.location, claims);
    let query: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("iss=")).collect();
    world.finish("corp", &cookie(&begun), &query.join("&")).await
}

#[test]
fn a_person_of_entra_is_the_object_in_the_tenant() {
    block_on(async {
        let world = entra(&[TENANT, ELSEWHERE], |corp| corp).await;
        let first = at_entra(&world, &person(TENANT)).await.expect("signed in");
        assert_eq!(*first.identity.issuer, format!("{MICROSOFT}/{TENANT}/v2.0"));
        assert_eq!(&*first.identity.subject, OBJECT);
        // `sub` is another one for each application, names and addresses are handed on: neither is who it is.
        let mut renamed = person(TENANT);
        for claim in ["sub", "preferred_username", "email", "name"] {
            renamed[claim] = json!("something else");
        }
        assert_eq!(at_entra(&world, &renamed).await.expect("signed in").user, first.user);
        // The same object id in another tenant is somebody else.
        assert_ne!(at_entra(&world, &person(ELSEWHERE)).await.expect("signed in").user, first.user);
    });
}

#[test]
fn a_tenant_of_entra_speaks_for_itself_alone() {
    block_on(async {
        let world = entra(&[TENANT], |corp| corp).await;
        assert_eq!(code(at_entra(&world, &person(ELSEWHERE)).await), "unknown_issuer");
        let mut lent = person(TENANT);
        lent["tid"] = json!(ELSEWHERE);
        assert_eq!(code(at_entra(&world, &lent).await), "tenant_mismatch");
        for claim in ["tid", "oid"] {
            let mut without = person(TENANT);
            without.as_object_mut().expect("claims").remove(claim);
            let refused = code(at_entra(&world, &without).await);
            assert!(["tenant_mismatch", "login_no_identity"].contains(&refused), "{claim}: {refused}");
        }
    });
}

#[test]
fn groups_of_entra_beyond_its_limit_are_unknown_and_never_fetched() {
    block_on(async {
        let world = entra(&[TENANT], |corp| corp.admit_groups(&["g-1"])).await;
        let mut overage = person(TENANT);
        overage["_claim_names"] = json!({ "groups": "src1" });
        overage["_claim_sources"] =
            json!({ "src1": { "endpoint": "https://evil.example/getMemberObjects" } });
        assert_eq!(code(at_entra(&world, &overage).await), "login_groups_unknown");
        assert_eq!(world.net.count("https://evil.example/getMemberObjects"), 0);
        let mut marked = person(TENANT);
        marked["hasgroups"] = json!(true);
        assert_eq!(code(at_entra(&world, &marked).await), "login_groups_unknown");
        let mut listed = person(TENANT);
        listed["groups"] = json!(["g-1"]);
        let signed_in = at_entra(&world, &listed).await.expect("signed in");
        assert_eq!(signed_in.identity.groups, Groups::Known([std::sync::Arc::from("g-1")].into()));
    });
}

#[test]
fn anyones_microsoft_accounts_are_no_tenant() {
    let of = |issuer: &str, kind| OidcBuilder::new(name("entra"), kind, issuer, CLIENT).build();
    let refused =
        |outcome: Result<cachegate_login::Provider, ProviderError>| outcome.expect_err("built").code();
    for tenant in ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"] {
        let issuer = format!("{MICROSOFT}/{tenant}/v2.0");
        assert_eq!(refused(of(&issuer, OidcKind::Entra)), "anchor_issuer", "{tenant}");
    }
    let issuer = format!("{MICROSOFT}/{TENANT}/v2.0");
    assert_eq!(refused(of(&issuer, OidcKind::Standard)), "provider_is_entra");
    assert!(of(&issuer, OidcKind::Entra).is_ok());
}

#[test]
fn a_person_of_okta_is_the_user_id() {
    block_on(async {
        let builder = |id: &str, kind, url: &str| {
            OidcBuilder::new(name(id), kind, url, CLIENT).client_secret(secret(SECRET))
        };
        let corp = builder("corp", OidcKind::Okta, CORP);
        let world = World::of(corp, CORP, |github| github, builder("other", OidcKind::Standard, OTHER)).await;
        let mut claims = ada();
        claims["jti"] = json!("ID.4b2f");
        claims["ver"] = json!(1);
        claims["amr"] = json!(["pwd"]);
        let first = world.sign_in(&claims).await.expect("signed in");
        assert_eq!(&*first.identity.subject, "00u1ada");
        claims["preferred_username"] = json!("countess@corp.example");
        claims["jti"] = json!("ID.5c3a");
        assert_eq!(world.sign_in(&claims).await.expect("signed in").user, first.user);
    });
}
