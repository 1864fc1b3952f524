//! CloudWatch's metrics and CloudTrail's events.

use super::{Form, Group, Service};

pub(super) static CLOUDWATCH: Service = Service {
    prefix: "cloudwatch",
    groups: &[
        Group {
            resource: Form::Any,
            keys: &[],
            operations: &["GetMetricData", "GetMetricStatistics", "ListMetrics"],
        },
        Group {
            resource: Form::Any,
            keys: &["cloudwatch:namespace"],
            operations: &["PutMetricData"],
        },
    ],
    renamed: &[],
    further: &[],
    others: &[],
};

pub(super) static CLOUDTRAIL: Service = Service {
    prefix: "cloudtrail",
    groups: &[Group { resource: Form::Any, keys: &[], operations: &["LookupEvents"] }],
    renamed: &[],
    further: &[],
    others: &[],
};
