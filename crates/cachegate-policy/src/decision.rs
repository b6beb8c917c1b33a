//! The decision itself: no allocation, no clock, no surprise.

use std::sync::Arc;

use cachegate_types::{
    AccessLevel, Action, ActionSet, Lane, LaneClass, LockId, Principal, Resource, Restriction, Timestamp,
    WorkspaceId,
};

use crate::rights::Cut;
use crate::{LaneView, Lock, Rights};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What they want to do.
    pub action: Action,
    /// To what.
    pub resource: &'a Resource,
    /// The least trusted class that the request itself will take entries from. It can raise the floor of the
    /// rights, never lower it.
    pub floor: Option<LaneClass>,
    /// When.
    pub now: Timestamp,
}

/// Allow or deny. Closed: there is no third answer here.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Allowed.
    Allow(Allow),
    /// Denied.
    Deny(Deny),
}

/// What is allowed, and where.
#[derive(Clone, Debug)]
pub struct Allow {
    view: Option<Arc<LaneView>>,
    floor: u8,
    reads: bool,
    writes: bool,
    grant: usize,
}

impl Allow {
    /// The lanes to look in, in this order; empty for what is not about entries, and for an action that changes
    /// something where the credential may not also read.
    pub fn read(&self) -> impl Iterator<Item = &Lane> {
        self.view.iter().filter(|_| self.reads).flat_map(|view| view.down_to(self.floor))
    }

    /// The lane to write, when the action asked for leaves something behind in one: always the credential's own.
    pub fn write(&self) -> Option<&Lane> {
        self.view.as_deref().filter(|_| self.writes).and_then(LaneView::own)
    }

    /// The generation of the lane order that these lanes are meant in.
    pub fn lane_generation(&self) -> u32 {
        self.view.as_deref().map_or(0, LaneView::generation)
    }

    /// Which of [`Rights::grants`] allowed it.
    pub fn grant(&self) -> usize {
        self.grant
    }
}

/// What was not allowed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deny {
    /// Why.
    pub reason: Reason,
}

/// Why a request was refused: the first step that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is known of the place: no such workspace or organization, or the rights were gathered for another.
    UnknownPlace,
    /// A lock stops it.
    Locked {
        /// Which.
        lock: LockId,
    },
    /// A restriction of the credential itself stops it.
    Restricted {
        /// Which of them, counted from 0.
        index: usize,
    },
    /// The person is no member of the organization.
    NotMember,
    /// Nothing that reaches the place grants the action.
    ActionNotGranted {
        /// What is granted.
        held: ActionSet,
        /// What was asked for.
        wanted: Action,
    },
    /// The workspace's personal level stops what membership would give.
    PersonalLevel {
        /// The level.
        level: AccessLevel,
        /// What was asked for.
        wanted: Action,
    },
    /// The action means nothing for this kind of resource: a release is published, never written, and an entry is
    /// written, never published.
    NotApplicable {
        /// What was asked for.
        wanted: Action,
    },
    /// The place has no lane for this credential.
    NoLane,
    /// Every lane that the credential reads lies below the floor.
    BelowFloor,
}

impl Reason {
    /// The stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownPlace => "unknown_place",
            Self::Locked { .. } => "locked",
            Self::Restricted { .. } => "restricted",
            Self::NotMember => "not_a_member",
            Self::ActionNotGranted { .. } => "action_not_granted",
            Self::PersonalLevel { .. } => "personal_level",
            Self::NotApplicable { .. } => "not_applicable",
            Self::NoLane => "no_lane",
            Self::BelowFloor => "below_floor",
        }
    }
}

impl Decision {
    /// Whether it allows.
    pub const fn is_allow(&self) -> bool {
        match self {
            Self::Allow(_) => true,
            Self::Deny(_) => false,
        }
    }

    /// Why it denies.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Allow(_) => None,
            Self::Deny(deny) => Some(&deny.reason),
        }
    }
}

/// Decides. Default is deny; a lock beats everything; a restriction only takes away; grants are united.
pub fn decide(rights: &Rights, locks: &[Lock], question: &Question<'_>) -> Decision {
    match examine(rights, locks, question) {
        Ok(allow) => Decision::Allow(allow),
        Err(reason) => Decision::Deny(Deny { reason }),
    }
}

fn examine(rights: &Rights, locks: &[Lock], question: &Question<'_>) -> Result<Allow, Reason> {
    let grant = permit(rights, locks, question)?;
    if !applies(question.action, question.resource) {
        return Err(Reason::NotApplicable { wanted: question.action });
    }
    let floor = match question.floor {
        Some(class) => rights.floor.min(rights.order.rank(class)),
        None => rights.floor,
    };
    let (reads, writes) = match (question.resource, question.action) {
        (Resource::Organization(_) | Resource::Workspace(_), _)
        | (_, Action::Administer | Action::Publish | Action::Provision) => (false, false),
        (_, Action::Write | Action::Replace | Action::Delete) => {
            // The right to change an entry is no right to see one.
            (permit(rights, locks, &Question { action: Action::Read, ..*question }).is_ok(), true)
        }
        (_, Action::Resolve | Action::Read) => (true, false),
    };
    if reads || writes {
        let view = rights.view.as_ref().ok_or(Reason::NoLane)?;
        if !writes && view.down_to(floor).next().is_none() {
            return Err(Reason::BelowFloor);
        }
    }
    Ok(Allow { view: rights.view.clone(), floor, reads, writes, grant })
}

