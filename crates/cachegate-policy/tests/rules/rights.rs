//! What a credential may use, and what it may hand on.

use cachegate_types::{AccessLevel, Action, ActionSet, Resource, Restriction};

use crate::case::{Case, Where, Who};
use crate::engine;
use crate::generate::{self, Random};

/// What the engine allows on any of these.
fn allowed_on(case: &Case, resources: &[Resource]) -> ActionSet {
    let mut asked = case.clone();
    let mut allowed = ActionSet::EMPTY;
    for resource in resources {
        asked.resource = resource.clone();
        for action in Action::ALL {
            asked.action = action;
            if engine::answer(&asked).is_allow() {
                allowed = allowed.union(ActionSet::of(&[action]));
            }
        }
    }
    allowed
}

/// Every kind of thing in the place: an entry that is in all closures, a release of each version.
fn everything_in(place: Where) -> (Resource, Vec<Resource>) {
    match place {
        Where::Organization(id) => (Resource::Organization(id), vec![Resource::Organization(id)]),
        Where::Workspace(id, _) => {
            let itself = Resource::Workspace(id);
            let closures = [1, 2, 3].map(generate::closure);
            let mut all = vec![itself.clone(), generate::entry(id, &closures)];
            all.extend(generate::VERSIONS.map(|version| generate::release(id, version)));
            (itself, all)
        }
    }
}

fn requirements(case: &Case) -> usize {
    let mut requirements: Vec<String> = case
        .restrictions
        .iter()
        .filter_map(|restriction| match restriction {
            Restriction::Releases { requirement, .. } => Some(requirement.to_string()),
            Restriction::Actions(_)
            | Restriction::Organization(_)
            | Restriction::Workspaces(_)
            | Restriction::Closure { .. }
            | Restriction::Until(_) => None,
        })
        .collect();
    requirements.dedup();
    requirements.len()
}

#[test]
fn usable_is_what_decide_allows_somewhere_in_the_place() {
    let mut random = Random::new(51);
    let (mut something, mut nothing) = (0_u64, 0_u64);
    for _ in 0..crate::cases(60_000) {
        let mut case = generate::case(&mut random);
        case.locks.clear();
        case.floor = None;
        let usable = engine::rights(&case).usable(case.now);
        let allowed = allowed_on(&case, &everything_in(case.place).1);
        if requirements(&case) < 2 {
            assert_eq!(usable, allowed, "{case:#?}");
        } else {
            assert!(usable.contains_all(allowed), "{usable:?}, {allowed:?}: {case:#?}");
        }
        if usable.is_empty() { nothing += 1 } else { something += 1 }
    }
    eprintln!("{something} credentials could use something, {nothing} nothing");
    assert!(something > nothing / 3 && nothing > something / 10, "{something}, {nothing}");
}

#[test]
fn nobody_hands_on_more_than_they_hold() {
    let mut random = Random::new(52);
    for _ in 0..crate::cases(60_000) {
        let mut case = generate::case(&mut random);
        case.locks.clear();
        let rights = engine::rights(&case);
        let ceiling = rights.ceiling(case.now);
        // The personal level cuts use and not handing on: without it, the two are one on the place itself.
        let mut uncut = case.clone();
        uncut.settings.personal = AccessLevel::ReadWrite;
        let (itself, _) = everything_in(case.place);
        assert_eq!(ceiling, allowed_on(&uncut, &[itself]), "{case:#?}");
        if let Who::Anonymous | Who::Granted { .. } = case.who {
            assert!(rights.usable(case.now).contains_all(ceiling), "{case:#?}");
        }
    }
}

#[test]
fn an_administrator_under_a_read_only_personal_level_still_hands_on_read_write() {
    let mut case = generate::case(&mut Random::new(1));
    case.place = Where::Workspace(generate::workspace(1), generate::organization(1));
    case.restrictions.clear();
    case.who = Who::User {
        user: generate::user(1),
        member: Some((cachegate_types::Role::Admin, vec![])),
        listed: vec![],
    };
    case.settings.personal = AccessLevel::ReadOnly;
    let rights = engine::rights(&case);
    assert!(rights.ceiling(case.now).contains_all(AccessLevel::ReadWrite.actions()));
    let usable = ActionSet::of(&[Action::Resolve, Action::Read, Action::Administer]);
    assert_eq!(rights.usable(case.now), usable);
}
