//! The catalogue through the AWS SDK for JavaScript v3, over HTTP/2 as it comes.

use std::process::Command;

use conformance::client::Client;
use conformance::driver::Driver;
use conformance::peers;
use conformance::runner::play_catalogue;

/// Interpreters side by side.
const PLAYERS: usize = 3;

#[test]
fn catalogue_through_javascript() {
    let Some(modules) = peers::node_modules() else {
        return peers::skip("the AWS SDK for JavaScript");
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/js/run_cases.cjs");
    play_catalogue(
        &|address| {
            let mut command = Command::new("node");
            command.env("NODE_PATH", &modules);
            command.arg(script).arg(format!("http://{address}"));
            Ok(Box::new(Driver::start("js", "js", command)?) as Box<dyn Client>)
        },
        PLAYERS,
    );
}
