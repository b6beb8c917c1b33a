//! `verdict`: requests on standard input, answers on standard output, one a line. See the README.

#![expect(clippy::print_stderr, reason = "a program speaks to a terminal")]

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        eprintln!("usage: verdict < REQUESTS > ANSWERS; one JSON object a line, see the README");
        return ExitCode::from(2);
    }
    match verdict::serve(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verdict: {error}");
            ExitCode::FAILURE
        }
    }
}
