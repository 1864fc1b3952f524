//! What a finished handshake tells.

use std::sync::Arc;

use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::names_of;
use crate::peer::{ClientCertificate, TlsFacts};

/// `principals`: names in client certificates and the identities (ARNs) they stand for; the first
/// that fits holds.
pub(super) fn of(session: &ServerConnection, principals: &[(String, Arc<str>)]) -> TlsFacts {
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    TlsFacts {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: session.negotiated_cipher_suite().map_or("", |suite| cipher_name(suite.suite())),
        server_name: session.server_name().map(str::to_owned),
        client_certificate: certificate.map(|der| {
            // A certificate that can't be read further than webpki did stands for nobody.
            let mut found = names_of(der).unwrap_or_default();
            found.principal = principal(&found, principals);
            found
        }),
    }
}

fn principal(found: &ClientCertificate, principals: &[(String, Arc<str>)]) -> Option<Arc<str>> {
    let fits = |name: &String| {
        found.alternative_names.contains(name) || (!name.is_empty() && found.subject == *name)
    };
    principals.iter().find(|(name, _)| fits(name)).map(|(_, principal)| principal.clone())
}

/// As CloudTrail spells them.
fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        other => other.as_str().unwrap_or(""),
    }
}
