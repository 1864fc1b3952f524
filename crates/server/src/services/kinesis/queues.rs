//! Queues: made, described, listed, changed and deleted; their records received and accounted for.

use std::time::Duration;

use millstream_api::kinesis as api;
use millstream_base::limits::{QUEUE_RECEIVE_COUNT_MAX, QUEUE_WAIT_DEFAULT};
use millstream_base::{QueueArn, StreamName};
use millstream_streams::{self as engine, HandleError, HandleResult, Lane};
use millstream_wire::{ServiceError, Time};

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, shapes, target};

type Answer<T> = Result<T, ServiceError>;

impl DataStreams {
    pub(super) async fn create_queue(
        &self,
        call: &Call,
        input: api::CreateQueueInput,
    ) -> Answer<api::CreateQueueOutput> {
        let [source] = &input.stream_configuration_list[..] else {
            return Err(errors::one_stream_per_queue());
        };
        let start = source.starting_position.as_ref().map(start).transpose()?;
        let attributes = input.queue_attributes.as_ref().map(changes).transpose()?;
        let name = StreamName::new(&input.queue_name);
        let request = engine::CreateQueue {
            scope: call.caller.scope.clone(),
            name: name.map_err(|e| errors::arn_invalid(&e.into()))?,
            stream: target::stream(call, None, Some(&source.stream_arn))?,
            start,
            attributes: attributes.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
        };
        let made = self.engine.create_queue(request).await;
        let made = made.map_err(|e| of_engine(e, During::AddTags))?;
        Ok(api::CreateQueueOutput { queue_description: description(made) })
    }

    pub(super) async fn describe_queue(
        &self,
        _: &Call,
        input: api::DescribeQueueInput,
    ) -> Answer<api::DescribeQueueOutput> {
        let found = self.engine.describe_queue(&arn(&input.queue_arn)?).await.map_err(control)?;
        Ok(api::DescribeQueueOutput { queue_description: description(found) })
    }

    pub(super) async fn update_queue(
        &self,
        _: &Call,
        input: api::UpdateQueueInput,
    ) -> Answer<api::UpdateQueueOutput> {
        let (queue, changes) = (arn(&input.queue_arn)?, changes(&input.queue_attributes)?);
        let changed = self.engine.update_queue(&queue, changes).await.map_err(control)?;
        Ok(api::UpdateQueueOutput { queue_description: description(changed) })
    }

    pub(super) async fn delete_queue(&self, _: &Call, input: api::DeleteQueueInput) -> Answer<()> {
        self.engine.delete_queue(&arn(&input.queue_arn)?).await.map_err(control)
    }

    pub(super) async fn list_queues(
        &self,
        call: &Call,
        input: api::ListQueuesInput,
    ) -> Answer<api::ListQueuesOutput> {
        let mut streams = Vec::new();
        for filter in input.stream_filter.unwrap_or_default() {
            let created = filter.stream_creation_timestamp.map(shapes::timestamp);
            streams.push((target::arn(&filter.stream_arn)?, created));
        }
        let request = engine::ListQueues {
            scope: &call.caller.scope,
            limit: shapes::positive(input.max_results),
            streams,
            next_token: input.next_token.as_deref(),
        };
        let page = self.engine.list_queues(request).await.map_err(control)?;
        Ok(api::ListQueuesOutput {
            queue_summaries: page.queues.into_iter().map(summary).collect(),
            next_token: page.next_token,
        })
    }

    pub(super) async fn receive_queue_records(
        &self,
        _: &Call,
        input: api::ReceiveQueueRecordsInput,
    ) -> Answer<api::ReceiveQueueRecordsOutput> {
        let queue = arn(&input.queue_arn)?;
        let (limit, wait) = (input.limit, input.wait_time_seconds);
        let request = receive(Lane::Normal, limit, wait, input.visibility_timeout_seconds);
        let found = self.engine.receive_queue_records(&queue, request).await.map_err(control)?;
        let queue_records = found.into_iter().map(record).collect();
        Ok(api::ReceiveQueueRecordsOutput { queue_records })
    }

    pub(super) async fn receive_dead_letter_queue_records(
        &self,
        _: &Call,
        input: api::ReceiveDeadLetterQueueRecordsInput,
    ) -> Answer<api::ReceiveDeadLetterQueueRecordsOutput> {
        let queue = arn(&input.queue_arn)?;
        let (limit, wait) = (input.limit, input.wait_time_seconds);
        let request = receive(Lane::DeadLetter, limit, wait, input.visibility_timeout_seconds);
        let found = self.engine.receive_queue_records(&queue, request).await.map_err(control)?;
        let queue_records = found.into_iter().map(record).collect();
        Ok(api::ReceiveDeadLetterQueueRecordsOutput { queue_records })
    }
}

