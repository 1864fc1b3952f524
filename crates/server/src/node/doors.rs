//! From the configuration's doors to listeners: sockets first, certificates when the data directory
//! is there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use millstream_env::{Env, Task};
use millstream_policy::{Kind, Policy};
use tokio::sync::Notify;

use super::StartError;
use crate::config::{CertificateSource, Config, DoorPlan, TlsPlan};
use crate::listener::Listener;
use crate::peer::Door;
use crate::tls::{Acceptor, Authority};

/// Longest endpoint policy that is read. Source: VPC endpoint policies, 20,480 characters with
/// blanks; a few times that.
const POLICY_BYTES_MAX: u64 = 64 << 10;

/// Listeners with all that holds at them.
pub(super) struct Doors {
    pub(super) listeners: Vec<Listener>,
    pub(super) certificates: Certificates,
    /// Whether the first listener does.
    pub(super) speaks_tls: bool,
}

/// What keeps the certificates of a running node fresh.
#[derive(Default)]
pub(super) struct Certificates {
    tasks: Vec<(Task, Arc<Notify>)>,
    own: Option<Authority>,
}

/// Takes the addresses: before anything is touched on disk, because an address that is taken is the
/// likeliest mistake.
pub(super) async fn bind(config: &Config) -> Result<Vec<(DoorPlan, Listener)>, StartError> {
    let mut bound = Vec::new();
    for plan in config.doors().map_err(StartError::Doors)? {
        let addr = plan.listen;
        let listener = Listener::bind(addr).await;
        bound.push((plan, listener.map_err(|source| StartError::Listen { addr, source })?));
    }
    Ok(bound)
}

/// Reads or makes what stands at the doors.
pub(super) async fn open(
    env: &Env,
    config: &Config,
    data_dir: &Path,
    bound: Vec<(DoorPlan, Listener)>,
) -> Result<Doors, StartError> {
    let own = match bound.iter().any(|(plan, _)| is_self_signed(plan)) {
        true => Some(authority(env, config, data_dir, &bound).await?),
        false => None,
    };
    let mut acceptors: HashMap<TlsPlan, Arc<Acceptor>> = HashMap::new();
    let mut listeners = Vec::new();
    let speaks_tls = bound.first().is_some_and(|(plan, _)| plan.tls.is_some());
    for (plan, listener) in bound {
        let door = Arc::new(door(env, &plan).await?);
        let acceptor = match plan.tls {
            None => None,
            Some(tls) => Some(match acceptors.get(&tls) {
                Some(known) => known.clone(),
                None => {
                    let (time, people) = (config.tls.handshake_time.0, &config.tls.principals);
                    let made = Acceptor::open(env, tls.clone(), own.as_ref(), time, people).await?;
                    acceptors.insert(tls, made.clone());
                    made
                }
            }),
        };
        listeners.push(listener.with(door, acceptor));
    }
    let interval = config.tls.reload_interval.0;
    let fresh = |acceptor: Arc<Acceptor>| {
        let asked = Arc::new(Notify::new());
        (env.spawn("certificates", acceptor.keep_fresh(interval, asked.clone())), asked)
    };
    let tasks = acceptors.into_values().map(fresh).collect();
    Ok(Doors { listeners, certificates: Certificates { tasks, own }, speaks_tls })
}

fn is_self_signed(plan: &DoorPlan) -> bool {
    plan.tls.as_ref().is_some_and(|tls| tls.certificate == CertificateSource::SelfSigned)
}

async fn authority(
    env: &Env,
    config: &Config,
    data_dir: &Path,
    bound: &[(DoorPlan, Listener)],
) -> Result<Authority, StartError> {
    let listen: Vec<SocketAddr> = bound.iter().map(|(_, listener)| listener.addr()).collect();
    let (dir, names) = (data_dir.to_owned(), config.tls.self_signed_names.clone());
    let now = env.now();
    Ok(env.blocking(move || Authority::open(&dir, &listen, &names, now)).await?)
}

async fn door(env: &Env, plan: &DoorPlan) -> Result<Door, StartError> {
    let policy = match plan.endpoint_policy.clone() {
        Some(text) => Some(policy(env, text).await.map_err(|what| {
            StartError::Doors(format!("listener {}: endpoint_policy: {what}", plan.listen))
        })?),
        None => None,
    };
    Ok(Door { endpoint_id: plan.endpoint_id.clone(), policy })
}

/// The document itself, or that in the file it names.
async fn policy(env: &Env, text: String) -> Result<Arc<Policy>, String> {
    let document = match text.trim_start().starts_with('{') {
        true => text,
        false => env.blocking(move || read(Path::new(&text))).await?,
    };
    Policy::parse(Kind::Endpoint, &document).map(Arc::new).map_err(|fault| fault.to_string())
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |what: &dyn std::fmt::Display| format!("{} can't be read: {what}", path.display());
    let bytes = std::fs::metadata(path).map_err(|e| failed(&e))?.len();
    if bytes > POLICY_BYTES_MAX {
        return Err(failed(&format!("{bytes} bytes are more than {POLICY_BYTES_MAX}")));
    }
    std::fs::read_to_string(path).map_err(|e| failed(&e))
}

impl Certificates {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.own.as_ref().map(Authority::path)
    }

    /// Looks at the files now.
    pub(super) fn reload(&self) {
        for (_, asked) in &self.tasks {
            asked.notify_one();
        }
    }

    pub(super) fn stop(&self) {
        for (task, _) in &self.tasks {
            task.abort();
        }
    }
}
