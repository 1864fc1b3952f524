//! From memory to disk: definitions and points into their logs, and the journal into blocks.
//!
//! Only the task at the side calls this, so no two of these run at once.
//!
//! A settlement can be repeated after a crash: its beginning and end are written down before the
//! first block, and each block names the beginning, so that readers pass over the second of two.

use std::sync::Arc;

use bytes::Bytes;
use millstream_log::{Batch, LogId, NewEntry, Position};
use millstream_meta::{Document, Expect};

use crate::block::BlockWriter;
use crate::catalogue::{CATALOGUE, Definition, JOURNAL, SeriesId};
use crate::engine::{Inner, State};
use crate::error::Result;
use crate::layout::{At, NodeRow};
use crate::points::Points;

/// Bytes of one batch, about: far below what log stores take.
const BATCH_BYTES: usize = 32 << 10;
/// Series whose blocks are written by one call.
const BLOCKS_MAX: usize = 500;

/// What one flush writes.
struct Taken {
    undefined: Vec<Arc<Definition>>,
    unwritten: Points,
}

impl Inner {
    /// Journals what was recorded.
    ///
    /// # Errors
    /// A store does not take it; what was not written is written by the next flush.
    pub(crate) async fn flush(&self) -> Result<()> {
        let taken = self.state.lock().take();
        self.write(taken).await.map(drop)
    }

    /// Journals what was recorded, and makes blocks of the whole journal.
    ///
    /// # Errors
    /// As [`Inner::flush`]; the settlement is finished by the next one.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.finish_settling().await?;
        let taken = {
            let mut state = self.state.lock();
            let unsettled = std::mem::take(&mut state.unsettled);
            if unsettled.is_empty() {
                return Ok(()); // and so is the journal
            }
            state.settling = Some(Arc::new(unsettled));
            state.take()
        };
        let end = match self.write(taken).await {
            Ok(end) => end,
            Err(error) => {
                self.state.lock().unsettle();
                return Err(error);
            }
        };
        if let Err(error) = self.put_row(Some(end)).await {
            self.state.lock().unsettle();
            return Err(error);
        }
        self.finish_settling().await
    }

    /// Makes blocks of what is settling, if anything is.
    async fn finish_settling(&self) -> Result<()> {
        let (points, begin) = {
            let state = self.state.lock();
            let Some(points) = state.settling.clone() else { return Ok(()) };
            (points, state.settled)
        };
        let row = self.row().await?;
        let end = row.settling.map_or(begin, Position::from);
        self.write_blocks(&points, At::from(begin).key()).await?;
        self.put_settled(end).await?;
        {
            let mut state = self.state.lock();
            state.settling = None;
            state.settled = end;
        }
        self.log.trim(self.log_of(JOURNAL), end).await?;
        Ok(())
    }

    /// Writes definitions, then points; returns where the journal ends then.
    async fn write(&self, taken: Taken) -> Result<Position> {
        let Taken { undefined, unwritten } = taken;
        let definitions = undefined.iter().map(|definition| definition.entry()).collect();
        if let Err(error) = self.append(CATALOGUE, definitions).await {
            // Some may be written: being defined twice does no harm.
            self.state.lock().give_back(undefined, unwritten);
            return Err(error);
        }
        let mut rest = unwritten;
        while !rest.is_empty() {
            let (part, entry) = journal_entry(&mut rest);
            if let Err(error) = self.append(JOURNAL, vec![entry]).await {
                rest.add_all(part);
                self.state.lock().give_back(Vec::new(), rest);
                return Err(error);
            }
        }
        Ok(self.log.tail(self.log_of(JOURNAL))?.borrow().next)
    }

    /// Appends entries in batches; returns where the first one landed, or where the log ends.
    pub(crate) async fn append(&self, member: u32, entries: Vec<Bytes>) -> Result<Position> {
        let log = self.log_of(member);
        let mut first = None;
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut bytes = 0;
            let mut batch = Vec::new();
            while let Some(entry) = entries.next_if(|_| bytes < BATCH_BYTES) {
                bytes += entry.len();
                batch.push(entry);
            }
            let batch = self.batch(Bytes::new(), 0, batch);
            let landed = self.log.append(vec![(log, batch)]).await;
            let range = landed.into_iter().next().expect("one batch, one result")?;
            first = first.or(Some(range.first));
        }
        match first {
            Some(first) => Ok(first),
            None => Ok(self.log.tail(log)?.borrow().next),
        }
    }

    fn batch(&self, key: Bytes, attributes: u32, values: Vec<Bytes>) -> Batch {
        let entry = |value| NewEntry { attributes, key: key.clone(), value };
        Batch { at: self.env.now(), entries: values.into_iter().map(entry).collect(), seal: None }
    }

    /// Writes each series' points into its log. Parts of a block are numbered.
    async fn write_blocks(&self, points: &Points, key: Bytes) -> Result<()> {
        let series: Vec<SeriesId> = points.series().collect();
        for some in series.chunks(BLOCKS_MAX) {
            let logs = some.iter().map(|id| self.log_of(id.0));
            let missing: Vec<LogId> = logs.filter(|log| self.log.tail(*log).is_err()).collect();
            if !missing.is_empty() {
                self.log.create(missing).await?;
            }
            let mut blocks: Vec<_> =
                some.iter().map(|id| (self.log_of(id.0), block_parts(points, *id))).collect();
            for part in 0.. {
                let batches: Vec<_> = blocks
                    .iter_mut()
                    .filter_map(|(log, parts)| Some((*log, parts.next()?)))
                    .map(|(log, value)| (log, self.batch(key.clone(), part, vec![value])))
                    .collect();
                if batches.is_empty() {
                    break;
                }
                for landed in self.log.append(batches).await {
                    landed?;
                }
            }
            self.env.hesitate("blocks-written").await;
        }
        Ok(())
    }

    async fn row(&self) -> Result<NodeRow> {
        match self.meta.get(&self.node).await? {
            Some(row) => Ok(NodeRow::decode(&row.key, &row.value)?),
            None => Ok(NodeRow { family: self.family, ..NodeRow::default() }),
        }
    }

    /// The row belongs to this node alone.
    async fn put_row(&self, settling: Option<Position>) -> Result<()> {
        let settled = self.state.lock().settled.into();
        let row = NodeRow { family: self.family, settled, settling: settling.map(At::from) };
        self.meta.put(self.node.clone(), row.encode(), Expect::Anything).await?;
        Ok(())
    }

    async fn put_settled(&self, settled: Position) -> Result<()> {
        let row = NodeRow { family: self.family, settled: settled.into(), settling: None };
        self.meta.put(self.node.clone(), row.encode(), Expect::Anything).await?;
        Ok(())
    }
}

