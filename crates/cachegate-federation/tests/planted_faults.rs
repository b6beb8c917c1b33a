//! The tests bite: each of these faults, planted in a copy of verification, keys and rules, is caught by the named test.
//!
//! Run with `cargo test -p cachegate-federation --test planted_faults -- --ignored --nocapture`.

#![expect(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

struct Fault {
    what: &'static str,
    /// A file under `crates/`, what stands there once, and what stands there instead.
    edits: &'static [(&'static str, &'static str, &'static str)],
    caught_by: Test,
}

/// How cargo is told of the tests, and one of them.
#[derive(Clone, Copy, PartialEq)]
struct Test(&'static [&'static str], &'static str);

const RULES: &[&str] = &["--package", "cachegate-federation", "--lib"];
const VERIFICATION: &[&str] = &["--package", "cachegate-federation", "--test", "verification"];
const TRAPS: &[&str] = &["--package", "cachegate-federation", "--test", "traps"];
const KEYS: &[&str] = &["--package", "cachegate-federation", "--test", "keys"];
const TOKENS: &[&str] = &["--package", "cachegate-federation", "--test", "rule_tokens"];
const GATE: &[&str] = &["--package", "cachegate", "--features", "federation", "--test", "gate"];

const FAULTS: &[Fault] = &[
    Fault {
        what: "the audience is not checked",
        edits: &[(
            "cachegate-jwt/src/claims.rs",
            "Some(value) => accepted(value)?.ok_or(",
            "Some(value) => accepted(value)?.or(Some(0)).ok_or(",
        )],
        caught_by: Test(VERIFICATION, "a17_audiences_of_another_type_or_spelling"),
    },
    Fault {
        what: "a token for others besides us is taken",
        edits: &[(
            "cachegate-federation/src/anchor.rs",
            "if self.audience_mode == AudienceMode::Contains {\n            check",
            "if true {\n            check",
        )],
        caught_by: Test(VERIFICATION, "rule_4_the_issuer_is_one_text_and_the_audience_is_ours_alone"),
    },
    Fault {
        what: "an issuer is held against the beginning of its text",
        edits: &[
            (
                "cachegate-federation/src/federation.rs",
                ".and_then(|issuer| self.issuers.get(&(false, issuer)))",
                ".and_then(|issuer| self.issuers.iter().find(|((_, known), _)| issuer.starts_with(known.as_str())).map(|(_, anchors)| anchors))",
            ),
            (
                "cachegate-federation/src/federation.rs",
                "self.accepted().get_key_value(&said).map(",
                "self.accepted().iter().find(|(known, _)| said.starts_with(known.as_str())).map(",
            ),
        ],
        caught_by: Test(VERIFICATION, "rule_1_an_unverified_issuer_is_a_key_into_a_closed_table"),
    },
    Fault {
        what: "the longest lifetime is not held",
        edits: &[(
            "cachegate-federation/src/federation.rs",
            "if seconds > limit {",
            "if seconds > limit && limit == 0 {",
        )],
        caught_by: Test(VERIFICATION, "rule_5_times_are_numbers_and_within_caps"),
    },
    Fault {
        what: "ids in the subject need not agree with the claims",
        edits: &[(
            "cachegate-federation/src/platform/reading.rs",
            "Some(value) if value != in_subject =>",
            "Some(value) if value != in_subject && in_subject.is_empty() =>",
        )],
        caught_by: Test(VERIFICATION, "rule_6_shared_issuers_need_a_pin_and_ids_agree_wherever_they_stand"),
    },
    Fault {
        what: "a key of one of Microsoft's tenants signs for another",
        edits: &[(
            "cachegate-federation/src/federation.rs",
            "|| named == issuer\n",
            "|| !named.is_empty()\n",
        )],
        caught_by: Test(TRAPS, "entra_a_key_that_is_for_one_tenant_signs_for_no_other"),
    },
    Fault {
        what: "a fork's merge request is trusted",
        edits: &[
            (
                "cachegate-federation/src/platform/gitlab_ci.rs",
                "_ if same_repository == Some(false) || of_merge_request =>",
                "_ if of_merge_request =>",
            ),
            (
                "cachegate-federation/src/platform/gitlab_ci.rs",
                "let own = same_repository.unwrap_or_else(",
                "let own = same_repository.map(|_| true).unwrap_or_else(",
            ),
        ],
        caught_by: Test(TRAPS, "gitlab_a_forks_merge_request_that_runs_in_the_target_is_an_outsiders"),
    },
    Fault {
        what: "a workflow that an outsider's run starts is trusted",
        edits: &[
            (
                "cachegate-federation/src/platform/github_actions.rs",
                "const OUTSIDER: [&str; 4] = [\"pull_request\", \"pull_request_target\", \"issue_comment\", \"workflow_run\"];",
                "const OUTSIDER: [&str; 3] = [\"pull_request\", \"pull_request_target\", \"issue_comment\"];",
            ),
            (
                "cachegate-federation/src/platform/github_actions.rs",
                "    \"delete\",\n",
                "    \"workflow_run\",\n",
            ),
        ],
        caught_by: Test(TRAPS, "github_an_event_that_outsiders_cause_carries_the_base_repositorys_identity"),
    },
    Fault {
        what: "groups that were cut count as all of them",
        edits: &[("cachegate-federation/src/platform/entra_id.rs", "if more || reading", "if reading")],
        caught_by: Test(TRAPS, "entra_too_many_groups_are_not_no_groups"),
    },
    Fault {
        what: "a pin is not looked at",
        edits: &[(
            "cachegate-federation/src/rule/evaluate.rs",
            "fold(Truth::True, |truth, pin| truth.and(pin.evaluate(facts)))",
            "fold(Truth::True, |truth, _| truth)",
        )],
        caught_by: Test(RULES, "rule::tests::an_unknown_rule_and_one_of_another_identity_look_the_same"),
    },
    Fault {
        what: "a denying rule passes over what cannot be told",
        edits: &[(
            "cachegate-federation/src/rule/evaluate.rs",
            "if truth != Truth::False {",
            "if truth == Truth::True {",
        )],
        caught_by: Test(RULES, "rule::tests::deny_beats_allow_and_fires_on_what_cannot_be_told"),
    },
    Fault {
        what: "a rule lets whomever it matches into a shared lane",
        edits: &[(
            "cachegate-federation/src/rule/evaluate.rs",
            "if facts.may_write(&shared) {",
            "if facts.may_write(&shared) || true {",
        )],
        caught_by: Test(RULES, "rule::tests::what_an_outsider_starts_never_gets_a_shared_lane"),
    },
    Fault {
        what: "an anchor on trial grants",
        edits: &[(
            "cachegate-federation/src/rule/evaluate.rs",
            "Status::Enforce => decide(false),\n            Status::Audit | Status::Disabled",
            "Status::Enforce | Status::Audit => decide(false),\n            Status::Disabled",
        )],
        caught_by: Test(TOKENS, "an_anchor_on_trial_gives_nothing_and_says_what_it_would"),
    },
    Fault {
        what: "keys verify whatever their age",
        edits: &[(
            "cachegate-federation/src/keys/mod.rs",
            "(age <= self.times.hard_age).then(",
            "(age <= Duration::MAX).then(",
        )],
        caught_by: Test(KEYS, "held::the_last_good_keys_verify_until_the_hard_age_and_not_a_second_longer"),
    },
    Fault {
        what: "each unknown key asks the issuer",
        edits: &[(
            "cachegate-federation/src/keys/mod.rs",
            "attempted.saturating_add(self.times.cool_down))",
            "attempted)",
        )],
        caught_by: Test(KEYS, "flood::a_hundred_thousand_unknown_keys_in_a_minute_make_two_fetches"),
    },
    Fault {
        what: "the discovery document may speak for another issuer",
        edits: &[(
            "cachegate-federation/src/keys/source.rs",
            "if found.issuer != issuer {",
            "if found.issuer != issuer && issuer.is_empty() {",
        )],
        caught_by: Test(KEYS, "discovery::the_documents_issuer_is_the_configured_one_byte_for_byte"),
    },
    Fault {
        what: "a token is exchanged as often as it is presented",
        edits: &[(
            "cachegate/src/workload.rs",
            "Mode::Exchange => vec![once],",
            "Mode::Exchange => vec![once].split_off(1),",
        )],
        caught_by: Test(GATE, "workloads::a_token_is_exchanged_once_whoever_asks"),
    },
];

