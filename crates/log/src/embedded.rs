//! The store of a single node: one write-ahead log, segment files behind it, one writer thread.
//!
//! [`EmbeddedLog`] is a handle; clones share the store. When the last one is dropped the writer ends
//! as after a crash: nothing acknowledged is lost, the next start reads the write-ahead log back.
//! [`EmbeddedLog::shutdown`] leaves nothing to read back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_base::Timestamp;
use millstream_env::{BoxFuture, Env, Task};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use crate::chunk::{CHUNK_HEADER_LEN, payload_len};
use crate::key::{ChunkKeys, NoKeys};
use crate::memory::Log;
use crate::merge::Merger;
use crate::opened::Opened;
use crate::options::Options;
use crate::read;
use crate::recovery::{self, OpenError, RecoveryReport};
use crate::request::{AppendCall, ControlCall, ControlOp, PendingBatch, PendingEntries, Request};
use crate::seal::{SEAL_LEN, SealedEntries};
use crate::segment::Segments;
use crate::shared::{Counters, Health, HealthReport, QUEUE_UNIT, Shared};
use crate::store::{
    AppendError, Batch, Entries, LogError, LogId, LogStore, Position, PositionRange, ReadError,
    ReadLimit, Tail,
};
use crate::upkeep::{self, Stop};
use crate::writer::Writer;

/// A handle to an embedded store. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
    keys: Arc<dyn ChunkKeys>,
}

struct Inner {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedSender<Request>,
    stop: Arc<Stop>,
    merger: Arc<tokio::sync::Mutex<Merger>>,
    tasks: Mutex<Vec<Task>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::SeqCst);
        self.stop.set();
    }
}

/// Figures of a running store, counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub logs: usize,
    /// Frames written, and the calls and entries in them.
    pub frames: u64,
    pub calls: u64,
    pub entries: u64,
    pub syncs: u64,
    /// Bytes of chunks acknowledged, and bytes written to the write-ahead log for them.
    pub bytes: u64,
    pub wal_bytes: u64,
    pub group_bytes_largest: u64,
    /// Recent entries in memory, and those of them that no checkpoint covers.
    pub memory_bytes: u64,
    pub uncheckpointed_bytes: u64,
    pub index_cache_bytes: u64,
    pub wal_files_bytes: u64,
    pub segments: usize,
    pub segment_bytes: u64,
    pub checkpoints: u64,
    pub merges: u64,
    pub scrubbed_bytes: u64,
    /// Times the background check went through all segments.
    pub scrub_rounds: u64,
    pub health: HealthReport,
}

impl EmbeddedLog {
    /// Opens the data directory at the root of `env.disk`; an empty one becomes a new store.
    pub async fn open(
        env: Env,
        options: Options,
    ) -> Result<(EmbeddedLog, RecoveryReport), OpenError> {
        let options = options.in_bounds();
        let (door, bounds) = (env.clone(), options.clone());
        let r = env.blocking(move || recovery::recover(&door, &bounds)).await?;
        let rows = recovery::rows(&r.memory);
        let segments = r.manifest.segments.clone();
        let segments = Segments::new(env.disk.clone(), r.incarnation, &options, segments);
        let opened = Opened::new(options.opened_cache_bytes);
        let shared = Arc::new(Shared {
            queue: Semaphore::new((options.queue_bytes_max / QUEUE_UNIT) as usize),
            env: env.clone(),
            options,
            incarnation: r.incarnation,
            memory: Mutex::new(r.memory),
            wal: Mutex::new(r.wal),
            segments,
            opened,
            catalog: tokio::sync::Mutex::new(r.manifest),
            room: Notify::new(),
            checkpoint_due: Notify::new(),
            unproven: Notify::new(),
            prepare: Notify::new(),
            health: Health::default(),
            counters: Counters::default(),
            abandoned: AtomicBool::new(false),
            _lock: r.lock,
        });
        let (requests, queue) = mpsc::unbounded_channel();
        let writer = Writer::new(shared.clone(), queue, rows, r.next_lsn, r.epoch);
        let mut tasks = vec![env.spawn_thread("log-writer", writer.run())];
        let stop = Arc::<Stop>::default();
        let merger = Arc::default();
        tasks.extend(upkeep::spawn(&shared, &merger, requests.downgrade(), &stop));
        let inner = Inner { shared, requests, stop, merger, tasks: Mutex::new(tasks) };
        Ok((EmbeddedLog { inner: Arc::new(inner), keys: Arc::new(NoKeys) }, r.report))
    }

    /// Writes what is queued, moves everything into segment files and ends. Calls that come later
    /// get [`AppendError::Stopped`]; reads go on as long as handles live.
    pub async fn shutdown(&self) {
        let (done, written) = oneshot::channel();
        if self.inner.requests.send(Request::Stop(done)).is_ok() {
            let _ = written.await;
        }
        self.end_tasks().await;
        if let Err(e) = crate::checkpoint::run(&self.inner.shared).await {
            tracing::warn!(reason = %e, "no last checkpoint; the next start reads the log back");
        }
    }

