//! Identities as real clients see them: IAM and STS through boto3, Terraform's AWS provider, and the
//! secrets that must be found nowhere.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::peers;
use conformance::server::{Options, Server};

/// Mode "iam", with the root key and the administrator's key in a directory beside the server's.
fn options(keys: &Path) -> Options {
    let config = format!(
        "[auth]\nmode = \"iam\"\n[keys]\nroot = \"file:{keys}/root.key\"\n\
         [identity]\nadmin_key_file = \"{keys}/admin.credentials\"\n\
         [logging]\nlevel = \"debug\"\n",
        keys = keys.display()
    );
    Options { config, ..Options::default() }
}

#[test]
fn boto3_manages_identities_and_they_are_obeyed() {
    let Some(python) = peers::python() else { return peers::skip("boto3") };
    let keys = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(options(keys.path())).expect("the server starts");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/identity.py");
    let planted = keys.path().join("planted");
    let run = Command::new(&python)
        .args([script, &server.endpoint()])
        .args([keys.path().join("admin.credentials"), planted.clone()])
        .output()
        .expect("Python starts");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}\n{}", server.log());
    assert_eq!(run.stdout, b"ok\n", "{errors}");
    server.stop().expect("a clean end");

    let planted = std::fs::read_to_string(planted).expect("the secrets that were made");
    let planted: Vec<&str> = planted.lines().collect();
    assert!(planted.len() > 5, "{} secrets", planted.len());
    let log = server.log();
    for secret in &planted {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    for file in files_under(&server.data_dir()) {
        let bytes = std::fs::read(&file).expect("a file that can be read");
        for secret in &planted {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret is in {}", file.display());
        }
    }
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(files_under(&path)),
            false => files.push(path),
        }
    }
    files
}

/// From the first administrator to a user who may read and nothing else, by the command line alone.
#[test]
fn the_command_line_manages_identities() {
    let keys = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(options(keys.path())).expect("the server starts");
    let binary = conformance::server::binary().expect("the binary");
    let endpoint = server.endpoint();
    let run = |credentials: &str, arguments: &[&str]| {
        let output = Command::new(&binary)
            .args(arguments)
            .args(["--endpoint-url", &endpoint, "--region", "us-east-1"])
            .env("AWS_SHARED_CREDENTIALS_FILE", keys.path().join(credentials))
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_ACCESS_KEY_ID")
            .output()
            .expect("the binary starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), told, errors)
    };
    let good = |credentials: &str, arguments: &[&str]| {
        let (success, told, errors) = run(credentials, arguments);
        assert!(success, "{arguments:?}: {errors}");
        told
    };
    let admin = "admin.credentials";
    assert!(good(admin, &["iam", "whoami"]).contains(":user/admin"));
    good(admin, &["iam", "groups", "create", "readers"]);
    let create = ["--policy", "AmazonKinesisReadOnlyAccess", "--group", "readers"];
    good(admin, &[&["iam", "users", "create", "ada", "--path", "/staff/"][..], &create].concat());
    assert!(good(admin, &["iam", "users", "list"]).contains("/staff/"));
    assert!(good(admin, &["iam", "groups", "show", "readers"]).contains("ada"));
    let key = good(admin, &["iam", "keys", "create", "ada"]);
    std::fs::write(keys.path().join("ada"), key).expect("a file");
    assert!(good("ada", &["iam", "whoami"]).contains(":user/staff/ada"));
    good("ada", &["streams", "list"]);
    let (success, _, errors) = run("ada", &["streams", "create", "orders"]);
    assert!(!success && errors.contains("AccessDenied"), "{errors}");
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}]}"#;
    let file = keys.path().join("all.json");
    std::fs::write(&file, document).expect("a file");
    let file = file.to_str().expect("a name");
    good(admin, &["iam", "policies", "put", "--user", "ada", "all", file]);
    good("ada", &["streams", "create", "orders"]);
    good(admin, &["iam", "policies", "create", "own", file]);
    good(admin, &["iam", "policies", "attach", "--group", "readers", "own"]);
    assert!(good(admin, &["iam", "policies", "show", "own"]).contains("kinesis:*"));
    let listed = good(admin, &["iam", "keys", "list", "ada", "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["AccessKeys"][0]["Status"], "Active");
    let key = listed["AccessKeys"][0]["AccessKeyId"].as_str().expect("a key").to_owned();
    good(admin, &["iam", "keys", "deactivate", "ada", &key]);
    let (success, _, errors) = run("ada", &["streams", "list"]);
    assert!(!success && errors.contains("UnrecognizedClientException"), "{errors}");
    good(admin, &["iam", "users", "delete", "ada"]);
    let (success, _, errors) = run(admin, &["iam", "users", "show", "ada"]);
    assert!(!success && errors.contains("NoSuchEntity"), "{errors}");
    server.stop().expect("a clean end");
}

/// Makes, finds nothing to change, changes, and takes away. `MILLSTREAM_TERRAFORM_PLUGINS` may name a
/// folder with the provider; else Terraform fetches it.
#[test]
fn terraform_manages_identities() {
    if !peers::heavy("terraform") {
        return;
    }
    let keys = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(options(keys.path())).expect("the server starts");
    let work = tempfile::tempdir().expect("a directory");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/terraform/main.tf");
    std::fs::copy(source, work.path().join("main.tf")).expect("the configuration");
    let terraform = |arguments: &[&str], expected: i32| {
        let run = Command::new("terraform")
            .args(arguments)
            .current_dir(work.path())
            .env("AWS_SHARED_CREDENTIALS_FILE", keys.path().join("admin.credentials"))
            .env("TF_VAR_endpoint", server.endpoint())
            .env("TF_IN_AUTOMATION", "1")
            .env_remove("AWS_PROFILE")
            .output()
            .expect("Terraform starts");
        let told = String::from_utf8_lossy(&run.stdout);
        let errors = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(expected), "{arguments:?}: {told}\n{errors}");
    };
    let plugins =
        std::env::var("MILLSTREAM_TERRAFORM_PLUGINS").map(|dir| format!("-plugin-dir={dir}"));
    let mut init = vec!["init", "-input=false", "-no-color"];
    init.extend(plugins.as_deref().ok());
    terraform(&init, 0);
    let apply = ["apply", "-auto-approve", "-input=false", "-no-color"];
    let plan = ["plan", "-detailed-exitcode", "-input=false", "-no-color"];
    terraform(&apply, 0);
    terraform(&plan, 0);
    let moved = [&apply[..], &["-var=path=/moved/"]].concat();
    terraform(&moved, 0);
    terraform(&[&plan[..], &["-var=path=/moved/"]].concat(), 0);
    terraform(&["destroy", "-auto-approve", "-input=false", "-no-color", "-var=path=/moved/"], 0);
    server.stop().expect("a clean end");
}
