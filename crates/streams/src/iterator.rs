//! GetShardIterator: from a starting position to a place in a shard's log.

use std::sync::Arc;

use millstream_base::{SequenceNumber, SequenceNumberError, ShardId, StreamArn, Timestamp};
use millstream_log::{LogError, Position, ReadError};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{IteratorType, StartingPosition, StreamStatus};
use crate::shard_map::Shard;
use crate::token::IteratorToken;

impl Streams {
    /// An iterator that can be used any number of times for 300 s. LATEST is fixed now: records
    /// put after this call are seen.
    ///
    /// # Errors
    /// In this order: stream and shard exist; type, number and time go together; the number is one
    /// of this shard and stream; the time is not in the future; not too often.
    pub async fn get_shard_iterator(
        &self,
        stream: &StreamArn,
        shard: ShardId,
        from: StartingPosition<'_>,
    ) -> Result<String> {
        let found = self.find_for_reading(stream, shard).await?;
        let position = self.resolve(&found, shard, from).await?;
        self.admit_iterator(&found, shard)?;
        Ok(self.issue(&found, shard, position))
    }

    /// All checks of [`Streams::get_shard_iterator`].
    pub async fn check_get_shard_iterator(
        &self,
        stream: &StreamArn,
        shard: ShardId,
        from: StartingPosition<'_>,
    ) -> Result<()> {
        let found = self.find_for_reading(stream, shard).await?;
        self.resolve(&found, shard, from).await.map(drop)
    }

    /// The stream that an iterator reads, for authorization; its age is not looked at.
    pub fn iterator_stream(&self, iterator: &str) -> Result<StreamArn> {
        Ok(self.open_iterator(iterator)?.stream)
    }

    pub(crate) fn issue(&self, found: &Snapshot, shard: ShardId, position: Position) -> String {
        self.seal_token(&IteratorToken {
            issued: self.now(),
            stream: found.stream.clone(),
            family: found.row.family,
            shard,
            position,
        })
    }

    /// The stream with that shard, which is neither expired nor about to be made.
    pub(crate) async fn find_for_reading(
        &self,
        stream: &StreamArn,
        shard: ShardId,
    ) -> Result<Arc<Snapshot>> {
        let (found, status) = self.find(stream).await?;
        let serving = status != StreamStatus::Creating;
        match serving && self.live_shard(&found, shard).is_some() {
            true => Ok(found),
            false => Err(Error::ShardNotFound { stream: stream.clone(), shard }),
        }
    }

    pub(crate) fn live_shard<'a>(&self, found: &'a Snapshot, shard: ShardId) -> Option<&'a Shard> {
        let horizon = found.row.horizon_at(self.now());
        found.row.shards.get(shard).filter(|s| !s.is_expired(horizon))
    }

    pub(crate) async fn resolve(
        &self,
        found: &Snapshot,
        shard: ShardId,
        from: StartingPosition<'_>,
    ) -> Result<Position> {
        use IteratorType::*;
        let log = found.log_of(shard);
        match Start::of(from)? {
            Start::Number(AfterSequenceNumber, number) => {
                Ok(after(position_of(found, shard, number)?))
            }
            Start::Number(_, number) => position_of(found, shard, number),
            Start::Time(at) => {
                let now = self.now();
                if at > now {
                    return Err(Error::TimestampInFuture { at, now });
                }
                let at = at.max(found.row.horizon_at(now));
                self.inner.log.find(log, at).await.map_err(|e| read_error(found, shard, e))
            }
            Start::Horizon => Ok(Position::START),
            Start::Latest => {
                let tail = self.inner.log.tail(log).map_err(|e| log_error(found, shard, e))?;
                let next = tail.borrow().next;
                Ok(next)
            }
        }
    }
}

/// A starting position whose parts go together.
enum Start<'a> {
    Number(IteratorType, &'a str),
    Time(Timestamp),
    Horizon,
    Latest,
}

impl<'a> Start<'a> {
    fn of(from: StartingPosition<'a>) -> Result<Self> {
        use IteratorType::*;
        let StartingPosition { kind, sequence_number, timestamp } = from;
        match (kind, sequence_number) {
            (AtSequenceNumber | AfterSequenceNumber, Some(number)) => {
                Ok(Start::Number(kind, number))
            }
            (AtSequenceNumber | AfterSequenceNumber, None) => {
                Err(Error::SequenceNumberMissing { kind })
            }
            (TrimHorizon | Latest, Some(_)) => Err(Error::SequenceNumberUnexpected { kind }),
            (TrimHorizon, None) => Ok(Start::Horizon),
            (Latest, None) => Ok(Start::Latest),
            (AtTimestamp, _) => timestamp.map(Start::Time).ok_or(Error::TimestampMissing),
        }
    }
}

/// Where a sequence number of this shard points to. It need not be (or be any more) a record's.
fn position_of(found: &Snapshot, shard: ShardId, text: &str) -> Result<Position> {
    let stream = || found.stream.clone();
    let invalid = || Error::SequenceNumberInvalid { stream: stream(), shard, number: text.into() };
    let other_stream =
        || Error::SequenceNumberOfOtherStream { stream: stream(), shard, number: text.into() };
    let parts = match SequenceNumber::parse(text) {
        Ok(number) => number.parts(),
        Err(SequenceNumberError::Malformed | SequenceNumberError::Damaged { .. }) => {
            return Err(invalid());
        }
        Err(SequenceNumberError::OldLayout) => {
            return Err(Error::SequenceNumberOldLayout { number: text.into() });
        }
        Err(SequenceNumberError::Foreign) => return Err(other_stream()),
    };
    let known = found.row.shards.get(shard).expect("the shard was looked up");
    if parts.origin.shard != shard {
        return Err(Error::SequenceNumberOfOtherShard { encoded: parts.origin.shard, shard });
    }
    if parts.origin != known.origin() {
        return Err(other_stream());
    }
    known.position_of(parts.place).ok_or_else(invalid)
}

/// The place after a number's; after an end there is nothing.
fn after(position: Position) -> Position {
    if position == Position::END { position } else { position.next() }
}

/// A log that is gone belonged to a stream or shard that is gone.
pub(crate) fn read_error(found: &Snapshot, shard: ShardId, error: ReadError) -> Error {
    match error {
        ReadError::NotFound { .. } => gone(found, shard),
        other => other.into(),
    }
}

pub(crate) fn log_error(found: &Snapshot, shard: ShardId, error: LogError) -> Error {
    match error {
        LogError::NotFound { .. } => gone(found, shard),
        other => other.into(),
    }
}

fn gone(found: &Snapshot, shard: ShardId) -> Error {
    Error::ShardNotFound { stream: found.stream.clone(), shard }
}
