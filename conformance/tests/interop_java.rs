//! The catalogue through the AWS SDK for Java v2, sync and async, both with CBOR as they come.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `java` (`cargo xtask interop java`). Needs a JDK
//! and Maven.

use std::path::Path;
use std::process::Command;

use conformance::client::Client;
use conformance::driver::Driver;
use conformance::peers;
use conformance::runner::play_catalogue;

/// Virtual machines side by side.
const PLAYERS: usize = 2;

fn play(mode: &'static str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
    let classes = folder.join("target");
    let path = format!("{0}/driver.jar:{0}/dependency/*", classes.display());
    play_catalogue(
        &|address| {
            let mut command = Command::new("java");
            command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, "RunCases"]);
            command.arg(format!("http://{address}")).arg(mode);
            Ok(Box::new(Driver::start(&format!("java/{mode}"), "java", command)?)
                as Box<dyn Client>)
        },
        PLAYERS,
    );
}

#[test]
fn catalogue_through_java() {
    if !peers::interop("java") {
        eprintln!("SKIPPED: Java; `cargo xtask interop java` runs it");
        return;
    }
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "package"]);
    if let Ok(repository) = std::env::var("MILLSTREAM_MAVEN_REPOSITORY") {
        maven.arg(format!("-Dmaven.repo.local={repository}"));
    }
    maven.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("java"));
    let status = maven.status().expect("Maven starts");
    assert!(status.success(), "the Java driver does not build");
    play("sync");
    play("async");
}
