//! Every answer names the rule that decided it, and that rule alone decides the same.

use cachegate_policy::{Decision, Reason};
use cachegate_types::{AccessLevel, ActionSet, Scope};

use crate::case::{Case, Where, Who};
use crate::engine;
use crate::generate::{self, Random};

#[test]
fn the_reason_replayed_gives_the_same_answer() {
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    let mut random = Random::new(41);
    for _ in 0..crate::cases(300_000) {
        let case = generate::case(&mut random);
        let decision = engine::decision(&case);
        *seen.entry(decision.reason().map_or("allow", Reason::code)).or_default() += 1;
        match &decision {
            Decision::Allow(allow) => replay_allow(&case, allow.grant()),
            Decision::Deny(deny) => replay_deny(&case, &deny.reason),
        }
    }
    eprintln!("reasons replayed: {seen:?}");
    for code in [
        "allow",
        "unknown_place",
        "locked",
        "restricted",
        "not_a_member",
        "action_not_granted",
        "personal_level",
        "not_applicable",
        "below_floor",
    ] {
        assert!(seen.contains_key(code) || crate::cases(1) < 100_000, "`{code}` was never given: {seen:?}");
    }
    assert!(!seen.contains_key("no_lane"), "whoever has rights in a workspace has a lane in it");
}

/// The grant that is named holds the action, lives and reaches, and would have been enough by itself.
fn replay_allow(case: &Case, index: usize) {
    let rights = engine::rights(case);
    let grant = rights.grants().get(index).unwrap_or_else(|| panic!("no grant {index}: {case:#?}"));
    assert!(grant.actions.contains(case.action), "{grant:?}: {case:#?}");
    assert!(grant.until.is_none_or(|until| case.now < until), "{grant:?}: {case:#?}");
    let (organization, workspace) = match case.place {
        Where::Organization(organization) => (organization, None),
        Where::Workspace(workspace, organization) => (organization, Some(workspace)),
    };
    match grant.scope {
        Scope::Organization(id) => assert_eq!(id, organization),
        Scope::Workspace(id) => assert_eq!(Some(id), workspace),
    }
    let mut alone = case.clone();
    if let Who::Granted { grants, .. } = &mut alone.who {
        *grants = vec![grant.clone()];
        let alone = engine::answer(&alone);
        assert!(alone.is_allow() && alone.is_within(&engine::answer(case)), "{grant:?}: {case:#?}");
    }
}

fn replay_deny(case: &Case, reason: &Reason) {
    let mut other = case.clone();
    let again = |case: &Case| engine::decision(case).reason().cloned();
    match reason {
        Reason::UnknownPlace => {
            other.locks.clear();
            other.restrictions.clear();
            assert_eq!(again(&other).as_ref(), Some(reason), "{case:#?}");
        }
        Reason::Locked { lock } => {
            other.locks.retain(|held| held.id == *lock);
            other.restrictions.clear();
            assert_eq!(again(&other).as_ref(), Some(reason), "{case:#?}");
            other.locks.clear();
            assert_ne!(again(&other).map(|reason| reason.code()), Some("locked"), "{case:#?}");
        }
        Reason::Restricted { index } => {
            other.restrictions = vec![case.restrictions[*index].clone()];
            assert_eq!(again(&other), Some(Reason::Restricted { index: 0 }), "{case:#?}");
        }
        Reason::NotMember => {
            assert!(matches!(case.who, Who::User { member: None, .. }), "{case:#?}");
        }
        Reason::ActionNotGranted { held, wanted } => {
            let rights = engine::rights(case);
            let live =
                rights.grants().iter().filter(|grant| grant.until.is_none_or(|until| case.now < until));
            let union = live.fold(ActionSet::EMPTY, |held, grant| held.union(grant.actions));
            assert_eq!(*held, union, "{case:#?}");
            assert_eq!(*wanted, case.action);
            assert!(!held.contains(*wanted), "{case:#?}");
        }
        Reason::PersonalLevel { level, wanted } => {
            assert_eq!((*level, *wanted), (case.settings.personal, case.action));
            other.settings.personal = AccessLevel::ReadWrite;
            let code = again(&other).map(|reason| reason.code());
            assert!(!matches!(code, Some("personal_level" | "action_not_granted")), "{code:?}: {case:#?}");
        }
        Reason::NotApplicable { wanted } => {
            assert_eq!(*wanted, case.action);
            if let Where::Workspace(workspace, _) = case.place {
                other.resource = cachegate_types::Resource::Workspace(workspace);
                other.restrictions.clear();
                assert!(engine::answer(&other).is_allow(), "{case:#?}");
            }
        }
        Reason::BelowFloor => {
            other.floor = None;
            if let Who::Granted { floor, .. } = &mut other.who {
                *floor = None;
            }
            assert!(engine::answer(&other).is_allow(), "{case:#?}");
        }
        other @ (Reason::NoLane | _) => panic!("{other:?} has no rule to replay: {case:#?}"),
    }
}
