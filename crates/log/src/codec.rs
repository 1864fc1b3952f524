//! Little-endian numbers, variable-length numbers and the checksum, as all files here use them.

/// CRC-32C (Castagnoli) of `bytes`.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

pub(crate) fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(b[at..at + 2].try_into().expect("two bytes"))
}
pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().expect("four bytes"))
}
pub(crate) fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) fn put(b: &mut [u8], at: usize, bytes: &[u8]) {
    b[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Most bytes of a variable-length `u32`.
pub(crate) const VARINT_LEN_MAX: usize = 5;

/// Writes `n` in groups of seven bits, lowest first; returns the bytes used.
pub(crate) fn put_varint(out: &mut [u8], mut n: u32) -> usize {
    let mut used = 0;
    while n >= 0x80 {
        out[used] = n as u8 | 0x80;
        n >>= 7;
        used += 1;
    }
    out[used] = n as u8;
    used + 1
}

pub(crate) fn varint_len(n: u32) -> usize {
    (((32 - n.leading_zeros()).max(1) as usize) - 1) / 7 + 1
}

/// Reads a number from the front of `b` at `at` and moves `at` behind it; `None` if it is cut off
/// or too large.
pub(crate) fn varint(b: &[u8], at: &mut usize) -> Option<u32> {
    let mut n: u64 = 0;
    for shift in 0..VARINT_LEN_MAX {
        let byte = *b.get(*at)?;
        *at += 1;
        n |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return u32::try_from(n).ok();
        }
    }
    None
}

/// Reads fixed fields one after the other; `None` past the end.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Fields { rest: bytes }
    }
    pub(crate) fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.bytes(4).map(|b| u32_at(b, 0))
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.bytes(8).map(|b| u64_at(b, 0))
    }
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_castagnoli() {
        assert_eq!(crc(b"123456789"), 0xE306_9283, "the check value of CRC-32C");
    }

    #[test]
    fn varints_round_trip_and_know_their_length() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 1 << 28, u32::MAX] {
            let mut b = [0; VARINT_LEN_MAX];
            let used = put_varint(&mut b, n);
            assert_eq!(used, varint_len(n), "{n}");
            let mut at = 0;
            assert_eq!(varint(&b[..used], &mut at), Some(n));
            assert_eq!(at, used);
            assert_eq!(varint(&b[..used - 1], &mut 0), None, "{n} cut off");
        }
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x7f], &mut 0), None, "more than 32 bits");
    }
}
