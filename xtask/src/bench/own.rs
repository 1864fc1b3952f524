//! Our own table: the server against the machine's limits and against itself without syncs.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::load::{Measured, Shape};
use super::server::{Node, Server};
use super::table::{Table, met, whole};
use super::{Plan, median};
use crate::run::Child;

const SYNCED: Node = Node { sync: true };
const UNSYNCED: Node = Node { sync: false };
const MB: f64 = 1e6;

/// Measured in every round, in this order.
const CASES: &[(&str, Node, Shape)] = &[
    ("put-records json", SYNCED, Shape::PUT_RECORDS_JSON),
    ("put-records json, no sync", UNSYNCED, Shape::PUT_RECORDS_JSON),
    ("put-records cbor", SYNCED, Shape::PUT_RECORDS_CBOR),
    ("put-record", SYNCED, Shape::PUT_RECORD),
    ("lone put", SYNCED, Shape::LONE_PUT),
    ("get-records cached", SYNCED, Shape::GET_RECORDS),
    // More than eight times what the store keeps in memory.
    ("get-records files", SYNCED, Shape { prefill_mib: 1536, ..Shape::GET_RECORDS }),
    ("tail latency", SYNCED, Shape::TAIL),
    ("fan-out", SYNCED, Shape::FAN_OUT),
    ("fan-out timed", SYNCED, Shape::FAN_OUT_TIMED),
];

/// Runs all that the plan wants.
pub fn measure(plan: &Plan, raw: &mut Map<String, Value>) -> Result<Table> {
    let mut found: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    for round in 0..plan.rounds {
        for (name, node, shape) in CASES.iter().filter(|(name, ..)| plan.wants(name)) {
            println!("    round {}: {name}", round + 1);
            let server = node.start(&plan.load.binary, &plan.home)?;
            let measured =
                plan.load.run(&server, *shape).with_context(|| format!("measuring {name}"))?;
            raw.insert(format!("own/{name}/{round}"), measured.report.clone());
            found.entry(name).or_default().push(measured);
        }
    }
    let mut table =
        Table::new("Millstream on this machine", &["what", "measured", "to reach", "reached"]);
    puts(&found, &mut table);
    lone_put(&found, &mut table)?;
    gets(&found, &mut table);
    fan_out(&found, &mut table)?;
    for (name, measure) in ONCE {
        if plan.wants(name) {
            println!("    once: {name}");
            measure(plan, &mut table, raw).with_context(|| format!("measuring {name}"))?;
        }
    }
    Ok(table)
}

type Found<'a> = BTreeMap<&'a str, Vec<Measured>>;

/// The median of one figure of one case, if the case was run.
fn middle(found: &Found<'_>, name: &str, of: fn(&Measured) -> f64) -> Option<f64> {
    found.get(name).map(|runs| median(runs.iter().map(of).collect()))
}

fn puts(found: &Found<'_>, table: &mut Table) {
    let rate = |run: &Measured| run.records_per_s;
    for (name, cpu_max) in [("put-records json", 2.0), ("put-records cbor", 1.5)] {
        let Some(records) = middle(found, name, rate) else { continue };
        let reach = "8 times the fastest peer (--peers)";
        row(table, name, format!("{} records/s", whole(records)), reach, "-".into());
        let cpu = middle(found, name, |run| run.server_cpu_us_per_record).unwrap_or(f64::NAN);
        let what = format!("{name}: server CPU per record");
        row(table, &what, format!("{cpu:.2} us"), &format!("{cpu_max:.1} us"), met(cpu <= cpu_max));
    }
    let both = middle(found, "put-records json", rate).zip(middle(
        found,
        "put-records json, no sync",
        rate,
    ));
    if let Some((synced, unsynced)) = both {
        let ratio = synced / unsynced;
        row(table, "synced to unsynced", format!("{ratio:.2}"), "0.90", met(ratio >= 0.9));
    }
    if let Some(records) = middle(found, "put-record", rate) {
        let reached = met(records >= 60_000.0);
        row(table, "put-record", format!("{}/s", whole(records)), "60,000/s", reached);
        let tail = middle(found, "put-record", |run| run.p99_us / run.p50_us).unwrap_or(f64::NAN);
        row(table, "put-record: p99 to p50", format!("{tail:.1}"), "4", met(tail <= 4.0));
    }
}

