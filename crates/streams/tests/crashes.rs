//! Streams come and go on simulated stores that are torn down at any step: what was acknowledged
//! stands, and no log is left without its stream.

mod node;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::{AccountId, Region, Scope, StreamArn, StreamName};
use millstream_env::Env;
use millstream_env::sim::{self, SimWorld};
use millstream_log::{LogId, LogStore};
use millstream_streams::{CreateStream, Error};
use node::start;
use parking_lot::Mutex;

const SEEDS: u64 = 40;
const LIVES: u32 = 4;
const SHARDS: u32 = 3;
const NAMES: u64 = 3;
const OPERATIONS: usize = 12;

/// Per name: whether the stream exists, as far as acknowledgements tell; `None` if one is open.
type Known = Arc<Mutex<BTreeMap<String, Option<bool>>>>;

fn arn(name: &str) -> StreamArn {
    let scope = Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap());
    StreamArn::new(scope, StreamName::new(name).unwrap())
}

/// Makes and deletes streams until the node is torn down.
async fn live(world: SimWorld, env: Env, known: Known) {
    let Ok(node) = start(env).await else { return };
    for _ in 0..OPERATIONS {
        let name = format!("s{}", world.draw(|rng| rng.below(NAMES)));
        let before = known.lock().get(&name).copied().flatten();
        known.lock().insert(name.clone(), None);
        let after = if world.draw(|rng| rng.one_in(2)) {
            let request = CreateStream::provisioned(arn(&name), SHARDS);
            match node.streams.create_stream(request).await {
                Ok(()) => {
                    assert_ne!(before, Some(true), "{name} was made twice");
                    Some(true)
                }
                Err(Error::StreamExists { .. }) => {
                    assert_ne!(before, Some(false), "{name} came back");
                    Some(true)
                }
                Err(_) => None,
            }
        } else {
            match node.streams.delete_stream(&arn(&name), false).await {
                Ok(()) => {
                    assert_ne!(before, Some(false), "{name} was deleted twice");
                    Some(false)
                }
                Err(Error::StreamNotFound { .. }) => {
                    assert_ne!(before, Some(true), "{name} was lost");
                    Some(false)
                }
                Err(_) => None,
            }
        };
        known.lock().insert(name, after);
    }
}

/// After a start and a sweep: streams are what was acknowledged, logs are those of streams.
async fn check(env: Env, known: Known) {
    let node = start(env.clone()).await.expect("an undamaged disk opens");
    env.sleep(Duration::from_secs(5)).await;
    let mut existing = 0;
    let names: Vec<_> = known.lock().clone().into_iter().collect();
    for (name, known) in names {
        let found = node.streams.describe_stream_summary(&arn(&name)).await.is_ok();
        assert!(known.is_none_or(|known| known == found), "{name}: {known:?}, found {found}");
        existing += u32::from(found);
    }
    let families = LIVES * OPERATIONS as u32 + 1;
    let logs = (1..=families).flat_map(|f| (0..SHARDS).map(move |s| LogId::new(f, s)));
    let there = logs.filter(|log| node.log.tail(*log).is_ok()).count() as u32;
    assert_eq!(there, existing * SHARDS, "logs of {existing} streams");
}

async fn scenario(world: SimWorld) {
    let known = Known::default();
    let live = |world, env| live(world, env, known.clone());
    sim::lives(&world, LIVES, 150, live, |env| check(env, known.clone())).await;
}

#[test]
fn acknowledged_streams_stand_and_no_log_is_left_behind() {
    sim::check_seeds(SEEDS, scenario);
}

#[test]
fn a_seed_gives_one_run() {
    sim::check_repeats(scenario);
}
