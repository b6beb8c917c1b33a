//! `scan`: tokens in files that are committed, by the published expression and its checksum.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cachegate_token::{Brand, Checked, OpaqueToken, check, jwt_pattern, pattern};
use regex::bytes::Regex;
use serde::Serialize;

use crate::cli::Scan;
use crate::context::Context;
use crate::failure::{Failed, Status};
use crate::show::{GREEN, bar, count, harmless, note, print, print_json, styled, table};

/// The largest file that is read: configuration is smaller, and what is larger is data.
const LARGEST: u64 = 8 << 20;

/// Folders that hold what others wrote, where nothing says which files are committed.
const SKIPPED: [&str; 4] = [".git", "node_modules", "target", ".direnv"];

/// A token that was found. Its text is shown nowhere.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) column: usize,
    /// Such as `ci`, `personal`, `jwt`; `nx-cloud` for a token of another service in nx.json.
    pub(super) kind: &'static str,
    /// The public id, by which it is revoked.
    pub(super) id: Option<String>,
    #[serde(skip)]
    pub(super) text: String,
}

/// The expressions, made once.
pub(super) struct Patterns {
    opaque: Regex,
    jwt: Regex,
    nx: Regex,
}

impl Patterns {
    pub(super) fn new() -> Result<Self, Failed> {
        let brand = Brand::default();
        let made = |pattern: &str| {
            Regex::new(pattern).map_err(|error| {
                Failed::new(Status::Refused, "pattern", error.to_string(), "tell the maintainers")
            })
        };
        Ok(Self {
            opaque: made(&pattern(&brand))?,
            jwt: made(&jwt_pattern(&brand))?,
            nx: made(r#""nxCloudAccessToken"\s*:\s*"([^"\\]+)""#)?,
        })
    }

    /// Every token in these bytes, in order.
    pub(super) fn find(&self, file: &Path, bytes: &[u8]) -> Vec<Found> {
        let brand = Brand::default();
        let mut found: Vec<(usize, &'static str, Option<String>, String)> = Vec::new();
        for matched in self.opaque.find_iter(bytes) {
            let text = String::from_utf8_lossy(matched.as_bytes()).into_owned();
            // One chance text in four thousand million passes the checksum; a placeholder does not.
            if check(&text, &brand) == Checked::Valid
                && let Ok(token) = OpaqueToken::parse(&text, &brand)
            {
                found.push((matched.start(), token.kind().as_str(), Some(token.id().to_string()), text));
            }
        }
        for matched in self.jwt.find_iter(bytes) {
            found.push((
                matched.start(),
                "jwt",
                None,
                String::from_utf8_lossy(matched.as_bytes()).into_owned(),
            ));
        }
        for captures in self.nx.captures_iter(bytes) {
            let Some(value) = captures.get(1) else { continue };
            if found.iter().all(|(start, ..)| *start != value.start()) {
                found.push((
                    value.start(),
                    "nx-cloud",
                    None,
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                ));
            }
        }
        found.sort();
        let place = |start: usize| {
            let before = bytes.get(..start).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            (line, column)
        };
        let found = found.into_iter().map(|(start, kind, id, text)| {
            let (line, column) = place(start);
            Found { file: file.to_owned(), line, column, kind, id, text }
        });
        found.collect()
    }
}

pub(super) fn scan(context: &Context, scan: &Scan) -> Result<(), Failed> {
    let patterns = Patterns::new()?;
    let mut files = BTreeSet::new();
    for path in &scan.paths {
        let known = fs::symlink_metadata(path).map_err(|error| {
            Failed::usage(format!("`{}` could not be read: {error}", path.display()), "check its name")
        })?;
        match known.is_dir() {
            false => drop(files.insert(path.clone())),
            true => match tracked(path) {
                Some(tracked) => files.extend(tracked),
                None => walk(path, &mut files),
            },
        }
    }
    let (mut found, mut skipped) = (Vec::new(), 0_usize);
    let progress = bar(files.len(), "scanning");
    for file in &files {
        progress.inc(1);
        match fs::metadata(file) {
            Ok(known) if !known.is_file() => {}
            Ok(known) if known.len() > LARGEST => skipped += 1,
            // A file that was deleted and not yet committed so is no error.
            Err(_) => {}
            Ok(_) => match fs::read(file) {
                Ok(bytes) => found.extend(patterns.find(file, &bytes)),
                Err(error) => {
                    skipped += 1;
                    note(&format!("{}: not read: {error}", file.display()));
                }
            },
        }
    }
    progress.finish_and_clear();
    if context.global.json {
        print_json(&found)?;
    } else if found.is_empty() {
        print(&format!("{} in {}\n", styled(GREEN, "no tokens"), count(files.len(), "file")))?;
    } else {
        let row = |found: &Found| {
            let place = format!("{}:{}:{}", found.file.display(), found.line, found.column);
            let id = found.id.clone().unwrap_or_else(|| "-".to_owned());
            vec![harmless(&place), found.kind.to_owned(), id]
        };
        print(&table(&["WHERE", "KIND", "ID"], &found.iter().map(row).collect::<Vec<_>>()))?;
    }
    if skipped > 0 {
        note(&format!("{} not read: too large, or no permission", count(skipped, "file")));
    }
    if found.is_empty() {
        return Ok(());
    }
    let what = format!("{} in files that others may read", count(found.len(), "token"));
    Err(Failed::new(
        Status::Found,
        "tokens_found",
        what,
        "`gatectl convert FILE` takes one out; the history keeps it, so revoke it when its successor is in place",
    ))
}

/// What git tracks below this folder; `None` where there is no git, or no repository.
fn tracked(folder: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git").arg("-C").arg(folder).args(["ls-files", "-z"]).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let names = String::from_utf8(output.stdout).ok()?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    Some(names.map(|name| joined(folder, name)).collect())
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name();
        if kind.is_file() {
            files.insert(joined(folder, &name));
        } else if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            walk(&joined(folder, &name), files);
        }
    }
}

/// Without a `./` in front.
fn joined(folder: &Path, name: impl AsRef<Path>) -> PathBuf {
    if folder == Path::new(".") { name.as_ref().to_owned() } else { folder.join(name) }
}
