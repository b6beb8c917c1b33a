//! Workloads: what a CI job gets for its platform's own token, and what takes it back.
#![cfg(feature = "federation")]
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::{Arc, Barrier};
use std::time::Duration;

use cachegate::{
    Authority, Credential, ExchangeError, Exchanged, IssueError, ManageError, Method, SessionSpec, Verdict,
    WorkloadToken, Workloads,
};
use cachegate_federation::{
    AnchorBuilder, Ask, Fact, Federation, GrantPlan, Keys, LaneChoice, Mode, Pin, Platform, RuleBuilder,
    RuleSet, RulesDocument, Status, Test, UntrustedReads, When,
};
use cachegate_fetch::{Fetch, FetchError};
use cachegate_storage::MassScope;
use cachegate_testkit::{
    FaultyFetch, FetchFault, FetchFaults, NOW, Scene, TestIssuer, block_on, github_push_claims,
};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Lane, Name, Principal, Resource, SecretText,
    Timestamp,
};
use serde_json::{Value, json};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const AUDIENCE: &str = "https://cache.example.com";

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A scene in which GitHub vouches for the repository 456789.
pub(crate) struct Ci {
    pub(crate) scene: Scene,
    issuer: TestIssuer,
    pages: Arc<FetchFaults>,
    pub(crate) fetch: Arc<dyn Fetch>,
    mode: Mode,
}

impl Ci {
    pub(crate) async fn new(mode: Mode) -> Self {
        let (fetch, pages) = FaultyFetch::new();
        let ci = Self {
            scene: Scene::new().await,
            issuer: TestIssuer::new(GITHUB),
            pages,
            fetch: Arc::new(fetch),
            mode,
        };
        ci.issuer.publish(&ci.pages);
        ci.trust(vec![ci.rule("main", LaneChoice::Main), ci.pull_rule()]);
        ci
    }

    pub(crate) fn rule(&self, called: &str, lane: LaneChoice) -> RuleBuilder {
        let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(lane);
        self.allow(called, plan).when(When::fact(Fact::Event, Test::Equals("push".into())))
    }

    fn pull_rule(&self) -> RuleBuilder {
        let plan = GrantPlan::new(AccessLevel::ReadWrite)
            .lane(LaneChoice::Pull)
            .untrusted_reads(UntrustedReads::Granted);
        self.allow("pull", plan).when(When::fact(Fact::Event, Test::Equals("pull_request".into())))
    }

    fn allow(&self, called: &str, plan: GrantPlan) -> RuleBuilder {
        RuleBuilder::allow(name(called), name("github"), self.scene.organization, plan)
            .workspace(self.scene.workspace)
            .pin(Pin::new(Fact::RepoId, "456789"))
            .pin(Pin::new(Fact::OwnerId, "123456"))
    }

    pub(crate) fn federation(&self, status: Status) -> Federation {
        let anchor = AnchorBuilder::new(name("github"), Platform::GithubActions, GITHUB, [AUDIENCE])
            .keys(Keys::Discovery)
            .mode(self.mode)
            .status(status)
            .build()
            .expect("an anchor");
        Federation::new([anchor]).expect("a table")
    }

    fn workloads(&self, rules: Vec<RuleBuilder>, status: Status) -> Arc<Workloads> {
        let federation = self.federation(status);
        let rules: RuleSet =
            RulesDocument { rules, ..RulesDocument::default() }.build(&federation).expect("rules");
        Arc::new(Workloads::new(federation, rules, &self.fetch).expect("addresses"))
    }

    fn trust(&self, rules: Vec<RuleBuilder>) {
        self.scene.gate.set_workloads(Some(self.workloads(rules, Status::Enforce)));
    }
}

impl Ci {
    /// What a job on this branch presents; each token has an id of its own.
    pub(crate) fn push(&self, branch: &str, jti: &str) -> String {
        self.token(json!({
            "sub": format!("repo:lumen-labs/beacon:ref:refs/heads/{branch}"),
            "jti": jti,
            "ref": format!("refs/heads/{branch}"),
            "event_name": "push",
        }))
    }

    /// What a job for pull request 17 presents.
    fn pull(&self, jti: &str) -> String {
        self.token(json!({
            "sub": "repo:lumen-labs/beacon:pull_request",
            "jti": jti,
            "ref": "refs/pull/17/merge",
            "head_ref": "feature-x",
            "base_ref": "main",
            "event_name": "pull_request",
        }))
    }

    pub(crate) fn token(&self, more: Value) -> String {
        let mut claims = github_push_claims(AUDIENCE);
        let (claims_object, more) = (claims.as_object_mut().expect("an object"), more);
        claims_object.extend(more.as_object().cloned().expect("an object"));
        self.issuer.sign(&claims)
    }

