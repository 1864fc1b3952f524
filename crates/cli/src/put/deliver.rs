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
        partition_key: Some(record.key.into()),
        ..PutRecordsRequestEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{Answer, Fake, Seen, error, ok};

    /// Answers PutRecords record by record: `code` says which error a record's data gets.
    fn results(seen: &Seen, code: impl Fn(&str) -> Option<&'static str>) -> Answer {
        let request = seen.json();
        let result = |entry: &Value| {
            let data = base64_simd::STANDARD.decode_to_vec(entry["Data"].as_str().unwrap());
            match code(std::str::from_utf8(&data.unwrap()).unwrap()) {
                Some(code) => json!({"ErrorCode": code, "ErrorMessage": "slower"}),
                None => json!({"ShardId": "shardId-000000000000", "SequenceNumber": "1"}),
            }
        };
        let records: Vec<Value> =
            request["Records"].as_array().unwrap().iter().map(result).collect();
        ok(json!({"FailedRecordCount": 0, "Records": records}).to_string())
    }

    fn data_of(seen: &Seen) -> Vec<String> {
        let request = seen.json();
        let records = request["Records"].as_array().unwrap().iter();
        records
            .map(|r| base64_simd::STANDARD.decode_to_vec(r["Data"].as_str().unwrap()).unwrap())
            .map(|data| String::from_utf8(data).unwrap())
            .collect()
    }

    async fn deliver(fake: &Fake, data: &[&str]) -> anyhow::Result<Outcome> {
        let client = Client::builder()
            .endpoint(fake.endpoint.clone())
            .region("us-east-1")
            .unsigned()
            .retries(RetryPolicy::never())
            .build()
            .await?;
        let pause = Duration::from_millis(1);
        let policy = RetryPolicy { attempts_max: 3, pause, pause_max: pause };
        let env = Env::real(".");
        let delivery = Delivery { env: &env, client: &client, stream: "orders", policy };
        let record = |data: &&str| NewRecord { data: data.to_string().into(), key: "k".into() };
        delivery.send(data.iter().map(record).collect()).await
    }

    const THROTTLED: Option<&str> = Some("ProvisionedThroughputExceededException");

    #[tokio::test]
    async fn only_throttled_records_are_sent_again_and_in_their_order() {
        let fake = Fake::start(|n, seen| {
            results(seen, |data| match (n, data) {
                (0, "b" | "c" | "d") | (1, "c") => THROTTLED,
                _ => None,
            })
        })
        .await;
        let outcome = deliver(&fake, &["a", "b", "c", "d"]).await.unwrap();
        assert_eq!((outcome.records, outcome.bytes, outcome.failed), (4, 4, 0));
        let sent: Vec<Vec<String>> = fake.seen().iter().map(data_of).collect();
        assert_eq!(sent, [vec!["a", "b", "c", "d"], vec!["b", "c", "d"], vec!["c"]]);
    }

    #[tokio::test]
    async fn a_record_that_stays_throttled_or_is_wrong_is_counted_with_its_code() {
        let fake = Fake::start(|_, seen| {
            results(seen, |data| match data {
                "slow" => THROTTLED,
                "wrong" => Some("KMSAccessDeniedException"),
                _ => None,
            })
        })
        .await;
        let outcome = deliver(&fake, &["slow", "good", "wrong"]).await.unwrap();
        assert_eq!((outcome.records, outcome.failed), (1, 2));
        let codes: Vec<&str> = outcome.errors.keys().map(String::as_str).collect();
        assert_eq!(codes, ["KMSAccessDeniedException", THROTTLED.unwrap()]);
        assert_eq!(outcome.errors["KMSAccessDeniedException"], (1, "slower".to_owned()));
        assert_eq!(fake.seen().len(), 3);
    }

    #[tokio::test]
    async fn a_call_that_is_refused_whole_ends_the_delivery() {
        let fake = Fake::start(|_, _| error(400, "ResourceNotFoundException")).await;
        let told = deliver(&fake, &["a"]).await.unwrap_err().to_string();
        assert!(told.contains("ResourceNotFoundException"), "{told}");
    }

    #[tokio::test]
    async fn an_answer_with_too_few_results_is_not_taken_for_success() {
        let fake = Fake::start(|_, _| ok(r#"{"FailedRecordCount":0,"Records":[]}"#)).await;
        let told = deliver(&fake, &["a", "b"]).await.unwrap_err().to_string();
        assert_eq!(told, "the answer has 0 results for 2 records");
    }
}
