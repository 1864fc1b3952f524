//! Metrics over time: points of a minute, kept and asked for by name and dimensions.
//!
//! [`Monitoring`] is the store. Whoever measures records [`Datum`]s; those of one series and minute
//! become one [`Point`], a statistic set. Points wait in memory, are journalled at every flush and
//! settle in blocks, one log per series, so that a question about one series reads only that.
//!
//! ```text
//!  record ──> unwritten ──flush, each minute──> journal (one log)
//!        └──> unsettled ──settle, each hour───> blocks (one log per series), journal trimmed
//!  read   <── blocks + unsettled
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `metric`, `point` | what is measured, and what is known of a minute of it |
//! | `aggregate` | points of several minutes as one |
//! | `catalogue` | which series there are |
//! | `points`, `block`, `layout` | points in memory, as bytes, and what lies where |
//! | `engine`, `start`, `flush`, `read`, `upkeep` | the store: recording, recovery, writing, reading, forgetting |
//!
//! Promise: a crash loses at most what was recorded since the last flush, an orderly end nothing.
//! Invariant: knows no HTTP, no AWS shapes and no Kinesis.
//! Invariant: a node writes only to logs of its own family, so nodes need no agreement.

mod aggregate;
mod block;
mod catalogue;
mod engine;
mod error;
mod flush;
mod layout;
mod metric;
mod options;
mod point;
mod points;
mod read;
mod start;
mod upkeep;

pub use aggregate::{Bucket, buckets};
pub use engine::{Datum, Figures, Monitoring};
pub use error::{Error, Result};
pub use metric::{Metric, Unit};
pub use options::Options;
pub use point::{Minute, Point, StatisticSet};
pub use read::{Listed, Series};