    pub(crate) async fn exchange(&self, token: &str) -> Result<Exchanged, ExchangeError> {
        self.scene.gate.exchange_workload(&WorkloadToken::new(token), NOW.into()).await
    }

    /// What a request with the platform's own token is answered.
    pub(crate) async fn directly(&self, token: &str, action: Action, seconds: u32) -> Verdict {
        self.scene.ask_at(Some(&SecretText::new(token.to_owned())), action, "key", later(seconds)).await
    }
}

pub(crate) fn code<T>(answer: Result<T, ExchangeError>) -> String {
    match answer {
        Ok(_) => "exchanged".to_owned(),
        Err(ExchangeError::Refused(refusal)) => format!("{} {}", refusal.step(), refusal.code()),
        Err(ExchangeError::Failed(IssueError::Refused(ManageError::NotAuthenticated(reason)))) => {
            reason.code().to_owned()
        }
        Err(other) => other.to_string(),
    }
}

fn lanes(verdict: &Verdict) -> (Vec<String>, Option<String>) {
    match verdict {
        Verdict::Allowed(allowed) => {
            (allowed.read_lanes().map(Lane::to_string).collect(), allowed.write_lane().map(Lane::to_string))
        }
        _ => (Vec::new(), None),
    }
}

#[test]
fn a_job_is_exchanged_for_a_session_with_what_its_rule_gives() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let done = ci.exchange(&ci.push("main", "a")).await.expect("exchanged");
        assert_eq!(done.matched.rule_name, name("main"));
        assert_eq!(done.session.record.expires_at, Some(later(15 * 60)), "the rule's time, not the token's");
        let written = ci.scene.ask(Some(&done.session.token), Action::Write, "key").await;
        assert_eq!(lanes(&written).1.as_deref(), Some("main"));
        let who = ci.scene.authenticate(&done.session.token).await;
        assert!(matches!(who.principal(), Principal::Workload { anchor, .. } if *anchor == name("github")));
        assert_eq!(done.session.record.run.as_deref(), Some("github:16789012345"));
    });
}

#[test]
fn a_pull_request_writes_its_own_lane_and_reads_what_is_above() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let done = ci.exchange(&ci.pull("a")).await.expect("exchanged");
        let read = ci.scene.ask(Some(&done.session.token), Action::Read, "key").await;
        assert_eq!(lanes(&read).0, ["pull/@github:456789/17", "release", "main"]);
        let written = ci.scene.ask(Some(&done.session.token), Action::Write, "key").await;
        assert_eq!(lanes(&written).1.as_deref(), Some("pull/@github:456789/17"));
    });
}

#[test]
fn a_job_that_an_outsider_can_start_looks_as_anonymous_requests_do() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Pull);
        ci.trust(vec![ci.allow("pull", plan)]);
        let done = ci.exchange(&ci.pull("a")).await.expect("exchanged");
        let token = &done.session.token;
        assert_eq!(ci.scene.code(token, Action::Read).await, "action_not_granted");
        assert_eq!(ci.scene.code(token, Action::Write).await, "allowed", "its own lane it may warm");
        ci.scene.settings(|settings| settings.anonymous = AccessLevel::ReadWrite).await;
        assert_eq!(ci.scene.code(token, Action::Read).await, "allowed");
        assert_eq!(ci.scene.code(token, Action::Delete).await, "action_not_granted");
        let again = ci.scene.authenticate(token).await;
        let again =
            ci.scene.gate.exchange(&again, &SessionSpec::default(), NOW.into()).await.expect("narrowed");
        ci.scene.settings(|settings| settings.anonymous = AccessLevel::None).await;
        assert_eq!(ci.scene.code(token, Action::Read).await, "action_not_granted", "the level as it is now");
        assert_eq!(ci.scene.code(&again.token, Action::Read).await, "action_not_granted");
    });
}

#[test]
fn a_token_is_exchanged_once_whoever_asks() {
    let ci = Arc::new(block_on(Ci::new(Mode::Exchange)));
    for round in 0..10 {
        let token = ci.push("main", &round.to_string());
        let start = Arc::new(Barrier::new(8));
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let (ci, start, token) = (Arc::clone(&ci), Arc::clone(&start), token.clone());
                std::thread::spawn(move || {
                    start.wait();
                    code(block_on(ci.exchange(&token)))
                })
            })
            .collect();
        let mut answers: Vec<_> =
            asking.into_iter().map(|thread| thread.join().expect("an answer")).collect();
        answers.sort();
        assert_eq!(answers.iter().filter(|answer| *answer == "exchanged").count(), 1, "{answers:?}");
        assert!(answers.iter().skip(1).all(|answer| answer == "replay replayed"), "{answers:?}");
    }
}

