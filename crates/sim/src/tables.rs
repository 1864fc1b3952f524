//! Runs of the metadata store: clients with rows of their own, and one row that all count up.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::sim::{Rng, SimWorld};
use millstream_env::{Disk, Env};
use millstream_meta::{Expect, Key, MetaError, MetaStore, RedbMeta, Revision, Row};
use parking_lot::Mutex;

use crate::lives::{self, OpenError, Reply, System};
use crate::options::Options;
use crate::plan::Plan;
use crate::verdict::Judge;

const KEYS: u64 = 8;
const VALUE_BYTES_MAX: u64 = 6000;

type Life<'a> = lives::Life<'a, Tables>;

pub(crate) async fn run(world: SimWorld, judge: Judge, plan: Plan, options: Options) {
    let counter = Counter::default();
    let clients = (0..plan.clients).map(|i| MetaClient::new(i, counter.clone())).collect();
    lives::run(&world, &judge, &plan, options, clients).await;
}

/// The system under test.
#[derive(Clone)]
pub(crate) struct Tables(Arc<RedbMeta>);

impl System for Tables {
    async fn open(env: Env, _: Options) -> Result<Self, OpenError> {
        open(env).await.map(|meta| Tables(Arc::new(meta)))
    }

    async fn close(self) {
        self.0.close().await;
    }

    fn check(_: Arc<dyn Disk>) -> Option<Result<Vec<String>, String>> {
        None
    }

    fn cut_off(&self) -> u64 {
        0
    }
}

/// Opens the tables where a node has them.
pub(crate) async fn open(env: Env) -> Result<RedbMeta, OpenError> {
    let made = env.disk.create_dir_all(Path::new("meta"));
    let made = made.and_then(|()| env.disk.sync_dir(Path::new("")));
    made.map_err(|e| OpenError::Io(e.to_string()))?;
    RedbMeta::open(env, Path::new("meta/meta.redb")).await.map_err(|e| match e {
        MetaError::Corrupt { .. } => OpenError::Damaged(e.to_string()),
        MetaError::Full { .. } => OpenError::Full(e.to_string()),
        _ => OpenError::Io(e.to_string()),
    })
}

/// Whether the store may rightly say `e` in this life.
pub(crate) fn excuse<S>(life: &lives::Life<'_, S>, e: &MetaError) {
    match e {
        MetaError::Corrupt { .. } => life.damaged(e),
        MetaError::Full { .. } => life.full(e),
        MetaError::Unavailable { .. } => life.unavailable(e),
        MetaError::Conflict { .. } | MetaError::TooLarge { .. } => {
            life.judge.fail(format!("a call that is right gets: {e}"));
        }
    }
}

/// What one client knows of its rows. Outlives the node's lives.
pub(crate) struct MetaClient {
    prefix: String,
    rows: BTreeMap<String, Believed>,
    newest: Revision,
    written: u64,
    counter: Counter,
}

/// The values a row may have: one, unless an answer never came.
#[derive(Clone, Default)]
struct Believed {
    values: Vec<Option<Bytes>>,
    revision: Option<Revision>,
}

/// The row that everyone increments: how far it must and may have come.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<(u64, u64)>>);

impl lives::Client<Tables> for MetaClient {
    async fn step(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        let key = format!("{}{}", self.prefix, rng.below(KEYS));
        match rng.below(11) {
            0..2 => self.get(life, &key).await,
            2..6 => self.put(life, &key, rng).await,
            6 => self.delete(life, &key, rng).await,
            7 => self.scan(life, rng).await,
            8 => self.wrong_expectation(life, &key).await,
            _ => self.counter.step(life).await,
        }
    }

    async fn verify(&mut self, life: &Life<'_>) -> Reply<()> {
        let keys: Vec<String> = self.rows.keys().cloned().collect();
        for key in keys {
            self.get(life, &key).await?;
        }
        self.scan(life, &mut Rng::new(0)).await
    }

    async fn recover(&mut self, life: &Life<'_>) -> Reply<bool> {
        let k = Key::new("recovered");
        let put = |m: Tables| async move { m.0.put(k, Bytes::new(), Expect::Anything).await };
        Ok(life.call(put).await?.is_ok())
    }
}

