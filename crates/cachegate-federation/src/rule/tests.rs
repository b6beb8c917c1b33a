//! Rules against facts that are written down here; `tests/rule_tokens.rs` takes signed tokens.

use std::collections::BTreeSet;
use std::sync::Arc;

use cachegate_types::{ActionSet, LaneSource, Role};
use proptest::prelude::*;

use super::*;
use crate::{AnchorBuilder, Facts, Federation, Refusal, Step, TriggerClass};

const SHARED: &str = "https://token.actions.githubusercontent.com";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn anchor() -> Anchor {
    AnchorBuilder::new(name("github"), Platform::GithubActions, SHARED, ["https://cache.example"])
        .build()
        .expect("an anchor")
}

fn anchor_of(platform: Platform, issuer: &str) -> Anchor {
    AnchorBuilder::new(name(platform.as_str()), platform, issuer, ["https://cache.example"])
        .build()
        .expect("an anchor")
}

fn organization(number: u8) -> OrganizationId {
    OrganizationId::from_bytes([number; 16])
}

fn workspace(number: u8) -> WorkspaceId {
    WorkspaceId::from_bytes([number; 16])
}

fn lane(text: &str) -> cachegate_types::Lane {
    text.parse().expect("a lane")
}

/// A push to `main` of repository 456789.
fn push() -> Facts {
    let mut facts = Facts::new(&name("github"), Platform::GithubActions);
    for (fact, value) in [
        (Fact::OwnerId, "123456"),
        (Fact::OwnerName, "lumen-labs"),
        (Fact::RepoId, "456789"),
        (Fact::RepoName, "lumen-labs/beacon"),
        (Fact::RefFull, "refs/heads/main"),
        (Fact::RefKind, "branch"),
        (Fact::RefName, "main"),
        (Fact::Event, "push"),
        (Fact::WorkflowPath, "lumen-labs/beacon/.github/workflows/build.yml"),
        (Fact::CalleePath, "lumen-labs/shared/.github/workflows/cache.yml"),
        (Fact::RunnerKind, "github-hosted"),
        (Fact::Environment, "prod"),
    ] {
        facts.know(fact, value);
    }
    facts.know(Fact::RefProtected, true);
    facts.know(Fact::TokenIssued, 1_790_000_000);
    facts.set_trigger(TriggerClass::Trusted);
    facts.set_lane(Some(lane("branch/@github:456789/main")));
    facts
}

/// Pull request 17 of the same repository.
fn pull() -> Facts {
    let mut facts = push();
    facts.know(Fact::Event, "pull_request");
    facts.know(Fact::RefFull, "refs/pull/17/merge");
    facts.know(Fact::RefKind, "pull");
    facts.know(Fact::RefName, "17");
    facts.know(Fact::BaseRef, "next");
    facts.set_trigger(TriggerClass::Outsider);
    facts.set_lane(Some(lane("pull/@github:456789/17")));
    facts
}

/// A `pull_request_target`: the base repository's identity and branch, and an outsider behind it.
fn target() -> Facts {
    let mut facts = push();
    facts.know(Fact::Event, "pull_request_target");
    facts.set_trigger(TriggerClass::Outsider);
    facts.set_lane(None);
    facts
}

fn main_plan() -> GrantPlan {
    GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Main)
}

fn verified_plan() -> GrantPlan {
    GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Verified)
}

fn repository() -> Pin {
    Pin::new(Fact::RepoId, "456789")
}

fn allow(rule: &str, plan: GrantPlan) -> RuleBuilder {
    RuleBuilder::allow(name(rule), name("github"), organization(1), plan).pin(repository())
}

fn deny(rule: &str) -> RuleBuilder {
    RuleBuilder::deny(name(rule), name("github"), organization(1)).pin(repository())
}

fn equals(fact: Fact, value: &str) -> When {
    When::fact(fact, Test::Equals(value.into()))
}

fn built(builder: RuleBuilder) -> TrustRule {
    builder.build(&anchor()).expect("a rule")
}

fn refused(builder: RuleBuilder) -> String {
    builder.build(&anchor()).expect_err("refused").code().to_owned()
}

fn set(builders: impl IntoIterator<Item = RuleBuilder>) -> RuleSet {
    RuleSet::new(builders.into_iter().map(built), Selection::Search).expect("a rule set")
}

fn tie(builders: impl IntoIterator<Item = RuleBuilder>) -> String {
    RuleSet::new(builders.into_iter().map(built), Selection::Search).expect_err("refused").code().to_owned()
}

fn ask(set: &RuleSet, facts: &Facts) -> Result<Matched, Refusal> {
    set.decide(facts, &Ask::default(), false)
}

fn code(result: &Result<Matched, Refusal>) -> String {
    match result {
        Ok(matched) => format!("{} {}", matched.rule_name, matched.lane),
        Err(refusal) => format!("{} {}", refusal.step(), refusal.code()),
    }
}

// What can be built.

#[test]
fn a_rule_on_a_shared_issuer_cannot_be_built_without_an_immutable_pin() {
    let bare = RuleBuilder::allow(name("bare"), name("github"), organization(1), main_plan());
    assert_eq!(refused(bare.clone()), "rule_pin_missing");
    let conditioned = bare
        .clone()
        .when(equals(Fact::RepoId, "456789"))
        .when(When::fact(Fact::RepoName, Test::EqualsFold("lumen-labs/beacon".into())));
    assert_eq!(refused(conditioned), "rule_pin_missing");
    assert!(bare.clone().pin(Pin::new(Fact::OwnerId, "123456")).build(&anchor()).is_ok());
    let actor = bare.pin(Pin::new(Fact::ActorId, "7"));
    assert_eq!(refused(actor), "rule_pin_missing", "an actor is no tenant");
}

#[test]
fn a_dedicated_issuer_asks_for_no_pin() {
    let anchor = anchor_of(Platform::GithubActions, "https://ghes.example/_services/token");
    let rule = RuleBuilder::allow(name("own"), anchor.id().clone(), organization(1), main_plan());
    assert!(rule.build(&anchor).is_ok());
}

#[test]
fn a_pin_is_an_immutable_id_that_the_platform_gives() {
    let pin = |fact, id: &str| refused(allow("pin", main_plan()).pin(Pin::new(fact, id)));
    assert_eq!(pin(Fact::RepoName, "lumen-labs/beacon"), "rule_pin_not_id");
    assert_eq!(pin(Fact::RefName, "main"), "rule_pin_not_id");
    assert_eq!(pin(Fact::RunId, "1"), "rule_pin_not_id");
    assert_eq!(pin(Fact::QueueId, "1"), "rule_pin_not_given");
    assert_eq!(pin(Fact::RepoId, "1"), "rule_pin_twice");
    assert_eq!(pin(Fact::OwnerId, ""), "rule_pin_length");
    let named = allow("pin", main_plan()).pin(Pin::new(Fact::TenantId, "1").named("lumen"));
    assert!(named.build(&anchor()).is_ok());
}

