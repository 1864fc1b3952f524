//! Strangers at the TLS port: any bytes in place of a handshake, and any bytes in place of HTTP
//! within one. The node answers or closes, and serves the next one as ever.
#![allow(clippy::disallowed_methods)]

mod support;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use millstream_server::config::units::Span;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use support::TestNode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// Each costs a connection, and some a handshake.
const ITERATIONS: usize = 150;
/// No connection of a stranger stays longer: every wait on a client is shorter here.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a request may be made of: whole ones, beginnings, and what only looks like HTTP.
const PIECES: [&[u8]; 12] = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff",
    b"\x00\x00\x00\x01\x05\x00\x00\x00\x01",
    b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
    b"POST / HTTP/1.1\r\n",
    b"Host: localhost\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X-Amz-Target: Kinesis_20131202.ListStreams\r\n",
    b"\r\n",
    b"ffffffffffffffff\r\n",
];

struct Stage {
    runtime: Runtime,
    node: Option<TestNode>,
    address: SocketAddr,
    connector: TlsConnector,
}

impl Stage {
    fn new() -> Stage {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let node = runtime.block_on(TestNode::start_with(|c| {
            c.tls.self_signed = true;
            c.tls.handshake_time = Span::from_millis(200);
            c.limits.header_read_time = Span::from_millis(200);
            c.limits.body_read_time = Span::from_millis(200);
        }));
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(node.node.ca_file().unwrap()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let address = node.addr();
        let connector = TlsConnector::from(Arc::new(config));
        Stage { runtime, node: Some(node), address, connector }
    }

    /// Sends `bytes` as they are.
    async fn raw(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }

    /// Sends `bytes` in place of HTTP; what came back.
    async fn within(&self, bytes: &[u8]) -> Vec<u8> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = self.connector.connect(name, stream).await.expect("a handshake");
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// Whether an honest client is answered.
    async fn serves(&self) -> bool {
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        self.within(request).await.starts_with(b"HTTP/1.1 200")
    }

    fn check(&self, what: impl Future<Output = ()>) {
        let all = async {
            what.await;
            assert!(self.serves().await, "the node serves no more");
        };
        let in_time = async { tokio::time::timeout(PATIENCE, all).await };
        self.runtime.block_on(in_time).expect("every connection ends in time");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.stop());
        }
    }
}

#[test]
fn fuzz_handshakes() {
    // A panic ends the test, and nobody looks at the stage again.
    let stage = AssertUnwindSafe(Stage::new());
    // The beginning of a ClientHello, so that some of the bytes get beyond the first look.
    let head = [0x16, 3, 1, 0, 0x80, 1, 0, 0, 0x7c, 3, 3];
    bolero::check!().with_iterations(ITERATIONS).with_type::<(bool, Vec<u8>)>().for_each(
        |(is_hello, bytes)| {
            let bytes = match is_hello {
                true => [&head[..], bytes].concat(),
                false => bytes.clone(),
            };
            stage.check(stage.raw(&bytes));
        },
    );
}

#[test]
fn fuzz_http_within_tls() {
    let stage = AssertUnwindSafe(Stage::new());
    bolero::check!().with_iterations(ITERATIONS).with_type::<(Vec<u8>, Vec<u8>)>().for_each(
        |(pieces, bytes)| {
            let mut sent: Vec<u8> = Vec::new();
            for piece in pieces.iter().take(20) {
                sent.extend_from_slice(PIECES[usize::from(*piece) % PIECES.len()]);
            }
            sent.extend_from_slice(bytes);
            stage.check(async { drop(stage.within(&sent).await) });
        },
    );
}
