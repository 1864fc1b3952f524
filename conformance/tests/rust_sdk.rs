//! The catalogue through aws-sdk-rust, for the operations an application uses.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

#[path = "rust_sdk/settings.rs"]
mod settings;

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use aws_credential_types::Credentials;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{
    ChildShard, PutRecordsRequestEntry, Shard, ShardFilter, ShardFilterType, ShardIteratorType,
    StreamMode, StreamModeDetails, Tag,
};
use aws_sdk_kinesis::{Client as Sdk, Config};
use conformance::base64;
use conformance::client::{Answer, Call, Client, Fault};
use conformance::runner::play_catalogue;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// Clients side by side.
const PLAYERS: usize = 4;

struct RustSdk {
    endpoint: String,
    runtime: Runtime,
    base: Config,
}

impl RustSdk {
    fn new(address: SocketAddr) -> Result<Self> {
        let base = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { endpoint: format!("http://{address}"), runtime, base })
    }
}

impl Client for RustSdk {
    fn name(&self) -> String {
        "rust".to_owned()
    }

    fn family(&self) -> &'static str {
        "rust"
    }

    fn call(&mut self, call: &Call) -> Result<Answer> {
        let config = self
            .base
            .to_builder()
            .endpoint_url(&self.endpoint)
            .region(Region::new(call.region.clone()))
            .credentials_provider(Credentials::from_keys(&call.account, "secret", None))
            .build();
        let params = Params(call.params.as_object().context("parameters are no object")?);
        self.runtime.block_on(perform(&Sdk::from_conf(config), &call.operation, params))
    }
}

/// A success or AWS's error as an answer; anything else is trouble.
fn answer<T, E>(result: Result<T, SdkError<E>>, neutral: impl FnOnce(T) -> Value) -> Result<Answer>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(output) => Ok(Answer {
            status: Some(200),
            body: without_nulls(neutral(output)),
            ..Answer::default()
        }),
        Err(SdkError::ServiceError(error)) => {
            let status = error.raw().status().as_u16();
            let kind = error.err().code().context("an error without a code")?.to_owned();
            let message = error.err().message().map(str::to_owned);
            let fault = Some(Fault { kind, message });
            Ok(Answer { status: Some(status), fault, ..Answer::default() })
        }
        Err(other) => bail!("trouble of the SDK: {other:?}"),
    }
}