/// The batch operations differ in their shapes' names only: entries come in, and each goes out
/// among the successful or the failed ones.
macro_rules! batches {
    ($($op:ident: $input:ident => $output:ident, $good:ident, $bad:ident;
        |$engine:ident, $queue:ident, $entries:ident| $call:expr;)*) => {
        impl DataStreams {$(
            pub(super) async fn $op(
                &self,
                _: &Call,
                input: api::$input,
            ) -> Answer<api::$output> {
                let (queue, entries) = (arn(&input.queue_arn)?, input.entries);
                let results: Vec<HandleResult> = {
                    let ($engine, $queue, $entries) = (&self.engine, &queue, &entries);
                    $call.await.map_err(control)?
                };
                let (mut successful, mut failed) = (Vec::new(), Vec::new());
                for (entry, result) in entries.into_iter().zip(results) {
                    let receipt_handle = entry.receipt_handle;
                    match result {
                        Ok(()) => successful.push(api::$good { receipt_handle }),
                        Err(error) => {
                            let (error_code, message) = failure(error);
                            let error_message = Some(message.to_owned());
                            failed.push(api::$bad { receipt_handle, error_code, error_message });
                        }
                    }
                }
                Ok(api::$output { successful, failed })
            }
        )*}
    };
}

/// The handles of a batch.
macro_rules! handles {
    ($entries:ident) => {
        &$entries.iter().map(|e| e.receipt_handle.as_str()).collect::<Vec<_>>()
    };
}

/// The handles of a batch with their timeouts, which the model keeps positive.
macro_rules! timeouts {
    ($entries:ident) => {
        &$entries
            .iter()
            .map(|e| {
                let secs = u32::try_from(e.visibility_timeout_seconds).unwrap_or(0);
                (e.receipt_handle.as_str(), secs)
            })
            .collect::<Vec<_>>()
    };
}

batches! {
    acknowledge_queue_records: AcknowledgeQueueRecordsInput => AcknowledgeQueueRecordsOutput,
        AcknowledgeQueueRecordsResultEntry, AcknowledgeQueueRecordsErrorEntry;
        |engine, queue, entries|
        engine.acknowledge_queue_records(queue, Lane::Normal, handles!(entries));
    acknowledge_dead_letter_queue_records: AcknowledgeDeadLetterQueueRecordsInput =>
        AcknowledgeDeadLetterQueueRecordsOutput, AcknowledgeDeadLetterQueueRecordsResultEntry,
        AcknowledgeDeadLetterQueueRecordsErrorEntry;
        |engine, queue, entries|
        engine.acknowledge_queue_records(queue, Lane::DeadLetter, handles!(entries));
    update_queue_records_visibility: UpdateQueueRecordsVisibilityInput =>
        UpdateQueueRecordsVisibilityOutput, UpdateQueueRecordsVisibilityResultEntry,
        UpdateQueueRecordsVisibilityErrorEntry;
        |engine, queue, entries|
        engine.update_queue_records_visibility(queue, Lane::Normal, timeouts!(entries));
    update_dead_letter_queue_records_visibility: UpdateDeadLetterQueueRecordsVisibilityInput =>
        UpdateDeadLetterQueueRecordsVisibilityOutput,
        UpdateDeadLetterQueueRecordsVisibilityResultEntry,
        UpdateDeadLetterQueueRecordsVisibilityErrorEntry;
        |engine, queue, entries|
        engine.update_queue_records_visibility(queue, Lane::DeadLetter, timeouts!(entries));
    restore_dead_letter_queue_records: RestoreDeadLetterQueueRecordsInput =>
        RestoreDeadLetterQueueRecordsOutput, RestoreDeadLetterQueueRecordsResultEntry,
        RestoreDeadLetterQueueRecordsErrorEntry;
        |engine, queue, entries|
        engine.restore_dead_letter_queue_records(queue, handles!(entries));
}

/// A queue's ARN.
pub(super) fn arn(text: &str) -> Answer<QueueArn> {
    QueueArn::parse(text).map_err(|_| errors::no_queue_of(text))
}

fn control(error: engine::Error) -> ServiceError {
    of_engine(error, During::Control)
}

/// Code and sentence of one entry of a batch.
fn failure(error: HandleError) -> (String, &'static str) {
    let (code, sentence) = match error {
        HandleError::Invalid => errors::HANDLE_INVALID,
        HandleError::Gone => errors::HANDLE_GONE,
    };
    (code.to_owned(), sentence)
}

fn receive(
    lane: Lane,
    limit: Option<i32>,
    wait_secs: Option<i32>,
    visibility_timeout_secs: Option<i32>,
) -> engine::ReceiveQueueRecords {
    let wait = shapes::positive(wait_secs).map(Duration::from_secs);
    engine::ReceiveQueueRecords {
        lane,
        limit: shapes::positive(limit).unwrap_or(QUEUE_RECEIVE_COUNT_MAX),
        wait: wait.unwrap_or(QUEUE_WAIT_DEFAULT),
        visibility_timeout_secs: shapes::positive(visibility_timeout_secs),
    }
}

