//! A request's body: read into one contiguous piece of memory, within bounds of size, time and of
//! the memory that all bodies in flight take together.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// Bodies up to this many bytes are not counted: connections bound them well enough.
const UNCOUNTED_BYTES: u64 = 64 << 10;
/// The unit in which the memory of bodies is counted.
const COUNTED_BYTES: u64 = 4 << 10;

/// Reads bodies.
pub struct BodyReader {
    bytes_max: u64,
    time_max: Duration,
    memory: Arc<Semaphore>,
}

/// A body, complete.
pub struct RequestBody {
    pub bytes: Bytes,
    /// Of the bytes, if it was asked for.
    pub sha256: Option<[u8; 32]>,
    /// Keeps the body's share of the memory for as long as the request runs.
    pub permit: Option<OwnedSemaphorePermit>,
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
        }
    }

    /// Reads `body` to its end. With `hash` the SHA-256 grows while frames arrive, when they are
    /// still in the processor's cache.
    ///
    /// # Errors
    /// [`BodyError`]; what was not read is left in the connection, which must then be closed.
    pub async fn read<B>(&self, body: B, hash: bool) -> Result<RequestBody, BodyError>
    where
        B: Body<Data = Bytes> + Send,
    {
        let time = self.time_max;
        match tokio::time::timeout(time, self.read_all(body, hash)).await {
            Ok(result) => result,
            Err(_) => Err(BodyError::TooSlow { time }),
        }
    }

    async fn read_all<B>(&self, body: B, hash: bool) -> Result<RequestBody, BodyError>
    where
        B: Body<Data = Bytes> + Send,
    {
        let hint = body.size_hint();
        if hint.lower() > self.bytes_max {
            return Err(BodyError::TooLarge { max: self.bytes_max });
        }
        let expected = hint.exact();
        let permit = self.reserve(expected.unwrap_or(self.bytes_max)).await;
        let mut body = std::pin::pin!(body);
        let mut digest = hash.then(|| digest::Context::new(&digest::SHA256));
        let mut only = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue; // trailers
            };
            if let Some(digest) = &mut digest {
                digest.update(&data);
            }
            if only.is_empty() && joined.is_empty() {
                only = data; // a body of one frame is not copied
                continue;
            }
            if joined.is_empty() {
                joined.reserve(expected.map_or(2 * (only.len() + data.len()), |n| n as usize));
                joined.extend_from_slice(&only);
            }
            if (joined.len() + data.len()) as u64 > self.bytes_max {
                return Err(BodyError::TooLarge { max: self.bytes_max });
            }
            joined.extend_from_slice(&data);
        }
        let bytes = if joined.is_empty() { only } else { joined.freeze() };
        if bytes.len() as u64 > self.bytes_max {
            return Err(BodyError::TooLarge { max: self.bytes_max });
        }
        let sha256 = digest.map(|d| {
            let mut hash = [0; 32];
            hash.copy_from_slice(d.finish().as_ref());
            hash
        });
        Ok(RequestBody { bytes, sha256, permit })
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
        let parts: Vec<_> =
            parts.iter().map(|p| Ok(Frame::data(Bytes::from_static(p)))).collect();
        StreamBody::new(stream::iter(parts))
    }

    #[tokio::test]
    async fn frames_are_joined_and_hashed() {
        for parts in [&[&b"abc"[..]][..], &[b"a", b"bc"], &[b"", b"a", b"", b"b", b"c"]] {
            let body = reader().read(frames(parts), true).await.unwrap();
            assert_eq!(&body.bytes[..], b"abc");
            let expected = digest::digest(&digest::SHA256, b"abc");
            assert_eq!(body.sha256.unwrap()[..], expected.as_ref()[..]);
        }
        let body = reader().read(frames(&[b"abc"]), false).await.unwrap();
        assert_eq!(body.sha256, None);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_however_it_comes() {
        let long: &[u8] = &[b'x'; 101];
        let refused = Err(BodyError::TooLarge { max: 100 });
        let full = reader().read(Full::new(Bytes::from_static(&[b'x'; 101])), false).await;
        assert_eq!(full.map(|b| b.bytes), refused);
        assert_eq!(reader().read(frames(&[long]), false).await.map(|b| b.bytes), refused);
        let split = reader().read(frames(&[&long[..60], &long[..60]]), false).await;
        assert_eq!(split.map(|b| b.bytes), refused);
        assert!(reader().read(frames(&[&long[..100]]), false).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_waited_for_within_bounds() {
        let forever = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        let result = reader().read(forever, false).await.map(|b| b.bytes);
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
        let first = reader.read(big(), false).await.unwrap();
        let second = reader.read(big(), false);
        let mut second = std::pin::pin!(second);
        let early = tokio::time::timeout(Duration::from_secs(1), second.as_mut()).await;
        assert!(early.is_err(), "the memory is taken");
        drop(first);
        assert!(second.await.is_ok());
    }
}
