//! The log: refusals, writes and what went wrong, one line each, on standard error.

use cachegate::{DecisionEvent, DecisionSink, NotRecorded};

/// Writes a line for each refusal and each allowed change. Holds no secret: a token is named by its id.
#[derive(Debug, Default)]
pub struct LogSink;

impl DecisionSink for LogSink {
    fn record(&self, event: DecisionEvent) -> Result<(), NotRecorded> {
        if event.code == "allowed" && !event.action.changes_something() {
            return Ok(());
        }
        note(&line(&event));
        Ok(())
    }
}

/// Writes one line with the time before it.
#[expect(clippy::print_stderr, reason = "standard error is where a server's log goes")]
pub(crate) fn note(text: &str) {
    eprintln!("{} {text}", crate::now());
}

fn line(event: &DecisionEvent) -> String {
    let who = event.principal.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let token = event.token.map(|id| format!(" token={id}")).unwrap_or_default();
    let resource = match &event.resource {
        cachegate_types::Resource::Entry { workspace, key, .. } => {
            format!("entry {key} of workspace {workspace}")
        }
        other => format!("{other:?}"),
    };
    format!("{} {} {resource} by {who}{token}", event.code, event.action)
}
