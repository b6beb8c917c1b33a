//! Reading the audit, and checking that nobody changed it.

use std::collections::HashMap;

use cachegate_storage::{AuditRecord, acts, verify_chain};
use cachegate_types::{Action, OrganizationId, Principal, Resource, Timestamp, TokenId, WorkspaceId};

use crate::Gate;
use crate::gate::Inner;
use crate::manage::lives;
use crate::manage::look::SCANNED;
use crate::manage::{Authority, ManageError, Page};
use crate::verdict::Unavailable;

/// Which records of the audit to list. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this code.
    pub code: Option<String>,
    /// By this author.
    pub by: Option<Principal>,
    /// About the thing of this id.
    pub target: Option<String>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Not after this moment.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    fn takes(&self, record: &AuditRecord) -> bool {
        let entry = &record.entry;
        self.code.as_deref().is_none_or(|code| *code == *entry.code)
            && self.by.as_ref().is_none_or(|by| *by == entry.act.by)
            && self.target.as_deref().is_none_or(|target| entry.is_about(target))
            && self.since.is_none_or(|since| entry.act.at >= since)
            && self.until.is_none_or(|until| entry.act.at <= until)
    }
}

/// Where a page of the audit begins, and which way it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFrom {
    /// After the record of this number, the oldest first.
    After(u64),
    /// Before the record of this number, the newest first.
    Before(u64),
}

impl AuditFrom {
    /// Everything, the oldest first.
    pub const OLDEST: Self = Self::After(0);

    /// Everything, the newest first.
    pub const NEWEST: Self = Self::Before(u64::MAX);
}

/// The whole audit, found as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEnd {
    /// The newest record's number; 0 when there is none.
    pub number: u64,
    /// Its digest, which covers every record before it: kept elsewhere, it shows later that nothing was cut off or
    /// made anew.
    pub digest: [u8; 32],
}

impl Gate {
    /// Records of the audit, the oldest or the newest first: of one organization, what concerns it, for its
    /// administrators; of everything, for the operator. A page may be short and still not the last; the next one goes
    /// on from the page's `next` in the same direction.
    ///
    /// What is read is checked against its chain on the way, whichever way it goes.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Unavailable` where the chain is broken.
    pub async fn audit(
        &self,
        by: &Authority<'_>,
        organization: Option<OrganizationId>,
        filter: &AuditFilter,
        from: AuditFrom,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<AuditRecord, u64>, ManageError> {
        let inner = &*self.inner;
        match organization {
            Some(id) => inner.may(by, Action::Administer, &Resource::Organization(id), now).await?,
            None => inner.only_operator(by, now).await?,
        }
        let records = match from {
            AuditFrom::After(after) => inner.audit_after(after, SCANNED).await?,
            AuditFrom::Before(before) => inner.audit_before(before, SCANNED).await?,
        };
        let whole = records.len() < SCANNED;
        let last = records.last().map(|record| record.number);
        let mut places = organization.map(Places::of);
        let mut items = Vec::new();
        for record in records.into_iter().filter(|record| filter.takes(record)) {
            let concerned = match &mut places {
                None => true,
                Some(places) => places.concerns(inner, &record).await?,
            };
            if concerned {
                items.push(record);
            }
            if items.len() > limit {
                return Ok(Page::cut(items, limit, |record| record.number));
            }
        }
        Ok(Page { items, next: last.filter(|_| !whole) })
    }

    /// Reads the whole audit and checks that each record is there, in its place and as it was written. The operator's.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Unavailable` with the code `store_corrupt` names the first record that does not fit.
    pub async fn verify_audit(&self, by: &Authority<'_>, now: Timestamp) -> Result<AuditEnd, ManageError> {
        let inner = &*self.inner;
        inner.only_operator(by, now).await?;
        let mut end = AuditEnd { number: 0, digest: [0; 32] };
        loop {
            let records = inner.audit_after(end.number, SCANNED).await?;
            let Some(last) = records.last() else { return Ok(end) };
            end = AuditEnd { number: last.number, digest: last.digest };
        }
    }
}

impl Inner {
    /// Records after this number, checked against the one before them.
    async fn audit_after(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, ManageError> {
        let from = after.saturating_sub(1);
        let mut records = self.held.storage().audit(from, limit.saturating_add(1)).await?;
        let previous = (after > 0 && !records.is_empty()).then(|| records.remove(0));
        records.truncate(limit);
        if after > 0 && previous.is_none() {
            // Beyond the end there is nothing to check, and nothing to tell.
            return Ok(Vec::new());
        }
        fits(&records, previous.as_ref())?;
        Ok(records)
    }

    /// Records before this number, the newest first, checked against the ones on both sides of them.
    async fn audit_before(&self, before: u64, limit: usize) -> Result<Vec<AuditRecord>, ManageError> {
        let more = limit.saturating_add(1);
        let mut records =
            self.held.storage().audit_before(before.saturating_add(1), more.saturating_add(1)).await?;
        records.reverse();
        // Without one more than asked for this is the beginning, before which there is nothing.
        let previous = (records.len() > more).then(|| records.remove(0));
        fits(&records, previous.as_ref())?;
        records.retain(|record| record.number < before);
        records.reverse();
        records.truncate(limit);
        Ok(records)
    }
}

/// Checks records by ascending number against the one before them.
fn fits(records: &[AuditRecord], previous: Option<&AuditRecord>) -> Result<(), Unavailable> {
    verify_chain(records, previous).map_err(|error| Unavailable::Corrupt { detail: error.to_string() })
}

/// What the names of the documents begin with that keep an organization's own trust rules.
pub(crate) const TRUST_RULES: &str = "trust-rules-";

/// What the names of the documents begin with that are an organization's own.
const DOCUMENTS: [&str; 2] = [lives::DOCUMENTS, TRUST_RULES];

/// What belongs to one organization, looked up once for each page.
struct Places {
    organization: OrganizationId,
    workspaces: HashMap<WorkspaceId, bool>,
    tokens: HashMap<TokenId, bool>,
}

impl Places {
    fn of(organization: OrganizationId) -> Self {
        Self { organization, workspaces: HashMap::new(), tokens: HashMap::new() }
    }

