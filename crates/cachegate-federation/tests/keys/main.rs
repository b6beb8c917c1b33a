//! The keys of an anchor: when they are fetched, when they are not, and what they survive.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod discovery;
mod faults;
mod flights;
mod flood;
mod held;
mod site;
