//! Queues' figures: what they did since they were last asked, and what they hold.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_base::{QueueArn, Timestamp};
use millstream_monitoring::{Datum, Metric, Point, Unit};
use millstream_streams::QueueCounts;

use super::NAMESPACE;

/// How long a queue that holds nothing and does nothing goes on having points, as on AWS.
const QUIET_TIME: Duration = Duration::from_secs(6 * 3600);

/// What is remembered of each queue between two times.
#[derive(Default)]
pub(super) struct QueueSampler {
    last: BTreeMap<QueueArn, Last>,
}

/// A queue as it was seen last.
struct Last {
    done: [u64; 3],
    /// When it last held or did anything.
    busy_at: Timestamp,
}

impl QueueSampler {
    /// The points of each queue. Queues that are gone are forgotten.
    pub(super) fn sample(
        &mut self,
        queues: Vec<QueueCounts>,
        at: Timestamp,
    ) -> Vec<(QueueArn, Vec<Datum>)> {
        let mut before = std::mem::take(&mut self.last);
        let mut all = Vec::new();
        for counts in queues {
            let done = [counts.received, counts.acknowledged, counts.empty_receives];
            let last = before.remove(&counts.queue);
            let known = last.as_ref().map_or([0; 3], |last| last.done);
            let new: [u64; 3] = std::array::from_fn(|n| done[n].saturating_sub(known[n]));
            let held = [counts.visible, counts.in_flight, counts.visible_dead_letters];
            let busy = new.iter().chain(&held).any(|n| *n > 0);
            let busy_at = match (busy, last) {
                (true, _) => at,
                (false, Some(last)) => last.busy_at,
                (false, None) => Timestamp::ZERO,
            };
            if at.since(busy_at) < QUIET_TIME {
                all.push((counts.queue.clone(), data(&counts, new, held, at)));
            }
            self.last.insert(counts.queue, Last { done, busy_at });
        }
        all
    }
}

fn data(counts: &QueueCounts, new: [u64; 3], held: [u64; 3], at: Timestamp) -> Vec<Datum> {
    let dimensions = [("QueueId", counts.queue.id.as_str()), ("QueueName", counts.name.as_str())];
    let datum = |(name, n): (&str, u64)| Datum {
        metric: Metric::new(NAMESPACE, name, dimensions),
        unit: Unit::COUNT,
        at,
        point: Point::of(n as f64, 1.0),
    };
    let done = ["ReceivedQueueRecords", "AcknowledgedQueueRecords", "EmptyReceives"];
    let holds = ["VisibleQueueRecords", "InFlightQueueRecords", "VisibleDeadLetterQueueRecords"];
    let figures = done.into_iter().zip(new).chain(holds.into_iter().zip(held));
    figures.map(datum).collect()
}

#[cfg(test)]
mod tests {
    use millstream_base::{AccountId, QueueId, Region, Scope, StreamName};

    use super::*;

    fn counts(received: u64, visible: u64) -> QueueCounts {
        let scope = Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap());
        QueueCounts {
            queue: QueueArn { scope, id: QueueId::from_random(7) },
            name: StreamName::new("q").unwrap(),
            received,
            acknowledged: 0,
            empty_receives: 0,
            visible,
            in_flight: 0,
            visible_dead_letters: 0,
        }
    }

    fn sums(all: Vec<(QueueArn, Vec<Datum>)>) -> Vec<f64> {
        all.into_iter().flat_map(|(_, data)| data).map(|d| d.point.set.sum).collect()
    }

    #[test]
    fn totals_become_what_is_new_and_quiet_queues_fall_silent() {
        let mut sampler = QueueSampler::default();
        let hour = |n: u64| Timestamp::from_secs(1_700_000_000 + n * 3600);
        assert!(sampler.sample(vec![counts(0, 0)], hour(0)).is_empty(), "it never did anything");
        let first = sums(sampler.sample(vec![counts(5, 3)], hour(1)));
        assert_eq!(first, [5.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
        let second = sums(sampler.sample(vec![counts(7, 0)], hour(2)));
        assert_eq!(second, [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(sampler.sample(vec![counts(7, 0)], hour(7)).len(), 1);
        assert!(sampler.sample(vec![counts(7, 0)], hour(8)).is_empty());
        assert!(sampler.sample(vec![], hour(9)).is_empty() && sampler.last.is_empty());
    }
}
