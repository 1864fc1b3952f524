//! OpenID Connect providers of accounts, as IAM knows them.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_base::limits::{IAM_OIDC_CLIENT_IDS_MAX, IAM_OIDC_PROVIDERS_PER_ACCOUNT_MAX};
use millstream_base::{AccountId, Tags};

use crate::engine::Identities;
use crate::entities::{add_tags, check_tags};
use crate::error::{Error, Quota, Result, What};
use crate::model::{AccountFacts, OidcProvider, oidc_arn};
use crate::oidc::provider_of;
use crate::rows::{RowName, Table};

/// What a provider is made of.
#[derive(Clone, Debug, Default)]
pub struct NewProvider {
    /// With `https://`.
    pub url: String,
    pub client_ids: BTreeSet<String>,
    pub thumbprints: Vec<String>,
    pub tags: Tags,
    pub declared: bool,
}

impl Identities {
    /// Returns its ARN.
    ///
    /// # Errors
    /// It exists; a URL that is none; too many.
    pub async fn create_provider(&self, account: AccountId, new: NewProvider) -> Result<String> {
        if !new.url.starts_with("https://") && !is_loopback(&new.url) {
            return Err(Error::Invalid { reason: "Invalid Open ID Connect Provider URL".into() });
        }
        check_tags(new.tags.len())?;
        check_clients(new.client_ids.len())?;
        let url = provider_of(&new.url).to_owned();
        let max = IAM_OIDC_PROVIDERS_PER_ACCOUNT_MAX;
        if self.inner.directory.count(account, Table::Oidc) >= max {
            return Err(Error::Limit { quota: Quota::OidcProviders, max });
        }
        let row = RowName::new(account, Table::Oidc, &url);
        let provider = OidcProvider {
            url: url.clone(),
            client_ids: new.client_ids,
            thumbprints: new.thumbprints,
            created: self.now(),
            tags: new.tags,
            declared: new.declared,
        };
        let exists = || Error::Exists { what: What::OidcProvider, name: new.url.clone() };
        self.create(&row, &provider, exists).await?;
        Ok(oidc_arn(account, &url))
    }

    /// # Errors
    /// There is none.
    pub fn provider(&self, account: AccountId, arn: &str) -> Result<Arc<OidcProvider>> {
        let url = url_of(account, arn)?;
        self.inner.directory.oidc(account, url).ok_or_else(|| missing(arn))
    }

    pub fn providers(&self, account: AccountId) -> Vec<Arc<OidcProvider>> {
        self.inner.directory.oidc_providers(account)
    }

    /// # Errors
    /// There is none.
    pub async fn delete_provider(&self, account: AccountId, arn: &str) -> Result<()> {
        let row = RowName::new(account, Table::Oidc, url_of(account, arn)?);
        self.remove(&row, || missing(arn), |_: &OidcProvider| Ok(())).await
    }

    /// Lets `edit` change audiences and thumbprints.
    ///
    /// # Errors
    /// There is none; too many audiences.
    pub async fn edit_provider(
        &self,
        account: AccountId,
        arn: &str,
        mut edit: impl FnMut(&mut OidcProvider),
    ) -> Result<()> {
        let row = RowName::new(account, Table::Oidc, url_of(account, arn)?);
        self.change(
            &row,
            || missing(arn),
            |provider: &mut OidcProvider| {
                edit(provider);
                check_clients(provider.client_ids.len())
            },
        )
        .await
    }

    /// # Errors
    /// There is none; too many tags.
    pub async fn tag_provider(&self, account: AccountId, arn: &str, tags: &Tags) -> Result<()> {
        let row = RowName::new(account, Table::Oidc, url_of(account, arn)?);
        self.change(
            &row,
            || missing(arn),
            |provider: &mut OidcProvider| {
                add_tags(&mut provider.tags, tags);
                check_tags(provider.tags.len())
            },
        )
        .await
    }

    /// # Errors
    /// There is none.
    pub async fn untag_provider(
        &self,
        account: AccountId,
        arn: &str,
        keys: &[String],
    ) -> Result<()> {
        self.edit_provider(account, arn, |provider| {
            provider.tags.retain(|key, _| !keys.iter().any(|k| k.eq_ignore_ascii_case(key)));
        })
        .await
    }

    /// The account's other name, if it was given one.
    pub fn alias(&self, account: AccountId) -> Option<String> {
        self.inner.directory.facts(account)?.alias.clone()
    }

    /// # Errors
    /// The store's.
    pub async fn set_alias(&self, account: AccountId, alias: &str) -> Result<()> {
        let row = RowName::new(account, Table::Account, "facts");
        let facts = AccountFacts { alias: Some(alias.to_owned()), ..AccountFacts::default() };
        let exists = || Error::Busy;
        match self.create(&row, &facts, exists).await {
            Err(Error::Busy) => {
                self.change(&row, exists, |facts: &mut AccountFacts| {
                    facts.alias = Some(alias.to_owned());
                    Ok(())
                })
                .await
            }
            made => made,
        }
    }

    /// # Errors
    /// The account has another alias or none.
    pub async fn delete_alias(&self, account: AccountId, alias: &str) -> Result<()> {
        let row = RowName::new(account, Table::Account, "facts");
        let missing = || Error::NotFound { what: What::AccountAlias, name: alias.to_owned() };
        self.change(&row, missing, |facts: &mut AccountFacts| {
            match facts.alias.as_deref() == Some(alias) {
                true => facts.alias = None,
                false => return Err(missing()),
            }
            Ok(())
        })
        .await
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|loopback| {
        host.strip_prefix(loopback)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}

fn check_clients(count: usize) -> Result<()> {
    let max = IAM_OIDC_CLIENT_IDS_MAX;
    if count > max { Err(Error::Limit { quota: Quota::ClientIds, max }) } else { Ok(()) }
}

fn url_of(account: AccountId, arn: &str) -> Result<&str> {
    arn.strip_prefix(&oidc_arn(account, "")).ok_or_else(|| missing(arn))
}

fn missing(arn: &str) -> Error {
    Error::NotFound { what: What::OidcProvider, name: arn.to_owned() }
}
