//! Records go in and come out: the hot path. Data and keys move; nothing is copied.

use bytes::{Bytes, BytesMut};
use millstream_api::kinesis as api;
use millstream_base::{SequenceNumber, ShardId, StreamArn};
use millstream_streams as engine;
use millstream_wire::{ServiceError, Text};

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, shapes, target};

impl DataStreams {
    pub(super) async fn put_record(
        &self,
        call: &Call,
        input: api::PutRecordInput,
    ) -> Result<api::PutRecordOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let record = engine::NewRecord {
            partition_key: input.partition_key.map(Bytes::from),
            explicit_hash_key: input.explicit_hash_key.as_deref(),
            data: input.data,
        };
        let ordering = input.sequence_number_for_ordering.as_deref();
        if input.dry_run == Some(true) {
            let checked = self.engine.check_put_record(&stream, &record, ordering).await;
            checked.map_err(|e| of_engine(e, During::PutRecord))?;
            return Err(errors::dry_run());
        }
        let put = self.engine.put_record(&stream, record, ordering).await;
        let (stored, encryption) = put.map_err(|e| of_engine(e, During::PutRecord))?;
        Ok(api::PutRecordOutput {
            shard_id: stored.shard.to_string(),
            sequence_number: stored.sequence_number.to_string(),
            encryption_type: shapes::encryption_if_any(&encryption),
        })
    }

    pub(super) async fn put_records(
        &self,
        call: &Call,
        mut input: api::PutRecordsInput,
    ) -> Result<api::PutRecordsOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let records: Vec<_> = input
            .records
            .iter_mut()
            .map(|entry| engine::NewRecord {
                partition_key: entry.partition_key.take().map(Text::into_bytes),
                explicit_hash_key: entry.explicit_hash_key.as_deref(),
                data: std::mem::take(&mut entry.data),
            })
            .collect();
        let during = During::PutRecords;
        if input.dry_run == Some(true) {
            let checked = self.engine.check_put_records(&stream, &records).await;
            checked.map_err(|e| of_engine(e, during))?;
            return Err(errors::dry_run());
        }
        let outcome = self.engine.put_records(&stream, records).await;
        let outcome = outcome.map_err(|e| of_engine(e, during))?;
        Ok(api::PutRecordsOutput {
            failed_record_count: Some(shapes::int(outcome.failed_count)),
            records: entries(&stream, outcome.results),
            encryption_type: shapes::encryption_if_any(&outcome.encryption),
        })
    }

    pub(super) async fn get_shard_iterator(
        &self,
        call: &Call,
        input: api::GetShardIteratorInput,
    ) -> Result<api::GetShardIteratorOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let shard = target::shard(&stream, &input.shard_id)?;
        let from = engine::StartingPosition {
            kind: iterator_type(&input.shard_iterator_type),
            sequence_number: input.starting_sequence_number.as_deref(),
            timestamp: input.timestamp.map(shapes::timestamp),
        };
        let refused = |error| match error {
            // AWS speaks of the shard here, whether it or its stream is missing.
            engine::Error::StreamNotFound { stream } => {
                errors::shard_does_not_exist(&stream, shard)
            }
            error => of_engine(error, During::GetShardIterator),
        };
        if input.dry_run == Some(true) {
            let checked = self.engine.check_get_shard_iterator(&stream, shard, from).await;
            checked.map_err(refused)?;
            return Err(errors::dry_run());
        }
        let iterator = self.engine.get_shard_iterator(&stream, shard, from).await;
        Ok(api::GetShardIteratorOutput { shard_iterator: Some(iterator.map_err(refused)?) })
    }

    pub(super) async fn get_records(
        &self,
        call: &Call,
        input: api::GetRecordsInput,
    ) -> Result<api::GetRecordsOutput, ServiceError> {
        let named = input.stream_arn.as_deref().map(target::arn).transpose()?;
        let request = engine::GetRecords {
            iterator: &input.shard_iterator,
            limit: shapes::positive(input.limit),
            caller: &call.caller.scope,
            stream: named.as_ref(),
        };
        let refused = |error| of_engine(error, During::GetRecords);
        if input.dry_run == Some(true) {
            self.engine.check_get_records(request).await.map_err(refused)?;
            return Err(errors::dry_run());
        }
        let page = self.engine.get_records(request).await.map_err(refused)?;
        tracing::Span::current().record("stream", tracing::field::display(&page.stream));
        Ok(api::GetRecordsOutput {
            records: records(page.records.into_iter()),
            next_shard_iterator: page.next_iterator,
            millis_behind_latest: Some(
                i64::try_from(page.millis_behind_latest).unwrap_or(i64::MAX),
            ),
            child_shards: child_shards(page.child_shards),
        })
    }
}

