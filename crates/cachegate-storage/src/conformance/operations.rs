//! Random operations over a world small enough that they meet.

use cachegate_types::Role;

/// One operation on a store, for [`super::run_against_model`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation(pub(super) Deed);

/// What is done. Numbers stand for ids and names of the suite's small world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    CreateOrganization {
        id: u8,
        name: u8,
    },
    CreateWorkspace {
        id: u8,
        organization: u8,
        name: u8,
    },
    SetSettings {
        id: u8,
        usual_order: bool,
        level: u8,
        generation: u8,
    },
    SetListed {
        id: u8,
        count: u8,
        /// Whether it expects something of the workspace: nothing, what is there, or something else.
        seen: u8,
    },
    CreateUser {
        id: u8,
    },
    SetMember {
        organization: u8,
        user: u8,
        role: Role,
    },
    RemoveMember {
        organization: u8,
        user: u8,
    },
    PutGroup {
        id: u8,
        organization: u8,
        name: u8,
        members: Vec<u8>,
    },
    RemoveGroup {
        id: u8,
    },
    InsertToken {
        token: Draft,
        live: Vec<u8>,
        members: Vec<(u8, u8)>,
        uses: Vec<u8>,
    },
    RotateToken {
        predecessor: u8,
        successor: Draft,
        overlap: u8,
    },
    RevokeToken {
        id: u8,
    },
    RevokeMany {
        scope: u8,
        of: u8,
        until: Option<u8>,
    },
    TouchTokens {
        uses: Vec<(u8, u8)>,
    },
    PurgeTokens {
        before: u8,
    },
    PutKey {
        id: u8,
        created: u8,
        revoked: bool,
    },
    PutSealed {
        id: u8,
        byte: u8,
    },
    PutRules {
        name: u8,
        byte: u8,
        expected: Expected,
    },
    PutLock {
        id: u8,
    },
    LiftLock {
        id: u8,
    },
    PutMark {
        id: u8,
    },
    LiftMark {
        id: u8,
    },
    Consume {
        scope: u8,
        key: u8,
        keep_until: u8,
    },
    PurgeConsumed {
        now: u8,
    },
    PutPending {
        key: u8,
        byte: u8,
        keep_until: u8,
    },
    ChangePending {
        key: u8,
        expected: u8,
        byte: u8,
    },
    PurgePending {
        now: u8,
    },
    PublishRelease {
        id: u8,
        workspace: u8,
        version: u8,
        closures: Vec<u8>,
        keys: Vec<(u8, u8)>,
    },
    YankRelease {
        workspace: u8,
        version: u8,
    },
    AppendAudit {
        count: u8,
    },
    /// Reads everything there is, in pages of this size.
    Look {
        limit: u8,
    },
}

/// What differs between the tokens of the small world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) id: u8,
    pub(super) kind: u8,
    pub(super) owner: u8,
    pub(super) issued: u8,
    pub(super) expires: Option<u8>,
    pub(super) ancestors: Vec<u8>,
    pub(super) family: u8,
}

/// Which revision a writer of a document read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Nothing,
    Current,
    Former,
}

