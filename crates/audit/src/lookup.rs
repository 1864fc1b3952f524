//! Questions about a trail, newest entries first, with bounded work per question.

use std::io;

use memchr::memmem;
use millstream_base::Timestamp;
use millstream_env::{Disk, OpenMode};
use serde_json::Value;

use crate::files::{FileName, trail_files};
use crate::line::{Kind, parse_line};
use crate::read::Lines;

/// Most bytes of files that one question reads; the answer then says where to go on.
pub const LOOKUP_BYTES_MAX: u64 = 4 << 20;

/// What to look for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub account: Option<String>,
    pub region: Option<String>,
    pub attributes: Vec<(Attribute, String)>,
    /// Events of this time or later.
    pub from: Option<Timestamp>,
    /// Events of this time or earlier.
    pub to: Option<Timestamp>,
    /// No data events.
    pub management_only: bool,
    /// Most events of the answer.
    pub count_max: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// What of an event can be asked for by its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    EventId,
    EventName,
    EventSource,
    ReadOnly,
    Username,
    AccessKeyId,
    ResourceType,
    /// A name, or a whole ARN.
    ResourceName,
}

/// A place in a trail: before it, older entries stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub file: u64,
    pub offset: u64,
}

/// Events, newest first, and where older ones may be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub events: Vec<Value>,
    /// `None` when all was read.
    pub next: Option<Cursor>,
}

/// Answers `query` from the trail in the root of `disk`, reading at most [`LOOKUP_BYTES_MAX`] and
/// one line more.
///
/// # Errors
/// The files can't be read.
pub fn lookup(disk: &dyn Disk, query: &Query) -> io::Result<Page> {
    let mut page = Page::default();
    let mut left = LOOKUP_BYTES_MAX;
    for name in trail_files(disk)?.into_iter().rev() {
        let end = match query.cursor {
            Some(cursor) if name.0 > cursor.file => continue,
            Some(cursor) if name.0 == cursor.file => cursor.offset,
            _ => u64::MAX,
        };
        let file = match disk.open(&name.path(), OpenMode::Read) {
            Ok(file) => file,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut reader = Reader { query, name, page: &mut page, left: &mut left, over: false };
        let lines = Lines::of(&*file)?;
        lines.backward(end, |line| reader.line(line.place.start, line.ended, &line.bytes))?;
        if reader.over {
            break;
        }
    }
    Ok(page)
}

struct Reader<'a> {
    query: &'a Query,
    name: FileName,
    page: &'a mut Page,
    left: &'a mut u64,
    /// The answer is complete, or its bound is reached.
    over: bool,
}

impl Reader<'_> {
    /// Whether to go on.
    fn line(&mut self, start: u64, ended: bool, bytes: &[u8]) -> bool {
        let Some(entry) = parse_line(bytes).ok().filter(|_| ended) else {
            return self.spend(start, bytes.len());
        };
        let from = self.query.from.map_or(0, |from| from.as_millis());
        if entry.at < from {
            // Events are written after they happened, and the time of writing never steps back.
            (self.over, self.page.next) = (true, None);
            return false;
        }
        if entry.kind == Kind::Event
            && self.query.may_match(entry.content)
            && let Ok(event) = serde_json::from_slice::<Value>(entry.content)
            && self.query.matches(&event)
        {
            self.page.events.push(event);
        }
        self.spend(start, bytes.len())
    }

    fn spend(&mut self, start: u64, bytes: usize) -> bool {
        *self.left = self.left.saturating_sub(bytes as u64 + 1);
        self.over = *self.left == 0 || self.page.events.len() >= self.query.count_max;
        if self.over {
            self.page.next = Some(Cursor { file: self.name.0, offset: start });
        }
        !self.over
    }
}

