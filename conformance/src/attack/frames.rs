//! HTTP/2 by the byte, as no client library would send it.

/// What a client with prior knowledge says first, and its settings.
pub(super) fn hello() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(4, 0, 0, &[])].concat()
}

pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// A frame of RFC 9113, 4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header as a literal: `0` enters no table, `0x40` the dynamic one (RFC 7541, 6.2).
pub(super) fn literal(kind: u8, name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![kind];
    for text in [name, value] {
        integer(&mut out, text.len());
        out.extend(text.as_bytes());
    }
    out
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1).
fn integer(out: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        out.push(value as u8);
        return;
    }
    out.push(127);
    value -= 127;
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The head of a ListStreams call.
pub(super) fn head() -> Vec<u8> {
    // Of the static table: POST, http, /.
    let mut head = vec![0x83, 0x86, 0x84];
    for (name, value) in [
        (":authority", "localhost"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "Kinesis_20131202.ListStreams"),
        ("x-amz-date", "20260101T000000Z"),
    ] {
        head.extend(literal(0, name, value));
    }
    head
}
