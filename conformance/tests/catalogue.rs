//! The catalogue over raw HTTP: both codecs, both HTTP versions.

use conformance::client::{Client, Codec};
use conformance::raw::{Raw, Version};
use conformance::runner::play_catalogue;

/// Cases played side by side.
const PLAYERS: usize = 8;

fn play(codec: Codec, version: Version) {
    play_catalogue(
        &|address| Ok(Box::new(Raw::new(address, codec, version)?) as Box<dyn Client>),
        PLAYERS,
    );
}

#[test]
fn json_over_http1() {
    play(Codec::Json, Version::Http1);
}

#[test]
fn json_over_http2() {
    play(Codec::Json, Version::Http2);
}

#[test]
fn cbor_over_http1() {
    play(Codec::Cbor, Version::Http1);
}

#[test]
fn cbor_over_http2() {
    play(Codec::Cbor, Version::Http2);
}
