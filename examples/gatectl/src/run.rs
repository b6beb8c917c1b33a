//! Runs the command-line tools of platforms.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use cachegate_client::{Run, RunError, RunOutput};
use cachegate_types::SecretText;
use tokio::process::Command;

/// How long a tool may take. Each asks one server one thing.
const LONGEST: Duration = Duration::from_secs(30);

/// A child process, ended with the wait for it.
#[derive(Debug)]
pub(crate) struct Processes;

#[async_trait]
impl Run for Processes {
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<RunOutput, RunError> {
        let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(LONGEST, child).await;
        let output = output.map_err(|_| RunError { detail: "it took longer than 30 seconds".to_owned() })?;
        let output = output.map_err(|error| RunError { detail: error.to_string() })?;
        let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => SecretText::new(text),
            // No token is such a text; what a person may read of it is enough.
            Err(error) => SecretText::new(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        };
        Ok(RunOutput {
            success: output.status.success(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        })
    }
}
