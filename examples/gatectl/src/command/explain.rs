//! `explain`.

use cachegate_client::Explained;

use crate::cli::Explain;
use crate::context::Context;
use crate::failure::{Failed, Status};
use crate::show::{GREEN, RED, harmless, harmless_lines, moment, pairs, print, print_json, styled};

pub(super) async fn explain(context: &Context, explain: Explain) -> Result<(), Failed> {
    let server = context.server().await?;
    if let Some(id) = explain.decision {
        let refusal = server.decision(id).await?;
        if context.global.json {
            return print_json(&refusal);
        }
        // An administrator is told the whole of it, line by line.
        let why = harmless_lines(refusal.explanation.trim_end()).replace('\n', "\n         ");
        return print(&pairs(&[
            ("refused", format!("{} UTC", moment(refusal.at))),
            ("who", harmless(&refusal.principal.to_string())),
            ("wanted", harmless(&refusal.action)),
            ("why", why),
        ]));
    }
    let (Some(action), Some(workspace)) = (explain.action, explain.workspace) else {
        return Err(Failed::usage(
            "there is nothing to explain",
            "name a decision, or `--action ACTION --workspace WORKSPACE`",
        ));
    };
    let workspace = server.workspace(&workspace).await?;
    let explained =
        server.explain(action, workspace.id, explain.key.as_deref(), explain.version.as_deref()).await?;
    if context.global.json {
        print_json(&explained)?;
    } else {
        print(&match &explained {
            Explained::Allow { reads, writes } => {
                let mut lines = vec![("answer", styled(GREEN, "allowed"))];
                lines.extend((!reads.is_empty()).then(|| ("reads", harmless(&reads.join(", ")))));
                lines.extend(writes.as_deref().map(|lane| ("writes", harmless(lane))));
                pairs(&lines)
            }
            Explained::Deny { explanation, .. } => {
                pairs(&[("answer", styled(RED, "denied")), ("why", harmless(explanation))])
            }
        })?;
    }
    match explained {
        Explained::Allow { .. } => Ok(()),
        Explained::Deny { .. } => Err(Failed::new(Status::Refused, "denied", "", "")),
    }
}
