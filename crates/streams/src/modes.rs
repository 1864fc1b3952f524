//! Capacity modes: who looks after the number of shards, what is kept ready for an on-demand
//! stream, and who decides where its records go.
//!
//! A stream keeps its shards when its mode changes. What an on-demand stream does with them from
//! then on is decided in `scaling`.

use millstream_base::limits::{MODE_SWITCHES_PER_DAY, WARM_THROUGHPUT_MIBPS_MAX};
use millstream_base::{Scope, StreamArn};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{Commitment, RecordDistribution, StreamMode, StreamStatus, WarmThroughput};
use crate::stream_row::{Changes, StreamRow};

impl Streams {
    /// Switches the capacity mode. The mode that the stream has already changes nothing and does
    /// not count. `warm_mibps` goes with a switch to on-demand only; see
    /// [`Streams::update_warm_throughput`].
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE; the settings go together; nothing that needs
    /// the old mode is in the way; the quotas of the new mode; it was not switched twice within 24
    /// hours ([`Error::ModeSwitches`]).
    pub async fn update_stream_mode(
        &self,
        stream: &StreamArn,
        mode: StreamMode,
        warm_mibps: Option<u32>,
    ) -> Result<()> {
        let found = self.find_active(stream).await?;
        if let Some(mibps) = warm_mibps {
            self.check_warm_throughput(stream.scope(), mode, mibps).await?;
        }
        if found.row.mode != mode {
            check_leaving(&found.row)?;
            self.check_account_room(&found, mode)?;
        }
        let grows = self
            .change_active(stream, |row, now| {
                if row.mode == mode {
                    return Ok(false);
                }
                if mode == StreamMode::Provisioned && !row.queues.is_empty() {
                    return Err(Error::QueuesKeepMode { stream: stream.clone() });
                }
                check_leaving(row)?;
                let (times, max) = (&mut row.changes.mode, MODE_SWITCHES_PER_DAY);
                if !Changes::admit(times, now, max) {
                    let stream = stream.clone();
                    return Err(Error::ModeSwitches { stream, limit: max });
                }
                row.mode = mode;
                row.warm_throughput = warm_mibps.map(|mibps| warm(row, mibps));
                row.begin_update(now, self.inner.options.state_durations.updating);
                Ok(warm_mibps.is_some())
            })
            .await?;
        if grows { self.warm_up(stream).await } else { Ok(()) }
    }

    /// Keeps an on-demand stream ready for `mibps` of writes: it gets at least a shard for each
    /// MiB/s. Less than before only gives back what was kept ready; the shards go when no remembered
    /// peak needs them.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE, is on-demand; the throughput is within bounds;
    /// the account is committed.
    pub async fn update_warm_throughput(
        &self,
        stream: &StreamArn,
        mibps: u32,
    ) -> Result<WarmThroughput> {
        let found = self.find_active(stream).await?;
        self.check_warm_throughput(stream.scope(), found.row.mode, mibps).await?;
        let duration = self.inner.options.state_durations.updating;
        self.change_active(stream, |row, now| {
            if row.mode != StreamMode::OnDemand {
                return Err(Error::WarmThroughputNeedsOnDemand);
            }
            if row.warm_throughput.is_none_or(|w| w.target_mibps != mibps) {
                row.warm_throughput = Some(warm(row, mibps));
                row.begin_update(now, duration);
            }
            Ok(())
        })
        .await?;
        self.warm_up(stream).await?;
        let (found, _) = self.find(stream).await?;
        let shown = warm_throughput(&found);
        Ok(shown.unwrap_or(WarmThroughput { target_mibps: mibps, current_mibps: 0 }))
    }

    /// Leaves it to the service where records go, or to their partition keys. Holds for the next
    /// put; records that are there stay where they are.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE; [`Error::AutoNeedsOnDemand`].
    pub async fn update_record_distribution(
        &self,
        stream: &StreamArn,
        distribution: RecordDistribution,
    ) -> Result<()> {
        self.change_active(stream, |row, _| {
            if distribution == RecordDistribution::Auto && row.mode != StreamMode::OnDemand {
                return Err(Error::AutoNeedsOnDemand);
            }
            row.distribution = distribution;
            Ok(())
        })
        .await
    }

    /// Whether a stream of `mode` in `scope` can have `mibps` of warm throughput.
    pub(crate) async fn check_warm_throughput(
        &self,
        scope: &Scope,
        mode: StreamMode,
        mibps: u32,
    ) -> Result<()> {
        let max = WARM_THROUGHPUT_MIBPS_MAX;
        if mibps > max {
            return Err(Error::WarmThroughputTooLarge { mibps, max });
        }
        if mode != StreamMode::OnDemand {
            return Err(Error::WarmThroughputNeedsOnDemand);
        }
        match self.describe_account_settings(scope).await?.commitment {
            Commitment::Disabled => Err(Error::WarmThroughputNeedsCommitment),
            _ => Ok(()),
        }
    }

    /// Whether the account has room for the stream in `mode`.
    fn check_account_room(&self, found: &Snapshot, mode: StreamMode) -> Result<()> {
        let scope = found.stream.scope();
        let usage = self.usage(scope);
        match mode {
            StreamMode::OnDemand => self.check_on_demand(scope, &usage),
            StreamMode::Provisioned => self.check_shards(scope, &usage, found.route.len() as u32),
        }
    }

    async fn find_active(&self, stream: &StreamArn) -> Result<std::sync::Arc<Snapshot>> {
        match self.find(stream).await? {
            (found, StreamStatus::Active) => Ok(found),
            (_, status) => Err(Error::StreamNotActive { stream: stream.clone(), status }),
        }
    }
}

/// What belongs to the stream's mode and keeps it there.
fn check_leaving(row: &StreamRow) -> Result<()> {
    match (row.mode, row.distribution) {
        (StreamMode::OnDemand, RecordDistribution::Auto) => Err(Error::AutoNeedsOnDemand),
        _ => Ok(()),
    }
}

/// The warm throughput as it is now: a shard for each MiB/s.
pub(crate) fn warm_throughput(found: &Snapshot) -> Option<WarmThroughput> {
    let target = found.row.warm_throughput?.target_mibps;
    let current = target.min(found.route.len() as u32);
    Some(WarmThroughput { target_mibps: target, current_mibps: current })
}

fn warm(row: &StreamRow, mibps: u32) -> WarmThroughput {
    let open = row.shards.open().count() as u32;
    WarmThroughput { target_mibps: mibps, current_mibps: mibps.min(open) }
}
