//! The real binary: a server and the commands against it, as a user has them.
#![allow(clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The binary in an environment without credentials, profiles or endpoints.
fn millstream(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.args(args).env_clear().env("HOME", home).current_dir(home);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A node with a data directory of its own; killed when dropped.
struct Node {
    dir: TempDir,
    child: Child,
    endpoint: String,
}

impl Node {
    fn start() -> Node {
        Node::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(dir: TempDir) -> Node {
        let serve = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0", "--output", "json"];
        let log = std::fs::File::create(dir.path().join("node.log")).unwrap();
        let mut child =
            millstream(dir.path(), &serve).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let log = std::fs::read_to_string(dir.path().join("node.log")).unwrap();
            panic!("no start-up line: {log}");
        }
        let facts: Value = serde_json::from_str(&line).unwrap();
        let endpoint = facts["endpoint"].as_str().unwrap().to_owned();
        assert!(!endpoint.ends_with(":0"), "the port it got: {endpoint}");
        Node { dir, child, endpoint }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = millstream(self.dir.path(), args);
        command.env("AWS_ENDPOINT_URL_KINESIS", &self.endpoint);
        command
    }

    /// Standard output of a command that succeeds.
    fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--output", "json"]].concat();
        serde_json::from_str(&self.run(&args)).unwrap()
    }

    fn put_lines(&self, args: &[&str], lines: &str) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses at once does not read; its answer is what counts.
        let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// SIGTERM; the exit code and the directory.
    fn stop(mut self) -> (Option<i32>, TempDir) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        (code, dir)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_stream_is_created_filled_read_described_and_deleted() {
    let node = Node::start();
    let created = node.run(&["streams", "create", "orders", "--shards", "2"]);
    assert_eq!(created, "stream orders created\n");

    let line = |i| format!("{{\"id\":\"c{}\",\"n\":{i}}}\n", i % 7);
    let lines: String = (0..1200).map(line).collect();
    let put = node.put_lines(&["put", "orders", "--key-field", "id", "--output", "json"], &lines);
    assert!(put.status.success(), "{}", text(&put.stderr));
    let summary: Value = serde_json::from_slice(&put.stdout).unwrap();
    assert_eq!((&summary["records"], &summary["failed"]), (&json!(1200), &json!(0)));

    let tail = node.run(&["tail", "orders", "--json"]);
    let records: Vec<Value> = tail.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(records.len(), 1200);
    for key in 0..7 {
        let key = format!("c{key}");
        let of_key = records.iter().filter(|r| r["PartitionKey"] == key.as_str());
        let numbers: Vec<i64> = of_key
            .map(|r| serde_json::from_str::<Value>(r["Data"].as_str().unwrap()).unwrap())
            .map(|data| data["n"].as_i64().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "records of {key} in the order in which they were put");
        assert!(numbers.len() > 100, "{key} has {} records", numbers.len());
    }
    assert_eq!(node.run(&["tail", "orders", "--max", "3"]).lines().count(), 3);

    let described = node.json(&["streams", "describe", "orders"]);
    let summary = &described["StreamDescriptionSummary"];
    assert_eq!(summary["StreamStatus"], "ACTIVE");
    assert_eq!(described["Shards"].as_array().unwrap().len(), 2);
    assert!(node.run(&["streams", "describe", "orders"]).contains("shardId-000000000001"));
    assert_eq!(node.json(&["streams", "list"])["StreamNames"][0], "orders");

    assert_eq!(node.run(&["streams", "delete", "orders"]), "stream orders deleted\n");
    assert!(node.run(&["streams", "list"]).starts_with("no streams"));
}

#[test]
fn hot_shards_and_keys_are_shown() {
    let node = Node::start();
    node.run(&["streams", "create", "orders", "--shards", "2"]);
    let lines = "{\"id\":\"busy\"}\n".repeat(500);
    let page = loop {
        // The first rates are there after some seconds; keys fade, so the load goes on.
        assert!(node.put_lines(&["put", "orders", "--key-field", "id"], &lines).status.success());
        let page = node.json(&["streams", "hot", "orders"]);
        let shares = page["Shards"].as_array().unwrap().iter().map(|s| s["Share"].as_f64());
        if shares.flatten().any(|share| share > 0.99) {
            break page;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    let keys: Vec<&Value> = page["Shards"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|s| s["Keys"].as_array().unwrap())
        .collect();
    assert_eq!(keys.len(), 1, "{page:#}");
    assert_eq!(keys[0]["PartitionKey"], "busy");
    let shown = node.run(&["streams", "hot", "orders"]);
    assert!(shown.contains("busy") && shown.contains("SPLIT AT"), "{shown}");
    let missing = node.command(&["streams", "hot", "none"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("Stream none under account"), "{missing:?}");
}

#[test]
fn a_follower_sees_what_is_put_later_and_ends_at_its_bound() {
    let node = Node::start();
    node.run(&["streams", "create", "orders", "--shards", "3"]);
    let tail = node
        .command(&["tail", "orders", "--follow", "--from", "trim-horizon", "--max", "5"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.run(&["put", "orders", "a", "b", "c"]);
    node.run(&["put", "orders", "d", "e"]);
    let seen = text(&tail.wait_with_output().unwrap().stdout);
    let mut seen: Vec<&str> = seen.lines().collect();
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

#[test]
fn sigterm_ends_with_zero_and_the_records_are_there_after_a_restart() {
    let node = Node::start();
    node.run(&["streams", "create", "orders", "--retention", "48h"]);
    node.run(&["put", "orders", "kept"]);
    let (code, dir) = node.stop();
    assert_eq!(code, Some(0));

    let fsck = millstream(dir.path(), &["fsck", "--data-dir", "data"]).output().unwrap();
    assert!(fsck.status.success(), "{}{}", text(&fsck.stdout), text(&fsck.stderr));
    assert!(text(&fsck.stdout).contains("no damage"), "{}", text(&fsck.stdout));

    let node = Node::start_in(dir);
    assert_eq!(node.run(&["tail", "orders"]), "kept\n");
    let described = node.json(&["streams", "describe", "orders"]);
    assert_eq!(described["StreamDescriptionSummary"]["RetentionPeriodHours"], 48);

    let busy = node.command(&["fsck", "--data-dir", "data"]).output().unwrap();
    assert_eq!(busy.status.code(), Some(1));
    let pid = node.child.id().to_string();
    assert!(text(&busy.stderr).contains(&format!("used by process {pid}")), "{busy:?}");
}

#[test]
fn fsck_names_a_damaged_file_and_repairs_only_when_asked() {
    let node = Node::start();
    node.run(&["streams", "create", "orders"]);
    node.run(&["put", "orders", "lost", "too"]);
    let (_, dir) = node.stop();
    let manifest = dir.path().join("data/log/manifest");
    let mut bytes = std::fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&manifest, &bytes).unwrap();

    let fsck = |more: &[&str]| {
        let args = [&["fsck", "--data-dir", "data", "--output", "json"], more].concat();
        let output = millstream(dir.path(), &args).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let (code, report) = fsck(&[]);
    assert_eq!((code, &report["sound"]), (Some(1), &json!(false)), "{report}");
    assert!(report["found"][0]["damage"].as_str().unwrap().contains("manifest"), "{report}");
    assert_eq!(std::fs::read(&manifest).unwrap(), bytes, "a check changes nothing");

    let (code, report) = fsck(&["--repair"]);
    assert_eq!((code, &report["sound"]), (Some(0), &json!(true)), "{report}");
    assert!(!report["actions"].as_array().unwrap().is_empty(), "{report}");
    let node = Node::start_in(dir);
    assert_eq!(node.run(&["tail", "orders"]).lines().count(), 2);
}

#[test]
fn a_put_that_fails_says_why_and_exits_with_one() {
    let node = Node::start();
    let put = node.put_lines(&["put", "nowhere"], "a\n");
    assert_eq!(put.status.code(), Some(1));
    assert!(text(&put.stderr).contains("ResourceNotFoundException"), "{}", text(&put.stderr));

    node.run(&["streams", "create", "orders"]);
    let lines = "{\"id\":\"x\"}\nnot JSON\n{\"other\":1}\n";
    let put = node.put_lines(&["put", "orders", "--key-field", "id"], lines);
    assert_eq!(put.status.code(), Some(1));
    let said = text(&put.stderr);
    assert!(said.contains("2 records failed with NotSent: record 2: not JSON"), "{said}");
    assert!(text(&put.stdout).starts_with("1 records"), "{}", text(&put.stdout));

    let again = node.command(&["streams", "create", "orders"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
    let fine = node.run(&["streams", "create", "orders", "--if-missing"]);
    assert_eq!(fine, "stream orders exists already\n");
}

#[test]
fn bench_reports_every_operation_and_leaves_nothing_behind() {
    let node = Node::start();
    let pid = node.child.id().to_string();
    let short = ["--duration", "500ms", "--warmup", "50ms", "--connections", "2", "--threads", "1"];
    for op in [
        &["--op", "put-records", "--records-per-request", "50", "--codec", "cbor"][..],
        &["--op", "put-record", "--rate", "200", "--streams", "2"],
        &["--op", "get-records", "--prefill-mib", "1"],
        &["--op", "tail-latency", "--rate", "50"],
        &["--op", "fan-out", "--rate", "50", "--consumers", "3"],
        &["--op", "fan-out", "--consumers", "3", "--codec", "cbor"],
        &["--op", "put-records", "--records-per-request", "5", "--server-pid", &pid],
    ] {
        let report = node.json(&[&["bench"], op, &short].concat());
        assert!(report["records"].as_u64().unwrap() > 0, "{op:?}: {report}");
        assert_eq!(report["errors"], json!({}), "{op:?}: {report}");
        assert!(report["latency_us"]["p50"].as_f64().unwrap() > 0.0, "{op:?}: {report}");
    }
    assert!(node.run(&["streams", "list"]).starts_with("no streams"));
}

#[tokio::test]
async fn the_client_speaks_http_2_with_prior_knowledge() {
    use millstream_api::kinesis::{ListStreamsInput, ops};
    use millstream_client::{Client, Credentials, Endpoint, HttpVersion};

    let node = Node::start();
    node.run(&["streams", "create", "orders"]);
    let client = Client::builder()
        .endpoint(Endpoint::parse(&node.endpoint).unwrap())
        .region("us-east-1")
        .credentials(Credentials::new("test", "test", None, None, "test"))
        .http(HttpVersion::Http2)
        .build()
        .await
        .unwrap();
    let streams = client.send::<ops::ListStreams>(&ListStreamsInput::default()).await.unwrap();
    assert_eq!(streams.stream_names, ["orders"]);
}

#[test]
fn wrong_settings_are_refused_with_their_place_and_the_nearest_key() {
    let home = tempfile::tempdir().unwrap();
    let settings = "[server]\nlistne = [\"127.0.0.1:1\"]\n";
    std::fs::write(home.path().join("node.toml"), settings).unwrap();
    let serve = millstream(home.path(), &["serve", "--config", "node.toml"]).output().unwrap();
    assert_eq!(serve.status.code(), Some(1));
    let said = text(&serve.stderr);
    assert!(said.contains("node.toml:2:1") && said.contains("did you mean `listen`?"), "{said}");
    assert!(!home.path().join("millstream-data").exists(), "nothing is made before that");
}

#[test]
fn the_printed_configuration_is_one_that_can_be_used() {
    let home = tempfile::tempdir().unwrap();
    let args = ["serve", "--listen", "127.0.0.1:4999", "--data-dir", "true", "--print-config"];
    let printed = millstream(home.path(), &args).output().unwrap();
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    std::fs::write(home.path().join("node.toml"), &printed.stdout).unwrap();
    let args = ["serve", "--config", "node.toml", "--print-config"];
    let again = millstream(home.path(), &args).output().unwrap();
    assert_eq!(text(&again.stdout), text(&printed.stdout));
    assert!(text(&again.stdout).contains("127.0.0.1:4999"));
}

#[test]
fn fsck_does_not_touch_a_directory_that_is_not_ours() {
    let home = tempfile::tempdir().unwrap();
    let fsck = millstream(home.path(), &["fsck", "--data-dir", "."]).output().unwrap();
    assert_eq!(fsck.status.code(), Some(1));
    assert!(text(&fsck.stderr).contains("not a millstream data directory"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn every_command_explains_itself_with_examples() {
    let home = tempfile::tempdir().unwrap();
    for command in [
        &[][..],
        &["serve"],
        &["streams"],
        &["streams", "create"],
        &["streams", "list"],
        &["streams", "describe"],
        &["streams", "delete"],
        &["put"],
        &["tail"],
        &["bench"],
        &["fsck"],
    ] {
        let help = millstream(home.path(), &[command, &["--help"]].concat()).output().unwrap();
        assert!(help.status.success(), "{command:?}");
        let help = text(&help.stdout);
        assert!(help.contains("Examples:") && help.contains("millstream "), "{command:?}: {help}");
        assert!(help.contains("--endpoint-url"), "{command:?}: {help}");
    }
    let wrong = millstream(home.path(), &["put"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

/// Records and keys are in the memory of a node: a core file would give them away.
#[test]
#[cfg(target_os = "linux")]
fn a_node_that_is_aborted_leaves_no_core_file() {
    let mut node = Node::start();
    node.run(&["streams", "create", "orders", "--shards", "1"]);
    let pid = node.child.id();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{core:?}");
    kill_process(Pid::from_child(&node.child), Signal::ABORT).unwrap();
    let ended = node.child.wait().unwrap();
    assert!(!ended.success(), "{ended:?}");
    let shown = format!("{ended:?} {ended}");
    assert!(!shown.contains("core dumped"), "{shown}");
    let names = std::fs::read_dir(node.dir.path()).unwrap();
    let names: Vec<_> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("core")), "{names:?}");
}
