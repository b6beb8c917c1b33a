//! A gate, a login, and the providers that it asks, all in one process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_fetch::{Fetch, FetchError, Request, Response};
use cachegate_login::{Begun, GithubBuilder, Login, LoginError, OidcBuilder, OidcKind, SignedIn};
use cachegate_storage::{Accounts, MemoryStorage};
use cachegate_testkit::{FaultyAccounts, NOW, Scene, TestIssuer};
use cachegate_types::{Epoch, Name, SecretText, Timestamp};
use oauth2::url::{Url, form_urlencoded};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

pub(crate) const BASE: &str = "https://cache.example";
pub(crate) const CORP: &str = "https://corp.example";
pub(crate) const OTHER: &str = "https://other.example";
pub(crate) const CLIENT: &str = "cache-client";
pub(crate) const SECRET: &str = "cache-client-secret";

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

pub(crate) fn fields(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The cookie that a browser keeps.
pub(crate) fn cookie(begun: &Begun) -> String {
    let line = begun.set_cookie.expose_secret();
    line.split(';').next().unwrap_or_default().to_owned()
}

pub(crate) fn code(outcome: Result<SignedIn, LoginError>) -> &'static str {
    outcome.expect_err("signed in").code()
}

type Answers = dyn Fn(&Request) -> Option<Response> + Send + Sync;
type Fault = Box<dyn Fn(Response) -> Result<Response, FetchError> + Send + Sync>;

/// Everything that is asked for, and what is wrong with it at present.
#[derive(Default)]
pub(crate) struct Net {
    sites: Mutex<Vec<Arc<Answers>>>,
    faults: Mutex<BTreeMap<String, Fault>>,
    asked: Mutex<Vec<String>>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

impl Net {
    pub(crate) fn add(&self, site: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) {
        self.sites.lock().expect("whole").push(Arc::new(site));
    }

    pub(crate) fn fail(
        &self,
        url: &str,
        fault: impl Fn(Response) -> Result<Response, FetchError> + Send + Sync + 'static,
    ) {
        self.faults.lock().expect("whole").insert(url.to_owned(), Box::new(fault));
    }

    pub(crate) fn mend(&self) {
        self.faults.lock().expect("whole").clear();
    }

    pub(crate) fn count(&self, url: &str) -> usize {
        self.asked.lock().expect("whole").iter().filter(|asked| *asked == url).count()
    }
}

#[async_trait]
impl Fetch for Net {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let url = request.url().as_str();
        self.asked.lock().expect("whole").push(url.to_owned());
        let sites = self.sites.lock().expect("whole").clone();
        let answer = sites.iter().find_map(|site| site(request)).unwrap_or_else(|| Response::new(404, "{}"));
        match self.faults.lock().expect("whole").get(url) {
            Some(fault) => fault(answer),
            None => Ok(answer),
        }
    }
}

/// What a provider remembers of a code.
struct Given {
    challenge: String,
    redirect: String,
    nonce: String,
    claims: Value,
}

type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

/// A provider of OpenID Connect that keeps to the standard, until it is told not to.
pub(crate) struct Provider {
    pub(crate) url: String,
    pub(crate) issuer: TestIssuer,
    given: Mutex<BTreeMap<String, Given>>,
    change: Mutex<Option<Change>>,
    document: Mutex<Option<Change>>,
    forgets_pkce: Mutex<bool>,
}

impl Provider {
    pub(crate) fn new(url: &str) -> Arc<Self> {
        Arc::new(Self {
            url: url.to_owned(),
            issuer: TestIssuer::new(url),
            given: Mutex::default(),
            change: Mutex::default(),
            document: Mutex::default(),
            forgets_pkce: Mutex::default(),
        })
    }

    /// Changes what the next ID tokens say.
    pub(crate) fn change(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.change.lock().expect("whole") = Some(Box::new(change));
    }

    /// Changes what discovery says.
    pub(crate) fn document(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.document.lock().expect("whole") = Some(Box::new(change));
    }

    pub(crate) fn forget_pkce(&self) {
        *self.forgets_pkce.lock().expect("whole") = true;
    }

    /// The person signs in there: the query that the browser comes back with.
    pub(crate) fn authorize(&self, location: &str, claims: &Value) -> String {
        let location = Url::parse(location).expect("an address");
        assert_eq!(location.as_str().split('?').next(), Some(&*format!("{}/authorize", self.url)));
        let asked = fields(location.query().expect("a query"));
        let of = |field: &str| asked.get(field).cloned().unwrap_or_default();
        assert_eq!((&*of("response_type"), &*of("client_id")), ("code", CLIENT));
        assert_eq!(of("code_challenge_method"), "S256");
        let mut given = self.given.lock().expect("whole");
        let code = format!("code-{}", given.len());
        let (challenge, redirect, nonce) = (of("code_challenge"), of("redirect_uri"), of("nonce"));
        given.insert(code.clone(), Given { challenge, redirect, nonce, claims: claims.clone() });
        query(&[("code", &code), ("state", &of("state")), ("iss", &self.url)])
    }

    fn answer(&self, request: &Request) -> Option<Response> {
        let path = request.url().as_str().strip_prefix(&self.url)?;
        match path {
            "/.well-known/openid-configuration" => {
                let url = &self.url;
                let mut document = json!({
                    "issuer": url,
                    "authorization_endpoint": format!("{url}/authorize"),
                    "token_endpoint": format!("{url}/token"),
                    "jwks_uri": format!("{url}/jwks"),
                    "authorization_response_iss_parameter_supported": true,
                    "code_challenge_methods_supported": ["S256"],
                });
                if let Some(change) = &*self.document.lock().expect("whole") {
                    change(&mut document);
                }
                Some(Response::new(200, document.to_string()))
            }
            "/jwks" => Some(Response::new(200, self.issuer.key_set().to_string())),
            "/token" => Some(self.tokens(request)),
            _ => None,
        }
    }

