//! The operations of all APIs together.

use matricula_core::Operation;

/// Every operation of the APIs whose features are on: API by API, each sorted by id. Ids are unique
/// in an API; some stand in several.
///
/// ```
/// let login = matricula_api::operations().find(|operation| operation.id == "login");
/// assert_eq!(login.map(|operation| operation.path), Some("/_matrix/client/v3/login"));
/// ```
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    let apis: &[&[Operation]] = &[
        #[cfg(feature = "client")]
        crate::client::OPERATIONS,
        #[cfg(feature = "identity")]
        crate::identity::OPERATIONS,
        #[cfg(feature = "appservice")]
        crate::appservice::OPERATIONS,
        #[cfg(feature = "push")]
        crate::push::OPERATIONS,
    ];
    apis.iter().copied().flatten()
}
