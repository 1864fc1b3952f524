//! `cargo xtask interop`: real clients whose set-up is heavy: the Java SDK (sync and async) and Go's.
//!
//! Each has a black-box test of its own that builds its program (`conformance/java`, `conformance/go`)
//! with that ecosystem's tool and drives it. A missing tool fails a build server and is a visible skip
//! elsewhere.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::run;

/// Run the tests with heavy real clients: Java, Go
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask interop            all of them
  cargo xtask interop java       only the Java SDK; needs a JDK and maven
  cargo xtask interop go         only the Go SDK; needs go")]
pub struct Args {
    /// Only these clients
    #[arg(value_name = "NAME")]
    names: Vec<Client>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// AWS SDK for Java v2, sync and async
    Java,
    /// AWS SDK for Go v2
    Go,
}

impl Args {
    /// Sets up and runs each client; all are tried before a failure is returned.
    pub fn run(self) -> Result<()> {
        let asked =
            if self.names.is_empty() { Client::value_variants().to_vec() } else { self.names };
        run::step("build the server", || {
            run::run(&mut run::cargo(["build", "--package", "millstream", "--locked", "--quiet"]))
        })?;
        let mut failed = vec![];
        for client in asked {
            if let Err(error) = client.run() {
                println!("error: {error:#}");
                failed.push(client.name());
            }
        }
        if !failed.is_empty() {
            bail!("interop failed with {}", failed.join(", "));
        }
        Ok(())
    }
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Client::Java => "java",
            Client::Go => "go",
        }
    }

    fn tools(self) -> &'static [&'static str] {
        match self {
            Client::Java => &["java", "mvn"],
            Client::Go => &["go"],
        }
    }

    fn run(self) -> Result<()> {
        let missing = self.tools().iter().find(|tool| run::which(tool).is_none());
        if let Some(tool) = missing {
            if run::on_ci() {
                bail!("{} is not on the search path, and with CI=true it must be", tool);
            }
            println!("==> {}: SKIPPED, {tool} is not on the search path", self.name());
            return Ok(());
        }
        run::step(&format!("interop {}", self.name()), || {
            let test = format!("interop_{}", self.name());
            let args = ["test", "--package", "conformance", "--locked", "--test", &test, "--"];
            let mut test = run::cargo(args);
            test.arg("--nocapture").env("MILLSTREAM_INTEROP", self.name());
            run::run(test.env("MILLSTREAM_BIN", run::target_dir().join("debug/millstream")))
        })
    }
}
