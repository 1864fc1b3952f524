//! The catalogue through boto3.

use std::process::Command;

use conformance::client::Client;
use conformance::driver::Driver;
use conformance::peers;
use conformance::runner::play_catalogue;

/// Interpreters side by side.
const PLAYERS: usize = 3;

#[test]
fn catalogue_through_boto3() {
    let Some(python) = peers::python() else { return peers::skip("boto3") };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/run_cases.py");
    play_catalogue(
        &|address| {
            let mut command = Command::new(&python);
            command.arg(script).arg(format!("http://{address}"));
            Ok(Box::new(Driver::start("boto3", "boto3", command)?) as Box<dyn Client>)
        },
        PLAYERS,
    );
}
