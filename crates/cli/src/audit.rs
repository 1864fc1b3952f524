//! `millstream audit`: what the trail of a node says, and whether it is whole and unchanged.
//!
//! Reads files only, of a running node too; changes nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use millstream_audit::{Attribute, Cursor, Hash, Page, Query, Report, lookup, trail_files, verify};
use millstream_env::{Env, RealDisk};
use serde_json::{Value, json};

use crate::args::{Global, Output};
use crate::output;

/// How often `tail --follow` looks for more.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);
/// Events of one page of a search.
const PAGE_EVENTS: usize = 500;

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream audit verify /var/lib/millstream
  millstream audit verify /var/lib/millstream --expect 5f2c…   a hash that was printed before
  millstream audit tail /var/lib/millstream --follow
  millstream audit search /var/lib/millstream --event CreateStream --user ann --json

DIR is a data directory, or the folder with the audit-*.jsonl files itself.")]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum AuditCommand {
    /// Prove that no line was changed, removed, added or reordered
    Verify(VerifyArgs),
    /// Show the newest events, oldest of them first
    Tail(TailArgs),
    /// Show the events that match, newest first
    Search(SearchArgs),
}

#[derive(Args, Clone, Debug)]
struct VerifyArgs {
    /// A data directory, or the folder with the files
    #[arg(value_name = "DIR", default_value = "millstream-data")]
    dir: PathBuf,
    /// A hash that must be in the trail: one that was printed before, kept elsewhere
    #[arg(long, value_name = "HASH")]
    expect: Option<Hash>,
    /// Fail also when the node cut off whole lines after a crash
    #[arg(long)]
    strict: bool,
}

#[derive(Args, Clone, Debug)]
struct TailArgs {
    /// A data directory, or the folder with the files
    #[arg(value_name = "DIR", default_value = "millstream-data")]
    dir: PathBuf,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Go on with those that come
    #[arg(short, long)]
    follow: bool,
    /// Whole events, one per line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Clone, Debug)]
struct SearchArgs {
    /// A data directory, or the folder with the files
    #[arg(value_name = "DIR", default_value = "millstream-data")]
    dir: PathBuf,
    /// The operation: CreateStream
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Who called: a user, a role's session, or root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[arg(long, value_name = "ID")]
    access_key: Option<String>,
    /// What was acted on: a name or an ARN
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// The service: kinesis.amazonaws.com
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// true or false
    #[arg(long, value_name = "BOOL")]
    read_only: Option<bool>,
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Of this time or later: 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Of this time or earlier
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// No more than so many
    #[arg(short = 'n', long, default_value_t = 100)]
    lines: usize,
    /// Whole events, one per line
    #[arg(long)]
    json: bool,
}

/// # Errors
/// There is no trail, or it can't be read.
pub async fn run(global: &Global, args: AuditArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        AuditCommand::Verify(args) => run_verify(global, args),
        AuditCommand::Tail(args) => run_tail(args).await,
        AuditCommand::Search(args) => run_search(args),
    }
}

/// The folder of the files, which may be the data directory's own.
fn open(dir: &Path) -> anyhow::Result<RealDisk> {
    for folder in [dir.join("audit"), dir.to_owned()] {
        let disk = RealDisk::new(&folder);
        if trail_files(&disk).is_ok_and(|files| !files.is_empty()) {
            return Ok(disk);
        }
    }
    bail!("{} holds no audit trail: neither audit/audit-*.jsonl nor audit-*.jsonl", dir.display())
}

