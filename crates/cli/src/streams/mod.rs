//! `millstream streams`: create, list, describe, find what is hot, split, merge, scale, delete, and
//! wait until it is done.

mod describe;
mod hot;
mod reshard;
pub mod wait;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use millstream_api::kinesis::{
    CreateStreamInput, DeleteStreamInput, IncreaseStreamRetentionPeriodInput, ListStreamsInput,
    StreamMode, StreamModeDetails, StreamSummary, ops,
};
use millstream_client::{Client, Codec};
use millstream_env::Env;
use millstream_wire::Value;
use serde_json::json;

use crate::args::{Global, Output, positive_duration};
use crate::{connect, output};
use describe::DescribeArgs;
pub use describe::shards;
use hot::HotArgs;
use reshard::{MergeArgs, ScaleArgs, SplitArgs};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams create orders --shards 4 --retention 7d
  millstream streams list --output json
  millstream streams describe orders
  millstream streams scale orders 8
  millstream streams delete orders")]
pub struct StreamsArgs {
    #[command(subcommand)]
    command: Streams,
}

#[derive(Subcommand, Clone, Debug)]
enum Streams {
    /// Create a stream and wait until it is active
    Create(CreateArgs),
    /// List streams
    #[command(after_help = "Examples:
  millstream streams list
  millstream streams list --endpoint-url aws --region eu-west-1 --output json")]
    List,
    /// Show a stream and its shards
    Describe(DescribeArgs),
    /// Show which shards and keys the load lies on
    Hot(HotArgs),
    /// Split a shard in two and wait until it is done
    Split(SplitArgs),
    /// Merge two neighbouring shards and wait until it is done
    Merge(MergeArgs),
    /// Change the number of open shards and wait until it is done
    Scale(ScaleArgs),
    /// Delete a stream with its records and wait until it is gone
    Delete(DeleteArgs),
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams create orders
  millstream streams create orders --shards 4 --retention 7d
  millstream streams create orders --on-demand --if-missing")]
struct CreateArgs {
    /// The stream's name: letters, digits, `_`, `.`, `-`
    name: String,

    /// Shards
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    shards: i32,

    /// Let the service choose and change the number of shards
    #[arg(long, conflicts_with = "shards")]
    on_demand: bool,

    /// How long records are kept, in whole hours: 24h (the default) to 365d
    #[arg(long, value_parser = positive_duration)]
    retention: Option<Duration>,

    /// It is all right if the stream exists
    #[arg(long)]
    if_missing: bool,

    /// Return without waiting
    #[arg(long)]
    no_wait: bool,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams delete orders
  millstream streams delete orders --if-exists --enforce-consumer-deletion")]
struct DeleteArgs {
    name: String,

    /// Delete its registered consumers with it
    #[arg(long)]
    enforce_consumer_deletion: bool,

    /// It is all right if there is no such stream
    #[arg(long)]
    if_exists: bool,

