//! Totals of shards that enhanced monitoring is on for, and of consumers, under CloudWatch's names.

use std::fmt;

use millstream_base::{ShardId, StreamArn};
use millstream_streams::{ConsumerCounts, ShardCounts};

use super::{Page, count};

/// Shards with lines of their own; of further ones nothing is shown here.
pub const SHARDS_MAX: usize = 1000;
/// Consumers with lines of their own; of further ones nothing is shown here.
pub const CONSUMERS_MAX: usize = 500;

type ShardFigure = fn(&ShardCounts) -> u64;

const SHARD_COUNTERS: [(&str, &str, ShardFigure); 6] = [
    ("kinesis_shard_IncomingBytes", "Bytes put to a shard", |c| c.incoming_bytes),
    ("kinesis_shard_IncomingRecords", "Records put to a shard", |c| c.incoming_records),
    ("kinesis_shard_OutgoingBytes", "Bytes read from a shard", |c| c.outgoing_bytes),
    ("kinesis_shard_OutgoingRecords", "Records read from a shard", |c| c.outgoing_records),
    (
        "kinesis_shard_WriteProvisionedThroughputExceeded",
        "Records beyond the shard's throughput",
        |c| c.write_exceeded,
    ),
    (
        "kinesis_shard_ReadProvisionedThroughputExceeded",
        "GetRecords calls beyond the shard's throughput",
        |c| c.read_exceeded,
    ),
];

type ConsumerFigure = fn(&ConsumerCounts) -> u64;

const CONSUMER_COUNTERS: [(&str, &str, ConsumerFigure); 5] = [
    ("kinesis_SubscribeToShard_Success", "Subscriptions begun", |c| c.subscribe_success),
    ("kinesis_SubscribeToShard_RateExceeded", "Subscriptions that another forbade", |c| {
        c.subscribe_rate_exceeded
    }),
    ("kinesis_SubscribeToShardEvent_Success", "Events sent", |c| c.event_success),
    ("kinesis_SubscribeToShardEvent_Bytes", "Bytes of records sent", |c| c.event_bytes),
    ("kinesis_SubscribeToShardEvent_Records", "Records sent", |c| c.event_records),
];

pub(super) fn encode(
    shards: &[(StreamArn, ShardId, ShardCounts)],
    page: &mut Page<'_, '_>,
) -> fmt::Result {
    if shards.is_empty() {
        return Ok(());
    }
    for (name, help, figure) in SHARD_COUNTERS {
        page.counters(name, help, |m| {
            shards.iter().try_for_each(|(stream, shard, counts)| {
                let (shard, account) = (shard.to_string(), stream.account());
                let labels = [
                    ("account", account.as_str()),
                    ("region", stream.region().as_str()),
                    ("StreamName", stream.name().as_str()),
                    ("ShardId", shard.as_str()),
                ];
                count(m, &labels, figure(counts))
            })
        })?;
    }
    Ok(())
}

pub(super) fn encode_consumers(
    consumers: &[ConsumerCounts],
    page: &mut Page<'_, '_>,
) -> fmt::Result {
    if consumers.is_empty() {
        return Ok(());
    }
    for (name, help, figure) in CONSUMER_COUNTERS {
        page.counters(name, help, |m| {
            consumers.iter().try_for_each(|c| {
                let account = c.stream.account();
                let labels = [
                    ("account", account.as_str()),
                    ("region", c.stream.region().as_str()),
                    ("StreamName", c.stream.name().as_str()),
                    ("ConsumerName", c.consumer.as_str()),
                ];
                count(m, &labels, figure(c))
            })
        })?;
    }
    Ok(())
}
