//! Policies, and who has them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::call::{Iam, decoded, policy_arn};

#[derive(Subcommand, Clone, Debug)]
pub(super) enum Policies {
    /// List managed policies
    List {
        /// Those of the account only
        #[arg(long)]
        own: bool,
    },
    /// Show the document of a managed policy
    Show { name: String },
    /// Create a managed policy
    #[command(after_help = "Examples:
  millstream iam policies create read-orders ./read-orders.json")]
    Create {
        name: String,
        /// A JSON file
        document: PathBuf,
    },
    /// Delete a managed policy that nobody has
    Delete { name: String },
    /// Give a managed policy to a user, group or role
    #[command(after_help = "Examples:
  millstream iam policies attach --user ada AmazonKinesisReadOnlyAccess")]
    Attach {
        #[command(flatten)]
        holder: Holder,
        policy: String,
    },
    /// Take a managed policy from a user, group or role
    Detach {
        #[command(flatten)]
        holder: Holder,
        policy: String,
    },
    /// Set an inline policy of a user, group or role
    #[command(after_help = "Examples:
  millstream iam policies put --role reader read-orders ./read-orders.json")]
    Put {
        #[command(flatten)]
        holder: Holder,
        name: String,
        /// A JSON file
        document: PathBuf,
    },
    /// Remove an inline policy of a user, group or role
    Remove {
        #[command(flatten)]
        holder: Holder,
        name: String,
    },
}

/// Whose policy.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Holder {
    #[arg(long)]
    user: Option<String>,
    #[arg(long)]
    group: Option<String>,
    #[arg(long)]
    role: Option<String>,
}

impl Holder {
    /// `User` and the name.
    fn parts(&self) -> (&'static str, &str) {
        match (&self.user, &self.group, &self.role) {
            (Some(name), _, _) => ("User", name),
            (_, Some(name), _) => ("Group", name),
            (_, _, name) => ("Role", name.as_deref().unwrap_or_default()),
        }
    }
}

impl Policies {
    /// # Errors
    /// The service's, no connection, or a file that can't be read.
    pub(super) async fn run(self, iam: &Iam) -> anyhow::Result<()> {
        match self {
            Policies::List { own } => {
                let scope = if own { "Local" } else { "All" };
                let all = iam.list("ListPolicies", "Policies", &[("Scope", scope)]).await?;
                let columns =
                    [("NAME", "PolicyName"), ("ARN", "Arn"), ("ATTACHED", "AttachmentCount")];
                iam.show_list("Policies", &all, columns);
            }
            Policies::Show { name } => {
                let arn = policy_arn(iam, &name).await?;
                let policy = iam.call("GetPolicy", &[("PolicyArn", &arn)]).await?;
                let policy = policy.child("Policy").context("no policy in the answer")?;
                let version = policy.text_of("DefaultVersionId");
                let parameters = [("PolicyArn", arn.as_str()), ("VersionId", version)];
                let version = iam.call("GetPolicyVersion", &parameters).await?;
                let version = version.child("PolicyVersion").context("no version in the answer")?;
                println!("{}", decoded(version.text_of("Document")));
            }
            Policies::Create { name, document } => {
                let document = read(&document)?;
                let parameters = [("PolicyName", name.as_str()), ("PolicyDocument", &document)];
                let made = iam.call("CreatePolicy", &parameters).await?;
                iam.show("Policy", made.child("Policy").context("no policy in the answer")?);
            }
            Policies::Delete { name } => {
                let arn = policy_arn(iam, &name).await?;
                iam.call("DeletePolicy", &[("PolicyArn", &arn)]).await?;
                iam.done(&format!("deleted policy {arn}"));
            }
            Policies::Attach { holder, policy } => {
                let arn = policy_arn(iam, &policy).await?;
                each(iam, "Attach", &holder, &[("PolicyArn", &arn)]).await?;
                iam.done(&format!("{} has {arn}", holder.parts().1));
            }
            Policies::Detach { holder, policy } => {
                let arn = policy_arn(iam, &policy).await?;
                each(iam, "Detach", &holder, &[("PolicyArn", &arn)]).await?;
                iam.done(&format!("{} has {arn} no more", holder.parts().1));
            }
            Policies::Put { holder, name, document } => {
                let document = read(&document)?;
                let parameters = [("PolicyName", name.as_str()), ("PolicyDocument", &document)];
                each(iam, "Put", &holder, &parameters).await?;
                iam.done(&format!("{} has {name}", holder.parts().1));
            }
            Policies::Remove { holder, name } => {
                each(iam, "Delete", &holder, &[("PolicyName", &name)]).await?;
                iam.done(&format!("{} has {name} no more", holder.parts().1));
            }
        }
        Ok(())
    }
}

/// Calls `PutUserPolicy` and its like.
async fn each(
    iam: &Iam,
    verb: &str,
    holder: &Holder,
    parameters: &[(&str, &str)],
) -> anyhow::Result<()> {
    let (kind, name) = holder.parts();
    let member = format!("{kind}Name");
    let parameters = [&[(member.as_str(), name)], parameters].concat();
    iam.call(&format!("{verb}{kind}Policy"), &parameters).await?;
    Ok(())
}

/// A document from a file.
#[allow(clippy::disallowed_methods, reason = "a tool reads its user's files where they are")]
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}