fn run_verify(global: &Global, args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let disk = open(&args.dir)?;
    let report = verify(&disk, args.expect).context("the files can't be read")?;
    let cut = report.repairs.iter().any(|repair| repair.lines > 0);
    match global.output {
        Output::Json => output::print_json(&report_json(&report)),
        Output::Text => print_report(&report),
    }
    let sound = report.is_sound() && !(args.strict && cut);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_report(report: &Report) {
    for finding in &report.findings {
        let place = match finding.line {
            0 => finding.file.to_string(),
            line => format!("{}:{line}", finding.file),
        };
        println!("{place}: {}", finding.trouble);
    }
    for repair in &report.repairs {
        println!(
            "note: after a crash {} bytes ({} whole lines) were cut off {} and kept as {}",
            repair.bytes, repair.lines, repair.file, repair.kept_as
        );
    }
    if report.lost > 0 {
        println!("note: {} events could not be written", report.lost);
    }
    if let Some(removed) = &report.removed {
        println!("note: entries up to {} were removed because of their age", removed.last_n);
    }
    if report.unfinished_bytes > 0 {
        println!("note: {} bytes at the end are no whole line yet", report.unfinished_bytes);
    }
    let (first, last) = report.entries.unwrap_or_default();
    println!("{} files, entries {first} to {last}, {} events", report.files, report.events);
    if let Some(head) = report.head {
        println!("newest hash {head}");
    }
    match report.findings_count {
        0 => println!("sound"),
        count => println!("NOT SOUND: {count} findings"),
    }
}

fn report_json(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        let trouble = finding.trouble.to_string();
        json!({"file": finding.file.to_string(), "line": finding.line, "trouble": trouble})
    });
    json!({
        "sound": report.is_sound(),
        "files": report.files,
        "lines": report.lines,
        "events": report.events,
        "bytes": report.bytes,
        "entries": report.entries.map(|(first, last)| json!([first, last])),
        "head": report.head.map(|hash| hash.to_string()),
        "repairs": report.repairs,
        "removed": report.removed,
        "lost": report.lost,
        "unfinished_bytes": report.unfinished_bytes,
        "findings": findings.collect::<Vec<_>>(),
        "findings_count": report.findings_count,
    })
}

async fn run_tail(args: TailArgs) -> anyhow::Result<ExitCode> {
    let disk = open(&args.dir)?;
    let mut events = newest(&disk, args.lines, &[])?;
    events.reverse();
    let mut shown = Vec::new();
    loop {
        for event in &events {
            if !show(event, args.json)? {
                return Ok(ExitCode::SUCCESS);
            }
            shown.push(event["eventID"].clone());
        }
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        shown.drain(..shown.len().saturating_sub(PAGE_EVENTS));
        Env::real(&args.dir).sleep(FOLLOW_INTERVAL).await;
        events = newest(&disk, usize::MAX, &shown)?;
        events.reverse();
    }
}

/// The newest events until `count` are there or one that is `known`.
fn newest(disk: &RealDisk, count: usize, known: &[Value]) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut over = count == 0;
    let mut cursor = None;
    while !over {
        let count_max = PAGE_EVENTS.min(count - found.len());
        let page = page(disk, &Query { count_max, ..Query::default() }, cursor)?;
        for event in page.events {
            over |= known.contains(&event["eventID"]);
            if !over {
                found.push(event);
            }
        }
        cursor = page.next;
        // Who follows an empty trail has nothing to meet: all of it is new.
        over |= cursor.is_none() || found.len() >= count;
    }
    Ok(found)
}

fn run_search(args: SearchArgs) -> anyhow::Result<ExitCode> {
    let disk = open(&args.dir)?;
    let attributes = [
        (Attribute::EventName, args.event),
        (Attribute::Username, args.user),
        (Attribute::AccessKeyId, args.access_key),
        (Attribute::ResourceName, args.resource),
        (Attribute::EventSource, args.source),
        (Attribute::ReadOnly, args.read_only.map(|is| is.to_string())),
    ];
    let time = |time: jiff::Timestamp| {
        millstream_base::Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap_or(0))
    };
    let query = Query {
        account: args.account,
        attributes: attributes.into_iter().filter_map(|(a, v)| Some((a, v?))).collect(),
        from: args.from.map(time),
        to: args.to.map(time),
        count_max: PAGE_EVENTS,
        ..Query::default()
    };
    let (mut left, mut cursor) = (args.lines, None);
    while left > 0 {
        let page = page(&disk, &query, cursor)?;
        for event in page.events.iter().take(left) {
            if !show(event, args.json)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
        left -= page.events.len().min(left);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn page(disk: &RealDisk, query: &Query, cursor: Option<Cursor>) -> anyhow::Result<Page> {
    let query = Query { cursor, ..query.clone() };
    lookup(disk, &query).context("the files can't be read")
}

/// Prints one event; `false` when nobody reads any more.
fn show(event: &Value, json: bool) -> anyhow::Result<bool> {
    let text = match json {
        true => event.to_string(),
        false => {
            let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let resources = Page::resources(event).into_iter().map(|(_, name)| name);
            let resources: Vec<&str> = resources.collect();
            format!(
                "{}  {:<24} {:<12} {:<16} {}  {}",
                word(&event["eventTime"]),
                word(&event["eventName"]),
                Page::username(event).unwrap_or("-"),
                word(&event["sourceIPAddress"]),
                event["errorCode"].as_str().unwrap_or("ok"),
                resources.join(" "),
            )
        }
    };
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("standard output"),
    }
}
