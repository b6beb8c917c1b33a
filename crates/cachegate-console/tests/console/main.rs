//! The console, driven in process.

mod boundaries;
mod forms;
mod lives;
mod people;
mod rules;
mod scale;
mod secrets;
mod support;
mod text;
mod tokens;
mod workspaces;
