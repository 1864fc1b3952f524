//! What a decision about a stream, consumer or queue needs to know of it: its policy and its tags.
//!
//! Taken from this process's copies, at once; nothing is decided here. Of what does not exist
//! nothing is known, which is no fault: who may see a resource is decided before whether it exists.

use std::sync::Arc;

use millstream_base::{ConsumerArn, QueueArn, ResourceArn, StreamArn, StreamName, Tags};
use millstream_policy::Policy;

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::queue::directory::QueueSnapshot;

/// Policy and tags of a resource, as this process knows them now.
#[derive(Default)]
pub struct Guard {
    policy: Option<Arc<Policy>>,
    tagged: Option<Tagged>,
}

enum Tagged {
    Stream(Arc<Snapshot>),
    Consumer(Arc<Snapshot>, ConsumerArn),
    Queue(Arc<QueueSnapshot>),
}

impl Guard {
    /// The resource policy that is attached.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }

    /// None if the resource is not there.
    pub fn tags(&self) -> Option<&Tags> {
        match self.tagged.as_ref()? {
            Tagged::Stream(stream) => Some(&stream.row.tags),
            Tagged::Consumer(stream, consumer) => {
                let mut all = stream.row.consumers.all();
                let is_meant = |(name, _): &(&StreamName, _)| **name == consumer.name;
                let (_, row) = all.find(is_meant)?;
                (row.created_secs == consumer.created_secs).then_some(&row.tags)
            }
            Tagged::Queue(queue) => Some(&queue.row.tags),
        }
    }
}

impl Streams {
    /// Of a stream or consumer.
    pub fn guard(&self, resource: &ResourceArn) -> Guard {
        let Some(stream) = self.inner.cache.get(resource.stream()) else {
            return Guard::default();
        };
        let policy = self.inner.policies.get(resource, stream.row.family);
        let tagged = Some(match resource {
            ResourceArn::Stream(_) => Tagged::Stream(stream),
            ResourceArn::Consumer(consumer) => Tagged::Consumer(stream, consumer.clone()),
        });
        Guard { policy, tagged }
    }

    /// Of a queue.
    pub fn guard_queue(&self, queue: &QueueArn) -> Guard {
        match self.inner.queues.directory().get(queue) {
            None => Guard::default(),
            Some(queue) => {
                Guard { policy: queue.policy.clone(), tagged: Some(Tagged::Queue(queue)) }
            }
        }
    }

    /// The whole name of a consumer that is there.
    pub fn consumer_named(&self, stream: &StreamArn, name: &StreamName) -> Option<ConsumerArn> {
        let found = self.inner.cache.get(stream)?;
        let (name, row) = found.row.consumers.all().find(|(known, _)| *known == name)?;
        let (stream, name) = (stream.clone(), name.clone());
        Some(ConsumerArn { stream, name, created_secs: row.created_secs })
    }
}
