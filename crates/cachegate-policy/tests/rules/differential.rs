//! The engine against the naive evaluator, a million times.

use std::collections::BTreeMap;

use cachegate_types::{GrantSource, Lane, LaneClass, Resource, Restriction, Role, Scope, Timestamp};

use crate::case::{Case, Locked, Party, Where, Who};
use crate::generate::{self, Random};
use crate::{engine, naive};

#[test]
fn the_engine_and_the_naive_evaluator_agree_on_a_million_cases() {
    let wanted = crate::cases(1_000_000);
    let mut random = Random::new(0x00C0_FFEE);
    let (mut allowed, mut reads, mut writes) = (0_u64, 0_u64, 0_u64);
    for number in 0..wanted {
        let case = generate::case(&mut random);
        let (fast, slow) = (engine::answer(&case), naive::answer(&case));
        assert_eq!(fast, slow, "case {number}, engine on the left: {case:#?}");
        allowed += u64::from(fast.is_allow());
        reads += u64::from(!fast.read().is_empty());
        writes += u64::from(fast.write().is_some());
    }
    let share = allowed * 100 / wanted;
    eprintln!(
        "{wanted} cases, 0 mismatches, {share} % allowed; {reads} give lanes to read, {writes} one to write"
    );
    assert!((20..=80).contains(&share), "{share} % allowed: the cases ask too little");
}

/// A generator that never makes a thing tests nothing about it.
#[test]
fn the_cases_reach_every_kind_of_input_on_both_sides_of_the_answer() {
    let mut seen = BTreeMap::<String, [u32; 2]>::new();
    let mut random = Random::new(7);
    for _ in 0..60_000 {
        let case = generate::case(&mut random);
        let allowed = usize::from(naive::answer(&case).is_allow());
        for feature in features(&case) {
            seen.entry(feature).or_default()[allowed] += 1;
        }
    }
    for feature in all_features() {
        let [denied, allowed] = seen.get(&feature).copied().unwrap_or_default();
        assert!(denied > 0, "`{feature}` is never refused");
        assert!(allowed > 0, "`{feature}` is never allowed");
    }
}

fn all_features() -> Vec<String> {
    let mut all: Vec<String> = [
        "place organization",
        "place workspace",
        "who anonymous",
        "who member",
        "who admin",
        "who owner",
        "who granted",
        "listed user",
        "listed group",
        "restriction actions",
        "restriction organization",
        "restriction workspaces",
        "restriction releases",
        "restriction closure",
        "restriction until now + 1",
        "lock everything",
        "lock organization",
        "lock workspace",
        "lock principal",
        "lock lane",
        "lock until now",
        "lock until now + 1",
        "grant until now",
        "grant until now + 1",
        "grant scope organization",
        "grant scope workspace",
        "source ci",
        "source device",
        "source rule",
        "source session",
        "source anonymous level",
        "resource organization",
        "resource workspace",
        "resource entry",
        "resource release",
        "principal anonymous",
        "principal user",
        "principal ci",
        "principal device",
        "principal workload",
        "personal lane main",
        "personal lane dev",
        "open to members",
        "open to listed",
        "sessions write own",
        "sessions are refused",
        "default order",
        "another order",
        "own and base of one source",
        "own and base of two sources",
        "base without a source",
        "first second",
        "last second",
    ]
    .map(str::to_owned)
    .to_vec();
    for level in ["none", "resolve-only", "read-only", "read-write"] {
        all.extend([format!("anonymous {level}"), format!("personal {level}")]);
    }
    for class in LaneClass::ALL {
        all.extend(
            ["lane", "base", "floor", "request floor", "lock lane"].map(|kind| format!("{kind} {class}")),
        );
    }
    for action in cachegate_types::Action::ALL {
        all.push(format!("action {action}"));
    }
    all
}

