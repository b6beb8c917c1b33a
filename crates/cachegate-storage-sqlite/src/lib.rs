#![doc = include_str!("../README.md")]

mod open;
mod row;
mod schema;
mod storage;
mod worker;

pub use open::{OpenError, SqliteStorage};
