//! One batch, sent until each of its records is accepted or refused for good.
//!
//! A record that is refused for a moment (throttled, an internal failure) is sent again with the
//! others of its kind, in their order; records behind it in the batch may be ahead of it by then.

use std::collections::BTreeMap;

use millstream_api::kinesis::{PutRecordsInput, PutRecordsRequestEntry, ops};
use millstream_client::{Blame, Client, RetryPolicy};
use millstream_env::Env;

use super::batch::NewRecord;

/// What became of records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub records: u64,
    pub bytes: u64,
    pub failed: u64,
    /// Failed records by error code, each with one of its messages.
    pub errors: BTreeMap<String, (u64, String)>,
}

impl Outcome {
    pub fn fail(&mut self, code: &str, message: &str) {
        self.failed += 1;
        let entry = self.errors.entry(code.to_owned()).or_default();
        entry.0 += 1;
        if entry.1.is_empty() {
            entry.1 = message.to_owned();
        }
    }

    pub fn add(&mut self, other: Outcome) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.failed += other.failed;
        for (code, (times, message)) in other.errors {
            let entry = self.errors.entry(code).or_insert((0, message));
            entry.0 += times;
        }
    }
}

/// Sends batches to one stream.
pub struct Delivery<'a> {
    pub env: &'a Env,
    pub client: &'a Client,
    pub stream: &'a str,
    /// For records; whole calls are repeated by the client.
    pub policy: RetryPolicy,
}

impl Delivery<'_> {
    /// # Errors
    /// A whole call failed: no such stream, no connection. What was sent before it is sent.
    pub async fn send(&self, batch: Vec<NewRecord>) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut entries: Vec<PutRecordsRequestEntry> = batch.into_iter().map(entry).collect();
        for attempt in 1.. {
            entries = self.attempt(entries, attempt, &mut outcome).await?;
            if entries.is_empty() {
                break;
            }
            self.env.sleep(self.policy.pause_after(attempt, self.env.random_u64())).await;
        }
        Ok(outcome)
    }

    /// Returns the entries to send again.
    async fn attempt(
        &self,
        entries: Vec<PutRecordsRequestEntry>,
        attempt: u32,
        outcome: &mut Outcome,
    ) -> anyhow::Result<Vec<PutRecordsRequestEntry>> {
        let mut input = PutRecordsInput {
            stream_name: Some(self.stream.to_owned()),
            records: entries,
            ..PutRecordsInput::default()
        };
        let output = self.client.send::<ops::PutRecords>(&input).await?;
        let entries = std::mem::take(&mut input.records);
        if output.records.len() != entries.len() {
            let counts = (output.records.len(), entries.len());
            anyhow::bail!("the answer has {} results for {} records", counts.0, counts.1);
        }
        let mut again = Vec::new();
        for (entry, result) in entries.into_iter().zip(output.records) {
            let Some(code) = result.error_code else {
                outcome.records += 1;
                outcome.bytes += entry.data.len() as u64;
                continue;
            };
            if Blame::of(200, &code) != Blame::Call && attempt < self.policy.attempts_max {
                again.push(entry);
            } else {
                outcome.fail(&code, result.error_message.as_deref().unwrap_or_default());
            }
        }
        Ok(again)
    }
}

fn entry(record: NewRecord) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry {
        data: record.data,
        partition_key: Some(record.key),
        ..PutRecordsRequestEntry::default()
    }
}
