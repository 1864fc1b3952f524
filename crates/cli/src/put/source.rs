//! Where records come from: arguments, or the lines of standard input or a file.
//!
//! Promises: a line longer than a record may be costs no more memory than the longest record, and is
//! reported with its number.

use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

/// Bytes of the longest record that any stream takes. Source: API reference, UpdateMaxRecordSize.
pub const RECORD_BYTES_MAX: usize = 10 << 20;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// One line, or the word that it was too long.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Data(Bytes),
    /// Longer than [`RECORD_BYTES_MAX`].
    TooLong,
}

pub enum Source {
    Arguments(std::vec::IntoIter<String>),
    Lines(Lines<Box<dyn AsyncBufRead + Send + Unpin>>),
}

impl Source {
    /// Arguments if there are any, else the file, else standard input.
    ///
    /// # Errors
    /// The file can't be opened.
    pub async fn open(arguments: Vec<String>, file: Option<PathBuf>) -> anyhow::Result<Source> {
        if !arguments.is_empty() {
            return Ok(Source::Arguments(arguments.into_iter()));
        }
        let reader: Box<dyn AsyncBufRead + Send + Unpin> = match file {
            Some(path) if path.as_os_str() != "-" => {
                let shown = path.display().to_string();
                let file = tokio::fs::File::open(path).await.with_context(|| shown)?;
                Box::new(BufReader::with_capacity(READ_BYTES, file))
            }
            _ => Box::new(BufReader::with_capacity(READ_BYTES, tokio::io::stdin())),
        };
        Ok(Source::Lines(Lines::new(reader)))
    }

    /// The next record's data. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// Reading fails.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        match self {
            Source::Arguments(left) => Ok(left.next().map(|text| Line::Data(text.into()))),
            Source::Lines(lines) => lines.next().await,
        }
    }
}

/// Lines of a reader, without their ends (`\n`, `\r\n`); the last one may lack it.
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    too_long: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub fn new(reader: R) -> Self {
        Lines { reader, line: Vec::new(), too_long: false }
    }

    /// The next line that is not empty. Cancel safe: a part that was read stays here.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(self.finish());
            }
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            // One more for a carriage return that is not part of the record.
            if self.too_long || self.line.len() + part.len() > RECORD_BYTES_MAX + 1 {
                self.too_long = true;
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(part);
            }
            let consumed = end.map_or(chunk.len(), |at| at + 1);
            self.reader.consume(consumed);
            if end.is_some()
                && let Some(line) = self.finish()
            {
                return Ok(Some(line));
            }
        }
    }

    /// The gathered line, unless it is empty.
    fn finish(&mut self) -> Option<Line> {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if std::mem::take(&mut self.too_long) || line.len() > RECORD_BYTES_MAX {
            return Some(Line::TooLong);
        }
        (!line.is_empty()).then(|| Line::Data(line.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines_of(text: &[u8], capacity: usize) -> Vec<Line> {
        let mut lines = Lines::new(BufReader::with_capacity(capacity, text));
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn lines_lose_their_ends_and_empty_ones_are_left_out() {
        let data = |text: &'static str| Line::Data(Bytes::from_static(text.as_bytes()));
        for capacity in [1, 3, 1024] {
            let lines = lines_of(b"one\r\n\n\r\ntwo\n  \nlast", capacity).await;
            assert_eq!(lines, [data("one"), data("two"), data("  "), data("last")]);
        }
        assert_eq!(lines_of(b"", 16).await, []);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_reported_and_the_next_one_is_whole() {
        let mut text = vec![b'x'; RECORD_BYTES_MAX];
        text.extend_from_slice(b"\r\n");
        text.extend(vec![b'y'; RECORD_BYTES_MAX + 1]);
        text.extend_from_slice(b"\nz\n");
        let lines = lines_of(&text, READ_BYTES).await;
        assert!(matches!(&lines[0], Line::Data(d) if d.len() == RECORD_BYTES_MAX));
        assert_eq!(lines[1], Line::TooLong);
        assert_eq!(lines[2], Line::Data(Bytes::from_static(b"z")));
        assert_eq!(lines.len(), 3);
    }
}
