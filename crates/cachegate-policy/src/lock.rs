//! Locks: what stops a class of requests at once, whatever was granted.

use cachegate_types::{
    Action, ActionSet, LaneClass, LockId, OrganizationId, Principal, Timestamp, WorkspaceId,
};

/// Stops some actions somewhere until it is lifted or ends. Beats every grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Its id.
    pub id: LockId,
    /// What it stops.
    pub scope: LockScope,
    /// Which actions it stops.
    pub actions: ActionSet,
    /// When it ends by itself; that second is already free.
    pub until: Option<Timestamp>,
}

/// What a lock stops.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LockScope {
    /// Every request.
    Everything,
    /// Requests about one organization or its workspaces.
    Organization(OrganizationId),
    /// Requests about one workspace.
    Workspace(WorkspaceId),
    /// Requests of one principal.
    Principal(Principal),
    /// Requests of credentials whose own lane in the workspace is of this class.
    Lane(LaneClass),
}

impl Lock {
    /// Whether it stops this request.
    pub fn stops(
        &self,
        organization: OrganizationId,
        workspace: Option<WorkspaceId>,
        principal: &Principal,
        lane: Option<LaneClass>,
        action: Action,
        now: Timestamp,
    ) -> bool {
        let ended = self.until.is_some_and(|until| now >= until);
        let within = match &self.scope {
            LockScope::Everything => true,
            LockScope::Organization(locked) => *locked == organization,
            LockScope::Workspace(locked) => workspace == Some(*locked),
            LockScope::Principal(locked) => locked == principal,
            LockScope::Lane(locked) => lane == Some(*locked),
        };
        !ended && within && self.actions.contains(action)
    }
}
