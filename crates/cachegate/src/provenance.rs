//! Who wrote an entry, sealed when its body is complete and asked about each time that it is read.

use cachegate_jwt::{Label, LabelFields, LabelKey, LabelKeyId};
use cachegate_storage::MarkScope;
use cachegate_types::{EntryKey, Lane, MarkId, Principal, Resource, Timestamp, TokenId, WorkspaceId};

use crate::Gate;
use crate::authenticate::AuthenticateError;
use crate::gate::Inner;
use crate::guard::guarded;
use crate::verdict::{Allowed, NotAuthenticated, Request, Ticket, Unavailable, Verdict};

/// Why no label was made: the body must not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The credential ended while the body travelled.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// The right ended while the body travelled: a lock, a departure, a changed setting.
    #[error("the right to write ended while the body travelled ({code})")]
    Denied {
        /// Why.
        code: &'static str,
    },
    /// Nothing could be decided.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The label could not be written.
    #[error("no label could be made ({code})")]
    Label {
        /// Why.
        code: &'static str,
    },
}

impl From<cachegate_storage::StoreError> for SealError {
    fn from(error: cachegate_storage::StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why an entry is a miss, whatever lies there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// No label is kept beside it.
    #[error("the entry has no label")]
    NoLabel,
    /// The label is no label, or its key is unknown, revoked or another.
    #[error("the entry's label does not hold ({code})")]
    BrokenLabel {
        /// What is wrong with it.
        code: &'static str,
    },
    /// The label is another entry's: another key, workspace or generation of lanes.
    #[error("the entry's label is another entry's")]
    AnotherEntry,
    /// The bytes are not those that were sealed.
    #[error("the entry's bytes are not those that were stored")]
    AnotherBody,
    /// The lane that it was written in is none that this reader reads.
    #[error("the entry was written in the lane `{lane}`, which this credential does not read")]
    AnotherLane {
        /// That lane.
        lane: Lane,
    },
    /// Its writer is distrusted.
    #[error("the entry's writer is distrusted by mark {mark}")]
    Distrusted {
        /// The mark.
        mark: MarkId,
    },
    /// Nothing could be decided.
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl NotAdmitted {
    /// The stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoLabel => "no_label",
            Self::BrokenLabel { code } => code,
            Self::AnotherEntry => "another_entry",
            Self::AnotherBody => "another_body",
            Self::AnotherLane { .. } => "another_lane",
            Self::Distrusted { .. } => "distrusted",
            Self::Unavailable(reason) => reason.code(),
        }
    }
}

/// What an admitted entry's label says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The lane that it was written in.
    pub lane: Lane,
    /// The body's length, in bytes.
    pub length: u64,
    /// The writer's token, where it had one.
    pub token: Option<TokenId>,
    /// The writer.
    pub writer: Principal,
    /// The run that wrote it, where one is known.
    pub run: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Where the entry lies that a label was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The lane.
    pub lane: Lane,
    /// The generation of the workspace's lanes.
    pub lane_generation: u32,
    /// The key.
    pub key: EntryKey,
}

impl Gate {
    /// Seals an entry whose body is complete: asks once more whether the token lives and the right stands, and
    /// gives the label to keep beside it. `digest` is the SHA-256 of the body.
    ///
    /// # Errors
    ///
    /// [`SealError`]: the body must not be kept then.
    pub async fn seal(
        &self,
        ticket: &Ticket,
        digest: &[u8; 32],
        length: u64,
        now: Timestamp,
    ) -> Result<Vec<u8>, SealError> {
        guarded(self.seal_unguarded(ticket, digest, length, now)).await?
    }

