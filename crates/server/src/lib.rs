//! The node: listener, request pipeline, adapters, configuration, composition root, shutdown.

pub mod body;
pub mod config;
pub mod data_dir;
pub mod ids;

pub use config::{Config, ConfigError, Override};
