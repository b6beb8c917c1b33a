//! Trust rules that an organization's administrators save: whom they let in, and whom they never catch.
#![cfg(feature = "federation")]
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;

use cachegate::{
    AuditFilter, AuditFrom, Authority, ManageError, RulesTrial, TrustRulesError, WorkloadToken, Workloads,
};
use cachegate_federation::{
    Fact, GrantPlan, LaneChoice, Mode, Pin, RuleBuilder, RulesDocument, Severity, Status, TenantBuilder,
    TenantError, Tenants, Test, When,
};
use cachegate_storage::{Act, acts};
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Name, OrganizationId, Principal, Role, SecretText, Timestamp, WorkspaceId,
};
use serde_json::json;

use crate::workloads::{Ci, code};

const OPERATOR: Authority<'static> = Authority::Operator;
/// Who the scene's organization is at GitHub, and who another one is.
const OURS: &str = "123456";
const THEIRS: &str = "777";

fn now() -> Timestamp {
    NOW.into()
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn tenant(organization: OrganizationId, owner: &str) -> TenantBuilder {
    TenantBuilder::new(organization, name("github"), [Pin::new(Fact::OwnerId, owner)])
}

/// A rule that pins nobody and takes what a push to any branch is.
fn open(called: &str, organization: OrganizationId) -> RuleBuilder {
    let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main);
    RuleBuilder::allow(name(called), name("github"), organization, plan)
        .when(When::fact(Fact::Event, Test::Equals("push".into())))
        .when(When::fact(Fact::TriggerClass, Test::Equals("trusted".into())))
}

/// A scene in which GitHub vouches, nothing is configured, and two organizations write rules themselves.
struct Saved {
    ci: Ci,
    other: OrganizationId,
    elsewhere: WorkspaceId,
}

impl Saved {
    async fn new(mode: Mode) -> Self {
        let ci = Ci::new(mode).await;
        let (other, elsewhere) = ci.scene.elsewhere("rivals").await;
        let saved = Self { ci, other, elsewhere };
        saved.configure(&saved.ci.scene.gate, vec![]);
        saved
    }

    fn ours(&self) -> OrganizationId {
        self.ci.scene.organization
    }

    fn workloads(&self, rules: Vec<RuleBuilder>, tenants: Vec<TenantBuilder>) -> Arc<Workloads> {
        let federation = self.ci.federation(Status::Enforce);
        let tenants = Tenants::new(tenants, &federation).expect("tenants");
        let rules = RulesDocument { rules, ..RulesDocument::default() }.build(&federation).expect("rules");
        let workloads = Workloads::new(federation, rules, &self.ci.fetch).expect("addresses");
        Arc::new(workloads.with_tenants(tenants))
    }

    fn configure(&self, gate: &cachegate::Gate, rules: Vec<RuleBuilder>) {
        let tenants = vec![tenant(self.ours(), OURS), tenant(self.other, THEIRS)];
        gate.set_workloads(Some(self.workloads(rules, tenants)));
    }

    async fn save(&self, organization: OrganizationId, rules: &[RuleBuilder]) -> Result<(), TrustRulesError> {
        let gate = &self.ci.scene.gate;
        gate.set_trust_rules(&OPERATOR, organization, rules, None, now()).await.map(|_| ())
    }

    async fn saved(&self, organization: OrganizationId) -> Vec<RuleBuilder> {
        self.ci.scene.gate.trust_rules(&OPERATOR, organization, now()).await.expect("read").saved
    }

    /// The organization and the rule that a push of ours is let in by, or why it is not.
    async fn exchanged(&self, jti: &str) -> String {
        match self.ci.exchange(&self.ci.push("main", jti)).await {
            Ok(done) if done.matched.organization == self.ours() => {
                format!("ours by {}", done.matched.rule_name)
            }
            Ok(done) => format!("theirs by {}", done.matched.rule_name),
            refused => code(refused),
        }
    }
}