    async fn seal_unguarded(
        &self,
        ticket: &Ticket,
        digest: &[u8; 32],
        length: u64,
        now: Timestamp,
    ) -> Result<Vec<u8>, SealError> {
        let inner = &*self.inner;
        let resource = Resource::entry(ticket.workspace, ticket.key.clone());
        let request = Request::new(ticket.action, &resource);
        let verdict = match inner.authorize(&ticket.session, &request, now).await {
            Ok(verdict) => verdict,
            Err(AuthenticateError::NotAuthenticated(reason)) => return Err(reason.into()),
            Err(AuthenticateError::Unavailable(reason)) => return Err(reason.into()),
        };
        match verdict {
            Verdict::Allowed(allowed) => {
                // The lane was chosen before the body came; a setting that moved it meanwhile ends the right.
                let moved = allowed.write_lane() != Some(&ticket.lane)
                    || allowed.lane_generation() != ticket.generation;
                if moved {
                    return Err(SealError::Denied { code: "lane_changed" });
                }
            }
            Verdict::Denied(denied) => return Err(SealError::Denied { code: denied.reason().code() }),
            Verdict::NotAuthenticated(reason) => return Err(reason.into()),
            Verdict::Unavailable(reason) => return Err(reason.into()),
        }
        let globals = inner.held.globals().await?;
        let key = inner
            .sealing_key(&globals.keys, now)
            .await
            .map_err(|_| SealError::Label { code: "vault_failed" })?;
        let key = key.ok_or(SealError::Label { code: "no_label_key" })?;
        let record = ticket.session.record.as_deref();
        let fields = LabelFields {
            workspace: ticket.workspace,
            lane: ticket.lane.clone(),
            lane_generation: ticket.generation,
            key: ticket.key.clone(),
            digest: *digest,
            length,
            ancestors: record.map(|record| record.ancestors.clone()).unwrap_or_default(),
            token: record.map(|record| record.id),
            principal: ticket.session.principal.clone(),
            run: record.and_then(|record| record.run.as_deref()).map(ToOwned::to_owned),
            time: now,
        };
        Label::seal(&fields, &key).map_err(|error| SealError::Label { code: error.code() })
    }

    /// Whether an entry may be used by whoever was allowed: its label is whole, is this entry's, speaks of these
    /// very bytes, of a lane that they read, and of a writer who is not distrusted. `digest` is the SHA-256 of the
    /// bytes that are about to be served.
    ///
    /// # Errors
    ///
    /// [`NotAdmitted`]: treat the entry as a miss.
    pub async fn admit(
        &self,
        label: Option<&[u8]>,
        key: &EntryKey,
        digest: &[u8; 32],
        allowed: &Allowed,
    ) -> Result<Provenance, NotAdmitted> {
        let work = self.admit_unguarded(label, key, digest, allowed);
        guarded(work).await.unwrap_or_else(|fault| Err(NotAdmitted::Unavailable(fault)))
    }

    /// What a mark of this scope would do to the entry that this label is kept beside: where that entry lies, if
    /// [`Gate::admit`] refuses it for the mark's sake and for nothing that is known now. `None` also for an entry that is
    /// a miss already: by its label, by a change of its workspace's lanes, or by another mark. Its bytes are not asked
    /// about.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nobody knows.
    pub async fn foresee_distrust(
        &self,
        label: &[u8],
        scope: &MarkScope,
    ) -> Result<Option<Labelled>, Unavailable> {
        guarded(self.foresee_unguarded(label, scope)).await?
    }

    async fn foresee_unguarded(
        &self,
        label: &[u8],
        scope: &MarkScope,
    ) -> Result<Option<Labelled>, Unavailable> {
        let inner = &*self.inner;
        let globals = inner.held.globals().await?;
        let label_key = inner
            .checking_key(label, &globals.keys)
            .await
            .map_err(|error| Unavailable::Store { detail: error.to_string() })?;
        let Ok(fields) = Label::open(label, |id| label_key.as_deref().filter(|key| key.id() == id)) else {
            return Ok(None);
        };
        let distrusted = globals.marks.iter().any(|mark| marks_writer(&mark.scope, &fields));
        if distrusted || !marks_writer(scope, &fields) {
            return Ok(None);
        }
        let workspace = inner.held.workspace(fields.workspace).await?;
        let still = workspace.is_some_and(|one| one.settings.lane_generation == fields.lane_generation);
        let LabelFields { workspace, lane, lane_generation, key, .. } = fields;
        Ok(still.then_some(Labelled { workspace, lane, lane_generation, key }))
    }

