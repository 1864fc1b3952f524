//! Who did what, from where, and how it ended: CloudTrail events, kept so that nobody can change
//! them unseen.
//!
//! ```text
//! Event ---> Recorder ---> Trail: audit-00000001.jsonl, audit-00000002.jsonl, ...
//!            (group commit) (chain, rotation, retention, repair)
//!                                   |---> lookup: newest first, by attribute and time
//!                                   '---> verify: is every line what was written, and in its place
//! ```
//!
//! Promise: [`Recorder::record`] returns when the event is on stable storage. A crash can only tear
//! what was not answered, and the repair says so in the trail itself.
//!
//! Invariant: knows no HTTP and no AWS shapes; what an event says about its call is the caller's
//! care, secrets above all.

mod event;
mod files;
mod hash;
mod line;
mod lookup;
mod note;
mod read;
mod recorder;
mod trail;
mod verify;

pub use event::{Event, EventCategory, Resource, TlsDetails, UserIdentity, event_time};
pub use files::{FileName, trail_files};
pub use hash::{Hash, HashError};
pub use line::{Entry, Kind, LINE_BYTES_MAX, LineError, parse_line};
pub use lookup::{Attribute, Cursor, LOOKUP_BYTES_MAX, Page, Query, lookup};
pub use note::{Note, Removed, Repaired};
pub use read::{Line, Lines};
pub use recorder::{Figures, RecordError, Recorder};
pub use trail::{AppendError, Head, OpenError, Options, Repair, Trail};
pub use verify::{FINDINGS_MAX, Finding, Report, Trouble, verify};
