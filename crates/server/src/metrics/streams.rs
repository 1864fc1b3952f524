//! Data Streams' totals by stream, under CloudWatch's names, asked for when the page is.

use std::fmt;

use millstream_base::StreamArn;
use millstream_streams::{CallCounts, StreamCounts, Streams};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};

use super::{Page, count, gauge, shards};

/// Streams with lines of their own, the busiest ones; all others are counted together as `_other`.
pub const STREAMS_MAX: usize = 200;

/// Shows the figures of an engine's streams.
pub struct StreamFigures(pub Streams);

impl fmt::Debug for StreamFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamFigures")
    }
}

impl Collector for StreamFigures {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(&mut out);
        encode(self.0.counts(), &mut page)?;
        shards::encode(&self.0.shard_counts(shards::SHARDS_MAX), &mut page)?;
        shards::encode_consumers(&self.0.consumer_counts(shards::CONSUMERS_MAX), &mut page)?;
        encode_calls(&self.0.calls_exceeded(), &mut page)
    }
}

fn encode_calls(exceeded: &[(&'static str, u64)], page: &mut Page<'_, '_>) -> fmt::Result {
    page.counters(
        "kinesis_CallRateExceeded",
        "Calls beyond the rate of their operation, refused or (with quotas.mode = measured) not",
        |m| exceeded.iter().try_for_each(|(name, n)| count(m, &[("operation", *name)], *n)),
    )
}

type Figure = fn(&StreamCounts) -> u64;

const COUNTERS: [(&str, &str, Figure); 21] = [
    ("kinesis_IncomingRecords", "Records put", |c| c.incoming_records),
    ("kinesis_IncomingBytes", "Bytes put, partition keys included", |c| c.incoming_bytes),
    (
        "kinesis_WriteProvisionedThroughputExceeded",
        "Records beyond a shard's throughput, refused or (with quotas.mode = measured) not",
        |c| c.write_exceeded,
    ),
    (
        "kinesis_ReadProvisionedThroughputExceeded",
        "GetRecords calls beyond a shard's throughput, refused or not",
        |c| c.read_exceeded,
    ),
    ("kinesis_PutRecord_Success", "PutRecord calls that stored", |c| c.put_record.success),
    ("kinesis_PutRecord_Bytes", "Bytes that they stored", |c| c.put_record.bytes),
    ("kinesis_PutRecord_Latency", "Milliseconds of all PutRecord calls", |c| ms(&c.put_record)),
    ("kinesis_PutRecord_Calls", "PutRecord calls, failed ones included", |c| c.put_record.calls),
    ("kinesis_PutRecords_Success", "PutRecords calls that stored", |c| c.put_records.success),
    ("kinesis_PutRecords_Bytes", "Bytes that they stored", |c| c.put_records.bytes),
    ("kinesis_PutRecords_Latency", "Milliseconds of all PutRecords calls", |c| ms(&c.put_records)),
    ("kinesis_PutRecords_Calls", "PutRecords calls, failed ones included", |c| c.put_records.calls),
    ("kinesis_PutRecords_TotalRecords", "Records of PutRecords calls", |c| c.put_records_total),
    ("kinesis_PutRecords_SuccessfulRecords", "Those that were stored", |c| {
        c.put_records_successful
    }),
    (
        "kinesis_PutRecords_ThrottledRecords",
        "Records refused because of a shard's throughput",
        |c| c.throttled_records,
    ),
    (
        "kinesis_PutRecords_FailedRecords",
        "Records that could not be stored for another reason",
        |c| c.failed_records,
    ),
    ("kinesis_GetRecords_Success", "Answers to GetRecords", |c| c.get_records.success),
    ("kinesis_GetRecords_Records", "Records read", |c| c.get_records_records),
    ("kinesis_GetRecords_Bytes", "Bytes of records read", |c| c.get_records.bytes),
    ("kinesis_GetRecords_Latency", "Milliseconds of all GetRecords calls", |c| ms(&c.get_records)),
    ("kinesis_GetRecords_Calls", "GetRecords calls, failed ones included", |c| c.get_records.calls),
];

fn ms(calls: &CallCounts) -> u64 {
    calls.latency_us / 1000
}

fn encode(counts: Vec<StreamCounts>, page: &mut Page<'_, '_>) -> fmt::Result {
    let shards = counts.iter().map(|c| c.open_shard_count).sum();
    page.gauge("kinesis_streams", "Streams", counts.len() as u64)?;
    page.gauge("kinesis_open_shards", "Open shards", shards)?;
    let (named, other) = split(counts);
    for (name, help, figure) in COUNTERS {
        page.counters(name, help, |m| {
            for c in &named {
                labelled(m, Some(&c.stream), |m, labels| count(m, labels, figure(c)))?;
            }
            match other.iter().map(figure).sum() {
                0 => Ok(()),
                n => labelled(m, None, |m, labels| count(m, labels, n)),
            }
        })?;
    }
    page.gauges(
        "kinesis_GetRecords_IteratorAgeMilliseconds",
        "How far behind the tip the newest answer to GetRecords was",
        |m| {
            named.iter().try_for_each(|c| {
                labelled(m, Some(&c.stream), |m, labels| gauge(m, labels, c.iterator_age_ms))
            })
        },
    )
}

/// The busiest streams, and the others.
fn split(mut counts: Vec<StreamCounts>) -> (Vec<StreamCounts>, Vec<StreamCounts>) {
    counts.sort_by(|a, b| {
        let busy = |c: &StreamCounts| c.incoming_records + c.get_records_records;
        busy(b).cmp(&busy(a)).then_with(|| a.stream.cmp(&b.stream))
    });
    let other = counts.split_off(counts.len().min(STREAMS_MAX));
    (counts, other)
}

/// `None`: the streams that have no lines of their own.
fn labelled(
    m: &mut MetricEncoder<'_>,
    stream: Option<&StreamArn>,
    write: impl FnOnce(&mut MetricEncoder<'_>, &[(&'static str, &str)]) -> fmt::Result,
) -> fmt::Result {
    let Some(s) = stream else {
        return write(m, &[("account", "_other"), ("region", "_other"), ("StreamName", "_other")]);
    };
    write(
        m,
        &[
            ("account", s.account().as_str()),
            ("region", s.region().as_str()),
            ("StreamName", s.name().as_str()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use millstream_base::{AccountId, Region, Scope, StreamName};
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<StreamCounts>);

    impl Collector for Fixed {
        fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
            encode(self.0.clone(), &mut Page(&mut out))
        }
    }

    fn counts(n: usize, incoming_records: u64) -> StreamCounts {
        let scope = Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap());
        StreamCounts {
            stream: StreamArn::new(scope, StreamName::new(&format!("s{n}")).unwrap()),
            open_shard_count: 1,
            incoming_records,
            incoming_bytes: 0,
            failed_records: 0,
            throttled_records: 0,
            write_exceeded: 0,
            read_exceeded: 0,
            put_record: CallCounts::default(),
            put_records: CallCounts::default(),
            put_records_total: 0,
            put_records_successful: 0,
            put_records_failed: 0,
            put_records_throttled: 0,
            get_records: CallCounts::default(),
            get_records_records: 0,
            iterator_age_ms: 0,
        }
    }

    #[test]
    fn streams_beyond_the_cap_are_counted_together() {
        let mut registry = Registry::default();
        let all = (0..STREAMS_MAX + 50).map(|n| counts(n, 2 + n as u64 / 50)).collect();
        registry.register_collector(Box::new(Fixed(all)));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        let name = "kinesis_IncomingRecords_total";
        assert_eq!(page.lines().filter(|l| l.starts_with(name)).count(), STREAMS_MAX + 1);
        // The fifty idlest have two records each.
        let other =
            format!("{name}{{account=\"_other\",region=\"_other\",StreamName=\"_other\"}} 100");
        assert!(page.contains(&other), "{page}");
        assert!(page.contains("kinesis_open_shards 250"), "{page}");
    }
}
