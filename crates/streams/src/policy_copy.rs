//! This process's copy of the resource policies of streams and consumers, compiled, kept true by a
//! watch: authorization asks here and never reads a row.

use std::collections::HashMap;
use std::sync::Arc;

use millstream_base::{AccountId, ConsumerArn, Region, ResourceArn, Scope, StreamArn, StreamName};
use millstream_env::{Env, Task};
use millstream_meta::{Document, Key, MetaError, MetaStore, Mirror, Revision, Row, mirror};
use millstream_policy::{Kind, Policy};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::{Error, Result};

/// What the rows' keys begin with.
const PREFIX: &str = "policy/";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRow {
    /// The stream's.
    pub(crate) family: u32,
    pub(crate) document: String,
}

impl Document for PolicyRow {
    const KIND: &'static str = "resource policy";
    const VERSION: u32 = 1;
}

/// The policy of one resource.
struct Held {
    resource: ResourceArn,
    /// The stream's when the policy was put.
    family: u32,
    revision: Revision,
    policy: Option<Arc<Policy>>,
}

#[derive(Default)]
pub(crate) struct Copy(RwLock<HashMap<StreamArn, Vec<Held>>>);

pub(crate) struct PolicyCopy(Arc<Mirror<Copy>>);

impl std::ops::Deref for PolicyCopy {
    type Target = Mirror<Copy>;

    fn deref(&self) -> &Mirror<Copy> {
        &self.0
    }
}

impl PolicyCopy {
    /// Reads all rows, and keeps them true in a task until `stop` says so.
    ///
    /// # Errors
    /// As [`Mirror::load`].
    pub(crate) async fn start(
        env: &Env,
        meta: Arc<dyn MetaStore>,
        stop: watch::Receiver<bool>,
    ) -> Result<(Arc<PolicyCopy>, Task)> {
        let copy = Copy::default();
        let (mirror, task) =
            Mirror::start(env, "streams-follow-policies", meta, PREFIX, copy, stop).await?;
        Ok((Arc::new(PolicyCopy(mirror)), task))
    }

    /// The policy of a resource whose stream is of `family`.
    pub(crate) fn get(&self, resource: &ResourceArn, family: u32) -> Option<Arc<Policy>> {
        let all = self.0.0.read();
        let held = all.get(resource.stream())?.iter().find(|held| held.resource == *resource)?;
        held.policy.as_ref().filter(|_| held.family == family).cloned()
    }
}

/// A document that was checked when it was put. One that can't be read any more allows nothing.
pub(crate) fn compile(resource: &dyn std::fmt::Display, document: &str) -> Option<Arc<Policy>> {
    match Policy::parse(Kind::Resource, document) {
        Ok(policy) => Some(Arc::new(policy)),
        Err(error) => {
            tracing::error!(%resource, %error, "a resource policy can't be read: it allows nothing");
            None
        }
    }
}

impl mirror::Copy for Copy {
    const WHAT: &'static str = "resource policy";
    const SCAN_PAGE: usize = 32;
    type Error = Error;

    fn apply(&self, row: &Row) -> Result<()> {
        let resource = resource_of(&row.key).ok_or_else(|| Error::Corrupt {
            reason: format!("row {} names no stream or consumer", row.key),
        })?;
        let read = PolicyRow::decode(&row.key, &row.value).map_err(MetaError::from)?;
        let mut all = self.0.write();
        let of_stream = all.entry(resource.stream().clone()).or_default();
        if of_stream.iter().any(|h| h.resource == resource && h.revision >= row.revision) {
            return Ok(());
        }
        of_stream.retain(|held| held.resource != resource);
        let policy = compile(&resource, &read.document);
        of_stream.push(Held { resource, family: read.family, revision: row.revision, policy });
        Ok(())
    }

    fn remove(&self, key: &Key, revision: Revision) {
        let Some(resource) = resource_of(key) else { return };
        let mut all = self.0.write();
        let stream = resource.stream();
        let Some(of_stream) = all.get_mut(stream) else { return };
        of_stream.retain(|held| held.resource != resource || held.revision >= revision);
        if of_stream.is_empty() {
            all.remove(stream);
        }
    }

    fn held(&self) -> Vec<(Key, Revision)> {
        let all = self.0.read();
        all.values().flatten().map(|held| (key_of(&held.resource), held.revision)).collect()
    }
}

/// What a row's key names.
fn resource_of(key: &Key) -> Option<ResourceArn> {
    let mut parts = key.as_str().strip_prefix(PREFIX)?.split('/');
    let account = AccountId::new(parts.next()?).ok()?;
    let region = Region::new(parts.next()?).ok()?;
    let stream = StreamArn::new(Scope::new(account, region), StreamName::new(parts.next()?).ok()?);
    match (parts.next(), parts.next()) {
        (None, _) => Some(ResourceArn::Stream(stream)),
        (Some(consumer), None) => {
            let (name, secs) = consumer.rsplit_once(':')?;
            let (name, created_secs) = (StreamName::new(name).ok()?, secs.parse().ok()?);
            Some(ResourceArn::Consumer(ConsumerArn { stream, name, created_secs }))
        }
        _ => None,
    }
}

/// `policy/ACCOUNT/REGION/NAME` and `policy/ACCOUNT/REGION/NAME/CONSUMER:SECONDS`: names have no
/// slashes.
pub(crate) fn key_of(resource: &ResourceArn) -> Key {
    let stream = resource.stream();
    let prefix = format!("{PREFIX}{}/{}/{}", stream.account(), stream.region(), stream.name());
    match resource {
        ResourceArn::Stream(_) => Key::new(prefix),
        ResourceArn::Consumer(consumer) => {
            Key::new(format!("{prefix}/{}:{}", consumer.name, consumer.created_secs))
        }
    }
}
