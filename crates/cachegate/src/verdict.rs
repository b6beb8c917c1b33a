//! The four answers, kept apart to the end: allowed, denied, not authenticated, unavailable.

use std::sync::Arc;
use std::time::Duration;

use cachegate_policy::{Allow, Candour, Question, Reason, explain};
use cachegate_types::{
    Action, DecisionId, EntryKey, Grant, Lane, LaneClass, Principal, Resource, Revision, Timestamp, TokenId,
    WorkspaceId,
};

use crate::established::{HeldRights, Session};
use crate::held::Globals;

/// What is asked of a gate, beside the credential and the time.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub(crate) action: Action,
    pub(crate) resource: &'a Resource,
    pub(crate) floor: Option<LaneClass>,
    pub(crate) at_least: Option<Revision>,
}

impl<'a> Request<'a> {
    /// May `action` be done to `resource`?
    pub const fn new(action: Action, resource: &'a Resource) -> Self {
        Self { action, resource, floor: None, at_least: None }
    }

    /// Takes no entry from a lane less trusted than this class. Raises the credential's own floor, never lowers it.
    #[must_use]
    pub const fn floor(mut self, class: LaneClass) -> Self {
        self.floor = Some(class);
        self
    }

    /// Decides on facts that include this revision: one that an act acknowledged, perhaps on another node.
    #[must_use]
    pub const fn at_least(mut self, revision: Revision) -> Self {
        self.at_least = Some(revision);
        self
    }
}

/// The answer. Closed, and every arm but the first refuses.
#[derive(Clone, Debug)]
#[must_use]
pub enum Verdict {
    /// Allowed, in these lanes.
    Allowed(Allowed),
    /// Who asks is known, and may not.
    Denied(Denied),
    /// The credential was not believed.
    NotAuthenticated(NotAuthenticated),
    /// Nothing could be decided. The request is refused, and may be tried again.
    Unavailable(Unavailable),
}

impl Verdict {
    /// Whether it allows.
    pub const fn is_allowed(&self) -> bool {
        match self {
            Self::Allowed(_) => true,
            Self::Denied(_) | Self::NotAuthenticated(_) | Self::Unavailable(_) => false,
        }
    }

    /// The stable name of the answer: `allowed`, or why it is refused.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Denied(denied) => denied.reason.code(),
            Self::NotAuthenticated(reason) => reason.code(),
            Self::Unavailable(reason) => reason.code(),
        }
    }
}

/// An allowed request.
#[derive(Clone, Debug)]
pub struct Allowed {
    pub(crate) allow: Allow,
    pub(crate) session: Arc<Session>,
    pub(crate) rights: Arc<HeldRights>,
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) action: Action,
    /// The one key that this speaks of, where another one could have got another answer.
    pub(crate) only_key: Option<EntryKey>,
    pub(crate) degraded: bool,
}

impl Allowed {
    /// The lanes to look in, in this order.
    pub fn read_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.allow.read()
    }

    /// The lane to write, for an action that leaves something behind in one.
    pub fn write_lane(&self) -> Option<&Lane> {
        self.allow.write()
    }

    /// The generation of the workspace's lane order: part of where an entry is kept.
    pub fn lane_generation(&self) -> u32 {
        self.allow.lane_generation()
    }

    /// The workspace that the request was about.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        self.workspace
    }

    /// Who was allowed.
    pub fn principal(&self) -> &Principal {
        &self.session.principal
    }

    /// The token that was presented.
    pub fn token_id(&self) -> Option<TokenId> {
        self.session.record.as_ref().map(|record| record.id)
    }

    /// The grant that decided.
    pub fn grant(&self) -> Option<&Grant> {
        self.rights.rights.grants().get(self.allow.grant())
    }

    /// Whether it was decided on facts older than the promised bound, as the operator chose for a store that cannot
    /// be reached.
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// The right to seal one new entry under `key`, once its body is complete; `None` unless the action was `write`
    /// or `replace`.
    pub fn ticket(&self, key: EntryKey) -> Option<Ticket> {
        match self.action {
            Action::Write | Action::Replace => Some(Ticket {
                session: Arc::clone(&self.session),
                workspace: self.workspace?,
                lane: self.allow.write()?.clone(),
                generation: self.allow.lane_generation(),
                action: self.action,
                key,
            }),
            Action::Resolve
            | Action::Read
            | Action::Delete
            | Action::Administer
            | Action::Publish
            | Action::Provision => None,
        }
    }
}

/// The right to seal one entry, if nothing is revoked or locked until its body is complete.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(crate) session: Arc<Session>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) lane: Lane,
    pub(crate) generation: u32,
    pub(crate) action: Action,
    pub(crate) key: EntryKey,
}

impl Ticket {
    /// The lane that the entry goes to.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The key that the entry is for.
    pub fn key(&self) -> &EntryKey {
        &self.key
    }
}

