//! No byte flows from a lower lane to a higher reader: writers and readers with lanes of all kinds share one store.

use std::collections::BTreeSet;

use cachegate_types::{AccessLevel, Action, Grant, GrantSource, Lane, LaneClass, Role, RuleId, Scope};

use crate::case::{Case, Settings, Where, Who};
use crate::generate::{self, Random};
use crate::{engine, naive};

/// What lies in the store: in which lane, and every lane whose bytes went into it.
struct Stored {
    lane: Lane,
    origins: BTreeSet<Lane>,
}

fn credential(random: &mut Random, settings: &Settings) -> Case {
    let place = Where::Workspace(
        generate::workspace(generate::WORKSPACE),
        generate::organization(generate::ORGANIZATION),
    );
    let now = 1_000.into();
    let mut case = generate::case(random);
    case.place = place;
    case.settings = settings.clone();
    case.who = generate::who(random, now);
    case.now = now;
    case.locks.clear();
    case.restrictions.clear();
    case.resource = generate::entry(generate::workspace(generate::WORKSPACE), &[]);
    if !random.chance(30) {
        case.floor = None;
    }
    match &mut case.who {
        Who::Anonymous => {}
        Who::User { member, .. } => *member = Some((random.pick(&Role::ALL), vec![])),
        Who::Granted { grants, .. } => grants.push(Grant {
            source: GrantSource::Rule(RuleId::from_bytes([9; 16])),
            scope: Scope::Workspace(generate::workspace(generate::WORKSPACE)),
            actions: AccessLevel::ReadWrite.actions(),
            until: None,
        }),
    }
    case
}

/// Who may see what is in `lane` beside whoever has that very lane.
fn is_shared(class: LaneClass) -> bool {
    match class {
        LaneClass::Release | LaneClass::Main | LaneClass::Dev => true,
        LaneClass::Branch | LaneClass::Pull | LaneClass::Own | LaneClass::Anonymous => false,
    }
}

#[test]
fn no_byte_flows_from_a_lower_lane_to_a_higher_reader() {
    let (mut written, mut served, mut derived) = (0_u64, 0_u64, 0_u64);
    for seed in 0..crate::cases(300_000) / 150 {
        let mut random = Random::new(seed);
        let mut settings = generate::settings(&mut random);
        settings.anonymous = AccessLevel::ReadWrite;
        settings.personal = AccessLevel::ReadWrite;
        let people: Vec<Case> = (0..12).map(|_| credential(&mut random, &settings)).collect();
        let mut store: Vec<Stored> = Vec::new();
        for _ in 0..150 {
            let mut asked = random.pick(&people);
            let own = naive::own_lane(&asked).expect("everybody here has a lane");
            asked.action = Action::Read;
            let rank = |lane: &Lane| naive::rank(&settings.order, lane.class());
            let readable = engine::answer(&asked).read().to_vec();
            // A reader sees what any lane on its list holds, and may carry all of it into what it writes.
            let seen: Vec<&Stored> = store.iter().filter(|stored| readable.contains(&stored.lane)).collect();
            for stored in &seen {
                served += 1;
                for origin in &stored.origins {
                    assert!(rank(origin) <= rank(&own), "{origin} reached {own}: {asked:#?}");
                    assert!(
                        *origin == own || rank(origin) < rank(&own),
                        "{origin} reached {own}, which is beside it: {asked:#?}"
                    );
                }
                // The one lane of others that is read is the base branch, by pull requests of its own repository.
                let is_base = own.class() == LaneClass::Pull
                    && stored.lane.class() == LaneClass::Branch
                    && own.source().is_some()
                    && own.source() == stored.lane.source();
                assert!(
                    stored.lane == own || is_shared(stored.lane.class()) || is_base,
                    "{} is nobody else's, and {own} read it: {asked:#?}",
                    stored.lane
                );
                assert!(
                    stored.lane.class() != LaneClass::Dev
                        || own == Lane::dev()
                        || matches!(asked.who, Who::User { .. }),
                    "{own} is no member's and read dev: {asked:#?}"
                );
            }
            let mut origins: BTreeSet<Lane> =
                seen.iter().flat_map(|stored| stored.origins.iter().cloned()).collect();
            asked.action = random.pick(&[Action::Write, Action::Write, Action::Replace]);
            if let Some(lane) = engine::answer(&asked).write() {
                assert_eq!(*lane, own, "nobody writes another lane: {asked:#?}");
                derived += u64::from(!origins.is_empty());
                origins.insert(lane.clone());
                store.push(Stored { lane: lane.clone(), origins });
                written += 1;
            }
        }
    }
    eprintln!(
        "{written} entries written, {derived} of them from what was read; {served} servings, none from below"
    );
    assert!(served > written && derived * 2 > written, "the simulation must move bytes to show anything");
}

#[test]
fn what_a_pull_request_writes_no_other_lane_reads() {
    let mut random = Random::new(5);
    let mut compared = 0;
    for _ in 0..crate::cases(100_000) {
        let settings = generate::settings(&mut random);
        let class = random.pick(&[LaneClass::Pull, LaneClass::Own, LaneClass::Anonymous]);
        let written = generate::lane_of(&mut random, class);
        let mut reader = credential(&mut random, &settings);
        reader.action = Action::Read;
        if naive::own_lane(&reader).is_some_and(|own| own != written) {
            compared += 1;
            assert!(!engine::answer(&reader).read().contains(&written), "{written} is read by {reader:#?}");
        }
    }
    assert!(compared * 2 > crate::cases(100_000));
}
