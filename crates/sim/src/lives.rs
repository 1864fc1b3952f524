//! One run: some lives of a node, each with its trouble, and clients that outlive them.
//!
//! ```text
//!  start -> open -> verify -> clients work, trouble comes -> the end of this life -> rot -> start ...
//!                                             and at last: start without trouble, verify, work, verify
//! ```

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use millstream_env::sim::{
    CrashKind, DiskFaults, DiskOptions, Mood, PlantedBug, Rng, SimNode, SimWorld, Stop, Stopped,
};
use millstream_env::{Disk, Env};

use crate::options::{Options, Planted};
use crate::plan::{self, End, Plan};
use crate::verdict::Judge;

/// What is under test: made anew in every life from the files of the last.
pub(crate) trait System: Clone + Send + Sync + 'static {
    fn open(
        env: Env,
        options: Options,
    ) -> impl Future<Output = Result<Self, OpenError>> + Send + 'static;
    /// An orderly end.
    fn close(self) -> impl Future<Output = ()> + Send + 'static;
    /// What the offline check finds on the disk of a node that is down; `None` if there is no such
    /// check, an error if it can't be done.
    fn check(disk: Arc<dyn Disk>) -> Option<Result<Vec<String>, String>>;
    /// Bytes that the start cut off as a write that was never acknowledged.
    fn cut_off(&self) -> u64;
}

/// Someone who uses the system, and remembers.
pub(crate) trait Client<S: System> {
    /// One random operation.
    async fn step(&mut self, life: &Life<'_, S>, rng: &mut Rng) -> Reply<()>;
    /// Holds everything that can be read against everything remembered.
    async fn verify(&mut self, life: &Life<'_, S>) -> Reply<()>;
    /// Must succeed on a healthy node: what was refused for want of space goes on.
    async fn recover(&mut self, life: &Life<'_, S>) -> Reply<bool>;
}

/// The node stopped before the answer came.
pub(crate) type Reply<T> = Result<T, Stopped>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("full: {0}")]
    Full(String),
    #[error("failed: {0}")]
    Io(String),
}

/// No single call takes longer than this of virtual time, whatever the disk does.
const HANG: Duration = Duration::from_secs(300);

/// How long a system may take to go on after a full disk has room again.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// A disk that is not full.
const CAPACITY: u64 = 1 << 30;

/// One life of the node, as its clients see it.
pub(crate) struct Life<'a, S> {
    pub(crate) world: &'a SimWorld,
    pub(crate) judge: &'a Judge,
    node: &'a SimNode,
    system: S,
    excuses: Excuses,
}

/// What may rightly go wrong in a life.
#[derive(Clone, Copy, Debug, Default)]
struct Excuses {
    rotten: bool,
    io: bool,
    full: bool,
}

pub(crate) async fn run<S: System, C: Client<S>>(
    world: &SimWorld,
    judge: &Judge,
    plan: &Plan,
    options: Options,
    mut clients: Vec<C>,
) {
    let planted_bug = match options.planted {
        Some(Planted::SkipSync { one_in }) => Some(PlantedBug::SkipSync { one_in }),
        _ => None,
    };
    let node = world.node("node", DiskOptions { planted_bug, capacity: CAPACITY });
    let rng = world.rng("lives");
    let mut run =
        Run { world, judge, options, node, rng, rotten: false, wal_rotten: false, io: false };
    for life in &plan.lives {
        if !run.life(life, &mut clients).await {
            return;
        }
        run.rot(life.rot_bits);
    }
    run.life(&plan::Life::last(), &mut clients).await;
}

struct Run<'a> {
    world: &'a SimWorld,
    judge: &'a Judge,
    options: Options,
    node: SimNode,
    rng: Rng,
    rotten: bool,
    /// The newest frame of a write-ahead log that rots can't be told from one that was torn by a
    /// crash: what the start cuts off may then have been acknowledged.
    wal_rotten: bool,
    /// The disk failed in some life.
    io: bool,
}