    async fn admit_unguarded(
        &self,
        label: Option<&[u8]>,
        key: &EntryKey,
        digest: &[u8; 32],
        allowed: &Allowed,
    ) -> Result<Provenance, NotAdmitted> {
        let inner = &*self.inner;
        let unavailable = |error| NotAdmitted::Unavailable(Unavailable::from(error));
        // Distrust is as fresh as rights are, however long ago the request was allowed.
        if !inner.held.is_fresh()
            && let Err(error) = inner.held.catch_up().await
            && !(allowed.degraded && inner.serves_reads_still())
        {
            return Err(unavailable(error));
        }
        let label = label.ok_or(NotAdmitted::NoLabel)?;
        let ours = allowed.session.gate == inner.verifier
            && allowed.only_key.as_ref().is_none_or(|only| only == key);
        let at_hand = AtHand {
            workspace: allowed.workspace.filter(|_| ours),
            lane_generation: allowed.lane_generation(),
            key,
            digest,
        };
        inner.admit(label, &at_hand, allowed.read_lanes().chain(allowed.write_lane())).await
    }
}

impl Inner {
    /// Holds a label against an entry with the keys and the marks that are known now.
    pub(crate) async fn admit<'l>(
        &self,
        label: &[u8],
        at_hand: &AtHand<'_>,
        lanes: impl Iterator<Item = &'l Lane>,
    ) -> Result<Provenance, NotAdmitted> {
        let unavailable = |error| NotAdmitted::Unavailable(Unavailable::from(error));
        let globals = self.held.globals().await.map_err(unavailable)?;
        let label_key = self
            .checking_key(label, &globals.keys)
            .await
            .map_err(|error| NotAdmitted::Unavailable(Unavailable::Store { detail: error.to_string() }))?;
        at_hand.admit(
            label,
            |id| label_key.as_deref().filter(|key| key.id() == id),
            lanes,
            globals.marks.iter().map(|mark| (mark.id, &mark.scope)),
        )
    }
}

/// An entry that is about to be served, to hold its label against. [`Gate::admit`] does it with what it knows; this is
/// the pure rule beneath it.
#[derive(Clone, Copy, Debug)]
pub struct AtHand<'a> {
    /// The workspace that it was looked for in; `None` is no label's.
    pub workspace: Option<WorkspaceId>,
    /// The generation of that workspace's lane order.
    pub lane_generation: u32,
    /// The key that it was looked for under.
    pub key: &'a EntryKey,
    /// SHA-256 of its bytes.
    pub digest: &'a [u8; 32],
}

impl AtHand<'_> {
    /// Whether the entry may be used by somebody who reads `lanes` while `marks` distrust. `label_key` gives the key of
    /// a name, retired ones included, revoked ones not.
    ///
    /// # Errors
    ///
    /// [`NotAdmitted`]: treat the entry as a miss.
    pub fn admit<'l, 'k, 'm>(
        &self,
        label: &[u8],
        label_key: impl Fn(LabelKeyId) -> Option<&'k LabelKey>,
        mut lanes: impl Iterator<Item = &'l Lane>,
        mut marks: impl Iterator<Item = (MarkId, &'m MarkScope)>,
    ) -> Result<Provenance, NotAdmitted> {
        let fields =
            Label::open(label, label_key).map_err(|error| NotAdmitted::BrokenLabel { code: error.code() })?;
        let here = self.workspace == Some(fields.workspace)
            && fields.key == *self.key
            && fields.lane_generation == self.lane_generation;
        if !here {
            return Err(NotAdmitted::AnotherEntry);
        }
        if fields.digest != *self.digest {
            return Err(NotAdmitted::AnotherBody);
        }
        if !lanes.any(|lane| *lane == fields.lane) {
            return Err(NotAdmitted::AnotherLane { lane: fields.lane });
        }
        if let Some((mark, _)) = marks.find(|(_, scope)| marks_writer(scope, &fields)) {
            return Err(NotAdmitted::Distrusted { mark });
        }
        Ok(Provenance {
            lane: fields.lane,
            length: fields.length,
            token: fields.token,
            writer: fields.principal,
            run: fields.run,
            at: fields.time,
        })
    }
}

/// Whether a mark of this scope distrusts the writer that the label names.
fn marks_writer(scope: &MarkScope, fields: &LabelFields) -> bool {
    match scope {
        MarkScope::Token(token) => fields.token == Some(*token) || fields.ancestors.contains(token),
        MarkScope::Principal(principal) => fields.principal == *principal,
        MarkScope::Run(run) => fields.run.as_deref() == Some(&**run),
        MarkScope::Window { workspace, from, to } => {
            workspace.is_none_or(|workspace| workspace == fields.workspace)
                && *from <= fields.time
                && fields.time <= *to
        }
    }
}