    fn tokens(&self, request: &Request) -> Response {
        let refused = |error: &str| Response::new(400, json!({ "error": error }).to_string());
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:{SECRET}"));
        let basic = format!("Basic {basic}");
        let has =
            |(name, value): &(&str, SecretText)| *name == "authorization" && value.expose_secret() == basic;
        if !request.headers().iter().any(has) {
            return refused("invalid_client");
        }
        let asked = fields(request.body().map_or("", SecretText::expose_secret));
        let of = |field: &str| asked.get(field).cloned().unwrap_or_default();
        let Some(given) = self.given.lock().expect("whole").remove(&of("code")) else {
            return refused("invalid_grant");
        };
        let verifier = URL_SAFE_NO_PAD.encode(digest(&SHA256, of("code_verifier").as_bytes()));
        let proven = verifier == given.challenge || *self.forgets_pkce.lock().expect("whole");
        if !proven || of("redirect_uri") != given.redirect || of("grant_type") != "authorization_code" {
            return refused("invalid_grant");
        }
        let mut claims = json!({
            "aud": CLIENT, "iat": NOW, "exp": NOW + 3600, "nonce": given.nonce, "sub": "nobody",
        });
        for (claim, value) in given.claims.as_object().expect("claims") {
            claims[claim] = value.clone();
        }
        if let Some(change) = &*self.change.lock().expect("whole") {
            change(&mut claims);
        }
        let answer = json!({
            "access_token": "opaque", "token_type": "Bearer", "expires_in": 3600,
            "id_token": self.issuer.sign(&claims),
        });
        Response::new(200, answer.to_string())
    }
}

/// A gate that people sign in to.
pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) store: Arc<MemoryStorage>,
    pub(crate) net: Arc<Net>,
    pub(crate) corp: Arc<Provider>,
    pub(crate) other: Arc<Provider>,
    pub(crate) github: Arc<crate::github_site::Github>,
    pub(crate) login: Arc<Login>,
}

impl World {
    /// With the providers `corp`, `other` and `github`.
    pub(crate) async fn new() -> Self {
        Self::with(|corp| corp, |github| github).await
    }

    pub(crate) async fn with(
        corp: impl FnOnce(OidcBuilder) -> OidcBuilder,
        hub: impl FnOnce(GithubBuilder) -> GithubBuilder,
    ) -> Self {
        let builder = |id: &str, url: &str| {
            OidcBuilder::new(name(id), OidcKind::Standard, url, CLIENT).client_secret(secret(SECRET))
        };
        Self::of(corp(builder("corp", CORP)), CORP, hub, builder("other", OTHER)).await
    }

    pub(crate) async fn of(
        corp: OidcBuilder,
        corp_url: &str,
        hub: impl FnOnce(GithubBuilder) -> GithubBuilder,
        other: OidcBuilder,
    ) -> Self {
        let store = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::set(store.clone(), |builder| builder.issuer(BASE)).await;
        let net = Arc::new(Net::default());
        let providers = [Provider::new(corp_url), Provider::new(OTHER)];
        for provider in providers.clone() {
            net.add(move |request| provider.answer(request));
        }
        let [corp_site, other_site] = providers;
        let github =
            Arc::new(crate::github_site::Github::new("https://github.com", "https://api.github.com", BASE));
        let site = Arc::clone(&github);
        net.add(move |request| site.answer(request));
        let hub = hub(GithubBuilder::new(
            name("github"),
            crate::github_site::CLIENT,
            secret(crate::github_site::SECRET),
        ));
        let accounts: Arc<dyn Accounts> =
            Arc::new(FaultyAccounts::new(store.clone(), Arc::clone(&scene.faults)));
        let login = Login::builder(scene.gate.clone(), scene.storage.clone(), accounts, net.clone(), BASE)
            .provider(corp.build().expect("a provider"))
            .provider(other.build().expect("a provider"))
            .provider(hub.build().expect("a provider"))
            .clock(scene.clock.clone())
            .build()
            .expect("a login");
        Self { scene, store, net, corp: corp_site, other: other_site, github, login: Arc::new(login) }
    }

    pub(crate) async fn begin(&self, provider: &str) -> Begun {
        self.login.begin(&name(provider), None, NOW.into()).await.expect("begun")
    }

    pub(crate) async fn finish(
        &self,
        provider: &str,
        cookie: &str,
        query: &str,
    ) -> Result<SignedIn, LoginError> {
        self.finish_at(provider, cookie, query, NOW.into()).await
    }

    pub(crate) async fn finish_at(
        &self,
        provider: &str,
        cookie: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<SignedIn, LoginError> {
        let cookies = if cookie.is_empty() { vec![] } else { vec![cookie] };
        self.login.finish(&name(provider), cookies, query, now).await
    }

    /// One whole login at `corp`.
    pub(crate) async fn sign_in(&self, claims: &Value) -> Result<SignedIn, LoginError> {
        self.sign_in_at("corp", claims).await
    }

    pub(crate) async fn sign_in_at(&self, provider: &str, claims: &Value) -> Result<SignedIn, LoginError> {
        let begun = self.begin(provider).await;
        let site = if provider == "corp" { &self.corp } else { &self.other };
        let query = site.authorize(&begun.location, claims);
        self.finish(provider, &cookie(&begun), &query).await
    }

    /// How much was done so far: what changes nothing leaves it as it is.
    pub(crate) async fn acts(&self) -> usize {
        self.scene.storage.audit(0, 10_000).await.expect("the audit").len()
    }
}
