//! The engine over the embedded stores, as tests of crashes start it.

use std::path::Path;
use std::sync::Arc;

use millstream_env::Env;
use millstream_log::EmbeddedLog;
use millstream_meta::RedbMeta;
use millstream_streams::{Options, Streams};

pub struct Node {
    pub streams: Streams,
    pub log: EmbeddedLog,
}

pub async fn start(env: Env) -> Result<Node, String> {
    let opened = EmbeddedLog::open(env.clone(), millstream_log::Options::tiny()).await;
    let (log, _) = opened.map_err(|e| e.to_string())?;
    let meta = RedbMeta::open(env.clone(), Path::new("meta/meta.redb")).await;
    let meta = Arc::new(meta.map_err(|e| e.to_string())?);
    let streams = Streams::new(env, Arc::new(log.clone()), meta, Options::default()).await;
    Ok(Node { streams: streams.map_err(|e| e.to_string())?, log })
}
