//! By hand, as the specification knows no administrators: the [administration] that Synapse offers, and
//! that some other servers imitate in part.
//!
//! The requests but those with the [shared secret](RegisterBySecret) take the token of a server
//! administrator.
//!
//! ```
//! use matricula_api::{Endpoint, synapse::CreateRegistrationToken};
//!
//! let request = CreateRegistrationToken::default().uses_allowed(1);
//! let job = request.job(&"https://matrix.example.org".parse()?);
//! assert_eq!(job.masked_body(), r#"{"uses_allowed":1}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [administration]: https://element-hq.github.io/synapse/latest/usage/administration/admin_api/index.html

mod register;
mod tokens;
mod users;

use matricula_core::Operation;

use crate::Endpoint;

pub use register::{GetNonce, GetNonceResponse, RegisterBySecret};
pub use tokens::{
    CreateRegistrationToken, DeleteRegistrationToken, DeleteRegistrationTokenResponse,
    ListRegistrationTokens, ListRegistrationTokensResponse, RegistrationToken,
};
pub use users::{
    DeactivateUser, DeactivateUserResponse, FindUserByAddress, FindUserByAddressResponse, GetUser,
    ListUsers, ListUsersResponse, ListedUser, PutUser, User, UserAddress, UserChange,
};

/// All of the above.
pub const OPERATIONS: &[Operation] = &[
    GetNonce::OPERATION,
    RegisterBySecret::OPERATION,
    GetUser::OPERATION,
    ListUsers::OPERATION,
    PutUser::OPERATION,
    DeactivateUser::OPERATION,
    FindUserByAddress::OPERATION,
    CreateRegistrationToken::OPERATION,
    ListRegistrationTokens::OPERATION,
    DeleteRegistrationToken::OPERATION,
];
