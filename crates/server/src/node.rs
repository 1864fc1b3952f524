//! The composition root: opens the stores, starts the engine, listens, and ends all of it in order.
//!
//! Start: data directory, log and tables, engine, listeners, ready. End: not ready, stop accepting,
//! let running requests finish within the drain time, stop the engine, close the stores.

mod doors;
mod identities;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_base::Scope;
use millstream_env::{Env, Task};
use millstream_identity::Identities;
use millstream_monitoring::Monitoring;
use millstream_streams::{Ring, Streams};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::audit::Auditor;
use crate::auth::Authenticator;
use crate::body::BodyReader;
use crate::config::{AuthMode, Config};
use crate::ids::RequestIds;
use crate::keys::{Keys, KeysError};
use crate::listener::{Connections, Listener, Phase};
use crate::metrics::{
    AuditFigures, LogFigures, Metrics, MonitoringFigures, QueueFigures, StreamFigures,
};
use crate::pipeline::{AnswerMemory, Pipeline};
use crate::router::Op;
use crate::sampler::Sampler;
use crate::services::cloudtrail::CloudTrail;
use crate::services::cloudwatch::CloudWatch;
use crate::services::iam::Iam;
use crate::services::kinesis::DataStreams;
use crate::services::kms::KeyService;
use crate::services::sts::Sts;
use crate::stores::{Stores, StoresError};
use crate::tls::TlsError;
use doors::Certificates;
pub use identities::ADMIN;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Stores(#[from] StoresError),
    #[error("can't listen on {addr}: {source}")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("can't make a temporary directory: {0}")]
    Temporary(std::io::Error),
    #[error("data streams: {0}")]
    Streams(#[from] millstream_streams::Error),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("metrics: {0}")]
    Monitoring(#[from] millstream_monitoring::Error),
    #[error("audit trail in {dir}: {source}")]
    Audit { dir: String, source: millstream_audit::OpenError },
    #[error("{0}")]
    Setting(String),
    #[error("identities: {0}")]
    Identities(String),
    #[error(transparent)]
    Name(#[from] millstream_base::NameError),
    /// Anyone could do anything from anywhere, and nobody said that this is meant.
    #[error("{0}")]
    Exposed(String),
    #[error("{0}")]
    Doors(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The signals of a process that is a node.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

/// A node that does not run yet.
pub struct Node;

/// A node that answers. Dropping it without [`RunningNode::shutdown`] is like a crash: nothing
/// acknowledged is lost, and the next start reads it back.
pub struct RunningNode {
    env: Env,
    addrs: Vec<SocketAddr>,
    openness: Option<&'static str>,
    data_dir: PathBuf,
    temporary: Option<TemporaryDir>,
    drain_time: Duration,
    pipeline: Arc<Pipeline>,
    connections: Arc<Connections>,
    phase: watch::Sender<Phase>,
    listeners: Vec<Task>,
    certificates: Certificates,
    /// Whether the first address does.
    speaks_tls: bool,
    streams: Streams,
    monitoring: Monitoring,
    identities: identities::Running,
    keys: Keys,
    sampler: Sampler,
    sampling: Task,
    stores: Stores,
    started_in: Duration,
}

impl Node {
    /// Starts a node; it answers when this returns. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: the directory is in use, of another format or damaged, or an address is
    /// taken. Nothing runs then.
    pub async fn start(config: Config) -> Result<RunningNode, StartError> {
        let started = Instant::now();
        config.check_exposure().map_err(StartError::Exposed)?;
        let temporary = match config.server.ephemeral {
            true => Some(TemporaryDir::make().map_err(StartError::Temporary)?),
            false => None,
        };
        let data_dir = match &temporary {
            Some(dir) => dir.0.clone(),
            None => config.server.data_dir.clone(),
        };
        let env = Env::real(&data_dir);
        // Before anything is touched on disk: an address that is taken is the likeliest mistake.
        let listeners = doors::bind(&config).await?;
        let stores = Stores::open(&env, &data_dir, config.log_options()).await?;
        let keys = Keys::open(&env, &config, stores.meta.clone()).await?;
        let options = millstream_streams::Options {
            key_ring: Ring(keys.ring.clone()),
            ..config.streams_options()
        };
        let log = Arc::new(stores.log.clone());
        let streams = Streams::new(env.clone(), log, stores.meta.clone(), options).await?;
        let monitoring = Monitoring::open(
            env.clone(),
            Arc::new(stores.log.clone()),
            stores.meta.clone(),
            config.monitoring_options(),
        )
        .await?;
        let interval = config.monitoring.flush_interval.0;
        let sampler = Sampler::new(env.clone(), streams.clone(), monitoring.clone(), interval);
        let root = keys.root.clone();
        let identities = identities::open(&env, &config, stores.meta.clone(), root).await?;
        let engines = Engines {
            streams: &streams,
            monitoring: &monitoring,
            identities: &identities.engine,
            keys: &keys,
        };
        let ids = Arc::new(RequestIds::new(&env));
        let auditor = auditor(&env, &config, &data_dir, &streams, ids.clone()).await?;
        let pipeline = Arc::new(pipeline(&env, &config, engines, &stores, ids, auditor)?);
        let (phase, watched) = watch::channel(Phase::Serving);
        let connections =
            Connections::new(env.clone(), config.limits.clone(), pipeline.clone(), watched);
        let doors = doors::open(&env, &config, &data_dir, listeners).await?;
        let addrs = doors.listeners.iter().map(Listener::addr).collect();
        let listeners = doors
            .listeners
            .into_iter()
            .map(|listener| env.spawn("listener", listener.run(connections.clone())))
            .collect();
        pipeline.ready.store(true, Ordering::Relaxed);
        let sampling = env.spawn("sampler", sampler.clone().run());
        let node = RunningNode {
            openness: openness(&config),
            env,
            addrs,
            data_dir,
            temporary,
            drain_time: config.server.drain_time.0,
            pipeline,
            connections,
            phase,
            listeners,
            certificates: doors.certificates,
            speaks_tls: doors.speaks_tls,
            streams,
            monitoring,
            identities,
            keys,
            sampler,
            sampling,
            stores,
            started_in: started.elapsed(),
        };
        node.announce();
        Ok(node)
    }
}

impl Node {
    /// Gives a node that does not run an administrator with a new key, and returns the file that has
    /// it. The oldest key of one who has two is deleted.
    ///
    /// # Errors
    /// The directory is in use or damaged, there is no root key, or the file can't be written.
    pub async fn make_admin(config: Config, user: &str) -> Result<PathBuf, StartError> {
        let env = Env::real(&config.server.data_dir);
        let stores = Stores::open(&env, &config.server.data_dir, config.log_options()).await?;
        let made = identities::make_admin_in(&env, &config, &stores, user).await;
        stores.close().await;
        made
    }
}

/// The keeper of the audit trail, if there is to be one.
async fn auditor(
    env: &Env,
    config: &Config,
    data_dir: &Path,
    streams: &Streams,
    ids: Arc<RequestIds>,
) -> Result<Option<Arc<Auditor>>, StartError> {
    if !config.audit.enabled {
        return Ok(None);
    }
    let failed = |source| StartError::Audit { dir: data_dir.display().to_string(), source };
    let trail = Stores::audit_env(env, data_dir).await.map_err(|error| failed(error.into()))?;
    let sync = config.storage.sync && !config.server.ephemeral;
    let opened = Auditor::open(trail, &config.audit, sync, ids).await;
    let (mut auditor, repair) = opened.map_err(failed)?;
    if let Some(repair) = repair {
        let (file, bytes, lines) = (&repair.file, repair.bytes, repair.lines);
        let kept = &repair.kept_as;
        tracing::warn!(
            file,
            bytes,
            lines,
            kept,
            "the audit trail had a torn end, cut off and kept"
        );
    }
    let head = auditor.recorder().head();
    tracing::info!(entries = head.n, hash = %head.hash, "the audit trail goes on");
    let account = millstream_base::AccountId::new(&config.server.account)?;
    let home = Scope::new(account, millstream_base::Region::new(&config.server.region)?);
    auditor.deliver(streams, home).map_err(StartError::Setting)?;
    Ok(Some(Arc::new(auditor)))
}

/// What answers requests in the end.
struct Engines<'a> {
    streams: &'a Streams,
    monitoring: &'a Monitoring,
    identities: &'a Identities,
    keys: &'a Keys,
}

/// The way of every request, with all it needs.
fn pipeline(
    env: &Env,
    config: &Config,
    engines: Engines<'_>,
    stores: &Stores,
    ids: Arc<RequestIds>,
    auditor: Option<Arc<Auditor>>,
) -> Result<Pipeline, StartError> {
    let Engines { streams, monitoring, identities, keys } = engines;
    let metrics = Arc::new(Metrics::new(Op::names()));
    metrics.add(LogFigures(stores.log.clone()));
    metrics.add(StreamFigures(streams.clone()));
    metrics.add(QueueFigures(streams.clone()));
    metrics.add(MonitoringFigures(monitoring.clone()));
    if let Some(auditor) = &auditor {
        metrics.add(AuditFigures(auditor.clone()));
    }
    Ok(Pipeline {
        env: env.clone(),
        ids,
        bodies: BodyReader::new(&config.limits),
        answers: AnswerMemory::new(&config.limits),
        authenticator: Authenticator::new(&config.server, &config.auth, identities.clone())?,
        kinesis: DataStreams::new(streams.clone()),
        cloudwatch: CloudWatch::new(env.clone(), monitoring.clone()),
        iam: Iam::new(identities.clone()),
        sts: Sts::new(env.clone(), identities.clone()),
        kms: KeyService::new(keys.kms.clone()),
        cloudtrail: CloudTrail::new(env.clone(), auditor.clone()),
        auditor,
        metrics,
        slow_request_time: config.logging.slow_request_time.0,
        ready: AtomicBool::new(false),
    })
}

/// What to know about a node that lets in anyone.
fn openness(config: &Config) -> Option<&'static str> {
    match (config.auth.mode, config.auth.insecure) {
        (AuthMode::Any, false) => Some("any credentials are accepted; only this machine can call"),
        (AuthMode::Any, true) => Some("any credentials are accepted, from anywhere: --insecure"),
        _ => None,
    }
}

impl RunningNode {
    /// The first address that the node listens on, with its real port.
    pub fn addr(&self) -> SocketAddr {
        self.addrs[0]
    }

    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// `http://127.0.0.1:4567`, of the first address; one that means "everywhere" is shown as the
    /// loopback address, which can be called.
    pub fn endpoint(&self) -> String {
        let mut addr = self.addr();
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if self.speaks_tls { "https" } else { "http" };
        format!("{scheme}://{addr}")
    }

    /// The file that clients must trust (`AWS_CA_BUNDLE`), of a node with its own authority.
    pub fn ca_file(&self) -> Option<&Path> {
        self.certificates.ca_file()
    }

    /// What a start should say about who may call, if it is anyone.
    pub fn openness(&self) -> Option<&'static str> {
        self.openness
    }

    /// Where the key of the first administrator was written, if this start made it.
    pub fn admin_key_file(&self) -> Option<&Path> {
        self.identities.admin_key_file.as_deref()
    }

    /// Looks at the files of certificates and identities now.
    pub fn reload(&self) {
        self.certificates.reload();
        self.identities.reload();
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Whether everything is thrown away at the end.
    pub fn is_ephemeral(&self) -> bool {
        self.temporary.is_some()
    }

    /// One line about what the start found in the data directory.
    pub fn recovery(&self) -> String {
        match self.stores.recovery.created {
            true => "new data directory".to_owned(),
            false => self.stores.recovery.to_string(),
        }
    }

    /// The way of requests, for callers without a socket: tests, fuzzers, the console.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.connections.open()
    }

    /// Subscriptions to shards open now.
    pub fn subscription_count(&self) -> usize {
        self.streams.subscription_count()
    }

    fn announce(&self) {
        let endpoint = self.endpoint();
        let recovered = self.recovery();
        let took_ms = self.started_in.as_millis() as u64;
        let data_dir = self.data_dir.display();
        if self.is_ephemeral() {
            tracing::warn!(
                %data_dir,
                "ephemeral: all data is thrown away at exit, and nothing waits for the disk"
            );
        }
        if let Some(openness) = self.openness {
            tracing::warn!("{openness}");
        }
        if let Some(file) = self.ca_file() {
            tracing::info!(file = %file.display(), "clients must trust this authority");
        }
        tracing::info!(endpoint, %data_dir, recovered, took_ms, "ready");
    }

    /// Ends the node in order; `true` if all requests could finish within the drain time.
    ///
    /// Everything acknowledged is on disk before, during and after this, however it ends.
    pub async fn shutdown(mut self) -> bool {
        self.pipeline.ready.store(false, Ordering::Relaxed);
        let _ = self.phase.send(Phase::Draining);
        self.streams.stop_waiting();
        self.streams.end_subscriptions();
        for listener in self.listeners.drain(..) {
            listener.join().await;
        }
        let drained = tokio::time::timeout(self.drain_time, self.connections.all_closed()).await;
        if drained.is_err() {
            let open = self.connections.open();
            tracing::warn!(open, drain_time = ?self.drain_time, "connections are cut");
        }
        let _ = self.phase.send(Phase::Closing);
        // Cut connections let go of their requests at once.
        let _ = tokio::time::timeout(CLOSING_TIME, self.connections.all_closed()).await;
        if let Some(auditor) = &self.pipeline.auditor {
            auditor.close().await;
        }
        self.sampling.abort();
        self.certificates.stop();
        self.streams.shutdown().await;
        self.sampler.sample();
        self.monitoring.shutdown().await;
        self.identities.stop().await;
        self.keys.kms.shutdown().await;
        self.stores.close().await;
        if let Some(dir) = self.temporary.take() {
            self.env.blocking(move || drop(dir)).await;
        }
        tracing::info!("stopped");
        drained.is_ok()
    }

    /// Takes over the process's signals. To be called before anyone is told that the node runs: who
    /// is told may stop it.
    ///
    /// # Errors
    /// The signals can't be listened for.
    pub fn signals(&self) -> std::io::Result<Signals> {
        // Only a node with files to look at takes over SIGHUP, which else ends a process.
        let hangup = match self.certificates.is_empty() && self.identities.is_undeclared() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        let terminate = signal(SignalKind::terminate())?;
        Ok(Signals { terminate, interrupt: signal(SignalKind::interrupt())?, hangup })
    }

    /// Runs until SIGTERM or Ctrl-C, then ends in order; SIGHUP is [`RunningNode::reload`]. A second
    /// signal ends the process at once with exit code 130.
    pub async fn run_until(self, signals: Signals) {
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        let name = loop {
            tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "SIGINT",
                Some(_) = async { hangup.as_mut()?.recv().await } => self.reload(),
            }
        };
        let drain_time = self.drain_time;
        tracing::info!(signal = name, ?drain_time, "stopping");
        tokio::select! {
            _ = self.shutdown() => {}
            _ = async { tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} } } => {
                tracing::warn!("stopped at the second signal; the next start recovers");
                std::process::exit(EXIT_INTERRUPTED)
            }
        }
    }
}

/// How long cut connections may take to let go.
const CLOSING_TIME: Duration = Duration::from_secs(1);
/// As shells report an end by SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// A directory of this process's own, removed with all it holds when dropped.
struct TemporaryDir(PathBuf);

impl TemporaryDir {
    fn make() -> std::io::Result<Self> {
        let base = std::env::temp_dir();
        for attempt in 0..TEMPORARY_ATTEMPTS {
            let name = format!("millstream-{}-{attempt}", std::process::id());
            let dir = base.join(name);
            match std::fs::create_dir(&dir) {
                Ok(()) => return Ok(TemporaryDir(dir)),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(std::io::Error::other("all names are taken"))
    }
}

/// Names tried: as many nodes of one process can be ephemeral at once.
const TEMPORARY_ATTEMPTS: u32 = 1000;

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "the temporary directory remains");
        }
    }
}