async fn perform(sdk: &Sdk, operation: &str, p: Params<'_>) -> Result<Answer> {
    match operation {
        "CreateStream" => {
            let sent = sdk
                .create_stream()
                .set_stream_name(p.text("StreamName"))
                .set_shard_count(p.int("ShardCount"))
                .set_stream_mode_details(p.mode()?)
                .set_warm_throughput_mibps(p.int("WarmThroughputMiBps"))
                .set_record_distribution_strategy(settings::distribution(p))
                .set_max_record_size_in_kib(p.int("MaxRecordSizeInKiB"))
                .set_tags(p.texts_by_key("Tags"));
            answer(sent.send().await, |_| json!({}))
        }
        "DeleteStream" => {
            let sent = sdk
                .delete_stream()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_enforce_consumer_deletion(p.flag("EnforceConsumerDeletion"));
            answer(sent.send().await, |_| json!({}))
        }
        "DescribeStream" => describe(sdk, p).await,
        "DescribeStreamSummary" => summary(sdk, p).await,
        "ListStreams" => {
            let sent = sdk
                .list_streams()
                .set_limit(p.int("Limit"))
                .set_exclusive_start_stream_name(p.text("ExclusiveStartStreamName"))
                .set_next_token(p.text("NextToken"));
            answer(sent.send().await, |out| {
                let summaries: Vec<Value> = out
                    .stream_summaries()
                    .iter()
                    .map(|one| {
                        json!({
                            "StreamName": one.stream_name(), "StreamARN": one.stream_arn(),
                            "StreamStatus": one.stream_status().as_str(),
                            "StreamModeDetails": one.stream_mode_details()
                                .map(|mode| json!({"StreamMode": mode.stream_mode().as_str()})),
                            "StreamCreationTimestamp": one.stream_creation_timestamp().map(seconds),
                        })
                    })
                    .collect();
                json!({
                    "StreamNames": out.stream_names(), "HasMoreStreams": out.has_more_streams(),
                    "NextToken": out.next_token(), "StreamSummaries": summaries,
                })
            })
        }
        "ListShards" => {
            let filter = p.0.get("ShardFilter").map(filter).transpose()?;
            let sent = sdk
                .list_shards()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_next_token(p.text("NextToken"))
                .set_exclusive_start_shard_id(p.text("ExclusiveStartShardId"))
                .set_max_results(p.int("MaxResults"))
                .set_stream_creation_timestamp(p.time("StreamCreationTimestamp"))
                .set_shard_filter(filter);
            answer(sent.send().await, |out| {
                let shards: Vec<Value> = out.shards().iter().map(shard).collect();
                json!({"Shards": shards, "NextToken": out.next_token()})
            })
        }
        "PutRecord" => {
            let sent = sdk
                .put_record()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_data(p.blob("Data"))
                .set_partition_key(p.text("PartitionKey"))
                .set_explicit_hash_key(p.text("ExplicitHashKey"))
                .set_sequence_number_for_ordering(p.text("SequenceNumberForOrdering"))
                .set_dry_run(p.flag("DryRun"));
            answer(sent.send().await, |out| {
                json!({
                    "ShardId": out.shard_id(), "SequenceNumber": out.sequence_number(),
                    "EncryptionType": out.encryption_type().map(|kind| kind.as_str().to_owned()),
                })
            })
        }
        "PutRecords" => put_records(sdk, p).await,
        "GetShardIterator" => {
            let sent = sdk
                .get_shard_iterator()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_shard_id(p.text("ShardId"))
                .set_shard_iterator_type(
                    p.text("ShardIteratorType").map(|kind| ShardIteratorType::from(kind.as_str())),
                )
                .set_starting_sequence_number(p.text("StartingSequenceNumber"))
                .set_timestamp(p.time("Timestamp"))
                .set_dry_run(p.flag("DryRun"));
            answer(sent.send().await, |out| json!({"ShardIterator": out.shard_iterator()}))
        }
        "GetRecords" => get_records(sdk, p).await,
        "AddTagsToStream" => {
            let sent = sdk
                .add_tags_to_stream()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_tags(p.texts_by_key("Tags"));
            answer(sent.send().await, |_| json!({}))
        }
        "RemoveTagsFromStream" => {
            let sent = sdk
                .remove_tags_from_stream()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_tag_keys(p.texts("TagKeys"));
            answer(sent.send().await, |_| json!({}))
        }
        "ListTagsForStream" => {
            let sent = sdk
                .list_tags_for_stream()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_exclusive_start_tag_key(p.text("ExclusiveStartTagKey"))
                .set_limit(p.int("Limit"));
            answer(
                sent.send().await,
                |out| json!({"Tags": tags(out.tags()), "HasMoreTags": out.has_more_tags()}),
            )
        }
        "TagResource" => {
            let sent = sdk
                .tag_resource()
                .set_resource_arn(p.text("ResourceARN"))
                .set_tags(p.texts_by_key("Tags"));
            answer(sent.send().await, |_| json!({}))
        }
        "UntagResource" => {
            let sent = sdk
                .untag_resource()
                .set_resource_arn(p.text("ResourceARN"))
                .set_tag_keys(p.texts("TagKeys"));
            answer(sent.send().await, |_| json!({}))
        }
        "ListTagsForResource" => {
            let sent = sdk.list_tags_for_resource().set_resource_arn(p.text("ResourceARN"));
            answer(sent.send().await, |out| json!({"Tags": tags(out.tags())}))
        }
        "IncreaseStreamRetentionPeriod" => {
            let sent = sdk
                .increase_stream_retention_period()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_retention_period_hours(p.int("RetentionPeriodHours"));
            answer(sent.send().await, |_| json!({}))
        }
        "DecreaseStreamRetentionPeriod" => {
            let sent = sdk
                .decrease_stream_retention_period()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_retention_period_hours(p.int("RetentionPeriodHours"));
            answer(sent.send().await, |_| json!({}))
        }
        "UpdateMaxRecordSize" => {
            let sent = sdk
                .update_max_record_size()
                .set_stream_arn(p.text("StreamARN"))
                .set_max_record_size_in_kib(p.int("MaxRecordSizeInKiB"));
            answer(sent.send().await, |_| json!({}))
        }
        "SplitShard" => {
            let sent = sdk
                .split_shard()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_shard_to_split(p.text("ShardToSplit"))
                .set_new_starting_hash_key(p.text("NewStartingHashKey"));
            answer(sent.send().await, |_| json!({}))
        }
        "MergeShards" => {
            let sent = sdk
                .merge_shards()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_shard_to_merge(p.text("ShardToMerge"))
                .set_adjacent_shard_to_merge(p.text("AdjacentShardToMerge"));
            answer(sent.send().await, |_| json!({}))
        }
        "RegisterStreamConsumer" => {
            let sent = sdk
                .register_stream_consumer()
                .set_stream_arn(p.text("StreamARN"))
                .set_consumer_name(p.text("ConsumerName"))
                .set_tags(p.texts_by_key("Tags"));
            answer(sent.send().await, |out| json!({"Consumer": out.consumer().map(consumer)}))
        }
        "DeregisterStreamConsumer" => {
            let sent = sdk
                .deregister_stream_consumer()
                .set_stream_arn(p.text("StreamARN"))
                .set_consumer_name(p.text("ConsumerName"))
                .set_consumer_arn(p.text("ConsumerARN"));
            answer(sent.send().await, |_| json!({}))
        }
        "DescribeStreamConsumer" => {
            let sent = sdk
                .describe_stream_consumer()
                .set_stream_arn(p.text("StreamARN"))
                .set_consumer_name(p.text("ConsumerName"))
                .set_consumer_arn(p.text("ConsumerARN"));
            answer(sent.send().await, |out| {
                let told = out.consumer_description().expect("an output without its one member");
                json!({"ConsumerDescription": {
                    "ConsumerName": told.consumer_name(), "ConsumerARN": told.consumer_arn(),
                    "ConsumerStatus": told.consumer_status().as_str(),
                    "ConsumerCreationTimestamp": seconds(told.consumer_creation_timestamp()),
                    "StreamARN": told.stream_arn(),
                }})
            })
        }
        "ListStreamConsumers" => {
            let sent = sdk
                .list_stream_consumers()
                .set_stream_arn(p.text("StreamARN"))
                .set_next_token(p.text("NextToken"))
                .set_max_results(p.int("MaxResults"))
                .set_stream_creation_timestamp(p.time("StreamCreationTimestamp"));
            answer(sent.send().await, |out| {
                let consumers: Vec<Value> = out.consumers().iter().map(consumer).collect();
                json!({"Consumers": consumers, "NextToken": out.next_token()})
            })
        }
        "SubscribeToShard" => subscribe(sdk, p).await,
        "DescribeLimits" => answer(sdk.describe_limits().send().await, |out| {
            json!({
                "ShardLimit": out.shard_limit(), "OpenShardCount": out.open_shard_count(),
                "OnDemandStreamCount": out.on_demand_stream_count(),
                "OnDemandStreamCountLimit": out.on_demand_stream_count_limit(),
                "ChannelCount": out.channel_count(),
                "ChannelCountLimit": out.channel_count_limit(),
            })
        }),
        other => settings::perform(sdk, other, p).await,
    }
}

