//! The last refusals, by id, so that whoever was refused can ask why afterwards.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use cachegate_policy::{Candour, Reason};
use cachegate_types::{Action, DecisionId, Principal, Resource, Timestamp, TokenId};
use ring::hmac;

use crate::gate::{Inner, place_of};
use crate::manage::{Authority, ManageError};
use crate::verdict::Denied;
use crate::{Gate, Request};

/// How many refusals a node remembers; an older one makes room for a newer one.
const REMEMBERED: usize = 1024;

/// The last refusals of this node.
pub(crate) struct Decisions {
    /// What makes an id of a count: whoever sees ids learns neither how many lie between them nor which node gave them.
    key: hmac::Key,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    count: u64,
    kept: VecDeque<Denied>,
}

impl Decisions {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), last: Mutex::new(Last::default()) }
    }

    /// Gives the refusal its id, and remembers it.
    pub(crate) fn keep(&self, mut denied: Denied) -> Denied {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.count = last.count.wrapping_add(1);
        // As good as random: what a refusal cost inside, and whether others came between, is nobody's to count.
        let tag = hmac::sign(&self.key, &last.count.to_be_bytes());
        let randomness = tag.as_ref().first_chunk().copied().unwrap_or_default();
        denied.id = Some(DecisionId::new(denied.now, randomness));
        if last.kept.len() >= REMEMBERED {
            last.kept.pop_front();
        }
        last.kept.push_back(denied.clone());
        denied
    }

    fn find(&self, id: DecisionId) -> Option<Denied> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.kept.iter().rev().find(|denied| denied.id == Some(id)).cloned()
    }
}

impl fmt::Debug for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decisions").finish_non_exhaustive()
    }
}

/// A refusal as it was decided, told afterwards.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub at: Timestamp,
    /// Who was refused.
    pub principal: Principal,
    /// With which token.
    pub token: Option<TokenId>,
    /// What they wanted to do.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// Why; `None` for whoever may not know more than they were told then.
    pub reason: Option<Reason>,
    /// Why, in words for whoever asks.
    pub explanation: String,
}

impl Gate {
    /// One of the last refusals of this node: for whoever was refused, as they were told, and for administrators of
    /// the place, in full. All others learn nothing, not even that it was.
    ///
    /// A node keeps its last 1,024 refusals, and none beyond its own life.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn refusal(
        &self,
        by: &Authority<'_>,
        id: DecisionId,
        now: Timestamp,
    ) -> Result<Refusal, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let missing = || ManageError::Missing { what: "decision" };
        let denied = inner.decisions.find(id).ok_or_else(missing)?;
        let candour = inner.candour_for(by, &denied, now).await?.ok_or_else(missing)?;
        let reason = match candour {
            Candour::Operator => Some(denied.reason.clone()),
            Candour::Caller | Candour::Public => None,
        };
        Ok(Refusal {
            id,
            at: denied.now,
            principal: denied.principal().clone(),
            token: denied.token_id(),
            action: denied.action,
            resource: denied.resource.clone(),
            reason,
            explanation: denied.explain(candour),
        })
    }
}

impl Inner {
    async fn candour_for(
        &self,
        by: &Authority<'_>,
        denied: &Denied,
        now: Timestamp,
    ) -> Result<Option<Candour>, ManageError> {
        let Authority::Of(who) = by else { return Ok(Some(Candour::Operator)) };
        let place = place_of(&denied.resource).into();
        if self.decide(&who.session, &Request::new(Action::Administer, &place), now).await?.is_allowed() {
            return Ok(Some(Candour::Operator));
        }
        let is_theirs = who.token_id().is_some() && who.token_id() == denied.token_id();
        Ok(is_theirs.then_some(Candour::Caller))
    }
}
