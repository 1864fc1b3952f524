//! Reading a structure whose top-level members travel in different places.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;

use super::text;
use crate::coding::{Asked, DecodeError, Decoder, Got, mismatch};
use crate::constraint::{MemberInfo, Missing};
use crate::json::JsonDecoder;
use crate::operation::{Binding, Place};
use crate::time::{self, Time};

type Result<T> = std::result::Result<T, DecodeError>;

/// A [`Decoder`] over the parts of a request or response.
#[derive(Debug)]
pub struct RestDecoder<'a> {
    bindings: &'static [Binding],
    labels: &'a [(&'static str, String)],
    query: &'a [(String, String)],
    headers: &'a HeaderMap,
    status: u16,
    body: &'a Bytes,
    json: JsonDecoder<'a>,
    /// The binding to look at next; after the last one comes the body.
    next: usize,
    now: Now,
    /// The member whose value the JSON is, if it is not the structure itself.
    payload: Option<&'static str>,
    /// Whether all members of the structure itself were seen.
    ended: bool,
    missing: Missing,
}

/// What the value that is asked for next is read from.
#[derive(Debug)]
enum Now {
    /// The structure itself, not yet or no longer within a member.
    Outside,
    /// The structure's own JSON body.
    Body,
    /// A text, then the rest of the list it was the first of.
    Text(String),
    List(VecDeque<String>),
    /// The body as it is.
    Raw,
    /// The body is JSON of the payload member; so many containers of it are open.
    Payload(usize),
}

impl<'a> RestDecoder<'a> {
    pub fn new(bindings: &'static [Binding], headers: &'a HeaderMap, body: &'a Bytes) -> Self {
        RestDecoder {
            bindings,
            labels: &[],
            query: &[],
            headers,
            status: 200,
            body,
            json: JsonDecoder::new(body),
            next: 0,
            now: Now::Outside,
            payload: None,
            ended: false,
            missing: Missing::default(),
        }
    }

