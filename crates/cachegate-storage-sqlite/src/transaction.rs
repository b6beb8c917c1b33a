//! What runs inside one transaction: reading rows, and acting.

use std::ops::Deref;

use cachegate_storage::{AuditEntry, ChangeKind, StoreError, chain_digest, codec};
use cachegate_types::{Epoch, Revision};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::cell::{ToCell, cells};
use crate::fault;
use crate::table::{AUDIT, CHANGES, Cells, LOCKS, MARKS, MASSES, STORE, TABLES, Table};

pub(crate) type Stored<T> = Result<T, StoreError>;

/// The one row about the whole store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) revision: Revision,
    /// How many acts were ever committed.
    pub(crate) commits: u64,
    pub(crate) audit_number: u64,
    pub(crate) audit_digest: [u8; 32],
    /// How many rows each of these tables has: a row less would give a right back.
    pub(crate) masses: u64,
    pub(crate) locks: u64,
    pub(crate) marks: u64,
}

impl Store {
    /// A store that holds nothing.
    pub(crate) const fn new(epoch: Epoch) -> Self {
        Self {
            revision: Revision { epoch, number: 0 },
            commits: 0,
            audit_number: 0,
            audit_digest: [0; 32],
            masses: 0,
            locks: 0,
            marks: 0,
        }
    }

