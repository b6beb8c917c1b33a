//! The laws of the decision, each under its own name.

use std::time::Duration;

use cachegate_policy::Reason;
use cachegate_types::{AccessLevel, Action, ActionSet, LaneClass, Principal, Role, Timestamp};

use crate::case::{Answer, Case, LockLine, Locked, Where, Who};
use crate::generate::{self, Random};
use crate::{engine, naive};

const CASES: u64 = 200_000;

/// Runs the law on cases until that many of them had something to say.
fn for_cases(seed: u64, mut law: impl FnMut(&mut Random, Case)) {
    let mut random = Random::new(seed);
    for _ in 0..crate::cases(CASES) {
        let case = generate::case(&mut random);
        law(&mut random, case);
    }
}

fn reason(case: &Case) -> Option<Reason> {
    engine::decision(case).reason().cloned()
}

#[test]
fn more_grants_never_allow_less() {
    let mut widened = 0;
    for_cases(21, |random, case| {
        let before = engine::answer(&case);
        let mut more = case.clone();
        match &mut more.who {
            Who::Anonymous => {
                let level = random.pick(&AccessLevel::ALL);
                more.settings.anonymous = more.settings.anonymous.max(level);
            }
            Who::User { member: None, .. } => return,
            Who::User { member: Some((role, groups)), listed, .. } => match random.below(4) {
                0 => listed.insert(random.below(listed.len() + 1), generate::list_line(random)),
                1 => *role = (*role).max(random.pick(&Role::ALL)),
                2 => groups.push(generate::group(random.pick(&[1, 2]))),
                _ => more.settings.open_to_members = true,
            },
            Who::Granted { grants, .. } => {
                let grant = generate::grant(random, case.now);
                grants.insert(random.below(grants.len() + 1), grant);
            }
        }
        let after = engine::answer(&more);
        assert!(before.is_within(&after), "{before:?} became {after:?}: {case:#?} and {more:#?}");
        // What is granted never chooses a lane.
        if let (true, Action::Resolve | Action::Read) = (before.is_allow(), case.action) {
            assert_eq!(before, after, "{case:#?} and {more:#?}");
        }
        widened += u64::from(before != after);
    });
    assert!(widened > 0, "no grant ever made a difference");
}

#[test]
fn a_restriction_never_allows_more() {
    let mut narrowed = 0;
    for_cases(22, |random, case| {
        let before = engine::answer(&case);
        let mut restricted = case.clone();
        let restriction = generate::restriction(random, case.now);
        restricted.restrictions.insert(random.below(restricted.restrictions.len() + 1), restriction);
        let after = engine::answer(&restricted);
        assert!(after.is_within(&before), "{before:?} became {after:?}: {restricted:#?}");
        narrowed += u64::from(before != after);
    });
    assert!(narrowed > 0, "no restriction ever made a difference");
}

#[test]
fn order_never_matters() {
    for_cases(23, |random, case| {
        let mut other = case.clone();
        random.shuffle(&mut other.locks);
        match &mut other.who {
            Who::Anonymous => {}
            Who::User { member, listed, .. } => {
                random.shuffle(listed);
                if let Some((_, groups)) = member {
                    random.shuffle(groups);
                }
            }
            Who::Granted { grants, .. } => random.shuffle(grants),
        }
        // The reason, the lock that it names among it, is the same too; a restriction is named by its place.
        assert_eq!(engine::answer(&case), engine::answer(&other), "{case:#?} and {other:#?}");
        assert_eq!(reason(&case), reason(&other), "{case:#?} and {other:#?}");
        random.shuffle(&mut other.restrictions);
        assert_eq!(engine::answer(&case), engine::answer(&other), "{case:#?} and {other:#?}");
        assert_eq!(
            reason(&case).as_ref().map(Reason::code),
            reason(&other).as_ref().map(Reason::code),
            "{case:#?} and {other:#?}"
        );
    });
}

