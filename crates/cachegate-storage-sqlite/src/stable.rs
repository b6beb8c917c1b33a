//! What changes rarely: keys, sealed rows, documents, locks and marks.

use async_trait::async_trait;
use cachegate_policy::Lock;
use cachegate_storage::{
    Act, ChangeKind, Distrust, KeyRecord, Keys, LockRecord, Locks, MarkRecord, Rules, RulesDocument,
    StoreError, acts, codec, rules,
};
use cachegate_types::{LockId, MarkId, Name, Revision};

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{Cells, DOCUMENTS, KEYS, LOCKS, MARKS, SEALED};
use crate::transaction::{Stored, View};

fn key(cells: &mut Cells<'_>) -> Stored<KeyRecord> {
    Ok(KeyRecord {
        id: cells.take()?,
        purpose: cells.take()?,
        public: cells.take()?,
        created_at: cells.take()?,
        signs_from: cells.take()?,
        signs_until: cells.take()?,
        verifies_until: cells.take()?,
        revoked: cells.decoded_option(codec::decode_revoked)?,
    })
}

fn document(cells: &mut Cells<'_>) -> Stored<RulesDocument> {
    Ok(RulesDocument {
        name: cells.take()?,
        bytes: cells.take()?,
        revision: Revision { epoch: cells.take()?, number: cells.take()? },
    })
}

fn lock(cells: &mut Cells<'_>) -> Stored<LockRecord> {
    Ok(LockRecord {
        lock: Lock {
            id: cells.take()?,
            scope: cells.decoded(codec::decode_lock_scope)?,
            actions: cells.take()?,
            until: cells.take()?,
        },
        reason: cells.take()?,
        by: cells.decoded(codec::decode_principal)?,
        at: cells.take()?,
    })
}

fn mark(cells: &mut Cells<'_>) -> Stored<MarkRecord> {
    Ok(MarkRecord {
        id: cells.take()?,
        scope: cells.decoded(codec::decode_mark_scope)?,
        reason: cells.take()?,
        by: cells.decoded(codec::decode_principal)?,
        at: cells.take()?,
    })
}

impl View<'_> {
    fn locks(&self) -> Stored<Vec<LockRecord>> {
        self.counted(&LOCKS, "ORDER BY id", self.store()?.locks, lock)
    }

    fn marks(&self) -> Stored<Vec<MarkRecord>> {
        self.counted(&MARKS, "ORDER BY id", self.store()?.marks, mark)
    }

    /// Whether what takes rights away is there in full.
    pub(crate) fn counts(&self) -> Stored<()> {
        self.locks()?;
        self.marks()?;
        rules::Known::mass_revocations(self).map(drop)
    }
}

#[async_trait]
impl Keys for SqliteStorage {
    async fn put_key(&self, record: &KeyRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let found = tx.one(&KEYS, "WHERE id = ?", &cells![record.id], key)?;
            let kept = rules::key_to_keep(found.as_ref(), &record);
            let revoked = kept.revoked.as_ref().map(codec::encode_revoked);
            let KeyRecord {
                id, purpose, public, created_at, signs_from, signs_until, verifies_until, ..
            } = &kept;
            tx.replace(
                &KEYS,
                &cells![id, purpose, public, created_at, signs_from, signs_until, verifies_until, revoked],
            )?;
            tx.commit(&ChangeKind::Keys, &acts::put_key(&kept, &act))
        })
        .await
    }

    async fn keys(&self) -> Stored<Vec<KeyRecord>> {
        self.look(|view| view.all(&KEYS, "ORDER BY created_at, id", &[], key)).await
    }

    async fn put_sealed(&self, id: &str, bytes: &[u8]) -> Stored<()> {
        let values = cells![id, bytes];
        self.act(move |tx| {
            if tx.add_unless_there(&SEALED, &values)? {
                Ok(())
            } else {
                Err(StoreError::Exists { what: "sealed row" })
            }
        })
        .await
    }

    async fn sealed(&self, id: &str) -> Stored<Option<Vec<u8>>> {
        let id = id.to_owned();
        self.look(move |view| {
            view.one(&SEALED, "WHERE id = ?", &cells![id], |cells| {
                let _: std::sync::Arc<str> = cells.take()?;
                cells.take()
            })
        })
        .await
    }
}

#[async_trait]
impl Rules for SqliteStorage {
    async fn put_rules(
        &self,
        name: &Name,
        bytes: &[u8],
        expected: Option<Revision>,
        act: &Act,
    ) -> Stored<Revision> {
        let (name, bytes, act) = (name.clone(), bytes.to_vec(), act.clone());
        self.act(move |tx| {
            let found = tx.one(&DOCUMENTS, "WHERE name = ?", &cells![name], document)?;
            if found.map(|document| document.revision) != expected {
                return Err(StoreError::Precondition { what: "document" });
            }
            let revision = tx.next_revision()?;
            tx.replace(&DOCUMENTS, &cells![name, bytes, revision.epoch, revision.number])?;
            let entry = acts::put_rules(&name, &bytes, &act);
            tx.commit(&ChangeKind::Rules(name), &entry)
        })
        .await
    }

    async fn rules(&self, name: &Name) -> Stored<Option<RulesDocument>> {
        let name = name.clone();
        self.look(move |view| view.one(&DOCUMENTS, "WHERE name = ?", &cells![name], document)).await
    }
}

#[async_trait]
impl Locks for SqliteStorage {
    async fn put_lock(&self, record: &LockRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let Lock { id, scope, actions, until } = &record.lock;
            if tx.has(&LOCKS, "WHERE id = ?", &cells![id])? {
                return Err(StoreError::Exists { what: "lock" });
            }
            let (scope, by) = (codec::encode_lock_scope(scope), codec::encode_principal(&record.by));
            tx.add(&LOCKS, &cells![id, scope, actions, until, record.reason, by, record.at])?;
            tx.commit(&ChangeKind::Locks, &acts::put_lock(&record, &act))
        })
        .await
    }

    async fn lift_lock(&self, id: LockId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            let found = tx.locks()?.into_iter().find(|record| record.lock.id == id);
            let record = found.ok_or(StoreError::Missing { what: "lock" })?;
            tx.delete_lock(id)?;
            tx.commit(&ChangeKind::Locks, &acts::lift_lock(&record, &act))
        })
        .await
    }

    async fn locks(&self) -> Stored<Vec<LockRecord>> {
        self.read(|view| view.locks()).await
    }
}

#[async_trait]
impl Distrust for SqliteStorage {
    async fn put_mark(&self, record: &MarkRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let MarkRecord { id, scope, reason, by, at } = &record;
            if tx.has(&MARKS, "WHERE id = ?", &cells![id])? {
                return Err(StoreError::Exists { what: "mark" });
            }
            let (scope, by) = (codec::encode_mark_scope(scope), codec::encode_principal(by));
            tx.add(&MARKS, &cells![id, scope, reason, by, at])?;
            tx.commit(&ChangeKind::Marks, &acts::put_mark(&record, &act))
        })
        .await
    }

    async fn lift_mark(&self, id: MarkId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            let found = tx.marks()?.into_iter().find(|record| record.id == id);
            let record = found.ok_or(StoreError::Missing { what: "mark" })?;
            tx.delete_mark(id)?;
            tx.commit(&ChangeKind::Marks, &acts::lift_mark(&record, &act))
        })
        .await
    }

    async fn marks(&self) -> Stored<Vec<MarkRecord>> {
        self.read(|view| view.marks()).await
    }
}
