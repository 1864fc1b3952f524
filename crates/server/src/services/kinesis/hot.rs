//! Hot shards and hot keys of a stream, as the node's own page shows them. AWS has nothing like it.

use millstream_api::kinesis as api;
use millstream_streams::{HotKey, HotReport, HotShard};
use millstream_wire::ServiceError;
use serde_json::{Value, json};

use super::errors::{During, of_engine};
use super::{Call, DataStreams, target};

impl DataStreams {
    /// The page's JSON. `stream` is a name (of the caller's account and region) or an ARN.
    ///
    /// # Errors
    /// As DescribeStream.
    pub async fn hot(&self, call: &Call, stream: &str) -> Result<Value, ServiceError> {
        let stream = match stream.starts_with("arn:") {
            true => target::stream(call, None, Some(stream))?,
            false => target::stream(call, Some(stream), None)?,
        };
        let asked =
            api::DescribeStreamInput { stream_arn: Some(stream.to_string()), ..Default::default() };
        self.check_access(call, api::Request::DescribeStream(&asked))?;
        let report = self.engine.hot(&stream).await;
        Ok(page(&report.map_err(|e| of_engine(e, During::Control))?))
    }
}

fn page(report: &HotReport) -> Value {
    json!({
        "StreamName": report.stream.name().to_string(),
        "StreamARN": report.stream.to_string(),
        "MeasuredAt": report.measured_at.map(|at| at.as_millis() as f64 / 1000.0),
        "Shards": report.shards.iter().map(shard).collect::<Vec<_>>(),
    })
}

fn shard(shard: &HotShard) -> Value {
    json!({
        "ShardId": shard.shard.to_string(),
        "HashKeyRange": {
            "StartingHashKey": shard.range.start.to_string(),
            "EndingHashKey": shard.range.end.to_string(),
        },
        "RecordsPerSecond": rounded(shard.records_per_second),
        "BytesPerSecond": rounded(shard.bytes_per_second),
        "Utilisation": rounded(shard.utilisation),
        "Share": rounded(shard.share),
        "SplitAt": shard.split_at.map(|at| at.to_string()),
        "Keys": shard.keys.iter().map(key).collect::<Vec<_>>(),
    })
}

fn key(key: &HotKey) -> Value {
    json!({
        "PartitionKey": key.partition_key,
        "HashKey": key.hash.to_string(),
        "ShareOfStream": rounded(key.share_of_stream),
        "ShareOfShard": rounded(key.share_of_shard),
    })
}

/// Four decimals: what is measured is not truer than that.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
