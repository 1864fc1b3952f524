//! The store on the stores that a node has: what is recorded is told, over flushes, blocks and
//! restarts, and forgotten in time.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_base::{AccountId, Region, Scope, Timestamp};
use millstream_env::{Clock, Env};
use millstream_log::{EmbeddedLog, LogId, LogStore};
use millstream_meta::RedbMeta;
use millstream_monitoring::{Datum, Error, Metric, Minute, Monitoring, Options, Point, Unit};

/// A clock that stands until it is moved.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

const START: u64 = 1_700_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

struct Node {
    clock: Arc<HandClock>,
    log: EmbeddedLog,
    meta: Arc<RedbMeta>,
    monitoring: Monitoring,
}

impl Node {
    async fn start(dir: &Path, clock: Arc<HandClock>, options: Options) -> Node {
        let env = Env { clock: clock.clone(), ..Env::real(dir) };
        let opened = EmbeddedLog::open(env.clone(), millstream_log::Options::tiny()).await;
        let (log, _) = opened.unwrap();
        let meta = RedbMeta::open(env.clone(), Path::new("meta/meta.redb")).await.unwrap();
        let meta = Arc::new(meta);
        let store = Arc::new(log.clone());
        let monitoring = Monitoring::open(env, store, meta.clone(), options).await.unwrap();
        Node { clock, log, meta, monitoring }
    }

