//! `cargo xtask serve`: from a fresh clone to a running node.
//!
//! Builds the release binary with cargo's own progress, then becomes it, so that Ctrl-C reaches the
//! node and its exit code is ours.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// Build the release binary and start a node in ./millstream-data
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask serve                              a durable node in ./millstream-data
  cargo xtask serve --listen 127.0.0.1:0         on a free port; the node prints which
  cargo xtask serve --ephemeral                  nothing is kept after the end
  cargo xtask serve --print-config               every setting with its value

Everything after `serve` goes to `millstream serve`; `millstream serve --help` lists it all.")]
pub struct Args {
    /// Arguments of `millstream serve`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

impl Args {
    /// Builds, then replaces this process by the node; returns only when that failed.
    pub fn run(self) -> Result<()> {
        run::run(&mut run::cargo(["build", "--release", "--package", "millstream"]))?;
        let mut node = Command::new(run::target_dir().join("release/millstream"));
        node.arg("serve");
        if !names_its_own_data(&self.args) {
            node.arg("--data-dir").arg(run::root().join("millstream-data"));
        }
        Err(node.args(&self.args).exec()).context("cannot start the node")
    }
}

/// True when the caller says where the data lives (a configuration file may say it too).
fn names_its_own_data(args: &[String]) -> bool {
    let says = |arg: &String| {
        let name = arg.split('=').next().unwrap_or_default();
        matches!(name, "--data-dir" | "--ephemeral" | "--config" | "--help" | "-h")
    };
    args.iter().any(says) || std::env::var_os("MILLSTREAM_SERVER__DATA_DIR").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_added_only_when_nobody_named_one() {
        let cases: &[(&[&str], bool)] = &[
            (&[], false),
            (&["--listen", "127.0.0.1:0"], false),
            (&["--data-dir", "/tmp/d"], true),
            (&["--data-dir=/tmp/d"], true),
            (&["--ephemeral"], true),
        ];
        for (args, named) in cases {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            assert_eq!(names_its_own_data(&args), *named, "{args:?}");
        }
    }
}
