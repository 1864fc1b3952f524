//! Sequence numbers: where a record stands in its shard, in the layout that AWS uses.
//!
//! A number is a pure function of the shard's origin (the second it was made and its number) and
//! of a position in its log, so reading from a number needs no index. In hexadecimal, 47 digits:
//!
//! ```text
//!  2 | creation second 9 | low nibble of shard 1 | counter 16 | 00 | slot 9 | shard 8 | version 2
//!                                                   = lsn            = creation second + index
//! ```
//!
//! AWS keeps the record's second in the slot. Here it holds the creation second plus the entry's
//! index in its commit: so the start of a shard, at {0, 0}, prints as AWS's, numbers rise with the
//! position, and nothing about the order hangs on a clock. The end of a closed shard has the
//! largest counter and the closing second in the slot, as on AWS.
//!
//! Invariant: of two positions in a shard the later has the larger number, and every number of a
//! child is above every number of its parents (its creation second is above their closing second).

use std::fmt;

use crate::ShardId;

/// A number of 56 decimal digits. Ordered as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    /// The upper 60 bits of 188.
    high: u64,
    low: u128,
}

/// What a shard's numbers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShardOrigin {
    /// Seconds since the epoch; below [`SequenceNumber::CREATED_SECS_END`].
    pub created_secs: u64,
    pub shard: ShardId,
}

