#![doc = include_str!("../README.md")]

mod answer;
mod lines;
mod ops;
mod request;
mod words;

pub use answer::answer;
pub use lines::{MAX_LINE, serve};
pub use ops::names as ops;
