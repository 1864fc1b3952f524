//! A queue: who has which record of a stream, kept record by record.
//!
//! ```text
//!  shard's log   a b c d e f g h i j k l ...
//!                            ^ cursor: nothing from here on was ever delivered
//!  tracked         b   d   f           delivered and not done: in flight, or visible again
//!                a   c   e             before the cursor and not tracked: done
//! ```
//!
//! So a queue costs memory for what is in flight only, however long the stream is. Every change is
//! an [`event::Event`] in the queue's own log before anyone is told of it; [`state::State`] is what
//! the events come to. One owner at a time changes a queue: it holds a lease, and its entries carry
//! the lease's fencing token.
//!
//! | file | idea |
//! |---|---|
//! | `row`, `directory` | the queue as the metadata store has it, and this process's copy of all |
//! | `state`, `event`, `codec` | the pure state machine, what moves it, and both as bytes |
//! | `journal` | events and snapshots in the queue's log |
//! | `feed` | the stream's records, shard by shard, and news of more |
//! | `owner`, `deliver`, `command` | the task that serves one queue, and how to talk to it |
//! | `backlog` | how much was never delivered |
//! | `registry` | all owners of this process |
//!
//! Invariant: what was acknowledged stays so, and what was delivered counts, whatever crashes.
//! Invariant: a record is forgotten only when it is acknowledged or its stream's retention takes it.

mod backlog;
pub(crate) mod codec;
pub(crate) mod command;
mod deliver;
pub(crate) mod directory;
pub(crate) mod event;
mod feed;
pub(crate) mod journal;
mod owner;
pub(crate) mod registry;
pub(crate) mod row;
pub(crate) mod state;
pub(crate) mod stats;
