//! What `/metrics` shows: requests by operation and outcome, Data Streams' totals under
//! CloudWatch's names, the log store, the process.
//!
//! Counting costs a request some relaxed additions and no lock. Labels are bounded: operations and
//! error codes come from fixed lists, streams are counted one by one up to [`STREAMS_MAX`] and
//! together as `_other` beyond.

mod audit;
mod histogram;
mod monitoring;
mod process;
mod queues;
mod shards;
mod store;
mod streams;

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

pub use audit::AuditFigures;
pub use histogram::LatencyHistogram;
pub use monitoring::MonitoringFigures;
use process::Process;
pub use queues::QueueFigures;
pub use store::LogFigures;
pub use streams::{STREAMS_MAX, StreamFigures};

/// Error codes counted one by one; all further ones are counted together under `_other`.
pub const CODES_MAX: usize = 64;
/// The content type of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All counters of a node.
pub struct Metrics {
    registry: RwLock<Registry>,
    requests: Arc<Requests>,
}

impl Metrics {
    /// `operations`: the names that requests are counted under.
    pub fn new(operations: Vec<&'static str>) -> Self {
        let requests = Arc::new(Requests::new(operations));
        let mut registry = Registry::with_prefix("millstream");
        registry.register_collector(Box::new(requests.clone()));
        registry.register_collector(Box::new(Process));
        Metrics { registry: RwLock::new(registry), requests }
    }

    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Adds figures that are asked for when the page is.
    pub fn add(&self, collector: impl Collector) {
        self.registry.write().register_collector(Box::new(collector));
    }

    /// The page.
    pub fn render(&self) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry.read())
            .expect("a string takes all that is written");
        page
    }
}

/// Requests by operation.
pub struct Requests {
    operations: Vec<Operation>,
    codes: RwLock<HashMap<(usize, String), Arc<AtomicU64>>>,
}

struct Operation {
    name: &'static str,
    succeeded: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    latency: LatencyHistogram,
}

/// What one request was, for counting.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Index into the operations; `None` for a request that named none.
    pub operation: Option<usize>,
    /// The error code; `None` for success.
    pub error: Option<&'a str>,
    pub took: Duration,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

impl Requests {
    fn new(mut operations: Vec<&'static str>) -> Self {
        operations.push("_none");
        let operations = operations
            .into_iter()
            .map(|name| Operation {
                name,
                succeeded: AtomicU64::new(0),
                request_bytes: AtomicU64::new(0),
                response_bytes: AtomicU64::new(0),
                latency: LatencyHistogram::default(),
            })
            .collect();
        Requests { operations, codes: RwLock::default() }
    }

    pub fn observe(&self, seen: Observation<'_>) {
        let index = seen.operation.unwrap_or(self.operations.len() - 1);
        let operation = &self.operations[index];
        operation.request_bytes.fetch_add(seen.request_bytes, Relaxed);
        operation.response_bytes.fetch_add(seen.response_bytes, Relaxed);
        operation.latency.observe(seen.took);
        match seen.error {
            None => operation.succeeded.fetch_add(1, Relaxed),
            Some(code) => self.code(index, code).fetch_add(1, Relaxed),
        };
    }

    fn code(&self, operation: usize, code: &str) -> Arc<AtomicU64> {
        let key = (operation, code.to_owned());
        if let Some(count) = self.codes.read().get(&key) {
            return count.clone();
        }
        let mut codes = self.codes.write();
        let known = codes.keys().any(|(_, c)| c == code);
        let full = codes.len() >= CODES_MAX * self.operations.len();
        let key = if known || !full { key } else { (operation, "_other".to_owned()) };
        codes.entry(key).or_default().clone()
    }
}

impl Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

