//! GetMetricStatistics: one metric, several statistics.

use std::collections::BTreeMap;

use millstream_api::cloudwatch as api;
use millstream_base::limits::METRIC_STATISTICS_POINTS_MAX;
use millstream_monitoring::{Bucket, Unit, buckets};
use millstream_wire::ServiceError;

use super::shapes::{self, Stat};
use super::{Call, CloudWatch, errors};

impl CloudWatch {
    /// Periods begin at the start, rounded down to a minute; units stand each for itself.
    pub(super) async fn get_metric_statistics(
        &self,
        call: &Call,
        input: api::GetMetricStatisticsInput,
    ) -> Result<api::GetMetricStatisticsOutput, ServiceError> {
        let wanted = Wanted::of(&input)?;
        let minutes = shapes::period_minutes(input.period, "Period")?;
        if input.start_time == input.end_time {
            return Err(errors::times_equal());
        }
        if input.start_time > input.end_time {
            return Err(errors::times_crossed());
        }
        let (from, until) = shapes::minutes(input.start_time, input.end_time);
        let asked = u64::from((until.0 - from.0).div_ceil(minutes));
        if asked > METRIC_STATISTICS_POINTS_MAX {
            return Err(errors::too_many_points(asked));
        }
        let dimensions = input.dimensions.as_deref().unwrap_or_default();
        let metric =
            shapes::metric(&input.namespace, &input.metric_name, dimensions, "Dimensions")?;
        let unit = input.unit.as_ref().map(shapes::unit);
        let scope = &call.caller.scope;
        let series = self.store.read(scope, &metric, unit, from, until).await;
        let datapoints = series.map_err(errors::of_store)?.into_iter().flat_map(|series| {
            let found = buckets(&series.points, from, minutes);
            found.iter().map(|bucket| wanted.datapoint(bucket, series.unit)).collect::<Vec<_>>()
        });
        Ok(api::GetMetricStatisticsOutput {
            datapoints: Some(datapoints.collect()),
            label: Some(input.metric_name),
        })
    }
}

/// The statistics asked for.
struct Wanted {
    plain: Vec<Stat>,
    percentiles: Vec<(String, Stat)>,
}

impl Wanted {
    fn of(input: &api::GetMetricStatisticsInput) -> Result<Wanted, ServiceError> {
        let plain = input.statistics.as_deref().unwrap_or_default();
        let extended = input.extended_statistics.as_deref().unwrap_or_default();
        if plain.is_empty() == extended.is_empty() {
            return Err(match plain.is_empty() {
                true => errors::statistics_missing(),
                false => errors::exclusive("Statistics", "ExtendedStatistics"),
            });
        }
        // Unknown statistics were refused by validation.
        let plain = plain.iter().filter_map(|s| Stat::named(s.as_str())).collect();
        let percentile = |name: &String| match shapes::percent(name) {
            Some(percent) => Ok((name.clone(), Stat::Percentile(percent))),
            None => Err(errors::invalid(name, "ExtendedStatistics")),
        };
        Ok(Wanted {
            plain,
            percentiles: extended.iter().map(percentile).collect::<Result<_, _>>()?,
        })
    }

    fn datapoint(&self, bucket: &Bucket, unit: Unit) -> api::Datapoint {
        let told = |stat: Stat| self.plain.contains(&stat).then(|| stat.of(bucket)).flatten();
        let told_percentile =
            |(name, stat): &(String, Stat)| stat.of(bucket).map(|value| (name.clone(), value));
        let percentiles: BTreeMap<_, _> =
            self.percentiles.iter().filter_map(told_percentile).collect();
        api::Datapoint {
            timestamp: Some(shapes::time(bucket.start)),
            sample_count: told(Stat::SampleCount),
            average: told(Stat::Average),
            sum: told(Stat::Sum),
            minimum: told(Stat::Minimum),
            maximum: told(Stat::Maximum),
            unit: Some(unit.as_str().into()),
            extended_statistics: Some(percentiles).filter(|p| !p.is_empty()),
        }
    }
}
