//! What a run says at its end, as text and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::calibrate::Calibration;
use super::fan_out::Figures;
use super::record::{Latencies, Tally};
use super::watch::Used;
use crate::output::{bytes, grouped};

/// A finished run. Field names are the JSON's.
#[derive(Debug, Serialize)]
pub struct Report {
    pub op: String,
    pub endpoint: String,
    pub codec: String,
    pub signed: bool,
    pub streams: u32,
    pub connections: u32,
    pub records_per_request: u32,
    pub record_bytes: u32,
    /// Requests per second that were due; none in a closed loop.
    pub rate: Option<f64>,
    /// The measured time.
    pub seconds: f64,
    pub requests: u64,
    pub requests_failed: u64,
    pub records: u64,
    pub records_failed: u64,
    pub requests_per_second: f64,
    pub records_per_second: f64,
    /// Of the records' data.
    pub mib_per_second: f64,
    pub answer_bytes: u64,
    pub latency_us: Latencies,
    /// For tail-latency: from put to acknowledged.
    pub acknowledged_us: Option<Latencies>,
    /// For fan-out, whose `records` are those that all consumers had.
    pub fan_out: Option<Figures>,
    /// Failed requests or records by code.
    pub errors: BTreeMap<String, u64>,
    pub generator: Option<Used>,
    pub generator_cpu_us_per_record: Option<f64>,
    pub server: Option<Used>,
    pub server_cpu_us_per_record: Option<f64>,
    pub calibration: Option<Calibration>,
}

impl Report {
    /// Fills in what `tally` counted over `seconds`.
    pub fn count(&mut self, tally: &Tally, seconds: f64) {
        self.seconds = seconds;
        self.requests = tally.requests;
        self.requests_failed = tally.requests_failed;
        self.records = tally.records;
        self.records_failed = tally.records_failed;
        self.requests_per_second = tally.requests as f64 / seconds;
        self.records_per_second = tally.records as f64 / seconds;
        self.mib_per_second =
            self.records_per_second * f64::from(self.record_bytes) / f64::from(1 << 20);
        self.answer_bytes = tally.answer_bytes;
        self.latency_us = tally.latencies();
        self.errors = tally.errors.clone();
    }

    /// Fills in what the processes used.
    pub fn used(&mut self, generator: Option<Used>, server: Option<Used>) {
        let records = self.records;
        let per_record = |used: &Used| used.cpu_seconds * 1e6 / records.max(1) as f64;
        self.generator_cpu_us_per_record = generator.as_ref().map(per_record);
        self.server_cpu_us_per_record = server.as_ref().map(per_record);
        self.generator = generator;
        self.server = server;
    }

    pub fn text(&self) -> String {
        let mut lines = vec![self.what(), String::new()];
        let mut line = |name: &str, value: String| lines.push(format!("{name:<18} {value}"));
        let percent = |n: u64| 100.0 * n as f64 / self.requests.max(1) as f64;
        line("requests", format!("{} ({:.0}/s)", grouped(self.requests), self.requests_per_second));
        line(
            "records",
            format!(
                "{} ({}/s, {:.1} MiB/s)",
                grouped(self.records),
                grouped(self.records_per_second as u64),
                self.mib_per_second
            ),
        );
        line("latency", latencies(&self.latency_us));
        if let Some(acknowledged) = &self.acknowledged_us {
            line("  acknowledged", latencies(acknowledged));
        }
        if let Some(fan_out) = &self.fan_out {
            let payload = fan_out.payload_bytes_per_second / 1e6;
            line("fan-out", format!("{payload:.0} MB/s to {} consumers", fan_out.consumers));
            if let (Some(alone), Some(put), Some(kept)) =
                (fan_out.puts_alone_per_second, fan_out.puts_per_second, fan_out.puts_kept())
            {
                let (put, alone) = (grouped(put as u64), grouped(alone as u64));
                line("puts", format!("{put} records/s, alone {alone} ({:.0} %)", 100.0 * kept));
            }
        }
        if self.requests_failed > 0 {
            let share = percent(self.requests_failed);
            line("failed requests", format!("{} ({share:.2} %)", grouped(self.requests_failed)));
        }
        if self.records_failed > 0 {
            line("failed records", grouped(self.records_failed));
        }
        for (code, times) in &self.errors {
            line(&format!("  {code}"), grouped(*times));
        }
        if let (Some(server), Some(each)) = (&self.server, self.server_cpu_us_per_record) {
            line("server CPU", self.cpu(server, each));
            line("server memory", memory(server));
        }
        if let (Some(own), Some(each)) = (&self.generator, self.generator_cpu_us_per_record) {
            line("generator CPU", self.cpu(own, each));
        }
        if let Some(c) = &self.calibration {
            line("bare round trip", latencies(&c.round_trip_us));
            line("4 KiB + fdatasync", latencies(&c.sync_us));
            if let Some(ratio) = self.lone_put_ratio() {
                line("put to the two", format!("{ratio:.2} (p50 of put / sum of their p50)"));
            }
        }
        lines.join("\n")
    }

    /// How a lone put compares with a bare round trip and a bare sync.
    pub fn lone_put_ratio(&self) -> Option<f64> {
        let c = self.calibration.as_ref()?;
        let lone = self.op == "put-record" && self.connections == 1 && self.rate.is_none();
        lone.then(|| self.latency_us.p50 / (c.round_trip_us.p50 + c.sync_us.p50))
    }

    fn what(&self) -> String {
        let pace = match self.rate {
            None => "closed loop".to_owned(),
            Some(rate) => format!("{rate} requests/s due"),
        };
        let batch = match self.op.as_str() {
            "put-records" => format!("{} x ", self.records_per_request),
            _ => String::new(),
        };
        format!(
            "{} {batch}{} B, {}, {}, {} connections, {} streams, {pace}, {:.1} s at {}",
            self.op,
            self.record_bytes,
            self.codec,
            if self.signed { "signed" } else { "unsigned" },
            self.connections,
            self.streams,
            self.seconds,
            self.endpoint,
        )
    }

    fn cpu(&self, used: &Used, per_record: f64) -> String {
        format!("{:.2} cores, {per_record:.2} us per record", used.cpu_seconds / self.seconds)
    }
}

fn memory(used: &Used) -> String {
    format!(
        "{} at first, {} at most, {} at last",
        bytes(used.rss_first_bytes),
        bytes(used.rss_max_bytes),
        bytes(used.rss_last_bytes)
    )
}

fn latencies(l: &Latencies) -> String {
    format!(
        "p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        micros(l.p50),
        micros(l.p90),
        micros(l.p99),
        micros(l.p999),
        micros(l.max)
    )
}

/// Three digits and a fitting unit.
fn micros(us: f64) -> String {
    match us {
        us if us < 1000.0 => format!("{us:.0} us"),
        us if us < 100_000.0 => format!("{:.2} ms", us / 1000.0),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1000.0),
        us => format!("{:.2} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_fitting_units() {
        let shown = [12.4, 999.0, 1500.0, 123_456.0, 2_500_000.0].map(micros);
        assert_eq!(shown, ["12 us", "999 us", "1.50 ms", "123 ms", "2.50 s"]);
    }
}
