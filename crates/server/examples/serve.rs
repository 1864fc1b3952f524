//! A node from the command line, as plain as can be: `serve [config.toml]`.
//!
//! The product's own command is `millstream serve`; this one is for trying the library.

use millstream_server::config::overrides_from_env;
use millstream_server::{Config, Node, logging};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).map(std::path::PathBuf::from);
    let config = Config::load(file.as_deref(), &overrides_from_env(std::env::vars()))?;
    logging::start(&config.logging)?;
    let node = Node::start(config).await?;
    let signals = node.signals()?;
    node.run_until(signals).await;
    Ok(())
}