#[test]
fn a_grant_that_cannot_be_is_refused() {
    let plan = |plan: GrantPlan| refused(allow("plan", plan));
    assert_eq!(plan(GrantPlan::new(AccessLevel::ReadWrite)), "rule_lane_missing");
    assert_eq!(plan(main_plan().with_base()), "rule_base_unwanted");
    for choice in [LaneChoice::Dev, LaneChoice::Branch, LaneChoice::Pull, LaneChoice::Verified] {
        let publishing = GrantPlan::new(AccessLevel::ReadWrite).lane(choice).with_publish();
        assert_eq!(plan(publishing), "rule_publish_unwanted");
    }
    assert_eq!(plan(GrantPlan::new(AccessLevel::ReadOnly).with_publish()), "rule_publish_unwanted");
    assert_eq!(plan(main_plan().ttl(Duration::from_secs(3601))), "rule_ttl");
    assert_eq!(plan(main_plan().ttl(Duration::ZERO)), "rule_ttl");
    assert!(allow("plan", main_plan().ttl(Duration::from_secs(3600))).build(&anchor()).is_ok());
}

#[test]
fn a_denying_rule_for_everyone_is_refused() {
    let rule = RuleBuilder::deny(name("all"), name("github"), organization(1));
    assert_eq!(refused(rule), "rule_denies_everyone");
}

#[test]
fn a_rule_is_held_against_its_own_anchor() {
    let anchor = anchor_of(Platform::GithubActions, "https://ghes.example/_services/token");
    let error = allow("other", main_plan()).build(&anchor).expect_err("refused");
    assert_eq!(error.code(), "rule_other_anchor");
}

#[test]
fn circleci_enters_no_shared_lane_without_the_origin_that_tells_a_fork() {
    let anchor =
        anchor_of(Platform::Circleci, "https://oidc.circleci.com/org/3f2b8a52-0c5f-4bb3-9d0f-0a5f8f3b2c11");
    let rule = |plan| {
        RuleBuilder::allow(name("circle"), anchor.id().clone(), organization(1), plan)
            .pin(Pin::new(Fact::RepoId, "9d0f"))
    };
    let error = rule(main_plan()).build(&anchor).expect_err("refused");
    assert_eq!(error.code(), "rule_write_condition");
    let pattern = When::fact(Fact::RepoName, Test::Segments("github.com/*/*".into()));
    assert_eq!(
        rule(main_plan()).when(pattern).build(&anchor).expect_err("refused").code(),
        "rule_write_condition"
    );
    let held = rule(main_plan()).when(equals(Fact::RepoName, "github.com/lumen-labs/beacon"));
    assert!(held.build(&anchor).is_ok());
    assert!(rule(verified_plan()).build(&anchor).is_ok());
}

#[test]
fn names_are_resolved_to_ids_before_a_rule_counts() {
    let document = r#"{ "name": "named", "anchor": "github", "organization": "lumen", "workspace": "beacon",
        "pins": [{ "fact": "repo.id", "is": "456789" }], "grant": { "level": "read-only" } }"#;
    let named: RuleBuilder = serde_json::from_str(document).expect("a rule");
    assert_eq!(refused(named.clone()), "rule_not_an_id");
    let unknown = named.clone().resolve(|_| None, |_, _| None).expect_err("refused");
    assert_eq!(unknown.code(), "rule_not_resolved");
    let resolved = named
        .resolve(
            |name| (name == "lumen").then(|| organization(1)),
            |owner, name| (owner == organization(1) && name == "beacon").then(|| workspace(2)),
        )
        .expect("a rule");
    let rule = built(resolved);
    assert_eq!((rule.organization(), rule.workspace()), (organization(1), Some(workspace(2))));
}

#[test]
fn the_id_of_a_rule_stays_while_organization_and_name_do() {
    let one = built(allow("same", main_plan()));
    let changed = built(allow("same", verified_plan()).when(equals(Fact::Event, "push")));
    assert_eq!(one.id(), changed.id());
    assert_ne!(one.id(), built(allow("other", main_plan())).id());
    let elsewhere = RuleBuilder::allow(name("same"), name("github"), organization(2), main_plan());
    assert_ne!(one.id(), built(elsewhere.pin(repository())).id());
}

// What comes of a condition.

fn truth(when: When, facts: &Facts) -> Truth {
    Compiled::new(when, Platform::GithubActions, false, &NoConditions).expect("a condition").evaluate(facts)
}

fn denying(when: When, facts: &Facts) -> Truth {
    Compiled::new(when, Platform::GithubActions, true, &NoConditions).expect("a condition").evaluate(facts)
}

fn fault(when: When) -> String {
    Compiled::new(when, Platform::GithubActions, false, &NoConditions).expect_err("refused").code().to_owned()
}

fn list(values: &[&str]) -> Vec<FactValue> {
    values.iter().map(|value| FactValue::from(*value)).collect()
}

#[test]
fn every_kind_of_condition_is_true_false_or_unknown() {
    use Truth::{False, True, Unknown};
    let facts = push();
    let mut incomplete = push();
    incomplete.incomplete(Fact::Event);
    for (test, known, elsewhere) in [
        (Test::Equals("push".into()), True, Unknown),
        (Test::Equals("PUSH".into()), False, Unknown),
        (Test::OneOf(list(&["schedule", "push"])), True, Unknown),
        (Test::OneOf(list(&["schedule"])), False, Unknown),
        (Test::NoneOf(list(&["schedule"])), True, Unknown),
        (Test::NoneOf(list(&["push"])), False, Unknown),
        (Test::Segments("*".into()), True, Unknown),
        (Test::Segments("pull".into()), False, Unknown),
        (Test::Present, True, Unknown),
        (Test::Absent, False, Unknown),
    ] {
        let when = When::fact(Fact::Event, test.clone());
        assert_eq!(truth(when.clone(), &facts), known, "{test}");
        assert_eq!(truth(when, &incomplete), elsewhere, "{test} of what is incomplete");
    }
    assert_eq!(truth(When::fact(Fact::BaseRef, Test::Absent), &facts), True);
    assert_eq!(truth(When::fact(Fact::BaseRef, Test::Present), &facts), False);
    assert_eq!(truth(equals(Fact::BaseRef, "main"), &facts), Unknown);
    assert_eq!(truth(When::fact(Fact::BaseRef, Test::NoneOf(list(&["main"]))), &facts), Unknown);
    let range = |min, max| truth(When::fact(Fact::TokenIssued, Test::Range { min, max }), &facts);
    assert_eq!(range(Some(1_790_000_000), Some(1_790_000_000)), True);
    assert_eq!(range(Some(1_790_000_001), None), False);
    assert_eq!(range(None, Some(1_789_999_999)), False);
}

#[test]
fn a_set_is_asked_for_its_members_and_a_cut_one_tells_nothing() {
    let mut facts = push();
    let groups: BTreeSet<Arc<str>> = ["a".into(), "b".into()].into();
    facts.know(Fact::Groups, FactValue::Set(groups));
    let has = |texts: &[&str], all, facts: &Facts| {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let test = if all { Test::ContainsAll(texts) } else { Test::ContainsAny(texts) };
        let when = When::fact(Fact::Groups, test);
        Compiled::new(when, Platform::EntraId, false, &NoConditions).expect("a condition").evaluate(facts)
    };
    assert_eq!(has(&["a", "b"], true, &facts), Truth::True);
    assert_eq!(has(&["a", "c"], true, &facts), Truth::False);
    assert_eq!(has(&["c", "b"], false, &facts), Truth::True);
    assert_eq!(has(&["c"], false, &facts), Truth::False);
    facts.incomplete(Fact::Groups);
    assert_eq!(has(&["c"], false, &facts), Truth::Unknown);
}

