//! The catalogue through the AWS SDK for Java v2, sync and async, both with CBOR as they come.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `java` (`cargo xtask interop java`). Needs a JDK
//! and Maven.

use std::path::Path;
use std::process::Command;

use conformance::client::Client;
use conformance::doors::play_doors;
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

/// Java believes a key store, not a PEM file.
fn over_tls(mode: &'static str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
    let classes = folder.join("target");
    let path = format!("{0}/driver.jar:{0}/dependency/*", classes.display());
    play_doors(&|server| {
        let store = server.data_dir().join("trust.p12");
        let status = Command::new("keytool")
            .args(["-importcert", "-noprompt", "-alias", "millstream", "-storetype", "PKCS12"])
            .args(["-storepass", STORE_PASSWORD, "-file"])
            .arg(server.ca_file())
            .arg("-keystore")
            .arg(&store)
            .status()?;
        anyhow::ensure!(status.success(), "keytool makes no trust store");
        let mut command = Command::new("java");
        command.arg(format!("-Djavax.net.ssl.trustStore={}", store.display()));
        command.arg(format!("-Djavax.net.ssl.trustStorePassword={STORE_PASSWORD}"));
        command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, "RunCases"]);
        command.arg(server.endpoint()).arg(mode);
        Ok(Box::new(Driver::start(&format!("java/{mode}"), "java", command)?) as Box<dyn Client>)
    })
    .expect("Java over TLS");
}

/// Of a store that holds nothing secret.
const STORE_PASSWORD: &str = "changeit";

#[test]
fn catalogue_through_java() {
    if !peers::heavy("java") {
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
    over_tls("sync");
    over_tls("async");
}
