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
struct Caller<'a> {
    key: &'a str,
    secret: &'a str,
    /// Of temporary credentials.
    token: Option<&'a str>,
    shift_secs: i64,
}

const RIGHT: Caller<'static> =
    Caller { key: "AKIDRIGHT", secret: "right", token: None, shift_secs: 0 };

/// A caller, and what must stand in the answer.
type Expected = (Caller<'static>, &'static [&'static str]);

/// What a client says to a server, with a CA file or without: begins with "ok", or tells the error's
/// code and message.
type Ask = Box<dyn Fn(&Server, Caller<'_>, Option<&Path>) -> String>;

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
fn play(client: &str, expected: &[Expected], ask: &Ask) {
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
fn run(mut command: Command, caller: Caller<'_>, ca: Option<&Path>, ca_variable: &str) -> String {
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
    if let Some(token) = caller.token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    let output = command.output().expect("the client starts");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn python(kind: &'static str) -> Option<Ask> {
    let Some(python) = peers::python() else {
        peers::skip(kind);
        return None;
    };
    Some(Box::new(move |server, caller, ca| {
        let mut command = Command::new(&python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/doors/door.py"));
        command.args([kind, &server.endpoint(), &caller.shift_secs.to_string()]);
        run(command, caller, ca, "AWS_CA_BUNDLE")
    }))
}

fn javascript(version: &'static str) -> Option<Ask> {
    let Some(modules) = peers::node_modules() else {
        peers::skip("the AWS SDK for JavaScript");
        return None;
    };
    Some(Box::new(move |server, caller, ca| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &modules);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/doors/door.cjs"));
        command.args([version, &server.endpoint(), &caller.shift_secs.to_string()]);
        run(command, caller, ca, "NODE_EXTRA_CA_CERTS")
    }))
}

/// Agrees on HTTP/2 by ALPN.
fn rust() -> Ask {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Box::new(move |server, caller, ca| {
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
        let token = caller.token.map(str::to_owned);
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(server.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys(caller.key, caller.secret, token))
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
    })
}

/// The command line's own client, whose clock is the machine's.
fn millstream() -> Ask {
    Box::new(|server, caller, ca| {
        let mut command = Command::new(conformance::server::binary().expect("the binary"));
        command.args(["streams", "list", "--endpoint-url", &server.endpoint()]);
        let said = run(command, caller, ca, "AWS_CA_BUNDLE");
        if said.contains("no streams in") { "ok".to_owned() } else { said }
    })
}

#[test]
fn boto3_over_tls() {
    if let Some(ask) = python("boto3") {
        play("boto3", &EXPECTED, &ask);
    }
}

#[test]
fn aws_cli_over_tls() {
    if let Some(ask) = python("cli") {
        play("the AWS CLI", &EXPECTED, &ask);
    }
}

#[test]
fn javascript_over_tls_with_http1() {
    if let Some(ask) = javascript("http1") {
        play("js/http1", &EXPECTED, &ask);
    }
}

#[test]
fn javascript_over_tls_with_http2() {
    if let Some(ask) = javascript("http2") {
        play("js/http2", &EXPECTED, &ask);
    }
}

#[test]
fn rust_sdk_over_tls() {
    play("rust", &EXPECTED, &rust());
}

#[test]
fn millstream_over_tls() {
    play("millstream", &EXPECTED[..3], &millstream());
}

/// Credentials of a session, from STS: good in every client, and only with their own token.
#[test]
fn temporary_credentials_over_tls() {
    let Some(boto3) = python("boto3") else { return };
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    std::fs::write(path("secret"), "a secret of forty letters and of no worth").unwrap();
    let identities = format!(
        "[[account]]\nid = \"000000000000\"\n[[account.user]]\nname = \"orders\"\nkey = [{{ id = \
         \"AKIAORDERS0000000001\", secret = \"file:{}\" }}]\n[account.user.inline]\nall = \
         '{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": \
         \"kinesis:*\", \"Resource\": \"*\"}}]}}'\n",
        path("secret")
    );
    std::fs::write(path("identities.toml"), identities).unwrap();
    let config = format!(
        "[auth]\nmode = \"iam\"\n[identity]\nfile = {:?}\nadmin_key_file = {:?}\n[keys]\nroot = {:?}\n",
        path("identities.toml"),
        path("admin.key"),
        format!("file:{}", path("root.key")),
    );
    let mut server = Server::start(Options { config, args: vec![SELF_SIGNED.to_owned()] }).unwrap();
    let ca = server.ca_file();
    let user = Caller {
        key: "AKIAORDERS0000000001",
        secret: "a secret of forty letters and of no worth",
        ..RIGHT
    };
    assert!(boto3(&server, user, Some(&ca)).starts_with("ok"), "{}", server.log());

    let session = python("session").expect("as boto3")(&server, user, Some(&ca));
    let words: Vec<&str> = session.split_whitespace().collect();
    let [key, secret, token] = words[..] else { panic!("{session}\n{}", server.log()) };
    let temporary = Caller { key, secret, token: Some(token), ..RIGHT };
    let clients = [
        ("boto3", Some(boto3)),
        ("the AWS CLI", python("cli")),
        ("js/http1", javascript("http1")),
        ("js/http2", javascript("http2")),
        ("rust", Some(rust())),
        ("millstream", Some(millstream())),
    ];
    for (name, ask) in clients {
        let Some(ask) = ask else { continue };
        let said = ask(&server, temporary, Some(&ca));
        assert!(said.starts_with("ok"), "{name}: {said}\n{}", server.log());
        for stranger in
            [Caller { token: None, ..temporary }, Caller { token: Some("x"), ..temporary }]
        {
            let said = ask(&server, stranger, Some(&ca));
            assert!(said.contains("UnrecognizedClientException"), "{name}: {said}");
        }
        let said = ask(&server, Caller { secret: "wrong", ..temporary }, Some(&ca));
        assert!(said.contains("InvalidSignatureException"), "{name}: {said}");
    }
    server.stop().expect("the server ends well");
}