#[test]
fn types_never_mix() {
    assert_eq!(fault(When::fact(Fact::RefProtected, Test::Equals("true".into()))), "condition_type");
    assert_eq!(fault(When::fact(Fact::RepoId, Test::Equals(456_789.into()))), "condition_type");
    assert_eq!(fault(When::fact(Fact::Event, Test::Range { min: Some(1), max: None })), "condition_type");
    assert_eq!(fault(When::fact(Fact::Event, Test::ContainsAny(vec!["push".into()]))), "condition_type");
    assert_eq!(fault(equals(Fact::QueueId, "1")), "condition_fact_not_given");
    let matcher = Matcher::equal_to("1".into());
    let number = Knowledge::Known(Cow::Owned(FactValue::from(1)));
    assert_eq!(matcher.evaluate(&number), Truth::Unknown);
}

#[test]
fn a_condition_that_would_hold_for_nothing_or_everything_is_refused() {
    assert_eq!(fault(When::fact(Fact::Event, Test::OneOf(vec![]))), "condition_empty");
    assert_eq!(fault(When::fact(Fact::Event, Test::NoneOf(vec![]))), "condition_empty");
    assert_eq!(fault(equals(Fact::Event, "")), "condition_empty");
    assert_eq!(fault(When::fact(Fact::TokenIssued, Test::Range { min: None, max: None })), "condition_empty");
    assert_eq!(
        fault(When::fact(Fact::TokenIssued, Test::Range { min: Some(2), max: Some(1) })),
        "condition_range"
    );
    assert_eq!(fault(When::claim("", Test::Present)), "condition_empty");
    assert_eq!(fault(equals(Fact::Event, &"x".repeat(1025))), "condition_too_long");
}

#[test]
fn case_folds_only_where_the_platform_folds_it() {
    let facts = push();
    assert_eq!(truth(equals(Fact::RepoName, "Lumen-Labs/Beacon"), &facts), Truth::False);
    let folded = When::fact(Fact::RepoName, Test::EqualsFold("Lumen-Labs/BEACON".into()));
    assert_eq!(truth(folded, &facts), Truth::True);
    assert_eq!(fault(When::fact(Fact::RefName, Test::EqualsFold("Main".into()))), "condition_fold");
    assert_eq!(fault(When::claim("ref", Test::EqualsFold("Main".into()))), "condition_fold");
}

#[test]
fn an_exclusion_is_not_escaped_by_other_letters() {
    let mut facts = push();
    facts.know(Fact::RepoName, "LUMEN-labs/Beacon");
    assert_eq!(
        truth(When::fact(Fact::RepoName, Test::NoneOf(list(&["lumen-labs/beacon"]))), &facts),
        Truth::False
    );
    assert_eq!(denying(equals(Fact::RepoName, "lumen-labs/beacon"), &facts), Truth::True);
    assert_eq!(
        denying(When::fact(Fact::RepoName, Test::Segments("lumen-labs/*".into())), &facts),
        Truth::True
    );
}

#[test]
fn a_reference_has_kind_and_name() {
    let branch = |name| When::reference(ReferenceKind::Branch, Some(name));
    let mut tag = push();
    tag.know(Fact::RefFull, "refs/tags/main");
    tag.know(Fact::RefKind, "tag");
    assert_eq!(truth(branch("main"), &push()), Truth::True);
    assert_eq!(truth(branch("main"), &tag), Truth::False, "a tag of the branch's name");
    assert_eq!(truth(branch("mai"), &push()), Truth::False);
    assert_eq!(truth(When::reference(ReferenceKind::Tag, None), &tag), Truth::True);
    let mut release = push();
    release.know(Fact::RefName, "release/1/2");
    assert_eq!(truth(branch("release/**"), &release), Truth::True);
    assert_eq!(truth(branch("release/*"), &release), Truth::False);
}

#[test]
fn a_pattern_is_of_the_whole_text() {
    let path = |pattern: &str, value: &str| {
        let mut facts = push();
        facts.know(Fact::RepoName, value);
        truth(When::fact(Fact::RepoName, Test::Segments(pattern.into())), &facts) == Truth::True
    };
    assert!(path("lumen-labs/beacon", "lumen-labs/beacon"));
    assert!(path("lumen-labs/*", "lumen-labs/beacon"));
    assert!(path("lumen-labs/**", "lumen-labs/beacon/x:y"));
    assert!(path("**", "anything"));
    for (pattern, value) in [
        ("lumen-labs/beacon", "lumen-labs/beacon-evil"),
        ("lumen-labs/beacon", "evil/lumen-labs/beacon"),
        ("lumen-labs/beacon", "lumen-labs/beaco"),
        ("lumen-labs/beacon", "lumen-labs/beacon\n"),
        ("lumen-labs/beacon", "lumen-labs/beacon/"),
        ("lumen-labs/beacon", "lumen-labs:beacon"),
        ("lumen-labs/beacon", "Lumen-labs/beacon"),
        ("lumen-labs/beacon", "lumen-labs/beac\u{43e}n"),
        ("lumen-labs/beacon", "lumen-labs/beacon\u{200b}"),
        ("lumen-labs/*", "lumen-labs/"),
        ("lumen-labs/*", "lumen-labs"),
        ("lumen-labs/*", "lumen-labs/a/b"),
        ("lumen-labs/*", "lumen-labs/a:b"),
        ("lumen-labs/*", "lumen-labs/a\nb"),
        ("lumen-labs/*", "lumen-labs-evil/a"),
        ("lumen-labs/**", "lumen-labs/"),
        ("lumen-labs/**", "lumen-labs"),
        ("lumen-labs/**", "lumen-labs/a\n"),
        ("*/beacon", "a/b/beacon"),
    ] {
        assert!(!path(pattern, value), "{pattern} of {value:?}");
    }
}

#[test]
fn a_bar_is_a_letter_of_a_pattern_and_no_choice() {
    let mut facts = push();
    let when = || When::fact(Fact::Environment, Test::Segments("acme:web|evil:x".into()));
    facts.know(Fact::Environment, "acme:web");
    assert_eq!(truth(when(), &facts), Truth::False);
    facts.know(Fact::Environment, "acme:web|evil:x");
    assert_eq!(truth(when(), &facts), Truth::True);
}

#[test]
fn a_pattern_that_reaches_too_far_is_refused() {
    let pattern = |pattern: &str| fault(When::fact(Fact::RepoName, Test::Segments(pattern.into())));
    assert_eq!(pattern("lumen-*"), "pattern_partial_wildcard");
    assert_eq!(pattern("***"), "pattern_partial_wildcard");
    assert_eq!(pattern("**/beacon"), "pattern_rest_not_last");
    assert_eq!(pattern("lumen//beacon"), "pattern_empty_segment");
    assert_eq!(pattern("lumen/"), "pattern_empty_segment");
    assert_eq!(pattern(""), "condition_empty");
    assert_eq!(fault(When::reference(ReferenceKind::Branch, Some("rel*"))), "pattern_partial_wildcard");
}

