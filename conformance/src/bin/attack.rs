//! Plays all attacks against a fresh server and reports what they cost the good clients.
//!
//! `attack [--seconds N] [--json FILE] [ATTACK...]`; run it with `cargo xtask attack`.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use conformance::attack::{self, ATTACKS, Outcome};

/// Good clients' 99th percentile may at most double; below this many milliseconds it is noise.
const P99_NOISE_MS: f64 = 5.0;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let (mut seconds, mut json, mut names) = (30.0, None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--seconds" => seconds = value()?.parse()?,
            "--json" => json = Some(value()?),
            name if ATTACKS.iter().any(|attack| attack.name == name) => names.push(argument),
            other => bail!("{other} is no attack; there are {}", list()),
        }
    }
    println!("{}", attack::TITLES);
    let time = Duration::from_secs_f64(seconds);
    let outcome = attack::suite(time, &names, |row| println!("{row}"))?;
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&outcome)? + "\n")?;
    }
    let kept = is_kept(&outcome);
    println!(
        "memory bound {} MiB; {}",
        outcome.memory_max_mib,
        if kept { "all bounds kept" } else { "A BOUND WAS BROKEN" }
    );
    Ok(kept)
}

fn is_kept(outcome: &Outcome) -> bool {
    outcome.rows.iter().all(|row| {
        let calm = row.p99_ratio <= 2.0 || row.p99_ms <= P99_NOISE_MS;
        row.errors == 0 && row.memory_peak_mib <= outcome.memory_max_mib && calm
    })
}

fn list() -> String {
    ATTACKS.iter().map(|attack| attack.name).collect::<Vec<_>>().join(", ")
}