fn why(answer: Result<(), TrustRulesError>) -> &'static str {
    match answer {
        Ok(()) => "saved",
        Err(TrustRulesError::Refused(ManageError::MoreThanHeld { .. })) => "more_than_held",
        Err(TrustRulesError::Refused(ManageError::Changed { .. })) => "changed",
        Err(TrustRulesError::Refused(ManageError::Denied { .. })) => "denied",
        Err(error) => error.code().unwrap_or("refused"),
    }
}

#[test]
fn a_saved_rule_lets_in_the_organizations_own_jobs_from_its_acknowledgement_on() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        assert_eq!(scene.exchanged("a").await, "pins no_rule", "nothing is saved yet");
        scene.save(scene.ours(), &[open("any", scene.ours())]).await.expect("saved");
        assert_eq!(scene.exchanged("a").await, "ours by any", "the same token: a refusal uses nothing up");
        scene.save(scene.ours(), &[]).await.expect("saved");
        assert_eq!(scene.exchanged("b").await, "pins no_rule");
    });
}

/// Whoever saves a rule that pins nobody, or the same repository more narrowly, catches no job of others: neither to
/// have it write into their own lanes and read from them, nor to make it ambiguous and so refused.
#[test]
fn a_saved_rule_catches_no_job_of_another_organization() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        scene.save(scene.ours(), &[open("ours", scene.ours())]).await.expect("saved");
        let narrow =
            open("narrow", scene.other).workspace(scene.elsewhere).pin(Pin::new(Fact::RepoId, "456789"));
        scene.save(scene.other, &[open("theirs", scene.other), narrow]).await.expect("saved, and bound");
        assert_eq!(scene.exchanged("a").await, "ours by ours");
        let stolen = open("stolen", scene.other).pin(Pin::new(Fact::OwnerId, OURS));
        assert_eq!(why(scene.save(scene.other, &[stolen]).await), "rule_other_tenant");
        let token = scene.ci.token(json!({
            "sub": "repo:rivals/beacon:ref:refs/heads/main", "jti": "b", "repository": "rivals/beacon",
            "repository_id": "1", "repository_owner": "rivals", "repository_owner_id": THEIRS,
        }));
        let own = scene.ci.exchange(&token).await.expect("their own job");
        assert_eq!(own.matched.rule_name.as_str(), "theirs");
        assert_eq!(own.matched.organization, scene.other);
    });
}

#[test]
fn a_rule_that_is_not_the_organizations_is_not_saved() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let ours = scene.ours();
        for (rule, expected) in [
            (open("a", scene.other), "rule_other_organization"),
            (open("a", ours).workspace(scene.elsewhere), "rule_not_resolved"),
            (open("a", ours).id(cachegate_types::RuleId::from_bytes([7; 16])), "rule_id_given"),
            (open("a", ours).pin(Pin::new(Fact::OwnerId, THEIRS)), "rule_other_tenant"),
            (
                RuleBuilder::deny(name("a"), name("gitlab"), ours).pin(Pin::new(Fact::OwnerId, OURS)),
                "rule_not_a_tenant",
            ),
        ] {
            assert_eq!(why(scene.save(ours, &[rule]).await), expected);
        }
        assert_eq!(why(scene.save(ours, &[open("a", ours), open("a", ours)]).await), "duplicate_rule");
        let many: Vec<RuleBuilder> = (0..=200).map(|number| open(&format!("r{number}"), ours)).collect();
        assert_eq!(why(scene.save(ours, &many).await), "too_many_rules");
        assert!(scene.saved(ours).await.is_empty(), "nothing of it was saved");
    });
}

#[test]
fn without_a_tenant_an_organization_saves_nothing() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        scene.ci.scene.gate.set_workloads(Some(scene.workloads(vec![], vec![])));
        assert_eq!(why(scene.save(scene.ours(), &[open("a", scene.ours())]).await), "rule_not_a_tenant");
        scene.ci.scene.gate.set_workloads(None);
        assert_eq!(why(scene.save(scene.ours(), &[open("a", scene.ours())]).await), "rule_not_a_tenant");
    });
}

