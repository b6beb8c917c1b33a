#![doc = include_str!("../README.md")]

mod accounts;
mod audit;
mod cell;
mod directories;
mod error;
mod fault;
mod members;
mod open;
mod pending;
mod places;
mod releases;
mod revisions;
mod schema;
mod single_use;
mod stable;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
mod transaction;
mod witness;
mod worker;

pub use error::OpenError;
pub use storage::{Options, SqliteStorage};
