//! What the examples that measure share: a log that only answers, and processor time.

use std::sync::Arc;
use std::time::Duration;

use millstream_base::Timestamp;
use millstream_env::BoxFuture;
use millstream_log::{
    AppendError, Batch, ChunkKeys, Entries, LogError, LogId, LogStore, Position, PositionRange,
    ReadError, ReadLimit, Tail,
};
use tokio::sync::watch;

/// What this thread has used so far.
pub fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let used = stat.split(' ').next().expect("its first number is the time used");
    Duration::from_nanos(used.parse().expect("in nanoseconds"))
}

/// Takes everything and keeps nothing.
pub struct NoLog;

impl LogStore for NoLog {
    fn create(&self, _: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }
    fn append(
        &self,
        batches: Vec<(LogId, Batch)>,
    ) -> BoxFuture<'_, Vec<Result<PositionRange, AppendError>>> {
        let first = Position::new(77, 0);
        let range = |(_, b): (_, Batch)| {
            Ok(PositionRange { first, count: b.entries.len() as u32, at: b.at })
        };
        let ranges = batches.into_iter().map(range).collect();
        Box::pin(async { ranges })
    }
    fn read(
        &self,
        log: LogId,
        _: Position,
        _: ReadLimit,
    ) -> BoxFuture<'_, Result<Entries, ReadError>> {
        Box::pin(async move { Err(ReadError::NotFound { log }) })
    }
    fn find(&self, log: LogId, _: Timestamp) -> BoxFuture<'_, Result<Position, ReadError>> {
        Box::pin(async move { Err(ReadError::NotFound { log }) })
    }
    fn with_keys(&self, _: Arc<dyn ChunkKeys>) -> Arc<dyn LogStore> {
        Arc::new(NoLog)
    }
    fn tail(&self, log: LogId) -> Result<watch::Receiver<Tail>, LogError> {
        Err(LogError::NotFound { log })
    }
    fn trim(&self, _: LogId, _: Position) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }
    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Tail, LogError>> {
        Box::pin(async move { Err(LogError::NotFound { log }) })
    }
    fn delete(&self, _: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }
}
