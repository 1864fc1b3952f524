//! Users, their keys, groups and roles.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::call::{Iam, policy_arn};
use crate::args::Output;
use crate::output;

#[derive(Subcommand, Clone, Debug)]
pub(super) enum Users {
    /// List users
    List,
    /// Show a user
    Show { name: String },
    /// Create a user
    #[command(after_help = "Examples:
  millstream iam users create ada
  millstream iam users create ada --path /staff/ --policy AmazonKinesisReadOnlyAccess --group readers")]
    Create(CreateUser),
    /// Delete a user with its keys, memberships and policies
    Delete { name: String },
}

#[derive(Args, Clone, Debug)]
pub(super) struct CreateUser {
    name: String,

    /// A path: /division/team/
    #[arg(long)]
    path: Option<String>,

    /// A managed policy to attach, by name or ARN; may be given several times
    #[arg(long = "policy", value_name = "POLICY")]
    policies: Vec<String>,

    /// A group to be in; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

#[derive(Subcommand, Clone, Debug)]
pub(super) enum Keys {
    /// List a user's keys
    List { user: String },
    /// Create a key; its secret is shown this once
    #[command(after_help = "Examples:
  millstream iam keys create ada
  millstream iam keys create ada --output json > key.json")]
    Create { user: String },
    /// Let a key be used again
    Activate { user: String, key: String },
    /// Refuse a key without deleting it
    Deactivate { user: String, key: String },
    /// Delete a key
    Delete { user: String, key: String },
    /// Say when a key was last used
    LastUsed { key: String },
}

#[derive(Subcommand, Clone, Debug)]
pub(super) enum Groups {
    /// List groups
    List,
    /// Show who is in a group
    Show { name: String },
    /// Create a group
    Create { name: String },
    /// Delete a group that nobody is in
    Delete { name: String },
    /// Put a user into a group
    Add { group: String, user: String },
    /// Take a user out of a group
    Remove { group: String, user: String },
}

#[derive(Subcommand, Clone, Debug)]
pub(super) enum Roles {
    /// List roles
    List,
    /// Show a role
    Show { name: String },
    /// Create a role
    #[command(after_help = "Examples:
  millstream iam roles create reader --trust trust.json --policy AmazonKinesisReadOnlyAccess")]
    Create(CreateRole),
    /// Delete a role with its policies
    Delete { name: String },
}

#[derive(Args, Clone, Debug)]
pub(super) struct CreateRole {
    name: String,

    /// A file with the policy that says who may assume it
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,

    #[arg(long)]
    description: Option<String>,