#[cfg(not(feature = "regex"))]
#[test]
fn without_the_feature_a_regular_expression_is_refused() {
    assert_eq!(fault(When::fact(Fact::RefName, Test::Regex("main".into()))), "regex_unavailable");
}

#[cfg(feature = "regex")]
#[test]
fn a_regular_expression_is_anchored_as_a_whole() {
    let of = |pattern: &str, value: &str| {
        let mut facts = push();
        facts.know(Fact::RefName, value);
        truth(When::fact(Fact::RefName, Test::Regex(pattern.into())), &facts) == Truth::True
    };
    assert!(of("v[0-9]+", "v17"));
    assert!(of("main|next", "main") && of("main|next", "next"));
    for (pattern, value) in [
        ("main|next", "main-evil"),
        ("main|next", "evil-next"),
        ("main|next", "mainnext"),
        ("main", "main\n"),
        ("(?m)main$", "main\nevil"),
        ("(?m)^main", "evil\nmain"),
        ("main", "Main"),
        ("v[0-9]+", "v1\u{661}"),
        ("v[0-9]*", "xv1"),
    ] {
        assert!(!of(pattern, value), "{pattern} of {value:?}");
    }
}

#[cfg(feature = "regex")]
#[test]
fn a_regular_expression_that_could_leave_its_segment_is_refused() {
    let pattern = |pattern: &str| fault(When::fact(Fact::RefName, Test::Regex(pattern.into())));
    for reaching in
        [".*", "a/b", "(?s).", "[^a]+", "x(a|b:c)", "\\s", "\\W", "\\n", "(?:a|(?:b/)?)c", "[!-~]"]
    {
        assert_eq!(pattern(reaching), "regex_delimiter", "{reaching}");
    }
    for broken in ["a)|(b", "(", "[", "(?x)a #", "a{9999999}"] {
        assert_eq!(pattern(broken), "regex_syntax", "{broken}");
    }
    assert_eq!(pattern(&"a".repeat(257)), "condition_too_long");
}

#[derive(Debug)]
struct Says(Truth);

impl Condition for Says {
    fn evaluate(&self, _: &Facts) -> Truth {
        self.0
    }
}

impl CompileCondition for Says {
    fn compile(&self, _: &Name, text: &str) -> Result<Arc<dyn Condition>, String> {
        if text == "broken" { Err("this cannot be read".to_owned()) } else { Ok(Arc::new(Self(self.0))) }
    }
}

#[test]
fn an_embedder_adds_a_language_and_unknown_allows_nothing_and_denies() {
    let when = || When::custom(name("cel"), "true");
    let rule = |builder: RuleBuilder, says| builder.build_with(&anchor(), &Says(says)).expect("a rule");
    let outcome = |says| {
        let rules = [rule(allow("custom", main_plan()).when(when()), says)];
        code(&ask(&RuleSet::new(rules, Selection::Search).expect("a set"), &push()))
    };
    assert_eq!(outcome(Truth::True), "custom main");
    assert_eq!(outcome(Truth::False), "conditions condition_failed");
    assert_eq!(outcome(Truth::Unknown), "conditions condition_unknown");
    let rules =
        [rule(allow("plain", main_plan()), Truth::True), rule(deny("not").when(when()), Truth::Unknown)];
    let denied = RuleSet::new(rules, Selection::Search).expect("a set");
    assert_eq!(code(&ask(&denied, &push())), "conditions denied_by_rule");
    assert_eq!(refused(allow("custom", main_plan()).when(when())), "condition_custom");
}

// Which rule wins.

#[test]
fn the_most_specific_rule_wins() {
    let owner = RuleBuilder::allow(name("owner"), name("github"), organization(1), verified_plan())
        .pin(Pin::new(Fact::OwnerId, "123456"));
    let rules = [
        owner.clone(),
        allow("repository", main_plan()),
        allow("branch", main_plan().ttl(Duration::from_secs(60)))
            .when(When::reference(ReferenceKind::Branch, Some("main"))),
        allow("here", main_plan().ttl(Duration::from_secs(61))).workspace(workspace(2)),
    ];
    assert_eq!(code(&ask(&set(rules.clone()), &push())), "here main", "a workspace before an organization");
    assert_eq!(code(&ask(&set(rules[..3].to_vec()), &push())), "branch main");
    assert_eq!(
        code(&ask(&set(rules[..2].to_vec()), &push())),
        "repository main",
        "a repository before its owner"
    );
    assert_eq!(code(&ask(&set([owner]), &push())), "owner branch/@github:456789/main");
}

#[test]
fn a_tie_is_refused_when_rules_are_loaded() {
    assert_eq!(tie([allow("one", main_plan()), allow("two", verified_plan())]), "rule_tie");
    let one = allow("one", main_plan()).when(equals(Fact::Event, "push"));
    let two = allow("two", verified_plan()).when(equals(Fact::RunnerKind, "github-hosted"));
    assert_eq!(tie([one.clone(), two.clone()]), "rule_tie");
    assert_eq!(tie([one.clone(), two.status(Status::Audit)]), "rule_tie", "enforcing it later makes no tie");
    assert_eq!(tie([one.clone(), one]), "duplicate_rule");
}

#[test]
fn rules_that_exclude_each_other_make_no_tie() {
    let apart = |one: When, two: When| {
        set([allow("one", main_plan()).when(one), allow("two", verified_plan()).when(two)]);
    };
    apart(equals(Fact::Event, "push"), equals(Fact::Event, "schedule"));
    apart(equals(Fact::Event, "push"), When::fact(Fact::Event, Test::OneOf(list(&["schedule", "delete"]))));
    apart(When::reference(ReferenceKind::Branch, None), When::reference(ReferenceKind::Pull, None));
    apart(
        When::reference(ReferenceKind::Branch, Some("main")),
        When::reference(ReferenceKind::Branch, Some("next")),
    );
    apart(
        When::fact(Fact::Environment, Test::EqualsFold("prod".into())),
        When::fact(Fact::Environment, Test::EqualsFold("staging".into())),
    );
    apart(When::fact(Fact::Environment, Test::Absent), When::fact(Fact::Environment, Test::Present));
    apart(
        When::fact(Fact::TokenIssued, Test::Range { min: None, max: Some(5) }),
        When::fact(Fact::TokenIssued, Test::Range { min: Some(6), max: None }),
    );
    let other_repository = RuleBuilder::allow(name("two"), name("github"), organization(1), main_plan());
    set([allow("one", main_plan()), other_repository.pin(Pin::new(Fact::RepoId, "1"))]);
    let elsewhere = allow("two", main_plan()).workspace(workspace(3));
    set([allow("one", main_plan()).workspace(workspace(2)), elsewhere]);
    let folded = |name, test| allow(name, main_plan()).when(When::fact(Fact::Environment, test));
    assert_eq!(
        tie([folded("one", Test::EqualsFold("PROD".into())), folded("two", Test::Equals("prod".into()))]),
        "rule_tie",
        "letters of another case are no other value where case folds"
    );
}

#[test]
fn a_disabled_rule_does_nothing() {
    let off = |rule: RuleBuilder| rule.status(Status::Disabled);
    let rules = set([allow("one", main_plan()), off(allow("two", verified_plan())), off(deny("three"))]);
    assert_eq!(code(&ask(&rules, &push())), "one main");
}

