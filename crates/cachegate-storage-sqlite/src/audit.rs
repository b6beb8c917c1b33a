//! The audit chain.

use async_trait::async_trait;
use cachegate_storage::{Audit, AuditEntry, AuditRecord, StoreError, codec, verify_chain};

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{AUDIT, Cells};
use crate::transaction::{Stored, View};

fn record(cells: &mut Cells<'_>) -> Stored<AuditRecord> {
    Ok(AuditRecord {
        number: cells.take()?,
        entry: cells.decoded(codec::decode_audit_entry)?,
        digest: cells.take()?,
    })
}

impl View<'_> {
    /// The records after number `after`, each of which fits the one before it.
    pub(crate) fn audit(&self, after: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
        let store = self.store()?;
        let Some(left) = store.audit_number.checked_sub(after).filter(|left| *left > 0) else {
            return Ok(Vec::new());
        };
        let previous = match after {
            0 => None,
            after => Some(
                self.one(&AUDIT, "WHERE number = ?", &cells![after], record)?
                    .ok_or_else(|| AUDIT.corrupt(format!("number {after} is missing")))?,
            ),
        };
        let condition = "WHERE number > ? ORDER BY number LIMIT ?";
        let found = self.all(&AUDIT, condition, &cells![after, limit], record)?;
        verify_chain(&found, previous.as_ref())
            .map_err(|error| StoreError::Corrupt { what: "audit.digest", detail: error.to_string() })?;
        let expected = usize::try_from(left).unwrap_or(usize::MAX).min(limit);
        let last = found.last().filter(|last| last.number == store.audit_number);
        if found.len() != expected || last.is_some_and(|last| last.digest != store.audit_digest) {
            return Err(AUDIT.corrupt(format!("the chain does not end at number {}", store.audit_number)));
        }
        Ok(found)
    }

    /// The same records from the other end: the newest first, those before number `before`.
    fn audit_before(&self, before: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
        let last = before.saturating_sub(1).min(self.store()?.audit_number);
        // Numbers have no gaps, so that the number of the first is known.
        let limit = limit.min(usize::try_from(last).unwrap_or(usize::MAX));
        let after = last.saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX));
        let mut found = self.audit(after, limit)?;
        found.reverse();
        Ok(found)
    }
}

#[async_trait]
impl Audit for SqliteStorage {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Stored<()> {
        let entries = entries.to_vec();
        self.act(move |tx| entries.iter().try_for_each(|entry| tx.note(entry))).await
    }

    async fn audit(&self, after: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
        self.read(move |view| view.audit(after, limit)).await
    }

    async fn audit_before(&self, before: u64, limit: usize) -> Stored<Vec<AuditRecord>> {
        self.read(move |view| view.audit_before(before, limit)).await
    }
}
