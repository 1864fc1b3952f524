//! `millstream iam`: users, access keys, groups, roles and policies of a node or of AWS, and the
//! first administrator of a node.

mod call;
mod init;
mod policies;
mod principals;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::args::Global;
use call::Iam;
use init::InitArgs;
use policies::Policies;
use principals::{Groups, Keys, Roles, Users};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream iam init --data-dir /var/lib/millstream      a key for the administrator
  millstream iam users create ada --policy AmazonKinesisReadOnlyAccess
  millstream iam keys create ada
  millstream iam policies put --user ada put-orders ./put-orders.json
  millstream iam whoami

Credentials come from where the AWS CLI takes them: the file that `init` or the first start wrote can
stand in AWS_SHARED_CREDENTIALS_FILE.")]
pub struct IamArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Make a key for the administrator of a node that does not run
    Init(InitArgs),
    /// Say as whom calls are signed
    Whoami,
    /// List, show, create and delete users
    #[command(subcommand)]
    Users(Users),
    /// List, create, switch off and delete access keys
    #[command(subcommand)]
    Keys(Keys),
    /// List, show, create and delete groups, and who is in them
    #[command(subcommand)]
    Groups(Groups),
    /// List, show, create and delete roles
    #[command(subcommand)]
    Roles(Roles),
    /// List, create and delete policies, and give them to users, groups and roles
    #[command(subcommand)]
    Policies(Policies),
}

/// # Errors
/// The service's, or no connection.
pub async fn run(global: &Global, args: IamArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Init(args) => init::run(global, args).await?,
        Command::Whoami => call::whoami(global).await?,
        Command::Users(command) => command.run(&Iam::new(global).await?).await?,
        Command::Keys(command) => command.run(&Iam::new(global).await?).await?,
        Command::Groups(command) => command.run(&Iam::new(global).await?).await?,
        Command::Roles(command) => command.run(&Iam::new(global).await?).await?,
        Command::Policies(command) => command.run(&Iam::new(global).await?).await?,
    }
    Ok(ExitCode::SUCCESS)
}
