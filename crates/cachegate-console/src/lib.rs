#![doc = include_str!("../README.md")]

mod app;
mod fields;
mod pages;
mod words;

pub use app::{Console, CountEntries, Counted};
pub use pages::forms;