#[test]
fn no_credential_is_anonymous_and_has_the_anonymous_level_alone() {
    for_cases(24, |random, mut case| {
        case.who = Who::Anonymous;
        case.principal = Principal::Anonymous;
        case.restrictions.clear();
        let answer = engine::answer(&case);
        // Nothing that is chosen for people or machines reaches a request without a credential.
        let mut other = case.clone();
        other.settings = generate::settings(random);
        other.settings.anonymous = case.settings.anonymous;
        other.settings.order = case.settings.order;
        assert_eq!(answer, engine::answer(&other), "{case:#?} and {other:#?}");
        if answer.is_allow() {
            assert!(case.settings.anonymous.actions().contains(case.action), "{case:#?}");
        }
        case.settings.anonymous = AccessLevel::None;
        assert_eq!(engine::answer(&case), Answer::Deny, "{case:#?}");
    });
}

#[test]
fn what_is_unknown_is_denied() {
    for_cases(25, |random, mut case| {
        // Rights that were gathered for another place say nothing here.
        let mut elsewhere = case.clone();
        elsewhere.resource = random.pick(&[
            generate::entry(generate::workspace(9), &[]),
            generate::release(generate::workspace(9), "1.2.3"),
            cachegate_types::Resource::Workspace(generate::workspace(9)),
            cachegate_types::Resource::Organization(generate::organization(9)),
        ]);
        assert_eq!(reason(&elsewhere), Some(Reason::UnknownPlace), "{elsewhere:#?}");
        // A workspace that does not exist is compiled as a place that is nowhere.
        if let Where::Workspace(..) = case.place {
            let mut nowhere = case.clone();
            nowhere.place = Where::Organization(generate::organization(0));
            assert!(!engine::answer(&nowhere).is_allow(), "{nowhere:#?}");
        }
        // Nobody in particular, and nothing granted.
        match &mut case.who {
            Who::Anonymous => case.settings.anonymous = AccessLevel::None,
            Who::User { member, .. } => *member = None,
            Who::Granted { grants, .. } => grants.clear(),
        }
        assert_eq!(engine::answer(&case), Answer::Deny, "{case:#?}");
    });
}

#[test]
fn a_lock_beats_everything() {
    for_cases(26, |random, case| {
        let mut scopes = vec![Locked::Everything, Locked::Principal(case.principal.clone())];
        match case.place {
            Where::Organization(organization) => scopes.push(Locked::Organization(organization)),
            Where::Workspace(workspace, organization) => {
                scopes.extend([Locked::Organization(organization), Locked::Workspace(workspace)]);
            }
        }
        scopes.extend(naive::own_lane(&case).map(|lane| Locked::Lane(lane.class())));
        let mut locked = case.clone();
        locked.locks.push(LockLine {
            id: generate::lock_id(255),
            scope: random.pick(&scopes),
            actions: ActionSet::of(&[case.action, random.pick(&Action::ALL)]),
            until: (case.now < Timestamp::MAX && random.chance(50))
                .then(|| case.now.saturating_add(Duration::from_secs(1))),
        });
        random.shuffle(&mut locked.locks);
        match reason(&locked) {
            Some(Reason::Locked { .. } | Reason::UnknownPlace) => {}
            other => panic!("{other:?}: {locked:#?}"),
        }
        assert!(!engine::answer(&locked).is_allow());
        // One that has ended, that very second, changes nothing.
        let mut ended = case.clone();
        ended.locks.push(LockLine {
            id: generate::lock_id(0),
            scope: Locked::Everything,
            actions: ActionSet::ALL,
            until: Some(case.now),
        });
        assert_eq!(engine::answer(&ended), engine::answer(&case), "{ended:#?}");
    });
}

