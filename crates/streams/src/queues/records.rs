//! Receiving a queue's records, and saying what became of them.

use std::sync::Arc;

use millstream_base::limits::{QUEUE_RECEIVE_COUNT_MAX, QUEUE_WAIT_MAX, RECEIPT_HANDLE_CHARS_MAX};
use millstream_base::{QueueArn, SequenceNumber};
use tokio::time::Instant;

use super::receipt::Receipt;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::put::HAS_PARTITION_KEY;
use crate::queue::command::{Change, Command, Delivered, Receive, Wish};
use crate::queue::directory::QueueSnapshot;
use crate::queue_model::{
    HandleError, HandleResult, Lane, QueueRecord, QueueStatus, ReceiveQueueRecords,
};

impl Streams {
    /// Records that are visible, which are hidden from others from now on. Waits for a first one;
    /// without any until then the answer is empty.
    ///
    /// With 120,000 records in flight only those are delivered that were delivered before.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], for queues too that are CREATING or DELETING;
    /// [`Error::QueueThrottled`].
    pub async fn receive_queue_records(
        &self,
        queue: &QueueArn,
        request: ReceiveQueueRecords,
    ) -> Result<Vec<QueueRecord>> {
        let found = self.find_delivering(queue).await?;
        let deadline = Instant::now() + request.wait.min(QUEUE_WAIT_MAX);
        let command = |reply| {
            Command::Receive(Receive {
                lane: request.lane,
                limit: request.limit.clamp(1, QUEUE_RECEIVE_COUNT_MAX),
                deadline,
                visibility_timeout_secs: request.visibility_timeout_secs,
                reply,
            })
        };
        let delivered = self.inner.queues.ask(&found, command).await?;
        Ok(delivered.into_iter().map(|d| self.record_of(&found, request.lane, d)).collect())
    }

    /// The records are done: the queue never delivers them again. A record that is done already, or
    /// expired, is no fault.
    pub async fn acknowledge_queue_records(
        &self,
        queue: &QueueArn,
        lane: Lane,
        handles: &[&str],
    ) -> Result<Vec<HandleResult>> {
        let wishes = handles.iter().map(|handle| (*handle, Wish::Acknowledge));
        self.change_records(queue, lane, wishes.collect()).await
    }

    /// The records are hidden for so many seconds from now on; 0 shows them at once.
    pub async fn update_queue_records_visibility(
        &self,
        queue: &QueueArn,
        lane: Lane,
        handles: &[(&str, u32)],
    ) -> Result<Vec<HandleResult>> {
        let wishes = handles.iter().map(|(handle, secs)| (*handle, Wish::Hide(*secs)));
        self.change_records(queue, lane, wishes.collect()).await
    }

    /// The dead-letter records are ordinary ones again, as if they had never been received.
    pub async fn restore_dead_letter_queue_records(
        &self,
        queue: &QueueArn,
        handles: &[&str],
    ) -> Result<Vec<HandleResult>> {
        let wishes = handles.iter().map(|handle| (*handle, Wish::Restore));
        self.change_records(queue, Lane::DeadLetter, wishes.collect()).await
    }

    async fn change_records(
        &self,
        queue: &QueueArn,
        lane: Lane,
        wishes: Vec<(&str, Wish)>,
    ) -> Result<Vec<HandleResult>> {
        let found = self.find_delivering(queue).await?;
        let receipts: Vec<_> =
            wishes.iter().map(|(handle, _)| self.open_receipt(&found, lane, handle)).collect();
        let valid = receipts.iter().zip(&wishes).filter_map(|(receipt, (_, wish))| {
            receipt.as_ref().ok().map(|r| (r.slot, r.generation, *wish))
        });
        let valid: Vec<_> = valid.collect();
        let mut done = Vec::new();
        if !valid.is_empty() {
            let command = |reply| Command::Change(Change { lane, wishes: valid.clone(), reply });
            done = self.inner.queues.ask(&found, command).await?;
        }
        let mut done = done.into_iter();
        let result = |receipt: std::result::Result<Receipt, HandleError>| match receipt {
            Ok(_) => done.next().expect("every valid wish has a result"),
            Err(error) => Err(error),
        };
        Ok(receipts.into_iter().map(result).collect())
    }

    /// The queue, if records can be received from it.
    async fn find_delivering(&self, queue: &QueueArn) -> Result<Arc<QueueSnapshot>> {
        let found = self.find_queue(queue).await?;
        match found.row.status_at(self.now()) {
            Some(QueueStatus::Active | QueueStatus::Updating) => Ok(found),
            _ => Err(Error::QueueNotFound { queue: queue.clone() }),
        }
    }

    fn open_receipt(
        &self,
        queue: &QueueSnapshot,
        lane: Lane,
        handle: &str,
    ) -> std::result::Result<Receipt, HandleError> {
        let fits = handle.len() <= RECEIPT_HANDLE_CHARS_MAX;
        let receipt: Option<Receipt> = fits.then(|| self.inner.token_key.open(handle)).flatten();
        receipt
            .filter(|r| r.family == queue.row.family && r.lane == lane)
            .ok_or(HandleError::Invalid)
    }

    fn record_of(&self, queue: &QueueSnapshot, lane: Lane, delivered: Delivered) -> QueueRecord {
        let Delivered { slot, generation, receive_count, first_received, origin, entry } =
            delivered;
        let receipt = Receipt { family: queue.row.family, lane, slot, generation };
        let number = SequenceNumber::at(origin, slot.position.lsn, slot.position.index);
        let has_key = entry.attributes & HAS_PARTITION_KEY != 0;
        QueueRecord {
            receipt_handle: self.seal_token(&receipt),
            record_id: number.to_string(),
            partition_key: has_key.then_some(entry.key),
            data: entry.value,
            arrived: entry.at,
            first_received,
            receive_count,
        }
    }
}
