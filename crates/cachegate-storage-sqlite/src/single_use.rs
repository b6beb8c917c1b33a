//! What may happen once: a primary key, and how many rows an insertion took, decide.

use async_trait::async_trait;
use cachegate_storage::SingleUse;
use cachegate_types::Timestamp;

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::CONSUMED;
use crate::transaction::{Stored, Transaction};

impl Transaction<'_> {
    /// Uses up the key. Answers whether it was free.
    pub(crate) fn use_up(&mut self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool> {
        self.add_unless_there(&CONSUMED, &cells![scope, key, keep_until])
    }
}

#[async_trait]
impl SingleUse for SqliteStorage {
    async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool> {
        let (scope, key) = (scope.to_owned(), key.to_vec());
        self.act(move |tx| tx.use_up(&scope, &key, keep_until)).await
    }

    async fn purge_consumed(&self, now: Timestamp) -> Stored<u64> {
        self.act(move |tx| {
            let count = tx.delete("DELETE FROM consumed WHERE keep_until <= ?", &cells![now])?;
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
        .await
    }
}
