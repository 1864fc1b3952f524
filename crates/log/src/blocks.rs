//! Memory for frames: large blocks, filled one frame behind the other. The chunks in memory are slices
//! of the frames as they were written.
//!
//! ```text
//!   used     [ frame | frame | frame ]  oldest first: frames are forgotten in their order, so the
//!   used     [ frame   | frame       ]  oldest block is the first that can be filled again
//!   current  [ frame | free ......... ]
//! ```
//!
//! One size of block fits all frames, which saves the system from clearing pages for every group.
//! Small frames are copied out instead, so that a kilobyte does not hold four.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use millstream_env::disk::ALIGNMENT;

/// Frames up to this length are copied into memory of their own size.
const COPIED_MAX: usize = 16 << 10;

pub(crate) struct Blocks {
    block_bytes: usize,
    current: Option<BytesMut>,
    used: VecDeque<BytesMut>,
    used_max: usize,
}

impl Blocks {
    /// For frames of up to `group_bytes_max` (larger ones get a block of their own), of which
    /// `memory_bytes` are kept.
    pub(crate) fn new(group_bytes_max: u64, memory_bytes: u64) -> Self {
        let block_bytes = (2 * group_bytes_max).next_multiple_of(ALIGNMENT as u64);
        let used_max = memory_bytes.div_ceil(block_bytes) as usize + 2;
        let block_bytes = block_bytes as usize;
        Blocks { block_bytes, current: None, used: VecDeque::new(), used_max }
    }

    /// Room for a frame of `len` bytes, padding included: it can be filled without moving and
    /// starts at a multiple of [`ALIGNMENT`]. Goes back with [`Blocks::keep`] or
    /// [`Blocks::give_back`].
    pub(crate) fn take(&mut self, len: usize) -> BytesMut {
        match self.current.take() {
            Some(block) if block.capacity() >= len => block,
            full => {
                self.used.extend(full);
                self.next_block(len.max(self.block_bytes))
            }
        }
    }

    /// The first `len` bytes of `frame` as shared memory, and how many bytes that keeps alive.
    pub(crate) fn keep(&mut self, mut frame: BytesMut, len: usize) -> (Bytes, usize) {
        if len <= COPIED_MAX {
            let copy = Bytes::copy_from_slice(&frame[..len]);
            self.give_back(frame);
            return (copy, len);
        }
        let kept = frame.split();
        self.current = Some(frame);
        let bytes = kept.len();
        (kept.freeze().slice(..len), bytes)
    }

    /// Nothing of `frame` is needed any more.
    pub(crate) fn give_back(&mut self, mut frame: BytesMut) {
        frame.clear();
        self.current = Some(frame);
    }

    fn next_block(&mut self, len: usize) -> BytesMut {
        let whole = len + ALIGNMENT;
        let free = self.used.iter_mut().position(|block| block.try_reclaim(whole));
        let mut block = match free.and_then(|at| self.used.remove(at)) {
            Some(block) => block,
            None => BytesMut::with_capacity(whole),
        };
        while self.used.len() > self.used_max {
            self.used.pop_front();
        }
        let skip = block.as_ptr().align_offset(ALIGNMENT);
        block.resize(skip, 0);
        block.advance(skip);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: usize = 64 << 10;

    fn blocks() -> Blocks {
        Blocks::new(GROUP as u64, 4 * GROUP as u64)
    }

    /// A frame of `len` bytes, all `fill`.
    fn frame(blocks: &mut Blocks, len: usize, fill: u8) -> Bytes {
        let mut frame = blocks.take(len.next_multiple_of(ALIGNMENT));
        assert!(frame.is_empty() && (frame.as_ptr() as usize).is_multiple_of(ALIGNMENT));
        frame.resize(len.next_multiple_of(ALIGNMENT), fill);
        blocks.keep(frame, len).0
    }

    #[test]
    fn frames_lie_behind_each_other_and_keep_their_bytes() {
        let mut blocks = blocks();
        let frames: Vec<_> = (0..20).map(|n| frame(&mut blocks, 20_000, n)).collect();
        assert_eq!(frames[1].as_ptr() as usize - frames[0].as_ptr() as usize, 20_480);
        for (n, frame) in (0..).zip(&frames) {
            assert!(frame.len() == 20_000 && frame.iter().all(|b| *b == n));
        }
    }

    #[test]
    fn a_block_is_filled_again_when_its_last_frame_is_gone() {
        let mut blocks = blocks();
        let mut kept = VecDeque::new();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..200 {
            let frame = frame(&mut blocks, GROUP, n);
            seen.insert(frame.as_ptr());
            kept.push_back((n, frame));
            if kept.len() > 4 {
                let (n, oldest) = kept.pop_front().expect("just counted");
                assert!(oldest.iter().all(|b| *b == n));
            }
        }
        assert!(seen.len() <= 10, "{} places for 5 frames at a time", seen.len());
    }

    #[test]
    fn small_frames_are_copied_and_large_ones_fit() {
        let mut blocks = blocks();
        let small = frame(&mut blocks, 100, 1);
        let again = frame(&mut blocks, 100, 2);
        assert!(small.iter().all(|b| *b == 1) && again.iter().all(|b| *b == 2));
        let large = frame(&mut blocks, 10 * GROUP, 3);
        assert!(large.len() == 10 * GROUP && large.iter().all(|b| *b == 3));
    }

    #[test]
    fn full_blocks_are_not_remembered_without_bound() {
        let mut blocks = blocks();
        let _kept: Vec<_> = (0..50).map(|n| frame(&mut blocks, GROUP, n)).collect();
        assert!(blocks.used.len() <= blocks.used_max + 1);
    }
}
