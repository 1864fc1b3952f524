//! Reading forms of dotted names.
//!
//! The pairs are kept sorted, so that whatever lies below a name is one stretch of them; nothing is
//! built besides.

use std::ops::Range;

use bytes::Bytes;

use crate::coding::{Asked, DecodeError, Decoder, Frames, Got, mismatch};
use crate::constraint::{MemberInfo, Missing};
use crate::time::{self, Time};
use crate::uri;

/// Most pairs of one form: a full PutMetricData of 1,000 data with 30 dimensions each has some
/// 65,000.
pub const PAIRS_MAX: usize = 100_000;

/// The pairs of a form, by name.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// # Errors
    /// [`DecodeError::Malformed`]: no UTF-8, or more than [`PAIRS_MAX`] pairs.
    pub fn parse(body: &[u8]) -> Result<Form, DecodeError> {
        let text = std::str::from_utf8(body).map_err(|_| DecodeError::Malformed)?;
        let parts = || text.split('&').filter(|part| !part.is_empty());
        if parts().count() > PAIRS_MAX {
            return Err(DecodeError::Malformed);
        }
        let decoded = |part: &str| uri::decode(&part.replace('+', " "));
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        };
        let mut pairs: Vec<_> = parts().map(pair).collect();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b)); // stable: of doubled names the first counts
        Ok(Form(pairs))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.partition_point(|(n, _)| n.as_str() < name);
        self.0.get(at).filter(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The pairs whose names start with `prefix`.
    fn below(&self, prefix: &str) -> Range<usize> {
        let start = self.0.partition_point(|(n, _)| n.as_str() < prefix);
        let length = self.0[start..].partition_point(|(n, _)| n.starts_with(prefix));
        start..start + length
    }

    /// Whether there is a value at `path`, or anything below it.
    fn has(&self, path: &str) -> bool {
        self.get(path).is_some() || !self.below(&format!("{path}.")).is_empty()
    }

    /// The paths of a list's items or of a map's entries, in the order of their numbers.
    fn numbered(&self, path: &str, wrapper: &str) -> Vec<String> {
        let mut prefix = format!("{path}.{wrapper}.");
        let mut range = self.below(&prefix);
        if range.is_empty() {
            prefix = format!("{path}.");
            range = self.below(&prefix);
        }
        let number = |(name, _): &(String, String)| {
            let rest = &name[prefix.len()..];
            let (segment, _) = rest.split_once('.').unwrap_or((rest, ""));
            segment.parse::<u64>().ok().map(|number| (number, segment.len()))
        };
        let mut numbers: Vec<_> = self.0[range.clone()].iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let path = |(number, width): (u64, usize)| format!("{prefix}{number:0width$}");
        numbers.into_iter().map(path).collect()
    }
}

/// A [`Decoder`] over a form.
#[derive(Debug)]
pub struct FormDecoder<'a> {
    form: &'a Form,
    /// The name of the value that is asked for next.
    path: String,
    /// What is below the containers that are open, each with its name.
    open: Vec<Open>,
    frames: Frames,
}

#[derive(Debug)]
struct Open {
    path: String,
    /// Members looked at, or items given out.
    seen: usize,
    parts: Vec<String>,
}

impl<'a> FormDecoder<'a> {
    pub fn new(form: &'a Form) -> Self {
        FormDecoder { form, path: String::new(), open: Vec::new(), frames: Frames::default() }
    }

    pub fn finish(self) -> Missing {
        self.frames.missing
    }

    fn scalar(&self, asked: Asked) -> Result<&'a str, DecodeError> {
        self.form.get(&self.path).ok_or_else(|| mismatch(asked, Got::Structure))
    }

    fn parsed<T: std::str::FromStr>(&self, asked: Asked) -> Result<T, DecodeError> {
        let text = self.scalar(asked)?;
        text.trim().parse().map_err(|_| mismatch(asked, Got::String(text)))
    }

    fn enter(&mut self, asked: Asked, parts: Vec<String>) -> Result<(), DecodeError> {
        // A name without a value is an empty container.
        match self.form.get(&self.path).filter(|_| !self.path.is_empty()) {
            None | Some("") => {}
            Some(text) => return Err(mismatch(asked, Got::String(text))),
        }
        let path = std::mem::take(&mut self.path);
        self.open.push(Open { path, seen: 0, parts });
        Ok(())
    }

    fn next_part(&mut self) -> Option<&str> {
        let open = self.open.last_mut().expect("inside a container while its parts are asked for");
        let part = open.parts.get(open.seen)?;
        open.seen += 1;
        Some(part)
    }

    fn leave(&mut self) {
        self.open.pop();
        self.frames.pop();
    }
}