fn lone_put(found: &Found<'_>, table: &mut Table) -> Result<()> {
    let Some(runs) = found.get("lone put") else { return Ok(()) };
    let figure = |pointer: &str| -> Result<f64> {
        Ok(median(runs.iter().map(|run| run.figure(pointer)).collect::<Result<_>>()?))
    };
    let put = median(runs.iter().map(|run| run.p50_us).collect());
    let trip = figure("/calibration/round_trip_us/p50")?;
    let sync = figure("/calibration/sync_us/p50")?;
    let bound = 1.25 * (trip + sync) + 20.0;
    let measured = format!("{put:.0} us (round trip {trip:.0}, sync {sync:.0})");
    row(table, "lone put, p50", measured, &format!("{bound:.0} us"), met(put <= bound));
    Ok(())
}

fn gets(found: &Found<'_>, table: &mut Table) {
    for (name, reach) in [("get-records cached", 800.0), ("get-records files", 400.0)] {
        let Some(bytes) = middle(found, name, |run| run.bytes_per_s) else { continue };
        let rate = bytes / MB;
        row(table, name, format!("{rate:.0} MB/s"), &format!("{reach} MB/s"), met(rate >= reach));
    }
    if let Some(p50) = middle(found, "tail latency", |run| run.p50_us) {
        let measured = format!("{:.2} ms", p50 / 1000.0);
        row(table, "put to readable at a tail, p50", measured, "5 ms", met(p50 < 5000.0));
    }
}

/// 20 consumers of one shard: what they get together, what puts keep, and how soon they have it.
fn fan_out(found: &Found<'_>, table: &mut Table) -> Result<()> {
    if let Some(runs) = found.get("fan-out") {
        let figure = |pointer: &str| -> Result<f64> {
            Ok(median(runs.iter().map(|run| run.figure(pointer)).collect::<Result<_>>()?))
        };
        let payload = figure("/fan_out/payload_bytes_per_second")? / MB;
        let what = "fan-out of one shard to 20 consumers";
        row(table, what, format!("{payload:.0} MB/s"), "1000 MB/s", met(payload >= 1000.0));
        let kept = figure("/fan_out/puts_per_second")? / figure("/fan_out/puts_alone_per_second")?;
        let what = "puts during it, of their lone rate";
        row(table, what, format!("{kept:.2}"), "0.50", met(kept >= 0.5));
    }
    let timed = middle(found, "fan-out timed", |run| run.p50_us).zip(middle(
        found,
        "fan-out timed",
        |run| run.p99_us,
    ));
    if let Some((p50, p99)) = timed {
        let what = "put to had by 20 consumers, p50 and p99";
        let (p50, p99) = (p50 / 1000.0, p99 / 1000.0);
        let measured = format!("{p50:.2} ms, {p99:.2} ms");
        row(table, what, measured, "5 ms, 25 ms", met(p50 < 5.0 && p99 < 25.0));
    }
    Ok(())
}

type Once = fn(&Plan, &mut Table, &mut Map<String, Value>) -> Result<()>;

/// Measured once, after the rounds.
const ONCE: &[(&str, Once)] = &[
    ("start", start),
    ("memory of 10,000 shards", many_shards),
    ("recovery", recovery),
    ("soak", soak),
];

