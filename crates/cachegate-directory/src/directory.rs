//! The one trait that every directory acts through.

use async_trait::async_trait;
use cachegate::{Departure, Gate, ManageError, Source};
use cachegate_storage::StoreError;
use cachegate_types::{GroupId, Name, OrganizationId, Role, Timestamp, UserId};

/// What a directory says of one organization. All directories act through it: SCIM, GitHub, the plain API, and those
/// that an embedder adds.
///
/// Each act is done whole or not at all, and doing it twice is doing it once: what arrives doubled does no harm. Order
/// is the caller's: what is said last counts.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The person belongs to the organization. Whoever is a member already keeps their role; the answer is whether they
    /// were none. Tokens of a former time stay dead.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    async fn join(&self, person: UserId, role: Role, now: Timestamp) -> Result<bool, DirectoryError>;

    /// What it would do if the person left now. Nothing changes.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    async fn departure(&self, person: UserId, now: Timestamp) -> Result<Departure, DirectoryError>;

    /// The person has left. Their tokens are refused here from the next request on; their other organizations stay.
    /// Whoever is no member stays none.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]; the last owner does not leave by what a directory says.
    async fn leave(&self, person: UserId, now: Timestamp) -> Result<Departure, DirectoryError>;

    /// Adds a group, or replaces it whole. Whoever it lists gets something from it while they are a member.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    async fn keep_group(
        &self,
        group: Option<GroupId>,
        name: Name,
        members: Vec<UserId>,
        now: Timestamp,
    ) -> Result<GroupId, DirectoryError>;

    /// Removes a group; one that is not there stays away.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    async fn drop_group(&self, group: GroupId, now: Timestamp) -> Result<(), DirectoryError>;
}

/// Why something that a directory said was not done. Nothing was changed then, except where the store did not answer:
/// say it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The gate refused it, or could not do it.
    #[error(transparent)]
    Gate(#[from] ManageError),
}

impl DirectoryError {
    /// Whether nothing could be decided: a later try may succeed.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Gate(ManageError::Unavailable(_) | ManageError::Randomness))
    }
}

impl From<StoreError> for DirectoryError {
    fn from(error: StoreError) -> Self {
        Self::Gate(error.into())
    }
}

/// An organization of a gate, as somebody speaks of who belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Roster<'a> {
    gate: &'a Gate,
    organization: OrganizationId,
    source: Source<'a>,
}

impl<'a> Roster<'a> {
    /// What `source` says of the organization.
    pub const fn new(gate: &'a Gate, organization: OrganizationId, source: Source<'a>) -> Self {
        Self { gate, organization, source }
    }
}

#[async_trait]
impl Directory for Roster<'_> {
    async fn join(&self, person: UserId, role: Role, now: Timestamp) -> Result<bool, DirectoryError> {
        Ok(self.gate.join(&self.source, self.organization, person, role, now).await?)
    }

    async fn departure(&self, person: UserId, now: Timestamp) -> Result<Departure, DirectoryError> {
        Ok(self.gate.departure(&self.source, self.organization, person, now).await?)
    }

    async fn leave(&self, person: UserId, now: Timestamp) -> Result<Departure, DirectoryError> {
        Ok(self.gate.leave(&self.source, self.organization, person, now).await?)
    }

    async fn keep_group(
        &self,
        group: Option<GroupId>,
        name: Name,
        members: Vec<UserId>,
        now: Timestamp,
    ) -> Result<GroupId, DirectoryError> {
        Ok(self.gate.keep_group(&self.source, self.organization, group, name, members, now).await?)
    }

    async fn drop_group(&self, group: GroupId, now: Timestamp) -> Result<(), DirectoryError> {
        Ok(self.gate.drop_group(&self.source, self.organization, group, now).await?)
    }
}
