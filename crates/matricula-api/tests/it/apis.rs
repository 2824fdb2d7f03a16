//! The operations of all four APIs as one list.

use matricula_api::{appservice, client, identity, push, server::AnyEndpoint};
use matricula_core::Api;

/// Each API with its operations.
pub(crate) const APIS: [(Api, &[AnyEndpoint]); 4] = [
    (Api::Client, client::ENDPOINTS),
    (Api::Identity, identity::ENDPOINTS),
    (Api::Appservice, appservice::ENDPOINTS),
    (Api::Push, push::ENDPOINTS),
];

/// Every operation.
pub(crate) fn all() -> impl Iterator<Item = &'static AnyEndpoint> {
    APIS.iter().flat_map(|(_, served)| *served)
}

/// The operation of this API with this id.
pub(crate) fn endpoint(api: Api, id: &str) -> &'static AnyEndpoint {
    all()
        .find(|one| one.operation.api == api && one.operation.id == id)
        .unwrap_or_else(|| panic!("{} {id} is not here", api.as_str()))
}

/// The name of an operation: ids are unique only within an API.
pub(crate) fn name(endpoint: &AnyEndpoint) -> String {
    format!(
        "{}/{}",
        endpoint.operation.api.as_str(),
        endpoint.operation.id
    )
}