impl State {
    fn take(&mut self) -> Taken {
        Taken {
            undefined: std::mem::take(&mut self.undefined),
            unwritten: std::mem::take(&mut self.unwritten),
        }
    }

    fn give_back(&mut self, mut undefined: Vec<Arc<Definition>>, unwritten: Points) {
        undefined.append(&mut self.undefined);
        self.undefined = undefined;
        self.unwritten.add_all(unwritten);
    }

    /// Nothing was written of what was to settle.
    fn unsettle(&mut self) {
        if let Some(points) = self.settling.take() {
            let points = Arc::try_unwrap(points).unwrap_or_else(|points| (*points).clone());
            self.unsettled.add_all(points);
        }
    }
}

/// Takes as many points as one entry of the journal holds; the points, and the entry.
fn journal_entry(rest: &mut Points) -> (Points, Bytes) {
    let mut block = BlockWriter::new();
    let mut part = Points::default();
    while block.len() < BATCH_BYTES
        && let Some((series, minute, point)) = rest.pop_first()
    {
        block.add_of(series, minute, &point);
        part.add(series, minute, &point);
    }
    (part, block.finish())
}

/// The parts of a series' block.
fn block_parts(points: &Points, id: SeriesId) -> impl Iterator<Item = Bytes> {
    let mut points = points.of(id).peekable();
    std::iter::from_fn(move || {
        points.peek()?;
        let mut block = BlockWriter::new();
        while let Some((minute, point)) = points.next_if(|_| block.len() < BATCH_BYTES) {
            block.add(minute, point);
        }
        Some(block.finish())
    })
}
