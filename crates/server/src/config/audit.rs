//! Settings of the audit trail.

use serde::Deserialize;

use super::section::{TomlValue, quoted, section};
use super::units::{ByteSize, Span};

/// Which management calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Management {
    #[default]
    All,
    /// Only those that change something.
    Write,
    None,
}

/// What becomes of management calls while the trail can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unwritable {
    #[default]
    Refuse,
    Serve,
}

impl TomlValue for Management {
    fn toml(&self) -> String {
        quoted(match self {
            Management::All => "all",
            Management::Write => "write",
            Management::None => "none",
        })
    }
}

impl TomlValue for Unwritable {
    fn toml(&self) -> String {
        quoted(match self {
            Unwritable::Refuse => "refuse",
            Unwritable::Serve => "serve",
        })
    }
}

section! {
    /// Who did what: CloudTrail events in hash-chained files in the data directory's `audit`.
    pub struct Audit = "audit" {
        /// Keep a trail at all.
        pub enabled: bool = true,
        /// Management calls in the trail: "all", "write" (those that change something) or "none".
        pub management: Management = Management::All,
        /// Streams, by name or ARN, whose data calls (PutRecord, GetRecords ...) are in the trail,
        /// too; "*" for all data calls. Each costs about as much as a put.
        pub data_events: Vec<String> = Vec::new(),
        /// Most calls per second with a missing or wrong signature in the trail; further ones are
        /// counted in it.
        pub unauthenticated_per_sec_max: u32 = 20,
        /// While the trail can't be written (a full disk): "refuse" management calls, or "serve"
        /// them and write their events when that is possible again.
        pub unwritable: Unwritable = Unwritable::Refuse,
        /// A new file is begun when one is this large.
        pub file_bytes_max: ByteSize = ByteSize(millstream_audit::Options::default().file_bytes_max),
        /// A new file is begun when one is this old.
        pub file_time_max: Span = Span(millstream_audit::Options::default().file_time_max),
        /// How long files are kept after their last event. AWS's event history has 90 days.
        pub retention: Span = Span(millstream_audit::Options::default().retention),
        /// Most bytes of all files together; the oldest go first.
        pub bytes_max: ByteSize = ByteSize(millstream_audit::Options::default().bytes_max),
        /// Events that may wait to be written; calls beyond are answered that the node is busy.
        pub queue_events_max: usize = millstream_audit::Options::default().queue_events_max,
        /// A stream, by name or ARN, that gets a copy of each event. What it does not take is
        /// dropped and counted: the files are the truth.
        pub stream: String = String::new(),
    }
}

impl Audit {
    /// The options of the trail's files.
    pub fn options(&self, sync: bool) -> millstream_audit::Options {
        millstream_audit::Options {
            file_bytes_max: self.file_bytes_max.0,
            file_time_max: self.file_time_max.0,
            retention: self.retention.0,
            bytes_max: self.bytes_max.0,
            queue_events_max: self.queue_events_max,
            sync,
            ..millstream_audit::Options::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.queue_events_max == 0 || self.file_bytes_max.0 == 0 {
            return Err(
                "audit.queue_events_max and audit.file_bytes_max must be above 0".to_owned()
            );
        }
        Ok(())
    }
}
