//! CBOR: vectors of the real clients, both lengths of everything, and hostile bytes.

use bytes::Bytes;
use millstream_wire::prelude::*;
use millstream_wire::{Codec, DecodeError, Missing, ServiceError};
use proptest::prelude::*;

shape! {
    pub struct All {
        string: Option<String> = "String",
        integer: Option<i32> = "Integer",
        double: Option<f64> = "Double",
        blob: Option<Bytes> = "Blob",
        time: Option<Time> = "Timestamp",
        list: Option<Vec<String>> = "List",
        map: Option<BTreeMap<String, i32>> = "Map",
        inner: Option<Box<All>> = "Inner",
    }
}

fn read(body: &[u8]) -> Result<All, DecodeError> {
    Codec::Cbor.decode(&Bytes::copy_from_slice(body)).map(|(all, _): (All, Missing)| all)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Streams reference, A1: accepted by the official clients.
#[test]
fn vectors_of_the_real_service() {
    let all = All { time: Some(Time::from_millis(1_700_000_000_123)), ..All::default() };
    let bytes = unhex("a16954696d657374616d70c11b0000018bcfe5687b");
    assert_eq!(Codec::Cbor.encode(&all), bytes);
    assert_eq!(read(&bytes).unwrap(), all);

    let message = "Stream x under account 000000000000 not found.";
    let error = ServiceError::new("ResourceNotFoundException", 400, message);
    let bytes = unhex(
        "a2665f5f7479706578195265736f757263654e6f74466f756e64457863657074696f6e676d657373616765782e\
         53747265616d207820756e646572206163636f756e7420303030303030303030303030206e6f7420666f756e642e",
    );
    assert_eq!(error.encode(Codec::Cbor), bytes);
    assert_eq!(ServiceError::decode(Codec::Cbor, 400, None, &bytes.into()), error);
}

/// `{"String": "ab", "Blob": h'0102', "List": ["x"], "Map": {"k": 1}}`, all lengths open.
#[test]
fn open_lengths_are_read() {
    let open = unhex(
        "bf66537472696e677f61616162ff64426c6f625f41014102ff644c6973749f6178ff634d6170bf616b01ffff",
    );
    let all = read(&open).unwrap();
    assert_eq!(all.string.as_deref(), Some("ab"));
    assert_eq!(all.blob, Some(Bytes::from_static(&[1, 2])));
    assert_eq!(all.list, Some(vec!["x".to_owned()]));
    assert_eq!(all.map, Some([("k".to_owned(), 1)].into()));
}

#[test]
fn times_are_tagged_milliseconds_and_floats_are_tolerated() {
    for bytes in ["c11b0000018bcfe5687b", "1b0000018bcfe5687b", "c1fb4278bcfe5687b000"] {
        let body = [unhex("a16954696d657374616d70"), unhex(bytes)].concat();
        let time = read(&body).unwrap().time;
        assert_eq!(time, Some(Time::from_millis(1_700_000_000_123)), "{bytes}");
    }
}

#[test]
fn blobs_are_slices_of_the_body() {
    let all = All { blob: Some(Bytes::from(vec![7; 1000])), ..All::default() };
    let body = Codec::Cbor.encode(&all);
    let (back, _) = Codec::Cbor.decode::<All>(&body).unwrap();
    let blob = back.blob.unwrap();
    let offset = blob.as_ptr() as usize - body.as_ptr() as usize;
    assert_eq!((blob.len(), offset), (1000, body.len() - 1000));
}

#[test]
fn half_floats_and_numbers_of_any_width_are_read() {
    for (bytes, expected) in [
        ("f93c00", 1.0),
        ("f9c400", -4.0),
        ("f90001", 5.960_464_477_539_063e-8),
        ("f97c00", f64::INFINITY),
        ("fa47c35000", 100_000.0),
        ("1864", 100.0),
        ("3863", -100.0),
    ] {
        let body = [unhex("a166446f75626c65"), unhex(bytes)].concat();
        assert_eq!(read(&body).unwrap().double, Some(expected), "{bytes}");
    }
    for (bytes, expected) in
        [("1bffffffffffffffff", i32::MAX), ("3bffffffffffffffff", i32::MIN), ("f93e00", 1)]
    {
        let body = [unhex("a167496e7465676572"), unhex(bytes)].concat();
        assert_eq!(read(&body).unwrap().integer, Some(expected), "{bytes}");
    }
}

#[test]
fn wrong_types_get_the_services_sentences() {
    for (value, member, sentence) in [
        (
            "01",
            "66537472696e67",
            "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String",
        ),
        ("6161", "64426c6f62", "class java.lang.String can not be converted to a Blob"),
        ("80", "66537472696e67", "Start of list found where not expected"),
        ("a0", "644c697374", "Start of structure or map found where not expected."),
        ("01", "634d6170", "Expected map or null"),
    ] {
        let body = [unhex("a1"), unhex(member), unhex(value)].concat();
        assert_eq!(read(&body), Err(DecodeError::Mismatch(sentence.to_owned())));
    }
}

#[test]
fn declared_lengths_allocate_nothing_and_depth_is_bounded() {
    for bytes in [
        "a164426c6f625bffffffffffffffff",
        "a164426c6f625b7fffffffffffffff00",
        "a166537472696e677bffffffffffffffff",
        "a1644c6973749bffffffffffffffff",
        "bbffffffffffffffff",
        "a1634d6170bbffffffffffffffff616b01",
        "",
        "80",
        "00",
        "f6",
        "a0a0",
        "ff",
        "a166537472696e67ff",
    ] {
        assert_eq!(read(&unhex(bytes)), Err(DecodeError::Malformed), "{bytes}");
    }
    for part in ["a165496e6e6572", "81", "9f", "a16178", "bf6178", "c1"] {
        let body = [unhex("a16178"), unhex(&part.repeat(50_000))].concat();
        assert_eq!(read(&body), Err(DecodeError::Malformed), "{part}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = read(&bytes);
        let _ = read(&[&[0xa1, 0x64, b'L', b'i', b's', b't'][..], &bytes].concat());
    }

    #[test]
    fn every_cut_is_refused(string in ".{0,10}", blob in prop::collection::vec(any::<u8>(), 0..20)) {
        let all = All { string: Some(string), blob: Some(blob.into()), ..All::default() };
        let body = Codec::Cbor.encode(&all);
        for end in 0..body.len() {
            prop_assert_eq!(read(&body[..end]), Err(DecodeError::Malformed));
        }
        prop_assert_eq!(read(&body).unwrap(), all);
    }
}
