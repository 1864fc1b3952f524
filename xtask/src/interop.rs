//! `cargo xtask interop`: real clients and consumer software whose set-up is heavy: SDKs of other
//! languages, the Java KCL, Flink, and more.
//!
//! Each has a black-box test of its own that builds its program (`conformance/java`, `conformance/go`,
//! `conformance/consumers`) with that ecosystem's tool and drives it. A missing tool fails a build server
//! and is a visible skip elsewhere.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::peers::Consumers;
use crate::run;

/// Run the tests with heavy real clients: SDKs, the KCL, Flink
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask interop            all of them
  cargo xtask interop java       only the Java SDK; needs a JDK and maven
  cargo xtask interop go         only the Go SDK; needs go
  cargo xtask interop encryption the AWS Encryption SDK for Java; needs a JDK and maven
  cargo xtask interop kcl flink  the Java KCL and Flink's connectors; need a JDK and maven")]
pub struct Args {
    /// Only these clients
    #[arg(value_name = "NAME")]
    names: Vec<Client>,
}

impl Args {
    /// Sets up and runs each client; all are tried before a failure is returned.
    pub fn run(self) -> Result<()> {
        let mut asked = self.names;
        if asked.is_empty() {
            let all = Client::value_variants().iter().copied();
            asked.extend(all.filter(|client| *client != Client::Terraform));
        }
        run::step("build", || run::run(&mut run::cargo_test(["--no-run", "--quiet"])))?;
        let mut failed = vec![];
        for client in asked {
            if let Err(error) = client.run() {
                println!("error: {error:#}");
                failed.push(client.plan().name);
            }
        }
        if !failed.is_empty() {
            bail!("interop failed with {}", failed.join(", "));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// AWS SDK for Java v2, sync and async
    Java,
    /// AWS SDK for Go v2
    Go,
    /// Terraform's AWS provider, for identities; only if named, as no package registry has it
    Terraform,
    /// The official KCL for Java, polling and fan-out
    Kcl,
    /// Flink's Kinesis sources and sink on a mini cluster
    Flink,
    /// vmware-go-kcl-v2
    GoKcl,
    /// kcl-rs, a KCL in Rust with Python bindings
    KclRs,
    /// async-kinesis for Python (also an ordinary test)
    AsyncKinesis,
    /// lifion-kinesis for Node
    Lifion,
    /// The AWS Encryption SDK for Java
    Encryption,
}

/// What a client's test needs.
struct Plan {
    /// Its word on the command line and in `MILLSTREAM_INTEROP`.
    name: &'static str,
    /// The test program.
    test: &'static str,
    /// Programs on the search path.
    tools: &'static [&'static str],
    /// Whether it is consumer software, which needs a DynamoDB.
    consumes: bool,
}

impl Client {
    fn plan(self) -> Plan {
        let (name, test, tools, consumes): (_, _, &'static [_], _) = match self {
            Client::Java => ("java", "interop_java", &["java", "mvn"], false),
            Client::Go => ("go", "interop_go", &["go"], false),
            Client::Terraform => ("terraform", "identity", &["terraform"], false),
            Client::Kcl => ("kcl", "interop_kcl", &["java", "mvn"], true),
            Client::Flink => ("flink", "interop_flink", &["java", "mvn"], true),
            Client::GoKcl => ("go-kcl", "interop_go_kcl", &["go"], true),
            Client::KclRs => ("kcl-rs", "interop_kcl_rs", &["python3"], true),
            Client::AsyncKinesis => ("async-kinesis", "async_kinesis", &["python3"], true),
            Client::Encryption => ("encryption", "interop_encryption", &["java", "mvn"], false),
            Client::Lifion => ("lifion", "interop_lifion", &["python3", "node", "npm"], true),
        };
        Plan { name, test, tools, consumes }
    }

    fn run(self) -> Result<()> {
        let Plan { name, test, tools, consumes } = self.plan();
        let missing = tools.iter().find(|tool| run::which(tool).is_none());
        if let Some(tool) = missing {
            if run::on_ci() {
                bail!("{tool} is not on the search path, and with CI=true it must be");
            }
            println!("==> {name}: SKIPPED, {tool} is not on the search path");
            return Ok(());
        }
        run::step(&format!("interop {name}"), || {
            let mut test = run::cargo_test(["--test", test, "--"]);
            // One program at a time: a virtual machine is enough for a small computer.
            test.args(["--nocapture", "--test-threads=1"]).env("MILLSTREAM_INTEROP", name);
            if consumes {
                test.envs(Consumers::install().vars());
            }
            run::run(test.env("MILLSTREAM_BIN", run::tested_server()))
        })
    }
}