    async fn stop(self) -> Arc<HandClock> {
        self.monitoring.shutdown().await;
        self.log.shutdown().await;
        self.meta.close().await;
        self.clock
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn record(&self, name: &str, value: f64) {
        let datum = datum(name, value, self.clock.now());
        self.monitoring.record(&scope(), &[datum]).unwrap();
    }

    /// All points of a metric: how many, and their sum.
    async fn told(&self, name: &str) -> (usize, f64) {
        let (from, until) = (Minute(0), Minute(u32::MAX));
        let series = self.monitoring.read(&scope(), &metric(name), None, from, until).await;
        let points: Vec<_> = series.unwrap().into_iter().flat_map(|s| s.points).collect();
        (points.len(), points.iter().map(|(_, point)| point.set.sum).sum())
    }

    fn listed(&self) -> Vec<String> {
        let listed = self.monitoring.list(&scope(), None, 100, None, |_| true);
        listed.into_iter().map(|l| l.metric.name.to_string()).collect()
    }
}

fn quiet() -> Options {
    Options { flush_interval: 1000 * HOUR, settle_interval: 1000 * HOUR, ..Options::default() }
}

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

fn metric(name: &str) -> Metric {
    Metric::new("Test", name, [("Host", "a")])
}

fn datum(name: &str, value: f64, at: Timestamp) -> Datum {
    Datum { metric: metric(name), unit: Unit::COUNT, at, point: Point::of(value, 1.0) }
}

async fn node() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock(AtomicU64::new(START)));
    let node = Node::start(dir.path(), clock, quiet()).await;
    (dir, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_told_from_memory_journal_and_blocks() {
    let (dir, mut node) = node().await;
    let mut expected = (0, 0.0);
    for step in 0..4 {
        for value in [1.0, 2.5] {
            node.record("m", value);
            expected.1 += value;
        }
        expected.0 += 1;
        assert_eq!(node.told("m").await, expected, "recorded, step {step}");
        match step {
            0 => node.monitoring.flush().await.unwrap(),
            1 | 2 => node.monitoring.settle().await.unwrap(),
            _ => {}
        }
        assert_eq!(node.told("m").await, expected, "written, step {step}");
        let clock = node.stop().await;
        node = Node::start(dir.path(), clock, quiet()).await;
        assert_eq!(node.told("m").await, expected, "read back, step {step}");
        node.pass(Duration::from_secs(60));
    }
    assert_eq!(node.told("other").await, (0, 0.0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_of_a_minute_that_has_settled_is_added_to_it() {
    let (_dir, node) = node().await;
    node.record("m", 1.0);
    node.monitoring.settle().await.unwrap();
    node.record("m", 2.0);
    node.monitoring.settle().await.unwrap();
    assert_eq!(node.told("m").await, (1, 3.0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_and_units_bound_what_is_told() {
    let (_dir, node) = node().await;
    let now = node.clock.now();
    let minute = Minute::of(now);
    let mut bytes = datum("m", 8.0, now);
    bytes.unit = Unit::BYTES;
    let hours_ahead = now.plus(Duration::from_secs(7000));
    let data = [datum("m", 1.0, now.minus(200 * HOUR)), bytes, datum("m", 2.0, hours_ahead)];
    node.monitoring.record(&scope(), &data).unwrap();
    for settled in [false, true] {
        if settled {
            node.monitoring.settle().await.unwrap();
        }
        let read = async |unit, from, until| {
            let series = node.monitoring.read(&scope(), &metric("m"), unit, from, until).await;
            let sums = series.unwrap().into_iter().flat_map(|s| s.points);
            sums.map(|(_, point)| point.set.sum).collect::<Vec<_>>()
        };
        let (old, next) = (minute.minus(12_000), Minute(minute.0 + 1));
        assert_eq!(read(Some(Unit::COUNT), old, minute).await, [1.0]);
        assert_eq!(read(Some(Unit::COUNT), minute, Minute(u32::MAX)).await, [2.0]);
        assert_eq!(read(Some(Unit::BYTES), minute, next).await, [8.0]);
        assert_eq!(read(None, old, next).await, [8.0, 1.0]);
        assert!(read(Some(Unit::NONE), old, next).await.is_empty());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_points_and_series_are_forgotten() {
    let (dir, node) = node().await;
    node.record("old", 1.0);
    node.record("kept", 1.0);
    node.monitoring.settle().await.unwrap();
    node.pass(10 * 24 * HOUR);
    node.record("kept", 2.0);
    node.monitoring.settle().await.unwrap();
    node.pass(5 * 24 * HOUR + Duration::from_secs(60));
    assert_eq!(node.told("kept").await, (1, 2.0), "expired points are not shown");
    node.pass(HOUR * 9);
    node.monitoring.settle().await.unwrap();
    assert_eq!(node.listed(), ["kept"]);
    let active = node.monitoring.list(&scope(), None, 9, Some(3 * HOUR), |_| true);
    assert!(active.is_empty());
    let gone = LogId::new(u32::MAX, 2);
    assert!(node.log.tail(gone).is_err(), "the series' log goes as well");
    let clock = node.stop().await;
    let node = Node::start(dir.path(), clock, quiet()).await;
    assert_eq!(node.listed(), ["kept"]);
    node.record("old", 5.0);
    assert_eq!(node.told("old").await, (1, 5.0), "a name may come back");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_refuse_whole_calls() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock(AtomicU64::new(START)));
    let options = Options { series_max: 2, points_max: 3, ..quiet() };
    let node = Node::start(dir.path(), clock, options).await;
    let now = node.clock.now();
    node.record("a", 1.0);
    let three = ["a", "b", "c"].map(|name| datum(name, 1.0, now));
    let refused = node.monitoring.record(&scope(), &three);
    assert_eq!(refused, Err(Error::Overloaded { max: 3 }));
    let two = ["b", "c"].map(|name| datum(name, 1.0, now));
    let refused = node.monitoring.record(&scope(), &two);
    assert_eq!(refused, Err(Error::TooManySeries { max: 2 }));
    assert_eq!(node.listed(), ["a"]);
    assert_eq!(node.monitoring.figures().refused, 5);
    node.monitoring.settle().await.unwrap();
    node.monitoring.record(&scope(), &two[..1]).unwrap();
    assert_eq!(node.monitoring.figures().recorded, 2);
    node.stop().await;
}

/// Churning names must not fill the disk with definitions.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_definitions_is_shortened() {
    let (dir, mut node) = node().await;
    for round in 0..3 {
        for n in 0..800 {
            node.record(&format!("r{round}-{n}"), 1.0);
        }
        node.monitoring.settle().await.unwrap();
        node.pass(16 * 24 * HOUR);
        node.record("kept", 1.0);
        node.monitoring.settle().await.unwrap();
    }
    assert_eq!(node.listed(), ["kept"]);
    let clock = node.stop().await;
    node = Node::start(dir.path(), clock, quiet()).await;
    assert_eq!(node.listed(), ["kept"]);
    let catalogue = LogId::new(u32::MAX, 0);
    let limit = millstream_log::ReadLimit { entries_max: 10_000, bytes_max: 10 << 20 };
    let entries = node.log.read(catalogue, millstream_log::Position::START, limit).await.unwrap();
    assert!(entries.entries.len() < 1100, "{} entries", entries.entries.len());
    node.record("new", 1.0);
    assert_eq!(node.told("new").await, (1, 1.0));
    node.stop().await;
}
