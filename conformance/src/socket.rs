//! Steps below HTTP: bytes on a socket, half-closed connections, bodies that never end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;

use crate::catalogue::{TcpStep, Then};
use crate::client::Answer;
use crate::raw::bytes_of;

/// Plays one step. The answer has no status when the server closed without one of HTTP/1.1.
///
/// # Errors
/// The server neither answers nor closes in time.
pub fn play(address: SocketAddr, step: &TcpStep) -> Result<Answer> {
    let within = Duration::from_millis(step.within_ms);
    let mut socket = TcpStream::connect(address)?;
    socket.set_write_timeout(Some(within))?;
    for part in &step.send {
        // A server may answer and close before it was told everything.
        if socket.write_all(&bytes_of(part)?).is_err() {
            break;
        }
    }
    match step.then {
        Then::Drop => return Ok(Answer::default()),
        Then::CloseWrite => socket.shutdown(Shutdown::Write).unwrap_or_default(),
        Then::Hold => {}
    }
    answer(&mut socket, Instant::now() + within)
}

/// Reads until the head is whole and the body as long as its `content-length`, or the end.
fn answer(socket: &mut TcpStream, deadline: Instant) -> Result<Answer> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !whole(&seen) {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no answer and no close in time, only {} bytes", seen.len());
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    if !seen.starts_with(b"HTTP/1.") {
        return Ok(Answer { raw: Some(seen.into()), ..Answer::default() });
    }
    parse(&seen)
}

fn whole(seen: &[u8]) -> bool {
    let Ok(answer) = parse(seen) else { return false };
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    length.is_some_and(|length: usize| answer.raw.is_some_and(|body| body.len() >= length))
}

fn parse(seen: &[u8]) -> Result<Answer> {
    let end = seen.windows(4).position(|four| four == b"\r\n\r\n").context("no whole head")?;
    let head = String::from_utf8_lossy(&seen[..end]);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Answer {
        status: Some(status.parse()?),
        headers,
        raw: Some(Bytes::copy_from_slice(&seen[end + 4..])),
        ..Answer::default()
    })
}
