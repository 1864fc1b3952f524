//! The writing story: software of others puts records while a shard is split, and all of them are
//! there in the end.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::application::Application;
use super::stream::{self, Stream};
use super::tail;
use crate::server::{Options, Server};

/// Partition keys.
const KEYS: usize = 20;
/// Records of each key.
const PER_KEY: usize = 50;
/// Records a second, so that the split comes in the middle.
const PER_SECOND: usize = 200;
/// Longest wait for the program to be done.
const DONE_MAX: Duration = Duration::from_secs(120);

/// Starts the program, splits a shard as soon as records come, waits until it says that it is done,
/// and reads everything back.
///
/// # Panics
/// A record is missing, or the program or the server fails.
pub fn check(name: &str, command: Command) {
    let mut server = Server::start(Options::default()).expect("the server starts");
    let result = story(name, command, &mut server);
    let log = tail(&server.log(), 30);
    let result = result.with_context(|| format!("{name}\n--- server:\n{log}"));
    result.unwrap_or_else(|error| panic!("{error:?}"));
    server.stop().expect("the server ends cleanly");
}

fn story(name: &str, mut command: Command, server: &mut Server) -> Result<()> {
    let mut stream = Stream::create(server, "written", 2)?;
    let places = json!({
        "kinesis": server.endpoint(), "stream": stream.name(), "arn": stream.arn(),
        "region": stream::REGION, "mode": "sink", "keys": KEYS, "records": KEYS * PER_KEY,
        "per_second": PER_SECOND,
    });
    command.arg(places.to_string());
    let mut application = Application::start(name, command)?;
    let begin = Instant::now();
    let mut split = false;
    let end = loop {
        if let Some(line) = application.lines().pop() {
            break line;
        }
        ensure!(begin.elapsed() < DONE_MAX, "not done in time\n{}", application.complaints());
        if !split && !stream.read_all()?.is_empty() {
            stream.split_first()?;
            split = true;
        }
        std::thread::sleep(Duration::from_millis(300));
    };
    ensure!(end.contains("FINISHED"), "it ended with {end}\n{}", application.complaints());
    ensure!(split, "it was done before its first record was seen");
    application.stop()?;
    server.assert_alive()?;
    let found: BTreeSet<String> = stream.read_all()?.into_iter().collect();
    let expected: BTreeSet<String> = (0..KEYS)
        .flat_map(|key| (0..PER_KEY).map(move |number| format!("k{key}/{number}")))
        .collect();
    let missing: Vec<&String> = expected.difference(&found).collect();
    ensure!(missing.is_empty(), "{} records are missing: {missing:?}", missing.len());
    ensure!(found.len() == expected.len(), "records that no one put: {found:?}");
    println!("{name}: {} records in {:.1} s", found.len(), begin.elapsed().as_secs_f64());
    Ok(())
}
