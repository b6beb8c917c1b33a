//! Accounts of people at providers.

use async_trait::async_trait;
use cachegate_storage::{AccountRecord, Accounts, Act, StoreError, acts};
use cachegate_types::UserId;

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{ACCOUNTS, Cells};
use crate::transaction::Stored;

fn account(cells: &mut Cells<'_>) -> Stored<AccountRecord> {
    Ok(AccountRecord {
        issuer: cells.take()?,
        subject: cells.take()?,
        user: cells.take()?,
        linked_at: cells.take()?,
    })
}

#[async_trait]
impl Accounts for SqliteStorage {
    async fn link_account(&self, record: &AccountRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let AccountRecord { issuer, subject, user, linked_at } = &record;
            if !tx.add_unless_there(&ACCOUNTS, &cells![&**issuer, &**subject, user, linked_at])? {
                return Err(StoreError::Exists { what: "account" });
            }
            tx.note(&acts::link_account(&record, &act))
        })
        .await
    }

    async fn account(&self, issuer: &str, subject: &str) -> Stored<Option<AccountRecord>> {
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        let condition = "WHERE issuer = ? AND subject = ?";
        self.look(move |view| view.one(&ACCOUNTS, condition, &cells![issuer, subject], account)).await
    }

    async fn accounts_of(&self, user: UserId) -> Stored<Vec<AccountRecord>> {
        let condition = "WHERE person = ? ORDER BY issuer, subject";
        self.look(move |view| view.all(&ACCOUNTS, condition, &cells![user], account)).await
    }
}
