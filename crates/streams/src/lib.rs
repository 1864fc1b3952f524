//! Kinesis Data Streams: shard maps, placement, iterators, retention.
