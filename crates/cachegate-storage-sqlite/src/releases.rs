//! Releases and closures.

use async_trait::async_trait;
use cachegate_storage::{Act, ReleaseRecord, Releases, StoreError, acts, codec};
use cachegate_types::{ClosureId, EntryKey, Version, WorkspaceId};

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{CLOSURE_ENTRIES, Cells, RELEASES};
use crate::transaction::{Stored, Transaction, View};

fn release(cells: &mut Cells<'_>) -> Stored<ReleaseRecord> {
    let (workspace, version) = (cells.take()?, cells.take()?);
    Ok(ReleaseRecord {
        workspace,
        version,
        id: cells.take()?,
        lane: cells.decoded(codec::decode_lane)?,
        key: cells.take()?,
        digest: cells.take()?,
        closure: cells.take()?,
        published_at: cells.take()?,
        yanked_at: cells.take()?,
    })
}

impl View<'_> {
    fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>> {
        self.one(&RELEASES, "WHERE workspace = ? AND version = ?", &cells![workspace, version], release)
    }
}

impl Transaction<'_> {
    fn replace_release(&mut self, record: &ReleaseRecord) -> Stored<()> {
        self.replace(
            &RELEASES,
            &cells![
                record.workspace,
                record.version,
                record.id,
                codec::encode_lane(&record.lane),
                record.key,
                record.digest,
                record.closure,
                record.published_at,
                record.yanked_at,
            ],
        )
    }
}

#[async_trait]
impl Releases for SqliteStorage {
    async fn publish_release(&self, record: &ReleaseRecord, closure: &[EntryKey], act: &Act) -> Stored<()> {
        let (record, closure, act) = (record.clone(), closure.to_vec(), act.clone());
        self.act(move |tx| {
            let ReleaseRecord { id, workspace, version, .. } = &record;
            if tx.has(&RELEASES, "WHERE id = ?", &cells![id])? || tx.release(*workspace, version)?.is_some() {
                return Err(StoreError::Exists { what: "release" });
            }
            if let Some(closure) = record.closure
                && tx.has(&RELEASES, "WHERE closure = ?", &cells![closure])?
            {
                return Err(StoreError::Exists { what: "closure" });
            }
            tx.need_workspace(*workspace)?;
            tx.replace_release(&record)?;
            if let Some(id) = record.closure {
                for key in &closure {
                    tx.add_unless_there(&CLOSURE_ENTRIES, &cells![workspace, key, id])?;
                }
            }
            tx.note(&acts::publish_release(&record, &act))
        })
        .await
    }

    async fn yank_release(&self, workspace: WorkspaceId, version: &Version, act: &Act) -> Stored<()> {
        let (version, act) = (version.clone(), act.clone());
        self.act(move |tx| {
            let Some(found) = tx.release(workspace, &version)? else {
                return Err(StoreError::Missing { what: "release" });
            };
            if found.yanked_at.is_some() {
                return Ok(());
            }
            tx.replace_release(&ReleaseRecord { yanked_at: Some(act.at), ..found })?;
            tx.note(&acts::yank_release(workspace, &version, &act))
        })
        .await
    }

    async fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>> {
        let version = version.clone();
        self.look(move |view| view.release(workspace, &version)).await
    }

    async fn releases(&self, workspace: WorkspaceId) -> Stored<Vec<ReleaseRecord>> {
        self.look(move |view| {
            let mut found = view.all(&RELEASES, "WHERE workspace = ?", &cells![workspace], release)?;
            // Versions sort by their numbers, which is not how SQLite sorts their texts.
            found.sort_by(|one, other| one.version.cmp(&other.version));
            Ok(found)
        })
        .await
    }

    async fn closures_of(&self, workspace: WorkspaceId, key: &EntryKey) -> Stored<Vec<ClosureId>> {
        let key = key.clone();
        self.look(move |view| {
            let condition = "WHERE workspace = ? AND entry = ? ORDER BY closure";
            view.all(&CLOSURE_ENTRIES, condition, &cells![workspace, key], |cells| {
                let _: (WorkspaceId, EntryKey) = (cells.take()?, cells.take()?);
                cells.take()
            })
        })
        .await
    }
}
