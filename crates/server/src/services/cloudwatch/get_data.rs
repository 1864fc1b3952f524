//! GetMetricData: many metrics, one statistic each, in pages.
//!
//! A page goes on where the last one ended: at a query, and at a time within it.

use std::collections::BTreeSet;

use millstream_api::cloudwatch as api;
use millstream_base::limits::{GET_METRIC_DATA_POINTS_MAX, GET_METRIC_DATA_QUERIES_MAX};
use millstream_monitoring::{Metric, Minute, Unit, buckets};
use millstream_wire::ServiceError;

use super::shapes::{self, Stat};
use super::{Call, CloudWatch, errors};

/// One query, checked.
struct Query {
    id: String,
    label: String,
    metric: Metric,
    unit: Option<Unit>,
    stat: Stat,
    minutes: u32,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Place {
    query: usize,
    /// The last period of this query that was told already.
    after: Option<Minute>,
}

impl CloudWatch {
    /// Periods begin at multiples of their length; units are taken together.
    pub(super) async fn get_metric_data(
        &self,
        call: &Call,
        input: api::GetMetricDataInput,
    ) -> Result<api::GetMetricDataOutput, ServiceError> {
        let queries = checked(&input)?;
        if input.start_time == input.end_time {
            return Err(errors::in_data(errors::times_equal()));
        }
        if input.start_time > input.end_time {
            return Err(errors::in_data(errors::times_crossed()));
        }
        let range = shapes::minutes(input.start_time, input.end_time);
        let descending = input.scan_by != Some(api::ScanBy::TimestampAscending);
        let mut place = match input.next_token.as_deref() {
            None => Place::default(),
            Some(token) => Place::read(token).ok_or_else(errors::next_token)?,
        };
        let asked = input.max_datapoints.and_then(|n| usize::try_from(n).ok());
        let mut left =
            asked.unwrap_or(GET_METRIC_DATA_POINTS_MAX).clamp(1, GET_METRIC_DATA_POINTS_MAX);
        let mut results = Vec::new();
        while let Some(query) = queries.get(place.query) {
            if left == 0 {
                break;
            }
            let mut values = self.values(call, query, range, descending).await?;
            if let Some(after) = place.after {
                values.retain(|(at, _)| if descending { *at < after } else { *at > after });
            }
            let partial = values.len() > left;
            values.truncate(left);
            left -= values.len();
            let last = values.last().map(|(at, _)| *at);
            results.push(result(query, values, partial));
            place = match partial {
                true => Place { query: place.query, after: last },
                false => Place { query: place.query + 1, after: None },
            };
            if partial {
                break;
            }
        }
        let more = place.query < queries.len();
        Ok(api::GetMetricDataOutput {
            metric_data_results: Some(results),
            next_token: more.then(|| place.write()),
            messages: Some(Vec::new()),
        })
    }

