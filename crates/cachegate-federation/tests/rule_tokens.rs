//! Rules from a document, against signed tokens.

#![expect(clippy::expect_used, reason = "a broken fixture fails the test")]

mod common;

use cachegate_federation::{
    Ask, Fact, FactClass, Federation, GrantPlan, Knowledge, LaneChoice, Matched, Pin, Refusal, RuleBuilder,
    RuleSet, RulesDocument, Selection, Status, Test, UntrustedReads, Verified, Warning, When,
};
use cachegate_types::{AccessLevel, Action, ActionSet, LaneClass, OrganizationId};
use common::{Case, PLATFORMS, anchor, base, now, verify};
use serde_json::Value;

const RULES: &str = r#"
selection = "search"

# Pushes to the trunk write where everybody reads.
[[rules]]
name = "beacon-trunk"
anchor = "github-actions"
organization = "0190a5d0-ac96-774b-bcce-b302099a8057"
workspace = "0190a5d1-ac96-774b-bcce-b302099a8057"
pins = [{ fact = "repo.id", is = "456789", name = "lumen-labs/beacon" }]
when = [
  { ref = { kind = "branch", name = "main" } },
  { fact = "trigger.class", equals = "trusted" },
  { fact = "event", one_of = ["push", "schedule"] },
]
grant = { level = "read-write", lane = "main" }

# Everything else of the repository has a lane of its own, and reads the trunk.
[[rules]]
name = "beacon-rest"
anchor = "github-actions"
organization = "0190a5d0-ac96-774b-bcce-b302099a8057"
workspace = "0190a5d1-ac96-774b-bcce-b302099a8057"
pins = [{ fact = "repo.id", is = "456789" }]
grant = { level = "read-write", lane = "verified", base = true, untrusted_reads = "granted", ttl = 600 }

[[rules]]
name = "no-self-hosted"
anchor = "github-actions"
organization = "0190a5d0-ac96-774b-bcce-b302099a8057"
effect = "deny"
when = [{ fact = "runner.kind", equals = "self-hosted" }]
"#;

fn table(platform: &str) -> Federation {
    Federation::new([anchor(platform).build().expect("an anchor")]).expect("a table")
}

fn rules() -> RuleSet {
    let document: RulesDocument = toml::from_str(RULES).expect("a document");
    document.build(&table("github-actions")).expect("rules")
}

fn verified(case: &Case) -> Result<Verified, Refusal> {
    verify(anchor(&case.platform), case, now())
}

fn says(case: &Case) -> String {
    match verified(case).and_then(|verified| rules().evaluate(&verified, &Ask::default()).outcome) {
        Ok(matched) => format!("{} {}", matched.rule_name, matched.lane),
        Err(refusal) => format!("{} {}", refusal.step(), refusal.code()),
    }
}

#[test]
fn a_push_to_the_trunk_writes_main_and_the_rest_writes_its_own() {
    let push = base("github-actions");
    assert_eq!(says(&push), "beacon-trunk main");
    let branch = push.clone().with("ref", "refs/heads/next");
    assert_eq!(says(&branch), "beacon-rest branch/@github-actions:456789/next");
    let dispatched = push.clone().with("event_name", "workflow_dispatch");
    assert_eq!(says(&dispatched), "beacon-rest branch/@github-actions:456789/main");
    let pull = push.clone().with("event_name", "pull_request").with("ref", "refs/pull/17/merge");
    assert_eq!(says(&pull), "beacon-rest pull/@github-actions:456789/17");
    let target = push.clone().with("event_name", "pull_request_target");
    assert_eq!(says(&target), "beacon-rest anonymous");
    assert_eq!(says(&push.clone().with("runner_environment", "self-hosted")), "conditions denied_by_rule");
    assert_eq!(says(&push.clone().without("runner_environment")), "conditions denied_by_rule");
    assert_eq!(says(&push.with("repository_id", "456790").with("sub", "x")), "pins no_rule");
}

#[test]
fn every_variant_of_github_that_is_let_in_writes_a_shared_lane_only_from_a_trusted_trigger() {
    for case in common::cases("github-actions") {
        let Ok(verified) = verified(&case) else { continue };
        let Ok(matched) = rules().evaluate(&verified, &Ask::default()).outcome else { continue };
        let trusted = verified.facts.trigger() == cachegate_federation::TriggerClass::Trusted;
        assert!(trusted || !matched.lane.class().is_single() || !matched.actions.contains(Action::Write));
    }
}