fn consumer(told: &aws_sdk_kinesis::types::Consumer) -> Value {
    json!({
        "ConsumerName": told.consumer_name(), "ConsumerARN": told.consumer_arn(),
        "ConsumerStatus": told.consumer_status().as_str(),
        "ConsumerCreationTimestamp": seconds(told.consumer_creation_timestamp()),
    })
}

/// Reads a subscription to its end: all records, and what the last event said of the rest.
async fn subscribe(sdk: &Sdk, p: Params<'_>) -> Result<Answer> {
    let position = p.0.get("StartingPosition").and_then(Value::as_object);
    let position = Params(position.context("no starting position")?);
    let kind = position.text("Type").map(|kind| ShardIteratorType::from(kind.as_str()));
    let position = aws_sdk_kinesis::types::StartingPosition::builder()
        .set_type(kind)
        .set_sequence_number(position.text("SequenceNumber"))
        .set_timestamp(position.time("Timestamp"))
        .build()?;
    let sent = sdk
        .subscribe_to_shard()
        .set_consumer_arn(p.text("ConsumerARN"))
        .set_shard_id(p.text("ShardId"))
        .starting_position(position)
        .set_dry_run(p.flag("DryRun"))
        .send()
        .await;
    let mut stream = match sent {
        Ok(out) => out.event_stream,
        Err(error) => return answer(Err::<(), _>(error), |()| json!({})),
    };
    let (mut records, mut last, mut events) = (Vec::new(), json!({}), 0);
    while let Some(told) = stream.recv().await? {
        let event = told.as_subscribe_to_shard_event();
        let event = event.map_err(|other| anyhow::anyhow!("an unknown event {other:?}"))?;
        records.extend(event.records().iter().map(record));
        events += 1;
        // The SDK has an empty text where the model's required member is missing.
        let number = Some(event.continuation_sequence_number()).filter(|n| !n.is_empty());
        last = json!({
            "ContinuationSequenceNumber": number,
            "MillisBehindLatest": event.millis_behind_latest(),
            "ChildShards": children(event.child_shards()),
        });
    }
    last["Records"] = Value::Array(records);
    last["Events"] = json!(events);
    Ok(Answer { status: Some(200), body: without_nulls(last), ..Answer::default() })
}

