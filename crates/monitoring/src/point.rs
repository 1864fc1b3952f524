//! What is known of one minute of a series.

use std::time::Duration;

use millstream_base::Timestamp;
use millstream_base::limits::METRIC_VALUES_MAX;

/// A minute: whole minutes since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute in which `at` lies; stops at the last one that can be written.
    pub fn of(at: Timestamp) -> Self {
        Minute(u32::try_from(at.as_secs() / 60).unwrap_or(u32::MAX))
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_secs(u64::from(self.0) * 60)
    }

    /// Whole minutes of `d`, rounded up.
    pub fn count(d: Duration) -> u32 {
        u32::try_from(d.as_secs().div_ceil(60)).unwrap_or(u32::MAX)
    }

    pub fn minus(self, minutes: u32) -> Self {
        Minute(self.0.saturating_sub(minutes))
    }
}

/// Samples, summed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatisticSet {
    pub sample_count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

impl StatisticSet {
    /// `count` samples of one value.
    pub fn of(value: f64, count: f64) -> Self {
        StatisticSet { sample_count: count, sum: value * count, minimum: value, maximum: value }
    }

    pub fn average(&self) -> f64 {
        self.sum / self.sample_count
    }

    pub fn add(&mut self, other: &StatisticSet) {
        self.sample_count += other.sample_count;
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
    }
}

/// Samples of one time, and their single values as far as those are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub set: StatisticSet,
    /// Each value and how often it was measured, by value. Empty: all are the set's minimum, or,
    /// where that isn't its maximum, nobody knows.
    values: Vec<(f64, f64)>,
}

impl Point {
    /// Samples of which only the summary is known.
    pub fn summary(set: StatisticSet) -> Self {
        Point { set, values: Vec::new() }
    }

    /// `count` samples of one value.
    pub fn of(value: f64, count: f64) -> Self {
        Point::summary(StatisticSet::of(value, count))
    }

    /// A point as it was written.
    pub(crate) fn from_parts(set: StatisticSet, values: Vec<(f64, f64)>) -> Self {
        Point { set, values }
    }

    pub(crate) fn parts(&self) -> (&StatisticSet, &[(f64, f64)]) {
        (&self.set, &self.values)
    }

    /// The single values by value, each with its count; `None` if they aren't known.
    pub fn values(&self) -> Option<Vec<(f64, f64)>> {
        match self.values.is_empty() {
            false => Some(self.values.clone()),
            true if self.set.minimum == self.set.maximum => {
                Some(vec![(self.set.minimum, self.set.sample_count)])
            }
            true => None,
        }
    }

    /// Takes in the samples of `other`. Beyond [`METRIC_VALUES_MAX`] different values only the
    /// summary is kept.
    pub fn add(&mut self, other: &Point) {
        self.add_within(other, METRIC_VALUES_MAX);
    }

    pub(crate) fn add_within(&mut self, other: &Point, values_max: usize) {
        self.values = match (self.values(), other.values()) {
            (Some(mine), Some(theirs)) => merged(mine, &theirs),
            _ => Vec::new(),
        };
        if self.values.len() > values_max {
            self.values = Vec::new();
        }
        self.set.add(&other.set);
        if self.set.minimum == self.set.maximum {
            self.values = Vec::new(); // said by the set
        }
    }
}

/// Both, by value.
fn merged(mine: Vec<(f64, f64)>, theirs: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut all = mine;
    for &(value, count) in theirs {
        match all.binary_search_by(|(known, _)| known.total_cmp(&value)) {
            Ok(at) => all[at].1 += count,
            Err(at) => all.insert(at, (value, count)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_add_up_and_keep_their_values() {
        let mut point = Point::of(3.0, 1.0);
        point.add(&Point::of(1.0, 2.0));
        point.add(&Point::of(3.0, 1.0));
        let set = StatisticSet { sample_count: 4.0, sum: 8.0, minimum: 1.0, maximum: 3.0 };
        assert_eq!(point.set, set);
        assert_eq!(point.values(), Some(vec![(1.0, 2.0), (3.0, 2.0)]));
        assert_eq!(point.set.average(), 2.0);
    }

    #[test]
    fn a_summary_hides_values_for_good() {
        let mut point = Point::summary(StatisticSet {
            sample_count: 2.0,
            sum: 3.0,
            minimum: 1.0,
            maximum: 2.0,
        });
        point.add(&Point::of(5.0, 1.0));
        assert_eq!(point.values(), None);
        assert_eq!(point.set.maximum, 5.0);
    }

    #[test]
    fn too_many_values_become_a_summary() {
        let mut point = Point::of(0.0, 1.0);
        for n in 1..=METRIC_VALUES_MAX {
            point.add(&Point::of(n as f64, 1.0));
        }
        assert_eq!(point.values(), None);
        assert_eq!(point.set.sample_count, (METRIC_VALUES_MAX + 1) as f64);
    }

    #[test]
    fn minutes_have_their_beginnings() {
        let minute = Minute::of(Timestamp::from_millis(119_999));
        assert_eq!((minute, minute.start()), (Minute(1), Timestamp::from_secs(60)));
        assert_eq!(Minute::count(Duration::from_secs(61)), 2);
        assert_eq!(Minute::of(Timestamp::MAX), Minute(u32::MAX));
    }
}
