//! The sections about streams that follow their load.

use millstream_base::{AccountId, Region, StreamArn, StreamName};
use millstream_streams as engine;
use serde::Deserialize;

use super::section::{TomlValue, section};
use super::units::Span;

section! {
    /// How streams follow their load.
    pub struct Scaling = "streams.scaling" {
        /// Whether on-demand streams are scaled. Without it they keep the shards that they have.
        pub on_demand: bool = default().on_demand,
        /// MiB/s of writes that an on-demand stream grows to by itself, a shard for each. AWS's is
        /// 200; warm throughput may go beyond.
        pub on_demand_write_mibps_max: u32 = default().on_demand_write_mibps_max,
        /// How often the shards' rates are measured.
        pub sample_interval: Span = Span(default().sample_interval),
        /// A stream is scaled by its mean load over this time.
        pub window: Span = Span(default().window),
        /// The least time between two changes of a stream's shards.
        pub cool_down: Span = Span(default().cool_down),
    }
}

section! {
    /// Scaling of provisioned streams, which AWS leaves to its users. Off unless you ask for it.
    pub struct Autoscale = "streams.autoscale" {
        /// Whether provisioned streams are scaled that `streams` does not name.
        pub enabled: bool = rules().enabled,
        /// How much of its write budget a shard may use, in percent: above it the shard is split.
        pub target_percent: u32 = percent(rules().target_utilisation),
        /// Merging stops at so many shards.
        pub min_shards: u32 = rules().min_shards,
        /// Splitting stops at so many shards, or at the account's quota.
        pub max_shards: u32 = rules().max_shards,
        /// How long the load must have been low before shards are merged.
        pub quiet_time: Span = Span(rules().quiet_time),
        /// Streams that are not as the others, as [[streams.autoscale.streams]] tables: `stream` is
        /// a name (in all accounts and regions) or an ARN, then any keys of this section.
        pub streams: Vec<AutoscaleStream> = Vec::new(),
    }
}

/// What is different for one stream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoscaleStream {
    pub stream: String,
    pub enabled: Option<bool>,
    pub target_percent: Option<u32>,
    pub min_shards: Option<u32>,
    pub max_shards: Option<u32>,
    pub quiet_time: Option<Span>,
}

impl Scaling {
    /// The engine's settings.
    ///
    /// # Errors
    /// What makes no sense, with the key.
    pub(super) fn options(&self, autoscale: &Autoscale) -> Result<engine::ScalingOptions, String> {
        for (key, span) in [("sample_interval", self.sample_interval), ("window", self.window)] {
            if span.0.is_zero() {
                return Err(format!("streams.scaling.{key} must be longer than zero"));
            }
        }
        if self.on_demand_write_mibps_max == 0 {
            return Err("streams.scaling.on_demand_write_mibps_max must be at least 1".to_owned());
        }
        let streams = autoscale.streams.iter().map(|own| autoscale.of_stream(own));
        Ok(engine::ScalingOptions {
            sample_interval: self.sample_interval.0,
            window: self.window.0,
            cool_down: self.cool_down.0,
            on_demand: self.on_demand,
            on_demand_write_mibps_max: self.on_demand_write_mibps_max,
            autoscale: engine::Autoscale {
                all: autoscale.rules("streams.autoscale")?,
                streams: streams.collect::<Result<_, _>>()?,
            },
        })
    }
}

impl Autoscale {
    fn rules(&self, section: &str) -> Result<engine::AutoscaleRules, String> {
        if !(1..=100).contains(&self.target_percent) {
            return Err(format!("{section}.target_percent must be 1 to 100"));
        }
        if self.min_shards == 0 || self.max_shards < self.min_shards {
            let (min, max) = (self.min_shards, self.max_shards);
            return Err(format!(
                "{section}: {min} to {max} shards are no bounds; min_shards is at least 1 and \
                 max_shards not below it"
            ));
        }
        Ok(engine::AutoscaleRules {
            enabled: self.enabled,
            target_utilisation: f64::from(self.target_percent) / 100.0,
            min_shards: self.min_shards,
            max_shards: self.max_shards,
            quiet_time: self.quiet_time.0,
        })
    }