#[test]
fn a_narrower_rule_that_gives_less_is_not_escaped_by_silence() {
    let less = allow("less", GrantPlan::new(AccessLevel::ReadOnly)).when(equals(Fact::Environment, "prod"));
    let rules = set([allow("more", main_plan()), less]);
    assert_eq!(code(&ask(&rules, &push())), "less anonymous");
    let mut silent = push();
    silent.incomplete(Fact::Environment);
    assert_eq!(code(&ask(&rules, &silent)), "conditions rule_undecided");
}

#[test]
fn deny_beats_allow_and_fires_on_what_cannot_be_told() {
    let rules = set([allow("one", main_plan()), deny("no").when(equals(Fact::RunnerKind, "self-hosted"))]);
    assert_eq!(code(&ask(&rules, &push())), "one main");
    let mut facts = push();
    facts.know(Fact::RunnerKind, "self-hosted");
    assert_eq!(code(&ask(&rules, &facts)), "conditions denied_by_rule");
    facts.incomplete(Fact::RunnerKind);
    assert_eq!(code(&ask(&rules, &facts)), "conditions denied_by_rule");
    let mut facts = push();
    facts.know(Fact::RepoId, "456789");
    let environment = deny("no").when(equals(Fact::BaseRef, "next"));
    assert_eq!(
        code(&ask(&set([allow("one", main_plan()), environment.clone()]), &facts)),
        "conditions denied_by_rule"
    );
    let guarded = environment.when(When::fact(Fact::BaseRef, Test::Present));
    assert_eq!(code(&ask(&set([allow("one", main_plan()), guarded]), &facts)), "one main");
}

#[test]
fn another_organization_denies_nothing_here() {
    let theirs = RuleBuilder::deny(name("theirs"), name("github"), organization(2)).pin(repository());
    let rules = set([allow("ours", main_plan()), theirs]);
    assert_eq!(code(&ask(&rules, &push())), "ours main");
}

#[test]
fn several_places_are_not_chosen_between() {
    let theirs = RuleBuilder::allow(name("theirs"), name("github"), organization(2), main_plan())
        .pin(repository())
        .when(equals(Fact::Event, "push"));
    let rules = set([allow("ours", main_plan()), theirs]);
    assert_eq!(code(&ask(&rules, &push())), "grant ambiguous_rule");
    let ours = Ask { within: Within::Organization(organization(1)), rule: None };
    assert_eq!(code(&rules.decide(&push(), &ours, false)), "ours main");
}

#[test]
fn a_right_is_cut_to_the_workspace_that_was_asked_for() {
    let rules = set([
        allow("wide", main_plan()),
        allow("narrow", GrantPlan::new(AccessLevel::ReadOnly)).workspace(workspace(2)),
    ]);
    let wide = rules.decide(&push(), &Ask::workspace(organization(1), workspace(3)), false).expect("a match");
    assert_eq!((wide.rule_name.as_str(), wide.workspace), ("wide", Some(workspace(3))));
    let narrow =
        rules.decide(&push(), &Ask::workspace(organization(1), workspace(2)), false).expect("a match");
    assert_eq!((narrow.rule_name.as_str(), narrow.workspace), ("narrow", Some(workspace(2))));
    let elsewhere = rules.decide(&push(), &Ask::workspace(organization(2), workspace(3)), false);
    assert_eq!(code(&elsewhere), "pins no_rule");
}

#[test]
fn naming_a_rule_never_gives_a_wider_one() {
    let builders = [
        allow("wide", main_plan()),
        allow("narrow", GrantPlan::new(AccessLevel::ReadOnly)).when(equals(Fact::Event, "push")),
    ];
    let rules = set(builders.clone());
    let named = |rules: &RuleSet, rule: &str| {
        code(&rules.decide(&push(), &Ask::default().by_rule(name(rule)), false))
    };
    assert_eq!(named(&rules, "narrow"), "narrow anonymous");
    assert_eq!(named(&rules, "wide"), "grant other_rule");
    assert_eq!(named(&rules, "absent"), "grant other_rule");
    let by_name = RuleSet::new(builders.map(built), Selection::ByName).expect("a set");
    assert_eq!(named(&by_name, "wide"), "wide main");
    assert_eq!(named(&by_name, "absent"), "pins no_rule");
    assert_eq!(code(&ask(&by_name, &push())), "pins rule_not_named");
}

#[test]
fn an_unknown_rule_and_one_of_another_identity_look_the_same() {
    let rules = RuleSet::new([built(allow("theirs", main_plan()))], Selection::ByName).expect("a set");
    let mut facts = push();
    facts.know(Fact::RepoId, "1");
    let say = |rule: &str| {
        let refusal = rules.decide(&facts, &Ask::default().by_rule(name(rule)), false).expect_err("refused");
        (refusal.code(), refusal.public().to_owned(), refusal.hint().to_owned())
    };
    assert_eq!(say("theirs"), say("absent"));
}

#[test]
fn a_rule_on_trial_grants_nothing_and_denies_nothing() {
    let rules = set([
        allow("now", verified_plan()),
        allow("soon", main_plan()).when(equals(Fact::Event, "push")).status(Status::Audit),
        deny("later").when(equals(Fact::RunnerKind, "self-hosted")).status(Status::Audit),
    ]);
    assert_eq!(code(&ask(&rules, &push())), "now branch/@github:456789/main");
    assert_eq!(code(&rules.decide(&push(), &Ask::default(), true)), "soon main");
    let mut facts = push();
    facts.know(Fact::RunnerKind, "self-hosted");
    assert_eq!(code(&ask(&rules, &facts)), "now branch/@github:456789/main");
    assert_eq!(code(&rules.decide(&facts, &Ask::default(), true)), "conditions denied_by_rule");
}

// What is given.

#[test]
fn what_an_outsider_starts_never_gets_a_shared_lane() {
    for choice in [LaneChoice::Release, LaneChoice::Main, LaneChoice::Dev] {
        for level in [AccessLevel::ReadOnly, AccessLevel::ReadWrite] {
            let rules = set([allow("shared", GrantPlan::new(level).lane(choice))]);
            for facts in [pull(), target()] {
                assert_eq!(code(&ask(&rules, &facts)), "grant lane_not_allowed");
            }
            assert!(ask(&rules, &push()).is_ok());
        }
    }
}

#[test]
fn a_pull_request_writes_its_own_lane_and_reads_what_anonymous_reads() {
    let rules = set([allow("any", verified_plan())]);
    let matched = ask(&rules, &pull()).expect("a match");
    assert_eq!(matched.lane.to_string(), "pull/@github:456789/17");
    assert!(matched.anonymous_reads);
    assert_eq!(matched.actions, ActionSet::of(&[Action::Write]));
    let named = set([allow("any", verified_plan().untrusted_reads(UntrustedReads::Granted))]);
    let matched = ask(&named, &pull()).expect("a match");
    assert!(!matched.anonymous_reads);
    assert_eq!(matched.actions, AccessLevel::ReadWrite.actions());
}

