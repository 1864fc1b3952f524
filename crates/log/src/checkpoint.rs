//! Checkpoints: what is only in memory and in the write-ahead log goes into segment files, so that
//! memory can be evicted and write-ahead files be used again.
//!
//! ```text
//!  snapshot -> segment files -> sync -> names -> manifest -> evict memory, release write-ahead files
//! ```
//!
//! The writer is not held up: it goes on as long as memory has room.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millstream_env::Disk;

use crate::chunk::ChunkHeader;
use crate::damage::FileError;
use crate::frame::Incarnation;
use crate::manifest::Manifest;
use crate::memory::{MemChunk, Snapshot};
use crate::segment::{SEGMENT_DIR, SegmentRow, SegmentWriter};
use crate::shared::{Shared, count};
use crate::store::LogId;

/// Writes one checkpoint, if anything happened since the last.
pub(crate) async fn run(shared: &Arc<Shared>) -> Result<(), FileError> {
    let mut catalog = shared.catalog.lock().await;
    let snapshot = shared.memory.lock().snapshot();
    if snapshot.lsn == catalog.checkpoint_lsn {
        return Ok(());
    }
    let env = &shared.env;
    env.hesitate("checkpoint.begin").await;
    let plans = plan(&snapshot, shared.options.own_segment_bytes_min, &mut catalog.next_segment);
    let (disk, incarnation) = (env.disk.clone(), shared.incarnation);
    let written = env.blocking(move || write_all(disk.as_ref(), incarnation, plans)).await?;
    env.hesitate("checkpoint.segments_written").await;
    let mut next = Manifest {
        generation: catalog.generation + 1,
        checkpoint_lsn: snapshot.lsn,
        wal: snapshot.wal_end,
        logs: snapshot.rows.clone(),
        ..catalog.clone()
    };
    next.segments.extend(&written);
    *catalog = commit(shared, next, &written).await?;
    shared.segments.replace(catalog.segments.clone());
    shared.memory.lock().checkpointed(&snapshot);
    let bytes = written.iter().map(|r| r.data_bytes).sum::<u64>();
    tracing::debug!(lsn = snapshot.lsn, segments = written.len(), bytes, "checkpoint");
    let (files, seq) = (shared.clone(), snapshot.wal_end.seq);
    let released = env.blocking(move || files.wal.lock().release_before(seq)).await;
    if let Err(e) = released {
        tracing::warn!(reason = %e, "old write-ahead files could not be put aside");
    }
    count(&shared.counters.checkpoints, 1);
    shared.room.notify_waiters();
    Ok(())
}

/// Makes `next` the manifest. Until it counts, `written` are removed on failure; a failure after
/// which nobody knows which manifest counts ends the process.
pub(crate) async fn commit(
    shared: &Arc<Shared>,
    next: Manifest,
    written: &[SegmentRow],
) -> Result<Manifest, FileError> {
    let env = &shared.env;
    let disk = env.disk.clone();
    let (next, staged) = env
        .blocking(move || {
            let staged = next.stage(disk.as_ref());
            (next, staged)
        })
        .await;
    if let Err(e) = staged {
        remove(env.disk.as_ref(), written);
        return Err(e);
    }
    env.hesitate("manifest.staged").await;
    let disk = env.disk.clone();
    let (next, committed) = env
        .blocking(move || {
            let committed = next.commit(disk.as_ref());
            (next, committed)
        })
        .await;
    if let Err(e) = committed {
        let reason = format!("the manifest could not be replaced: {e}");
        shared.fatal(&reason).await;
        return Err(e);
    }
    env.hesitate("manifest.committed").await;
    Ok(next)
}

pub(crate) fn remove(disk: &dyn Disk, rows: &[SegmentRow]) {
    for row in rows {
        if let Err(e) = disk.remove(Path::new(&row.path())) {
            tracing::warn!(file = row.path(), reason = %e, "a segment file could not be removed");
        }
    }
}

/// One segment file to be written.
pub(crate) struct Plan {
    id: u64,
    family: Option<u32>,
    chunks: Vec<MemChunk>,
}

/// Large families get files of their own, the others share one.
pub(crate) fn plan(snapshot: &Snapshot, own_bytes_min: u64, next_id: &mut u64) -> Vec<Plan> {
    let mut families: BTreeMap<u32, Vec<&(LogId, Vec<MemChunk>)>> = BTreeMap::new();
    for log in &snapshot.chunks {
        families.entry(log.0.family()).or_default().push(log);
    }
    let single = families.len() == 1;
    let mut plans = Vec::new();
    let mut shared = Vec::new();
    for (family, logs) in families {
        let chunks = logs.into_iter().flat_map(|(_, chunks)| chunks.iter().cloned());
        let chunks: Vec<MemChunk> = chunks.collect();
        if single || bytes_of(&chunks) >= own_bytes_min {
            plans.push(Plan { id: 0, family: Some(family), chunks });
        } else {
            shared.extend(chunks);
        }
    }
    if !shared.is_empty() {
        plans.push(Plan { id: 0, family: None, chunks: shared });
    }
    for plan in &mut plans {
        plan.id = *next_id;
        *next_id += 1;
    }
    plans
}

fn bytes_of(chunks: &[MemChunk]) -> u64 {
    chunks.iter().map(|c| c.bytes.len() as u64).sum()
}

pub(crate) fn write_all(
    disk: &dyn Disk,
    incarnation: Incarnation,
    plans: Vec<Plan>,
) -> Result<Vec<SegmentRow>, FileError> {
    let mut written = Vec::new();
    for plan in plans {
        match write_one(disk, incarnation, &plan) {
            Ok(row) => written.push(row),
            Err(e) => {
                remove(disk, &written);
                return Err(e);
            }
        }
    }
    sync_names(disk)?;
    Ok(written)
}

fn write_one(
    disk: &dyn Disk,
    incarnation: Incarnation,
    plan: &Plan,
) -> Result<SegmentRow, FileError> {
    let bytes = bytes_of(&plan.chunks);
    let mut writer = SegmentWriter::create(disk, incarnation, plan.id, plan.family, bytes)?;
    for chunk in &plan.chunks {
        let header = ChunkHeader::decode(&chunk.bytes).expect("memory holds what was checked");
        if let Err(e) = writer.chunk(&header, &chunk.bytes) {
            writer.abandon();
            return Err(e);
        }
    }
    writer.finish()
}

/// Makes the names of new segment files durable.
pub(crate) fn sync_names(disk: &dyn Disk) -> Result<(), FileError> {
    disk.sync_dir(Path::new(SEGMENT_DIR)).map_err(|e| FileError::io(SEGMENT_DIR, e))
}
