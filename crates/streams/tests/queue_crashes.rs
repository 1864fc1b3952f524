//! Queues on simulated stores that are torn down at any step: what was acknowledged never comes
//! back, what was not is never lost, receives count, and no queue is left half made.

mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millstream_base::{AccountId, QueueArn, Region, Scope, StreamArn, StreamName, Tags};
use millstream_env::Env;
use millstream_env::sim::{self, SimWorld};
use millstream_log::{LogId, LogStore};
use millstream_streams::{
    CreateQueue, CreateStream, DeadLetters, Error, Lane, ListQueues, NewRecord, QueueChanges,
    QueueStart, ReceiveQueueRecords, StreamMode, Streams,
};
use node::start;
use parking_lot::Mutex;

const SEEDS: u64 = 40;
const LIVES: u32 = 4;
const OPERATIONS: usize = 40;
const NAMES: u64 = 3;
const VISIBILITY_SECS: u32 = 5;

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

fn stream() -> StreamArn {
    StreamArn::new(scope(), StreamName::new("orders").unwrap())
}

fn create_stream() -> CreateStream {
    CreateStream {
        mode: Some(StreamMode::OnDemand),
        shard_count: None,
        ..CreateStream::provisioned(stream(), 1)
    }
}

fn create_queue(name: &str) -> CreateQueue {
    CreateQueue {
        scope: scope(),
        name: StreamName::new(name).unwrap(),
        stream: stream(),
        start: Some(QueueStart::TrimHorizon),
        attributes: QueueChanges {
            visibility_timeout_secs: Some(VISIBILITY_SECS),
            dead_letters: Some(DeadLetters::None),
        },
        tags: Tags::new(),
    }
}

async fn list(streams: &Streams) -> Result<BTreeMap<String, QueueArn>, Error> {
    let (scope, streams_of) = (scope(), Vec::new());
    let all = ListQueues { scope: &scope, limit: None, streams: streams_of, next_token: None };
    let page = streams.list_queues(all).await?;
    Ok(page.queues.into_iter().map(|q| (q.name.to_string(), q.queue)).collect())
}

const NOW: ReceiveQueueRecords = ReceiveQueueRecords {
    lane: Lane::Normal,
    limit: 10,
    wait: Duration::ZERO,
    visibility_timeout_secs: None,
};

/// Acknowledgements of all seeds together: a run in which nothing happens proves nothing.
static DONE: AtomicU64 = AtomicU64::new(0);

/// What answers have told, over all lives.
#[derive(Default)]
struct Known {
    /// Puts whose answer came.
    stored: BTreeSet<Bytes>,
    /// Puts ever tried.
    tried: u64,
    /// Acknowledgements whose answer came, and those whose answer is open.
    done: BTreeSet<Bytes>,
    perhaps_done: BTreeSet<Bytes>,
    /// The highest receive count that a receive told, per record.
    counts: BTreeMap<Bytes, u32>,
}

type Shared = Arc<Mutex<Known>>;

/// Notes a record that was received.
fn judge(known: &Shared, data: &Bytes, receive_count: u32) {
    let mut known = known.lock();
    assert!(!known.done.contains(data), "{data:?} was acknowledged and came back");
    let before = known.counts.insert(data.clone(), receive_count).unwrap_or(0);
    assert!(receive_count > before, "{data:?}: receive {receive_count} after {before}");
}

/// Puts, receives and acknowledges until the node is torn down.
async fn work(world: SimWorld, env: Env, known: Shared) {
    let Ok(node) = start(env.clone()).await else { return };
    let streams = &node.streams;
    let _ = streams.create_stream(create_stream()).await;
    let _ = streams.create_queue(create_queue("q")).await;
    let Ok(queues) = list(streams).await else { return };
    let Some(queue) = queues.get("q") else { return };
    for _ in 0..OPERATIONS {
        match world.draw(|rng| rng.below(8)) {
            0..3 => put(streams, &known).await,
            3..7 => {
                let Ok(found) = streams.receive_queue_records(queue, NOW).await else { continue };
                for record in &found {
                    judge(&known, &record.data, record.receive_count);
                }
                let chosen = found.iter().filter(|_| world.draw(|rng| rng.one_in(2)));
                let chosen: Vec<_> = chosen.collect();
                known.lock().perhaps_done.extend(chosen.iter().map(|r| r.data.clone()));
                let handles: Vec<&str> = chosen.iter().map(|r| &*r.receipt_handle).collect();
                let lane = Lane::Normal;
                let results = streams.acknowledge_queue_records(queue, lane, &handles).await;
                let Ok(results) = results else { continue };
                for (record, result) in chosen.iter().zip(results) {
                    let mut known = known.lock();
                    known.perhaps_done.remove(&record.data);
                    if result.is_ok() {
                        known.done.insert(record.data.clone());
                    }
                }
            }
            _ => env.sleep(Duration::from_secs(u64::from(VISIBILITY_SECS))).await,
        }
    }
}

