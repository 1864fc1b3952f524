//! The body of an answer: whole in one piece, or parts as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};
use millstream_wire::operation::Body as ReplyBody;
use millstream_wire::{Reply, ServiceError};

/// Bytes of an answer in parts that are handed over at once.
pub const PART_BYTES: usize = 256 << 10;

/// A whole answer, handed over part by part.
pub struct AnswerParts {
    left: Bytes,
    /// Called when a part is taken; dropped with the answer.
    taken: Box<dyn FnMut() + Send>,
}

impl AnswerParts {
    pub fn new(bytes: Bytes, taken: impl FnMut() + Send + 'static) -> Self {
        AnswerParts { left: bytes, taken: Box::new(taken) }
    }

    fn bytes_left(&self) -> usize {
        self.left.len()
    }

    fn take_part(&mut self) -> Option<Bytes> {
        (self.taken)();
        let part = self.left.split_to(self.left.len().min(PART_BYTES));
        (!part.is_empty()).then_some(part)
    }
}

/// The body of an answer.
pub enum AnswerBody {
    /// `None` once it was taken.
    Whole(Option<Bytes>),
    /// Whole, but handed over in parts.
    Parts(AnswerParts),
    Stream(BoxStream<'static, Result<Bytes, ServiceError>>),
}

impl AnswerBody {
    pub fn whole(bytes: Bytes) -> Self {
        AnswerBody::Whole(Some(bytes).filter(|b| !b.is_empty()))
    }
}

/// The operation's body where it gave one, else `refusal`.
pub(super) fn finish(refusal: Bytes, reply: Option<Reply>) -> AnswerBody {
    match reply.map(|r| r.body) {
        None => AnswerBody::whole(refusal),
        Some(ReplyBody::Whole(bytes)) => AnswerBody::whole(bytes),
        Some(ReplyBody::Stream(stream)) => AnswerBody::Stream(stream),
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            AnswerBody::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            AnswerBody::Parts(parts) => Poll::Ready(parts.take_part().map(|b| Ok(Frame::data(b)))),
            AnswerBody::Stream(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|part| part.map(|p| p.map(Frame::data).map_err(io::Error::other))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Whole(bytes) => bytes.is_none(),
            AnswerBody::Parts(parts) => parts.bytes_left() == 0,
            AnswerBody::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            AnswerBody::Parts(parts) => SizeHint::with_exact(parts.bytes_left() as u64),
            AnswerBody::Stream(_) => SizeHint::default(),
        }
    }
}
