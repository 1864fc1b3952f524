//! A client of the metadata store with rows of its own, and one row that all of them count up.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::sim::Rng;
use millstream_meta::{Expect, Key, MetaError, MetaStore, Revision, Row};
use parking_lot::Mutex;

use super::run::{Life, Reply};
use crate::verdict::Judge;

const KEYS: u64 = 8;
const VALUE_BYTES_MAX: u64 = 6000;

/// What one client knows of its rows. Outlives the node's lives.
pub(crate) struct MetaClient {
    prefix: String,
    rows: BTreeMap<String, Believed>,
    newest: Revision,
    written: u64,
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

impl MetaClient {
    pub(crate) fn new(client: usize) -> Self {
        let prefix = format!("client/{client}/");
        let rows = (0..KEYS).map(|k| (format!("{prefix}{k}"), Believed::absent()));
        MetaClient {
            rows: rows.collect(),
            prefix,
            newest: Revision(0),
            written: 0,
        }
    }

    /// One random operation.
    pub(crate) async fn step(&mut self, life: &Life, rng: &mut Rng) -> Reply<()> {
        let key = format!("{}{}", self.prefix, rng.below(KEYS));
        match rng.below(10) {
            0..3 => self.get(life, &key).await,
            3..7 => self.put(life, &key, rng).await,
            7 => self.delete(life, &key, rng).await,
            8 => self.scan(life, rng).await,
            _ => self.wrong_expectation(life, &key).await,
        }
    }

    /// Everything it owns, as after a restart.
    pub(crate) async fn verify(&mut self, life: &Life) -> Reply<()> {
        let keys: Vec<String> = self.rows.keys().cloned().collect();
        for key in keys {
            self.get(life, &key).await?;
        }
        self.scan(life, &mut Rng::new(0)).await
    }

    async fn get(&mut self, life: &Life, key: &str) -> Reply<()> {
        let k = Key::new(key);
        let got = life.meta(move |m| async move { m.get(&k).await }).await?;
        match got {
            Ok(row) => self.see(life.judge(), key, row),
            Err(e) => life.allow_meta_error("get", &e),
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

    async fn put(&mut self, life: &Life, key: &str, rng: &mut Rng) -> Reply<()> {
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
        let done = life.meta(move |m| async move { m.put(k, v, expect).await }).await?;
        self.settle(life, key, b, Some(value), done);
        Ok(())
    }

    async fn delete(&mut self, life: &Life, key: &str, rng: &mut Rng) -> Reply<()> {
        let b = self.rows[key].clone();
        let expect = match (b.values.len(), b.revision) {
            (1, Some(r)) if rng.one_in(2) => Expect::At(r),
            _ => Expect::Anything,
        };
        self.doubt(key, None);
        let k = Key::new(key);
        let done = life.meta(move |m| async move { m.delete(k, expect).await }).await?;
        self.settle(life, key, b, None, done);
        Ok(())
    }

    /// Until the answer is there the row may have the new value as well.
    fn doubt(&mut self, key: &str, value: Option<Bytes>) {
        self.rows.get_mut(key).expect("own row").values.push(value);
    }

    fn settle(
        &mut self,
        life: &Life,
        key: &str,
        before: Believed,
        value: Option<Bytes>,
        done: Result<Revision, MetaError>,
    ) {
        match done {
            Ok(revision) => {
                life.judge().count(|s| s.acknowledged += 1);
                let existed = before.revision.is_some() || before.values.len() > 1;
                if revision <= self.newest && (value.is_some() || existed) {
                    life.judge().fail(format!(
                        "row {key} gets {revision:?} after {:?} was given",
                        self.newest
                    ));
                }
                self.newest = self.newest.max(revision);
                let revision = value.is_some().then_some(revision);
                self.rows.insert(key.to_string(), Believed { values: vec![value], revision });
            }
            Err(MetaError::Conflict { .. }) => {
                life.judge().fail(format!("a conflict over row {key}, which has one writer"));
            }
            Err(e @ (MetaError::Full { .. } | MetaError::TooLarge { .. })) => {
                self.rows.insert(key.to_string(), before);
                life.allow_meta_error("change", &e);
            }
            Err(e) => {
                life.judge().count(|s| s.uncertain += 1);
                life.allow_meta_error("change", &e);
            }
        }
    }

    /// Someone who has seen nothing must not overwrite a row, nor one who has seen another.
    async fn wrong_expectation(&mut self, life: &Life, key: &str) -> Reply<()> {
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
        match life.meta(move |m| async move { m.put(k, stale, expect).await }).await? {
            Err(MetaError::Conflict { .. }) => {}
            Ok(_) => life.judge().fail(format!("row {key} was overwritten against {expect:?}")),
            Err(e) => life.allow_meta_error("change", &e),
        }
        Ok(())
    }

    async fn scan(&mut self, life: &Life, rng: &mut Rng) -> Reply<()> {
        let limit = rng.between(1, KEYS + 1) as usize;
        let mut after: Option<Key> = None;
        let mut seen = BTreeMap::new();
        loop {
            let (prefix, from) = (self.prefix.clone(), after.clone());
            let page = life
                .meta(move |m| async move { m.scan(&prefix, from.as_ref(), limit).await })
                .await?;
            let rows = match page {
                Ok(rows) => rows,
                Err(e) => {
                    life.allow_meta_error("scan", &e);
                    return Ok(());
                }
            };
            if rows.len() > limit || rows.iter().any(|r| Some(&r.key) <= after.as_ref()) {
                life.judge().fail(format!("a scan after {after:?} with limit {limit}: {rows:?}"));
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
            self.see(life.judge(), &key, seen.remove(&key));
        }
        if let Some((key, _)) = seen.pop_first() {
            life.judge().fail(format!("row {key} was invented"));
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
    pub(crate) async fn step(&self, life: &Life) -> Reply<()> {
        let (floor, _) = *self.0.lock();
        let row = life.meta(|m| async move { m.get(&Key::new(Self::KEY)).await }).await?;
        let row = match row {
            Ok(row) => row,
            Err(e) => {
                life.allow_meta_error("get", &e);
                return Ok(());
            }
        };
        let (value, expect) = match &row {
            Some(r) => (number(&r.value), Expect::At(r.revision)),
            None => (0, Expect::Absent),
        };
        self.check(life.judge(), floor, value);
        self.0.lock().1 += 1;
        let bytes = Bytes::copy_from_slice(&(value + 1).to_le_bytes());
        let put = move |m: Arc<dyn MetaStore>| async move {
            m.put(Key::new(Self::KEY), bytes, expect).await
        };
        match life.meta(put).await? {
            Ok(_) => self.0.lock().0 += 1,
            Err(MetaError::Conflict { .. } | MetaError::Full { .. }) => self.0.lock().1 -= 1,
            Err(e) => life.allow_meta_error("change", &e),
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
