//! The node: listener, request pipeline, adapters, configuration, composition root, shutdown.
//!
//! ```text
//! listener   accept, HTTP/1.1 or 2, limits
//! router     which service is meant, which operation
//! pipeline   identify -> route -> read body -> authenticate -> decode -> validate -> authorise
//!            -> dispatch -> respond        (one function, read it from top to bottom)
//! services   the only place where AWS's shapes and the engines meet
//! node       opens stores, starts engines, listens, ends in order
//! ```

pub mod access;
pub mod audit;
pub mod auth;
pub mod body;
pub mod call;
pub mod config;
pub mod data_dir;
pub mod dialect;
pub mod front_door;
pub mod gzip;
pub mod ids;
pub mod keys;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod peer;
pub mod pipeline;
mod private_file;
pub mod router;
pub mod sampler;
pub mod services;
pub mod stores;
pub mod tls;

pub use config::{Config, ConfigError, Override};
pub use node::{ADMIN, Node, RunningNode, StartError};
