//! A CI job that shows its platform's own token.

use std::sync::Arc;

use cachegate::{WorkloadToken, Workloads};
use cachegate_federation::{
    AnchorBuilder, Fact, Federation, GrantPlan, Keys, LaneChoice, Mode, Pin, Platform, RuleBuilder,
    RulesDocument, Status, TenantBuilder, Tenants, Test, When,
};
use cachegate_fetch::Fetch;
use cachegate_testkit::{FaultyFetch, NOW, Scene, TestIssuer, block_on, github_push_claims};
use cachegate_types::{AccessLevel, Name, SecretText};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const AUDIENCE: &str = "https://cache.example.com";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// The token of a push to the trunk, where GitHub vouches for its repository and a rule gives it the lane `main`.
pub(crate) fn pushed(scene: &Scene, mode: Mode) -> SecretText {
    let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main);
    let rule = RuleBuilder::allow(name("main"), name("github"), scene.organization, plan)
        .workspace(scene.workspace)
        .pin(Pin::new(Fact::RepoId, "456789"))
        .pin(Pin::new(Fact::OwnerId, "123456"))
        .when(When::fact(Fact::Event, Test::Equals("push".into())));
    trusted(scene, mode, vec![rule])
}

/// The same where these rules are configured. The organization is who owns the repository, and may save its own.
pub(crate) fn trusted(scene: &Scene, mode: Mode, rules: Vec<RuleBuilder>) -> SecretText {
    let (fetch, pages) = FaultyFetch::new();
    let issuer = TestIssuer::new(GITHUB);
    issuer.publish(&pages);
    let anchor = AnchorBuilder::new(name("github"), Platform::GithubActions, GITHUB, [AUDIENCE])
        .keys(Keys::Discovery)
        .mode(mode)
        .status(Status::Enforce)
        .build();
    let federation = Federation::new([anchor.expect("an anchor")]).expect("a table");
    let tenant = TenantBuilder::new(scene.organization, name("github"), [Pin::new(Fact::OwnerId, "123456")]);
    let tenants = Tenants::new([tenant], &federation).expect("tenants");
    let rules = RulesDocument { rules, ..RulesDocument::default() }.build(&federation);
    let fetch: Arc<dyn Fetch> = Arc::new(fetch);
    let workloads = Workloads::new(federation, rules.expect("rules"), &fetch).expect("addresses");
    scene.gate.set_workloads(Some(Arc::new(workloads.with_tenants(tenants))));
    SecretText::new(issuer.sign(&github_push_claims(AUDIENCE)))
}

/// The session that such a token is exchanged for.
pub(crate) fn session(scene: &Scene) -> SecretText {
    let token = pushed(scene, Mode::Exchange);
    let token = WorkloadToken::new(token.expose_secret());
    block_on(scene.gate.exchange_workload(&token, NOW.into())).expect("exchanged").session.token
}