#[test]
fn tenants_of_which_one_token_could_be_are_no_table() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let federation = scene.ci.federation(Status::Enforce);
        let same = Tenants::new([tenant(scene.ours(), OURS), tenant(scene.other, OURS)], &federation);
        assert!(matches!(same, Err(TenantError::Overlap { .. })), "{same:?}");
        let unpinned = TenantBuilder::new(scene.ours(), name("github"), []);
        let unpinned = Tenants::new([unpinned], &federation).expect_err("GitHub's issuer is shared");
        assert_eq!(unpinned.code(), "rule_pin_missing");
        let repository = TenantBuilder::new(
            scene.other,
            name("github"),
            [Pin::new(Fact::OwnerId, THEIRS), Pin::new(Fact::RepoId, "9")],
        );
        assert!(Tenants::new([tenant(scene.ours(), OURS), repository], &federation).is_ok(), "owners differ");
    });
}

#[test]
fn nobody_saves_rules_for_whom_they_do_not_administer_or_beyond_what_they_hold() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let (ours, gate) = (scene.ours(), &scene.ci.scene.gate);
        let rules = [open("a", ours)];
        let save = async |token: &SecretText, rules: &[RuleBuilder]| {
            let who = scene.ci.scene.authenticate(token).await;
            why(gate.set_trust_rules(&Authority::Of(&who), ours, rules, None, now()).await.map(|_| ()))
        };
        let (_, member) = scene.ci.scene.person(Role::Member, ActionSet::ALL).await;
        assert_eq!(save(&member, &rules).await, "denied");
        let cut = ActionSet::of(&[Action::Resolve, Action::Read, Action::Administer]);
        let (_, reader) = scene.ci.scene.person(Role::Admin, cut).await;
        assert_eq!(save(&reader, &rules).await, "more_than_held", "no job writes for whom may not");
        let unpublished = Role::Admin.actions();
        let (_, admin) = scene.ci.scene.person(Role::Admin, unpublished).await;
        let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main).with_publish();
        let publishing = RuleBuilder::allow(name("p"), name("github"), ours, plan)
            .when(When::fact(Fact::TriggerClass, Test::Equals("trusted".into())));
        assert_eq!(save(&admin, std::slice::from_ref(&publishing)).await, "more_than_held");
        assert_eq!(save(&admin, &rules).await, "saved");
        scene.save(ours, &[publishing.clone(), open("a", ours)]).await.expect("the operator's");
        assert_eq!(save(&reader, &[publishing]).await, "saved", "what was given before is not given anew");
    });
}

#[test]
fn rules_that_were_saved_meanwhile_are_not_overwritten() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let (ours, gate) = (scene.ours(), &scene.ci.scene.gate);
        let seen = gate.trust_rules(&OPERATOR, ours, now()).await.expect("read");
        scene.save(ours, &[open("first", ours)]).await.expect("saved");
        let late = gate.set_trust_rules(&OPERATOR, ours, &[], Some(&seen), now()).await.map(|_| ());
        assert_eq!(why(late), "changed");
        assert_eq!(scene.saved(ours).await.len(), 1);
        let seen = gate.trust_rules(&OPERATOR, ours, now()).await.expect("read");
        let again = gate.set_trust_rules(&OPERATOR, ours, &[], Some(&seen), now()).await.map(|_| ());
        assert_eq!(why(again), "saved");
    });
}