#[test]
fn a_job_of_unknown_origin_reads_what_anonymous_reads() {
    let mut facts = push();
    facts.set_trigger(TriggerClass::Unknown);
    let matched = ask(&set([allow("any", GrantPlan::new(AccessLevel::ReadOnly))]), &facts).expect("a match");
    assert!(matched.anonymous_reads);
    assert!(matched.actions.is_empty());
}

#[test]
fn without_a_verified_number_an_outsider_writes_nothing() {
    for plan in [verified_plan(), GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Pull)] {
        let plan = plan.untrusted_reads(UntrustedReads::Granted);
        let matched = ask(&set([allow("any", plan)]), &target()).expect("a match");
        assert_eq!(matched.actions, AccessLevel::ReadOnly.actions());
        assert_eq!(matched.warnings, [Warning::WritesNothing]);
        assert_eq!(
            (matched.lane, matched.floor),
            (cachegate_types::Lane::anonymous(), Some(LaneClass::Main))
        );
    }
    let branch = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Branch);
    assert_eq!(code(&ask(&set([allow("any", branch)]), &pull())), "grant lane_not_verified");
    let own = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Pull);
    assert_eq!(code(&ask(&set([allow("any", own)]), &push())), "grant lane_not_verified");
}

#[test]
fn a_base_is_read_only_within_one_repository() {
    let base = |plan: GrantPlan, same| {
        let mut facts = pull();
        if let Some(same) = same {
            facts.know(Fact::SameRepo, same);
        }
        ask(&set([allow("any", plan)]), &facts).expect("a match").base.map(|lane| lane.to_string())
    };
    assert_eq!(base(verified_plan().with_base(), Some(true)).as_deref(), Some("branch/@github:456789/next"));
    assert_eq!(base(verified_plan().with_base(), Some(false)), None);
    assert_eq!(base(verified_plan().with_base(), None), None);
    assert_eq!(base(verified_plan(), Some(true)), None);
}

#[test]
fn no_plan_gives_what_only_roles_and_names_give() {
    let roles = Role::Admin.actions();
    let rules = set([allow("any", main_plan())]);
    let actions = ask(&rules, &push()).expect("a match").actions;
    assert!(!actions.contains_all(roles));
    assert_eq!(actions, AccessLevel::ReadWrite.actions());
}

#[test]
fn a_plan_gives_publish_by_name_and_to_trusted_triggers_alone() {
    for choice in [LaneChoice::Main, LaneChoice::Release] {
        let rules = set([allow("any", GrantPlan::new(AccessLevel::ReadOnly).lane(choice).with_publish())]);
        let actions = ask(&rules, &push()).expect("a match").actions;
        assert_eq!(actions, AccessLevel::ReadOnly.actions().union(ActionSet::of(&[Action::Publish])));
        for facts in [pull(), target()] {
            assert_eq!(code(&ask(&rules, &facts)), "grant lane_not_allowed");
        }
    }
}

#[test]
fn a_grant_names_its_rule_and_its_end() {
    let now = cachegate_types::Timestamp::from(1_790_000_000_u32);
    let matched = ask(&set([allow("any", main_plan()).workspace(workspace(2))]), &push()).expect("a match");
    let grant = matched.to_grant(now);
    assert_eq!(grant.source, cachegate_types::GrantSource::Rule(matched.rule));
    assert_eq!(grant.scope, cachegate_types::Scope::Workspace(workspace(2)));
    assert_eq!(grant.until, Some(now.saturating_add(Duration::from_secs(900))));
}

#[test]
fn a_remembered_name_warns_and_never_decides() {
    let pin = |remembered: &str| {
        let rule = RuleBuilder::allow(name("any"), name("github"), organization(1), main_plan());
        let rules = set([rule.pin(repository().named(remembered))]);
        ask(&rules, &push()).expect("a match").warnings
    };
    assert_eq!(pin("Lumen-Labs/Beacon"), []);
    let drift = Warning::Drift {
        fact: Fact::RepoName,
        remembered: "lumen-labs/old".to_owned(),
        found: "lumen-labs/beacon".to_owned(),
    };
    assert_eq!(pin("lumen-labs/old"), [drift]);
}

// What is said.

fn render(title: &str, result: Result<Matched, Refusal>) -> String {
    let refusal = result.expect_err(title);
    format!(
        "{title}\n  {} {}: {}\n  expected: {}\n  hint: {}\n",
        refusal.step(),
        refusal.code(),
        refusal.public(),
        refusal.expected(),
        refusal.hint()
    )
}

#[test]
fn every_refusal_says_what_failed_first_what_was_expected_and_what_to_do() {
    let mut out = String::new();
    let mut say = |title: &str, rules: &RuleSet, facts: &Facts| {
        out += &render(title, rules.decide(facts, &Ask::default(), false));
    };
    let with = |fact: Fact, value: &str| {
        let mut facts = push();
        facts.know(fact, value);
        facts
    };
    let named = RuleBuilder::allow(name("beacon"), name("github"), organization(1), main_plan())
        .pin(repository().named("lumen-labs/beacon"));
    say("no rule at all", &RuleSet::default(), &push());
    say("another repository", &set([allow("beacon", main_plan())]), &with(Fact::RepoId, "1"));
    say("re-created under the same name", &set([named.clone()]), &with(Fact::RepoId, "1"));
    let owned = set([named.pin(Pin::new(Fact::OwnerId, "123456"))]);
    say("re-created under the same name by its owner", &owned, &with(Fact::RepoId, "1"));
    let on = |when: When| set([allow("beacon", main_plan()).when(when)]);
    say("another event", &on(equals(Fact::Event, "schedule")), &push());
    say("a tag", &on(When::reference(ReferenceKind::Branch, Some("main"))), &with(Fact::RefKind, "tag"));
    say("an absent fact", &on(equals(Fact::BaseRef, "main")), &push());
    let mut cut = push();
    cut.incomplete(Fact::WorkflowPath);
    say("an incomplete fact", &on(equals(Fact::WorkflowPath, "x")), &cut);
    let called = "lumen-labs/shared/.github/workflows/cache.yml";
    say("the called workflow for the caller", &on(equals(Fact::WorkflowPath, called)), &push());
    let caller = "lumen-labs/beacon/.github/workflows/build.yml";
    say("the caller for the called workflow", &on(equals(Fact::CalleePath, caller)), &push());
    say("other letters", &on(equals(Fact::Environment, "PROD")), &push());
    say("an outsider", &on(equals(Fact::TriggerClass, "trusted")), &pull());
    say("hostile text", &on(equals(Fact::Environment, "prod")), &with(Fact::Environment, "`x\u{202e}\n"));
    say("a shared lane for an outsider", &set([allow("beacon", main_plan())]), &target());
    let branch = GrantPlan::new(AccessLevel::ReadWrite).lane(LaneChoice::Branch);
    say("no branch", &set([allow("beacon", branch)]), &pull());
    let no = deny("no-self-hosted").when(equals(Fact::RunnerKind, "self-hosted"));
    say("denied", &set([allow("beacon", main_plan()), no.clone()]), &with(Fact::RunnerKind, "self-hosted"));
    let mut cut = push();
    cut.incomplete(Fact::RunnerKind);
    say("denied for want of a fact", &set([allow("beacon", main_plan()), no]), &cut);
    let less = allow("less", GrantPlan::new(AccessLevel::ReadOnly)).when(equals(Fact::BaseRef, "main"));
    say("undecided", &set([allow("beacon", main_plan()), less]), &push());
    let theirs =
        RuleBuilder::allow(name("theirs"), name("github"), organization(2), main_plan()).pin(repository());
    say("two places", &set([allow("beacon", main_plan()), theirs]), &push());

    let buildkite = anchor_of(Platform::Buildkite, "https://agent.buildkite.com");
    let rule = RuleBuilder::allow(name("kite"), buildkite.id().clone(), organization(1), verified_plan())
        .pin(Pin::new(Fact::TenantId, "0f0e"));
    let rules = RuleSet::new([rule.build(&buildkite).expect("a rule")], Selection::Search).expect("a set");
    let facts = Facts::new(buildkite.id(), Platform::Buildkite);
    say("an id that has to be asked for", &rules, &facts);
    let entra = anchor_of(
        Platform::EntraId,
        "https://login.microsoftonline.com/5c7d0f4e-0a8e-4a57-a1ce-4b8e31d2f001/v2.0",
    );
    let rule = RuleBuilder::allow(
        name("staff"),
        entra.id().clone(),
        organization(1),
        GrantPlan::new(AccessLevel::ReadOnly),
    )
    .when(When::fact(Fact::Groups, Test::ContainsAny(vec!["cache".into()])));
    let rules = RuleSet::new([rule.build(&entra).expect("a rule")], Selection::Search).expect("a set");
    let mut facts = Facts::new(entra.id(), Platform::EntraId);
    facts.incomplete(Fact::Groups);
    say("too many groups", &rules, &facts);

    let by_name = RuleSet::new([built(allow("beacon", main_plan()))], Selection::ByName).expect("a set");
    say("no rule named", &by_name, &push());
    let two = set([
        allow("beacon", main_plan()),
        allow("narrow", verified_plan()).when(equals(Fact::Event, "push")),
    ]);
    out += &render("another rule named", two.decide(&push(), &Ask::default().by_rule(name("beacon")), false));
    insta::assert_snapshot!("refusals", out);
}

