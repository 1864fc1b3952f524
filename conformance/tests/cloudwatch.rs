//! CloudWatch through boto3, in each protocol that SDKs of today speak to it, and through the CLI.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::process::Command;

use conformance::peers;
use conformance::server::{Options, Server};
use serde_json::Value;

/// JSON is what boto3 takes by itself, CBOR what the Rust and JavaScript SDKs take, query what
/// older ones do, Java's consumer library among them.
const PROTOCOLS: [&str; 3] = ["json", "smithy-rpc-v2-cbor", "query"];

fn options() -> Options {
    let config = "[monitoring]\nflush_interval = \"200ms\"\n".to_owned();
    Options { config, ..Options::default() }
}

#[test]
fn boto3_in_every_protocol() {
    let Some(python) = peers::python() else { return peers::skip("boto3") };
    let mut server = Server::start(options()).expect("the server starts");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/cloudwatch.py");
    for protocol in PROTOCOLS {
        let run = Command::new(&python).args([script, &server.endpoint(), protocol]).output();
        let output = run.expect("Python starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}: {errors}\n{}", server.log());
        assert_eq!(output.stdout, b"ok\n", "{protocol}: {errors}");
    }
    server.stop().expect("a clean end");
}

#[test]
fn the_cli_asks_what_a_stream_did() {
    let (Some(python), Some(aws)) = (peers::python(), peers::aws_cli()) else {
        return peers::skip("the AWS CLI");
    };
    let mut server = Server::start(options()).expect("the server starts");
    let run = |service: &str, endpoint: &str, arguments: &[&str]| -> Value {
        let mut command = Command::new(&python);
        command
            .arg(&aws)
            .args([service, "--output", "json", "--endpoint-url", endpoint])
            .args(arguments);
        command
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env_remove("AWS_PROFILE");
        let output = command.output().expect("the AWS CLI starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let endpoint = server.endpoint();
    run("kinesis", &endpoint, &["create-stream", "--stream-name", "cli", "--shard-count", "1"]);
    run("kinesis", &endpoint, &["wait", "stream-exists", "--stream-name", "cli"]);
    for _ in 0..3 {
        let put = ["put-record", "--stream-name", "cli", "--partition-key", "k", "--data", "YQ=="];
        run("kinesis", &endpoint, &put);
    }
    server.stop().expect("a clean end");
    server.restart().expect("what was counted was kept at the end");
    let period = ["--start-time", "2020-01-01T00:00:00Z", "--end-time", "2099-01-01T00:00:00Z"];
    let statistics = [
        "get-metric-statistics",
        "--namespace",
        "AWS/Kinesis",
        "--metric-name",
        "IncomingRecords",
        "--dimensions",
        "Name=StreamName,Value=cli",
        "--statistics",
        "Sum",
        "SampleCount",
        "--period",
        "31536000",
    ];
    let told = run("cloudwatch", &server.endpoint(), &[&statistics[..], &period].concat());
    let points = told["Datapoints"].as_array().expect("data points");
    assert_eq!(points.len(), 1, "{told}");
    assert_eq!((&points[0]["Sum"], &points[0]["SampleCount"]), (&3.0.into(), &3.0.into()));
    server.stop().expect("a clean end");
}