/// So many operations, the same for the same seed.
pub fn random_operations(seed: u64, count: usize) -> Vec<Operation> {
    let mut random = Random { state: seed };
    // A world with something in it, so that later operations find what they need.
    let first = [
        Deed::CreateOrganization { id: 1, name: 1 },
        Deed::CreateWorkspace { id: 1, organization: 1, name: 1 },
        Deed::CreateUser { id: 1 },
        Deed::SetMember { organization: 1, user: 1, role: Role::Owner },
    ];
    let length = if random.chance(4) { 0 } else { first.len() };
    first
        .into_iter()
        .take(length)
        .chain(std::iter::repeat_with(|| random.deed()))
        .take(count)
        .map(Operation)
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014): good enough to choose by, and the same everywhere.
struct Random {
    state: u64,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u8) -> u8 {
        u8::try_from(self.next() % u64::from(end.max(1))).unwrap_or(0)
    }

    /// One of `1..=count`, low ones more often, so that operations meet.
    fn id(&mut self, count: u8) -> u8 {
        self.below(count).min(self.below(count)) + 1
    }

    /// A second of the small world, or one soon after it.
    fn second(&mut self) -> u8 {
        self.below(20)
    }

    fn chance(&mut self, of: u8) -> bool {
        self.below(of) == 0
    }

    fn some(&mut self, most: u8, count: u8) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.id(count)).collect()
    }

    fn role(&mut self) -> Role {
        match self.below(3) {
            0 => Role::Member,
            1 => Role::Admin,
            _ => Role::Owner,
        }
    }

    fn draft(&mut self) -> Draft {
        Draft {
            id: self.id(8),
            kind: self.below(6),
            owner: self.below(5),
            issued: self.second(),
            expires: self.chance(2).then(|| self.second()),
            ancestors: match self.below(8) {
                0..=4 => Vec::new(),
                5 | 6 => self.some(2, 8),
                _ => self.some(5, 8),
            },
            family: self.id(8),
        }
    }

    fn deed(&mut self) -> Deed {
        match self.below(41) {
            0 => Deed::CreateOrganization { id: self.id(3), name: self.id(3) },
            1 | 2 => Deed::CreateWorkspace { id: self.id(4), organization: self.id(3), name: self.id(3) },
            3 => Deed::SetSettings {
                id: self.id(4),
                usual_order: self.chance(2),
                level: self.below(4),
                generation: self.below(5),
            },
            4 => Deed::SetListed { id: self.id(4), count: self.below(3), seen: self.below(3) },
            5 => Deed::CreateUser { id: self.id(4) },
            6 | 7 => Deed::SetMember { organization: self.id(3), user: self.id(4), role: self.role() },
            8 | 9 => Deed::RemoveMember { organization: self.id(3), user: self.id(4) },
            10 => Deed::PutGroup {
                id: self.id(4),
                organization: self.id(3),
                name: self.id(3),
                members: self.some(5, 4),
            },
            11 => Deed::RemoveGroup { id: self.id(4) },
            12..=17 => Deed::InsertToken {
                token: self.draft(),
                live: if self.chance(3) { self.some(2, 8) } else { Vec::new() },
                members: if self.chance(4) { vec![(self.id(3), self.id(4))] } else { Vec::new() },
                uses: if self.chance(3) { self.some(2, 3) } else { Vec::new() },
            },
            18 | 19 => {
                Deed::RotateToken { predecessor: self.id(8), successor: self.draft(), overlap: self.second() }
            }
            20 | 21 => Deed::RevokeToken { id: self.id(8) },
            22 if self.chance(3) => {
                Deed::RevokeMany { scope: self.below(7), of: self.id(8), until: Some(self.second()) }
            }
            22 if self.chance(3) => Deed::RevokeMany { scope: self.below(6), of: self.id(8), until: None },
            23 => {
                Deed::TouchTokens { uses: (0..self.below(4)).map(|_| (self.id(8), self.second())).collect() }
            }
            24 => Deed::PurgeTokens { before: self.second() },
            25 => Deed::PutKey { id: self.id(3), created: self.below(4), revoked: self.chance(3) },
            26 => Deed::PutSealed { id: self.id(3), byte: self.below(9) },
            27 | 28 => Deed::PutRules {
                name: self.id(2),
                byte: self.below(9),
                expected: match self.below(4) {
                    0 => Expected::Nothing,
                    1 => Expected::Former,
                    _ => Expected::Current,
                },
            },
            29 => Deed::PutLock { id: self.id(3) },
            30 => Deed::LiftLock { id: self.id(3) },
            31 => Deed::PutMark { id: self.id(3) },
            32 => Deed::LiftMark { id: self.id(3) },
            33 if self.chance(3) => {
                Deed::PutPending { key: self.id(2), byte: self.below(3), keep_until: self.below(9) }
            }
            33 if self.chance(2) => {
                Deed::ChangePending { key: self.id(2), expected: self.below(3), byte: self.below(3) }
            }
            34 if self.chance(2) => Deed::PurgePending { now: self.below(9) },
            33 => Deed::Consume { scope: self.id(2), key: self.id(3), keep_until: self.below(9) },
            34 => Deed::PurgeConsumed { now: self.below(9) },
            35 | 36 => Deed::PublishRelease {
                id: self.id(6),
                workspace: self.id(4),
                version: self.id(4),
                closures: self.some(2, 9),
                keys: self.some(3, 9).into_iter().map(|set| (set, self.id(3))).collect(),
            },
            37 | 38 => Deed::YankRelease { workspace: self.id(3), version: self.id(4) },
            39 => Deed::AppendAudit { count: self.below(4) },
            _ => Deed::Look { limit: self.id(4) },
        }
    }
}
