//! What callers of the queue operations give and get.

use std::time::Duration;

use bytes::Bytes;
use millstream_base::{QueueArn, Scope, StreamArn, StreamName, Tags, Timestamp};
use serde::{Deserialize, Serialize};

/// How a queue's life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueueStatus {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl QueueStatus {
    /// The name that AWS's answers and sentences carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            QueueStatus::Creating => "CREATING",
            QueueStatus::Active => "ACTIVE",
            QueueStatus::Updating => "UPDATING",
            QueueStatus::Deleting => "DELETING",
        }
    }
}

impl std::fmt::Display for QueueStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a new queue begins to deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueStart {
    TrimHorizon,
    #[default]
    Latest,
    AtTimestamp(Timestamp),
}

/// What becomes of a record that is received again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadLetters {
    /// After so many receives (1 to 1,000) it is set aside within the queue.
    BuiltIn { max_receive_count: u32 },
    /// It is delivered until it is acknowledged or expires.
    None,
}

/// What can be changed about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    /// 0 to 43,200.
    pub visibility_timeout_secs: u32,
    pub dead_letters: DeadLetters,
}

/// Attributes to be set; those that are absent get the default in a new queue, and stay as they
/// are in one that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueChanges {
    pub visibility_timeout_secs: Option<u32>,
    pub dead_letters: Option<DeadLetters>,
}

/// A queue to be made.
#[derive(Clone, Debug)]
pub struct CreateQueue {
    pub scope: Scope,
    /// By the same rule as streams' names.
    pub name: StreamName,
    pub stream: StreamArn,
    /// `None`: LATEST.
    pub start: Option<QueueStart>,
    pub attributes: QueueChanges,
    pub tags: Tags,
}

/// What DescribeQueue shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDescription {
    pub queue: QueueArn,
    pub name: StreamName,
    pub status: QueueStatus,
    /// Whole seconds.
    pub created: Timestamp,
    pub stream: StreamArn,
    /// `None` while CREATING, if the caller named none.
    pub start: Option<QueueStart>,
    pub attributes: QueueAttributes,
}

/// A page of queues to be listed, or the next one.
#[derive(Clone, Debug)]
pub struct ListQueues<'a> {
    pub scope: &'a Scope,
    /// More than 100 gives 100.
    pub limit: Option<usize>,
    /// Queues of any of these streams (all queues if it is empty), and, where a time is given, of
    /// the stream that was made then. Not looked at with a token, which has its own.
    pub streams: Vec<(StreamArn, Option<Timestamp>)>,
    pub next_token: Option<&'a str>,
}

/// One line of ListQueues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedQueue {
    pub queue: QueueArn,
    pub name: StreamName,
    pub status: QueueStatus,
    /// Whole seconds.
    pub created: Timestamp,
    pub stream: StreamArn,
    /// Whole seconds.
    pub stream_created: Timestamp,
}

/// Queues in the order of their names.
#[derive(Clone, Debug)]
pub struct QueuesPage {
    pub queues: Vec<ListedQueue>,
    pub next_token: Option<String>,
}

/// Which of a queue's records are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Those that are delivered.
    Normal,
    /// Those that were set aside.
    DeadLetter,
}

/// Records to be received.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveQueueRecords {
    pub lane: Lane,
    /// 1 to 10.
    pub limit: usize,
    /// How long to wait for a first record.
    pub wait: Duration,
    /// `None`: the queue's.
    pub visibility_timeout_secs: Option<u32>,
}

/// A record as a queue delivers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// Another one for every delivery.
    pub receipt_handle: String,
    /// The same for every delivery and every queue: the record's sequence number.
    pub record_id: String,
    /// UTF-8.
    pub partition_key: Option<Bytes>,
    pub data: Bytes,
    pub arrived: Timestamp,
    pub first_received: Timestamp,
    pub receive_count: u32,
}

/// Why a receipt handle brings nothing about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// It was not given by this queue for this kind of record.
    #[error("not a receipt handle of this queue and operation")]
    Invalid,
    /// The record was received again since, was set aside, restored, acknowledged, or has expired.
    #[error("the receipt handle stands for no record any more")]
    Gone,
}

/// What one entry of a batch came to.
pub type HandleResult = std::result::Result<(), HandleError>;

/// What a queue did since the process started, and holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueCounts {
    pub queue: QueueArn,
    pub name: StreamName,
    /// Records delivered, each as often as it was; dead-letter records are not among them.
    pub received: u64,
    pub acknowledged: u64,
    pub empty_receives: u64,
    /// Records that can be received, as far as they were counted; at most 1,000,000. What was
    /// never received is counted by reading ahead, so that the figure follows with a delay.
    pub visible: u64,
    pub in_flight: u64,
    pub visible_dead_letters: u64,
}