    /// Return without waiting
    #[arg(long)]
    no_wait: bool,
}

/// # Errors
/// The service's, or no connection; see also [`wait`].
pub async fn run(global: &Global, args: StreamsArgs) -> anyhow::Result<ExitCode> {
    let env = Env::real(".");
    let client = connect::client(global).await?;
    match args.command {
        Streams::Create(args) => create_command(&env, &client, global.output, args).await?,
        Streams::List => list(&client, global.output).await?,
        Streams::Describe(args) => describe::run(&client, global.output, args).await?,
        Streams::Hot(args) => hot::run(&client, global.output, args).await?,
        Streams::Split(args) => reshard::split(&env, &client, global.output, args).await?,
        Streams::Merge(args) => reshard::merge(&env, &client, global.output, args).await?,
        Streams::Scale(args) => reshard::scale(&env, &client, global.output, args).await?,
        Streams::Delete(args) => delete_command(&env, &client, global.output, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create_command(
    env: &Env,
    client: &Client,
    format: Output,
    args: CreateArgs,
) -> anyhow::Result<()> {
    let name = &args.name;
    let hours = args.retention.map(whole_hours).transpose()?;
    if hours.is_some() && args.no_wait {
        bail!("--retention is set once the stream is active: it can't go with --no-wait");
    }
    let shards = (!args.on_demand).then_some(args.shards);
    let made = create(client, name, shards).await?;
    if !made && !args.if_missing {
        bail!("stream {name} exists already (--if-missing makes this all right)");
    }
    if !args.no_wait {
        wait::until_active(env, client, name).await?;
    }
    if let (true, Some(hours)) = (made, hours.filter(|h| *h > DEFAULT_RETENTION_HOURS)) {
        let input = IncreaseStreamRetentionPeriodInput {
            stream_name: Some(name.clone()),
            retention_period_hours: hours,
            ..IncreaseStreamRetentionPeriodInput::default()
        };
        client
            .tell::<ops::IncreaseStreamRetentionPeriod>(&input)
            .await
            .context("the stream exists, but its retention can't be set")?;
        wait::until_active(env, client, name).await?;
    }
    match format {
        Output::Json => {
            let summary = describe::summary(client, name).await?;
            output::print_json(&shape_json(&summary));
        }
        Output::Text if made => println!("stream {name} created"),
        Output::Text => println!("stream {name} exists already"),
    }
    Ok(())
}

/// A new stream keeps records so long. Source: API reference, CreateStream.
const DEFAULT_RETENTION_HOURS: i32 = 24;

fn whole_hours(retention: Duration) -> anyhow::Result<i32> {
    let seconds = retention.as_secs();
    if retention.subsec_nanos() != 0 || !seconds.is_multiple_of(3600) {
        bail!("--retention must be whole hours, such as 24h or 7d");
    }
    let hours = i32::try_from(seconds / 3600).unwrap_or(i32::MAX);
    if hours < DEFAULT_RETENTION_HOURS {
        bail!("--retention is {hours}h; the least is {DEFAULT_RETENTION_HOURS}h");
    }
    Ok(hours)
}

/// Creates a stream, on demand without `shards`; says whether it is new. Does not wait.
///
/// # Errors
/// As CreateStream, but not that the stream exists.
pub async fn create(client: &Client, name: &str, shards: Option<i32>) -> anyhow::Result<bool> {
    let mode = if shards.is_some() { StreamMode::Provisioned } else { StreamMode::OnDemand };
    let input = CreateStreamInput {
        stream_name: name.to_owned(),
        shard_count: shards,
        stream_mode_details: Some(StreamModeDetails { stream_mode: mode }),
        ..CreateStreamInput::default()
    };
    match client.tell::<ops::CreateStream>(&input).await {
        Ok(()) => Ok(true),
        Err(e) if e.code() == Some("ResourceInUseException") => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Starts the deletion of a stream; says whether there was one.
///
/// # Errors
/// As DeleteStream, but not that there is no such stream.
pub async fn delete(client: &Client, name: &str, with_consumers: bool) -> anyhow::Result<bool> {
    let input = DeleteStreamInput {
        stream_name: Some(name.to_owned()),
        enforce_consumer_deletion: with_consumers.then_some(true),
        ..DeleteStreamInput::default()
    };
    match client.tell::<ops::DeleteStream>(&input).await {
        Ok(()) => Ok(true),
        Err(e) if e.code() == Some("ResourceNotFoundException") => Ok(false),
        Err(e) => Err(e.into()),
    }
}

async fn delete_command(
    env: &Env,
    client: &Client,
    format: Output,
    args: DeleteArgs,
) -> anyhow::Result<()> {
    let name = &args.name;
    let found = delete(client, name, args.enforce_consumer_deletion).await?;
    if !found && !args.if_exists {
        bail!("no stream {name} in {} at {}", client.region(), client.endpoint());
    }
    if found && !args.no_wait {
        wait::until_gone(env, client, name).await?;
    }
    match format {
        Output::Json => output::print_json(&json!({"StreamName": name, "Deleted": found})),
        Output::Text if found => println!("stream {name} deleted"),
        Output::Text => println!("no stream {name}"),
    }
    Ok(())
}

async fn list(client: &Client, format: Output) -> anyhow::Result<()> {
    let (names, summaries) = all_streams(client).await?;
    if format == Output::Json {
        let summaries: Vec<_> = summaries.iter().map(shape_json).collect();
        let answer = json!({"StreamNames": names, "StreamSummaries": summaries});
        output::print_json(&answer);
        return Ok(());
    }
    if names.is_empty() {
        println!("no streams in {} at {}", client.region(), client.endpoint());
        return Ok(());
    }
    let mut table = output::table(["NAME", "STATUS", "MODE", "CREATED"]);
    for name in &names {
        // Servers that know only older models give names alone.
        match summaries.iter().find(|s| s.stream_name == *name) {
            None => table.add_row([name.as_str(), "", "", ""]),
            Some(summary) => {
                let mode = summary.stream_mode_details.as_ref().map(|m| m.stream_mode.to_string());
                table.add_row([
                    name.clone(),
                    summary.stream_status.to_string(),
                    mode.unwrap_or_default(),
                    summary.stream_creation_timestamp.map(output::time_text).unwrap_or_default(),
                ])
            }
        };
    }
    output::print_table(&table);
    Ok(())
}

/// Every page of ListStreams.
async fn all_streams(client: &Client) -> anyhow::Result<(Vec<String>, Vec<StreamSummary>)> {
    let mut names: Vec<String> = Vec::new();
    let mut summaries = Vec::new();
    let mut input = ListStreamsInput::default();
    loop {
        let output = client.send::<ops::ListStreams>(&input).await?;
        summaries.extend(output.stream_summaries.unwrap_or_default());
        let before = names.len();
        names.extend(output.stream_names);
        if !output.has_more_streams || names.len() == before {
            return Ok((names, summaries));
        }
        let last = names.last().cloned();
        input =
            ListStreamsInput { exclusive_start_stream_name: last, ..ListStreamsInput::default() };
    }
}

/// A shape as AWS's JSON has it.
fn shape_json<T: Value>(shape: &T) -> serde_json::Value {
    serde_json::from_slice(&Codec::Json.encode(shape)).expect("the JSON codec writes JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_whole_hours_from_a_day_on() {
        let hours = |h: u64| whole_hours(Duration::from_secs(h * 3600));
        assert_eq!(hours(24).unwrap(), 24);
        assert_eq!(hours(365 * 24).unwrap(), 8760);
        assert!(hours(23).unwrap_err().to_string().contains("least"));
        assert!(whole_hours(Duration::from_secs(90_000 + 1)).is_err());
    }
}
