//! Flink on a mini cluster with the Kinesis connectors: both sources, polling and with enhanced
//! fan-out, stopped with a savepoint and started from it; and the sink.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `flink` (`cargo xtask interop flink`). Needs a JDK
//! and Maven.

use conformance::consume::{Software, check, produce, programs};
use conformance::peers;

fn source(name: &str, mode: &str, takes_apart: bool) {
    if peers::heavy("flink") {
        check(&Software {
            name,
            command: &programs::flink,
            mode,
            takes_apart,
            // Neither source waits with a child shard until its parent has been read.
            in_order: false,
            resumes: true,
        });
    }
}

#[test]
fn kinesis_streams_source() {
    source("KinesisStreamsSource", "source", false);
}

#[test]
fn flink_kinesis_consumer_polling() {
    source("FlinkKinesisConsumer", "polling", true);
}

#[test]
fn flink_kinesis_consumer_fan_out() {
    source("FlinkKinesisConsumer", "fan-out", true);
}

#[test]
fn kinesis_streams_sink() {
    if peers::heavy("flink") {
        produce::check("KinesisStreamsSink", programs::flink().expect("the jobs are built"));
    }
}
