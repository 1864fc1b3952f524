//! Lines of one file, front to back or back to front, in bounded memory.

use std::io;
use std::ops::Range;

use millstream_env::File;

use crate::line::LINE_BYTES_MAX;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The bytes between two line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where in the file it stands, its end included.
    pub place: Range<u64>,
    /// Without its end. At most [`LINE_BYTES_MAX`] bytes; of a longer one, a part.
    pub bytes: Vec<u8>,
    /// Whether it ends with a line end: the last one of a file need not.
    pub ended: bool,
}

/// Reads lines.
pub struct Lines<'a> {
    file: &'a dyn File,
    len: u64,
}

impl<'a> Lines<'a> {
    /// # Errors
    /// The file's length can't be told.
    pub fn of(file: &'a dyn File) -> io::Result<Lines<'a>> {
        Ok(Lines { file, len: file.len()? })
    }

    /// Bytes that the file had when the reading began.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The line that starts at `offset`; `None` at the end of the file.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn at(&self, offset: u64) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let mut end = offset;
        while end < self.len {
            let chunk = self.read(end..self.len.min(end + CHUNK_BYTES as u64))?;
            let found = memchr::memchr(b'\n', &chunk);
            let taken = found.unwrap_or(chunk.len());
            let room = LINE_BYTES_MAX - bytes.len();
            bytes.extend_from_slice(&chunk[..taken.min(room)]);
            end += taken as u64;
            if found.is_some() {
                return Ok(Some(Line { place: offset..end + 1, bytes, ended: true }));
            }
        }
        Ok((end > offset).then_some(Line { place: offset..end, bytes, ended: false }))
    }

    /// Calls `each` with the lines from the start on until it says stop.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn forward(&self, mut each: impl FnMut(Line) -> bool) -> io::Result<()> {
        let (mut offset, mut held, mut held_at) = (0, Vec::new(), 0);
        // One read serves many lines.
        while let Some(chunk) = self.more(offset)? {
            offset += chunk.len() as u64;
            let mut rest = &chunk[..];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let room = LINE_BYTES_MAX - held.len();
                held.extend_from_slice(&rest[..end.min(room)]);
                rest = &rest[end + 1..];
                let place = held_at..offset - rest.len() as u64;
                held_at = place.end;
                if !each(Line { place, bytes: std::mem::take(&mut held), ended: true }) {
                    return Ok(());
                }
            }
            let room = LINE_BYTES_MAX - held.len();
            held.extend_from_slice(&rest[..rest.len().min(room)]);
        }
        if held_at < offset {
            each(Line { place: held_at..offset, bytes: held, ended: false });
        }
        Ok(())
    }

    /// Calls `each` with the lines that end before `end`, the last one first, until it says stop.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn backward(&self, end: u64, mut each: impl FnMut(Line) -> bool) -> io::Result<()> {
        let mut end = end.min(self.len);
        // What is in memory, and where its first byte stands.
        let (mut held, mut start) = (Vec::<u8>::new(), end);
        while end > 0 {
            // The line end that closes the line before: not the line's own.
            let own = held.len().saturating_sub(1);
            if let Some(found) = memchr::memrchr(b'\n', &held[..own]) {
                let bytes = held.split_off(found + 1);
                let line = whole(start + found as u64 + 1..end, bytes);
                end = line.place.start;
                if !each(line) {
                    return Ok(());
                }
            } else if start == 0 {
                each(whole(0..end, held));
                return Ok(());
            } else {
                if held.len() > LINE_BYTES_MAX {
                    held.drain(1..held.len() - 1); // no line of ours: keep its ends, not its bytes
                }
                let from = start.saturating_sub(CHUNK_BYTES as u64);
                let chunk = self.read(from..start)?;
                held.splice(..0, chunk);
                start = from;
            }
        }
        Ok(())
    }

    fn more(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        if offset >= self.len {
            return Ok(None);
        }
        self.read(offset..self.len.min(offset + CHUNK_BYTES as u64)).map(Some)
    }

    fn read(&self, place: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; (place.end - place.start) as usize];
        self.file.read_exact_at(&mut bytes, place.start)?;
        Ok(bytes)
    }
}

fn whole(place: Range<u64>, mut bytes: Vec<u8>) -> Line {
    let ended = bytes.last() == Some(&b'\n');
    if ended {
        bytes.pop();
    }
    bytes.truncate(LINE_BYTES_MAX);
    Line { place, bytes, ended }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use millstream_env::{Disk, OpenMode, RealDisk};

    use super::*;

    fn both_ways(text: &[u8]) -> (Vec<Line>, Vec<Line>) {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        let file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
        file.write_all_at(text, 0).unwrap();
        let lines = Lines::of(&*file).unwrap();
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        lines.forward(|line| (forward.push(line), true).1).unwrap();
        lines.backward(u64::MAX, |line| (backward.push(line), true).1).unwrap();
        for line in &forward {
            assert_eq!(lines.at(line.place.start).unwrap().as_ref(), Some(line));
        }
        assert_eq!(lines.at(lines.len()).unwrap(), None);
        backward.reverse();
        (forward, backward)
    }

    #[test]
    fn lines_are_the_same_in_both_directions() {
        let long = vec![b'x'; CHUNK_BYTES + 5];
        let texts: [&[u8]; 7] =
            [b"", b"\n", b"a", b"a\n", b"\n\na\nbc", &long, &[&long[..], b"\n\n", &long].concat()];
        for text in texts {
            let (forward, backward) = both_ways(text);
            assert_eq!(forward, backward, "{} bytes", text.len());
            let mut joined = Vec::new();
            for line in &forward {
                joined.extend_from_slice(&line.bytes);
                joined.extend_from_slice(if line.ended { b"\n" } else { b"" });
            }
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_bounded_memory() {
        let mut text = vec![b'x'; LINE_BYTES_MAX * 3];
        text.extend_from_slice(b"\nshort\n");
        let (forward, backward) = both_ways(&text);
        for lines in [forward, backward] {
            assert_eq!(lines.len(), 2);
            assert!(lines[0].bytes.len() <= LINE_BYTES_MAX);
            assert_eq!(lines[0].place, 0..LINE_BYTES_MAX as u64 * 3 + 1);
            assert_eq!(lines[1].bytes, b"short");
        }
    }
}
