//! The background check: every byte of every segment file is read and verified, again and again,
//! slowly, so that damage is known while there is still a backup to repair it from.

use std::sync::Arc;
use std::time::Duration;

use crate::damage::FileError;
use crate::read::note;
use crate::segment::{ChunkReader, Run, SegmentRow};
use crate::shared::{Shared, count};

/// Bytes verified between two pauses.
const STEP_BYTES: u64 = 1 << 20;

/// A place in a segment that is being verified.
struct Cursor {
    runs: std::vec::IntoIter<Run>,
    chunks: Option<ChunkReader>,
}

/// Verifies all present segments once, at `bytes_per_sec` (0: as fast as it goes).
pub(crate) async fn round(shared: &Arc<Shared>, bytes_per_sec: u64) {
    let rows = shared.segments.set().rows.clone();
    for row in rows {
        if !shared.segments.set().rows.iter().any(|r| r.id == row.id) {
            continue;
        }
        let job = shared.clone();
        let mut cursor = match shared.env.blocking(move || begin(&job, row)).await {
            Ok(cursor) => Some(cursor),
            Err(e) => {
                report(shared, &row, &e);
                None
            }
        };
        while let Some(at) = cursor.take() {
            let (back, bytes, damage) = shared.env.blocking(move || step(at)).await;
            if let Some(e) = damage {
                report(shared, &row, &e);
            }
            count(&shared.counters.scrubbed_bytes, bytes);
            cursor = back;
            if let Some(pause) = (bytes * 1000).checked_div(bytes_per_sec) {
                shared.env.sleep(Duration::from_millis(pause)).await;
            }
        }
    }
    count(&shared.counters.scrub_rounds, 1);
}

fn begin(shared: &Shared, row: SegmentRow) -> Result<Cursor, FileError> {
    // Readers may have the pieces of the footer in memory: look at the disk.
    shared.segments.forget_index(row.id);
    let runs = shared.segments.all_runs(&row)?;
    for run in &runs {
        shared.segments.sparse(&row, run)?;
    }
    let chunks = match (runs.first(), runs.last()) {
        (Some(first), Some(last)) => {
            let end = last.offset + last.len;
            let fetch = STEP_BYTES as usize;
            Some(ChunkReader::new(&shared.segments, &row, first.offset, end, fetch)?)
        }
        _ => None,
    };
    Ok(Cursor { runs: runs.into_iter(), chunks })
}

/// Verifies about a step's bytes. Behind a damaged chunk it goes on with the next run.
fn step(mut cursor: Cursor) -> (Option<Cursor>, u64, Option<FileError>) {
    let Some(mut chunks) = cursor.chunks.take() else { return (None, 0, None) };
    let start = chunks.at;
    loop {
        match chunks.next() {
            Ok(None) => return (None, chunks.at - start, None),
            Ok(Some(_)) if chunks.at - start < STEP_BYTES => {}
            Ok(Some(_)) => {
                let bytes = chunks.at - start;
                cursor.chunks = Some(chunks);
                return (Some(cursor), bytes, None);
            }
            Err(e) => {
                let bytes = chunks.at - start;
                let at = chunks.at;
                let next = cursor.runs.find(|r| r.offset > at).map(|r| r.offset);
                let Some(next) = next else { return (None, bytes, Some(e)) };
                chunks.at = next;
                cursor.chunks = Some(chunks);
                return (Some(cursor), bytes, Some(e));
            }
        }
    }
}

/// A file that a merge removed meanwhile is not damage.
fn report(shared: &Shared, row: &SegmentRow, e: &FileError) {
    let gone = !shared.segments.set().rows.iter().any(|r| r.id == row.id);
    if !gone {
        note(shared, e);
        if let FileError::Io { .. } = e {
            tracing::warn!(file = row.path(), reason = %e, "a segment could not be verified");
        }
    }
}