#[test]
fn a_refused_exchange_uses_nothing_up() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let token = ci.push("main", "a");
        ci.trust(vec![ci.pull_rule()]);
        assert_eq!(code(ci.exchange(&token).await), "conditions condition_failed");
        ci.trust(vec![ci.rule("main", LaneChoice::Main)]);
        assert_eq!(code(ci.exchange(&token).await), "exchanged");
        assert_eq!(code(ci.exchange(&token).await), "replay replayed");
    });
}

#[test]
fn a_session_outlives_the_platforms_token_and_nothing_else() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let done = ci.exchange(&ci.push("main", "a")).await.expect("exchanged");
        let at = async |seconds| {
            ci.scene.ask_at(Some(&done.session.token), Action::Write, "key", later(seconds)).await.code()
        };
        assert_eq!(at(301).await, "allowed", "the platform's token has ended");
        assert_eq!(at(15 * 60).await, "expired");
        let late =
            ci.scene.gate.exchange_workload(&WorkloadToken::new(&ci.push("main", "b")), later(331)).await;
        assert_eq!(code(late), "time expired");
    });
}

#[test]
fn a_session_is_cut_to_what_was_asked_for() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let token = ci.push("main", "a");
        let mut request = WorkloadToken::new(&token);
        request.life = Some(Duration::from_secs(60));
        request.ask = Ask::workspace(ci.scene.organization, ci.scene.workspace);
        let done = ci.scene.gate.exchange_workload(&request, NOW.into()).await.expect("exchanged");
        assert_eq!(done.session.record.expires_at, Some(later(60)));
        let token = ci.push("main", "b");
        let mut request = WorkloadToken::new(&token);
        request.life = Some(Duration::from_secs(100_000));
        let done = ci.scene.gate.exchange_workload(&request, NOW.into()).await.expect("exchanged");
        assert_eq!(done.session.record.expires_at, Some(later(15 * 60)));
    });
}

#[test]
fn revoking_anchor_principal_or_token_stops_exchange_and_sessions() {
    block_on(async {
        for scope in ["anchor", "principal"] {
            let ci = Ci::new(Mode::Exchange).await;
            let done = ci.exchange(&ci.push("main", "a")).await.expect("exchanged");
            let owner = done.session.record.owner.clone();
            let scope = match scope {
                "anchor" => MassScope::Anchor(name("github")),
                _ => MassScope::Principal(owner),
            };
            let operator = Authority::Operator;
            let revoked =
                ci.scene.gate.revoke_many(&operator, scope, None, Description::default(), NOW.into());
            revoked.await.expect("revoked");
            assert_eq!(ci.scene.code(&done.session.token, Action::Write).await, "revoked");
            assert_eq!(code(ci.exchange(&ci.push("main", "b")).await), "revoked");
        }
    });
}

#[test]
fn a_token_of_an_exchange_anchor_is_no_credential() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let verdict = ci.directly(&ci.push("main", "a"), Action::Read, 0).await;
        assert_eq!(verdict.code(), "exchange_only");
        assert_eq!(code(ci.exchange(&ci.push("main", "a")).await), "exchanged", "showing it used nothing up");
    });
}

#[test]
fn a_direct_token_is_verified_once_and_remembered() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        let token = ci.push("main", "a");
        for action in [Action::Write, Action::Read, Action::Write] {
            assert_eq!(ci.directly(&token, action, 0).await.code(), "allowed");
        }
        let fetched = ci.pages.fetched().len();
        // The issuer is gone; what was verified is remembered.
        ci.pages.set(
            &format!("{GITHUB}/jwks"),
            FetchFault::Fail(FetchError::TimedOut { limit: Duration::from_secs(5) }),
        );
        let token = SecretText::new(token);
        assert!(
            ci.scene.ask_held(Some(&token), Action::Write, "key", later(1)).is_some(),
            "nothing is asked"
        );
        ci.scene.settings(|_| ()).await;
        assert_eq!(
            ci.scene.code(&token, Action::Write).await,
            "allowed",
            "after a change of the store as well"
        );
        assert_eq!(ci.pages.fetched().len(), fetched);
        let who = ci.scene.authenticate(&token).await;
        assert_eq!(who.method(), Method::Workload);
        assert_eq!(who.until(), Some(later(300)));
    });
}

