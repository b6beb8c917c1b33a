//! The rules bite: each of these faults, planted in a copy of the engine, makes them fail.
//!
//! Run with `cargo test -p cachegate-policy --test planted_faults -- --ignored --nocapture`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed assertion is how a test speaks, in its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

struct Fault {
    what: &'static str,
    file: &'static str,
    sound: &'static str,
    faulty: &'static str,
    /// One rule that must catch it; others may.
    caught_by: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "a grant lives one second too long",
        file: "src/decision.rs",
        sound: "grant.until.is_none_or(|until| now < until)",
        faulty: "grant.until.is_none_or(|until| now <= until)",
        caught_by: "differential::the_engine_and_the_naive_evaluator_agree_on_a_million_cases",
    },
    Fault {
        what: "a lock is lifted one second too early",
        file: "src/lock.rs",
        sound: "self.until.is_some_and(|until| now >= until)",
        faulty: "self.until.is_some_and(|until| now.saturating_add(std::time::Duration::from_secs(1)) >= until)",
        caught_by: "laws::a_lock_beats_everything",
    },
    Fault {
        what: "the order of the locks chooses which one is named",
        file: "src/decision.rs",
        sound: "locks.iter().filter(stops).map(|lock| lock.id).min()",
        faulty: "locks.iter().filter(stops).map(|lock| lock.id).next()",
        caught_by: "laws::order_never_matters",
    },
    Fault {
        what: "only the first restriction is looked at",
        file: "src/decision.rs",
        sound: "rights.restrictions.iter().position(",
        faulty: "rights.restrictions.iter().take(1).position(",
        caught_by: "laws::a_restriction_never_allows_more",
    },
    Fault {
        what: "a version requirement counts in every workspace",
        file: "src/decision.rs",
        sound: "asked == workspace && requirement.matches(version)",
        faulty: "requirement.matches(version)",
        caught_by: "differential::the_engine_and_the_naive_evaluator_agree_on_a_million_cases",
    },
    Fault {
        what: "a request lowers its floor",
        file: "src/decision.rs",
        sound: "rights.floor.min(rights.order.rank(class))",
        faulty: "rights.order.rank(class)",
        caught_by: "laws::a_request_may_raise_its_floor_and_never_lower_it",
    },
    Fault {
        what: "who may write is shown the lanes to read",
        file: "src/decision.rs",
        sound: "(permit(rights, locks, &Question { action: Action::Read, ..*question }).is_ok(), true)",
        faulty: "(true, true)",
        caught_by: "laws::lanes_are_shown_to_who_may_read_or_resolve_and_to_nobody_else",
    },
    Fault {
        what: "rights of one workspace count in another",
        file: "src/decision.rs",
        sound: "=> rights.workspace == Some(*workspace),",
        faulty: "=> rights.workspace.is_some() && workspace.to_bytes() != [0; 16],",
        caught_by: "laws::what_is_unknown_is_denied",
    },
    Fault {
        what: "a pull request reads the base branch of another repository",
        file: "src/lane_view.rs",
        sound: "own.source().is_some() && base.source() == own.source()",
        faulty: "base.source().is_some()",
        caught_by: "differential::the_engine_and_the_naive_evaluator_agree_on_a_million_cases",
    },
    Fault {
        what: "a lane reads the shared lanes below it",
        file: "src/lane_view.rs",
        sound: "|lane: &Lane| rank(lane) < own_rank;",
        faulty: "|lane: &Lane| rank(lane) != own_rank;",
        caught_by: "flow::no_byte_flows_from_a_lower_lane_to_a_higher_reader",
    },
    Fault {
        what: "machines read what members wrote at home",
        file: "src/lane_view.rs",
        sound: "LaneClass::Dev if member => Lane::dev(),",
        faulty: "LaneClass::Dev if member || own_rank > 0 => Lane::dev(),",
        caught_by: "exhaustive::every_cell_of_the_finite_core_agrees_with_the_naive_evaluator",
    },
    Fault {
        what: "the personal level spares `replace` and `delete`",
        file: "src/rights.rs",
        sound: "ActionSet::of(&[Action::Administer]);",
        faulty: "ActionSet::of(&[Action::Administer, Action::Replace, Action::Delete]);",
        caught_by: "exhaustive::the_reviewed_table_is_what_the_engine_decides",
    },
    Fault {
        what: "whoever is in any group has what every listed group has",
        file: "src/rights.rs",
        sound: "ListedParty::Group(group) if membership.groups.contains(&group) =>",
        faulty: "ListedParty::Group(group) if !membership.groups.is_empty() =>",
        caught_by: "differential::the_engine_and_the_naive_evaluator_agree_on_a_million_cases",
    },
    Fault {
        what: "the setting that refuses read-only CI's writes is ignored",
        file: "src/rights.rs",
        sound: "settings.filter(|_| is_own)",
        faulty: "settings.filter(|_| false)",
        caught_by: "exhaustive::the_reviewed_table_is_what_the_engine_decides",
    },
    Fault {
        what: "a caller who can use nothing is told what is there",
        file: "src/trace.rs",
        sound: "if self.usable.is_empty() {",
        faulty: "if self.held.is_empty() {",
        caught_by: "traces::a_caller_who_can_use_nothing_cannot_tell_a_place_from_no_place",
    },
];