/// An empty node: how soon it answers and what it holds.
fn start(plan: &Plan, table: &mut Table, raw: &mut Map<String, Value>) -> Result<()> {
    let mut times = vec![];
    let mut memory = vec![];
    for _ in 0..5 {
        let server = SYNCED.start(&plan.load.binary, &plan.home)?;
        times.push(server.started_in.as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_secs(1));
        memory.push(server.resident_bytes()? / MB);
    }
    raw.insert("own/start".into(), json!({ "ms": times, "resident_mb": memory }));
    let (time, memory) = (median(times), median(memory));
    row(table, "start of an empty node", format!("{time:.0} ms"), "200 ms", met(time < 200.0));
    row(table, "memory of an empty node", format!("{memory:.0} MB"), "30 MB", met(memory <= 30.0));
    Ok(())
}

fn many_shards(plan: &Plan, table: &mut Table, raw: &mut Map<String, Value>) -> Result<()> {
    let server = SYNCED.start(&plan.load.binary, &plan.home)?;
    let shape = Shape { streams: 100, shards: 100, ..Shape::PUT_RECORDS_JSON };
    let measured = plan.load.run(&server, shape)?;
    let memory = server.resident_bytes()? / MB;
    raw.insert("own/shards".into(), json!({ "resident_mb": memory, "report": measured.report }));
    let what = "memory with 10,000 shards, after puts to all";
    row(table, what, format!("{memory:.0} MB"), "400 MB", met(memory <= 400.0));
    Ok(())
}

/// SIGKILL while the log is written as fast as it goes; the time to the next good answer.
fn recovery(plan: &Plan, table: &mut Table, raw: &mut Map<String, Value>) -> Result<()> {
    let server = SYNCED.start(&plan.load.binary, &plan.home)?;
    let mut load = plan.load.command(&server, Shape::PUT_RECORDS_JSON, 30);
    let load = Child::start(load.stdout(Stdio::null()).stderr(Stdio::null()))?;
    std::thread::sleep(Duration::from_secs(6));
    let data = server.crash();
    drop(load);
    let server = SYNCED.start_on(&plan.load.binary, &data)?;
    let took = server.started_in.as_secs_f64();
    raw.insert("own/recovery".into(), json!({ "seconds": took }));
    let what = "recovery after SIGKILL at full load";
    row(table, what, format!("{took:.2} s"), "3 s", met(took < 3.0));
    Ok(())
}

/// Memory over minutes of single puts: they take little disk and touch every part of the node.
fn soak(plan: &Plan, table: &mut Table, raw: &mut Map<String, Value>) -> Result<()> {
    if plan.soak == 0 {
        return Ok(());
    }
    let server = SYNCED.start(&plan.load.binary, &plan.home)?;
    let mut load = plan.load.command(&server, Shape::PUT_RECORD, plan.soak);
    let mut load = Child::start(load.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let samples = watch_memory(&server, &mut load, Duration::from_secs(plan.soak + 60))?;
    raw.insert("own/soak".into(), json!({ "resident_mb": samples }));
    let (half, highest) = (samples.len() / 2, samples.iter().copied().fold(0.0, f64::max));
    let (early, late) = (median(samples[..half].to_vec()), median(samples[half..].to_vec()));
    let measured = format!("{early:.0} MB, later {late:.0} MB, at most {highest:.0} MB");
    let what = format!("memory over {} s of PutRecord, 64 connections", plan.soak);
    let flat = late <= early * 1.1;
    row(table, &what, measured, "flat, under 600 MB", met(flat && highest < 600.0));
    Ok(())
}

fn watch_memory(server: &Server, load: &mut Child, limit: Duration) -> Result<Vec<f64>> {
    let begin = Instant::now();
    let mut samples = vec![];
    while load.process().try_wait()?.is_none() && begin.elapsed() < limit {
        std::thread::sleep(Duration::from_secs(2));
        samples.push(server.resident_bytes()? / MB);
    }
    anyhow::ensure!(samples.len() >= 4, "the load ended after {:?}", begin.elapsed());
    Ok(samples)
}

fn row(table: &mut Table, what: &str, measured: String, reach: &str, reached: String) {
    table.row(vec![what.to_owned(), measured, reach.to_owned(), reached]);
}
