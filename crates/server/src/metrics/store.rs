//! The log store's figures, asked for when the page is.

use std::fmt;

use millstream_log::{EmbeddedLog, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Page;

/// Shows the figures of one embedded store.
pub struct LogFigures(pub EmbeddedLog);

impl fmt::Debug for LogFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogFigures")
    }
}

impl Collector for LogFigures {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        let stats = self.0.stats();
        let mut page = Page(&mut out);
        for (name, help, value) in counters(&stats) {
            page.counter(name, help, value)?;
        }
        for (name, help, value) in gauges(&stats) {
            page.gauge(name, help, value)?;
        }
        Ok(())
    }
}

type Figure = (&'static str, &'static str, u64);

fn counters(s: &Stats) -> [Figure; 11] {
    [
        ("log_syncs", "Waits for the disk", s.syncs),
        ("log_frames", "Groups written; entries by groups is how well they gather", s.frames),
        ("log_calls", "Appending calls", s.calls),
        ("log_entries", "Entries written", s.entries),
        ("log_bytes", "Bytes acknowledged", s.bytes),
        ("log_wal_bytes", "Bytes written to the write-ahead log for them", s.wal_bytes),
        ("log_checkpoints", "Checkpoints", s.checkpoints),
        ("log_merges", "Merges of segment files", s.merges),
        ("log_scrubbed_bytes", "Bytes checked in the background", s.scrubbed_bytes),
        ("log_scrub_rounds", "Times that all segment files were checked", s.scrub_rounds),
        (
            "log_damaged_places",
            "Places where bytes are not what was written",
            s.health.damage_count,
        ),
    ]
}

fn gauges(s: &Stats) -> [Figure; 11] {
    let is = |what: &Option<String>| u64::from(what.is_some());
    [
        ("log_logs", "Logs: open and closed shards", s.logs as u64),
        ("log_group_bytes_largest", "Largest group written", s.group_bytes_largest),
        ("log_memory_bytes", "Recent entries in memory", s.memory_bytes),
        ("log_uncheckpointed_bytes", "Of them, in no segment file yet", s.uncheckpointed_bytes),
        ("log_index_cache_bytes", "Segment footers in memory", s.index_cache_bytes),
        ("log_wal_files_bytes", "Write-ahead files, spare ones included", s.wal_files_bytes),
        ("log_segments", "Segment files", s.segments as u64),
        ("log_segment_bytes", "Bytes of segment files", s.segment_bytes),
        ("log_full", "1 while appends are refused because the disk is full", is(&s.health.full)),
        ("log_checkpoint_failing", "1 while checkpoints fail", is(&s.health.checkpoint_error)),
        ("log_stopped", "1 once the store has stopped", is(&s.health.stopped)),
    ]
}