    /// A managed policy to attach, by name or ARN; may be given several times
    #[arg(long = "policy", value_name = "POLICY")]
    policies: Vec<String>,
}

impl Users {
    /// # Errors
    /// The service's, or no connection.
    pub(super) async fn run(self, iam: &Iam) -> anyhow::Result<()> {
        match self {
            Users::List => {
                let all = iam.list("ListUsers", "Users", &[]).await?;
                let columns = [
                    ("NAME", "UserName"),
                    ("PATH", "Path"),
                    ("ID", "UserId"),
                    ("CREATED", "CreateDate"),
                ];
                iam.show_list("Users", &all, columns);
            }
            Users::Show { name } => {
                let found = iam.call("GetUser", &[("UserName", &name)]).await?;
                iam.show("User", found.child("User").context("no user in the answer")?);
            }
            Users::Create(args) => {
                let mut parameters = vec![("UserName", args.name.as_str())];
                parameters.extend(args.path.as_deref().map(|path| ("Path", path)));
                let made = iam.call("CreateUser", &parameters).await?;
                for policy in &args.policies {
                    let arn = policy_arn(iam, policy).await?;
                    let parameters = [("UserName", args.name.as_str()), ("PolicyArn", &arn)];
                    iam.call("AttachUserPolicy", &parameters).await?;
                }
                for group in &args.groups {
                    let parameters = [("UserName", args.name.as_str()), ("GroupName", group)];
                    iam.call("AddUserToGroup", &parameters).await?;
                }
                iam.show("User", made.child("User").context("no user in the answer")?);
            }
            Users::Delete { name } => {
                let user = ("UserName", name.as_str());
                for key in iam.list("ListAccessKeys", "AccessKeyMetadata", &[user]).await? {
                    let key = ("AccessKeyId", key.text_of("AccessKeyId"));
                    iam.call("DeleteAccessKey", &[user, key]).await?;
                }
                for group in iam.list("ListGroupsForUser", "Groups", &[user]).await? {
                    let group = ("GroupName", group.text_of("GroupName"));
                    iam.call("RemoveUserFromGroup", &[user, group]).await?;
                }
                forget_policies(iam, "User", &name).await?;
                iam.call("DeleteUser", &[user]).await?;
                iam.done(&format!("deleted user {name}"));
            }
        }
        Ok(())
    }
}

/// Detaches and deletes the policies of a `User` or `Role`.
async fn forget_policies(iam: &Iam, kind: &str, name: &str) -> anyhow::Result<()> {
    let member = format!("{kind}Name");
    let named = (member.as_str(), name);
    let list = format!("ListAttached{kind}Policies");
    for policy in iam.list(&list, "AttachedPolicies", &[named]).await? {
        let policy = ("PolicyArn", policy.text_of("PolicyArn"));
        iam.call(&format!("Detach{kind}Policy"), &[named, policy]).await?;
    }
    for policy in iam.list(&format!("List{kind}Policies"), "PolicyNames", &[named]).await? {
        let policy = ("PolicyName", policy.text.as_str());
        iam.call(&format!("Delete{kind}Policy"), &[named, policy]).await?;
    }
    Ok(())
}

impl Keys {
    /// # Errors
    /// The service's, or no connection.
    pub(super) async fn run(self, iam: &Iam) -> anyhow::Result<()> {
        let update = async |user: &str, key: &str, status: &str| {
            let parameters = [("UserName", user), ("AccessKeyId", key), ("Status", status)];
            iam.call("UpdateAccessKey", &parameters).await?;
            iam.done(&format!("key {key} of {user} is {}", status.to_lowercase()));
            anyhow::Ok(())
        };
        match self {
            Keys::List { user } => {
                let parameters = [("UserName", user.as_str())];
                let all = iam.list("ListAccessKeys", "AccessKeyMetadata", &parameters).await?;
                let columns =
                    [("KEY", "AccessKeyId"), ("STATUS", "Status"), ("CREATED", "CreateDate")];
                iam.show_list("AccessKeys", &all, columns);
            }
            Keys::Create { user } => {
                let made = iam.call("CreateAccessKey", &[("UserName", &user)]).await?;
                let key = made.child("AccessKey").context("no key in the answer")?;
                let (id, secret) = (key.text_of("AccessKeyId"), key.text_of("SecretAccessKey"));
                match iam.format {
                    Output::Json => output::print_json(&json!({ "AccessKey": {
                        "UserName": user, "AccessKeyId": id, "SecretAccessKey": secret,
                    }})),
                    Output::Text => println!(
                        "[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}"
                    ),
                }
            }
            Keys::Activate { user, key } => update(&user, &key, "Active").await?,
            Keys::Deactivate { user, key } => update(&user, &key, "Inactive").await?,
            Keys::Delete { user, key } => {
                let parameters = [("UserName", user.as_str()), ("AccessKeyId", &key)];
                iam.call("DeleteAccessKey", &parameters).await?;
                iam.done(&format!("deleted key {key} of {user}"));
            }
            Keys::LastUsed { key } => {
                let told = iam.call("GetAccessKeyLastUsed", &[("AccessKeyId", &key)]).await?;
                let last = told.child("AccessKeyLastUsed").context("nothing in the answer")?;
                iam.show("AccessKeyLastUsed", last);
            }
        }
        Ok(())
    }
}

impl Groups {
    /// # Errors
    /// The service's, or no connection.
    pub(super) async fn run(self, iam: &Iam) -> anyhow::Result<()> {
        match self {
            Groups::List => {
                let all = iam.list("ListGroups", "Groups", &[]).await?;
                iam.show_list("Groups", &all, [("NAME", "GroupName"), ("ID", "GroupId")]);
            }
            Groups::Show { name } => {
                let all = iam.list("GetGroup", "Users", &[("GroupName", &name)]).await?;
                iam.show_list("Users", &all, [("MEMBER", "UserName"), ("ARN", "Arn")]);
            }
            Groups::Create { name } => {
                let made = iam.call("CreateGroup", &[("GroupName", &name)]).await?;
                iam.show("Group", made.child("Group").context("no group in the answer")?);
            }
            Groups::Delete { name } => {
                forget_policies(iam, "Group", &name).await?;
                iam.call("DeleteGroup", &[("GroupName", &name)]).await?;
                iam.done(&format!("deleted group {name}"));
            }
            Groups::Add { group, user } => {
                let parameters = [("GroupName", group.as_str()), ("UserName", &user)];
                iam.call("AddUserToGroup", &parameters).await?;
                iam.done(&format!("{user} is in group {group}"));
            }
            Groups::Remove { group, user } => {
                let parameters = [("GroupName", group.as_str()), ("UserName", &user)];
                iam.call("RemoveUserFromGroup", &parameters).await?;
                iam.done(&format!("{user} is not in group {group} any more"));
            }
        }
        Ok(())
    }
}

impl Roles {
    /// # Errors
    /// The service's, no connection, or a file that can't be read.
    pub(super) async fn run(self, iam: &Iam) -> anyhow::Result<()> {
        match self {
            Roles::List => {
                let all = iam.list("ListRoles", "Roles", &[]).await?;
                let columns = [("NAME", "RoleName"), ("ARN", "Arn"), ("CREATED", "CreateDate")];
                iam.show_list("Roles", &all, columns);
            }
            Roles::Show { name } => {
                let found = iam.call("GetRole", &[("RoleName", &name)]).await?;
                let mut role = found.child("Role").context("no role in the answer")?.clone();
                for member in &mut role.children {
                    if member.name == "AssumeRolePolicyDocument" {
                        member.text = super::call::decoded(&member.text);
                    }
                }
                iam.show("Role", &role);
            }
            Roles::Create(args) => {
                let trust = super::policies::read(&args.trust)?;
                let mut parameters = vec![
                    ("RoleName", args.name.as_str()),
                    ("AssumeRolePolicyDocument", trust.as_str()),
                ];
                parameters.extend(args.description.as_deref().map(|text| ("Description", text)));
                let made = iam.call("CreateRole", &parameters).await?;
                for policy in &args.policies {
                    let arn = policy_arn(iam, policy).await?;
                    let parameters = [("RoleName", args.name.as_str()), ("PolicyArn", &arn)];
                    iam.call("AttachRolePolicy", &parameters).await?;
                }
                iam.show("Role", made.child("Role").context("no role in the answer")?);
            }
            Roles::Delete { name } => {
                forget_policies(iam, "Role", &name).await?;
                iam.call("DeleteRole", &[("RoleName", &name)]).await?;
                iam.done(&format!("deleted role {name}"));
            }
        }
        Ok(())
    }
}