    pub(crate) fn cells(&self) -> [Value; 9] {
        cells![
            1_u64,
            self.revision.epoch,
            self.revision.number,
            self.commits,
            self.audit_number,
            self.audit_digest,
            self.masses,
            self.locks,
            self.marks,
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Stored<Self> {
        let _: u64 = cells.take()?;
        Ok(Self {
            revision: Revision { epoch: cells.take()?, number: cells.take()? },
            commits: cells.take()?,
            audit_number: cells.take()?,
            audit_digest: cells.take()?,
            masses: cells.take()?,
            locks: cells.take()?,
            marks: cells.take()?,
        })
    }
}

/// One moment's state of the database.
pub(crate) struct View<'c> {
    connection: &'c Connection,
}

impl<'c> View<'c> {
    pub(crate) const fn of(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// Calls `visit` with each row that `condition` takes, until it answers `false`.
    pub(crate) fn each(
        &self,
        table: &'static Table,
        condition: &str,
        values: &[Value],
        mut visit: impl FnMut(&mut Cells<'_>) -> Stored<bool>,
    ) -> Stored<()> {
        let sql = [table.select, condition].concat();
        let mut statement = self.connection.prepare_cached(&sql).map_err(|error| fault::of(&error))?;
        let mut rows = statement.query(params_from_iter(values)).map_err(|error| fault::of(&error))?;
        while let Some(row) = rows.next().map_err(|error| fault::of(&error))? {
            if !visit(&mut Cells::of(table, row)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Every row that `condition` takes.
    pub(crate) fn all<T>(
        &self,
        table: &'static Table,
        condition: &str,
        values: &[Value],
        read: impl Fn(&mut Cells<'_>) -> Stored<T>,
    ) -> Stored<Vec<T>> {
        let mut found = Vec::new();
        self.each(table, condition, values, |cells| {
            found.push(read(cells)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The first row that `condition` takes.
    pub(crate) fn one<T>(
        &self,
        table: &'static Table,
        condition: &str,
        values: &[Value],
        read: impl Fn(&mut Cells<'_>) -> Stored<T>,
    ) -> Stored<Option<T>> {
        let mut found = None;
        self.each(table, condition, values, |cells| {
            found = Some(read(cells)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// Whether `condition` takes a row.
    pub(crate) fn has(&self, table: &'static Table, condition: &str, values: &[Value]) -> Stored<bool> {
        Ok(self.one(table, condition, values, |_| Ok(()))?.is_some())
    }

    /// Whether every index agrees with its table, and every row with its checksum.
    pub(crate) fn check_rows(&self) -> Stored<()> {
        let check = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        let first: String = check.map_err(|error| fault::of(&error))?;
        if first != "ok" {
            return Err(StoreError::Corrupt { what: "database file", detail: first });
        }
        TABLES.iter().try_for_each(|table| self.each(table, "", &[], |_| Ok(true)))
    }

    /// The row about the whole store.
    pub(crate) fn store(&self) -> Stored<Store> {
        self.one(&STORE, "WHERE id = 1", &[], Store::from_cells)?
            .ok_or_else(|| STORE.corrupt("its one row is missing"))
    }

    /// The rows of a table of which none may be missing.
    pub(crate) fn counted<T>(
        &self,
        table: &'static Table,
        order: &str,
        expected: u64,
        read: impl Fn(&mut Cells<'_>) -> Stored<T>,
    ) -> Stored<Vec<T>> {
        let found = self.all(table, order, &[], read)?;
        if u64::try_from(found.len()) == Ok(expected) {
            Ok(found)
        } else {
            Err(table.corrupt(format!("{} rows are there instead of {expected}", found.len())))
        }
    }
}

/// An act: all of it or nothing. The row about the whole store is written last.
pub(crate) struct Transaction<'c> {
    view: View<'c>,
    store: Store,
    history: u64,
    is_changed: bool,
    is_revised: bool,
}

impl<'c> Deref for Transaction<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<'c> Transaction<'c> {
    /// Begins within a transaction of SQLite's that holds the write lock.
    pub(crate) fn begin(connection: &'c Connection, history: u64) -> Stored<Self> {
        let view = View::of(connection);
        let store = view.store()?;
        Ok(Self { view, store, history, is_changed: false, is_revised: false })
    }

    /// Writes the row about the whole store; what remains is to commit. Answers the store, if anything changed, and
    /// whether a revision was taken.
    pub(crate) fn finish(mut self) -> Stored<Option<(Store, bool)>> {
        if !self.is_changed {
            return Ok(None);
        }
        self.store.commits = next(self.store.commits)?;
        let values = self.store.cells();
        self.replace(&STORE, &values)?;
        Ok(Some((self.store, self.is_revised)))
    }

    /// The newest revision, this act's changes included.
    pub(crate) const fn revision(&self) -> Revision {
        self.store.revision
    }

    /// The revision that the next change takes.
    pub(crate) fn next_revision(&self) -> Stored<Revision> {
        Ok(Revision { number: next(self.store.revision.number)?, ..self.store.revision })
    }

    /// Begins another life of the store: its feed begins anew.
    pub(crate) fn set_epoch(&mut self, epoch: Epoch, commits: u64) -> Stored<()> {
        self.write("DELETE FROM changes", &[])?;
        self.store.revision = Revision { epoch, number: 0 };
        self.store.commits = self.store.commits.max(commits);
        (self.is_changed, self.is_revised) = (true, true);
        Ok(())
    }

    /// Adds a row that is not there yet.
    pub(crate) fn add(&mut self, table: &'static Table, values: &[Value]) -> Stored<()> {
        let count = if std::ptr::eq(table, &MASSES) {
            Some(&mut self.store.masses)
        } else if std::ptr::eq(table, &LOCKS) {
            Some(&mut self.store.locks)
        } else if std::ptr::eq(table, &MARKS) {
            Some(&mut self.store.marks)
        } else {
            None
        };
        if let Some(count) = count {
            *count = next(*count)?;
        }
        self.write(table.insert, &table.with_sum(values)).map(drop)
    }

    /// Adds a row unless one with its key is there. Answers whether it did.
    pub(crate) fn add_unless_there(&mut self, table: &'static Table, values: &[Value]) -> Stored<bool> {
        let sql = [table.insert, " ON CONFLICT DO NOTHING"].concat();
        Ok(self.write(&sql, &table.with_sum(values))? == 1)
    }

    /// Adds a row, or replaces the one with its key.
    pub(crate) fn replace(&mut self, table: &'static Table, values: &[Value]) -> Stored<()> {
        self.write(table.upsert, &table.with_sum(values)).map(drop)
    }

    /// Runs a statement that deletes. Answers how many rows it took.
    pub(crate) fn delete(&mut self, sql: &str, values: &[Value]) -> Stored<usize> {
        self.write(sql, values)
    }

    /// Takes a lock away. Answers whether it was there.
    pub(crate) fn delete_lock(&mut self, id: impl ToCell) -> Stored<bool> {
        let deleted = self.write("DELETE FROM locks WHERE id = ?", &cells![id])? == 1;
        self.store.locks = self.store.locks.saturating_sub(deleted.into());
        Ok(deleted)
    }

    /// Takes a mark away. Answers whether it was there.
    pub(crate) fn delete_mark(&mut self, id: impl ToCell) -> Stored<bool> {
        let deleted = self.write("DELETE FROM marks WHERE id = ?", &cells![id])? == 1;
        self.store.marks = self.store.marks.saturating_sub(deleted.into());
        Ok(deleted)
    }

    /// The number that the next mass revocation takes.
    pub(crate) fn next_mass(&self) -> Stored<u64> {
        next(self.store.masses)
    }

    /// Writes the audit record of an act that takes no revision.
    pub(crate) fn note(&mut self, entry: &AuditEntry) -> Stored<()> {
        let number = next(self.store.audit_number)?;
        let digest = chain_digest(&self.store.audit_digest, number, entry);
        self.add(&AUDIT, &cells![number, codec::encode_audit_entry(entry), digest])?;
        (self.store.audit_number, self.store.audit_digest) = (number, digest);
        Ok(())
    }

    /// Writes the audit record of an act, and its change.
    pub(crate) fn commit(&mut self, kind: &ChangeKind, entry: &AuditEntry) -> Stored<Revision> {
        self.note(entry)?;
        let revision = self.next_revision()?;
        self.add(&CHANGES, &cells![revision.number, codec::encode_change_kind(kind)])?;
        if let Some(old) = revision.number.checked_sub(self.history).filter(|old| *old > 0) {
            self.write("DELETE FROM changes WHERE number <= ?", &cells![old])?;
        }
        self.store.revision = revision;
        self.is_revised = true;
        Ok(revision)
    }

    fn write(&mut self, sql: &str, values: &[Value]) -> Stored<usize> {
        let mut statement = self.view.connection.prepare_cached(sql).map_err(|error| fault::of(&error))?;
        let count = statement.execute(params_from_iter(values)).map_err(|error| fault::of(&error))?;
        if count > 0 {
            self.is_changed = true;
        }
        Ok(count)
    }
}

/// The next number. Counting by ones, nobody lives to see the end.
fn next(number: u64) -> Stored<u64> {
    let next = number.checked_add(1).filter(|next| i64::try_from(*next).is_ok());
    next.ok_or(StoreError::Precondition { what: "number" })
}
