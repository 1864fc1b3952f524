//! Data Streams: the API's operations on the engine of `millstream-streams`.
//!
//! Inputs arrive decoded and validated against the model; here names and ARNs become domain terms,
//! the engine is called, and its answers and errors become AWS's shapes and sentences ([`errors`]).
//!
//! Invariant: nothing is decided here that depends on a stream's state: that is the engine's.

mod authorise;
mod consumers;
mod encryption;
pub mod errors;
mod hot;
mod modes;
mod monitoring;
mod policies;
mod queues;
mod rates;
mod records;
mod reshard;
mod settings;
mod shapes;
mod shards;
mod streams;
mod subscribe;
mod tags;
mod target;

use millstream_api::kinesis::{self as api, Op};
use millstream_streams::{ControlCall, Streams};
use millstream_wire::{Events, ServiceError};

use super::Call;

/// The service, on its engine.
pub struct DataStreams {
    engine: Streams,
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

            async fn authorise(
                &self,
                call: &Call,
                request: api::Request<'_>,
            ) -> Result<(), ServiceError> {
                self.check_access(call, request)
            }

            $(
                async fn $op(
                    &self,
                    call: &Call,
                    input: api::$input,
                ) -> Result<$output, ServiceError> {
                    const RATE: Option<ControlCall> = rates::of(stringify!($op));
                    if let Some(rate) = RATE {
                        rates::admit(&self.engine, call, rate, &input)?;
                    }
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
    split_shard: SplitShardInput => ();
    merge_shards: MergeShardsInput => ();
    update_shard_count: UpdateShardCountInput => api::UpdateShardCountOutput;

    // records
    put_record: PutRecordInput => api::PutRecordOutput;
    put_records: PutRecordsInput => api::PutRecordsOutput;
    get_shard_iterator: GetShardIteratorInput => api::GetShardIteratorOutput;
    get_records: GetRecordsInput => api::GetRecordsOutput;
    // consumers and subscriptions
    register_stream_consumer: RegisterStreamConsumerInput => api::RegisterStreamConsumerOutput;
    deregister_stream_consumer: DeregisterStreamConsumerInput => ();
    describe_stream_consumer: DescribeStreamConsumerInput => api::DescribeStreamConsumerOutput;
    list_stream_consumers: ListStreamConsumersInput => api::ListStreamConsumersOutput;
    subscribe_to_shard: SubscribeToShardInput => Events<api::SubscribeToShardEventStream>;

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
    update_stream_mode: UpdateStreamModeInput => ();
    update_stream_warm_throughput:
        UpdateStreamWarmThroughputInput => api::UpdateStreamWarmThroughputOutput;
    update_stream_record_distribution_strategy: UpdateStreamRecordDistributionStrategyInput => ();
    update_account_settings: UpdateAccountSettingsInput => api::UpdateAccountSettingsOutput;

    // encryption, policies, monitoring
    start_stream_encryption: StartStreamEncryptionInput => ();
    stop_stream_encryption: StopStreamEncryptionInput => ();
    put_resource_policy: PutResourcePolicyInput => ();
    get_resource_policy: GetResourcePolicyInput => api::GetResourcePolicyOutput;
    delete_resource_policy: DeleteResourcePolicyInput => ();
    enable_enhanced_monitoring: EnableEnhancedMonitoringInput => api::EnhancedMonitoringOutput;
    disable_enhanced_monitoring: DisableEnhancedMonitoringInput => api::EnhancedMonitoringOutput;

    // the account
    describe_limits: DescribeLimitsInput => api::DescribeLimitsOutput;
    describe_account_settings: DescribeAccountSettingsInput => api::DescribeAccountSettingsOutput;
}
