//! A connection's bytes, encrypted or not, as one type: HTTP above it is compiled once.
//!
//! TLS asks its socket for 4 KiB at a time; a reader in between takes more with one system call,
//! and gives its memory back while the client says nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// First size of a reader's memory: one TLS record and its neighbours.
const READ_BYTES_MIN: usize = 16 << 10;
/// What it grows to while the client sends much: a PutRecords call of half a megabyte arrives with
/// a handful of reads.
const READ_BYTES_MAX: usize = 128 << 10;

pub(super) enum Socket<S> {
    Plain(S),
    Tls(Box<TlsStream<ReadAhead<S>>>),
}

/// Reads much at a time.
pub(super) struct ReadAhead<S> {
    inner: S,
    buffer: Vec<u8>,
    /// What of `buffer` was read and not yet handed on.
    begin: usize,
    end: usize,
    /// Size of the next `buffer`.
    size: usize,
}

impl<S> ReadAhead<S> {
    pub(super) fn new(inner: S) -> Self {
        ReadAhead { inner, buffer: Vec::new(), begin: 0, end: 0, size: READ_BYTES_MIN }
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.len() < self.size {
            self.buffer = vec![0; self.size];
        }
        let mut room = ReadBuf::new(&mut self.buffer);
        let read = Pin::new(&mut self.inner).poll_read(cx, &mut room);
        (self.begin, self.end) = (0, room.filled().len());
        if read.is_pending() {
            // Nobody knows for how long.
            (self.buffer, self.size) = (Vec::new(), (self.size / 2).max(READ_BYTES_MIN));
        } else if self.end == self.buffer.len() {
            self.size = (self.size * 2).min(READ_BYTES_MAX);
        }
        read
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begin == self.end {
            ready!(self.fill(cx))?;
        }
        let n = buf.remaining().min(self.end - self.begin);
        buf.put_slice(&self.buffer[self.begin..self.begin + n]);
        self.begin += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(inner) => Pin::new(inner).poll_read(cx, buf),
            Socket::Tls(inner) => Pin::new(inner).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(inner) => Pin::new(inner).poll_write(cx, buf),
            Socket::Tls(inner) => Pin::new(inner).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
            Socket::Tls(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Plain(inner) => inner.is_write_vectored(),
            Socket::Tls(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(inner) => Pin::new(inner).poll_flush(cx),
            Socket::Tls(inner) => Pin::new(inner).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(inner) => Pin::new(inner).poll_shutdown(cx),
            Socket::Tls(inner) => Pin::new(inner).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_come_in_their_order_whatever_the_sizes() {
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut client, server) = tokio::io::duplex(100_000);
        let writing = sent.clone();
        let write = async move { client.write_all(&writing).await.unwrap() };
        let read = async {
            let mut stream = ReadAhead::new(server);
            let mut got = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let n = stream.read(&mut piece).await.unwrap();
                if n == 0 {
                    return (got, stream.size);
                }
                got.extend_from_slice(&piece[..n]);
            }
        };
        let ((), (got, size)) = tokio::join!(write, read);
        assert!(got == sent);
        assert!(size > READ_BYTES_MIN, "a busy reader takes more at a time");
    }

    #[tokio::test]
    async fn a_silent_connection_holds_no_memory() {
        let (mut client, server) = tokio::io::duplex(100);
        let mut stream = ReadAhead::new(server);
        client.write_all(b"hello").await.unwrap();
        let mut piece = [0; 100];
        assert_eq!(stream.read(&mut piece).await.unwrap(), 5);
        let waiting = stream.read(&mut piece);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), waiting).await.is_err());
        assert_eq!(stream.buffer.capacity(), 0);
    }
}
