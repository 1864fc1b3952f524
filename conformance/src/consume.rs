//! Consumer software of others, unchanged, through one story: the applications that people already
//! run must keep their promises here as on AWS.
//!
//! [`check`] starts the server and a DynamoDB for leases and checkpoints, starts the application,
//! puts records with known keys (also aggregated as the KPL does it, where the application takes
//! them apart), splits a shard while it reads, merges, stops it, and starts it again. Checked:
//! every record at least once, the order per key, and that a restart goes on from the checkpoint.
//!
//! An application is a program that gets a JSON object of [`Places`] as its last argument, prints
//! one line `{"data": …}` per record, and ends gracefully when its standard input ends.

pub mod application;
pub mod check;
pub mod java;
pub mod kpl;
pub mod moto;
pub mod produce;
pub mod programs;
pub mod stream;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::server::{Options, Server};
use application::Application;
use check::Seen;
use moto::Moto;
use stream::{Form, Stream};

/// Longest wait for records that were put: leases, a reshard and slow virtual machines included.
const SEEN_MAX: Duration = Duration::from_secs(300);
/// Between two looks at what has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Records of each batch and key.
const PER_KEY: usize = 4;
/// How often the state of both processes is looked at.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// A consumer software and what it promises.
pub struct Software<'a> {
    /// For messages.
    pub name: &'a str,
    /// The program; [`Places`] is added as its last argument.
    pub command: &'a dyn Fn() -> Result<Command>,
    /// How it reads: a word for the program, such as `polling` or `fan-out`.
    pub mode: &'a str,
    /// Whether it takes KPL records apart.
    pub takes_apart: bool,
    /// Whether records of one key come in the order of their puts, through reshards as well.
    pub in_order: bool,
    /// Whether a second run goes on where the first one stopped.
    pub resumes: bool,
}

/// Plays the whole story.
///
/// # Panics
/// Something was not as promised; the message carries what both programs said last.
pub fn check(software: &Software<'_>) {
    play(software).unwrap_or_else(|error| panic!("{error:?}"));
}

fn play(software: &Software<'_>) -> Result<()> {
    let mut server = Server::start(Options::default())?;
    let moto = Moto::start()?;
    let result = story(software, &mut server, &moto);
    let server_log = tail(&server.log(), 30);
    result.with_context(|| {
        format!("{} ({})\n--- server:\n{server_log}", software.name, software.mode)
    })?;
    server.stop()
}

fn story(software: &Software<'_>, server: &mut Server, moto: &Moto) -> Result<()> {
    let mut stream = Stream::create(server, "orders", 2)?;
    let form = if software.takes_apart { Form::Mixed } else { Form::Plain };
    let folder = tempfile::Builder::new().prefix("millstream-consumer-").tempdir()?;
    let places = json!({
        "kinesis": server.endpoint(), "dynamodb": moto.endpoint(), "cloudwatch": moto.endpoint(),
        "stream": stream.name(), "arn": stream.arn(), "region": stream::REGION,
        "application": "reader", "mode": software.mode, "folder": folder.path(),
    });
    let mut round = Round { software, server, places, seen: Seen::default() };

    let mut first = round.start()?;
    let before = stream.put(PER_KEY, form)?;
    round.wait_for(&mut first, &stream, "before the reshard")?;

    let [lower, upper] = stream.split_first()?;
    stream.put(PER_KEY, form)?;
    stream.wait_active()?;
    stream.put(PER_KEY, form)?;
    round.wait_for(&mut first, &stream, "after the split")?;

    stream.merge(&lower, &upper)?;
    stream.wait_active()?;
    stream.put(PER_KEY, form)?;
    round.wait_for(&mut first, &stream, "after the merge")?;
    round.stop(&mut first)?;

    stream.put(PER_KEY, form)?;
    let earlier = round.seen.len();
    let mut second = round.start()?;
    round.wait_for(&mut second, &stream, "after the restart")?;
    round.stop(&mut second)?;
    if software.resumes {
        round.seen.none_again(&before, earlier)?;
    }
    if software.in_order {
        round.seen.in_order()?;
    }
    Ok(())
}

/// One run of the story: what is running and what has been seen.
struct Round<'a> {
    software: &'a Software<'a>,
    server: &'a mut Server,
    places: Value,
    seen: Seen,
}

impl Round<'_> {
    fn start(&self) -> Result<Application> {
        let mut command = (self.software.command)()?;
        command.arg(self.places.to_string());
        Application::start(self.software.name, command)
    }

    /// Ends it; what it still printed counts.
    fn stop(&mut self, application: &mut Application) -> Result<()> {
        application.stop()?;
        application.lines().iter().try_for_each(|line| self.seen.add(line))
    }

    /// Waits until everything that was put has been seen.
    fn wait_for(
        &mut self,
        application: &mut Application,
        stream: &Stream,
        when: &str,
    ) -> Result<()> {
        let begin = Instant::now();
        let mut looked = begin;
        loop {
            for line in application.lines() {
                self.seen.add(&line)?;
            }
            if self.seen.has_all(stream.put_so_far()) {
                println!("{}: {when}, {:.1} s", self.software.name, begin.elapsed().as_secs_f64());
                return Ok(());
            }
            if looked.elapsed() > ALIVE_EVERY {
                looked = Instant::now();
                self.server.assert_alive()?;
                application.assert_alive()?;
            }
            ensure!(
                begin.elapsed() < SEEN_MAX,
                "{when}: not seen within {SEEN_MAX:?}: {}\n--- application:\n{}",
                self.seen.missing(stream.put_so_far()),
                application.complaints(),
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
