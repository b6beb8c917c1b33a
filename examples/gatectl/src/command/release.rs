//! `resolve` and `fetch`: a release's output, its source, an entry.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde_json::json;

use crate::cli::{FetchFile, Resolve};
use crate::context::Context;
use crate::failure::{Failed, Status};
use crate::show::{harmless, note, print, print_json, spinner};

pub(super) async fn resolve(context: &Context, resolve: &Resolve) -> Result<(), Failed> {
    let found = context.server().await?.resolve(&resolve.release, resolve.include_token).await?;
    let token = found.token.as_ref().map(|token| token.expose_secret());
    if context.global.json {
        let mut document = json!(found);
        if let (Some(token), Some(document)) = (token, document.as_object_mut()) {
            document.insert("token".to_owned(), token.into());
        }
        return print_json(&document);
    }
    print(&format!("{}\n", harmless(&found.store_path)))?;
    if let Some(token) = token {
        print(&format!("{token}\n"))?;
    }
    note(&format!("{} of version {}", harmless(&found.attribute_path), harmless(&found.version)));
    Ok(())
}

pub(super) async fn fetch(context: &Context, fetch: &FetchFile) -> Result<(), Failed> {
    if fetch.output.is_none() && io::stdout().is_terminal() {
        return Err(Failed::usage(
            "standard output is a terminal, and this is no text",
            "name a file with `-o`",
        ));
    }
    let server = context.server().await?;
    let waiting = spinner("fetching");
    let fetched = match (&fetch.release, &fetch.entry) {
        (_, Some(entry)) => server.file(&format!("/{}", entry.trim_start_matches('/'))).await,
        (Some(release), None) => server.source_archive(release).await,
        (None, None) => {
            return Err(Failed::usage("there is nothing to fetch", "name a release, or `--entry PATH`"));
        }
    };
    waiting.finish_and_clear();
    let bytes = fetched?;
    let Some(path) = &fetch.output else { return hand_out(&bytes) };
    keep(path, &bytes).map_err(|error| {
        let what = format!("`{}` could not be written: {error}", path.display());
        Failed::new(Status::Refused, "file", what, "check its folder, or name another file")
    })?;
    if context.global.json {
        return print_json(&json!({ "file": path.display().to_string(), "bytes": bytes.len() }));
    }
    note(&format!("wrote {} bytes to `{}`", bytes.len(), path.display()));
    Ok(())
}

fn hand_out(bytes: &[u8]) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
        let what = format!("standard output could not be written: {error}");
        Failed::new(Status::Refused, "stdout", what, "give it somewhere to go")
    })
}

/// Whole or not at all.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path)).inspect_err(|_| {
        // Nothing may be there to take away.
        let _ = std::fs::remove_file(&beside);
    })
}
