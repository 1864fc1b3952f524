//! Real clients over TLS: right, wrong and unknown credentials, clocks that are wrong, and a server
//! that they have no reason to trust.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::{Client as Sdk, Config};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider};
use conformance::peers;
use conformance::server::{Options, SELF_SIGNED, Server};

const KEYS: &str = r#"
[auth]
mode = "keys"
keys = [{ access_key_id = "AKIDRIGHT", secret_access_key = "right" }]
"#;

/// Beyond the five minutes that are borne with.
const LATE_SECS: i64 = 600;

/// Who calls, and by which clock.
#[derive(Clone, Copy)]
struct Caller {
    key: &'static str,
    secret: &'static str,
    shift_secs: i64,
}

const RIGHT: Caller = Caller { key: "AKIDRIGHT", secret: "right", shift_secs: 0 };

/// A caller, and what must stand in the answer.
type Expected = (Caller, &'static [&'static str]);

const EXPECTED: [Expected; 5] = [
    (RIGHT, &["ok"]),
    (
        Caller { secret: "wrong", ..RIGHT },
        &["InvalidSignatureException", "The request signature we calculated does not match"],
    ),
    (
        Caller { key: "AKIDOTHER", ..RIGHT },
        &["UnrecognizedClientException", "The security token included in the request is invalid."],
    ),
    (
        Caller { shift_secs: -LATE_SECS, ..RIGHT },
        &["InvalidSignatureException", "Signature expired: ", " is now earlier than "],
    ),
    (
        Caller { shift_secs: LATE_SECS, ..RIGHT },
        &["InvalidSignatureException", "Signature not yet current: ", " is still later than "],
    ),
];

/// Asks as each caller, and once without trust in the server's certificate.
///
/// `ask`: what a client says to the server at an endpoint; with a CA file or without.
fn play(
    client: &str,
    expected: &[Expected],
    ask: &dyn Fn(&Server, Caller, Option<&Path>) -> String,
) {
    let options = Options { config: KEYS.to_owned(), args: vec![SELF_SIGNED.to_owned()] };
    let mut server = Server::start(options).expect("the server starts");
    for (caller, parts) in expected {
        let said = ask(&server, *caller, Some(&server.ca_file()));
        for part in *parts {
            assert!(said.contains(part), "{client}: {part:?} is not in {said:?}\n{}", server.log());
        }
    }
    let said = ask(&server, RIGHT, None);
    assert!(!said.starts_with("ok"), "{client} trusts anyone: {said}");
    server.stop().expect("the server ends well");
}

/// Runs a program that knows a caller by the usual variables; all that it prints.
fn run(mut command: Command, caller: Caller, ca: Option<&Path>, ca_variable: &str) -> String {
    command
        .env("AWS_ACCESS_KEY_ID", caller.key)
        .env("AWS_SECRET_ACCESS_KEY", caller.secret)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("PYTHONUTF8", "1")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    for variable in ["AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"]
    {
        command.env_remove(variable);
    }
    if let Some(ca) = ca {
        command.env(ca_variable, ca);
    }
    let output = command.output().expect("the client starts");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn python(kind: &str) {
    let Some(python) = peers::python() else { return peers::skip(kind) };
    play(kind, &EXPECTED, &|server, caller, ca| {
        let mut command = Command::new(&python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/doors/door.py"));
        command.args([kind, &server.endpoint(), &caller.shift_secs.to_string()]);
        run(command, caller, ca, "AWS_CA_BUNDLE")
    });
}

#[test]
fn boto3_over_tls() {
    python("boto3");
}

#[test]
fn aws_cli_over_tls() {
    python("cli");
}

fn javascript(version: &str) {
    let Some(modules) = peers::node_modules() else {
        return peers::skip("the AWS SDK for JavaScript");
    };
    play(&format!("js/{version}"), &EXPECTED, &|server, caller, ca| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &modules);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/doors/door.cjs"));
        command.args([version, &server.endpoint(), &caller.shift_secs.to_string()]);
        run(command, caller, ca, "NODE_EXTRA_CA_CERTS")
    });
}

#[test]
fn javascript_over_tls_with_http1() {
    javascript("http1");
}

#[test]
fn javascript_over_tls_with_http2() {
    javascript("http2");
}

/// The Rust SDK agrees on HTTP/2 by ALPN.
#[test]
fn rust_sdk_over_tls() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    play("rust", &EXPECTED, &|server, caller, ca| {
        let store = match ca {
            Some(ca) => TrustStore::empty().with_pem_certificate(std::fs::read(ca).unwrap()),
            None => TrustStore::empty().with_native_roots(true),
        };
        let context = TlsContext::builder().with_trust_store(store).build().unwrap();
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(rustls_provider::CryptoMode::AwsLc))
            .tls_context(context)
            .build_https();
        let shift = Duration::from_secs(caller.shift_secs.unsigned_abs());
        let now = SystemTime::now();
        let time = if caller.shift_secs < 0 { now - shift } else { now + shift };
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(server.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys(caller.key, caller.secret, None))
            .http_client(client)
            .time_source(StaticTimeSource::new(time))
            .build();
        match runtime.block_on(Sdk::from_conf(config).list_streams().send()) {
            Ok(output) if output.stream_names().is_empty() => "ok".to_owned(),
            Ok(output) => format!("unexpected streams: {:?}", output.stream_names()),
            Err(error) => match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code} {message}"),
                _ => format!("{error:?}"),
            },
        }
    });
}

/// The command line's own client, whose clock is the machine's.
#[test]
fn millstream_over_tls() {
    play("millstream", &EXPECTED[..3], &|server, caller, ca| {
        let mut command = Command::new(conformance::server::binary().expect("the binary"));
        command.args(["streams", "list", "--endpoint-url", &server.endpoint()]);
        let said = run(command, caller, ca, "AWS_CA_BUNDLE");
        if said.contains("no streams in") { "ok".to_owned() } else { said }
    });
}
