//! The tables: their statements, their columns, and the checksum that ends each row.
//!
//! A database's own pages carry no checksum, so each row carries one: bits that flipped on the disk are told from
//! what was written, instead of being read as another right.

use crc32fast::Hasher;
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

use cachegate_storage::StoreError;

use crate::cell::{self, FromCell};

/// One table. The last column of each is `sum`.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// `table.column` for each column but the last.
    pub(crate) columns: &'static [&'static str],
    /// Adds a row.
    pub(crate) insert: &'static str,
    /// Adds a row or replaces the one with its key.
    pub(crate) upsert: &'static str,
    /// Reads every row: a condition may follow.
    pub(crate) select: &'static str,
    /// `table.sum`.
    sum: &'static str,
}

macro_rules! tables {
    ($($table:ident = $name:literal ($first:ident $(, $key:ident)*) [$($column:ident)*];)*) => {$(
        pub(crate) static $table: Table = Table {
            name: $name,
            columns: &[
                concat!($name, ".", stringify!($first)),
                $(concat!($name, ".", stringify!($key)),)*
                $(concat!($name, ".", stringify!($column)),)*
            ],
            insert: concat!(
                "INSERT INTO ", $name, " (", stringify!($first), $(", ", stringify!($key),)*
                $(", ", stringify!($column),)* ", sum) VALUES (?",
                $(tables!(@mark $key),)* $(tables!(@mark $column),)* ", ?)"
            ),
            upsert: concat!(
                "INSERT INTO ", $name, " (", stringify!($first), $(", ", stringify!($key),)*
                $(", ", stringify!($column),)* ", sum) VALUES (?",
                $(tables!(@mark $key),)* $(tables!(@mark $column),)* ", ?) ON CONFLICT (", stringify!($first),
                $(", ", stringify!($key),)* ") DO UPDATE SET sum = excluded.sum"
                $(, ", ", stringify!($column), " = excluded.", stringify!($column))*
            ),
            select: concat!(
                "SELECT ", stringify!($first), $(", ", stringify!($key),)* $(", ", stringify!($column),)*
                ", sum FROM ", $name, " "
            ),
            sum: concat!($name, ".sum"),
        };
    )*

        /// Every table.
        pub(crate) static TABLES: &[&Table] = &[$(&$table),*];
    };
    (@mark $column:ident) => { ", ?" };
}

tables! {
    STORE = "store" (id) [
        epoch number commits audit_number audit_digest masses locks marks
    ];
    CHANGES = "changes" (number) [kind];
    ORGANIZATIONS = "organizations" (id) [name personal_of created_at];
    WORKSPACES = "workspaces" (id) [organization name settings listed created_at];
    USERS = "users" (id) [display created_at];
    ACCOUNTS = "accounts" (issuer, subject) [person linked_at];
    DIRECTORIES = "directories" (organization, directory, kind, id) [external name target told version];
    MEMBERS = "members" (organization, person) [role tokens_since];
    DEPARTURES = "departures" (organization, person) [tokens_since];
    TEAMS = "teams" (id) [organization name];
    TEAM_MEMBERS = "team_members" (team, person) [];
    TOKENS = "tokens" (id) [
        kind form owner organization workspace description grants restrictions reads_closures lane base floor run
        issued_at expires_at created_by ancestors family superseded_by overlap_until revoked last_used
    ];
    LINEAGE = "lineage" (ancestor, token) [];
    MASSES = "masses" (number) [scope issued_until revoked];
    KEYS = "keys" (id) [purpose public created_at signs_from signs_until verifies_until revoked];
    SEALED = "sealed" (id) [bytes];
    DOCUMENTS = "documents" (name) [bytes epoch number];
    LOCKS = "locks" (id) [scope actions ends_at reason set_by set_at];
    MARKS = "marks" (id) [scope reason set_by set_at];
    CONSUMED = "consumed" (scope, value) [keep_until];
    PENDING = "pending" (scope, value) [bytes keep_until];
    RELEASES = "releases" (workspace, version) [id lane entry digest published_at yanked_at];
    CLOSURES = "closures" (workspace, version, output) [closure];
    CLOSURE_ENTRIES = "closure_entries" (workspace, entry, closure) [];
    AUDIT = "audit" (number) [entry digest];
}