fn start(position: &api::QueueStartingPosition) -> Answer<engine::QueueStart> {
    use api::QueueStartingPositionType as Type;
    match (&position.r#type, position.timestamp) {
        (Type::AtTimestamp, Some(at)) => Ok(engine::QueueStart::AtTimestamp(shapes::timestamp(at))),
        (Type::AtTimestamp, None) => Err(errors::queue_start_needs_timestamp()),
        (_, Some(_)) => Err(errors::queue_start_takes_no_timestamp(position.r#type.as_str())),
        (Type::TrimHorizon, None) => Ok(engine::QueueStart::TrimHorizon),
        // Unknown values were refused by validation.
        (Type::Latest | Type::Other(_), None) => Ok(engine::QueueStart::Latest),
    }
}

fn changes(attributes: &api::QueueAttributes) -> Answer<engine::QueueChanges> {
    let dead_letters = attributes.dead_letter_configuration.as_ref().map(|dead| {
        match (&dead.target_type, shapes::positive(dead.max_receive_count)) {
            (api::TargetType::None, None) => Ok(engine::DeadLetters::None),
            (api::TargetType::None, Some(_)) => Err(errors::max_receive_count_unexpected()),
            (_, Some(max_receive_count)) => Ok(engine::DeadLetters::BuiltIn { max_receive_count }),
            (_, None) => Err(errors::max_receive_count_missing()),
        }
    });
    Ok(engine::QueueChanges {
        visibility_timeout_secs: shapes::positive(attributes.visibility_timeout_seconds),
        dead_letters: dead_letters.transpose()?,
    })
}

fn status(status: engine::QueueStatus) -> api::QueueStatus {
    match status {
        engine::QueueStatus::Creating => api::QueueStatus::Creating,
        engine::QueueStatus::Active => api::QueueStatus::Active,
        engine::QueueStatus::Updating => api::QueueStatus::Updating,
        engine::QueueStatus::Deleting => api::QueueStatus::Deleting,
    }
}

fn description(d: engine::QueueDescription) -> api::QueueDescription {
    let position =
        |r#type, timestamp: Option<Time>| api::QueueStartingPosition { r#type, timestamp };
    let starting_position = d.start.map(|start| match start {
        engine::QueueStart::TrimHorizon => {
            position(api::QueueStartingPositionType::TrimHorizon, None)
        }
        engine::QueueStart::Latest => position(api::QueueStartingPositionType::Latest, None),
        engine::QueueStart::AtTimestamp(at) => {
            position(api::QueueStartingPositionType::AtTimestamp, Some(shapes::time(at)))
        }
    });
    let (target_type, max_receive_count) = match d.attributes.dead_letters {
        engine::DeadLetters::BuiltIn { max_receive_count } => {
            (api::TargetType::BuiltIn, Some(shapes::int(max_receive_count)))
        }
        engine::DeadLetters::None => (api::TargetType::None, None),
    };
    let dead_letters = api::DeadLetterConfiguration { target_type, max_receive_count };
    let attributes = api::QueueAttributes {
        visibility_timeout_seconds: Some(shapes::int(d.attributes.visibility_timeout_secs)),
        dead_letter_configuration: Some(dead_letters),
    };
    let stream_arn = d.stream.to_string();
    api::QueueDescription {
        queue_name: d.name.to_string(),
        queue_arn: d.queue.to_string(),
        queue_status: status(d.status),
        queue_creation_timestamp: shapes::time(d.created),
        stream_configuration_list: vec![api::QueueStreamConfiguration {
            stream_arn,
            starting_position,
        }],
        queue_attributes: Some(attributes),
    }
}

fn summary(q: engine::ListedQueue) -> api::QueueSummary {
    api::QueueSummary {
        queue_name: q.name.to_string(),
        queue_arn: q.queue.to_string(),
        queue_status: status(q.status),
        queue_creation_timestamp: shapes::time(q.created),
        streams: vec![api::QueueStreamIdentifier {
            stream_arn: q.stream.to_string(),
            stream_creation_timestamp: shapes::time(q.stream_created),
        }],
    }
}

fn record(record: engine::QueueRecord) -> api::QueueRecord {
    api::QueueRecord {
        receipt_handle: record.receipt_handle,
        record_id: record.record_id,
        partition_key: record.partition_key.map(|key| String::from_utf8_lossy(&key).into_owned()),
        data: record.data,
        approximate_arrival_timestamp: shapes::time(record.arrived),
        first_receive_timestamp: shapes::time(record.first_received),
        receive_count: shapes::int(record.receive_count),
    }
}
