//! From a case to the engine's own input and back.

use cachegate_policy::{
    Decision, LaneOrder, Listed, ListedParty, Lock, LockScope, Membership, OpenTo, PersonalLane, Place,
    Question, ReadOnlyCiWrites, Rights, Standing, Workspace, WorkspaceSettings, decide,
};

use crate::case::{Answer, Case, LockLine, Locked, Party, Settings, Where, Who};

pub(crate) fn settings(settings: &Settings) -> WorkspaceSettings {
    WorkspaceSettings {
        anonymous: settings.anonymous,
        personal: settings.personal,
        personal_lane: if settings.people_write_main { PersonalLane::Main } else { PersonalLane::Dev },
        open_to: if settings.open_to_members { OpenTo::Members } else { OpenTo::Listed },
        read_only_ci_writes: if settings.sessions_write_own {
            ReadOnlyCiWrites::OwnLane
        } else {
            ReadOnlyCiWrites::Refuse
        },
        lanes: LaneOrder::new(&settings.order).expect("an order"),
        lane_generation: settings.generation,
    }
}

pub(crate) fn rights(case: &Case) -> Rights {
    let workspace;
    let place = match case.place {
        Where::Organization(organization) => Place::Organization(organization),
        Where::Workspace(id, organization) => {
            workspace = Workspace { id, organization, settings: settings(&case.settings) };
            Place::Workspace(&workspace)
        }
    };
    match &case.who {
        Who::Anonymous => Rights::compile(&place, &Standing::Anonymous, &case.restrictions),
        Who::User { user, member, listed } => {
            let membership =
                member.as_ref().map(|(role, groups)| Membership { role: *role, groups: groups.clone() });
            let listed: Vec<_> = listed
                .iter()
                .map(|(party, actions)| Listed {
                    party: match *party {
                        Party::User(user) => ListedParty::User(user),
                        Party::Group(group) => ListedParty::Group(group),
                    },
                    actions: *actions,
                })
                .collect();
            let standing = Standing::User { user: *user, membership: membership.as_ref(), listed: &listed };
            Rights::compile(&place, &standing, &case.restrictions)
        }
        Who::Granted { grants, lane, base, floor } => {
            let standing = Standing::Granted { grants, lane, base: base.as_ref(), floor: *floor };
            Rights::compile(&place, &standing, &case.restrictions)
        }
    }
}

pub(crate) fn locks(locks: &[LockLine]) -> Vec<Lock> {
    let scope = |scope: &Locked| match scope {
        Locked::Everything => LockScope::Everything,
        Locked::Organization(organization) => LockScope::Organization(*organization),
        Locked::Workspace(workspace) => LockScope::Workspace(*workspace),
        Locked::Principal(principal) => LockScope::Principal(principal.clone()),
        Locked::Lane(class) => LockScope::Lane(*class),
    };
    locks
        .iter()
        .map(|lock| Lock { id: lock.id, scope: scope(&lock.scope), actions: lock.actions, until: lock.until })
        .collect()
}

pub(crate) fn question(case: &Case) -> Question<'_> {
    Question {
        principal: &case.principal,
        action: case.action,
        resource: &case.resource,
        floor: case.floor,
        now: case.now,
    }
}

pub(crate) fn decision(case: &Case) -> Decision {
    decide(&rights(case), &locks(&case.locks), &question(case))
}

pub(crate) fn answer(case: &Case) -> Answer {
    answer_of(&decision(case))
}

pub(crate) fn answer_of(decision: &Decision) -> Answer {
    match decision {
        Decision::Deny(_) => Answer::Deny,
        Decision::Allow(allow) => {
            Answer::Allow { read: allow.read().cloned().collect(), write: allow.write().cloned() }
        }
    }
}
