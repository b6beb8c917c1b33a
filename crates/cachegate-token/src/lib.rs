#![doc = include_str!("../README.md")]

mod base62;
mod brand;
mod check;
mod credential;
mod digest;
mod opaque;

pub use brand::{Brand, BrandError};
pub use check::{Checked, check, jwt_pattern, pattern};
pub use credential::{Ambiguity, Credential, CredentialError, JwtText};
pub use digest::{DigestKey, DigestScheme, Digester, DigesterError, TokenDigest};
pub use opaque::{OpaqueError, OpaqueKind, OpaqueToken};
