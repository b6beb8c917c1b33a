//! Who gets what, and what cuts it.

use std::fmt;
use std::str::FromStr;

use crate::{
    AccessLevel, Action, ActionSet, ClosureId, GroupId, LevelError, OrganizationId, RuleId, Timestamp,
    TokenId, VersionRequirement, WorkspaceId,
};

/// A member's standing in an organization.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Uses the workspaces that are open to members or list the person.
    Member,
    /// Also manages them, and may replace and delete entries.
    Admin,
    /// Also decides who is an admin.
    Owner,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Admin, Self::Owner];

    /// What the role gives on every workspace of its organization, beside what the workspace itself gives.
    pub const fn actions(self) -> ActionSet {
        match self {
            Self::Member => ActionSet::EMPTY,
            Self::Admin | Self::Owner => AccessLevel::ReadWrite.actions().union(ActionSet::of(&[
                Action::Replace,
                Action::Delete,
                Action::Administer,
            ])),
        }
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(LevelError::Role)
    }
}

/// Where a grant reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// The organization itself and all its workspaces.
    Organization(OrganizationId),
    /// One workspace.
    Workspace(WorkspaceId),
}

/// What gave a grant, so that a decision can name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GrantSource {
    /// The workspace's `anonymous` level: for who shows nothing, and for jobs that are let in to look as those do.
    AnonymousLevel,
    /// Membership, in a workspace that is open to all members.
    Membership,
    /// A role in the organization.
    Role(Role),
    /// The workspace lists the person.
    Listed,
    /// The workspace lists a group that the person is in.
    Group(GroupId),
    /// The record of a CI access token.
    CiToken(TokenId),
    /// The record of a device token.
    DeviceToken(TokenId),
    /// A trust rule that matched.
    Rule(RuleId),
    /// The exchange that a session came from.
    Session(TokenId),
}

/// Some actions, somewhere, for a while. Grants carry levels and never choose a lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// What gave it.
    pub source: GrantSource,
    /// Where it reaches.
    pub scope: Scope,
    /// What it allows there.
    pub actions: ActionSet,
    /// When it ends; that second is already too late.
    pub until: Option<Timestamp>,
}

/// What cuts a credential's rights. Each restriction must be satisfied; one more never allows more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Restriction {
    /// These actions at most.
    Actions(ActionSet),
    /// This organization and its workspaces alone.
    Organization(OrganizationId),
    /// These workspaces alone, and no organization itself. An empty list leaves nothing.
    Workspaces(Vec<WorkspaceId>),
    /// Releases of this workspace that satisfy the requirement, and nothing else: no entry, no workspace.
    Releases {
        /// The workspace.
        workspace: WorkspaceId,
        /// What the resolved version must satisfy.
        requirement: VersionRequirement,
    },
    /// Entries of this closure, and nothing else.
    Closure {
        /// The workspace.
        workspace: WorkspaceId,
        /// The closure.
        closure: ClosureId,
    },
    /// Until this moment; that second is already too late.
    Until(Timestamp),
}
