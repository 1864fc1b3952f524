//! Data Streams: the API's operations on the engine of `millstream-streams`.
//!
//! Inputs arrive decoded and validated against the model; here names and ARNs become domain terms,
//! the engine is called, and its answers and errors become AWS's shapes and sentences ([`errors`]).
//!
//! Invariant: nothing is decided here that depends on a stream's state: that is the engine's.

pub mod errors;
mod queues;
mod records;
mod settings;
mod shapes;
mod shards;
mod streams;
mod tags;
mod target;

use millstream_api::kinesis::{self as api, Op};
use millstream_streams::Streams;
use millstream_wire::ServiceError;

use crate::auth::Caller;
use crate::ids::RequestId;

/// The service, on its engine.
pub struct DataStreams {
    engine: Streams,
}

/// What a call brings along.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: RequestId,
    pub caller: Caller,
}

impl DataStreams {
    pub fn new(engine: Streams) -> Self {
        DataStreams { engine }
    }

    /// The operations of AWS's model that answer `UnknownOperationException` here.
    pub fn unimplemented(&self, call: &Call) -> Vec<Op> {
        api::unimplemented(self, call)
    }
}

/// Every operation of ours, and the file that has it. What is not here answers
/// `UnknownOperationException`.
macro_rules! operations {
    ($($op:ident: $input:ident => $output:ty;)*) => {
        impl api::Kinesis for DataStreams {
            type Ctx = Call;
            $(
                async fn $op(
                    &self,
                    call: &Call,
                    input: api::$input,
                ) -> Result<$output, ServiceError> {
                    DataStreams::$op(self, call, input).await
                }
            )*
        }
    };
}

operations! {
    // streams
    create_stream: CreateStreamInput => ();
    delete_stream: DeleteStreamInput => ();
    describe_stream: DescribeStreamInput => api::DescribeStreamOutput;
    describe_stream_summary: DescribeStreamSummaryInput => api::DescribeStreamSummaryOutput;
    list_streams: ListStreamsInput => api::ListStreamsOutput;
    // shards
    list_shards: ListShardsInput => api::ListShardsOutput;
    // resharding

    // records
    put_record: PutRecordInput => api::PutRecordOutput;
    put_records: PutRecordsInput => api::PutRecordsOutput;
    get_shard_iterator: GetShardIteratorInput => api::GetShardIteratorOutput;
    get_records: GetRecordsInput => api::GetRecordsOutput;
    // consumers and subscriptions

    // queues
    create_queue: CreateQueueInput => api::CreateQueueOutput;
    describe_queue: DescribeQueueInput => api::DescribeQueueOutput;
    list_queues: ListQueuesInput => api::ListQueuesOutput;
    update_queue: UpdateQueueInput => api::UpdateQueueOutput;
    delete_queue: DeleteQueueInput => ();
    receive_queue_records: ReceiveQueueRecordsInput => api::ReceiveQueueRecordsOutput;
    acknowledge_queue_records: AcknowledgeQueueRecordsInput => api::AcknowledgeQueueRecordsOutput;
    update_queue_records_visibility: UpdateQueueRecordsVisibilityInput =>
        api::UpdateQueueRecordsVisibilityOutput;
    receive_dead_letter_queue_records: ReceiveDeadLetterQueueRecordsInput =>
        api::ReceiveDeadLetterQueueRecordsOutput;
    acknowledge_dead_letter_queue_records: AcknowledgeDeadLetterQueueRecordsInput =>
        api::AcknowledgeDeadLetterQueueRecordsOutput;
    update_dead_letter_queue_records_visibility: UpdateDeadLetterQueueRecordsVisibilityInput =>
        api::UpdateDeadLetterQueueRecordsVisibilityOutput;
    restore_dead_letter_queue_records: RestoreDeadLetterQueueRecordsInput =>
        api::RestoreDeadLetterQueueRecordsOutput;

    // tags
    add_tags_to_stream: AddTagsToStreamInput => ();
    remove_tags_from_stream: RemoveTagsFromStreamInput => ();
    list_tags_for_stream: ListTagsForStreamInput => api::ListTagsForStreamOutput;
    tag_resource: TagResourceInput => ();
    untag_resource: UntagResourceInput => ();
    list_tags_for_resource: ListTagsForResourceInput => api::ListTagsForResourceOutput;
    // settings
    increase_stream_retention_period: IncreaseStreamRetentionPeriodInput => ();
    decrease_stream_retention_period: DecreaseStreamRetentionPeriodInput => ();
    update_max_record_size: UpdateMaxRecordSizeInput => ();
    // capacity modes

    // encryption, policies, monitoring

    // the account
    describe_limits: DescribeLimitsInput => api::DescribeLimitsOutput;
    describe_account_settings: DescribeAccountSettingsInput => api::DescribeAccountSettingsOutput;
}