fn entries(stream: &StreamArn, results: Vec<engine::PutResult>) -> Vec<api::PutRecordsResultEntry> {
    // One piece of memory for all numbers and shard ids of the answer.
    let mut texts = BytesMut::with_capacity(results.len() * STORED_TEXT_LEN);
    results.into_iter().map(|result| entry(stream, result, &mut texts)).collect()
}

/// Bytes of a sequence number and a shard id.
const STORED_TEXT_LEN: usize = SequenceNumber::DIGITS + ShardId::LEN;

fn entry(
    stream: &StreamArn,
    result: engine::PutResult,
    texts: &mut BytesMut,
) -> api::PutRecordsResultEntry {
    let failed = |code: &str, message: String| api::PutRecordsResultEntry {
        error_code: Some(code.to_owned()),
        error_message: Some(message),
        ..Default::default()
    };
    match result {
        engine::PutResult::Stored(stored) => api::PutRecordsResultEntry {
            sequence_number: Some(text(texts, &stored.sequence_number.digits())),
            shard_id: Some(text(texts, &stored.shard.text())),
            ..Default::default()
        },
        engine::PutResult::Throttled { shard } => {
            failed(errors::THROTTLED, errors::throttled_sentence(stream, shard, During::PutRecords))
        }
        engine::PutResult::Failed { reason } => {
            tracing::warn!(%stream, reason, "a record could not be stored");
            failed(errors::INTERNAL_FAILURE, errors::INTERNAL_FAILURE_SENTENCE.to_owned())
        }
    }
}

fn text(texts: &mut BytesMut, ascii: &[u8]) -> Text {
    texts.extend_from_slice(ascii);
    Text::try_from(texts.split().freeze()).expect("ASCII")
}

/// Records in the order given; one piece of memory holds all their numbers.
pub(super) fn records(from: impl ExactSizeIterator<Item = engine::Record>) -> Vec<api::Record> {
    let mut texts = BytesMut::with_capacity(from.len() * SequenceNumber::DIGITS);
    from.map(|one| record(one, &mut texts)).collect()
}

fn record(record: engine::Record, texts: &mut BytesMut) -> api::Record {
    api::Record {
        sequence_number: text(texts, &record.sequence_number.digits()),
        approximate_arrival_timestamp: Some(shapes::time(record.arrived)),
        data: record.data,
        partition_key: record.partition_key.map(shapes::text),
        encryption_type: record.encrypted.then_some(api::EncryptionType::Kms),
    }
}

/// Left out where a shard goes on: clients take an empty list for a shard's end.
pub(super) fn child_shards(children: Vec<engine::ChildShard>) -> Option<Vec<api::ChildShard>> {
    let children: Vec<_> = children
        .into_iter()
        .map(|child| api::ChildShard {
            shard_id: child.shard.to_string(),
            parent_shards: child.parents.iter().map(|p| p.to_string()).collect(),
            hash_key_range: shapes::range(child.range),
        })
        .collect();
    Some(children).filter(|c| !c.is_empty())
}

pub(super) fn iterator_type(kind: &api::ShardIteratorType) -> engine::IteratorType {
    use api::ShardIteratorType as Type;
    match kind {
        Type::AtSequenceNumber => engine::IteratorType::AtSequenceNumber,
        Type::AfterSequenceNumber => engine::IteratorType::AfterSequenceNumber,
        Type::Latest => engine::IteratorType::Latest,
        Type::AtTimestamp => engine::IteratorType::AtTimestamp,
        // Unknown values were refused by validation.
        Type::TrimHorizon | Type::Other(_) => engine::IteratorType::TrimHorizon,
    }
}
