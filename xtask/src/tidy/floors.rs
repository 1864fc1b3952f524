//! Which crate may know which: the floors of ARCHITECTURE.md, and the rules beside them.
//!
//! The picture in ARCHITECTURE.md is the truth and is parsed from there, so that it can't grow
//! old. A crate of the workspace that is missing in the picture is a problem too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::{House, Problem};
use crate::tree::Package;

/// The page with the picture.
const PAGE: &str = "ARCHITECTURE.md";

/// Crates that must not depend on others, not even through a third: (who, on what, why).
const STRANGERS: &[(&[&str], &[&str], &str)] = &[
    (
        &["base", "env", "log", "meta", "streams"],
        &["millstream-wire", "millstream-api", "http", "hyper", "hyper-util", "axum"],
        "engines know no HTTP and no AWS shapes",
    ),
    (&["base", "env", "log"], &["serde_json"], "it knows bytes, not documents"),
    (&["log"], &["millstream-meta", "millstream-streams"], "the log knows no Kinesis"),
    (
        &["client", "producer", "consumer", "agent", "connectors"],
        &["millstream-server", "millstream-streams", "millstream-log", "millstream-meta"],
        "clients work against real AWS as well as against us",
    ),
    (&["base", "wire"], &["tokio", "hyper"], "no I/O and no async"),
];

/// Crates that may turn shapes into bytes and back.
const CODEC_CALLERS: &[&str] = &["wire", "api", "server", "client", "sim", "conformance", "xtask"];

/// Every dependency within the house leads to a lower floor.
pub fn arrows(house: &House) -> Result<Vec<Problem>> {
    let page = house.root.join(PAGE);
    let text = std::fs::read_to_string(&page).context("ARCHITECTURE.md is missing")?;
    Ok(arrows_of(&house.packages, &parse(&text), &page))
}

/// No crate leads back to itself, tests' dependencies included.
pub fn circles(house: &House) -> Result<Vec<Problem>> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &house.packages {
        let ours = package.dependencies.iter().filter(|found| is_ours(house, &found.name));
        edges.insert(&package.name, ours.map(|found| found.name.as_str()).collect());
    }
    let manifest = house.root.join("Cargo.toml");
    let knots = super::modules::knots(&edges).into_iter().map(|knot| {
        let names: Vec<&str> = knot.into_iter().collect();
        Problem::new(&manifest, 0, format!("a circle between crates: {}", names.join(", ")))
    });
    Ok(knots.collect())
}

/// The rules of [`STRANGERS`].
pub fn strangers(house: &House) -> Result<Vec<Problem>> {
    Ok(house.packages.iter().flat_map(|package| strangers_of(package, &house.packages)).collect())
}

/// Only the outer floors name a codec of `wire`.
pub fn codecs(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for package in &house.packages {
        if CODEC_CALLERS.contains(&package.crate_name()) {
            continue;
        }
        for file in &package.files {
            for (index, line) in std::fs::read_to_string(file)?.lines().enumerate() {
                if names_a_codec(line) {
                    let says = "only server, client, sim and conformance call codecs";
                    problems.push(Problem::new(file, index + 1, says));
                }
            }
        }
    }
    Ok(problems)
}

/// True when a line of code names the JSON or CBOR half of `wire`.
fn names_a_codec(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["json", "cbor", "eventstream"]
        .iter()
        .any(|codec| code.contains(&format!("millstream_wire::{codec}")))
}

