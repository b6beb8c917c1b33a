//! Releases and closures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use cachegate_storage::{Act, ReleaseRecord, Releases, StoreError, acts, codec};
use cachegate_types::{ClosureId, EntryKey, Version, WorkspaceId};

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{CLOSURE_ENTRIES, CLOSURES, Cells, RELEASES};
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
        closures: BTreeMap::new(),
        published_at: cells.take()?,
        yanked_at: cells.take()?,
    })
}

/// The version, its output and what that needs.
fn closure(cells: &mut Cells<'_>) -> Stored<(Version, Box<str>, ClosureId)> {
    let _: WorkspaceId = cells.take()?;
    let (version, output): (_, Arc<str>) = (cells.take()?, cells.take()?);
    Ok((version, (*output).into(), cells.take()?))
}

impl View<'_> {
    fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>> {
        let condition = "WHERE workspace = ? AND version = ?";
        let mut found = self.one(&RELEASES, condition, &cells![workspace, version], release)?;
        if let Some(found) = &mut found {
            let closures = self.all(&CLOSURES, condition, &cells![workspace, version], closure)?;
            found.closures = closures.into_iter().map(|(_, output, id)| (output, id)).collect();
        }
        Ok(found)
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
                record.published_at,
                record.yanked_at,
            ],
        )
    }
}

#[async_trait]
impl Releases for SqliteStorage {
    async fn publish_release(
        &self,
        record: &ReleaseRecord,
        needed: &[(ClosureId, EntryKey)],
        act: &Act,
    ) -> Stored<()> {
        let (record, needed, act) = (record.clone(), needed.to_vec(), act.clone());
        self.act(move |tx| {
            let ReleaseRecord { id, workspace, version, .. } = &record;
            if tx.has(&RELEASES, "WHERE id = ?", &cells![id])? || tx.release(*workspace, version)?.is_some() {
                return Err(StoreError::Exists { what: "release" });
            }
            let ids: BTreeSet<ClosureId> = record.closures.values().copied().collect();
            let mut taken = ids.len() < record.closures.len();
            for id in &ids {
                taken |= tx.has(&CLOSURES, "WHERE closure = ?", &cells![id])?;
            }
            if taken {
                return Err(StoreError::Exists { what: "closure" });
            }
            tx.need_workspace(*workspace)?;
            tx.replace_release(&record)?;
            for (output, id) in &record.closures {
                tx.replace(&CLOSURES, &cells![workspace, version, output.to_string(), id])?;
            }
            for (id, key) in needed.iter().filter(|(id, _)| ids.contains(id)) {
                tx.add_unless_there(&CLOSURE_ENTRIES, &cells![workspace, key, id])?;
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
            let mut closures: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
            for (version, output, id) in
                view.all(&CLOSURES, "WHERE workspace = ?", &cells![workspace], closure)?
            {
                closures.entry(version.to_string()).or_default().insert(output, id);
            }
            for release in &mut found {
                release.closures = closures.remove(&release.version.to_string()).unwrap_or_default();
            }
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
