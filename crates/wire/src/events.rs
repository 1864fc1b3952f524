//! AWS event streams: frames of headers and a payload, each checked by two CRC-32s.
//!
//! ```text
//! | total length u32 | headers length u32 | CRC-32 of the 8 bytes | headers | payload | CRC-32 of all |
//! ```
//!
//! The first frame of an answer is always `initial-response`; clients refuse streams without it.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, checksum};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use crate::codec::Codec;
use crate::coding::DecodeError;
use crate::error::ServiceError;
use crate::visit::ShapeVisitor;

pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Most bytes of one frame: 16 MiB, the specification's bound for payloads, and 128 KiB of headers.
pub const FRAME_BYTES_MAX: usize = (16 << 20) + (128 << 10) + OVERHEAD;

const PRELUDE: usize = 12;
const OVERHEAD: usize = PRELUDE + 4;
const HEADER_STRING: u8 = 7;

/// One kind of event stream.
pub trait Event: Sized + Send + fmt::Debug + 'static {
    fn event_type(&self) -> &'static str;
    fn encode_payload(&self, codec: Codec) -> Bytes;
    /// # Errors
    /// [`DecodeError`] for unknown kinds and payloads that are not of this kind.
    fn decode(kind: &str, codec: Codec, payload: &Bytes) -> Result<Self, DecodeError>;
    #[doc(hidden)]
    fn visit_shapes(visitor: &mut impl ShapeVisitor, operation: &'static str);
}

/// A stream of events; an error in it is the last thing it tells.
pub struct Events<E>(Source<E>);

type Frames = BoxStream<'static, Result<Bytes, ServiceError>>;

enum Source<E> {
    Events(BoxStream<'static, Result<E, ServiceError>>),
    /// Makes the frames themselves, for a codec.
    Frames(Box<dyn FnOnce(Codec) -> Frames + Send>),
}

impl<E: Event> Events<E> {
    pub fn new(events: impl Stream<Item = Result<E, ServiceError>> + Send + 'static) -> Self {
        Events(Source::Events(events.boxed()))
    }

    /// Events whose frames `make` yields as [`event_frame`] would, for the codec it is given: many
    /// answers that tell the same event can share one frame.
    pub fn of_frames<S>(make: impl FnOnce(Codec) -> S + Send + 'static) -> Self
    where
        S: Stream<Item = Result<Bytes, ServiceError>> + Send + 'static,
    {
        Events(Source::Frames(Box::new(move |codec| make(codec).boxed())))
    }

    /// The events themselves, for callers.
    pub fn into_stream(self) -> BoxStream<'static, Result<E, ServiceError>> {
        match self.0 {
            Source::Events(events) => events,
            Source::Frames(make) => {
                make(Codec::Cbor).filter_map(|f| std::future::ready(read_back(f))).boxed()
            }
        }
    }

    /// The frames of an answer, `initial-response` first. Ends after the first error, which
    /// becomes an exception frame.
    pub fn into_frames(self, codec: Codec) -> Frames {
        let first = stream::once(std::future::ready(Ok(initial_response(codec))));
        let frames = match self.0 {
            Source::Events(events) => {
                events.map(move |event| event.map(|e| event_frame(&e, codec))).boxed()
            }
            Source::Frames(make) => make(codec),
        };
        let frames = frames.scan(false, move |ended, told| {
            let failed = told.is_err();
            let frame = (!*ended).then(|| told.unwrap_or_else(|e| exception_frame(&e, codec)));
            *ended |= failed;
            std::future::ready(frame.map(Ok))
        });
        first.chain(frames).boxed()
    }
}

/// What a frame of ours tells.
fn read_back<E: Event>(frame: Result<Bytes, ServiceError>) -> Option<Result<E, ServiceError>> {
    let unreadable = || ServiceError::internal_failure("an event's frame can't be read");
    let read = |frame: Bytes| match Frame::take(&mut BytesMut::from(frame)) {
        Ok(Some(frame)) => frame.event(Codec::Cbor),
        _ => Err(unreadable()),
    };
    frame.and_then(read).transpose()
}

impl<E> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// The frame that must come first.
pub fn initial_response(codec: Codec) -> Bytes {
    let payload = if codec.is_cbor() { &[0xa0][..] } else { b"{}" };
    frame_of("event", "initial-response", codec, payload)
}

pub fn event_frame<E: Event>(event: &E, codec: Codec) -> Bytes {
    frame_of("event", event.event_type(), codec, &event.encode_payload(codec))
}

pub fn exception_frame(error: &ServiceError, codec: Codec) -> Bytes {
    frame_of("exception", error.error_type(), codec, &error.encode(codec))
}

fn frame_of(message_type: &str, kind: &str, codec: Codec, payload: &[u8]) -> Bytes {
    let kind_name = if message_type == "event" { ":event-type" } else { ":exception-type" };
    let content_type = if codec.is_cbor() { codec.content_type() } else { "application/json" };
    let headers =
        [(":message-type", message_type), (kind_name, kind), (":content-type", content_type)];
    encode_frame(&headers, payload)
}

/// One frame with text headers.
pub fn encode_frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let headers_len: usize = headers.iter().map(|(n, v)| 1 + n.len() + 3 + v.len()).sum();
    let total = OVERHEAD + headers_len + payload.len();
    let mut frame = BytesMut::with_capacity(total);
    frame.put_u32(total as u32);
    frame.put_u32(headers_len as u32);
    frame.put_u32(crc32(&frame));
    for (name, value) in headers {
        frame.put_u8(name.len() as u8);
        frame.put_slice(name.as_bytes());
        frame.put_u8(HEADER_STRING);
        frame.put_u16(value.len() as u16);
        frame.put_slice(value.as_bytes());
    }
    frame.put_slice(payload);
    frame.put_u32(crc32(&frame));
    frame.freeze()
}

