//! Strangers' JSON: whatever comes, decoding and validation answer, and what was understood is
//! understood the same way again.

use bytes::Bytes;
use millstream_api::kinesis::{CreateStreamInput, PutRecordsInput, SERVICE, SubscribeToShardInput};
use millstream_wire::{Codec, Value, check};

fn decode<T: Value + PartialEq + std::fmt::Debug>(body: &Bytes) {
    if let Ok((value, missing)) = Codec::Json.decode::<T>(body) {
        let _ = check::validate(&value, &missing, SERVICE.namespace);
        let spelled = Codec::Json.encode(&value);
        let (again, _) = Codec::Json.decode::<T>(&spelled).expect("our own spelling");
        assert_eq!(Codec::Json.encode(&again), spelled);
    }
}

#[test]
fn any_bytes() {
    bolero::check!().for_each(|input: &[u8]| {
        let body = Bytes::copy_from_slice(input);
        decode::<PutRecordsInput>(&body);
        decode::<CreateStreamInput>(&body);
        decode::<SubscribeToShardInput>(&body);
    });
}

/// Valid requests with some bytes changed come nearer to the code's corners.
#[test]
fn changed_requests() {
    bolero::check!().with_type::<(u64, Vec<(u16, u8)>)>().for_each(|(seed, changes)| {
        let (value, _) = millstream_wire::sample::sample::<PutRecordsInput>(*seed);
        let mut body = Codec::Json.encode(&value).to_vec();
        for (at, byte) in changes {
            let at = usize::from(*at) % body.len();
            body[at] = *byte;
        }
        decode::<PutRecordsInput>(&body.into());
    });
}
