//! What directories told of people and groups.

use std::sync::Arc;

use async_trait::async_trait;
use cachegate_storage::{
    Act, Directories, DirectoryId, DirectoryKey, DirectoryKind, DirectoryRecord, DirectoryTarget, StoreError,
    acts,
};
use cachegate_types::{GroupId, UserId};
use rusqlite::types::Value;

use crate::SqliteStorage;
use crate::cell::cells;
use crate::table::{Cells, DIRECTORIES};
use crate::transaction::{Stored, View};

const CONFLICT: StoreError = StoreError::Precondition { what: "directory record" };

fn told(cells: &mut Cells<'_>) -> Stored<DirectoryRecord> {
    let directory = DirectoryId { organization: cells.take()?, name: cells.take()? };
    let kind: Arc<str> = cells.take()?;
    let (id, external, name) = (cells.take()?, cells.take()?, cells.take()?);
    let target: [u8; 16] = cells.take()?;
    let target = if *kind == *DirectoryKind::Person.as_str() {
        DirectoryTarget::Person(UserId::from_bytes(target))
    } else if *kind == *DirectoryKind::Group.as_str() {
        DirectoryTarget::Group(GroupId::from_bytes(target))
    } else {
        return Err(DIRECTORIES.corrupt("its text is no kind of record"));
    };
    Ok(DirectoryRecord {
        directory,
        id,
        external,
        name,
        target,
        document: cells.take()?,
        version: cells.take()?,
    })
}

impl View<'_> {
    fn told(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        condition: &str,
        value: &str,
    ) -> Stored<Option<DirectoryRecord>> {
        let condition =
            ["WHERE organization = ? AND directory = ? AND kind = ? AND ", condition, " = ?"].concat();
        let DirectoryId { organization, name } = directory;
        self.one(&DIRECTORIES, &condition, &cells![organization, name, kind.as_str(), value], told)
    }
}

#[async_trait]
impl Directories for SqliteStorage {
    async fn put_record(&self, record: &DirectoryRecord, expected: Option<u64>, act: &Act) -> Stored<u64> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let DirectoryRecord { directory, id, external, name, target, document, .. } = &record;
            let kind = target.kind();
            let held = tx.told(directory, kind, "id", id)?.map(|held| held.version);
            if held != expected {
                return Err(CONFLICT);
            }
            for (column, value) in [("external", external), ("name", name)] {
                let Some(value) = value else { continue };
                if tx.told(directory, kind, column, value)?.is_some_and(|other| other.id != *id) {
                    return Err(StoreError::Exists { what: "directory record" });
                }
            }
            let version = held.unwrap_or(0).saturating_add(1);
            let bytes = match target {
                DirectoryTarget::Person(id) => id.to_bytes(),
                DirectoryTarget::Group(id) => id.to_bytes(),
            };
            let DirectoryId { organization, name: directory } = directory;
            let row: [Value; 9] =
                cells![organization, directory, kind.as_str(), id, external, name, bytes, document, version,];
            tx.replace(&DIRECTORIES, &row)?;
            tx.note(&acts::put_directory_record(&record, &act))?;
            Ok(version)
        })
        .await
    }

    async fn remove_record(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        id: &str,
        expected: u64,
        act: &Act,
    ) -> Stored<()> {
        let (directory, id, act) = (directory.clone(), id.to_owned(), act.clone());
        self.act(move |tx| {
            let held = tx.told(&directory, kind, "id", &id)?;
            let held = held.ok_or(StoreError::Missing { what: "directory record" })?;
            if held.version != expected {
                return Err(CONFLICT);
            }
            let DirectoryId { organization, name } = &directory;
            tx.delete(
                "DELETE FROM directories WHERE organization = ? AND directory = ? AND kind = ? AND id = ?",
                &cells![organization, name, kind.as_str(), id],
            )?;
            tx.note(&acts::remove_directory_record(&held, &act))
        })
        .await
    }

    async fn record(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        key: DirectoryKey<'_>,
    ) -> Stored<Option<DirectoryRecord>> {
        let (column, value) = match key {
            DirectoryKey::Id(value) => ("id", value),
            DirectoryKey::External(value) => ("external", value),
            DirectoryKey::Name(value) => ("name", value),
        };
        let (directory, value) = (directory.clone(), value.to_owned());
        self.look(move |view| view.told(&directory, kind, column, &value)).await
    }

    async fn records(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        after: Option<&str>,
        limit: usize,
    ) -> Stored<Vec<DirectoryRecord>> {
        // No id is empty.
        let (directory, after) = (directory.clone(), after.unwrap_or_default().to_owned());
        self.look(move |view| {
            let DirectoryId { organization, name } = &directory;
            let condition =
                "WHERE organization = ? AND directory = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?";
            view.all(&DIRECTORIES, condition, &cells![organization, name, kind.as_str(), after, limit], told)
        })
        .await
    }
}
