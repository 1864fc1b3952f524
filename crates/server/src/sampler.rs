//! Once per interval: what streams, shards, consumers and queues did becomes points in the metrics' store.
//!
//! The names, units and dimensions are CloudWatch's (namespace AWS/Kinesis). As there, a metric has
//! no point for a time in which nothing happened that it speaks of.

mod queues;

use std::sync::Arc;
use std::time::Duration;

use millstream_base::{Scope, Timestamp};
use millstream_env::Env;
use millstream_monitoring::{Datum, Metric, Monitoring, Point, StatisticSet, Unit};
use millstream_streams::{
    CallSamples, ConsumerSamples, Sample, ShardMetric, ShardSamples, StreamSamples, Streams,
};
use parking_lot::Mutex;

use queues::QueueSampler;

const NAMESPACE: &str = "AWS/Kinesis";

/// Takes the figures. Cheap to clone.
#[derive(Clone)]
pub struct Sampler {
    env: Env,
    streams: Streams,
    monitoring: Monitoring,
    interval: Duration,
    /// When figures were last taken.
    last: Arc<Mutex<Timestamp>>,
    queues: Arc<Mutex<QueueSampler>>,
}

impl Sampler {
    pub fn new(env: Env, streams: Streams, monitoring: Monitoring, interval: Duration) -> Self {
        let last = Arc::new(Mutex::new(env.now()));
        Sampler { env, streams, monitoring, interval, last, queues: Arc::default() }
    }

    /// Takes figures and makes them durable at each full interval of the clock, until it is stopped.
    pub async fn run(self) {
        loop {
            let interval = (self.interval.as_millis() as u64).max(1);
            let rest = interval - self.env.now().as_millis() % interval;
            self.env.sleep(Duration::from_millis(rest)).await;
            self.sample();
            if let Err(error) = self.monitoring.flush().await {
                tracing::warn!(%error, "metrics can't be written; trying again later");
            }
        }
    }

    /// Takes figures now. They belong to the middle of the time since they were last taken.
    pub fn sample(&self) {
        let now = self.env.now();
        let last = std::mem::replace(&mut *self.last.lock(), now);
        let at = last.plus(now.since(last) / 2);
        let mut refused = 0;
        for samples in self.streams.take_stream_samples() {
            refused += self.record(samples.stream.scope(), of_stream(&samples, at));
        }
        for samples in self.streams.take_consumer_samples() {
            refused += self.record(samples.stream.scope(), of_consumer(&samples, at));
        }
        let queues = self.queues.lock().sample(self.streams.queue_counts(), at);
        for (queue, data) in queues {
            refused += self.record(&queue.scope, data);
        }
        if refused > 0 {
            tracing::warn!(
                refused,
                "figures of streams are lost: monitoring.series_max is reached"
            );
        }
    }

    /// How many of `data` had no room.
    fn record(&self, scope: &Scope, data: Vec<Datum>) -> usize {
        match data.is_empty() || self.monitoring.record(scope, &data).is_ok() {
            true => 0,
            false => data.len(),
        }
    }
}

/// Data about one thing.
struct Data<'a> {
    dimensions: &'a [(&'a str, &'a str)],
    at: Timestamp,
    data: Vec<Datum>,
}

impl Data<'_> {
    /// Adds a figure unless nothing was observed. `scale`: what one of the figure's units is in
    /// `unit`s.
    fn add_scaled(&mut self, name: &str, unit: Unit, sample: &Sample, scale: f64) {
        if sample.count == 0 {
            return;
        }
        let point = Point::summary(StatisticSet {
            sample_count: sample.count as f64,
            sum: sample.sum as f64 * scale,
            minimum: sample.min as f64 * scale,
            maximum: sample.max as f64 * scale,
        });
        let metric = Metric::new(NAMESPACE, name, self.dimensions.iter().copied());
        self.data.push(Datum { metric, unit, at: self.at, point });
    }

    fn add(&mut self, name: &str, unit: Unit, sample: &Sample) {
        self.add_scaled(name, unit, sample, 1.0);
    }

    fn add_calls(&mut self, operation: &str, calls: &CallSamples) {
        self.add(&format!("{operation}.Bytes"), Unit::BYTES, &calls.bytes);
        self.add(&format!("{operation}.Success"), Unit::COUNT, &calls.success);
        let latency = format!("{operation}.Latency");
        self.add_scaled(&latency, Unit::MILLISECONDS, &calls.latency_us, 1e-3);
    }
}

