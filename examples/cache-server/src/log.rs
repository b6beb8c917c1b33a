//! The decision log: refusals and writes, one line each, on standard error.

use std::sync::Mutex;

use cachegate::{DecisionEvent, DecisionSink, NotRecorded};

/// Writes a line for each refusal and each allowed change. Holds no secret: a token is named by its id.
#[derive(Debug, Default)]
pub struct LogSink {
    // Lines of two threads are not mixed.
    line: Mutex<()>,
}

impl DecisionSink for LogSink {
    fn record(&self, event: DecisionEvent) -> Result<(), NotRecorded> {
        if event.code == "allowed" && !event.action.changes_something() {
            return Ok(());
        }
        let _guard = self.line.lock();
        eprintln!("{}", line(&event));
        Ok(())
    }
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
    format!("{} {} {} {resource} by {who}{token}", event.at, event.code, event.action)
}
