//! Builds the fuzz targets and runs them one after the other.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::provide::{answers, cargo_fuzz};
use crate::workspace::cargo;
use crate::{Workspace, XtaskError};

/// How long each target runs unless something is said.
const SECONDS: u64 = 60;

/// The longest input, in bytes. Beyond it the readers refuse by length; within it an input is made in no time.
const LONGEST: u32 = 4096;

/// How much of what a target said is shown when it found something.
const LAST_LINES: usize = 40;

/// How to fuzz.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fuzz {
    /// How long each target runs.
    pub seconds: Option<u64>,
    /// After how many executions each target stops.
    pub runs: Option<u64>,
    /// Whether under AddressSanitizer: ten times slower, and without `unsafe` here it sees the C of the back-end alone.
    pub address: bool,
    /// The targets; all where empty.
    pub targets: BTreeSet<String>,
}

/// What a run of one target came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    /// Edges that were seen, of those that have a counter.
    edges: u64,
    /// Edges, with how often, and the outcomes of comparisons.
    features: u64,
    /// Inputs that were worth keeping.
    inputs: u64,
}

impl Figures {
    /// Takes what a line of libFuzzer's output says, where it says something.
    fn read(&mut self, line: &str) {
        let number = |text: &str| text.split(['/', ' ', '\t']).next()?.parse::<u64>().ok();
        let after = |word: &str| number(line.split_once(word)?.1.trim_start());
        if let Some(executions) = after("stat::number_of_executed_units:") {
            self.executions = executions;
        }
        if line.starts_with('#') {
            self.executions = number(line.trim_start_matches('#')).unwrap_or(self.executions);
            self.edges = after(" cov: ").unwrap_or(self.edges);
            self.features = after(" ft: ").unwrap_or(self.features);
            self.inputs = after(" corp: ").unwrap_or(self.inputs);
        }
    }
}

/// Runs the targets and prints one table; whether nothing was found.
pub(crate) fn fuzz(workspace: &Workspace, wanted: &Fuzz) -> Result<bool, XtaskError> {
    let folder = workspace.root.join("fuzz");
    let targets = targets(&folder, &wanted.targets)?;
    let Some(cargo_fuzz) = cargo_fuzz(workspace)? else {
        println!("nothing was fuzzed: cargo-fuzz is not installed, and `cargo install` was not possible");
        return Ok(false);
    };
    let compiler = Compiler::choose()?;
    println!("==> {}", compiler.told);
    let built = workspace.target.join("fuzz");
    let sanitizer = if wanted.address { "address" } else { "none" };
    println!("==> cargo fuzz build --sanitizer {sanitizer}, some minutes the first time");
    let status = Command::new(cargo_fuzz)
        .args(["fuzz", "build", "--sanitizer", sanitizer, "--target", &compiler.host, "--fuzz-dir"])
        .arg(&folder)
        .arg("--target-dir")
        .arg(built.join(sanitizer))
        .current_dir(&workspace.root)
        .envs(compiler.variables.iter().cloned())
        .status()
        .map_err(|source| XtaskError::Start { program: "cargo fuzz".to_owned(), source })?;
    if !status.success() {
        println!("nothing was fuzzed: the targets could not be built ({status})");
        return Ok(false);
    }

    let programs = built.join(sanitizer).join(&compiler.host).join("release");
    let (mut rows, mut well) = (Vec::new(), true);
    for target in &targets {
        let row = run(&programs.join(target), target, wanted, &folder, &built)?;
        well &= row.found.is_empty();
        rows.push(row);
    }
    println!("\n| target | executions | per second | edges | features | inputs | crashes |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for Row { target, figures, seconds, found } in &rows {
        let Figures { executions, edges, features, inputs } = figures;
        let speed = executions / (*seconds).max(1);
        println!(
            "| `{target}` | {executions} | {speed} | {edges} | {features} | {inputs} | {} |",
            found.len()
        );
    }
    for path in rows.iter().flat_map(|row| &row.found) {
        println!("found: {}", path.display());
    }
    println!("sanitizer: {sanitizer}; {}", compiler.told);
    Ok(well)
}

struct Row {
    target: String,
    figures: Figures,
    seconds: u64,
    found: Vec<PathBuf>,
}

