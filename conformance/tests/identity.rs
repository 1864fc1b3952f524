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
