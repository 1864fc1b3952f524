//! How long a connection bears with a client that does not take what it asked for.
//!
//! An ordinary answer must be taken without long pauses. A streamed one may wait while the client
//! works on what it has; but one that is left alone for too long is not worth its memory, and the
//! connection is cut: over HTTP/2 nothing else would end it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream};
use millstream_env::Env;
use millstream_wire::ServiceError;
use tokio::sync::{Notify, oneshot};

use crate::config::Limits;
use crate::pipeline::{AnswerBody, AnswerParts, PART_BYTES};

/// One connection's patience.
pub(super) struct Patience {
    env: Env,
    write_stall: Duration,
    stream_stall: Duration,
    /// What holds for writes to the socket now, in milliseconds.
    stall_ms: AtomicU64,
    /// Bytes that have to be taken within the time that writes have.
    taken_min: u64,
    cut: Notify,
}

impl Patience {
    pub(super) fn new(env: Env, limits: &Limits) -> Arc<Self> {
        let (write_stall, stream_stall) = (limits.write_stall_time.0, limits.stream_stall_time.0);
        let stall_ms = AtomicU64::new(millis(write_stall));
        let taken_min = limits.answer_rate_min.0.saturating_mul(write_stall.as_secs());
        let cut = Notify::new();
        Arc::new(Patience { env, write_stall, stream_stall, stall_ms, taken_min, cut })
    }

    /// How long a write may wait for the client.
    pub(super) fn stall_time(&self) -> Duration {
        Duration::from_millis(self.stall_ms.load(Ordering::Relaxed))
    }

    /// Bytes that a client that keeps us waiting must take within [`Patience::stall_time`].
    pub(super) fn taken_min(&self) -> u64 {
        if self.stall_time() == self.write_stall { self.taken_min } else { 0 }
    }

    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Waits until the connection has to be cut.
    pub(super) async fn is_over(&self) {
        self.cut.notified().await;
    }

    /// Watches over an answer of HTTP/1.1, which has the connection to itself.
    pub(super) fn alone(self: &Arc<Self>, body: AnswerBody) -> AnswerBody {
        let time = match body {
            AnswerBody::Whole(_) | AnswerBody::Parts(_) => self.write_stall,
            AnswerBody::Stream(_) => self.stream_stall.max(self.write_stall),
        };
        self.stall_ms.store(millis(time), Ordering::Relaxed);
        self.watch(body)
    }

    /// Watches over an answer: cuts the connection when a part of it was asked for and the next is
    /// not, for the time that streams have.
    pub(super) fn watch(self: &Arc<Self>, body: AnswerBody) -> AnswerBody {
        let AnswerBody::Stream(parts) = body else { return body };
        let (progress, over) = self.begin(self.stream_stall);
        AnswerBody::Stream(Box::pin(Watched { parts, progress, _over: over }))
    }

    /// As [`Patience::watch`], for an answer of HTTP/2. One that is large is handed over in parts:
    /// whoever asks for much and takes none of it must not keep it in our memory, and while the
    /// client's window is closed no write would wait for him.
    pub(super) fn among_others(self: &Arc<Self>, body: AnswerBody) -> AnswerBody {
        match body {
            AnswerBody::Whole(Some(bytes)) if bytes.len() > PART_BYTES => {
                let (progress, over) = self.begin(self.write_stall);
                AnswerBody::Parts(AnswerParts::new(bytes, move || {
                    let _until_dropped = &over;
                    progress.parts.fetch_add(1, Ordering::Relaxed);
                }))
            }
            body => self.watch(body),
        }
    }

    fn begin(self: &Arc<Self>, stall: Duration) -> (Arc<Progress>, oneshot::Sender<()>) {
        let progress = Arc::new(Progress::default());
        let (over, is_over) = oneshot::channel();
        self.env.spawn("stream-watch", self.clone().run(stall, progress.clone(), is_over));
        (progress, over)
    }

    async fn run(
        self: Arc<Self>,
        stall: Duration,
        progress: Arc<Progress>,
        is_over: oneshot::Receiver<()>,
    ) {
        let mut is_over = std::pin::pin!(is_over);
        let mut seen = None;
        // A stall is seen at the second look after it began.
        let look = stall / 2;
        while tokio::time::timeout(look, is_over.as_mut()).await.is_err() {
            let now = progress.untouched_since();
            if now.is_some() && now == seen {
                tracing::debug!(time = ?stall, "an answer was left alone");
                self.cut();
                return;
            }
            seen = now;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Progress {
    parts: AtomicU64,
    /// The client has asked, and we have nothing yet.
    asked: AtomicBool,
}

impl Progress {
    /// The number of the part after which the client did not ask any more.
    fn untouched_since(&self) -> Option<u64> {
        (!self.asked.load(Ordering::Relaxed)).then(|| self.parts.load(Ordering::Relaxed))
    }
}

struct Watched {
    parts: BoxStream<'static, Result<Bytes, ServiceError>>,
    progress: Arc<Progress>,
    /// Dropped with the answer.
    _over: oneshot::Sender<()>,
}

impl Stream for Watched {
    type Item = Result<Bytes, ServiceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let part = self.parts.as_mut().poll_next(cx);
        self.progress.asked.store(part.is_pending(), Ordering::Relaxed);
        if part.is_ready() {
            self.progress.parts.fetch_add(1, Ordering::Relaxed);
        }
        part
    }
}
