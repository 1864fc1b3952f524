//! Points in memory, by series and minute.

use std::collections::BTreeMap;

use crate::catalogue::SeriesId;
use crate::point::{Minute, Point};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Points {
    by_series: BTreeMap<SeriesId, BTreeMap<Minute, Point>>,
    len: usize,
}

impl Points {
    pub(crate) fn add(&mut self, series: SeriesId, minute: Minute, point: &Point) {
        use std::collections::btree_map::Entry;
        match self.by_series.entry(series).or_default().entry(minute) {
            Entry::Occupied(known) => known.into_mut().add(point),
            Entry::Vacant(free) => {
                free.insert(point.clone());
                self.len += 1;
            }
        }
    }

    pub(crate) fn add_all(&mut self, other: Points) {
        for (series, minute, point) in other.iter() {
            self.add(series, minute, point);
        }
    }

    /// Takes the first point out.
    pub(crate) fn pop_first(&mut self) -> Option<(SeriesId, Minute, Point)> {
        let mut series = self.by_series.first_entry()?;
        let (minute, point) = series.get_mut().pop_first().expect("a series here has points");
        let id = *series.key();
        if series.get().is_empty() {
            series.remove();
        }
        self.len -= 1;
        Some((id, minute, point))
    }

    /// How many points.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn has(&self, series: SeriesId) -> bool {
        self.by_series.contains_key(&series)
    }

    /// The newest minute of a series.
    pub(crate) fn newest(&self, series: SeriesId) -> Option<Minute> {
        self.by_series.get(&series)?.keys().next_back().copied()
    }

    /// The points of one series, by minute.
    pub(crate) fn of(&self, series: SeriesId) -> impl Iterator<Item = (Minute, &Point)> {
        self.by_series.get(&series).into_iter().flatten().map(|(minute, point)| (*minute, point))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SeriesId, Minute, &Point)> {
        self.by_series
            .iter()
            .flat_map(|(series, points)| points.iter().map(|(m, p)| (*series, *m, p)))
    }

    /// The series that have points.
    pub(crate) fn series(&self) -> impl Iterator<Item = SeriesId> {
        self.by_series.keys().copied()
    }
}
