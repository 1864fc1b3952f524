//! A service model with our corrections applied, and questions to it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::models::root;

#[derive(Debug)]
pub(super) struct Model {
    json: Value,
}

impl Model {
    pub(super) fn load(service: &str) -> Result<Model> {
        let folder = root().join("models");
        let mut json = read(&folder.join(format!("{service}.json")))?;
        let overlay = folder.join(format!("overlay/{service}.json"));
        if overlay.exists() {
            let overlay = read(&overlay)?;
            for change in overlay["changes"].as_array().into_iter().flatten() {
                apply(&mut json, change).with_context(|| change["at"].to_string())?;
            }
        }
        Ok(Model { json })
    }

    pub(super) fn metadata(&self, key: &str) -> &str {
        self.json["metadata"][key].as_str().unwrap_or_default()
    }

    /// The protocol that the model names first.
    pub(super) fn protocol(&self) -> String {
        let metadata = &self.json["metadata"];
        let first = metadata["protocols"][0].as_str().or(metadata["protocol"].as_str());
        first.unwrap_or_default().to_owned()
    }

    /// Whether the query protocol is among the model's.
    pub(super) fn speaks_query(&self) -> bool {
        let listed = self.json["metadata"]["protocols"].as_array().into_iter().flatten();
        self.protocol() == "query" || listed.into_iter().any(|name| name == "query")
    }

    pub(super) fn operations(&self) -> &Map<String, Value> {
        self.json["operations"].as_object().expect("operations are an object")
    }

    pub(super) fn shapes(&self) -> &Map<String, Value> {
        self.json["shapes"].as_object().expect("shapes are an object")
    }

    pub(super) fn shape(&self, name: &str) -> &Value {
        &self.json["shapes"][name]
    }

    pub(super) fn members<'a>(&self, shape: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let members = shape["members"].as_object().into_iter().flatten();
        members.map(|(name, member)| (name.as_str(), member)).collect()
    }

    /// The member of `shape` that is an event stream.
    pub(super) fn event_stream<'a>(&'a self, shape: &'a Value) -> Option<&'a str> {
        let streams = self.members(shape).into_iter().filter_map(|(_, m)| m["shape"].as_str());
        streams.into_iter().find(|name| is(self.shape(name), "eventstream"))
    }

    /// The blob member of `shape` that streams.
    pub(super) fn streaming_payload<'a>(&self, shape: &'a Value) -> Option<&'a str> {
        let payload = shape["payload"].as_str()?;
        let member = &shape["members"][payload];
        let target = self.shape(member["shape"].as_str()?);
        (is(target, "streaming") || is(member, "streaming")).then_some(payload)
    }

    /// Structures that are outputs of operations: their streaming payload is not a member.
    pub(super) fn outputs(&self) -> BTreeSet<&str> {
        let outputs = self.operations().values();
        outputs.filter_map(|operation| operation["output"]["shape"].as_str()).collect()
    }

    /// Whether a value of structure `from` holds one of structure `to` without a list or map between.
    pub(super) fn holds(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(name) = todo.pop() {
            for (_, member) in self.members(self.shape(name)) {
                let target = member["shape"].as_str().unwrap_or_default();
                if target == to {
                    return true;
                }
                if self.shape(target)["type"] == "structure" && seen.insert(target) {
                    todo.push(target);
                }
            }
        }
        false
    }
}

pub(super) fn is(value: &Value, flag: &str) -> bool {
    value[flag].as_bool().unwrap_or(false)
}

fn read(path: &std::path::Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// One correction: a JSON pointer, the value to put there (null removes), and why.
fn apply(model: &mut Value, change: &Value) -> Result<()> {
    let at = change["at"].as_str().context("a correction without \"at\"")?;
    if change["why"].as_str().is_none_or(str::is_empty) {
        bail!("a correction without \"why\"");
    }
    let (parent, key) = at.rsplit_once('/').context("a pointer begins with a slash")?;
    let parent = model.pointer_mut(parent).and_then(Value::as_object_mut);
    let parent = parent.context("nothing there to correct")?;
    match &change["value"] {
        Value::Null => drop(parent.shift_remove(key).context("nothing there to remove")?),
        value => drop(parent.insert(key.to_owned(), value.clone())),
    }
    Ok(())
}
