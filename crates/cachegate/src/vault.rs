//! Where private keys are kept: never in the storage's reach as plain bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cachegate_storage::{Storage, StoreError};
use cachegate_types::{SecretBytes, SecretKey};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// Keeps private keys under public ids.
#[async_trait]
pub trait KeyVault: Send + Sync + fmt::Debug {
    /// Keeps a key. An id is used once.
    ///
    /// # Errors
    ///
    /// [`VaultError`]; nothing was kept then.
    async fn put(&self, id: &str, key: &SecretKey) -> Result<(), VaultError>;

    /// The key of this id; `None` when the vault has none.
    ///
    /// # Errors
    ///
    /// [`VaultError`] when there may be one but it cannot be read.
    async fn key(&self, id: &str) -> Result<Option<SecretKey>, VaultError>;
}

/// Why a vault did not keep or give a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A file could not be used.
    #[error("cannot use the key file `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key file that others than its owner can read.
    #[error(
        "the key file `{path}` can be read by others (mode {mode:o}); set it to 600 and replace its keys"
    )]
    Readable {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// An id that is no id of a key.
    #[error("`{id}` is no id of a key")]
    Id {
        /// The id.
        id: String,
    },
    /// The id is taken.
    #[error("the vault holds a key `{id}` already")]
    Exists {
        /// The id.
        id: String,
    },
    /// A row that this sealing key does not open.
    #[error("the sealed key `{id}` does not open: another sealing key was used, or the row was changed")]
    Sealed {
        /// The id.
        id: String,
    },
    /// The store behind the vault failed.
    #[error("the store behind the vault failed")]
    Store {
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The machine gave no randomness.
    #[error("the machine gave no randomness")]
    Randomness,
}

/// Thumbprints and hexadecimal ids: nothing that a file system or a query could take for something else.
fn check_id(id: &str) -> Result<(), VaultError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&id.len()) && id.bytes().all(plain) {
        Ok(())
    } else {
        Err(VaultError::Id { id: id.chars().take(64).collect() })
    }
}

/// One file a key, mode 0600, in a folder of mode 0700 outside the database. The default of a single server.
#[derive(Debug)]
pub struct FileVault {
    folder: PathBuf,
}

impl FileVault {
    /// The longest key file that is read: a PKCS#8 document of the key types in use is shorter.
    const MAX_FILE: u32 = 8 * 1024;

    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// [`VaultError::File`] when it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        let error = |source| VaultError::File { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(error)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(error)?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, id: &str) -> Result<PathBuf, VaultError> {
        check_id(id)?;
        Ok(self.folder.join(format!("{id}.key")))
    }
}

#[async_trait]
impl KeyVault for FileVault {
    async fn put(&self, id: &str, key: &SecretKey) -> Result<(), VaultError> {
        let path = self.path(id)?;
        // Written aside and linked to its name once it is whole: half a key never stands there.
        let aside = path.with_extension("new");
        let error = |source| VaultError::File { path: path.clone(), source };
        match fs::remove_file(&aside) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(error(source)),
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let kept = options.open(&aside).and_then(|mut file| {
            file.write_all(key.expose_secret())?;
            file.sync_all()?;
            // A link, unlike a rename, never replaces what is there.
            fs::hard_link(&aside, &path)?;
            // The name itself survives a power loss too.
            #[cfg(unix)]
            File::open(&self.folder)?.sync_all()?;
            Ok(())
        });
        let _ = fs::remove_file(&aside);
        match kept {
            Ok(()) => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(VaultError::Exists { id: id.to_owned() })
            }
            Err(source) => Err(error(source)),
        }
    }

    async fn key(&self, id: &str) -> Result<Option<SecretKey>, VaultError> {
        let path = self.path(id)?;
        let error = |source| VaultError::File { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(error(source)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata().map_err(error)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(VaultError::Readable { path: path.clone(), mode });
            }
        }
        // The whole capacity at once: a list that grew would leave copies of the key behind.
        let mut bytes = Vec::with_capacity(usize::try_from(Self::MAX_FILE).unwrap_or_default() + 1);
        file.take(Self::MAX_FILE.into()).read_to_end(&mut bytes).map_err(error)?;
        Ok(Some(SecretKey::new(bytes)))
    }
}

/// Rows of the store, sealed with AES-256-GCM (NIST SP 800-38D) under a key that the store never sees. For several
/// nodes on one database.
pub struct SealedVault {
    storage: Arc<dyn Storage>,
    sealing: SecretBytes<32>,
}

impl fmt::Debug for SealedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedVault").finish_non_exhaustive()
    }
}

impl SealedVault {
    /// A vault over the store's sealed rows. The sealing key comes from a file or the environment.
    pub fn new(storage: Arc<dyn Storage>, sealing: SecretBytes<32>) -> Self {
        Self { storage, sealing }
    }

    fn cipher(&self) -> Result<LessSafeKey, VaultError> {
        UnboundKey::new(&AES_256_GCM, self.sealing.expose_secret())
            .map(LessSafeKey::new)
            .map_err(|_| VaultError::Randomness)
    }
}

#[async_trait]
impl KeyVault for SealedVault {
    async fn put(&self, id: &str, key: &SecretKey) -> Result<(), VaultError> {
        check_id(id)?;
        let mut nonce = [0; 12];
        SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::Randomness)?;
        let mut sealed = key.expose_secret().to_vec();
        // The id is authenticated with the key, so that two rows cannot be exchanged.
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id), &mut sealed)
            .map_err(|_| VaultError::Randomness)?;
        let row = [&nonce[..], &sealed].concat();
        match self.storage.put_sealed(id, &row).await {
            Ok(()) => Ok(()),
            Err(StoreError::Exists { .. }) => Err(VaultError::Exists { id: id.to_owned() }),
            Err(source) => Err(VaultError::Store { source }),
        }
    }

    async fn key(&self, id: &str) -> Result<Option<SecretKey>, VaultError> {
        check_id(id)?;
        let row = self.storage.sealed(id).await.map_err(|source| VaultError::Store { source })?;
        let Some(row) = row else { return Ok(None) };
        let error = || VaultError::Sealed { id: id.to_owned() };
        let (nonce, sealed) = row.split_first_chunk::<12>().ok_or_else(error)?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .cipher()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(id), &mut sealed)
            .map_err(|_| error())?
            .len();
        sealed.truncate(opened);
        Ok(Some(SecretKey::new(sealed)))
    }
}

/// Keys in memory, gone with the process. For tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryVault {
    keys: Mutex<BTreeMap<String, SecretKey>>,
}

#[async_trait]
impl KeyVault for MemoryVault {
    async fn put(&self, id: &str, key: &SecretKey) -> Result<(), VaultError> {
        check_id(id)?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.contains_key(id) {
            return Err(VaultError::Exists { id: id.to_owned() });
        }
        keys.insert(id.to_owned(), key.clone());
        Ok(())
    }

    async fn key(&self, id: &str) -> Result<Option<SecretKey>, VaultError> {
        check_id(id)?;
        Ok(self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }
}
