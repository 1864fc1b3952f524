//! The section about AWS's quotas on throughput and rates, and the streams that are excepted.

use std::collections::BTreeMap;

use millstream_base::{AccountId, Region, StreamArn, StreamName};
use millstream_streams as engine;
use serde::Deserialize;

use super::section::{TomlValue, quoted, section};
use super::units::ByteSize;

/// What happens beyond a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuotaMode {
    /// Refused, as on AWS.
    Aws,
    /// Served, and counted as if it had been refused.
    #[default]
    Measured,
    /// Nobody looks.
    Off,
}

section! {
    /// AWS's quotas on throughput and rates. All numbers are AWS's unless they are set.
    pub struct Quotas = "quotas" {
        /// "aws": what is beyond a quota is refused, with AWS's errors. "measured": it is served,
        /// and the metrics count it as if it had been refused. "off": nobody looks.
        pub mode: QuotaMode = QuotaMode::Measured,
        /// Records that a shard takes.
        pub write_records_per_sec: u32 = default().write_records.get(),
        /// Bytes (data and partition keys) that a shard takes.
        pub write_bytes_per_sec: ByteSize = ByteSize(default().write_bytes.get().into()),
        /// A record larger than that draws on a budget of 10 MiB of its own, which refills so fast.
        pub large_record_bytes_per_sec: ByteSize =
            ByteSize(default().large_record_bytes.get().into()),
        /// GetRecords calls of a shard.
        pub read_calls_per_sec: u32 = default().read_calls.get(),
        /// Bytes that a shard gives out to all callers of GetRecords together.
        pub read_bytes_per_sec: ByteSize = ByteSize(default().read_bytes.get().into()),
        /// GetShardIterator calls of a shard.
        pub iterators_per_sec: u32 = default().iterators.get(),
        /// Bytes that a shard gives out to each fan-out consumer.
        pub consumer_bytes_per_sec: ByteSize = ByteSize(default().consumer_bytes.get().into()),
        /// SubscribeToShard calls of a consumer and shard.
        pub subscriptions_per_sec: u32 = default().subscriptions.get(),
        /// Calls of operations of the control plane, such as { CreateStream = 50 }; of an account,
        /// or of a stream, as on AWS. Operations that are not named have AWS's rates.
        pub calls_per_sec: BTreeMap<String, u32> = BTreeMap::new(),
        /// Streams that are not as the others, as [[quotas.streams]] tables: `stream` is a name (in
        /// all accounts and regions) or an ARN, then any keys of this section but the calls.
        pub streams: Vec<StreamQuotas> = Vec::new(),
    }
}

/// What is different for one stream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamQuotas {
    pub stream: String,
    pub mode: Option<QuotaMode>,
    pub write_records_per_sec: Option<u32>,
    pub write_bytes_per_sec: Option<ByteSize>,
    pub large_record_bytes_per_sec: Option<ByteSize>,
    pub read_calls_per_sec: Option<u32>,
    pub read_bytes_per_sec: Option<ByteSize>,
    pub iterators_per_sec: Option<u32>,
    pub consumer_bytes_per_sec: Option<ByteSize>,
    pub subscriptions_per_sec: Option<u32>,
}

impl Quotas {
    /// The engine's settings.
    ///
    /// # Errors
    /// A rate of zero or above 4 GiB, an operation without a rate, a stream's name that is none:
    /// what is wrong, with the key.
    pub(super) fn settings(&self) -> Result<engine::QuotaSettings, String> {
        let streams = self.streams.iter().map(|own| self.of_stream(own));
        Ok(engine::QuotaSettings {
            default: self.rates("quotas")?,
            streams: streams.collect::<Result<_, _>>()?,
            control: self.control()?,
        })
    }

