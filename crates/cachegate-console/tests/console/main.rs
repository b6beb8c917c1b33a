//! The console, driven in process.

mod forms;
mod support;
mod tokens;
