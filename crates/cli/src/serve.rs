//! `millstream serve`: a node in this process, until a signal.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use millstream_server::config::overrides_from_env;
use millstream_server::{Config, Node, Override, RunningNode};
use serde_json::json;

use crate::args::{DEFAULT_PORT, Global, Output};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream serve                                      data in ./millstream-data
  millstream serve --tls-self-signed                    https, for trials
  millstream serve --ephemeral --listen 127.0.0.1:0     for tests: a free port, nothing kept
  millstream serve --config node.toml                   for other machines: see docs/security.md
  millstream serve --print-config > node.toml

Settings come from the file, then MILLSTREAM_<SECTION>__<KEY> variables, then these options; the
last one wins. Ctrl-C and SIGTERM let running requests finish, then end with exit code 0.")]
pub struct ServeArgs {
    /// Where everything that must last is kept [default: millstream-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Address and port; port 0 takes a free one. May be given several times [default:
    /// 127.0.0.1:4567]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,

    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Keep nothing: a temporary directory, and no waiting for the disk
    #[arg(long)]
    ephemeral: bool,

    /// Speak TLS with a certificate of the node's own authority, for trials; the start-up text names
    /// the file that clients must trust
    #[arg(long)]
    tls_self_signed: bool,

    /// Speak TLS with the certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls_self_signed")]
    tls_certificate: Option<PathBuf>,

    /// The certificate's private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Let in anyone, with any credentials, on addresses that other machines can reach
    #[arg(long)]
    insecure: bool,

    /// Print the settings in effect, with comments, and end
    #[arg(long)]
    print_config: bool,
}

impl ServeArgs {
    fn overrides(&self) -> Vec<Override> {
        let mut found = overrides_from_env(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        for (option, key, path) in [
            ("--data-dir", "server.data_dir", &self.data_dir),
            ("--tls-certificate", "tls.certificate", &self.tls_certificate),
            ("--tls-key", "tls.key", &self.tls_key),
        ] {
            if let Some(path) = path {
                found.push(Override::new(option, key, quoted(&path.to_string_lossy())));
            }
        }
        if !self.listen.is_empty() {
            let all: Vec<String> = self.listen.iter().map(|a| quoted(&a.to_string())).collect();
            let text = format!("[{}]", all.join(", "));
            found.push(Override::new("--listen", "server.listen", text));
        }
        for (option, key, given) in [
            ("--ephemeral", "server.ephemeral", self.ephemeral),
            ("--tls-self-signed", "tls.self_signed", self.tls_self_signed),
            ("--insecure", "auth.insecure", self.insecure),
        ] {
            if given {
                found.push(Override::new(option, key, "true"));
            }
        }
        found
    }
}

/// A TOML string: a path named `true` or `5` stays a path.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// # Errors
/// Settings that can't be used, a data directory in use or damaged, an address that is taken.
pub async fn run(global: &Global, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref(), &args.overrides())?;
    if args.print_config {
        print!("{}", config.print());
        return Ok(ExitCode::SUCCESS);
    }
    millstream_server::logging::start(&config.logging)?;
    if !config.server.core_files {
        keep_memory_private().context("forbidding core files (server.core_files)")?;
    }
    let region = config.server.region.clone();
    let node = Node::start(config).await?;
    let signals = node.signals().context("signals can't be listened for")?;
    announce(global.output, &node, &region).context("standard output")?;
    node.run_until(signals).await;
    Ok(ExitCode::SUCCESS)
}

/// No core file of this process, and no look into its memory: records and keys are in there.
fn keep_memory_private() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit does not hold for systems that pipe core files to a program; this does.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

fn announce(format: Output, node: &RunningNode, region: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = match format {
        Output::Json => json!({
            "endpoint": node.endpoint(),
            "listen": node.addrs(),
            "ca_file": node.ca_file(),
            "data_dir": node.data_dir(),
            "ephemeral": node.is_ephemeral(),
            "recovered": node.recovery(),
            "pid": std::process::id(),
        })
        .to_string(),
        Output::Text => welcome(node, region),
    };
    // Whoever started us may not listen any more; that is no reason not to serve.
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e),
        _ => Ok(()),
    }
}

fn welcome(node: &RunningNode, region: &str) -> String {
    let endpoint = node.endpoint();
    let kept = if node.is_ephemeral() { " (thrown away at exit)" } else { "" };
    let mut facts = format!(
        "endpoint   {endpoint}\ndata       {}{kept}\nrecovered  {}",
        node.data_dir().display(),
        node.recovery()
    );
    let mut keys = match node.openness() {
        Some(_) => "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test",
        None => "AWS_PROFILE=YOURS",
    }
    .to_owned();
    if let Some(file) = node.admin_key_file() {
        let file = file.display();
        facts += &format!("\nadmin key  {file} (export AWS_SHARED_CREDENTIALS_FILE to it)");
        keys = format!("AWS_SHARED_CREDENTIALS_FILE={file}");
    }
    if let Some(file) = node.ca_file() {
        facts += &format!("\nCA file    {} (export AWS_CA_BUNDLE to it)", file.display());
        keys = format!("AWS_CA_BUNDLE={} {keys}", file.display());
    }
    if let Some(openness) = node.openness() {
        facts += &format!("\naccess     {openness}");
    }
    let option = match (node.addr().port(), endpoint.starts_with("https:")) {
        (DEFAULT_PORT, false) => String::new(),
        _ => format!(" --endpoint-url {endpoint}"),
    };
    let bold = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    format!(
        "{}Millstream {}{}\n{facts}\n\nTry:
  {keys} aws kinesis list-streams --region {region} --endpoint-url {endpoint}
  {keys} python3 -c \"import boto3; print(boto3.client('kinesis', \
endpoint_url='{endpoint}', region_name='{region}').list_streams()['StreamNames'])\"
  millstream streams create orders{option} && millstream put orders hello{option} && millstream \
tail orders{option}\n",
        bold.0,
        env!("CARGO_PKG_VERSION"),
        bold.1,
    )
}
