//! What waits for somebody.

use std::sync::Arc;

use async_trait::async_trait;
use cachegate_storage::Pending;
use cachegate_types::Timestamp;

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{Cells, PENDING};
use crate::transaction::{Stored, View};

fn waiting(cells: &mut Cells<'_>) -> Stored<(Vec<u8>, Timestamp)> {
    let _: (Arc<str>, Vec<u8>) = (cells.take()?, cells.take()?);
    Ok((cells.take()?, cells.take()?))
}

impl View<'_> {
    fn pending(&self, scope: &str, key: &[u8]) -> Stored<Option<(Vec<u8>, Timestamp)>> {
        self.one(&PENDING, "WHERE scope = ? AND value = ?", &cells![scope, key], waiting)
    }
}

#[async_trait]
impl Pending for SqliteStorage {
    async fn put_pending(
        &self,
        scope: &str,
        key: &[u8],
        bytes: &[u8],
        keep_until: Timestamp,
    ) -> Stored<bool> {
        let values = cells![scope, key, bytes, keep_until];
        self.act(move |tx| tx.add_unless_there(&PENDING, &values)).await
    }

    async fn pending(&self, scope: &str, key: &[u8]) -> Stored<Option<Vec<u8>>> {
        let (scope, key) = (scope.to_owned(), key.to_vec());
        self.look(move |view| Ok(view.pending(&scope, &key)?.map(|(bytes, _)| bytes))).await
    }

    async fn change_pending(&self, scope: &str, key: &[u8], expected: &[u8], bytes: &[u8]) -> Stored<bool> {
        let (scope, key) = (scope.to_owned(), key.to_vec());
        let (expected, bytes) = (expected.to_vec(), bytes.to_vec());
        self.act(move |tx| match tx.pending(&scope, &key)? {
            Some((held, keep_until)) if held == expected => {
                tx.replace(&PENDING, &cells![scope, key, bytes, keep_until])?;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        })
        .await
    }

    async fn purge_pending(&self, now: Timestamp) -> Stored<u64> {
        self.act(move |tx| {
            let count = tx.delete("DELETE FROM pending WHERE keep_until <= ?", &cells![now])?;
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
        .await
    }
}
