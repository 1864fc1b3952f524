//! The catalogue: cases as data, read from `cases/*.json`.
//!
//! The format is described for authors in `cases/README.md`; these types are its grammar, and an
//! unknown key anywhere is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::{Client, Codec};
pub use crate::http_step::HttpStep;

/// One file of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[expect(dead_code, reason = "for the reader of the file")]
    about: String,
    cases: Vec<Case>,
}

/// One story: steps played in order in an account of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What must hold, as words joined by underscores.
    pub name: String,
    /// The rows of the reference's list of traps this case stands for.
    #[serde(default)]
    pub h: Vec<u16>,
    /// Why, or where the expectation comes from.
    #[serde(default)]
    pub why: String,
    /// Configuration of the server this case needs; cases with equal text share a server.
    #[serde(default)]
    pub config: String,
    /// Shards of the stream `{stream}` that exists before the first step; absent: no stream.
    #[serde(default)]
    pub shards: Option<u32>,
    /// Families that play it; empty: all but `cli`, or only `raw` when a step is below the API.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Families that can't express it.
    #[serde(default)]
    pub not: Vec<String>,
    /// Whether the AWS CLI, which takes a process a call, plays it too.
    #[serde(default)]
    pub cli: bool,
    /// The codec it is about; absent: both.
    #[serde(default)]
    pub codec: Option<Codec>,
    /// What happens.
    pub steps: Vec<Step>,
    /// The file it stands in.
    #[serde(skip)]
    pub file: String,
}

/// One step: exactly one of the verbs, with what belongs to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Verb: the operation to call with `in`.
    pub op: Option<String>,
    /// Verb: a request below the API.
    pub http: Option<HttpStep>,
    /// Verb: bytes on a socket.
    pub tcp: Option<TcpStep>,
    /// Verb: wait until the stream of this name is ACTIVE.
    pub wait_active: Option<String>,
    /// Verb: wait this long.
    pub sleep_ms: Option<u64>,
    /// Verb: name values.
    #[serde(rename = "let")]
    pub names: Option<BTreeMap<String, Value>>,
    /// The operation's parameters.
    #[serde(rename = "in", default)]
    pub params: Map<String, Value>,
    /// Another account than the case's own.
    pub account: Option<String>,
    /// Another region than `us-east-1`.
    pub region: Option<String>,
    /// What must come back; absent: any success.
    pub expect: Option<Expect>,
    /// Names for parts of the answer: name to dotted path.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
    /// Repeat until the expectation holds, at most this long.
    #[serde(default)]
    pub eventually_ms: u64,
}

/// The pattern of an answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// HTTP status; absent: 200, or 400 when `error` is given. A list allows several.
    pub status: Option<Value>,
    /// Error type without namespace; absent: success. (Front-door cases look at `text` instead.)
    pub error: Option<String>,
    /// Pattern of the sentence; `{"$absent": true}` for none.
    pub message: Option<Value>,
    /// Pattern of the output.
    pub body: Option<Value>,
    /// The output has no members, and on the wire no bytes.
    #[serde(default)]
    pub empty: bool,
    /// Patterns of headers (raw clients only).
    #[serde(default)]
    pub headers: BTreeMap<String, Value>,
    /// Pattern of the body as text (raw clients only).
    pub text: Option<Value>,
    /// Pattern of the body read as JSON (raw clients only).
    pub json: Option<Value>,
    /// The server closes without an answer (`tcp` steps), or the request can't be sent whole.
    #[serde(default)]
    pub closed: bool,
}

/// Bytes written to a socket, and what is done then.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpStep {
    /// Parts to write, as bodies of [`HttpStep`].
    pub send: Vec<Value>,
    /// What happens after the last part.
    pub then: Then,
    /// Longest wait for the answer or the close.
    pub within_ms: u64,
}

/// The end of a [`TcpStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Read on, with our half open.
    Hold,
    /// Close our half, read on.
    CloseWrite,
    /// Close at once; nothing comes back.
    Drop,
}

impl Case {
    /// Whether `client` plays this case.
    pub fn is_for(&self, client: &dyn Client) -> bool {
        self.is_for_family(client.family())
            && self.codec.is_none_or(|codec| codec == client.codec())
            && (client.codec() == Codec::Json || !self.below_api())
    }

    fn is_for_family(&self, family: &str) -> bool {
        if self.not.iter().any(|name| name == family) {
            return false;
        }
        if family == "cli" {
            return self.cli;
        }
        match self.clients.as_slice() {
            [] => family == "raw" || !self.below_api(),
            some => some.iter().any(|name| name == family),
        }
    }

    fn below_api(&self) -> bool {
        self.steps.iter().any(|step| step.http.is_some() || step.tcp.is_some())
    }

    fn check(&self) -> Result<()> {
        for (index, step) in self.steps.iter().enumerate() {
            let verbs = [
                step.op.is_some(),
                step.http.is_some(),
                step.tcp.is_some(),
                step.wait_active.is_some(),
                step.sleep_ms.is_some(),
                step.names.is_some(),
            ];
            let count = verbs.iter().filter(|is| **is).count();
            ensure!(count == 1, "step {} has {count} verbs", index + 1);
        }
        ensure!(!self.steps.is_empty(), "no steps");
        Ok(())
    }
}

/// Reads every file of `cases/`, in name order.
///
/// # Errors
/// A file that does not parse, a step without exactly one verb, a name used twice.
pub fn load() -> Result<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    paths.sort();
    let mut cases = Vec::new();
    let mut names = BTreeSet::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        let parsed: CaseFile = serde_json::from_str(&text).with_context(|| file.clone())?;
        for mut case in parsed.cases {
            case.check().with_context(|| format!("{file}: {}", case.name))?;
            ensure!(names.insert(case.name.clone()), "{file}: {} is there twice", case.name);
            case.file.clone_from(&file);
            cases.push(case);
        }
    }
    Ok(cases)
}
