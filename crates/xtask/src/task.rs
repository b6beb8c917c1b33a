//! The tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

use crate::fuzz::fuzz;
use crate::ignored::{Ignored, Reason};
use crate::provide::{Provided, Provider, cargo_deny};
use crate::workspace::cargo;
use crate::{Fuzz, Outcome, Report, Workspace, XtaskError, ignored_tests, listing};

/// Features that put one implementation in the place of another: the rest is tested together, these on their own.
const ALTERNATIVES: [&str; 1] = ["aws-lc-rs"];

/// Features whose dependencies take minutes to build: checked with the longer proofs.
const SLOW: [&str; 1] = ["peers"];

/// The steps of `test`, in order.
const STEPS: [&str; 8] = ["fetch", "fmt", "clippy", "doc", "deny", "test", "alternatives", "installed"];

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Everything that a change must pass.
    Test,
    /// The longer proofs: those whose name holds one of the words, or all.
    Prove {
        /// Whether to run them; else they are listed.
        full: bool,
        /// Words that names must hold.
        words: Vec<String>,
    },
    /// Runs the fuzz targets.
    Fuzz(Fuzz),
    /// Compares the public APIs with their listings, or writes these.
    PublicApi {
        /// Whether to write.
        bless: bool,
    },
}

/// How to do it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether a step or a test that could not run is a failure.
    pub strict: bool,
    /// The steps to run alone; all where empty.
    pub only: BTreeSet<String>,
}

/// Carries out a task, and says whether all is well.
///
/// # Errors
///
/// Where it cannot be carried out at all; a step that fails is no error.
pub fn run(task: &Task, options: &Options) -> Result<bool, XtaskError> {
    let workspace = Workspace::read()?;
    let mut report = Report::default();
    match task {
        Task::Test => test(&workspace, options, &mut report)?,
        Task::Prove { full, words } => {
            let ignored = ignored_tests(&workspace)?;
            let long: Vec<(&Ignored, &str)> = ignored
                .iter()
                .filter_map(|test| match &test.reason {
                    Reason::Long(why) => Some((test, why.as_str())),
                    Reason::Needs(_) | Reason::Unclear(_) => None,
                })
                .filter(|(test, _)| words.is_empty() || words.iter().any(|word| test.name.contains(word)))
                .collect();
            if !full {
                for (test, why) in &long {
                    println!("{} {} {}: {why}", test.package, test.target.join(" "), test.name);
                }
                println!("{} proofs; `cargo xtask prove --full` runs them", long.len());
                return Ok(true);
            }
            let tests: Vec<&Ignored> = long.into_iter().map(|(test, _)| test).collect();
            run_ignored(&workspace, &tests, &[], &mut report)?;
            if words.is_empty() {
                with_features(&workspace, &ALTERNATIVES, &mut report)?;
                with_features(&workspace, &SLOW, &mut report)?;
            }
        }
        Task::Fuzz(wanted) => return fuzz(&workspace, wanted),
        Task::PublicApi { bless } => return public_api(&workspace, *bless),
    }
    let out = std::io::stdout();
    report.close(&mut out.lock(), options.strict).map_err(XtaskError::file("stdout"))
}

