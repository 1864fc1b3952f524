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
use tokio::time::Instant;

use crate::config::Limits;

/// Bodies up to this many bytes are not counted: connections bound them well enough.
const UNCOUNTED_BYTES: u64 = 64 << 10;
/// The unit in which the memory of bodies is counted.
const COUNTED_BYTES: u64 = 4 << 10;

/// What is reserved for a large body at first: a client that declares much and sends little must not
/// keep the others' memory. The rest is reserved when this much is there.
const FIRST_BYTES: u64 = 1 << 20;

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
    memory_wait: Duration,
    rate_min: u64,
    grace: Duration,
    buffers: Buffers,
}

/// The memory that the bodies of one HTTP/2 connection may take, in the request's extensions.
#[derive(Clone, Debug)]
pub struct ConnectionMemory(Arc<Semaphore>);

impl ConnectionMemory {
    pub fn new(bytes: u64) -> Self {
        ConnectionMemory(Arc::new(Semaphore::new(permits(bytes))))
    }
}

/// A body's shares of memory.
#[derive(Debug, Default)]
pub struct Memory {
    bytes: u64,
    held: Vec<OwnedSemaphorePermit>,
}

/// A body, complete.
pub struct RequestBody {
    pub bytes: Bytes,
    /// Hexadecimal SHA-256 of the bytes, if it was asked for.
    pub hash: Option<String>,
    /// Keeps the body's share of the memory for as long as the request runs.
    pub memory: Memory,
}

/// How a body is to be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Hash it while frames arrive, when they are still in the processor's cache.
    pub hash: bool,
    /// Read some more of a body that is too large. Not for a client that waits for permission to
    /// send it.
    pub drain: bool,
    /// The connection's memory, where several requests share a connection.
    pub connection: Option<ConnectionMemory>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the request body is larger than {max} bytes")]
    TooLarge { max: u64 },
    #[error("the request body did not arrive within {time:?}")]
    TooSlow { time: Duration },
    #[error("the request body arrives with less than {rate_min} bytes per second")]
    TooSlowly { rate_min: u64 },
    /// Others have the memory; the same request may succeed later.
    #[error("no memory for the request body within {waited:?}")]
    Busy { waited: Duration },
    /// The client went away or broke the protocol.
    #[error("the request body ended early")]
    Broken,
}

