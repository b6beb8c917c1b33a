//! Cases from a seed: mostly such as a real gate would ask, and now and then odd ones.

use cachegate_types::{
    AccessLevel, Action, ActionSet, ClosureId, EntryKey, Grant, GrantSource, GroupId, Lane, LaneClass,
    LaneSource, LockId, OrganizationId, Principal, Resource, Restriction, Role, RuleId, Scope, Timestamp,
    TokenId, UserId, Version, VersionRequirement, WorkspaceId,
};

use crate::case::{Case, LockLine, Locked, Party, Settings, Where, Who};

/// Steele, Lea and Flood's SplitMix64: small, and every seed is a good one.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("a small number");
        usize::try_from(self.next() % limit).expect("a small number")
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }

    fn actions(&mut self) -> ActionSet {
        Action::ALL.into_iter().filter(|_| self.chance(50)).collect()
    }
}

pub(crate) fn organization(number: u8) -> OrganizationId {
    OrganizationId::from_bytes([number; 16])
}

pub(crate) fn workspace(number: u8) -> WorkspaceId {
    WorkspaceId::from_bytes([number; 16])
}

pub(crate) fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

pub(crate) fn group(number: u8) -> GroupId {
    GroupId::from_bytes([number; 16])
}

pub(crate) fn token(number: u8) -> TokenId {
    TokenId::from_bytes([number; 16])
}

pub(crate) fn closure(number: u8) -> ClosureId {
    ClosureId::from_bytes([number; 16])
}

pub(crate) fn lock_id(number: u8) -> LockId {
    LockId::from_bytes([number; 16])
}

/// Every order of the seven lane classes.
pub(crate) fn orders() -> Vec<[LaneClass; 7]> {
    fn permute(order: &mut [LaneClass; 7], fixed: usize, all: &mut Vec<[LaneClass; 7]>) {
        if fixed == order.len() {
            all.push(*order);
        }
        for next in fixed..order.len() {
            order.swap(fixed, next);
            permute(order, fixed + 1, all);
            order.swap(fixed, next);
        }
    }
    let mut all = Vec::new();
    permute(&mut LaneClass::ALL.clone(), 0, &mut all);
    all
}

/// The place that most cases are about; everything else belongs to others.
pub(crate) const ORGANIZATION: u8 = 1;
pub(crate) const WORKSPACE: u8 = 1;

pub(crate) const VERSIONS: [&str; 5] = ["0.1.15", "1.0.0", "1.2.3", "2.0.0", "2.1.0-rc.1"];
const REQUIREMENTS: [&str; 5] = ["*", "1.*", "=1.2.3", ">=2, <3", "0.1"];

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

pub(crate) fn requirement(text: &str) -> VersionRequirement {
    text.parse().expect("a requirement")
}

pub(crate) fn entry(workspace: WorkspaceId, closures: &[ClosureId]) -> Resource {
    Resource::Entry { workspace, key: EntryKey::new(b"7f3a").expect("a key"), closures: closures.to_vec() }
}

pub(crate) fn release(workspace: WorkspaceId, text: &str) -> Resource {
    Resource::Release { workspace, version: version(text) }
}

pub(crate) fn workload() -> Principal {
    Principal::Workload {
        anchor: "github".parse().expect("a name"),
        subject: "repo:acme/app:ref:refs/heads/x".into(),
    }
}

fn source(random: &mut Random) -> Option<LaneSource> {
    let (anchor, repository) = random.pick(&[("github", "1"), ("github", "2"), ("gitlab", "1"), ("", "")]);
    let anchor = anchor.parse().ok()?;
    Some(LaneSource { anchor, repository: repository.into() })
}

pub(crate) fn lane_of(random: &mut Random, class: LaneClass) -> Lane {
    match Lane::single(class) {
        Ok(lane) => lane,
        Err(_) => {
            let source = source(random);
            Lane::named(class, source, random.pick(&[&b"17"[..], b"18", b"main"])).expect("a lane")
        }
    }
}