impl Run<'_> {
    /// Whether the run goes on.
    async fn life<S: System, C: Client<S>>(
        &mut self,
        plan: &plan::Life,
        clients: &mut [C],
    ) -> bool {
        self.node.restart().await;
        let found = self.check::<S>().await;
        self.judge.count(|s| s.lives += 1);
        let early = self.prepare(plan);
        let opened = within(self.node.call("open", S::open(self.node.env(), self.options))).await;
        let excuses = Excuses {
            rotten: self.rotten,
            io: plan.disk_faults != DiskFaults::default(),
            full: plan.full.is_some(),
        };
        let system = match opened {
            None => {
                self.judge.fail("opening did not end".into());
                return false;
            }
            Some(Err(Stopped)) => return self.is_over(excuses),
            Some(Ok(Err(e))) => {
                self.compare(&e, found);
                return self.refused(e, excuses);
            }
            Some(Ok(Ok(system))) => system,
        };
        let cut = self.wal_rotten && system.cut_off() > 0;
        self.judge.excuse_losses(cut);
        let (world, judge) = (self.world, self.judge);
        let life = Life { world, judge, node: &self.node, system, excuses };
        let verified = verify(&life, clients).await;
        if cut {
            // What is left was held against what was written; nobody can say what else is gone.
            self.node.crash(CrashKind::Kill);
            return false;
        }
        if !early {
            self.node.disk().set_faults(plan.disk_faults);
        }
        if verified.is_ok() && !judge.failed() {
            let seed = self.rng.next_u64();
            let work = join_all(
                clients.iter_mut().enumerate().map(|(i, c)| work(&life, c, plan.steps, seed, i)),
            );
            let trouble = self::trouble(&life, plan, Rng::new(seed));
            tokio::select! {
                biased;
                _ = work => {}
                () = trouble => {}
            }
        }
        self.end(&life, plan, clients).await;
        self.is_over(excuses)
    }

    /// The offline check, now and then. On a disk that nothing happened to it finds nothing.
    async fn check<S: System>(&mut self) -> Option<Vec<String>> {
        if !self.rng.one_in(3) {
            return None;
        }
        let disk = self.node.env().disk;
        let found = self.node.call("check", async move { S::check(disk) }).await.ok()??;
        self.world.note(format_args!("the check finds {found:?}"));
        match found {
            Ok(found) => {
                // With the format file the directory counts: before, its making was cut short.
                let unmade = found.iter().any(|f| f.starts_with("log.format at byte 0"));
                if !found.is_empty() && !unmade && !self.rotten && !self.io {
                    self.judge.fail(format!("damage is found on a sound disk: {found:?}"));
                }
                Some(found)
            }
            // There is nothing there yet, or its first files are not what they should be.
            Err(_) => None,
        }
    }

    /// Where the start finds damage in the log, the check does.
    fn compare(&self, refusal: &OpenError, found: Option<Vec<String>>) {
        let text = refusal.to_string();
        let of_log = ["wal/", "seg/", "manifest"].iter().any(|file| text.contains(file));
        let damaged = matches!(refusal, OpenError::Damaged(_)) && of_log;
        if damaged && found.is_some_and(|found| found.is_empty()) {
            self.judge.fail(format!("the check finds nothing, and the start says: {text}"));
        }
    }

    /// Sets the stage; returns whether disk errors come already while opening.
    fn prepare(&mut self, plan: &plan::Life) -> bool {
        let disk = self.node.disk();
        disk.set_capacity(CAPACITY);
        self.node.set_mood(plan.mood);
        if let End::AtDiskCall(n, kind) = plan.end {
            disk.crash_at(n, kind);
        }
        self.io |= plan.disk_faults != DiskFaults::default();
        let early = self.rng.one_in(4);
        if early {
            disk.set_faults(plan.disk_faults);
        }
        early
    }

    async fn end<S: System, C: Client<S>>(
        &self,
        life: &Life<'_, S>,
        plan: &plan::Life,
        clients: &mut [C],
    ) {
        self.node.disk().set_capacity(CAPACITY);
        if plan.full.is_some() && !life.excuses.io && !life.excuses.rotten && !life.is_stopped() {
            for client in clients.iter_mut().take(1) {
                recover(life, client).await;
            }
        }
        let kind = match plan.end {
            End::Orderly => {
                let system = life.system.clone();
                if within(self.node.call("close", system.close())).await.is_none() {
                    self.judge.fail("closing did not end".into());
                }
                CrashKind::PowerLoss
            }
            End::Afterwards(kind) => kind,
            _ => CrashKind::PowerLoss,
        };
        self.node.crash(kind);
        if !matches!(plan.end, End::Orderly) {
            self.judge.count(|s| s.crashes += 1);
        }
    }

    fn is_over(&self, excuses: Excuses) -> bool {
        if let Some(Stop::Fatal { reason }) = self.node.stop()
            && !excuses.io
            && !excuses.rotten
        {
            self.judge.fail(format!("the node ended itself: {reason}"));
        }
        !self.judge.failed()
    }

    fn refused(&self, e: OpenError, excuses: Excuses) -> bool {
        let stopped = self.node.stop().is_some();
        let fine = match &e {
            OpenError::Damaged(_) => excuses.rotten || excuses.io,
            OpenError::Full(_) => excuses.full,
            OpenError::Io(_) => excuses.io || stopped,
        };
        self.world.note(format_args!("opening is refused: {e}"));
        if !fine && !stopped {
            self.judge.fail(format!("opening is refused: {e}"));
        }
        if excuses.rotten && matches!(e, OpenError::Damaged(_)) {
            self.judge.count(|s| s.damage_reported += 1);
            return false; // an operator's turn
        }
        !self.judge.failed()
    }

    fn rot(&mut self, bits: u64) {
        let disk = self.node.disk();
        let files = disk.files();
        let targets: Vec<_> = files.iter().filter(|(_, len)| *len > 0).collect();
        for _ in 0..bits {
            if targets.is_empty() {
                return;
            }
            let (path, len) = self.rng.pick(&targets);
            let (offset, bit) = (self.rng.below(*len), self.rng.below(8) as u8);
            disk.rot(path, offset, bit).expect("listed files exist");
            self.rotten = true;
            self.wal_rotten |= path.starts_with("wal/");
        }
    }
}

