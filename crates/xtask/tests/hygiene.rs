//! The tracked files hold nothing of the machine that they were written on, and nothing unfinished.

#![expect(clippy::expect_used, reason = "tests")]

use std::path::PathBuf;
use std::process::Command;

use xtask::{Reason, Workspace, can_provide, ignored_tests};

/// The tracked files that are text, with their text.
fn tracked() -> Vec<(String, String)> {
    let root = Workspace::read().expect("the workspace").root;
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output().expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("names");
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            Some((name.to_owned(), std::fs::read_to_string(root.join(PathBuf::from(name))).ok()?))
        })
        .collect()
}

/// Each place where one of the words stands; the words come in two halves, so that this file does not hold them.
fn found(words: &[(&str, &str)], of_interest: impl Fn(&str) -> bool) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|(one, other)| format!("{one}{other}")).collect();
    let mut places = Vec::new();
    for (name, text) in tracked().iter().filter(|(name, _)| of_interest(name)) {
        for (index, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                places.push(format!("{name}:{}: `{word}`", index + 1));
            }
        }
    }
    places
}

#[test]
fn no_path_of_a_machine_is_in_a_tracked_file() {
    let mut places = found(&[("/wo", "rk/"), ("/ro", "ot/"), ("/home/", "runner")], |_| true);
    // SCIM calls its people so.
    places.extend(found(&[("/Us", "ers/")], |name| !name.contains("scim")));
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn no_package_registry_is_named_but_in_the_lock_file() {
    let hosts = [
        ("index.crates", ".io"),
        ("static.crates", ".io"),
        ("registry.npm", "js.org"),
        ("npm", "js.com"),
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("deb.deb", "ian.org"),
        ("proxy.go", "lang.org"),
    ];
    let places = found(&hosts, |name| name != "Cargo.lock");
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn nothing_is_left_to_be_written() {
    let places = found(&[("todo", "!("), ("unimplemented", "!(")], |name| name.ends_with(".rs"));
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn an_ignored_test_says_why_and_is_found_by_the_task_that_runs_it() {
    let ignored = ignored_tests(&Workspace::read().expect("the workspace")).expect("the sources");
    for test in &ignored {
        let name = format!("{} {}", test.package, test.name);
        match &test.reason {
            Reason::Long(_) => {}
            Reason::Needs(needs) => {
                for need in needs {
                    assert!(can_provide(need), "{name}: nobody knows how to install `{need}`");
                }
            }
            Reason::Unclear(why) => {
                panic!("{name}: `{why}` is neither `needs X: run by cargo xtask test` nor `long: ...`");
            }
        }
    }
}
