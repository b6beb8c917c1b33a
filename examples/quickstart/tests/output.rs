//! The example prints what its README shows.

use std::process::Command;

#[test]
fn the_output_is_the_one_in_the_readme() {
    let run = Command::new(env!("CARGO_BIN_EXE_quickstart")).output().expect("it runs");
    let printed = String::from_utf8(run.stdout).expect("text");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let readme = include_str!("../README.md");
    assert!(
        readme.contains(&format!("```text\n{printed}```\n")),
        "the README shows something else than:\n{printed}"
    );
    // Once more: nothing in it depends on the run.
    let again = Command::new(env!("CARGO_BIN_EXE_quickstart")).output().expect("it runs");
    assert_eq!(again.stdout, printed.as_bytes());
}
