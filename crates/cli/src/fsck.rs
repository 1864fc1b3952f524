//! `millstream fsck`: is everything in a data directory readable, and if not, what is lost?
//!
//! Never changes a record without `--repair`. The tables are opened as a node opens them, which
//! brings them back to their last complete change after a crash.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_env::{Env, RealDisk};
use millstream_log::fsck::{self, Finding, Lost, Repair, Report};
use millstream_meta::RedbMeta;
use millstream_server::data_dir;
use serde_json::{Value, json};

use crate::args::{Global, Output};
use crate::output;

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream fsck --data-dir /var/lib/millstream
  millstream fsck --data-dir /var/lib/millstream --output json
  millstream fsck --data-dir /var/lib/millstream --repair

The node must be stopped. Exit codes: 0 sound (or repaired), 1 damaged or not to be checked.
--repair gives up what can't be read and keeps the damaged files beside, as *.damaged.")]
pub struct FsckArgs {
    /// The data directory of a node
    #[arg(long, value_name = "DIR", default_value = "millstream-data")]
    data_dir: PathBuf,

    /// Give up what is damaged, so that a node can start on the rest
    #[arg(long)]
    repair: bool,
}

/// The parts of a data directory, as the node lays them out.
const FORMAT_FILE: &str = "FORMAT";
const LOG_DIR: &str = "log";
const META_FILE: &str = "meta/meta.redb";

/// # Errors
/// The directory is none of ours, in use, or can't be read.
pub async fn run(global: &Global, args: FsckArgs) -> anyhow::Result<ExitCode> {
    let dir = args.data_dir;
    // Claiming a directory marks it as ours; a typing error must not do that.
    if !dir.join(FORMAT_FILE).is_file() {
        bail!("{} is not a millstream data directory: it has no {FORMAT_FILE}", dir.display());
    }
    let env = Env::real(&dir);
    let (disk, name) = (env.disk.clone(), dir.clone());
    let _lock = env.blocking(move || data_dir::claim(&*disk, &name)).await?;

    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a template"));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar.set_message("checking the tables");
    let tables = check_tables(&env, &dir).await;
    bar.set_message(if args.repair { "repairing the log" } else { "checking the log" });
    let log = check_log(&env, &dir, args.repair).await.context("the log");
    bar.finish_and_clear();

    let outcome = Outcome { tables, log: log? };
    match global.output {
        Output::Json => output::print_json(&outcome.json(&dir)),
        Output::Text => outcome.print(),
    }
    Ok(if outcome.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opening the tables reads and verifies all rows.
async fn check_tables(env: &Env, dir: &Path) -> Result<(), String> {
    if !dir.join(META_FILE).is_file() {
        return Err(format!("{META_FILE} is missing: the streams' names and settings are lost"));
    }
    let meta = RedbMeta::open(env.clone(), Path::new(META_FILE)).await;
    meta.map_err(|e| e.to_string())?.close().await;
    Ok(())
}

async fn check_log(env: &Env, dir: &Path, repair: bool) -> anyhow::Result<Repair> {
    let disk = Arc::new(RealDisk::new(dir.join(LOG_DIR)));
    let done = env
        .blocking(move || match repair {
            true => fsck::repair(disk),
            false => {
                let after = fsck::check(disk)?;
                Ok(Repair { findings: after.findings.clone(), actions: Vec::new(), after })
            }
        })
        .await?;
    Ok(done)
}

struct Outcome {
    /// The reason why the tables can't be read.
    tables: Result<(), String>,
    log: Repair,
}

impl Outcome {
    fn is_sound(&self) -> bool {
        self.tables.is_ok() && self.log.after.is_sound()
    }

    fn print(&self) {
        match &self.tables {
            Ok(()) => println!("tables: sound"),
            Err(reason) => println!("tables: DAMAGE: {reason}"),
        }
        let repaired = !self.log.actions.is_empty();
        if repaired {
            for finding in &self.log.findings {
                println!("log: found and given up: {}", finding.damage);
                finding.lost.iter().for_each(|lost| println!("  lost: {lost}"));
            }
            self.log.actions.iter().for_each(|action| println!("log: {action}"));
        }
        println!("log: {}", self.log.after);
    }

    fn json(&self, dir: &Path) -> Value {
        json!({
            "data_dir": dir,
            "sound": self.is_sound(),
            "tables": {"sound": self.tables.is_ok(), "damage": self.tables.as_ref().err()},
            "log": report_json(&self.log.after),
            "found": self.log.findings.iter().map(finding_json).collect::<Vec<_>>(),
            "actions": self.log.actions,
        })
    }
}

fn report_json(report: &Report) -> Value {
    json!({
        "sound": report.is_sound(),
        "files": report.files,
        "bytes": report.bytes,
        "logs": report.logs,
        "frames": report.frames,
        "chunks": report.chunks,
        "entries": report.entries,
        "torn_bytes": report.torn_bytes,
        "notes": report.notes,
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "damage": finding.damage.to_string(),
        "lost": finding.lost.iter().map(lost_json).collect::<Vec<_>>(),
    })
}

fn lost_json(lost: &Lost) -> Value {
    let place = |p: millstream_log::Position| format!("{}.{}", p.lsn, p.index);
    json!({
        "log": lost.log.map(|log| log.to_string()),
        "from": place(lost.from),
        "before": place(lost.before),
        "entries": lost.entries,
        "first_written_ms": lost.times.map(|t| t.0.as_millis()),
        "last_written_ms": lost.times.map(|t| t.1.as_millis()),
    })
}
