//! A client of the log store. All clients of a run share the logs and what is known about them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use millstream_base::Timestamp;
use millstream_env::sim::Rng;
use millstream_log::{
    AppendError, LogError, LogId, LogStore, Position, PositionRange, ReadError, ReadLimit,
};

use super::Logs;
use super::oracle::{Certainty, LogOracle, Tick, Verdict};
use crate::lives::{self, Reply};

type Life<'a> = lives::Life<'a, Logs>;

/// Logs of one run; deleted ones count.
const LOGS_MAX: usize = 14;
/// Batches above this may be refused as too large.
const BATCH_BYTES_SURE: usize = 60 << 10;
/// Reads until a log's end is reached.
const READS_MAX: usize = 20_000;

pub(crate) struct LogClient {
    oracle: Rc<RefCell<LogOracle>>,
    /// Where this client reads on, in each log.
    cursors: BTreeMap<LogId, Position>,
}

impl lives::Client<Logs> for LogClient {
    async fn step(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        let Some(log) = self.pick(rng) else { return self.create(life, rng).await };
        match rng.weighted(&[80, 20, 40, 8, 6, 1, 8, 1, 8, 3]) {
            0 => self.append(life, log, rng).await,
            1 => {
                let from = self.some_position(log, rng);
                self.read(life, log, from, some_limit(rng)).await.map(drop)
            }
            2 => self.read_on(life, log, rng).await,
            3 => self.find(life, log, rng).await,
            4 => self.trim(life, log, rng).await,
            5 => self.seal(life, log).await,
            6 => self.create(life, rng).await,
            7 => self.delete(life, log).await,
            8 => self.tail(life, log).await,
            _ => self.upkeep(life, rng).await,
        }
    }

    async fn verify(&mut self, life: &Life<'_>) -> Reply<()> {
        for log in self.all() {
            self.read_all(life, log).await?;
            self.tail(life, log).await?;
        }
        Ok(())
    }

    async fn recover(&mut self, life: &Life<'_>) -> Reply<bool> {
        let log = LogId::new(99, self.all().len() as u32); // nobody has sealed or deleted it
        let made = life.call(move |s| async move { s.log.create(vec![log]).await }).await?;
        self.oracle.borrow_mut().create_asked(log);
        if made.is_ok() {
            self.oracle.borrow_mut().created(log);
        }
        let (id, batch) = self.oracle.borrow_mut().begin(log, life.world.now(), vec![100]);
        let mut done =
            life.call(move |s| async move { s.log.append(vec![(log, batch)]).await }).await?;
        let done = done.pop().expect("one batch, one answer");
        let well = done.is_ok();
        self.settle(life, id, log, 0, done);
        Ok(well && made.is_ok())
    }
}

impl LogClient {
    pub(crate) fn new(oracle: Rc<RefCell<LogOracle>>) -> Self {
        LogClient { oracle, cursors: BTreeMap::new() }
    }

    fn all(&self) -> Vec<LogId> {
        self.oracle.borrow().ids()
    }

    fn pick(&self, rng: &mut Rng) -> Option<LogId> {
        let mut oracle = self.oracle.borrow_mut();
        let mut all = oracle.ids();
        if !rng.one_in(20) {
            all.retain(|l| oracle.log(*l).may_exist());
        }
        (!all.is_empty()).then(|| *rng.pick(&all))
    }

    fn hold(&self, life: &Life<'_>, verdict: Verdict) {
        if let Err(what) = verdict {
            life.judge.fail(what);
        }
    }

    async fn create(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        let count = self.all().len();
        if count >= LOGS_MAX {
            return Ok(());
        }
        let family = rng.between(1, 3) as u32;
        let logs: Vec<LogId> =
            (0..rng.between(1, 2)).map(|i| LogId::new(family, count as u32 + i as u32)).collect();
        logs.iter().for_each(|l| self.oracle.borrow_mut().create_asked(*l));
        let asked = logs.clone();
        let done = life.call(move |s| async move { s.log.create(asked).await }).await?;
        match done {
            Ok(()) => {
                logs.iter().for_each(|l| self.oracle.borrow_mut().created(*l));
            }
            Err(e) => control_error(life, &e, true),
        }
        Ok(())
    }