    fn of_stream(&self, own: &AutoscaleStream) -> Result<engine::AutoscaleStream, String> {
        let (name, account, region) = stream(&own.stream)?;
        let whole = Autoscale {
            // Who names a stream wants it scaled, unless he says otherwise.
            enabled: own.enabled.unwrap_or(true),
            target_percent: own.target_percent.unwrap_or(self.target_percent),
            min_shards: own.min_shards.unwrap_or(self.min_shards),
            max_shards: own.max_shards.unwrap_or(self.max_shards),
            quiet_time: own.quiet_time.unwrap_or(self.quiet_time),
            streams: Vec::new(),
        };
        let rules = whole.rules("streams.autoscale.streams")?;
        Ok(engine::AutoscaleStream { name, account, region, rules })
    }
}

/// A name, or an ARN with its account and region.
fn stream(text: &str) -> Result<(StreamName, Option<AccountId>, Option<Region>), String> {
    let wrong = |e: &dyn std::fmt::Display| format!("streams.autoscale.streams.stream: {e}");
    if text.starts_with("arn:") {
        let arn = StreamArn::parse(text).map_err(|e| wrong(&e))?;
        return Ok((arn.name().clone(), Some(arn.account()), Some(arn.region().clone())));
    }
    Ok((StreamName::new(text).map_err(|e| wrong(&e))?, None, None))
}

fn default() -> engine::ScalingOptions {
    engine::ScalingOptions::default()
}

fn rules() -> engine::AutoscaleRules {
    engine::AutoscaleRules::default()
}

fn percent(part: f64) -> u32 {
    (part * 100.0).round() as u32
}

impl TomlValue for AutoscaleStream {
    fn toml(&self) -> String {
        let keys = [
            ("stream", Some(self.stream.toml())),
            ("enabled", self.enabled.map(|v| v.toml())),
            ("target_percent", self.target_percent.map(|v| v.toml())),
            ("min_shards", self.min_shards.map(|v| v.toml())),
            ("max_shards", self.max_shards.map(|v| v.toml())),
            ("quiet_time", self.quiet_time.map(|v| v.toml())),
        ];
        let keys = keys.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}", value?)));
        format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Override};

    const FILE: &str = r#"
[streams.scaling]
window = "30s"

[streams.autoscale]
max_shards = 50

[[streams.autoscale.streams]]
stream = "orders"
target_percent = 40

[[streams.autoscale.streams]]
stream = "arn:aws:kinesis:eu-west-1:000000000007:stream/clicks"
enabled = false
"#;

    fn read(text: &str, overrides: &[Override]) -> Result<Config, String> {
        Config::from_text("m.toml", text, overrides).map_err(|e| e.to_string())
    }

    #[test]
    fn streams_differ_in_what_they_name() {
        let config = read(FILE, &[]).unwrap();
        assert_eq!(read(&config.print(), &[]).unwrap(), config);
        let options = config.streams_options().scaling;
        assert_eq!(options.window, Duration::from_secs(30));
        let [orders, clicks] = &options.autoscale.streams[..] else { panic!("{options:?}") };
        assert!(!options.autoscale.all.enabled && orders.rules.enabled && !clicks.rules.enabled);
        assert_eq!((orders.rules.target_utilisation, orders.rules.max_shards), (0.4, 50));
        assert_eq!(clicks.account, AccountId::new("000000000007").ok());
    }

    #[test]
    fn a_table_in_a_section_is_set_from_outside_too() {
        let name = "MILLSTREAM_STREAMS__AUTOSCALE__ENABLED";
        let vars = [(name.to_owned(), "true".to_owned())];
        let config = read(FILE, &crate::config::overrides_from_env(vars.into_iter())).unwrap();
        assert!(config.streams.autoscale.enabled);
        assert_eq!(config.streams.autoscale.max_shards, 50);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_key() {
        for (text, key) in [
            ("[streams.scaling]\nwindow = \"0s\"", "streams.scaling.window"),
            ("[streams.scaling]\non_demand_write_mibps_max = 0", "on_demand_write_mibps_max"),
            ("[streams.autoscale]\ntarget_percent = 0", "streams.autoscale.target_percent"),
            ("[streams.autoscale]\nmin_shards = 9\nmax_shards = 8", "9 to 8 shards"),
            ("[[streams.autoscale.streams]]\nstream = \"a b\"", "streams.autoscale.streams.stream"),
        ] {
            let refused = read(text, &[]).unwrap_err();
            assert!(refused.contains(key), "{text}: {refused}");
        }
    }
}