fn base_of(random: &mut Random, own: &Lane) -> Lane {
    if random.chance(60) {
        return Lane::named(LaneClass::Branch, own.source().cloned(), b"next").expect("a lane");
    }
    let class = random.pick(&LaneClass::ALL);
    lane_of(random, class)
}

fn end(random: &mut Random, now: Timestamp, percent: usize) -> Option<Timestamp> {
    random.chance(percent).then(|| moment_near(random, now))
}

fn moment_near(random: &mut Random, now: Timestamp) -> Timestamp {
    let second = std::time::Duration::from_secs(1);
    random.pick(&[
        now.saturating_sub(second),
        now,
        now.saturating_add(second),
        now.saturating_add(second),
        Timestamp::MAX,
    ])
}

fn class_or_none(random: &mut Random, percent: usize) -> Option<LaneClass> {
    random.chance(percent).then(|| random.pick(&LaneClass::ALL))
}

pub(crate) fn settings(random: &mut Random) -> Settings {
    let mut order = LaneClass::ALL;
    if random.chance(50) {
        random.shuffle(&mut order);
    }
    Settings {
        anonymous: random.pick(&AccessLevel::ALL),
        personal: random.pick(&[AccessLevel::ALL, [AccessLevel::ReadWrite; 4]].concat()),
        people_write_main: random.chance(30),
        open_to_members: random.chance(60),
        sessions_write_own: random.chance(50),
        order,
        generation: u32::try_from(random.below(3)).expect("a small number"),
    }
}

fn grant_actions(random: &mut Random) -> ActionSet {
    let level = random.pick(&[
        AccessLevel::None,
        AccessLevel::ResolveOnly,
        AccessLevel::ReadOnly,
        AccessLevel::ReadOnly,
        AccessLevel::ReadWrite,
        AccessLevel::ReadWrite,
        AccessLevel::ReadWrite,
    ]);
    if random.chance(30) { level.actions().union(random.actions()) } else { level.actions() }
}

pub(crate) fn grant(random: &mut Random, now: Timestamp) -> Grant {
    let scope = match random.below(20) {
        0 => Scope::Workspace(workspace(2)),
        1 => Scope::Organization(organization(2)),
        2..7 => Scope::Organization(organization(ORGANIZATION)),
        _ => Scope::Workspace(workspace(WORKSPACE)),
    };
    let source = random.pick(&[
        GrantSource::CiToken(token(1)),
        GrantSource::DeviceToken(token(2)),
        GrantSource::Rule(RuleId::from_bytes([3; 16])),
        GrantSource::Session(token(4)),
        GrantSource::AnonymousLevel,
    ]);
    Grant { source, scope, actions: grant_actions(random), until: end(random, now, 30) }
}

pub(crate) fn list_line(random: &mut Random) -> (Party, ActionSet) {
    let party = random.pick(&[
        Party::User(user(1)),
        Party::User(user(2)),
        Party::Group(group(1)),
        Party::Group(group(2)),
    ]);
    (party, grant_actions(random))
}

fn several<T>(random: &mut Random, most: usize, mut one: impl FnMut(&mut Random) -> T) -> Vec<T> {
    (0..random.below(most + 1)).map(|_| one(random)).collect()
}

pub(crate) fn who(random: &mut Random, now: Timestamp) -> Who {
    match random.below(20) {
        0..4 => Who::Anonymous,
        4..11 => Who::User {
            user: user(1),
            member: random.chance(90).then(|| {
                let role = random.pick(&[Role::Member, Role::Member, Role::Admin, Role::Owner]);
                (role, several(random, 2, |random| random.pick(&[group(1), group(2), group(3)])))
            }),
            listed: several(random, 3, list_line),
        },
        _ => {
            let class = random.pick(&LaneClass::ALL);
            let lane = lane_of(random, class);
            let mut grants = several(random, 2, |random| grant(random, now));
            if grants.is_empty() || random.chance(50) {
                grants.push(grant(random, now));
            }
            Who::Granted {
                grants,
                base: random.chance(40).then(|| base_of(random, &lane)),
                floor: class_or_none(random, 25),
                lane,
            }
        }
    }
}