/// A denied request.
#[derive(Clone, Debug)]
pub struct Denied {
    pub(crate) id: Option<DecisionId>,
    pub(crate) reason: Reason,
    pub(crate) session: Arc<Session>,
    pub(crate) rights: Arc<HeldRights>,
    pub(crate) globals: Arc<Globals>,
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) floor: Option<LaneClass>,
    pub(crate) now: Timestamp,
}

impl Denied {
    /// By which [`Gate::refusal`](crate::Gate::refusal) tells of it later.
    pub fn id(&self) -> Option<DecisionId> {
        self.id
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Who was denied.
    pub fn principal(&self) -> &Principal {
        &self.session.principal
    }

    /// The token that was presented.
    pub fn token_id(&self) -> Option<TokenId> {
        self.session.record.as_ref().map(|record| record.id)
    }

    /// Why, in words for this reader.
    pub fn explain(&self, candour: Candour) -> String {
        let question = Question {
            principal: &self.session.principal,
            action: self.action,
            resource: &self.resource,
            floor: self.floor,
            now: self.now,
        };
        explain(&self.rights.rights, &self.globals.locks, &question).render(candour)
    }
}

/// Why a credential was not believed.
///
/// The variants that tell something of a token's life are given only to whoever showed its secret or signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAuthenticated {
    /// Not a token of this gate, or not one that exists, or with another secret: these look the same.
    #[error("this token is not known here")]
    Unknown,
    /// The form of the credential itself is wrong.
    #[error("this credential is malformed ({code})")]
    Malformed {
        /// What is wrong with it.
        code: &'static str,
    },
    /// A JWT that this gate's strict reading refuses.
    #[error("this token was refused ({code})")]
    Refused {
        /// The first check that failed.
        code: &'static str,
    },
    /// A JWT of an issuer that is not configured.
    #[error("this token's issuer is not trusted here")]
    UnknownIssuer,
    /// A platform's token that its anchor or the rules refuse: the first step that failed, for three readers.
    #[cfg(feature = "federation")]
    #[error("{refusal}")]
    Workload {
        /// Why.
        refusal: Arc<cachegate_federation::Refusal>,
    },
    /// Revoked: this token, the mass that it is in, or one that it came from.
    #[error("this token was revoked; ask whoever gave it to you for a new one")]
    Revoked,
    /// Expired.
    #[error("this token expired at {at}; make a new one")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Replaced by a successor, and its overlap is over.
    #[error("this token was replaced by a newer one, and its time of overlap ended at {at}")]
    Superseded {
        /// When.
        at: Timestamp,
    },
}

impl NotAuthenticated {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_token",
            Self::Malformed { code } | Self::Refused { code } => code,
            Self::UnknownIssuer => "unknown_issuer",
            #[cfg(feature = "federation")]
            Self::Workload { refusal } => refusal.code(),
            Self::Revoked => "revoked",
            Self::Expired { .. } => "expired",
            Self::Superseded { .. } => "superseded",
        }
    }
}

/// Why nothing could be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The store did not answer, and what is held is no longer proven fresh.
    #[error("the authorization store is unavailable: {detail}")]
    Store {
        /// What it said.
        detail: String,
    },
    /// What the store holds cannot be read.
    #[error("the authorization store holds something that cannot be read: {detail}")]
    Corrupt {
        /// What it said.
        detail: String,
    },
    /// This machine's clock and the store's are too far apart to tell what has expired.
    #[error("this machine's clock is {apart:?} away from the store's; at most {limit:?} are tolerated")]
    Clock {
        /// How far.
        apart: Duration,
        /// How far is tolerated.
        limit: Duration,
    },
    /// The keys of a platform's issuer could not be had.
    #[error("{detail}")]
    Keys {
        /// Whose.
        detail: String,
    },
    /// The decision could not be recorded, and the operator chose to refuse then.
    #[error("the decision could not be recorded")]
    Unrecorded,
    /// Something panicked: a storage, a vault, a sink, or the gate itself. Nothing was allowed.
    #[error("the authorization failed inside; the request is refused")]
    Internal,
}

impl Unavailable {
    /// The stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store { .. } => "store_unavailable",
            Self::Corrupt { .. } => "store_corrupt",
            Self::Clock { .. } => "clock_skew",
            Self::Keys { .. } => "issuer_keys_unavailable",
            Self::Unrecorded => "decision_unrecorded",
            Self::Internal => "internal_fault",
        }
    }
}

impl From<cachegate_storage::StoreError> for Unavailable {
    fn from(error: cachegate_storage::StoreError) -> Self {
        match error {
            cachegate_storage::StoreError::Corrupt { .. } => Self::Corrupt { detail: error.to_string() },
            cachegate_storage::StoreError::Unavailable { detail } => Self::Store { detail },
            _ => Self::Store { detail: error.to_string() },
        }
    }
}
