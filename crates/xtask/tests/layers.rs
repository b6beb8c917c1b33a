//! Dependencies between the crates point down, and the lower layers stay free of what they never do.

#![expect(clippy::expect_used, reason = "tests")]

use std::process::Command;

use xtask::{DependencyKind, Package, Workspace};

/// Each crate and the crates of ours that its code may depend on; lower layers first. A new arrow is a design decision.
const LAYERS: [(&str, &[&str]); 18] = [
    ("cachegate-types", &[]),
    ("cachegate-token", &["cachegate-types"]),
    ("cachegate-jwt", &["cachegate-types"]),
    ("cachegate-policy", &["cachegate-types"]),
    ("cachegate-fetch", &["cachegate-types"]),
    ("cachegate-storage", &["cachegate-types", "cachegate-token", "cachegate-policy"]),
    ("cachegate-federation", &["cachegate-types", "cachegate-jwt", "cachegate-policy", "cachegate-fetch"]),
    ("cachegate-storage-sqlite", STORES),
    ("cachegate-storage-postgres", STORES),
    ("cachegate", KERNEL),
    ("cachegate-login", ABOVE),
    ("cachegate-directory", ABOVE),
    ("cachegate-http", HTTP),
    ("cachegate-client", ABOVE),
    ("cachegate-console", CONSOLE),
    ("cachegate-testkit", ABOVE),
    ("cachegate-bench", CONSOLE),
    ("xtask", &[]),
];

const STORES: &[&str] = &["cachegate-types", "cachegate-token", "cachegate-policy", "cachegate-storage"];
const KERNEL: &[&str] = &[
    "cachegate-types",
    "cachegate-token",
    "cachegate-jwt",
    "cachegate-policy",
    "cachegate-fetch",
    "cachegate-storage",
    "cachegate-federation",
];
const ABOVE: &[&str] = &[
    "cachegate-types",
    "cachegate-token",
    "cachegate-jwt",
    "cachegate-policy",
    "cachegate-fetch",
    "cachegate-storage",
    "cachegate-federation",
    "cachegate",
];
const HTTP: &[&str] = &[
    "cachegate-types",
    "cachegate-token",
    "cachegate-jwt",
    "cachegate-policy",
    "cachegate-storage",
    "cachegate-federation",
    "cachegate",
    "cachegate-login",
    "cachegate-directory",
];
const CONSOLE: &[&str] = &[
    "cachegate-types",
    "cachegate-token",
    "cachegate-jwt",
    "cachegate-policy",
    "cachegate-storage",
    "cachegate-storage-sqlite",
    "cachegate-storage-postgres",
    "cachegate-federation",
    "cachegate",
    "cachegate-http",
];

/// Runtimes of asynchronous code.
const RUNTIMES: [&str; 7] =
    ["tokio", "tokio-util", "async-std", "smol", "async-executor", "async-io", "async-global-executor"];

fn workspace() -> Workspace {
    Workspace::read().expect("the workspace")
}

fn is_example(workspace: &Workspace, package: &Package) -> bool {
    ["examples", "benches", "fuzz"]
        .iter()
        .any(|folder| package.folder.starts_with(workspace.root.join(folder)))
}

/// What a package's own code and build script depend on.
fn normal(package: &Package) -> impl Iterator<Item = &xtask::Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

#[test]
fn dependencies_between_the_crates_point_down() {
    let workspace = workspace();
    let mut broken = Vec::new();
    for package in workspace.members.iter().filter(|package| !is_example(&workspace, package)) {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
            panic!("`{}` has no place among the layers", package.name);
        };
        for dependency in normal(package) {
            if workspace.member(&dependency.name).is_some() && !allowed.contains(&dependency.name.as_str()) {
                broken.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    assert!(broken.is_empty(), "arrows that break the layers: {broken:#?}");
}

#[test]
fn the_kernel_needs_federation_only_where_a_feature_asks() {
    let workspace = workspace();
    let kernel = workspace.member("cachegate").expect("the kernel");
    for dependency in normal(kernel).filter(|dependency| dependency.name == "cachegate-federation") {
        assert!(dependency.optional, "federation must be a feature of the kernel");
    }
}

#[test]
fn the_testkit_is_in_no_normal_build() {
    let workspace = workspace();
    for package in &workspace.members {
        let found = normal(package).find(|dependency| dependency.name == "cachegate-testkit");
        assert!(found.is_none(), "`{}` builds the testkit outside its tests", package.name);
    }
}

#[test]
fn the_lowest_layers_are_free_of_async_and_of_foreign_tokens() {
    let workspace = workspace();
    const ASYNC: [&str; 7] = [
        "async-trait",
        "async-channel",
        "futures",
        "futures-core",
        "futures-util",
        "futures-executor",
        "event-listener",
    ];
    const JWT: [&str; 6] = ["jsonwebtoken", "josekit", "jwt-simple", "jwt-compact", "biscuit", "pasetors"];
    for name in ["cachegate-types", "cachegate-token", "cachegate-jwt", "cachegate-policy"] {
        let package = workspace.member(name).expect("a layer");
        for dependency in normal(package) {
            let dependency = dependency.name.as_str();
            assert!(
                !ASYNC.contains(&dependency) && !RUNTIMES.contains(&dependency),
                "{name} -> {dependency}"
            );
            if name != "cachegate-jwt" {
                assert!(!JWT.contains(&dependency), "{name} -> {dependency}");
            }
        }
    }
}

#[test]
fn only_hosts_name_an_async_runtime() {
    let workspace = workspace();
    for package in workspace.members.iter().filter(|package| !is_example(&workspace, package)) {
        for dependency in normal(package).filter(|dependency| RUNTIMES.contains(&dependency.name.as_str())) {
            let (name, optional, dependency) = (&package.name, dependency.optional, &dependency.name);
            // The client of `cachegate-fetch` is a feature; the trait that the kernel needs is not in it.
            let host = match name.as_str() {
                "cachegate-http" | "xtask" => true,
                "cachegate-fetch" => optional,
                _ => false,
            };
            assert!(host, "{name} -> {dependency}");
        }
    }
}

#[test]
fn the_kernel_and_the_embedded_store_build_without_a_runtime() {
    let workspace = workspace();
    for package in ["cachegate", "cachegate-storage-sqlite"] {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let output = Command::new(cargo)
            .current_dir(&workspace.root)
            .args(["tree", "--offline", "--edges", "normal", "--all-features", "--prefix", "none"])
            .args(["--format", "{p}", "--package", package])
            .output()
            .expect("cargo tree");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&"cachegate-types"), "{tree}");
        for runtime in RUNTIMES {
            assert!(!names.contains(&runtime), "{package} needs {runtime}:\n{tree}");
        }
    }
}
