//! Streams that grow and shrink with their load, on a clock that is moved by hand.

use std::collections::BTreeMap;

use super::*;
use crate::scaling::Scaler;

const WINDOW: Duration = Duration::from_secs(10);
const MIB: usize = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The background task looks once at the beginning; the tests look themselves.
fn options() -> Options {
    let scaling = ScalingOptions {
        sample_interval: HOUR,
        window: WINDOW,
        cool_down: WINDOW,
        ..ScalingOptions::default()
    };
    Options { scaling, ..Options::default() }
}

fn autoscaled(rules: AutoscaleRules) -> Options {
    let mut options = options();
    options.scaling.autoscale.all = AutoscaleRules { enabled: true, ..rules };
    options
}

/// A world, and a load that goes on window after window.
struct Load {
    world: World,
    scaler: Scaler,
    stream: StreamArn,
    /// Numbers of the records that were put, by hash key.
    put: BTreeMap<u128, Vec<u64>>,
    next: u64,
}

impl Load {
    async fn new(options: Options, mode: StreamMode, shards: u32) -> Load {
        let world = World::with(options).await;
        let stream = world.stream("a", shards).await;
        world.streams.update_stream_mode(&stream, mode, None).await.unwrap();
        let scaler = Scaler::new(&world.env);
        let mut load = Load { world, scaler, stream, put: BTreeMap::new(), next: 0 };
        load.world.streams.scale_all(&mut load.scaler).await;
        load
    }

    /// A window with `mibps` evenly on `keys`, then a look.
    async fn window(&mut self, mibps: f64, keys: &[u128]) -> usize {
        let count = (mibps * WINDOW.as_secs_f64() * 4.0).round() as usize;
        let padding = vec![b'.'; MIB / 4];
        for n in 0..count {
            let key = keys[n % keys.len()];
            let mut data = self.next.to_string().into_bytes();
            data.extend_from_slice(&padding[data.len() + 1..]);
            let hash_key = key.to_string();
            let record = NewRecord {
                partition_key: Some(Bytes::from_static(b"k")),
                explicit_hash_key: Some(&hash_key),
                data: data.into(),
            };
            self.world.streams.put_record(&self.stream, record, None).await.unwrap();
            self.put.entry(key).or_default().push(self.next);
            self.next += 1;
        }
        self.world.pass(WINDOW);
        self.world.streams.scale_all(&mut self.scaler).await;
        self.open().await
    }

    async fn windows(&mut self, count: usize, mibps: f64, keys: &[u128]) -> Vec<usize> {
        let mut open = Vec::new();
        for _ in 0..count {
            open.push(self.window(mibps, keys).await);
        }
        open
    }

    async fn open(&self) -> usize {
        let summary = self.world.streams.describe_stream_summary(&self.stream).await.unwrap();
        summary.open_shard_count as usize
    }

    /// Every record is there once, and each hash key's in the order in which they were put, parents
    /// before children.
    async fn assert_whole(&self) {
        let mut found: BTreeMap<u128, Vec<u64>> = BTreeMap::new();
        let row = self.world.streams.look_up(&self.stream).await.unwrap().unwrap();
        let key_of: BTreeMap<u64, u128> =
            self.put.iter().flat_map(|(key, all)| all.iter().map(|n| (*n, *key))).collect();
        for shard in row.row.shards.all() {
            let mut iterator = self
                .world
                .iterator(&self.stream, shard.id.number(), StartingPosition::TRIM_HORIZON)
                .await;
            loop {
                let page = self.world.get(&iterator).await.unwrap();
                for text in texts(&page) {
                    let n: u64 = text.trim_end_matches('.').parse().unwrap();
                    let key = key_of[&n];
                    assert!(shard.range.contains(HashKey(key)), "{n} in {}", shard.id);
                    found.entry(key).or_default().push(n);
                }
                match page.next_iterator {
                    Some(next) if page.millis_behind_latest > 0 || !page.records.is_empty() => {
                        iterator = next;
                    }
                    _ => break,
                }
            }
        }
        assert_eq!(found, self.put);
    }
}