    async fn append(&mut self, life: &Life<'_>, log: LogId, rng: &mut Rng) -> Reply<()> {
        let mut logs = vec![log];
        for _ in 0..[0, 0, 1, 3][rng.below(4) as usize] {
            match self.pick(rng) {
                Some(more) if !logs.contains(&more) => logs.push(more),
                _ => {}
            }
        }
        let mut asked = Vec::new();
        let mut batches = Vec::new();
        for log in logs {
            let sizes = some_sizes(rng);
            let bytes: usize = sizes.iter().map(|s| *s as usize + 60).sum();
            let (id, batch) = self.oracle.borrow_mut().begin(log, life.world.now(), sizes);
            asked.push((id, log, bytes));
            batches.push((log, batch));
        }
        match life.call(move |s| async move { s.log.append(batches).await }).await {
            Ok(answers) => {
                if answers.len() != asked.len() {
                    life.judge.fail(format!("{} batches, {answers:?}", asked.len()));
                }
                for ((id, log, bytes), done) in asked.into_iter().zip(answers) {
                    self.settle(life, id, log, bytes, done);
                }
                Ok(())
            }
            Err(stopped) => {
                for (id, ..) in asked {
                    life.judge.count(|s| s.uncertain += 1);
                    self.oracle.borrow_mut().uncertain(id);
                }
                Err(stopped)
            }
        }
    }

    fn settle(
        &self,
        life: &Life<'_>,
        id: u32,
        log: LogId,
        bytes: usize,
        done: Result<PositionRange, AppendError>,
    ) {
        let mut oracle = self.oracle.borrow_mut();
        let verdict = match &done {
            Ok(range) => {
                life.judge.count(|s| s.acknowledged += 1);
                oracle.acknowledged(id, *range)
            }
            Err(AppendError::Stopped { .. }) => {
                oracle.uncertain(id);
                life.judge.count(|s| s.uncertain += 1);
                Ok(())
            }
            Err(_) => {
                life.judge.count(|s| s.refused += 1);
                oracle.refused(id)
            }
        };
        let began = oracle.began(id);
        let state = oracle.log(log);
        let reason = match &done {
            Ok(_) | Err(AppendError::Overloaded) => true,
            Err(AppendError::NotFound { .. }) => !state.must_exist(began),
            Err(AppendError::Sealed { .. }) => state.sealed != Certainty::No,
            Err(AppendError::Invalid { .. }) => bytes > BATCH_BYTES_SURE,
            Err(e @ AppendError::Full { .. }) => {
                life.full(e);
                true
            }
            Err(e @ AppendError::Stopped { .. }) => {
                life.unavailable(e);
                true
            }
        };
        drop(oracle);
        self.hold(life, verdict);
        if !reason {
            life.judge.fail(format!("batch {id} for {log} gets {done:?} without a reason"));
        }
    }

    /// One read; `Some` tells where to go on and whether there was anything.
    async fn read(
        &mut self,
        life: &Life<'_>,
        log: LogId,
        from: Position,
        limit: ReadLimit,
    ) -> Reply<Option<(Position, usize)>> {
        let (asked, gone) = {
            let mut oracle = self.oracle.borrow_mut();
            (oracle.now(), oracle.log(log).deleted == Certainty::Yes)
        };
        let got = life.call(move |s| async move { s.keyed.read(log, from, limit).await }).await?;
        match got {
            Ok(_) if gone => {
                life.judge.fail(format!("{log} was deleted, and a read succeeds"));
                Ok(None)
            }
            Ok(entries) => {
                life.judge.count(|s| s.entries_read += entries.entries.len() as u64);
                let verdict = self.oracle.borrow_mut().read(log, from, limit, asked, &entries);
                self.hold(life, verdict);
                Ok(Some((entries.next, entries.entries.len())))
            }
            Err(e) => {
                self.read_error(life, log, asked, &e);
                Ok(None)
            }
        }
    }

