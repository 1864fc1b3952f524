//! The store is torn down at any step: what was flushed is told, once, and nothing that was never
//! recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::{AccountId, Region, Scope};
use millstream_env::Env;
use millstream_env::sim::{self, SimWorld};
use millstream_log::EmbeddedLog;
use millstream_meta::RedbMeta;
use millstream_monitoring::{Datum, Metric, Minute, Monitoring, Options, Point, Unit};
use parking_lot::Mutex;

const SEEDS: u64 = 40;
const LIVES: u32 = 5;
const STEPS: usize = 30;
const METRICS: usize = 3;

/// Per metric: the sum that was flushed at least, and the one that was recorded at most.
type Known = Arc<Mutex<[(f64, f64); METRICS]>>;

async fn start(env: Env) -> Option<Monitoring> {
    let (log, _) = EmbeddedLog::open(env.clone(), millstream_log::Options::tiny()).await.ok()?;
    let meta = RedbMeta::open(env.clone(), Path::new("meta/meta.redb")).await.ok()?;
    let options = Options { flush_interval: Duration::from_secs(1), ..Options::default() };
    Monitoring::open(env, Arc::new(log), Arc::new(meta), options).await.ok()
}

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

fn metric(n: usize) -> Metric {
    Metric::new("Test", &format!("m{n}"), [])
}

async fn sum(monitoring: &Monitoring, n: usize) -> Option<f64> {
    let all =
        monitoring.read(&scope(), &metric(n), None, Minute(0), Minute(u32::MAX)).await.ok()?;
    Some(all.iter().flat_map(|s| &s.points).map(|(_, point)| point.set.sum).sum())
}

/// Checks what the last life left, then records and writes until the node is torn down.
async fn live(world: SimWorld, env: Env, known: Known) {
    let Some(monitoring) = start(env.clone()).await else { return };
    for n in 0..METRICS {
        let Some(found) = sum(&monitoring, n).await else { return };
        let (flushed, recorded) = known.lock()[n];
        assert!((flushed..=recorded).contains(&found), "{found}, not {flushed} to {recorded}");
        known.lock()[n] = (found, found);
    }
    for _ in 0..STEPS {
        let n = world.draw(|rng| rng.below(METRICS as u64)) as usize;
        let point = Point::of(1.0, 1.0);
        let datum = Datum { metric: metric(n), unit: Unit::COUNT, at: env.now(), point };
        known.lock()[n].1 += 1.0;
        monitoring.record(&scope(), &[datum]).expect("within bounds");
        let recorded = known.lock().map(|(_, recorded)| recorded);
        let written = match world.draw(|rng| rng.below(4)) {
            0 => monitoring.flush().await.is_ok(),
            1 => monitoring.settle().await.is_ok(),
            _ => false,
        };
        if written {
            known.lock().iter_mut().zip(recorded).for_each(|(known, n)| known.0 = n);
        }
        let Some(found) = sum(&monitoring, n).await else { return };
        assert_eq!(found, known.lock()[n].1, "everything recorded in this life is told");
    }
}

async fn scenario(world: SimWorld) {
    let known = Known::default();
    let (last, all) = (world.clone(), known.clone());
    let live = |world, env| self::live(world, env, known.clone());
    sim::lives(&world, LIVES, 300, live, |env| self::live(last, env, all)).await;
    assert!(known.lock().iter().any(|(_, recorded)| *recorded > 0.0));
}

#[test]
fn flushed_points_are_told_once_whatever_happens() {
    sim::check_seeds(SEEDS, scenario);
}

#[test]
fn a_seed_gives_one_run() {
    sim::check_repeats(scenario);
}