impl Query {
    /// A quick look that spares most lines the parsing.
    fn may_match(&self, content: &[u8]) -> bool {
        let plain = |value: &String| !value.contains(['"', '\\', '/']) && !value.is_empty();
        let wanted = self.attributes.iter().map(|(_, value)| value).chain(&self.account);
        wanted.filter(|value| plain(value)).all(|value| {
            memmem::find(content, value.as_bytes()).is_some()
                || value.eq_ignore_ascii_case("true")
                || value.eq_ignore_ascii_case("false")
                || !value.is_ascii()
        })
    }

    fn matches(&self, event: &Value) -> bool {
        let is = |name: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| event[name] == wanted.as_str())
        };
        is("recipientAccountId", &self.account)
            && is("awsRegion", &self.region)
            && !(self.management_only && event["managementEvent"] != true)
            && self.in_time(event)
            && self.attributes.iter().all(|(attribute, value)| attribute.is(value, event))
    }

    fn in_time(&self, event: &Value) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        let text = event["eventTime"].as_str().unwrap_or_default();
        let Ok(time) = text.parse::<jiff::Timestamp>() else { return false };
        let secs = u64::try_from(time.as_second()).unwrap_or_default();
        self.from.is_none_or(|from| from.as_secs() <= secs)
            && self.to.is_none_or(|to| secs <= to.as_secs())
    }
}

impl Attribute {
    fn is(self, value: &str, event: &Value) -> bool {
        match self {
            Attribute::EventId => event["eventID"] == value,
            Attribute::EventName => event["eventName"] == value,
            Attribute::EventSource => event["eventSource"] == value,
            Attribute::ReadOnly => {
                event["readOnly"].as_bool().is_some_and(|is| is.to_string() == value)
            }
            Attribute::Username => username(event) == Some(value),
            Attribute::AccessKeyId => event["userIdentity"]["accessKeyId"] == value,
            Attribute::ResourceType => resources(event).any(|(kind, _)| kind == value),
            Attribute::ResourceName => {
                resources(event).any(|(_, arn)| arn == value || resource_name(arn) == value)
            }
        }
    }
}

/// Who an event is told to be of: the user, the role's session, or `root`.
pub(crate) fn username(event: &Value) -> Option<&str> {
    let identity = &event["userIdentity"];
    match (identity["type"].as_str()?, identity["userName"].as_str()) {
        (_, Some(name)) => Some(name),
        ("Root", None) => Some("root"),
        _ => identity["principalId"].as_str().map(|id| id.rsplit(':').next().unwrap_or(id)),
    }
}

/// Type and ARN of what an event acted on.
pub(crate) fn resources(event: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = event["resources"].as_array().into_iter().flatten();
    all.filter_map(|r| Some((r["type"].as_str()?, r["ARN"].as_str()?)))
}

/// `orders` of `arn:aws:kinesis:us-east-1:000000000000:stream/orders`.
pub(crate) fn resource_name(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    resource.split_once('/').map_or(resource, |(_, name)| name)
}

impl Page {
    /// Who an event of a page is told to be of.
    pub fn username(event: &Value) -> Option<&str> {
        username(event)
    }

