//! Operations that change how a stream or an account is run: capacity, encryption, metrics, policies.

use anyhow::{Context, Result, bail};
use aws_sdk_kinesis::Client as Sdk;
use aws_sdk_kinesis::types::{
    EncryptionType, EnhancedMetrics, MetricsName, MinimumThroughputBillingCommitmentInput,
    MinimumThroughputBillingCommitmentInputStatus as CommitmentStatus,
    MinimumThroughputBillingCommitmentOutput, RecordDistributionStrategy, ScalingType,
    WarmThroughputObject,
};
use conformance::client::Answer;
use serde_json::{Value, json};

use super::{Params, answer, seconds};

/// Performs one of them; an operation that none of the modules knows is an error.
pub async fn perform(sdk: &Sdk, operation: &str, p: Params<'_>) -> Result<Answer> {
    match operation {
        "UpdateShardCount" => {
            let scaling = p.text("ScalingType").map(|kind| ScalingType::from(kind.as_str()));
            let sent = sdk
                .update_shard_count()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_target_shard_count(p.int("TargetShardCount"))
                .set_scaling_type(scaling);
            answer(sent.send().await, |out| {
                json!({
                    "StreamName": out.stream_name(), "StreamARN": out.stream_arn(),
                    "CurrentShardCount": out.current_shard_count(),
                    "TargetShardCount": out.target_shard_count(),
                })
            })
        }
        "UpdateStreamMode" => {
            let sent = sdk
                .update_stream_mode()
                .set_stream_arn(p.text("StreamARN"))
                .set_stream_mode_details(p.mode()?)
                .set_warm_throughput_mibps(p.int("WarmThroughputMiBps"));
            answer(sent.send().await, |_| json!({}))
        }
        "UpdateStreamWarmThroughput" => {
            let sent = sdk
                .update_stream_warm_throughput()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_warm_throughput_mibps(p.int("WarmThroughputMiBps"));
            answer(sent.send().await, |out| {
                json!({
                    "StreamName": out.stream_name(), "StreamARN": out.stream_arn(),
                    "WarmThroughput": out.warm_throughput().map(warm_throughput),
                })
            })
        }
        "UpdateStreamRecordDistributionStrategy" => {
            let sent = sdk
                .update_stream_record_distribution_strategy()
                .set_stream_arn(p.text("StreamARN"))
                .set_record_distribution_strategy(distribution(p));
            answer(sent.send().await, |_| json!({}))
        }
        "UpdateAccountSettings" => {
            let asked = p.0.get("MinimumThroughputBillingCommitment").and_then(Value::as_object);
            let status = asked.and_then(|asked| Params(asked).text("Status"));
            let status = status.map(|status| CommitmentStatus::from(status.as_str()));
            let asked = MinimumThroughputBillingCommitmentInput::builder().set_status(status);
            let sent = sdk
                .update_account_settings()
                .minimum_throughput_billing_commitment(asked.build().context("no status")?);
            answer(sent.send().await, |out| commitment(out.minimum_throughput_billing_commitment()))
        }
        "DescribeAccountSettings" => answer(sdk.describe_account_settings().send().await, |out| {
            commitment(out.minimum_throughput_billing_commitment())
        }),
        "StartStreamEncryption" => {
            let sent = sdk
                .start_stream_encryption()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_encryption_type(encryption(p))
                .set_key_id(p.text("KeyId"));
            answer(sent.send().await, |_| json!({}))
        }
        "StopStreamEncryption" => {
            let sent = sdk
                .stop_stream_encryption()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_encryption_type(encryption(p))
                .set_key_id(p.text("KeyId"));
            answer(sent.send().await, |_| json!({}))
        }
        "EnableEnhancedMonitoring" => {
            let sent = sdk
                .enable_enhanced_monitoring()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_shard_level_metrics(metrics(p));
            answer(sent.send().await, |out| {
                json!({
                    "StreamName": out.stream_name(), "StreamARN": out.stream_arn(),
                    "CurrentShardLevelMetrics": out.current_shard_level_metrics.as_deref().map(names),
                    "DesiredShardLevelMetrics": out.desired_shard_level_metrics.as_deref().map(names),
                })
            })
        }
        "DisableEnhancedMonitoring" => {
            let sent = sdk
                .disable_enhanced_monitoring()
                .set_stream_name(p.text("StreamName"))
                .set_stream_arn(p.text("StreamARN"))
                .set_shard_level_metrics(metrics(p));
            answer(sent.send().await, |out| {
                json!({
                    "StreamName": out.stream_name(), "StreamARN": out.stream_arn(),
                    "CurrentShardLevelMetrics": out.current_shard_level_metrics.as_deref().map(names),
                    "DesiredShardLevelMetrics": out.desired_shard_level_metrics.as_deref().map(names),
                })
            })
        }
        "PutResourcePolicy" => {
            let sent = sdk
                .put_resource_policy()
                .set_resource_arn(p.text("ResourceARN"))
                .set_policy(p.text("Policy"));
            answer(sent.send().await, |_| json!({}))
        }
        "GetResourcePolicy" => {
            let sent = sdk.get_resource_policy().set_resource_arn(p.text("ResourceARN"));
            answer(sent.send().await, |out| json!({"Policy": out.policy()}))
        }
        "DeleteResourcePolicy" => {
            let sent = sdk.delete_resource_policy().set_resource_arn(p.text("ResourceARN"));
            answer(sent.send().await, |_| json!({}))
        }
        other => bail!("{other} is not wired to the Rust SDK"),
    }
}

/// The strategy a request asks for.
pub fn distribution(p: Params<'_>) -> Option<RecordDistributionStrategy> {
    p.text("RecordDistributionStrategy").map(|kind| RecordDistributionStrategy::from(kind.as_str()))
}

/// Both figures of a stream's warm throughput.
pub fn warm_throughput(told: &WarmThroughputObject) -> Value {
    json!({"TargetMiBps": told.target_mibps(), "CurrentMiBps": told.current_mibps()})
}

/// The metrics per shard as a description has them.
pub fn monitoring(told: &[EnhancedMetrics]) -> Vec<Value> {
    let one = |told: &EnhancedMetrics| json!({"ShardLevelMetrics": told.shard_level_metrics.as_deref().map(names)});
    told.iter().map(one).collect()
}

fn commitment(told: Option<&MinimumThroughputBillingCommitmentOutput>) -> Value {
    let told = told.map(|told| {
        json!({
            "Status": told.status().as_str(), "StartedAt": told.started_at().map(seconds),
            "EndedAt": told.ended_at().map(seconds),
            "EarliestAllowedEndAt": told.earliest_allowed_end_at().map(seconds),
        })
    });
    json!({"MinimumThroughputBillingCommitment": told})
}

fn encryption(p: Params<'_>) -> Option<EncryptionType> {
    p.text("EncryptionType").map(|kind| EncryptionType::from(kind.as_str()))
}

fn metrics(p: Params<'_>) -> Option<Vec<MetricsName>> {
    let asked = p.texts("ShardLevelMetrics")?;
    Some(asked.iter().map(|name| MetricsName::from(name.as_str())).collect())
}

fn names(told: &[MetricsName]) -> Vec<String> {
    told.iter().map(|name| name.as_str().to_owned()).collect()
}
