//! Records gathered into batches that one PutRecords call may hold.

use bytes::Bytes;

/// Source: API reference, PutRecords: "up to 500 records".
pub const BATCH_RECORDS_MAX: usize = 500;

/// Bytes of data and keys of one call. Source: API reference, PutRecords: 10 MiB.
pub const BATCH_BYTES_MAX: usize = 10 << 20;

/// A record to put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    pub data: Bytes,
    pub key: String,
}

impl NewRecord {
    fn bytes(&self) -> usize {
        self.data.len() + self.key.len()
    }
}

/// Gathers records in their order.
#[derive(Default)]
pub struct Batcher {
    records: Vec<NewRecord>,
    bytes: usize,
}

impl Batcher {
    /// Adds `record`; returns the batch before it, if that has no room for it.
    ///
    /// A record that is larger than a whole batch gets one of its own, for the service to judge.
    pub fn push(&mut self, record: NewRecord) -> Option<Vec<NewRecord>> {
        let full = !self.records.is_empty()
            && (self.records.len() == BATCH_RECORDS_MAX
                || self.bytes + record.bytes() > BATCH_BYTES_MAX);
        let batch = if full { Some(self.take()) } else { None };
        self.bytes += record.bytes();
        self.records.push(record);
        batch
    }

    /// What is gathered so far.
    pub fn take(&mut self) -> Vec<NewRecord> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> NewRecord {
        NewRecord { data: vec![b'x'; bytes].into(), key: "k".into() }
    }

    /// The numbers of records of the batches that records of these sizes make.
    fn batches(sizes: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut batcher = Batcher::default();
        let mut counts: Vec<usize> =
            sizes.into_iter().filter_map(|s| batcher.push(record(s))).map(|b| b.len()).collect();
        counts.push(batcher.take().len());
        counts
    }

    #[test]
    fn a_batch_ends_at_five_hundred_records() {
        assert_eq!(batches([10; 500]), [500]);
        assert_eq!(batches([10; 501]), [500, 1]);
        assert_eq!(batches([10; 1250]), [500, 500, 250]);
    }

    #[test]
    fn a_batch_ends_at_ten_mebibytes_keys_included() {
        let half = (5 << 20) - 1; // and a key of one byte
        assert_eq!(batches([half, half]), [2]);
        assert_eq!(batches([half, half + 1]), [1, 1]);
        assert_eq!(batches([1, 11 << 20, 1]), [1, 1, 1]);
    }
}
