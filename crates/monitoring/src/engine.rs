//! The store's heart: what recording, writing and reading share.

use std::sync::Arc;

use millstream_base::{Scope, Timestamp};
use millstream_env::{Env, Task};
use millstream_log::{LogId, LogStore, Position};
use millstream_meta::{Key, MetaStore};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::catalogue::{Catalogue, Definition, SeriesId};
use crate::error::{Error, Result};
use crate::metric::{Metric, Unit};
use crate::options::Options;
use crate::point::{Minute, Point};
use crate::points::Points;

/// Metrics over time. Cheap to clone.
#[derive(Clone)]
pub struct Monitoring {
    pub(crate) inner: Arc<Inner>,
}

/// Samples of one metric at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    pub metric: Metric,
    pub unit: Unit,
    pub at: Timestamp,
    pub point: Point,
}

/// What the store holds and did, for whoever watches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub series: usize,
    /// Points in memory.
    pub points: usize,
    /// Data recorded since the process started.
    pub recorded: u64,
    /// Data refused because of a bound of the node.
    pub refused: u64,
}

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) log: Arc<dyn LogStore>,
    pub(crate) meta: Arc<dyn MetaStore>,
    pub(crate) options: Options,
    /// The row that says how far this node's points have settled.
    pub(crate) node: Key,
    pub(crate) family: u32,
    pub(crate) state: Mutex<State>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) task: Mutex<Option<Task>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) catalogue: Catalogue,
    /// Series that the log of definitions does not have yet.
    pub(crate) undefined: Vec<Arc<Definition>>,
    /// Points that the journal does not have yet; they are among the unsettled ones.
    pub(crate) unwritten: Points,
    /// Points that are in no block yet and no block is being made of.
    pub(crate) unsettled: Points,
    /// Points that blocks are being made of.
    pub(crate) settling: Option<Arc<Points>>,
    /// Up to here the journal has settled. Blocks made from what stood before are whole.
    pub(crate) settled: Position,
    pub(crate) recorded: u64,
    pub(crate) refused: u64,
}

/// Work for the task at the side.
pub(crate) enum Request {
    Flush(oneshot::Sender<Result<()>>),
    Settle(oneshot::Sender<Result<()>>),
    Stop(oneshot::Sender<Result<()>>),
}

impl Monitoring {
    /// Takes in samples: all of them or none.
    ///
    /// They are seen by the next question and survive the end of the process from the next flush on.
    ///
    /// # Errors
    /// [`Error::TooManySeries`], [`Error::Overloaded`].
    pub fn record(&self, scope: &Scope, data: &[Datum]) -> Result<()> {
        let options = &self.inner.options;
        let mut state = self.inner.state.lock();
        let state = &mut *state;
        let settling = state.settling.as_ref().map_or(0, |points| points.len());
        if state.unsettled.len() + settling + data.len() > options.points_max {
            state.refused += data.len() as u64;
            return Err(Error::Overloaded { max: options.points_max });
        }
        let unknown =
            data.iter().filter(|d| state.catalogue.find(scope, &d.metric, d.unit).is_none());
        if state.catalogue.len() + unknown.count() > options.series_max {
            state.refused += data.len() as u64;
            return Err(Error::TooManySeries { max: options.series_max });
        }
        for datum in data {
            let id = state.series(scope, &datum.metric, datum.unit);
            let minute = Minute::of(datum.at);
            state.unwritten.add(id, minute, &datum.point);
            state.unsettled.add(id, minute, &datum.point);
        }
        state.recorded += data.len() as u64;
        Ok(())
    }

    /// Makes durable what was recorded so far.
    ///
    /// # Errors
    /// A store does not take it; it is tried again at every flush.
    pub async fn flush(&self) -> Result<()> {
        self.ask(Request::Flush).await
    }

    /// Makes blocks of what was recorded so far, and forgets what is expired.
    ///
    /// # Errors
    /// As [`Monitoring::flush`].
    pub async fn settle(&self) -> Result<()> {
        self.ask(Request::Settle).await
    }

    /// Flushes and ends the work at the side. What is recorded afterwards is lost.
    pub async fn shutdown(&self) {
        if let Err(error) = self.ask(Request::Stop).await {
            tracing::warn!(%error, "the last minute's metrics are lost");
        }
        let task = self.inner.task.lock().take();
        if let Some(task) = task {
            task.join().await;
        }
    }

    pub fn figures(&self) -> Figures {
        let state = self.inner.state.lock();
        let settling = state.settling.as_ref().map_or(0, |points| points.len());
        Figures {
            series: state.catalogue.len(),
            points: state.unsettled.len() + settling,
            recorded: state.recorded,
            refused: state.refused,
        }
    }

    async fn ask(&self, request: fn(oneshot::Sender<Result<()>>) -> Request) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let _ = self.inner.requests.send(request(done)).await;
        // Nobody answers once the work has ended: nothing is left to do then.
        answer.await.unwrap_or(Ok(()))
    }
}

impl Inner {
    pub(crate) fn log_of(&self, member: u32) -> LogId {
        LogId::new(self.family, member)
    }

    /// The oldest minute that is still kept.
    pub(crate) fn horizon(&self) -> Minute {
        Minute::of(self.env.now().minus(self.options.retention))
    }
}

impl State {
    fn series(&mut self, scope: &Scope, metric: &Metric, unit: Unit) -> SeriesId {
        if let Some(id) = self.catalogue.find(scope, metric, unit) {
            return id;
        }
        let definition = self.catalogue.define(scope, metric, unit);
        self.undefined.push(definition.clone());
        definition.id
    }

    /// Whether memory holds points of a series.
    pub(crate) fn has_points(&self, id: SeriesId) -> bool {
        self.unsettled.has(id) || self.settling.as_ref().is_some_and(|points| points.has(id))
    }
}
