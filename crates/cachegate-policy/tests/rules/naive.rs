//! The second evaluator: the rules one after the other, as slowly and plainly as they can be said. It knows nothing
//! of the engine.

use cachegate_types::{
    AccessLevel, Action, Grant, GrantSource, Lane, LaneClass, LaneSource, OrganizationId, Resource,
    Restriction, Role, Scope, WorkspaceId,
};

use crate::case::{Answer, Case, Locked, Party, Where, Who};

pub(crate) fn answer(case: &Case) -> Answer {
    if !may(case, case.action) || !means_something(case.action, &case.resource) {
        return Answer::Deny;
    }
    let is_in_a_lane = match case.resource {
        Resource::Organization(_) | Resource::Workspace(_) => false,
        Resource::Entry { .. } | Resource::Release { .. } => true,
    };
    if !is_in_a_lane {
        return Answer::Allow { read: vec![], write: None };
    }
    match case.action {
        Action::Administer | Action::Publish | Action::Provision => {
            Answer::Allow { read: vec![], write: None }
        }
        Action::Resolve | Action::Read => {
            let read = lanes_to_read(case);
            if read.is_empty() { Answer::Deny } else { Answer::Allow { read, write: None } }
        }
        Action::Write | Action::Replace | Action::Delete => {
            let read = if may(case, Action::Read) { lanes_to_read(case) } else { vec![] };
            Answer::Allow { read, write: own_lane(case) }
        }
    }
}

fn may(case: &Case, action: Action) -> bool {
    is_of_the_place(case)
        && !case.locks.iter().any(|lock| {
            lock.actions.contains(action)
                && lock.until.is_none_or(|until| case.now < until)
                && match &lock.scope {
                    Locked::Everything => true,
                    Locked::Organization(id) => *id == organization(case),
                    Locked::Workspace(id) => workspace(case) == Some(*id),
                    Locked::Principal(who) => *who == case.principal,
                    Locked::Lane(class) => own_lane(case).is_some_and(|lane| lane.class() == *class),
                }
        })
        && case.restrictions.iter().all(|restriction| is_satisfied(case, restriction, action))
        && is_granted(case, action)
}

fn organization(case: &Case) -> OrganizationId {
    match case.place {
        Where::Organization(id) | Where::Workspace(_, id) => id,
    }
}

fn workspace(case: &Case) -> Option<WorkspaceId> {
    match case.place {
        Where::Organization(_) => None,
        Where::Workspace(id, _) => Some(id),
    }
}

fn is_of_the_place(case: &Case) -> bool {
    match (&case.resource, case.place) {
        (Resource::Organization(asked), Where::Organization(id)) => *asked == id,
        (Resource::Organization(_), Where::Workspace(..)) => false,
        (
            Resource::Workspace(_) | Resource::Entry { .. } | Resource::Release { .. },
            Where::Organization(_),
        ) => false,
        (
            Resource::Workspace(asked)
            | Resource::Entry { workspace: asked, .. }
            | Resource::Release { workspace: asked, .. },
            Where::Workspace(id, _),
        ) => *asked == id,
    }
}

fn is_satisfied(case: &Case, restriction: &Restriction, action: Action) -> bool {
    match (restriction, &case.resource) {
        (Restriction::Actions(actions), _) => actions.contains(action),
        (Restriction::Organization(id), _) => *id == organization(case),
        (Restriction::Workspaces(_), Resource::Organization(_)) => false,
        (
            Restriction::Workspaces(ids),
            Resource::Workspace(asked)
            | Resource::Entry { workspace: asked, .. }
            | Resource::Release { workspace: asked, .. },
        ) => ids.contains(asked),
        (
            Restriction::Releases { workspace, requirement },
            Resource::Release { workspace: asked, version },
        ) => workspace == asked && requirement.matches(version),
        (
            Restriction::Releases { .. },
            Resource::Organization(_) | Resource::Workspace(_) | Resource::Entry { .. },
        ) => false,
        (Restriction::Closure { workspace, closure }, Resource::Entry { workspace: asked, closures, .. }) => {
            workspace == asked && closures.contains(closure)
        }
        (
            Restriction::Closure { .. },
            Resource::Organization(_) | Resource::Workspace(_) | Resource::Release { .. },
        ) => false,
        (Restriction::Until(end), _) => case.now < *end,
    }
}

fn is_granted(case: &Case, action: Action) -> bool {
    match &case.who {
        Who::Anonymous => workspace(case).is_some() && holds(case.settings.anonymous, action),
        Who::User { member: None, .. } => false,
        Who::User { user, member: Some((role, groups)), listed } => {
            let by_role = match role {
                Role::Member => false,
                Role::Admin | Role::Owner => !matches!(action, Action::Publish | Action::Provision),
            };
            let is_named = |party: &Party| match party {
                Party::User(id) => id == user,
                Party::Group(id) => groups.contains(id),
            };
            let by_list = listed.iter().any(|(party, actions)| is_named(party) && actions.contains(action));
            let by_membership = case.settings.open_to_members && holds(AccessLevel::ReadWrite, action);
            if workspace(case).is_none() {
                return by_role;
            }
            let personal = case.settings.personal;
            let left =
                personal == AccessLevel::ReadWrite || holds(personal, action) || action == Action::Administer;
            (by_role || by_list || by_membership) && left
        }
        Who::Granted { grants, lane, .. } => grants.iter().any(|grant| {
            reaches(case, grant)
                && grant.until.is_none_or(|end| case.now < end)
                && grant.actions.contains(action)
                && !is_write_of_read_only_ci(case, grant, lane, action)
                && !is_more_than_a_device_does(grant, action)
                && !is_more_than_anonymous_requests_see(case, grant, action)
        }),
    }
}

