//! `cargo xtask tidy`: the invariants of the house that a compiler does not know.
//!
//! Each check reads the tree and returns every problem that it finds, as `file:line: sentence`; a
//! problem says what to do. The same checks run in `cargo test`. Banned calls are clippy's work
//! (`clippy.toml`); tidy sees to it that no crate opts out of them.

mod advisories;
mod files;
mod floors;
mod licences;
mod links;
mod modules;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::tree::{self, Package};
use crate::{codegen, operations, run};

/// Check floors, circles, headers, licences, links and generated files
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The floors are those of the picture in ARCHITECTURE.md. Every problem is printed as
file:line: what is wrong. `cargo test -p xtask` runs the same checks."
)]
pub struct Args {}

impl Args {
    /// Runs all checks.
    pub fn run(self) -> Result<()> {
        run()
    }
}

/// One thing to mend.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// Its line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and what to do.
    pub says: String,
}

impl Problem {
    fn new(file: &Path, line: usize, says: impl Into<String>) -> Problem {
        Problem { file: file.to_path_buf(), line, says: says.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = run::root();
        let file = self.file.strip_prefix(&root).unwrap_or(&self.file).display();
        match self.line {
            0 => write!(f, "{file}: {}", self.says),
            line => write!(f, "{file}:{line}: {}", self.says),
        }
    }
}

/// What the checks look at, read once.
pub struct House {
    root: PathBuf,
    files: Vec<PathBuf>,
    packages: Vec<Package>,
}

impl House {
    /// Reads the tree at `root`.
    pub fn open(root: &Path) -> Result<House> {
        Ok(House {
            root: root.to_path_buf(),
            files: tree::files(root)?,
            packages: tree::packages(root)?,
        })
    }

    fn files_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a PathBuf> {
        self.files.iter().filter(move |file| file.to_string_lossy().ends_with(ending))
    }
}

type Check = fn(&House) -> Result<Vec<Problem>>;

/// All checks, by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("arrows point down", floors::arrows),
    ("no circles between crates", floors::circles),
    ("what a crate must not know", floors::strangers),
    ("only the outer floors call codecs", floors::codecs),
    ("no circles between modules", modules::circles),
    ("file headers", files::headers),
    ("file lengths", files::lengths),
    ("lints are on", files::lints),
    ("no test is switched off", files::switched_off),
    ("no foreign words", words::foreign),
    ("links resolve", links::resolve),
    ("licences", licences::allowed),
    ("no known weaknesses", advisories::none),
    ("generated files are fresh", generated_fresh),
    ("the list of operations is fresh", operations_fresh),
];

/// Runs all checks and fails when one of them found something.
pub fn run() -> Result<()> {
    let house = House::open(&run::root())?;
    let mut count = 0;
    for (name, check) in CHECKS {
        for problem in check(&house)? {
            println!("{problem} [{name}]");
            count += 1;
        }
    }
    if count > 0 {
        bail!("tidy found {count} problems");
    }
    println!("    tidy: {} checks, nothing to mend", CHECKS.len());
    Ok(())
}

fn generated_fresh(_: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for (file, text) in codegen::generate()? {
        if std::fs::read_to_string(&file).unwrap_or_default() != text {
            problems.push(Problem::new(&file, 0, "is stale: run `cargo xtask codegen`"));
        }
    }
    Ok(problems)
}

fn operations_fresh(house: &House) -> Result<Vec<Problem>> {
    let page = house.root.join(operations::PAGE);
    Ok(match operations::check(&house.root) {
        Ok(()) => vec![],
        Err(error) => vec![Problem::new(&page, 0, format!("{error:#}"))],
    })
}
