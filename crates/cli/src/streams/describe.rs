//! `millstream streams describe`: what a stream is and which shards it has.

use clap::Args;
use millstream_api::kinesis::{
    DescribeStreamSummaryInput, ListShardsInput, Shard, StreamDescriptionSummary, ops,
};
use millstream_client::{Client, Error};
use serde_json::json;

use super::shape_json;
use crate::args::Output;
use crate::output::{self, time_text};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams describe orders
  millstream streams describe orders --output json | jq '.Shards[].ShardId'")]
pub struct DescribeArgs {
    name: String,
}

/// # Errors
/// No such stream, or no connection.
pub async fn run(client: &Client, format: Output, args: DescribeArgs) -> anyhow::Result<()> {
    let summary = summary(client, &args.name).await?;
    let shards = shards(client, &args.name).await?;
    match format {
        Output::Json => {
            let shards: Vec<_> = shards.iter().map(shape_json).collect();
            output::print_json(&json!({
                "StreamDescriptionSummary": shape_json(&summary),
                "Shards": shards,
            }));
        }
        Output::Text => print(&summary, &shards),
    }
    Ok(())
}

/// # Errors
/// As DescribeStreamSummary.
pub async fn summary(client: &Client, name: &str) -> Result<StreamDescriptionSummary, Error> {
    let input = DescribeStreamSummaryInput {
        stream_name: Some(name.to_owned()),
        ..DescribeStreamSummaryInput::default()
    };
    let output = client.send::<ops::DescribeStreamSummary>(&input).await?;
    Ok(output.stream_description_summary)
}

/// Every page of ListShards.
///
/// # Errors
/// As ListShards.
pub async fn shards(client: &Client, name: &str) -> Result<Vec<Shard>, Error> {
    let mut shards = Vec::new();
    let mut input =
        ListShardsInput { stream_name: Some(name.to_owned()), ..ListShardsInput::default() };
    loop {
        let output = client.send::<ops::ListShards>(&input).await?;
        shards.extend(output.shards.unwrap_or_default());
        match output.next_token {
            None => return Ok(shards),
            token => input = ListShardsInput { next_token: token, ..ListShardsInput::default() },
        }
    }
}

fn print(summary: &StreamDescriptionSummary, shards: &[Shard]) {
    let mode = summary.stream_mode_details.as_ref().map(|m| m.stream_mode.to_string());
    let encryption = summary.encryption_type.as_ref().map(ToString::to_string);
    for (name, value) in [
        ("Name", summary.stream_name.clone()),
        ("ARN", summary.stream_arn.clone()),
        ("Status", summary.stream_status.to_string()),
        ("Mode", mode.unwrap_or_else(|| "PROVISIONED".into())),
        ("Created", time_text(summary.stream_creation_timestamp)),
        ("Retention", format!("{} h", summary.retention_period_hours)),
        ("Encryption", encryption.unwrap_or_else(|| "NONE".into())),
        ("Open shards", summary.open_shard_count.to_string()),
        ("Consumers", summary.consumer_count.unwrap_or_default().to_string()),
    ] {
        println!("{name:<12} {value}");
    }
    println!();
    let mut table = output::table(["SHARD", "STATE", "FIRST HASH KEY", "LAST HASH KEY", "PARENTS"]);
    for shard in shards {
        let closed = shard.sequence_number_range.ending_sequence_number.is_some();
        let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
        let parents: Vec<&str> = parents.into_iter().flatten().map(String::as_str).collect();
        table.add_row([
            shard.shard_id.as_str(),
            if closed { "closed" } else { "open" },
            &shard.hash_key_range.starting_hash_key,
            &shard.hash_key_range.ending_hash_key,
            &parents.join(", "),
        ]);
    }
    output::print_table(&table);
}
