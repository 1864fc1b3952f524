//! What the arguments of all commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// The port of a server on this machine, for `serve` and for every client command: the one that
/// people who had kinesalite before have in their settings already.
pub const DEFAULT_PORT: u16 = 4567;

/// Where, as whom, and how to answer.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection and output")]
pub struct Global {
    /// The endpoint: http://HOST:PORT, https://HOST, or `aws`
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,

    /// The region [default: from environment or profile]
    #[arg(long, global = true)]
    pub region: Option<String>,

    /// A profile of the AWS CLI
    #[arg(long, global = true)]
    pub profile: Option<String>,

    /// A PEM file with the authorities to believe instead of the system's, for https:// endpoints
    #[arg(long, global = true, value_name = "FILE", env = "AWS_CA_BUNDLE", hide_env_values = true)]
    #[arg(value_parser = any_path)]
    pub ca_bundle: Option<PathBuf>,

    /// Text for people or JSON for programs
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Output,
}

/// Also an empty one: the AWS CLI takes a variable without a value as none.
fn any_path(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(PathBuf::from(text))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

/// Reads `10s`, `500ms`, `2m`, `1h30m`; 0 and negative ones are refused.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("it must be longer than zero".into()) } else { Ok(duration) }
}

/// Reads `10s`, `500ms`, `2m`, `0s`; negative ones are refused.
pub fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 10s, 500ms or 2m".to_owned())?;
    signed.try_into().map_err(|_| "it can't be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("10").is_err());
        assert!(duration("-1s").is_err());
        assert!(positive_duration("0s").is_err());
    }
}