fn crates() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the crates")
}

/// Each file that a fault changes, with the fault in it.
fn planted(fault: &Fault) -> Vec<(&'static str, String)> {
    let mut files: Vec<(&str, String)> = Vec::new();
    for (file, sound, faulty) in fault.edits {
        let source = match files.iter().position(|(known, _)| known == file) {
            Some(at) => files.remove(at).1,
            None => fs::read_to_string(crates().join(file)).expect("the source"),
        };
        assert_eq!(source.matches(sound).count(), 1, "`{sound}` is not once in {file}");
        files.push((file, source.replace(sound, faulty)));
    }
    files
}

#[test]
fn every_fault_fits_the_source_as_it_is_now() {
    for fault in FAULTS {
        planted(fault);
        let Test(target, name) = fault.caught_by;
        let package = target.get(1).expect("a package");
        let (module, test) =
            name.rsplit_once("::").map_or((None, name), |(module, test)| (Some(module), test));
        let file = match (target.last().expect("a target"), module) {
            (&"--lib", Some(module)) => format!("src/{}.rs", module.replace("::", "/")),
            (program, Some(module)) => format!("tests/{program}/{module}.rs"),
            (program, None) => format!("tests/{program}.rs"),
        };
        let source = fs::read_to_string(crates().join(package).join(&file));
        let stands = source.is_ok_and(|source| source.contains(&format!("fn {test}()")));
        assert!(stands, "`{}` names {test}, which is not in {file} of {package}", fault.what);
    }
}

