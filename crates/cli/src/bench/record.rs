//! What a run measured: latencies without coordinated omission, counts, errors by code.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that can be told apart; longer ones count as this one.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// Counts of one connection, or of all of them added up.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Nanoseconds, three significant digits.
    latency: Histogram<u64>,
    pub requests: u64,
    /// Requests that were not answered with success.
    pub requests_failed: u64,
    /// Records written or read.
    pub records: u64,
    pub records_failed: u64,
    /// Bytes of answers' bodies.
    pub answer_bytes: u64,
    /// Requests or records that failed, by error code.
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    pub fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, 3)
            .expect("the bounds are in order and the digits are few");
        Tally {
            latency,
            requests: 0,
            requests_failed: 0,
            records: 0,
            records_failed: 0,
            answer_bytes: 0,
            errors: BTreeMap::new(),
        }
    }

    pub fn latency(&mut self, took: Duration) {
        self.latency.saturating_record((took.as_nanos() as u64).max(1));
    }

    pub fn error(&mut self, code: &str, times: u64) {
        if times > 0 {
            *self.errors.entry(code.to_owned()).or_default() += times;
        }
    }

    pub fn add(&mut self, other: &Tally) {
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.requests += other.requests;
        self.requests_failed += other.requests_failed;
        self.records += other.records;
        self.records_failed += other.records_failed;
        self.answer_bytes += other.answer_bytes;
        for (code, times) in &other.errors {
            self.error(code, *times);
        }
    }

    pub fn latencies(&self) -> Latencies {
        let at = |share| self.latency.value_at_quantile(share) as f64 / 1000.0;
        Latencies {
            min: if self.latency.is_empty() { 0.0 } else { self.latency.min() as f64 / 1000.0 },
            mean: self.latency.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.latency.max() as f64 / 1000.0,
        }
    }
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Latencies {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_know_their_percentiles() {
        let mut all = Tally::new();
        for part in 0..10 {
            let mut tally = Tally::new();
            for i in 1..=100 {
                tally.latency(Duration::from_micros(part * 100 + i));
                tally.requests += 1;
            }
            tally.error("Slow", 2);
            all.add(&tally);
        }
        let latencies = all.latencies();
        assert_eq!(all.requests, 1000);
        assert_eq!(all.errors["Slow"], 20);
        assert!((latencies.p50 - 500.0).abs() < 1.0, "{latencies:?}");
        assert!((latencies.p99 - 990.0).abs() < 1.0, "{latencies:?}");
        assert!((latencies.max - 1000.0).abs() < 1.0, "{latencies:?}");
    }

    #[test]
    fn an_empty_tally_has_no_latency() {
        assert_eq!(Tally::new().latencies().max, 0.0);
        assert_eq!(Tally::new().latencies().min, 0.0);
    }
}
