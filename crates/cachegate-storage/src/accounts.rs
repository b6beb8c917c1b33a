//! Accounts: by which provider, and as whom there, a person signs in.

use std::sync::Arc;

use async_trait::async_trait;
use cachegate_types::{Timestamp, UserId};

use crate::{Act, StoreError};

/// One account at a provider, and the person whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The provider, by its issuer.
    pub issuer: Arc<str>,
    /// Who it is there, by an id that the provider never gives to anyone else: no name, no mail address.
    pub subject: Arc<str>,
    /// Who it is here.
    pub user: UserId,
    /// When it was first seen.
    pub linked_at: Timestamp,
}

/// The accounts of people. A store that people sign in to has it beside [`crate::Storage`].
///
/// It takes no revision: nobody holds an account. Whoever may do something is told by their memberships.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Links an account to a person, once and for ever. `Exists` when it is linked, to whomever. Case:
    /// `an_account_is_linked_once`. Of many who link it at once, one does. Case: `one_of_many_racing_links_counts`. Issuer
    /// and subject are two texts, compared byte for byte. Case: `issuers_and_subjects_are_told_apart`. Whether there is
    /// such a person is not asked. Its audit record is committed with it. Case: `a_link_leaves_one_record`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; `Exists` is final, `Unavailable` may be tried again after reading.
    async fn link_account(&self, record: &AccountRecord, act: &Act) -> Result<(), StoreError>;

    /// The account of this subject at this issuer. Cases: `an_account_is_linked_once`,
    /// `issuers_and_subjects_are_told_apart`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a later try may succeed.
    async fn account(&self, issuer: &str, subject: &str) -> Result<Option<AccountRecord>, StoreError>;

    /// Every account of the person, by ascending issuer and subject. Case: `a_persons_accounts_are_listed`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a later try may succeed.
    async fn accounts_of(&self, user: UserId) -> Result<Vec<AccountRecord>, StoreError>;
}
