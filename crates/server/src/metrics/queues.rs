//! Queues' figures, under CloudWatch's names, asked for when the page is.

use std::fmt;

use millstream_streams::{QueueCounts, Streams};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};

use super::{Page, count, gauge};

/// Queues with lines of their own, the busiest ones. The others are left out.
const QUEUES_MAX: usize = 200;

/// Shows the figures of an engine's queues.
pub struct QueueFigures(pub Streams);

impl fmt::Debug for QueueFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueFigures")
    }
}

impl Collector for QueueFigures {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        encode(self.0.queue_counts(), &mut Page(&mut out))
    }
}

type Figure = fn(&QueueCounts) -> u64;

const COUNTERS: [(&str, &str, Figure); 3] = [
    ("kinesis_ReceivedQueueRecords", "Records delivered by a queue", |c| c.received),
    ("kinesis_AcknowledgedQueueRecords", "Records acknowledged", |c| c.acknowledged),
    ("kinesis_EmptyReceives", "Receives that found nothing", |c| c.empty_receives),
];

const GAUGES: [(&str, &str, Figure); 3] = [
    ("kinesis_VisibleQueueRecords", "Records that can be received", |c| c.visible),
    ("kinesis_InFlightQueueRecords", "Records that are hidden after a receive", |c| c.in_flight),
    ("kinesis_VisibleDeadLetterQueueRecords", "Dead-letter records that can be received", |c| {
        c.visible_dead_letters
    }),
];

fn encode(mut counts: Vec<QueueCounts>, page: &mut Page<'_, '_>) -> fmt::Result {
    page.gauge("kinesis_queues", "Queues", counts.len() as u64)?;
    counts.sort_by(|a, b| b.received.cmp(&a.received).then_with(|| a.queue.cmp(&b.queue)));
    counts.truncate(QUEUES_MAX);
    for (name, help, figure) in COUNTERS {
        page.counters(name, help, |m| {
            counts.iter().try_for_each(|c| labelled(m, c, |m, labels| count(m, labels, figure(c))))
        })?;
    }
    for (name, help, figure) in GAUGES {
        page.gauges(name, help, |m| {
            counts.iter().try_for_each(|c| labelled(m, c, |m, labels| gauge(m, labels, figure(c))))
        })?;
    }
    Ok(())
}

fn labelled(
    m: &mut MetricEncoder<'_>,
    c: &QueueCounts,
    write: impl FnOnce(&mut MetricEncoder<'_>, &[(&'static str, &str)]) -> fmt::Result,
) -> fmt::Result {
    let scope = &c.queue.scope;
    write(
        m,
        &[
            ("account", scope.account.as_str()),
            ("region", scope.region.as_str()),
            ("QueueId", c.queue.id.as_str()),
            ("QueueName", c.name.as_str()),
        ],
    )
}