fn features(case: &Case) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |feature: &str| all.push(feature.to_owned());
    add(match case.place {
        Where::Organization(_) => "place organization",
        Where::Workspace(..) => "place workspace",
    });
    add(match case.resource {
        Resource::Organization(_) => "resource organization",
        Resource::Workspace(_) => "resource workspace",
        Resource::Entry { .. } => "resource entry",
        Resource::Release { .. } => "resource release",
    });
    add(&format!("principal {}", case.principal.kind()));
    add(&format!("action {}", case.action));
    add(&format!("anonymous {}", case.settings.anonymous));
    add(&format!("personal {}", case.settings.personal));
    add(if case.settings.people_write_main { "personal lane main" } else { "personal lane dev" });
    add(if case.settings.open_to_members { "open to members" } else { "open to listed" });
    add(if case.settings.sessions_write_own { "sessions write own" } else { "sessions are refused" });
    add(if case.settings.order == LaneClass::ALL { "default order" } else { "another order" });
    if case.now == Timestamp::MIN {
        add("first second");
    }
    if case.now == Timestamp::MAX {
        add("last second");
    }
    if let Some(class) = case.floor {
        add(&format!("request floor {class}"));
    }
    match &case.who {
        Who::Anonymous => add("who anonymous"),
        Who::User { member, listed, .. } => {
            add(match member {
                None => "who is no member",
                Some((Role::Member, _)) => "who member",
                Some((Role::Admin, _)) => "who admin",
                Some((Role::Owner, _)) => "who owner",
            });
            for (party, _) in listed {
                add(match party {
                    Party::User(_) => "listed user",
                    Party::Group(_) => "listed group",
                });
            }
        }
        Who::Granted { grants, lane, base, floor } => {
            add("who granted");
            add(&format!("lane {}", lane.class()));
            if let Some(class) = floor {
                add(&format!("floor {class}"));
            }
            if let Some(base) = base {
                add(&format!("base {}", base.class()));
                add(match (lane.source(), base.source()) {
                    (Some(one), Some(other)) if one == other => "own and base of one source",
                    (Some(_), Some(_)) => "own and base of two sources",
                    (_, None) => "base without a source",
                    (None, Some(_)) => "base with a source alone",
                });
            }
            for grant in grants {
                add(match grant.scope {
                    Scope::Organization(_) => "grant scope organization",
                    Scope::Workspace(_) => "grant scope workspace",
                });
                add(match grant.source {
                    GrantSource::CiToken(_) => "source ci",
                    GrantSource::DeviceToken(_) => "source device",
                    GrantSource::Rule(_) => "source rule",
                    GrantSource::Session(_) => "source session",
                    GrantSource::AnonymousLevel => "source anonymous level",
                    GrantSource::Membership
                    | GrantSource::Role(_)
                    | GrantSource::Listed
                    | GrantSource::Group(_) => panic!("no machine's grant: {grant:?}"),
                });
                if let Some(edge) = edge(case, grant.until) {
                    add(&format!("grant until {edge}"));
                }
            }
        }
    }
    for restriction in &case.restrictions {
        match restriction {
            Restriction::Actions(_) => add("restriction actions"),
            Restriction::Organization(_) => add("restriction organization"),
            Restriction::Workspaces(_) => add("restriction workspaces"),
            Restriction::Releases { .. } => add("restriction releases"),
            Restriction::Closure { .. } => add("restriction closure"),
            Restriction::Until(until) => {
                if let Some(edge) = edge(case, Some(*until)) {
                    add(&format!("restriction until {edge}"));
                }
            }
        }
    }
    for lock in &case.locks {
        add(match lock.scope {
            Locked::Everything => "lock everything",
            Locked::Organization(_) => "lock organization",
            Locked::Workspace(_) => "lock workspace",
            Locked::Principal(_) => "lock principal",
            Locked::Lane(_) => "lock lane",
        });
        if let Locked::Lane(class) = lock.scope {
            add(&format!("lock lane {class}"));
        }
        if let Some(edge) = edge(case, lock.until) {
            add(&format!("lock until {edge}"));
        }
    }
    all
}

fn edge(case: &Case, until: Option<Timestamp>) -> Option<&'static str> {
    let next = case.now.saturating_add(std::time::Duration::from_secs(1));
    match until? {
        until if until == case.now => Some("now"),
        until if until == next => Some("now + 1"),
        _ => None,
    }
}

/// The comparison bites: an evaluator that is wrong in one corner is told apart.
#[test]
fn an_evaluator_that_lets_a_pull_request_read_its_neighbour_is_caught() {
    let mut random = Random::new(11);
    let caught = (0..20_000).any(|_| {
        let case = generate::case(&mut random);
        let mut wrong = naive::answer(&case);
        if let crate::case::Answer::Allow { read, .. } = &mut wrong
            && read.first().is_some_and(|lane: &Lane| lane.class() == LaneClass::Pull)
        {
            read.push(Lane::named(LaneClass::Pull, None, b"99").expect("a lane"));
        }
        wrong != engine::answer(&case)
    });
    assert!(caught);
}