impl Decoder for FormDecoder<'_> {
    fn boolean(&mut self) -> Result<bool, DecodeError> {
        let text = self.scalar(Asked::Boolean)?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(mismatch(Asked::Boolean, Got::String(text))),
        }
    }

    fn integer(&mut self) -> Result<i32, DecodeError> {
        let value = self.parsed::<i64>(Asked::Integer)?;
        Ok(value.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
    }

    fn long(&mut self) -> Result<i64, DecodeError> {
        self.parsed(Asked::Long)
    }

    fn double(&mut self) -> Result<f64, DecodeError> {
        self.parsed(Asked::Double)
    }

    fn string(&mut self) -> Result<String, DecodeError> {
        self.scalar(Asked::String).map(str::to_owned)
    }

    fn blob(&mut self) -> Result<Bytes, DecodeError> {
        let text = self.scalar(Asked::Blob)?;
        let blob = base64_simd::STANDARD.decode_to_vec(text);
        blob.map(Bytes::from).map_err(|_| mismatch(Asked::Blob, Got::String(text)))
    }

    fn time(&mut self) -> Result<Time, DecodeError> {
        let text = self.scalar(Asked::Time)?;
        time::parse_time(text).ok_or_else(|| mismatch(Asked::Time, Got::String(text)))
    }

    fn structure(&mut self) -> Result<(), DecodeError> {
        self.frames.structure(None)?;
        self.enter(Asked::Structure, Vec::new())
    }

    fn member(&mut self, members: &'static [MemberInfo]) -> Result<Option<usize>, DecodeError> {
        let open = self.open.last_mut().expect("inside a structure while members are asked for");
        while let Some(info) = members.get(open.seen) {
            let index = open.seen;
            open.seen += 1;
            let dot = if open.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{}", open.path, info.name);
            if self.form.has(&path) {
                self.path = path;
                self.frames.at_member(info.name);
                return Ok(Some(index));
            }
        }
        self.leave();
        Ok(None)
    }

    fn list(&mut self) -> Result<(), DecodeError> {
        self.frames.list(None)?;
        let items = self.form.numbered(&self.path, "member");
        self.enter(Asked::List, items)
    }

    fn item(&mut self) -> Result<bool, DecodeError> {
        self.frames.top().seen += 1;
        match self.next_part().map(str::to_owned) {
            Some(path) => self.path = path,
            None => {
                self.leave();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn map(&mut self) -> Result<(), DecodeError> {
        self.frames.map(None)?;
        let entries = self.form.numbered(&self.path, "entry");
        self.enter(Asked::Map, entries)
    }

    fn key(&mut self) -> Result<Option<String>, DecodeError> {
        while let Some(entry) = self.next_part().map(str::to_owned) {
            let value = format!("{entry}.value");
            let Some(key) = self.form.get(&format!("{entry}.key")) else {
                return Err(DecodeError::Malformed);
            };
            if self.form.has(&value) {
                self.path = value;
                self.frames.at_key(key);
                return Ok(Some(key.to_owned()));
            }
        }
        self.leave();
        Ok(None)
    }

    fn absent(&mut self, member: &'static str) {
        self.frames.absent(member);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::prelude::*;
    use crate::value::Value;

    shape! {
        pub struct Part { name: String = "Name", }
    }

    shape! {
        pub struct Whole {
            parts: Option<Vec<Part>> = "Parts",
            flag: Option<bool> = "Flag",
            count: Option<i32> = "Count",
            at: Option<Time> = "At",
            tags: Option<BTreeMap<String, String>> = "Tags",
        }
    }

    fn read(body: &str) -> Result<(Whole, Missing), DecodeError> {
        let form = Form::parse(body.as_bytes())?;
        let mut decoder = FormDecoder::new(&form);
        Ok((Whole::decode(&mut decoder)?, decoder.finish()))
    }

    #[test]
    fn items_come_in_the_order_of_their_numbers_whatever_their_names() {
        let (whole, missing) = read(
            "Action=X&Parts.member.10.Name=j&Parts.member.2.Name=b+%26&Parts.member.x.Name=q\
             &Parts.member.3.Other=1&Flag=true&At=2020-01-01T00%3A00%3A00Z&Tags.entry.1.key=k\
             &Tags.entry.1.value=v",
        )
        .unwrap();
        let names: Vec<_> = whole.parts.unwrap().into_iter().map(|part| part.name).collect();
        assert_eq!(names, ["b &", "", "j"]);
        assert!(missing.contains("parts.2.member.name"), "{missing:?}");
        assert_eq!(whole.flag, Some(true));
        assert_eq!(whole.at, Some(Time::from_secs(1_577_836_800)));
        assert_eq!(whole.tags.unwrap()["k"], "v");
    }

    #[test]
    fn flattened_and_empty_lists_are_read() {
        assert_eq!(read("Parts.1.Name=a").unwrap().0.parts.unwrap()[0].name, "a");
        assert_eq!(read("Parts=").unwrap().0.parts, Some(vec![]));
        assert_eq!(read("").unwrap().0, Whole::default());
    }

    #[test]
    fn wrong_types_are_told() {
        for body in
            ["Count=x", "Flag=perhaps", "At=noon", "Parts=x", "Count.a=1", "Parts.member.1=x"]
        {
            assert!(matches!(read(body), Err(DecodeError::Mismatch(_))), "{body}");
        }
        assert_eq!(read("Tags.entry.1.value=v").unwrap_err(), DecodeError::Malformed);
    }
}
