//! One JSON document, mode 0600, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::path::PathBuf;

use cachegate_types::{SecretText, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{BoundToken, TokenStore, TokenStoreError};
use crate::Origin;
use crate::file::{self, FileError, Held};

/// The version of the form that is written.
const VERSION: u64 = 1;

/// Tokens in a file that its owner alone can reach.
///
/// A file that others can reach is not read. Two programs that write at once lose nothing, and a program that dies
/// leaves the old file or the new.
#[derive(Clone, Debug)]
pub struct FileTokens {
    path: PathBuf,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u64,
    tokens: BTreeMap<String, Record>,
}

/// What is kept of a token, here and in a keyring.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    token: Plain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Plain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// A secret on its way to or from its one file.
struct Plain(SecretText);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretText::new(text)))
    }
}

impl Record {
    pub(super) fn of(token: &BoundToken) -> Self {
        Self {
            token: Plain(token.token.clone()),
            refresh_token: token.refresh.clone().map(Plain),
            expires_at: token.expires_at,
        }
    }

    /// As many bytes as its text can have, or more.
    fn length(&self) -> usize {
        let length = |plain: &Plain| 2 * plain.0.expose_secret().len() + 200;
        length(&self.token) + self.refresh_token.as_ref().map_or(0, length)
    }

    pub(super) fn bind(self, origin: &Origin) -> BoundToken {
        BoundToken {
            origin: origin.clone(),
            token: self.token.0,
            refresh: self.refresh_token.map(|plain| plain.0),
            expires_at: self.expires_at,
        }
    }
}

impl FileTokens {
    /// Keeps tokens in this file; it and its folder are made when the first is kept.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The servers for which there is a token.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::token`].
    pub fn origins(&self) -> Result<Vec<Origin>, TokenStoreError> {
        let document = self.read(file::read(&self.path)?.as_ref())?;
        Ok(document.tokens.keys().filter_map(|origin| origin.parse().ok()).collect())
    }

    fn read(&self, held: Option<&Held>) -> Result<Document, TokenStoreError> {
        let Some(held) = held else { return Ok(Document { version: VERSION, tokens: BTreeMap::new() }) };
        if let Some(mode) = held.mode().filter(|mode| mode & 0o077 != 0) {
            return Err(TokenStoreError::WideMode { path: self.path.display().to_string(), mode });
        }
        read_versioned(&held.text, || self.place())
    }

    fn change<T>(&self, change: impl Fn(&mut Document) -> (bool, T)) -> Result<T, TokenStoreError> {
        let mut answer = None;
        file::replace(&self.path, |held| {
            let mut document = self.read(held)?;
            let (changed, value) = change(&mut document);
            answer = Some(value);
            Ok::<_, TokenStoreError>(changed.then(|| document.to_text()).flatten())
        })?;
        answer.ok_or_else(|| FileError::Unsteady { path: self.path.clone() }.into())
    }

    fn place(&self) -> String {
        format!("`{}`", self.path.display())
    }
}

impl Document {
    fn to_text(&self) -> Option<Zeroizing<Vec<u8>>> {
        // Never grown: what is left behind by growing would not be wiped.
        let size: usize = self.tokens.iter().map(|(origin, record)| origin.len() + record.length()).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(size + 200));
        serde_json::to_writer_pretty(&mut *text, self).ok()?;
        text.push(b'\n');
        Some(text)
    }
}

/// Reads what carries its version beside it.
fn read_versioned<T: DeserializeOwned>(
    text: &[u8],
    place: impl Fn() -> String,
) -> Result<T, TokenStoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    // What the JSON reader says of a value quotes it: its place is told, its words are not.
    let malformed = |error: serde_json::Error| TokenStoreError::Malformed {
        place: place(),
        line: error.line(),
        column: error.column(),
    };
    let Versioned { version } = serde_json::from_slice(text).map_err(malformed)?;
    if version != VERSION {
        return Err(TokenStoreError::Version { place: place(), found: version });
    }
    serde_json::from_slice(text).map_err(malformed)
}

/// An entry of a keyring: one token.
#[cfg(feature = "keyring")]
#[derive(Serialize, Deserialize)]
struct Single<R> {
    version: u64,
    token: R,
}

#[cfg(feature = "keyring")]
pub(super) fn read_entry(text: &[u8], place: impl Fn() -> String) -> Result<Record, TokenStoreError> {
    read_versioned(text, place).map(|single: Single<Record>| single.token)
}

#[cfg(feature = "keyring")]
pub(super) fn write_entry(record: &Record) -> Result<Zeroizing<Vec<u8>>, TokenStoreError> {
    let mut text = Zeroizing::new(Vec::with_capacity(record.length()));
    let single = Single { version: VERSION, token: record };
    serde_json::to_writer(&mut *text, &single).map_err(|_| TokenStoreError::Keyring {
        action: "keep an entry",
        detail: "the token cannot be written down".to_owned(),
    })?;
    Ok(text)
}

impl TokenStore for FileTokens {
    fn token(&self, origin: &Origin) -> Result<Option<BoundToken>, TokenStoreError> {
        let mut document = self.read(file::read(&self.path)?.as_ref())?;
        Ok(document.tokens.remove(origin.as_str()).map(|record| record.bind(origin)))
    }

    fn put(&self, token: &BoundToken) -> Result<(), TokenStoreError> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(|source| FileError::Io {
                action: "create",
                path: folder.to_owned(),
                source,
            })?;
        }
        self.change(|document| {
            document.tokens.insert(token.origin.as_str().to_owned(), Record::of(token));
            (true, ())
        })
    }

    fn remove(&self, origin: &Origin) -> Result<bool, TokenStoreError> {
        if file::read(&self.path)?.is_none() {
            return Ok(false);
        }
        self.change(|document| {
            let held = document.tokens.remove(origin.as_str()).is_some();
            (held, held)
        })
    }
}
