//! The manifests and the lock file hold to what the workspace promises of them.

#![expect(clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use semver::Version;
use serde_json::Value;
use toml::Table;
use xtask::Workspace;

fn workspace() -> Workspace {
    Workspace::read().expect("the workspace")
}

fn manifest(path: &Path) -> Table {
    std::fs::read_to_string(path).expect("a manifest").parse().expect("TOML")
}

fn root() -> Table {
    manifest(&workspace().root.join("Cargo.toml"))
}

/// What the lock file holds: each package's name, version, stated `rust-version`, and whether it is ours.
fn locked() -> Vec<(String, Version, Option<Version>, bool)> {
    let manifest = workspace().root.join("Cargo.toml");
    // Where only this platform's packages were downloaded, these are looked at.
    let metadata = Workspace::metadata(&manifest, &["--locked"])
        .or_else(|_| Workspace::metadata(&manifest, &["--locked", "--filter-platform", &host()]))
        .expect("cargo metadata");
    let packages = metadata.get("packages").and_then(Value::as_array).expect("packages");
    packages
        .iter()
        .map(|package| {
            let text = |key: &str| package.get(key).and_then(Value::as_str);
            let version = text("version").expect("a version").parse().expect("a version");
            (
                text("name").expect("a name").to_owned(),
                version,
                text("rust_version").map(full_version),
                text("source").is_none(),
            )
        })
        .collect()
}

/// The platform that this machine is.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("its host").to_owned()
}

/// `1.89` and `1.89.0` are one version.
fn full_version(text: &str) -> Version {
    let parts = text.split('.').count();
    format!("{text}{}", ".0".repeat(3_usize.saturating_sub(parts))).parse().expect("a version")
}

#[test]
fn the_stated_rust_version_is_the_highest_that_a_locked_dependency_states() {
    let stated =
        root()["workspace"]["package"]["rust-version"].as_str().map(full_version).expect("a version");
    let (name, highest) = locked()
        .into_iter()
        .filter(|(_, _, _, ours)| !ours)
        .filter_map(|(name, _, rust_version, _)| Some((name, rust_version?)))
        .max_by(|a, b| a.1.cmp(&b.1))
        .expect("dependencies");
    assert_eq!(stated, highest, "`{name}` states {highest}");
}

#[test]
fn releases_with_known_holes_are_not_locked() {
    for (name, version, _, _) in locked() {
        let least = match name.as_str() {
            // CVE-2026-25537.
            "jsonwebtoken" => Version::new(10, 3, 0),
            // RUSTSEC-2026-0009.
            "time" => Version::new(0, 3, 47),
            _ => continue,
        };
        assert!(version >= least, "{name} {version} is older than {least}");
    }
}

#[test]
fn every_crate_inherits_the_lints_and_they_forbid_what_they_must() {
    let lints = &root()["workspace"]["lints"]["rust"];
    assert_eq!(lints["unsafe_code"].as_str(), Some("forbid"));
    assert_eq!(lints["missing_docs"].as_str(), Some("deny"));
    for package in workspace().members {
        let inherited = manifest(&package.folder.join("Cargo.toml"));
        let inherited = inherited.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(inherited, Some(true), "`{}` does not inherit the lints", package.name);
    }
}

#[test]
fn every_crate_inherits_the_stated_rust_version() {
    let stated = root()["workspace"]["package"]["rust-version"].as_str().map(str::to_owned);
    for package in workspace().members {
        assert_eq!(package.rust_version, stated, "{}", package.name);
    }
}

#[test]
fn dependencies_are_declared_once_in_the_workspace() {
    let mut wrong = Vec::new();
    for package in workspace().members {
        let manifest = manifest(&package.folder.join("Cargo.toml"));
        let mut tables: Vec<&toml::Value> = Vec::new();
        let mut places: Vec<&Table> = vec![&manifest];
        let targets = manifest.get("target").and_then(toml::Value::as_table);
        places.extend(
            targets.into_iter().flat_map(|targets| targets.values()).filter_map(toml::Value::as_table),
        );
        for place in places {
            tables.extend(
                ["dependencies", "dev-dependencies", "build-dependencies"]
                    .iter()
                    .filter_map(|kind| place.get(*kind)),
            );
        }
        for (name, dependency) in tables.into_iter().filter_map(toml::Value::as_table).flatten() {
            if dependency.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                wrong.push(format!("{}: {name}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "declared outside the workspace's table: {wrong:#?}");
}

#[test]
fn declared_dependencies_have_their_default_features_off() {
    let root = root();
    let table = root["workspace"]["dependencies"].as_table().expect("a table");
    for (name, dependency) in table {
        let ours = dependency.get("path").is_some();
        let off = dependency.get("default-features").and_then(toml::Value::as_bool) == Some(false);
        assert!(ours || off, "`{name}` has its default features on");
    }
}

#[test]
fn every_declared_dependency_is_used() {
    let members = workspace().members;
    let root = root();
    for name in root["workspace"]["dependencies"].as_table().expect("a table").keys() {
        let used = members.iter().any(|package| {
            package.name == *name || package.dependencies.iter().any(|dependency| dependency.name == *name)
        });
        assert!(used, "nobody uses `{name}`");
    }
}
