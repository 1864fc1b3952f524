//! `cargo xtask sim`: more seeds of the simulation than the ordinary tests run.

use anyhow::Result;

use crate::run;

/// Run the simulated world over many seeds
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A seed decides everything: what clients do, which write is torn, when the process dies. A
seed that fails is printed and fails the same way each time.

Examples:
  cargo xtask sim                   1,000 seeds from 0 on
  cargo xtask sim --seeds 10000
  cargo xtask sim --start 4711 --seeds 1     one seed again"
)]
pub struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Further arguments of the runner
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

impl Args {
    /// Builds the runner in release and lets it run.
    pub fn run(self) -> Result<()> {
        let mut runner = run::cargo(["run", "--release", "--quiet", "--package", "millstream-sim"]);
        runner.args(["--", "--seeds", &self.seeds.to_string(), "--start", &self.start.to_string()]);
        let name = format!("{} seeds from {}", self.seeds, self.start);
        run::step(&name, || run::run(runner.args(&self.args)))
    }
}