/// A frame as it was received; headers that are not text are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {0} bytes, must be {OVERHEAD} to {FRAME_BYTES_MAX}")]
    Length(usize),
    #[error("checksum {found:08x} in the frame, {expected:08x} by its bytes")]
    Checksum { found: u32, expected: u32 },
    #[error("headers of a frame cannot be read")]
    Headers,
}

impl Frame {
    /// Takes the next whole frame off the front of `buffer`; `None` until all of it is there.
    ///
    /// # Errors
    /// [`FrameError`]; the stream cannot be read further.
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if buffer.len() < PRELUDE {
            return Ok(None);
        }
        let total = be32(buffer, 0) as usize;
        let headers_len = be32(buffer, 4) as usize;
        verify(be32(buffer, 8), &buffer[..8])?;
        if !(OVERHEAD..=FRAME_BYTES_MAX).contains(&total) {
            return Err(FrameError::Length(total));
        }
        if headers_len > total - OVERHEAD {
            return Err(FrameError::Headers);
        }
        if buffer.len() < total {
            return Ok(None);
        }
        let frame = buffer.split_to(total).freeze();
        verify(be32(&frame, total - 4), &frame[..total - 4])?;
        let headers = parse_headers(&frame[PRELUDE..PRELUDE + headers_len])?;
        Ok(Some(Frame { headers, payload: frame.slice(PRELUDE + headers_len..total - 4) }))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// What the frame tells: an event, nothing yet (`initial-response`), or the stream's end.
    ///
    /// # Errors
    /// The exception that the service sent, or a `SerializationException` for frames we cannot read.
    pub fn event<E: Event>(&self, codec: Codec) -> Result<Option<E>, ServiceError> {
        match self.header(":message-type") {
            Some("exception" | "error") => {
                let kind = self.header(":exception-type").or(self.header(":error-code"));
                let mut error = ServiceError::decode(codec, 400, kind, &self.payload);
                if let Some(kind) = kind {
                    error.code = kind.to_owned().into();
                }
                error.message = error.message.or(self.header(":error-message").map(str::to_owned));
                Err(error)
            }
            _ => match self.header(":event-type") {
                None | Some("initial-response") => Ok(None),
                Some(kind) => Ok(Some(E::decode(kind, codec, &self.payload)?)),
            },
        }
    }
}

fn parse_headers(mut rest: &[u8]) -> Result<Vec<(String, String)>, FrameError> {
    let mut headers = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(take(&mut rest, 1)?[0]);
        let name = take(&mut rest, length)?;
        let kind = take(&mut rest, 1)?[0];
        let value_len = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            6 | HEADER_STRING => {
                let length = take(&mut rest, 2)?;
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            _ => return Err(FrameError::Headers),
        };
        let value = take(&mut rest, value_len)?;
        if kind == HEADER_STRING {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
            let (Ok(name), Ok(value)) = (text(name), text(value)) else {
                return Err(FrameError::Headers);
            };
            headers.push((name, value));
        }
    }
    Ok(headers)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], FrameError> {
    rest.split_off(..length).ok_or(FrameError::Headers)
}

fn verify(found: u32, bytes: &[u8]) -> Result<(), FrameError> {
    let expected = crc32(bytes);
    if found == expected { Ok(()) } else { Err(FrameError::Checksum { found, expected }) }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn crc32(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}