impl Table {
    /// The values with their checksum behind them.
    pub(crate) fn with_sum(&self, values: &[Value]) -> Vec<Value> {
        let mut summed = values.to_vec();
        summed.push(Value::Integer(self.sum_of(values.iter().map(ValueRef::from))));
        summed
    }

    /// CRC-32 over the table's name, and the type, length and content of each value.
    fn sum_of<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> i64 {
        let mut hasher = Hasher::new();
        hasher.update(self.name.as_bytes());
        let mut part = |tag: u8, bytes: &[u8]| {
            let mut head = [0; 9];
            if let Some((first, rest)) = head.split_first_mut() {
                *first = tag;
                rest.copy_from_slice(&(bytes.len() as u64).to_be_bytes());
            }
            hasher.update(&head);
            hasher.update(bytes);
        };
        for value in values {
            match value {
                ValueRef::Null => part(0, &[]),
                ValueRef::Integer(number) => part(1, &number.to_be_bytes()),
                ValueRef::Real(number) => part(2, &number.to_be_bytes()),
                ValueRef::Text(text) => part(3, text),
                ValueRef::Blob(bytes) => part(4, bytes),
            }
        }
        hasher.finalize().into()
    }

    /// What `Corrupt` says when something about the whole table is wrong.
    pub(crate) fn corrupt(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt { what: self.name, detail: detail.into() }
    }
}

/// A row of a [`Table`], read column by column in their order.
pub(crate) struct Cells<'r> {
    table: &'static Table,
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Cells<'r> {
    /// The row, whose checksum fits.
    pub(crate) fn of(table: &'static Table, row: &'r Row<'r>) -> Result<Self, StoreError> {
        let cells = Self { table, row, next: 0 };
        let count = table.columns.len();
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            values.push(cells.value(index)?);
        }
        let sum = cell::integer(cells.value(count)?)
            .map_err(|detail| StoreError::Corrupt { what: table.sum, detail })?;
        if table.sum_of(values.into_iter()) == sum {
            Ok(cells)
        } else {
            Err(StoreError::Corrupt { what: table.sum, detail: "a row does not fit its checksum".to_owned() })
        }
    }

    fn value(&self, index: usize) -> Result<ValueRef<'r>, StoreError> {
        self.row.get_ref(index).map_err(|_| self.table.corrupt(format!("column {index} is missing")))
    }

    fn column(&self, index: usize) -> &'static str {
        self.table.columns.get(index).copied().unwrap_or(self.table.name)
    }

    /// The next column's value.
    pub(crate) fn take<T: FromCell>(&mut self) -> Result<T, StoreError> {
        self.taken(T::from_cell)
    }

    /// The next column's value, which is one of the codec's forms.
    pub(crate) fn decoded<T>(&mut self, decode: fn(&[u8]) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.taken(|value| decode(cell::bytes(value)?).map_err(cell::of_codec))
    }

    /// The next column's value, which is one of the codec's forms or nothing.
    pub(crate) fn decoded_option<T>(
        &mut self,
        decode: fn(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.taken(|value| match value {
            ValueRef::Null => Ok(None),
            value => decode(cell::bytes(value)?).map(Some).map_err(cell::of_codec),
        })
    }

    /// What to say of the column that was read last.
    pub(crate) fn corrupt(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt { what: self.column(self.next.saturating_sub(1)), detail: detail.into() }
    }

    fn taken<T>(&mut self, read: impl FnOnce(ValueRef<'r>) -> Result<T, String>) -> Result<T, StoreError> {
        let index = self.next;
        self.next = index.saturating_add(1);
        read(self.value(index)?).map_err(|detail| StoreError::Corrupt { what: self.column(index), detail })
    }
}