async fn describe(sdk: &Sdk, p: Params<'_>) -> Result<Answer> {
    let sent = sdk
        .describe_stream()
        .set_stream_name(p.text("StreamName"))
        .set_stream_arn(p.text("StreamARN"))
        .set_limit(p.int("Limit"))
        .set_exclusive_start_shard_id(p.text("ExclusiveStartShardId"));
    answer(sent.send().await, |out| {
        let told = out.stream_description().expect("an output without its one member");
        let shards: Vec<Value> = told.shards().iter().map(shard).collect();
        json!({"StreamDescription": {
            "StreamName": told.stream_name(), "StreamARN": told.stream_arn(),
            "StreamStatus": told.stream_status().as_str(),
            "StreamModeDetails": told.stream_mode_details()
                .map(|mode| json!({"StreamMode": mode.stream_mode().as_str()})),
            "Shards": shards, "HasMoreShards": told.has_more_shards(),
            "RetentionPeriodHours": told.retention_period_hours(),
            "StreamCreationTimestamp": seconds(told.stream_creation_timestamp()),
            "EnhancedMonitoring": settings::monitoring(told.enhanced_monitoring()),
            "EncryptionType": told.encryption_type().map(|kind| kind.as_str().to_owned()),
            "KeyId": told.key_id(),
        }})
    })
}

async fn summary(sdk: &Sdk, p: Params<'_>) -> Result<Answer> {
    let sent = sdk
        .describe_stream_summary()
        .set_stream_name(p.text("StreamName"))
        .set_stream_arn(p.text("StreamARN"));
    answer(sent.send().await, |out| {
        let told = out.stream_description_summary().expect("an output without its one member");
        json!({"StreamDescriptionSummary": {
            "StreamName": told.stream_name(), "StreamARN": told.stream_arn(),
            "StreamStatus": told.stream_status().as_str(), "StreamId": told.stream_id(),
            "StreamModeDetails": told.stream_mode_details()
                .map(|mode| json!({"StreamMode": mode.stream_mode().as_str()})),
            "RetentionPeriodHours": told.retention_period_hours(),
            "StreamCreationTimestamp": seconds(told.stream_creation_timestamp()),
            "EnhancedMonitoring": settings::monitoring(told.enhanced_monitoring()),
            "EncryptionType": told.encryption_type().map(|kind| kind.as_str().to_owned()),
            "KeyId": told.key_id(), "ChannelCount": told.channel_count(),
            "OpenShardCount": told.open_shard_count(), "ConsumerCount": told.consumer_count(),
            "WarmThroughput": told.warm_throughput().map(settings::warm_throughput),
            "RecordDistributionStrategy": told.record_distribution_strategy()
                .map(|kind| kind.as_str().to_owned()),
            "MaxRecordSizeInKiB": told.max_record_size_in_kib(),
        }})
    })
}

async fn put_records(sdk: &Sdk, p: Params<'_>) -> Result<Answer> {
    let mut records = Vec::new();
    for record in p.0.get("Records").and_then(Value::as_array).into_iter().flatten() {
        let record = Params(record.as_object().context("a record is no object")?);
        let entry = PutRecordsRequestEntry::builder()
            .set_data(record.blob("Data"))
            .set_explicit_hash_key(record.text("ExplicitHashKey"))
            .set_partition_key(record.text("PartitionKey"));
        records.push(entry.build()?);
    }
    let sent = sdk
        .put_records()
        .set_stream_name(p.text("StreamName"))
        .set_stream_arn(p.text("StreamARN"))
        .set_records(Some(records))
        .set_dry_run(p.flag("DryRun"));
    answer(sent.send().await, |out| {
        let results: Vec<Value> = out
            .records()
            .iter()
            .map(|one| {
                json!({
                    "ShardId": one.shard_id(), "SequenceNumber": one.sequence_number(),
                    "ErrorCode": one.error_code(), "ErrorMessage": one.error_message(),
                })
            })
            .collect();
        json!({
            "FailedRecordCount": out.failed_record_count(), "Records": results,
            "EncryptionType": out.encryption_type().map(|kind| kind.as_str().to_owned()),
        })
    })
}

