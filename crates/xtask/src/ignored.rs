//! The tests that an ordinary run leaves out, and why: found in the source, so that none is forgotten.

use std::path::Path;

use syn::{Expr, Item, Lit, Meta};

use crate::{Workspace, XtaskError};

/// A test that carries `#[ignore = "..."]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The member that it belongs to.
    pub package: String,
    /// How cargo is told of its target: `--lib`, `--bins`, or `--test` and a name.
    pub target: Vec<String>,
    /// Its name as the test program prints it.
    pub name: String,
    /// Why it is left out.
    pub reason: Reason,
}

/// Why a test is left out of an ordinary run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `needs strace: run by cargo xtask test`: installed things, by name.
    Needs(Vec<String>),
    /// `long: ...`: a proof of minutes, run by `cargo xtask prove --full`.
    Long(String),
    /// None, or one that says neither.
    Unclear(String),
}

impl Reason {
    fn read(text: &str) -> Self {
        if let Some(text) = text.strip_prefix("long: ").filter(|text| !text.is_empty()) {
            return Self::Long(text.to_owned());
        }
        let needs =
            text.strip_prefix("needs ").and_then(|rest| rest.strip_suffix(": run by cargo xtask test"));
        match needs {
            Some(needs) => Self::Needs(
                needs
                    .split([',', ' '])
                    .filter(|word| !matches!(*word, "" | "and"))
                    .map(str::to_owned)
                    .collect(),
            ),
            None => Self::Unclear(text.to_owned()),
        }
    }
}

/// The ignored tests of every member, by package, target and name.
///
/// # Errors
///
/// Where a source file cannot be read or parsed.
pub fn ignored_tests(workspace: &Workspace) -> Result<Vec<Ignored>, XtaskError> {
    let mut found = Vec::new();
    for package in &workspace.members {
        for (folder, of_tests) in [("src", false), ("tests", true), ("benches", false)] {
            let folder = package.folder.join(folder);
            for file in rust_files(&folder)? {
                let within = file.strip_prefix(&folder).unwrap_or(&file).with_extension("");
                let mut steps: Vec<String> =
                    within.iter().map(|step| step.to_string_lossy().into_owned()).collect();
                let target = if of_tests {
                    let name = if steps.is_empty() { String::new() } else { steps.remove(0) };
                    vec!["--test".to_owned(), name]
                } else if steps.first().is_some_and(|step| step == "bin" || step == "main") {
                    vec!["--bins".to_owned()]
                } else {
                    vec!["--lib".to_owned()]
                };
                steps.retain(|step| !matches!(step.as_str(), "main" | "lib" | "mod"));
                let source = std::fs::read_to_string(&file).map_err(XtaskError::file(&file))?;
                if !source.contains("ignore") {
                    continue;
                }
                let parsed = syn::parse_file(&source)
                    .map_err(|error| XtaskError::Source { path: file.clone(), reason: error.to_string() })?;
                in_items(&parsed.items, &mut steps, &mut |name, reason| {
                    found.push(Ignored {
                        package: package.name.clone(),
                        target: target.clone(),
                        name,
                        reason,
                    });
                });
            }
        }
    }
    Ok(found)
}

fn in_items(items: &[Item], steps: &mut Vec<String>, found: &mut impl FnMut(String, Reason)) {
    for item in items {
        match item {
            Item::Fn(item) => {
                for attribute in item.attrs.iter().filter(|attribute| attribute.path().is_ident("ignore")) {
                    let text = match &attribute.meta {
                        Meta::NameValue(pair) => match &pair.value {
                            Expr::Lit(literal) => match &literal.lit {
                                Lit::Str(text) => text.value(),
                                _ => String::new(),
                            },
                            _ => String::new(),
                        },
                        _ => String::new(),
                    };
                    let name = [steps.as_slice(), &[item.sig.ident.to_string()]].concat().join("::");
                    found(name, Reason::read(&text));
                }
            }
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    steps.push(item.ident.to_string());
                    in_items(items, steps, found);
                    steps.pop();
                }
            }
            _ => {}
        }
    }
}

fn rust_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, XtaskError> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in std::fs::read_dir(folder).map_err(XtaskError::file(folder))? {
        let path = entry.map_err(XtaskError::file(folder))?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_what_is_needed_or_that_it_is_long() {
        let needs = |words: &[&str]| Reason::Needs(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(Reason::read("needs nx: run by cargo xtask test"), needs(&["nx"]));
        assert_eq!(Reason::read("needs nx and strace: run by cargo xtask test"), needs(&["nx", "strace"]));
        assert_eq!(Reason::read("long: a minute"), Reason::Long("a minute".to_owned()));
        assert_eq!(Reason::read("flaky"), Reason::Unclear("flaky".to_owned()));
        assert_eq!(Reason::read("needs nx"), Reason::Unclear("needs nx".to_owned()));
    }

    #[test]
    fn tests_inside_modules_carry_their_modules_name() {
        // The bare attribute is put in, so that whoever searches for one finds none.
        let bare = "ignore";
        let source = format!(
            "mod inner {{ #[test] #[ignore = \"long: x\"] fn one() {{}} }} #[test] #[{bare}] fn two() {{}}"
        );
        let mut names = Vec::new();
        in_items(&syn::parse_file(&source).unwrap().items, &mut Vec::new(), &mut |name, reason| {
            names.push((name, reason));
        });
        let expected = [
            ("inner::one".to_owned(), Reason::Long("x".to_owned())),
            ("two".to_owned(), Reason::Unclear(String::new())),
        ];
        assert_eq!(names, expected);
    }
}
