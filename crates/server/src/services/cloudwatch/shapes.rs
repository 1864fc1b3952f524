//! Periods, statistics, times and metrics, between AWS's shapes and the store's words.

use millstream_api::cloudwatch as api;
use millstream_base::Timestamp;
use millstream_monitoring::{Bucket, Metric, Minute, Unit};
use millstream_wire::{ServiceError, Time};

use super::errors;

/// Periods below a minute that the service takes. What is kept are minutes all the same.
const SHORT_PERIODS: [i32; 5] = [1, 5, 10, 20, 30];

/// One number about a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stat {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    Percentile(f64),
}

impl Stat {
    /// `Average`, or `p99.9`; other statistics are not told here.
    pub(super) fn named(name: &str) -> Option<Stat> {
        Some(match name {
            "SampleCount" => Stat::SampleCount,
            "Average" => Stat::Average,
            "Sum" => Stat::Sum,
            "Minimum" => Stat::Minimum,
            "Maximum" => Stat::Maximum,
            _ => Stat::Percentile(percent(name)?),
        })
    }

    /// `None`: what is known of the period does not tell it.
    pub(super) fn of(self, bucket: &Bucket) -> Option<f64> {
        let set = bucket.set();
        Some(match self {
            Stat::SampleCount => set.sample_count,
            Stat::Average => set.average(),
            Stat::Sum => set.sum,
            Stat::Minimum => set.minimum,
            Stat::Maximum => set.maximum,
            Stat::Percentile(percent) => return bucket.percentile(percent),
        })
    }
}

/// `p0` to `p100`, with up to ten digits after the point.
pub(super) fn percent(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p')?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let short = digits.split_once('.').is_none_or(|(_, fraction)| fraction.len() <= 10);
    let percent: f64 = digits.parse().ok()?;
    (plain && short && percent <= 100.0).then_some(percent)
}

/// Whole minutes of a period.
pub(super) fn period_minutes(period: i32, parameter: &str) -> Result<u32, ServiceError> {
    match u32::try_from(period) {
        Ok(_) if SHORT_PERIODS.contains(&period) => Ok(1),
        Ok(secs) if secs > 0 && secs % 60 == 0 => Ok(secs / 60),
        _ => Err(errors::period(parameter)),
    }
}

/// The minutes from `start` up to `end`: the second is the first one that does not belong.
pub(super) fn minutes(start: Time, end: Time) -> (Minute, Minute) {
    let until = timestamp(end).as_millis().div_ceil(60_000);
    (Minute::of(timestamp(start)), Minute(u32::try_from(until).unwrap_or(u32::MAX)))
}

/// Whole milliseconds; times before the epoch are the epoch.
pub(super) fn timestamp(at: Time) -> Timestamp {
    Timestamp::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

pub(super) fn time(minute: Minute) -> Time {
    Time::from_millis(i64::try_from(minute.start().as_millis()).unwrap_or(i64::MAX))
}

/// Unknown units were refused by validation.
pub(super) fn unit(unit: &api::StandardUnit) -> Unit {
    Unit::named(unit.as_str()).unwrap_or(Unit::NONE)
}

/// A metric by its parts. `at` names the dimensions' parameter.
pub(super) fn metric(
    namespace: &str,
    name: &str,
    dimensions: &[api::Dimension],
    at: &str,
) -> Result<Metric, ServiceError> {
    let metric = Metric::new(namespace, name, dimensions.iter().map(|d| (&*d.name, &*d.value)));
    if metric.dimensions().len() < dimensions.len() {
        let mut seen = std::collections::BTreeSet::new();
        let doubled = dimensions.iter().find(|d| !seen.insert(&d.name));
        return Err(errors::dimension_doubled(at, doubled.map_or("", |d| &d.name)));
    }
    Ok(metric)
}

pub(super) fn metric_shape(metric: &Metric) -> api::Metric {
    let dimension = |(name, value): (&str, &str)| api::Dimension {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    api::Metric {
        namespace: Some(metric.namespace.to_string()),
        metric_name: Some(metric.name.to_string()),
        dimensions: Some(metric.dimensions().map(dimension).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_have_names() {
        for (name, stat) in [
            ("Sum", Some(Stat::Sum)),
            ("p50", Some(Stat::Percentile(50.0))),
            ("p99.999", Some(Stat::Percentile(99.999))),
            ("p100", Some(Stat::Percentile(100.0))),
            ("p100.1", None),
            ("p-1", None),
            ("p", None),
            ("pinf", None),
            ("sum", None),
            ("tm99", None),
        ] {
            assert_eq!(Stat::named(name), stat, "{name}");
        }
    }

    #[test]
    fn periods_are_checked() {
        for (period, minutes) in [(1, Some(1)), (30, Some(1)), (60, Some(1)), (3600, Some(60))] {
            assert_eq!(period_minutes(period, "Period").ok(), minutes, "{period}");
        }
        for period in [0, -60, 2, 59, 61, 90] {
            assert!(period_minutes(period, "Period").is_err(), "{period}");
        }
    }

    #[test]
    fn ends_are_exclusive() {
        let at = Time::from_secs;
        assert_eq!(minutes(at(61), at(120)), (Minute(1), Minute(2)));
        assert_eq!(minutes(at(61), at(121)), (Minute(1), Minute(3)));
        assert_eq!(minutes(at(-5), at(0)), (Minute(0), Minute(0)));
    }
}
