//! GitHub, played by its documented answers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cachegate_fetch::{Request, Response};
use cachegate_login::{Groups, Poll};
use cachegate_testkit::{NOW, block_on};
use cachegate_types::SecretText;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::{World, code, cookie, fields, name, query, secret};

pub(crate) const CLIENT: &str = "Iv1.8a61f9b3a7aba766";
pub(crate) const SECRET: &str = "github-secret";

/// The person, as GitHub's user resource has them.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) login: &'static str,
    /// Organizations by id and state of the membership.
    pub(crate) places: Vec<(u64, &'static str)>,
}

pub(crate) fn ada() -> Person {
    Person { id: 583_231, login: "ada", places: vec![(9_919, "active"), (77, "pending")] }
}

#[derive(Default)]
pub(crate) struct Github {
    /// Codes and device codes with their challenge, and whose they are.
    codes: Mutex<BTreeMap<String, (String, Option<Person>)>>,
    /// Tokens: of which application, and whose.
    tokens: Mutex<BTreeMap<String, (String, Person)>>,
    pub(crate) hides_organizations: Mutex<bool>,
}

impl Github {
    pub(crate) fn authorize(&self, location: &str, person: &Person) -> String {
        let (place, asked) = location.split_once('?').expect("a query");
        assert_eq!(place, "https://github.com/login/oauth/authorize");
        let asked = fields(asked);
        assert_eq!((&*asked["client_id"], &*asked["code_challenge_method"]), (CLIENT, "S256"));
        assert_eq!(asked["redirect_uri"], "https://cache.example/login/github/callback");
        let mut codes = self.codes.lock().expect("whole");
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (asked["code_challenge"].clone(), Some(person.clone())));
        query(&[("code", &code), ("state", &asked["state"])])
    }

    /// The person types the code that a terminal shows.
    pub(crate) fn approve(&self, user_code: &str, person: &Person) {
        let mut codes = self.codes.lock().expect("whole");
        let device = codes.get_mut(&format!("device-{user_code}")).expect("a device code");
        device.1 = Some(person.clone());
    }

    /// A token that GitHub gave to this application.
    pub(crate) fn token_of(&self, client: &str, person: &Person) -> String {
        let mut tokens = self.tokens.lock().expect("whole");
        let token = format!("gho_{}", tokens.len());
        tokens.insert(token.clone(), (client.to_owned(), person.clone()));
        token
    }

    pub(crate) fn answer(&self, request: &Request) -> Option<Response> {
        let url = request.url().as_str();
        let body = request.body().map_or("", SecretText::expose_secret);
        let ok = |value: &Value| Some(Response::new(200, value.to_string()));
        let header = |wanted: &str| {
            let found = request.headers().iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.expose_secret().to_owned()).unwrap_or_default()
        };
        if url.starts_with("https://api.github.com/") {
            assert_eq!(header("user-agent"), "cachegate", "GitHub refuses who does not say who asks");
        }
        match url {
            "https://github.com/login/oauth/access_token" => {
                // A form comes back unless JSON is asked for.
                assert_eq!(header("accept"), "application/json");
                ok(&self.exchange(&fields(body)))
            }
            "https://github.com/login/device/code" => {
                let mut codes = self.codes.lock().expect("whole");
                let user_code = format!("WDJB-{:04}", codes.len());
                let device_code = format!("device-{user_code}");
                codes.insert(device_code.clone(), (String::new(), None));
                ok(&json!({
                    "device_code": device_code, "user_code": user_code, "expires_in": 900, "interval": 5,
                    "verification_uri": "https://github.com/login/device",
                }))
            }
            "https://api.github.com/applications/Iv1.8a61f9b3a7aba766/token" => {
                let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
                if header("authorization") != basic {
                    return Some(Response::new(401, r#"{"message":"Bad credentials"}"#));
                }
                let asked: Value = serde_json::from_str(body).expect("JSON");
                let tokens = self.tokens.lock().expect("whole");
                match tokens.get(asked["access_token"].as_str().unwrap_or_default()) {
                    Some((client, person)) if client == CLIENT => ok(&json!({
                        "id": 1, "token": asked["access_token"], "scopes": ["read:org"],
                        "app": { "client_id": client, "name": "cache", "url": "https://cache.example" },
                        "user": { "login": person.login, "id": person.id, "type": "User", "site_admin": false },
                    })),
                    _ => Some(Response::new(404, r#"{"message":"Not Found"}"#)),
                }
            }
            _ => {
                let page = url.strip_prefix("https://api.github.com/user/memberships/orgs?")?;
                let page: usize = fields(page)["page"].parse().expect("a page");
                if *self.hides_organizations.lock().expect("whole") {
                    return Some(Response::new(403, r#"{"message":"Resource not accessible"}"#));
                }
                let tokens = self.tokens.lock().expect("whole");
                let bearer = header("authorization");
                let (_, person) = tokens.get(bearer.strip_prefix("Bearer ")?)?;
                let places = person.places.iter().skip((page - 1) * 100).take(100).map(|(id, state)| {
                    json!({ "state": state, "role": "member", "organization": { "id": id, "login": "an-org" } })
                });
                ok(&places.collect::<Vec<_>>().into())
            }
        }
    }

    /// Errors come with the status 200.
    fn exchange(&self, asked: &BTreeMap<String, String>) -> Value {
        let of = |field: &str| asked.get(field).cloned().unwrap_or_default();
        let refused = |error: &str| json!({ "error": error, "error_description": "…" });
        let is_device = of("grant_type").ends_with("device_code");
        if !is_device && (of("client_id") != CLIENT || of("client_secret") != SECRET) {
            return refused("incorrect_client_credentials");
        }
        let code = if is_device { of("device_code") } else { of("code") };
        let mut codes = self.codes.lock().expect("whole");
        match codes.get(&code) {
            None if is_device => return refused("incorrect_device_code"),
            None => return refused("bad_verification_code"),
            Some((_, None)) => return refused("authorization_pending"),
            Some((challenge, _)) => {
                let verifier = URL_SAFE_NO_PAD.encode(digest(&SHA256, of("code_verifier").as_bytes()));
                if !is_device && *challenge != verifier {
                    return refused("bad_verification_code");
                }
            }
        }
        let (_, person) = codes.remove(&code).expect("a code");
        let token = self.token_of(CLIENT, &person.expect("a person"));
        json!({ "access_token": token, "token_type": "bearer", "scope": "read:org" })
    }
}

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