#[test]
fn an_anchor_on_trial_gives_nothing_and_says_what_it_would() {
    let case = base("github-actions");
    let verified = verify(anchor("github-actions").status(Status::Audit), &case, now()).expect("verified");
    let evaluation = rules().evaluate(&verified, &Ask::default());
    assert_eq!(evaluation.outcome.expect_err("refused").code(), "audit_only");
    let would = evaluation.trial.expect("a trial").expect("a match");
    assert_eq!(would.rule_name.as_str(), "beacon-trunk");
}

#[test]
fn without_a_trial_nothing_is_told_of_one() {
    let verified = verified(&base("github-actions")).expect("verified");
    assert!(rules().evaluate(&verified, &Ask::default()).trial.is_none());
}

#[test]
fn claims_that_nobody_knew_of_warn() {
    let verified = verified(&base("github-actions").with("new_claim", "x")).expect("verified");
    let matched = rules().evaluate(&verified, &Ask::default()).outcome.expect("a match");
    assert_eq!(matched.warnings, [Warning::UnknownClaims(vec!["new_claim".to_owned()])]);
}

#[test]
fn a_claim_is_reached_by_pointer_with_its_type() {
    let rule = |when: When| {
        let plan = GrantPlan::new(AccessLevel::ReadOnly);
        let organization = OrganizationId::from_bytes([1; 16]);
        let name = "aws-sts".parse::<cachegate_types::Name>().expect("a name");
        let rule = RuleBuilder::allow(name.clone(), name, organization, plan).when(when);
        let document = RulesDocument { selection: Selection::Search, rules: vec![rule] };
        let set = document.build(&table("aws-sts")).expect("rules");
        let verified = verified(&base("aws-sts")).expect("verified");
        set.evaluate(&verified, &Ask::default()).outcome.is_ok()
    };
    let account = "/https:~1~1sts.amazonaws.com~1/aws_account";
    let value = base("aws-sts").claims["https://sts.amazonaws.com/"]["aws_account"].clone();
    let value = value.as_str().expect("a text");
    assert!(rule(When::claim(account, Test::Equals(value.into()))));
    assert!(!rule(When::claim(account, Test::Equals(value.parse::<i64>().expect("digits").into()))));
    assert!(!rule(When::claim("/https:~1~1sts.amazonaws.com~1/none", Test::Equals(value.into()))));
    assert!(!rule(When::claim("/https:~1~1sts.amazonaws.com~1", Test::Present)), "an object is no value");
}

#[test]
fn an_error_in_a_document_names_its_line() {
    let wrong = RULES.replace("one_of", "one_off");
    let error = toml::from_str::<RulesDocument>(&wrong).expect_err("refused").to_string();
    assert!(error.contains("line 14") && error.contains("one_off"), "{error}");
    let wrong = RULES.replace("level = \"read-write\", lane = \"main\"", "level = \"write\"");
    let error = toml::from_str::<RulesDocument>(&wrong).expect_err("refused").to_string();
    assert!(error.contains("line 16"), "{error}");
}

#[test]
fn a_document_and_its_rules_are_one() {
    let document: RulesDocument = toml::from_str(RULES).expect("a document");
    let mut again = rules().to_document();
    again.rules.sort_by_key(|rule| document.rules.iter().position(|other| other.name() == rule.name()));
    assert_eq!(again, document);
}

