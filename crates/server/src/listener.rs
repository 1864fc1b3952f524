//! Sockets: accepts connections, tells HTTP/1.1 from HTTP/2, and ends everything in order.
//!
//! One port speaks HTTP/1.1 and HTTP/2, over TLS as ALPN settles it and otherwise with prior
//! knowledge; the first bytes decide. Every wait on a client has a limit: for its handshake, its
//! first bytes and its request heads, for taking the bytes of an answer, and (in the pipeline) for
//! its bodies. When the node drains, connections finish
//! what they are answering and take no more; when the drain time is over they are cut.
//!
//! [`Connections::serve_stream`] takes any byte stream: tests need no socket.

mod addresses;
mod lanes;
mod patience;
mod resets;
mod socket;
mod stream;
mod timer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use millstream_env::Env;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::body::ConnectionMemory;
use crate::config::Limits;
use crate::peer::{Door, Peer};
use crate::pipeline::{AnswerBody, Pipeline};
use crate::tls::Acceptor;
use addresses::{Addresses, Place};
use lanes::LaneLoads;
use patience::Patience;
use resets::Resets;
use socket::{ReadAhead, Socket};
use stream::ClientStream;
use timer::MovingTimer;

/// Bytes of request bodies a client may send ahead on one HTTP/2 stream.
const HTTP2_STREAM_WINDOW: u32 = 2 << 20;
/// The same for all streams of one connection together.
const HTTP2_CONNECTION_WINDOW: u32 = 8 << 20;
/// Largest HTTP/2 frame taken: fewer, larger frames for bodies of half a megabyte.
const HTTP2_FRAME_MAX: u32 = 256 << 10;
/// Answer bytes kept per HTTP/2 stream before the pipeline has to wait.
const HTTP2_SEND_BUFFER_MAX: usize = 1 << 20;
/// Streams that were reset before we looked at them: more at a time are an attack.
const HTTP2_PENDING_RESETS_MAX: usize = 20;
/// Streams that we reset for a client's mistakes before the connection ends.
const HTTP2_LOCAL_RESETS_MAX: usize = 256;
/// How often a silent HTTP/2 connection is asked whether it is still there.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(60);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Finish what is being answered, take nothing new.
    Draining,
    /// Close at once.
    Closing,
}

/// A bound socket, not yet accepting.
pub struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
    door: Arc<Door>,
    tls: Option<Arc<Acceptor>>,
}

/// All that connections share; also how many there are.
pub struct Connections {
    env: Env,
    limits: Limits,
    pipeline: Arc<Pipeline>,
    phase: watch::Receiver<Phase>,
    permits: Arc<Semaphore>,
    lanes: Arc<LaneLoads>,
    addresses: Arc<Addresses>,
}

impl Listener {
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(addr: SocketAddr) -> io::Result<Listener> {
        let socket = TcpListener::bind(addr).await?;
        let addr = socket.local_addr()?;
        Ok(Listener { socket, addr, door: Arc::default(), tls: None })
    }

    /// Which door this is, and whether it speaks TLS.
    pub fn with(self, door: Arc<Door>, tls: Option<Arc<Acceptor>>) -> Listener {
        Listener { door, tls, ..self }
    }

    /// The address with the port that was really taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts until the phase is no longer [`Phase::Serving`]; the socket is closed on return.
    pub async fn run(self, connections: Arc<Connections>) {
        let mut phase = connections.phase.clone();
        loop {
            tokio::select! {
                accepted = accept(&self.socket, &connections.permits) => match accepted {
                    Ok((stream, address, permit)) => {
                        // One that its address may not have is closed by being dropped.
                        let Some(place) = connections.addresses.enter(address.ip()) else {
                            tracing::debug!(%address, "an address has as many connections as it may");
                            continue;
                        };
                        let peer = Peer { address, door: self.door.clone(), tls: None };
                        let held = (permit, place);
                        connections.clone().serve(stream, peer, self.tls.clone(), held);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = reached(&mut phase, Phase::Draining) => return,
            }
        }
    }
}

impl Connections {
    pub fn new(
        env: Env,
        limits: Limits,
        pipeline: Arc<Pipeline>,
        phase: watch::Receiver<Phase>,
    ) -> Arc<Connections> {
        let permits = Arc::new(Semaphore::new(limits.connections_max));
        let lanes = Arc::new(LaneLoads::new(env.lanes()));
        let addresses = Addresses::new(limits.connections_per_address_max);
        Arc::new(Connections { env, limits, pipeline, phase, permits, lanes, addresses })
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.limits.connections_max - self.permits.available_permits()
    }

    /// Waits until no connection is open.
    pub async fn all_closed(&self) {
        let all = u32::try_from(self.limits.connections_max).unwrap_or(u32::MAX);
        let _all = self.permits.acquire_many(all).await;
    }

    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: Peer,
        tls: Option<Arc<Acceptor>>,
        held: (OwnedSemaphorePermit, Place),
    ) {
        let env = self.env.clone();
        let lane = self.lanes.enter();
        // Sockets belong to the event queue of their thread.
        let Ok(stream) = stream.into_std() else { return };
        env.spawn_in_lane(lane.number, "connection", async move {
            let _held = (held, lane);
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            self.serve_stream(stream, peer, tls).await;
        });
    }

    /// Serves one connection to its end, with a handshake first if there is an acceptor.
    pub async fn serve_stream<S>(&self, stream: S, peer: Peer, tls: Option<Arc<Acceptor>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut phase = self.phase.clone();
        let patience = Patience::new(self.env.clone(), &self.limits);
        let connection = Connection { shared: self, patience: patience.clone(), peer };
        tokio::select! {
            result = connection.open(stream, tls) => if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            },
            () = patience.is_over() => {}
            () = reached(&mut phase, Phase::Closing) => {}
        }
    }
}

