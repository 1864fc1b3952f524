//! KMS through boto3, over a restart; and records encrypted by the AWS Encryption SDK for Python.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::path::Path;
use std::process::{Command, Output};

use conformance::peers;
use conformance::server::{Options, Server, binary};
use serde_json::Value;

fn options(keys: &Path, name: &str) -> Options {
    let config = format!("[keys]\nroot = \"file:{}\"\n", keys.join(name).display());
    Options { config, ..Options::default() }
}

/// A server whose root key is a file outside of its data.
fn server(keys: &Path) -> Server {
    Server::start(options(keys, "root.key")).expect("the server starts")
}

/// `millstream keys ARGUMENTS`: whether it went well, and what it said.
fn keys(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary().expect("the binary"));
    let output = command.arg("keys").args(arguments).output().expect("millstream starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
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
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = server(folder.path());
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
    let opens = |server: &Server| {
        checked(&run(&python, &["-c", open, &server.endpoint(), &left.to_string()]), server);
    };
    opens(&server);
    server.stop().expect("a clean end");

    // Another file holds the root key from now on.
    let file = |name: &str| format!("file:{}", folder.path().join(name).display());
    let dir = server.data_dir().display().to_string();
    let (old, new) = (file("root.key"), file("new.key"));
    let (_, shown) = keys(&["show", &old]);
    let (_, status) = keys(&["status", "--data-dir", &dir]);
    assert!(shown.starts_with("held by key:") && shown == status, "{shown} {status}");
    let rotate = ["rotate", "--data-dir", &dir, "--from", &old, "--to", &new];
    let (done, said) = keys(&rotate);
    assert!(done && said.contains("Set [keys] root"), "{said}");
    let (_, shown) = keys(&["show", &new]);
    assert_eq!(keys(&["status", "--data-dir", &dir]).1, shown);
    std::fs::remove_file(folder.path().join("root.key")).expect("the old file");
    server.restart_with(options(folder.path(), "new.key")).expect("the server starts");
    opens(&server);
    server.stop().expect("a clean end");
}

#[test]
fn root_keys_are_made_once_and_never_printed() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("keys/root.key");
    let place = path.display().to_string();
    let (done, said) = keys(&["new", &place]);
    let key = std::fs::read_to_string(&path).expect("the file");
    assert!(done && said.contains("fingerprint") && !said.contains(key.trim()), "{said}");
    let (done, said) = keys(&["new", &place]);
    assert!(!done && said.contains("is there already"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), key);
    let (done, said) = keys(&["show", "file:/nowhere/root.key"]);
    assert!(!done && said.contains("there is no root key"), "{said}");
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
