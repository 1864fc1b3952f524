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
//! Invariant: what is parked never exceeds the bound; the oldest goes first.
//!
//! [`Bytes`]: bytes::Bytes

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// Smaller buffers are the allocator's strength.
const POOLED_MIN: usize = 64 << 10;

/// A bounded supply of buffers.
#[derive(Debug)]
pub struct Buffers {
    parked: Mutex<VecDeque<Parked>>,
    parked_bytes_max: usize,
}

#[derive(Debug)]
struct Parked {
    size: usize,
    rest: BytesMut,
}

/// A buffer to be filled. Parts split off it are independent; the memory goes back to its pool when
/// the loan is dropped, and is used again when the parts are gone too.
#[derive(Debug)]
pub struct Loan<'a> {
    home: &'a Buffers,
    size: usize,
    buf: BytesMut,
}

impl Buffers {
    /// A pool that keeps up to `parked_bytes_max` bytes beside what is on loan.
    pub const fn new(parked_bytes_max: usize) -> Self {
        Buffers { parked: Mutex::new(VecDeque::new()), parked_bytes_max }
    }

    /// An empty buffer that takes `len` bytes without moving.
    pub fn take(&self, len: usize) -> Loan<'_> {
        if len < POOLED_MIN {
            return Loan { home: self, size: 0, buf: BytesMut::with_capacity(len) };
        }
        let size = len.next_power_of_two();
        let buf = self.reclaim(size).unwrap_or_else(|| BytesMut::with_capacity(size));
        Loan { home: self, size, buf }
    }

    /// The newest that nobody needs any more: its memory is the likeliest to be in a cache.
    fn reclaim(&self, size: usize) -> Option<BytesMut> {
        let mut parked = self.lock();
        let free = |p: &mut Parked| p.size == size && p.rest.try_reclaim(size);
        let at = (0..parked.len()).rev().find(|&at| free(&mut parked[at]))?;
        parked.remove(at).map(|p| p.rest)
    }

    fn park(&self, size: usize, mut rest: BytesMut) {
        rest.clear();
        let mut parked = self.lock();
        parked.push_back(Parked { size, rest });
        let mut bytes: usize = parked.iter().map(|p| p.size).sum();
        while bytes > self.parked_bytes_max
            && let Some(oldest) = parked.pop_front()
        {
            bytes -= oldest.size;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
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

    const LEN: usize = 100 << 10;

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
        let parts: Vec<_> = (0..5).map(|_| filled(&buffers)).collect();
        let parked: usize = buffers.lock().iter().map(|p| p.size).sum();
        assert_eq!(parked, 256 << 10);
        drop(parts);
        drop(buffers.take(1 << 20));
        assert_eq!(buffers.lock().len(), 0, "larger than the bound");
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
