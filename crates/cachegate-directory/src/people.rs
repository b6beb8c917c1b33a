//! Who somebody is here whom a directory tells of: the same person as when they sign in.

use std::fmt;
use std::sync::Arc;

use cachegate::ManageError;
use cachegate_storage::{AccountRecord, Accounts, Act, Directories, Storage, StoreError, UserRecord};
use cachegate_types::{Description, Timestamp, UserId};
use ring::rand::{SecureRandom, SystemRandom};

use crate::DirectoryError;

/// Where people, their accounts and what directories told of them are kept: mostly three views of one store, the
/// gate's own.
#[derive(Clone)]
pub struct Stores {
    /// People and their places.
    pub storage: Arc<dyn Storage>,
    /// By which account somebody is known.
    pub accounts: Arc<dyn Accounts>,
    /// What directories told.
    pub directories: Arc<dyn Directories>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// The people of one issuer: whoever knows them by it, a login or a directory, knows the same people.
#[derive(Clone, Copy, Debug)]
pub struct People<'a> {
    stores: &'a Stores,
    issuer: &'a str,
}

impl<'a> People<'a> {
    /// The people of this issuer.
    pub const fn new(stores: &'a Stores, issuer: &'a str) -> Self {
        Self { stores, issuer }
    }

    /// Who this is here; `None`: nobody has seen them.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    pub async fn find(&self, subject: &str) -> Result<Option<UserId>, DirectoryError> {
        let account = self.stores.accounts.account(self.issuer, subject).await?;
        Ok(account.map(|account| account.user))
    }

    /// Who this is here, by the id that the issuer never gives to anyone else; somebody new, where nobody has seen them.
    /// The link comes first: of many who tell of somebody at once, a login among them, one decides who it is, and
    /// whatever is cut off after it is finished by the next.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    pub async fn person(
        &self,
        subject: &str,
        display: &Description,
        act: &Act,
        now: Timestamp,
    ) -> Result<UserId, DirectoryError> {
        let user = match self.find(subject).await? {
            Some(user) => user,
            None => self.link(subject, act, now).await?,
        };
        if self.stores.storage.user(user).await?.is_none() {
            let record = UserRecord { id: user, display: display.clone(), created_at: now };
            match self.stores.storage.create_user(&record, act).await {
                // Somebody else was first.
                Ok(()) | Err(StoreError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(user)
    }

    async fn link(&self, subject: &str, act: &Act, now: Timestamp) -> Result<UserId, DirectoryError> {
        let user = UserId::new(now, random()?);
        let record =
            AccountRecord { issuer: self.issuer.into(), subject: subject.into(), user, linked_at: now };
        match self.stores.accounts.link_account(&record, act).await {
            Ok(()) => Ok(user),
            Err(error @ StoreError::Exists { .. }) => self.find(subject).await?.ok_or_else(|| error.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What makes an id that nobody guesses.
pub(crate) fn random() -> Result<[u8; 10], DirectoryError> {
    let mut bytes = [0; 10];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ManageError::Randomness)?;
    Ok(bytes)
}
