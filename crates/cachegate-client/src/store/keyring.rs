//! The keyring of the system, one entry a server.

use keyring_core::{Entry, Error};
use zeroize::Zeroizing;

use super::document::{Record, read_entry, write_entry};
use super::{BoundToken, TokenStore, TokenStoreError};
use crate::Origin;

/// Tokens in the keyring of the system.
///
/// Which keyring that is, the program says before the first use, by `keyring_core::set_default_store` with the store
/// of one of the `*-keyring-store` crates: each brings what its platform needs, on Linux a client for D-Bus. Without
/// one every method answers [`TokenStoreError::Keyring`], and [`FileTokens`](super::FileTokens) is at hand.
#[derive(Clone, Debug)]
pub struct KeyringTokens {
    service: String,
}

impl KeyringTokens {
    /// Keeps tokens under this name, such as that of the program; the entries below it are named after the servers.
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into() }
    }

    fn entry(&self, origin: &Origin) -> Result<Entry, TokenStoreError> {
        Entry::new(&self.service, origin.as_str()).map_err(|error| refused("open an entry", &error))
    }
}

impl TokenStore for KeyringTokens {
    fn token(&self, origin: &Origin) -> Result<Option<BoundToken>, TokenStoreError> {
        let text = match self.entry(origin)?.get_secret() {
            Ok(text) => Zeroizing::new(text),
            Err(Error::NoEntry) => return Ok(None),
            Err(error) => return Err(refused("read an entry", &error)),
        };
        let place = || format!("the keyring's entry for `{origin}`");
        read_entry(&text, place).map(|record| Some(record.bind(origin)))
    }

    fn put(&self, token: &BoundToken) -> Result<(), TokenStoreError> {
        let text = write_entry(&Record::of(token))?;
        self.entry(token.origin())?.set_secret(&text).map_err(|error| refused("keep an entry", &error))
    }

    fn remove(&self, origin: &Origin) -> Result<bool, TokenStoreError> {
        match self.entry(origin)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(refused("forget an entry", &error)),
        }
    }
}

/// Some of the keyring's errors hold what they could not read: those keep their words to themselves.
fn refused(action: &'static str, error: &Error) -> TokenStoreError {
    let detail = match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => {
            "what it holds is damaged".to_owned()
        }
        other => other.to_string(),
    };
    TokenStoreError::Keyring { action, detail }
}