#[test]
fn a_token_that_is_presented_itself_is_held_to_the_rules_as_they_are_now_on_every_node() {
    block_on(async {
        let scene = Saved::new(Mode::Direct).await;
        let (node, _, clock) = scene.ci.scene.other_node().await;
        scene.configure(&node, vec![]);
        let token = SecretText::new(scene.ci.push("main", "a"));
        let there = async || {
            let scene = &scene.ci.scene;
            scene.ask_gate(&node, Some(&token), Action::Write, "key", now()).await.code()
        };
        assert_eq!(there().await, "no_rule");
        scene.save(scene.ours(), &[open("any", scene.ours())]).await.expect("saved");
        assert_eq!(scene.ci.scene.code(&token, Action::Write).await, "allowed");
        clock.advance(std::time::Duration::from_secs(4));
        assert_eq!(there().await, "allowed", "after four seconds another node knows");
        let read = GrantPlan::new(AccessLevel::ReadOnly);
        let reading = RuleBuilder::allow(name("any"), name("github"), scene.ours(), read);
        scene.save(scene.ours(), &[reading]).await.expect("saved");
        assert_eq!(scene.ci.scene.code(&token, Action::Write).await, "action_not_granted");
        scene.save(scene.ours(), &[]).await.expect("saved");
        assert_eq!(scene.ci.scene.code(&token, Action::Read).await, "no_rule");
        clock.advance(std::time::Duration::from_secs(4));
        assert_eq!(there().await, "no_rule");
    });
}

#[test]
fn saved_rules_that_no_longer_load_refuse_their_organizations_jobs_and_nobody_elses() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        scene.save(scene.ours(), &[open("any", scene.ours())]).await.expect("saved");
        assert_eq!(scene.exchanged("a").await, "ours by any");
        // The operator configures a rule of the same name.
        let configured =
            open("any", scene.ours()).pin(Pin::new(Fact::OwnerId, OURS)).pin(Pin::new(Fact::RepoId, "5"));
        scene.configure(&scene.ci.scene.gate, vec![configured]);
        assert_eq!(scene.exchanged("b").await, "pins rules_not_loaded");
        scene.save(scene.other, &[open("any", scene.other)]).await.expect("not theirs to suffer");
        // What cannot be read is no reason to guess.
        let document = name(&format!("trust-rules-{}", scene.ours()));
        let storage = &scene.ci.scene.storage;
        let before = storage.rules(&document).await.expect("read").map(|found| found.revision);
        let act = Act { by: Principal::Anonymous, token: None, at: now() };
        storage.put_rules(&document, b"not JSON", before, &act).await.expect("written");
        let refused = scene.ci.exchange(&scene.ci.push("main", "c")).await.expect_err("refused");
        assert!(refused.to_string().contains("cannot be read"), "{refused}");
    });
}

#[test]
fn a_rule_for_an_anchor_that_is_gone_takes_nothing_from_the_others() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let (ours, gate) = (scene.ours(), &scene.ci.scene.gate);
        let document = name(&format!("trust-rules-{ours}"));
        let gone = RuleBuilder::deny(name("gone"), name("gitlab"), ours).pin(Pin::new(Fact::OwnerId, "1"));
        let rules = RulesDocument { rules: vec![open("any", ours), gone], ..RulesDocument::default() };
        let bytes = serde_json::to_vec(&rules).expect("JSON");
        let act = Act { by: Principal::Anonymous, token: None, at: now() };
        scene.ci.scene.storage.put_rules(&document, &bytes, None, &act).await.expect("written");
        assert_eq!(scene.exchanged("a").await, "ours by any");
        let saved = scene.saved(ours).await;
        let findings = gate.lint_trust_rules(&OPERATOR, ours, &saved, now()).await.expect("linted");
        let errors =
            findings.iter().filter(|found| found.severity == Severity::Error).map(|found| found.code);
        assert_eq!(errors.collect::<Vec<_>>(), ["rule_not_a_tenant"], "and its administrators are told");
    });
}

