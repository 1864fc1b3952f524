//! Others that speak Kinesis, as they come from their registries, measured beside us.
//!
//! Each is installed once, at a pinned version, into `.peers`, and gets a fresh process
//! in every round. All of them keep data in memory only, which is their default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::load::{Measured, Shape};
use super::server::{Node, Server, free_address};
use super::table::{Table, whole};
use super::{Plan, median};
use crate::{peers, run};

/// What is measured: name, shape.
const SHAPES: &[(&str, Shape)] = &[
    ("put-records", Shape::PUT_RECORDS_JSON),
    ("put-record", Shape::PUT_RECORD),
    ("get-records", Shape { prefill_mib: 16, ..Shape::GET_RECORDS }),
];

/// Installs every peer; one that can't be had is left out, in words.
pub fn install() -> Result<Vec<Candidate>> {
    let mut found = vec![];
    for peer in PEERS {
        match run::step(&format!("install {}", peer.name), peer.install) {
            Ok(launcher) => found.push(Candidate::Theirs(peer, launcher)),
            Err(error) => println!("    left out: {error:#}"),
        }
    }
    if found.is_empty() {
        bail!("no peer could be installed");
    }
    Ok(found)
}

/// Rounds of all candidates; one table for each shape.
pub fn measure(
    plan: &Plan,
    peers: Vec<Candidate>,
    raw: &mut Map<String, Value>,
) -> Result<Vec<Table>> {
    let candidates: Vec<_> = [Candidate::Ours].into_iter().chain(peers).collect();
    let mut tables = vec![];
    for (name, shape) in SHAPES.iter().filter(|(name, _)| plan.wants(name)) {
        tables.push(compare(plan, name, *shape, &candidates, raw)?);
    }
    Ok(tables)
}

/// Who is measured.
pub enum Candidate {
    /// A durable node.
    Ours,
    /// A peer, and what its installation returned.
    Theirs(&'static Peer, PathBuf),
}

/// Somebody else's server.
pub struct Peer {
    name: &'static str,
    version: &'static str,
    install: fn() -> Result<PathBuf>,
    /// The command line that listens on an address, given what `install` returned.
    launch: fn(&PathBuf, SocketAddr) -> Command,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "ferrokinesis",
        version: FERROKINESIS,
        install: install_ferrokinesis,
        launch: |program, address| {
            let mut command = Command::new(program);
            command.args(["--port", &address.port().to_string()]);
            command
        },
    },
    Peer {
        name: "kinesalite",
        version: KINESALITE,
        install: install_kinesalite,
        launch: |modules, address| {
            let script = format!(
                "require('kinesalite')({{createStreamMs: 10, deleteStreamMs: 10, shardLimit: 100}})\
                 .listen({}, '{}')",
                address.port(),
                address.ip()
            );
            let mut command = Command::new("node");
            command.args(["-e", &script]).env("NODE_PATH", modules);
            command
        },
    },
    Peer {
        name: "moto",
        version: MOTO,
        install: || python_peer("moto", &format!("moto[server]=={MOTO}")),
        launch: |bin, address| {
            let mut command = Command::new(bin.join("moto_server"));
            command.args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
            command
        },
    },
    Peer {
        name: "ministack",
        version: MINISTACK,
        install: || python_peer("ministack", &format!("ministack=={MINISTACK}")),
        launch: |bin, address| {
            let mut command = Command::new(bin.join("ministack"));
            command.env("BIND_HOST", address.ip().to_string());
            command.env("GATEWAY_PORT", address.port().to_string());
            command
        },
    },
];

const FERROKINESIS: &str = "0.7.0";
const KINESALITE: &str = "3.3.3";
const MOTO: &str = "5.2.5";
const MINISTACK: &str = "1.5.33";

