//! A certified OpenID provider, unmodified, signs people in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cachegate_fetch::Client;
use cachegate_login::{Groups, Login, LoginError, OidcBuilder, OidcKind, SignedIn};
use cachegate_storage::{Accounts, MemoryStorage};
use cachegate_testkit::{ManualClock, Scene};
use cachegate_types::{Epoch, Timestamp};

use crate::oidc_provider::Provider;
use crate::support::{BASE, code, cookie, fields, name, query, secret};

struct Real {
    provider: Provider,
    login: Login,
    clock: Arc<ManualClock>,
    _scene: Scene,
}

impl Real {
    async fn new(change: impl Fn(OidcBuilder) -> OidcBuilder) -> Self {
        let provider = Provider::start(BASE);
        let store = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::over(store.clone(), cachegate::Degraded::Refuse).await;
        let client = Client::builder().dangerous_allow_loopback_http().build().expect("a client");
        let accounts: Arc<dyn Accounts> = store.clone();
        let build = |id: &str, kind, issuer: String| {
            let builder = OidcBuilder::new(name(id), kind, &*issuer, &format!("{id}-client"));
            change(builder.client_secret(secret("not-a-secret"))).build().expect("a provider")
        };
        let clock = scene.clock.clone();
        let login =
            Login::builder(scene.gate.clone(), scene.storage.clone(), accounts, Arc::new(client), BASE)
                .provider(build("okta", OidcKind::Okta, provider.okta()))
                .provider(build("entra", OidcKind::Entra, provider.entra()))
                .clock(clock.clone())
                .build()
                .expect("a login");
        Self { provider, login, clock, _scene: scene }
    }

    /// The cookie of a login that was begun, and the query that the provider sends the browser back with.
    async fn authorize(&self, id: &str) -> (String, String) {
        let begun = self.login.begin(&name(id), None, now()).await.expect("begun");
        (cookie(&begun), self.provider.authorize(&begun.location))
    }

    async fn finish(&self, id: &str, cookie: &str, query: &str) -> Result<SignedIn, LoginError> {
        self.login.finish(&name(id), [cookie], query, now()).await
    }

    async fn sign_in(&self, id: &str) -> Result<SignedIn, LoginError> {
        let (cookie, query) = self.authorize(id).await;
        self.finish(id, &cookie, &query).await
    }
}

/// The provider has a clock of its own.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_unix_seconds(since.as_secs().try_into().expect("a time")).expect("a time")
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn a_certified_provider_signs_people_in() {
    run(async {
        let real = Real::new(|builder| builder.max_age(Duration::from_secs(600))).await;
        let okta = real.sign_in("okta").await.expect("signed in");
        assert_eq!((&*okta.identity.subject, okta.identity.display.as_str()), ("ada", "Ada"));
        assert_eq!(okta.identity.groups, Groups::Known([Arc::from("staff")].into()));
        assert_eq!(real.sign_in("okta").await.expect("signed in").user, okta.user);
        let entra = real.sign_in("entra").await.expect("signed in");
        assert_eq!(&*entra.identity.subject, "bbbbcccc-1111-dddd-2222-eeee3333ffff");
        assert_eq!(entra.identity.groups, Groups::Incomplete);
        assert_ne!(entra.user, okta.user);
    });
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn a_certified_provider_and_the_attacks_on_login() {
    run(async {
        let real = Real::new(|builder| builder).await;
        // Wrong state: the answer of one login in another.
        let ((one, answer), (other, _)) = (real.authorize("okta").await, real.authorize("okta").await);
        assert_eq!(code(real.finish("okta", &other, &answer).await), "login_state");
        // A stolen code in a login of one's own: the provider holds it to the code challenge.
        let (own, own_answer) = real.authorize("okta").await;
        let (stolen, mine) = (fields(&answer), fields(&own_answer));
        let injected = query(&[("code", &stolen["code"]), ("state", &mine["state"]), ("iss", &mine["iss"])]);
        let refused = real.finish("okta", &own, &injected).await.expect_err("signed in");
        assert_eq!(refused.to_string(), "the provider refused: `invalid_grant`");
        // Wrong issuer, and an answer of the other provider.
        let (cookie, answer) = real.authorize("okta").await;
        let elsewhere = answer.replace("%2Fokta", "%2Felsewhere");
        assert_eq!(code(real.finish("okta", &cookie, &elsewhere).await), "login_issuer");
        assert_eq!(code(real.finish("entra", &cookie, &answer).await), "login_other_provider");
        assert!(real.finish("okta", &cookie, &answer).await.is_ok());
        assert_eq!(code(real.finish("okta", &cookie, &answer).await), "login_finished");
        drop(one);
    });
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn a_certified_provider_rotates_its_keys() {
    run(async {
        let real = Real::new(|builder| builder).await;
        let before = real.sign_in("okta").await.expect("signed in");
        real.provider.rotate();
        real.clock.advance(Duration::from_secs(31));
        assert_eq!(real.sign_in("okta").await.expect("signed in").user, before.user);
    });
}

#[test]
#[ignore = "needs oidc-provider: run by cargo xtask test"]
fn a_certified_provider_and_groups_that_are_cut_off() {
    run(async {
        let real = Real::new(|builder| builder.admit_groups(&["staff"])).await;
        assert!(real.sign_in("okta").await.is_ok());
        assert_eq!(code(real.sign_in("entra").await), "login_groups_unknown");
        let real = Real::new(|builder| builder.admit_groups(&["owners"])).await;
        assert_eq!(code(real.sign_in("okta").await), "login_not_admitted");
    });
}
