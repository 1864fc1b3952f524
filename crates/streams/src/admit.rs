//! What the engine's operations do with a budget's answer: go on, count, or refuse.

use std::sync::atomic::Ordering;

use millstream_base::{Scope, ShardId, StreamName};

use crate::cache::Snapshot;
use crate::consumer_stats::ConsumerStats;
use crate::control_call::ControlCall;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::throttle::Admission;

impl Streams {
    /// Calls beyond their rate since the process started, refused or (where rates are only
    /// measured) not, by operation.
    pub fn calls_exceeded(&self) -> Vec<(&'static str, u64)> {
        self.inner.throttle.calls_exceeded()
    }

    /// Counts a call of the control plane, before anything else is looked at. Operations whose rate
    /// is a stream's are counted where the stream is known.
    ///
    /// # Errors
    /// [`Error::CallRate`] where rates are enforced.
    pub fn admit_call(&self, scope: &Scope, call: ControlCall) -> Result<()> {
        match self.inner.throttle.admit_call(scope, call, self.now()) {
            Admission::Admitted | Admission::Exceeded => Ok(()),
            Admission::Refused => Err(Error::CallRate { account: scope.account }),
        }
    }

    /// Counts a call whose rate is a stream's.
    pub(crate) fn admit_stream_call(&self, found: &Snapshot, call: ControlCall) -> Result<()> {
        let throttle = &self.inner.throttle;
        match throttle.admit_stream_call(&found.stream, &found.budget, call, self.now()) {
            Admission::Admitted | Admission::Exceeded => Ok(()),
            Admission::Refused => Err(Error::StreamCallRate { stream: found.stream.clone() }),
        }
    }

    /// Counts a GetRecords call.
    pub(crate) fn admit_read(&self, found: &Snapshot, shard: ShardId) -> Result<()> {
        let Some(state) = found.state(shard) else { return Ok(()) };
        let quotas = self.inner.throttle.quotas(&found.stream);
        let admission = state.budget.admit_read(quotas, self.now());
        let exceeded = admission != Admission::Admitted;
        found.stats.read_exceeded.observe(u64::from(exceeded));
        if exceeded {
            state.stats.read_exceeded.fetch_add(1, Ordering::Relaxed);
        }
        refuse(admission, found, shard)
    }

    /// Counts a GetShardIterator call; an open shard has a rate, a closed one has none.
    pub(crate) fn admit_iterator(&self, found: &Snapshot, shard: ShardId) -> Result<()> {
        let open = found.row.shards.get(shard).is_some_and(|s| s.is_open());
        match found.state(shard) {
            Some(state) if open => {
                let throttle = &self.inner.throttle;
                let quotas = throttle.quotas(&found.stream);
                let admission = state.budget.admit_iterator(quotas, self.now());
                if admission != Admission::Admitted {
                    throttle.iterator_exceeded();
                }
                refuse(admission, found, shard)
            }
            _ => Ok(()),
        }
    }

    /// Counts a SubscribeToShard call of a consumer's.
    pub(crate) fn admit_subscription(
        &self,
        found: &Snapshot,
        consumer: &StreamName,
        shard: ShardId,
        stats: &ConsumerStats,
    ) -> Result<()> {
        let Some(state) = found.state(shard) else { return Ok(()) };
        let quotas = self.inner.throttle.quotas(&found.stream);
        match state.budget.admit_subscription(quotas, consumer, self.now()) {
            // Counted where it is refused as too soon, which it is in any mode.
            Admission::Admitted | Admission::Exceeded => Ok(()),
            Admission::Refused => {
                stats.rate_exceeded.observe(1);
                Err(Error::StreamCallRate { stream: found.stream.clone() })
            }
        }
    }
}

fn refuse(admission: Admission, found: &Snapshot, shard: ShardId) -> Result<()> {
    match admission {
        Admission::Admitted | Admission::Exceeded => Ok(()),
        Admission::Refused => Err(Error::Throttled { stream: found.stream.clone(), shard }),
    }
}
