#![doc = include_str!("../README.md")]

mod app;
mod fields;
mod pages;
mod words;

pub use app::{Console, CountEntries};
pub use pages::forms;
