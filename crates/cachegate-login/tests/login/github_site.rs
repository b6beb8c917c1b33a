//! GitHub, played by its documented answers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cachegate_fetch::{Request, Response};
use cachegate_types::SecretText;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::{fields, query};

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

pub(crate) struct Github {
    /// Its pages, its API, and the application that signs people in by it.
    web: String,
    api: String,
    base: String,
    /// Codes and device codes with their challenge, and whose they are.
    codes: Mutex<BTreeMap<String, (String, Option<Person>)>>,
    /// Tokens: of which application, and whose.
    tokens: Mutex<BTreeMap<String, (String, Person)>>,
    pub(crate) hides_organizations: Mutex<bool>,
}

impl Github {
    pub(crate) fn new(web: &str, api: &str, base: &str) -> Self {
        let [web, api, base] = [web, api, base].map(str::to_owned);
        let (codes, tokens, hides_organizations) = Default::default();
        Self { web, api, base, codes, tokens, hides_organizations }
    }

    pub(crate) fn authorize(&self, location: &str, person: &Person) -> String {
        let (place, asked) = location.split_once('?').expect("a query");
        assert_eq!(place, format!("{}/login/oauth/authorize", self.web));
        let asked = fields(asked);
        assert_eq!((&*asked["client_id"], &*asked["code_challenge_method"]), (CLIENT, "S256"));
        assert_eq!(asked["redirect_uri"], format!("{}/login/github/callback", self.base));
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
        let (web, api) = (url.strip_prefix(&*self.web), url.strip_prefix(&*self.api));
        if api.is_some() {
            assert_eq!(header("user-agent"), "cachegate", "GitHub refuses who does not say who asks");
        }
        match (web, api) {
            (Some("/login/oauth/access_token"), _) => {
                // A form comes back unless JSON is asked for.
                assert_eq!(header("accept"), "application/json");
                ok(&self.exchange(&fields(body)))
            }
            (Some("/login/device/code"), _) => {
                let mut codes = self.codes.lock().expect("whole");
                let user_code = format!("WDJB-{:04}", codes.len());
                let device_code = format!("device-{user_code}");
                codes.insert(device_code.clone(), (String::new(), None));
                ok(&json!({
                    "device_code": device_code, "user_code": user_code, "expires_in": 900, "interval": 5,
                    "verification_uri": format!("{}/login/device", self.web),
                }))
            }
            (_, Some("/applications/Iv1.8a61f9b3a7aba766/token")) => {
                let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
                if header("authorization") != basic {
                    return Some(Response::new(401, r#"{"message":"Bad credentials"}"#));
                }
                let asked: Value = serde_json::from_str(body).expect("JSON");
                let tokens = self.tokens.lock().expect("whole");
                match tokens.get(asked["access_token"].as_str().unwrap_or_default()) {
                    Some((client, person)) if client == CLIENT => ok(&json!({
                        "id": 1, "token": asked["access_token"], "scopes": ["read:org"],
                        "app": { "client_id": client, "name": "cache", "url": self.base },
                        "user": { "login": person.login, "id": person.id, "type": "User", "site_admin": false },
                    })),
                    _ => Some(Response::new(404, r#"{"message":"Not Found"}"#)),
                }
            }
            (_, api) => {
                let page = api?.strip_prefix("/user/memberships/orgs?")?;
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