fn record(one: &aws_sdk_kinesis::types::Record) -> Value {
    json!({
        "SequenceNumber": one.sequence_number(), "PartitionKey": one.partition_key(),
        "Data": base64::encode(one.data()),
        "ApproximateArrivalTimestamp": one.approximate_arrival_timestamp().map(seconds),
        "EncryptionType": one.encryption_type().map(|kind| kind.as_str().to_owned()),
    })
}

async fn get_records(sdk: &Sdk, p: Params<'_>) -> Result<Answer> {
    let sent = sdk
        .get_records()
        .set_shard_iterator(p.text("ShardIterator"))
        .set_limit(p.int("Limit"))
        .set_stream_arn(p.text("StreamARN"))
        .set_dry_run(p.flag("DryRun"));
    answer(sent.send().await, |out| {
        let records: Vec<Value> = out.records().iter().map(record).collect();
        json!({
            "Records": records, "NextShardIterator": out.next_shard_iterator(),
            "MillisBehindLatest": out.millis_behind_latest(), "ChildShards": children(out.child_shards()),
        })
    })
}

/// The children of a closed shard; the SDK has an empty list where there are none.
fn children(told: &[ChildShard]) -> Option<Vec<Value>> {
    let one = |child: &ChildShard| {
        let range = child.hash_key_range().expect("a child without its range");
        json!({
            "ShardId": child.shard_id(), "ParentShards": child.parent_shards(),
            "HashKeyRange": {
                "StartingHashKey": range.starting_hash_key(),
                "EndingHashKey": range.ending_hash_key(),
            },
        })
    };
    (!told.is_empty()).then(|| told.iter().map(one).collect())
}

fn filter(value: &Value) -> Result<ShardFilter> {
    let p = Params(value.as_object().context("a filter is no object")?);
    let kind = p.text("Type").map(|kind| ShardFilterType::from(kind.as_str()));
    let filter = ShardFilter::builder()
        .set_type(kind)
        .set_shard_id(p.text("ShardId"))
        .set_timestamp(p.time("Timestamp"));
    Ok(filter.build()?)
}

fn shard(shard: &Shard) -> Value {
    let range = shard.hash_key_range().expect("a shard without its range");
    let numbers = shard.sequence_number_range().expect("a shard without its numbers");
    json!({
        "ShardId": shard.shard_id(), "ParentShardId": shard.parent_shard_id(),
        "AdjacentParentShardId": shard.adjacent_parent_shard_id(),
        "HashKeyRange": {
            "StartingHashKey": range.starting_hash_key(), "EndingHashKey": range.ending_hash_key(),
        },
        "SequenceNumberRange": {
            "StartingSequenceNumber": numbers.starting_sequence_number(),
            "EndingSequenceNumber": numbers.ending_sequence_number(),
        },
    })
}

fn tags(tags: &[Tag]) -> Vec<Value> {
    tags.iter().map(|tag| json!({"Key": tag.key(), "Value": tag.value()})).collect()
}

fn seconds(time: &DateTime) -> f64 {
    time.to_millis().unwrap_or_default() as f64 / 1000.0
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Parameters in the neutral form, read by the type a member has.
#[derive(Clone, Copy)]
struct Params<'a>(&'a Map<String, Value>);

impl Params<'_> {
    fn text(self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn int(self, name: &str) -> Option<i32> {
        self.0.get(name)?.as_i64().and_then(|number| i32::try_from(number).ok())
    }

    fn flag(self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    fn blob(self, name: &str) -> Option<Blob> {
        base64::decode(self.0.get(name)?.as_str()?).map(Blob::new)
    }

    fn time(self, name: &str) -> Option<DateTime> {
        let seconds = self.0.get(name)?.as_f64()?;
        Some(DateTime::from_millis((seconds * 1000.0).round() as i64))
    }

    fn mode(self) -> Result<Option<StreamModeDetails>> {
        let Some(mode) = self.0.get("StreamModeDetails").and_then(Value::as_object) else {
            return Ok(None);
        };
        let kind = Params(mode).text("StreamMode").map(|kind| StreamMode::from(kind.as_str()));
        Ok(Some(StreamModeDetails::builder().set_stream_mode(kind).build()?))
    }

    fn texts(self, name: &str) -> Option<Vec<String>> {
        let items = self.0.get(name)?.as_array()?;
        Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
    }

    fn texts_by_key(self, name: &str) -> Option<std::collections::HashMap<String, String>> {
        let members = self.0.get(name)?.as_object()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(members.iter().map(|(key, value)| (key.clone(), text(value))).collect())
    }
}

#[test]
fn catalogue_through_rust() {
    play_catalogue(&|address| Ok(Box::new(RustSdk::new(address)?) as Box<dyn Client>), PLAYERS);
}
