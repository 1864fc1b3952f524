//! Who is at the other end of a connection, and through which door it came in.
//!
//! The listener puts one [`Peer`] into the extensions of every request of a connection;
//! [`Peer::of`] reads it. A request that came without a socket (tests, fuzzers, the node's own) has
//! none and counts as one from this machine, over a plain connection.
//!
//! Invariant: everything here was seen by the node itself: the address is the socket's and never a
//! header's, and a client certificate stands here only if the handshake proved it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use http::request::Parts;
use millstream_policy::Policy;

/// The other end of a connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address and port of the client's socket.
    pub address: SocketAddr,
    /// The listener that took the connection.
    pub door: Arc<Door>,
    /// What the handshake settled; `None` on a plain connection.
    pub tls: Option<Arc<TlsFacts>>,
}

/// One listener, as far as its connections' requests are concerned.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Stands in the place of a VPC endpoint's id: `aws:SourceVpce`.
    pub endpoint_id: Option<String>,
    /// The endpoint's policy: what may be done through this door at all. Binds callers that have an
    /// identity.
    pub policy: Option<Arc<Policy>>,
}

/// What a TLS handshake settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`, as CloudTrail spells it.
    pub version: &'static str,
    /// `TLS_AES_128_GCM_SHA256` and so on, as CloudTrail spells it.
    pub cipher: &'static str,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// The client's certificate, which the handshake proved to be its own and of one of the
    /// listener's authorities.
    pub client_certificate: Option<ClientCertificate>,
}

/// The names in a proven client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// `CN=orders,O=Example`: the subject, its parts in the order of the certificate.
    pub subject: String,
    /// `DNS:orders.example.com`, `URI:spiffe://example.com/orders`, `EMAIL:a@example.com`,
    /// `IP:10.0.0.1`: the alternative names in the certificate's order.
    pub alternative_names: Vec<String>,
    /// The identity (an ARN) that the configuration maps one of these names to.
    pub principal: Option<Arc<str>>,
}

static NOBODY: LazyLock<Peer> = LazyLock::new(|| Peer {
    address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    door: Arc::default(),
    tls: None,
});

impl Peer {
    /// The peer of a request; this machine itself where the request came without a socket.
    pub fn of(parts: &Parts) -> &Peer {
        parts.extensions.get::<Peer>().unwrap_or_else(|| &NOBODY)
    }

    /// Whether the connection is encrypted: `aws:SecureTransport`.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The identity (an ARN) that the client's certificate stands for.
    pub fn principal(&self) -> Option<&Arc<str>> {
        self.tls.as_ref()?.client_certificate.as_ref()?.principal.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_socket_is_from_this_machine() {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        let peer = Peer::of(&parts);
        assert!(peer.address.ip().is_loopback());
        assert!(!peer.is_secure());
        assert!(peer.door.endpoint_id.is_none() && peer.door.policy.is_none());

        let address = "192.0.2.7:1".parse().unwrap();
        parts.extensions.insert(Peer { address, door: Arc::default(), tls: None });
        assert_eq!(Peer::of(&parts).address, address);
    }
}