#[test]
fn the_linter_names_what_could_not_be_saved_and_nothing_of_others() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let (ours, gate) = (scene.ours(), &scene.ci.scene.gate);
        let configured =
            |organization, owner| open("fixed", organization).pin(Pin::new(Fact::OwnerId, owner));
        scene.configure(gate, vec![configured(ours, OURS), configured(scene.other, THEIRS)]);
        let rules = [
            open("twin", ours),
            open("far", ours).workspace(scene.elsewhere),
            open("foreign", ours).pin(Pin::new(Fact::OwnerId, THEIRS)),
        ];
        let findings = gate.lint_trust_rules(&OPERATOR, ours, &rules, now()).await.expect("linted");
        let found = |code: &str, about: &str| {
            let about = name(about);
            findings.iter().any(|one| one.code == code && one.rule.as_ref() == Some(&about))
        };
        assert!(found("rule_tie", "fixed") || found("rule_tie", "twin"), "{findings:?}");
        assert!(found("rule_not_resolved", "far"), "{findings:?}");
        assert!(found("rule_other_tenant", "foreign"), "{findings:?}");
        let text = format!("{findings:?}");
        assert!(!text.contains(&scene.other.to_string()), "{text}");
        assert_eq!(why(scene.save(ours, &rules[..1]).await), "rule_tie");
    });
}

#[test]
fn a_trial_tells_what_would_come_of_a_token_and_uses_nothing_up() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        let (ours, gate) = (scene.ours(), &scene.ci.scene.gate);
        let rules = [open("any", ours)];
        let token = scene.ci.push("main", "a");
        let asked = gate.try_trust_rules(&OPERATOR, ours, &rules, &token, now()).await.expect("tried");
        assert!(matches!(asked, RulesTrial::NoKeys(_)), "a trial fetches nothing: {asked:?}");
        // Another job comes by, and the keys are held.
        assert_eq!(scene.exchanged("other").await, "pins no_rule");
        let tried = gate.try_trust_rules(&OPERATOR, ours, &rules, &token, now()).await.expect("tried");
        let RulesTrial::Tried { evaluation, explanation, .. } = tried else { panic!("{tried:?}") };
        assert_eq!(evaluation.outcome.expect("let in").rule_name, name("any"));
        assert_eq!(explanation.rules.len(), 1);
        // Whom others trust is not told: an anchor of theirs reads as one that is not there.
        let (nobody, _) = scene.ci.scene.elsewhere("nobody").await;
        let untold = gate.try_trust_rules(&OPERATOR, nobody, &[], &token, now()).await.expect("tried");
        let RulesTrial::Refused(refusal) = untold else { panic!("{untold:?}") };
        assert_eq!((refusal.code(), refusal.expected()), ("unknown_issuer", "an anchor to be configured"));
        // What another organization is asked for is not told, and gets nothing.
        scene.save(ours, &rules).await.expect("saved");
        let theirs = gate.try_trust_rules(&OPERATOR, scene.other, &[], &token, now()).await.expect("tried");
        let RulesTrial::Tried { evaluation, explanation, .. } = theirs else { panic!("{theirs:?}") };
        assert!(evaluation.outcome.is_err() && explanation.rules.is_empty());
        assert_eq!(scene.exchanged("a").await, "ours by any", "the token is as good as before");
    });
}

#[test]
fn saving_rules_is_in_the_organizations_own_audit_alone() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        scene.save(scene.ours(), &[open("any", scene.ours())]).await.expect("saved");
        let written = AuditFilter { code: Some(acts::RULES_WRITTEN.to_owned()), ..AuditFilter::default() };
        for (organization, count) in [(scene.ours(), 1), (scene.other, 0)] {
            let audit = &scene.ci.scene.gate;
            let page =
                audit.audit(&OPERATOR, Some(organization), &written, AuditFrom::OLDEST, 100, now()).await;
            assert_eq!(page.expect("read").items.len(), count);
        }
    });
}

/// A session that was exchanged keeps what it was given, as the documentation says.
#[test]
fn a_session_outlives_the_rule_that_it_came_by() {
    block_on(async {
        let scene = Saved::new(Mode::Exchange).await;
        scene.save(scene.ours(), &[open("any", scene.ours())]).await.expect("saved");
        let token = scene.ci.push("main", "a");
        let session = scene.ci.scene.gate.exchange_workload(&WorkloadToken::new(&token), now()).await;
        let session = session.expect("a session").session.token;
        scene.save(scene.ours(), &[]).await.expect("saved");
        assert_eq!(scene.ci.scene.code(&session, Action::Write).await, "allowed");
    });
}
