//! Where decisions are told of: bounded, never in the way.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use cachegate_storage::{Act, AuditEntry, TokenRecord};
use cachegate_types::{
    Action, DecisionId, Description, OrganizationId, Principal, Resource, Timestamp, TokenId,
};

use crate::Gate;
use crate::verdict::Unavailable;

/// One decision, for an audit or a log. Holds no secret.
#[derive(Clone, Debug)]
pub struct DecisionEvent {
    /// When.
    pub at: Timestamp,
    /// Who asked; `None` when nobody was established.
    pub principal: Option<Principal>,
    /// With which token.
    pub token: Option<TokenId>,
    /// What they wanted to do.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// `allowed`, or the code of the refusal. Two are alarms: `rotated_token_reused`, beside the refusal of a rotated
    /// token that was shown after its overlap, and `token_leaked`, when one that was found in public is revoked.
    pub code: &'static str,
    /// The id of a denial, by which its author may ask for it.
    pub decision: Option<DecisionId>,
    /// Whether it was decided on facts older than the promised bound.
    pub degraded: bool,
}

impl DecisionEvent {
    /// What an embedder that audits its decisions appends to the chain, beside the acts of management.
    pub fn to_audit_entry(&self) -> AuditEntry {
        let target = match &self.resource {
            Resource::Organization(id) => id.to_string(),
            Resource::Workspace(id)
            | Resource::Entry { workspace: id, .. }
            | Resource::Release { workspace: id, .. } => id.to_string(),
        };
        let about = match &self.resource {
            Resource::Organization(_) | Resource::Workspace(_) => String::new(),
            Resource::Entry { key, .. } => format!(" {key}"),
            Resource::Release { version, .. } => format!(" {version}"),
        };
        let facts = if self.degraded { ", on degraded facts" } else { "" };
        // Keys and versions print as ASCII. A key that is too long loses its end, the answer never.
        let mut detail = format!("{}: {}{facts}{about}", self.action, self.code);
        detail.truncate(Description::MAX_LENGTH);
        AuditEntry {
            act: Act {
                by: self.principal.clone().unwrap_or(Principal::Anonymous),
                token: self.token,
                at: self.at,
            },
            code: "decision".into(),
            target: target.into(),
            detail: detail.parse().unwrap_or_default(),
        }
    }
}

impl Gate {
    /// Appends decisions to the audit's chain, all or none, for an embedder that wants them there: those that its sink
    /// took, in their order.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer: read the audit's end before they are appended again.
    pub async fn audit_decisions(&self, events: &[DecisionEvent]) -> Result<(), Unavailable> {
        let entries: Vec<_> = events.iter().map(DecisionEvent::to_audit_entry).collect();
        Ok(self.inner.held.storage().append_audit(&entries).await?)
    }
}

/// An alarm about a token.
pub(crate) fn alarm(code: &'static str, record: &TokenRecord, now: Timestamp) -> DecisionEvent {
    let resource = match (record.workspace, record.organization) {
        (Some(workspace), _) => Resource::Workspace(workspace),
        // A personal token belongs to no place.
        (None, organization) => {
            Resource::Organization(organization.unwrap_or(OrganizationId::from_bytes([0; 16])))
        }
    };
    DecisionEvent {
        at: now,
        principal: Some(record.owner.clone()),
        token: Some(record.id),
        action: Action::Resolve,
        resource,
        code,
        decision: None,
        degraded: false,
    }
}

/// The decision could not be recorded, and the sink's mode is to refuse then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the decision could not be recorded")]
pub struct NotRecorded;

/// Takes decisions. Must not block: it is called on the way of every request.
pub trait DecisionSink: Send + Sync + fmt::Debug {
    /// Takes one.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`] turns the verdict into `Unavailable`: return it only where a decision that is not recorded
    /// must not take effect.
    fn record(&self, event: DecisionEvent) -> Result<(), NotRecorded>;
}

/// What a full queue does with one more decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overflow {
    /// Drops it and counts it.
    Drop,
    /// Refuses the request that it is about.
    Refuse,
}

/// A bounded queue of decisions that another thread takes from.
#[derive(Debug)]
pub struct QueueSink {
    sender: SyncSender<DecisionEvent>,
    overflow: Overflow,
    dropped: AtomicU64,
}

impl QueueSink {
    /// A queue for at most `capacity` decisions, and the end to take them from.
    pub fn bounded(capacity: usize, overflow: Overflow) -> (Self, Receiver<DecisionEvent>) {
        let (sender, receiver) = sync_channel(capacity);
        (Self { sender, overflow, dropped: AtomicU64::new(0) }, receiver)
    }

    /// How many decisions found no place, dropped and refused alike.
    pub fn lost(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl DecisionSink for QueueSink {
    fn record(&self, event: DecisionEvent) -> Result<(), NotRecorded> {
        match self.sender.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                match self.overflow {
                    Overflow::Drop => Ok(()),
                    Overflow::Refuse => Err(NotRecorded),
                }
            }
        }
    }
}
