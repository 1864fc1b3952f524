//! Records encrypted by the AWS Encryption SDK for Java, with our KMS.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `encryption` (`cargo xtask interop encryption`).
//! Needs a JDK and Maven.

use std::path::Path;
use std::process::Command;

use conformance::peers;
use conformance::server::{Options, Server};

#[test]
fn the_encryption_sdk_for_java_encrypts_records() {
    if !peers::heavy("encryption") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("encryption/java");
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "package"]).current_dir(&folder);
    if let Ok(repository) = std::env::var("MILLSTREAM_MAVEN_REPOSITORY") {
        maven.arg(format!("-Dmaven.repo.local={repository}"));
    }
    assert!(maven.status().expect("Maven starts").success(), "the Java program does not build");

    let options = Options { args: vec!["--ephemeral".to_owned()], ..Options::default() };
    let mut server = Server::start(options).expect("the server starts");
    let classes = folder.join("target");
    let path = format!("{0}/encryption.jar:{0}/dependency/*", classes.display());
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, "Encrypt"]);
    let output = java.arg(server.endpoint()).output().expect("Java starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", server.log());
    assert_eq!(output.stdout, b"ok\n", "{errors}");
    server.stop().expect("a clean end");
}