async fn verify<S: System, C: Client<S>>(life: &Life<'_, S>, clients: &mut [C]) -> Reply<()> {
    for client in clients {
        client.verify(life).await?;
        if life.judge.failed() {
            return Err(Stopped);
        }
    }
    Ok(())
}

async fn work<S: System, C: Client<S>>(
    life: &Life<'_, S>,
    client: &mut C,
    steps: u64,
    seed: u64,
    number: usize,
) {
    let mut rng = Rng::stream(seed, &format!("client {number}"));
    for _ in 0..steps {
        if life.judge.failed() || client.step(life, &mut rng).await.is_err() {
            return;
        }
        if rng.one_in(3) {
            tokio::time::sleep(Duration::from_micros(rng.below(40_000))).await;
        }
    }
    if life.excuses == Excuses::default() {
        let _ = client.verify(life).await;
    }
}

async fn recover<S: System, C: Client<S>>(life: &Life<'_, S>, client: &mut C) {
    let since = life.world.elapsed();
    loop {
        match client.recover(life).await {
            Err(Stopped) | Ok(true) => return,
            Ok(false) if life.world.elapsed() - since > RECOVERY_MAX => {
                let max = RECOVERY_MAX.as_secs();
                life.judge.fail(format!("{max} s after the disk has room nothing goes on"));
                return;
            }
            Ok(false) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// Everything that comes from outside during a life. Never ends before the clients.
async fn trouble<S>(life: &Life<'_, S>, plan: &plan::Life, mut rng: Rng) {
    let disk = life.node.disk();
    let full = async {
        if let Some(full) = plan.full {
            tokio::time::sleep(full.after).await;
            disk.set_capacity(disk.used() + full.room);
            tokio::time::sleep(full.for_long).await;
            disk.set_capacity(CAPACITY);
        }
    };
    let clock = async {
        for step in &plan.clock_steps {
            tokio::time::sleep(Duration::from_micros(rng.below(300_000))).await;
            life.judge.clock_is_set(life.world);
            life.world.step_clock(*step);
            life.judge.clock_is_set(life.world);
        }
    };
    let crash = async {
        if let End::After(time, kind) = plan.end {
            tokio::time::sleep(time).await;
            life.node.crash(kind);
        }
    };
    tokio::join!(full, clock, crash);
    std::future::pending::<()>().await;
}

async fn within<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(HANG, call).await.ok()
}

impl PartialEq for Excuses {
    fn eq(&self, other: &Self) -> bool {
        (self.rotten, self.io, self.full) == (other.rotten, other.io, other.full)
    }
}

impl<S: System> Life<'_, S> {
    /// Asks the system something, as a task of the node.
    pub(crate) async fn call<T, F>(&self, ask: impl FnOnce(S) -> F) -> Reply<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        match within(self.node.call("client", ask(self.system.clone()))).await {
            Some(answer) => answer,
            None => {
                self.judge.fail(format!("a call did not end within {} s", HANG.as_secs()));
                Err(Stopped)
            }
        }
    }
}

