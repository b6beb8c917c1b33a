//! The whole finite core, cell by cell, and a table of it that people have read.

use std::fmt::Write as _;

use cachegate_types::{
    AccessLevel, Action, ActionSet, Grant, GrantSource, Lane, LaneClass, LaneSource, Principal, Resource,
    Role, RuleId, Scope,
};

use crate::case::{Answer, Case, LockLine, Locked, Party, Settings, Where, Who};
use crate::{engine, expected, generate, naive};

/// Everyone that a cell can be about, by name.
fn everyone() -> Vec<(String, Principal, Who)> {
    let mut all = vec![("anonymous".to_owned(), Principal::Anonymous, Who::Anonymous)];
    let user = generate::user(1);
    let mut person = |name: String, member, listed| {
        all.push((name, Principal::User(user), Who::User { user, member, listed }));
    };
    person("a stranger".to_owned(), None, vec![]);
    person("a listed stranger".to_owned(), None, vec![(Party::User(user), ActionSet::ALL)]);
    for role in Role::ALL {
        let member = Some((role, vec![generate::group(1)]));
        person(role.to_string(), member.clone(), vec![]);
        person(
            format!("{role}, others listed"),
            member.clone(),
            vec![
                (Party::User(generate::user(2)), ActionSet::ALL),
                (Party::Group(generate::group(2)), ActionSet::ALL),
            ],
        );
        for level in AccessLevel::ALL {
            let line = |party| vec![(party, level.actions())];
            person(format!("{role}, listed {level}"), member.clone(), line(Party::User(user)));
            person(format!("{role}, group {level}"), member.clone(), line(Party::Group(generate::group(1))));
        }
        let publish = vec![(Party::User(user), ActionSet::of(&[Action::Publish]))];
        person(format!("{role}, listed publish"), member, publish);
    }
    let ci = Principal::Ci(generate::workspace(1));
    let device = Principal::Device(generate::organization(1));
    let sources = [
        ("ci", ci.clone(), GrantSource::CiToken(generate::token(1))),
        ("session", ci, GrantSource::Session(generate::token(2))),
        ("device", device, GrantSource::DeviceToken(generate::token(3))),
        ("rule", generate::workload(), GrantSource::Rule(RuleId::from_bytes([4; 16]))),
        ("outsider", generate::workload(), GrantSource::AnonymousLevel),
    ];
    let sets = AccessLevel::ALL.map(|level| (level.to_string(), level.actions())).into_iter().chain([
        ("publish".to_owned(), ActionSet::of(&[Action::Publish])),
        ("everything".to_owned(), ActionSet::ALL),
    ]);
    for (set, actions) in sets {
        for (name, principal, source) in &sources {
            for (lane, base) in lanes() {
                let scope = if matches!(source, GrantSource::DeviceToken(_)) {
                    Scope::Organization(generate::organization(1))
                } else {
                    Scope::Workspace(generate::workspace(1))
                };
                let grant = Grant { source: *source, scope, actions, until: None };
                let base_name = if base.is_some() { " on next" } else { "" };
                let label = format!("{name} {set} in {lane}{base_name}");
                let who = Who::Granted { grants: vec![grant], lane, base, floor: None };
                all.push((label, principal.clone(), who));
            }
        }
    }
    all
}

/// One lane of each class, and a pull request with its base.
fn lanes() -> Vec<(Lane, Option<Lane>)> {
    let source = Some(LaneSource { anchor: "github".parse().expect("a name"), repository: "1".into() });
    let named = |class, name: &[u8]| Lane::named(class, source.clone(), name).expect("a lane");
    let mut all: Vec<_> = LaneClass::ALL
        .into_iter()
        .map(|class| (Lane::single(class).unwrap_or_else(|_| named(class, b"17")), None))
        .collect();
    all.push((named(LaneClass::Pull, b"17"), Some(named(LaneClass::Branch, b"next"))));
    all
}

fn every_setting() -> Vec<Settings> {
    let mut all = Vec::new();
    for anonymous in AccessLevel::ALL {
        for personal in AccessLevel::ALL {
            for bits in 0..8_u8 {
                all.push(Settings {
                    anonymous,
                    personal,
                    people_write_main: bits & 1 != 0,
                    open_to_members: bits & 2 != 0,
                    sessions_write_own: bits & 4 != 0,
                    ..Settings::default()
                });
            }
        }
    }
    all
}

fn here() -> Where {
    Where::Workspace(generate::workspace(1), generate::organization(1))
}

