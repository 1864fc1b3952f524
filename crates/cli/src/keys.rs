//! `millstream keys`: the root key of a data directory, and who holds it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use millstream_env::Env;
use millstream_keyring::{
    Holder, HolderOptions, HolderSpec, Make, NodeRoot, default_path, describe, make_file,
};
use millstream_meta::RedbMeta;
use millstream_secrets::RootSource;
use millstream_server::{Config, data_dir};
use serde_json::json;

use crate::args::{Global, Output};
use crate::output;

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream keys new /etc/millstream/root.key
  millstream keys show file:/etc/millstream/root.key
  millstream keys status --data-dir /var/lib/millstream
  millstream keys rotate --data-dir /var/lib/millstream \\
      --from file:/etc/millstream/root.key --to file:/etc/millstream/new.key

What is secret in a data directory is sealed under its root key, which is in it only wrapped by a
holder: file:PATH, env:NAME, command:LINE, aws-kms:KEY or vault:KEY. Nothing of a key is printed.")]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum KeysCommand {
    /// Make a new key in a new file that only you can read
    New {
        /// [default: millstream/root.key in your directory for configuration]
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
    },
    /// Print the fingerprint of a holder's key
    Show {
        /// [default: the file that a node takes by itself]
        #[arg(value_name = "HOLDER", default_value = "")]
        holder: HolderSpec,
    },
    /// Tell who holds the root key of a data directory; the node must be stopped
    Status(DataDir),
    /// Let another holder hold the root key of a data directory; the node must be stopped
    Rotate {
        #[command(flatten)]
        dir: DataDir,
        /// Who holds it now
        #[arg(long, value_name = "HOLDER")]
        from: HolderSpec,
        /// Who shall hold it; a file is made if it is not there
        #[arg(long, value_name = "HOLDER")]
        to: HolderSpec,
        /// The node's settings, for how AWS KMS or Vault is reached
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Args, Clone, Debug)]
struct DataDir {
    /// The data directory of a node
    #[arg(long, value_name = "DIR", default_value = "millstream-data")]
    data_dir: PathBuf,
}

const FORMAT_FILE: &str = "FORMAT";
const META_FILE: &str = "meta/meta.redb";

/// # Errors
/// A file that is there already, a holder that holds no key, a directory in use.
pub async fn run(global: &Global, args: KeysArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        KeysCommand::New { path } => new(global, path)?,
        KeysCommand::Show { holder } => show(global, &holder).await?,
        KeysCommand::Status(dir) => status(global, &dir.data_dir).await?,
        KeysCommand::Rotate { dir, from, to, config } => {
            let config = Config::load(config.as_deref(), &[])?;
            rotate(global, &dir.data_dir, from, to, config.keys.holder_options()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new(global: &Global, path: Option<PathBuf>) -> anyhow::Result<()> {
    let no_place = || "neither XDG_CONFIG_HOME nor HOME is set: give a path";
    let path = path.or_else(default_path).with_context(no_place)?;
    if path.exists() {
        bail!("{} is there already; sealed data may need it", path.display());
    }
    let fingerprint = make_file(&path)?.fingerprint().to_string();
    let place = path.display().to_string();
    match global.output {
        Output::Json => output::print_json(&json!({ "file": place, "fingerprint": fingerprint })),
        Output::Text => println!(
            "{place}\nfingerprint {fingerprint}\nKeep a copy elsewhere: what a node seals is lost without it."
        ),
    }
    Ok(())
}

async fn show(global: &Global, spec: &HolderSpec) -> anyhow::Result<()> {
    let holder = Holder::open(spec, &HolderOptions::default(), Make::Never).await?;
    print_holder(global, &holder.id());
    Ok(())
}

async fn status(global: &Global, dir: &Path) -> anyhow::Result<()> {
    let (meta, _lock) = open(dir).await?;
    let held = describe(&*meta).await;
    meta.close().await;
    print_holder(global, &held?.unwrap_or_else(|| "nobody: nothing is sealed".to_owned()));
    Ok(())
}

async fn rotate(
    global: &Global,
    dir: &Path,
    from: HolderSpec,
    to: HolderSpec,
    options: HolderOptions,
) -> anyhow::Result<()> {
    let (meta, _lock) = open(dir).await?;
    let rotated = async {
        if describe(&*meta).await?.is_none() {
            bail!("nothing is sealed in {}: set [keys] root, that is all", dir.display());
        }
        NodeRoot::new(meta.clone(), to.clone(), vec![from], options).fetch().await?;
        Ok(describe(&*meta).await?.unwrap_or_default())
    };
    let held = rotated.await;
    meta.close().await;
    print_holder(global, &held?);
    if global.output == Output::Text {
        println!("Set [keys] root = \"{to}\" before the node is started.");
    }
    Ok(())
}

fn print_holder(global: &Global, id: &str) {
    match global.output {
        Output::Json => output::print_json(&json!({ "holder": id })),
        Output::Text => println!("held by {id}"),
    }
}

/// The tables of a stopped node, and its lock.
async fn open(dir: &Path) -> anyhow::Result<(Arc<RedbMeta>, data_dir::DataDirLock)> {
    // Claiming a directory marks it as ours; a typing error must not do that.
    if !dir.join(FORMAT_FILE).is_file() {
        bail!("{} is not a millstream data directory: it has no {FORMAT_FILE}", dir.display());
    }
    let env = Env::real(dir);
    let (disk, name) = (env.disk.clone(), dir.to_owned());
    let lock = env.blocking(move || data_dir::claim(&*disk, &name)).await?;
    let meta = RedbMeta::open(env, Path::new(META_FILE)).await?;
    Ok((Arc::new(meta), lock))
}