#[test]
fn narrowing_never_widens() {
    let mut narrowed = 0;
    for_cases(27, |random, case| {
        let before = engine::answer(&case);
        let mut narrow = case.clone();
        match random.below(6) {
            0 => narrow.settings.personal = narrow.settings.personal.min(random.pick(&AccessLevel::ALL)),
            1 => narrow.settings.sessions_write_own = false,
            2 => narrow.locks.push(generate::lock(random, &case.principal, case.now)),
            3 => narrow.settings.anonymous = narrow.settings.anonymous.min(random.pick(&AccessLevel::ALL)),
            4 => narrow.settings.open_to_members = false,
            _ => match &mut narrow.who {
                Who::Anonymous => return,
                Who::User { member, listed, .. } => {
                    let _ = listed.pop();
                    if let Some((role, groups)) = member {
                        *role = (*role).min(random.pick(&Role::ALL));
                        let _ = groups.pop();
                    }
                }
                Who::Granted { grants, .. } => match grants.first_mut() {
                    Some(grant) if random.chance(50) => {
                        grant.until = Some(grant.until.map_or(case.now, |until| until.min(case.now)));
                    }
                    Some(_) => drop(grants.remove(0)),
                    None => return,
                },
            },
        }
        let after = engine::answer(&narrow);
        assert!(after.is_within(&before), "{before:?} became {after:?}: {case:#?} and {narrow:#?}");
        narrowed += u64::from(before != after);
    });
    assert!(narrowed > 0, "nothing ever made a difference");
}

#[test]
fn a_request_may_raise_its_floor_and_never_lower_it() {
    let mut raised = 0;
    for_cases(28, |random, mut case| {
        case.floor = None;
        let before = engine::answer(&case);
        let class = random.pick(&LaneClass::ALL);
        case.floor = Some(class);
        let after = engine::answer(&case);
        assert!(after.is_within(&before), "{before:?} became {after:?}: {case:#?}");
        let floors = match &case.who {
            Who::Granted { floor, .. } => vec![Some(class), *floor],
            Who::Anonymous | Who::User { .. } => vec![Some(class)],
        };
        for floor in floors.into_iter().flatten() {
            for lane in after.read() {
                assert!(
                    naive::rank(&case.settings.order, lane.class())
                        <= naive::rank(&case.settings.order, floor),
                    "{lane}: {case:#?}"
                );
            }
        }
        raised += u64::from(before != after);
    });
    assert!(raised > 0, "no floor ever made a difference");
}

#[test]
fn the_lane_to_write_is_always_the_own_lane() {
    let mut written = 0;
    for_cases(29, |_, case| {
        let answer = engine::answer(&case);
        if let Some(lane) = answer.write() {
            written += 1;
            assert_eq!(Some(lane), naive::own_lane(&case).as_ref(), "{case:#?}");
            assert!(matches!(case.action, Action::Write | Action::Replace | Action::Delete), "{case:#?}");
            assert!(matches!(case.resource, cachegate_types::Resource::Entry { .. }), "{case:#?}");
        } else if answer.is_allow() {
            let changes_an_entry = matches!(case.action, Action::Write | Action::Replace | Action::Delete)
                && matches!(case.resource, cachegate_types::Resource::Entry { .. });
            assert!(!changes_an_entry, "allowed to change an entry, and nowhere: {case:#?}");
        }
    });
    assert!(written > 1_000 || crate::cases(CASES) < CASES);
}

#[test]
fn lanes_are_shown_to_who_may_read_or_resolve_and_to_nobody_else() {
    for_cases(30, |_, case| {
        let answer = engine::answer(&case);
        if !answer.read().is_empty() && case.action != Action::Resolve {
            let mut reading = case.clone();
            reading.action = Action::Read;
            assert_eq!(engine::answer(&reading).read(), answer.read(), "{case:#?}");
        }
        if matches!(case.action, Action::Administer | Action::Publish | Action::Provision) {
            assert!(answer.read().is_empty() && answer.write().is_none(), "{case:#?}");
        }
    });
}