pub(crate) fn restriction(random: &mut Random, now: Timestamp) -> Restriction {
    match random.below(8) {
        0 | 1 => Restriction::Actions(random.actions().union(random.actions())),
        2 => Restriction::Organization(random.pick(&[
            organization(ORGANIZATION),
            organization(ORGANIZATION),
            organization(2),
        ])),
        3 | 4 => Restriction::Workspaces(several(random, 3, |random| {
            random.pick(&[workspace(WORKSPACE), workspace(WORKSPACE), workspace(2), workspace(3)])
        })),
        5 => Restriction::Releases {
            workspace: random.pick(&[workspace(WORKSPACE), workspace(WORKSPACE), workspace(2)]),
            requirement: requirement(random.pick(&REQUIREMENTS)),
        },
        6 => Restriction::Closure {
            workspace: random.pick(&[workspace(WORKSPACE), workspace(WORKSPACE), workspace(2)]),
            closure: closure(random.pick(&[1, 1, 2])),
        },
        _ => Restriction::Until(moment_near(random, now)),
    }
}

pub(crate) fn lock(random: &mut Random, principal: &Principal, now: Timestamp) -> LockLine {
    let scope = match random.below(6) {
        0 => Locked::Everything,
        1 => Locked::Organization(organization(random.pick(&[ORGANIZATION, 2]))),
        2 => Locked::Workspace(workspace(random.pick(&[WORKSPACE, 2]))),
        3 => Locked::Principal(principal.clone()),
        4 => Locked::Principal(random.pick(&[Principal::Anonymous, Principal::User(user(2)), workload()])),
        _ => Locked::Lane(random.pick(&LaneClass::ALL)),
    };
    let id = u8::try_from(random.below(250)).expect("a small number");
    LockLine { id: lock_id(id), scope, actions: random.actions(), until: end(random, now, 50) }
}

pub(crate) fn resource(random: &mut Random, place: Where) -> Resource {
    if random.chance(4) {
        return random.pick(&[
            Resource::Organization(organization(ORGANIZATION)),
            Resource::Organization(organization(2)),
            Resource::Workspace(workspace(2)),
            entry(workspace(2), &[]),
            entry(workspace(WORKSPACE), &[]),
            release(workspace(3), "1.2.3"),
        ]);
    }
    match place {
        Where::Organization(id) => Resource::Organization(id),
        Where::Workspace(id, _) => match random.below(10) {
            0 => Resource::Workspace(id),
            1..3 => release(id, random.pick(&VERSIONS)),
            _ => {
                let closures = several(random, 2, |random| closure(random.pick(&[1, 2, 3])));
                entry(id, &closures)
            }
        },
    }
}

pub(crate) fn case(random: &mut Random) -> Case {
    let now = random.pick(&[
        Timestamp::from(1_000),
        Timestamp::from(1_000),
        Timestamp::from(1_000),
        Timestamp::MIN,
        Timestamp::MAX,
    ]);
    let place = if random.chance(8) {
        Where::Organization(organization(ORGANIZATION))
    } else {
        Where::Workspace(workspace(WORKSPACE), organization(ORGANIZATION))
    };
    let who = who(random, now);
    let principal = match &who {
        _ if random.chance(3) => random.pick(&[Principal::Anonymous, Principal::User(user(2)), workload()]),
        Who::Anonymous => Principal::Anonymous,
        Who::User { user, .. } => Principal::User(*user),
        Who::Granted { .. } => random.pick(&[
            Principal::Ci(workspace(WORKSPACE)),
            Principal::Device(organization(ORGANIZATION)),
            workload(),
        ]),
    };
    let restrictions =
        if random.chance(65) { vec![] } else { several(random, 2, |random| restriction(random, now)) };
    let locks =
        if random.chance(70) { vec![] } else { several(random, 3, |random| lock(random, &principal, now)) };
    let action = match random.below(10) {
        0 => Action::Resolve,
        1..4 => Action::Read,
        4..6 => Action::Write,
        _ => random.pick(&Action::ALL),
    };
    Case {
        settings: settings(random),
        resource: resource(random, place),
        floor: class_or_none(random, 25),
        place,
        who,
        restrictions,
        locks,
        principal,
        action,
        now,
    }
}