    /// Ends as a crash would: no last checkpoint. For tests.
    pub async fn crash(self) {
        self.inner.shared.health.stop("it was stopped at once");
        self.inner.shared.room.notify_waiters();
        let (done, ended) = oneshot::channel();
        if self.inner.requests.send(Request::Stop(done)).is_ok() {
            let _ = ended.await;
        }
        self.end_tasks().await;
    }

    async fn end_tasks(&self) {
        self.inner.stop.set();
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.join().await;
        }
    }

    pub fn health(&self) -> HealthReport {
        self.inner.shared.health.report()
    }

    /// Writes a checkpoint now, as is done in the background when enough has gathered.
    pub async fn checkpoint(&self) -> Result<(), LogError> {
        let done = crate::checkpoint::run(&self.inner.shared).await;
        done.map_err(|e| LogError::Stopped { reason: e.to_string() })
    }

    /// Merges and deletes segment files until nothing is left to do, as is done in the background.
    pub async fn merge(&self) -> Result<(), LogError> {
        loop {
            let mut merger = self.inner.merger.lock().await;
            match merger.step(&self.inner.shared).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(e) => return Err(LogError::Stopped { reason: e.to_string() }),
            }
        }
    }

    /// Verifies every segment file now, as fast as the disk allows; what is found stands in
    /// [`EmbeddedLog::health`].
    pub async fn scrub(&self) {
        crate::scrub::round(&self.inner.shared, 0).await;
    }

    pub fn stats(&self) -> Stats {
        let shared = &self.inner.shared;
        let c = &shared.counters;
        let get = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
        let set = shared.segments.set();
        let wal_files_bytes = shared.wal.lock().bytes();
        let memory = shared.memory.lock();
        Stats {
            logs: memory.logs.len(),
            frames: get(&c.frames),
            calls: get(&c.calls),
            entries: get(&c.entries),
            syncs: get(&c.syncs),
            bytes: get(&c.bytes),
            wal_bytes: get(&c.wal_bytes),
            group_bytes_largest: get(&c.group_bytes_largest),
            memory_bytes: memory.bytes(),
            uncheckpointed_bytes: memory.pinned_bytes(),
            index_cache_bytes: shared.segments.cached_index_bytes() as u64,
            wal_files_bytes,
            segments: set.rows.len(),
            segment_bytes: set.rows.iter().map(|r| r.file_bytes).sum(),
            checkpoints: get(&c.checkpoints),
            merges: get(&c.merges),
            scrubbed_bytes: get(&c.scrubbed_bytes),
            scrub_rounds: get(&c.scrub_rounds),
            health: shared.health.report(),
        }
    }

    fn log(&self, log: LogId) -> Option<Arc<Log>> {
        self.inner.shared.memory.lock().logs.get(&log).cloned()
    }

    fn stopped(&self) -> String {
        self.inner.shared.health.stopped().unwrap_or_else(|| "it was shut down".into())
    }

    async fn control(&self, ops: Vec<(LogId, ControlOp)>) -> Result<Option<Tail>, LogError> {
        let (reply, answer) = oneshot::channel();
        let stopped = |_| LogError::Stopped { reason: self.stopped() };
        let call = Request::Control(ControlCall { ops, reply });
        self.inner.requests.send(call).map_err(|_| stopped(()))?;
        answer.await.unwrap_or_else(|_| Err(stopped(())))
    }

    /// Queues batches as one call; waits a bounded time for room in the queue.
    async fn enqueue(&self, batches: Vec<(LogId, Batch)>, bytes: u64) -> Vec<AppendResult> {
        let shared = &self.inner.shared;
        let n = batches.len();
        let all = |e: AppendError| vec![Err(e); n];
        let permits = bytes.div_ceil(QUEUE_UNIT) as u32;
        let permit = match shared.queue.try_acquire_many(permits) {
            Ok(permit) => permit,
            Err(_) => {
                let wait = shared.queue.acquire_many(permits);
                match tokio::time::timeout(shared.options.queue_wait, wait).await {
                    Ok(permit) => permit.expect("the queue is never closed"),
                    Err(_) => return all(AppendError::Overloaded),
                }
            }
        };
        permit.forget();
        let batches = batches.into_iter().map(|(log, batch)| self.prepare(log, batch)).collect();
        let (reply, answer) = oneshot::channel();
        let call = AppendCall { batches, bytes, permits, reply };
        if self.inner.requests.send(Request::Append(call)).is_err() {
            shared.queue.add_permits(permits as usize);
            return all(AppendError::Stopped { reason: self.stopped() });
        }
        match answer.await {
            Ok(results) => results,
            Err(_) => all(AppendError::Stopped { reason: self.stopped() }),
        }
    }

    /// A batch as the writer takes it. Sealing is the appending task's work: the writer is one for
    /// all.
    fn prepare(&self, log: LogId, batch: Batch) -> PendingBatch {
        let Batch { at, entries, seal } = batch;
        let entries = match seal {
            None => PendingEntries::Plain(entries),
            Some(key) => {
                let random = self.inner.shared.env.random_bytes();
                PendingEntries::Sealed(SealedEntries::new(log, &entries, key, random))
            }
        };
        PendingBatch { log, at, entries }
    }

    /// Bytes of a batch in a frame, if it can be stored at all.
    fn weigh(&self, batch: &Batch) -> Result<u64, AppendError> {
        let invalid = |reason: String| Err(AppendError::Invalid { reason });
        if batch.entries.is_empty() {
            return invalid("it holds no entries".into());
        }
        let seal = if batch.seal.is_some() { SEAL_LEN as u64 } else { 0 };
        let bytes = CHUNK_HEADER_LEN as u64 + payload_len(&batch.entries) + seal;
        let max = self.inner.shared.options.batch_bytes_max;
        if bytes > max {
            return invalid(format!("it takes {bytes} bytes, at most {max} are possible"));
        }
        Ok(bytes)
    }

    async fn append_all(&self, batches: Vec<(LogId, Batch)>) -> Vec<AppendResult> {
        if batches.len() == 1 {
            return match self.weigh(&batches[0].1) {
                Ok(bytes) => self.enqueue(batches, bytes).await,
                Err(e) => vec![Err(e)],
            };
        }
        let max = self.inner.shared.options.batch_bytes_max;
        let mut results: Vec<Option<AppendResult>> = vec![None; batches.len()];
        // Mostly one call; more when all together are too much for one frame.
        let mut calls: Vec<(Vec<usize>, Batches, u64)> = Vec::new();
        for (i, (log, batch)) in batches.into_iter().enumerate() {
            let bytes = match self.weigh(&batch) {
                Ok(bytes) => bytes,
                Err(e) => {
                    results[i] = Some(Err(e));
                    continue;
                }
            };
            if calls.last().is_none_or(|c| c.2 + bytes > max) {
                calls.push((Vec::new(), Vec::new(), 0));
            }
            let call = calls.last_mut().expect("one was just pushed");
            call.0.push(i);
            call.1.push((log, batch));
            call.2 += bytes;
        }
        let mut waiting = Vec::with_capacity(calls.len());
        for (places, batches, bytes) in calls {
            waiting.push(async move { (places, self.enqueue(batches, bytes).await) });
        }
        for (places, answers) in futures_util::future::join_all(waiting).await {
            for (i, answer) in places.into_iter().zip(answers) {
                results[i] = Some(answer);
            }
        }
        results.into_iter().map(|r| r.expect("every batch was answered")).collect()
    }
}

