//! ListMetrics: names, in pages.

use std::time::Duration;

use millstream_api::cloudwatch as api;
use millstream_base::limits::LIST_METRICS_MAX;
use millstream_monitoring::Metric;
use millstream_wire::{ServiceError, uri};

use super::{Call, CloudWatch, errors, shapes};

/// The only bound of activity that can be asked for.
const RECENT: Duration = Duration::from_secs(3 * 3600);

impl CloudWatch {
    pub(super) fn list_metrics(
        &self,
        call: &Call,
        input: api::ListMetricsInput,
    ) -> Result<api::ListMetricsOutput, ServiceError> {
        let after = match input.next_token.as_deref() {
            None => None,
            Some(token) => Some(read_token(token).ok_or_else(errors::list_token)?),
        };
        let scope = &call.caller.scope;
        let foreign =
            input.owning_account.as_deref().is_some_and(|owner| owner != scope.account.as_str());
        let limit = LIST_METRICS_MAX;
        let active = input.recently_active.as_ref().map(|_| RECENT);
        let keep = |metric: &Metric| !foreign && matches(metric, &input);
        let listed = self.store.list(scope, after.as_ref(), limit + 1, active, keep);
        let more = listed.len() > limit;
        let next_token = more.then(|| token(&listed[limit - 1].metric));
        let metrics: Vec<_> =
            listed.iter().take(limit).map(|l| shapes::metric_shape(&l.metric)).collect();
        let owners = input.include_linked_accounts == Some(true);
        Ok(api::ListMetricsOutput {
            owning_accounts: owners
                .then(|| metrics.iter().map(|_| scope.account.as_str().to_owned()).collect()),
            metrics: Some(metrics),
            next_token,
        })
    }
}

fn matches(metric: &Metric, input: &api::ListMetricsInput) -> bool {
    let is = |asked: &Option<String>, found: &str| asked.as_deref().is_none_or(|a| a == found);
    is(&input.namespace, &metric.namespace)
        && is(&input.metric_name, &metric.name)
        && input.dimensions.iter().flatten().all(|filter| {
            let fits =
                |(name, value): (&str, &str)| name == filter.name && is(&filter.value, value);
            metric.dimensions().any(fits)
        })
}

/// The last metric of a page: its parts, none of which can hold a bare `&`.
fn token(metric: &Metric) -> String {
    let dimensions = metric.dimensions().flat_map(|(name, value)| [name, value]);
    let parts = [&*metric.namespace, &*metric.name].into_iter().chain(dimensions);
    let text = parts.map(|part| uri::encode(part, "")).collect::<Vec<_>>().join("&");
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(text)
}

fn read_token(token: &str) -> Option<Metric> {
    let text = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).ok()?;
    let parts: Vec<String> = std::str::from_utf8(&text).ok()?.split('&').map(uri::decode).collect();
    let (names, dimensions) = parts.split_at_checked(2)?;
    let pairs =
        dimensions.chunks(2).map(|pair| Some((pair.first()?.as_str(), pair.get(1)?.as_str())));
    Some(Metric::new(&names[0], &names[1], pairs.collect::<Option<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_whatever_the_names_hold() {
        for metric in
            [Metric::new("N", "m", []), Metric::new("N&/ ", "m=%", [("a&", ""), ("ä", "\u{1}")])]
        {
            assert_eq!(read_token(&token(&metric)), Some(metric));
        }
        for broken in ["", "!", "YQ", "YSZiJmM"] {
            assert_eq!(read_token(broken), None, "{broken}");
        }
    }
}
