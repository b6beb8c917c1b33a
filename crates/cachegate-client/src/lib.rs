#![doc = include_str!("../README.md")]

mod ambient;
mod file;
mod host;
mod netrc;
mod server;
mod store;

pub use ambient::{
    AmbientError, AmbientProblem, Environment, IdentityToken, Platform, Run, RunError, RunOutput,
    Surroundings, ambient_token,
};
pub use file::{FileError, edit_document};
pub use host::{Host, HostError, Origin, OriginError};
pub use netrc::{
    Finding, LOGIN, Netrc, NetrcChange, NetrcEditError, NetrcError, NetrcFile, NetrcLogin, NetrcParseError,
    Problem, Replace,
};
pub use server::{
    DeviceAccess, DeviceLogin, DevicePoll, Explained, Failure, IssuedToken, OrganizationRecord, PersonRecord,
    PrincipalRecord, RefusalRecord, ReleaseReference, ReleaseReferenceError, ResolvedRelease,
    RestrictionRecord, RevokedRecord, Server, ServerError, TokenOrder, TokenQuery, TokenRecord, WhoAmI,
    WorkspaceRecord,
};
#[cfg(feature = "keyring")]
pub use store::KeyringTokens;
pub use store::{BoundToken, FileTokens, TokenStore, TokenStoreError};
