#![doc = include_str!("../README.md")]

mod file;
mod host;
mod netrc;

pub use file::FileError;
pub use host::{Host, HostError, Origin, OriginError};
pub use netrc::{
    Finding, LOGIN, Netrc, NetrcChange, NetrcEditError, NetrcError, NetrcFile, NetrcLogin, NetrcParseError,
    Problem, Replace,
};
