//! Resource policies: one document per stream or consumer, kept as it came and removed with what it
//! belongs to.
//!
//! Each is a row of its own. A row names the family of its stream, so that a stream which is made
//! anew under an old name never has the old one's policy, whatever a crash left behind.
//!
//! Whether a document is one is checked where the API is spoken, and what it allows is decided where
//! callers are known; for them this process keeps a compiled copy ([`crate::policy_copy`]).

use millstream_base::{ResourceArn, StreamArn};
use millstream_meta::{Document, Expect, MetaError};

use crate::cache::Snapshot;
use crate::consumer_row::{ConsumerRef, ConsumerStatus};
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::StreamStatus;
use crate::policy_copy::{PolicyRow, key_of};

/// Rows that one scan of the store asks for.
const SCAN_PAGE: usize = 100;

impl Streams {
    /// Whether a policy can be attached to `resource` now.
    ///
    /// # Errors
    /// In this order: the stream exists; it is ACTIVE or UPDATING; the consumer exists.
    pub async fn check_policy_holder(&self, resource: &ResourceArn) -> Result<()> {
        self.policy_family(resource).await.map(drop)
    }

    /// Attaches a policy in place of the one that is there.
    ///
    /// # Errors
    /// As [`Streams::check_policy_holder`].
    pub async fn put_policy(&self, resource: &ResourceArn, document: &str) -> Result<()> {
        let family = self.policy_family(resource).await?;
        let row = PolicyRow { family, document: document.to_owned() };
        let key = key_of(resource);
        let revision = self.inner.meta.put(key.clone(), row.encode(), Expect::Anything).await?;
        self.inner.env.hesitate("policy-written").await;
        // Who deleted the stream meanwhile may have looked for policies too early to see this one.
        let still = self.policy_family(resource).await;
        if !matches!(still, Ok(now) if now == family) {
            match self.inner.meta.delete(key, Expect::At(revision)).await {
                Ok(_) | Err(MetaError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.inner.policies.caught_up(revision).await;
        still.map(drop)
    }

    /// The policy that is attached, if any.
    ///
    /// # Errors
    /// The stream or consumer does not exist.
    pub async fn policy(&self, resource: &ResourceArn) -> Result<Option<String>> {
        let (found, _) = self.find(resource.stream()).await?;
        self.check_consumer(&found, resource)?;
        let Some(row) = self.inner.meta.get(&key_of(resource)).await? else { return Ok(None) };
        let policy = PolicyRow::decode(&row.key, &row.value).map_err(MetaError::from)?;
        Ok((policy.family == found.row.family).then_some(policy.document))
    }

    /// Detaches the policy.
    ///
    /// # Errors
    /// As [`Streams::check_policy_holder`], and [`Error::PolicyNotFound`].
    pub async fn delete_policy(&self, resource: &ResourceArn) -> Result<()> {
        self.check_policy_holder(resource).await?;
        match self.policy(resource).await? {
            Some(_) => self.forget_policy(resource).await,
            None => Err(Error::PolicyNotFound { resource: resource.clone() }),
        }
    }

    /// Removes a policy and waits until nothing is decided by it here any more.
    async fn forget_policy(&self, resource: &ResourceArn) -> Result<()> {
        let revision = self.inner.meta.delete(key_of(resource), Expect::Anything).await?;
        self.inner.policies.caught_up(revision).await;
        Ok(())
    }

    /// Forgets the policy of a resource that is gone. Nothing to forget is no fault.
    pub(crate) async fn remove_policy(&self, resource: &ResourceArn) -> Result<()> {
        self.inner.meta.delete(key_of(resource), Expect::Anything).await?;
        Ok(())
    }

    /// Forgets the policies of a stream that goes, and of all its consumers.
    pub(crate) async fn remove_policies(&self, stream: &StreamArn) -> Result<()> {
        self.remove_policy(&ResourceArn::Stream(stream.clone())).await?;
        let consumers = format!("{}/", key_of(&ResourceArn::Stream(stream.clone())));
        loop {
            let page = self.inner.meta.scan(&consumers, None, SCAN_PAGE).await?;
            for row in &page {
                self.inner.meta.delete(row.key.clone(), Expect::Anything).await?;
            }
            if page.len() < SCAN_PAGE {
                return Ok(());
            }
        }
    }

    async fn policy_family(&self, resource: &ResourceArn) -> Result<u32> {
        let stream = resource.stream();
        let found = match self.find(stream).await? {
            (found, StreamStatus::Active | StreamStatus::Updating) => found,
            (_, status) => {
                return Err(Error::StreamNotActive { stream: stream.clone(), status });
            }
        };
        self.check_consumer(&found, resource)?;
        Ok(found.row.family)
    }

    /// A consumer must be there, and not be going.
    fn check_consumer(&self, found: &Snapshot, resource: &ResourceArn) -> Result<()> {
        let ResourceArn::Consumer(consumer) = resource else { return Ok(()) };
        let consumer = ConsumerRef::from(consumer.clone());
        let now = self.now();
        let row = found.row.consumers.find(&consumer, now)?;
        match row.status_at(now) {
            Some(ConsumerStatus::Deleting) => Err(row.not_active(&consumer)),
            _ => Ok(()),
        }
    }
}
