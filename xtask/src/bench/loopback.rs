//! A loopback of our own: a network namespace in which nothing but this run exists.
//!
//! Some peers can't be told where to listen and take all interfaces of the machine. In here there is
//! only one, and nobody else is on it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Set in the process that runs inside.
const INSIDE: &str = "MILLSTREAM_BENCH_LOOPBACK";

/// Becomes the same command line inside a loopback of its own; returns at once when it is there.
///
/// # Errors
/// Linux with `unshare` and `ip` is needed, and the right to make a namespace.
pub fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    // Root needs no user namespace; others get one in which they are root.
    let ways: [&[&str]; 2] = [&["--net"], &["--net", "--map-root-user"]];
    let works = |way: &&&[&str]| {
        let tried = Command::new("unshare").args(**way).args(["--", "ip", "link"]).output();
        tried.is_ok_and(|out| out.status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        bail!(
            "no network namespace can be made (unshare, ip): peers would listen on all interfaces"
        );
    };
    let mut again = Command::new("unshare");
    again.args(*way).args(["--", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    again.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    Err(again.exec()).context("cannot start unshare")
}
