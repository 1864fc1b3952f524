//! Plays the catalogue: starts the servers its cases ask for, gives every case an account and a
//! stream name of its own, and collects what differs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::catalogue::{Case, Expect, HttpStep, Step, TcpStep, load};
use crate::client::{Answer, Call, Client};
use crate::matcher::{matches, short};
use crate::scene::{Scene, part};
use crate::server::{Options, Server};
use crate::socket;

/// Longest wait for a stream to become ACTIVE.
const ACTIVE_MAX: Duration = Duration::from_secs(30);
/// Most descriptors a server may keep once its clients are gone: store files, and some to spare.
const OPEN_FILES_MAX: usize = 350;
/// How long it may take to close what its clients left.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Servers that play cases side by side.
const SERVERS_AT_ONCE: usize = 6;
/// Failures printed in full.
const FAILURES_SHOWN_MAX: usize = 40;

/// Makes a client of the server at an address.
pub type Connect<'a> = dyn Fn(SocketAddr) -> Result<Box<dyn Client>> + Sync + 'a;

/// Plays every case that the client can, with so many clients side by side.
///
/// # Panics
/// When a case differs or the server did not survive; the message lists all differences.
pub fn play_catalogue(connect: &Connect, workers: usize) {
    let mut cases = load().expect("the catalogue reads");
    if let Ok(wanted) = std::env::var("MILLSTREAM_CASE") {
        cases.retain(|case| case.name.contains(&wanted) || case.file.contains(&wanted));
    }
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases {
        groups.entry(case.config.clone()).or_default().push(case);
    }
    // Groups wait much and work little: side by side, the largest first.
    let mut groups: Vec<(String, Vec<Case>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
    let work = || {
        while let Some((config, cases)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = play_on_server(config, cases, connect, workers);
            total.lock().expect("no holder panics").add(outcome);
        }
    };
    std::thread::scope(|scope| {
        (0..SERVERS_AT_ONCE.min(groups.len())).for_each(|_| drop(scope.spawn(work)));
    });
    let Outcome { client: name, played, failures } = total.into_inner().expect("no holder panics");
    println!("{name}: {played} cases played, {} differ", failures.len());
    let shown = failures.len().min(FAILURES_SHOWN_MAX);
    assert!(
        failures.is_empty(),
        "{name}: {} of {played} cases differ:\n{}",
        failures.len(),
        failures[..shown].join("\n")
    );
    assert!(played > 0, "{name} played no case");
}

/// One group's cases, on a server of their own that must survive them.
fn play_on_server(config: &str, cases: &[Case], connect: &Connect, workers: usize) -> Outcome {
    let options = Options { config: config.to_owned(), ..Options::default() };
    let mut server = Server::start(options).expect("the server starts");
    let mut outcome = play_group(&server, cases, connect, workers).expect("a client starts");
    let alive = server.assert_alive().and_then(|()| no_leak(&server));
    if let Err(error) = alive.and_then(|()| server.stop()) {
        outcome.failures.push(format!("the server did not survive the cases: {error:#}"));
    }
    outcome
}

/// Connections of clients that are gone, hostile ones too, are closed.
fn no_leak(server: &Server) -> Result<()> {
    let deadline = Instant::now() + SETTLE_MAX;
    while server.open_files()? > OPEN_FILES_MAX {
        let open = server.open_files()?;
        ensure!(Instant::now() < deadline, "{open} descriptors are open after the cases");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[derive(Default)]
struct Outcome {
    client: String,
    played: usize,
    failures: Vec<String>,
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        self.client = other.client;
        self.played += other.played;
        self.failures.extend(other.failures);
    }
}

fn play_group(
    server: &Server,
    cases: &[Case],
    connect: &Connect,
    workers: usize,
) -> Result<Outcome> {
    let address = server.address();
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    let work = || -> Result<()> {
        let mut client = connect(address)?;
        outcome.lock().expect("no holder panics").client = client.name();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !case.is_for(client.as_ref()) {
                continue;
            }
            let result = play_case(case, client.as_mut(), address);
            let mut outcome = outcome.lock().expect("no holder panics");
            outcome.played += 1;
            if let Err(error) = result {
                outcome.failures.push(format!("- {}: {}: {error:#}", case.file, case.name));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(cases.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a player panicked"))
    })?;
    Ok(outcome.into_inner().expect("no holder panics"))
}

/// Plays one case in a new account.
///
/// # Errors
/// The first step that differs, with both values.
pub fn play_case(case: &Case, client: &mut dyn Client, address: SocketAddr) -> Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let number = COUNTER.fetch_add(2, Ordering::Relaxed);
    let stream = format!("stream-{number}");
    let account = format!("{:012}", 100_000_000_000 + number);
    let mut scene = Scene::new(&stream, &account, "us-east-1");
    scene.set("other_account", format!("{:012}", 100_000_000_001 + number).into());
    let mut player = Player { client, address, scene };
    if let Some(shards) = case.shards {
        player.create(&stream, shards).context("before the first step")?;
    }
    for (index, step) in case.steps.iter().enumerate() {
        player.play(step).with_context(|| format!("step {} ({})", index + 1, title(step)))?;
    }
    Ok(())
}

fn title(step: &Step) -> String {
    let verb = step.op.clone().or_else(|| step.http.as_ref().map(|http| http.method.clone()));
    verb.unwrap_or_else(|| "no call".to_owned())
}

struct Player<'a> {
    client: &'a mut dyn Client,
    address: SocketAddr,
    scene: Scene,
}

impl Player<'_> {
    fn create(&mut self, stream: &str, shards: u32) -> Result<()> {
        let params = json!({"StreamName": stream, "ShardCount": shards});
        let answer = self.call("CreateStream", params, &Step::default())?;
        check(&Expect::default(), &answer, &self.scene)?;
        self.wait_active(stream)
    }

    fn play(&mut self, step: &Step) -> Result<()> {
        if let Some(names) = &step.names {
            for (name, value) in names {
                let value = self.scene.expand(value)?;
                self.scene.set(name, value);
            }
        }
        if let Some(millis) = step.sleep_ms {
            std::thread::sleep(Duration::from_millis(millis));
        }
        if let Some(stream) = &step.wait_active {
            let stream = self.scene.text(stream)?;
            self.wait_active(&stream)?;
        }
        if step.op.is_some() || step.http.is_some() || step.tcp.is_some() {
            let answer = self.until_expected(step)?;
            for (name, path) in &step.save {
                self.scene.set(name, part(&answer.body, path)?.clone());
            }
        }
        Ok(())
    }

    fn until_expected(&mut self, step: &Step) -> Result<Answer> {
        let deadline = Instant::now() + Duration::from_millis(step.eventually_ms);
        loop {
            let answer = self.perform(step)?;
            let expect = step.expect.clone().unwrap_or_default();
            match check(&expect, &answer, &self.scene) {
                Ok(()) => return Ok(answer),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(30)),
            }
        }
    }

    fn perform(&mut self, step: &Step) -> Result<Answer> {
        if let Some(operation) = &step.op {
            let params = self.scene.expand(&Value::Object(step.params.clone()))?;
            return self.call(operation, params, step);
        }
        if let Some(http) = &step.http {
            let http = self.expand_http(http)?;
            let account = self.account(step)?;
            return self.client.http(&http, &account, region(step));
        }
        let tcp = step.tcp.as_ref().context("a step without a verb")?;
        let send = tcp.send.iter().map(|part| self.scene.expand(part)).collect::<Result<_>>()?;
        socket::play(self.address, &TcpStep { send, ..tcp.clone() })
    }

    fn expand_http(&self, http: &HttpStep) -> Result<HttpStep> {
        let mut http = http.clone();
        http.body = self.scene.expand(&http.body)?;
        http.path = self.scene.text(&http.path)?;
        for value in http.headers.values_mut() {
            *value = self.scene.text(value)?;
        }
        Ok(http)
    }

    fn call(&mut self, operation: &str, params: Value, step: &Step) -> Result<Answer> {
        let account = self.account(step)?;
        let region = region(step).to_owned();
        let operation = operation.to_owned();
        self.client.call(&Call { operation, params, account, region })
    }

    fn account(&self, step: &Step) -> Result<String> {
        self.scene.text(step.account.as_deref().unwrap_or("{account}"))
    }

    fn wait_active(&mut self, stream: &str) -> Result<()> {
        let deadline = Instant::now() + ACTIVE_MAX;
        loop {
            let params = json!({"StreamName": stream});
            let answer = self.call("DescribeStreamSummary", params, &Step::default())?;
            let status = part(&answer.body, "StreamDescriptionSummary.StreamStatus");
            match status {
                Ok(status) if status == "ACTIVE" => return Ok(()),
                _ if Instant::now() >= deadline => bail!("{stream} is not ACTIVE: {answer:?}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

fn region(step: &Step) -> &str {
    step.region.as_deref().unwrap_or("us-east-1")
}

/// Compares an answer with what was expected. What a client does not tell is not compared.
fn check(expect: &Expect, answer: &Answer, scene: &Scene) -> Result<()> {
    let seen = || format!("answer: {}", describe(answer));
    if expect.closed {
        ensure!(answer.status.is_none(), "expected a close without an answer; {}", seen());
        return Ok(());
    }
    check_status(expect, answer).with_context(seen)?;
    check_fault(expect, answer, scene).with_context(seen)?;
    if let Some(pattern) = &expect.body {
        matches(&scene.expand(pattern)?, Some(&answer.body)).with_context(seen)?;
    }
    if expect.empty {
        let none = answer.body.as_object().is_none_or(serde_json::Map::is_empty);
        ensure!(none, "members in an empty output; {}", seen());
        let bytes = answer.raw.as_ref().map_or(0, bytes::Bytes::len);
        ensure!(bytes == 0, "{bytes} bytes in an empty output; {}", seen());
    }
    for (name, pattern) in &expect.headers {
        let value = answer.header(name).map(Value::from);
        let pattern = scene.expand(pattern)?;
        matches(&pattern, value.as_ref()).with_context(|| name.clone()).with_context(seen)?;
    }
    let raw = answer.raw.as_deref().unwrap_or_default();
    if let Some(pattern) = &expect.text {
        let text = Value::from(String::from_utf8_lossy(raw));
        matches(&scene.expand(pattern)?, Some(&text)).with_context(seen)?;
    }
    if let Some(pattern) = &expect.json {
        let json: Value = serde_json::from_slice(raw).context("not JSON").with_context(seen)?;
        matches(&scene.expand(pattern)?, Some(&json)).with_context(seen)?;
    }
    Ok(())
}

fn check_status(expect: &Expect, answer: &Answer) -> Result<()> {
    let Some(status) = answer.status else {
        let told = answer.fault.is_some() || !answer.body.is_null();
        ensure!(told || expect.status.is_none(), "closed without an answer");
        return Ok(());
    };
    let default = if expect.error.is_some() { 400 } else { 200 };
    let wanted = expect.status.clone().unwrap_or_else(|| json!(default));
    let fits = match &wanted {
        Value::Array(several) => several.contains(&json!(status)),
        one => *one == json!(status),
    };
    ensure!(fits, "status {status}, expected {wanted}");
    Ok(())
}

fn check_fault(expect: &Expect, answer: &Answer, scene: &Scene) -> Result<()> {
    match (&expect.error, &answer.fault) {
        (None, None) => return Ok(()),
        (None, Some(_)) if expect.status.is_some() => {}
        (None, Some(fault)) => bail!("error {}, expected success", fault.kind),
        (Some(kind), None) => bail!("success, expected {kind}"),
        (Some(kind), Some(fault)) => {
            ensure!(*kind == fault.kind, "error {}, expected {kind}", fault.kind);
        }
    }
    if let (Some(pattern), Some(fault)) = (&expect.message, &answer.fault) {
        let message = fault.message.clone().map(Value::from);
        matches(&scene.expand(pattern)?, message.as_ref()).context("message")?;
    }
    Ok(())
}

fn describe(answer: &Answer) -> String {
    let status = answer.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    if let Some(fault) = &answer.fault
        && !fault.kind.is_empty()
    {
        return format!("{status} {} {:?}", fault.kind, fault.message);
    }
    let text = match (&answer.body, &answer.raw) {
        (Value::Null, Some(raw)) => String::from_utf8_lossy(&raw[..raw.len().min(600)]).into(),
        (body, _) => short(body),
    };
    format!("{status} {text}")
}