type Batches = Vec<(LogId, Batch)>;
type AppendResult = Result<PositionRange, AppendError>;

impl LogStore for EmbeddedLog {
    fn create(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        let ops = logs.into_iter().map(|log| (log, ControlOp::Create)).collect();
        Box::pin(async move { self.control(ops).await.map(drop) })
    }

    fn append(&self, batches: Vec<(LogId, Batch)>) -> BoxFuture<'_, Vec<AppendResult>> {
        Box::pin(self.append_all(batches))
    }

    fn read(
        &self,
        log: LogId,
        from: Position,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<Entries, ReadError>> {
        Box::pin(async move {
            let log = self.log(log).ok_or(ReadError::NotFound { log })?;
            read::read(&self.inner.shared, &self.keys, log, from, limit).await
        })
    }

    fn find(&self, log: LogId, at: Timestamp) -> BoxFuture<'_, Result<Position, ReadError>> {
        Box::pin(async move {
            let log = self.log(log).ok_or(ReadError::NotFound { log })?;
            read::find(&self.inner.shared, log, at).await
        })
    }

    fn with_keys(&self, keys: Arc<dyn ChunkKeys>) -> Arc<dyn LogStore> {
        Arc::new(EmbeddedLog { inner: self.inner.clone(), keys })
    }

    fn tail(&self, log: LogId) -> Result<watch::Receiver<Tail>, LogError> {
        self.log(log).map(|l| l.watch()).ok_or(LogError::NotFound { log })
    }

    fn trim(&self, log: LogId, before: Position) -> BoxFuture<'_, Result<(), LogError>> {
        let ops = vec![(log, ControlOp::Trim(before))];
        Box::pin(async move { self.control(ops).await.map(drop) })
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Tail, LogError>> {
        Box::pin(async move {
            let tail = self.control(vec![(log, ControlOp::Seal)]).await?;
            Ok(tail.expect("a seal answers with the tail"))
        })
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        let ops = logs.into_iter().map(|log| (log, ControlOp::Delete)).collect();
        Box::pin(async move { self.control(ops).await.map(drop) })
    }
}
