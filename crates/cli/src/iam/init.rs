//! `millstream iam init`: a key for the administrator of a node that does not run.

use std::path::PathBuf;

use clap::Args;
use millstream_server::Node;
use millstream_server::config::{Config, Override, overrides_from_env};
use serde_json::json;

use crate::args::{Global, Output};
use crate::output;

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream iam init --data-dir /var/lib/millstream
  millstream iam init --config millstream.toml --key-file ./admin.credentials
  AWS_SHARED_CREDENTIALS_FILE=./admin.credentials millstream iam whoami

A node in mode \"iam\" does the same by itself when it starts without any access key. Use this when
the administrator's keys were lost, too: if there are two already, the older one is deleted. The node
must not run, and the root key must be at hand as for `serve`.")]
pub(super) struct InitArgs {
    /// Where the node keeps its data [default: millstream-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The node's TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where the key is written (mode 0600), a credentials file of AWS's tools [default: in the user's
    /// configuration directory]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// The administrator's name
    #[arg(long, default_value = millstream_server::ADMIN)]
    user: String,
}

/// # Errors
/// The directory is in use or damaged, no root key, or the file can't be written.
pub(super) async fn run(global: &Global, args: InitArgs) -> anyhow::Result<()> {
    let mut overrides =
        overrides_from_env(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
    let quoted = |path: &PathBuf| serde_json::Value::from(path.to_string_lossy()).to_string();
    if let Some(dir) = &args.data_dir {
        overrides.push(Override::new("--data-dir", "server.data_dir", quoted(dir)));
    }
    if let Some(file) = &args.key_file {
        overrides.push(Override::new("--key-file", "identity.admin_key_file", quoted(file)));
    }
    let config = Config::load(args.config.as_deref(), &overrides)?;
    let file = Node::make_admin(config, &args.user).await?;
    match global.output {
        Output::Json => output::print_json(&json!({ "user": args.user, "key_file": file })),
        Output::Text => println!(
            "{} may do everything now, with the key in {file}\n\nTry:\n  \
             AWS_SHARED_CREDENTIALS_FILE={file} millstream iam whoami",
            args.user,
            file = file.display()
        ),
    }
    Ok(())
}
