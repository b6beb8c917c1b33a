#![doc = include_str!("../README.md")]

mod access;
mod algorithm;
mod backend;
mod base64url;
mod claims;
mod edwards;
mod error;
#[cfg(feature = "jsonwebtoken")]
mod interop;
mod json;
mod jws;
mod key;
mod key_set;
mod label;
mod signing;

pub use access::{
    AccessClaims, AccessKeys, AuthorizationDetail, MAX_ACCESS_TOKEN, MAX_ANCESTORS, sign_access_token,
    verify_access_token,
};
pub use algorithm::{Algorithm, UnsupportedAlgorithmError};
pub use claims::{CheckedClaims, ClaimList, ClaimValue, Claims, ClaimsCheck, ClaimsCheckError};
pub use error::{JwsError, Part};
#[cfg(feature = "jsonwebtoken")]
pub use interop::ring_provider;
pub use jws::{UnverifiedHeader, UnverifiedJws, VerifiedJws};
pub use key::{KeyError, KeyId, Thumbprint, VerifyingKey, to_jwks};
pub use key_set::{KeySet, KeySetError, KeyVerdict};
pub use label::{Label, LabelError, LabelFields, LabelKey, LabelKeyId};
pub use signing::{IssueError, SigningKey, SigningKeyError};