    fn rates(&self, section: &str) -> Result<engine::Quotas, String> {
        let count = |key: &str, n: u32| {
            engine::PerSecond::new(n)
                .ok_or_else(|| format!("{section}.{key} is 0; `mode = \"off\"` lifts all quotas"))
        };
        let bytes = |key: &str, n: ByteSize| {
            let n = u32::try_from(n.0).map_err(|_| format!("{section}.{key} is above 4 GiB"))?;
            count(key, n)
        };
        Ok(engine::Quotas {
            mode: match self.mode {
                QuotaMode::Aws => engine::QuotaMode::Enforced,
                QuotaMode::Measured => engine::QuotaMode::Measured,
                QuotaMode::Off => engine::QuotaMode::Off,
            },
            write_records: count("write_records_per_sec", self.write_records_per_sec)?,
            write_bytes: bytes("write_bytes_per_sec", self.write_bytes_per_sec)?,
            large_record_bytes: bytes(
                "large_record_bytes_per_sec",
                self.large_record_bytes_per_sec,
            )?,
            read_calls: count("read_calls_per_sec", self.read_calls_per_sec)?,
            read_bytes: bytes("read_bytes_per_sec", self.read_bytes_per_sec)?,
            iterators: count("iterators_per_sec", self.iterators_per_sec)?,
            consumer_bytes: bytes("consumer_bytes_per_sec", self.consumer_bytes_per_sec)?,
            subscriptions: count("subscriptions_per_sec", self.subscriptions_per_sec)?,
        })
    }

    fn of_stream(&self, own: &StreamQuotas) -> Result<engine::StreamQuotas, String> {
        let (name, scope) = stream(&own.stream)?;
        let whole = Quotas {
            mode: own.mode.unwrap_or(self.mode),
            write_records_per_sec: own.write_records_per_sec.unwrap_or(self.write_records_per_sec),
            write_bytes_per_sec: own.write_bytes_per_sec.unwrap_or(self.write_bytes_per_sec),
            large_record_bytes_per_sec: own
                .large_record_bytes_per_sec
                .unwrap_or(self.large_record_bytes_per_sec),
            read_calls_per_sec: own.read_calls_per_sec.unwrap_or(self.read_calls_per_sec),
            read_bytes_per_sec: own.read_bytes_per_sec.unwrap_or(self.read_bytes_per_sec),
            iterators_per_sec: own.iterators_per_sec.unwrap_or(self.iterators_per_sec),
            consumer_bytes_per_sec: own
                .consumer_bytes_per_sec
                .unwrap_or(self.consumer_bytes_per_sec),
            subscriptions_per_sec: own.subscriptions_per_sec.unwrap_or(self.subscriptions_per_sec),
            calls_per_sec: BTreeMap::new(),
            streams: Vec::new(),
        };
        Ok(engine::StreamQuotas { name, scope, quotas: whole.rates("quotas.streams")? })
    }

    fn control(&self) -> Result<engine::ControlRates, String> {
        let mut rates = engine::ControlRates::default();
        for (name, rate) in &self.calls_per_sec {
            let call = engine::ControlCall::ALL.iter().find(|call| call.name() == name);
            let call = call.ok_or_else(|| {
                format!("quotas.calls_per_sec names `{name}`, an operation without a rate")
            })?;
            let rate = engine::PerSecond::new(*rate)
                .ok_or_else(|| format!("quotas.calls_per_sec.{name} is 0"))?;
            rates.set(*call, rate);
        }
        Ok(rates)
    }
}

type OwnScope = Option<(AccountId, Region)>;

/// A name, or an ARN with its account and region.
fn stream(text: &str) -> Result<(StreamName, OwnScope), String> {
    if text.starts_with("arn:") {
        let arn = StreamArn::parse(text).map_err(|e| format!("quotas.streams.stream: {e}"))?;
        return Ok((arn.name().clone(), Some((arn.account(), arn.region().clone()))));
    }
    let name = StreamName::new(text).map_err(|e| format!("quotas.streams.stream: {e}"))?;
    Ok((name, None))
}

fn default() -> engine::Quotas {
    engine::Quotas::default()
}

impl TomlValue for QuotaMode {
    fn toml(&self) -> String {
        quoted(match self {
            QuotaMode::Aws => "aws",
            QuotaMode::Measured => "measured",
            QuotaMode::Off => "off",
        })
    }
}

impl TomlValue for BTreeMap<String, u32> {
    fn toml(&self) -> String {
        inline_table(self.iter().map(|(key, n)| (key.as_str(), Some(n.toml()))))
    }
}