    /// Whether a record is about this organization.
    async fn concerns(&mut self, inner: &Inner, record: &AuditRecord) -> Result<bool, ManageError> {
        let target = &*record.entry.target;
        let ours = self.organization.to_string();
        match &*record.entry.code {
            acts::ORGANIZATION_CREATED => Ok(target == ours),
            acts::RULES_WRITTEN => {
                Ok(DOCUMENTS.iter().any(|of| target.strip_prefix(of).is_some_and(|id| id == ours)))
            }
            acts::MEMBER_SET
            | acts::MEMBER_REMOVED
            | acts::GROUP_SET
            | acts::GROUP_REMOVED
            | acts::TOKEN_ISSUED
            | acts::TOKEN_ROTATED
            | acts::TOKEN_REVOKED
            | acts::DIRECTORY_SET
            | acts::DIRECTORY_REMOVED => {
                Ok(target.split_once('/').is_some_and(|(organization, _)| organization == ours))
            }
            acts::WORKSPACE_CREATED | acts::SETTINGS_CHANGED | acts::LIST_CHANGED => match target.parse() {
                Ok(id) => self.workspace(inner, id).await,
                Err(_) => Ok(false),
            },
            acts::RELEASE_PUBLISHED | acts::RELEASE_YANKED => {
                match target.split_once('@').map(|(workspace, _)| workspace.parse()) {
                    Some(Ok(id)) => self.workspace(inner, id).await,
                    Some(Err(_)) | None => Ok(false),
                }
            }
            acts::LOCK_SET | acts::LOCK_LIFTED | acts::MARK_SET | acts::MARK_LIFTED => {
                let Some((place, _)) = target.split_once('/') else { return Ok(false) };
                self.holds(inner, place).await
            }
            acts::TOKENS_REVOKED => self.holds(inner, target).await,
            _ => Ok(false),
        }
    }

    /// Whether this is the organization, or a workspace or a token of it.
    async fn holds(&mut self, inner: &Inner, place: &str) -> Result<bool, ManageError> {
        if place.parse() == Ok(self.organization) {
            return Ok(true);
        }
        let (Ok(workspace), Ok(token)) = (place.parse(), place.parse()) else { return Ok(false) };
        Ok(self.workspace(inner, workspace).await? || self.token(inner, token).await?)
    }

    async fn workspace(&mut self, inner: &Inner, id: WorkspaceId) -> Result<bool, ManageError> {
        if let Some(known) = self.workspaces.get(&id) {
            return Ok(*known);
        }
        let found = inner.held.workspace(id).await?;
        let ours = found.is_some_and(|found| found.organization == self.organization);
        self.workspaces.insert(id, ours);
        Ok(ours)
    }

    async fn token(&mut self, inner: &Inner, id: TokenId) -> Result<bool, ManageError> {
        if let Some(known) = self.tokens.get(&id) {
            return Ok(*known);
        }
        let found = inner.held.storage().token(id).await?;
        let ours = found.is_some_and(|found| found.organization == Some(self.organization));
        self.tokens.insert(id, ours);
        Ok(ours)
    }
}