impl MetaClient {
    fn new(client: usize, counter: Counter) -> Self {
        let prefix = format!("client/{client}/");
        let rows = (0..KEYS).map(|k| (format!("{prefix}{k}"), Believed::absent()));
        MetaClient { rows: rows.collect(), prefix, newest: Revision(0), written: 0, counter }
    }

    async fn get(&mut self, life: &Life<'_>, key: &str) -> Reply<()> {
        let k = Key::new(key);
        let got = life.call(move |m| async move { m.0.get(&k).await }).await?;
        match got {
            Ok(row) => self.see(life.judge, key, row),
            Err(e) => excuse(life, &e),
        }
        Ok(())
    }

    fn see(&mut self, judge: &Judge, key: &str, row: Option<Row>) {
        let b = self.rows.get_mut(key).expect("clients ask for their own rows");
        let value = row.as_ref().map(|r| r.value.clone());
        if !b.values.contains(&value) {
            judge.fail(format!(
                "LOST: row {key} is {}, may be {}",
                show(&value),
                b.values.iter().map(show).collect::<Vec<_>>().join(" or ")
            ));
        }
        let revision = row.map(|r| r.revision);
        if b.values.len() == 1
            && let (Some(was), Some(is)) = (b.revision, revision)
            && was != is
        {
            judge.fail(format!("row {key} went from {was:?} to {is:?} by itself"));
        }
        *b = Believed { values: vec![value], revision };
    }

    async fn put(&mut self, life: &Life<'_>, key: &str, rng: &mut Rng) -> Reply<()> {
        let b = self.rows[key].clone();
        let expect = match (b.values.len(), b.revision, rng.one_in(3)) {
            (1, Some(r), false) => Expect::At(r),
            (1, None, false) => Expect::Absent,
            _ => Expect::Anything,
        };
        self.written += 1;
        let mut value = format!("{key} {}", self.written).into_bytes();
        value.resize(value.len() + rng.below(VALUE_BYTES_MAX) as usize, self.written as u8);
        let value = Bytes::from(value);
        self.doubt(key, Some(value.clone()));
        let (k, v) = (Key::new(key), value.clone());
        let done = life.call(move |m| async move { m.0.put(k, v, expect).await }).await?;
        self.settle(life, key, b, Some(value), done);
        Ok(())
    }

    async fn delete(&mut self, life: &Life<'_>, key: &str, rng: &mut Rng) -> Reply<()> {
        let b = self.rows[key].clone();
        let expect = match (b.values.len(), b.revision) {
            (1, Some(r)) if rng.one_in(2) => Expect::At(r),
            _ => Expect::Anything,
        };
        self.doubt(key, None);
        let k = Key::new(key);
        let done = life.call(move |m| async move { m.0.delete(k, expect).await }).await?;
        self.settle(life, key, b, None, done);
        Ok(())
    }

    /// Until the answer is there the row may have the new value as well.
    fn doubt(&mut self, key: &str, value: Option<Bytes>) {
        self.rows.get_mut(key).expect("own row").values.push(value);
    }

    fn settle(
        &mut self,
        life: &Life<'_>,
        key: &str,
        before: Believed,
        value: Option<Bytes>,
        done: Result<Revision, MetaError>,
    ) {
        match done {
            Ok(revision) => {
                life.judge.count(|s| s.acknowledged += 1);
                let existed = before.revision.is_some();
                if revision <= self.newest && (value.is_some() || existed) {
                    life.judge.fail(format!(
                        "row {key} gets {revision:?} after {:?} was given",
                        self.newest
                    ));
                }
                self.newest = self.newest.max(revision);
                let revision = value.is_some().then_some(revision);
                self.rows.insert(key.to_string(), Believed { values: vec![value], revision });
            }
            Err(MetaError::Conflict { .. }) => {
                life.judge.fail(format!("a conflict over row {key}, which has one writer"));
            }
            Err(e @ (MetaError::Full { .. } | MetaError::TooLarge { .. })) => {
                self.rows.insert(key.to_string(), before);
                excuse(life, &e);
            }
            Err(e) => {
                life.judge.count(|s| s.uncertain += 1);
                excuse(life, &e);
            }
        }
    }

