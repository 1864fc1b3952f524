//! ListQueues, and the figures of all queues.

use millstream_base::limits::{LIST_QUEUES_FILTER_MAX, LIST_QUEUES_PAGE_MAX};
use millstream_base::{Scope, StreamArn, StreamName, Timestamp};

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::queue::directory::QueueSnapshot;
use crate::queue_model::{ListQueues, ListedQueue, QueueCounts, QueuesPage};
use crate::token::{Reader, Token, put_stream, put_u32, put_u64};

/// Most characters of a ListQueues token that can be ours: it holds the filter.
const TOKEN_CHARS_MAX: usize = 1 << 20;

/// Where ListQueues goes on, with all that its first call was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct QueuesToken {
    issued: Timestamp,
    scope: Scope,
    after: StreamName,
    streams: Filter,
}

type Filter = Vec<(StreamArn, Option<Timestamp>)>;

impl Streams {
    /// A page of the account's queues in the order of their names.
    ///
    /// # Errors
    /// [`Error::NextTokenInvalid`], [`Error::NextTokenExpired`], [`Error::QueueFilterTooLong`].
    pub async fn list_queues(&self, request: ListQueues<'_>) -> Result<QueuesPage> {
        let (after, filter) = match request.next_token {
            Some(text) => {
                let token = self.open_queues_token(text, request.scope)?;
                (Some(token.after), token.streams)
            }
            None => (None, request.streams),
        };
        if filter.len() > LIST_QUEUES_FILTER_MAX {
            let (count, max) = (filter.len(), LIST_QUEUES_FILTER_MAX);
            return Err(Error::QueueFilterTooLong { count, max });
        }
        let limit = request.limit.unwrap_or(LIST_QUEUES_PAGE_MAX).clamp(1, LIST_QUEUES_PAGE_MAX);
        let now = self.now();
        let mut queues: Vec<ListedQueue> = Vec::new();
        let mut next_token = None;
        for found in self.directory().after(request.scope, after.as_ref()) {
            let Some(listed) = listed(&found, now).filter(|l| passes(l, &filter)) else {
                continue;
            };
            if queues.len() == limit {
                let after = queues[limit - 1].name.clone();
                let scope = request.scope.clone();
                let token = QueuesToken { issued: now, scope, after, streams: filter.clone() };
                next_token = Some(self.seal_token(&token));
                break;
            }
            queues.push(listed);
        }
        Ok(QueuesPage { queues, next_token })
    }

    /// What every queue did since the process started, and holds as far as this process knows.
    pub fn queue_counts(&self) -> Vec<QueueCounts> {
        let queues = self.directory().all();
        queues.iter().map(|q| q.stats.counts(q.queue.clone(), q.name.clone())).collect()
    }

    fn open_queues_token(&self, text: &str, scope: &Scope) -> Result<QueuesToken> {
        if text.len() > TOKEN_CHARS_MAX {
            return Err(Error::NextTokenInvalid);
        }
        let token: Option<QueuesToken> = self.inner.token_key.open(text);
        let token = token.ok_or(Error::NextTokenInvalid)?;
        self.check_list_token(token.issued, &token.scope, scope)?;
        Ok(token)
    }
}

fn listed(found: &QueueSnapshot, now: Timestamp) -> Option<ListedQueue> {
    Some(ListedQueue {
        queue: found.queue.clone(),
        name: found.name.clone(),
        status: found.row.status_at(now)?,
        created: found.row.created,
        stream: found.row.source.stream(),
        stream_created: found.row.source.created,
    })
}

fn passes(listed: &ListedQueue, filter: &Filter) -> bool {
    let same = |(stream, created): &(StreamArn, Option<Timestamp>)| {
        listed.stream == *stream
            && created.is_none_or(|at| at.as_secs() == listed.stream_created.as_secs())
    };
    filter.is_empty() || filter.iter().any(same)
}

impl Token for QueuesToken {
    const KIND: &'static [u8] = b"queues";

    fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.issued.as_millis());
        put_stream(out, &StreamArn::new(self.scope.clone(), self.after.clone()));
        put_u32(out, self.streams.len() as u32);
        for (stream, created) in &self.streams {
            put_stream(out, stream);
            // Times of streams are long after the epoch.
            put_u64(out, created.map_or(u64::MAX, Timestamp::as_millis));
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let issued = Timestamp::from_millis(from.u64()?);
        let last = from.stream()?;
        let mut streams = Vec::new();
        for _ in 0..from.u32()? {
            let (stream, created) = (from.stream()?, from.u64()?);
            streams.push((stream, (created != u64::MAX).then(|| Timestamp::from_millis(created))));
        }
        let (scope, after) = (last.scope().clone(), last.name().clone());
        Some(QueuesToken { issued, scope, after, streams })
    }
}
