//! One case in plain words. The engine's input is built from it on one side, the naive answer on the other.

use cachegate_types::{
    AccessLevel, Action, ActionSet, Grant, GroupId, Lane, LaneClass, LockId, OrganizationId, Principal,
    Resource, Restriction, Role, Timestamp, UserId, WorkspaceId,
};

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) place: Where,
    pub(crate) settings: Settings,
    pub(crate) who: Who,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) locks: Vec<LockLine>,
    pub(crate) principal: Principal,
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    /// The floor of the request.
    pub(crate) floor: Option<LaneClass>,
    pub(crate) now: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    Organization(OrganizationId),
    Workspace(WorkspaceId, OrganizationId),
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) anonymous: AccessLevel,
    pub(crate) personal: AccessLevel,
    pub(crate) people_write_main: bool,
    pub(crate) open_to_members: bool,
    pub(crate) sessions_write_own: bool,
    /// Most trusted first.
    pub(crate) order: [LaneClass; 7],
    pub(crate) generation: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            anonymous: AccessLevel::None,
            personal: AccessLevel::ReadWrite,
            people_write_main: false,
            open_to_members: true,
            sessions_write_own: false,
            order: LaneClass::ALL,
            generation: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Who {
    Anonymous,
    User { user: UserId, member: Option<(Role, Vec<GroupId>)>, listed: Vec<(Party, ActionSet)> },
    Granted { grants: Vec<Grant>, lane: Lane, base: Option<Lane>, floor: Option<LaneClass> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Party {
    User(UserId),
    Group(GroupId),
}

#[derive(Clone, Debug)]
pub(crate) struct LockLine {
    pub(crate) id: LockId,
    pub(crate) scope: Locked,
    pub(crate) actions: ActionSet,
    pub(crate) until: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Locked {
    Everything,
    Organization(OrganizationId),
    Workspace(WorkspaceId),
    Principal(Principal),
    Lane(LaneClass),
}

/// What either evaluator says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Deny,
    Allow { read: Vec<Lane>, write: Option<Lane> },
}

impl Answer {
    pub(crate) fn is_allow(&self) -> bool {
        match self {
            Self::Deny => false,
            Self::Allow { .. } => true,
        }
    }

    pub(crate) fn read(&self) -> &[Lane] {
        match self {
            Self::Deny => &[],
            Self::Allow { read, .. } => read,
        }
    }

    pub(crate) fn write(&self) -> Option<&Lane> {
        match self {
            Self::Deny => None,
            Self::Allow { write, .. } => write.as_ref(),
        }
    }

    /// Whether this opens nothing that `other` does not open.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Deny, _) => true,
            (Self::Allow { .. }, Self::Deny) => false,
            (Self::Allow { read, write }, Self::Allow { read: wider, write: written }) => {
                write == written && read.iter().all(|lane| wider.contains(lane))
            }
        }
    }
}
