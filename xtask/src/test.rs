//! `cargo xtask test`: everything a newcomer needs to know that the tree is sound.
//!
//! Steps run from the quick to the slow, each with its time; peers install beside the first build.
//! The tests' own output, closing lines included, goes to the terminal untouched.

use std::thread;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

use crate::peers::Peers;
use crate::{run, tidy};

/// Set up what the tests need, then run all checks and tests
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Steps, in this order: fmt, tidy, clippy, peers, test (which brings peers with it).

Real clients (boto3, the AWS CLI, the JavaScript SDK) are installed into .peers at
pinned versions. One that can't be installed is a visible skip, and a failure when CI=true.

Examples:
  cargo xtask test              all of it
  cargo xtask test fmt tidy     only these steps
  CI=true cargo xtask test      as the build server does it"
)]
pub struct Args {
    /// Only these steps
    #[arg(value_name = "STEP")]
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt has nothing to change
    Fmt,
    /// Floors, circles, headers, licences, links, generated files
    Tidy,
    /// clippy has nothing to say
    Clippy,
    /// Real clients are installed
    Peers,
    /// All tests of all crates, with real clients
    Test,
}

impl Args {
    /// Runs the steps; all of them are tried before a failure is returned.
    pub fn run(self) -> Result<()> {
        let wants = |step| self.steps.is_empty() || self.steps.contains(&step);
        let begin = std::time::Instant::now();
        // Downloads wait for the network while the compiler has the cores.
        let wants_peers = wants(Step::Test) || wants(Step::Peers);
        let peers = wants_peers.then(|| thread::spawn(Peers::install));
        let mut failed = vec![];
        let mut attempt = |name, work: &mut dyn FnMut() -> Result<()>| {
            if let Err(error) = run::step(name, work) {
                println!("    {error:#}");
                failed.push(name);
            }
        };
        if wants(Step::Fmt) {
            attempt("fmt", &mut || run::run(&mut run::cargo(["fmt", "--all", "--check"])));
        }
        if wants(Step::Tidy) {
            attempt("tidy", &mut tidy::run);
        }
        // Before tests, the build lints.
        if wants(Step::Clippy) && !wants(Step::Test) {
            attempt("clippy", &mut clippy);
        }
        if let Some(peers) = peers {
            if wants(Step::Test) {
                run::step("build and clippy", || {
                    run::run(&mut run::cargo_test(["--no-run", "--quiet"]))
                })?;
            }
            let peers = peers.join().map_err(|_| anyhow!("the installation panicked"))?;
            attempt("peers", &mut || peers.report());
            if wants(Step::Test) {
                attempt("test", &mut || test(&peers));
            }
        }
        println!("    all steps: {}", run::seconds(begin.elapsed()));
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

fn clippy() -> Result<()> {
    let args =
        ["clippy", "--workspace", "--all-targets", "--locked", "--keep-going", "--quiet", "--"];
    run::run(run::cargo(args).args(["-D", "warnings"]))
}

fn test(peers: &Peers) -> Result<()> {
    let mut command = run::cargo_test(["--no-fail-fast"]);
    command.env("MILLSTREAM_BIN", run::tested_server());
    run::run(command.envs(peers.vars()))
}