async fn put(streams: &Streams, known: &Shared) {
    let data = {
        let mut known = known.lock();
        known.tried += 1;
        Bytes::from(format!("record {}", known.tried))
    };
    let key = Some(data.clone());
    let record = NewRecord { partition_key: key, explicit_hash_key: None, data: data.clone() };
    if streams.put_record(&stream(), record, None).await.is_ok() {
        known.lock().stored.insert(data);
    }
}

/// After a start: everything that was stored and not acknowledged is delivered.
async fn check_work(env: Env, known: Shared) {
    let node = start(env.clone()).await.expect("an undamaged disk opens");
    env.sleep(Duration::from_secs(10)).await;
    let queues = list(&node.streams).await.unwrap();
    let Some(queue) = queues.get("q") else {
        assert!(known.lock().counts.is_empty(), "a queue that delivered is gone");
        return;
    };
    let mut found = BTreeSet::new();
    loop {
        let page = node.streams.receive_queue_records(queue, NOW).await.unwrap();
        if page.is_empty() {
            break;
        }
        for record in page {
            judge(&known, &record.data, record.receive_count);
            found.insert(record.data);
        }
    }
    let known = known.lock();
    DONE.fetch_add(known.done.len() as u64, Ordering::Relaxed);
    for data in known.stored.difference(&known.done) {
        let open = known.perhaps_done.contains(data);
        assert!(open || found.contains(data), "{data:?} is lost");
    }
}

async fn working(world: SimWorld) {
    let known = Shared::default();
    let live = |world, env| work(world, env, known.clone());
    sim::lives(&world, LIVES, 250, live, |env| check_work(env, known.clone())).await;
}

/// Makes and deletes queues until the node is torn down.
async fn come_and_go(
    world: SimWorld,
    env: Env,
    exists: Arc<Mutex<BTreeMap<String, Option<bool>>>>,
) {
    let Ok(node) = start(env.clone()).await else { return };
    let streams = &node.streams;
    let _ = streams.create_stream(create_stream()).await;
    for _ in 0..OPERATIONS / 4 {
        let name = format!("q{}", world.draw(|rng| rng.below(NAMES)));
        let before = exists.lock().get(&name).copied().flatten();
        exists.lock().insert(name.clone(), None);
        let after = if world.draw(|rng| rng.one_in(2)) {
            match streams.create_queue(create_queue(&name)).await {
                Ok(_) => {
                    assert_ne!(before, Some(true), "{name} was made twice");
                    Some(true)
                }
                // Perhaps half made, or its deletion is not done yet: the sweeper decides.
                Err(Error::QueueExists { .. }) => before.filter(|exists| !exists),
                Err(_) => None,
            }
        } else {
            let Ok(queues) = list(streams).await else { return };
            match queues.get(&name) {
                None => {
                    assert_ne!(before, Some(true), "{name} was lost");
                    Some(false)
                }
                Some(queue) => {
                    assert_ne!(before, Some(false), "{name} came back");
                    streams.delete_queue(queue).await.is_ok().then_some(false)
                }
            }
        };
        exists.lock().insert(name, after);
    }
}

/// After a start and a sweep: queues are what was acknowledged and work; when all are deleted, the
/// stream can be, and no log is left.
async fn check_names(env: Env, exists: Arc<Mutex<BTreeMap<String, Option<bool>>>>) {
    let node = start(env.clone()).await.expect("an undamaged disk opens");
    env.sleep(Duration::from_secs(5)).await;
    let queues = list(&node.streams).await.unwrap();
    for (name, exists) in exists.lock().iter() {
        let found = queues.contains_key(name);
        assert!(exists.is_none_or(|exists| exists == found), "{name}: {exists:?}, found {found}");
    }
    for queue in queues.values() {
        assert_eq!(node.streams.receive_queue_records(queue, NOW).await.unwrap(), []);
        node.streams.delete_queue(queue).await.unwrap();
    }
    match node.streams.delete_stream(&stream(), false).await {
        Ok(()) | Err(Error::StreamNotFound { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let families = LIVES * OPERATIONS as u32 + LIVES + 1;
    let logs = (1..=families).flat_map(|f| (0..4).map(move |s| LogId::new(f, s)));
    let left: Vec<LogId> = logs.filter(|log| node.log.tail(*log).is_ok()).collect();
    assert_eq!(left, [], "logs are left");
}

async fn naming(world: SimWorld) {
    let exists = Arc::new(Mutex::new(BTreeMap::new()));
    let live = |world, env| come_and_go(world, env, exists.clone());
    sim::lives(&world, LIVES, 250, live, |env| check_names(env, exists.clone())).await;
}

#[test]
fn nothing_acknowledged_comes_back_and_nothing_else_is_lost() {
    sim::check_seeds(SEEDS, working);
    let done = DONE.load(Ordering::Relaxed);
    println!("{done} records were acknowledged");
    assert!(done > SEEDS, "{done} acknowledgements in {SEEDS} runs");
}

#[test]
fn queues_are_whole_or_not_there() {
    sim::check_seeds(SEEDS, naming);
}

#[test]
fn a_seed_gives_one_run() {
    sim::check_repeats(working);
}
