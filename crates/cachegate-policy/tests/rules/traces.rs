//! What the three kinds of reader are told, and what none of them can learn.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cachegate_policy::{Candour, Reason, explain};
use cachegate_types::{
    AccessLevel, Action, ActionSet, EntryKey, Grant, GrantSource, Lane, LaneClass, Principal, Resource,
    Restriction, Role, RuleId, Scope,
};

use crate::case::{Case, LockLine, Locked, Party, Settings, Where, Who};
use crate::generate::{self, Random};
use crate::{engine, expected};

fn render(case: &Case, candour: Candour) -> String {
    explain(&engine::rights(case), &engine::locks(&case.locks), &engine::question(case)).render(candour)
}

fn base(principal: Principal, who: Who, action: Action, resource: Resource) -> Case {
    Case {
        place: Where::Workspace(generate::workspace(1), generate::organization(1)),
        settings: Settings::default(),
        who,
        restrictions: vec![],
        locks: vec![],
        principal,
        action,
        resource,
        floor: None,
        now: 1_000.into(),
    }
}

fn person(role: Role, action: Action) -> Case {
    let user = generate::user(7);
    let who = Who::User { user, member: Some((role, vec![])), listed: vec![] };
    base(Principal::User(user), who, action, generate::entry(generate::workspace(1), &[]))
}

fn ci(level: AccessLevel, action: Action) -> Case {
    let grant = Grant {
        source: GrantSource::CiToken(generate::token(8)),
        scope: Scope::Workspace(generate::workspace(1)),
        actions: level.actions(),
        until: None,
    };
    let who = Who::Granted { grants: vec![grant], lane: Lane::main(), base: None, floor: None };
    base(Principal::Ci(generate::workspace(1)), who, action, generate::entry(generate::workspace(1), &[]))
}

fn device(restriction: Restriction, action: Action, resource: Resource) -> Case {
    let grant = Grant {
        source: GrantSource::DeviceToken(generate::token(9)),
        scope: Scope::Organization(generate::organization(1)),
        actions: AccessLevel::ReadOnly.actions(),
        until: Some(2_000.into()),
    };
    let who = Who::Granted { grants: vec![grant], lane: Lane::main(), base: None, floor: None };
    let mut case = base(Principal::Device(generate::organization(1)), who, action, resource);
    case.restrictions = vec![restriction];
    case
}

