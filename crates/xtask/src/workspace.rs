//! The workspace as `cargo metadata` tells it, without asking the network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::XtaskError;

/// The workspace: its folders and its members.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// The target folder.
    pub target: PathBuf,
    /// The members, by name.
    pub members: Vec<Package>,
}

/// A member of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The `rust-version` that it states.
    pub rust_version: Option<String>,
    /// Its features, and what each turns on.
    pub features: BTreeMap<String, Vec<String>>,
    /// What its manifest depends on.
    pub dependencies: Vec<Dependency>,
    /// The root file of its library, where it has one.
    pub library: Option<PathBuf>,
}

/// One dependency in a manifest.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The package's own name.
    pub name: String,
    /// What it is for.
    pub kind: DependencyKind,
    /// Whether a feature turns it on.
    pub optional: bool,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// The code itself.
    Normal,
    /// The build script.
    Build,
    /// Tests, examples and benches.
    Development,
}

impl Workspace {
    /// Reads the workspace that holds this program's source.
    ///
    /// # Errors
    ///
    /// Where cargo cannot be run or its answer is not understood.
    pub fn read() -> Result<Self, XtaskError> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = Self::metadata(&manifest, &["--no-deps"])?;
        let mut members: Vec<Package> =
            array(&metadata, "packages").iter().map(package).collect::<Result<_, _>>()?;
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            root: PathBuf::from(text(&metadata, "workspace_root")?),
            target: PathBuf::from(text(&metadata, "target_directory")?),
            members,
        })
    }

    /// What `cargo metadata` says of a manifest; `more` are further arguments.
    ///
    /// # Errors
    ///
    /// Where cargo cannot be run, fails, or answers with something other than JSON.
    pub fn metadata(manifest: &Path, more: &[&str]) -> Result<Value, XtaskError> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--offline", "--manifest-path"])
            .arg(manifest)
            .args(more)
            .output()
            .map_err(|source| XtaskError::Start { program: "cargo metadata".to_owned(), source })?;
        if !output.status.success() {
            return Err(XtaskError::Metadata(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| XtaskError::Metadata(error.to_string()))
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Package> {
        self.members.iter().find(|package| package.name == name)
    }

    /// The members under `crates/` that have a library, this program aside: what others depend on.
    pub fn libraries(&self) -> impl Iterator<Item = (&Package, &Path)> {
        self.members
            .iter()
            .filter(|package| package.folder.starts_with(self.root.join("crates")) && package.name != "xtask")
            .filter_map(|package| Some((package, package.library.as_deref()?)))
    }
}

/// The cargo that runs this program, so that a chosen toolchain stays chosen.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn package(value: &Value) -> Result<Package, XtaskError> {
    let manifest = PathBuf::from(text(value, "manifest_path")?);
    let folder = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
    let dependencies = array(value, "dependencies")
        .iter()
        .map(|dependency| {
            Ok(Dependency {
                name: text(dependency, "name")?,
                kind: match dependency.get("kind").and_then(Value::as_str) {
                    None => DependencyKind::Normal,
                    Some("build") => DependencyKind::Build,
                    Some(_) => DependencyKind::Development,
                },
                optional: dependency.get("optional").and_then(Value::as_bool).unwrap_or(false),
            })
        })
        .collect::<Result<_, XtaskError>>()?;
    let features = value
        .get("features")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, on)| {
            let on =
                on.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            (name.clone(), on)
        })
        .collect();
    let library = array(value, "targets").iter().find_map(|target| {
        let kinds = array(target, "kind");
        let library = kinds.iter().any(|kind| matches!(kind.as_str(), Some("lib" | "rlib")));
        library.then(|| target.get("src_path").and_then(Value::as_str).map(PathBuf::from))?
    });
    Ok(Package {
        name: text(value, "name")?,
        rust_version: value.get("rust_version").and_then(Value::as_str).map(str::to_owned),
        folder,
        features,
        dependencies,
        library,
    })
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> Result<String, XtaskError> {
    let found = value.get(key).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| XtaskError::Metadata(format!("no `{key}`")))
}
