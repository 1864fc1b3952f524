//! Points of several minutes as one: what a question with a period longer than a minute wants.

use crate::point::{Minute, Point, StatisticSet};

/// Most different values of one bucket whose percentiles are told.
const BUCKET_VALUES_MAX: usize = 20_000;

/// What is known of one period.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    pub start: Minute,
    point: Point,
}

/// Puts points (by minute) into periods of `minutes`, the first of which begins at `start`. Periods
/// without points are left out, and so are points before `start`.
pub fn buckets(points: &[(Minute, Point)], start: Minute, minutes: u32) -> Vec<Bucket> {
    let minutes = minutes.max(1);
    let mut buckets: Vec<Bucket> = Vec::new();
    for (minute, point) in points.iter().filter(|(minute, _)| *minute >= start) {
        let bucket_start = Minute(minute.0 - (minute.0 - start.0) % minutes);
        match buckets.last_mut().filter(|bucket| bucket.start == bucket_start) {
            Some(bucket) => bucket.point.add_within(point, BUCKET_VALUES_MAX),
            None => buckets.push(Bucket { start: bucket_start, point: point.clone() }),
        }
    }
    buckets
}

impl Bucket {
    pub fn set(&self) -> &StatisticSet {
        &self.point.set
    }

    /// The value below which `percent` (0 to 100) of the samples lie; `None` if single values are
    /// not known, or some are negative (as CloudWatch has it).
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let values = self.values()?;
        let total: f64 = values.iter().map(|(_, count)| count).sum();
        let wanted = total * percent / 100.0;
        let mut below = 0.0;
        for (value, count) in &values {
            below += count;
            if below >= wanted {
                return Some(*value);
            }
        }
        values.last().map(|(value, _)| *value)
    }

    fn values(&self) -> Option<Vec<(f64, f64)>> {
        self.point.values().filter(|values| values.iter().all(|(value, _)| *value >= 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_where_asked() {
        let points: Vec<_> = (7..=12).map(|m| (Minute(m), Point::of(m.into(), 1.0))).collect();
        let found = buckets(&points, Minute(8), 3);
        let shown: Vec<_> = found.iter().map(|b| (b.start.0, b.set().sum)).collect();
        assert_eq!(shown, [(8, 27.0), (11, 23.0)]);
    }

    #[test]
    fn percentiles_come_from_single_values() {
        let points: Vec<_> = (1..=10).map(|m| (Minute(m), Point::of(m.into(), 10.0))).collect();
        let bucket = &buckets(&points, Minute(0), 60)[0];
        for (percent, value) in [(0.0, 1.0), (10.0, 1.0), (50.0, 5.0), (99.0, 10.0), (100.0, 10.0)]
        {
            assert_eq!(bucket.percentile(percent), Some(value), "p{percent}");
        }
    }

    #[test]
    fn percentiles_need_all_values() {
        let set = StatisticSet { sample_count: 2.0, sum: 3.0, minimum: 1.0, maximum: 2.0 };
        let points = [(Minute(1), Point::of(1.0, 1.0)), (Minute(1), Point::summary(set))];
        assert_eq!(buckets(&points, Minute(0), 60)[0].percentile(50.0), None);
        let negative = [(Minute(1), Point::of(-1.0, 1.0))];
        assert_eq!(buckets(&negative, Minute(0), 60)[0].percentile(50.0), None);
    }
}