fn scenes() -> Vec<(&'static str, Case)> {
    let workspace = generate::workspace(1);
    let releases = Restriction::Releases { workspace, requirement: generate::requirement("1.*") };
    let mut anonymous_reads =
        base(Principal::Anonymous, Who::Anonymous, Action::Read, generate::entry(workspace, &[]));
    anonymous_reads.settings.anonymous = AccessLevel::ReadOnly;
    let mut anonymous_writes = anonymous_reads.clone();
    anonymous_writes.action = Action::Write;
    let mut nothing = anonymous_reads.clone();
    nothing.settings.anonymous = AccessLevel::None;
    let mut unknown = person(Role::Member, Action::Read);
    unknown.resource = generate::entry(generate::workspace(5), &[]);
    let mut locked = ci(AccessLevel::ReadWrite, Action::Write);
    locked.locks = vec![
        LockLine {
            id: generate::lock_id(2),
            scope: Locked::Lane(LaneClass::Main),
            actions: ActionSet::of(&[Action::Write]),
            until: None,
        },
        LockLine {
            id: generate::lock_id(1),
            scope: Locked::Principal(Principal::Ci(workspace)),
            actions: ActionSet::ALL,
            until: Some(2_000.into()),
        },
    ];
    let mut cut = ci(AccessLevel::ReadWrite, Action::Write);
    cut.restrictions =
        vec![Restriction::Until(2_000.into()), Restriction::Actions(AccessLevel::ReadOnly.actions())];
    let mut stranger = person(Role::Member, Action::Read);
    stranger.who = Who::User { user: generate::user(7), member: None, listed: vec![] };
    let mut personal = person(Role::Admin, Action::Replace);
    personal.settings.personal = AccessLevel::ReadOnly;
    let mut release = person(Role::Admin, Action::Write);
    release.resource = generate::release(workspace, "1.2.3");
    let mut publish = person(Role::Admin, Action::Publish);
    publish.resource = generate::release(workspace, "1.2.3");
    let mut floor = ci(AccessLevel::ReadOnly, Action::Read);
    floor.floor = Some(LaneClass::Pull);
    if let Who::Granted { lane, .. } = &mut floor.who {
        *lane = Lane::named(LaneClass::Branch, None, b"next").expect("a lane");
    }
    floor.settings.order = [
        LaneClass::Pull,
        LaneClass::Branch,
        LaneClass::Release,
        LaneClass::Main,
        LaneClass::Dev,
        LaneClass::Own,
        LaneClass::Anonymous,
    ];
    let mut listed = person(Role::Member, Action::Read);
    listed.settings.open_to_members = false;
    if let Who::User { listed, .. } = &mut listed.who {
        listed.push((Party::User(generate::user(7)), AccessLevel::ResolveOnly.actions()));
    }
    let mut workload = ci(AccessLevel::ReadOnly, Action::Write);
    workload.principal = Principal::Workload {
        anchor: "github".parse().expect("a name"),
        subject: "repo:acme/app\n\u{202E}:ref".into(),
    };
    if let Who::Granted { grants, lane, .. } = &mut workload.who {
        grants[0].source = GrantSource::Rule(RuleId::from_bytes([6; 16]));
        *lane = Lane::named(LaneClass::Pull, None, b"17").expect("a lane");
    }
    let closure = Restriction::Closure { workspace, closure: generate::closure(3) };
    vec![
        ("allow: a member writes", person(Role::Member, Action::Write)),
        ("allow: an owner administers", person(Role::Owner, Action::Administer)),
        ("allow: anonymous reads", anonymous_reads),
        (
            "allow: a device resolves",
            device(releases.clone(), Action::Resolve, generate::release(workspace, "1.2.3")),
        ),
        ("unknown_place: a workspace that is not there", unknown),
        ("locked", locked),
        ("restricted: by the token's actions", cut),
        (
            "restricted: a resolve-only device reads an entry",
            device(releases, Action::Read, generate::entry(workspace, &[])),
        ),
        (
            "restricted: an entry outside the closure",
            device(closure, Action::Read, generate::entry(workspace, &[])),
        ),
        ("not_a_member", stranger),
        ("action_not_granted: nothing is held", nothing),
        ("action_not_granted: anonymous writes", anonymous_writes),
        ("action_not_granted: read-only CI writes", ci(AccessLevel::ReadOnly, Action::Write)),
        ("action_not_granted: a workload writes", workload),
        ("action_not_granted: a member deletes", person(Role::Member, Action::Delete)),
        ("action_not_granted: an admin publishes", publish),
        ("action_not_granted: the list says resolve-only", listed),
        ("personal_level", personal),
        ("not_applicable", release),
        ("below_floor", floor),
    ]
}

#[test]
fn the_texts_are_the_reviewed_ones() {
    let mut text = String::new();
    for (name, case) in scenes() {
        let code = engine::decision(&case).reason().map_or("allow", Reason::code);
        assert!(name.starts_with(code), "{name} is {code}");
        let _ = writeln!(text, "## {name}\n");
        let _ = writeln!(text, "public:   {}", render(&case, Candour::Public));
        let _ = writeln!(text, "caller:   {}", render(&case, Candour::Caller));
        let operator = render(&case, Candour::Operator);
        let _ = writeln!(text, "operator: {}\n", operator.trim_end().replace('\n', "\n          "));
    }
    expected::assert_expected("texts.txt", &text);
}