fn of_stream(samples: &StreamSamples, at: Timestamp) -> Vec<Datum> {
    let name = samples.stream.name().as_str();
    let mut data = Data { dimensions: &[("StreamName", name)], at, data: Vec::new() };
    data.add("IncomingRecords", Unit::COUNT, &samples.incoming_records);
    data.add("IncomingBytes", Unit::BYTES, &samples.incoming_bytes);
    data.add_calls("PutRecord", &samples.put_record);
    data.add_calls("PutRecords", &samples.put_records);
    data.add_calls("GetRecords", &samples.get_records);
    for (name, sample) in [
        ("PutRecords.Records", &samples.put_records_successful),
        ("PutRecords.TotalRecords", &samples.put_records_total),
        ("PutRecords.SuccessfulRecords", &samples.put_records_successful),
        ("PutRecords.FailedRecords", &samples.put_records_failed),
        ("PutRecords.ThrottledRecords", &samples.put_records_throttled),
        ("GetRecords.Records", &samples.get_records_records),
        ("WriteProvisionedThroughputExceeded", &samples.write_exceeded),
        ("ReadProvisionedThroughputExceeded", &samples.read_exceeded),
    ] {
        data.add(name, Unit::COUNT, sample);
    }
    let age = &samples.iterator_age_ms;
    data.add("GetRecords.IteratorAgeMilliseconds", Unit::MILLISECONDS, age);
    let mut data = data.data;
    for shard in &samples.shards {
        data.extend(of_shard(name, &samples.shard_metrics, shard, at));
    }
    data
}

/// A shard's sums count as one observation: it is not known of how many calls they are.
fn of_shard(
    stream: &str,
    metrics: &[ShardMetric],
    shard: &ShardSamples,
    at: Timestamp,
) -> Vec<Datum> {
    let id = shard.shard.to_string();
    let dimensions = [("StreamName", stream), ("ShardId", &id)];
    let mut data = Data { dimensions: &dimensions, at, data: Vec::new() };
    let counts = &shard.counts;
    let once = |sum| Sample { count: 1, sum, min: sum, max: sum };
    for metric in metrics {
        let (name, unit, sample) = match metric {
            ShardMetric::IncomingBytes => {
                ("IncomingBytes", Unit::BYTES, once(counts.incoming_bytes))
            }
            ShardMetric::IncomingRecords => {
                ("IncomingRecords", Unit::COUNT, once(counts.incoming_records))
            }
            ShardMetric::OutgoingBytes => {
                ("OutgoingBytes", Unit::BYTES, once(counts.outgoing_bytes))
            }
            ShardMetric::OutgoingRecords => {
                ("OutgoingRecords", Unit::COUNT, once(counts.outgoing_records))
            }
            ShardMetric::WriteProvisionedThroughputExceeded => {
                ("WriteProvisionedThroughputExceeded", Unit::COUNT, once(counts.write_exceeded))
            }
            ShardMetric::ReadProvisionedThroughputExceeded => {
                ("ReadProvisionedThroughputExceeded", Unit::COUNT, once(counts.read_exceeded))
            }
            ShardMetric::IteratorAgeMilliseconds => {
                ("IteratorAgeMilliseconds", Unit::MILLISECONDS, shard.iterator_age_ms)
            }
        };
        data.add(name, unit, &sample);
    }
    data.data
}

fn of_consumer(samples: &ConsumerSamples, at: Timestamp) -> Vec<Datum> {
    let stream = samples.stream.name().as_str();
    let dimensions = [("StreamName", stream), ("ConsumerName", samples.consumer.as_str())];
    let mut data = Data { dimensions: &dimensions, at, data: Vec::new() };
    for (name, unit, sample) in [
        ("SubscribeToShard.Success", Unit::COUNT, &samples.subscribe_success),
        ("SubscribeToShard.RateExceeded", Unit::COUNT, &samples.subscribe_rate_exceeded),
        ("SubscribeToShardEvent.Success", Unit::COUNT, &samples.event_success),
        ("SubscribeToShardEvent.Bytes", Unit::BYTES, &samples.event_bytes),
        ("SubscribeToShardEvent.Records", Unit::COUNT, &samples.event_records),
        (
            "SubscribeToShardEvent.MillisBehindLatest",
            Unit::MILLISECONDS,
            &samples.event_millis_behind,
        ),
    ] {
        data.add(name, unit, sample);
    }
    data.data
}
