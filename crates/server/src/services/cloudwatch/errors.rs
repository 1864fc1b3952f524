//! Every sentence that a client of CloudWatch can read, and which error carries it.
//!
//! The words are AWS's where AWS's are known from reports of its users, and ours where they are not,
//! marked so. GetMetricData says `ValidationError` where the older operations say
//! `InvalidParameterValue` or `InvalidParameterCombination`.

use std::fmt::Display;

use millstream_api::cloudwatch::errors as model;
use millstream_base::limits::METRIC_STATISTICS_POINTS_MAX;
use millstream_monitoring::Error;
use millstream_wire::ServiceError;

/// The code of GetMetricData's refusals.
fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationError", 400, message)
}

/// What a client reads when the store fails.
pub fn of_store(error: Error) -> ServiceError {
    match error {
        // Ours: AWS keeps as many metrics as one pays for.
        Error::TooManySeries { max } => {
            ServiceError::new("LimitExceeded", 400, format!("{max} metrics are kept already."))
        }
        Error::Overloaded { .. } => ServiceError::new("Throttling", 400, "Rate exceeded"),
        error => {
            tracing::warn!(%error, "metrics can't be read");
            model::internal_service_fault("The request processing has failed.")
        }
    }
}

/// The sentence is that of the decision.
pub fn access_denied(sentence: String) -> ServiceError {
    ServiceError::new("AccessDenied", 403, sentence)
}

// PutMetricData.

pub fn missing(parameter: impl Display) -> ServiceError {
    model::missing_required_parameter(format!("The parameter {parameter} is required."))
}

pub fn invalid(value: impl Display, parameter: impl Display) -> ServiceError {
    let sentence = format!("The value {value} for parameter {parameter} is invalid.");
    model::invalid_parameter_value(sentence)
}

pub fn too_many(collection: impl Display, max: usize) -> ServiceError {
    let sentence = format!("The collection {collection} must not have a size greater than {max}.");
    model::invalid_parameter_value(sentence)
}

pub fn exclusive(one: impl Display, other: impl Display) -> ServiceError {
    model::invalid_parameter_combination(format!(
        "The parameters {one} and {other} are mutually exclusive and you have specified both."
    ))
}

pub fn no_value(datum: &str) -> ServiceError {
    model::invalid_parameter_combination(format!(
        "At least one of the parameters {datum}.Value and {datum}.StatisticValues must be specified."
    ))
}

pub fn counts_differ(datum: &str) -> ServiceError {
    model::invalid_parameter_value(format!(
        "The parameters {datum}.Values and {datum}.Counts must be of the same size."
    ))
}

/// Ours.
pub fn extremes_crossed(datum: &str) -> ServiceError {
    model::invalid_parameter_value(format!(
        "The parameter {datum}.StatisticValues.Maximum must be greater than \
         {datum}.StatisticValues.Minimum."
    ))
}

/// Ours.
pub fn time_out_of_bounds(datum: &str) -> ServiceError {
    model::invalid_parameter_value(format!(
        "The parameter {datum}.Timestamp must specify a time no more than two weeks in the past and \
         no more than two hours in the future."
    ))
}

/// Ours.
pub fn dimension_doubled(datum: &str, name: &str) -> ServiceError {
    let sentence = format!("The dimension {name} is given more than once in {datum}.Dimensions.");
    model::invalid_parameter_value(sentence)
}

/// Ours.
pub fn resolution(datum: &str) -> ServiceError {
    let sentence = format!("The parameter {datum}.StorageResolution must be 1 or 60.");
    model::invalid_parameter_value(sentence)
}

// GetMetricStatistics.

pub fn statistics_missing() -> ServiceError {
    model::invalid_parameter_combination("Must specify either Statistics or ExtendedStatistics")
}

pub fn times_crossed() -> ServiceError {
    model::invalid_parameter_value(
        "The parameter StartTime must be less than the parameter EndTime.",
    )
}

pub fn times_equal() -> ServiceError {
    model::invalid_parameter_value("The parameter StartTime must not equal parameter EndTime.")
}

pub fn too_many_points(asked: u64) -> ServiceError {
    model::invalid_parameter_combination(format!(
        "You have requested up to {} datapoints, which exceeds the limit of {}. You may reduce the \
         datapoints requested by increasing Period, or decreasing the time range.",
        grouped(asked),
        grouped(METRIC_STATISTICS_POINTS_MAX)
    ))
}

/// Ours.
pub fn period(parameter: &str) -> ServiceError {
    let sentence =
        format!("The parameter {parameter} must be 1, 5, 10, 20, 30 or a multiple of 60.");
    model::invalid_parameter_value(sentence)
}

// GetMetricData.

/// The refusal of an older operation, as GetMetricData has it.
pub fn in_data(error: ServiceError) -> ServiceError {
    validation(error.message.unwrap_or_default())
}

pub fn ids_doubled() -> ServiceError {
    validation("The values for parameter id in MetricDataQueries are not unique.")
}

/// Ours.
pub fn id_invalid(query: &str, id: &str) -> ServiceError {
    validation(format!(
        "The value {id} for parameter {query}.Id is not matching the expected pattern \
         ^[a-z][a-zA-Z0-9_]*$."
    ))
}

pub fn nothing_asked() -> ServiceError {
    validation("Each MetricDataQuery must specify Expression or MetricStat.")
}

/// Ours: metric math is not here.
pub fn no_math(query: &str) -> ServiceError {
    validation(format!("{query}.Expression: metric math and queries are not supported here."))
}

/// Ours.
pub fn nothing_returned() -> ServiceError {
    validation("At least one MetricDataQuery must have ReturnData set to true.")
}

pub fn next_token() -> ServiceError {
    model::invalid_next_token("Request parameter NextToken is invalid")
}

/// The same, of ListMetrics, whose model has no error of its own for it.
pub fn list_token() -> ServiceError {
    model::invalid_parameter_value("Request parameter NextToken is invalid")
}

/// `1440` is `1,440`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1440, "1,440"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
    }
}
