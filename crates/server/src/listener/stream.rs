//! A client's byte stream with its first bytes looked at, and a limit on how long it may refuse
//! the bytes of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::patience::Patience;

/// What a client with prior knowledge of HTTP/2 says first (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The client closed before it said anything.
    None,
    Http1,
    Http2,
}

pub(super) struct ClientStream<S> {
    inner: S,
    /// Bytes that were read to learn the protocol and not yet handed on.
    first: BytesMut,
    patience: Arc<Patience>,
    /// Set while a write waits for the client, until it has taken enough.
    stall: Option<Stall>,
}

struct Stall {
    over: Pin<Box<Sleep>>,
    /// Bytes taken since it began.
    taken: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientStream<S> {
    pub(super) fn new(inner: S, patience: Arc<Patience>) -> Self {
        ClientStream { inner, first: BytesMut::new(), patience, stall: None }
    }

    /// Reads until the first bytes tell the protocol; they are read again by who comes next.
    pub(super) async fn read_preface(&mut self) -> io::Result<Protocol> {
        loop {
            let mut chunk = [0; HTTP2_PREFACE.len()];
            let room = HTTP2_PREFACE.len() - self.first.len();
            let n = self.inner.read(&mut chunk[..room]).await?;
            if n == 0 && self.first.is_empty() {
                return Ok(Protocol::None);
            }
            self.first.extend_from_slice(&chunk[..n]);
            if self.first[..] == *HTTP2_PREFACE {
                return Ok(Protocol::Http2);
            }
            if n == 0 || !HTTP2_PREFACE.starts_with(&self.first) {
                return Ok(Protocol::Http1);
            }
        }
    }

    /// Watches over a write: an error once the client has taken too little for the stall time.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            let taken_min = self.patience.taken_min();
            self.stall = self.stall.take().filter(|stall| stall.taken + (bytes as u64) < taken_min);
            if let Some(stall) = &mut self.stall {
                stall.taken += bytes as u64;
            }
        }
        if written.is_ready() {
            return written;
        }
        ready!(self.poll_stall(cx));
        let time = self.patience.stall_time();
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client took too little of its answer for {time:?}"),
        )))
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let time = self.patience.stall_time();
        let begin = || Stall { over: Box::pin(tokio::time::sleep(time)), taken: 0 };
        self.stall.get_or_insert_with(begin).over.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let n = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..n]);
            self.first.advance(n);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Called when all bytes were handed on: the client does not keep us waiting any more.
        if let Poll::Ready(flushed) = Pin::new(&mut self.inner).poll_flush(cx) {
            self.stall = None;
            return Poll::Ready(flushed);
        }
        self.watch(cx, Poll::Pending).map(|written| written.map(drop))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::config::units::Span;
    use millstream_env::Env;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;

    fn patience(time: Duration) -> Arc<Patience> {
        let limits = Limits { write_stall_time: Span(time), ..Limits::default() };
        Patience::new(Env::real("."), &limits)
    }

    async fn protocol_of(chunks: &[&[u8]]) -> (Protocol, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = ClientStream::new(server, patience(Duration::from_secs(1)));
        let sent: Vec<Vec<u8>> = chunks.iter().map(|c| c.to_vec()).collect();
        let send = async move {
            for chunk in sent {
                client.write_all(&chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (protocol, ()) = tokio::join!(stream.read_preface(), send);
        let mut seen = Vec::new();
        stream.read_to_end(&mut seen).await.unwrap();
        (protocol.unwrap(), seen)
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol_and_are_not_lost() {
        let http2 = [HTTP2_PREFACE, b"frames"].concat();
        for (chunks, expected) in [
            (vec![], Protocol::None),
            (vec![&b"POST / HTTP/1.1\r\n\r\n"[..]], Protocol::Http1),
            (vec![&b"P"[..], b"OST / HTTP/1.1\r\n\r\n"], Protocol::Http1),
            (vec![&b"PRI * HTTP/1.1\r\n\r\n"[..]], Protocol::Http1),
            (vec![&b"PRI"[..]], Protocol::Http1),
            (vec![&http2[..]], Protocol::Http2),
            (vec![&http2[..5], &http2[5..20], &http2[20..]], Protocol::Http2),
        ] {
            let (protocol, seen) = protocol_of(&chunks).await;
            assert_eq!(protocol, expected, "{chunks:?}");
            assert_eq!(seen, chunks.concat());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_byte_now_and_then_is_cut_off() {
        let limits = Limits {
            write_stall_time: Span(Duration::from_secs(10)),
            answer_rate_min: crate::config::units::ByteSize(10),
            ..Limits::default()
        };
        for (pause_ms, cut_off) in [(1000, true), (20, false)] {
            let (mut client, server) = tokio::io::duplex(8);
            let patience = Patience::new(Env::real("."), &limits);
            let mut stream = ClientStream::new(server, patience);
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(async move {
                while client.read_u8().await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
            });
            let written = stream.write_all(&[0; 5000]).await;
            assert_eq!(written.is_err(), cut_off, "a byte per {pause_ms} ms");
            drop(stream);
            tasks.join_all().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (_client, server) = tokio::io::duplex(8);
        let mut stream = ClientStream::new(server, patience(Duration::from_secs(30)));
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
