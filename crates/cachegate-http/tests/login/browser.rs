//! A browser as far as these pages need one: it keeps cookies, says where its forms come from, and is led nowhere unasked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use cachegate::Gate;
use cachegate_http::browser::{FORM_TOKEN, Sessions};
use cachegate_http::{api, login, oauth};
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{Principal, TokenId, UserId};
use http::{HeaderMap, Request, header};
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{BASE, World, query};

pub(crate) const SESSION: &str = "__Host-cachegate-session";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location")
    }

    /// `status code`, with the stable name of what is wrong.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.status, self.header("cachegate-code")).trim().to_owned()
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().expect("text")).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The token that the page's form carries.
    pub(crate) fn form_token(&self) -> String {
        let mark = format!("name=\"{FORM_TOKEN}\" value=\"");
        let (_, rest) = self.text.split_once(&mark).unwrap_or_else(|| panic!("no form: {}", self.text));
        rest.split('"').next().expect("a value").to_owned()
    }
}

/// A server that people sign in to.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) router: Router,
    now: Arc<AtomicU32>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::over(block_on(World::new()), true)
    }

    pub(crate) fn without_providers() -> Self {
        Self::over(block_on(World::new()), false)
    }

    pub(crate) fn over(world: World, with_login: bool) -> Self {
        let gate = world.scene.gate.clone();
        Self::at(world, gate, with_login)
    }

    fn at(world: World, gate: Gate, with_login: bool) -> Self {
        let now = Arc::new(AtomicU32::new(NOW));
        let clock = |now: &Arc<AtomicU32>| {
            let now = Arc::clone(now);
            move || now.load(Ordering::SeqCst).into()
        };
        let mut settings = oauth::Settings::default();
        settings.sign_in = true;
        let login = with_login.then(|| Arc::clone(&world.login));
        let router = login::router(gate.clone(), clock(&now), login)
            .merge(oauth::router(gate.clone(), clock(&now), settings).expect("a router"))
            .merge(api::router(gate, clock(&now)));
        Self { world, router, now }
    }

    /// The same, where the gate says that it is reached at another address.
    pub(crate) async fn reached_at(issuer: &str) -> Self {
        let world = World::new().await;
        let scene = &world.scene;
        let gate = Gate::builder(scene.storage.clone(), scene.vault.clone())
            .issuer(issuer)
            .clock(scene.clock.clone())
            .build(NOW.into())
            .await
            .expect("a gate");
        Self::at(world, gate, true)
    }

    pub(crate) fn wait(&self, seconds: u32) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { site: self, jar: BTreeMap::new() }
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("an answer");
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.expect("a body");
            let text = String::from_utf8(body.to_vec()).expect("text");
            Answer { status: parts.status.as_u16(), headers: parts.headers, text }
        })
    }
}

pub(crate) struct Browser<'s> {
    pub(crate) site: &'s Site,
    pub(crate) jar: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path), Body::empty())
    }

    /// A form of this site's own pages.
    pub(crate) fn post(&mut self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.post_from(path, pairs, &[("origin", BASE), ("sec-fetch-site", "same-origin")])
    }

    /// A form of whatever page these headers speak of.
    pub(crate) fn post_from(
        &mut self,
        path: &str,
        pairs: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request =
            Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, Body::from(query(pairs)))
    }

    fn send(&mut self, request: http::request::Builder, body: Body) -> Answer {
        let pairs: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = match pairs.is_empty() {
            true => request,
            false => request.header(header::COOKIE, pairs.join("; ")),
        };
        let answer = self.site.send(request.body(body).expect("a request"));
        for line in answer.cookies() {
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            match attributes.contains("Max-Age=0") {
                true => self.jar.remove(name),
                false => self.jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Is led to the provider `corp` and back, as a person of whom it says this.
    pub(crate) fn sign_in(&mut self, claims: &Value) -> Answer {
        let (_, back) = self.answer_of("corp", claims);
        self.get(&back)
    }

    /// Where the provider leads the browser back to: the provider's page first.
    pub(crate) fn answer_of(&mut self, provider: &str, claims: &Value) -> (String, String) {
        let begun = self.get(&format!("/login/{provider}"));
        let place = begun.location().to_owned();
        let world = &self.site.world;
        let site = if provider == "corp" { &world.corp } else { &world.other };
        let back = format!("/login/{provider}/callback?{}", site.authorize(&place, claims));
        (place, back)
    }

    /// Who the server finds at this browser.
    pub(crate) fn person(&self) -> Option<UserId> {
        self.found().map(|(user, _)| user)
    }

    pub(crate) fn found(&self) -> Option<(UserId, TokenId)> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.jar {
            headers.append(header::COOKIE, format!("{name}={value}").parse().expect("a header"));
        }
        let sessions = Sessions::new(self.site.world.scene.gate.clone());
        let found = block_on(sessions.find(&headers, self.site.now().into())).expect("an answer")?;
        match *found.authentication().principal() {
            Principal::User(user) => Some((user, found.id())),
            _ => panic!("no person"),
        }
    }
}

pub(crate) fn ada() -> Value {
    serde_json::json!({ "sub": "00u1ada", "name": "Ada", "preferred_username": "ada@corp.example" })
}
