//! From PEM texts to what a handshake needs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_env::Env;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use zeroize::{Zeroize, Zeroizing};

use super::{PROTOCOLS, TlsError};
use crate::config::{CertificateSource, ClientCertificates, TlsPlan};

/// Longest PEM file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The texts of all files of a plan.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
    pub(super) client_ca: Option<String>,
}

/// Reads what `plan` names; what comes from no file is taken from `made`.
pub(super) async fn read(env: &Env, plan: &TlsPlan, made: Material) -> Result<Material, TlsError> {
    let plan = plan.clone();
    env.blocking(move || {
        let mut material = made;
        if let CertificateSource::Files { certificate, key } = &plan.certificate {
            material.certificate = text(certificate)?;
            material.key = Zeroizing::new(text(key)?);
        }
        material.client_ca = plan.client_ca.as_deref().map(text).transpose()?;
        Ok(material)
    })
    .await
}

fn text(path: &Path) -> Result<String, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let what = format!("{bytes} bytes are more than the {FILE_BYTES_MAX} of any PEM file");
        return Err(failed(std::io::Error::other(what)));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// # Errors
/// The texts are not what they should be, or don't belong together.
pub(super) fn server_config(
    env: &Env,
    plan: &TlsPlan,
    material: &Material,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate, key) = match &plan.certificate {
        CertificateSource::Files { certificate, key } => (certificate.clone(), key.clone()),
        CertificateSource::SelfSigned => (PathBuf::from("(own)"), PathBuf::from("(own)")),
    };
    let chain = certificates(&material.certificate)
        .ok_or_else(|| TlsError::Pem { path: certificate.clone(), what: "certificates" })?;
    let pair = pair(chain, &material.key, &key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clock = Arc::new(NodeClock(env.clone()));
    let builder = ServerConfig::builder_with_details(provider.clone(), clock)
        .with_safe_default_protocol_versions()?;
    let builder = match (&plan.client_ca, &material.client_ca) {
        (Some(path), Some(text)) => {
            let required = plan.client_certificates == ClientCertificates::Required;
            builder.with_client_cert_verifier(verifier(path, text, required, provider)?)
        }
        _ => builder.with_no_client_auth(),
    };
    pair.keys_match().map_err(|source| TlsError::Pair { certificate, key, source })?;
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    match plan.client_ca {
        // A certificate is looked at in each handshake, not taken from an earlier one.
        Some(_) => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        None => config.ticketer = aws_lc_rs::Ticketer::new()?,
    }
    Ok(Arc::new(config))
}

/// The key's bytes are gone from our memory when this returns; the library keeps its own.
fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: &Zeroizing<String>,
    path: &Path,
) -> Result<CertifiedKey, TlsError> {
    let failed = || TlsError::Pem { path: path.to_owned(), what: "a private key" };
    let mut secret = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| failed())?;
    let signer = aws_lc_rs::sign::any_supported_type(&secret);
    secret.zeroize();
    Ok(CertifiedKey::new(chain, signer.map_err(|_| failed())?))
}

fn verifier(
    path: &Path,
    text: &str,
    required: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let failed = |reason: &dyn fmt::Display| TlsError::Authorities {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let found = certificates(text)
        .ok_or_else(|| TlsError::Pem { path: path.to_owned(), what: "certificates" })?;
    let mut roots = RootCertStore::empty();
    for certificate in found {
        roots.add(certificate).map_err(|e| failed(&e))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| failed(&e))
}

/// All certificates of a PEM text; `None`: there is none, or one is broken.
fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

/// The time by which client certificates are valid or not.
struct NodeClock(Env);

impl fmt::Debug for NodeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeClock")
    }
}

impl TimeProvider for NodeClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0.now().as_secs())))
    }
}
