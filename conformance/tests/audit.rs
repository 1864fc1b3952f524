//! The audit trail of the real binary: asked by boto3 and the AWS CLI, kept over SIGKILL, and free
//! of secrets.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::chance::{Chance, rounds};
use conformance::peers;
use conformance::server::{Options, Server, binary};
use serde_json::Value;

const KEY: &str = "AKPLANTED00000000";
const SECRET: &str = "PLANTED-secret-access-key-8c1f";
const TOKEN: &str = "PLANTED-session-token-77aa";
const DATA: &str = "PLANTED-record-data-3b9d";

fn verify(data_dir: &Path, more: &[&str]) -> Value {
    let mut command = Command::new(binary().unwrap());
    command.args(["--output", "json", "audit", "verify"]).arg(data_dir).args(more);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| {
        panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr));
    });
    assert_eq!(output.status.success(), report["sound"] == true, "{report}");
    report
}

/// All files below a folder, one after the other.
fn contents(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.extend(std::fs::read(path).unwrap()),
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn boto3_looks_events_up_and_no_secret_is_kept() {
    let Some(python) = peers::python() else { return peers::skip("boto3") };
    let config = format!(
        "[auth]\nmode = \"keys\"\n[[auth.keys]]\naccess_key_id = \"{KEY}\"\n\
         secret_access_key = \"{SECRET}\"\n[audit]\ndata_events = [\"*\"]\n\
         [logging]\nlevel = \"debug\"\n"
    );
    let mut server = Server::start(Options { config, ..Options::default() }).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/audit.py");
    let arguments = [script, &server.endpoint(), KEY, SECRET, TOKEN, DATA];
    let output = Command::new(&python).args(arguments).output().expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.stdout, b"ok\n", "{errors}\n{}", server.log());
    server.stop().expect("a clean end");

    let trail = contents(&server.data_dir().join("audit"));
    for name in ["PutRecord", "PutRecords", "GetRecords", "CreateStream", "LookupEvents"] {
        assert!(holds(&trail, &format!("\"eventName\":\"{name}\"")), "{name} is in the trail");
    }
    assert!(holds(&trail, "HIDDEN_DUE_TO_SECURITY_REASONS"));
    let base64 = base64_simd::STANDARD.encode_to_string(DATA);
    for secret in [SECRET, TOKEN, DATA, &base64[..base64.len() - 4]] {
        assert!(!holds(&trail, secret), "{secret} is in the audit trail");
        assert!(!server.log().contains(secret), "{secret} is in the log:\n{}", server.log());
    }
    let report = verify(&server.data_dir(), &["--strict"]);
    assert_eq!(report["sound"], true, "{report}");
}

#[test]
fn the_cli_looks_events_up() {
    let (Some(python), Some(aws)) = (peers::python(), peers::aws_cli()) else {
        return peers::skip("the AWS CLI");
    };
    let mut server = Server::start(Options::default()).unwrap();
    let run = |arguments: &[&str]| -> Value {
        let mut command = Command::new(&python);
        command.arg(&aws).args(["--output", "json", "--endpoint-url", &server.endpoint()]);
        command
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env_remove("AWS_PROFILE");
        let output = command.output().expect("the AWS CLI starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    run(&["kinesis", "create-stream", "--stream-name", "cli", "--shard-count", "1"]);
    let attribute = "AttributeKey=ResourceName,AttributeValue=cli";
    let found = run(&["cloudtrail", "lookup-events", "--lookup-attributes", attribute]);
    let event = &found["Events"][0];
    assert_eq!(event["EventName"], "CreateStream", "{found}");
    assert_eq!(event["Username"], "root");
    server.stop().unwrap();

    // Our own command finds the same in the files.
    let search = |arguments: &[&str]| {
        let mut command = Command::new(binary().unwrap());
        command.args(["audit", "search"]).arg(server.data_dir()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let line = search(&["--event", "CreateStream", "--json"]);
    let whole: Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(whole["eventID"], event["EventId"]);
    assert!(search(&["--resource", "cli"]).contains("CreateStream"));
    assert_eq!(search(&["--resource", "nothing"]), "");
}

/// One management call; the request id of its answer, `None` if none came.
fn manage(stream: &mut TcpStream, operation: &str, body: &str) -> Option<String> {
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.{operation}\r\n\
         Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, \
         SignedHeaders=host, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let find = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            let length = find("content-length:").map_or(0, |n| n.trim().parse().unwrap());
            if body.len() >= length {
                return find("x-amzn-requestid:").map(|id| id.trim().to_owned());
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen.extend_from_slice(&chunk[..n]),
        }
    }
}

/// Manages tags until the server is gone; tells whose answers came.
fn load(address: SocketAddr, worker: u64, answered: &Mutex<Vec<String>>) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for i in 0_u64.. {
        let name = format!("s-{worker}-{i}");
        let body = format!("{{\"StreamName\":\"{name}\",\"ShardCount\":1}}");
        let Some(id) = manage(&mut stream, "CreateStream", &body) else { return };
        answered.lock().unwrap().push(id);
        let body = format!("{{\"StreamName\":\"{name}\"}}");
        let Some(id) = manage(&mut stream, "DescribeStreamSummary", &body) else { return };
        answered.lock().unwrap().push(id);
    }
}

#[test]
fn every_answered_call_is_in_the_trail_after_sigkill() {
    let config = "[audit]\nfile_bytes_max = \"64KiB\"\n".to_owned();
    let mut server = Server::start(Options { config, ..Options::default() }).unwrap();
    let rounds = rounds(4);
    let mut chance = Chance::of_run(rounds);
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut anchor = None::<String>;
    for round in 0..rounds {
        let address = server.address();
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let answered = answered.clone();
                std::thread::spawn(move || load(address, round * 10 + worker, &answered))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300 + chance.below(500)));
        server.kill().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let before = verify(&server.data_dir(), &[]);
        assert_eq!(before["sound"], true, "after SIGKILL: {before}");
        server.restart().unwrap();
        // What stood there before stands there still, and the chain goes on.
        let expect: Vec<&str> = anchor.iter().flat_map(|hash| ["--expect", hash]).collect();
        let report = verify(&server.data_dir(), &expect);
        assert_eq!(report["sound"], true, "after the restart: {report}");
        anchor = report["head"].as_str().map(str::to_owned);
    }
    server.stop().unwrap();
    let trail = contents(&server.data_dir().join("audit"));
    let trail = String::from_utf8(trail).unwrap();
    let answered = answered.lock().unwrap();
    assert!(answered.len() > 20, "{} calls were answered", answered.len());
    let mut kept = std::collections::HashSet::new();
    for line in trail.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        kept.extend(line["entry"]["event"]["requestID"].as_str().map(str::to_owned));
    }
    for id in answered.iter() {
        assert!(kept.contains(id), "{id} was answered and is not in the trail");
    }
    println!("{} calls answered, {} in the trail", answered.len(), kept.len());
}
