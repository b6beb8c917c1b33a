//! What a server tells, read so that a field more breaks nothing.

use std::fmt;

use cachegate_types::{
    AccessLevel, DecisionId, Lane, OrganizationId, SecretText, Timestamp, TokenId, UserId, WorkspaceId,
};
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// Who presents a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WhoAmI {
    /// The person or the machine.
    pub principal: PrincipalRecord,
    /// The person's name, where it is one.
    #[serde(default)]
    pub person: Option<PersonRecord>,
    /// How this was established, such as `opaque-token`.
    pub method: String,
    /// The token's id.
    #[serde(default)]
    pub token: Option<TokenId>,
    /// The token's kind, such as `personal`.
    #[serde(default)]
    pub kind: Option<String>,
    /// From when on it counts no more.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// The organization that the token belongs to.
    #[serde(default)]
    pub organization: Option<OrganizationId>,
    /// The workspace that the token belongs to.
    #[serde(default)]
    pub workspace: Option<WorkspaceId>,
    /// What the token is cut to.
    #[serde(default)]
    pub restrictions: Vec<RestrictionRecord>,
    /// The organizations that the person is in, or the token belongs to.
    #[serde(default)]
    pub organizations: Vec<OrganizationRecord>,
}

/// A person or a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrincipalRecord {
    /// Such as `user` or `workload`.
    pub kind: String,
    /// The id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who vouches for a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// What a workload is called there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl fmt::Display for PrincipalRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        for more in [&self.anchor, &self.subject, &self.id].into_iter().flatten() {
            write!(f, " {more}")?;
        }
        Ok(())
    }
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PersonRecord {
    /// The id.
    pub id: UserId,
    /// The name, for people.
    #[serde(default)]
    pub display: String,
}

/// An organization.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrganizationRecord {
    /// The id.
    pub id: OrganizationId,
    /// The name.
    pub name: String,
    /// The caller's role there: `member`, `admin` or `owner`.
    #[serde(default)]
    pub role: Option<String>,
}

/// A workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkspaceRecord {
    /// The id.
    pub id: WorkspaceId,
    /// The organization that it belongs to.
    pub organization: OrganizationId,
    /// The name.
    pub name: String,
    /// What the caller may do there.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// What a token is cut to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RestrictionRecord {
    /// These actions alone.
    Actions {
        /// Their names.
        actions: Vec<String>,
    },
    /// One organization alone.
    Organization {
        /// Its id.
        organization: OrganizationId,
    },
    /// These workspaces alone.
    Workspaces {
        /// Their ids.
        workspaces: Vec<WorkspaceId>,
    },
    /// Releases of a workspace, by their version.
    Releases {
        /// The workspace.
        workspace: WorkspaceId,
        /// The version requirement.
        requirement: String,
    },
    /// Until a moment.
    Until {
        /// The moment.
        until: Timestamp,
    },
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A token without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenRecord {
    /// The id.
    pub id: TokenId,
    /// Such as `ci`, `personal` or `device`.
    pub kind: String,
    /// `opaque` or `jwt`.
    #[serde(default)]
    pub form: String,
    /// What people call it.
    #[serde(default)]
    pub description: String,
    /// Whose it is.
    #[serde(default)]
    pub owner: Option<PrincipalRecord>,
    /// The organization that it belongs to.
    #[serde(default)]
    pub organization: Option<OrganizationId>,
    /// The workspace that it belongs to.
    #[serde(default)]
    pub workspace: Option<WorkspaceId>,
    /// Its lane.
    #[serde(default)]
    pub lane: Option<String>,
    /// What it is cut to.
    #[serde(default)]
    pub restrictions: Vec<RestrictionRecord>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it counts no more.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, about.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
    /// The token that replaces it.
    #[serde(default)]
    pub successor: Option<TokenId>,
    /// Until when it lives on beside its successor.
    #[serde(default)]
    pub overlap_until: Option<Timestamp>,
    /// `live`, `revoked`, `expired` or `superseded`.
    #[serde(default)]
    pub state: String,
    /// When, why and by whom it was revoked.
    #[serde(default)]
    pub revoked: Option<RevokedRecord>,
}

impl TokenRecord {
    /// The version requirement that a resolve-only token is cut to.
    pub fn requirement(&self) -> Option<&str> {
        self.restrictions.iter().find_map(|restriction| match restriction {
            RestrictionRecord::Releases { requirement, .. } => Some(requirement.as_str()),
            _ => None,
        })
    }
}

/// A revocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RevokedRecord {
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A token that was just made.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token itself: here and nowhere else.
    pub token: SecretText,
    /// What the server keeps of it.
    pub record: TokenRecord,
}

/// A token to be made.
#[derive(Clone, Debug)]
pub enum TokenOrder {
    /// A CI access token of a workspace.
    Ci {
        /// The workspace.
        workspace: WorkspaceId,
        /// `read-only` or `read-write`.
        level: AccessLevel,
        /// Its one lane; the server's choice where it is not said.
        lane: Option<Lane>,
    },
    /// A personal access token of the caller.
    Personal {
        /// Whether it is a JWT.
        jwt: bool,
    },
    /// A device token of an organization.
    Device {
        /// The organization.
        organization: OrganizationId,
        /// What the device may do.
        access: DeviceAccess,
    },
}

/// What a device may do.
#[derive(Clone, Debug)]
pub enum DeviceAccess {
    /// Resolve and read in all the organization's workspaces.
    Normal,
    /// Resolve releases of one workspace, and nothing else.
    ResolveOnly {
        /// The workspace.
        workspace: WorkspaceId,
        /// Which releases, in Cargo's grammar.
        requirement: String,
        /// Whether it may read the closure of what it resolved.
        closure: bool,
    },
}

/// Which tokens are listed.
#[derive(Clone, Debug, Default)]
pub struct TokenQuery {
    /// Those of an organization and its workspaces.
    pub organization: Option<OrganizationId>,
    /// Those of a workspace.
    pub workspace: Option<WorkspaceId>,
    /// Of this kind alone.
    pub kind: Option<&'static str>,
    /// Also those that are revoked, expired or superseded.
    pub all: bool,
}

/// May the caller's token do this?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Explained {
    /// It may.
    Allow {
        /// The lanes that it reads, in order.
        #[serde(default)]
        reads: Vec<String>,
        /// The lane that it writes.
        #[serde(default)]
        writes: Option<String>,
    },
    /// It may not.
    Deny {
        /// Why, and what would give the right.
        explanation: String,
        /// The decision's id.
        #[serde(default)]
        id: Option<DecisionId>,
    },
}

/// A refusal that a server remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefusalRecord {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub at: Timestamp,
    /// Who was refused.
    pub principal: PrincipalRecord,
    /// By which token.
    #[serde(default)]
    pub token: Option<TokenId>,
    /// What was wanted, such as `write`.
    pub action: String,
    /// The stable reason; for administrators of the place.
    #[serde(default)]
    pub reason: Option<String>,
    /// Why, for people.
    pub explanation: String,
}
