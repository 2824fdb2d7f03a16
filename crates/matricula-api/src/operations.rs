//! The operations of all APIs.

use matricula_core::Operation;

/// All operations of the enabled APIs, sorted by API and id. Ids are unique within an API only.
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
