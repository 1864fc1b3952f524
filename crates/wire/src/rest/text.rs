//! Values as text, in labels, queries and headers.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::time::Time;

/// `2015-08-30T12:36:00Z`, with a fraction only if there is one.
pub(super) fn iso_date(time: Time) -> String {
    timestamp(time).map(|t| t.to_string()).unwrap_or_default()
}

/// `Sun, 30 Aug 2015 12:36:00 GMT`, with a fraction only if there is one.
pub(super) fn http_date(time: Time) -> String {
    let Some(stamp) = timestamp(time) else { return String::new() };
    let format = match time.as_millis().rem_euclid(1000) {
        0 => "%a, %d %b %Y %H:%M:%S GMT",
        _ => "%a, %d %b %Y %H:%M:%S.%3f GMT",
    };
    stamp.strftime(format).to_string()
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.as_millis()).ok()
}

/// Reads ISO 8601, an HTTP date, or epoch seconds: whatever it looks like.
pub(super) fn parse_time(text: &str) -> Option<Time> {
    if let Ok(secs) = text.parse() {
        return Some(Time::from_secs_f64(secs));
    }
    let whole: Option<Timestamp> = text.parse().ok();
    let stamp = whole.or_else(|| {
        let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S%.f GMT", text).ok();
        let civil = civil.and_then(|c| c.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let civil = civil.map(|zoned| zoned.timestamp());
        civil.or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
    });
    stamp.map(|stamp| Time::from_micros(stamp.as_microsecond()))
}

/// One header that holds a list: quotes where an item holds a comma or a quote.
pub(super) fn join(items: &[String]) -> String {
    let quoted = items.iter().map(|item| match item.contains(['"', ',']) && !is_http_date(item) {
        true => format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")),
        false => item.clone(),
    });
    quoted.collect::<Vec<_>>().join(", ")
}

/// The items of a header that holds a list; HTTP dates keep their comma.
pub(super) fn split(header: &str) -> Vec<String> {
    if header.is_empty() {
        return Vec::new();
    }
    let mut items: Vec<String> = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = header.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => item.extend(chars.next()),
            ',' if !quoted && !is_weekday(item.trim()) => items.push(take(&mut item)),
            c => item.push(c),
        }
    }
    items.push(take(&mut item));
    items
}

fn take(item: &mut String) -> String {
    std::mem::take(item).trim().to_owned()
}

fn is_http_date(text: &str) -> bool {
    text.split_once(',').is_some_and(|(day, _)| is_weekday(day)) && text.ends_with("GMT")
}

fn is_weekday(text: &str) -> bool {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&text)
}