fn install_ferrokinesis() -> Result<PathBuf> {
    let home = peers::folder().join("ferrokinesis");
    peers::fresh(&home, FERROKINESIS, || {
        let args = ["install", "--quiet", "--locked", "--version", FERROKINESIS, "--root"];
        run::quietly(run::cargo(args).arg(&home).arg("ferrokinesis"))
    })?;
    Ok(home.join("bin/ferrokinesis"))
}

fn install_kinesalite() -> Result<PathBuf> {
    let home = peers::folder().join("kinesalite");
    let npm = run::which("npm").context("no npm on the search path")?;
    peers::fresh(&home, KINESALITE, || {
        std::fs::create_dir_all(&home)?;
        let args = ["install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix"];
        let package = format!("kinesalite@{KINESALITE}");
        run::quietly(Command::new(&npm).args(args).arg(&home).arg(package))
    })?;
    Ok(home.join("node_modules"))
}

fn python_peer(name: &str, requirement: &str) -> Result<PathBuf> {
    let file = peers::folder().join(format!("{name}.txt"));
    std::fs::create_dir_all(peers::folder())?;
    std::fs::write(&file, format!("{requirement}\n"))?;
    peers::venv(name, &file)
}

impl Candidate {
    fn name(&self) -> String {
        match self {
            Candidate::Ours => "millstream (synced)".into(),
            Candidate::Theirs(peer, _) => format!("{} {}", peer.name, peer.version),
        }
    }

    fn start(&self, plan: &Plan) -> Result<Server> {
        match self {
            Candidate::Ours => Node { sync: true }.start(&plan.load.binary, &plan.home),
            Candidate::Theirs(peer, launcher) => {
                let address = free_address()?;
                Server::start(&mut (peer.launch)(launcher, address), address, None, None)
            }
        }
    }
}

fn compare(
    plan: &Plan,
    name: &str,
    shape: Shape,
    candidates: &[Candidate],
    raw: &mut Map<String, Value>,
) -> Result<Table> {
    let mut results: Vec<Result<Vec<Measured>>> = candidates.iter().map(|_| Ok(vec![])).collect();
    for round in 0..plan.rounds {
        for (candidate, result) in candidates.iter().zip(&mut results) {
            let Ok(measured) = result else { continue };
            println!("    {name}, round {}: {}", round + 1, candidate.name());
            let one = candidate.start(plan).and_then(|server| plan.load.run(&server, shape));
            match one {
                Ok(one) => {
                    raw.insert(format!("{name}/{}/{round}", candidate.name()), one.report.clone());
                    measured.push(one);
                }
                Err(error) => *result = Err(error),
            }
        }
    }
    Ok(tabulate(name, shape, candidates, &results))
}

fn tabulate(
    name: &str,
    shape: Shape,
    candidates: &[Candidate],
    results: &[Result<Vec<Measured>>],
) -> Table {
    let title = format!("{name}: {}", shape.says());
    let mut table = Table::new(
        &title,
        &["server", "records/s", "ours to theirs", "p50 us", "p99 us", "CPU us/record"],
    );
    let middle =
        |runs: &[Measured], of: fn(&Measured) -> f64| median(runs.iter().map(of).collect());
    let ours = results[0].as_ref().ok().map(|runs| middle(runs, |run| run.records_per_s));
    for (candidate, result) in candidates.iter().zip(results) {
        let cells = match result {
            Ok(runs) => {
                let rate = middle(runs, |run| run.records_per_s);
                let ratio = ours.map_or("-".into(), |ours| format!("{:.1}", ours / rate));
                let cpu = middle(runs, |run| run.server_cpu_us_per_record);
                vec![
                    candidate.name(),
                    whole(rate),
                    ratio,
                    whole(middle(runs, |run| run.p50_us)),
                    whole(middle(runs, |run| run.p99_us)),
                    format!("{cpu:.2}"),
                ]
            }
            Err(error) => {
                let mut cells = vec!["-".to_owned(); table.head.len()];
                cells[0] = candidate.name();
                cells[1] = format!("failed: {}", error.root_cause());
                cells
            }
        };
        table.row(cells);
    }
    table
}