fn reaches(case: &Case, grant: &Grant) -> bool {
    match grant.scope {
        Scope::Organization(id) => id == organization(case),
        Scope::Workspace(id) => Some(id) == workspace(case),
    }
}

fn is_write_of_read_only_ci(case: &Case, grant: &Grant, lane: &Lane, action: Action) -> bool {
    if workspace(case).is_none() || lane.class() != LaneClass::Own {
        return false;
    }
    let writes = match action {
        Action::Write | Action::Replace | Action::Delete => true,
        Action::Resolve | Action::Read | Action::Administer | Action::Publish | Action::Provision => false,
    };
    writes
        && match grant.source {
            GrantSource::CiToken(_) => true,
            GrantSource::Session(_) => !case.settings.sessions_write_own,
            GrantSource::AnonymousLevel
            | GrantSource::Membership
            | GrantSource::Role(_)
            | GrantSource::Listed
            | GrantSource::Group(_)
            | GrantSource::DeviceToken(_)
            | GrantSource::Rule(_) => false,
        }
}

fn is_more_than_a_device_does(grant: &Grant, action: Action) -> bool {
    matches!(grant.source, GrantSource::DeviceToken(_))
        && !holds(AccessLevel::ReadOnly, action)
        && action != Action::Provision
}

fn is_more_than_anonymous_requests_see(case: &Case, grant: &Grant, action: Action) -> bool {
    let looks = workspace(case).is_some()
        && matches!(action, Action::Resolve | Action::Read)
        && holds(case.settings.anonymous, action);
    grant.source == GrantSource::AnonymousLevel && !looks
}

fn holds(level: AccessLevel, action: Action) -> bool {
    match action {
        Action::Resolve => level != AccessLevel::None,
        Action::Read => level == AccessLevel::ReadOnly || level == AccessLevel::ReadWrite,
        Action::Write => level == AccessLevel::ReadWrite,
        Action::Replace | Action::Delete | Action::Administer | Action::Publish | Action::Provision => false,
    }
}

fn means_something(action: Action, resource: &Resource) -> bool {
    match (resource, action) {
        (Resource::Organization(_) | Resource::Workspace(_), _) => true,
        (Resource::Entry { .. } | Resource::Release { .. }, Action::Provision)
        | (Resource::Entry { .. }, Action::Publish) => false,
        (Resource::Release { .. }, Action::Write | Action::Replace | Action::Delete) => false,
        (
            Resource::Entry { .. } | Resource::Release { .. },
            Action::Resolve
            | Action::Read
            | Action::Write
            | Action::Replace
            | Action::Delete
            | Action::Administer
            | Action::Publish,
        ) => true,
    }
}

/// The one lane of the credential in the workspace.
pub(crate) fn own_lane(case: &Case) -> Option<Lane> {
    workspace(case)?;
    match &case.who {
        Who::Anonymous => Some(Lane::anonymous()),
        Who::User { member: None, .. } => None,
        Who::User { member: Some(_), .. } if case.settings.people_write_main => Some(Lane::main()),
        Who::User { member: Some(_), .. } => Some(Lane::dev()),
        Who::Granted { lane, .. } => Some(lane.clone()),
    }
}

/// 0 is the most trusted.
pub(crate) fn rank(order: &[LaneClass; 7], class: LaneClass) -> usize {
    order.iter().position(|held| *held == class).expect("each class has a place")
}

/// Own lane, base, then the shared ones above in the workspace's order; nothing below either floor.
fn lanes_to_read(case: &Case) -> Vec<Lane> {
    let Some(own) = own_lane(case) else { return vec![] };
    let (is_member, base, floor) = match &case.who {
        Who::Anonymous => (false, None, None),
        Who::User { .. } => (true, None, None),
        Who::Granted { base, floor, .. } => (false, base.clone(), *floor),
    };
    let is_above =
        |lane: &Lane| rank(&case.settings.order, lane.class()) < rank(&case.settings.order, own.class());
    let mut lanes = vec![own.clone()];
    if let Some(base) = base {
        let vouched: Option<&LaneSource> = own.source();
        let is_base_of_own = own.class() == LaneClass::Pull
            && ((base.class() == LaneClass::Branch && vouched.is_some() && base.source() == vouched)
                || base == Lane::main()
                || base == Lane::release());
        if is_base_of_own && is_above(&base) {
            lanes.push(base);
        }
    }
    for class in case.settings.order {
        let lane = match class {
            LaneClass::Release => Lane::release(),
            LaneClass::Main => Lane::main(),
            LaneClass::Dev => Lane::dev(),
            LaneClass::Branch | LaneClass::Pull | LaneClass::Own | LaneClass::Anonymous => continue,
        };
        if class == LaneClass::Dev && !is_member {
            continue;
        }
        if is_above(&lane) && !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    for class in [floor, case.floor].into_iter().flatten() {
        lanes.retain(|lane| rank(&case.settings.order, lane.class()) <= rank(&case.settings.order, class));
    }
    lanes
}
