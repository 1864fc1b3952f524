//! Which key or alias a request is about, and whether the caller may do that to it.
//!
//! A key's policy governs: what it doesn't allow, nobody may, the account's own users included; the
//! default policy hands the decision to the policies of the account's identities. That there is no
//! such key is told first, as on AWS.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millstream_api::kms::Request;
use millstream_base::{AccountId, Tags};
use millstream_kms::{AliasName, Ciphertext, Key, KeyName};
use millstream_policy::tables::When;
use millstream_policy::{Action, Context, Policy, Resource, ResourcePolicy, Value};
use millstream_wire::ServiceError;
use parking_lot::RwLock;

use super::errors::{self, of_engine};
use super::{Call, KeyService, settings, shapes};
use crate::access;

/// Policies that are kept compiled; beyond, all are compiled anew.
const COMPILED_MAX: usize = 1024;

/// Key policies by their texts, compiled.
#[derive(Default)]
pub(super) struct Compiled(RwLock<HashMap<String, Arc<Policy>>>);

impl Compiled {
    /// `None`: the text is no policy, and so allows nobody anything. None was stored that way.
    fn of(&self, text: &str) -> Option<Arc<Policy>> {
        if let Some(policy) = self.0.read().get(text) {
            return Some(policy.clone());
        }
        let policy = Arc::new(settings::parse_policy(text).ok()?);
        let mut compiled = self.0.write();
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        compiled.insert(text.to_owned(), policy.clone());
        Some(policy)
    }
}

/// What a request is about, as far as policies see it.
#[derive(Default)]
struct About<'a> {
    operation: &'static str,
    /// As the caller names it.
    key: Option<&'a str>,
    /// The key that made it opens it.
    ciphertext: Option<&'a [u8]>,
    /// Where ReEncrypt leads.
    destination: Option<&'a str>,
    alias: Option<&'a str>,
    context: Option<&'a BTreeMap<String, String>>,
    destination_context: Option<&'a BTreeMap<String, String>>,
    tags: Tags,
    tag_keys: Vec<&'a str>,
    encrypts: bool,
}

