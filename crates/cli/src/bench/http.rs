//! HTTP/1.1 as cheap as a load generator wants it: a request is bytes that were made before, an
//! answer is a status and a body in a buffer that is used again.
//!
//! Never parses more of an answer than its frame: status, length or chunks, whether the connection
//! stays.

use std::io;
use std::ops::Range;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most bytes of an answer's body.
const BODY_BYTES_MAX: usize = 64 << 20;

/// One connection and what it received last.
pub struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
    body: Range<usize>,
}

/// The frame of an answer; its body is [`Connection::body`] until the next exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The server closes the connection after this answer.
    pub closes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    UntilClose,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(stream: S) -> Self {
        Connection { stream, buffer: Vec::with_capacity(64 << 10), body: 0..0 }
    }

    /// Sends `request` (head and body) and reads the answer to it.
    ///
    /// # Errors
    /// The connection broke, or what came is not HTTP/1; the connection is of no use any more.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let (answer, length, head) = self.read_head().await?;
        self.body = match length {
            Length::Known(n) => self.read_known(head, n).await?,
            Length::Chunked => self.read_chunks(head).await?,
            Length::UntilClose => self.read_to_end(head).await?,
        };
        Ok(answer)
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    async fn read_head(&mut self) -> io::Result<(Answer, Length, usize)> {
        let mut searched = 0;
        loop {
            if let Some(at) = memmem::find(&self.buffer[searched..], b"\r\n\r\n") {
                let end = searched + at + 4;
                let (answer, length) = parse_head(&self.buffer[..end])?;
                if answer.status >= 200 {
                    return Ok((answer, length, end));
                }
                // An interim answer (100 Continue): the real one follows.
                self.buffer.drain(..end);
                searched = 0;
                continue;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(bad("the answer's head does not end"));
            }
            searched = self.buffer.len().saturating_sub(3);
            self.read_more().await?;
        }
    }

    async fn read_known(&mut self, start: usize, length: usize) -> io::Result<Range<usize>> {
        if length > BODY_BYTES_MAX {
            return Err(bad("the answer is longer than 64 MiB"));
        }
        self.buffer.reserve((start + length).saturating_sub(self.buffer.len()));
        while self.buffer.len() < start + length {
            self.read_more().await?;
        }
        Ok(start..start + length)
    }

    /// Takes the chunks' frames out of the buffer as they come.
    async fn read_chunks(&mut self, start: usize) -> io::Result<Range<usize>> {
        let mut end = start; // of the data so far
        loop {
            let line = self.read_line(end).await?;
            let size = chunk_size(&self.buffer[end..line])?;
            self.buffer.drain(end..line + 2);
            if size == 0 {
                break;
            }
            if end + size > start + BODY_BYTES_MAX {
                return Err(bad("the answer is longer than 64 MiB"));
            }
            while self.buffer.len() < end + size + 2 {
                self.read_more().await?;
            }
            end += size;
            self.buffer.drain(end..end + 2);
        }
        loop {
            let line = self.read_line(end).await?;
            let last = line == end;
            self.buffer.drain(end..line + 2);
            if last {
                return Ok(start..end);
            }
        }
    }

    /// The place of the line break after `from`.
    async fn read_line(&mut self, from: usize) -> io::Result<usize> {
        loop {
            if let Some(at) = memmem::find(&self.buffer[from..], b"\r\n") {
                return Ok(from + at);
            }
            if self.buffer.len() - from > HEAD_BYTES_MAX {
                return Err(bad("a line of the answer does not end"));
            }
            self.read_more().await?;
        }
    }

    async fn read_to_end(&mut self, start: usize) -> io::Result<Range<usize>> {
        loop {
            if self.buffer.len() > start + BODY_BYTES_MAX {
                return Err(bad("the answer is longer than 64 MiB"));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(start..self.buffer.len());
            }
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(64 << 10);
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn parse_head(head: &[u8]) -> io::Result<(Answer, Length)> {
    let text = std::str::from_utf8(head).map_err(|_| bad("the answer's head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.get(9..12)?.parse().ok())
        .ok_or_else(|| bad("the answer does not begin with an HTTP/1 status"))?;
    let mut length = Length::UntilClose;
    let mut closes = text.starts_with("HTTP/1.0");
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") && length != Length::Chunked {
            let n = value.parse().map_err(|_| bad("the answer's length is not a number"))?;
            length = Length::Known(n);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    if matches!(status, 204 | 304) || status < 200 {
        length = Length::Known(0);
    }
    closes |= length == Length::UntilClose;
    Ok((Answer { status, closes }, length))
}

pub fn chunk_size(line: &[u8]) -> io::Result<usize> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
        .filter(|size| *size <= BODY_BYTES_MAX)
        .ok_or_else(|| bad("a chunk's length is not a number"))
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The bytes of `request`, whose URI is absolute, as they go over the wire.
pub fn render(request: &http::Request<&[u8]>) -> Vec<u8> {
    let body = *request.body();
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let host = request.uri().authority().map_or("", |a| a.as_str());
    let mut out = Vec::with_capacity(512 + body.len());
    out.extend_from_slice(format!("{} {path} HTTP/1.1\r\n", request.method()).as_bytes());
    if !request.headers().contains_key("host") {
        out.extend_from_slice(format!("host: {host}\r\n").as_bytes());
    }
    for (name, value) in request.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `answer` in pieces of `piece` bytes to a connection that asks once.
    async fn answered(answer: &str, piece: usize) -> io::Result<(Answer, String)> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let sending = async {
            let mut request = [0; 3];
            far.read_exact(&mut request).await.unwrap();
            for part in answer.as_bytes().chunks(piece) {
                far.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(far);
        };
        let mut connection = Connection::new(near);
        let asking = connection.exchange(b"GET");
        let (_, answer) = tokio::join!(sending, asking);
        let answer = answer?;
        Ok((answer, String::from_utf8(connection.body().to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn answers_are_framed_however_they_are_cut() {
        let stays = |status| Answer { status, closes: false };
        let closes = |status| Answer { status, closes: true };
        for (text, answer, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", stays(200), "hello"),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", stays(400), ""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\ntrailer: 1\r\n\r\n",
                stays(200),
                "abc0123456789",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                stays(200),
                "ok",
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", stays(204), ""),
            ("HTTP/1.1 500 X\r\nConnection: close\r\n\r\nall of it", closes(500), "all of it"),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n1", closes(200), "1"),
        ] {
            for piece in [1, 2, 7, 4096] {
                let got = answered(text, piece).await.unwrap();
                assert_eq!(got, (answer, body.to_owned()), "{text:?} in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_http_is_an_error_and_not_a_wait() {
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "",
        ] {
            assert!(answered(text, 4096).await.is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_request_is_rendered_with_host_and_length() {
        let request = http::Request::post("http://h:1/p?q").header("a", "b").body(&b"xy"[..]);
        let text = String::from_utf8(render(&request.unwrap())).unwrap();
        assert_eq!(text, "POST /p?q HTTP/1.1\r\nhost: h:1\r\na: b\r\ncontent-length: 2\r\n\r\nxy");
    }
}
