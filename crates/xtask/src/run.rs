//! Runs programs, reads how their tests went, and keeps the account that a task ends with.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::XtaskError;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that passed.
    pub passed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Test programs that told of their end.
    pub programs: u64,
}

impl Counts {
    /// Adds what a line of a test program's output says, where it says something.
    pub fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        let number = |word: &str| {
            let before = rest.split(word).next().filter(|before| before.len() < rest.len())?;
            before.rsplit([' ', ';']).find(|text| !text.is_empty())?.parse::<u64>().ok()
        };
        self.passed += number(" passed").unwrap_or(0);
        self.failed += number(" failed").unwrap_or(0);
        self.programs += 1;
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Not as it should; what went wrong.
    Failed(String),
}

#[derive(Debug)]
struct Step {
    name: String,
    outcome: Outcome,
    counts: Option<Counts>,
    took: Duration,
}

#[derive(Debug)]
struct LeftOut {
    what: String,
    why: String,
    declared: bool,
}

/// The account of a task: what ran, what was left out, and how it went.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<Step>,
    left_out: Vec<LeftOut>,
}

impl Report {
    /// Runs a step that is no run of tests, and takes it down.
    ///
    /// # Errors
    ///
    /// Where the program cannot be started.
    pub fn command(&mut self, name: &str, command: &mut Command) -> Result<(), XtaskError> {
        self.run(name, command, None).map(|_| ())
    }

    /// Runs tests and takes them down with their counts; a run that fails without naming a test counts as one failure.
    ///
    /// With `expected`, exactly so many tests must have run.
    ///
    /// # Errors
    ///
    /// Where the program cannot be started.
    pub fn tests(
        &mut self,
        name: &str,
        command: &mut Command,
        expected: Option<u64>,
    ) -> Result<(), XtaskError> {
        self.run(name, command, Some(expected)).map(|_| ())
    }

    /// Takes down a step that this program carried out itself.
    pub fn done(&mut self, name: &str, took: Duration, outcome: Outcome) {
        self.steps.push(Step { name: name.to_owned(), outcome, counts: None, took });
    }

    /// Takes down what did not run. `declared`: it is known and meant, and no failure even where all must run.
    pub fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>, declared: bool) {
        self.left_out.push(LeftOut { what: what.into(), why: why.into(), declared });
    }

    /// Prints the account to `out`, and says whether all is well; where `strict`, what is left out undeclared is not.
    pub fn close(&self, out: &mut impl Write, strict: bool) -> std::io::Result<bool> {
        let mut well = true;
        let mut sum = Counts::default();
        writeln!(out, "\nran:")?;
        for step in &self.steps {
            let seconds = step.took.as_secs_f64();
            let counts = step.counts.map(|counts| {
                sum.passed += counts.passed;
                sum.failed += counts.failed;
                format!("  {} passed, {} failed, {} programs", counts.passed, counts.failed, counts.programs)
            });
            let mark = match &step.outcome {
                Outcome::Passed => "ok    ".to_owned(),
                Outcome::Failed(_) => {
                    well = false;
                    "FAILED".to_owned()
                }
            };
            writeln!(out, "  {mark} {seconds:>7.1} s  {}{}", step.name, counts.unwrap_or_default())?;
            if let Outcome::Failed(why) = &step.outcome {
                writeln!(out, "                      {why}")?;
            }
        }
        if self.left_out.is_empty() {
            writeln!(out, "left out: nothing")?;
        } else {
            writeln!(out, "left out:")?;
            for left in &self.left_out {
                let counted = if strict && !left.declared { "FAILED  " } else { "" };
                well &= counted.is_empty();
                writeln!(out, "  {counted}{}: {}", left.what, left.why)?;
            }
        }
        writeln!(out, "\n{} passed, {} failed", sum.passed, sum.failed)?;
        Ok(well)
    }

    fn run(
        &mut self,
        name: &str,
        command: &mut Command,
        tests: Option<Option<u64>>,
    ) -> Result<bool, XtaskError> {
        println!("\n==> {name}");
        let program = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let start = |source| XtaskError::Start { program: program.clone(), source };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(start)?;
        let mut counts = Counts::default();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line.map_err(start)?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                counts.read(&line);
            }
        }
        let status = child.wait().map_err(start)?;
        let took = started.elapsed();
        let mut outcome = Outcome::Passed;
        if !status.success() {
            outcome = Outcome::Failed(format!("{status}"));
        }
        if let Some(expected) = tests {
            let ran = counts.passed + counts.failed;
            if let Some(expected) = expected.filter(|expected| *expected != ran && outcome == Outcome::Passed)
            {
                outcome = Outcome::Failed(format!("{expected} tests were named, {ran} ran"));
            }
            if outcome != Outcome::Passed {
                counts.failed = counts.failed.max(1);
            }
        }
        let well = outcome == Outcome::Passed;
        self.steps.push(Step { name: name.to_owned(), outcome, counts: tests.map(|_| counts), took });
        Ok(well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_over_test_programs() {
        let mut counts = Counts::default();
        for line in [
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 11 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            counts.read(line);
        }
        assert_eq!(counts, Counts { passed: 13, failed: 3, programs: 2 });
    }

    fn closed(report: &Report, strict: bool) -> (bool, String) {
        let mut out = Vec::new();
        let well = report.close(&mut out, strict).unwrap();
        (well, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_left_out_fails_only_where_all_must_run_and_only_undeclared() {
        let mut report = Report::default();
        report.leave_out("nx", "no npm", false);
        report.leave_out("proofs", "long", true);
        assert!(closed(&report, false).0);
        let (well, text) = closed(&report, true);
        assert!(!well);
        assert!(text.contains("  FAILED  nx: no npm\n  proofs: long\n"), "{text}");
        assert!(text.ends_with("\n0 passed, 0 failed\n"), "{text}");
    }

    #[test]
    fn a_run_that_dies_without_naming_a_test_counts_as_a_failure() {
        let mut report = Report::default();
        report.tests("dies", Command::new("sh").args(["-c", "exit 101"]), None).unwrap();
        let (well, text) = closed(&report, false);
        assert!(!well && text.ends_with("\n0 passed, 1 failed\n"), "{text}");
    }

    #[test]
    fn fewer_tests_than_were_named_is_a_failure() {
        let mut report = Report::default();
        let line = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored'";
        report.tests("named", Command::new("sh").args(["-c", line]), Some(2)).unwrap();
        let (well, text) = closed(&report, false);
        assert!(!well && text.contains("2 tests were named, 1 ran"), "{text}");
    }
}
