//! CloudWatch, as far as metrics go: what producers and consumers publish, and questions about it.
//!
//! Each account and region has its own metrics. Alarms, dashboards and metric math are not here.

pub mod errors;
mod get_data;
mod get_statistics;
mod list;
mod put;
mod shapes;

use millstream_api::cloudwatch as api;
use millstream_env::Env;
use millstream_monitoring::Monitoring;
use millstream_wire::ServiceError;

use super::Call;
use crate::access;

/// The service, on its store.
pub struct CloudWatch {
    env: Env,
    store: Monitoring,
}

impl CloudWatch {
    pub fn new(env: Env, store: Monitoring) -> Self {
        CloudWatch { env, store }
    }
}

impl api::CloudWatch for CloudWatch {
    type Ctx = Call;

    async fn authorise(&self, call: &Call, request: api::Request<'_>) -> Result<(), ServiceError> {
        let mut context = access::context();
        let op = match &request {
            api::Request::PutMetricData(input) => {
                context.set_text("cloudwatch:namespace", input.namespace.as_str());
                api::Op::PutMetricData
            }
            api::Request::GetMetricData(_) => api::Op::GetMetricData,
            api::Request::GetMetricStatistics(_) => api::Op::GetMetricStatistics,
            api::Request::ListMetrics(_) => api::Op::ListMetrics,
        };
        access::allowed_operation(call, "cloudwatch", op.name(), "*", context)
            .map_err(errors::access_denied)
    }

    async fn put_metric_data(
        &self,
        call: &Call,
        input: api::PutMetricDataInput,
    ) -> Result<(), ServiceError> {
        CloudWatch::put_metric_data(self, call, input)
    }

    async fn get_metric_data(
        &self,
        call: &Call,
        input: api::GetMetricDataInput,
    ) -> Result<api::GetMetricDataOutput, ServiceError> {
        CloudWatch::get_metric_data(self, call, input).await
    }

    async fn get_metric_statistics(
        &self,
        call: &Call,
        input: api::GetMetricStatisticsInput,
    ) -> Result<api::GetMetricStatisticsOutput, ServiceError> {
        CloudWatch::get_metric_statistics(self, call, input).await
    }

    async fn list_metrics(
        &self,
        call: &Call,
        input: api::ListMetricsInput,
    ) -> Result<api::ListMetricsOutput, ServiceError> {
        CloudWatch::list_metrics(self, call, input)
    }
}