    fn read_error(&self, life: &Life<'_>, log: LogId, asked: Tick, e: &ReadError) {
        match e {
            ReadError::NotFound { .. } => {
                if self.oracle.borrow_mut().log(log).must_exist(asked) {
                    life.judge.fail(format!("LOST: {log} was created and is not found"));
                }
            }
            ReadError::Corrupt { .. } => life.damaged(e),
            ReadError::Locked { .. } => life.judge.fail(format!("all keys are there: {e}")),
            ReadError::Io { .. } => life.unavailable(e),
        }
    }

    async fn read_on(&mut self, life: &Life<'_>, log: LogId, rng: &mut Rng) -> Reply<()> {
        let from = self.cursors.get(&log).copied().unwrap_or(Position::START);
        let to = self.read_until_end(life, log, from, some_limit(rng), 4).await?;
        self.cursors.insert(log, to);
        Ok(())
    }

    async fn read_all(&mut self, life: &Life<'_>, log: LogId) -> Reply<()> {
        let limit = ReadLimit { entries_max: 64, bytes_max: 64 << 10 };
        self.read_until_end(life, log, Position::START, limit, READS_MAX).await.map(drop)
    }

    async fn read_until_end(
        &mut self,
        life: &Life<'_>,
        log: LogId,
        from: Position,
        limit: ReadLimit,
        reads_max: usize,
    ) -> Reply<Position> {
        let mut at = from;
        for _ in 0..reads_max {
            let asked = self.oracle.borrow_mut().now();
            let Some((next, count)) = self.read(life, log, at, limit).await? else {
                return Ok(at);
            };
            if count == 0 && next == at {
                let verdict = self.oracle.borrow_mut().reached_end(log, at, asked);
                self.hold(life, verdict);
                return Ok(at);
            }
            at = next;
        }
        if reads_max == READS_MAX {
            life.judge.fail(format!("the end of {log} is not reached in {READS_MAX} reads"));
        }
        Ok(at)
    }

    async fn find(&mut self, life: &Life<'_>, log: LogId, rng: &mut Rng) -> Reply<()> {
        let (asked, at) = {
            let mut oracle = self.oracle.borrow_mut();
            let times = oracle.times(log);
            let at = match rng.below(4) {
                0 => life.world.now(),
                1 => Timestamp::ZERO,
                _ if times.is_empty() => life.world.now(),
                _ => Timestamp::from_millis(
                    rng.pick(&times).as_millis().saturating_add_signed(rng.below(3) as i64 - 1),
                ),
            };
            (oracle.now(), at)
        };
        match life.call(move |s| async move { s.log.find(log, at).await }).await? {
            Ok(position) => {
                let verdict = self.oracle.borrow_mut().found(log, at, asked, position);
                self.hold(life, verdict);
            }
            Err(e) => self.read_error(life, log, asked, &e),
        }
        Ok(())
    }

    async fn trim(&mut self, life: &Life<'_>, log: LogId, rng: &mut Rng) -> Reply<()> {
        let known = self.oracle.borrow().positions(log);
        if known.is_empty() {
            return Ok(());
        }
        let upto = rng.below(known.len() as u64) as usize;
        let before = known[upto * upto / known.len()]; // rather less than more
        self.oracle.borrow_mut().trim_asked(log, before);
        let asked = self.oracle.borrow_mut().now();
        match life.call(move |s| async move { s.log.trim(log, before).await }).await? {
            Ok(()) => self.oracle.borrow_mut().trimmed(log, before),
            Err(e) => self.control_error(life, log, asked, &e),
        }
        Ok(())
    }