fn test(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<(), XtaskError> {
    for step in STEPS {
        if !options.only.is_empty() && !options.only.contains(step) {
            report.leave_out(step, "not asked for", true);
            continue;
        }
        match step {
            "fetch" => {
                report.command("cargo fetch --locked", cargo_in(workspace).args(["fetch", "--locked"]))?;
            }
            "fmt" => {
                report.command(
                    "cargo fmt --all --check",
                    cargo_in(workspace).args(["fmt", "--all", "--check"]),
                )?;
            }
            "clippy" => report.command(
                "cargo clippy, all targets, no warning",
                cargo_in(workspace)
                    .args(["clippy", "--workspace", "--all-targets"])
                    .args(features(workspace))
                    .args(["--", "-D", "warnings"]),
            )?,
            "doc" => report.command(
                "cargo doc, no warning",
                cargo_in(workspace)
                    .env("RUSTDOCFLAGS", "-D warnings")
                    .args(["doc", "--workspace", "--no-deps"])
                    .args(features(workspace)),
            )?,
            "deny" => deny(workspace, report)?,
            "test" => report.tests(
                "cargo test --workspace",
                cargo_in(workspace).args(["test", "--workspace", "--no-fail-fast"]).args(features(workspace)),
                None,
            )?,
            "alternatives" => with_features(workspace, &ALTERNATIVES, report)?,
            _ => installed(workspace, report)?,
        }
    }
    for feature in SLOW {
        let what = format!("the feature `{feature}`");
        report.leave_out(what, "`cargo xtask prove --full` lints and tests it", true);
    }
    Ok(())
}

fn deny(workspace: &Workspace, report: &mut Report) -> Result<(), XtaskError> {
    match cargo_deny(workspace)? {
        Some(program) => report.command(
            "cargo deny check bans licenses sources",
            Command::new(program).current_dir(&workspace.root).args([
                "--all-features",
                "check",
                "--hide-inclusion-graph",
                "bans",
                "licenses",
                "sources",
            ]),
        ),
        None => {
            report.leave_out("cargo deny", "not installed, and `cargo install` was not possible", false);
            Ok(())
        }
    }
}

/// The lints and tests of the members that have one of these features, with all of theirs.
fn with_features(workspace: &Workspace, wanted: &[&str], report: &mut Report) -> Result<(), XtaskError> {
    for feature in wanted {
        let mut packages = Vec::new();
        let mut names = Vec::new();
        for package in workspace.members.iter().filter(|package| package.features.contains_key(*feature)) {
            packages.extend(["--package", &package.name]);
            names.push(package.name.as_str());
        }
        if names.is_empty() {
            continue;
        }
        let what = format!("--all-features, for {feature} in {}", names.join(", "));
        report.command(
            &format!("cargo clippy {what}"),
            cargo_in(workspace)
                .args(["clippy", "--all-targets", "--all-features"])
                .args(&packages)
                .args(["--", "-D", "warnings"]),
        )?;
        report.tests(
            &format!("cargo test {what}"),
            cargo_in(workspace).args(["test", "--no-fail-fast", "--all-features"]).args(&packages),
            None,
        )?;
    }
    Ok(())
}

/// The tests that need something installed; what cannot be had is left out.
fn installed(workspace: &Workspace, report: &mut Report) -> Result<(), XtaskError> {
    let ignored = ignored_tests(workspace)?;
    let mut by_needs: BTreeMap<&[String], Vec<&Ignored>> = BTreeMap::new();
    let mut long = 0_usize;
    for test in &ignored {
        match &test.reason {
            Reason::Needs(needs) => by_needs.entry(needs).or_default().push(test),
            Reason::Long(_) => long += 1,
            Reason::Unclear(why) => {
                report.leave_out(
                    format!("{} {}", test.package, test.name),
                    format!("ignored: `{why}`"),
                    false,
                );
            }
        }
    }
    let mut provider = Provider::default();
    for (needs, tests) in by_needs {
        let (mut variables, mut missing) = (Vec::new(), Vec::new());
        for need in needs {
            match provider.provide(need, workspace)? {
                Provided::Ready(more) => variables.extend(more),
                Provided::Missing(why) => missing.push(format!("{need}: {why}")),
            }
        }
        if missing.is_empty() {
            run_ignored(workspace, &tests, &variables, report)?;
        } else {
            let what = format!("{} tests that need {}", tests.len(), needs.join(" and "));
            report.leave_out(what, missing.join("; "), false);
        }
    }
    if long > 0 {
        report.leave_out(format!("{long} longer proofs"), "`cargo xtask prove --full` runs them", true);
    }
    Ok(())
}

/// Runs these tests by name, target by target, in the build that `cargo test --workspace` made.
fn run_ignored(
    workspace: &Workspace,
    tests: &[&Ignored],
    variables: &[(&'static str, OsString)],
    report: &mut Report,
) -> Result<(), XtaskError> {
    let mut by_target: BTreeMap<&[String], Vec<&Ignored>> = BTreeMap::new();
    for test in tests {
        by_target.entry(&test.target).or_default().push(test);
    }
    for (target, tests) in by_target {
        let mut command = cargo_in(workspace);
        command.args(["test", "--workspace", "--no-fail-fast"]).args(features(workspace)).args(target);
        command.args(["--", "--ignored", "--exact"]).envs(variables.iter().cloned());
        let names: BTreeSet<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        command.args(names);
        let packages: BTreeSet<&str> = tests.iter().map(|test| test.package.as_str()).collect();
        let packages = packages.into_iter().collect::<Vec<_>>().join(", ");
        let name = match tests.first().map(|test| &test.reason) {
            Some(Reason::Needs(needs)) => {
                format!("with {}: {packages} {}", needs.join(" and "), target.join(" "))
            }
            _ => format!("long: {packages} {}", target.join(" ")),
        };
        report.tests(&name, &mut command, Some(u64::try_from(tests.len()).unwrap_or(u64::MAX)))?;
    }
    Ok(())
}

fn public_api(workspace: &Workspace, bless: bool) -> Result<bool, XtaskError> {
    let started = Instant::now();
    let mut report = Report::default();
    let mut well = true;
    for (package, library) in workspace.libraries() {
        let text = listing(&package.name, library)?;
        let path = package.folder.join("public-api.txt");
        if bless {
            std::fs::write(&path, text).map_err(XtaskError::file(path))?;
            continue;
        }
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        if held != text {
            well = false;
            println!("{}:", package.name);
            let (held, text): (BTreeSet<&str>, BTreeSet<&str>) =
                (held.lines().collect(), text.lines().collect());
            held.difference(&text).for_each(|line| println!("- {line}"));
            text.difference(&held).for_each(|line| println!("+ {line}"));
        }
    }
    let outcome = if well {
        Outcome::Passed
    } else {
        Outcome::Failed("`cargo xtask public-api --bless` accepts the changes above".to_owned())
    };
    let name = if bless { "public-api --bless" } else { "public-api" };
    report.done(name, started.elapsed(), outcome);
    let out = std::io::stdout();
    report.close(&mut out.lock(), false).map_err(XtaskError::file("stdout"))
}

/// All features of all members but the alternatives and the slow ones, so that one build serves nearly every test.
fn features(workspace: &Workspace) -> Vec<String> {
    let mut list = Vec::new();
    for package in &workspace.members {
        for feature in package.features.keys() {
            let apart = ALTERNATIVES.iter().chain(&SLOW).any(|name| name == feature);
            if feature != "default" && !apart {
                list.push(format!("{}/{feature}", package.name));
            }
        }
    }
    if list.is_empty() { Vec::new() } else { vec!["--features".to_owned(), list.join(",")] }
}

fn cargo_in(workspace: &Workspace) -> Command {
    let mut command = Command::new(cargo());
    // What tells cargo of this program's own package must not reach the builds that it starts.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command.current_dir(&workspace.root);
    command
}

/// The names of the steps of `test`.
pub(crate) fn steps() -> &'static [&'static str] {
    &STEPS
}

impl Task {
    /// Reads a command line, without the program's own name.
    ///
    /// # Errors
    ///
    /// Where it names no task, or an option that the task does not have.
    pub fn read(arguments: &[String]) -> Result<(Self, Options), XtaskError> {
        const USAGE: &str = "usage: cargo xtask test [--strict] [--only STEP,...] \
             | prove [--full] [NAME...] | fuzz [--seconds N] [--runs N] [--address] [TARGET...] \
             | public-api [--check | --bless]";
        let usage = |what: String| XtaskError::Usage(format!("{what}; {USAGE}"));
        let mut options = Options {
            strict: std::env::var("CI").is_ok_and(|value| matches!(value.as_str(), "true" | "1")),
            only: BTreeSet::new(),
        };
        let (name, rest) = arguments.split_first().ok_or_else(|| usage("no task".to_owned()))?;
        let mut rest = rest.iter();
        let mut task = match name.as_str() {
            "test" => Self::Test,
            "prove" => Self::Prove { full: false, words: Vec::new() },
            "fuzz" => Self::Fuzz(Fuzz::default()),
            "public-api" => Self::PublicApi { bless: false },
            other => return Err(usage(format!("no task `{other}`"))),
        };
        while let Some(argument) = rest.next() {
            match (&mut task, argument.as_str()) {
                (Self::Test, "--strict") => options.strict = true,
                (Self::Test, "--only") => {
                    for step in rest.next().map(String::as_str).unwrap_or_default().split(',') {
                        if !steps().contains(&step) {
                            return Err(usage(format!("no step `{step}` among {}", steps().join(", "))));
                        }
                        options.only.insert(step.to_owned());
                    }
                }
                (Self::Prove { full, .. }, "--full") => *full = true,
                (Self::Prove { words, .. }, word) if !word.starts_with('-') => words.push(word.to_owned()),
                (Self::Fuzz(wanted), option @ ("--seconds" | "--runs")) => {
                    let number = rest.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
                    let number = number.ok_or_else(|| usage(format!("`{option}` needs a number")))?;
                    let place = if option == "--runs" { &mut wanted.runs } else { &mut wanted.seconds };
                    *place = Some(number);
                }
                (Self::Fuzz(wanted), "--address") => wanted.address = true,
                (Self::Fuzz(wanted), name) if !name.starts_with('-') => {
                    wanted.targets.insert(name.to_owned());
                }
                (Self::PublicApi { bless }, "--bless") => *bless = true,
                (Self::PublicApi { bless }, "--check") => *bless = false,
                (_, other) => return Err(usage(format!("`{other}` is no option of {name}"))),
            }
        }
        Ok((task, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Task, Options), XtaskError> {
        Task::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_line_is_read_whole_or_refused() {
        assert_eq!(read("test").unwrap().0, Task::Test);
        assert!(read("test --strict").unwrap().1.strict);
        assert_eq!(read("test --only fmt,doc").unwrap().1.only.len(), 2);
        let proofs = Task::Prove { full: true, words: vec!["kill".to_owned()] };
        assert_eq!(read("prove --full kill").unwrap().0, proofs);
        assert_eq!(read("public-api --bless").unwrap().0, Task::PublicApi { bless: true });
        let fuzz = Fuzz { seconds: Some(5), targets: BTreeSet::from(["jws".to_owned()]), ..Fuzz::default() };
        assert_eq!(read("fuzz --seconds 5 jws").unwrap().0, Task::Fuzz(fuzz));
        for wrong in [
            "",
            "tests",
            "fuzz --seconds",
            "fuzz --runs 0",
            "fuzz --fast",
            "test --fast",
            "test --only speed",
            "test --only",
            "public-api x",
        ] {
            assert!(matches!(read(wrong), Err(XtaskError::Usage(_))), "{wrong}");
        }
    }
}