/// Which grant permits the action, if nothing stops it; lanes aside.
fn permit(rights: &Rights, locks: &[Lock], question: &Question<'_>) -> Result<usize, Reason> {
    let Question { principal, action, resource, now, .. } = *question;
    if !is_here(rights, resource) {
        return Err(Reason::UnknownPlace);
    }
    let lane = rights.view.as_deref().and_then(LaneView::own).map(Lane::class);
    let stops =
        |lock: &&Lock| lock.stops(rights.organization, rights.workspace, principal, lane, action, now);
    // The oldest of those that stop it: the order in which they are listed reaches no answer.
    if let Some(lock) = locks.iter().filter(stops).map(|lock| lock.id).min() {
        return Err(Reason::Locked { lock });
    }
    if let Some(index) =
        rights.restrictions.iter().position(|restriction| !satisfied(restriction, rights, question))
    {
        return Err(Reason::Restricted { index });
    }
    if rights.cut == Cut::NotMember {
        return Err(Reason::NotMember);
    }
    let grant = rights.grants.iter().position(|grant| is_live(grant, now) && grant.actions.contains(action));
    let Some(grant) = grant else {
        return Err(Reason::ActionNotGranted { held: held(rights, now), wanted: action });
    };
    if let (Cut::Personal(level), false) = (rights.cut, rights.cut.leaves().contains(action)) {
        return Err(Reason::PersonalLevel { level, wanted: action });
    }
    Ok(grant)
}

/// Whether the action means anything for this kind of resource. Of a place itself everything may be asked: whether
/// the credential may do it there at all.
const fn applies(action: Action, resource: &Resource) -> bool {
    match resource {
        Resource::Organization(_) | Resource::Workspace(_) => true,
        Resource::Entry { .. } => ON_ENTRIES.contains(action),
        Resource::Release { .. } => ON_RELEASES.contains(action),
    }
}

/// What can be asked of an entry. Managing one opens no lane.
pub(crate) const ON_ENTRIES: ActionSet = ActionSet::of(&[
    Action::Resolve,
    Action::Read,
    Action::Write,
    Action::Replace,
    Action::Delete,
    Action::Administer,
]);

/// What can be asked of a release. It is immutable: publishing, which also yanks, is the one change.
pub(crate) const ON_RELEASES: ActionSet =
    ActionSet::of(&[Action::Resolve, Action::Read, Action::Administer, Action::Publish]);

/// Whether the rights were gathered for the place that the resource is in.
pub(crate) fn is_here(rights: &Rights, resource: &Resource) -> bool {
    match resource {
        Resource::Organization(organization) => {
            rights.workspace.is_none() && rights.organization == *organization
        }
        Resource::Workspace(workspace)
        | Resource::Entry { workspace, .. }
        | Resource::Release { workspace, .. } => rights.workspace == Some(*workspace),
    }
}

pub(crate) fn is_live(grant: &cachegate_types::Grant, now: Timestamp) -> bool {
    grant.until.is_none_or(|until| now < until)
}

/// What the live grants give together.
pub(crate) fn held(rights: &Rights, now: Timestamp) -> ActionSet {
    rights
        .grants
        .iter()
        .filter(|grant| is_live(grant, now))
        .fold(ActionSet::EMPTY, |held, grant| held.union(grant.actions))
}

pub(crate) fn satisfied(restriction: &Restriction, rights: &Rights, question: &Question<'_>) -> bool {
    let here = |wanted: &WorkspaceId| question.resource.workspace() == Some(*wanted);
    match restriction {
        Restriction::Actions(actions) => actions.contains(question.action),
        Restriction::Organization(organization) => rights.organization == *organization,
        Restriction::Workspaces(workspaces) => workspaces.iter().any(here),
        Restriction::Releases { workspace, requirement } => match question.resource {
            Resource::Release { workspace: asked, version } => {
                asked == workspace && requirement.matches(version)
            }
            Resource::Organization(_) | Resource::Workspace(_) | Resource::Entry { .. } => false,
        },
        Restriction::Closure { workspace, closure } => match question.resource {
            Resource::Entry { workspace: asked, closures, .. } => {
                asked == workspace && closures.contains(closure)
            }
            Resource::Organization(_) | Resource::Workspace(_) | Resource::Release { .. } => false,
        },
        Restriction::Until(until) => question.now < *until,
    }
}