    pub fn labels(&mut self, labels: &'a [(&'static str, String)]) -> &mut Self {
        self.labels = labels;
        self
    }

    pub fn query(&mut self, query: &'a [(String, String)]) -> &mut Self {
        self.query = query;
        self
    }

    pub fn status(&mut self, status: u16) -> &mut Self {
        self.status = status;
        self
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if more follows than one JSON value.
    pub fn finish(mut self) -> Result<Missing> {
        if self.has_json_body() || self.payload.is_some() {
            self.missing.extend(self.json.finish()?, self.payload);
        }
        Ok(self.missing)
    }

    fn has_json_body(&self) -> bool {
        !self.body.is_empty() && !self.bindings.iter().any(|b| b.place == Place::Payload)
    }

    /// Where the value of `binding` is read from, if it is there.
    fn source(&self, binding: &Binding) -> Option<Now> {
        let of_query = |name: &str| {
            let values: VecDeque<String> =
                self.query.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect();
            (!values.is_empty()).then_some(values)
        };
        match binding.place {
            Place::Label(name) => {
                let found = self.labels.iter().find(|(label, _)| *label == name);
                found.map(|(_, value)| Now::Text(value.clone()))
            }
            Place::Query(name) => of_query(name).map(Now::List),
            Place::Header(name) => self.header(name).map(Now::Text),
            Place::Status => Some(Now::Text(self.status.to_string())),
            Place::Payload => (!self.body.is_empty()).then_some(Now::Raw),
        }
    }

    fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let values: Vec<&str> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The text of the current scalar; `None` if it is in JSON.
    fn text(&mut self) -> Option<String> {
        match &mut self.now {
            Now::Text(text) => Some(std::mem::take(text)),
            Now::List(texts) => Some(texts.pop_front().unwrap_or_default()),
            _ => None,
        }
    }

    /// Reads the current scalar, from text by `parse` or from JSON.
    fn scalar<T>(
        &mut self,
        asked: Asked,
        parse: impl Fn(&str) -> Option<T>,
        read: impl Fn(&mut JsonDecoder<'a>) -> Result<T>,
    ) -> Result<T> {
        match self.text() {
            Some(text) => parse(&text).ok_or_else(|| mismatch(asked, Got::String(&text))),
            None => {
                self.enter_payload(0);
                read(&mut self.json)
            }
        }
    }

    /// The payload turned out to be JSON.
    fn enter_payload(&mut self, opened: usize) {
        match &mut self.now {
            Now::Payload(open) => *open += opened,
            now @ Now::Raw => {
                self.payload = Some(self.bindings[self.next - 1].member);
                *now = Now::Payload(opened);
            }
            _ => {}
        }
    }

    fn leave_payload(&mut self) {
        if let Now::Payload(open) = &mut self.now {
            *open = open.saturating_sub(1);
        }
    }

    /// Whether the parts that are asked for are those of the structure itself.
    fn is_on_top(&self) -> bool {
        match self.now {
            Now::Payload(open) => open == 0,
            Now::Body => self.json.depth() <= 1,
            _ => true,
        }
    }

    fn next_bound(&mut self, members: &'static [MemberInfo]) -> Option<usize> {
        while let Some(binding) = self.bindings.get(self.next) {
            self.next += 1;
            let index = members.iter().position(|member| member.name == binding.member);
            if let (Some(index), Some(now)) = (index, self.source(binding)) {
                self.now = now;
                return Some(index);
            }
        }
        None
    }
}

impl Decoder for RestDecoder<'_> {
    fn boolean(&mut self) -> Result<bool> {
        self.scalar(Asked::Boolean, |text| text.parse().ok(), |json| json.boolean())
    }

    fn integer(&mut self) -> Result<i32> {
        self.scalar(Asked::Integer, |text| text.parse().ok(), |json| json.integer())
    }

    fn long(&mut self) -> Result<i64> {
        self.scalar(Asked::Long, |text| text.parse().ok(), |json| json.long())
    }

    fn double(&mut self) -> Result<f64> {
        self.scalar(Asked::Double, |text| text.parse().ok(), |json| json.double())
    }

    fn string(&mut self) -> Result<String> {
        if let Now::Raw = self.now {
            return String::from_utf8(self.body.to_vec()).map_err(|_| DecodeError::Malformed);
        }
        self.scalar(Asked::String, |text| Some(text.to_owned()), |json| json.string())
    }

    fn blob(&mut self) -> Result<Bytes> {
        if let Now::Raw = self.now {
            return Ok(self.body.clone());
        }
        let parse = |text: &str| base64_simd::STANDARD.decode_to_vec(text).ok().map(Bytes::from);
        self.scalar(Asked::Blob, parse, |json| json.blob())
    }

    fn time(&mut self) -> Result<Time> {
        self.scalar(Asked::Time, time::parse_time, |json| json.time())
    }

    fn structure(&mut self) -> Result<()> {
        match self.now {
            Now::Outside if !self.has_json_body() => return Ok(()),
            Now::Outside => {}
            _ => self.enter_payload(1),
        }
        self.json.structure()
    }

    fn member(&mut self, members: &'static [MemberInfo]) -> Result<Option<usize>> {
        if !self.is_on_top() {
            let index = self.json.member(members)?;
            if index.is_none() {
                self.leave_payload();
            }
            return Ok(index);
        }
        let mut index = self.next_bound(members);
        if index.is_none() && self.has_json_body() {
            self.now = Now::Body;
            index = self.json.member(members)?;
        }
        self.ended = index.is_none();
        Ok(index)
    }

    fn list(&mut self) -> Result<()> {
        match &mut self.now {
            Now::Text(text) => self.now = Now::List(text::split(text).into()),
            Now::List(_) => {}
            _ => {
                self.enter_payload(1);
                return self.json.list();
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<bool> {
        if let Now::List(texts) = &self.now {
            return Ok(!texts.is_empty());
        }
        let more = self.json.item()?;
        if !more {
            self.leave_payload();
        }
        Ok(more)
    }

    fn map(&mut self) -> Result<()> {
        self.enter_payload(1);
        self.json.map()
    }

    fn key(&mut self) -> Result<Option<String>> {
        let key = self.json.key()?;
        if key.is_none() {
            self.leave_payload();
        }
        Ok(key)
    }

    fn absent(&mut self, member: &'static str) {
        if self.ended {
            let mut path = String::new();
            crate::constraint::push_member(&mut path, member);
            self.missing.insert(path);
        } else {
            self.json.absent(member);
        }
    }
}
