//! `cargo xtask attack`: hostile clients against the real binary, good ones beside them.

use std::path::PathBuf;

use anyhow::Result;

use crate::run;

/// Attack a real server on loopback, and tell what good clients notice
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Connection floods, slow headers, bodies and readers, HTTP/2 resets and continuations, bombs,
deep and huge values, garbage: each for a while, against a server of its own on a loopback port,
while 8 good clients put and get. Fails when a good client sees an error, its 99th percentile more
than doubles, or the server takes more memory than its configuration allows.

Examples:
  cargo xtask attack                          30 s each, a quarter of an hour
  cargo xtask attack --seconds 5 --json attack.json
  cargo xtask attack rapid-reset slow-reader"
)]
pub struct Args {
    /// How long each attack lasts
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Where to put the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Build without optimisation of our own crates: quick, but slower to answer
    #[arg(long)]
    debug: bool,
    /// Only these attacks
    #[arg(value_name = "ATTACK")]
    attacks: Vec<String>,
}

impl Args {
    /// Builds server and attackers and runs them.
    pub fn run(self) -> Result<()> {
        let profile = if self.debug { "dev" } else { "release" };
        let folder = if self.debug { "debug" } else { "release" };
        run::step("build server and attackers", || {
            let build = ["build", "--profile", profile, "--package", "millstream", "--package"];
            run::run(run::cargo(build).args(["conformance", "--bins"]))
        })?;
        run::step(&format!("{} s for each attack", self.seconds), || {
            let bin = run::target_dir().join(folder);
            let mut attack = std::process::Command::new(bin.join("attack"));
            attack.env("MILLSTREAM_BIN", bin.join("millstream"));
            attack.args(["--seconds", &self.seconds.to_string()]);
            if let Some(file) = &self.json {
                attack.arg("--json").arg(file);
            }
            run::run(attack.args(&self.attacks))
        })
    }
}
