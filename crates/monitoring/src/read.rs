//! Questions: which metrics there are, and what was measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::limits::METRIC_FUTURE_MAX;
use millstream_base::{Scope, Timestamp};
use millstream_log::{LogError, Position};

use crate::block::BlockReader;
use crate::catalogue::SeriesId;
use crate::engine::{Inner, Monitoring, State};
use crate::error::Result;
use crate::layout::{At, read_log};
use crate::metric::{Metric, Unit};
use crate::point::{Minute, Point};

/// The points of a metric in one unit, by minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub unit: Unit,
    pub points: Vec<(Minute, Point)>,
}

/// A metric in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub metric: Arc<Metric>,
}

impl Monitoring {
    /// What was measured from `from` on and before `until`, in `unit` or in all units; units in
    /// which nothing was measured then are left out.
    ///
    /// # Errors
    /// A store does not answer, or what it holds is damaged.
    pub async fn read(
        &self,
        scope: &Scope,
        metric: &Metric,
        unit: Option<Unit>,
        from: Minute,
        until: Minute,
    ) -> Result<Vec<Series>> {
        let from = from.max(self.inner.horizon());
        let units = self.inner.state.lock().catalogue.units(scope, metric);
        let mut found = Vec::new();
        for (of_series, id) in units.into_iter().filter(|(u, _)| unit.is_none_or(|unit| unit == *u))
        {
            let points = self.inner.read_series(id, from, until).await?;
            if !points.is_empty() {
                found.push(Series { unit: of_series, points });
            }
        }
        Ok(found)
    }

    /// Up to `limit` metrics after `after`, in order, that `keep` wants. With `active` only those
    /// that something was recorded of within that time.
    pub fn list(
        &self,
        scope: &Scope,
        after: Option<&Metric>,
        limit: usize,
        active: Option<Duration>,
        keep: impl Fn(&Metric) -> bool,
    ) -> Vec<Listed> {
        let since = active.map(|active| self.inner.env.now().minus(active));
        let state = self.inner.state.lock();
        let mut listed = Vec::new();
        for (metric, mut series) in state.catalogue.metrics(scope, after) {
            let active =
                |id| since.is_none_or(|since| self.inner.last_recorded(&state, id) >= since);
            if keep(metric) && series.any(active) {
                listed.push(Listed { metric: metric.clone() });
                if listed.len() == limit {
                    break;
                }
            }
        }
        listed
    }
}

impl Inner {
    async fn read_series(
        &self,
        id: SeriesId,
        from: Minute,
        until: Minute,
    ) -> Result<Vec<(Minute, Point)>> {
        let range = from..until;
        let mut points = BTreeMap::new();
        // What is in memory now is in no block that was made from the journal before `settled`,
        // and what is not in memory is in one.
        let settled = {
            let state = self.state.lock();
            let settling = state.settling.iter().flat_map(|points| points.of(id));
            for (minute, point) in state.unsettled.of(id).chain(settling) {
                if range.contains(&minute) {
                    add(&mut points, minute, point.clone());
                }
            }
            state.settled
        };
        let log = self.log_of(id.0);
        let earliest = from.start().minus(METRIC_FUTURE_MAX);
        let at = match self.log.tail(log) {
            Ok(_) => self.log.find(log, earliest).await?,
            Err(LogError::NotFound { .. }) => return Ok(points.into_iter().collect()),
            Err(error) => return Err(error.into()),
        };
        // Parts of blocks come in order; what is not after the last one was written a second time.
        let mut before: Option<(Position, u32)> = None;
        read_log(&*self.log, log, at, Position::END, |entry| {
            let made_from = At::of_key(&entry.key)?;
            let part = Some((made_from, entry.attributes));
            if made_from >= settled || part <= before {
                return Ok(());
            }
            before = part;
            let mut block = BlockReader::new(&entry.value)?;
            while let Some((minute, point)) = block.next()? {
                if range.contains(&minute) {
                    add(&mut points, minute, point);
                }
            }
            Ok(())
        })
        .await?;
        Ok(points.into_iter().collect())
    }

    /// When something was last recorded of a series, at least.
    pub(crate) fn last_recorded(&self, state: &State, id: SeriesId) -> Timestamp {
        let settling = state.settling.as_ref().and_then(|points| points.newest(id));
        match state.unsettled.newest(id).max(settling) {
            Some(minute) => minute.start(),
            None => {
                self.log.tail(self.log_of(id.0)).map_or(Timestamp::ZERO, |t| t.borrow().last_at)
            }
        }
    }
}

fn add(points: &mut BTreeMap<Minute, Point>, minute: Minute, point: Point) {
    use std::collections::btree_map::Entry;
    match points.entry(minute) {
        Entry::Occupied(known) => known.into_mut().add(&point),
        Entry::Vacant(free) => drop(free.insert(point)),
    }
}
