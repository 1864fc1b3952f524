//! `millstream streams hot`: which shards and which keys a stream's load lies on.

use anyhow::{Context, bail};
use clap::Args;
use millstream_base::StreamName;
use millstream_client::{Client, Error};
use serde::Deserialize;

use crate::args::Output;
use crate::output;

#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Shares are those of the last minute or two, utilisation is that of the last seconds, as the
server that is asked has seen them. AWS has no such page: there, enhanced monitoring has the shards.

Examples:
  millstream streams hot orders
  millstream streams hot orders --output json | jq '.Shards[] | select(.Utilisation > 0.8)'"
)]
pub struct HotArgs {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    measured_at: Option<f64>,
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shard {
    shard_id: String,
    records_per_second: f64,
    bytes_per_second: f64,
    utilisation: f64,
    share: f64,
    split_at: Option<String>,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    partition_key: String,
    share_of_stream: f64,
    share_of_shard: f64,
}

/// # Errors
/// No such stream, no connection, or a service without such a page.
pub async fn run(client: &Client, format: Output, args: HotArgs) -> anyhow::Result<()> {
    // Also keeps the name from meaning something in a URL.
    let name = StreamName::new(&args.name).context("not a stream's name")?;
    let no_page = || {
        format!(
            "{} has no page about hot shards: `streams hot` asks a millstream server. On AWS, \
             EnableEnhancedMonitoring gives IncomingBytes and IncomingRecords per shard",
            client.endpoint()
        )
    };
    let body = match client.get(&format!("/hot?stream={name}")).await {
        Ok(body) => body,
        Err(Error::Service(e)) if is_elsewhere(e.status, &e.code) => bail!(no_page()),
        Err(e) => return Err(e.into()),
    };
    let value: serde_json::Value = serde_json::from_slice(&body).with_context(no_page)?;
    match format {
        Output::Json => output::print_json(&value),
        Output::Text => print(&serde_json::from_value(value).with_context(no_page)?),
    }
    Ok(())
}

/// What services answer to a GET that they do not know: AWS's front door forbids it in XML, others
/// have no such path or method. A server of ours says in JSON what is wrong.
fn is_elsewhere(status: u16, code: &str) -> bool {
    matches!(status, 404 | 405 | 501) || (status == 403 && !code.contains("Signature"))
}

fn print(page: &Page) {
    if page.measured_at.is_none() {
        println!("nothing is measured yet; try again in some seconds");
        return;
    }
    let head = ["SHARD", "SHARE", "USED", "RECORDS/S", "BYTES/S", "SPLIT AT"];
    let mut table = output::table(head);
    let mut shards: Vec<&Shard> = page.shards.iter().collect();
    shards.sort_by(|a, b| b.share.total_cmp(&a.share)); // stable: equals by their ranges
    for shard in &shards {
        table.add_row([
            shard.shard_id.clone(),
            percent(shard.share),
            percent(shard.utilisation),
            format!("{:.1}", shard.records_per_second),
            output::bytes(shard.bytes_per_second.round() as u64),
            shard.split_at.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    output::print_table(&table);
    if shards.iter().all(|shard| shard.keys.is_empty()) {
        return;
    }
    println!();
    let mut table = output::table(["SHARD", "OF SHARD", "OF STREAM", "PARTITION KEY"]);
    for shard in &shards {
        for key in &shard.keys {
            table.add_row([
                shard.shard_id.clone(),
                percent(key.share_of_shard),
                percent(key.share_of_stream),
                key.partition_key.escape_debug().to_string(),
            ]);
        }
    }
    output::print_table(&table);
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_services_are_told_from_refusals_of_ours() {
        assert!(is_elsewhere(403, "AccessDeniedException"));
        assert!(is_elsewhere(404, "UnknownOperationException"));
        assert!(!is_elsewhere(400, "ResourceNotFoundException"));
        assert!(!is_elsewhere(400, "InvalidSignatureException"));
    }
}
