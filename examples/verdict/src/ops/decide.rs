//! `decide`: the decision, from what the records would say.

use cachegate_jwt::AuthorizationDetail;
use cachegate_policy::{
    Candour, Decision, Listed, ListedParty, Lock, LockScope, Membership, Place, Question, Rights, Standing,
    Workspace, WorkspaceSettings, explain,
};
use cachegate_types::{
    Action, ActionSet, ClosureId, Grant, GroupId, Lane, LaneClass, LockId, OrganizationId, Principal,
    Resource, Restriction, Timestamp, UserId, Version, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::request::Refusal;
use crate::words::{Actions, Key, RoleName, Scope, Source, Who};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In<'a> {
    workspace: Option<WorkspaceIn>,
    principal: Who,
    standing: Option<StandingIn>,
    #[serde(borrow)]
    restrictions: Option<&'a RawValue>,
    #[serde(default)]
    locks: Vec<LockIn>,
    action: Action,
    resource: ResourceIn,
    floor: Option<LaneClass>,
    now: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspaceIn {
    id: WorkspaceId,
    organization: OrganizationId,
    #[serde(default)]
    settings: WorkspaceSettings,
    #[serde(default)]
    listed: Vec<ListedIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedIn {
    party: PartyIn,
    actions: Actions,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartyIn {
    User(UserId),
    Group(GroupId),
}

/// What the records say of the principal: of a person the membership, of a machine the grants and the one lane.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StandingIn {
    membership: Option<MembershipIn>,
    grants: Option<Vec<GrantIn>>,
    lane: Option<Lane>,
    base: Option<Lane>,
    floor: Option<LaneClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipIn {
    role: RoleName,
    #[serde(default)]
    groups: Vec<GroupId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantIn {
    source: Source,
    scope: Scope,
    actions: Actions,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockIn {
    id: LockId,
    scope: LockScopeIn,
    actions: Option<Actions>,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LockScopeIn {
    Everything,
    Organization(OrganizationId),
    Workspace(WorkspaceId),
    Principal(Who),
    Lane(LaneClass),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ResourceIn {
    Organization(OrganizationId),
    Workspace(WorkspaceId),
    Entry {
        workspace: WorkspaceId,
        key: Key,
        #[serde(default)]
        closures: Vec<ClosureId>,
    },
    Release {
        workspace: WorkspaceId,
        version: Version,
    },
}

#[derive(Serialize)]
pub(super) struct Out {
    decision: &'static str,
    read: Vec<Lane>,
    write: Option<Lane>,
    lane_generation: Option<u32>,
    grant: Option<Source>,
    reason: Option<&'static str>,
    explain: Explained,
}

#[derive(Serialize)]
struct Explained {
    public: String,
    caller: String,
    operator: String,
}

pub(super) fn decide(request: In<'_>) -> Result<Out, Refusal> {
    let principal = Principal::from(request.principal);
    let resource = Resource::from(request.resource);
    let restrictions = match request.restrictions {
        Some(list) => AuthorizationDetail::list_from_json(list.get())?,
        None => Vec::new(),
    };
    let restrictions: Vec<Restriction> = restrictions.into_iter().map(Restriction::from).collect();
    let locks: Vec<Lock> = request.locks.into_iter().map(Lock::from).collect();
    let mut listed = Vec::new();
    let workspace = request.workspace.map(|workspace| {
        listed = workspace.listed.iter().map(Listed::from).collect();
        Workspace { id: workspace.id, organization: workspace.organization, settings: workspace.settings }
    });
    let place = match (&workspace, &resource) {
        (Some(workspace), _) => Place::Workspace(workspace),
        (None, Resource::Organization(organization)) => Place::Organization(*organization),
        // A place that nobody knows, as a gate asks of it: of nowhere.
        (None, Resource::Workspace(_) | Resource::Entry { .. } | Resource::Release { .. }) => {
            Place::Organization(OrganizationId::from_bytes([0; 16]))
        }
    };

    let records = Records::read(&principal, request.standing.unwrap_or_default())?;
    let rights = Rights::compile(&place, &records.standing(&listed), &restrictions);
    let question = Question {
        principal: &principal,
        action: request.action,
        resource: &resource,
        floor: request.floor,
        now: request.now,
    };
    let trace = explain(&rights, &locks, &question);
    let explain = Explained {
        public: trace.render(Candour::Public),
        caller: trace.render(Candour::Caller),
        operator: trace.render(Candour::Operator),
    };
    Ok(match trace.decision() {
        Decision::Allow(allow) => Out {
            decision: "allow",
            read: allow.read().cloned().collect(),
            write: allow.write().cloned(),
            lane_generation: Some(allow.lane_generation()),
            grant: rights.grants().get(allow.grant()).map(|grant| grant.source.into()),
            reason: None,
            explain,
        },
        Decision::Deny(deny) => Out {
            decision: "deny",
            read: Vec::new(),
            write: None,
            lane_generation: None,
            grant: None,
            reason: Some(deny.reason.code()),
            explain,
        },
    })
}

/// What the records say, in the words of the library.
enum Records {
    Anonymous,
    User { user: UserId, membership: Option<Membership> },
    Machine { grants: Vec<Grant>, lane: Lane, base: Option<Lane>, floor: Option<LaneClass> },
}

impl Records {
    /// A member of `standing` that does not fit the principal is refused: it would silently mean nothing.
    fn read(principal: &Principal, standing: StandingIn) -> Result<Self, Refusal> {
        let of_a_machine = standing.grants.is_some()
            || standing.lane.is_some()
            || standing.base.is_some()
            || standing.floor.is_some();
        match principal {
            Principal::Anonymous if of_a_machine || standing.membership.is_some() => {
                Err(Refusal::bad_request("`standing`: an anonymous request has none"))
            }
            Principal::Anonymous => Ok(Self::Anonymous),
            Principal::User(_) if of_a_machine => {
                Err(Refusal::bad_request("`standing`: of a user it holds `membership` alone"))
            }
            Principal::User(user) => {
                Ok(Self::User { user: *user, membership: standing.membership.map(Membership::from) })
            }
            Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                if standing.membership.is_some() {
                    return Err(Refusal::bad_request("`standing`: a machine is no member"));
                }
                let lane = standing.lane.ok_or_else(|| {
                    Refusal::bad_request("`standing`: a machine has one lane, and `lane` is missing")
                })?;
                let grants = standing.grants.unwrap_or_default().into_iter().map(Grant::from).collect();
                Ok(Self::Machine { grants, lane, base: standing.base, floor: standing.floor })
            }
        }
    }

    fn standing<'a>(&'a self, listed: &'a [Listed]) -> Standing<'a> {
        match self {
            Self::Anonymous => Standing::Anonymous,
            Self::User { user, membership } => {
                Standing::User { user: *user, membership: membership.as_ref(), listed }
            }
            Self::Machine { grants, lane, base, floor } => {
                Standing::Granted { grants, lane, base: base.as_ref(), floor: *floor }
            }
        }
    }
}

impl From<&ListedIn> for Listed {
    fn from(line: &ListedIn) -> Self {
        let party = match line.party {
            PartyIn::User(user) => ListedParty::User(user),
            PartyIn::Group(group) => ListedParty::Group(group),
        };
        Self { party, actions: line.actions.set() }
    }
}

impl From<MembershipIn> for Membership {
    fn from(membership: MembershipIn) -> Self {
        Self { role: membership.role.into(), groups: membership.groups }
    }
}

impl From<GrantIn> for Grant {
    fn from(grant: GrantIn) -> Self {
        Self {
            source: grant.source.into(),
            scope: grant.scope.into(),
            actions: grant.actions.set(),
            until: grant.until,
        }
    }
}

impl From<LockIn> for Lock {
    fn from(lock: LockIn) -> Self {
        let scope = match lock.scope {
            LockScopeIn::Everything => LockScope::Everything,
            LockScopeIn::Organization(organization) => LockScope::Organization(organization),
            LockScopeIn::Workspace(workspace) => LockScope::Workspace(workspace),
            LockScopeIn::Principal(who) => LockScope::Principal(who.into()),
            LockScopeIn::Lane(class) => LockScope::Lane(class),
        };
        let actions = lock.actions.map_or(ActionSet::ALL, |actions| actions.set());
        Self { id: lock.id, scope, actions, until: lock.until }
    }
}

impl From<ResourceIn> for Resource {
    fn from(resource: ResourceIn) -> Self {
        match resource {
            ResourceIn::Organization(organization) => Self::Organization(organization),
            ResourceIn::Workspace(workspace) => Self::Workspace(workspace),
            ResourceIn::Entry { workspace, key, closures } => Self::Entry { workspace, key: key.0, closures },
            ResourceIn::Release { workspace, version } => Self::Release { workspace, version },
        }
    }
}