fn resources() -> [(Where, Resource); 5] {
    let workspace = generate::workspace(1);
    let organization = generate::organization(1);
    [
        (here(), Resource::Workspace(workspace)),
        (here(), generate::entry(workspace, &[])),
        (here(), generate::release(workspace, "1.2.3")),
        (here(), generate::entry(generate::workspace(2), &[])),
        (Where::Organization(organization), Resource::Organization(organization)),
    ]
}

fn case(settings: &Settings, principal: &Principal, who: &Who) -> Case {
    Case {
        place: here(),
        settings: settings.clone(),
        who: who.clone(),
        restrictions: vec![],
        locks: vec![],
        principal: principal.clone(),
        action: Action::Read,
        resource: Resource::Workspace(generate::workspace(1)),
        floor: None,
        now: 1_000.into(),
    }
}

#[test]
fn every_cell_of_the_finite_core_agrees_with_the_naive_evaluator() {
    let (mut cells, mut allowed) = (0_u64, 0_u64);
    let lock = LockLine {
        id: generate::lock_id(1),
        scope: Locked::Workspace(generate::workspace(1)),
        actions: ActionSet::ALL,
        until: None,
    };
    let everyone = everyone();
    // A quick run looks at some of the settings.
    let step = if crate::cases(1_000_000) < 1_000_000 { 7 } else { 1 };
    for settings in every_setting().into_iter().step_by(step) {
        for (name, principal, who) in &everyone {
            for (place, resource) in resources() {
                let mut case = case(&settings, principal, who);
                case.place = place;
                case.resource = resource;
                let rights = engine::rights(&case);
                for locked in [false, true] {
                    case.locks = if locked { vec![lock.clone()] } else { vec![] };
                    let locks = engine::locks(&case.locks);
                    for action in Action::ALL {
                        case.action = action;
                        let decision = cachegate_policy::decide(&rights, &locks, &engine::question(&case));
                        let (fast, slow) = (engine::answer_of(&decision), naive::answer(&case));
                        assert_eq!(fast, slow, "{name}, engine on the left: {case:#?}");
                        cells += 1;
                        allowed += u64::from(fast.is_allow());
                    }
                }
            }
        }
    }
    eprintln!("{cells} cells, {allowed} allow, 0 mismatches");
}

#[test]
fn every_order_of_lanes_with_every_lane_and_floor_agrees_with_the_naive_evaluator() {
    let mut cells = 0_u64;
    let everything = |source| Grant {
        source,
        scope: Scope::Workspace(generate::workspace(1)),
        actions: ActionSet::ALL,
        until: None,
    };
    let user = generate::user(1);
    let mut readers = vec![
        (Principal::Anonymous, Who::Anonymous),
        (Principal::User(user), Who::User { user, member: Some((Role::Member, vec![])), listed: vec![] }),
    ];
    readers.extend(lanes().into_iter().map(|(lane, base)| {
        let grants = vec![everything(GrantSource::Rule(RuleId::from_bytes([4; 16])))];
        (generate::workload(), Who::Granted { grants, lane, base, floor: None })
    }));
    let floors: Vec<_> = [None].into_iter().chain(LaneClass::ALL.map(Some)).collect();
    let step = if crate::cases(1_000_000) < 1_000_000 { 50 } else { 1 };
    for order in generate::orders().into_iter().step_by(step) {
        let settings = Settings { anonymous: AccessLevel::ReadOnly, order, ..Settings::default() };
        for (principal, who) in &readers {
            let mut case = case(&settings, principal, who);
            case.resource = generate::entry(generate::workspace(1), &[]);
            let rights = engine::rights(&case);
            for floor in &floors {
                case.floor = *floor;
                let decision = cachegate_policy::decide(&rights, &[], &engine::question(&case));
                assert_eq!(engine::answer_of(&decision), naive::answer(&case), "{case:#?}");
                cells += 1;
            }
        }
    }
    eprintln!("{cells} cells of lanes, 0 mismatches");
}

#[test]
fn the_reviewed_table_is_what_the_engine_decides() {
    expected::assert_expected("table.txt", &table());
}

/// How wide the table's columns are.
const NAME: usize = 48;
const CELL: usize = 11;