#[test]
fn a_direct_token_ends_with_itself_its_revocation_its_rule_or_its_anchor() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        let token = ci.push("main", "a");
        let text = SecretText::new(token.clone());
        assert_eq!(ci.directly(&token, Action::Write, 299).await.code(), "allowed");
        assert_eq!(ci.directly(&token, Action::Write, 300).await.code(), "expired");

        let id = ci.scene.authenticate(&text).await.token_id().expect("an id");
        let scope = MassScope::Family(id);
        let operator = Authority::Operator;
        let revoked = ci.scene.gate.revoke_many(&operator, scope, None, Description::default(), NOW.into());
        revoked.await.expect("revoked");
        assert_eq!(ci.directly(&token, Action::Write, 0).await.code(), "revoked");
        assert_eq!(ci.directly(&ci.push("main", "b"), Action::Write, 0).await.code(), "allowed");

        ci.trust(vec![ci.pull_rule()]);
        assert_eq!(ci.directly(&ci.push("main", "b"), Action::Write, 0).await.code(), "condition_failed");
        ci.trust(vec![ci.rule("main", LaneChoice::Main)]);
        assert_eq!(ci.directly(&ci.push("main", "b"), Action::Write, 0).await.code(), "allowed");
        let audit = ci.workloads(vec![ci.rule("main", LaneChoice::Main)], Status::Audit);
        ci.scene.gate.set_workloads(Some(audit));
        assert_eq!(ci.directly(&ci.push("main", "b"), Action::Write, 0).await.code(), "audit_only");
        ci.scene.gate.set_workloads(None);
        assert_eq!(ci.directly(&ci.push("main", "b"), Action::Write, 0).await.code(), "unknown_issuer");
    });
}

#[test]
fn what_is_written_directly_is_sealed_with_its_run() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        let token = ci.push("main", "a");
        let Verdict::Allowed(allowed) = ci.directly(&token, Action::Write, 0).await else {
            unreachable!("it is allowed")
        };
        let key = EntryKey::new(b"key").expect("a key");
        let ticket = allowed.ticket(key.clone()).expect("a ticket");
        let label = ci.scene.gate.seal(&ticket, &[7; 32], 3, NOW.into()).await.expect("sealed");
        let Verdict::Allowed(reads) = ci.directly(&token, Action::Read, 0).await else {
            unreachable!("it is allowed")
        };
        let admitted = ci.scene.gate.admit(Some(&label), &key, &[7; 32], &reads).await;
        assert_eq!(admitted.expect("admitted").run.as_deref(), Some("github:16789012345"));
    });
}

#[test]
fn a_session_is_not_made_of_a_presented_token() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        let who = ci.scene.authenticate(&SecretText::new(ci.push("main", "a"))).await;
        let refused = ci.scene.gate.exchange(&who, &SessionSpec::default(), NOW.into()).await;
        assert_eq!(
            refused.expect_err("refused").to_string(),
            "a presented workload token is not exchanged for a session"
        );
    });
}

#[test]
fn keys_that_cannot_be_had_are_no_fault_of_the_token() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        ci.pages.set(
            &format!("{GITHUB}/jwks"),
            FetchFault::Fail(FetchError::TimedOut { limit: Duration::from_secs(5) }),
        );
        let verdict = ci.directly(&ci.push("main", "a"), Action::Read, 0).await;
        assert!(matches!(verdict, Verdict::Unavailable(_)), "{}", verdict.code());
        assert_eq!(verdict.code(), "issuer_keys_unavailable");
    });
}

#[test]
fn the_issuers_keys_rotate_and_no_good_token_is_refused() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        assert_eq!(code(ci.exchange(&ci.push("main", "a")).await), "exchanged");
        ci.issuer.rename_key("k2");
        ci.issuer.publish(&ci.pages);
        ci.scene.clock.advance(Duration::from_secs(31));
        assert_eq!(code(ci.exchange(&ci.push("main", "b")).await), "exchanged");
        ci.issuer.rename_key("k3");
        assert_eq!(code(ci.exchange(&ci.push("main", "c")).await), "key unknown_key");
    });
}

#[test]
fn a_short_rule_bounds_the_session_and_not_the_age_of_the_token() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main).ttl(Duration::from_secs(60));
        ci.trust(vec![ci.allow("main", plan).when(When::fact(Fact::Event, Test::Equals("push".into())))]);
        let done =
            ci.scene.gate.exchange_workload(&WorkloadToken::new(&ci.push("main", "a")), later(200)).await;
        assert_eq!(done.expect("exchanged").session.record.expires_at, Some(later(260)));
    });
}

