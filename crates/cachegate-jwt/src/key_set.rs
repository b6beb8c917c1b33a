//! Key sets: read element by element, with a verdict for each.

use std::collections::BTreeMap;

use crate::json::{self, JsonError, Limits, Value};
use crate::{Algorithm, KeyError, KeyId, VerifyingKey};

/// The keys of one issuer (RFC 7517, section 5). Keys of two issuers are never in one set: a lookup by `kid` alone
/// must not cross issuers.
///
/// One bad key costs that key alone, never the set: an issuer that adds a kind of key which is not spoken here goes
/// on working.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    verdicts: Vec<KeyVerdict>,
}

/// What became of one element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVerdict {
    /// Its `kid`, where it has one that can be read.
    pub kid: Option<KeyId>,
    /// The algorithm that it verifies, or why it was not taken.
    pub result: Result<Algorithm, KeyError>,
}

/// Why a set is refused as a whole. The set before it stays in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// More than [`KeySet::MAX_BYTES`].
    #[error("a key set of {length} bytes is too large: at most {} are read", KeySet::MAX_BYTES)]
    TooLarge {
        /// The length found, in bytes.
        length: usize,
    },
    /// More than [`KeySet::MAX_KEYS`].
    #[error("a key set of {count} keys is too large: at most {} are read", KeySet::MAX_KEYS)]
    TooManyKeys {
        /// How many were found.
        count: usize,
    },
    /// Not one JSON object within the limits on depth and members.
    #[error("the key set is not one JSON object: byte {position}")]
    Malformed {
        /// Where, in bytes from the start.
        position: usize,
    },
    /// One member twice, at some depth.
    #[error("a member of the key set comes twice: byte {position}")]
    DuplicateMember {
        /// Where, in bytes from the start.
        position: usize,
    },
    /// `keys` is missing or not a list.
    #[error("the key set has no list named `keys`")]
    NoKeys,
}

impl KeySetError {
    /// A stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooManyKeys { .. } => "key_set_too_large",
            Self::Malformed { .. } => "key_set_malformed",
            Self::DuplicateMember { .. } => "duplicate_member",
            Self::NoKeys => "key_set_without_keys",
        }
    }
}

impl KeySet {
    /// The largest document that is read.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// The most keys that are read.
    pub const MAX_KEYS: usize = 64;

    /// Reads a set in which every RSA key names its algorithm.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] when the document as a whole cannot be read; a single bad key shows in
    /// [`KeySet::verdicts`] instead.
    pub fn from_jwks(bytes: &[u8]) -> Result<Self, KeySetError> {
        Self::from_jwks_for(bytes, &[])
    }

    /// Reads a set; an RSA key without `alg`, as many platforms publish them, takes the RSA algorithm among
    /// `allowed` if there is exactly one, and is refused otherwise. `allowed` is configuration, never a token's word.
    ///
    /// # Errors
    ///
    /// As [`KeySet::from_jwks`].
    pub fn from_jwks_for(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(KeySetError::TooLarge { length: bytes.len() });
        }
        let object = json::object(trim(bytes), Limits::KEY_SET).map_err(|error| match error {
            JsonError::Duplicate { position } => KeySetError::DuplicateMember { position },
            JsonError::Syntax { position }
            | JsonError::Encoding { position }
            | JsonError::Number { position }
            | JsonError::TooLarge { position } => KeySetError::Malformed { position },
        })?;
        let Some(Value::Array(elements)) = object.get("keys") else {
            return Err(KeySetError::NoKeys);
        };
        let count = elements.elements().count();
        if count > Self::MAX_KEYS {
            return Err(KeySetError::TooManyKeys { count });
        }
        // Every element counts, usable or not: a key that shares its name with a bad one is as ambiguous.
        let mut names = BTreeMap::<KeyId, usize>::new();
        let mut read = Vec::with_capacity(count);
        for element in elements.elements() {
            let Value::Object(element) = element else {
                read.push((None, Err(KeyError::Malformed { what: "it is not an object" })));
                continue;
            };
            let kid = match element.get("kid") {
                Some(Value::Text(kid)) => KeyId::new(kid.to_cow().as_bytes()).ok(),
                _ => None,
            };
            let result = VerifyingKey::from_object(element, allowed);
            // A key without a name goes by its thumbprint, which another may have taken for its name.
            let name = result.as_ref().ok().map(|key| key.kid().clone()).or_else(|| kid.clone());
            if let Some(name) = name {
                *names.entry(name).or_default() += 1;
            }
            read.push((kid, result));
        }
        let mut set = Self::default();
        for (kid, result) in read {
            let result = match result {
                Ok(key) if names.get(key.kid()).is_some_and(|count| *count > 1) => {
                    Err(KeyError::DuplicateKeyId)
                }
                Ok(key) => {
                    let algorithm = key.algorithm();
                    set.keys.push(key);
                    Ok(algorithm)
                }
                Err(error) => Err(error),
            };
            set.verdicts.push(KeyVerdict { kid, result });
        }
        Ok(set)
    }

    /// A set of keys that are already at hand. Where two share a name, neither is taken.
    pub fn from_keys(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut set = Self::default();
        for key in &keys {
            let doubled = keys.iter().filter(|other| other.kid() == key.kid()).count() > 1;
            let result = if doubled { Err(KeyError::DuplicateKeyId) } else { Ok(key.algorithm()) };
            set.verdicts.push(KeyVerdict { kid: Some(key.kid().clone()), result });
            if !doubled {
                set.keys.push(key.clone());
            }
        }
        set
    }

    /// What became of each element, in order.
    pub fn verdicts(&self) -> &[KeyVerdict] {
        &self.verdicts
    }

    /// The keys that were taken, in order.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The key of exactly this name.
    pub fn get(&self, kid: &[u8]) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid().as_bytes() == kid)
    }

    /// Whether no key was taken.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The only key of this algorithm; `None` when there are several or none.
    pub(crate) fn only(&self, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm() == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }
}

/// A document that was fetched may end in a line feed; a token may not.
fn trim(mut bytes: &[u8]) -> &[u8] {
    // RFC 8259, section 2: of what ASCII calls white space, the form feed is none of JSON's.
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = bytes {
        bytes = rest;
    }
    bytes
}
