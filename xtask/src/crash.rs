//! `cargo xtask crash`: the crash test of the real binary, for more rounds than the ordinary tests.

use anyhow::Result;

use crate::run;

/// Kill the real server under load, again and again
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each round: several writers, SIGKILL, restart, read everything; all that was acknowledged
must be there, in order, and nothing that was never sent.

Examples:
  cargo xtask crash                 100 rounds
  cargo xtask crash --rounds 1000"
)]
pub struct Args {
    /// How many rounds
    #[arg(long, default_value_t = 100)]
    rounds: u32,
}

impl Args {
    /// Builds the server in release and runs the crash test against it.
    pub fn run(self) -> Result<()> {
        run::step("build the server", || {
            run::run(&mut run::cargo(["build", "--release", "--package", "millstream"]))
        })?;
        run::step(&format!("{} rounds", self.rounds), || {
            let args = ["test", "--package", "conformance", "--test", "crash", "--", "--nocapture"];
            let mut test = run::cargo(args);
            test.env("MILLSTREAM_BIN", run::target_dir().join("release/millstream"));
            run::run(test.env("MILLSTREAM_CRASH_ROUNDS", self.rounds.to_string()))
        })
    }
}