impl<S> Life<'_, S> {
    pub(crate) fn is_stopped(&self) -> bool {
        self.node.stop().is_some()
    }

    /// Whether what is read now decides what became of an earlier write that was never answered.
    /// After a failed write the engine goes on with the rows it has in memory, and only the next
    /// start shows whether the disk had taken it.
    pub(crate) fn settles_doubts(&self) -> bool {
        !self.excuses.io
    }

    /// Damage was reported: fine if there is some.
    pub(crate) fn damaged(&self, what: &dyn fmt::Display) {
        self.world.note(format_args!("damage reported: {what}"));
        if self.excuses.rotten {
            self.judge.count(|s| s.damage_reported += 1);
        } else if !self.excuses.io && !self.is_stopped() {
            self.judge.fail(format!("damage is reported on a sound disk: {what}"));
        }
    }

    /// A full disk was reported: fine if it is.
    pub(crate) fn full(&self, what: &dyn fmt::Display) {
        if self.excuses.full || self.excuses.io {
            self.judge.count(|s| s.full_reported += 1);
        } else if !self.is_stopped() {
            self.judge.fail(format!("a full disk is reported, and it is not: {what}"));
        }
    }

    /// A failure that does not say why: fine if there is a reason.
    pub(crate) fn troubled(&self, what: &dyn fmt::Display) {
        self.world.note(format_args!("trouble: {what}"));
        if self.excuses.rotten {
            self.judge.count(|s| s.damage_reported += 1);
        } else if self.excuses.full {
            self.judge.count(|s| s.full_reported += 1);
        } else {
            self.unavailable(what);
        }
    }

    /// The system says that it can't: fine if its disk fails it or it is going down.
    pub(crate) fn unavailable(&self, what: &dyn fmt::Display) {
        self.judge.count(|s| s.refused += 1);
        if !self.excuses.io && !self.excuses.rotten && !self.is_stopped() {
            self.judge.fail(format!("refused without a reason: {what}"));
        }
    }
}

impl plan::Life {
    /// The life in which everything must be well.
    fn last() -> plan::Life {
        plan::Life {
            mood: Mood::CALM,
            end: End::Orderly,
            steps: 6,
            full: None,
            disk_faults: DiskFaults::default(),
            clock_steps: Vec::new(),
            rot_bits: 0,
        }
    }
}