impl TomlValue for StreamQuotas {
    fn toml(&self) -> String {
        fn value<T: TomlValue>(value: &Option<T>) -> Option<String> {
            value.as_ref().map(T::toml)
        }
        inline_table([
            ("stream", Some(self.stream.toml())),
            ("mode", value(&self.mode)),
            ("write_records_per_sec", value(&self.write_records_per_sec)),
            ("write_bytes_per_sec", value(&self.write_bytes_per_sec)),
            ("large_record_bytes_per_sec", value(&self.large_record_bytes_per_sec)),
            ("read_calls_per_sec", value(&self.read_calls_per_sec)),
            ("read_bytes_per_sec", value(&self.read_bytes_per_sec)),
            ("iterators_per_sec", value(&self.iterators_per_sec)),
            ("consumer_bytes_per_sec", value(&self.consumer_bytes_per_sec)),
            ("subscriptions_per_sec", value(&self.subscriptions_per_sec)),
        ])
    }
}

/// The keys that have a value, on one line.
fn inline_table<'a>(keys: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let keys = keys.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}", value?)));
    match keys.collect::<Vec<_>>() {
        keys if keys.is_empty() => "{}".to_owned(),
        keys => format!("{{ {} }}", keys.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Override};

    use super::*;

    const FILE: &str = r#"
[quotas]
mode = "aws"
read_calls_per_sec = 50
calls_per_sec = { CreateStream = 100 }

[[quotas.streams]]
stream = "orders"
mode = "off"

[[quotas.streams]]
stream = "arn:aws:kinesis:eu-west-1:000000000007:stream/clicks"
write_bytes_per_sec = "4MiB"
"#;

    fn read(text: &str, overrides: &[Override]) -> Result<Config, String> {
        Config::from_text("m.toml", text, overrides).map_err(|e| e.to_string())
    }

    #[test]
    fn a_stream_has_its_own_numbers_and_the_nodes_for_the_rest() {
        let config = read(FILE, &[]).unwrap();
        let settings = config.streams_options().quotas;
        assert_eq!(settings.default.mode, engine::QuotaMode::Enforced);
        assert_eq!(settings.default.read_calls.get(), 50);
        assert_eq!(settings.default.write_records.get(), 1000);
        let [orders, clicks] = &settings.streams[..] else { panic!("{settings:?}") };
        assert_eq!(orders.quotas.mode, engine::QuotaMode::Off);
        assert_eq!(orders.scope, None);
        assert_eq!(clicks.quotas.mode, engine::QuotaMode::Enforced);
        assert_eq!(clicks.quotas.write_bytes.get(), 4 << 20);
        assert_eq!(clicks.quotas.read_calls.get(), 50);
        assert_eq!(clicks.scope.as_ref().unwrap().1.as_str(), "eu-west-1");
        let control = settings.control;
        assert_eq!(control.get(engine::ControlCall::CreateStream).get(), 100);
        assert_eq!(control.get(engine::ControlCall::DescribeLimits).get(), 1);
    }

    #[test]
    fn exceptions_are_printed_and_read_back() {
        let config = read(FILE, &[]).unwrap();
        assert_eq!(read(&config.print(), &[]).unwrap(), config);
    }

    #[test]
    fn the_environment_sets_modes_numbers_and_exceptions() {
        let set = |key: &str, text: &str| Override::new(key, &format!("quotas.{key}"), text);
        let streams = r#"[{ stream = "a", mode = "off" }]"#;
        let overrides = [
            set("mode", "aws"),
            set("write_bytes_per_sec", "2MiB"),
            set("calls_per_sec", "{ ListStreams = 9 }"),
            set("streams", streams),
        ];
        let config = read("", &overrides).unwrap();
        assert_eq!(config.quotas.mode, QuotaMode::Aws);
        assert_eq!(config.quotas.write_bytes_per_sec, ByteSize::mib(2));
        assert_eq!(config.quotas.calls_per_sec["ListStreams"], 9);
        assert_eq!(config.quotas.streams[0].mode, Some(QuotaMode::Off));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, said) in [
            ("mode = \"aw\"", "unknown variant `aw`"),
            ("read_calls_per_sec = 0", "quotas.read_calls_per_sec is 0"),
            ("read_bytes_per_sec = \"4GiB\"", "quotas.read_bytes_per_sec is above 4 GiB"),
            ("calls_per_sec = { PutRecord = 5 }", "names `PutRecord`, an operation without a rate"),
            ("streams = [{ stream = \"a b\" }]", "quotas.streams.stream: "),
            ("streams = [{ stream = \"a\", mod = \"off\" }]", "unknown key `mod`"),
        ] {
            let found = read(&format!("[quotas]\n{text}\n"), &[]).unwrap_err();
            assert!(found.contains(said), "{text}: {found}");
        }
    }
}
