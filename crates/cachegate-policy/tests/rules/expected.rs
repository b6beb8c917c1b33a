//! Expected texts: committed, read by people, never rewritten by a test.

use std::fs;
use std::path::Path;

/// Compares with the committed file; what was found instead is left beside the build for review.
pub(crate) fn assert_expected(name: &str, actual: &str) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(name);
    let expected = fs::read_to_string(&committed).unwrap_or_default().replace("\r\n", "\n");
    if expected == actual {
        return;
    }
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&found, actual).expect("the build's folder can be written");
    let line = expected.lines().zip(actual.lines()).take_while(|(one, other)| one == other).count();
    panic!(
        "`{name}` changed at line {}:\n  reviewed: {}\n  found:    {}\nIf the change is meant, review {} and copy it over {}",
        line + 1,
        expected.lines().nth(line).unwrap_or("(the end)"),
        actual.lines().nth(line).unwrap_or("(the end)"),
        found.display(),
        committed.display(),
    );
}
