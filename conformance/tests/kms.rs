//! KMS through boto3, over a restart; and records encrypted by the AWS Encryption SDK for Python.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::path::Path;
use std::process::{Command, Output};

use conformance::peers;
use conformance::server::{Options, Server};
use serde_json::Value;

/// A server whose root key is a file outside of its data.
fn server(keys: &Path) -> Server {
    let config = format!("[keys]\nroot = \"file:{}\"\n", keys.join("root.key").display());
    Server::start(Options { config, ..Options::default() }).expect("the server starts")
}

fn run(python: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(python);
    let output = command.args(arguments).env_remove("AWS_PROFILE").output();
    output.expect("Python starts")
}

fn checked(output: &Output, server: &Server) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", server.log());
}

#[test]
fn every_operation_through_boto3_and_keys_over_a_crash() {
    let Some(python) = peers::python() else { return peers::skip("boto3") };
    let keys = tempfile::tempdir().expect("a directory");
    let mut server = server(keys.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/kms.py");
    let output = run(&python, &[script, &server.endpoint()]);
    checked(&output, &server);
    let left: Value = serde_json::from_slice(&output.stdout).expect("what was left behind");

    server.kill().expect("a crash");
    server.restart().expect("the server starts again");
    let open = "import boto3, json, sys\n\
         left = json.loads(sys.argv[2])\n\
         kms = boto3.client('kms', endpoint_url=sys.argv[1], region_name='us-east-1',\n\
             aws_access_key_id='AKID', aws_secret_access_key='secret')\n\
         blob = bytes.fromhex(left['blob'])\n\
         opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=left['context'])\n\
         assert opened['Plaintext'] == b'hello' and opened['KeyId'] == left['key'], opened\n";
    checked(&run(&python, &["-c", open, &server.endpoint(), &left.to_string()]), &server);
    server.stop().expect("a clean end");
}

#[test]
fn the_encryption_sdk_for_python_encrypts_records() {
    let Some(python) = peers::encryption_python() else {
        return peers::skip("the AWS Encryption SDK for Python");
    };
    let keys = tempfile::tempdir().expect("a directory");
    let mut server = server(keys.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/encryption/python/encrypt.py");
    checked(&run(&python, &[script, &server.endpoint()]), &server);
    server.stop().expect("a clean end");
}
