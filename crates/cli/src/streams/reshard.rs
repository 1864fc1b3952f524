//! `millstream streams split`, `merge` and `scale`: other shards for a stream.

use anyhow::{Context, bail};
use clap::Args;
use millstream_api::kinesis::{
    MergeShardsInput, ScalingType, Shard, SplitShardInput, UpdateShardCountInput, ops,
};
use millstream_client::Client;
use millstream_env::Env;
use serde_json::json;

use super::{describe, wait};
use crate::args::Output;
use crate::output;

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams split orders shardId-000000000000
  millstream streams split orders 0 --at 85070591730234615865843651857942052864")]
pub struct SplitArgs {
    name: String,

    /// The shard to split: its id, or the number in it
    shard: String,

    /// The first hash key of the upper half; by default the middle
    #[arg(long)]
    at: Option<u128>,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams merge orders shardId-000000000001 shardId-000000000002")]
pub struct MergeArgs {
    name: String,

    /// Two shards whose hash keys lie side by side, in either order: ids, or the numbers in them
    #[arg(num_args = 2, required = true)]
    shards: Vec<String>,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream streams scale orders 8
Each step at most doubles or halves the number of shards; ten steps a day are possible.")]
pub struct ScaleArgs {
    name: String,

    /// Open shards that the stream shall have
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    target: i32,
}

/// # Errors
/// As SplitShard, or the shard has no middle.
pub async fn split(
    env: &Env,
    client: &Client,
    format: Output,
    args: SplitArgs,
) -> anyhow::Result<()> {
    let shards = describe::shards(client, &args.name).await?;
    let shard = find(&shards, &args.shard)?;
    let (start, end) = range_of(shard)?;
    let at = args.at.unwrap_or(start + (end - start) / 2 + 1);
    let input = SplitShardInput {
        stream_name: Some(args.name.clone()),
        shard_to_split: shard.shard_id.clone(),
        new_starting_hash_key: at.to_string(),
        ..SplitShardInput::default()
    };
    client.tell::<ops::SplitShard>(&input).await?;
    done(env, client, format, &args.name, &format!("{} split at {at}", shard.shard_id)).await
}

/// # Errors
/// As MergeShards.
pub async fn merge(
    env: &Env,
    client: &Client,
    format: Output,
    args: MergeArgs,
) -> anyhow::Result<()> {
    let shards = describe::shards(client, &args.name).await?;
    let (mut lower, mut upper) = (find(&shards, &args.shards[0])?, find(&shards, &args.shards[1])?);
    if range_of(lower)? > range_of(upper)? {
        (lower, upper) = (upper, lower);
    }
    let input = MergeShardsInput {
        stream_name: Some(args.name.clone()),
        shard_to_merge: lower.shard_id.clone(),
        adjacent_shard_to_merge: upper.shard_id.clone(),
        ..MergeShardsInput::default()
    };
    client.tell::<ops::MergeShards>(&input).await?;
    let what = format!("{} and {} merged", lower.shard_id, upper.shard_id);
    done(env, client, format, &args.name, &what).await
}

/// Goes on until the target is reached, a factor of two at a time.
///
/// # Errors
/// As UpdateShardCount.
pub async fn scale(
    env: &Env,
    client: &Client,
    format: Output,
    args: ScaleArgs,
) -> anyhow::Result<()> {
    loop {
        let now = describe::summary(client, &args.name).await?.open_shard_count;
        if now == args.target {
            let what = format!("{now} open shards");
            return done(env, client, format, &args.name, &what).await;
        }
        let target = next_count(now, args.target);
        let input = UpdateShardCountInput {
            stream_name: Some(args.name.clone()),
            target_shard_count: target,
            scaling_type: ScalingType::UniformScaling,
            ..UpdateShardCountInput::default()
        };
        client
            .send::<ops::UpdateShardCount>(&input)
            .await
            .with_context(|| format!("stream {} stays at {now} open shards", args.name))?;
        wait::until_active(env, client, &args.name).await?;
    }
}

/// The count nearest to `target` that one step leads to.
fn next_count(now: i32, target: i32) -> i32 {
    target.clamp((now + 1) / 2, now.saturating_mul(2))
}

async fn done(
    env: &Env,
    client: &Client,
    format: Output,
    name: &str,
    what: &str,
) -> anyhow::Result<()> {
    wait::until_active(env, client, name).await?;
    match format {
        Output::Text => println!("stream {name}: {what}"),
        Output::Json => {
            let open = describe::summary(client, name).await?.open_shard_count;
            output::print_json(&json!({"StreamName": name, "OpenShardCount": open}));
        }
    }
    Ok(())
}

/// A shard by its id or by the number in it.
fn find<'a>(shards: &'a [Shard], named: &str) -> anyhow::Result<&'a Shard> {
    let number = |id: &str| id.rsplit('-').next().and_then(|digits| digits.parse::<u32>().ok());
    match shards.iter().find(|s| s.shard_id == named || number(&s.shard_id) == number(named)) {
        Some(shard) => Ok(shard),
        None => bail!("no shard {named} in the stream"),
    }
}

fn range_of(shard: &Shard) -> anyhow::Result<(u128, u128)> {
    let range = &shard.hash_key_range;
    let key = |text: &str| text.parse::<u128>().context("a hash key that is no number");
    Ok((key(&range.starting_hash_key)?, key(&range.ending_hash_key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_to_the_target() {
        for (from, target, steps) in
            [(1, 1000, vec![2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]), (5, 1, vec![3, 2, 1])]
        {
            let mut now = from;
            for step in steps {
                now = next_count(now, target);
                assert_eq!(now, step);
            }
            assert_eq!(now, target);
        }
    }
}
