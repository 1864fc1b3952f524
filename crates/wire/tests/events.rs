//! Event streams: the vector of the real service, frames there and back, and hostile bytes.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use millstream_wire::events::{Frame, FrameError, encode_frame, initial_response};
use millstream_wire::prelude::*;
use millstream_wire::{Codec, Events, ServiceError};
use proptest::prelude::*;

shape! {
    pub struct Tick {
        number: i32 = "Number",
    }
}

events! {
    pub enum Ticks {
        Tick(Tick) = "Tick",
    }
}

/// Streams reference, A3: accepted by botocore.
#[test]
fn the_first_frame_is_the_services() {
    let expected = "00000068000000564e6817240d3a6d6573736167652d747970650700056576656e740b3a6576656e\
                    742d747970650700\
                    10696e697469616c2d726573706f6e73650d3a636f6e74656e742d747970650700106170706c6963\
                    6174696f6e2f6a736f6e7b7dfe942c1d";
    let found: String = initial_response(Codec::Json).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(found, expected);
}

fn frames(events: Vec<Result<Ticks, ServiceError>>, codec: Codec) -> Vec<Frame> {
    let stream = Events::new(futures_util::stream::iter(events)).into_frames(codec);
    let all =
        futures_util::FutureExt::now_or_never(stream.collect::<Vec<_>>()).expect("no waiting");
    let mut buffer = BytesMut::new();
    all.into_iter().for_each(|frame| buffer.extend_from_slice(&frame.expect("a frame")));
    let mut frames = Vec::new();
    while let Some(frame) = Frame::take(&mut buffer).expect("our own frames") {
        frames.push(frame);
    }
    assert!(buffer.is_empty());
    frames
}

/// Frames that were made before tell the same as the events they were made of.
#[test]
fn frames_of_events_are_events() {
    let tick = |number| Ticks::Tick(Tick { number });
    let error = ServiceError::new("ResourceInUseException", 400, "taken over");
    let told = || {
        let error = error.clone();
        Events::<Ticks>::of_frames(move |codec| {
            let frame = |n| Ok(millstream_wire::events::event_frame(&tick(n), codec));
            futures_util::stream::iter([frame(1), frame(2), Err(error)])
        })
    };
    let all = |stream: futures_util::stream::BoxStream<'static, _>| {
        futures_util::FutureExt::now_or_never(stream.collect::<Vec<_>>()).expect("no waiting")
    };
    assert_eq!(all(told().into_stream()), [Ok(tick(1)), Ok(tick(2)), Err(error.clone())]);
    for codec in [Codec::Json, Codec::Cbor] {
        let plain =
            Events::new(futures_util::stream::iter([Ok(tick(1)), Ok(tick(2)), Err(error.clone())]));
        let whole = |events: Events<Ticks>| {
            let frames = events.into_frames(codec).map(|frame| frame.expect("a frame"));
            futures_util::FutureExt::now_or_never(frames.collect::<Vec<Bytes>>()).expect("at once")
        };
        assert_eq!(whole(told()), whole(plain), "{codec:?}");
    }
}

#[test]
fn events_and_the_error_that_ends_them_come_back() {
    let tick = |number| Ticks::Tick(Tick { number });
    for codec in [Codec::Json, Codec::Cbor] {
        let error = ServiceError::new("ResourceInUseException", 400, "taken over");
        let sent = vec![Ok(tick(1)), Ok(tick(2)), Err(error.clone()), Ok(tick(3))];
        let frames = frames(sent, codec);
        assert_eq!(frames.len(), 4, "nothing after the error");
        assert_eq!(frames[0].event::<Ticks>(codec), Ok(None));
        assert_eq!(frames[1].event(codec), Ok(Some(tick(1))));
        assert_eq!(frames[2].event(codec), Ok(Some(tick(2))));
        assert_eq!(frames[3].header(":message-type"), Some("exception"));
        assert_eq!(frames[3].header(":exception-type"), Some("ResourceInUseException"));
        assert_eq!(frames[3].event::<Ticks>(codec), Err(error));
    }
}

#[test]
fn a_cut_frame_waits_and_a_changed_one_is_refused() {
    let frame = encode_frame(&[("a", "b"), (":event-type", "Tick")], b"{\"Number\":1}");
    for end in 0..frame.len() {
        let mut part = BytesMut::from(&frame[..end]);
        assert_eq!(Frame::take(&mut part), Ok(None), "{end}");
        assert_eq!(part.len(), end);
    }
    for at in 0..frame.len() {
        let mut changed = BytesMut::from(&frame[..]);
        changed[at] ^= 0x10;
        assert!(Frame::take(&mut changed).is_err(), "{at}");
    }
}

#[test]
fn declared_lengths_are_bounded() {
    for (total, headers) in [(0_u32, 0_u32), (15, 0), (u32::MAX, 0), (100, 100), (16, u32::MAX)] {
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(&total.to_be_bytes());
        bytes.extend_from_slice(&headers.to_be_bytes());
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &bytes) as u32;
        bytes.extend_from_slice(&crc.to_be_bytes());
        let error = Frame::take(&mut bytes).expect_err("out of bounds");
        assert!(matches!(error, FrameError::Length(_) | FrameError::Headers), "{error}");
    }
}

proptest! {
    #[test]
    fn any_headers_and_payload_come_back(
        headers in prop::collection::vec(("[a-z:-]{1,20}", ".{0,30}"), 0..5),
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let borrowed: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut bytes = BytesMut::from(&encode_frame(&borrowed, &payload)[..]);
        let frame = Frame::take(&mut bytes).unwrap().unwrap();
        prop_assert_eq!(frame.headers, headers);
        prop_assert_eq!(frame.payload, Bytes::from(payload));
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Frame::take(&mut BytesMut::from(&bytes[..]));
    }
}
