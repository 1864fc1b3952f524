//! OpenID Connect providers. Tokens are proven with the keys of the issuers in the node's
//! configuration; a provider says which audiences an account takes.

use millstream_api::iam as api;
use millstream_identity::NewProvider;
use millstream_identity::model::oidc_arn;
use millstream_wire::ServiceError;

use super::holders::tag_page;
use super::{Iam, account_of, errors, shapes};
use crate::services::Call;

pub(super) async fn create_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::CreateOpenIDConnectProviderRequest,
) -> Result<api::CreateOpenIDConnectProviderResponse, ServiceError> {
    let tags = shapes::tags(input.tags)?;
    let new = NewProvider {
        url: input.url,
        client_ids: input.client_id_list.unwrap_or_default().into_iter().collect(),
        thumbprints: input.thumbprint_list.unwrap_or_default(),
        tags: tags.clone(),
        declared: false,
    };
    let made = iam.identities.create_provider(account_of(call), new).await;
    let arn = made.map_err(errors::of_engine)?;
    Ok(api::CreateOpenIDConnectProviderResponse {
        open_id_connect_provider_arn: Some(arn),
        tags: shapes::some_tags(&tags),
    })
}

pub(super) async fn get_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::GetOpenIDConnectProviderRequest,
) -> Result<api::GetOpenIDConnectProviderResponse, ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    let provider = iam.identities.provider(account_of(call), arn).map_err(errors::of_engine)?;
    Ok(api::GetOpenIDConnectProviderResponse {
        url: Some(provider.url.clone()),
        client_id_list: Some(provider.client_ids.iter().cloned().collect()),
        thumbprint_list: Some(provider.thumbprints.clone()),
        create_date: Some(shapes::time(provider.created)),
        tags: Some(shapes::tag_shapes(&provider.tags)),
    })
}

pub(super) async fn list_open_id_connect_providers(
    iam: &Iam,
    call: &Call,
    _: api::ListOpenIDConnectProvidersRequest,
) -> Result<api::ListOpenIDConnectProvidersResponse, ServiceError> {
    let account = account_of(call);
    let providers = iam.identities.providers(account);
    let entries = providers
        .iter()
        .map(|p| api::OpenIDConnectProviderListEntry { arn: Some(oidc_arn(account, &p.url)) });
    let entries = Some(entries.collect());
    Ok(api::ListOpenIDConnectProvidersResponse { open_id_connect_provider_list: entries })
}

pub(super) async fn delete_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::DeleteOpenIDConnectProviderRequest,
) -> Result<(), ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    iam.identities.delete_provider(account_of(call), arn).await.map_err(errors::of_engine)
}

pub(super) async fn update_open_id_connect_provider_thumbprint(
    iam: &Iam,
    call: &Call,
    input: api::UpdateOpenIDConnectProviderThumbprintRequest,
) -> Result<(), ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    let edited = iam.identities.edit_provider(account_of(call), arn, |provider| {
        provider.thumbprints = input.thumbprint_list.clone();
    });
    edited.await.map_err(errors::of_engine)
}

pub(super) async fn add_client_id_to_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::AddClientIDToOpenIDConnectProviderRequest,
) -> Result<(), ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    let edited = iam.identities.edit_provider(account_of(call), arn, |provider| {
        provider.client_ids.insert(input.client_id.clone());
    });
    edited.await.map_err(errors::of_engine)
}

pub(super) async fn remove_client_id_from_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::RemoveClientIDFromOpenIDConnectProviderRequest,
) -> Result<(), ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    let edited = iam.identities.edit_provider(account_of(call), arn, |provider| {
        provider.client_ids.remove(&input.client_id);
    });
    edited.await.map_err(errors::of_engine)
}

pub(super) async fn tag_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::TagOpenIDConnectProviderRequest,
) -> Result<(), ServiceError> {
    let tags = shapes::tags(Some(input.tags))?;
    let arn = &input.open_id_connect_provider_arn;
    iam.identities.tag_provider(account_of(call), arn, &tags).await.map_err(errors::of_engine)
}

pub(super) async fn untag_open_id_connect_provider(
    iam: &Iam,
    call: &Call,
    input: api::UntagOpenIDConnectProviderRequest,
) -> Result<(), ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    let untagged = iam.identities.untag_provider(account_of(call), arn, &input.tag_keys);
    untagged.await.map_err(errors::of_engine)
}

pub(super) async fn list_open_id_connect_provider_tags(
    iam: &Iam,
    call: &Call,
    input: api::ListOpenIDConnectProviderTagsRequest,
) -> Result<api::ListOpenIDConnectProviderTagsResponse, ServiceError> {
    let arn = &input.open_id_connect_provider_arn;
    let provider = iam.identities.provider(account_of(call), arn).map_err(errors::of_engine)?;
    let tags = shapes::tag_shapes(&provider.tags);
    let page = tag_page(tags, input.marker.as_deref(), input.max_items)?;
    let (is_truncated, marker) = (page.is_truncated, page.marker);
    Ok(api::ListOpenIDConnectProviderTagsResponse { tags: page.items, is_truncated, marker })
}
