//! `cargo xtask bench`: the product's figures, as ratios of one run on one machine.
//!
//! Builds the release binary, starts fresh processes on loopback, loads them with `millstream bench`
//! and prints a table with what is to be reached. Method: docs/performance.md.
//!
//! Promises: every wait and every run is bounded; servers are reachable over loopback only (peers get
//! a network namespace of their own) and are stopped by their process ids; raw reports are kept in `target/bench`.

mod load;
mod loopback;
mod others;
mod own;
mod server;
mod table;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;

use crate::run;
use load::Load;
use table::Table;

/// Measure the server, against the machine and against others
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench                     our own table, some minutes
  cargo xtask bench --peers             and ferrokinesis, kinesalite, moto, ministack
  cargo xtask bench --soak 600          and memory over ten minutes of load
  cargo xtask bench --only put-records  one row, to look at while working on it

Run it on a machine that does nothing else. The data directories lie below target/bench and need
about 10 GB for a moment; put CARGO_TARGET_DIR on the disk that is to be measured.")]
pub struct Args {
    /// Also install and measure others that speak Kinesis
    #[arg(long)]
    peers: bool,
    /// Rounds; each runs everything once, and the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Seconds of load while memory is watched; 0 leaves that out
    #[arg(long, default_value_t = 0)]
    soak: u64,
    /// Only measurements with this in their names
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
}

impl Args {
    /// Builds, measures, prints, and keeps the raw reports.
    pub fn run(self) -> Result<()> {
        run::step("build", || {
            run::run(&mut run::cargo(["build", "--release", "--package", "millstream"]))
        })?;
        let peers = if self.peers { others::install()? } else { vec![] };
        if self.peers {
            // From here on nothing is fetched any more.
            loopback::enter()?;
        }
        let plan = Plan {
            rounds: self.rounds.max(1),
            soak: self.soak,
            only: self.only.clone(),
            load: Load {
                binary: run::target_dir().join("release/millstream"),
                seconds: self.seconds.max(1),
            },
            home: fresh_home()?,
        };
        let mut raw = serde_json::Map::new();
        let mut tables = vec![own::measure(&plan, &mut raw)?];
        if self.peers {
            tables.extend(others::measure(&plan, peers, &mut raw)?);
        }
        for table in &tables {
            println!("\n{table}");
        }
        keep(&plan, raw, &tables)
    }
}

/// What is to be measured, how often, and where.
struct Plan {
    rounds: usize,
    soak: u64,
    only: String,
    load: Load,
    /// Data directories and configuration files of the servers.
    home: PathBuf,
}

impl Plan {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

/// `target/bench/data`, empty: what a run that was interrupted has left goes.
fn fresh_home() -> Result<PathBuf> {
    let home = run::target_dir().join("bench/data");
    if home.exists() {
        std::fs::remove_dir_all(&home)?;
    }
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    Ok(home)
}

fn keep(
    plan: &Plan,
    raw: serde_json::Map<String, serde_json::Value>,
    tables: &[Table],
) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let file = run::target_dir().join(format!("bench/{now}.json"));
    let tables: Vec<_> = tables.iter().map(Table::json).collect();
    let whole = json!({
        "unix_time": now,
        "rounds": plan.rounds,
        "seconds": plan.load.seconds,
        "tables": tables,
        "reports": raw,
    });
    std::fs::write(&file, serde_json::to_string_pretty(&whole)?)?;
    println!("\nraw reports: {}", file.display());
    Ok(std::fs::remove_dir_all(&plan.home)?)
}

/// The middle value; of an even number of values, the lower of the two.
fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "a median of nothing");
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 1.0);
    }
}
