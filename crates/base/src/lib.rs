//! The domain's words: names, ARNs, hash keys, sequence numbers, records, limits.
//!
//! Values are built by checking constructors and never checked again.
//!
//! Invariant: no I/O, no async, no clock. Everything here is a value.

pub mod arn;
pub mod hash_key;
pub mod limits;
mod md5_lanes;
pub mod name;
pub mod queue;
pub mod retention;
pub mod sequence;
pub mod shard_id;
pub mod tags;
pub mod timestamp;

pub use arn::{Arn, ArnError, ConsumerArn, ResourceArn, StreamArn};
pub use hash_key::{HashKey, HashKeyError, HashKeyRange};
pub use name::{AccountId, NameError, Region, Scope, StreamName};
pub use queue::{QueueArn, QueueId};
pub use retention::{Retention, RetentionError};
pub use sequence::{SequenceNumber, SequenceNumberError, SequenceParts, ShardOrigin};
pub use shard_id::{ShardId, ShardIdError};
pub use tags::{TagError, Tags};
pub use timestamp::Timestamp;
