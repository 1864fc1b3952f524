//! Which series there are: in memory as a whole, on disk as a log of definitions.
//!
//! A series is a metric of an account and region in one unit. Its number is that of its log; numbers
//! are never used again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use millstream_base::{AccountId, NameError, Region, Scope};
use millstream_meta::{Document, Key};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metric::{Metric, Unit};

/// The log of definitions.
pub(crate) const CATALOGUE: u32 = 0;
/// The log of points that have not settled.
pub(crate) const JOURNAL: u32 = 1;
const FIRST_SERIES: SeriesId = SeriesId(2);

/// A series' number, and that of its log within the node's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SeriesId(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) id: SeriesId,
    pub(crate) scope: Scope,
    pub(crate) metric: Arc<Metric>,
    pub(crate) unit: Unit,
}

type ByMetric = BTreeMap<Arc<Metric>, BTreeMap<Unit, SeriesId>>;

#[derive(Debug)]
pub(crate) struct Catalogue {
    series: BTreeMap<SeriesId, Arc<Definition>>,
    by_metric: BTreeMap<Scope, ByMetric>,
    next: SeriesId,
}

impl Default for Catalogue {
    fn default() -> Self {
        Catalogue { series: BTreeMap::new(), by_metric: BTreeMap::new(), next: FIRST_SERIES }
    }
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn find(&self, scope: &Scope, metric: &Metric, unit: Unit) -> Option<SeriesId> {
        self.by_metric.get(scope)?.get(metric)?.get(&unit).copied()
    }

    /// The series of a metric, by unit.
    pub(crate) fn units(&self, scope: &Scope, metric: &Metric) -> Vec<(Unit, SeriesId)> {
        let units = self.by_metric.get(scope).and_then(|metrics| metrics.get(metric));
        units.into_iter().flatten().map(|(unit, id)| (*unit, *id)).collect()
    }

    /// The metrics of an account and region after `after`, in order, with their series.
    pub(crate) fn metrics(
        &self,
        scope: &Scope,
        after: Option<&Metric>,
    ) -> impl Iterator<Item = (&Arc<Metric>, impl Iterator<Item = SeriesId>)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let metrics = self.by_metric.get(scope).into_iter();
        let metrics = metrics.flat_map(move |m| m.range::<Metric, _>((from, Unbounded)));
        metrics.map(|(metric, units)| (metric, units.values().copied()))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.series.values()
    }

    /// Makes a series under a number of its own.
    pub(crate) fn define(&mut self, scope: &Scope, metric: &Metric, unit: Unit) -> Arc<Definition> {
        let id = self.next;
        let metric = Arc::new(metric.clone());
        let definition = Arc::new(Definition { id, scope: scope.clone(), metric, unit });
        self.insert(definition.clone());
        definition
    }

    fn insert(&mut self, definition: Arc<Definition>) {
        self.next = self.next.max(SeriesId(definition.id.0 + 1));
        let metrics = self.by_metric.entry(definition.scope.clone()).or_default();
        let units = metrics.entry(definition.metric.clone()).or_default();
        if let Some(before) = units.insert(definition.unit, definition.id) {
            self.series.remove(&before);
        }
        self.series.insert(definition.id, definition);
    }

    pub(crate) fn remove(&mut self, id: SeriesId) {
        let Some(gone) = self.series.remove(&id) else { return };
        let Entry::Occupied(mut metrics) = self.by_metric.entry(gone.scope.clone()) else { return };
        if let Some(units) = metrics.get_mut().get_mut(&*gone.metric) {
            units.remove(&gone.unit);
            if units.is_empty() {
                metrics.get_mut().remove(&*gone.metric);
            }
        }
        if metrics.get().is_empty() {
            metrics.remove();
        }
    }

    /// Takes over what an entry of the log says.
    ///
    /// # Errors
    /// It can't be read, or is of a newer program.
    pub(crate) fn apply(&mut self, entry: &[u8]) -> Result<()> {
        match News::decode(&Key::new("monitoring/catalogue"), entry)? {
            News::Defined(row) => self.insert(Arc::new(row.try_into()?)),
            News::Gone(ids) => ids.into_iter().for_each(|id| self.remove(id)),
            News::Next(id) => self.next = self.next.max(id),
        }
        Ok(())
    }

    /// Entries that say all that there is to say.
    pub(crate) fn whole(&self) -> Vec<Bytes> {
        let next = std::iter::once(News::Next(self.next).encode());
        next.chain(self.all().map(|definition| definition.entry())).collect()
    }
}

impl Definition {
    /// The entry that defines this series.
    pub(crate) fn entry(&self) -> Bytes {
        News::Defined(SeriesRow {
            id: self.id,
            account: self.scope.account.as_str().to_owned(),
            region: self.scope.region.as_str().to_owned(),
            metric: (*self.metric).clone(),
            unit: self.unit,
        })
        .encode()
    }
}

/// The entry that ends series.
pub(crate) fn gone(ids: Vec<SeriesId>) -> Bytes {
    News::Gone(ids).encode()
}

/// One entry of the log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    Defined(SeriesRow),
    Gone(Vec<SeriesId>),
    /// The least number that was never given.
    Next(SeriesId),
}

impl Document for News {
    const KIND: &'static str = "metric's definition";
    const VERSION: u32 = 1;
}

#[derive(Serialize, Deserialize)]
struct SeriesRow {
    id: SeriesId,
    account: String,
    region: String,
    metric: Metric,
    unit: Unit,
}

impl TryFrom<SeriesRow> for Definition {
    type Error = Error;

    fn try_from(row: SeriesRow) -> Result<Self> {
        let broken = |e: NameError| Error::Corrupt { reason: e.to_string() };
        let account = AccountId::new(&row.account).map_err(broken)?;
        let region = Region::new(&row.region).map_err(broken)?;
        let (scope, metric) = (Scope::new(account, region), Arc::new(row.metric));
        Ok(Definition { id: row.id, scope, metric, unit: row.unit })
    }
}