    /// Someone who has seen nothing must not overwrite a row, nor one who has seen another.
    async fn wrong_expectation(&mut self, life: &Life<'_>, key: &str) -> Reply<()> {
        let b = &self.rows[key];
        if b.values.len() != 1 {
            return Ok(());
        }
        let expect = match b.revision {
            Some(_) => Expect::Absent,
            None => Expect::At(self.newest),
        };
        let k = Key::new(key);
        let stale = Bytes::from_static(b"stale");
        match life.call(move |m| async move { m.0.put(k, stale, expect).await }).await? {
            Err(MetaError::Conflict { .. }) => {}
            Ok(_) => life.judge.fail(format!("row {key} was overwritten against {expect:?}")),
            Err(e) => excuse(life, &e),
        }
        Ok(())
    }

    async fn scan(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        let limit = rng.between(1, KEYS + 1) as usize;
        let mut after: Option<Key> = None;
        let mut seen = BTreeMap::new();
        loop {
            let (prefix, from) = (self.prefix.clone(), after.clone());
            let page = life
                .call(move |m| async move { m.0.scan(&prefix, from.as_ref(), limit).await })
                .await?;
            let rows = match page {
                Ok(rows) => rows,
                Err(e) => {
                    excuse(life, &e);
                    return Ok(());
                }
            };
            if rows.len() > limit || rows.iter().any(|r| Some(&r.key) <= after.as_ref()) {
                life.judge.fail(format!("a scan after {after:?} with limit {limit}: {rows:?}"));
                return Ok(());
            }
            let full = rows.len() == limit;
            after = rows.last().map(|r| r.key.clone());
            seen.extend(rows.into_iter().map(|r| (r.key.as_str().to_string(), r)));
            if !full {
                break;
            }
        }
        for key in self.rows.keys().cloned().collect::<Vec<_>>() {
            self.see(life.judge, &key, seen.remove(&key));
        }
        if let Some((key, _)) = seen.pop_first() {
            life.judge.fail(format!("row {key} was invented"));
        }
        Ok(())
    }
}

impl Believed {
    fn absent() -> Self {
        Believed { values: vec![None], revision: None }
    }
}

fn show(value: &Option<Bytes>) -> String {
    match value {
        None => "absent".to_string(),
        Some(v) => String::from_utf8_lossy(&v[..v.len().min(16)]).into_owned(),
    }
}

impl Counter {
    const KEY: &'static str = "counter";

    /// Adds one, if nobody else was faster.
    pub(crate) async fn step(&self, life: &Life<'_>) -> Reply<()> {
        let (floor, _) = *self.0.lock();
        let row = life.call(|m| async move { m.0.get(&Key::new(Self::KEY)).await }).await?;
        let row = match row {
            Ok(row) => row,
            Err(e) => {
                excuse(life, &e);
                return Ok(());
            }
        };
        let (value, expect) = match &row {
            Some(r) => (number(&r.value), Expect::At(r.revision)),
            None => (0, Expect::Absent),
        };
        self.check(life.judge, floor, value);
        self.0.lock().1 += 1;
        let bytes = Bytes::copy_from_slice(&(value + 1).to_le_bytes());
        let put = move |m: Tables| async move { m.0.put(Key::new(Self::KEY), bytes, expect).await };
        match life.call(put).await? {
            Ok(_) => self.0.lock().0 += 1,
            Err(MetaError::Conflict { .. } | MetaError::Full { .. }) => self.0.lock().1 -= 1,
            Err(e) => excuse(life, &e),
        }
        Ok(())
    }

    /// Every acknowledged increment counts once, and no one else's.
    fn check(&self, judge: &Judge, floor: u64, value: u64) {
        let (_, ceiling) = *self.0.lock();
        if value < floor || value > ceiling {
            judge.fail(format!("the counter is {value}, must lie in {floor} to {ceiling}"));
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX)
}