#[test]
#[ignore = "long: builds verification, keys and rules once for each fault: some minutes"]
fn every_planted_fault_is_caught_by_its_test() {
    let copy = Copy::new();
    for fault in FAULTS {
        let Verdict::Passed = copy.run(fault.caught_by) else {
            panic!("{} fails without a fault", fault.caught_by.1);
        };
    }
    for (number, fault) in FAULTS.iter().enumerate() {
        let begun = Instant::now();
        let files = planted(fault);
        for (file, source) in &files {
            copy.write(file, source);
        }
        let verdict = copy.run(fault.caught_by);
        for (file, _) in &files {
            copy.write(file, &fs::read_to_string(crates().join(file)).expect("the source"));
        }
        let Test(_, test) = fault.caught_by;
        assert!(matches!(verdict, Verdict::Failed), "`{}` was not caught by {test}", fault.what);
        eprintln!("{:2}. {}: {test}, {} s", number + 1, fault.what, begun.elapsed().as_secs());
    }
    eprintln!("{} of {} faults caught", FAULTS.len(), FAULTS.len());
}

enum Verdict {
    Passed,
    Failed,
}

/// A workspace of all library crates, away from the real one: whichever a changed one needs is there.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let away = Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted-faults");
        let copy = Self { root: away.join("workspace"), target: away.join("target") };
        let _ = fs::remove_dir_all(&copy.root);
        copy_folder(crates(), &copy.root.join("crates"));
        let workspace = crates().parent().expect("the workspace");
        fs::copy(workspace.join("Cargo.lock"), copy.root.join("Cargo.lock")).expect("a lock file");
        let manifest = fs::read_to_string(workspace.join("Cargo.toml")).expect("a manifest");
        let members =
            manifest.lines().find(|line| line.starts_with("members = ")).expect("a list of members");
        let manifest = manifest.replacen(members, "members = [\"crates/*\"]", 1);
        fs::write(copy.root.join("Cargo.toml"), manifest).expect("a manifest");
        copy
    }

    fn write(&self, file: &str, source: &str) {
        fs::write(self.root.join("crates").join(file), source).expect("the copy can be written");
    }

    /// A fault that does not compile is no fault.
    fn run(&self, Test(target, name): Test) -> Verdict {
        let built = self.cargo(target, &["--no-run"]);
        assert!(built.status.success(), "it does not build: {}", text(&built));
        let ran = self.cargo(target, &["--", "--exact", name]);
        let told = text(&ran);
        if told.contains(&format!("test {name} ... ok")) {
            return Verdict::Passed;
        }
        assert!(told.contains(&format!("test {name} ... FAILED")), "there is no test {name}: {told}");
        Verdict::Failed
    }

    fn cargo(&self, target: &[&str], more: &[&str]) -> Output {
        Command::new(env!("CARGO"))
            .args(["test", "--offline"])
            .args(target)
            .args(more)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo can be run")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the build's folder can be written");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("the file can be copied");
        }
    }
}