/// A rule for the trunk and one for the rest, that pin every id the platform's base set says of who it is.
fn rules_for(case: &Case) -> (RuleSet, Vec<String>) {
    const IDENTITY: [Fact; 8] = [
        Fact::TenantId,
        Fact::OwnerId,
        Fact::RepoId,
        Fact::AccountId,
        Fact::ServiceAccountId,
        Fact::UserId,
        Fact::ClientId,
        Fact::WorkloadUid,
    ];
    let verified = verified(case).expect("verified");
    let facts = &verified.facts;
    let platform = facts.platform();
    let name = |text: &str| text.parse::<cachegate_types::Name>().expect("a name");
    let rule = |title: &str, lane| {
        let plan = GrantPlan::new(AccessLevel::ReadWrite).lane(lane);
        let rule = RuleBuilder::allow(
            name(title),
            name(&case.platform),
            OrganizationId::from_bytes([1; 16]),
            plan.untrusted_reads(UntrustedReads::AsAnonymous),
        );
        let ids = IDENTITY.into_iter().filter_map(|fact| {
            let spec = platform.fact(fact).filter(|spec| spec.class == FactClass::Id)?;
            match facts.get(spec.fact) {
                Knowledge::Known(value) => Some(Pin::new(fact, &value.to_string().replace('"', ""))),
                _ => None,
            }
        });
        ids.fold(rule, RuleBuilder::pin)
    };
    let exact = [Fact::TriggerClass, Fact::RefFull, Fact::Event]
        .iter()
        .chain(platform.write_conditions())
        .filter(|fact| platform.fact(**fact).is_some())
        .filter_map(|fact| Some(When::fact(*fact, Test::Equals(facts.text(*fact)?.into()))));
    let conditions: Vec<When> = exact.collect();
    let mut rules = vec![rule("rest", LaneChoice::Verified)];
    if !conditions.is_empty() && facts.trigger() == cachegate_federation::TriggerClass::Trusted {
        rules.push(conditions.into_iter().fold(rule("trunk", LaneChoice::Main), RuleBuilder::when));
    }
    let pinned = IDENTITY
        .iter()
        .filter_map(|fact| platform.fact(*fact))
        .filter(|spec| {
            // A subject of several parts may change in another part.
            let whole = case.claims.get(spec.claim).and_then(Value::as_str);
            spec.class == FactClass::Id && whole.is_some() && facts.text(spec.fact) == whole
        })
        .map(|spec| spec.claim.to_owned())
        .collect();
    let document = RulesDocument { selection: Selection::Search, rules };
    (document.build(&table(&case.platform)).expect("rules"), pinned)
}

fn exceeds(one: &Matched, other: &Matched) -> bool {
    let trust = |matched: &Matched| match matched.actions.contains(Action::Write) {
        true => LaneClass::Anonymous as u8 - matched.lane.class() as u8,
        false => 0,
    };
    !other.actions.contains_all(one.actions) || trust(one) > trust(other)
}

#[test]
fn no_mutated_claim_of_any_platform_raises_the_right() {
    let mut counted = 0;
    for platform in PLATFORMS.into_iter().filter(|platform| *platform != "azure-devops") {
        let case = base(platform);
        let (rules, pinned) = rules_for(&case);
        let outcome = |case: &Case| {
            verified(case).and_then(|verified| rules.evaluate(&verified, &Ask::default()).outcome)
        };
        let before = outcome(&case).expect("the base set is let in");
        for claim in case.claims.keys() {
            let mut mutated = vec![case.clone().without(claim)];
            for value in
                [Value::Null, 7.into(), true.into(), Value::Array(vec![]), "x".into(), "pull_request".into()]
            {
                mutated.push(case.clone().with(claim, value));
            }
            if let Some(text) = case.claims[claim].as_str() {
                for other in
                    [format!("{text}9"), format!("{text}\n"), text.to_uppercase(), format!("x|{text}")]
                {
                    mutated.push(case.clone().with(claim, other));
                }
            }
            for other in mutated {
                counted += 1;
                // What is left out may stand elsewhere in the token, as in older forms of it.
                let another = other.claims.get(claim).is_some_and(|value| *value != case.claims[claim]);
                let after = outcome(&other);
                if let Ok(after) = &after {
                    assert!(!exceeds(after, &before), "{platform} {claim} {:?}", other.claims.get(claim));
                }
                assert!(
                    !another || !pinned.contains(claim) || after.is_err(),
                    "{platform} {claim}: another identity"
                );
            }
        }
    }
    assert!(counted > 1000, "{counted} mutations");
}

#[test]
fn no_variant_of_a_platform_has_more_than_its_base_set() {
    for platform in PLATFORMS.into_iter().filter(|platform| *platform != "azure-devops") {
        let (rules, _) = rules_for(&base(platform));
        for variant in common::cases(platform) {
            let Ok(verified) = verified(&variant) else { continue };
            if let Ok(matched) = rules.evaluate(&verified, &Ask::default()).outcome {
                let level = AccessLevel::ReadWrite.actions();
                assert!(level.contains_all(matched.actions), "{platform} {}", variant.variant);
                assert!(
                    matched.actions == ActionSet::EMPTY
                        || verified.facts.may_write(&matched.lane)
                        || !matched.actions.contains(Action::Write),
                    "{platform} {}",
                    variant.variant
                );
            }
        }
    }
}
