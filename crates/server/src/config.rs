//! The node's configuration: one TOML file, environment and flags over it.
//!
//! A node runs with no file at all. Every key has a unit in its type, unknown keys are errors that
//! name their place and the nearest key, and `millstream serve --print-config` prints the effective
//! settings as a commented file that gives the same settings when read again.
//!
//! Environment: `MILLSTREAM_<SECTION>__<KEY>`, as in `MILLSTREAM_LIMITS__BODY_BYTES_MAX=8MiB`.

mod audit;
mod doors;
mod identity;
mod keys;
mod load;
mod quotas;
mod scaling;
mod section;
pub mod units;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use audit::{Audit, Management, Unwritable};
pub use doors::{
    CertificatePrincipal, CertificateSource, ClientCertificates, DoorPlan, ListenerSection, Tls,
    TlsPlan,
};
pub use identity::{Identity, Oidc};
pub use keys::{Keys, Ring};
pub use load::{ConfigError, ENV_PREFIX, Override, overrides_from_env};
pub use quotas::{QuotaMode, Quotas, StreamQuotas};
pub use scaling::{Autoscale, AutoscaleStream, Scaling};
use section::{TomlValue, quoted, section};
use units::{ByteSize, Span};

/// All settings of a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub limits: Limits,
    pub auth: Auth,
    pub identity: Identity,
    pub logging: Logging,
    pub storage: Storage,
    pub streams: Streams,
    pub monitoring: Monitoring,
    pub quotas: Quotas,
    pub audit: Audit,
    pub tls: Tls,
    /// Listeners beside those of `server.listen`.
    pub listener: Vec<ListenerSection>,
    pub keys: Keys,
}

section! {
    /// The node itself.
    pub struct Server = "server" {
        /// Addresses to listen on; port 0 takes a free one and the start-up line names it.
        /// HTTP/1.1 and HTTP/2 with prior knowledge are spoken on the same port.
        pub listen: Vec<SocketAddr> = vec![SocketAddr::from(([127, 0, 0, 1], 4567))],
        /// Where everything that must last is kept. Made if it is not there.
        pub data_dir: PathBuf = PathBuf::from("millstream-data"),
        /// Keep nothing: a temporary directory that is removed at exit, and no waiting for the disk.
        pub ephemeral: bool = false,
        /// The account of callers whose access key id is not itself an account (12 digits).
        pub account: String = "000000000000".to_owned(),
        /// The region of callers whose signature names none.
        pub region: String = "us-east-1".to_owned(),
        /// How long running requests may take to end after SIGTERM or Ctrl-C.
        pub drain_time: Span = Span::from_secs(10),
        /// Whether the system may write a core file when the process fails, and debuggers of the
        /// same user may look at it. Records and keys would be in there in plain text.
        pub core_files: bool = false,
    }
}