/// Waits for `phase` or a later one; a node that is gone is past them all.
async fn reached(now: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = now.wait_for(|now| *now >= phase).await;
}

/// The next connection. Beyond the limit one waits here, the others in the system's queue.
async fn accept(
    socket: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let (stream, address) = socket.accept().await?;
    stream.set_nodelay(true)?;
    let permit =
        permits.clone().acquire_owned().await.expect("the connections' semaphore is never closed");
    Ok((stream, address, permit))
}

struct Connection<'a> {
    shared: &'a Connections,
    patience: Arc<Patience>,
    peer: Peer,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Connection<'_> {
    async fn open<S>(mut self, stream: S, tls: Option<Arc<Acceptor>>) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let socket = match tls {
            None => Socket::Plain(stream),
            Some(tls) => {
                let (stream, facts) = tls.accept(ReadAhead::new(stream)).await?;
                self.peer.tls = Some(Arc::new(facts));
                Socket::Tls(Box::new(stream))
            }
        };
        self.serve(socket).await
    }

    async fn serve<S>(&self, stream: S) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.shared.limits;
        let mut stream = ClientStream::new(stream, self.patience.clone());
        let first = stream.read_preface();
        match tokio::time::timeout(limits.header_read_time.0, first).await?? {
            stream::Protocol::None => Ok(()),
            stream::Protocol::Http1 => self.http1(stream).await,
            stream::Protocol::Http2 => self.http2(stream).await,
        }
    }

    async fn http1<S>(&self, stream: ClientStream<S>) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.shared.limits;
        let service = service_fn(|mut request: http::Request<Incoming>| {
            let (pipeline, patience) = (self.shared.pipeline.clone(), self.patience.clone());
            request.extensions_mut().insert(self.peer.clone());
            async move {
                let answer = pipeline.answer(request).await;
                Ok::<_, std::convert::Infallible>(answer.map(|body| patience.alone(body)))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(MovingTimer)
            .header_read_timeout(limits.header_read_time.0)
            .max_headers(limits.header_count_max)
            .max_buf_size(limits.header_bytes_max.as_usize().max(HTTP1_BUFFER_MIN))
            .max_header_size(limits.header_bytes_max.as_usize())
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut phase = self.shared.phase.clone();
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = reached(&mut phase, Phase::Draining) => {}
        }
        connection.as_mut().graceful_shutdown();
        Ok(connection.await?)
    }

    async fn http2<S>(&self, stream: ClientStream<S>) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.shared.limits;
        let (pipeline, patience) = (self.shared.pipeline.clone(), self.patience.clone());
        let peer = self.peer.clone();
        let memory = ConnectionMemory::new(limits.connection_bytes_max.0);
        let resets = Resets::new(limits.http2_resets_max, patience.clone());
        let header_count_max = limits.header_count_max;
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            let (pipeline, patience) = (pipeline.clone(), patience.clone());
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(memory.clone());
            let unanswered = resets.begin();
            // A reset while the body is awaited is an end of the body, which is answered.
            let counted = resets.clone();
            let request = request.map(|body| body.map_err(move |error| counted.saw(error)));
            async move {
                let answer = match request.headers().len() > header_count_max {
                    true => too_many_headers(),
                    false => pipeline.answer(request).await,
                };
                unanswered.answered();
                Ok::<_, std::convert::Infallible>(answer.map(|body| patience.among_others(body)))
            }
        });
        let connection =
            hyper::server::conn::http2::Builder::new(AnyThread(self.shared.env.clone()))
                .timer(TokioTimer::new())
                .initial_stream_window_size(HTTP2_STREAM_WINDOW)
                .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
                .max_frame_size(HTTP2_FRAME_MAX)
                .max_send_buf_size(HTTP2_SEND_BUFFER_MAX)
                .max_concurrent_streams(limits.http2_streams_max)
                .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS_MAX)
                .max_local_error_reset_streams(HTTP2_LOCAL_RESETS_MAX)
                .max_header_list_size(limits.header_bytes_max.as_usize().min(1 << 30) as u32)
                .keep_alive_interval(HTTP2_PING_INTERVAL)
                .keep_alive_timeout(HTTP2_PING_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut phase = self.shared.phase.clone();
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = reached(&mut phase, Phase::Draining) => {}
        }
        connection.as_mut().graceful_shutdown();
        Ok(connection.await?)
    }
}

/// The requests of one HTTP/2 connection run on all threads; its framing stays in its lane.
#[derive(Clone)]
struct AnyThread(Env);

impl<F> hyper::rt::Executor<F> for AnyThread
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        self.0.spawn("http2-request", async move {
            request.await;
        });
    }
}

/// Read buffer of an HTTP/1.1 connection: large reads keep bodies of half a megabyte cheap.
const HTTP1_BUFFER_MIN: usize = 256 << 10;

/// As hyper answers over HTTP/1.1.
fn too_many_headers() -> http::Response<AnswerBody> {
    let mut response = http::Response::new(AnswerBody::whole(bytes::Bytes::new()));
    *response.status_mut() = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}
