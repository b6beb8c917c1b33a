//! What directories told of people and groups.

use std::sync::Arc;

use async_trait::async_trait;
use cachegate_types::{GroupId, Name, OrganizationId, UserId};

use crate::{Act, StoreError};

/// One directory of one organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId {
    /// The organization.
    pub organization: OrganizationId,
    /// The directory's name there.
    pub name: Name,
}

/// Whom or what a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirectoryTarget {
    /// A person.
    Person(UserId),
    /// A group of the organization.
    Group(GroupId),
}

/// The kinds of record. Ids, external ids and names of two kinds are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirectoryKind {
    /// People.
    Person,
    /// Groups.
    Group,
}

impl DirectoryKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Group => "group",
        }
    }
}

impl DirectoryTarget {
    /// The kind.
    pub const fn kind(self) -> DirectoryKind {
        match self {
            Self::Person(_) => DirectoryKind::Person,
            Self::Group(_) => DirectoryKind::Group,
        }
    }
}

/// What a directory told of one person or group. That it told of somebody gives them nothing: their membership does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryRecord {
    /// The directory.
    pub directory: DirectoryId,
    /// Its id in what the directory speaks.
    pub id: Arc<str>,
    /// By what the directory itself knows it for ever, where it says so.
    pub external: Option<Arc<str>>,
    /// By what the directory's people know it, in the one form in which two of them are compared.
    pub name: Option<Arc<str>>,
    /// Who or what it is here.
    pub target: DirectoryTarget,
    /// All that the directory told, as the directory's module keeps it.
    pub document: Vec<u8>,
    /// Counted from 1, one more with each change.
    pub version: u64,
}

/// By what a record is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryKey<'a> {
    /// Its id.
    Id(&'a str),
    /// Its external id.
    External(&'a str),
    /// Its name.
    Name(&'a str),
}

/// What directories told. A store that directories are connected to has it beside [`crate::Storage`].
///
/// It takes no revision: nobody holds it. What somebody may do is told by their memberships and groups.
#[async_trait]
pub trait Directories: Send + Sync {
    /// Adds a record, or replaces it whole. `expected` is the version that the writer read, `None` where there was no
    /// record: `Precondition` when it is another by now. Cases: `a_directorys_record_needs_the_expected_version`,
    /// `one_of_many_racing_writers_of_a_record_wins`. `Exists` when its external id or its name is another record's. Case:
    /// `external_ids_and_names_are_unique_in_a_directory`. Two directories and two kinds know nothing of each other.
    /// Case: `directories_and_kinds_are_told_apart`. Answers the new version, whatever `record` says. Its audit record is
    /// committed with it. Case: `a_directorys_record_leaves_one_audit_record_each_time`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; `Exists` and `Precondition` are final, `Unavailable` may be tried again after reading.
    async fn put_record(
        &self,
        record: &DirectoryRecord,
        expected: Option<u64>,
        act: &Act,
    ) -> Result<u64, StoreError>;

    /// Removes a record. `Missing` when there is none, `Precondition` when its version is another than `expected`.
    /// Case: `a_directorys_record_is_removed_as_it_was_read`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; `Unavailable` may be tried again after reading.
    async fn remove_record(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        id: &str,
        expected: u64,
        act: &Act,
    ) -> Result<(), StoreError>;

    /// The record of this key. Case: `a_directorys_record_is_found_by_each_of_its_keys`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a later try may succeed.
    async fn record(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        key: DirectoryKey<'_>,
    ) -> Result<Option<DirectoryRecord>, StoreError>;

    /// The directory's records of a kind by ascending id, those after `after`, at most `limit`. Case:
    /// `a_directorys_records_page_by_ascending_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a later try may succeed.
    async fn records(
        &self,
        directory: &DirectoryId,
        kind: DirectoryKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecord>, StoreError>;
}
