//! Revisions and the feed.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use cachegate_storage::{Change, Changes, Heartbeat, Revisions, codec};
use cachegate_types::Revision;

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::CHANGES;
use crate::transaction::{Stored, View};

impl View<'_> {
    fn changes_after(&self, after: Revision, limit: usize) -> Stored<Changes> {
        let newest = self.store()?.revision;
        let restart = Ok(Changes::Restart { upto: newest });
        if after.epoch != newest.epoch || after.number > newest.number {
            return restart;
        }
        let oldest = self.one(&CHANGES, "ORDER BY number LIMIT 1", &[], |cells| cells.take::<u64>())?;
        // Older changes were cleared away: whoever holds what they concern begins anew.
        let is_known = oldest.is_some_and(|oldest| after.number.saturating_add(1) >= oldest);
        if after != newest && !is_known {
            return restart;
        }
        let condition = "WHERE number > ? ORDER BY number LIMIT ?";
        let mut upto = after;
        let mut changes = Vec::new();
        self.each(&CHANGES, condition, &cells![after.number, limit.max(1)], |cells| {
            let revision = Revision { number: cells.take()?, ..newest };
            if revision.number != upto.number.saturating_add(1) {
                return Err(cells.corrupt(format!("{} follows {}", revision.number, upto.number)));
            }
            upto = revision;
            changes.push(Change { revision, kind: cells.decoded(codec::decode_change_kind)? });
            Ok(true)
        })?;
        if changes.is_empty() && upto != newest {
            return Err(CHANGES.corrupt(format!("change {} is missing", newest.number)));
        }
        Ok(Changes::After { changes, upto, more: upto != newest })
    }
}

#[async_trait]
impl Revisions for SqliteStorage {
    async fn heartbeat(&self) -> Stored<Heartbeat> {
        // The file has no clock of its own: it is on the machine whose clock the gate reads already.
        self.look(|view| Ok(Heartbeat { revision: view.store()?.revision, store_time: None })).await
    }

    async fn changes_after(&self, after: Revision, limit: usize) -> Stored<Changes> {
        self.read(move |view| view.changes_after(after, limit)).await
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let news = self.next_news();
        Box::pin(async move {
            // Closed, and so ready, with the next change.
            let _ = news.recv().await;
        })
    }
}
