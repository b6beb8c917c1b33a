//! The rules that span several records, written once, for back-ends to ask inside their transaction.

use std::time::Duration;

use cachegate_policy::WorkspaceSettings;
use cachegate_types::{OrganizationId, Timestamp, TokenId, UserId};

use crate::{
    GroupRecord, KeyRecord, MassRevocation, Preconditions, StoreError, TokenFilter, TokenRecord,
    WorkspaceRecord,
};

/// What a transaction reads of the store, with the rows locked until it ends.
pub trait Known {
    /// The token of this id.
    ///
    /// # Errors
    ///
    /// Whatever the store cannot do.
    fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError>;

    /// Every mass revocation.
    ///
    /// # Errors
    ///
    /// Whatever the store cannot do.
    fn mass_revocations(&self) -> Result<Vec<MassRevocation>, StoreError>;

    /// Whether the person is a member of the organization.
    ///
    /// # Errors
    ///
    /// Whatever the store cannot do.
    fn is_member(&self, organization: OrganizationId, user: UserId) -> Result<bool, StoreError>;
}

/// The answer to whoever would do a second time what may happen once.
pub const USED_UP: StoreError = StoreError::Precondition { what: "single use" };

/// What must hold for `record` to be inserted at `now`, beside that its id is free: its ancestors and all that
/// `preconditions` names, but for its uses, which a store looks up as it writes them.
///
/// # Errors
///
/// [`StoreError::Precondition`] when something does not hold, and whatever `known` cannot do.
pub fn check_insertion(
    record: &TokenRecord,
    preconditions: &Preconditions,
    now: Timestamp,
    known: &impl Known,
) -> Result<(), StoreError> {
    if record.ancestors.len() > TokenRecord::MAX_ANCESTORS {
        return Err(StoreError::Precondition { what: "lineage" });
    }
    let masses = known.mass_revocations()?;
    for id in &record.ancestors {
        check_live(*id, "ancestor", &masses, now, known)?;
    }
    for id in &preconditions.live {
        check_live(*id, "token", &masses, now, known)?;
    }
    for (organization, user) in &preconditions.members {
        if !known.is_member(*organization, *user)? {
            return Err(StoreError::Precondition { what: "membership" });
        }
    }
    Ok(())
}

/// What must hold for `predecessor` to be rotated into `successor` at `now`, beside that the successor's id is free.
///
/// # Errors
///
/// [`StoreError::Missing`] without the predecessor, [`StoreError::Precondition`] when something does not hold, and
/// whatever `known` cannot do.
pub fn check_rotation(
    predecessor: TokenId,
    successor: &TokenRecord,
    now: Timestamp,
    known: &impl Known,
) -> Result<(), StoreError> {
    let Some(token) = known.token(predecessor)? else {
        return Err(StoreError::Missing { what: "token" });
    };
    if token.superseded.is_some() {
        return Err(StoreError::Precondition { what: "predecessor" });
    }
    check_live(predecessor, "predecessor", &known.mass_revocations()?, now, known)?;
    check_insertion(successor, &Preconditions::default(), now, known)
}

/// Whether the token itself has ended at `now`: revoked, alone or in mass, or expired. Its ancestors are looked at
/// one by one.
pub fn has_ended(token: &TokenRecord, masses: &[MassRevocation], now: Timestamp) -> bool {
    token.revoked.is_some()
        || token.expires_at.is_some_and(|end| now >= end)
        || masses.iter().any(|mass| mass.takes(token))
}

/// Whether `filter` lists the token.
pub fn lists(filter: &TokenFilter, token: &TokenRecord, masses: &[MassRevocation]) -> bool {
    let TokenFilter { organization, workspace, owner, kind, live_at } = filter;
    organization.is_none_or(|wanted| token.organization == Some(wanted))
        && workspace.is_none_or(|wanted| token.workspace == Some(wanted))
        && owner.as_ref().is_none_or(|wanted| token.owner == *wanted)
        && kind.is_none_or(|wanted| token.kind == wanted)
        && live_at.is_none_or(|moment| !has_ended(token, masses, moment))
}

/// The settings to keep when `wanted` replaces `stored`: the lane generation is the store's own.
///
/// # Errors
///
/// [`StoreError::Precondition`] when there is no next generation.
pub fn settings_to_keep(
    stored: &WorkspaceSettings,
    wanted: &WorkspaceSettings,
) -> Result<WorkspaceSettings, StoreError> {
    let lane_generation = if stored.lanes == wanted.lanes {
        stored.lane_generation
    } else {
        // Never the same one again: entries stored under another order would be read.
        stored.lane_generation.checked_add(1).ok_or(StoreError::Precondition { what: "lane generation" })?
    };
    Ok(WorkspaceSettings { lane_generation, ..wanted.clone() })
}

/// Whether a workspace is still as whoever changes it has seen it: its settings and its list.
///
/// # Errors
///
/// [`StoreError::Precondition`] when it is not.
pub fn workspace_as_expected(
    stored: &WorkspaceRecord,
    expected: Option<&WorkspaceRecord>,
) -> Result<(), StoreError> {
    let same = |seen: &WorkspaceRecord| seen.settings == stored.settings && seen.listed == stored.listed;
    match expected.is_none_or(same) {
        true => Ok(()),
        false => Err(StoreError::Precondition { what: "workspace" }),
    }
}

/// What `tokens_since` becomes for somebody who leaves at `left`, when they come back.
pub fn tokens_since(former: Option<Timestamp>, left: Timestamp) -> Timestamp {
    // A clock that went back must not raise tokens of an earlier time.
    let after = left.saturating_add(Duration::from_secs(1));
    former.map_or(after, |former| former.max(after))
}

/// The group to keep: its members ascending, each once.
pub fn group_to_keep(record: &GroupRecord) -> GroupRecord {
    let mut kept = record.clone();
    kept.members.sort_unstable();
    kept.members.dedup();
    kept
}

/// The key to keep when `wanted` replaces `stored`: a revocation stays.
pub fn key_to_keep(stored: Option<&KeyRecord>, wanted: &KeyRecord) -> KeyRecord {
    let revoked = stored.and_then(|stored| stored.revoked.clone()).or_else(|| wanted.revoked.clone());
    KeyRecord { revoked, ..wanted.clone() }
}

/// Checks that the token and its ancestors exist and have not ended.
fn check_live(
    id: TokenId,
    what: &'static str,
    masses: &[MassRevocation],
    now: Timestamp,
    known: &impl Known,
) -> Result<(), StoreError> {
    let live = |token: &TokenRecord| !has_ended(token, masses, now);
    let token = known.token(id)?.filter(&live).ok_or(StoreError::Precondition { what })?;
    for ancestor in &token.ancestors {
        known.token(*ancestor)?.filter(&live).ok_or(StoreError::Precondition { what })?;
    }
    Ok(())
}
