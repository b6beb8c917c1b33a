//! Requests that may be sent twice and are done once.

use std::time::Duration;

use cachegate_types::{GroupId, LockId, MarkId, OrganizationId, Principal, Timestamp, TokenId, WorkspaceId};
use ring::digest::{Context, Digest, SHA256, digest};

use crate::gate::Inner;
use crate::manage::{Authority, ManageError};

/// For how long a repeated request is known again.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

const SCOPE: &str = "idempotency";

/// What tells a request that is sent again from a new one: its author sends the same key with both.
///
/// The id of what is made is planned and kept under the author's key before it is made. Ids are unique, so that of
/// many requests with one key one makes the thing, whichever of them is cut off, and the others are given what was
/// made. A token's plain form is not among it: that is shown once.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    /// The key: the author's own, and no one else's.
    pub key: &'a str,
    /// The request. Another one under the same key is refused.
    pub request: &'a [u8],
}

/// What was made, or was made before by the same request.
#[derive(Clone, Debug)]
pub enum Made<T, B = T> {
    /// Made now.
    Now(T),
    /// Made by an earlier sending of the same request.
    Before(B),
}

/// An id that something will have.
pub(crate) struct Planned {
    bytes: [u8; 16],
    /// Whether an earlier sending planned it.
    pub(crate) again: bool,
}

macro_rules! ids {
    ($($function:ident -> $id:ident)*) => {$(
        pub(crate) fn $function(&self) -> $id {
            $id::from_bytes(self.bytes)
        }
    )*};
}

impl Planned {
    ids! { token -> TokenId workspace -> WorkspaceId group -> GroupId lock -> LockId mark -> MarkId }
}

impl Inner {
    /// The id of what is about to be made: a new one, or the one that an earlier sending of this request planned.
    pub(crate) async fn plan(
        &self,
        by: &Authority<'_>,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Planned, ManageError> {
        // Every kind of id is made the same way.
        let id = OrganizationId::new(now, self.random().ok_or(ManageError::Randomness)?);
        let planned = Planned { bytes: id.to_bytes(), again: false };
        let Some(once) = once else { return Ok(planned) };
        let key = key_of(&by.principal(), once.key);
        let request = digest(&SHA256, once.request);
        let bytes = [&planned.bytes[..], request.as_ref()].concat();
        let storage = self.held.storage();
        if storage.put_pending(SCOPE, key.as_ref(), &bytes, now.saturating_add(REMEMBERED)).await? {
            return Ok(planned);
        }
        let changed = ManageError::Changed { what: "idempotency key" };
        let kept = storage.pending(SCOPE, key.as_ref()).await?.ok_or(changed)?;
        match kept.split_first_chunk() {
            Some((bytes, kept)) if kept == request.as_ref() => Ok(Planned { bytes: *bytes, again: true }),
            Some(_) | None => Err(ManageError::KeyReused),
        }
    }
}

/// Two authors never share a key.
fn key_of(author: &Principal, key: &str) -> Digest {
    let author = digest(&SHA256, &author.to_canonical_bytes());
    let mut context = Context::new(&SHA256);
    context.update(author.as_ref());
    context.update(key.as_bytes());
    context.finish()
}
