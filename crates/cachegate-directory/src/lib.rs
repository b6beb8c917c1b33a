#![doc = include_str!("../README.md")]

mod directory;
mod people;

pub use directory::{Directory, DirectoryError, Roster};
pub use people::{People, Stores};
