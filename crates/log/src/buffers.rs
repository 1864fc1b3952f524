//! Group buffers that outlive the write: the chunks in memory are slices of what was written.
//!
//! Large buffers come back here when the last slice is dropped and are used again, which saves the
//! kernel from clearing pages for every group. Small groups are copied instead, so that a kilobyte
//! does not hold a whole block.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::disk::AlignedBuf;
use parking_lot::Mutex;

/// Groups below this are copied into memory of their own size.
const KEEP_MIN: usize = 128 << 10;
/// Most bytes of buffers waiting to be used again.
const IDLE_BYTES_MAX: usize = 32 << 20;
/// Capacities are multiples of this, so that buffers fit more than one group.
const STEP: usize = 512 << 10;

#[derive(Clone, Default)]
pub(crate) struct Buffers {
    idle: Arc<Mutex<VecDeque<Buffer>>>,
}

pub(crate) struct Buffer {
    pub buf: AlignedBuf,
    capacity: usize,
}

impl Buffers {
    /// A buffer that takes `len` bytes without moving.
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let mut idle = self.idle.lock();
        let fits = |b: &Buffer| b.capacity >= len && b.capacity <= 2 * len.max(KEEP_MIN);
        if let Some(at) = idle.iter().rposition(fits) {
            return idle.remove(at).expect("just found");
        }
        drop(idle);
        let capacity = if len < KEEP_MIN { KEEP_MIN } else { len.next_multiple_of(STEP) };
        Buffer { buf: AlignedBuf::with_capacity(capacity), capacity }
    }

    /// The first `len` bytes as shared memory, and how many bytes that keeps alive.
    pub(crate) fn share(&self, buffer: Buffer, len: usize) -> (Bytes, usize) {
        if len < KEEP_MIN {
            let bytes = Bytes::copy_from_slice(&buffer.buf[..len]);
            self.give_back(buffer);
            return (bytes, len);
        }
        let kept = buffer.capacity;
        let owner = Kept { buffer: Some(buffer), home: self.clone() };
        (Bytes::from_owner(owner).slice(..len), kept)
    }

    fn give_back(&self, mut buffer: Buffer) {
        buffer.buf.clear();
        let mut idle = self.idle.lock();
        idle.push_back(buffer);
        let mut bytes: usize = idle.iter().map(|b| b.capacity).sum();
        // The oldest goes: groups of its size are not written any more.
        while bytes > IDLE_BYTES_MAX
            && let Some(oldest) = idle.pop_front()
        {
            bytes -= oldest.capacity;
        }
    }
}

struct Kept {
    buffer: Option<Buffer>,
    home: Buffers,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |b| &b.buf)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.home.give_back(buffer);
        }
    }
}
