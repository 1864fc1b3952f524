//! `cargo xtask fuzz`: the fuzz targets of all crates, for longer than in the ordinary tests.
//!
//! A target is a test whose name begins with `fuzz_`, written with bolero; `cargo test` gives each
//! a short random run, this gives each as many seconds as asked for, from a fresh random seed.
//! A failure prints the seed that plays it again (`BOLERO_RANDOM_SEED`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use crate::{run, tree};

/// Run the fuzz targets for longer
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz                          every target for 60 seconds
  cargo xtask fuzz --seconds 600 fuzz_wal   targets with `fuzz_wal` in their names
  cargo xtask fuzz --list                   which targets there are
  BOLERO_RANDOM_SEED=N cargo xtask fuzz T   play one failure again")]
pub struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Print the targets and stop
    #[arg(long)]
    list: bool,
    /// Only targets with this in their names
    #[arg(value_name = "TARGET")]
    target: Option<String>,
}

impl Args {
    /// Runs each target by itself; the first that fails ends the run.
    pub fn run(self) -> Result<()> {
        let filter = self.target.as_deref().unwrap_or_default();
        let targets = targets(&run::root(), filter)?;
        if targets.is_empty() {
            bail!("no fuzz target has '{filter}' in its name");
        }
        for (target, package) in &targets {
            if self.list {
                println!("{target} ({package})");
                continue;
            }
            run::step(&format!("{target} ({package}), {} s", self.seconds), || {
                let args = ["test", "--release", "--package", package, target];
                let millis = (self.seconds * 1000).to_string();
                run::run(run::cargo(args).env("BOLERO_RANDOM_TEST_TIME_MS", millis))
            })?;
        }
        Ok(())
    }
}

/// Every `fn fuzz_*` of the tree with its package.
fn targets(root: &Path, filter: &str) -> Result<BTreeMap<String, String>> {
    let packages = tree::packages(root)?;
    let mut found = BTreeMap::new();
    for package in packages.iter().filter(|package| package.name != "xtask") {
        for file in &package.files {
            let text = std::fs::read_to_string(file)?;
            for name in text.lines().filter_map(target) {
                if name.contains(filter) {
                    found.insert(name.to_owned(), package.name.clone());
                }
            }
        }
    }
    Ok(found)
}

fn target(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix("fn ")?.split('(').next()?;
    name.starts_with("fuzz_").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_function_whose_name_begins_with_fuzz() {
        assert_eq!(target("    fn fuzz_wal_frames() {"), Some("fuzz_wal_frames"));
        assert_eq!(target("fn fuzzy_match() {"), None);
        assert_eq!(target("// fn fuzz_old() {"), None);
    }
}
