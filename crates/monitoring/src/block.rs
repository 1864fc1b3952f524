//! Points as bytes: some ten per point.
//!
//! ```text
//!  block  = version (1), entry*
//!  entry  = [series: varint, in journals only] minute: varint, number × 4 (count, sum, minimum,
//!           maximum; their kinds share one byte), values: varint n, (kind byte, value, count) × n
//!  number = kind 0: 8 bytes | kind 1: zigzag varint | kind 2: as the number before
//! ```

use bytes::Bytes;

use crate::catalogue::SeriesId;
use crate::error::{Error, Result};
use crate::point::{Minute, Point, StatisticSet};

const VERSION: u8 = 1;
const RAW: u8 = 0;
const WHOLE: u8 = 1;
const SAME: u8 = 2;

/// Beyond it a number that is whole is not told from its neighbours.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0; // 2^53

/// Writes points.
pub(crate) struct BlockWriter(Vec<u8>);

impl BlockWriter {
    pub(crate) fn new() -> Self {
        BlockWriter(vec![VERSION])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }

    /// An entry of a journal, which holds all series.
    pub(crate) fn add_of(&mut self, series: SeriesId, minute: Minute, point: &Point) {
        self.varint(series.0.into());
        self.add(minute, point);
    }

    /// An entry of a series' own block.
    pub(crate) fn add(&mut self, minute: Minute, point: &Point) {
        let (set, values) = point.parts();
        self.varint(minute.0.into());
        self.numbers(&[set.sample_count, set.sum, set.minimum, set.maximum]);
        self.varint(values.len() as u64);
        for (value, count) in values {
            self.numbers(&[*value, *count]);
        }
    }

    /// Up to four numbers behind the byte of their kinds.
    fn numbers(&mut self, numbers: &[f64]) {
        let at = self.0.len();
        self.0.push(0);
        let mut kinds = 0;
        let mut before = None;
        for (place, number) in numbers.iter().enumerate() {
            let kind = match before {
                Some(before) if f64::to_bits(before) == number.to_bits() => SAME,
                _ if is_whole(*number) => WHOLE,
                _ => RAW,
            };
            match kind {
                WHOLE => self.varint(zigzag(*number as i64)),
                RAW => self.0.extend_from_slice(&number.to_le_bytes()),
                _ => {}
            }
            kinds |= kind << (2 * place);
            before = Some(*number);
        }
        self.0[at] = kinds;
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0
        && number.abs() <= WHOLE_MAX
        && (number != 0.0 || number.is_sign_positive())
}

fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

/// Reads points.
pub(crate) struct BlockReader<'a>(&'a [u8]);

impl<'a> BlockReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(BlockReader(rest)),
            _ => Err(corrupt("a block of an unknown version")),
        }
    }

    /// The next entry of a journal.
    pub(crate) fn next_of(&mut self) -> Result<Option<(SeriesId, Minute, Point)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let series = SeriesId(self.small()?);
        let entry = self.next()?.ok_or_else(|| corrupt("a block ends within an entry"))?;
        Ok(Some((series, entry.0, entry.1)))
    }

    /// The next entry of a series' own block.
    pub(crate) fn next(&mut self) -> Result<Option<(Minute, Point)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let minute = Minute(self.small()?);
        let [sample_count, sum, minimum, maximum] = self.numbers::<4>()?;
        let count = self.varint()?;
        if count > self.0.len() as u64 {
            return Err(corrupt("a block ends within an entry"));
        }
        let mut values = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let [value, count] = self.numbers::<2>()?;
            values.push((value, count));
        }
        let set = StatisticSet { sample_count, sum, minimum, maximum };
        Ok(Some((minute, Point::from_parts(set, values))))
    }

    fn numbers<const N: usize>(&mut self) -> Result<[f64; N]> {
        let kinds = self.byte()?;
        let mut numbers = [0.0; N];
        for place in 0..N {
            numbers[place] = match kinds >> (2 * place) & 3 {
                RAW => {
                    let (number, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
                    self.0 = rest;
                    f64::from_le_bytes(*number)
                }
                WHOLE => {
                    let n = self.varint()?;
                    ((n >> 1) as i64 ^ -((n & 1) as i64)) as f64
                }
                SAME if place > 0 => numbers[place - 1],
                _ => return Err(corrupt("a number of an unknown kind")),
            };
        }
        Ok(numbers)
    }

    fn small(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| corrupt("a number is too large"))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(corrupt("a number is too long"))
    }

    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(*byte)
    }
}

fn truncated() -> Error {
    corrupt("a block ends within an entry")
}

fn corrupt(reason: &str) -> Error {
    Error::Corrupt { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<(Minute, Point)> {
        let mut many = Point::of(1.5, 1.0);
        many.add(&Point::of(-2.0, 3.0));
        many.add(&Point::of(1e300, 1.0));
        let set = StatisticSet { sample_count: 9.0, sum: -0.0, minimum: -5.25, maximum: 7.0 };
        vec![
            (Minute(0), Point::of(1.0, 1.0)),
            (Minute(u32::MAX), many),
            (Minute(28_333_333), Point::summary(set)),
        ]
    }

    #[test]
    fn points_read_back_as_they_were() {
        let mut writer = BlockWriter::new();
        let mut journal = BlockWriter::new();
        for (minute, point) in points() {
            writer.add(minute, &point);
            journal.add_of(SeriesId(7), minute, &point);
        }
        let (block, journal) = (writer.finish(), journal.finish());
        let mut reader = BlockReader::new(&block).unwrap();
        let mut read = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            read.push(entry);
        }
        assert_eq!(read, points());
        let mut reader = BlockReader::new(&journal).unwrap();
        let first = reader.next_of().unwrap().unwrap();
        assert_eq!(first, (SeriesId(7), Minute(0), Point::of(1.0, 1.0)));
    }

    #[test]
    fn a_usual_point_takes_ten_bytes() {
        let mut writer = BlockWriter::new();
        let before = writer.len();
        writer.add(Minute(29_000_000), &Point::of(500.0, 1.0));
        assert!(writer.len() - before <= 10, "{}", writer.len() - before);
    }

    #[test]
    fn damaged_blocks_are_errors_and_nothing_worse() {
        let mut writer = BlockWriter::new();
        points().iter().for_each(|(minute, point)| writer.add(*minute, point));
        let block = writer.finish();
        assert!(BlockReader::new(&[]).is_err() && BlockReader::new(&[9]).is_err());
        for at in 1..block.len() {
            for change in [1, 0x80, 0xff] {
                let mut bytes = block.to_vec();
                bytes[at] ^= change;
                bytes.truncate(block.len() - at % 7);
                let mut reader = BlockReader::new(&bytes).unwrap();
                while let Ok(Some(_)) = reader.next() {}
            }
        }
    }
}
