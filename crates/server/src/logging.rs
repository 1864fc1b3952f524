//! Where the node's events go: standard error, as text for people or JSON for collectors.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};

#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("logging.level `{level}` is not a level or a filter: {reason}")]
    Level { level: String, reason: String },
    #[error("this process logs elsewhere already")]
    Taken,
}

/// Sends this process's events to standard error from now on. Once per process.
///
/// # Errors
/// The filter can't be read, or the process has a place for its events already.
pub fn start(options: &Logging) -> Result<(), LoggingError> {
    let filter = EnvFilter::try_new(&options.level)
        .map_err(|e| LoggingError::Level { level: options.level.clone(), reason: e.to_string() })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match options.format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            log.with_ansi(colours).try_init()
        }
    };
    started.map_err(|_| LoggingError::Taken)
}