#[test]
fn every_fault_fits_the_source_as_it_is_now() {
    for fault in FAULTS {
        planted(fault);
    }
}

/// The source with the fault in it.
fn planted(fault: &Fault) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(here.join(fault.file)).expect("the source");
    assert_eq!(source.matches(fault.sound).count(), 1, "`{}` is not once in {}", fault.sound, fault.file);
    source.replace(fault.sound, fault.faulty)
}

#[test]
#[ignore = "long: builds the crate and its tests once for each fault: some minutes"]
fn every_planted_fault_is_caught() {
    let copy = Copy::new();
    let sound = copy.run_rules();
    assert!(sound.status.success(), "the rules fail without a fault: {}", text(&sound));
    for (number, fault) in FAULTS.iter().enumerate() {
        let begun = Instant::now();
        copy.write(fault.file, &planted(fault));
        copy.build();
        let output = copy.run_rules();
        let caught = failed_tests(&output);
        copy.restore(fault.file);
        assert!(
            !output.status.success() && caught.iter().any(|test| test == fault.caught_by),
            "`{}` was not caught by {}: {caught:?}",
            fault.what,
            fault.caught_by
        );
        let seconds = begun.elapsed().as_secs();
        eprintln!("{:2}. {}: {} of the rules, {seconds} s", number + 1, fault.what, caught.len());
        for test in caught {
            eprintln!("      {test}");
        }
    }
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].concat().iter().map(|byte| char::from(*byte)).collect()
}

fn failed_tests(output: &Output) -> Vec<String> {
    let mut failed: Vec<String> = text(output)
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .map(str::to_owned)
        .collect();
    failed.sort();
    failed
}

/// A workspace of this crate and the one that it builds on, away from the real one, built in a folder of its own.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = here.ancestors().nth(2).expect("the crate is two folders down");
        let away = Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted-faults");
        let copy = Self { root: away.join("workspace"), target: away.join("target") };
        let _ = fs::remove_dir_all(&copy.root);
        for name in ["cachegate-types", "cachegate-policy"] {
            copy_folder(&workspace.join("crates").join(name), &copy.root.join("crates").join(name));
        }
        fs::copy(workspace.join("Cargo.lock"), copy.root.join("Cargo.lock")).expect("a lock file");
        let manifest = fs::read_to_string(workspace.join("Cargo.toml")).expect("a manifest");
        let members =
            manifest.lines().find(|line| line.starts_with("members = ")).expect("a list of members");
        let manifest = manifest.replacen(members, "members = [\"crates/*\"]", 1);
        fs::write(copy.root.join("Cargo.toml"), manifest).expect("a manifest");
        copy.build();
        copy
    }

    fn crate_file(&self, file: &str) -> PathBuf {
        self.root.join("crates/cachegate-policy").join(file)
    }

    fn write(&self, file: &str, source: &str) {
        fs::write(self.crate_file(file), source).expect("the copy can be written");
    }

    fn restore(&self, file: &str) {
        let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        self.write(file, &fs::read_to_string(sound).expect("the source"));
    }

    /// A fault that does not compile is no fault.
    fn build(&self) {
        let output = self.cargo(&["--no-run"]);
        assert!(output.status.success(), "it does not build: {}", text(&output));
    }

    fn run_rules(&self) -> Output {
        self.cargo(&["--no-fail-fast"])
    }

    fn cargo(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO"))
            .args(["test", "--offline", "--package", "cachegate-policy", "--test", "rules"])
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CACHEGATE_POLICY_CASES", "20000")
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo can be run")
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the build's folder can be written");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else if fs::copy(&path, &target).is_err() {
            panic!("{} cannot be copied", path.display());
        }
    }
}