/// Runs one target. What it learns is kept under the target folder; the kept inputs beside it are read alone.
fn run(program: &Path, target: &str, wanted: &Fuzz, folder: &Path, built: &Path) -> Result<Row, XtaskError> {
    let learnt = built.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&learnt, &artifacts] {
        std::fs::create_dir_all(folder).map_err(XtaskError::file(folder))?;
    }
    let before = files(&artifacts)?;
    let seconds = wanted.seconds.or(wanted.runs.is_none().then_some(SECONDS));
    println!("\n==> {target}");
    let started = Instant::now();
    let mut prefix = OsString::from("-artifact_prefix=");
    prefix.push(&artifacts);
    prefix.push("/");
    let mut dictionary = OsString::from("-dict=");
    dictionary.push(folder.join("fuzz.dict"));
    let mut command = Command::new(program);
    command.args([prefix, dictionary]).args(["-print_final_stats=1", &format!("-max_len={LONGEST}")]);
    command.args(seconds.map(|seconds| format!("-max_total_time={seconds}")));
    command.args(wanted.runs.map(|runs| format!("-runs={runs}")));
    command.arg(&learnt).arg(folder.join("corpus").join(target));
    let start = |source| XtaskError::Start { program: target.to_owned(), source };
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(start)?;
    let (mut figures, mut last) = (Figures::default(), Vec::new());
    if let Some(output) = child.stderr.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line.map_err(start)?).into_owned();
            figures.read(&line);
            if line.contains("DONE") || line.contains("pulse") {
                println!("{line}");
            }
            if last.len() == LAST_LINES {
                last.remove(0);
            }
            last.push(line);
        }
    }
    let status = child.wait().map_err(start)?;
    let mut found: Vec<PathBuf> = files(&artifacts)?.difference(&before).cloned().collect();
    if !status.success() {
        last.iter().for_each(|line| println!("{line}"));
        if found.is_empty() {
            // It failed without an input to show for it, or found again what lies there.
            found.push(artifacts);
        }
    }
    Ok(Row { target: target.to_owned(), figures, seconds: started.elapsed().as_secs(), found })
}

/// The targets, by the names of their programs; those of `wanted` alone where it names some.
fn targets(folder: &Path, wanted: &BTreeSet<String>) -> Result<Vec<String>, XtaskError> {
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let all: Vec<String> = files(&folder.join("fuzz_targets"))?.iter().filter_map(stem).collect();
    match wanted.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(XtaskError::Usage(format!("no target `{name}` among {}", all.join(", ")))),
        None => Ok(all.into_iter().filter(|name| wanted.is_empty() || wanted.contains(name)).collect()),
    }
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, XtaskError> {
    let entries = std::fs::read_dir(folder).map_err(XtaskError::file(folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(XtaskError::file(folder))).collect()
}

/// A compiler that takes the flags of the instrumentation.
struct Compiler {
    told: String,
    host: String,
    variables: Vec<(&'static str, &'static str)>,
}

impl Compiler {
    fn choose() -> Result<Self, XtaskError> {
        let version = |command: &mut Command| {
            let output = command.arg("-vV").stderr(Stdio::null()).output().ok()?;
            let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
            let host = text.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned();
            Some((text.lines().next().unwrap_or_default().to_owned(), host))
        };
        let nightly = version(Command::new("rustc").env("RUSTUP_TOOLCHAIN", "nightly"))
            .filter(|(name, _)| name.contains("nightly"));
        if let Some((name, host)) = nightly {
            return Ok(Self { told: name, host, variables: vec![("RUSTUP_TOOLCHAIN", "nightly")] });
        }
        let (name, host) = version(&mut Command::new("rustc"))
            .filter(|_| answers(&cargo(), &["--version"]))
            .ok_or_else(|| XtaskError::Usage("no `rustc` on this machine".to_owned()))?;
        Ok(Self {
            told: format!(
                "{name}, told to pass for a nightly one (RUSTC_BOOTSTRAP=1), as there is none here"
            ),
            host,
            variables: vec![("RUSTC_BOOTSTRAP", "1")],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_a_target_says() {
        let mut figures = Figures::default();
        for line in [
            "INFO: seed corpus: files: 7 min: 1b max: 1840b total: 2696b rss: 30Mb",
            "#7\tINITED cov: 330 ft: 430 corp: 6/8282b exec/s: 0 rss: 28Mb",
            "#1368487\tDONE   cov: 1632 ft: 8091 corp: 2313/1093Kb lim: 4096 exec/s: 22831 rss: 32Mb",
            "stat::number_of_executed_units: 1368490",
        ] {
            figures.read(line);
        }
        assert_eq!(figures, Figures { executions: 1_368_490, edges: 1632, features: 8091, inputs: 2313 });
    }

    #[test]
    fn every_target_has_a_program_and_a_name_that_is_none_is_refused() {
        let folder = Workspace::read().unwrap().root.join("fuzz");
        assert!(targets(&folder, &BTreeSet::new()).unwrap().contains(&"jws".to_owned()));
        assert!(matches!(targets(&folder, &BTreeSet::from(["jwt".to_owned()])), Err(XtaskError::Usage(_))));
    }
}
