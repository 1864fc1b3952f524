//! PutMetricData: all data of a call are taken in, or none.

use millstream_api::cloudwatch as api;
use millstream_base::Timestamp;
use millstream_base::limits::{
    METRIC_DATUM_VALUES_MAX, METRIC_FUTURE_MAX, METRIC_PAST_MAX, METRIC_VALUE_MAX,
    PUT_METRIC_DATA_COUNT_MAX,
};
use millstream_monitoring::{Datum, Point, StatisticSet, Unit};
use millstream_wire::ServiceError;

use super::{Call, CloudWatch, errors, shapes};

/// Namespaces of AWS's own services, whose metrics nobody else may publish.
const RESERVED: &str = "AWS/";

impl CloudWatch {
    pub(super) fn put_metric_data(
        &self,
        call: &Call,
        input: api::PutMetricDataInput,
    ) -> Result<(), ServiceError> {
        let namespace = &input.namespace;
        if namespace.starts_with(RESERVED) || !is_namespace(namespace) {
            return Err(errors::invalid(namespace, "Namespace"));
        }
        let alone = input.metric_data.unwrap_or_default();
        let entities = input.entity_metric_data.unwrap_or_default();
        let given = alone.len()
            + entities.iter().filter_map(|e| e.metric_data.as_ref()).map(Vec::len).sum::<usize>();
        if given == 0 {
            return Err(errors::missing("MetricData"));
        }
        if given > PUT_METRIC_DATA_COUNT_MAX {
            return Err(errors::too_many("MetricData", PUT_METRIC_DATA_COUNT_MAX));
        }
        let now = self.env.now();
        let mut data = Vec::with_capacity(given);
        for (at, datum) in (1..).zip(&alone) {
            add(&mut data, namespace, datum, now, &format!("MetricData.member.{at}"))?;
        }
        for (e, entity) in (1..).zip(&entities) {
            for (at, datum) in (1..).zip(entity.metric_data.iter().flatten()) {
                let path = format!("EntityMetricData.member.{e}.MetricData.member.{at}");
                add(&mut data, namespace, datum, now, &path)?;
            }
        }
        self.store.record(&call.caller.scope, &data).map_err(errors::of_store)
    }
}

/// Source: API reference, PutMetricData: valid characters of a namespace.
fn is_namespace(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#: ".contains(&b))
}

/// One datum, as one or, with several values, as several.
fn add(
    data: &mut Vec<Datum>,
    namespace: &str,
    datum: &api::MetricDatum,
    now: Timestamp,
    path: &str,
) -> Result<(), ServiceError> {
    let metric = shapes::metric(
        namespace,
        &datum.metric_name,
        datum.dimensions.as_deref().unwrap_or_default(),
        path,
    )?;
    let at = datum.timestamp.map_or(now, shapes::timestamp);
    if at < now.minus(METRIC_PAST_MAX) || at > now.plus(METRIC_FUTURE_MAX) {
        return Err(errors::time_out_of_bounds(path));
    }
    if datum.storage_resolution.is_some_and(|seconds| seconds != 1 && seconds != 60) {
        return Err(errors::resolution(path));
    }
    let unit = datum.unit.as_ref().map_or(Unit::NONE, shapes::unit);
    let point = point(datum, path)?;
    data.push(Datum { metric, unit, at, point });
    Ok(())
}

fn point(datum: &api::MetricDatum, path: &str) -> Result<Point, ServiceError> {
    let values = datum.values.as_deref().filter(|values| !values.is_empty());
    let (value, set) = (datum.value, &datum.statistic_values);
    for (one, name, other, other_name) in [
        (value.is_some(), "Value", values.is_some(), "Values"),
        (value.is_some(), "Value", set.is_some(), "StatisticValues"),
        (values.is_some(), "Values", set.is_some(), "StatisticValues"),
    ] {
        if one && other {
            let [one, other] = [name, other_name].map(|name| format!("{path}.{name}"));
            return Err(errors::exclusive(one, other));
        }
    }
    if let Some(value) = value {
        return Ok(Point::of(checked(value, path, "Value")?, 1.0));
    }
    if let Some(set) = set {
        return summary(set, path);
    }
    values.ok_or_else(|| errors::no_value(path)).and_then(|values| {
        let counts = datum.counts.as_deref().unwrap_or_default();
        each(values, counts, path)
    })
}

fn summary(set: &api::StatisticSet, path: &str) -> Result<Point, ServiceError> {
    for (value, name) in [
        (set.sum, "StatisticValues.Sum"),
        (set.minimum, "StatisticValues.Minimum"),
        (set.maximum, "StatisticValues.Maximum"),
    ] {
        checked(value, path, name)?;
    }
    count(set.sample_count, path, "StatisticValues.SampleCount")?;
    if set.maximum < set.minimum {
        return Err(errors::extremes_crossed(path));
    }
    Ok(Point::summary(StatisticSet {
        sample_count: set.sample_count,
        sum: set.sum,
        minimum: set.minimum,
        maximum: set.maximum,
    }))
}

fn each(values: &[f64], counts: &[f64], path: &str) -> Result<Point, ServiceError> {
    if values.len() > METRIC_DATUM_VALUES_MAX {
        return Err(errors::too_many(format!("{path}.Values"), METRIC_DATUM_VALUES_MAX));
    }
    if !counts.is_empty() && counts.len() != values.len() {
        return Err(errors::counts_differ(path));
    }
    let counts = counts.iter().copied().chain(std::iter::repeat(1.0));
    let mut whole: Option<Point> = None;
    for (value, times) in values.iter().zip(counts) {
        let value = checked(*value, path, "Values")?;
        let one = Point::of(value, count(times, path, "Counts")?);
        match &mut whole {
            Some(whole) => whole.add(&one),
            None => whole = Some(one),
        }
    }
    whole.ok_or_else(|| errors::no_value(path))
}

fn checked(value: f64, path: &str, name: &str) -> Result<f64, ServiceError> {
    match value.abs() <= METRIC_VALUE_MAX {
        true => Ok(value),
        false => Err(errors::invalid(value, format!("{path}.{name}"))),
    }
}

fn count(count: f64, path: &str, name: &str) -> Result<f64, ServiceError> {
    match count > 0.0 && count <= METRIC_VALUE_MAX {
        true => Ok(count),
        false => Err(errors::invalid(count, format!("{path}.{name}"))),
    }
}