    /// What a query has to tell, in the order asked for.
    async fn values(
        &self,
        call: &Call,
        query: &Query,
        (from, until): (Minute, Minute),
        descending: bool,
    ) -> Result<Vec<(Minute, f64)>, ServiceError> {
        let scope = &call.caller.scope;
        let start = Minute(from.0 - from.0 % query.minutes);
        let series = self.store.read(scope, &query.metric, query.unit, start, until).await;
        let mut points: Vec<_> =
            series.map_err(errors::of_store)?.into_iter().flat_map(|s| s.points).collect();
        points.sort_by_key(|(minute, _)| *minute); // of several units
        let found = buckets(&points, start, query.minutes);
        let mut values: Vec<_> =
            found.iter().filter_map(|b| Some((b.start, query.stat.of(b)?))).collect();
        if descending {
            values.reverse();
        }
        Ok(values)
    }
}

fn result(query: &Query, values: Vec<(Minute, f64)>, partial: bool) -> api::MetricDataResult {
    let status = if partial { api::StatusCode::PartialData } else { api::StatusCode::Complete };
    let (timestamps, values) =
        values.into_iter().map(|(at, value)| (shapes::time(at), value)).unzip();
    api::MetricDataResult {
        id: Some(query.id.clone()),
        label: Some(query.label.clone()),
        timestamps: Some(timestamps),
        values: Some(values),
        status_code: Some(status),
        messages: None,
    }
}

/// The queries whose results are wanted.
fn checked(input: &api::GetMetricDataInput) -> Result<Vec<Query>, ServiceError> {
    let given = &input.metric_data_queries;
    if given.is_empty() {
        return Err(errors::in_data(errors::missing("MetricDataQueries")));
    }
    if given.len() > GET_METRIC_DATA_QUERIES_MAX {
        let error = errors::too_many("MetricDataQueries", GET_METRIC_DATA_QUERIES_MAX);
        return Err(errors::in_data(error));
    }
    let mut ids = BTreeSet::new();
    let mut queries = Vec::new();
    for (at, query) in (1..).zip(given) {
        let path = format!("MetricDataQueries.member.{at}");
        if !is_id(&query.id) {
            return Err(errors::id_invalid(&path, &query.id));
        }
        if !ids.insert(&query.id) {
            return Err(errors::ids_doubled());
        }
        let checked = self::query(query, &path)?;
        if query.return_data != Some(false) {
            queries.push(checked);
        }
    }
    if queries.is_empty() {
        return Err(errors::nothing_returned());
    }
    Ok(queries)
}

fn query(query: &api::MetricDataQuery, path: &str) -> Result<Query, ServiceError> {
    let both = |one: &str, other: &str| {
        errors::in_data(errors::exclusive(format!("{path}.{one}"), format!("{path}.{other}")))
    };
    let stat = match (&query.metric_stat, &query.expression) {
        (Some(_), Some(_)) => return Err(both("Expression", "MetricStat")),
        (None, None) => return Err(errors::nothing_asked()),
        (None, Some(_)) => return Err(errors::no_math(path)),
        (Some(_), None) if query.period.is_some() => return Err(both("Period", "MetricStat")),
        (Some(stat), None) => stat,
    };
    let path = format!("{path}.MetricStat");
    let missing = |name: &str| errors::in_data(errors::missing(format!("{path}.Metric.{name}")));
    let namespace = stat.metric.namespace.as_deref().ok_or_else(|| missing("Namespace"))?;
    let name = stat.metric.metric_name.as_deref().ok_or_else(|| missing("MetricName"))?;
    let dimensions = stat.metric.dimensions.as_deref().unwrap_or_default();
    let metric = shapes::metric(namespace, name, dimensions, &path).map_err(errors::in_data)?;
    let minutes = shapes::period_minutes(stat.period, &format!("{path}.Period"));
    let known = Stat::named(&stat.stat);
    let unknown = || errors::in_data(errors::invalid(&stat.stat, format!("{path}.Stat")));
    Ok(Query {
        id: query.id.clone(),
        label: query.label.clone().unwrap_or_else(|| name.to_owned()),
        metric,
        unit: stat.unit.as_ref().map(shapes::unit),
        stat: known.ok_or_else(unknown)?,
        minutes: minutes.map_err(errors::in_data)?,
    })
}

/// Source: API reference, MetricDataQuery Id.
fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Place {
    fn write(self) -> String {
        let after = self.after.map(|minute| minute.0.to_string()).unwrap_or_default();
        let text = format!("{}.{after}", self.query);
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(text)
    }

    fn read(token: &str) -> Option<Place> {
        let text = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (query, after) = text.split_once('.')?;
        let after = match after {
            "" => None,
            minute => Some(Minute(minute.parse().ok()?)),
        };
        Some(Place { query: query.parse().ok()?, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        for place in [Place::default(), Place { query: 499, after: Some(Minute(7)) }] {
            assert_eq!(Place::read(&place.write()), Some(place));
        }
        for token in ["", "x", "MS4x!", "Ljc"] {
            assert_eq!(Place::read(token), None, "{token}");
        }
    }
}