/// What a number says when taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceParts {
    pub origin: ShardOrigin,
    pub place: SequencePlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequencePlace {
    /// A record's, or the shard's start at {0, 0}.
    At { lsn: u64, index: u32 },
    /// The end of a shard closed at that second.
    End { closed_secs: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceNumberError {
    /// Not `0` or up to 129 digits without leading zeros (service model, SequenceNumber).
    #[error("not a decimal number as sequence numbers are written")]
    Malformed,
    /// A number that no shard can have given.
    #[error("not a sequence number: {what} is wrong")]
    Damaged { what: &'static str },
    /// A number in AWS's layout of 2013, whose last digit is 0.
    #[error("a sequence number of the old layout 0")]
    OldLayout,
    /// Right in form, but of another service's making.
    #[error("a sequence number that did not come from here")]
    Foreign,
}

const VERSION: u128 = 2;
/// Largest counter, given to ends only.
const COUNTER_END: u64 = (1 << 63) - 1;
const SLOT_BITS: u32 = 36;
/// Bit offsets of the fields in the whole number.
const SHARD_AT: u32 = 4;
const SLOT_AT: u32 = 36;
const COUNTER_AT: u32 = 80;
/// In `high`, which starts at bit 128: counter's upper 16 bits, nibble, creation second, `2`.
const NIBBLE_AT: u32 = 144 - 128;
const CREATED_AT: u32 = 148 - 128;
const LEAD_AT: u32 = 184 - 128;

impl SequenceNumber {
    /// Digits of every number made here.
    pub const DIGITS: usize = 56;
    /// Creation seconds end before this (in the year 2477). Source: AWS refuses numbers above it.
    pub const CREATED_SECS_END: u64 = 16_025_175_000;

    /// The number of the entry at {`lsn`, `index`} of that shard's log.
    ///
    /// # Panics
    /// If `lsn` is 2^63 - 1 or above: the end's place.
    pub fn at(origin: ShardOrigin, lsn: u64, index: u32) -> Self {
        assert!(lsn < COUNTER_END, "lsn {lsn} is not below 2^63 - 1");
        Self::pack(origin, lsn, origin.created_secs + u64::from(index))
    }

    /// A shard's StartingSequenceNumber: below all its records.
    pub fn start(origin: ShardOrigin) -> Self {
        Self::at(origin, 0, 0)
    }

    /// The EndingSequenceNumber of a shard closed at `closed_secs`: above all its records.
    pub fn end(origin: ShardOrigin, closed_secs: u64) -> Self {
        Self::pack(origin, COUNTER_END, closed_secs)
    }

    fn pack(origin: ShardOrigin, counter: u64, slot: u64) -> Self {
        let ShardOrigin { created_secs, shard } = origin;
        assert!(created_secs < Self::CREATED_SECS_END, "creation second {created_secs}");
        debug_assert!(slot < 1 << SLOT_BITS, "slot {slot} is above 36 bits");
        let counter_low = u128::from(counter & 0xffff_ffff_ffff) << COUNTER_AT;
        let low = counter_low
            | u128::from(slot) << SLOT_AT
            | u128::from(shard.number()) << SHARD_AT
            | VERSION;
        let high = 2 << LEAD_AT
            | created_secs << CREATED_AT
            | u64::from(shard.number() & 0xf) << NIBBLE_AT
            | counter >> 48;
        SequenceNumber { high, low }
    }

    /// Takes the number apart.
    pub fn parts(self) -> SequenceParts {
        let field = |at: u32, bits: u32| (self.low >> at) as u64 & ((1 << bits) - 1);
        let created_secs = self.high >> CREATED_AT & ((1 << 36) - 1);
        let shard = ShardId::new(field(SHARD_AT, 32) as u32);
        let counter = (self.high & 0xffff) << 48 | (self.low >> COUNTER_AT) as u64;
        let slot = field(SLOT_AT, SLOT_BITS);
        let place = match counter {
            COUNTER_END => SequencePlace::End { closed_secs: slot },
            lsn => SequencePlace::At { lsn, index: (slot - created_secs) as u32 },
        };
        SequenceParts { origin: ShardOrigin { created_secs, shard }, place }
    }

    /// Reads a number and checks that a shard here can have given it.
    pub fn parse(text: &str) -> Result<Self, SequenceNumberError> {
        use SequenceNumberError::*;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits || text.len() > 129 || (text.len() > 1 && text.starts_with('0')) {
            return Err(Malformed);
        }
        let number = Self::from_decimal(text).ok_or(Damaged { what: "its size" })?;
        if number.high >> LEAD_AT != 2 {
            return Err(Damaged { what: "its size" });
        }
        number.check()?;
        Ok(number)
    }

    fn check(self) -> Result<(), SequenceNumberError> {
        use SequenceNumberError::*;
        match self.low & 0xf {
            VERSION => {}
            0 => return Err(OldLayout),
            1 => return Err(Foreign),
            _ => return Err(Damaged { what: "its version" }),
        }
        let created_secs = self.high >> CREATED_AT & ((1 << 36) - 1);
        let shard = (self.low >> SHARD_AT) as u32;
        let counter = (self.high & 0xffff) << 48 | (self.low >> COUNTER_AT) as u64;
        let slot = (self.low >> SLOT_AT) as u64 & ((1 << SLOT_BITS) - 1);
        if counter > COUNTER_END {
            return Err(Damaged { what: "its counter" });
        }
        if created_secs >= Self::CREATED_SECS_END {
            return Err(Damaged { what: "its creation time" });
        }
        if shard > ShardId::NUMBER_MAX {
            return Err(Damaged { what: "its shard" });
        }
        if u64::from(shard & 0xf) != self.high >> NIBBLE_AT & 0xf {
            return Err(Damaged { what: "its shard's check digit" });
        }
        if (self.low >> 72) as u8 != 0 {
            return Err(Foreign);
        }
        match slot.checked_sub(created_secs) {
            None => Err(Damaged { what: "its time" }),
            Some(index) if counter < COUNTER_END && index > u64::from(u32::MAX) => {
                Err(Damaged { what: "its time" })
            }
            Some(_) => Ok(()),
        }
    }

    fn from_decimal(text: &str) -> Option<Self> {
        if text.len() > Self::DIGITS + 1 {
            return None;
        }
        let mut limbs = [0u64; 3];
        for chunk in chunks_of_19(text) {
            let (digits, power) = chunk;
            let mut carry = u128::from(digits);
            for limb in &mut limbs {
                let sum = u128::from(*limb) * u128::from(power) + carry;
                *limb = sum as u64;
                carry = sum >> 64;
            }
            if carry != 0 {
                return None;
            }
        }
        let low = u128::from(limbs[1]) << 64 | u128::from(limbs[0]);
        Some(SequenceNumber { high: limbs[2], low })
    }

    /// The decimal digits, without allocation; the whole product prints numbers with this.
    pub fn digits(self) -> [u8; Self::DIGITS] {
        let (top, mid, low) = self.thirds();
        let mut out = [b'0'; Self::DIGITS];
        write_digits(&mut out[..18], top);
        write_digits(&mut out[18..37], mid);
        write_digits(&mut out[37..], low);
        out
    }

    /// The number in base 10^19, most significant first.
    fn thirds(self) -> (u64, u64, u64) {
        let (l2, l1, l0) = (self.high, (self.low >> 64) as u64, self.low as u64);
        let (q2, r) = (l2 / E19, l2 % E19);
        debug_assert_eq!(q2, 0, "188 bits leave the top limb below 2^60");
        let (q1, r) = div_e19(r, l1);
        let (q0, low) = div_e19(r, l0);
        let (q1_top, r) = (q1 / E19, q1 % E19);
        let (top_low, mid) = div_e19(r, q0);
        debug_assert_eq!(q1_top, 0, "56 digits");
        (top_low, mid, low)
    }
}

/// 10^19: the largest power of ten in 64 bits, and above 2^63, as the division below needs it.
const E19: u64 = 10_000_000_000_000_000_000;
/// floor((2^128 - 1) / 10^19) - 2^64.
const E19_INVERSE: u64 = (u128::MAX / E19 as u128 - (1 << 64)) as u64;

/// Divides the two-word number `high`·2^64 + `low` (with `high` below 10^19) by 10^19: quotient and
/// remainder. Multiplies by a stored inverse, because the machine's division takes four times as
/// long (method: Möller and Granlund, "Improved division by invariant integers", 2011).
fn div_e19(high: u64, low: u64) -> (u64, u64) {
    let estimate =
        u128::from(E19_INVERSE) * u128::from(high) + (u128::from(high) << 64 | u128::from(low));
    let mut quotient = ((estimate >> 64) as u64).wrapping_add(1);
    let mut rest = low.wrapping_sub(quotient.wrapping_mul(E19));
    if rest > estimate as u64 {
        quotient = quotient.wrapping_sub(1);
        rest = rest.wrapping_add(E19);
    }
    if rest >= E19 {
        quotient += 1;
        rest -= E19;
    }
    (quotient, rest)
}

/// Writes `n` right-aligned into `out`, zeros in front.
fn write_digits(out: &mut [u8], mut n: u64) {
    let mut pairs = out.rchunks_exact_mut(2);
    for pair in &mut pairs {
        let two = (n % 100) as usize * 2;
        pair.copy_from_slice(&PAIRS[two..two + 2]);
        n /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + (n % 10) as u8;
    }
}

/// `00` to `99`.
static PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut i = 0;
    while i < 100 {
        pairs[i * 2] = b'0' + (i / 10) as u8;
        pairs[i * 2 + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    pairs
};

/// The text in pieces of up to 19 digits with the power of ten that each shifts by.
fn chunks_of_19(text: &str) -> impl Iterator<Item = (u64, u64)> {
    text.as_bytes().chunks(19).map(|chunk| {
        let digits = chunk.iter().fold(0, |n: u64, b| n * 10 + u64::from(b - b'0'));
        (digits, 10u64.pow(chunk.len() as u32))
    })
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).expect("ASCII digits"))
    }
}
impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_700_000_000;

    fn origin(created_secs: u64, shard: u32) -> ShardOrigin {
        ShardOrigin { created_secs, shard: ShardId::new(shard) }
    }

    /// Numbers computed outside this program from the layout that AWS's own numbers have.
    #[test]
    fn starts_and_ends_print_as_on_aws() {
        let start = |secs, shard| SequenceNumber::start(origin(secs, shard)).to_string();
        assert_eq!(start(SECOND, 0), "49646437577108476416916876405825929425585429676275269634");
        assert_eq!(start(SECOND, 1), "49646437577130777162115407028967465143858078037781250066");
        assert_eq!(start(SECOND, 17), "49646437577130777162115407028967465143858078037781250322");
        let end = SequenceNumber::end(origin(SECOND, 0), SECOND + 100);
        assert_eq!(end.to_string(), "49646437577119626789516141717395488358902146099801227266");
        let child = "49646437613191082148139424648830721590730485533618733090";
        assert_eq!(start(SECOND + 101, 2), child);
    }

    #[test]
    fn numbers_nobody_gave_are_refused() {
        use SequenceNumberError::*;
        let good = SequenceNumber::at(origin(SECOND, 3), 77, 2);
        let hex = |high: u64, low: u128| SequenceNumber { high, low }.to_string();
        let cases = [
            (String::new(), Malformed),
            ("01".into(), Malformed),
            ("-1".into(), Malformed),
            ("1".repeat(130), Malformed),
            ("0".into(), Damaged { what: "its size" }),
            ("12345".into(), Damaged { what: "its size" }),
            ("9".repeat(129), Damaged { what: "its size" }),
            (hex(good.high, good.low & !0xf), OldLayout),
            (hex(good.high, good.low & !0xf | 1), Foreign),
            (hex(good.high, good.low & !0xf | 7), Damaged { what: "its version" }),
            (hex(good.high | 0x8000, good.low), Damaged { what: "its counter" }),
            (
                hex(good.high ^ 1 << NIBBLE_AT, good.low),
                Damaged { what: "its shard's check digit" },
            ),
            (hex(good.high, good.low | 1 << 72), Foreign),
            (hex(good.high, good.low & !(0xfffff << SLOT_AT)), Damaged { what: "its time" }),
            (hex(good.high | 0xf << 52, good.low), Damaged { what: "its creation time" }),
            (hex(good.high, good.low | 1 << 35), Damaged { what: "its shard" }),
        ];
        for (text, error) in cases {
            assert_eq!(SequenceNumber::parse(&text), Err(error), "{text}");
        }
    }

    fn any_origin() -> impl Strategy<Value = ShardOrigin> {
        (1_000_000_000..SequenceNumber::CREATED_SECS_END, 0..=ShardId::NUMBER_MAX)
            .prop_map(|(secs, shard)| origin(secs, shard))
    }

    proptest! {
        #[test]
        fn a_number_says_what_it_was_made_from(
            origin in any_origin(), lsn in 0..COUNTER_END, index: u32,
        ) {
            let number = SequenceNumber::at(origin, lsn, index);
            let read = SequenceNumber::parse(&number.to_string()).unwrap();
            prop_assert_eq!(read, number);
            let place = SequencePlace::At { lsn, index };
            prop_assert_eq!(read.parts(), SequenceParts { origin, place });
            prop_assert_eq!(number.to_string().len(), SequenceNumber::DIGITS);
        }

        #[test]
        fn numbers_rise_with_positions_and_children_stand_above(
            origin in any_origin(),
            a in (0..COUNTER_END, any::<u32>()),
            b in (0..COUNTER_END, any::<u32>()),
            open_secs in 0u64..1000,
            child in 0..=ShardId::NUMBER_MAX,
        ) {
            prop_assume!(origin.created_secs + 2000 < SequenceNumber::CREATED_SECS_END);
            let at = |(lsn, index)| SequenceNumber::at(origin, lsn, index);
            prop_assert_eq!(at(a).cmp(&at(b)), a.cmp(&b));
            prop_assert_eq!(at(a).to_string().cmp(&at(b).to_string()), a.cmp(&b));
            let closed = origin.created_secs + open_secs;
            let end = SequenceNumber::end(origin, closed);
            prop_assert!(at(a) < end);
            let child = ShardOrigin { created_secs: closed + 1, shard: ShardId::new(child) };
            prop_assert!(end < SequenceNumber::start(child));
        }

        #[test]
        fn ends_are_recognised(origin in any_origin(), open_secs in 0u64..1_000_000) {
            let closed_secs = origin.created_secs + open_secs;
            let end = SequenceNumber::end(origin, closed_secs);
            let read = SequenceNumber::parse(&end.to_string()).unwrap();
            let place = SequencePlace::End { closed_secs };
            prop_assert_eq!(read.parts(), SequenceParts { origin, place });
        }

        #[test]
        fn division_by_ten_to_the_nineteen_is_exact(high in 0..E19, low: u64) {
            let n = u128::from(high) << 64 | u128::from(low);
            let (q, r) = div_e19(high, low);
            prop_assert_eq!((u128::from(q), u128::from(r)), (n / u128::from(E19), n % u128::from(E19)));
        }

        #[test]
        fn any_digits_are_read_or_refused(text in "[0-9]{0,60}") {
            if let Ok(number) = SequenceNumber::parse(&text) {
                prop_assert_eq!(number.to_string(), text);
            }
        }
    }
}