impl Collector for Requests {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        let used = || self.operations.iter().filter(|o| o.latency.count() > 0);
        let mut page = Page(&mut out);
        page.counters("requests", "Requests by operation and outcome", |m| {
            for o in used().filter(|o| o.succeeded.load(Relaxed) > 0) {
                let labels = [("operation", o.name), ("outcome", "ok")];
                count(m, &labels, o.succeeded.load(Relaxed))?;
            }
            for ((operation, code), n) in self.codes.read().iter() {
                let name = self.operations[*operation].name;
                count(m, &[("operation", name), ("outcome", code)], n.load(Relaxed))?;
            }
            Ok(())
        })?;
        page.counters("request_bytes", "Bytes of request bodies", |m| {
            used()
                .try_for_each(|o| count(m, &[("operation", o.name)], o.request_bytes.load(Relaxed)))
        })?;
        page.counters("response_bytes", "Bytes of answers' bodies", |m| {
            used().try_for_each(|o| {
                count(m, &[("operation", o.name)], o.response_bytes.load(Relaxed))
            })
        })?;
        let name = "request_duration_seconds";
        let help = "From a request's head to its answer";
        let mut m = page.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        used().try_for_each(|o| o.latency.encode(m.encode_family(&[("operation", o.name)])?))
    }
}

/// The page while it is written: one family after the other.
pub struct Page<'a, 'b>(pub &'a mut DescriptorEncoder<'b>);

impl Page<'_, '_> {
    /// A family of counters; `write` adds each with [`count`].
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(&mut self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    /// A family of gauges; `write` adds each with [`gauge`].
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(&mut self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.gauges(name, help, |m| m.encode_gauge(&(value as f64)))
    }

    /// A counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, |m| m.encode_counter::<NoLabelSet, _, u64>(&value, None))
    }
}

/// Adds a counter to its family.
pub fn count(m: &mut MetricEncoder<'_>, labels: &[(&'static str, &str)], n: u64) -> fmt::Result {
    m.encode_family(&Labels(labels))?.encode_counter::<NoLabelSet, _, u64>(&n, None)
}

/// Adds a gauge to its family.
pub fn gauge(m: &mut MetricEncoder<'_>, labels: &[(&'static str, &str)], n: u64) -> fmt::Result {
    m.encode_family(&Labels(labels))?.encode_gauge(&(n as f64))
}

struct Labels<'a>(&'a [(&'static str, &'a str)]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> fmt::Result {
        use prometheus_client::encoding::EncodeLabel;
        self.0.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(error: Option<&str>) -> Observation<'_> {
        let took = Duration::from_micros(300);
        Observation { operation: Some(1), error, took, request_bytes: 10, response_bytes: 20 }
    }

    #[test]
    fn requests_are_counted_by_operation_and_outcome() {
        let metrics = Metrics::new(vec!["GetRecords", "PutRecord"]);
        metrics.requests().observe(seen(None));
        metrics.requests().observe(seen(None));
        metrics.requests().observe(seen(Some("ValidationException")));
        metrics.requests().observe(Observation { operation: None, ..seen(Some("X")) });
        let page = metrics.render();
        for line in [
            "millstream_requests_total{operation=\"PutRecord\",outcome=\"ok\"} 2",
            "millstream_requests_total{operation=\"PutRecord\",outcome=\"ValidationException\"} 1",
            "millstream_requests_total{operation=\"_none\",outcome=\"X\"} 1",
            "millstream_request_bytes_total{operation=\"PutRecord\"} 30",
            "millstream_response_bytes_total{operation=\"PutRecord\"} 60",
            "millstream_request_duration_seconds_count{operation=\"PutRecord\"} 3",
            "millstream_request_duration_seconds_bucket{le=\"0.00025\",operation=\"PutRecord\"} 0",
            "millstream_request_duration_seconds_bucket{le=\"0.0005\",operation=\"PutRecord\"} 3",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("GetRecords\""), "unused operations have no lines\n{page}");
    }

    #[test]
    fn error_codes_are_bounded() {
        let metrics = Metrics::new(vec![]);
        for n in 0..1000 {
            let code = format!("E{n}");
            metrics.requests().observe(Observation { operation: None, ..seen(Some(&code)) });
        }
        assert!(metrics.requests().codes.read().len() <= CODES_MAX + 1);
        assert!(metrics.render().contains("outcome=\"_other\"} 936"));
    }
}