    /// Type and name of what an event of a page acted on.
    pub fn resources(event: &Value) -> Vec<(&str, &str)> {
        resources(event).map(|(kind, arn)| (kind, resource_name(arn))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millstream_env::RealDisk;
    use serde_json::json;

    use super::*;
    use crate::trail::{Options, Trail};

    fn event(i: u64, name: &str, account: &str) -> String {
        let arn = format!("arn:aws:kinesis:us-east-1:{account}:stream/s{i}");
        json!({
            "eventID": format!("id-{i}"), "eventName": name, "readOnly": name == "ListStreams",
            "eventTime": crate::event_time(Timestamp::from_secs(1000 + i)),
            "recipientAccountId": account, "awsRegion": "us-east-1", "managementEvent": true,
            "userIdentity": {"type": "IAMUser", "userName": "ann", "accessKeyId": "AK"},
            "resources": [{"type": "AWS::Kinesis::Stream", "ARN": arn, "accountId": account}],
            "pad": "x".repeat(2000),
        })
        .to_string()
    }

    fn all(disk: &dyn Disk, query: &Query) -> (Vec<String>, usize) {
        let (mut ids, mut pages, mut query) = (Vec::new(), 0, query.clone());
        loop {
            let page = lookup(disk, &query).unwrap();
            assert!(page.events.len() <= query.count_max);
            ids.extend(page.events.iter().map(|e| e["eventID"].as_str().unwrap().to_owned()));
            pages += 1;
            query.cursor = page.next;
            if query.cursor.is_none() {
                return (ids, pages);
            }
        }
    }

    #[test]
    fn pages_give_every_matching_event_once_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::new(dir.path()));
        let options = Options { file_bytes_max: 100 << 10, sync: false, ..Options::default() };
        let now = |i| Timestamp::from_secs(1001 + i);
        let (mut trail, _) = Trail::open(disk.clone(), options, now(0)).unwrap();
        for i in 0..200 {
            let account = if i % 2 == 0 { "000000000001" } else { "000000000002" };
            let name = if i % 10 == 0 { "ListStreams" } else { "CreateStream" };
            trail.append(&[event(i, name, account)], now(i)).unwrap();
        }
        assert!(trail_files(&*disk).unwrap().len() > 3);
        let query = Query {
            account: Some("000000000001".to_owned()),
            count_max: 7,
            management_only: true,
            ..Query::default()
        };
        let expected: Vec<String> =
            (0..200).rev().step_by(2).map(|i| format!("id-{}", i - 1)).collect();
        let (found, pages) = all(&*disk, &query);
        assert_eq!(found, expected);
        assert!(pages >= 100 / 7);
        let with = |attribute, value: &str| Query {
            attributes: vec![(attribute, value.to_owned())],
            ..query.clone()
        };
        for (attribute, value, count) in [
            (Attribute::EventName, "ListStreams", 20),
            (Attribute::EventName, "liststreams", 0),
            (Attribute::ReadOnly, "true", 20),
            (Attribute::ReadOnly, "false", 80),
            (Attribute::EventId, "id-4", 1),
            (Attribute::EventId, "id-5", 0),
            (Attribute::Username, "ann", 100),
            (Attribute::AccessKeyId, "AK", 100),
            (Attribute::ResourceName, "s6", 1),
            (Attribute::ResourceName, "arn:aws:kinesis:us-east-1:000000000001:stream/s6", 1),
            (Attribute::ResourceType, "AWS::Kinesis::Stream", 100),
            (Attribute::EventSource, "kinesis.amazonaws.com", 0),
        ] {
            assert_eq!(
                all(&*disk, &with(attribute, value)).0.len(),
                count,
                "{attribute:?} {value}"
            );
        }
        let time = |secs| Some(Timestamp::from_secs(secs));
        let period = Query { from: time(1010), to: time(1019), ..query.clone() };
        assert_eq!(all(&*disk, &period).0, ["id-18", "id-16", "id-14", "id-12", "id-10"]);
        let elsewhere = Query { region: Some("eu-west-1".to_owned()), ..query };
        assert!(all(&*disk, &elsewhere).0.is_empty());
    }

    #[test]
    fn one_question_reads_so_much_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::new(dir.path()));
        let options = Options { sync: false, ..Options::default() };
        let now = Timestamp::from_secs(1000);
        let (mut trail, _) = Trail::open(disk.clone(), options, now).unwrap();
        let group: Vec<String> = (0..100).map(|i| event(i, "CreateStream", "1")).collect();
        for _ in 0..30 {
            trail.append(&group, now).unwrap();
        }
        let query = Query { account: Some("none".to_owned()), count_max: 1, ..Query::default() };
        let page = lookup(&*disk, &query).unwrap();
        assert!(page.events.is_empty());
        let next = page.next.expect("the bound is reached before the beginning");
        let read = trail.bytes() - next.offset;
        assert!((LOOKUP_BYTES_MAX..LOOKUP_BYTES_MAX + 4000).contains(&read), "{read}");
    }
}
