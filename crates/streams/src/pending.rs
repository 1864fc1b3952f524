//! The face of the engine, ahead of its bodies: signatures for those who build against it.

use std::sync::Arc;

use millstream_base::{Scope, ShardId, StreamArn, Tags};
use millstream_env::Env;
use millstream_log::LogStore;
use millstream_meta::MetaStore;

use crate::{
    AccountLimits, AccountSettings, CreateStream, Encryption, Error, GetRecords, ListShards,
    ListStreams, NewRecord, Options, PutOutcome, RecordsPage, Result, ShardsPage, StartingPosition,
    Stored, StreamDescription, StreamSummary, StreamsPage, TagsPage,
};

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Streams {}

fn soon<T>() -> Result<T> {
    Err(Error::Unavailable { reason: "this build has no streams yet".into() })
}

#[rustfmt::skip]
#[allow(unused_variables)]
impl Streams {
    /// Loads what the stores hold and starts the background work.
    pub async fn new(env: Env, log: Arc<dyn LogStore>, meta: Arc<dyn MetaStore>, options: Options) -> Result<Streams> { soon() }
    /// Stops the background work.
    pub async fn shutdown(&self) {}

    pub async fn create_stream(&self, request: CreateStream) -> Result<()> { soon() }
    pub async fn delete_stream(&self, stream: &StreamArn, enforce_consumer_deletion: bool) -> Result<()> { soon() }
    pub async fn describe_stream(&self, stream: &StreamArn, limit: Option<usize>, exclusive_start: Option<ShardId>) -> Result<StreamDescription> { soon() }
    pub async fn describe_stream_summary(&self, stream: &StreamArn) -> Result<StreamSummary> { soon() }
    pub async fn list_streams(&self, request: ListStreams<'_>) -> Result<StreamsPage> { soon() }
    pub async fn list_shards(&self, request: ListShards<'_>) -> Result<ShardsPage> { soon() }

    pub async fn put_record(&self, stream: &StreamArn, record: NewRecord<'_>, number_for_ordering: Option<&str>) -> Result<(Stored, Encryption)> { soon() }
    pub async fn put_records(&self, stream: &StreamArn, records: Vec<NewRecord<'_>>) -> Result<PutOutcome> { soon() }
    pub async fn get_shard_iterator(&self, stream: &StreamArn, shard: ShardId, from: StartingPosition<'_>) -> Result<String> { soon() }
    pub async fn get_records(&self, request: GetRecords<'_>) -> Result<RecordsPage> { soon() }
    /// The stream that an iterator reads (for authorization); its age is not looked at.
    pub fn iterator_stream(&self, iterator: &str) -> Result<StreamArn> { soon() }
    /// The stream whose shards a ListShards token lists (for authorization).
    pub fn next_token_stream(&self, next_token: &str) -> Result<StreamArn> { soon() }

    // DryRun: all checks of the real call, and nothing done. `Ok` is AWS's DryRunOperationException.
    pub async fn check_put_record(&self, stream: &StreamArn, record: &NewRecord<'_>, number_for_ordering: Option<&str>) -> Result<()> { soon() }
    pub async fn check_put_records(&self, stream: &StreamArn, records: &[NewRecord<'_>]) -> Result<()> { soon() }
    pub async fn check_get_shard_iterator(&self, stream: &StreamArn, shard: ShardId, from: StartingPosition<'_>) -> Result<()> { soon() }
    pub async fn check_get_records(&self, request: GetRecords<'_>) -> Result<()> { soon() }

    pub async fn add_tags(&self, stream: &StreamArn, tags: &Tags) -> Result<()> { soon() }
    pub async fn remove_tags(&self, stream: &StreamArn, keys: &[String]) -> Result<()> { soon() }
    /// `limit`: 1 to 50; `None` for all (ListTagsForResource has no pages).
    pub async fn list_tags(&self, stream: &StreamArn, exclusive_start: Option<&str>, limit: Option<usize>) -> Result<TagsPage> { soon() }

    pub async fn increase_retention(&self, stream: &StreamArn, hours: i64) -> Result<()> { soon() }
    pub async fn decrease_retention(&self, stream: &StreamArn, hours: i64) -> Result<()> { soon() }
    pub async fn update_max_record_size(&self, stream: &StreamArn, kib: i64) -> Result<()> { soon() }
    pub async fn describe_limits(&self, scope: &Scope) -> Result<AccountLimits> { soon() }
    pub async fn describe_account_settings(&self, scope: &Scope) -> Result<AccountSettings> { soon() }
}
