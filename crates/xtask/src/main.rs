//! `cargo xtask`: see the library's README.

#![expect(clippy::print_stderr, reason = "tasks speak to a terminal")]

use std::error::Error;
use std::process::ExitCode;

use xtask::{Task, XtaskError};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = Task::read(&arguments).and_then(|(task, options)| xtask::run(&task, &options));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}{}", cause(&error));
            ExitCode::FAILURE
        }
    }
}

fn cause(error: &XtaskError) -> String {
    error.source().map(|cause| format!(": {cause}")).unwrap_or_default()
}
