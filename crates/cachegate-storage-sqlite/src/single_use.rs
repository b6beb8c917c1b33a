//! What may happen once: a primary key, and how many rows an insertion took, decide.

use async_trait::async_trait;
use cachegate_storage::SingleUse;
use cachegate_types::Timestamp;

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::CONSUMED;
use crate::transaction::Stored;

#[async_trait]
impl SingleUse for SqliteStorage {
    async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool> {
        let values = cells![scope, key, keep_until];
        self.act(move |tx| tx.add_unless_there(&CONSUMED, &values)).await
    }

    async fn purge_consumed(&self, now: Timestamp) -> Stored<u64> {
        self.act(move |tx| {
            let count = tx.delete("DELETE FROM consumed WHERE keep_until <= ?", &cells![now])?;
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
        .await
    }
}
