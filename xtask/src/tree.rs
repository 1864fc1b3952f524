//! The tree as the checks see it: its files, and the workspace's packages with their sources.
//!
//! Files are those git knows or would add, so that build products and downloads never count.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run;

/// One package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// As in its manifest, `millstream-log`.
    pub name: String,
    /// The folder of its manifest.
    pub folder: PathBuf,
    /// All Rust files below it, sorted.
    pub files: Vec<PathBuf>,
    /// What it depends on, by package name; third parties too.
    pub dependencies: Vec<Dependency>,
}

impl Package {
    /// The crate's name in the house: `log` for `millstream-log`, `cli` for `millstream`.
    pub fn crate_name(&self) -> &str {
        match self.name.as_str() {
            "millstream" => "cli",
            name => name.strip_prefix("millstream-").unwrap_or(name),
        }
    }
}

/// One line of a manifest's dependencies.
#[derive(Debug)]
pub struct Dependency {
    /// Package name.
    pub name: String,
    /// True under `[dev-dependencies]`.
    pub dev: bool,
}

/// A package of the workspace or of a third party, as far as licences go.
#[derive(Debug)]
pub struct Licensed {
    /// `name version`.
    pub name: String,
    /// The SPDX expression of its manifest, if it has one.
    pub licence: Option<String>,
}

/// The workspace's packages.
pub fn packages(root: &Path) -> Result<Vec<Package>> {
    let files = files(root)?;
    let mut packages = Vec::new();
    for found in metadata(root, &["--no-deps"])?.packages {
        let folder = found.manifest_path.parent().expect("a manifest has a folder").to_path_buf();
        // A package that names itself asks for more of its features in tests.
        let others = found.dependencies.into_iter().filter(|d| d.name != found.name);
        let dependencies = others
            .map(|dependency| Dependency {
                dev: dependency.kind.as_deref() == Some("dev"),
                name: dependency.name,
            })
            .collect();
        packages.push(Package {
            name: found.name,
            files: rust_files(&files, &folder),
            dependencies,
            folder,
        });
    }
    Ok(packages)
}

/// Every package that a build on this platform can use.
pub fn licensed(root: &Path) -> Result<Vec<Licensed>> {
    let version = run::output(run::cargo(["-vV"]).current_dir(root))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("cargo -vV names no host")?;
    let found = metadata(root, &["--locked", "--filter-platform", host])?;
    Ok(found
        .packages
        .into_iter()
        .map(|package| Licensed {
            name: format!("{} {}", package.name, package.version),
            licence: package.license,
        })
        .collect())
}

/// All files git knows or would add, absolute, sorted; files deleted but not yet committed are out.
pub fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let listed = run::output(Command::new("git").args(args).current_dir(root))?;
    let mut files: Vec<PathBuf> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| root.join(name))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn rust_files(files: &[PathBuf], folder: &Path) -> Vec<PathBuf> {
    let is_rust = |file: &&PathBuf| file.extension().is_some_and(|ext| ext == "rs");
    files.iter().filter(|file| file.starts_with(folder)).filter(is_rust).cloned().collect()
}

fn metadata(root: &Path, args: &[&str]) -> Result<Metadata> {
    let mut command = run::cargo(["metadata", "--format-version", "1"]);
    let text = run::output(command.args(args).current_dir(root))?;
    serde_json::from_str(&text).context("cargo metadata printed something unexpected")
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<String>,
}
