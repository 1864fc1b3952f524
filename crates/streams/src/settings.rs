//! What can be changed about a stream: its retention and the size of its records.

use millstream_base::limits::{RECORD_KIB_MAX, RECORD_KIB_MIN};
use millstream_base::{Retention, StreamArn, Timestamp};

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::stream_row::StreamRow;

impl Streams {
    /// Lets records live longer. Those that are expired stay so. The same value changes nothing.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE; the hours are within bounds and not fewer
    /// than now ([`Error::RetentionShorter`]).
    pub async fn increase_retention(&self, stream: &StreamArn, hours: i64) -> Result<()> {
        self.change_retention(stream, hours, |existing, requested| match requested < existing {
            true => Err(Error::RetentionShorter { stream: stream.clone(), requested, existing }),
            false => Ok(()),
        })
        .await
    }

    /// Lets records live shorter. Older ones are gone at once and for good.
    ///
    /// # Errors
    /// As [`Streams::increase_retention`], with [`Error::RetentionLonger`].
    pub async fn decrease_retention(&self, stream: &StreamArn, hours: i64) -> Result<()> {
        self.change_retention(stream, hours, |existing, requested| match requested > existing {
            true => Err(Error::RetentionLonger { stream: stream.clone(), requested, existing }),
            false => Ok(()),
        })
        .await
    }

    /// Sets the most that a record of the stream may weigh, in KiB.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE; the size is within bounds.
    pub async fn update_max_record_size(&self, stream: &StreamArn, kib: i64) -> Result<()> {
        self.change_active(stream, |row, now| {
            let (min, max) = (RECORD_KIB_MIN, RECORD_KIB_MAX);
            let new = u32::try_from(kib).ok().filter(|kib| (min..=max).contains(kib));
            let new = new.ok_or(Error::RecordSizeOutOfBounds { kib, min, max })?;
            if row.max_record_kib != new {
                row.max_record_kib = new;
                self.begin_update(row, now);
            }
            Ok(())
        })
        .await
    }

    async fn change_retention(
        &self,
        stream: &StreamArn,
        hours: i64,
        check: impl Fn(Retention, Retention) -> Result<()>,
    ) -> Result<()> {
        self.change_active(stream, |row, now| {
            let requested = Retention::from_hours(hours)?;
            check(row.retention, requested)?;
            if row.retention != requested {
                // What either retention has taken by now never comes back.
                let shorter = row.retention.min(requested);
                row.horizon = row.horizon.max(now.minus(shorter.as_duration()));
                row.retention = requested;
                self.begin_update(row, now);
            }
            Ok(())
        })
        .await
    }

    fn begin_update(&self, row: &mut StreamRow, now: Timestamp) {
        row.begin_update(now, self.inner.options.state_durations.updating);
    }
}
