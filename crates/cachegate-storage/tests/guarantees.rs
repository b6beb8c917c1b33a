//! Every guarantee of the traits names the case that holds a back-end to it, and every case holds a guarantee.

#![cfg(feature = "conformance")]

use std::collections::{BTreeMap, BTreeSet};

use cachegate_storage::conformance::{CASES, PERSISTENT_CASES};

const TRAITS: &str = include_str!("../src/traits.rs");

/// The documentation of each trait and method, as one line.
fn documented() -> BTreeMap<String, String> {
    let (mut found, mut text, mut trait_name) = (BTreeMap::new(), String::new(), String::new());
    for line in TRAITS.lines().map(str::trim) {
        let word = |rest: &str| {
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>()
        };
        if let Some(rest) = line.strip_prefix("///") {
            text.push(' ');
            text.push_str(rest.trim());
        } else if line.starts_with("#[") || line.is_empty() {
            // Stands between a text and what it documents, or behind all of it.
        } else if let Some(rest) = line.strip_prefix("pub trait ") {
            trait_name = word(rest);
            found.insert(trait_name.clone(), std::mem::take(&mut text));
        } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            found.insert(format!("{trait_name}::{}", word(rest)), std::mem::take(&mut text));
        } else {
            text.clear();
        }
    }
    found
}

/// The names behind `Case:` and `Cases:`.
fn named(text: &str) -> Vec<String> {
    let lists = text.split("Case: ").flat_map(|part| part.split("Cases: ")).skip(1);
    let lists = lists.map(|list| list.split_once("`.").map_or(list, |(list, _)| list));
    lists.flat_map(|list| list.split(", ").map(|name| name.trim_matches('`').to_owned())).collect()
}

fn cases() -> BTreeSet<&'static str> {
    CASES.iter().map(|(name, _)| *name).chain(PERSISTENT_CASES.iter().map(|(name, _)| *name)).collect()
}

#[test]
fn every_method_names_a_case_that_exists() {
    let (documented, cases) = (documented(), cases());
    let methods: Vec<_> = documented.iter().filter(|(name, _)| name.contains("::")).collect();
    assert!(methods.len() >= 50, "only {} methods were found", methods.len());
    for (method, text) in methods {
        assert!(!named(text).is_empty(), "`{method}` names no case: {text}");
    }
    for (item, text) in &documented {
        for name in named(text) {
            assert!(cases.contains(&*name), "`{item}` names the case `{name}`, which does not exist");
        }
    }
}

#[test]
fn every_case_is_named_by_a_guarantee() {
    let named: BTreeSet<String> = documented().values().flat_map(|text| named(text)).collect();
    let unnamed: Vec<_> = cases().into_iter().filter(|case| !named.contains(*case)).collect();
    assert!(unnamed.is_empty(), "no guarantee names {unnamed:?}");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    assert_eq!(cases().len(), CASES.len() + PERSISTENT_CASES.len());
    assert!(CASES.len() >= 60, "the suite shrank to {} cases", CASES.len());
}

#[test]
fn a_guarantee_without_a_case_would_be_found() {
    assert_eq!(named("Adds a lock. `Exists` when the id is taken."), Vec::<String>::new());
    assert_eq!(named(" A. Case: `one`. B `Missing`. Cases: `two`, `three`. C."), ["one", "two", "three"]);
}