#[test]
fn no_public_text_shows_what_a_rule_expects() {
    let rules = set([allow("secret-name", main_plan()).when(equals(Fact::Environment, "secret-value"))]);
    let mut other = push();
    other.know(Fact::RepoId, "1");
    for facts in [push(), other, pull(), target()] {
        let refusal = ask(&rules, &facts).expect_err("refused");
        for text in [refusal.public(), refusal.hint()] {
            assert!(!text.contains("secret"), "{text}");
            assert!(!text.contains("456789") || facts.text(Fact::RepoId) == Some("456789"), "{text}");
        }
        assert!(refusal.expected().contains("secret-name"));
        assert!(matches!(refusal.step(), Step::Pins | Step::Conditions | Step::Grant));
    }
}

#[test]
fn a_dry_run_shows_every_condition() {
    let rules = set([
        allow("main", main_plan())
            .when(When::reference(ReferenceKind::Branch, Some("main")))
            .when(equals(Fact::TriggerClass, "trusted")),
        allow("rest", verified_plan()).status(Status::Audit),
        deny("no").when(equals(Fact::BaseRef, "x")).status(Status::Disabled),
    ]);
    insta::assert_snapshot!("explain", rules.explain(&pull()).to_string());
}

#[test]
fn a_rule_that_cannot_be_loaded_says_what_to_write() {
    let github = Federation::new([anchor()]).expect("a table");
    let mut out = String::new();
    let id = organization(1);
    for body in [
        "",
        r#", "grant": { "level": "read-write" }, "pins": [{ "fact": "repo.id", "is": "1" }]"#,
        r#", "grant": { "level": "read-write", "lane": "main" }"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.name", "is": "a/b" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "ref.name", "is": "main" }]"#,
        r#", "grant": { "level": "read-only", "ttl": 7200 }, "pins": [{ "fact": "repo.id", "is": "1" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.id", "is": "1" }], "when": [{ "fact": "ref.protected", "equals": "true" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.id", "is": "1" }], "when": [{ "fact": "ref.name", "segments": "rel-*" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.id", "is": "1" }], "when": [{ "fact": "queue.id", "equals": "x" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.id", "is": "1" }], "when": [{ "fact": "event" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.id", "is": "1" }], "when": [{ "fact": "event", "claim": "ref", "equals": "x" }]"#,
        r#", "grant": { "level": "read-only" }, "pins": [{ "fact": "repo.id", "is": "1" }], "when": [{ "fact": "evnt", "equals": "x" }]"#,
        r#", "effect": "deny""#,
        r#", "efect": "deny""#,
    ] {
        let text = format!(
            "{{ \"rules\": [{{ \"name\": \"r\", \"anchor\": \"github\", \"organization\": \"{id}\"{body} }}] }}"
        );
        let said = match serde_json::from_str::<RulesDocument>(&text) {
            Err(error) => error.to_string(),
            Ok(document) => document.build(&github).expect_err("refused").to_string(),
        };
        out += &format!("{body}\n  {said}\n");
    }
    insta::assert_snapshot!("faults", out);
}

// Laws.

const FACTS: [Fact; 6] =
    [Fact::Event, Fact::RefName, Fact::RunnerKind, Fact::Environment, Fact::RepoName, Fact::OwnerId];
const VALUES: [&str; 5] = ["a", "b", "c/d", "A", "c:e"];

fn facts() -> impl Strategy<Value = Facts> {
    let state = prop_oneof![6 => (0..VALUES.len()).prop_map(Some), 1 => Just(None)];
    (proptest::collection::vec(state, FACTS.len()), 0..4_usize, any::<bool>()).prop_map(
        |(states, trigger, laned)| {
            let mut facts = Facts::new(&name("github"), Platform::GithubActions);
            facts.know(Fact::RepoId, "456789");
            for (fact, state) in FACTS.into_iter().zip(states) {
                match state {
                    Some(value) => facts.know(fact, VALUES[value]),
                    None => facts.incomplete(fact),
                }
            }
            let trigger = TriggerClass::ALL[trigger];
            facts.set_trigger(trigger);
            let source = LaneSource { anchor: name("github"), repository: "456789".into() };
            let class = if trigger == TriggerClass::Trusted { LaneClass::Branch } else { LaneClass::Pull };
            facts.set_lane(
                laned.then(|| cachegate_types::Lane::named(class, Some(source), b"1").expect("a lane")),
            );
            facts
        },
    )
}

/// Tests that silence never meets.
fn tests() -> impl Strategy<Value = Test> {
    let value = || (0..VALUES.len()).prop_map(|at| VALUES[at]);
    prop_oneof![
        value().prop_map(|value| Test::Equals(value.into())),
        proptest::collection::vec(value(), 1..3).prop_map(|values| Test::OneOf(list(&values))),
        proptest::collection::vec(value(), 1..3).prop_map(|values| Test::NoneOf(list(&values))),
        prop_oneof![Just("*"), Just("c/*"), Just("**"), Just("a")]
            .prop_map(|text| Test::Segments(text.into())),
    ]
}

fn conditions() -> impl Strategy<Value = Vec<When>> {
    let when = ((0..FACTS.len()), tests()).prop_map(|(fact, test)| When::fact(FACTS[fact], test));
    proptest::collection::vec(when, 0..4)
}

