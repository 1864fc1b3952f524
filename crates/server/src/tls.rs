//! TLS for listeners: certificates from files or of the node's own making, replaced while it runs.
//!
//! ```text
//! plan --Acceptor::open--> Acceptor --accept(stream)--> encrypted stream + TlsFacts
//!                             ^ reload(): when the files changed; connections stay as they are
//! ```
//!
//! Promises: a new certificate holds from the next handshake on and no connection is dropped for
//! it; files that can't be used are reported and the old certificate stays.
//!
//! Never does: store a private key anywhere but in the one directory of `--tls-self-signed`.

mod facts;
mod files;
mod names;
mod self_signed;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millstream_env::Env;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{CertificatePrincipal, CertificateSource, TlsPlan};
use crate::peer::TlsFacts;
use files::Material;

pub use names::names_of;
pub use self_signed::{Authority, CA_FILE};

/// The HTTP versions that are offered, the better one first (ALPN).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} can't be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} can't be written: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is no PEM file with {what}")]
    Pem { path: PathBuf, what: &'static str },
    #[error("certificate {certificate} and key {key} can't be used: {source}")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("the authorities in {path} can't be used: {reason}")]
    Authorities { path: PathBuf, reason: String },
    #[error("a certificate can't be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("TLS can't be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// What holds for the handshakes of some listeners.
pub struct Acceptor {
    env: Env,
    plan: TlsPlan,
    handshake_time: Duration,
    principals: Vec<(String, Arc<str>)>,
    current: Mutex<Arc<ServerConfig>>,
    /// What comes from no file.
    made: Material,
    /// What the files held when they were last looked at, good or bad; `None`: they could not be
    /// read.
    seen: Mutex<Option<Material>>,
}

impl Acceptor {
    /// Reads the certificates of `plan`; `own` makes those that come from no file.
    ///
    /// # Errors
    /// [`TlsError`], with the file.
    pub async fn open(
        env: &Env,
        plan: TlsPlan,
        own: Option<&Authority>,
        handshake_time: Duration,
        principals: &[CertificatePrincipal],
    ) -> Result<Arc<Acceptor>, TlsError> {
        let made = match (&plan.certificate, own) {
            (CertificateSource::SelfSigned, Some(own)) => own.material(env.now())?,
            _ => Material::default(),
        };
        let material = files::read(env, &plan, made.clone()).await?;
        let config = files::server_config(env, &plan, &material)?;
        let principals =
            principals.iter().map(|p| (p.name.clone(), p.principal.as_str().into())).collect();
        Ok(Arc::new(Acceptor {
            env: env.clone(),
            plan,
            handshake_time,
            principals,
            current: Mutex::new(config),
            made,
            seen: Mutex::new(Some(material)),
        }))
    }

    /// The handshake.
    ///
    /// # Errors
    /// The client speaks no TLS, offers nothing that is spoken here, has no certificate where one is
    /// required, or takes longer than the time for it.
    pub async fn accept<S>(&self, stream: S) -> io::Result<(TlsStream<S>, TlsFacts)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.current.lock().clone();
        let time = self.handshake_time;
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(time, handshake).await.map_err(|_| {
            let what = format!("the handshake took longer than {time:?}");
            io::Error::new(io::ErrorKind::TimedOut, what)
        })??;
        let facts = facts::of(stream.get_ref().1, &self.principals);
        Ok((stream, facts))
    }

    /// Looks at the files; whether new handshakes get another certificate or other authorities from
    /// now on.
    ///
    /// # Errors
    /// The files changed to something that can't be used; what was there before goes on. The same
    /// files are not reported twice.
    pub async fn reload(&self) -> Result<bool, TlsError> {
        let material = match files::read(&self.env, &self.plan, self.made.clone()).await {
            Ok(material) => material,
            Err(error) => {
                let known = self.seen.lock().take();
                return if known.is_none() { Ok(false) } else { Err(error) };
            }
        };
        let known = self.seen.lock().replace(material.clone());
        if known.as_ref() == Some(&material) {
            return Ok(false);
        }
        *self.current.lock() = files::server_config(&self.env, &self.plan, &material)?;
        Ok(true)
    }

    /// [`Acceptor::reload`] now and then, and when `asked`, until the task is aborted.
    pub async fn keep_fresh(self: Arc<Self>, interval: Duration, asked: Arc<Notify>) {
        loop {
            tokio::select! {
                () = self.env.sleep(interval.max(RELOAD_INTERVAL_MIN)) => {}
                () = asked.notified() => {}
            }
            match self.reload().await {
                Ok(true) => tracing::info!("new TLS certificates are in use"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "TLS files changed and can't be used; the old stay");
                }
            }
        }
    }
}

/// The files are small, but not for nothing.
const RELOAD_INTERVAL_MIN: Duration = Duration::from_millis(100);