section! {
    /// What one client may cost.
    pub struct Limits = "limits" {
        /// Largest request body. 10 MiB of records are 14 MiB in JSON's base64, plus keys.
        pub body_bytes_max: ByteSize = ByteSize::mib(16),
        /// Memory for the bodies of all requests in flight together; more of them wait.
        pub bodies_bytes_max: ByteSize = ByteSize::mib(512),
        /// Largest block of request headers.
        pub header_bytes_max: ByteSize = ByteSize::kib(64),
        /// Most headers of one request (HTTP/1.1).
        pub header_count_max: usize = 100,
        /// How long a connection may go without a complete request head; ends idle ones too.
        /// The Java SDK keeps idle connections for 60 seconds and expects to end them itself.
        pub header_read_time: Span = Span::from_secs(75),
        /// How long a request waits for that memory; then it is answered with a retryable error.
        pub memory_wait: Span = Span::from_secs(5),
        /// Memory for the bodies of all requests in flight on one HTTP/2 connection; more wait.
        pub connection_bytes_max: ByteSize = ByteSize::mib(64),
        /// Memory for all large answers that clients have not taken yet; beyond it calls with large
        /// answers get a retryable error.
        pub answers_bytes_max: ByteSize = ByteSize::mib(512),
        /// Bytes per second that a body must arrive with, from `body_grace_time` after its head on.
        pub body_rate_min: ByteSize = ByteSize::kib(16),
        /// How long a body may arrive as slowly as it likes.
        pub body_grace_time: Span = Span::from_secs(10),
        /// How long one request's body may take to arrive.
        pub body_read_time: Span = Span::from_secs(60),
        /// How long a client may refuse to take bytes of an answer before it is cut off.
        pub write_stall_time: Span = Span::from_secs(30),
        /// Bytes per second with which a client must take an answer while it keeps us waiting,
        /// measured over `write_stall_time`. Not for streamed answers.
        pub answer_rate_min: ByteSize = ByteSize::kib(4),
        /// How long a client may leave the next part of a streamed answer (SubscribeToShard) alone
        /// before its connection is cut. Longer than any subscription: a consumer may be slow.
        pub stream_stall_time: Span = Span::from_secs(360),
        /// Most open connections; further ones wait in the system's queue.
        pub connections_max: usize = 10_000,
        /// Most open connections of one address (of one /64 network of IPv6); further ones are
        /// closed at once.
        pub connections_per_address_max: usize = 5_000,
        /// Most requests that a client may reset on one HTTP/2 connection in a minute.
        pub http2_resets_max: u32 = 1_000,
        /// Most requests at once on one HTTP/2 connection.
        pub http2_streams_max: u32 = 256,
    }
}

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub mode: AuthMode,
    /// Mode "any" on addresses that other machines can reach.
    pub insecure: bool,
    pub keys: Vec<AccessKey>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// A request must look signed; whoever signed it is welcome.
    #[default]
    Any,
    /// A request must be signed with one of the access keys.
    Keys,
    /// A request must be signed with a key of an identity, whose policies decide what it may do.
    Iam,
}

/// An access key that may sign requests.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Whose account the key acts in; by default as for any key id.
    pub account: Option<String>,
}

