//! What the writer is asked to do, and how it answers.

use millstream_base::Timestamp;
use tokio::sync::oneshot;

use crate::chunk::{CHUNK_HEADER_LEN, TRIM_LEN};
use crate::seal::SealedEntries;
use crate::store::{AppendError, LogError, LogId, NewEntry, Position, PositionRange, Tail};

pub(crate) enum Request {
    Append(AppendCall),
    Control(ControlCall),
    /// Prove the last frame durable, if nothing else is to be done.
    Marker,
    /// Write what came before, prove it, and end.
    Stop(oneshot::Sender<()>),
}

pub(crate) struct AppendCall {
    pub batches: Vec<PendingBatch>,
    /// Bytes in the frame.
    pub bytes: u64,
    /// Permits to give back to the queue.
    pub permits: u32,
    pub reply: oneshot::Sender<Vec<AppendAnswer>>,
}

pub(crate) struct PendingBatch {
    pub log: LogId,
    pub at: Timestamp,
    pub entries: PendingEntries,
}

pub(crate) enum PendingEntries {
    Plain(Vec<NewEntry>),
    Sealed(SealedEntries),
}

impl PendingEntries {
    pub(crate) fn count(&self) -> u32 {
        match self {
            PendingEntries::Plain(entries) => entries.len() as u32,
            PendingEntries::Sealed(sealed) => sealed.count,
        }
    }
}

pub(crate) struct ControlCall {
    pub ops: Vec<(LogId, ControlOp)>,
    pub reply: oneshot::Sender<Result<Option<Tail>, LogError>>,
}

#[derive(Clone, Copy)]
pub(crate) enum ControlOp {
    Create,
    Seal,
    Trim(Position),
    Delete,
}

impl Request {
    /// Bytes in a frame.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Request::Append(call) => call.bytes,
            Request::Control(call) => (call.ops.len() * (CHUNK_HEADER_LEN + TRIM_LEN)) as u64,
            Request::Marker | Request::Stop(_) => 0,
        }
    }
}

/// What a call gets once its frame is durable.
pub(crate) enum Answer {
    Append(oneshot::Sender<Vec<AppendAnswer>>, Vec<AppendAnswer>),
    Control(oneshot::Sender<Result<Option<Tail>, LogError>>, Result<Option<Tail>, LogError>),
}

pub(crate) type AppendAnswer = Result<PositionRange, AppendError>;

pub(crate) fn answer(answers: Vec<Answer>) {
    for a in answers {
        match a {
            Answer::Append(reply, answers) => drop(reply.send(answers)),
            Answer::Control(reply, answer) => drop(reply.send(answer)),
        }
    }
}

/// Answers calls whose frame did not come about: what was refused already stays so.
pub(crate) fn refuse_all(answers: Vec<Answer>, append: &AppendError, control: &LogError) {
    for a in answers {
        match a {
            Answer::Append(reply, answers) => {
                let refused = answers.into_iter().map(|a| a.and_then(|_| Err(append.clone())));
                drop(reply.send(refused.collect()));
            }
            Answer::Control(reply, answer) => {
                drop(reply.send(answer.and_then(|_| Err(control.clone()))));
            }
        }
    }
}