impl KeyService {
    /// # Errors
    /// AccessDeniedException; that there is no such key.
    pub(super) async fn check_access(
        &self,
        call: &Call,
        request: Request<'_>,
    ) -> Result<(), ServiceError> {
        if call.caller.who.is_none() {
            return Ok(());
        }
        let about = about(request)?;
        let rule = access::rule("kms", about.operation);
        let action = &rule.action;
        if let Some(name) = about.alias {
            return self.check_alias(call, action, name, &about).await;
        }
        match self.subject(call, &about).await? {
            Some(key) => self.ask_key(call, action, &key, &about, about.context)?,
            None => self.ask(call, action, Resource::ANY, ResourcePolicy::None, &about, None)?,
        }
        for further in &rule.further {
            match (further.when, about.destination) {
                (When::Always, Some(name)) => {
                    let key = self.engine.find(&call.caller.scope, name).await;
                    let key = key.map_err(of_engine)?;
                    let context = about.destination_context;
                    self.ask_key(call, &further.action, &key, &about, context)?;
                }
                (When::Tags, _) if !about.tags.is_empty() => {
                    let (any, none) = (Resource::ANY, ResourcePolicy::None);
                    self.ask(call, &further.action, any, none, &about, None)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An operation on an alias needs the right to the alias and to each key that it names, before
    /// and after.
    async fn check_alias(
        &self,
        call: &Call,
        action: &Action,
        name: &str,
        about: &About<'_>,
    ) -> Result<(), ServiceError> {
        let scope = &call.caller.scope;
        // What is no alias's name is refused by the operation itself.
        let Some(alias) = AliasName::new(scope.clone(), name) else { return Ok(()) };
        let arn = alias.arn();
        self.ask(call, action, Resource::of(&arn), ResourcePolicy::None, about, None)?;
        if let Ok(current) = self.engine.find(scope, name).await {
            self.ask_key(call, action, &current, about, None)?;
        }
        if let Some(target) = about.key {
            let target = self.engine.find(scope, target).await.map_err(of_engine)?;
            self.ask_key(call, action, &target, about, None)?;
        }
        Ok(())
    }

    /// The key that is asked for. `None`: the operation is about none, or the ciphertext names none,
    /// which the operation itself tells.
    async fn subject(
        &self,
        call: &Call,
        about: &About<'_>,
    ) -> Result<Option<Arc<Key>>, ServiceError> {
        let scope = &call.caller.scope;
        if let Some(ciphertext) = about.ciphertext {
            let Some(parsed) = Ciphertext::parse(ciphertext) else { return Ok(None) };
            let arn = parsed.key.to_string();
            let found = self.engine.find(scope, &arn).await;
            return found.map(Some).map_err(errors::of_decryption);
        }
        let Some(name) = about.key else { return Ok(None) };
        // DescribeKey makes a service's key as it asks for it, and so does the question whether it may.
        match about.operation {
            "DescribeKey" => self.engine.find_or_make(scope, name).await,
            _ => self.engine.find(scope, name).await,
        }
        .map(Some)
        .map_err(of_engine)
    }

    fn ask_key(
        &self,
        call: &Call,
        action: &Action,
        key: &Key,
        about: &About<'_>,
        context: Option<&BTreeMap<String, String>>,
    ) -> Result<(), ServiceError> {
        let arn = key.arn.to_string();
        let policy = self.compiled.of(&settings::policy_of(key));
        let Some(policy) = policy else {
            return Err(errors::access_denied("No policy allows it."));
        };
        let mut given = crypto_context(about, context);
        given.set_tags("aws:ResourceTag", key.tags());
        if let Some(Ok(KeyName::Alias(alias))) =
            about.key.map(|name| KeyName::parse(&call.caller.scope, name))
        {
            given.set_text("kms:RequestAlias", alias.as_str().to_owned());
        }
        let resource = Resource { arn: &arn, owner: Some(key.arn.scope.account) };
        self.decide(call, action, resource, ResourcePolicy::Governs(&policy), about, given)
    }

    fn ask(
        &self,
        call: &Call,
        action: &Action,
        resource: Resource<'_>,
        policy: ResourcePolicy<'_>,
        about: &About<'_>,
        context: Option<&BTreeMap<String, String>>,
    ) -> Result<(), ServiceError> {
        self.decide(call, action, resource, policy, about, crypto_context(about, context))
    }

    fn decide<'a>(
        &'a self,
        call: &'a Call,
        action: &'a Action,
        resource: Resource<'a>,
        policy: ResourcePolicy<'a>,
        about: &'a About<'a>,
        mut context: Context<'a>,
    ) -> Result<(), ServiceError> {
        let account: AccountId = call.caller.scope.account;
        context.set_text("kms:CallerAccount", account.as_str().to_owned());
        if !about.tags.is_empty() {
            context.set_tags("aws:RequestTag", &about.tags);
            let keys = about.tags.keys().map(|key| key.as_str().into());
            context.set("aws:TagKeys", Value::Many(keys.collect()));
        } else if !about.tag_keys.is_empty() {
            let keys = about.tag_keys.iter().map(|key| (*key).into());
            context.set("aws:TagKeys", Value::Many(keys.collect()));
        }
        access::allowed(call, action, resource, policy, context).map_err(errors::access_denied)
    }
}

/// The condition keys of cryptographic operations.
fn crypto_context<'a>(
    about: &About<'_>,
    encryption: Option<&'a BTreeMap<String, String>>,
) -> Context<'a> {
    let mut context = access::context();
    if about.encrypts {
        context.set_text("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
        let pairs = encryption.into_iter().flatten();
        for (name, value) in pairs.clone() {
            context.set_text(format!("kms:EncryptionContext:{name}"), value.as_str());
        }
        let names = pairs.map(|(name, _)| name.as_str().into());
        context.set("kms:EncryptionContextKeys", Value::Many(names.collect()));
    }
    context
}

fn about(request: Request<'_>) -> Result<About<'_>, ServiceError> {
    use Request as R;
    let none = |operation| About { operation, ..About::default() };
    let key = |operation, key| About { operation, key: Some(key), ..About::default() };
    Ok(match request {
        R::CreateKey(i) => {
            let tags = shapes::tags(i.tags.clone().unwrap_or_default())?;
            About { tags, ..none("CreateKey") }
        }
        R::ListKeys(_) => none("ListKeys"),
        R::ListAliases(_) => none("ListAliases"),
        R::GenerateRandom(_) => none("GenerateRandom"),
        R::DescribeKey(i) => key("DescribeKey", &i.key_id),
        R::EnableKey(i) => key("EnableKey", &i.key_id),
        R::DisableKey(i) => key("DisableKey", &i.key_id),
        R::UpdateKeyDescription(i) => key("UpdateKeyDescription", &i.key_id),
        R::ScheduleKeyDeletion(i) => key("ScheduleKeyDeletion", &i.key_id),
        R::CancelKeyDeletion(i) => key("CancelKeyDeletion", &i.key_id),
        R::EnableKeyRotation(i) => key("EnableKeyRotation", &i.key_id),
        R::DisableKeyRotation(i) => key("DisableKeyRotation", &i.key_id),
        R::GetKeyRotationStatus(i) => key("GetKeyRotationStatus", &i.key_id),
        R::RotateKeyOnDemand(i) => key("RotateKeyOnDemand", &i.key_id),
        R::ListKeyRotations(i) => key("ListKeyRotations", &i.key_id),
        R::GetKeyPolicy(i) => key("GetKeyPolicy", &i.key_id),
        R::PutKeyPolicy(i) => key("PutKeyPolicy", &i.key_id),
        R::ListKeyPolicies(i) => key("ListKeyPolicies", &i.key_id),
        R::ListResourceTags(i) => key("ListResourceTags", &i.key_id),
        R::TagResource(i) => {
            let tags = shapes::tags(i.tags.clone())?;
            About { tags, ..key("TagResource", &i.key_id) }
        }
        R::UntagResource(i) => {
            let tag_keys = i.tag_keys.iter().map(String::as_str).collect();
            About { tag_keys, ..key("UntagResource", &i.key_id) }
        }
        R::CreateAlias(i) => {
            About { alias: Some(&i.alias_name), ..key("CreateAlias", &i.target_key_id) }
        }
        R::UpdateAlias(i) => {
            About { alias: Some(&i.alias_name), ..key("UpdateAlias", &i.target_key_id) }
        }
        R::DeleteAlias(i) => About { alias: Some(&i.alias_name), ..none("DeleteAlias") },
        R::Encrypt(i) => About {
            context: i.encryption_context.as_ref(),
            encrypts: true,
            ..key("Encrypt", &i.key_id)
        },
        R::GenerateDataKey(i) => About {
            context: i.encryption_context.as_ref(),
            encrypts: true,
            ..key("GenerateDataKey", &i.key_id)
        },
        R::GenerateDataKeyWithoutPlaintext(i) => About {
            context: i.encryption_context.as_ref(),
            encrypts: true,
            ..key("GenerateDataKeyWithoutPlaintext", &i.key_id)
        },
        R::Decrypt(i) => About {
            key: i.key_id.as_deref(),
            ciphertext: i.ciphertext_blob.as_deref(),
            context: i.encryption_context.as_ref(),
            encrypts: true,
            ..none("Decrypt")
        },
        R::ReEncrypt(i) => About {
            key: i.source_key_id.as_deref(),
            ciphertext: i.ciphertext_blob.as_deref(),
            destination: Some(&i.destination_key_id),
            context: i.source_encryption_context.as_ref(),
            destination_context: i.destination_encryption_context.as_ref(),
            encrypts: true,
            ..none("ReEncrypt")
        },
    })
}