/// Never shows the secret.
impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("access_key_id", &self.access_key_id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl TomlValue for LogFormat {
    fn toml(&self) -> String {
        quoted(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

section! {
    /// What the node says on standard error.
    pub struct Logging = "logging" {
        /// error, warn, info, debug or trace, or a filter such as "info,millstream_log=debug".
        /// At info a request is named only when it fails in the server or is slow.
        pub level: String = "info".to_owned(),
        /// "text" for people, "json" for collectors.
        pub format: LogFormat = LogFormat::Text,
        /// A request that takes longer than this is named in the log.
        pub slow_request_time: Span = Span::from_secs(5),
    }
}

section! {
    /// The log store in the data directory.
    pub struct Storage = "storage" {
        /// Wait for the disk before an answer. Without it a power cut loses acknowledged records.
        pub sync: bool = true,
        /// Length of one write-ahead file.
        pub wal_file_bytes: ByteSize = ByteSize(millstream_log::Options::default().wal_file_bytes),
        /// Most bytes of all write-ahead files together; bounds how long recovery takes.
        pub wal_bytes_max: ByteSize = ByteSize(millstream_log::Options::default().wal_bytes_max),
        /// Recent records in memory, for readers at the tail and until they are in segment files.
        pub memory_bytes: ByteSize = ByteSize(millstream_log::Options::default().memory_bytes),
        /// A checkpoint starts when this much is in memory and in no segment file.
        pub checkpoint_bytes: ByteSize =
            ByteSize(millstream_log::Options::default().checkpoint_bytes),
        /// What may wait to be written; appends beyond it wait, and fail after `queue_wait`.
        pub queue_bytes_max: ByteSize =
            ByteSize(millstream_log::Options::default().queue_bytes_max),
        /// How long an append waits for room in the queue before it is refused.
        pub queue_wait: Span = Span(millstream_log::Options::default().queue_wait),
        /// Merging stops at segment files of this size.
        pub segment_bytes_max: ByteSize =
            ByteSize(millstream_log::Options::default().segment_bytes_max),
        /// Segment files kept open.
        pub open_files_max: usize = millstream_log::Options::default().open_files_max,
        /// Speed of the background check of all segment files, per second; "0B" switches it off.
        pub scrub_bytes_per_sec: ByteSize =
            ByteSize(millstream_log::Options::default().scrub_bytes_per_sec),
        /// Puts are refused when less than this would stay free on the disk.
        pub keep_free_bytes: ByteSize =
            ByteSize(millstream_log::Options::default().keep_free_bytes),
    }
}

/// Whose durations the states between have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateTimes {
    #[default]
    Own,
    Aws,
}

impl TomlValue for StateTimes {
    fn toml(&self) -> String {
        quoted(match self {
            StateTimes::Own => "own",
            StateTimes::Aws => "aws",
        })
    }
}

section! {
    /// Data Streams. AWS takes 10 to 30 seconds to make a stream; here it is at once by default.
    pub struct Streams = "streams" {
        /// "own": the times below. "aws": as on AWS, whatever the times below are.
        pub state_times: StateTimes = StateTimes::Own,
        /// How long a new stream stays in CREATING.
        pub creating_time: Span = Span::from_secs(0),
        /// How long a changed stream stays in UPDATING.
        pub updating_time: Span = Span::from_secs(0),
        /// How long a deleted stream stays in DELETING.
        pub deleting_time: Span = Span::from_secs(0),
        /// How long a new queue stays in CREATING.
        pub queue_creating_time: Span = Span::from_secs(0),
        /// How long a changed queue stays in UPDATING.
        pub queue_updating_time: Span = Span::from_secs(0),
        /// How long a deleted queue stays in DELETING.
        pub queue_deleting_time: Span = Span::from_secs(0),
        /// How long a stream stays in UPDATING when its shards are split or merged.
        pub resharding_time: Span = Span::from_secs(0),
        /// How long a new consumer stays in CREATING.
        pub consumer_creating_time: Span = Span::from_secs(0),
        /// How long a deregistered consumer stays in DELETING.
        pub consumer_deleting_time: Span = Span::from_secs(0),
        /// Open shards of provisioned streams per account and region.
        pub shards_per_account_max: u32 =
            millstream_streams::Options::default().shards_per_account_max,
        /// On-demand streams per account and region.
        pub on_demand_streams_max: u32 =
            millstream_streams::Options::default().on_demand_streams_max,
        /// How long shard iterators can be used.
        pub iterator_life: Span = Span(millstream_streams::Options::default().iterator_life),
        /// How long the tokens of lists can be used.
        pub next_token_life: Span = Span(millstream_streams::Options::default().next_token_life),
        /// How long one SubscribeToShard lasts; clients subscribe anew when it ends.
        pub subscription_life: Span =
            Span(millstream_streams::SubscriptionOptions::default().life),
        /// How often a subscription without records tells where it is.
        pub subscription_idle_interval: Span =
            Span(millstream_streams::SubscriptionOptions::default().idle_interval),
        /// For how long a subscription can't be taken over by the same consumer.
        pub subscription_takeover_after: Span =
            Span(millstream_streams::SubscriptionOptions::default().takeover_after),
        /// How long subscriptions go on after their consumer was deregistered.
        pub subscription_linger: Span =
            Span(millstream_streams::SubscriptionOptions::default().linger),
        /// Most subscriptions of the node at once. Each holds up to a quarter of a MiB of frames,
        /// or one record if that is larger.
        pub subscriptions_max: usize =
            millstream_streams::SubscriptionOptions::default().count_max,
    }
    tables {
        /// How streams follow their load.
        pub scaling: Scaling,
        /// Which provisioned streams do.
        pub autoscale: Autoscale,
    }
}

section! {
    /// Metrics: the node's own of every stream, and what clients publish with CloudWatch's API.
    pub struct Monitoring = "monitoring" {
        /// How long points of a minute are kept. AWS keeps them for 15 days.
        pub retention: Span = Span(millstream_monitoring::Options::default().retention),
        /// How often figures are taken and points made durable: a crash loses at most this much.
        pub flush_interval: Span = Span(millstream_monitoring::Options::default().flush_interval),
        /// Most metrics (name, dimensions, unit) of all accounts together; some 1 KiB of memory each.
        pub series_max: usize = millstream_monitoring::Options::default().series_max,
    }
}

impl Config {
    /// The options of the metrics' store.
    pub fn monitoring_options(&self) -> millstream_monitoring::Options {
        let m = &self.monitoring;
        millstream_monitoring::Options {
            retention: m.retention.0,
            flush_interval: m.flush_interval.0,
            series_max: m.series_max,
            ..millstream_monitoring::Options::default()
        }
    }

    /// The options of the log store.
    pub fn log_options(&self) -> millstream_log::Options {
        let s = &self.storage;
        millstream_log::Options {
            sync: s.sync && !self.server.ephemeral,
            wal_file_bytes: s.wal_file_bytes.0,
            wal_bytes_max: s.wal_bytes_max.0,
            memory_bytes: s.memory_bytes.0,
            checkpoint_bytes: s.checkpoint_bytes.0,
            queue_bytes_max: s.queue_bytes_max.0,
            queue_wait: s.queue_wait.0,
            segment_bytes_max: s.segment_bytes_max.0,
            open_files_max: s.open_files_max,
            scrub_bytes_per_sec: s.scrub_bytes_per_sec.0,
            keep_free_bytes: s.keep_free_bytes.0,
            ..millstream_log::Options::default()
        }
    }

    /// The options of Data Streams' engine.
    ///
    /// # Panics
    /// With settings that reading a configuration refuses.
    pub fn streams_options(&self) -> millstream_streams::Options {
        let s = &self.streams;
        millstream_streams::Options {
            state_durations: match s.state_times {
                StateTimes::Aws => millstream_streams::StateDurations::AWS,
                StateTimes::Own => millstream_streams::StateDurations {
                    creating: s.creating_time.0,
                    updating: s.updating_time.0,
                    deleting: s.deleting_time.0,
                    resharding: s.resharding_time.0,
                    consumer_creating: s.consumer_creating_time.0,
                    consumer_deleting: s.consumer_deleting_time.0,
                    queue_creating: s.queue_creating_time.0,
                    queue_updating: s.queue_updating_time.0,
                    queue_deleting: s.queue_deleting_time.0,
                },
            },
            subscriptions: millstream_streams::SubscriptionOptions {
                life: s.subscription_life.0,
                idle_interval: s.subscription_idle_interval.0,
                takeover_after: s.subscription_takeover_after.0,
                linger: s.subscription_linger.0,
                count_max: s.subscriptions_max,
            },
            quotas: self.quotas.settings().unwrap_or_else(|what| panic!("{what}")),
            shards_per_account_max: s.shards_per_account_max,
            on_demand_streams_max: s.on_demand_streams_max,
            iterator_life: s.iterator_life.0,
            next_token_life: s.next_token_life.0,
            scaling: s.scaling.options(&s.autoscale).unwrap_or_else(|what| panic!("{what}")),
            ..millstream_streams::Options::default()
        }
    }
    /// The settings as a TOML file with comments, which reads back to the same settings. Secret
    /// access keys are printed as they must stand in the file: treat the output as the file itself.
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.server.print(&mut out);
        self.limits.print(&mut out);
        self.auth.print(&mut out);
        self.identity.print(&mut out);
        self.logging.print(&mut out);
        self.storage.print(&mut out);
        self.streams.print(&mut out);
        self.monitoring.print(&mut out);
        self.quotas.print(&mut out);
        self.audit.print(&mut out);
        self.tls.print(&mut out);
        self.print_listeners(&mut out);
        self.keys.print(&mut out);
        out
    }

    /// What types can't say.
    fn check(&self) -> Result<(), String> {
        self.check_doors()?;
        check_account("server.account", &self.server.account)?;
        if self.auth.mode == AuthMode::Keys && self.auth.keys.is_empty() {
            return Err(
                "auth.mode is \"keys\" but no [[auth.keys]] is given: nobody could sign in"
                    .to_owned(),
            );
        }
        for key in &self.auth.keys {
            if let Some(account) = &key.account {
                check_account("auth.keys.account", account)?;
            }
        }
        if self.limits.bodies_bytes_max < self.limits.body_bytes_max {
            return Err(format!(
                "limits.bodies_bytes_max ({}) is below limits.body_bytes_max ({})",
                self.limits.bodies_bytes_max, self.limits.body_bytes_max
            ));
        }
        if self.limits.connection_bytes_max < self.limits.body_bytes_max {
            return Err(format!(
                "limits.connection_bytes_max ({}) is below limits.body_bytes_max ({})",
                self.limits.connection_bytes_max, self.limits.body_bytes_max
            ));
        }
        if self.limits.connections_per_address_max == 0 {
            return Err("limits.connections_per_address_max must be at least 1".to_owned());
        }
        if self.limits.connections_max == 0 || self.limits.http2_streams_max == 0 {
            return Err(
                "limits.connections_max and limits.http2_streams_max must be at least 1".to_owned()
            );
        }
        self.identity.check()?;
        self.quotas.settings()?;
        self.audit.check()?;
        self.keys.check()?;
        self.streams.scaling.options(&self.streams.autoscale).map(drop)
    }
}

impl Auth {
    fn print(&self, out: &mut String) {
        section::print_head(out, "auth", &[" Who may call."]);
        section::print_key(
            out,
            "mode",
            &[
                " \"any\": a request must look signed, whoever signed it is welcome.",
                " \"keys\": it must be signed with one of the [[auth.keys]]: access_key_id,",
                " secret_access_key and, if wanted, the account the key acts in.",
                " \"iam\": it must be signed with an access key or session of an identity, and policies",
                " decide what it may do. See [identity].",
            ],
            &quoted(match self.mode {
                AuthMode::Any => "any",
                AuthMode::Keys => "keys",
                AuthMode::Iam => "iam",
            }),
        );
        section::print_key(
            out,
            "insecure",
            &[" Let anyone in from other machines too: mode \"any\" on addresses beside loopback."],
            &self.insecure.toml(),
        );
        for key in &self.keys {
            out.push_str("\n[[auth.keys]]\n");
            section::print_key(out, "access_key_id", &[], &quoted(&key.access_key_id));
            section::print_key(out, "secret_access_key", &[], &quoted(&key.secret_access_key));
            if let Some(account) = &key.account {
                section::print_key(out, "account", &[], &quoted(account));
            }
        }
    }
}

fn check_account(key: &str, account: &str) -> Result<(), String> {
    if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("{key} is `{account}`, an account has 12 digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_configuration_reads_back_as_it_was() {
        let mut config = Config::default();
        assert_eq!(Config::from_text("", &config.print(), &[]).unwrap(), config);

        config.server.listen = vec!["[::1]:0".parse().unwrap(), "0.0.0.0:80".parse().unwrap()];
        config.server.data_dir = PathBuf::from("a \"quoted\" name");
        config.limits.body_read_time = Span::from_millis(90_001);
        config.logging.format = LogFormat::Json;
        config.auth.mode = AuthMode::Keys;
        config.auth.keys = vec![AccessKey {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG".to_owned(),
            account: Some("000000000007".to_owned()),
        }];
        assert_eq!(Config::from_text("", &config.print(), &[]).unwrap(), config);
    }

    #[test]
    fn every_printed_key_has_a_comment() {
        let printed = Config::default().print();
        let lines: Vec<&str> = printed.lines().collect();
        for pair in lines.windows(2) {
            if pair[1].contains(" = ") && !pair[1].starts_with('#') {
                assert!(pair[0].starts_with('#'), "{} has no comment", pair[1]);
            }
        }
    }

    #[test]
    fn secrets_do_not_get_into_debug_output() {
        let key = AccessKey {
            access_key_id: "AKID".to_owned(),
            secret_access_key: "hush".to_owned(),
            account: None,
        };
        assert!(!format!("{key:?}").contains("hush"));
    }
}