    async fn seal(&mut self, life: &Life<'_>, log: LogId) -> Reply<()> {
        let asked = {
            let mut oracle = self.oracle.borrow_mut();
            let state = oracle.log(log);
            if state.sealed == Certainty::No {
                state.sealed = Certainty::Asked;
            }
            oracle.now()
        };
        match life.call(move |s| async move { s.log.seal(log).await }).await? {
            Ok(tail) => {
                let verdict = self.oracle.borrow_mut().sealed(log, asked, tail);
                self.hold(life, verdict);
            }
            Err(e) => self.control_error(life, log, asked, &e),
        }
        Ok(())
    }

    async fn delete(&mut self, life: &Life<'_>, log: LogId) -> Reply<()> {
        life.world.note(format_args!("client deletes {log}"));
        let existed = {
            let mut oracle = self.oracle.borrow_mut();
            let asked = oracle.now();
            let state = oracle.log(log);
            let existed = state.must_exist(asked);
            if state.deleted == Certainty::No {
                state.deleted = Certainty::Asked;
            }
            existed
        };
        match life.call(move |s| async move { s.log.delete(vec![log]).await }).await? {
            // Else the log may be made only now, by a call that began before.
            Ok(()) if existed => self.oracle.borrow_mut().log(log).deleted = Certainty::Yes,
            Ok(()) => {}
            Err(e) => control_error(life, &e, true),
        }
        Ok(())
    }

    async fn tail(&mut self, life: &Life<'_>, log: LogId) -> Reply<()> {
        let asked = self.oracle.borrow_mut().now();
        let tail = life.call(move |s| async move { s.log.tail(log).map(|t| *t.borrow()) }).await?;
        match tail {
            Ok(tail) => {
                let verdict = self.oracle.borrow_mut().tail(log, asked, tail);
                self.hold(life, verdict);
            }
            Err(e) => self.control_error(life, log, asked, &e),
        }
        Ok(())
    }

    async fn upkeep(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        if rng.one_in(2) {
            // Its errors stand in the health report; appends show whether they matter.
            life.call(|s| async move { s.log.checkpoint().await }).await.map(drop)
        } else {
            life.call(|s| async move { s.log.scrub().await }).await
        }
    }

    fn control_error(&self, life: &Life<'_>, log: LogId, asked: Tick, e: &LogError) {
        let may_miss = !self.oracle.borrow_mut().log(log).must_exist(asked);
        control_error(life, e, may_miss);
    }

    fn some_position(&self, log: LogId, rng: &mut Rng) -> Position {
        let known = self.oracle.borrow().positions(log);
        match rng.below(6) {
            0 => Position::START,
            1 => Position::new(rng.below(2000), rng.below(5) as u32),
            2 => Position::END,
            _ if known.is_empty() => Position::START,
            3 => rng.pick(&known).next(),
            _ => *rng.pick(&known),
        }
    }
}

fn control_error(life: &Life<'_>, e: &LogError, may_miss: bool) {
    match e {
        LogError::NotFound { .. } if may_miss => {}
        LogError::NotFound { .. } => life.judge.fail(format!("LOST: {e}")),
        LogError::Full { .. } => life.full(e),
        LogError::Stopped { .. } => life.unavailable(e),
    }
}

fn some_limit(rng: &mut Rng) -> ReadLimit {
    ReadLimit {
        entries_max: [1, 3, 10, 100, 10_000][rng.below(5) as usize],
        bytes_max: [1, 1000, 10_000, 100_000, 10 << 20][rng.below(5) as usize],
    }
}

/// Sizes of the entries of a batch: mostly small, around the edges of sectors, now and then large.
fn some_sizes(rng: &mut Rng) -> Vec<u32> {
    let count = [1, 1, 2, 5, 20][rng.below(5) as usize];
    let size_max = match rng.below(16) {
        0..8 => 100,
        8..14 => 1500,
        14 => 20_000,
        _ => 66_000,
    };
    (0..count)
        .map(|_| match rng.below(6) {
            0 => 0,
            1 => (512 * rng.between(1, 8) - rng.between(0, 64)) as u32,
            _ => rng.below(size_max) as u32 / if count > 2 { 4 } else { 1 },
        })
        .collect()
}