/// The defaults in full, then for each other setting the rows that it changes.
fn table() -> String {
    let mut text = String::from(
        "# Who may do what, and in which lanes.\n\
         #\n\
         # Under each action: w = the workspace itself, e = an entry, r = a release, o = the organization.\n\
         # `reads` and `writes` are the lanes of an entry, for `read` and for `write`, `replace` or `delete`.\n\
         # The first section holds the defaults; each further one holds the rows that its setting changes.\n",
    );
    let default = Settings::default();
    let variants = [
        ("the defaults", default.clone()),
        ("anonymous = resolve-only", Settings { anonymous: AccessLevel::ResolveOnly, ..default.clone() }),
        ("anonymous = read-only", Settings { anonymous: AccessLevel::ReadOnly, ..default.clone() }),
        ("anonymous = read-write", Settings { anonymous: AccessLevel::ReadWrite, ..default.clone() }),
        ("personal = none", Settings { personal: AccessLevel::None, ..default.clone() }),
        ("personal = read-only", Settings { personal: AccessLevel::ReadOnly, ..default.clone() }),
        ("personal_lane = main", Settings { people_write_main: true, ..default.clone() }),
        ("open_to = listed", Settings { open_to_members: false, ..default.clone() }),
        ("read_only_ci_writes = own-lane", Settings { sessions_write_own: true, ..default.clone() }),
        (
            "lanes = main > release > dev > own > pull > branch > anonymous",
            Settings {
                order: [
                    LaneClass::Main,
                    LaneClass::Release,
                    LaneClass::Dev,
                    LaneClass::Own,
                    LaneClass::Pull,
                    LaneClass::Branch,
                    LaneClass::Anonymous,
                ],
                ..default
            },
        ),
    ];
    let everyone: Vec<_> = everyone().into_iter().filter(|(name, ..)| is_in_the_table(name)).collect();
    let defaults: Vec<String> = everyone.iter().map(|one| row(&default, one)).collect();
    for (name, settings) in variants {
        let _ = write!(text, "\n## {name}\n\n{:NAME$}", "");
        for action in Action::ALL {
            let _ = write!(text, "{action:CELL$}");
        }
        text.push_str("lanes\n");
        for (one, before) in everyone.iter().zip(&defaults) {
            let row = row(&settings, one);
            if name == "the defaults" || row != *before {
                text.push_str(&row);
            }
        }
    }
    text
}

/// One of each kind: the rest of the core differs from these in nothing that a reader would look for.
fn is_in_the_table(name: &str) -> bool {
    let unlike = [
        "owner,",
        "admin, group",
        "admin, listed r",
        "admin, listed n",
        "admin, others",
        "group resolve-only",
        "group none",
        "group read-write",
    ];
    if unlike.iter().any(|part| name.contains(part)) {
        return false;
    }
    match name.split_once(' ') {
        Some(("outsider", rest)) => rest.starts_with("everything in pull") || rest == "read-only in main",
        Some(("device", rest)) => rest.contains("in main") && !rest.contains("everything"),
        Some(("ci", rest)) => {
            rest.contains("in main") || rest.contains("read-write in release") || rest.contains("in own")
        }
        Some(("session", rest)) => rest.contains("in own") && !rest.contains("publish"),
        Some(("rule", rest)) => rest.contains("read-write") || rest.contains("in pull"),
        _ => true,
    }
}

fn row(settings: &Settings, (name, principal, who): &(String, Principal, Who)) -> String {
    let mut case = case(settings, principal, who);
    let (mut reads, mut writes) = (Answer::Deny, Answer::Deny);
    let mut cells = String::new();
    for action in Action::ALL {
        case.action = action;
        let mut cell = String::new();
        for (letter, (place, resource)) in ['w', 'e', 'r', '!', 'o'].into_iter().zip(resources()) {
            case.place = place;
            case.resource = resource;
            let answer = engine::answer(&case);
            if answer.is_allow() {
                cell.push(letter);
            }
            if letter == 'e' && action == Action::Read {
                reads = answer;
            } else if letter == 'e' && answer.write().is_some() {
                assert!(!writes.is_allow() || writes == answer, "one lane to write: {case:#?}");
                writes = answer;
            }
        }
        let _ = write!(cells, "{:CELL$}", if cell.is_empty() { "-" } else { &cell });
    }
    let mut lanes = Vec::new();
    if !reads.read().is_empty() {
        let read: Vec<String> = reads.read().iter().map(ToString::to_string).collect();
        lanes.push(format!("reads {}", read.join(" ")));
    }
    if let Some(lane) = writes.write() {
        lanes.push(format!("writes {lane}"));
    }
    let line = format!("{name:NAME$}{cells}{}", lanes.join(", "));
    format!("{}\n", line.trim_end())
}