/// Family A22: what is remembered of a token is remembered of all its bytes, and for the anchors that took it.
#[test]
fn a22_a_remembered_token_lets_in_no_other_signature_and_no_other_audience() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        let token = ci.push("main", "a");
        assert_eq!(ci.directly(&token, Action::Write, 0).await.code(), "allowed");
        // Another signature over the same claims, the same end of another token.
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let tail = signature.get(1..).expect("a signature");
        assert_eq!(
            ci.directly(&format!("{input}.{other}{tail}"), Action::Write, 0).await.code(),
            "bad_signature"
        );
        let (_, foreign) =
            ci.push("other", "b").rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("parts");
        assert_eq!(
            ci.directly(&format!("{input}.{foreign}"), Action::Write, 0).await.code(),
            "bad_signature"
        );
        assert_eq!(
            ci.directly(&token, Action::Write, 0).await.code(),
            "allowed",
            "the good one is still remembered"
        );
        // Whoever is let in from now on is let in by the new anchor.
        let anchor =
            AnchorBuilder::new(name("github"), Platform::GithubActions, GITHUB, ["https://other.example"])
                .mode(Mode::Direct)
                .build()
                .expect("an anchor");
        let federation = Federation::new([anchor]).expect("a table");
        let rules =
            RulesDocument { rules: vec![ci.rule("main", LaneChoice::Main)], ..RulesDocument::default() };
        let rules = rules.build(&federation).expect("rules");
        let workloads = Workloads::new(federation, rules, &ci.fetch).expect("addresses");
        ci.scene.gate.set_workloads(Some(Arc::new(workloads)));
        assert_eq!(ci.directly(&token, Action::Write, 0).await.code(), "audience_mismatch");
    });
}

#[test]
fn an_issuer_that_answers_late_makes_no_other_one_late() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let issuers = ["https://a.example", "https://b.example", "https://c.example"];
        let anchors = issuers.map(|issuer| {
            let called = name(&issuer.replace("https://", "").replace('.', "-"));
            AnchorBuilder::new(called, Platform::GitlabCi, issuer, [AUDIENCE]).build().expect("an anchor")
        });
        for issuer in issuers {
            ci.pages.set(&format!("{issuer}/.well-known/openid-configuration"), FetchFault::Hold);
        }
        let federation = Federation::new(anchors).expect("a table");
        let workloads = Workloads::new(federation, RuleSet::default(), &ci.fetch).expect("addresses");
        ci.scene.gate.set_workloads(Some(Arc::new(workloads)));
        let mut round = std::pin::pin!(ci.scene.gate.refresh_keys(std::future::pending::<()>));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(round.as_mut().poll(&mut context).is_pending());
        assert_eq!(ci.pages.fetched().len(), issuers.len(), "all are asked at once");
    });
}

#[test]
fn a_locked_workload_gets_no_further() {
    block_on(async {
        let ci = Ci::new(Mode::Direct).await;
        let token = ci.push("main", "a");
        let who = ci.scene.authenticate(&SecretText::new(token.clone())).await;
        let lock = cachegate_policy::LockScope::Principal(who.principal().clone());
        let locked = ci.scene.gate.lock(
            &Authority::Operator,
            lock,
            ActionSet::ALL,
            None,
            Description::default(),
            NOW.into(),
        );
        locked.await.expect("locked");
        assert_eq!(ci.directly(&token, Action::Read, 0).await.code(), "locked");
    });
}

#[test]
fn a_gate_without_anchors_trusts_no_issuer() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        ci.scene.gate.set_workloads(None);
        assert_eq!(code(ci.exchange(&ci.push("main", "a")).await), "anchor unknown_issuer");
        let text = ci.push("main", "a");
        let credential = Credential::parse(&text, ci.scene.gate.brand()).expect("a credential");
        let refused = ci.scene.gate.authenticate(Some(&credential), NOW.into()).await;
        assert_eq!(refused.expect_err("refused").to_string(), "this token's issuer is not trusted here");
        let entry = Resource::entry(ci.scene.workspace, EntryKey::new(b"key").expect("a key"));
        assert_eq!(entry.workspace(), Some(ci.scene.workspace));
    });
}

#[test]
fn a_platforms_token_is_in_no_debug_output_and_in_no_refusal() {
    block_on(async {
        let ci = Ci::new(Mode::Exchange).await;
        let token = ci.push("main", "a");
        let signature = token.rsplit('.').next().expect("three parts");
        let asked = format!("{:?}", WorkloadToken::new(&token));
        let done = format!("{:?}", ci.exchange(&token).await.expect("exchanged"));
        let again = ci.exchange(&token).await.expect_err("replayed");
        for text in [asked, done, format!("{again:?} {again}")] {
            assert!(!text.contains(signature), "{text}");
        }
    });
}
