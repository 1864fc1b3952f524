//! The matcher on patterns of the models, and on patterns made to run away.

use millstream_wire::pattern::{check, matches};

#[test]
fn patterns_of_the_models() {
    let arn = r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+";
    let consumer = r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+";
    for (java, text, expected) in [
        ("[a-zA-Z0-9_.-]+", "orders-1.x_y", true),
        ("[a-zA-Z0-9_.-]+", "", false),
        ("[a-zA-Z0-9_.-]+", "a b", false),
        ("[a-zA-Z0-9_.-]+", "ü", false),
        (r"^(0|([1-9]\d{0,38}))$", "0", true),
        (r"^(0|([1-9]\d{0,38}))$", "340282366920938463463374607431768211455", true),
        (r"^(0|([1-9]\d{0,38}))$", "01", false),
        (r"^(0|([1-9]\d{0,38}))$", &"1".repeat(40), false),
        (arn, "arn:aws:kinesis:eu-west-1:000000000000:stream/a", true),
        (arn, "arn:aws:kinesis:eu-west-1:00000000000:stream/a", false),
        (arn, "arn:aws:kinesis:eu-west-1:000000000000:stream/a b", false),
        (consumer, "arn:aws:kinesis:r:000000000000:stream/s/consumer/c:17", true),
        (consumer, "arn:aws:kinesis:r:000000000000:stream/s/consumer/c:", false),
        (r"[a-z0-9]{20}-[a-z0-9]{3}", "abcdefghij0123456789-abc", true),
        (r"[^:*]*", "a:b", false),
        (r"[0-9A-Za-z!\-_'.*()\/=:{}]+", "a/b={x}", true),
        (r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$", "aws:x", false),
        (r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$", "grün 5", true),
        (r"[0-9A-Za-z\.\-_]*(?<!\.)", "a.", false),
        (r"[0-9A-Za-z\.\-_]*(?<!\.)", "a.b", true),
        (r"^$|[a-zA-Z/_]+", "", true),
        (r"[\u0009\u000A\u000D\u0020-\u00FF]+", "ÿ\t", true),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "😀", true),
        (r"a.b", "a\nb", false),
        (r"\d{1}+x", "1x", true),
        (r"x{2,}", "xxx", true),
        (r"x{2,}", "x", false),
    ] {
        assert_eq!(matches(java, text), expected, "{java} on {text}");
    }
}

/// A backtracking matcher would need ages for each of these.
#[test]
fn nothing_runs_away() {
    let long = "a".repeat(20_000) + "!";
    for java in ["(a+)+", "(a|a)*", "(a*)*b", "(([a-z])+.)+[A-Z]([a-z])+", "(?=(a+)+$)a*"] {
        assert!(!matches(java, &long), "{java}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for java in ["(", ")", "[a", "a{1", "*a", "\\", r"\q", r"\p{Han}", "[", "(?<x>a)"] {
        assert!(check(java).is_err(), "{java}");
    }
    let error = check("a{9}{9}{9}{9}{9}{9}").unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