fn plans() -> impl Strategy<Value = GrantPlan> {
    use LaneChoice::{Branch, Dev, Main, Pull, Release, Verified};
    let lanes = proptest::sample::select(vec![Release, Main, Dev, Branch, Pull, Verified]);
    let levels = proptest::sample::select(AccessLevel::ALL.to_vec());
    (levels, lanes, any::<(bool, bool)>(), 1..3600_u64).prop_map(|(level, lane, (granted, publish), ttl)| {
        let plan = GrantPlan::new(level).lane(lane).ttl(Duration::from_secs(ttl));
        let plan = if publish && matches!(lane, Main | Release) { plan.with_publish() } else { plan };
        if granted { plan.untrusted_reads(UntrustedReads::Granted) } else { plan }
    })
}

fn rule_sets() -> impl Strategy<Value = Vec<RuleBuilder>> {
    let rule = (conditions(), plans(), 0..4_u8);
    proptest::collection::vec(rule, 1..5).prop_map(|rules| {
        let build = |(at, (conditions, plan, kind)): (usize, (Vec<When>, GrantPlan, u8))| {
            let title = format!("r{at}");
            let rule = if kind == 0 { deny(&title) } else { allow(&title, plan) };
            conditions.into_iter().fold(rule, RuleBuilder::when)
        };
        rules.into_iter().enumerate().map(build).collect()
    })
}

/// The owner `a` is the first organization, `b` the second.
fn two_tenants() -> Tenants {
    let tenant = |number, owner| {
        TenantBuilder::new(organization(number), name("github"), [Pin::new(Fact::OwnerId, owner)])
    };
    let federation = Federation::new([anchor()]).expect("a table");
    Tenants::new([tenant(1, "a"), tenant(2, "b")], &federation).expect("tenants")
}

/// Whether a right gives something that the other does not.
fn exceeds(one: &Matched, other: &Matched) -> bool {
    let trust = |matched: &Matched| match matched.actions.contains(Action::Write) {
        true => LaneClass::Anonymous as u8 - matched.lane.class() as u8,
        false => 0,
    };
    !other.actions.contains_all(one.actions) || trust(one) > trust(other) || one.ttl > other.ttl
}

proptest! {
    #[test]
    fn one_more_condition_never_makes_a_rule_match_more(
        facts in facts(), few in conditions(), more in conditions(), denies in any::<bool>()
    ) {
        let rule = |all: &[When]| {
            let rule = if denies { deny("r") } else { allow("r", main_plan()) };
            built(all.iter().cloned().fold(rule, RuleBuilder::when)).evaluate(&facts)
        };
        let both: Vec<When> = few.iter().chain(&more).cloned().collect();
        prop_assert!(rule(&both) <= rule(&few));
    }

    #[test]
    fn the_order_of_rules_never_matters(
        facts in facts(),
        (rules, shuffled) in rule_sets().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
    ) {
        let outcome = |rules: Vec<RuleBuilder>| {
            RuleSet::new(rules.into_iter().map(built), Selection::Search).map(|set| ask(&set, &facts))
        };
        prop_assert_eq!(outcome(rules), outcome(shuffled));
    }

    #[test]
    fn hiding_a_fact_never_raises_the_right(
        facts in facts(), rules in rule_sets(), hidden in 0..FACTS.len(), forget in any::<bool>()
    ) {
        let Ok(set) = RuleSet::new(rules.into_iter().map(built), Selection::Search) else { return Ok(()) };
        let mut less = facts.clone();
        if forget { less.forget(FACTS[hidden]) } else { less.incomplete(FACTS[hidden]) }
        if let Ok(after) = ask(&set, &less) {
            let before = ask(&set, &facts);
            let before = before.as_ref().map_err(|refusal| TestCaseError::fail(format!("{refusal:?}\n{after:?}")))?;
            prop_assert!(!exceeds(&after, before), "{:?}\n{:?}", before, after);
        }
    }

    #[test]
    fn a_value_that_no_rule_names_meets_no_condition(facts in facts(), conditions in conditions(), at in 0..FACTS.len()) {
        let positive = |when: &&When| matches!(&when.test, Test::Equals(_) | Test::OneOf(_));
        let asked: Vec<When> = conditions.iter().filter(positive).cloned().collect();
        let rule = built(asked.iter().cloned().fold(allow("r", main_plan()), RuleBuilder::when));
        let about = asked.iter().any(|when| matches!(when.subject, condition::Subject::Fact(fact) if fact == FACTS[at]));
        for junk in ["\u{430}", "a\n", " a", "a|b", "ab", "c/d/", "\u{212a}"] {
            let mut mutated = facts.clone();
            mutated.know(FACTS[at], junk);
            prop_assert!(!about || rule.evaluate(&mutated) != Truth::True);
        }
    }

    #[test]
    fn a_denying_rule_that_holds_beats_every_allowing_one(facts in facts(), rules in rule_sets()) {
        let rules = rules.into_iter().chain([deny("last")]);
        if let Ok(set) = RuleSet::new(rules.map(built), Selection::Search) {
            prop_assert!(ask(&set, &facts).is_err());
        }
    }

    #[test]
    fn who_is_not_trusted_never_writes_a_shared_lane(facts in facts(), rules in rule_sets()) {
        let Ok(set) = RuleSet::new(rules.into_iter().map(built), Selection::Search) else { return Ok(()) };
        if facts.trigger() != TriggerClass::Trusted && let Ok(matched) = ask(&set, &facts) {
            let shared = matched.lane.class().is_single();
            prop_assert!(!shared || !matched.actions.contains(Action::Write), "{matched:?}");
        }
    }

    #[test]
    fn a_bound_rule_takes_its_own_tenants_jobs_alone_and_never_more_than_it_did(
        facts in facts(), conditions in conditions(), denies in any::<bool>()
    ) {
        let tenants = two_tenants();
        let rule = if denies { deny("r") } else { allow("r", main_plan()) };
        let rule = conditions.into_iter().fold(rule, RuleBuilder::when);
        let bound = built(tenants.bind(organization(1), rule.clone()).expect("its own"));
        let truth = bound.evaluate(&facts);
        let own = facts.text(Fact::OwnerId) == Some("a");
        prop_assert!(truth != Truth::True || own, "{truth} for {:?}", facts.get(Fact::OwnerId));
        prop_assert!(truth <= built(rule).evaluate(&facts));
        let expected = match facts.text(Fact::OwnerId) {
            Some("a") => Some(organization(1)),
            Some("b") => Some(organization(2)),
            _ => None,
        };
        prop_assert_eq!(tenants.organization_of(&facts), expected);
    }

    #[test]
    fn a_document_reads_back_what_it_writes(rules in rule_sets()) {
        let document = RulesDocument { selection: Selection::ByName, rules };
        let json = serde_json::to_string(&document).expect("JSON");
        prop_assert_eq!(&serde_json::from_str::<RulesDocument>(&json).expect("a document"), &document);
        let toml = toml::to_string(&document).expect("TOML");
        prop_assert_eq!(&toml::from_str::<RulesDocument>(&toml).expect("a document"), &document, "{}", toml);
    }
}
