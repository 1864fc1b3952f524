//! Large buffers that are used again, while what was cut off them lives on as [`Bytes`].
//!
//! ```text
//!   loan      [ head | next | free ......... ]     parts are split off and travel on
//!   parked    [ head | next |                ]     nobody fills it now
//!   reclaimed [ free ....................... ]     when the last part is gone
//! ```
//!
//! Allocators hand pages of large blocks back to the system and get them cleared the next time: for
//! bodies of half a megabyte that was a sixth of the server's time.
//!
//! Invariant: when a buffer is parked, those that are free by then are within the bound, the oldest
//! goes first; and all together, with those whose parts live on, are within four times the bound.
//!
//! [`Bytes`]: bytes::Bytes

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// Smaller buffers are the allocator's strength.
const POOLED_MIN: usize = 64 << 10;

/// All that is parked, as a multiple of what may be free.
const PARKED_PER_FREE: usize = 4;

/// A bounded supply of buffers.
#[derive(Debug)]
pub struct Buffers {
    parked: Mutex<VecDeque<Parked>>,
    free_bytes_max: usize,
}

#[derive(Debug)]
struct Parked {
    size: usize,
    rest: BytesMut,
}

/// A buffer to be filled, up to its capacity: one that has to grow is not the pool's any more. Parts
/// split off it are independent; the memory goes back to its pool when
/// the loan is dropped, and is used again when the parts are gone too.
#[derive(Debug)]
pub struct Loan<'a> {
    home: &'a Buffers,
    size: usize,
    buf: BytesMut,
}

impl Buffers {
    /// A pool that keeps up to `free_bytes_max` bytes that nobody uses.
    pub const fn new(free_bytes_max: usize) -> Self {
        Buffers { parked: Mutex::new(VecDeque::new()), free_bytes_max }
    }

    /// An empty buffer that takes `len` bytes without moving.
    pub fn take(&self, len: usize) -> Loan<'_> {
        if len < POOLED_MIN {
            return Loan { home: self, size: 0, buf: BytesMut::with_capacity(len) };
        }
        // Few sizes, so that buffers fit again, and at most an eighth too large.
        let size = len.next_multiple_of(len.next_power_of_two() / 16);
        let buf = self.reclaim(size).unwrap_or_else(|| BytesMut::with_capacity(size));
        Loan { home: self, size, buf }
    }

    /// The newest that nobody needs any more: its memory is the likeliest to be in a cache.
    fn reclaim(&self, size: usize) -> Option<BytesMut> {
        let mut parked = self.lock();
        let fits = |p: &mut Parked| p.size == size && p.is_free();
        let at = (0..parked.len()).rev().find(|&at| fits(&mut parked[at]))?;
        parked.remove(at).map(|p| p.rest)
    }

    fn park(&self, size: usize, mut rest: BytesMut) {
        rest.clear();
        let mut parked = self.lock();
        parked.push_back(Parked { size, rest });
        // From the newest to the oldest: what would exceed a bound goes.
        let (mut free, mut all) = (0, 0);
        for at in (0..parked.len()).rev() {
            let (size, is_free) = (parked[at].size, parked[at].is_free());
            let within = all + size <= PARKED_PER_FREE * self.free_bytes_max
                && (!is_free || free + size <= self.free_bytes_max);
            if within {
                all += size;
                free += if is_free { size } else { 0 };
            } else {
                parked.remove(at);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    /// Whether all parts are gone.
    fn is_free(&mut self) -> bool {
        self.rest.try_reclaim(self.size)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if self.size > 0 {
            self.home.park(self.size, std::mem::take(&mut self.buf));
        }
    }
}

impl Deref for Loan<'_> {
    type Target = BytesMut;
    fn deref(&self) -> &BytesMut {
        &self.buf
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.buf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 128 << 10;

    fn filled(buffers: &Buffers) -> (bytes::Bytes, *const u8) {
        let mut loan = buffers.take(LEN);
        loan.extend_from_slice(&[7; LEN]);
        let part = loan.split().freeze();
        let at = part.as_ptr();
        (part, at)
    }

    #[test]
    fn memory_is_used_again_once_all_parts_are_gone() {
        let buffers = Buffers::new(1 << 20);
        let (first, at) = filled(&buffers);
        let (second, elsewhere) = filled(&buffers);
        assert_ne!(at, elsewhere, "the first part still lives");
        assert!(first.iter().chain(&second).all(|b| *b == 7));
        drop(first);
        assert_eq!(filled(&buffers).1, at);
        assert_eq!(buffers.lock().len(), 2);
    }

    #[test]
    fn what_is_parked_has_a_bound() {
        let buffers = Buffers::new(300 << 10);
        let parked = || buffers.lock().iter().map(|p| p.size).sum::<usize>();
        let parts: Vec<_> = (0..20).map(|_| filled(&buffers)).collect();
        assert_eq!(parked(), 9 * (128 << 10), "four times the bound, as all are in use");
        drop(parts);
        drop(buffers.take(LEN));
        assert_eq!(parked(), 2 * (128 << 10), "the bound, as all are free");
        drop(buffers.take(1 << 20));
        assert_eq!(parked(), 2 * (128 << 10), "one that is larger is not kept");
    }

    #[test]
    fn small_buffers_are_not_pooled() {
        let buffers = Buffers::new(1 << 20);
        let loan = buffers.take(100);
        assert!(loan.capacity() >= 100);
        drop(loan);
        assert_eq!(buffers.lock().len(), 0);
    }
}
