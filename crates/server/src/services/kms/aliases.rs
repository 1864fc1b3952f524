//! Aliases.

use millstream_api::kms as api;
use millstream_kms::{Alias, AliasName};
use millstream_wire::ServiceError;

use super::errors::{self, of_engine};
use super::{Call, KeyService, shapes};

impl KeyService {
    pub(super) async fn create_alias(
        &self,
        call: &Call,
        input: api::CreateAliasRequest,
    ) -> Result<(), ServiceError> {
        let alias = alias_to_change(call, &input.alias_name)?;
        let target = self.own_key(call, &input.target_key_id).await?;
        self.engine.create_alias(&alias, &target).await.map_err(of_engine)
    }

    pub(super) async fn update_alias(
        &self,
        call: &Call,
        input: api::UpdateAliasRequest,
    ) -> Result<(), ServiceError> {
        let alias = alias_to_change(call, &input.alias_name)?;
        let target = self.own_key(call, &input.target_key_id).await?;
        self.engine.update_alias(&alias, &target).await.map_err(of_engine)
    }

    pub(super) async fn delete_alias(
        &self,
        call: &Call,
        input: api::DeleteAliasRequest,
    ) -> Result<(), ServiceError> {
        let alias = alias_to_change(call, &input.alias_name)?;
        self.engine.delete_alias(&alias).await.map_err(of_engine)
    }

    pub(super) async fn list_aliases(
        &self,
        call: &Call,
        input: api::ListAliasesRequest,
    ) -> Result<api::ListAliasesResponse, ServiceError> {
        let target = match &input.key_id {
            Some(key_id) => Some(self.own_key(call, key_id).await?.arn.id),
            None => None,
        };
        let scope = &call.caller.scope;
        let after = match input.marker.as_deref() {
            Some(marker) => {
                let name = AliasName::new(scope.clone(), marker).ok_or_else(errors::marker)?;
                Some(name)
            }
            None => None,
        };
        let limit = shapes::limit(input.limit);
        let after = after.as_ref().map(AliasName::as_str);
        let listed = self.engine.list_aliases(scope, target, after, limit + 1);
        let (page, next_marker, truncated) =
            shapes::page(listed, limit, |alias| alias.name.as_str().to_owned());
        let entry = |alias: &Alias| api::AliasListEntry {
            alias_name: Some(alias.name.as_str().to_owned()),
            alias_arn: Some(alias.name.arn()),
            target_key_id: Some(alias.target.to_string()),
            creation_date: Some(shapes::time(alias.made)),
            last_updated_date: Some(shapes::time(alias.changed)),
        };
        let aliases = Some(page.iter().map(entry).collect());
        Ok(api::ListAliasesResponse { aliases, next_marker, truncated })
    }
}

/// An alias of the caller's that is not a service's.
fn alias_to_change(call: &Call, name: &str) -> Result<AliasName, ServiceError> {
    if !name.starts_with("alias/") {
        return Err(errors::alias_without_prefix());
    }
    let alias = AliasName::new(call.caller.scope.clone(), name);
    let alias = alias.ok_or_else(|| errors::alias_name(name))?;
    match alias.is_reserved() {
        true => Err(errors::alias_reserved()),
        false => Ok(alias),
    }
}
