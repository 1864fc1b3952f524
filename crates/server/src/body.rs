//! A request's body: read into one contiguous piece of memory, within bounds of size, time and of
//! the memory that all bodies in flight take together.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use millstream_wire::buffers::{Buffers, Loan};
use millstream_wire::sigv4::PayloadHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// Bodies up to this many bytes are not counted: connections bound them well enough.
const UNCOUNTED_BYTES: u64 = 64 << 10;
/// The unit in which the memory of bodies is counted.
const COUNTED_BYTES: u64 = 4 << 10;

/// Memory that is kept for the next bodies.
const IDLE_BYTES_MAX: usize = 16 << 20;

/// What is read of a body that is too large, so that the client sees the answer instead of a reset
/// connection.
const DRAIN_BYTES_MAX: u64 = 64 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// Reads bodies.
pub struct BodyReader {
    bytes_max: u64,
    time_max: Duration,
    memory: Arc<Semaphore>,
    buffers: Buffers,
}

/// A body, complete.
pub struct RequestBody {
    pub bytes: Bytes,
    /// Hexadecimal SHA-256 of the bytes, if it was asked for.
    pub hash: Option<String>,
    /// Keeps the body's share of the memory for as long as the request runs.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// How a body is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Hash it while frames arrive, when they are still in the processor's cache.
    pub hash: bool,
    /// Read some more of a body that is too large. Not for a client that waits for permission to
    /// send it.
    pub drain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the request body is larger than {max} bytes")]
    TooLarge { max: u64 },
    #[error("the request body did not arrive within {time:?}")]
    TooSlow { time: Duration },
    /// The client went away or broke the protocol.
    #[error("the request body ended early")]
    Broken,
}

impl BodyReader {
    pub fn new(limits: &Limits) -> Self {
        let units = limits.bodies_bytes_max.0 / COUNTED_BYTES;
        let units = usize::try_from(units).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        BodyReader {
            bytes_max: limits.body_bytes_max.0,
            time_max: limits.body_read_time.0,
            memory: Arc::new(Semaphore::new(units)),
            buffers: Buffers::new(IDLE_BYTES_MAX),
        }
    }

    /// Reads `body` to its end.
    ///
    /// # Errors
    /// [`BodyError`]; part of the body may then be unread, and the connection must be closed.
    pub async fn read<B>(&self, body: B, reading: Reading) -> Result<RequestBody, BodyError>
    where
        B: Body<Data = Bytes> + Send,
    {
        let time = self.time_max;
        let mut body = std::pin::pin!(body);
        let result = match tokio::time::timeout(time, self.read_all(body.as_mut(), reading)).await {
            Ok(result) => result,
            Err(_) => Err(BodyError::TooSlow { time }),
        };
        if reading.drain && matches!(result, Err(BodyError::TooLarge { .. })) {
            let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain(body)).await;
        }
        result
    }

    async fn read_all<B>(
        &self,
        mut body: Pin<&mut B>,
        reading: Reading,
    ) -> Result<RequestBody, BodyError>
    where
        B: Body<Data = Bytes> + Send,
    {
        let hint = body.size_hint();
        let too_large = BodyError::TooLarge { max: self.bytes_max };
        if hint.lower() > self.bytes_max {
            return Err(too_large);
        }
        let expected = hint.exact();
        let permit = self.reserve(expected.unwrap_or(self.bytes_max)).await;
        let mut hash = reading.hash.then(PayloadHash::default);
        let mut only = Bytes::new();
        let mut joined: Option<Loan<'_>> = None;
        let mut len = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue; // trailers
            };
            len += data.len() as u64;
            if len > self.bytes_max {
                return Err(too_large);
            }
            if let Some(hash) = &mut hash {
                hash.update(&data);
            }
            match &mut joined {
                Some(joined) => joined.extend_from_slice(&data),
                // A body of one frame is not copied.
                None if only.is_empty() && expected.is_none_or(|n| n == len) => only = data,
                None => {
                    let room = expected.unwrap_or(2 * len).min(self.bytes_max);
                    let joined = joined.insert(self.buffers.take(room as usize));
                    joined.extend_from_slice(&std::mem::take(&mut only));
                    joined.extend_from_slice(&data);
                }
            }
        }
        let bytes = joined.map_or(only, |mut joined| joined.split().freeze());
        Ok(RequestBody { bytes, hash: hash.map(PayloadHash::finish), permit })
    }

    /// A share of the memory for bodies; waits while others hold it all.
    async fn reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        if bytes <= UNCOUNTED_BYTES {
            return None;
        }
        let units = u32::try_from(bytes.div_ceil(COUNTED_BYTES)).unwrap_or(u32::MAX);
        self.memory.clone().acquire_many_owned(units).await.ok()
    }
}

/// Reads and forgets.
async fn drain<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |d| d.len() as u64);
        if bytes > DRAIN_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::{ByteSize, Span};
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    fn reader() -> BodyReader {
        BodyReader::new(&Limits {
            body_bytes_max: ByteSize(100),
            bodies_bytes_max: ByteSize::mib(1),
            body_read_time: Span::from_secs(5),
            ..Limits::default()
        })
    }

    fn frames(parts: &[&'static [u8]]) -> impl Body<Data = Bytes, Error = std::io::Error> + Send {
        let parts: Vec<_> = parts.iter().map(|p| Ok(Frame::data(Bytes::from_static(p)))).collect();
        StreamBody::new(stream::iter(parts))
    }

    #[tokio::test]
    async fn frames_are_joined_and_hashed() {
        for parts in [&[&b"abc"[..]][..], &[b"a", b"bc"], &[b"", b"a", b"", b"b", b"c"]] {
            let reading = Reading { hash: true, drain: true };
            let body = reader().read(frames(parts), reading).await.unwrap();
            assert_eq!(&body.bytes[..], b"abc");
            // FIPS 180-4, example of one block.
            let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
            assert_eq!(body.hash.as_deref(), Some(expected));
        }
        let body = reader().read(frames(&[b"abc"]), Reading::default()).await.unwrap();
        assert_eq!(body.hash, None);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_however_it_comes() {
        let long: &[u8] = &[b'x'; 101];
        let refused = Err(BodyError::TooLarge { max: 100 });
        let full =
            reader().read(Full::new(Bytes::from_static(&[b'x'; 101])), Reading::default()).await;
        assert_eq!(full.map(|b| b.bytes), refused);
        assert_eq!(
            reader().read(frames(&[long]), Reading::default()).await.map(|b| b.bytes),
            refused
        );
        let split = reader().read(frames(&[&long[..60], &long[..60]]), Reading::default()).await;
        assert_eq!(split.map(|b| b.bytes), refused);
        assert!(reader().read(frames(&[&long[..100]]), Reading::default()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_waited_for_within_bounds() {
        let forever = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        let result = reader().read(forever, Reading::default()).await.map(|b| b.bytes);
        assert_eq!(result, Err(BodyError::TooSlow { time: Duration::from_secs(5) }));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_wait_for_each_others_memory() {
        let reader = BodyReader::new(&Limits {
            body_bytes_max: ByteSize::kib(128),
            bodies_bytes_max: ByteSize::kib(128),
            ..Limits::default()
        });
        let big = || Full::new(Bytes::from(vec![0; 128 << 10]));
        let first = reader.read(big(), Reading::default()).await.unwrap();
        let second = reader.read(big(), Reading::default());
        let mut second = std::pin::pin!(second);
        let early = tokio::time::timeout(Duration::from_secs(1), second.as_mut()).await;
        assert!(early.is_err(), "the memory is taken");
        drop(first);
        assert!(second.await.is_ok());
    }
}
