//! JSON: the same texts as serde_json are accepted and refused, and the services' sentences.

use bytes::Bytes;
use millstream_wire::prelude::*;
use millstream_wire::{Codec, DecodeError, Missing, json};
use proptest::prelude::*;

shape! {
    pub struct All {
        string: Option<String> = "String",
        integer: Option<i32> = "Integer",
        long: Option<i64> = "Long",
        double: Option<f64> = "Double",
        boolean: Option<bool> = "Boolean",
        blob: Option<Bytes> = "Blob",
        time: Option<Time> = "Time",
        list: Option<Vec<String>> = "List",
        map: Option<BTreeMap<String, String>> = "Map",
        inner: Option<Box<All>> = "Inner",
        many: Option<Vec<All>> = "Many",
    }
}

fn read(text: &str) -> Result<All, DecodeError> {
    Codec::Json.decode(&Bytes::from(text.to_owned())).map(|(all, _): (All, Missing)| all)
}

#[test]
fn wrong_types_get_the_services_sentences() {
    const NUMBER: &str = "com.amazon.coral.value.json.numbers.TruncatingBigNumber";
    for (body, sentence) in [
        (r#"{"String":true}"#, "class java.lang.Boolean can not be converted to an String"),
        (r#"{"String":1}"#, &format!("class {NUMBER} can not be converted to an String")),
        (r#"{"Integer":"1"}"#, "class java.lang.String can not be converted to an Integer"),
        (r#"{"Long":"1"}"#, "class java.lang.String can not be converted to an Long"),
        (r#"{"Boolean":"23"}"#, "'23' can not be converted to an Boolean"),
        (r#"{"String":[]}"#, "Start of list found where not expected"),
        (r#"{"String":{}}"#, "Start of structure or map found where not expected."),
        (r#"{"List":1}"#, "Expected list or null"),
        (r#"{"Map":"x"}"#, "Expected map or null"),
        (r#"{"Inner":7}"#, "Expected null"),
        (r#"{"Inner":[]}"#, "Start of list found where not expected"),
        (
            r#"{"Time":"x"}"#,
            "class java.lang.String can not be converted to milliseconds since epoch",
        ),
        (
            r#"{"Blob":"abcde"}"#,
            "'abcde' can not be converted to a Blob: Base64 encoded length is expected a multiple of \
             4 bytes but found: 5",
        ),
        (
            r#"{"Blob":"=abc"}"#,
            "'=abc' can not be converted to a Blob: Invalid Base64 character: '='",
        ),
        (
            r#"{"Blob":"abc!"}"#,
            "'abc!' can not be converted to a Blob: Invalid Base64 character: '!'",
        ),
        (
            r#"{"Blob":"abb="}"#,
            "'abb=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
        ),
    ] {
        assert_eq!(read(body), Err(DecodeError::Mismatch(sentence.to_owned())), "{body}");
    }
}

#[test]
fn what_is_no_object_is_malformed() {
    for body in
        ["", " ", "[]", "1", "\"x\"", "null", "{", "{}x", "{\"String\":true", "{\"Unknown\":tru}"]
    {
        assert_eq!(read(body), Err(DecodeError::Malformed), "{body}");
    }
}

#[test]
fn unknown_members_and_nulls_are_dropped_and_numbers_floored_and_clamped() {
    let all = read(
        r#" { "Nobody": [{"x": [1, "\u00fc"]}, null, -1.5e3], "String": null, "List": ["a", null],
             "Integer": 1.9, "Long": -1.5, "Map": {"a": null, "b": "c"}, "Double": 1e2 } "#,
    )
    .unwrap();
    assert_eq!((all.string, all.integer, all.long), (None, Some(1), Some(-2)));
    assert_eq!(all.list, Some(vec!["a".to_owned()]));
    assert_eq!(all.map, Some([("b".to_owned(), "c".to_owned())].into()));
    for (number, integer, long) in [
        ("2147483648", i32::MAX, 2_147_483_648),
        ("-99999999999999999999", i32::MIN, i64::MIN),
        ("1e400", i32::MAX, i64::MAX),
        ("9223372036854775807", i32::MAX, i64::MAX),
        ("-0", 0, 0),
    ] {
        let body = format!(r#"{{"Integer":{number},"Long":{number}}}"#);
        let all = read(&body).unwrap();
        assert_eq!((all.integer, all.long), (Some(integer), Some(long)), "{number}");
    }
}

#[test]
fn times_are_epoch_seconds_down_to_the_microsecond() {
    let time = |text: &str| read(&format!(r#"{{"Time":{text}}}"#)).unwrap().time;
    assert_eq!(time("1704164645.678901"), Some(Time::from_micros(1_704_164_645_678_901)));
    assert_eq!(time("1.5E9"), Some(Time::from_secs(1_500_000_000)));
    let all = All { time: time("1700000000.123456"), ..All::default() };
    assert_eq!(Codec::Json.encode(&all), r#"{"Time":1700000000.123}"#);
    let all = All { time: Some(Time::from_millis(-1500)), ..All::default() };
    assert_eq!(Codec::Json.encode(&all), r#"{"Time":-1.500}"#);
}

#[test]
fn escaped_base64_and_strings_are_unescaped() {
    let all = read(r#"{"Bl\u006fb":"\/\/8=","String":"\ud83d\ude00\"\\\/\b\f\n\r\t"}"#).unwrap();
    assert_eq!(all.blob, Some(Bytes::from_static(&[0xff, 0xff])));
    assert_eq!(all.string.as_deref(), Some("😀\"\\/\u{8}\u{c}\n\r\t"));
}

#[test]
fn deep_nesting_is_malformed_and_does_not_exhaust_the_stack() {
    for (open, close) in [("[", "]"), ("{\"Inner\":", "}"), ("{\"x\":", "}"), ("{\"Many\":[", "]}")]
    {
        for head in ["{\"Unknown\":", "{\"Inner\":"] {
            let body = format!("{head}{}1{}}}", open.repeat(100_000), close.repeat(100_000));
            assert!(read(&body).is_err(), "{open}");
        }
    }
    assert!(json::is_json(format!("{}{}", "[".repeat(100), "]".repeat(100)).as_bytes()));
}

/// Texts that are nearly JSON.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"a\"".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just(" \n".to_owned()),
        "-?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
        "\"[ -~]{0,4}\"",
        Just("\"\\u00e9\\ud83d\\ude00\"".to_owned()),
        Just("\"\\ud83d\"".to_owned()),
        Just("\"\t\"".to_owned()),
    ];
    let mangled = (prop::collection::vec(piece, 0..8), any::<Option<(u8, u8)>>());
    mangled.prop_map(|(pieces, change)| {
        let mut text = pieces.concat().into_bytes();
        if let (Some((at, byte)), false) = (change, text.is_empty()) {
            let at = usize::from(at) % text.len();
            text[at] = byte;
        }
        text
    })
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn serde_json_accepts_what_we_accept(text in nearly_json()) {
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        // Numbers beyond f64 are an error there and clamped here.
        let out_of_range = theirs.as_ref().is_err_and(|e| e.to_string().starts_with("number out"));
        prop_assert!(json::is_json(&text) == theirs.is_ok() || out_of_range, "{text:?} {theirs:?}");
    }

    #[test]
    fn any_json_is_skipped_and_any_cut_of_it_refused(value in any_json(), cut in any::<prop::sample::Index>()) {
        let text = format!("{{\"Unknown\":{value},\"String\":\"x\"}}");
        let all = read(&text).unwrap();
        prop_assert_eq!(all.string.as_deref(), Some("x"));
        let cut = &text.as_bytes()[..cut.index(text.len())];
        prop_assert!(json::decode::<All>(cut).is_err());
    }

    #[test]
    fn strings_and_blobs_come_back(string in ".{0,40}", blob in prop::collection::vec(any::<u8>(), 0..200)) {
        let all = All { string: Some(string.clone()), blob: Some(blob.into()), ..All::default() };
        let text = json::encode(&all);
        let theirs: serde_json::Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(theirs["String"].as_str(), Some(string.as_str()));
        prop_assert_eq!(json::decode::<All>(&text).unwrap().0, all);
    }

    #[test]
    fn numbers_come_back(double in any::<f64>(), long in any::<i64>(), integer in any::<i32>()) {
        let all = All { double: Some(double), long: Some(long), integer: Some(integer), ..All::default() };
        let back = json::decode::<All>(&json::encode(&all)).unwrap().0;
        prop_assert_eq!(back.double.map(f64::to_bits), Some(double.to_bits()));
        prop_assert_eq!((back.long, back.integer), (Some(long), Some(integer)));
    }
}
