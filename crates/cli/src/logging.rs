//! Where log lines go: always stderr, so that stdout stays what a command was asked for.

use tracing_subscriber::EnvFilter;

/// For client commands: warnings only, unless `MILLSTREAM_LOG` says otherwise.
pub fn of_tools() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

/// The environment variable with the filter: `info`, `millstream_client=debug`, …
pub const LOG_VARIABLE: &str = "MILLSTREAM_LOG";