fn spread(count: u128) -> Vec<u128> {
    (0..count).map(|n| u128::MAX / count * n + n).collect()
}

#[tokio::test]
async fn an_on_demand_stream_grows_until_no_shard_is_more_than_half_used() {
    let mut load = Load::new(options(), StreamMode::OnDemand, 4).await;
    // All in the lowest quarter: one shard of four.
    let keys: Vec<u128> = spread(64).into_iter().map(|k| k / 4).collect();
    let open = load.windows(4, 3.0, &keys).await;
    assert!(open[0] > 4, "it grows after the first window: {open:?}");
    let settled = load.windows(3, 3.0, &keys).await;
    assert!(settled.windows(2).all(|w| w[0] == w[1]), "{open:?}, then {settled:?}");
    let report = load.world.streams.hot(&load.stream).await.unwrap();
    let hottest = report.shards.iter().map(|s| s.utilisation).fold(0.0, f64::max);
    assert!(hottest <= 0.55, "{hottest} with {settled:?}");
    load.assert_whole().await;
}

#[tokio::test]
async fn a_peak_is_remembered_for_thirty_days_and_over_restarts() {
    let mut load = Load::new(options(), StreamMode::OnDemand, 4).await;
    let keys = spread(64);
    let open = *load.windows(6, 6.0, &keys).await.last().unwrap();
    assert!(open >= 12, "twice the peak of 6 MiB/s: {open}");
    // Another process over the same stores knows of the peak.
    load.world.streams.shutdown().await;
    let (log, meta) = (load.world.log.clone(), load.world.meta.clone());
    let env = load.world.env.clone();
    load.world.streams = Streams::new(env.clone(), log, meta, options()).await.unwrap();
    load.scaler = Scaler::new(&env);
    load.put.clear();
    load.world.pass(29 * DAY);
    for _ in 0..4 {
        load.window(0.0, &keys).await;
    }
    assert_eq!(load.open().await, 12, "room for twice the peak is kept, not more");
    load.world.pass(2 * DAY);
    let shrinks: Vec<usize> = load.windows(6, 0.0, &keys).await;
    assert_eq!(*shrinks.last().unwrap(), 4, "{shrinks:?}");
    assert!(shrinks[0] < 12);
}

#[tokio::test]
async fn a_stream_changes_once_per_cool_down_at_most() {
    let mut options = options();
    options.scaling.cool_down = 3 * WINDOW;
    let mut load = Load::new(options, StreamMode::OnDemand, 1).await;
    let open = load.windows(8, 4.0, &spread(64)).await;
    let changes: Vec<usize> = (1..open.len()).filter(|at| open[*at] != open[at - 1]).collect();
    assert!(changes.len() >= 2, "{open:?}");
    assert!(changes.windows(2).all(|pair| pair[1] - pair[0] >= 3), "{open:?}");
    load.assert_whole().await;
}

#[tokio::test]
async fn growth_ends_at_the_ceiling() {
    let mut options = options();
    options.scaling.on_demand_write_mibps_max = 6;
    let mut load = Load::new(options, StreamMode::OnDemand, 4).await;
    let open = load.windows(5, 8.0, &spread(64)).await;
    assert!(open.iter().all(|open| *open <= 6), "{open:?}");
    assert_eq!(open.last(), Some(&6));
}

#[tokio::test]
async fn on_demand_scaling_can_be_switched_off() {
    let mut options = options();
    options.scaling.on_demand = false;
    let mut load = Load::new(options, StreamMode::OnDemand, 4).await;
    assert_eq!(load.windows(3, 8.0, &spread(64)).await, [4, 4, 4]);
}

