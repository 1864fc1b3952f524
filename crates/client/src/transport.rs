//! Connections: TCP or TLS, HTTP/1.1 or 2, pooled, with bounded waits and bounded answers.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{Endpoint, Error};

/// Most bytes of an answer that is read. An answer of GetRecords holds 10 MiB of records and the
/// record that goes over; base64 and the members around make it less than twice that.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long an unused connection is kept. Source: below the 60 s after which AWS's load balancers
/// close one.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// On `https://` what both sides agree on (ALPN), on `http://` HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2, on `http://` with prior knowledge.
    Http2,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a TCP connection. Source: the AWS SDKs' default, 3.1 s.
    pub connect: Duration,
    /// For one attempt, from the request's first byte to the answer's last. Source: botocore's
    /// read timeout, 60 s.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { connect: Duration::from_millis(3100), attempt: Duration::from_secs(60) }
    }
}

/// Whose certificates are believed on `https://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// What the system trusts.
    #[default]
    System,
    /// The authorities in this PEM file and no others, as `AWS_CA_BUNDLE` is meant.
    Bundle(PathBuf),
}

impl Trust {
    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        match self {
            Trust::System => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let none = "there are none, or they can't be read";
                    return Err(Error::transport("the system's trusted certificates", none));
                }
            }
            Trust::Bundle(path) => {
                let failed = |e: &dyn std::fmt::Display| {
                    Error::transport(format!("the certificates in {}", path.display()), e)
                };
                let found = CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))?;
                for certificate in found {
                    let certificate = certificate.map_err(|e| failed(&e))?;
                    roots.add(certificate).map_err(|e| failed(&e))?;
                }
                if roots.is_empty() {
                    return Err(failed(&"there are none"));
                }
            }
        }
        Ok(roots)
    }
}

/// A byte stream to an endpoint, TLS or not.
pub type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens streams to an endpoint. Cheap to clone.
#[derive(Clone)]
pub enum Connector {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
}

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    /// A connector that fits `endpoint`'s scheme.
    ///
    /// # Errors
    /// [`Error::Transport`]: the trusted certificates can't be read.
    pub fn new(
        endpoint: &Endpoint,
        version: HttpVersion,
        timeouts: Timeouts,
        trust: &Trust,
    ) -> Result<Self, Error> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(timeouts.connect));
        tcp.set_nodelay(true);
        if !endpoint.is_https() {
            return Ok(Connector::Plain(tcp));
        }
        tcp.enforce_http(false);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::transport("TLS", e))?
            .with_root_certificates(trust.roots()?)
            .with_no_client_auth();
        let tls = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_only();
        Ok(Connector::Tls(match version {
            HttpVersion::Negotiated => tls.enable_all_versions().wrap_connector(tcp),
            HttpVersion::Http1 => tls.enable_http1().wrap_connector(tcp),
            HttpVersion::Http2 => tls.enable_http2().wrap_connector(tcp),
        }))
    }

    /// Opens one stream, for a caller that keeps connections by itself.
    ///
    /// # Errors
    /// [`Error::Transport`]: nobody listens, no such name, or no trust.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Stream, Error> {
        let uri = endpoint.uri(http::uri::PathAndQuery::from_static("/"));
        self.clone().call(uri).await.map_err(|e| {
            let cause: &(dyn std::error::Error + 'static) = e.as_ref();
            Error::transport(endpoint.to_string(), crate::error::chain(cause))
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Connector::Plain(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Connector::Tls(tls) => tls.poll_ready(cx),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Connector::Plain(tcp) => {
                let opening = tcp.call(uri);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(opening.await?)) })
            }
            Connector::Tls(tls) => tls.call(uri),
        }
    }
}

/// Pooled connections to one endpoint, for requests that are complete.
pub struct Transport {
    pool: Pool<Connector, Full<Bytes>>,
    timeouts: Timeouts,
}

impl Transport {
    /// # Errors
    /// As [`Connector::new`].
    pub fn new(
        endpoint: &Endpoint,
        version: HttpVersion,
        timeouts: Timeouts,
        trust: &Trust,
    ) -> Result<Self, Error> {
        let connector = Connector::new(endpoint, version, timeouts, trust)?;
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .http2_only(version == HttpVersion::Http2)
            .http2_adaptive_window(true)
            .build(connector);
        Ok(Transport { pool, timeouts })
    }

    /// Sends `request`, whose URI is absolute, once and reads the whole answer.
    ///
    /// # Errors
    /// [`Error::Transport`], [`Error::Timeout`].
    pub async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, Error> {
        match tokio::time::timeout(self.timeouts.attempt, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { after: self.timeouts.attempt }),
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, Error> {
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let answer = self.pool.request(request).await.map_err(|e| of_pool(&authority, e))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| Error::transport(&authority, e))?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    }
}

/// The pool's own text ("client error (Connect)") hides the cause; the causes say it all.
fn of_pool(authority: &str, error: PoolError) -> Error {
    match std::error::Error::source(&error) {
        Some(cause) => Error::transport(authority, crate::error::chain(cause)),
        None => Error::transport(authority, error),
    }
}
