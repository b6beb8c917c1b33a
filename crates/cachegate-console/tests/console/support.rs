//! A console over a scene, and a browser of sorts.

#![expect(clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use cachegate::{Authentication, Authority, Credential, PersonalForm, TokenSpec, Workloads};
use cachegate_console::{Console, CountEntries, Counted};
use cachegate_federation::{
    AnchorBuilder, Fact, Federation, GrantPlan, Keys, LaneChoice, Pin, Platform, RuleBuilder, RulesDocument,
    TenantBuilder, Tenants, Test, When,
};
use cachegate_fetch::Fetch;
use cachegate_http::browser::{FORM_TOKEN, Sessions};
use cachegate_storage::{MarkScope, MemoryStorage};
use cachegate_testkit::{FaultyFetch, NOW, Scene, TestIssuer};
use cachegate_types::{AccessLevel, ActionSet, Epoch, Role, SecretText, UserId, WorkspaceId};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// Where the console is reached.
pub(crate) const ORIGIN: &str = "https://cache.example";

/// The views of an organization's settings.
pub(crate) const VIEWS: [&str; 12] = [
    "workspaces",
    "device-tokens",
    "ci-tokens",
    "workspace",
    "listed",
    "members",
    "groups",
    "trust-rules",
    "explain",
    "audit",
    "locks",
    "token-lives",
];

/// A server that knows of seven entries.
struct Seven;

#[async_trait]
impl CountEntries for Seven {
    async fn distrusted(&self, workspaces: &[WorkspaceId], _: &MarkScope) -> Option<Counted> {
        assert!(!workspaces.is_empty());
        Some(Counted::Exactly(7))
    }
}

/// A scene with a console.
pub(crate) struct Site {
    pub(crate) scene: Scene,
    router: Router,
}

/// A browser in which somebody is signed in.
pub(crate) struct Browser<'a> {
    site: &'a Site,
    pub(crate) cookie: String,
    pub(crate) form_token: String,
}

/// What the console answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What stands between these two texts.
    pub(crate) fn between(&self, from: &str, to: &str) -> &str {
        let start = self.text.find(from).expect("the beginning") + from.len();
        let rest = self.text.get(start..).expect("the rest");
        rest.split(to).next().expect("the end")
    }
}

impl Site {
    pub(crate) async fn new() -> Self {
        let scene =
            Scene::set(Arc::new(MemoryStorage::new(Epoch(1))), |builder| builder.issuer(ORIGIN)).await;
        let console = Console::new(scene.gate.clone(), || NOW.into()).protocols_at(ORIGIN);
        Self { router: console.entries(Arc::new(Seven)).router(), scene }
    }

    /// A site that GitHub Actions may vouch at, and who signs as GitHub does.
    pub(crate) async fn with_workloads() -> (Self, TestIssuer) {
        const GITHUB: &str = "https://token.actions.githubusercontent.com";
        let site = Self::new().await;
        let issuer = TestIssuer::new(GITHUB);
        let name = "github".parse().expect("a name");
        let anchor = AnchorBuilder::new(name, Platform::GithubActions, GITHUB, [ORIGIN]);
        let anchor = anchor.keys(Keys::Inline(issuer.key_set())).build().expect("an anchor");
        let federation = Federation::new([anchor]).expect("anchors");
        let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main);
        let (name, anchor) = ("trunk".parse().expect("a name"), "github".parse().expect("a name"));
        let rule = RuleBuilder::allow(name, anchor, site.scene.organization, plan)
            .workspace(site.scene.workspace)
            .pin(Pin::new(Fact::RepoId, "456789"))
            .pin(Pin::new(Fact::OwnerId, "123456"))
            .when(When::fact(Fact::Event, Test::Equals("push".into())))
            .when(When::fact(Fact::TriggerClass, Test::Equals("trusted".into())));
        let name = "github".parse().expect("a name");
        let tenant = TenantBuilder::new(site.scene.organization, name, [Pin::new(Fact::OwnerId, "123456")]);
        let tenants = Tenants::new([tenant], &federation).expect("tenants");
        let rules = RulesDocument { rules: vec![rule], ..RulesDocument::default() };
        let rules = rules.build(&federation).expect("rules");
        let fetch: Arc<dyn Fetch> = Arc::new(FaultyFetch::new().0);
        let workloads = Workloads::new(federation, rules, &fetch).expect("workloads").with_tenants(tenants);
        site.scene.gate.set_workloads(Some(Arc::new(workloads)));
        (site, issuer)
    }

    /// The browser of the organization's owner.
    pub(crate) async fn owner(&self) -> Browser<'_> {
        self.sign_in(&self.scene.administrator).await
    }

    /// The browser of a new member in this role.
    pub(crate) async fn member(&self, role: Role) -> (UserId, Browser<'_>) {
        let (user, token) = self.scene.person(role, ActionSet::ALL).await;
        (user, self.sign_in(&token).await)
    }

    /// The browser of somebody who is in no organization.
    pub(crate) async fn stranger(&self) -> Browser<'_> {
        let operator = Authority::Operator;
        let display = "Eve".parse().expect("a description");
        let owner = self.scene.gate.create_user(&operator, display, NOW.into()).await.expect("a user");
        let spec = TokenSpec::Personal { owner, actions: ActionSet::ALL, form: PersonalForm::Opaque };
        let token = self.scene.issue(&spec, None).await.token;
        self.sign_in(&token).await
    }

    pub(crate) async fn sign_in(&self, token: &SecretText) -> Browser<'_> {
        let who = self.authenticate(token).await;
        let description = "a browser".parse().expect("a description");
        let begun = self.scene.gate.exchange_for_browser_session(&who, description, NOW.into()).await;
        let sessions = Sessions::new(self.scene.gate.clone());
        let line = sessions.set_cookie(&begun.expect("a session"));
        let cookie = line.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().expect("a header"));
        let session = sessions.find(&headers, NOW.into()).await.expect("an answer").expect("signed in");
        Browser { site: self, cookie, form_token: session.form_token().to_owned() }
    }

    async fn authenticate(&self, token: &SecretText) -> Authentication {
        let gate = &self.scene.gate;
        let credential = Credential::parse(token.expose_secret(), gate.brand()).expect("a credential");
        gate.authenticate(Some(&credential), NOW.into()).await.expect("authenticated")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

impl Browser<'_> {
    pub(crate) async fn get(&self, url: &str) -> Answer {
        let request = Request::builder().uri(url).header(header::COOKIE, &self.cookie);
        self.site.send(request.body(Body::empty()).expect("a request")).await
    }

    /// Sends a form of the console's own.
    pub(crate) async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let own = [&[(FORM_TOKEN, self.form_token.as_str())], fields].concat();
        self.post_raw(url, &own, Some(ORIGIN)).await
    }

    /// Sends these fields and no others.
    pub(crate) async fn post_raw(&self, url: &str, fields: &[(&str, &str)], origin: Option<&str>) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.site.send(request.body(Body::from(form.finish())).expect("a request")).await
    }
}