#[test]
fn any_two_denials_read_the_same_to_the_public() {
    let mut random = Random::new(61);
    for _ in 0..crate::cases(100_000) {
        let case = generate::case(&mut random);
        let text = render(&case, Candour::Public);
        let expected = if engine::answer(&case).is_allow() { "allowed" } else { "not found, or not allowed" };
        assert_eq!(text, expected, "{case:#?}");
    }
}

#[test]
fn a_caller_who_can_use_nothing_cannot_tell_a_place_from_no_place() {
    let mut random = Random::new(62);
    let mut texts = BTreeMap::<(&str, Action), String>::new();
    let mut compared = 0_u64;
    for _ in 0..crate::cases(200_000) {
        let case = generate::case(&mut random);
        let rights = engine::rights(&case);
        if !rights.usable(case.now).is_empty() || engine::answer(&case).is_allow() {
            continue;
        }
        compared += 1;
        let text = render(&case, Candour::Caller);
        let mut nowhere = case.clone();
        nowhere.place = Where::Organization(generate::organization(0));
        if let Who::User { member, listed, .. } = &mut nowhere.who {
            *member = None;
            listed.clear();
        }
        assert_eq!(text, render(&nowhere, Candour::Caller), "{case:#?}");
        let known = texts.entry((case.principal.kind(), case.action)).or_insert_with(|| text.clone());
        assert_eq!(text, *known, "{case:#?}");
    }
    eprintln!("{compared} callers held nothing and read {} texts", texts.len());
    assert!(texts.len() == 5 * Action::ALL.len() || crate::cases(1) < 100_000);
}

#[test]
fn a_caller_who_asks_in_the_wrong_place_learns_no_more_than_one_who_asks_nowhere() {
    let mut random = Random::new(63);
    for _ in 0..crate::cases(50_000) {
        let mut case = generate::case(&mut random);
        case.resource = generate::entry(generate::workspace(9), &[]);
        let text = render(&case, Candour::Caller);
        assert!(text.contains("there is nothing here under this name"), "{text}: {case:#?}");
    }
}

/// Control characters, and those that change how the text around them reads.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[test]
fn no_text_holds_a_control_character() {
    let mut random = Random::new(64);
    let subject = "a\n\u{1b}[31m\u{202E}\u{feff}\0";
    for _ in 0..crate::cases(50_000) {
        let mut case = generate::case(&mut random);
        if random.chance(50) {
            case.principal =
                Principal::Workload { anchor: "github".parse().expect("a name"), subject: subject.into() };
        }
        if random.chance(30) {
            case.locks.push(generate::lock(&mut random, &case.principal, case.now));
        }
        if let (Resource::Entry { key, .. }, true) = (&mut case.resource, random.chance(50)) {
            *key = EntryKey::new(subject.as_bytes()).expect("a key");
        }
        if let (Who::Granted { lane, .. }, true) = (&mut case.who, random.chance(50)) {
            *lane = Lane::named(LaneClass::Pull, None, subject.as_bytes()).expect("a lane");
        }
        for candour in [Candour::Public, Candour::Caller] {
            let text = render(&case, candour);
            assert!(!text.chars().any(is_treacherous), "{text:?}");
        }
        // The operator's text has lines, and nothing else of the kind.
        let text = render(&case, Candour::Operator);
        assert!(!text.replace('\n', "").chars().any(is_treacherous), "{text:?}");
        assert!(!text.contains("[31m\n") && text.lines().all(|line| !line.starts_with('\u{1b}')), "{text:?}");
        let steps = case.restrictions.len() + engine::rights(&case).grants().len();
        assert!((2 + steps..=4 + steps).contains(&text.lines().count()), "a line of its own making: {text}");
    }
}

#[test]
fn the_trace_decides_what_decide_decides() {
    let mut random = Random::new(65);
    for _ in 0..crate::cases(50_000) {
        let case = generate::case(&mut random);
        let trace = explain(&engine::rights(&case), &engine::locks(&case.locks), &engine::question(&case));
        assert_eq!(engine::answer_of(trace.decision()), engine::answer(&case), "{case:#?}");
    }
}
