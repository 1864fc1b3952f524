//! The memory of large answers that clients have not taken yet, bounded for all of them together.

use std::sync::Arc;

use bytes::Bytes;
use millstream_wire::operation::Body;
use millstream_wire::{Reply, ServiceError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::dialect::Dialect;
use crate::front_door::Refusal;

/// Answers up to this many bytes are not counted: connections and their streams bound them.
const UNCOUNTED_BYTES: usize = 64 << 10;
/// The unit in which answers are counted.
const COUNTED_BYTES: usize = 4 << 10;

/// Memory for answers.
pub struct AnswerMemory(Arc<Semaphore>);

/// An answer's bytes; its share goes back when the last of them has left.
struct Held {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerMemory {
    pub fn new(limits: &Limits) -> Self {
        let units = limits.answers_bytes_max.as_usize() / COUNTED_BYTES;
        AnswerMemory(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// The answer with its share of the memory; where there is none, a retryable error instead.
    pub(super) fn hold(
        &self,
        served: Result<Reply, Refusal>,
        dialect: Option<Dialect>,
    ) -> Result<Reply, Refusal> {
        let mut reply = served?;
        let Some(dialect) = dialect else { return Ok(reply) };
        let Body::Whole(bytes) = &mut reply.body else { return Ok(reply) };
        if bytes.len() > UNCOUNTED_BYTES {
            let units = u32::try_from(bytes.len().div_ceil(COUNTED_BYTES)).unwrap_or(u32::MAX);
            let Ok(share) = self.0.clone().try_acquire_many_owned(units) else {
                return Err(Refusal::Error(busy(), dialect));
            };
            *bytes = Bytes::from_owner(Held { bytes: std::mem::take(bytes), _share: share });
        }
        Ok(reply)
    }
}

fn busy() -> ServiceError {
    ServiceError::new("ServiceUnavailable", 503, "The node is busy. Please try again later.")
}

#[cfg(test)]
mod tests {
    use millstream_wire::Codec;

    use super::*;
    use crate::config::units::ByteSize;

    #[test]
    fn large_answers_share_the_memory_until_they_have_left() {
        let limits = Limits { answers_bytes_max: ByteSize::kib(200), ..Limits::default() };
        let memory = AnswerMemory::new(&limits);
        let dialect = || Some(Dialect::Rpc(Codec::Json));
        let reply = |bytes| Ok(Reply::whole(200, "", Bytes::from(vec![1; bytes])));
        let first = memory.hold(reply(150 << 10), dialect()).unwrap();
        let Body::Whole(bytes) = first.body else { panic!("not whole") };
        assert_eq!(bytes.len(), 150 << 10);
        let part = bytes.slice(..1);
        drop(bytes);
        let refused = memory.hold(reply(100 << 10), dialect());
        assert_eq!(refused.unwrap_err().error(), Some(&busy()));
        assert!(memory.hold(reply(60 << 10), dialect()).is_ok(), "small ones are not counted");
        drop(part);
        assert!(memory.hold(reply(100 << 10), dialect()).is_ok());
    }
}