#[tokio::test]
async fn a_provisioned_stream_is_scaled_only_if_asked_for() {
    let mut load = Load::new(options(), StreamMode::Provisioned, 1).await;
    assert_eq!(load.windows(3, 2.0, &spread(64)).await, [1, 1, 1]);
    let rules = AutoscaleRules {
        min_shards: 2,
        max_shards: 8,
        quiet_time: 6 * WINDOW,
        ..Default::default()
    };
    let mut load = Load::new(autoscaled(rules), StreamMode::Provisioned, 1).await;
    let up = load.windows(5, 3.0, &spread(64)).await;
    assert!(up.is_sorted() && *up.last().unwrap() >= 5, "3 MiB/s at 60 %: {up:?}");
    let down = load.windows(12, 0.1, &spread(64)).await;
    assert!(down[..5].iter().all(|n| *n >= 5), "not before it was quiet: {down:?}");
    assert_eq!(*down.last().unwrap(), 2, "{down:?}");
    load.assert_whole().await;
}

#[tokio::test]
async fn a_scaled_provisioned_stream_stays_within_its_accounts_quota() {
    let rules = AutoscaleRules { max_shards: 100, ..Default::default() };
    let options = Options { shards_per_account_max: 5, ..autoscaled(rules) };
    let mut load = Load::new(options, StreamMode::Provisioned, 1).await;
    load.world.stream("other", 2).await;
    let open = load.windows(5, 6.0, &spread(64)).await;
    assert_eq!(*open.last().unwrap(), 3, "{open:?}");
}

#[tokio::test]
async fn two_nodes_do_not_change_a_stream_at_once() {
    let mut load = Load::new(options(), StreamMode::OnDemand, 4).await;
    let keys: Vec<u128> = spread(64).into_iter().map(|k| k / 4).collect();
    load.window(0.0, &keys).await;
    let other = load.world.another().await;
    let mut other_scaler = Scaler::new(&load.world.env);
    other.scale_all(&mut other_scaler).await;
    let open = load.window(3.0, &keys).await;
    other.scale_all(&mut other_scaler).await;
    assert_eq!(load.open().await, open, "the other waits out the cool-down too");
    load.assert_whole().await;
}

#[tokio::test]
async fn a_new_stream_of_an_old_name_has_no_past() {
    let mut load = Load::new(options(), StreamMode::OnDemand, 4).await;
    load.windows(4, 6.0, &spread(64)).await;
    load.world.streams.delete_stream(&load.stream, false).await.unwrap();
    load.world.stream("a", 1).await;
    for prefix in ["scaling/", "lease/scaling/"] {
        assert_eq!(load.world.meta.scan(prefix, None, 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn hot_shards_and_keys_are_told() {
    let mut load = Load::new(options(), StreamMode::Provisioned, 2).await;
    let keys = [5, 5, 5, u128::MAX - 9];
    load.window(1.0, &keys).await;
    let report = load.world.streams.hot(&load.stream).await.unwrap();
    assert_eq!(report.measured_at, Some(load.world.now()));
    let [low, high] = &report.shards[..] else { panic!("{report:?}") };
    assert!((0.74..0.76).contains(&low.share), "{low:?}");
    assert!((0.74..0.76).contains(&low.utilisation), "{low:?}");
    assert!((0.24..0.26).contains(&high.share), "{high:?}");
    assert_eq!((low.keys.len(), low.keys[0].hash), (1, HashKey(5)));
    assert!(low.keys[0].share_of_shard > 0.98, "{low:?}");
    assert!((0.74..0.76).contains(&low.keys[0].share_of_stream));
    assert_eq!(low.split_at, None, "one key can't be split");
    assert_eq!(report.shards.iter().map(|s| s.bytes_per_second).sum::<f64>().round(), {
        (MIB as f64 / 4.0) * 4.0
    });
    let missing = load.world.streams.hot(&arn("none")).await;
    assert_eq!(missing, Err(Error::StreamNotFound { stream: arn("none") }));
}
