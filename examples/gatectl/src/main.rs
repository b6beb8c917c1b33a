//! The command line of cachegate: `gatectl --help`.

mod cli;
mod command;
mod context;
mod failure;
mod nix_conf;
mod run;
mod show;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::Failed;
use crate::show::{BOLD, RED, in_order, note, styled};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let as_json = global.json;
    let done = match Context::new(global) {
        Ok(context) => command::run(&context, command).await,
        Err(failed) => Err(failed),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            complain(&failed, as_json);
            failed.exit()
        }
    }
}

/// What happened and what to do, on standard error.
fn complain(failed: &Failed, as_json: bool) {
    if as_json && !failed.what.is_empty() {
        let error = json!({ "error": failed.code, "detail": failed.what, "advice": failed.advice });
        note(&in_order(error).to_string());
    } else if !failed.what.is_empty() {
        note(&format!("{} {}", styled(RED, "error:"), failed.what));
        if !failed.advice.is_empty() {
            note(&format!("{} {}", styled(BOLD, "help:"), failed.advice));
        }
    }
}
