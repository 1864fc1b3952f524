//! Known weaknesses in what is built in: versions that their authors took back, versions that an
//! advisory names, and whatever `cargo deny` and `cargo audit` know where they are installed.
//!
//! The first two need no network and no tool: the index as cargo keeps it, and [`ADVISORIES`], which
//! is a snapshot of the RustSec database (2026-11) for the crates that meet strangers' bytes. The
//! tools bring the whole database.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{House, Problem};

/// The first version of today's line in which all that the advisory says is mended.
struct Advisory {
    id: &'static str,
    package: &'static str,
    patched: [u64; 3],
}

const fn advisory(id: &'static str, package: &'static str, patched: [u64; 3]) -> Advisory {
    Advisory { id, package, patched }
}

/// Source: RustSec advisory database, the newest advisories of each crate.
const ADVISORIES: &[Advisory] = &[
    advisory("RUSTSEC-2026-0285", "rustls", [0, 23, 45]),
    advisory("RUSTSEC-2026-0104", "rustls-webpki", [0, 103, 13]),
    advisory("RUSTSEC-2026-0049", "rustls-webpki", [0, 103, 10]),
    advisory("RUSTSEC-2026-0044", "aws-lc-sys", [0, 39, 0]),
    advisory("RUSTSEC-2026-0048", "aws-lc-sys", [0, 39, 0]),
    advisory("RUSTSEC-2026-0258", "h2", [0, 4, 16]),
    advisory("RUSTSEC-2025-0023", "tokio", [1, 44, 2]),
];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// `None`: of this workspace.
    source: Option<String>,
}

/// What the index says of one version.
#[derive(Deserialize)]
struct Listed {
    vers: String,
    yanked: bool,
}

/// No package of the lock file is known to be weak.
pub fn none(house: &House) -> Result<Vec<Problem>> {
    let path = house.root.join("Cargo.lock");
    let lock: Lock = toml::from_str(&std::fs::read_to_string(&path)?).context("Cargo.lock")?;
    let indexes = indexes();
    let mut problems = vec![];
    for package in lock.package.iter().filter(|package| package.source.is_some()) {
        let Locked { name, version, .. } = package;
        if indexes.iter().any(|index| is_yanked(index, package)) {
            let says = format!("{name} {version} was taken back: `cargo update -p {name}`");
            problems.push(Problem::new(&path, 0, says));
        }
        for known in ADVISORIES.iter().filter(|known| is_named(known, package)) {
            let says = format!("{name} {version} is named by {}: update it", known.id);
            problems.push(Problem::new(&path, 0, says));
        }
    }
    for (tool, arguments) in [("deny", &["check"][..]), ("audit", &["--quiet"][..])] {
        problems.extend(ask(&house.root, tool, arguments, &path));
    }
    Ok(problems)
}

fn is_named(known: &Advisory, package: &Locked) -> bool {
    let mut parts = package.version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let found: [u64; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
    known.package == package.name && found < known.patched
}

/// The folders in which cargo keeps what it read of registries.
fn indexes() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(folders) = home.and_then(|home| home.join("registry/index").read_dir().ok()) else {
        return vec![];
    };
    folders.filter_map(|entry| Some(entry.ok()?.path().join(".cache"))).collect()
}

/// What cargo has not read counts as not yanked: it reads what it resolves.
fn is_yanked(index: &Path, package: &Locked) -> bool {
    let Ok(bytes) = std::fs::read(index.join(place(&package.name))) else { return false };
    // A header, then versions and their descriptions in turn, each ended by a zero.
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|part| serde_json::from_slice::<Listed>(part).ok())
        .any(|listed| listed.vers == package.version && listed.yanked)
}

/// Where a registry's index has a crate.
fn place(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// What a cargo tool has to complain of; nothing where it is not installed.
fn ask(root: &Path, tool: &str, arguments: &[&str], lock: &Path) -> Option<Problem> {
    let program = format!("cargo-{tool}");
    Command::new(&program).arg("--version").output().ok()?;
    let output = Command::new(&program).arg(tool).args(arguments).current_dir(root).output();
    let output = output.ok().filter(|output| !output.status.success())?;
    let said = [output.stdout, output.stderr].concat();
    let says = format!("cargo {tool} complains:\n{}", String::from_utf8_lossy(&said).trim());
    Some(Problem::new(lock, 0, says))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str, version: &str) -> Locked {
        Locked { name: name.into(), version: version.into(), source: Some("registry".into()) }
    }

    #[test]
    fn versions_below_the_mended_one_are_named() {
        let known = &advisory("X", "h2", [0, 4, 16]);
        for (name, version, expected) in [
            ("h2", "0.4.15", true),
            ("h2", "0.4.16", false),
            ("h2", "1.0.0", false),
            ("h3", "0.1.0", false),
        ] {
            assert_eq!(is_named(known, &locked(name, version)), expected, "{name} {version}");
        }
    }

    #[test]
    fn what_was_taken_back_is_found_in_the_index() {
        let index = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(index.path().join("so/me")).unwrap();
        let listed = |v: &str, yanked: bool| {
            format!("{v}\0{{\"name\":\"some\",\"vers\":\"{v}\",\"yanked\":{yanked}}}\0")
        };
        let text =
            format!("\x03\x02\0\0\0etag\0{}{}", listed("1.0.0", true), listed("1.0.1", false));
        std::fs::write(index.path().join("so/me/some"), text).unwrap();
        assert!(is_yanked(index.path(), &locked("some", "1.0.0")));
        assert!(!is_yanked(index.path(), &locked("some", "1.0.1")));
        assert!(!is_yanked(index.path(), &locked("other", "1.0.0")));
        assert_eq!([place("a"), place("abc"), place("ABcde")], ["1/a", "3/a/abc", "ab/cd/abcde"]);
    }
}