impl BodyReader {
    pub fn new(limits: &Limits) -> Self {
        BodyReader {
            bytes_max: limits.body_bytes_max.0,
            time_max: limits.body_read_time.0,
            memory: Arc::new(Semaphore::new(permits(limits.bodies_bytes_max.0))),
            memory_wait: limits.memory_wait.0,
            rate_min: limits.body_rate_min.0,
            grace: limits.body_grace_time.0,
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
        let result = match tokio::time::timeout(time, self.read_all(body.as_mut(), &reading)).await
        {
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
        reading: &Reading,
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
        let mut memory = Memory::default();
        let mut started = Instant::now();
        let mut hash = reading.hash.then(PayloadHash::default);
        let mut only = Bytes::new();
        let mut joined: Option<Loan<'_>> = None;
        let mut len = 0;
        loop {
            let due = self.due(started, len);
            let frame = tokio::time::timeout_at(due, body.frame()).await;
            let slow = |_| BodyError::TooSlowly { rate_min: self.rate_min };
            let Some(frame) = frame.map_err(slow)? else { break };
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue; // trailers
            };
            len += data.len() as u64;
            if len > self.bytes_max {
                return Err(too_large);
            }
            let wanted = wanted(len, expected.unwrap_or(self.bytes_max));
            if wanted > memory.bytes {
                let waiting = Instant::now();
                self.reserve(&mut memory, wanted, reading).await?;
                started += waiting.elapsed(); // the client can't help it
            }
            if let Some(hash) = &mut hash {
                hash.update(&data);
            }
            // What is there, and as much more as is reserved.
            let room = expected
                .unwrap_or(2 * len)
                .min(self.bytes_max)
                .min(memory.bytes.max(UNCOUNTED_BYTES))
                .max(len);
            match &mut joined {
                Some(joined) => {
                    // A buffer that grew by itself would come back to the pool larger than it says.
                    if joined.capacity() - joined.len() < data.len() {
                        let mut larger = self.buffers.take(room as usize);
                        larger.extend_from_slice(joined);
                        *joined = larger;
                    }
                    joined.extend_from_slice(&data);
                }
                // A body of one frame is not copied.
                None if only.is_empty() && expected.is_none_or(|n| n == len) => only = data,
                None => {
                    let joined = joined.insert(self.buffers.take(room as usize));
                    joined.extend_from_slice(&std::mem::take(&mut only));
                    joined.extend_from_slice(&data);
                }
            }
        }
        let bytes = joined.map_or(only, |mut joined| joined.split().freeze());
        Ok(RequestBody { bytes, hash: hash.map(PayloadHash::finish), memory })
    }

    /// When the byte after `len` is due at the latest.
    fn due(&self, started: Instant, len: u64) -> Instant {
        let at_rate = len.saturating_add(1).saturating_mul(1000) / self.rate_min.max(1);
        let at_rate = Duration::from_millis(at_rate.min(DUE_MS_MAX));
        let unlimited = Duration::from_millis(DUE_MS_MAX);
        started + self.grace + if self.rate_min == 0 { unlimited } else { at_rate }
    }

    /// Takes shares of the memory until `wanted` bytes are covered.
    async fn reserve(
        &self,
        memory: &mut Memory,
        wanted: u64,
        reading: &Reading,
    ) -> Result<(), BodyError> {
        let units = u32::try_from((wanted - memory.bytes).div_ceil(COUNTED_BYTES));
        let units = units.unwrap_or(u32::MAX);
        let of_connection = reading.connection.as_ref().map(|connection| &connection.0);
        let shares = async {
            for share in of_connection.into_iter().chain([&self.memory]) {
                memory.held.extend(share.clone().acquire_many_owned(units).await.ok());
            }
        };
        let busy = |_| BodyError::Busy { waited: self.memory_wait };
        tokio::time::timeout(self.memory_wait, shares).await.map_err(busy)?;
        memory.bytes = wanted;
        Ok(())
    }
}

/// A day: no body is waited for that long.
const DUE_MS_MAX: u64 = 24 * 3600 * 1000;

/// What has to be reserved when `len` bytes of `expected` are there.
fn wanted(len: u64, expected: u64) -> u64 {
    match len {
        0..=UNCOUNTED_BYTES => 0,
        _ if len < FIRST_BYTES => expected.min(FIRST_BYTES),
        _ => expected,
    }
}

fn permits(bytes: u64) -> usize {
    let units = bytes / COUNTED_BYTES;
    usize::try_from(units).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
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
    use futures_util::{FutureExt, StreamExt, stream};
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
            let reading = Reading { hash: true, drain: true, connection: None };
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

    /// Frames of so many bytes, so many milliseconds apart.
    fn slow(bytes: usize, pause_ms: u64) -> impl Body<Data = Bytes, Error = std::io::Error> + Send {
        StreamBody::new(stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Some((Ok(Frame::data(Bytes::from(vec![0; bytes]))), ()))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_arrive_with_its_least_rate() {
        let limits = Limits {
            body_bytes_max: ByteSize::kib(64),
            body_rate_min: ByteSize::kib(1),
            body_grace_time: Span::from_secs(2),
            body_read_time: Span::from_secs(600),
            ..Limits::default()
        };
        let started = Instant::now();
        let read = BodyReader::new(&limits).read(slow(100, 200), Reading::default()).await;
        assert_eq!(read.map(|b| b.bytes), Err(BodyError::TooSlowly { rate_min: 1024 }));
        // 500 bytes per second: after t seconds t/2 KiB are there, and t - 2 are due.
        let took = started.elapsed().as_secs_f64();
        assert!((3.5..4.5).contains(&took), "{took}");
        // Twice as fast as it must be, it is read to its bound.
        let read = BodyReader::new(&limits).read(slow(400, 200), Reading::default()).await;
        assert!(matches!(read.map(|b| b.bytes), Err(BodyError::TooLarge { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_declares_much_and_sends_little_keeps_nobodys_memory() {
        let reader = BodyReader::new(&Limits {
            body_bytes_max: ByteSize::mib(4),
            bodies_bytes_max: ByteSize::mib(4),
            memory_wait: Span::from_secs(1),
            ..Limits::default()
        });
        // Chunked, so that as much as allowed may come: a little is there, and nothing more comes.
        let stuck = || {
            let some =
                stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; 1000])))]);
            StreamBody::new(some.chain(stream::pending()))
        };
        let mut bodies: Vec<_> =
            (0..100).map(|_| Box::pin(reader.read(stuck(), Reading::default()))).collect();
        for body in &mut bodies {
            assert!(body.now_or_never().is_none());
        }
        let big = Full::new(Bytes::from(vec![0; 4 << 20]));
        assert!(reader.read(big, Reading::default()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn without_memory_a_client_is_told_to_come_again() {
        let reader = BodyReader::new(&Limits {
            body_bytes_max: ByteSize::kib(128),
            bodies_bytes_max: ByteSize::kib(128),
            memory_wait: Span::from_secs(3),
            ..Limits::default()
        });
        let big = || Full::new(Bytes::from(vec![0; 128 << 10]));
        let first = reader.read(big(), Reading::default()).await.unwrap();
        let second = reader.read(big(), Reading::default()).await.map(|b| b.bytes);
        assert_eq!(second, Err(BodyError::Busy { waited: Duration::from_secs(3) }));
        drop(first);
        assert!(reader.read(big(), Reading::default()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_bodies_of_one_connection_have_their_share() {
        let reader =
            BodyReader::new(&Limits { memory_wait: Span::from_secs(1), ..Limits::default() });
        let big = || Full::new(Bytes::from(vec![0; 128 << 10]));
        let connection = || Some(ConnectionMemory::new(128 << 10));
        let mine = Reading { connection: connection(), ..Reading::default() };
        let first = reader.read(big(), mine.clone()).await.unwrap();
        assert!(reader.read(big(), mine.clone()).await.is_err());
        let other = Reading { connection: connection(), ..Reading::default() };
        assert!(reader.read(big(), other).await.is_ok());
        drop(first);
        assert!(reader.read(big(), mine).await.is_ok());
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
