//! The AWS CLI: a sample of the catalogue, its paginators and its waiters.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use conformance::base64;
use conformance::client::{Answer, Call, Client, Fault};
use conformance::peers;
use conformance::runner::play_catalogue;
use conformance::server::{Options, Server};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Processes side by side.
const PLAYERS: usize = 3;

/// One process per call.
struct Cli {
    aws: PathBuf,
    endpoint: String,
    home: TempDir,
}

impl Cli {
    fn new(aws: &Path, address: SocketAddr) -> Result<Self> {
        let home = tempfile::tempdir()?;
        std::fs::write(home.path().join("config"), "[default]\nparameter_validation = false\n")?;
        Ok(Self { aws: aws.to_owned(), endpoint: format!("http://{address}"), home })
    }

    fn run(&self, account: &str, region: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.aws);
        command
            .args(["kinesis", "--output", "json", "--endpoint-url", &self.endpoint])
            .args(arguments)
            .env("AWS_CONFIG_FILE", self.home.path().join("config"))
            .env("AWS_ACCESS_KEY_ID", account)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_DEFAULT_REGION", region)
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("PYTHONUTF8", "1")
            .env_remove("AWS_PROFILE");
        command.output().context("the AWS CLI does not start")
    }

    /// Bytes that are not text can't stand in `--cli-input-json`.
    fn data_file(&self, params: &mut Map<String, Value>) -> Result<Option<String>> {
        let Some(Value::String(data)) = params.get("Data") else { return Ok(None) };
        let path = self.home.path().join("data");
        std::fs::write(&path, base64::decode(data).context("Data is not base64")?)?;
        params.remove("Data");
        Ok(Some(format!("fileb://{}", path.display())))
    }
}

impl Client for Cli {
    fn name(&self) -> String {
        "aws cli".to_owned()
    }

    fn family(&self) -> &'static str {
        "cli"
    }

    fn call(&mut self, call: &Call) -> Result<Answer> {
        let mut params = call.params.as_object().cloned().unwrap_or_default();
        let data = self.data_file(&mut params)?;
        if let Some(Value::Array(records)) = params.get_mut("Records") {
            records.iter_mut().try_for_each(text_data)?;
        }
        let operation = kebab(&call.operation);
        let input = Value::Object(params).to_string();
        let mut arguments = vec![operation.as_str(), "--no-paginate", "--cli-input-json", &input];
        if let Some(data) = &data {
            arguments.extend(["--data", data]);
        }
        let output = self.run(&call.account, &call.region, &arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let body = if output.stdout.is_empty() {
                json!({})
            } else {
                serde_json::from_slice(&output.stdout).context("the CLI printed no JSON")?
            };
            return Ok(Answer { body, ..Answer::default() });
        }
        let fault = fault(&errors).with_context(|| format!("the CLI says {errors}"))?;
        Ok(Answer { fault: Some(fault), ..Answer::default() })
    }
}

/// The CLI takes bytes of a list as they are.
fn text_data(record: &mut Value) -> Result<()> {
    if let Some(Value::String(data)) = record.get_mut("Data") {
        *data = String::from_utf8(base64::decode(data).context("Data is not base64")?)?;
    }
    Ok(())
}

fn kebab(operation: &str) -> String {
    let mut out = String::new();
    for letter in operation.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn fault(errors: &str) -> Option<Fault> {
    let rest = errors.split_once("An error occurred (")?.1;
    let (kind, rest) = rest.split_once(") when calling the ")?;
    let message = rest.split_once(" operation: ").map(|(_, message)| message.trim().to_owned());
    Some(Fault { kind: kind.to_owned(), message })
}

#[test]
fn sample_of_the_catalogue() {
    let Some(aws) = peers::aws_cli() else { return peers::skip("the AWS CLI") };
    play_catalogue(&|address| Ok(Box::new(Cli::new(&aws, address)?) as Box<dyn Client>), PLAYERS);
}

#[test]
fn paginators_and_waiters() {
    let Some(aws) = peers::aws_cli() else { return peers::skip("the AWS CLI") };
    let mut server = Server::start(Options::default()).expect("the server starts");
    let cli = Cli::new(&aws, server.address()).expect("a home for the CLI");
    let run = |arguments: &[&str]| -> Result<Value> {
        let output = cli.run("123456789012", "us-east-1", arguments)?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    };
    for name in ["one", "two", "three"] {
        run(&["create-stream", "--stream-name", name, "--shard-count", "3"]).expect("create");
    }
    run(&["wait", "stream-exists", "--stream-name", "one"]).expect("it exists");
    let streams = run(&["list-streams", "--page-size", "1"]).expect("pages");
    assert_eq!(streams["StreamNames"], json!(["one", "three", "two"]));
    let first = run(&["list-streams", "--max-items", "1"]).expect("a first page");
    assert_eq!(first["StreamNames"], json!(["one"]));
    let token = first["NextToken"].as_str().expect("a token to go on");
    let rest = run(&["list-streams", "--starting-token", token]).expect("the rest");
    assert_eq!(rest["StreamNames"], json!(["three", "two"]));
    // The CLI repeats the name beside the token from the second page on, which AWS refuses too.
    let shards = run(&["list-shards", "--stream-name", "two"]).expect("one page");
    assert_eq!(shards["Shards"].as_array().map(Vec::len), Some(3));
    let stream =
        run(&["describe-stream", "--stream-name", "two", "--page-size", "1"]).expect("pages");
    let shards = &stream["StreamDescription"]["Shards"];
    assert_eq!(shards.as_array().map(Vec::len), Some(3), "{stream}");
    let arn = stream["StreamDescription"]["StreamARN"].as_str().expect("an ARN");
    for name in ["a", "b", "c"] {
        let register = ["register-stream-consumer", "--stream-arn", arn, "--consumer-name", name];
        run(&register).expect("register");
    }
    let consumers = ["list-stream-consumers", "--stream-arn", arn, "--page-size", "1"];
    let consumers = run(&consumers).expect("pages");
    let names: Vec<&Value> = consumers["Consumers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|consumer| &consumer["ConsumerName"])
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    run(&[
        "split-shard",
        "--stream-name",
        "two",
        "--shard-to-split",
        "shardId-000000000000",
        "--new-starting-hash-key",
        "1000",
    ])
    .expect("split");
    run(&["wait", "stream-exists", "--stream-name", "two"]).expect("it is active again");
    let stream =
        run(&["describe-stream", "--stream-name", "two", "--page-size", "2"]).expect("pages");
    let shards = &stream["StreamDescription"]["Shards"];
    assert_eq!(shards.as_array().map(Vec::len), Some(5), "{stream}");
    run(&["delete-stream", "--stream-name", "one"]).expect("delete");
    run(&["wait", "stream-not-exists", "--stream-name", "one"]).expect("it is gone");
    server.stop().expect("a clean end");
}