/// Crate -> floor, from the lines `  4   |  streams   ...  |` of the picture. A line without a number
/// goes on with the floor above it.
fn parse(text: &str) -> BTreeMap<String, u32> {
    let mut floors = BTreeMap::new();
    let mut floor = None;
    for line in text.lines() {
        let line = line.trim_start();
        let (number, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (number, rest) = match number.parse::<u32>() {
            Ok(number) => (Some(number), rest),
            Err(_) if line.starts_with('|') => (floor, line),
            Err(_) => (None, line),
        };
        floor = number;
        let (Some(number), Some(inside)) = (number, inside(rest)) else { continue };
        for name in inside.split(|c: char| !c.is_ascii_alphanumeric()).filter(|n| !n.is_empty()) {
            floors.insert(name.to_owned(), number);
        }
    }
    floors
}

fn inside(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix('|')?;
    line.rfind('|').map(|end| &line[..end])
}

fn arrows_of(packages: &[Package], floors: &BTreeMap<String, u32>, page: &Path) -> Vec<Problem> {
    let mut problems = vec![];
    // xtask builds and checks the house from outside; it stands on no floor.
    for package in packages.iter().filter(|package| package.name != "xtask") {
        let name = package.crate_name();
        let Some(floor) = floors.get(name) else {
            problems.push(Problem::new(
                page,
                0,
                format!("crate {name} stands on no floor of the picture"),
            ));
            continue;
        };
        for found in &package.dependencies {
            let Some(other) = packages.iter().find(|other| other.name == found.name) else {
                continue;
            };
            let below = floors.get(other.crate_name()).is_some_and(|below| below < floor);
            if !below {
                let says = format!(
                    "{name} (floor {floor}) depends on {} (floor {:?}): arrows point down",
                    other.crate_name(),
                    floors.get(other.crate_name()),
                );
                problems.push(Problem::new(&package.folder.join("Cargo.toml"), 0, says));
            }
        }
    }
    for name in floors.keys() {
        if !packages.iter().any(|package| package.crate_name() == name) {
            let says = format!("the picture shows a crate {name} that does not exist");
            problems.push(Problem::new(page, 0, says));
        }
    }
    problems
}

fn strangers_of(package: &Package, packages: &[Package]) -> Vec<Problem> {
    let mut problems = vec![];
    let known = reachable(package, packages);
    for (who, forbidden, why) in STRANGERS {
        if !who.contains(&package.crate_name()) {
            continue;
        }
        for name in forbidden.iter().filter(|name| known.contains(**name)) {
            let says = format!("{} depends on {name}: {why}", package.name);
            problems.push(Problem::new(&package.folder.join("Cargo.toml"), 0, says));
        }
    }
    problems
}

/// Everything that `package` names itself or through crates of the house, tests left out.
fn reachable<'a>(package: &'a Package, packages: &'a [Package]) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    let mut open = vec![package];
    while let Some(package) = open.pop() {
        for found in package.dependencies.iter().filter(|found| !found.dev) {
            if known.insert(found.name.as_str()) {
                open.extend(packages.iter().find(|other| other.name == found.name));
            }
        }
    }
    known
}

fn is_ours(house: &House, name: &str) -> bool {
    house.packages.iter().any(|package| package.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Dependency;

    const PICTURE: &str = "
 floor     THE NODE              THE CLIENTS
      +----------------------------------+
  8   |      server       |              |  HTTP, adapters
      +-------------------+--------------+
  3   |   log             |    client    |
      |   meta            |              |
  1   |   base            |    wire      |
";

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies =
            dependencies.iter().map(|name| Dependency { name: (*name).to_owned(), dev: false });
        Package {
            name: name.to_owned(),
            folder: name.into(),
            files: vec![],
            dependencies: dependencies.collect(),
        }
    }

    fn house(server: &[&str], log: &[&str]) -> Vec<Package> {
        vec![
            package("millstream-server", server),
            package("millstream-log", log),
            package("millstream-meta", &[]),
            package("millstream-client", &[]),
            package("millstream-base", &[]),
            package("millstream-wire", &[]),
        ]
    }

    #[test]
    fn the_picture_gives_each_crate_its_floor() {
        let floors = parse(PICTURE);
        let expected =
            [("base", 1), ("client", 3), ("log", 3), ("meta", 3), ("server", 8), ("wire", 1)];
        let expected: BTreeMap<_, _> =
            expected.map(|(name, floor)| (name.to_owned(), floor)).into();
        assert_eq!(floors, expected);
    }

    #[test]
    fn an_arrow_upward_or_along_a_floor_is_found() {
        let floors = parse(PICTURE);
        let sound = house(&["millstream-log", "tokio"], &["millstream-base"]);
        assert_eq!(arrows_of(&sound, &floors, Path::new(PAGE)), vec![]);
        for wrong in ["millstream-server", "millstream-meta"] {
            let problems = arrows_of(&house(&[], &[wrong]), &floors, Path::new(PAGE));
            assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
            assert!(problems[0].says.contains("arrows point down"));
        }
    }

    #[test]
    fn a_crate_without_a_floor_and_a_floor_without_its_crate_are_found() {
        let floors = parse(PICTURE);
        let mut packages = house(&[], &[]);
        packages.pop();
        packages.push(package("millstream-video", &[]));
        let problems = arrows_of(&packages, &floors, Path::new(PAGE));
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn a_stranger_behind_a_third_crate_is_found() {
        let packages = [
            package("millstream-log", &["millstream-helper"]),
            package("millstream-helper", &["hyper"]),
        ];
        let problems = strangers_of(&packages[0], &packages);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].says.contains("hyper"));
    }

    #[test]
    fn a_codec_is_found_in_code_and_not_in_comments() {
        assert!(names_a_codec("use millstream_wire::json::Encoder;"));
        assert!(!names_a_codec("// as millstream_wire::json does"));
        assert!(!names_a_codec("use millstream_wire::Value;"));
    }
}
