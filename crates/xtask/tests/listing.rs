//! What a listing of a public API shows, on a library made for it.

#![expect(clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};

use xtask::{ApiError, listing};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/api")
}

fn listed(change: impl Fn(&str) -> String) -> Result<String, ApiError> {
    let copy = tempfile::tempdir().expect("a folder");
    for file in ["lib.rs", "hidden.rs", "open.rs", "extra.rs", "hidden/deep.rs"] {
        let source = std::fs::read_to_string(fixture().join("src").join(file)).expect("a fixture");
        let target = copy.path().join(file);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        std::fs::write(target, change(&source)).expect("a copy");
    }
    listing("the-api", &copy.path().join("lib.rs"))
}

#[test]
fn each_public_path_is_listed_with_its_signature_and_nothing_private_is() {
    let expected = std::fs::read_to_string(fixture().join("public-api.txt")).expect("the expectation");
    let listed = listed(str::to_owned).expect("a listing");
    assert_eq!(listed, expected, "\n{listed}");
}

#[test]
fn a_changed_signature_changes_the_listing() {
    let before = listed(str::to_owned).expect("a listing");
    for (from, to) in [
        ("text: &'a T,\n        mut length: usize", "text: &'a T,\n        mut length: u64"),
        ("Some(u8)", "Some(u16)"),
        ("#[non_exhaustive]", ""),
        ("pub length", "length"),
        ("derive(Clone, Copy", "derive(Clone"),
        ("T: AsRef<str>", "T: AsRef<[u8]>"),
        ("type Key: Ord", "type Key: Eq"),
        ("Name as Title", "Name as Label"),
        ("16 * 1024", "8 * 1024"),
        ("pub fn as_str(&self)", "fn as_str(&self)"),
        ("Send + Sync", "Send"),
        ("impl From<Level> for u8", "impl From<Level> for u16"),
        ("pub mod further", "mod further"),
    ] {
        let after = listed(|source| source.replace(from, to)).expect("a listing");
        assert_ne!(before, after, "{from} became {to}, and nobody saw");
    }
}

#[test]
fn layout_comments_and_bodies_do_not_change_the_listing() {
    let before = listed(str::to_owned).expect("a listing");
    for (from, to) in [
        ("text: &'a T,\n        mut length: usize,\n    ", "text: &'a T, mut length: usize"),
        ("/// Opens.", "/// Opens it.\n"),
        ("length += 1;", "length += 2;"),
        ("fn secret(&self) {}", ""),
        ("struct Private;", ""),
        ("pub struct Never;", ""),
    ] {
        let after = listed(|source| source.replace(from, to)).expect("a listing");
        assert_eq!(before, after, "{from}");
    }
}

#[test]
fn a_re_export_that_leads_nowhere_is_an_error() {
    let error =
        listed(|source| source.replace("hidden::{Closed", "hidden::{Missing")).expect_err("no such item");
    assert!(matches!(&error, ApiError::NoItem { path } if path == "hidden::Missing"), "{error}");
}
